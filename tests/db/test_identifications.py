"""Identifications through their service, on both databases: nothing twice, nothing lost, all derived."""

import threading
from datetime import timedelta

import pytest

from icones.clock import utc_now
from icones.db import Database
from icones.errors import BadInputError, ConflictError, NotAllowedError, NotFoundError
from icones.identifications import queries, service
from icones.identifications.service import Submission
from icones.models import (
    Answer,
    Campaign,
    ConsensusRule,
    DeterminationState,
    Ending,
    Person,
    Queue,
    ReviewTask,
    Role,
)
from icones.people import service as people
from icones.review import queries as review
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, ROOT, WHITE, figure_ids
from tests.support.people import new_submission

NOW = utc_now()


def person(database: Database, name: str, campaign: Campaign, role: Role | None = None, expertise: str = "") -> Person:
    with database.writing() as session:
        one = people.arrive(session, f"test:{name}", name, NOW)
        if role is not None:
            people.grant(session, campaign.id or 0, one, role, NOW, [expertise] if expertise else ())
    return one


def says(
    database: Database, who: Person, figure: int, qid: str | None, answer: Answer = Answer.TAXON
) -> service.Submitted:
    with database.writing() as session:
        return service.submit(session, who, figure, Submission(new_submission(), answer, qid), utc_now())


def test_two_agree_and_a_specialist_verifies(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    anna, bert = person(database, "Anna", campaign), person(database, "Bert", campaign)
    cora = person(database, "Cora", campaign, Role.SPECIALIST)
    assert says(database, anna, figure, ADMIRAL).determination.state is DeterminationState.OPEN
    agreed = says(database, bert, figure, ADMIRAL).determination
    assert (agreed.state, agreed.taxon_qid) == (DeterminationState.AGREED, ADMIRAL)
    with database.reading() as session:
        task = session.get_one(ReviewTask, figure)
        assert (task.queue, task.reason) == (Queue.SPECIALIST, "confirm")
    verified = says(database, cora, figure, ADMIRAL).determination
    assert (verified.state, verified.settled_by) == (DeterminationState.VERIFIED, cora.id)
    with database.reading() as session:
        assert session.get(ReviewTask, figure) is None
        passages = [(one.before.value, one.after.value) for one in queries.changes(session, figure)]
    assert passages == [("open", "agreed"), ("agreed", "verified")]


def test_the_same_form_twice_is_one_identification(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    anna = person(database, "Anna", campaign)
    said = Submission(new_submission(), Answer.TAXON, LADY)
    with database.writing() as session:
        first = service.submit(session, anna, figure, said, NOW)
    with database.writing() as session:
        second = service.submit(session, anna, figure, said, NOW)
    assert (first.is_repeat, second.is_repeat) == (False, True)
    assert first.identification.id == second.identification.id


def test_a_second_thought_supersedes_and_keeps_the_first(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    anna = person(database, "Anna", campaign)
    says(database, anna, figure, LADY)
    says(database, anna, figure, ADMIRAL)
    with database.reading() as session:
        rows = queries.all_with_people(session, figure)
    assert [(one.taxon_qid, one.ending) for one, _ in rows] == [(LADY, Ending.SUPERSEDED), (ADMIRAL, None)]


def test_withdrawing_gives_the_figure_back(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    anna, bert = person(database, "Anna", campaign), person(database, "Bert", campaign)
    says(database, anna, figure, LADY)
    said = says(database, bert, figure, LADY)
    with database.writing() as session:
        after = service.withdraw(session, bert, said.identification.id or 0, utc_now())
    assert after.state is DeterminationState.OPEN
    with database.writing() as session, pytest.raises(NotAllowedError):
        service.withdraw(session, anna, said.identification.id or 0, utc_now())


def test_a_specialist_outside_their_field_speaks_as_a_volunteer(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    dora = person(database, "Dora", campaign, Role.SPECIALIST, expertise=FAMILY)
    assert says(database, dora, figure, WHITE).determination.state is DeterminationState.OPEN
    assert says(database, dora, figure, GENUS).determination.state is DeterminationState.VERIFIED


@pytest.mark.parametrize(
    ("answer", "qid", "problem"),
    [
        (Answer.TAXON, None, BadInputError),
        (Answer.NO_ORGANISM, ADMIRAL, BadInputError),
        (Answer.TAXON, "Q404", NotFoundError),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    database: Database, campaign: Campaign, answer: Answer, qid: str | None, problem: type[Exception]
) -> None:
    figure = figure_ids(database, campaign)[0]
    anna = person(database, "Anna", campaign)
    with pytest.raises(problem):
        says(database, anna, figure, qid, answer)
    with database.reading() as session:
        assert queries.all_with_people(session, figure) == []


def test_nothing_can_be_said_in_a_closed_campaign(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    anna = person(database, "Anna", campaign)
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).closed_at = NOW
    with pytest.raises(ConflictError):
        says(database, anna, figure, ADMIRAL)


def test_many_saving_at_once_lose_nothing(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    crowd = [person(database, f"Person {n}", campaign) for n in range(6)]
    problems: list[Exception] = []

    def speak(who: Person) -> None:
        try:
            says(database, who, figure, ADMIRAL)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=speak, args=(one,)) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with database.reading() as session:
        state = queries.determinations(session, [figure])[figure]
        assert len(queries.standing(session, [figure])[figure]) == 6
    assert (state.state, state.n_agree) == (DeterminationState.AGREED, 6)


def test_one_form_sent_at_once_from_two_threads_is_one_identification(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    anna = person(database, "Anna", campaign)
    said = Submission(new_submission(), Answer.TAXON, LADY)
    outcomes: list[object] = []

    def click() -> None:
        try:
            with database.writing() as session:
                outcomes.append(service.submit(session, anna, figure, said, utc_now()).is_repeat)
        except ConflictError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(False) == 1
    with database.reading() as session:
        assert len(queries.all_with_people(session, figure)) == 1


def test_changed_rules_decide_anew(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    for name in ("Anna", "Bert"):
        says(database, person(database, name, campaign), figure, ADMIRAL)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.quorum = 3
        changed = service.recompute(session, own, [figure], utc_now() + timedelta(seconds=1))
        assert changed == 1
        assert queries.determinations(session, [figure])[figure].state is DeterminationState.OPEN


def test_a_dispute_with_a_common_group_is_asked_of_volunteers_and_of_specialists(
    database: Database, campaign: Campaign
) -> None:
    figure = figure_ids(database, campaign)[5]
    for name, qid in (("Anna", ADMIRAL), ("Bert", LADY)):
        says(database, person(database, name, campaign), figure, qid)
    carl = person(database, "Carl", campaign)
    with database.reading() as session:
        state = queries.determinations(session, [figure])[figure]
        task = session.get_one(ReviewTask, figure)
        offered = review.next_for(session, campaign.id or 0, carl.id, NOW, None)
        rows, _ = review.for_specialists(session, campaign.id or 0, [], 0, 5)
    assert (state.state, state.taxon_qid) == (DeterminationState.DISPUTED, GENUS)
    assert (task.queue, task.reason) == (Queue.VOLUNTEER, "disputed")
    assert offered == figure == rows[0][0].figure_id
    for name, qid in (("Carl", ADMIRAL), ("Dora", LADY), ("Emil", ADMIRAL), ("Fien", LADY)):
        says(database, person(database, name, campaign), figure, qid)
    with database.reading() as session:
        assert session.get_one(ReviewTask, figure).queue is Queue.SPECIALIST


def test_by_the_other_rule_nothing_is_told_of_a_dispute(database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).rule = ConsensusRule.NAMED
    for name, qid in (("Anna", ADMIRAL), ("Bert", LADY)):
        says(database, person(database, name, campaign), figure, qid)
    with database.reading() as session:
        state = queries.determinations(session, [figure])[figure]
        assert (state.state, state.taxon_qid) == (DeterminationState.DISPUTED, None)
        assert session.get_one(ReviewTask, figure).queue is Queue.SPECIALIST


@pytest.mark.parametrize(
    ("within", "is_theirs"),
    [(ADMIRAL, True), (GENUS, True), (FAMILY, True), (ROOT, True), (WHITE, False), (None, True)],
)
def test_what_the_model_is_sure_lies_outside_their_field_is_not_a_specialists(
    database: Database, campaign: Campaign, within: str | None, is_theirs: bool
) -> None:
    figure = figure_ids(database, campaign)[0]
    with database.writing() as session:
        task = session.get_one(ReviewTask, figure)
        task.reason, task.within_qid = "unsure", within
    with database.reading() as session:
        rows, total = review.for_specialists(session, campaign.id or 0, [], 0, 5, field={FAMILY})
    assert [row[0].figure_id for row in rows] == ([figure] if is_theirs else [])
    assert total == len(rows)
