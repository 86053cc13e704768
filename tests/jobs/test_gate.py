"""The gate at work on both databases: names that become finer or are withdrawn, and when it is trained again."""

from collections.abc import Mapping

import pytest

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries as identification_queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.jobs import publishing, runner
from icones.jobs.all import JOBS
from icones.learning import queries
from icones.models import Answer, Campaign, JobKind, JobRun, JobState, ModelVersion, Role
from icones.people import service as people
from icones.worker import retrain_is_due
from tests.support.campaigns import ADMIRAL, FAMILY, LADY, WHITE, figure_ids, make_campaign
from tests.support.people import new_submission


@pytest.fixture
def campaign(settings: Settings, database: Database) -> Campaign:
    """24 figures, eight of each kind: sources enough for some to be held out."""
    return make_campaign(settings, database, utc_now(), per_kind=8)


def name(database: Database, campaign: Campaign, names: Mapping[int, str]) -> None:
    """Let a specialist name the figures at these places."""
    figures = figure_ids(database, campaign)
    with database.writing() as session:
        cora = people.arrive(session, "test:cora", "Cora", utc_now())
        people.grant(session, campaign.id or 0, cora, Role.SPECIALIST, utc_now())
        for place, qid in names.items():
            said = Submission(new_submission(), Answer.TAXON, qid)
            identifications.submit(session, cora, figures[place], said, utc_now())


def withdraw(database: Database, campaign: Campaign, places: range) -> None:
    """Let her take back what she said of the figures at these places."""
    figures = figure_ids(database, campaign)
    with database.writing() as session:
        cora = people.arrive(session, "test:cora", "Cora", utc_now())
        standing = identification_queries.standing(session, [figures[place] for place in places])
        for rows in standing.values():
            identifications.withdraw(session, cora, rows[0].id or 0, utc_now())


def retrained(settings: Settings, database: Database, campaign: Campaign) -> tuple[JobRun, ModelVersion]:
    """Train, and return the run and the newest version."""
    with database.writing() as session:
        asked = runner.ask(session, JobKind.RETRAIN, campaign, utc_now())
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        done = session.get_one(JobRun, asked.id)
        assert done.state is JobState.DONE, done.log
        return done, queries.versions(session, campaign.id or 0)[0]


def test_a_campaign_that_began_at_the_family_names_species_as_soon_as_somebody_does(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    name(database, campaign, {place: WHITE if place % 3 == 2 else FAMILY for place in range(24)})
    _, coarse = retrained(settings, database, campaign)
    assert set(publishing.load(settings, coarse).classes) == {FAMILY, WHITE}
    name(database, campaign, dict.fromkeys(range(0, 24, 3), ADMIRAL))  # the others stay "of the family"
    done, fine = retrained(settings, database, campaign)
    assert set(publishing.load(settings, fine).classes) == {ADMIRAL, WHITE}
    assert done.result["published"] is True, done.log
    verdict = fine.report["verdict"]
    assert verdict["n"] > 0
    assert (verdict["flips"], verdict["losses"]) == (0, [])
    assert verdict["challenger_accuracy"] > verdict["champion_accuracy"]


def test_a_taxon_whose_names_are_all_withdrawn_is_named_no_more(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    name(database, campaign, {place: (ADMIRAL, LADY, WHITE)[place % 3] for place in range(24)})
    retrained(settings, database, campaign)
    withdraw(database, campaign, range(1, 24, 3))
    done, version = retrained(settings, database, campaign)
    assert done.result["published"] is True, done.log
    assert version.report["verdict"]["gone_classes"] == [LADY]
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        assert champion is not None
        assert champion.id == version.id
        said = queries.predictions_of(session, champion.id or 0, figure_ids(database, campaign))
    assert len(said) == 24
    assert LADY not in {one["qid"] for row in said.values() for one in row.ranked}


def test_withdrawn_and_corrected_names_ask_for_retraining(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    name(database, campaign, {place: (ADMIRAL, LADY, WHITE)[place % 3] for place in range(24)})
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.retrain_after = 4
        asked = runner.ask(session, JobKind.RETRAIN, own, utc_now())
        asked.started_at = asked.finished_at = trained = utc_now()  # as if it had been trained just now
        asked.state = JobState.DONE

    def is_due() -> bool:
        with database.reading() as session:
            return retrain_is_due(session, session.get_one(Campaign, campaign.id))

    assert not is_due()
    withdraw(database, campaign, range(3))
    assert not is_due()
    name(database, campaign, {3: LADY})
    assert is_due()
    name(database, campaign, {3: ADMIRAL, 0: ADMIRAL})  # a figure counts once, however often it changed
    with database.reading() as session:
        key = campaign.id or 0
        assert identification_queries.n_verified_since(session, key, trained) == 2
        assert identification_queries.n_unverified_since(session, key, trained) == 2
