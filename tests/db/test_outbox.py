"""The outbox follows what people decide: an edit for each verified taxon, none that nobody wants any more."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import outbox, queries, sending, service
from icones.depicts.sending import Account, Ended, Taken
from icones.errors import BadInputError, NotReadyError
from icones.models import (
    Campaign,
    DepictsEdit,
    DepictsStatement,
    EditAction,
    EditState,
    Illustration,
    Queue,
    ReviewTask,
    Role,
    Writes,
)
from tests.support.campaigns import ADMIRAL, GENUS, LADY, figure_ids
from tests.support.voices import says, somebody, verified

SENDER = "test"


@pytest.fixture
def writing(database: Database, campaign: Campaign) -> Campaign:
    """A campaign of files on Commons that writes with a bot, quickly."""
    with database.writing() as session:
        for number, file in enumerate(session.exec(select(Illustration).order_by(Illustration.key)), 100):
            file.mid, file.revision = f"M{number}", 1
            session.add(file)
        own = session.get_one(Campaign, campaign.id)
        service.set_writing(session, own, service.WritingRules(Writes.BOT, edits_per_minute=60_000), utc_now())
    return own


def edits(database: Database, campaign: Campaign) -> list[DepictsEdit]:
    with database.reading() as session:
        question = select(DepictsEdit).where(DepictsEdit.campaign_id == campaign.id)
        return sorted(session.exec(question), key=lambda one: one.id or 0)


def states(database: Database, campaign: Campaign) -> list[tuple[str, str]]:
    return [
        (one.qid if one.action is EditAction.ADD else f"-{one.qid}", one.state) for one in edits(database, campaign)
    ]


def taken(settings: Settings, database: Database, campaign: Campaign, sender: str = SENDER) -> Taken:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        found = sending.take_next(session, settings, own, sender, utc_now(), set())
    assert isinstance(found, Taken)
    return found


def ends(settings: Settings, database: Database, one: Taken, ended: Ended, sender: str = SENDER) -> EditState | None:
    with database.writing() as session:
        return sending.note(session, settings, one, sender, ended, utc_now())


def sent_off(database: Database, campaign: Campaign) -> int:
    with database.writing() as session:
        return service.send_off(session, session.get_one(Campaign, campaign.id), None, utc_now()).id or 0


DONE = Ended(EditState.DONE, revision=7, account="IconesBot")


def written(settings: Settings, database: Database, campaign: Campaign) -> int:
    """Send everything off and let it be written; return the batch."""
    batch = sent_off(database, campaign)
    while True:
        with database.writing() as session:
            own = session.get_one(Campaign, campaign.id)
            found = sending.take_next(session, settings, own, SENDER, utc_now(), set())
            if not isinstance(found, Taken):
                return batch
            sending.note(session, settings, found, SENDER, DONE, utc_now())


def test_a_verified_taxon_makes_an_edit_and_a_dispute_keeps_what_was_written(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    figures = verified(database, writing, [0])
    first = edits(database, writing)[0]
    assert (first.state, first.qid, first.guid[:5]) == (EditState.WAITING, ADMIRAL, "M100$")
    written(settings, database, writing)
    dora = somebody(database, writing, "Dora", Role.SPECIALIST)
    says(database, dora, figures[0], LADY)  # two specialists disagree: disputed
    assert states(database, writing) == [(ADMIRAL, "done")]


def test_an_edit_nobody_wants_any_more_is_given_up_and_taken_up_again(database: Database, writing: Campaign) -> None:
    figures = verified(database, writing, [0])
    cora = somebody(database, writing, "Cora")
    says(database, cora, figures[0], LADY)
    assert states(database, writing) == [(ADMIRAL, "given_up"), (LADY, "waiting")]
    says(database, cora, figures[0], ADMIRAL)
    assert states(database, writing) == [(ADMIRAL, "waiting"), (LADY, "given_up")]


def test_a_new_verdict_takes_back_what_was_written(settings: Settings, database: Database, writing: Campaign) -> None:
    figures = verified(database, writing, [0])
    written(settings, database, writing)
    cora = somebody(database, writing, "Cora")
    says(database, cora, figures[0], LADY)
    assert states(database, writing) == [(ADMIRAL, "done"), (f"-{ADMIRAL}", "waiting"), (LADY, "waiting")]
    sent_off(database, writing)
    removal = taken(settings, database, writing)
    assert removal.action is EditAction.REMOVE  # first away with the old name
    assert ends(settings, database, removal, DONE) is EditState.DONE
    addition = taken(settings, database, writing)
    assert (addition.qid, ends(settings, database, addition, DONE)) == (LADY, EditState.DONE)
    assert edits(database, writing)[0].undone_at is not None


def test_a_verdict_that_changes_while_the_edit_is_under_way(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    figures = verified(database, writing, [0])
    sent_off(database, writing)
    one = taken(settings, database, writing)
    says(database, somebody(database, writing, "Cora"), figures[0], LADY)
    assert ends(settings, database, one, DONE) is EditState.DONE
    assert (f"-{ADMIRAL}", "waiting") in states(database, writing)


def test_nothing_goes_out_for_a_figure_that_is_no_longer_verified(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    figures = verified(database, writing, [0])
    sent_off(database, writing)
    says(database, somebody(database, writing, "Dora", Role.SPECIALIST), figures[0], LADY)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert sending.take_next(session, settings, own, SENDER, utc_now(), set()) is None
    assert states(database, writing) == [(ADMIRAL, "given_up")]


def test_a_campaign_that_begins_to_write_takes_up_what_was_verified_before(
    database: Database, writing: Campaign
) -> None:
    with database.writing() as session:
        service.set_writing(session, session.get_one(Campaign, writing.id), service.WritingRules(Writes.OFF), utc_now())
    verified(database, writing, [0, 1])
    assert states(database, writing) == []
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert service.set_writing(session, own, service.WritingRules(Writes.BOT), utc_now()) == 2
    assert [state for _, state in states(database, writing)] == ["waiting", "waiting"]


def test_two_senders_never_hold_one_edit_and_a_killed_one_loses_it(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0])
    sent_off(database, writing)
    one = taken(settings, database, writing, "first")
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        again = sending.take_next(session, settings, own, "second", utc_now(), set())
        assert not isinstance(again, Taken)
        later = utc_now() + timedelta(seconds=settings.edit_lease_s + 1)
        other = sending.take_next(session, settings, own, "second", later, set())
    assert isinstance(other, Taken)
    assert other.edit_id == one.edit_id
    assert ends(settings, database, one, DONE, "first") is None  # the late word of the first counts no more
    with database.writing() as session:
        assert not sending.renew(session, settings, one, "first", None, 1, utc_now())
    assert ends(settings, database, other, DONE, "second") is EditState.DONE


def test_two_figures_of_one_file_are_not_sent_at_the_same_time(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    figures = verified(database, writing, [0])
    from icones.illustrations import service as illustrations

    cora = somebody(database, writing, "Cora")
    with database.writing() as session:
        file = queries.files_of(session, [figures[0]])[figures[0]]
        second = illustrations.add_figure(session, file.id or 0, cora, "pct:10,10,40,40", utc_now())
    says(database, cora, second.id or 0, LADY)
    sent_off(database, writing)
    first = taken(settings, database, writing)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert not isinstance(sending.take_next(session, settings, own, "other", utc_now(), set()), Taken)
    ends(settings, database, first, DONE)
    assert taken(settings, database, writing).qid == LADY


def test_the_pace_holds_for_all_senders_together(settings: Settings, database: Database, writing: Campaign) -> None:
    verified(database, writing, [0, 1])
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        own.edits_per_minute = 6
        session.add(own)
    sent_off(database, writing)
    now = utc_now()
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert isinstance(sending.take_next(session, settings, own, "first", now, set()), Taken)
        wait = sending.take_next(session, settings, own, "second", now, set())
        assert wait == now + timedelta(seconds=10)
        assert isinstance(wait, datetime)
        assert isinstance(sending.take_next(session, settings, own, "second", wait, set()), Taken)


def test_a_try_that_failed_waits_longer_each_time_and_is_given_up_in_the_end(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0])
    sent_off(database, writing)
    patient = settings.model_copy(update={"edit_tries": 3, "wiki_retry_wait_s": 1.0})
    now, pauses = utc_now(), []
    for _ in range(3):
        with database.writing() as session:
            own = session.get_one(Campaign, writing.id)
            one = sending.take_next(session, patient, own, SENDER, now, set())
            assert isinstance(one, Taken)
            sending.note(session, patient, one, SENDER, Ended(EditState.WAITING, "no answer"), now)
        row = edits(database, writing)[0]
        if row.next_try_at:
            pauses.append((row.next_try_at - now).total_seconds())
            now = row.next_try_at
    assert pauses == [2.0, 4.0]
    assert (row.state, row.reason) == (EditState.GIVEN_UP, "Given up after 3 tries. The last one: no answer")


def test_an_account_that_may_not_write_now_does_not_hold_up_others(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0])
    sent_off(database, writing)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert sending.take_next(session, settings, own, SENDER, utc_now(), {Account(None)}) is None


def test_undo_of_a_batch_gives_up_what_waits_and_removes_what_is_written(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0, 1])
    batch = sent_off(database, writing)
    ends(settings, database, taken(settings, database, writing), DONE)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        undo = service.undo(session, own, None, utc_now(), batch_id=batch)
    assert undo.is_undo
    assert states(database, writing) == [(ADMIRAL, "done"), (LADY, "given_up"), (f"-{ADMIRAL}", "waiting")]
    removal = taken(settings, database, writing)
    ends(settings, database, removal, DONE)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        outbox.fill(session, own, utc_now())
        with pytest.raises(NotReadyError):
            service.undo(session, own, None, utc_now(), batch_id=batch)
        with pytest.raises(BadInputError):
            service.undo(session, own, None, utc_now())
    assert [state for _, state in states(database, writing)] == ["done", "given_up", "done"]  # not said again by itself


def mirror(database: Database, edit: DepictsEdit, revision: int, qid: str | None) -> None:
    """Let the mirror say what stands under an edit's GUID; None for nothing."""
    with database.writing() as session:
        file = session.get_one(Illustration, edit.illustration_id)
        file.revision = revision
        session.add(file)
        if qid:
            session.add(
                DepictsStatement(illustration_id=file.id or 0, statement_id=edit.guid, qid=qid, first_seen_at=utc_now())
            )


@pytest.mark.parametrize("qid", [None, GENUS])
def test_what_somebody_took_away_is_asked_about_and_never_repeated(
    settings: Settings, database: Database, writing: Campaign, qid: str | None
) -> None:
    figures = verified(database, writing, [0])
    written(settings, database, writing)
    edit = edits(database, writing)[0]
    mirror(database, edit, 8, qid)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert outbox.noticed(session, own, [edit.illustration_id], utc_now()) == 1
        assert outbox.noticed(session, own, [edit.illustration_id], utc_now()) == 0
        outbox.fill(session, own, utc_now())
        task = session.get_one(ReviewTask, figures[0])
        assert (task.queue, task.reason) == (Queue.SPECIALIST, "removed_elsewhere")
        service.unsent_ids(session, own)
    assert [state for _, state in states(database, writing)] == ["done"]
    cora = somebody(database, writing, "Cora")
    with database.writing() as session:
        door = campaigns.open_door(session, writing.slug, session.merge(cora))
        service.answer_removal(session, door, edit.id or 0, cora, utc_now(), again=qid is None)
        assert session.get(ReviewTask, figures[0]) is None
    again = edits(database, writing)[1:]
    assert [(one.state, one.insists, one.guid != edit.guid) for one in again] == (
        [(EditState.WAITING, True, True)] if qid is None else []
    )


def test_a_mirror_older_than_our_write_misses_nothing(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0])
    written(settings, database, writing)
    edit = edits(database, writing)[0]
    mirror(database, edit, 6, None)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        assert outbox.noticed(session, own, [edit.illustration_id], utc_now()) == 0
    mirror(database, edit, 8, ADMIRAL)
    with database.writing() as session:
        assert outbox.noticed(session, own, [edit.illustration_id], utc_now()) == 0


def test_turning_writing_off_calls_back_what_was_sent_off(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0])
    sent_off(database, writing)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        service.set_writing(session, own, service.WritingRules(Writes.OFF), utc_now())
        assert sending.take_next(session, settings, own, SENDER, utc_now(), set()) is None
        with pytest.raises(NotReadyError):
            service.send_off(session, own, None, utc_now())


def test_a_file_that_is_not_on_the_wiki_makes_no_edit(database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        service.set_writing(session, own, service.WritingRules(Writes.BOT), utc_now())
    verified(database, campaign, [0])
    assert states(database, campaign) == []
    assert figure_ids(database, campaign)


def test_an_undo_goes_out_while_writing_is_paused_or_off(
    settings: Settings, database: Database, writing: Campaign
) -> None:
    verified(database, writing, [0, 1])
    sent_off(database, writing)
    ends(settings, database, taken(settings, database, writing), DONE)
    with database.writing() as session:
        own = session.get_one(Campaign, writing.id)
        service.pause(session, own, "Too many were reverted.", utc_now())
        service.undo(session, own, None, utc_now(), edit_ids=[edits(database, writing)[0].id or 0])
        assert service.why_only_removals(own)
        found = sending.take_next(session, settings, own, SENDER, utc_now(), set(), only_removals=True)
        assert isinstance(found, Taken)
        assert found.action is EditAction.REMOVE
        sending.note(session, settings, found, SENDER, DONE, utc_now())
        assert sending.take_next(session, settings, own, SENDER, utc_now(), set(), only_removals=True) is None
    assert states(database, writing)[:2] == [(ADMIRAL, "done"), (LADY, "waiting")]
