"""The pages around edits on Commons: what everybody sees, the curator's look, sending off, undo, and "removed"."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from icones.app import create_app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import queries, service
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.models import (
    Campaign,
    EditAction,
    EditState,
    JobKind,
    JobRun,
    JobState,
    Role,
    Visibility,
    WikiNotice,
    Writes,
)
from icones.web.edit_rows import PATTERNS, SENTENCES, reason_words
from tests.support.commons import ADMIRAL, LADY
from tests.support.people import csrf_of, new_submission, sign_in
from tests.support.standin import StandInCommons
from tests.support.writing import BOT, Desk, writing_world

Clients = Callable[..., TestClient]
HERE = "/c/album/desk/edits"
API = "/api/v1/campaigns/album"


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(writing_world()) as server:
        yield server


@pytest.fixture
def desk(settings: Settings, database: Database, commons: StandInCommons) -> Desk:
    """A campaign of three files on the stand-in that writes with a bot."""
    return Desk.opened(settings, database, commons, Writes.BOT)


@pytest.fixture
def visit(desk: Desk) -> Iterator[Clients]:
    """Make a browser of this installation, signed in with a role of the demo or as nobody."""
    app, clients = create_app(desk.settings), []

    def make(role: Role | None = None) -> TestClient:
        client = TestClient(app, base_url=desk.settings.base_url)
        client.__enter__()
        clients.append(client)
        if role is not None:
            sign_in(client, role)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def post(client: TestClient, path: str, **form: Any) -> Any:
    return client.post(path, data={"csrf": csrf_of(client, "/about"), **form})


def run_asked(desk: Desk) -> JobRun:
    """Carry out the newest push or look that the pages asked for."""
    with desk.database.reading() as session:
        asked = next(run for run in jobs.of_campaign(session, desk.campaign.id or 0, 5) if run.kind is JobKind.PUSH)
    assert runner.execute(desk.settings, desk.database, asked.id or 0, JOBS) is JobState.DONE, asked.id
    with desk.database.reading() as session:
        return session.get_one(JobRun, asked.id)


def numbers_in(page: str) -> list[str]:
    """The numbers that the page's forms would send off, one text a form."""
    return re.findall(r'name="edits" value="([\d,]+)"', page)


def test_anybody_reads_what_was_written_with_its_revision_and_how_to_stop_us(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    assert desk.sent().result["done"] == 1
    edit = desk.only()
    for path in ("/edits", "/c/album/edits"):
        page = visit().get(path)
        assert page.status_code == 200
        assert "Vanessa" in page.text
        assert f"/wiki/File:Plate_00.jpg?diff={edit.revision}" in page.text
        assert f"User:{BOT}" in page.text
        assert "Commons:Icones/stop" in page.text
        assert "Commons_talk:Icones" in page.text
        assert "Written" in page.text
    assert 'href="/c/album"' in visit().get("/edits").text


def test_lists_are_narrowed_by_state_and_batch_and_paged(
    desk: Desk, visit: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.sent()
    first, _, last = desk.edits()
    with desk.database.reading() as session:
        mark = queries.batches_of(session, desk.campaign.id or 0)[0][0].mark
    client = visit()
    assert client.get(f"/edits?batch={mark}").text.count('<li class="sheet edit"') == 3
    assert "There is no such batch here" in client.get("/edits?batch=0123456789ab").text
    assert client.get("/edits?batch=nonsense").status_code == 422
    assert "None of these" in client.get("/edits?state=waiting").text
    monkeypatch.setattr("icones.web.edit_rows.PER_PAGE", 2)
    page = client.get("/edits").text
    assert f'id="edit-{last.id}"' in page
    assert f'id="edit-{first.id}"' not in page
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older
    assert f'id="edit-{first.id}"' in client.get(older[1]).text


def test_a_private_campaign_is_seen_by_its_people_only(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    curator = visit(Role.CURATOR)
    with desk.database.writing() as session:
        own = session.get_one(Campaign, desk.campaign.id)
        own.visibility = Visibility.PRIVATE
        session.add(own)
    stranger = visit()
    assert stranger.get("/c/album/edits").status_code == 404
    assert "Plate 00" not in stranger.get("/edits").text
    assert stranger.get(f"{API}/edits").status_code == 404
    assert "Plate 00" in curator.get("/edits").text
    assert "This campaign is not public" in curator.get("/c/album/desk/writing").text


def test_more_edits_ask_no_more_questions(desk: Desk, visit: Clients) -> None:
    asked: list[str] = []
    client = visit()
    counts = []
    for place in range(3):
        desk.says(place, ADMIRAL)
        desk.sent()
        engine = client.app.state.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", listener := lambda *told: asked.append(told[2]))
        client.get("/edits")
        event.remove(engine, "before_cursor_execute", listener)
        counts.append(len(asked))
        asked.clear()
    assert len(set(counts)) == 1
    assert counts[0] < 20


def test_the_look_shows_the_very_edit_and_one_click_writes_it(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    desk.says(1, LADY)
    desk.world.add_statement(desk.pages[1], LADY, "Somebody else")
    client = visit(Role.CURATOR)
    assert "Look at what would be written" in client.get(HERE).text
    page = post(client, f"{HERE}/look").text
    assert "Looking at what would be written" in page  # the card of the run
    look = run_asked(desk)
    assert len(look.result["planned"]) == 2
    assert desk.writes() == []
    page = client.get(HERE).text
    assert "1 edit would be written" in page
    assert "&#34;numeric-id&#34;" in page or "&#34;id&#34;" in page
    assert "Depicts, confirmed by people in the campaign" in page
    assert "Not written: it is there already" in page
    sending, closing = numbers_in(page)
    assert sending == str(desk.edits()[0].id)
    page = post(client, f"{HERE}/send", edits=sending).text
    assert "1 edit is on its way." in page
    assert "Writing to Commons" in page
    run_asked(desk)
    assert desk.qids(0) == [ADMIRAL]
    page = client.get(HERE).text
    assert "1 edit made" in page
    post(client, f"{HERE}/send", edits=closing)
    run_asked(desk)
    assert [one.state for one in desk.edits()] == [EditState.DONE, EditState.ALREADY_THERE]
    assert len(desk.writes()) == 1
    assert "Nothing waits to be sent off" in client.get(HERE).text


def test_a_look_is_a_run_of_its_own_beside_a_push_that_waits(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    client = visit(Role.CURATOR)
    post(client, f"{HERE}/look")
    run_asked(desk)
    post(client, f"{HERE}/send", edits=numbers_in(client.get(HERE).text)[0])
    post(client, f"{HERE}/look")
    post(client, f"{HERE}/look")
    with desk.database.reading() as session:
        runs = jobs.of_campaign(session, desk.campaign.id or 0, 9)
        waiting = [run for run in runs if run.kind is JobKind.PUSH and run.state is JobState.QUEUED]
        kinds = [bool(run.parameters.get("dry_run")) for run in waiting]
    assert sorted(kinds) == [False, True]


def test_what_a_look_saw_is_sent_once_and_nothing_else(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    client = visit(Role.CURATOR)
    post(client, f"{HERE}/look")
    run_asked(desk)
    desk.says(1, ADMIRAL)  # after the look
    page = client.get(HERE).text
    assert "1 more edit waits that this look did not see." in page
    (ids,) = numbers_in(page)
    assert post(client, f"{HERE}/send", edits=ids).status_code == 200
    assert post(client, f"{HERE}/send", edits=ids).status_code == 409
    assert post(client, f"{HERE}/send", edits="1;drop").status_code == 422
    assert [one.batch_id is None for one in desk.edits()] == [False, True]


def test_only_curators_do_it_and_only_with_their_forms_token(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    specialist, curator = visit(Role.SPECIALIST), visit(Role.CURATOR)
    for part, form in (
        ("look", {}),
        ("send", {"edits": "1"}),
        ("undo", {"edit": 1}),
        ("insist", {"edit": 1}),
        ("go-on", {}),
    ):
        assert post(specialist, f"{HERE}/{part}", **form).status_code == 403
        assert curator.post(f"{HERE}/{part}", data=form).status_code == 403
    for path in (HERE, "/c/album/desk/writing"):
        assert visit().get(path).status_code == 401
        assert specialist.get(path).status_code == 403
    assert desk.only().batch_id is None


def test_the_switch_says_what_it_does_and_bad_numbers_change_nothing(desk: Desk, visit: Clients) -> None:
    client = visit(Role.CURATOR)
    page = client.get("/c/album/desk/writing").text
    assert f"The account is {BOT}." in page
    assert "Nobody can agree here" in page
    form = {"writes": "people", "edits_per_minute": "4", "revert_percent": "2.5", "change_tags": "icones | x"}
    bad = post(client, "/c/album/desk/writing", **form | {"edits_per_minute": "0"})
    assert bad.status_code == 422
    assert "a number from 0.1 up" in bad.text
    assert "Nothing is written until you send it off." in post(client, "/c/album/desk/writing", **form).text
    with desk.database.reading() as session:
        own = session.get_one(Campaign, desk.campaign.id)
        assert (own.writes, own.edits_per_minute, own.revert_limit, own.change_tags) == (
            Writes.PEOPLE,
            4,
            0.025,
            "icones|x",
        )
    page = post(client, "/c/album/desk/writing", **form | {"writes": "off"}).text
    assert "This campaign does not write to Commons." in page
    assert post(client, f"{HERE}/look").status_code == 409


def test_a_batch_is_taken_back_after_a_word_on_what_will_happen(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    desk.says(1, LADY)
    desk.sent()
    client = visit(Role.CURATOR)
    page = client.get(HERE).text
    assert "2 statements are removed from their files" in page
    batch = re.search(r'name="batch" value="(\d+)"', page)
    assert batch
    assert "2 statements are being taken back." in post(client, f"{HERE}/undo", batch=batch[1]).text
    assert "Being taken back" in visit().get("/edits").text
    run_asked(desk)
    assert (desk.qids(0), desk.qids(1)) == ([], [])
    assert "Written, then taken back by us" in visit().get("/edits").text
    assert post(client, f"{HERE}/undo", batch=batch[1]).status_code == 409


def test_one_statement_is_taken_back(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    desk.says(1, LADY)
    desk.sent()
    client = visit(Role.CURATOR)
    page = post(client, f"{HERE}/undo", edit=desk.edits()[0].id)
    assert "1 statement is being taken back." in page.text
    run_asked(desk)
    assert (desk.qids(0), desk.qids(1)) == ([], [LADY])


def test_a_curator_says_it_beside_the_broader_taxon_one_or_all(desk: Desk, visit: Clients) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
        desk.world.add_statement(desk.pages[place], "Q910", "Somebody else")  # the genus
    desk.sent()
    assert {one.state for one in desk.edits()} == {EditState.BLOCKED}
    client = visit(Role.CURATOR)
    page = client.get(f"{HERE}?state=blocked").text
    assert page.count("Say it beside the broader taxon") == 3
    assert "Say all of these beside it" in page
    assert "1 edit waits again." in post(client, f"{HERE}/insist", edit=desk.edits()[0].id).text
    raw = desk.edits()[1].reason
    assert "2 edits wait again." in post(client, f"{HERE}/insist", state="blocked", reason=raw).text
    assert post(client, f"{HERE}/insist", state="blocked", reason=raw).status_code == 409
    desk.sent()
    assert [desk.qids(place) for place in range(3)] == [["Q910", ADMIRAL]] * 3


def test_a_pause_and_the_stop_page_are_told_and_a_curator_lets_it_go_on(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    with desk.database.writing() as session:
        service.pause(session, session.get_one(Campaign, desk.campaign.id), "Too many reverts.", utc_now())
        session.add(WikiNotice(key="stop_page", text="Please wait. – Bert", checked_at=utc_now()))
    client = visit(Role.CURATOR)
    page = client.get(HERE).text
    assert "Writing is paused" in page
    assert "Too many reverts." in page
    assert "Please wait. – Bert" in page
    assert "Look at what would be written" not in page
    for word in ("Too many reverts.", "Please wait. – Bert"):
        assert word in visit().get("/edits").text
    assert "Writing is paused" in client.get("/c/album/curate").text
    assert "Writing goes on." in post(client, f"{HERE}/go-on").text
    assert "Too many reverts." not in client.get(HERE).text


@pytest.fixture
def removed(desk: Desk) -> Desk:
    """A statement of ours that somebody removed on the wiki, and that we have seen gone."""
    desk.says(0, ADMIRAL)
    desk.sent()
    desk.world.remove_statement(desk.pages[0], desk.only().guid, "Bert")
    assert desk.run(JobKind.SYNC).problem == ""
    assert desk.only().gone_at is not None
    return desk


def test_removed_elsewhere_waits_for_a_specialist_and_for_nobody_else(removed: Desk, visit: Clients) -> None:
    specialist = visit(Role.SPECIALIST)
    page = specialist.get("/c/album/review").text
    edit = removed.only()
    assert "Somebody removed on Commons what we had written" in page
    assert f"?diff={edit.revision}" in page
    assert f"?diff=cur&amp;oldid={edit.revision}" in page
    assert "Somebody removed this statement on the wiki." in page
    assert "Verified" in page
    queue = specialist.get(f"{API}/review").json()
    assert [(task["reason"], task["figure"]["id"]) for task in queue["tasks"]] == [
        ("removed_elsewhere", removed.figures[0])
    ]
    volunteer = visit(Role.VOLUNTEER)
    assert volunteer.get(f"{API}/next").json()["figure_id"] != removed.figures[0]
    assert "Written, then removed or changed by somebody" in visit().get("/edits?state=gone").text


@pytest.mark.parametrize(("again", "n"), [("true", 2), ("false", 1)])
def test_we_are_right_or_leave_it(removed: Desk, visit: Clients, again: str, n: int) -> None:
    client = visit(Role.SPECIALIST)
    path = f"/c/album/review/{removed.figures[0]}/removal"
    assert post(visit(Role.VOLUNTEER), path, edit=removed.only().id, again=again).status_code == 403
    page = post(client, path, edit=removed.only().id, again=again)
    assert page.status_code == 200
    assert removed.task(0) is None
    rows = removed.edits()
    assert len(rows) == n
    assert post(client, path, edit=rows[0].id, again=again).status_code == 409
    if n == 2:
        assert removed.sent().result["done"] == 1
        assert removed.qids(0) == [ADMIRAL]


def test_they_are_right_names_it_anew(removed: Desk, visit: Clients) -> None:
    client = visit(Role.SPECIALIST)
    said = {"submission_id": new_submission(), "chosen": LADY}
    assert post(client, f"/c/album/review/{removed.figures[0]}", **said).status_code == 200
    task = removed.task(0)
    assert task is not None
    assert task.reason == "disputed"  # another specialist had named it: now both are weighed
    removed.says(0, LADY)
    assert removed.task(0) is None
    assert [(one.qid, one.state) for one in removed.edits()] == [(ADMIRAL, EditState.DONE), (LADY, EditState.WAITING)]
    assert removed.edits(EditAction.REMOVE) == []
    assert "Nothing waits for a specialist" in client.get("/c/album/review").text


def test_a_plate_says_what_commons_says_through_us(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    with desk.database.reading() as session:
        file = queries.files_of(session, [desk.figures[0]])[desk.figures[0]]
    address = f"/c/album/i/{file.id}"
    assert "On Commons: not said yet; it waits." in visit().get(address).text
    desk.sent()
    page = visit().get(address).text
    assert f">revision {desk.only().revision}</a>" in page
    desk.world.remove_statement(desk.pages[0], desk.only().guid, "Bert")
    desk.run(JobKind.SYNC)
    assert "Written, then removed or changed by somebody" in visit().get(address).text


def test_every_reason_that_edits_carry_is_known_to_the_pages() -> None:
    root = Path(service.__file__).parents[1]
    told = " ".join(
        (root / name).read_text("utf-8")
        for name in (
            "depicts/decide.py",
            "depicts/outbox.py",
            "depicts/sending.py",
            "depicts/service.py",
            "jobs/push.py",
            "jobs/care.py",
        )
    )
    given = set(re.findall(r'(?:_end\(EditState\.\w+|Ended\(EditState\.\w+|reason =) ?,? ?"([^"]+\.)"', told))
    assert len(given) > 10
    assert given <= set(SENTENCES)
    assert len(PATTERNS) > 5


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Given up after 12 tries. The last one: Others edited the file at the same moments.",) * 2,
        ("The wiki asked us to come back later (maxlag).",) * 2,
        ("Something nobody foresaw.",) * 2,
        ("", ""),
    ],
)
def test_reasons_are_told_as_they_are_in_english(reason: str, words: str) -> None:
    assert reason_words(reason, "en") == words
    assert (reason_words(reason, "nl") != words) == (reason not in ("", "Something nobody foresaw."))


def test_programs_read_send_and_take_back(desk: Desk, visit: Clients) -> None:
    desk.says(0, ADMIRAL)
    client = visit(Role.CURATOR)
    token = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    (edit,) = client.get(f"{API}/edits").json()["edits"]
    assert (edit["state"], edit["qid"], edit["revision"], edit["diff_url"]) == ("waiting", ADMIRAL, None, None)
    assert client.post(f"{API}/edits/send", json={"edit_ids": [edit["id"]]}).status_code == 403
    sent = client.post(f"{API}/edits/send", json={"edit_ids": [edit["id"]]}, headers=token)
    assert (sent.status_code, sent.json()["edits"]) == (202, 1)
    run_asked(desk)
    page = visit().get(f"{API}/edits", params={"state": "done", "batch": sent.json()["batch"]}).json()
    assert page["next"] is None
    assert page["edits"][0]["account"] == BOT
    assert page["edits"][0]["diff_url"].endswith(f"?diff={desk.only().revision}")
    undone = client.post(f"{API}/edits/undo", json={"batch": sent.json()["batch"]}, headers=token)
    assert (undone.status_code, undone.json()["edits"]) == (202, 1)
    both = {"batch": sent.json()["batch"], "edit_ids": [edit["id"]]}
    assert client.post(f"{API}/edits/undo", json=both, headers=token).status_code == 422
    run_asked(desk)
    assert desk.qids(0) == []


def test_programs_page_by_a_cursor_and_set_how_it_writes(desk: Desk, visit: Clients) -> None:
    for place in range(3):
        desk.says(place, ADMIRAL)
    client = visit(Role.CURATOR)
    seen: list[int] = []
    cursor: int | None = None
    while True:
        told = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{API}/edits", params=told).json()
        seen += [one["id"] for one in page["edits"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted((one.id or 0 for one in desk.edits()), reverse=True)
    token = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    rules = {"writes": "people", "edits_per_minute": 4.0, "revert_limit": 0.1, "change_tags": ""}
    assert client.put(f"{API}/writing", json=rules, headers=token).json() == rules | {"paused": ""}
    assert client.get(f"{API}/writing").json() == rules | {"paused": ""}
    bad = client.put(f"{API}/writing", json=rules | {"revert_limit": 2}, headers=token)
    assert bad.status_code == 422
    specialist = visit(Role.SPECIALIST)
    token = {"X-CSRF-Token": specialist.get("/api/v1/me").json()["csrf"]}
    assert specialist.put(f"{API}/writing", json=rules, headers=token).status_code == 403
    assert json.loads(bad.text)["code"] == "bad-input"
