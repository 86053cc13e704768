"""The push while people change their minds, others change the files, and several workers are at it."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.depicts import service
from icones.errors import ConflictError, NotReadyError
from icones.models import (
    Campaign,
    DepictsEdit,
    EditAction,
    EditState,
    JobKind,
    Role,
    Writes,
)
from tests.support.commons import ADMIRAL, LADY, WHITE
from tests.support.fault_run import Worker
from tests.support.standin.statements import Snak, item
from tests.support.voices import somebody
from tests.support.writing import Desk, is_edit

ORDER, GENUS = "Q900", "Q910"
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ---- people change their minds, and others change what we wrote


@sqlite_only
def test_a_changed_mind_before_the_push_sends_only_the_new_word(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.send_off()
    desk.says(0, LADY)
    desk.sent()
    assert [(row.qid, row.state) for row in desk.edits()] == [(ADMIRAL, EditState.GIVEN_UP), (LADY, EditState.DONE)]
    assert (desk.qids(0), len(desk.writes())) == ([LADY], 1)


@sqlite_only
@pytest.mark.parametrize("fault", [None, "applied-then-dropped", "drop-connection"])
def test_a_mind_changed_while_the_edit_is_under_way(desk: Desk, fault: str | None) -> None:
    """Whether the edit was made is not known to whoever speaks; it is found out, and then taken back."""
    desk.says(0, ADMIRAL)
    desk.send_off()
    changed: list[bool] = []

    def speak(user: str, title: str, summary: str) -> bool:
        if not changed:
            changed.append(True)
            threading.Thread(target=desk.says, args=(0, LADY)).start()
            time.sleep(0.3)
        return False

    if fault is None:
        desk.world.add_filter(speak)
        desk.push()
    else:
        desk.commons.faults.next("api", fault, where=is_edit)
        desk.settings = desk.settings.model_copy(update={"wiki_retry_wait_s": 30.0})
        desk.run(JobKind.PUSH, patience_s=0.2)
        desk.says(0, LADY)
    desk.rest()
    desk.push()
    was_made = fault != "drop-connection"
    assert desk.edits()[0].state is (EditState.DONE if was_made else EditState.GIVEN_UP)
    assert desk.qids(0) == ([ADMIRAL] if was_made else [])
    assert len(desk.edits(EditAction.REMOVE)) == was_made
    desk.sent()
    assert desk.qids(0) == [LADY]
    assert len(desk.written_by()) == (3 if was_made else 1)


@sqlite_only
def test_a_mind_changed_after_the_push_takes_back_and_says_anew(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    desk.says(0, LADY)
    assert desk.push().result["done"] == 0  # nothing goes out that nobody sent off
    desk.sent()
    assert (desk.qids(0), desk.only(EditAction.REMOVE).state) == ([LADY], EditState.DONE)
    assert desk.edits()[0].undone_at is not None
    assert desk.run(JobKind.SYNC).problem == ""
    assert all(row.gone_at is None for row in desk.edits())
    assert desk.task(0) is None


@sqlite_only
def test_undo_of_one_and_of_a_batch(desk: Desk) -> None:
    for place in range(3):
        desk.says(place, (ADMIRAL, LADY, WHITE)[place])
    batch = desk.send_off()
    desk.push()
    first = desk.edits()[0]
    assert desk.undo(edit_ids=[first.id or 0]).is_undo
    desk.push()
    assert [desk.qids(place) for place in range(3)] == [[], [LADY], [WHITE]]
    desk.undo(batch_id=batch)
    desk.push()
    assert [desk.qids(place) for place in range(3)] == [[], [], []]
    comments = [comment for comment in desk.written_by() if "Taking back" in comment]
    assert len(comments) == 3
    desk.run(JobKind.SYNC)
    assert all(row.undone_at is not None and row.gone_at is None for row in desk.edits())
    with pytest.raises(NotReadyError):
        desk.undo(batch_id=batch)
    # It is not said again by itself, and nobody is asked about what we took back ourselves.
    with pytest.raises(NotReadyError):
        desk.send_off()
    assert [desk.task(place) for place in range(3)] == [None] * 3


@sqlite_only
def test_an_undo_that_waits_is_not_called_back_by_another_word_on_the_figure(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    desk.undo(edit_ids=[desk.only().id or 0])
    desk.says(0, ADMIRAL, "Dora")
    desk.says(0, LADY, "Dora")
    desk.says(0, ADMIRAL, "Dora")
    desk.push()
    assert (desk.qids(0), desk.only(EditAction.REMOVE).state) == ([], EditState.DONE)


@sqlite_only
@pytest.mark.parametrize("how", ["rank", "item", "box", "source", "removed", "deleted file", "{{nobots}}"])
def test_undo_leaves_alone_what_others_changed(desk: Desk, how: str) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    page, guid = desk.pages[0], desk.only().guid
    changes: dict[str, Callable[[], object]] = {
        "rank": lambda: desk.world.change_statement(page, guid, rank="normal"),
        "item": lambda: desk.world.change_statement(page, guid, qid=LADY),
        "box": lambda: desk.world.change_statement(page, guid, qualifiers=[Snak("P2677", "pct:1,1,5,5")]),
        "source": lambda: desk.world.change_statement(
            page, guid, references=[{"hash": "x", "snaks": {"P887": [item("P887", "Q1").to_json()]}, "snaks-order": []}]
        ),
        "removed": lambda: desk.world.remove_statement(page, guid),
        "deleted file": lambda: desk.world.delete_file(page),
        "{{nobots}}": lambda: desk.world.edit_wikitext(page, "{{nobots}}"),
    }
    changes[how]()
    desk.undo(edit_ids=[desk.only().id or 0])
    desk.push()
    removal = desk.only(EditAction.REMOVE)
    ends = {
        "removed": EditState.ALREADY_THERE,
        "deleted file": EditState.ALREADY_THERE,
        "{{nobots}}": EditState.REFUSED,
    }
    assert removal.state is ends.get(how, EditState.CONFLICT)
    assert len(desk.written_by()) == (1 if how != "deleted file" else 0)
    assert (desk.only().undone_at is not None) is (how == "removed")


@sqlite_only
@pytest.mark.parametrize("how", ["removed", "reverted", "item", "deprecated"])
@pytest.mark.parametrize("again", [True, False])
def test_what_others_took_away_is_asked_about_and_never_said_again_by_itself(desk: Desk, how: str, again: bool) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    row, page = desk.only(), desk.pages[0]
    if how == "removed":
        desk.world.remove_statement(page, row.guid)
    elif how == "reverted":
        desk.world.revert(page, row.revision or 0)
    elif how == "item":
        desk.world.change_statement(page, row.guid, qid="Q910")
    else:
        desk.world.change_statement(page, row.guid, rank="deprecated")
    desk.run(JobKind.SYNC)
    row, task = desk.only(), desk.task(0)
    assert row.gone_at is not None
    assert row.reason.startswith("Somebody ")
    assert task is not None
    assert task.reason == "removed_elsewhere"
    desk.rules()  # a curator turns writing on once more: nothing comes of it
    with pytest.raises(NotReadyError):
        desk.send_off()
    cora = somebody(desk.database, desk.campaign, "Cora", Role.SPECIALIST)
    answer(desk, row, again)
    with pytest.raises(ConflictError):
        answer(desk, row, again)
    assert desk.task(0) is None
    if not again:
        with pytest.raises(NotReadyError):
            desk.send_off()
        return
    desk.sent()
    second = desk.edits()[1]
    assert (second.insists, second.person_id, second.guid != row.guid) == (True, cora.id, True)
    # Even then nothing is said beside its own statement marked as wrong; beside a broader one a person may.
    assert second.state is (EditState.CONFLICT if how == "deprecated" else EditState.DONE)


def answer(desk: Desk, row: DepictsEdit, again: bool) -> None:
    """Answer the question "somebody removed this"."""
    cora = somebody(desk.database, desk.campaign, "Cora", Role.SPECIALIST)
    with desk.database.writing() as session:
        own = session.merge(cora)
        door = campaigns.open_door(session, desk.campaign.slug, own)
        service.answer_removal(session, door, row.id or 0, own, utc_now(), again=again)


@sqlite_only
@pytest.mark.parametrize("how", ["removed", "changed", "deprecated"])
def test_what_others_did_between_a_lost_answer_and_the_next_look(desk: Desk, how: str) -> None:
    desk.says(0, ADMIRAL)
    desk.send_off()
    desk.commons.faults.next("api", "applied-then-dropped", where=is_edit)
    desk.settings = desk.settings.model_copy(update={"wiki_retry_wait_s": 30.0})
    desk.run(JobKind.PUSH, patience_s=0.2)
    page, guid, made = desk.pages[0], desk.only().guid, desk.latest(0)
    assert desk.only().state is EditState.WAITING
    if how == "removed":
        desk.world.remove_statement(page, guid)
    elif how == "changed":
        desk.world.change_statement(page, guid, qid=LADY)
    else:
        desk.world.change_statement(page, guid, rank="deprecated")
    desk.rest()
    desk.push()
    row, task = desk.only(), desk.task(0)
    assert len(desk.written_by()) == 1
    if how == "removed":
        assert (row.state, row.revision, row.gone_at is not None) == (EditState.DONE, made, True)
        assert task is not None
        assert task.reason == "removed_elsewhere"
    else:
        assert row.state is EditState.CONFLICT


@sqlite_only
def test_a_second_figure_does_not_bring_back_what_somebody_removed(desk: Desk) -> None:
    desk.add_figures("pct:10,10,20,20", "pct:50,50,20,20")
    desk.says(3, ADMIRAL)
    desk.sent()
    desk.world.remove_statement(desk.pages[0], desk.only().guid)
    desk.says(4, ADMIRAL)
    desk.sent()
    assert (desk.edits()[1].state, desk.qids(0), len(desk.written_by())) == (EditState.CONFLICT, [], 1)


@sqlite_only
def test_a_batch_called_back_while_an_answer_is_lost_is_found_and_taken_back(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    batch = desk.send_off()
    desk.commons.faults.next("api", "applied-then-dropped", where=is_edit)
    desk.settings = desk.settings.model_copy(update={"wiki_retry_wait_s": 30.0})
    desk.run(JobKind.PUSH, patience_s=0.2)
    desk.undo(batch_id=batch)
    desk.rest()
    desk.push()
    assert (desk.only().state, desk.only().undone_at is not None, desk.qids(0)) == (EditState.DONE, True, [])


# ---- pace and several workers


def test_two_workers_at_once_say_each_thing_once_and_keep_the_pace_together(desk: Desk) -> None:
    desk.add_figures(*(f"pct:{n},10,20,20" for n in range(3)))
    for place, qid in enumerate((ADMIRAL, LADY, WHITE, GENUS, ADMIRAL, ORDER)):
        desk.says(place, qid)
    desk.rules(per_minute=600)
    desk.send_off()
    began = time.monotonic()
    workers = [threading.Thread(target=desk.push) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert time.monotonic() - began >= 5 * 0.1
    states = [row.state for row in desk.edits()]
    # On the first file: the genus and the order say less than the admiral, and the admiral once is enough.
    assert states == [*[EditState.DONE] * 3, EditState.BLOCKED, EditState.ALREADY_THERE, EditState.BLOCKED]
    assert (desk.qids(0), desk.qids(1), desk.qids(2)) == ([ADMIRAL], [LADY], [WHITE])
    assert len(desk.written_by()) == len(desk.writes()) == 3


@sqlite_only
def test_two_processes_keep_the_pace_of_the_account_together(desk: Desk, tmp_path: Path) -> None:
    desk.add_figures(*(f"pct:{n},10,20,20" for n in range(3)))
    for place, qid in enumerate((ADMIRAL, LADY, WHITE, LADY, WHITE, ADMIRAL)):
        desk.says(place, qid)
    asked: list[tuple[float, Mapping[str, str]]] = []

    def note_the_time(params: Mapping[str, str]) -> bool:
        asked.append((time.monotonic(), params))
        return False

    desk.commons.faults.next("api", "502-html", where=note_the_time)
    desk.rules(per_minute=120)  # an edit is taken every half second, whether it has to be written or not
    desk.send_off()
    workers = [Worker(number, desk.settings, desk.campaign.slug, tmp_path) for number in range(2)]
    for worker in workers:
        worker.start()
    assert [worker.wait(30) for worker in workers] == [0, 0]
    agents = {call.headers["user-agent"] for call in desk.commons.calls.requests if "worker" in str(call.headers)}
    assert len(agents) == 2
    assert [row.state for row in desk.edits()] == [*[EditState.DONE] * 5, EditState.ALREADY_THERE]
    signed_in = [moment for moment, params in asked if params.get("meta") == "tokens"]
    written = [moment for moment, params in asked if is_edit(params)]
    # Signing in follows the first taking at once; before the fifth write four paces have passed.
    assert len(written) == 5
    assert written[-1] - signed_in[0] >= 4 * 0.5 * 0.75


def test_a_killed_senders_edit_is_taken_up_when_its_lease_is_over(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.send_off()
    stop = threading.Event()

    def die(user: str, title: str, summary: str) -> bool:
        stop.set()
        return False

    desk.world.add_filter(die)
    desk.push()
    with desk.database.writing() as session:
        row = session.get_one(DepictsEdit, 1)
        # As a sender leaves it that is killed between the wiki's answer and its own note.
        row.state, row.sender, row.lease_until, row.ended_at = EditState.SENDING, "gone:1:x", utc_now(), None
        row.revision, row.wrote_at, row.account = None, None, ""
        session.add(row)
    assert stop.is_set()
    assert desk.push().result["done"] == 1
    assert (desk.only().revision, len(desk.written_by())) == (desk.latest(0), 1)


@sqlite_only
def test_turning_writing_off_in_the_middle_stops_the_run(desk: Desk) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.send_off()

    def turn_off(user: str, title: str, summary: str) -> bool:
        threading.Thread(target=desk.rules, args=(Writes.OFF,)).start()
        time.sleep(0.3)
        return False

    desk.world.add_filter(turn_off)
    run = desk.push()
    assert "does not write to Commons" in run.result["stopped"]
    assert len(desk.written_by()) == 1
    with desk.database.reading() as session:
        assert service.status(session, session.get_one(Campaign, desk.campaign.id)).unsent == 2
