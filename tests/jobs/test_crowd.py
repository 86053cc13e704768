"""The crowd model at work: what the job keeps, what it moves in the queues, and that it verifies nothing."""

from collections.abc import Callable

import pytest
from sqlmodel import col, select

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import crowd, queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.jobs import crowd as crowd_job
from icones.jobs import parts, runner
from icones.jobs.runner import Progress
from icones.models import (
    Answer,
    Audience,
    Campaign,
    CrowdOpinion,
    DeterminationState,
    JobKind,
    JobState,
    Person,
    Queue,
    ReviewTask,
    Role,
    Skill,
)
from icones.review import service as review
from icones.worker import Clock
from tests.support.campaigns import ADMIRAL, LADY, ROOT, WHITE, figure_ids, make_campaign
from tests.support.foretold import foretold
from tests.support.people import new_submission
from tests.support.voices import KINDS, carried_out, says, somebody

SETTLED = 12
KNOWING, GUESSING = ("Anna", "Bert", "Carl"), ("Xaver", "Yvonne", "Zoe")


@pytest.fixture
def wide(settings: Settings, database: Database) -> Campaign:
    """A campaign of 15 figures: twelve settled by a specialist, on which three people were right and three wrong."""
    made = make_campaign(settings, database, utc_now(), per_kind=5)
    with database.writing() as session:
        session.get_one(Campaign, made.id).quorum = 3
    figures = figure_ids(database, made)[:SETTLED]
    crowd_of = [(somebody(database, made, name), name in KNOWING) for name in (*KNOWING, *GUESSING)]
    crowd_of.append((somebody(database, made, "Cora", Role.SPECIALIST), True))
    with database.writing() as session:
        for who, is_right in crowd_of:
            for place, figure in enumerate(figures):
                truth = KINDS[place % 3]
                said = Submission(new_submission(), Answer.TAXON, truth if is_right else _other(truth))
                identifications.submit(session, who, figure, said, utc_now())
    with database.reading() as session:
        return session.get_one(Campaign, made.id)


def _other(qid: str) -> str:
    return KINDS[(KINDS.index(qid) + 1) % 3]


def task_of(database: Database, figure: int) -> ReviewTask:
    with database.reading() as session:
        return session.get_one(ReviewTask, figure)


def skill_of(database: Database, person: Person) -> Skill:
    with database.reading() as session:
        return session.exec(
            select(Skill).where(Skill.person_id == person.id, Skill.group_qid == "", ~col(Skill.is_specialist))
        ).one()


def weighed(settings: Settings, database: Database, campaign: Campaign) -> dict[str, object]:
    run = carried_out(settings, database, campaign, JobKind.CROWD)
    assert run.state is JobState.DONE, run.problem
    return run.result


def test_it_learns_who_is_right_and_changes_no_determination(
    settings: Settings, database: Database, wide: Campaign
) -> None:
    figures = figure_ids(database, wide)
    with database.reading() as session:
        before = {key: row.model_dump() for key, row in queries.determinations(session, figures).items()}
    assert weighed(settings, database, wide)["figures"] == SETTLED
    assert skill_of(database, somebody(database, wide, "Anna")).low > 0.6
    assert skill_of(database, somebody(database, wide, "Zoe")).high < 0.5
    with database.reading() as session:
        after = {key: row.model_dump() for key, row in queries.determinations(session, figures).items()}
        groups = set(session.exec(select(Skill.group_qid)))
    assert after == before
    assert groups == {"", ROOT}
    assert weighed(settings, database, wide)["nothing_new"] is True


def test_what_knowing_people_agree_on_leaves_the_volunteers_queue_for_the_specialists(
    settings: Settings, database: Database, wide: Campaign
) -> None:
    known, guessed = figure_ids(database, wide)[SETTLED : SETTLED + 2]
    for name in KNOWING[:2]:
        says(database, somebody(database, wide, name), known, ADMIRAL)
    for name in GUESSING[:2]:
        says(database, somebody(database, wide, name), guessed, ADMIRAL)
    assert task_of(database, known).queue is Queue.VOLUNTEER
    assert weighed(settings, database, wide)["moved"] == 1
    moved, stays = task_of(database, known), task_of(database, guessed)
    assert (moved.queue, moved.reason) == (Queue.SPECIALIST, "confirm")
    assert moved.priority > identifications.PRIORITY_OF_CONFIRMATION
    assert (stays.queue, stays.reason) == (Queue.VOLUNTEER, "second_opinion")
    # A new word makes the opinion old: the public rule decides who is asked until the votes are weighed again.
    says(database, somebody(database, wide, "Zoe"), known, WHITE)
    with database.reading() as session:
        assert session.get(CrowdOpinion, known) is None


def test_what_guessing_people_agree_on_is_doubted_and_comes_first(
    settings: Settings, database: Database, wide: Campaign
) -> None:
    doubted, sure = figure_ids(database, wide)[SETTLED : SETTLED + 2]
    for name in GUESSING:
        says(database, somebody(database, wide, name), doubted, ADMIRAL)
    for name in KNOWING:
        says(database, somebody(database, wide, name), sure, ADMIRAL)
    weighed(settings, database, wide)
    first, second = task_of(database, doubted), task_of(database, sure)
    assert (first.reason, second.reason) == ("doubtful", "confirm")
    assert first.priority > identifications.PRIORITY_OF_DISPUTE > second.priority
    with database.reading() as session:
        assert crowd.doubtful(session, wide.id or 0) == {doubted}
        assert queries.determinations(session, [doubted])[doubted].state is DeterminationState.AGREED
    with database.writing() as session:
        own = session.get_one(Campaign, wide.id)
        identifications.recompute(session, own, [doubted, sure], utc_now())
    assert task_of(database, doubted).reason == "doubtful"


class KilledError(Exception):
    """The process is gone."""


class Halfway(Progress):
    """The progress of a run that is killed after its first part."""

    def at(self, done: int, total: int | None = None) -> None:
        raise KilledError


def test_a_run_killed_between_two_parts_is_made_good_by_the_next(
    settings: Settings, database: Database, wide: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = figure_ids(database, wide)[SETTLED : SETTLED + 2]
    for name in KNOWING[:2]:
        for figure in (first, second):
            says(database, somebody(database, wide, name), figure, ADMIRAL)
    monkeypatch.setattr(parts, "AT_ONCE", SETTLED + 1)
    with database.writing() as session:
        run = runner.ask(session, JobKind.CROWD, wide, utc_now())
    with pytest.raises(KilledError):
        crowd_job.weigh_votes(settings, database, wide, run, Halfway(database, run.id or 0))
    assert (task_of(database, first).queue, task_of(database, second).queue) == (Queue.SPECIALIST, Queue.VOLUNTEER)
    says(database, somebody(database, wide, "Carl"), first, ADMIRAL)  # its quorum: it stays there without the weighing
    assert weighed(settings, database, wide)["moved"] == 1
    assert (task_of(database, first).queue, task_of(database, second).queue) == (Queue.SPECIALIST, Queue.SPECIALIST)


def test_who_only_repeats_the_screen_trains_nothing(settings: Settings, database: Database, wide: Campaign) -> None:
    echoed, named = figure_ids(database, wide)[SETTLED : SETTLED + 2]
    screen = {"model_version": 1, "suggestions": [{"qid": ADMIRAL, "p": 0.9}, {"qid": LADY, "p": 0.1}]}
    for name in KNOWING[:2]:
        who = somebody(database, wide, name)
        for figure, shown in ((echoed, screen), (named, {"blind": True})):
            with database.writing() as session:
                said = Submission(new_submission(), Answer.TAXON, ADMIRAL, shown=shown)
                identifications.submit(session, who, figure, said, utc_now())
    weighed(settings, database, wide)
    with database.reading() as session:
        labels = crowd.trainable(session, wide.id or 0)
        assert session.get_one(CrowdOpinion, echoed).weight == 0.0
        assert not session.get_one(CrowdOpinion, echoed).retires
    assert echoed not in labels
    shares, weight = labels[named]
    assert shares[ADMIRAL] > 0.9
    assert weight > 0.9


def test_the_model_is_heard_where_it_did_not_learn_from_the_votes(
    settings: Settings, database: Database, wide: Campaign
) -> None:
    figure = figure_ids(database, wide)[SETTLED]
    foretold(database, wide, {figure: [(ADMIRAL, 0.9), (LADY, 0.1)]})
    says(database, somebody(database, wide, "Anna"), figure, ADMIRAL)
    with database.reading() as session:
        assert crowd.poll(session, wide).priors == {figure: {ADMIRAL: 0.9, LADY: 0.1}}


def test_without_a_vote_there_is_nothing_to_weigh(settings: Settings, database: Database, campaign: Campaign) -> None:
    assert weighed(settings, database, campaign)["votes"] == 0


def test_it_is_asked_for_every_night_where_there_are_votes(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    clock = Clock(settings, database)

    def waiting() -> list[JobKind]:
        from icones.jobs import queries as jobs

        with database.reading() as session:
            return [run.kind for run in jobs.waiting(session)]

    clock.ask_for_crowds()
    assert waiting() == []
    says(database, somebody(database, campaign, "Anna"), figure_ids(database, campaign)[0], ADMIRAL)
    clock.ask_for_crowds()
    assert waiting() == [JobKind.CROWD]


Next = Callable[[str], int | None]


@pytest.fixture
def next_for(database: Database, campaign: Campaign) -> Next:
    """Ask what a volunteer of this name is asked next."""

    def ask(name: str) -> int | None:
        who = somebody(database, campaign, name)
        with database.reading() as session:
            return review.next_figure(session, Door(campaign, Role.VOLUNTEER), who, utc_now())

    return ask


def put(database: Database, campaign: Campaign, *places: tuple[float, str | None, Audience]) -> list[int]:
    """Give the first figures these priorities, groups and audiences, and all others the lowest."""
    figures = figure_ids(database, campaign)
    with database.writing() as session:
        for place, figure in enumerate(figures):
            task = session.get_one(ReviewTask, figure)
            task.priority, task.within_qid, task.suits = (
                places[place] if place < len(places) else (0.0, None, Audience.ANYONE)
            )
            session.add(task)
    return figures


def knows(database: Database, campaign: Campaign, name: str, group: str, low: float = 0.8) -> None:
    who = somebody(database, campaign, name)
    with database.writing() as session:
        session.add(
            Skill(
                campaign_id=campaign.id or 0,
                person_id=who.id or 0,
                group_qid=group,
                accuracy=0.9,
                low=low,
                high=0.95,
                n=20.0,
                at=utc_now(),
            )
        )


def test_what_suits_specialists_comes_last_for_volunteers(
    database: Database, campaign: Campaign, next_for: Next
) -> None:
    figures = put(database, campaign, (0.9, None, Audience.SPECIALIST), (0.4, None, Audience.ANYONE))
    assert next_for("Anna") == figures[1]
    anna = somebody(database, campaign, "Anna")
    for figure in figures[1:]:
        says(database, anna, figure, None)
    assert next_for("Anna") == figures[0]


def test_among_equals_who_knows_the_group_is_asked_first(
    database: Database, campaign: Campaign, next_for: Next
) -> None:
    figures = put(
        database,
        campaign,
        (0.52, WHITE, Audience.KNOWING),
        (0.51, None, Audience.ANYONE),
        (0.50, ADMIRAL, Audience.KNOWING),
        (0.30, ADMIRAL, Audience.KNOWING),
    )
    knows(database, campaign, "Anna", ADMIRAL)
    knows(database, campaign, "Unsure", ADMIRAL, low=0.4)
    assert next_for("Anna") == figures[2]
    assert next_for("Unsure") == figures[1]
    assert next_for("Stranger") == figures[1]
