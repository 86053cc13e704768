"""Answers of a wrong shape, from a server that sends whatever it is told: never a crash, always one of our errors."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wiki_sync import BadAnswerError, Commons, QueryRefusedError, TaxonSource, TransientError, WikiConfig, WikiError
from wiki_sync.session import WikiSession

RESULTS = "application/sparql-results+json"


class CannedServer(ThreadingHTTPServer):
    """Answers every POST and GET with the same status, type and body."""

    status = 200
    content_type = "application/json"
    body = b"{}"
    asked = 0

    def say(self, body: object, status: int = 200, content_type: str = "application/json") -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.content_type, self.asked = status, content_type, 0


class _Canned(BaseHTTPRequestHandler):
    server: CannedServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing on the terminal."""


@pytest.fixture
def server() -> Iterator[CannedServer]:
    with CannedServer(("127.0.0.1", 0), _Canned) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def config(server: CannedServer, tmp_path: Path) -> WikiConfig:
    address = f"http://127.0.0.1:{server.server_address[1]}"
    return WikiConfig(
        api_url=f"{address}/deep/er/api.php",
        sparql_urls=(f"{address}/sparql",),
        user_agent="IconesTest/0.1 (icones@example.org)",
        state_dir=tmp_path,
        max_retries=1,
        retry_wait_s=0.01,
    )


@pytest.mark.parametrize("body", [[], "text", 5, None, {"error": "text"}, {"error": ["a"]}])
def test_an_answer_that_is_no_api_answer_is_a_bad_one(server: CannedServer, config: WikiConfig, body: object) -> None:
    server.say(body)
    with pytest.raises(BadAnswerError):
        WikiSession(config).ask(action="query")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "maxlag", "info": "Waiting for x: 7.5 seconds lagged.", "lag": 7.5}, TransientError),
        ({"code": "readonly", "info": "locked"}, TransientError),
        ({"code": "ratelimited", "info": "slow down"}, TransientError),
        ({"code": "internal_api_error_DBQueryError", "info": "x"}, TransientError),
        ({"code": "internal_api_error_DBQueryTimeoutError", "info": "x"}, TransientError),
        ({"code": "internal_api_error_Exception", "info": "x"}, QueryRefusedError),
        ({"code": "assertuserfailed", "info": "x"}, QueryRefusedError),
        ({"code": "readapidenied", "info": "x"}, QueryRefusedError),
        ({"code": "toomanyvalues", "info": "x", "limit": 50, "lowlimit": 50}, QueryRefusedError),
        ({"code": "mwoauth-invalid-authorization", "info": "x"}, QueryRefusedError),
        ({}, QueryRefusedError),
    ],
)
def test_every_error_code_has_its_family(
    server: CannedServer, config: WikiConfig, error: dict[str, object], kind: type[WikiError]
) -> None:
    server.say({"error": error, "servedby": "x"})
    with pytest.raises(kind):
        WikiSession(config).ask(action="query")
    assert server.asked == (2 if kind is TransientError else 1)


@pytest.mark.parametrize("entities", [None, [], {"M1": {"statements": 3}}, {"M1": {"statements": {"P180": [{}]}}}])
def test_structured_data_of_a_wrong_shape_is_a_bad_answer(
    server: CannedServer, config: WikiConfig, entities: object
) -> None:
    server.say({"entities": entities})
    with pytest.raises(BadAnswerError):
        Commons(config).mediainfo([1])


def test_an_entity_left_out_of_the_answer_counts_as_missing(server: CannedServer, config: WikiConfig) -> None:
    server.say({"entities": {}})
    assert not Commons(config).mediainfo([1])[1].exists


@pytest.mark.parametrize("version", [{"width": "wide"}, {"timestamp": "yesterday", "url": "https://x.org/a"}, "text"])
def test_file_facts_of_a_wrong_shape_are_a_bad_answer(
    server: CannedServer, config: WikiConfig, version: object
) -> None:
    server.say({"query": {"pages": [{"pageid": 1, "ns": 6, "title": "File:A.jpg", "imageinfo": [version]}]}})
    with pytest.raises(BadAnswerError, match=r"File:A\.jpg"):
        Commons(config).files([1])


def test_a_list_that_never_goes_on_is_given_up(server: CannedServer, config: WikiConfig) -> None:
    server.say({"continue": {"gcmcontinue": "x", "continue": "gcmcontinue||"}, "query": {"pages": []}})
    with pytest.raises(BadAnswerError, match="same page"):
        Commons(config).files([1])
    assert server.asked == 2


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"results": 5},
        {"results": {"bindings": [5]}},
        {"results": {"bindings": [{"taxon": "Q1"}]}},
        {"head": {}, "boolean": True},
        b'{"head":{"vars":["taxon"]},"results":{"bindings":[{"taxon":{"type":"uri","val',
        b"\xff\xfe",
    ],
)
def test_a_table_of_a_wrong_shape_is_a_bad_answer(server: CannedServer, config: WikiConfig, body: object) -> None:
    server.say(body, content_type=RESULTS)
    with pytest.raises(BadAnswerError):
        TaxonSource(config).taxa(["Q1"])
    assert server.asked == 1


def test_a_table_that_breaks_off_for_want_of_time_is_worth_another_try(
    server: CannedServer, config: WikiConfig
) -> None:
    cut = b'{"results":{"bindings":[{"taxon":\njava.util.concurrent.TimeoutException\n\tat java.util'
    server.say(cut, content_type=RESULTS)
    with pytest.raises(TransientError, match="time"):
        TaxonSource(config).taxa(["Q1"])
    assert server.asked == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, QueryRefusedError),
        (401, QueryRefusedError),
        (404, QueryRefusedError),
        (405, QueryRefusedError),
        (414, QueryRefusedError),
        (500, TransientError),
        (504, TransientError),
    ],
)
def test_every_status_of_a_query_service_has_its_family(
    server: CannedServer, config: WikiConfig, status: int, kind: type[WikiError]
) -> None:
    server.say(b"words", status=status, content_type="text/plain")
    with pytest.raises(kind):
        TaxonSource(config).taxa(["Q1"])


@pytest.mark.parametrize(
    ("status", "kind"), [(400, QueryRefusedError), (413, QueryRefusedError), (504, TransientError)]
)
def test_every_status_of_a_wiki_has_its_family(
    server: CannedServer, config: WikiConfig, status: int, kind: type[WikiError]
) -> None:
    server.say(b"<h1>words</h1>", status=status, content_type="text/html")
    with pytest.raises(kind):
        WikiSession(config).ask(action="query")
