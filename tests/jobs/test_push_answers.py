"""The push and whatever the wiki answers: nothing is lost, nothing is said twice, and a stop page stops."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.depicts import service
from icones.jobs import pens
from icones.models import (
    EditAction,
    EditState,
    JobKind,
    JobState,
    Role,
)
from tests.support.commons import ADMIRAL, LADY
from tests.support.voices import somebody
from tests.support.writing import BOT, Desk, is_edit

STOP = "Commons:Icones/stop"
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ---- what the wiki answers


@sqlite_only
@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ("applied-then-dropped", 2),
        ("applied-then-502", 2),
        ("applied-then-hang", 2),
        ("broken-json", 2),
        ("drop-connection", 2),
        ("hang", 2),
        ("502-html", 2),
        ("editconflict", 1),
        ("edit-conflict", 1),
        ("slot-exists", 1),
        ("badtoken", 1),
        ("readonly", 1),
        ("maxlag", 1),
        ("ratelimited", 1),
        ("throttled", 1),
        ("429-no-retry-after", 1),
    ],
)
@pytest.mark.parametrize("action", [EditAction.ADD, EditAction.REMOVE])
def test_whatever_the_wiki_answers_it_is_said_and_taken_back_once(
    desk: Desk, fault: str, tries: int, action: EditAction
) -> None:
    desk.settings = desk.settings.model_copy(update={"wiki_timeout_s": 0.3})
    desk.says(0, ADMIRAL)
    if action is EditAction.REMOVE:
        desk.sent()
        desk.undo(edit_ids=[desk.only().id or 0])
    else:
        desk.send_off()
    desk.commons.faults.next("api", fault, where=is_edit, seconds=0.5)
    for _ in range(4):
        desk.rest()
        desk.push()
    row = desk.only(action)
    assert (row.state, row.attempts) == (EditState.DONE, tries)
    assert desk.qids(0) == ([ADMIRAL] if action is EditAction.ADD else [])
    assert row.revision == desk.latest(0)
    assert len(desk.written_by()) == (1 if action is EditAction.ADD else 2)
    assert desk.commons.faults.pending == 0
    assert (desk.only().undone_at is not None) is (action is EditAction.REMOVE)


@sqlite_only
def test_a_wiki_that_is_behind_is_left_alone_by_all_workers(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.says(1, LADY)
    desk.commons.lag = 60.0
    desk.settings = desk.settings.model_copy(update={"wiki_retries": 0, "stop_page": ""})
    desk.send_off()
    desk.run(JobKind.PUSH, patience_s=0.3)
    assert (desk.writes(), [row.state for row in desk.edits()]) == ([], [EditState.WAITING] * 2)
    desk.commons.lag = None
    desk.rest()
    desk.push()
    assert [row.state for row in desk.edits()] == [EditState.DONE] * 2


@sqlite_only
def test_change_tags_that_the_wiki_does_not_know_are_left_off(desk: Desk) -> None:
    desk.rules(tags="icones-campaign")
    desk.says(0, ADMIRAL)
    run = desk.sent()
    assert (desk.only().state, [call.params.get("tags") for call in desk.writes()]) == (
        EditState.DONE,
        ["icones-campaign", None],
    )
    assert "does not know our change tags" in run.log
    desk.world.rules.tags.add("icones-campaign")
    desk.says(1, LADY)
    desk.sent()
    assert "icones-campaign" in desk.world.pages[desk.pages[1]].latest.tags


@sqlite_only
def test_a_blocked_account_pauses_the_campaign_and_nothing_is_lost(desk: Desk) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.world.block(BOT)
    run = desk.sent()
    assert len(desk.writes()) == 1
    assert "is blocked on the wiki" in run.result["stopped"]
    assert [row.state for row in desk.edits()] == [EditState.WAITING] * 3
    assert desk.run(JobKind.PUSH).problem.startswith("Writing is paused")
    desk.world.unblock(BOT)
    carl = somebody(desk.database, desk.campaign, "Carl", Role.CURATOR)
    with desk.database.writing() as session:
        service.go_on(session, campaigns.open_door(session, desk.campaign.slug, session.merge(carl)), utc_now())
    desk.rest()
    desk.push()
    assert [row.state for row in desk.edits()] == [EditState.DONE] * 3


@sqlite_only
def test_a_wrong_bot_password_says_so_and_the_edit_waits(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.world.rules.bot_passwords.clear()
    desk.sent()
    desk.rest()
    desk.push()
    row = desk.only()
    assert (row.state, desk.writes()) == (EditState.WAITING, [])
    assert "must sign in again" in row.reason


@sqlite_only
def test_without_a_bot_account_the_run_says_what_is_missing(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.settings = desk.settings.model_copy(update={"bot_user": ""})
    run = desk.sent()
    assert (run.state, desk.only().state, desk.only().attempts) == (JobState.FAILED, EditState.WAITING, 0)
    assert "ICONES_BOT_USER" in run.problem


@sqlite_only
def test_tries_end_and_the_last_look_knows_whether_it_was_made(desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"edit_tries": 3})
    for place in range(2):
        desk.says(place, ADMIRAL)
    desk.send_off()
    first, second = desk.pages[0], desk.pages[1]

    def on(page: int) -> Callable[[Mapping[str, str]], bool]:
        return lambda params: is_edit(params) and f"M{page}$" in params["claim"]

    desk.commons.faults.next("api", "drop-connection", times=9, where=on(first))
    desk.commons.faults.next("api", "drop-connection", times=2, where=on(second))
    desk.commons.faults.next("api", "applied-then-dropped", where=on(second))
    for _ in range(5):
        desk.rest()
        desk.push()
    assert [row.state for row in desk.edits()] == [EditState.GIVEN_UP, EditState.DONE]
    assert desk.edits()[0].reason.startswith("Given up after 3 tries. The last one: No readable answer")
    assert (len(desk.writes()), desk.qids(0), desk.qids(1)) == (6, [], [ADMIRAL])


# ---- the stop page


@pytest.fixture
def looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stop page be read before each edit, not each half minute."""
    monkeypatch.setattr(pens, "LOOK_EVERY", timedelta(0))


@sqlite_only
@pytest.mark.usefixtures("looked_at_each_time")
def test_a_word_on_the_stop_page_halts_before_the_next_edit(desk: Desk) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.send_off()
    page = desk.world.add_page(STOP, 4, "run")

    def raise_it(user: str, title: str, summary: str) -> bool:
        if page.latest.wikitext == "run":
            desk.world.edit_wikitext(page.page_id, "Please stop, the names are wrong. ~~~~")
        return False

    desk.world.add_filter(raise_it)
    run = desk.push()
    assert len(desk.writes()) == 1
    assert "says: Please stop, the names are wrong." in run.result["stopped"]
    assert (run.result["done"], run.result["left"]) == (1, 2)
    assert desk.push().result["done"] == 0
    desk.world.edit_wikitext(page.page_id, "<!-- write here to stop -->")
    desk.world.rules.filters.clear()
    assert desk.push().result["done"] == 2
    assert len(desk.writes()) == 3


@sqlite_only
@pytest.mark.usefixtures("looked_at_each_time")
def test_a_stop_page_that_cannot_be_read_stops_too(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.commons.faults.next("api", "502-html", times=2, where=lambda params: STOP in params.get("titles", ""))
    run = desk.sent()
    assert (run.result["stopped"].startswith(f"The stop page {STOP} could not be read"), desk.writes()) == (True, [])
    assert desk.push().result["done"] == 1


@sqlite_only
def test_the_stop_page_is_read_every_half_minute_for_all_workers_together(desk: Desk) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.sent()
    desk.push()
    looks = [call for call in desk.commons.calls.requests if STOP in call.params.get("titles", "")]
    assert len(looks) == 1


# ---- a wiki and gateways that turn us away


@sqlite_only
def test_a_gateway_that_turns_us_away_burns_no_edits(desk: Desk) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.commons.faults.next("api", "403-banned", where=is_edit)
    desk.send_off()
    desk.run(JobKind.PUSH, patience_s=0.2)
    assert [row.state for row in desk.edits()] == [EditState.WAITING] * 3
    assert len(desk.writes()) == 1
    desk.rest()
    desk.push()
    assert [row.state for row in desk.edits()] == [EditState.DONE] * 3


@sqlite_only
def test_an_edit_token_that_cannot_be_read_refuses_nothing(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.commons.faults.next("api", "broken-json", times=2, where=lambda params: params.get("type") == "csrf")
    desk.send_off()
    for _ in range(3):
        desk.rest()
        desk.push()
    assert (desk.only().state, len(desk.writes())) == (EditState.DONE, 1)
