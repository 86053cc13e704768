"""Answers about changes in forms that the stand-in does not send: old, sparse, split, hidden or wrong ones."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from wiki_sync import BadAnswerError, Changes, WikiConfig

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = "2026-01-02T00:00:00Z"
JANUARY_1 = "2026-01-01T10:00:00Z"


class ScriptedServer(ThreadingHTTPServer):
    """Answers with one body after the other, the last one again and again; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Scripted)
        self.bodies: list[Any] = []
        self.asked: list[dict[str, str]] = []


class _Scripted(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, params: str) -> None:
        self.server.asked.append(dict(parse_qsl(params)))
        bodies = self.server.bodies
        body = json.dumps(bodies.pop(0) if len(bodies) > 1 else bodies[0]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing on the terminal."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def changes(server: ScriptedServer, tmp_path: Path) -> Changes:
    return Changes(
        WikiConfig(
            api_url=f"http://127.0.0.1:{server.server_address[1]}/w/api.php",
            sparql_urls=(),
            user_agent="IconesTest/0.1 (icones@example.org)",
            state_dir=tmp_path,
            max_retries=0,
        )
    )


def recent(*rows: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {"batchcomplete": True, "curtimestamp": NOW, "query": {"recentchanges": list(rows)}, **beside}


def test_the_whole_continue_is_echoed_and_small_pages_are_fine(server: ScriptedServer, changes: Changes) -> None:
    row = {"type": "edit", "timestamp": JANUARY_1, "ns": 6}
    server.bodies = [
        recent({**row, "pageid": 1}, **{"continue": {"rccontinue": "a|1", "continue": "-||", "odd": "z"}}),
        recent(**{"continue": {"rccontinue": "a|2", "continue": "-||"}}),
        recent({**row, "pageid": 2}),
    ]
    seen = changes.recent(START, 9)
    assert (seen.page_ids, seen.complete, seen.calls) == (frozenset({1, 2}), True, 3)
    assert {"rccontinue": "a|1", "continue": "-||", "odd": "z"}.items() <= server.asked[1].items()
    assert "odd" not in server.asked[2]
    assert {one["rcstart"] for one in server.asked} == {"2026-01-01T00:00:00Z"}


def test_a_list_that_does_not_go_on_is_found_out(server: ScriptedServer, changes: Changes) -> None:
    server.bodies = [recent(**{"continue": {"rccontinue": "a|1", "continue": "-||"}})]
    with pytest.raises(BadAnswerError, match="same page"):
        changes.recent(START, 100)
    assert len(server.asked) == 2


def test_sparse_and_hidden_rows_are_read_for_what_they_say(server: ScriptedServer, changes: Changes) -> None:
    log = {"type": "log", "timestamp": JANUARY_1, "logtype": "delete", "logaction": "delete"}
    server.bodies = [
        recent(
            {**log, "pageid": 0, "title": "File:Gone.jpg", "logparams": [], "user": "A", "comment": ""},
            {**log, "pageid": 7, "title": "File:Kept id.jpg", "userhidden": True, "suppressed": True},
            {"type": "log", "timestamp": JANUARY_1, "actionhidden": True, "rcid": 4},
            {"type": "edit", "timestamp": JANUARY_1, "title": "File:No id.jpg"},
            {**log, "logtype": "protect", "logaction": "protect", "title": "File:P.jpg", "logparams": {"details": []}},
        )
    ]
    seen = changes.recent(START, 1)
    assert seen.page_ids == {7}
    assert seen.titles == {"File:Gone.jpg", "File:No id.jpg", "File:P.jpg"}
    assert (seen.complete, seen.n_hidden) == (False, 1)
    assert [(one.title, one.page_id, one.user) for one in seen.log] == [
        ("File:Gone.jpg", None, "A"),
        ("File:Kept id.jpg", 7, ""),
        ("File:P.jpg", None, ""),
    ]


def test_the_page_of_a_log_entry_is_the_one_it_was_about(server: ScriptedServer, changes: Changes) -> None:
    entry = {"type": "move", "action": "move", "title": "File:Old.jpg", "timestamp": JANUARY_1}
    target = {"target_ns": 6, "target_title": "File:New.jpg", "suppressredirect": False}
    server.bodies = [
        {
            "query": {
                "logevents": [
                    {**entry, "pageid": 9, "logpage": 5, "params": target, "user": "A", "comment": "b"},
                    {**entry, "pageid": 9, "logpage": 0, "params": target},
                    {**entry, "pageid": 0},
                    {"actionhidden": True, "type": "move", "action": "move", "timestamp": JANUARY_1},
                ]
            }
        }
    ]
    found = changes.log_of("File:Old.jpg")
    assert [(one.page_id, one.new_title) for one in found] == [(5, "File:New.jpg"), (9, "File:New.jpg"), (None, None)]


def test_revisions_of_a_page_may_come_in_two_parts(server: ScriptedServer, changes: Changes) -> None:
    def page(revid: int) -> dict[str, Any]:
        facts = {"revid": revid, "parentid": 0, "userhidden": True, "timestamp": JANUARY_1, "tags": []}
        return {"pageid": 3, "ns": 6, "title": "File:A.jpg", "revisions": [facts]}

    server.bodies = [
        {"query": {"pages": [page(10)]}, "continue": {"rvcontinue": "11", "continue": "||"}},
        {"query": {"pages": [page(11)], "badrevids": [{"revid": 12, "missing": True}]}},
    ]
    found = changes.revisions([12, 11, 10])
    assert [(one.revid, one.page_id, one.is_missing) for one in found.values()] == [
        (12, 0, True),
        (11, 3, False),
        (10, 3, False),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": {}},
        {"query": {"pages": [{"pageid": 1, "title": "File:A.jpg", "revisions": [{"revid": 99}]}]}},
        {"query": {"badrevids": {"5": {"missing": True}}}},
        {"query": {"badrevids": {"5": "gone"}}},
    ],
)
def test_a_revision_that_the_answer_says_nothing_about_is_not_taken_for_gone(
    server: ScriptedServer, changes: Changes, body: dict[str, Any]
) -> None:
    server.bodies = [body]
    with pytest.raises(BadAnswerError):
        changes.revisions([5])


@pytest.mark.parametrize(
    "body",
    [
        recent({"type": "edit", "pageid": 1}),
        recent({"type": "edit", "pageid": 1, "timestamp": "yesterday"}),
        {"query": {"recentchanges": []}, "curtimestamp": "now"},
        {"query": {"recentchanges": []}},
    ],
)
def test_changes_without_a_time_are_a_bad_answer(
    server: ScriptedServer, changes: Changes, body: dict[str, Any]
) -> None:
    server.bodies = [body]
    with pytest.raises(BadAnswerError):
        changes.recent(START, 1)


@pytest.mark.parametrize(
    "page", [{"pageid": 1}, {"pageid": "x", "title": "A", "lastrevid": 1}, {"pageid": 1, "title": "A"}]
)
def test_a_page_without_its_facts_is_a_bad_answer(
    server: ScriptedServer, changes: Changes, page: dict[str, Any]
) -> None:
    server.bodies = [{"batchcomplete": True, "query": {"pages": [page]}}]
    with pytest.raises(BadAnswerError):
        changes.heads([1])
    with pytest.raises(BadAnswerError):
        changes.by_title(["A"])


def test_titles_in_a_circle_of_redirects_have_no_page(server: ScriptedServer, changes: Changes) -> None:
    circle = [{"from": "File:A.jpg", "to": "File:B.jpg"}, {"from": "File:B.jpg", "to": "File:A.jpg"}]
    server.bodies = [{"batchcomplete": True, "query": {"redirects": circle}}]
    assert changes.by_title(["File:A.jpg", "de:Elsewhere"]) == {"File:A.jpg": None, "de:Elsewhere": None}
