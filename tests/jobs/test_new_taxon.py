"""A taxon that is verified for the first time is soon among the suggestions; trainings for it leave time for others."""

from datetime import timedelta

import pytest
from sqlmodel import select

from icones import worker
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries, runner
from icones.learning import newcomers
from icones.learning import queries as learning
from icones.models import Campaign, JobKind, JobRun, JobState, ModelVersion
from icones.worker import Clock, new_taxon_is_due
from tests.support.campaigns import ADMIRAL, GENUS, LADY, WHITE
from tests.support.foretold import foretold
from tests.support.voices import carried_out, says, somebody, verified

TWO_KINDS = (0, 1, 3, 4)
LATER = timedelta(hours=1)


def is_due(database: Database, campaign: Campaign, after: timedelta = LATER) -> bool:
    with database.reading() as session:
        return new_taxon_is_due(session, session.get_one(Campaign, campaign.id), utc_now() + after)


def suggested(database: Database, campaign: Campaign, figure: int) -> set[str]:
    """The names that are offered for a figure by the model that serves."""
    with database.reading() as session:
        champion = learning.champion(session, campaign.id or 0)
        assert champion is not None
        return {row["qid"] for row in learning.predictions_of(session, champion.id or 0, [figure])[figure].ranked}


def test_a_new_taxon_is_among_the_suggestions_after_one_verified_figure(
    settings: Settings, database: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = verified(database, campaign, TWO_KINDS)
    carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert suggested(database, campaign, figures[11]) == {ADMIRAL, LADY}
    assert not is_due(database, campaign)
    verified(database, campaign, [6])
    assert not is_due(database, campaign)  # an admiral more is nothing new
    verified(database, campaign, [2])
    assert is_due(database, campaign)
    assert not is_due(database, campaign, timedelta(seconds=30))
    monkeypatch.setattr(worker, "NEW_TAXON_PAUSE", timedelta(0))
    monkeypatch.setattr(worker, "NEW_TAXON_REST", 0)
    Clock(settings, database).ask_for_what_is_due()
    with database.reading() as session:
        (run,) = [one for one in queries.waiting(session) if one.kind is JobKind.RETRAIN]
    assert run.trigger == "labels"
    assert not is_due(database, campaign)  # while it waits or goes on, nobody needs to look again
    carried_out(settings, database, campaign, JobKind.RETRAIN)
    with database.reading() as session:
        assert session.get_one(JobRun, run.id).state is JobState.DONE
    assert suggested(database, campaign, figures[11]) == {ADMIRAL, LADY, WHITE}
    assert not is_due(database, campaign)


def test_what_the_newest_version_has_seen_asks_for_nothing_though_it_was_kept_back(
    database: Database, campaign: Campaign
) -> None:
    foretold(database, campaign, {})
    verified(database, campaign, [2])
    assert is_due(database, campaign)
    with database.writing() as session:
        version = session.exec(select(ModelVersion)).one()
        version.snapshot = {"labels": [{"taxon": WHITE}]}
        session.add(version)
    assert not is_due(database, campaign)


def test_the_group_of_a_known_species_is_no_new_taxon_and_a_species_of_a_known_group_is(
    database: Database, campaign: Campaign
) -> None:
    figures, cora = verified(database, campaign, []), somebody(database, campaign, "Cora")
    before = utc_now() - LATER
    foretold(database, campaign, {})
    verified(database, campaign, [2])
    with database.writing() as session:
        version = session.exec(select(ModelVersion)).one()
        version.snapshot = {"labels": [{"taxon": ADMIRAL}, {"taxon": WHITE}]}
        session.add(version)
    says(database, cora, figures[0], GENUS)
    with database.reading() as session:
        assert newcomers.unlearned(session, session.get_one(Campaign, campaign.id), before) == frozenset()
    says(database, cora, figures[1], LADY)
    with database.reading() as session:
        assert newcomers.unlearned(session, session.get_one(Campaign, campaign.id), before) == {LADY}


def test_it_waits_for_a_long_training_to_be_worth_it_and_never_where_it_is_turned_off(
    database: Database, campaign: Campaign
) -> None:
    assert not is_due(database, campaign)  # no model serves
    foretold(database, campaign, {})
    with database.writing() as session:
        run = runner.ask(session, JobKind.RETRAIN, campaign, utc_now())
        run.state, run.finished_at = JobState.DONE, utc_now()
        run.started_at = run.finished_at - timedelta(minutes=20)
        session.add(run)
    verified(database, campaign, [2])
    assert not is_due(database, campaign, timedelta(minutes=70))
    assert is_due(database, campaign, timedelta(minutes=90))
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).retrain_after = 0
    assert not is_due(database, campaign, timedelta(minutes=90))
