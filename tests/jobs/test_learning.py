"""The learning jobs on both databases: first model, better model, repeatable, and honest about too little."""

from collections.abc import Sequence

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries as identification_queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.learning import queries, service
from icones.learning.similar import SimilarFigures
from icones.models import (
    Answer,
    Campaign,
    DeterminationState,
    JobKind,
    JobRun,
    JobState,
    ModelState,
    Role,
)
from icones.people import service as people
from icones.review import service as review
from tests.support.campaigns import ADMIRAL, LADY, WHITE, figure_ids, make_campaign
from tests.support.people import new_submission

KINDS = (ADMIRAL, LADY, WHITE)


def run(settings: Settings, database: Database, campaign: Campaign, kind: JobKind) -> JobRun:
    with database.writing() as session:
        asked = runner.ask(session, kind, campaign, utc_now())
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, asked.id)


def verify(database: Database, campaign: Campaign, places: Sequence[int]) -> None:
    """Let a specialist name the figures at these places as what they were drawn as."""
    figures = figure_ids(database, campaign)
    with database.writing() as session:
        cora = people.arrive(session, "test:cora", "Cora", utc_now())
        people.grant(session, campaign.id or 0, cora, Role.SPECIALIST, utc_now())
        for place in places:
            said = Submission(new_submission(), Answer.TAXON, KINDS[place % 3])
            identifications.submit(session, cora, figures[place], said, utc_now())


def test_without_labels_nothing_is_published_and_the_first_questions_are_varied(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    done = run(settings, database, campaign, JobKind.RETRAIN)
    assert done.state is JobState.DONE
    assert done.result["published"] is False
    assert done.result["predicted"] == 12
    with database.reading() as session:
        door = campaigns.open_door(session, campaign.slug, None)
        assert review.next_figure(session, door, None, utc_now()) in figure_ids(database, campaign)
        assert queries.versions(session, campaign.id or 0) == []


def test_one_class_only_is_told_in_words(settings: Settings, database: Database, campaign: Campaign) -> None:
    verify(database, campaign, [0, 3, 6])
    done = run(settings, database, campaign, JobKind.RETRAIN)
    assert (done.state, done.result["published"]) == (JobState.DONE, False)
    assert done.result["why"]


def test_the_first_model_predicts_every_figure(settings: Settings, database: Database, campaign: Campaign) -> None:
    verify(database, campaign, range(7))
    done = run(settings, database, campaign, JobKind.RETRAIN)
    assert (done.state, done.result["published"]) == (JobState.DONE, True), done.log
    figures = figure_ids(database, campaign)
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        assert champion is not None
        assert champion.state is ModelState.CHAMPION
        said = queries.predictions_of(session, champion.id or 0, figures)
        assert set(said) == set(figures)
        for place, figure in enumerate(figures):
            chances = {one["qid"]: one["p"] for one in said[figure].ranked}
            assert abs(sum(chances.values()) - 1) < 1e-3
            assert said[figure].ranked[0]["qid"] == KINDS[place % 3]
        states = identification_queries.determinations(session, figures)
        assert [states[figure].state for figure in figures[7:]] == [DeterminationState.PREDICTED] * 5
        shown = service.suggestions(session, campaign, figures[8], "nl")
    assert shown is not None
    assert shown.best[0].taxon.vernacular == "klein koolwitje"
    assert shown.best[0].examples


def test_the_same_snapshot_gives_the_same_numbers(settings: Settings, database: Database, campaign: Campaign) -> None:
    verify(database, campaign, range(9))
    run(settings, database, campaign, JobKind.RETRAIN)
    run(settings, database, campaign, JobKind.RETRAIN)
    with database.reading() as session:
        second, first = queries.versions(session, campaign.id or 0)
    assert first.snapshot_hash == second.snapshot_hash
    verdicts = [version.report.pop("verdict") for version in (first, second)]
    assert first.report == second.report
    assert [verdict["publish"] for verdict in verdicts] == [True, False]
    assert (first.state, second.state) == (ModelState.CHAMPION, ModelState.REJECTED)


def test_a_backbone_of_ones_own_is_seen_in_the_log(settings: Settings, database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).backbone = "mobilenet_v3_small"
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
    done = run(settings, database, own, JobKind.EMBED)
    assert done.state is JobState.DONE
    assert "classical" in done.log.lower()


def test_similar_figures_are_of_the_same_kind_and_the_index_heals(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run(settings, database, campaign, JobKind.EMBED)
    figures = figure_ids(database, campaign)
    folder = settings.data_dir / "index"
    with database.reading() as session:
        hits = SimilarFigures(folder).search(session, campaign, figures[0], 3)
        assert figures[0] not in {key for key, _ in hits}
        assert {figures.index(key) % 3 for key, _ in hits} == {0}
        for file in folder.iterdir():
            file.write_bytes(b"rubbish")
        assert SimilarFigures(folder).search(session, campaign, figures[0], 3) == hits


def test_a_class_with_one_image_is_learned_and_noted(settings: Settings, database: Database) -> None:
    campaign = make_campaign(settings, database, utc_now(), per_kind=5)
    verify(database, campaign, [0, 3, 6, 9, 12, 1, 4, 7, 10, 13, 2])
    done = run(settings, database, campaign, JobKind.RETRAIN)
    assert done.state is JobState.DONE, done.log
    with database.reading() as session:
        version = queries.versions(session, campaign.id or 0)[0]
    assert version.report["rare_classes"] == [WHITE]
    assert WHITE in {one["qid"] for one in version.report["per_class"]}


def test_a_network_whose_model_is_no_better_is_given_up_again(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    verify(database, campaign, range(9))
    run(settings, database, campaign, JobKind.RETRAIN)
    with database.writing() as session:  # as after a comparison
        asked = runner.ask(session, JobKind.RETRAIN, campaign, utc_now(), parameters={"backbone": "classical"})
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        done = session.get_one(JobRun, asked.id)
        assert (done.state, done.result["published"]) == (JobState.DONE, False)
        assert session.get_one(Campaign, campaign.id).backbone == ""
        assert "the present network stays" in done.log
