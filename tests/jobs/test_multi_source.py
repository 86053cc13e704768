"""A model that learns from several campaigns on one taxonomy, each seen with the learner's own network."""

import json

from sqlmodel import select
from typer.testing import CliRunner

from icones.campaigns import model_settings
from icones.campaigns.model_settings import ModelSettings
from icones.campaigns.service import Door
from icones.cli import app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.learning import queries
from icones.models import Campaign, Embedding, JobKind, JobState, Role
from tests.support.campaigns import ADMIRAL, GENUS, LADY, WHITE, figure_ids, make_campaign
from tests.support.voices import carried_out, says, somebody, verified


def learns_from(database: Database, campaign: Campaign, other: Campaign, rank: str = "") -> None:
    with database.writing() as session:
        door = Door(session.get_one(Campaign, campaign.id), Role.CURATOR)
        model_settings.save(session, door, None, ModelSettings((other.slug,), rank))


def test_two_campaigns_are_pooled_and_their_results_told_apart(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    other = make_campaign(settings, database, utc_now(), slug="moths")
    own = [place for place in range(12) if place % 3 != 2]  # admirals and ladies here
    verified(database, campaign, own)
    cora = somebody(database, other, "Cora", Role.SPECIALIST)
    theirs = figure_ids(database, other)
    for place in (0, 3, 6, 2, 5, 8):  # admirals and whites there
        says(database, cora, theirs[place], (ADMIRAL, LADY, WHITE)[place % 3])
    says(database, somebody(database, other, "Anna"), theirs[1], LADY)  # one volunteer is not enough
    learns_from(database, campaign, other)
    done = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert (done.state, done.result["published"]) == (JobState.DONE, True), done.log
    assert "Looking at 6 verified figures of other campaigns" in done.log
    with database.reading() as session:
        seen = set(session.exec(select(Embedding.figure_id)))
        version = queries.champion(session, campaign.id or 0)
        assert version is not None
        learned = queries.snapshot_of(session, version.id or 0)["labels"]
    assert seen & set(theirs) == {theirs[place] for place in (0, 2, 3, 5, 6, 8)}  # what is not verified is not needed
    assert sorted({(one["campaign"], one["taxon"]) for one in learned}) == sorted(
        [("butterflies", ADMIRAL), ("butterflies", LADY), ("moths", ADMIRAL), ("moths", WHITE)]
    )
    assert {row["source"] for row in version.report["card"]["sources"]} == {"butterflies", "moths"}
    again = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert "of other campaigns" not in again.log  # they have been seen
    # The other campaign itself still takes the network under which all its figures were seen.
    carried_out(settings, database, other, JobKind.EMBED)
    with database.writing() as session:
        first = session.exec(select(Embedding).where(Embedding.figure_id == theirs[0])).one()
        session.add(
            Embedding(figure_id=theirs[0], backbone="another 1", source="x", vector=first.vector, created_at=utc_now())
        )
    with database.reading() as session:
        assert queries.newest_backbone(session, other.id or 0) == first.backbone


def test_the_command_says_what_each_brings(settings: Settings, database: Database, campaign: Campaign) -> None:
    make_campaign(settings, database, utc_now(), 1, "moths")
    verified(database, campaign, range(2))
    words = ["campaign", "learns-from", campaign.slug]
    said = CliRunner().invoke(app, [*words, "moths", "--json"], env=settings.as_environment())
    assert json.loads(said.output) == {"learns_from": {"butterflies": 2, "moths": 0}}
    assert CliRunner().invoke(app, [*words, "birds"], env=settings.as_environment()).exit_code != 0
    said = CliRunner().invoke(app, words, env=settings.as_environment())
    assert "It learns from butterflies (2 verified figures)." in said.output


def test_a_model_may_sort_by_genus(settings: Settings, database: Database, campaign: Campaign) -> None:
    other = make_campaign(settings, database, utc_now(), slug="moths")
    verified(database, campaign, range(9))
    learns_from(database, campaign, other, "genus")
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
    done = carried_out(settings, database, own, JobKind.RETRAIN)
    assert done.state is JobState.DONE, done.log
    with database.reading() as session:
        version = queries.champion(session, campaign.id or 0)
        assert version is not None
        taxa = {one["taxon"] for one in queries.snapshot_of(session, version.id or 0)["labels"]}
    assert GENUS in taxa
    assert not taxa & {ADMIRAL, LADY}
