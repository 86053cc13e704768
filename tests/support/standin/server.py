"""The stand-in's HTTP server: routes, User-Agent policy, images, and faults on order.

Loopback only, one thread a connection.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import socket
import threading
import traceback
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from tests.support.standin import files
from tests.support.standin.api import Answer
from tests.support.standin.api_door import Incoming, answer_call
from tests.support.standin.api_entities import DEFAULT_PROPS, media_json
from tests.support.standin.calls import Call, CallLog, Faults
from tests.support.standin.oauth import PREFIX as OAUTH
from tests.support.standin.oauth import OAuthProvider
from tests.support.standin.oauth1 import OwnerOnlyConsumers
from tests.support.standin.ranges import part_of
from tests.support.standin.sdc_graph import SdcGraph
from tests.support.standin.sessions import Sessions
from tests.support.standin.sparql import PREFIX as WCQS
from tests.support.standin.sparql import SignedInService, answer_sparql
from tests.support.standin.troubles import NEVER_ANSWERED, Plan, api_refusal, plan
from tests.support.standin.world import Page, World, normal_title

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
GENERIC_AGENT = re.compile(
    r"(python-requests|python-urllib|python-httpx|curl|wget|java|go-http-client|okhttp|libwww-perl|sparqlwrapper)"
    r"[/ ]?[\d.]*( \(rdflib\.github\.io/sparqlwrapper\))?",
    re.IGNORECASE,
)
BLOCKED = (
    b"<!DOCTYPE html><title>Wikimedia Error</title><p>Please set a user-agent and respect our robot policy "
    b"https://w.wiki/4wJS.</p>"
)
THUMB = re.compile(r"/w/images/thumb/\w/\w\w/([^/]+)/(?:lossy-page1-)?(\d+)px-[^/]+")
ORIGINAL = re.compile(r"/w/images/\w/\w\w/([^/]+)")
ENDLESS_LIMIT = 200_000_000


class StandInCommons:
    """A Commons-like wiki on 127.0.0.1, for the length of a `with` block.

    `chunk` lets `prop=imageinfo` answer for so many pages at a time, with continuation inside one batch.
    `lag` is how far the database is behind, in seconds: calls with a smaller `maxlag` are turned away.
    """

    def __init__(self, world: World, port: int = 0, *, chunk: int | None = None) -> None:
        self.world = world
        self.calls = CallLog()
        self.faults = Faults()
        self.oauth = OAuthProvider(world)
        self.consumers = OwnerOnlyConsumers(world)
        self.sessions = Sessions(world)
        self.sdc = SdcGraph(world)
        self.wcqs = SignedInService(self.sdc)
        self.chunk = chunk
        self.lag: float | None = None
        self.errors: list[str] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.standin = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://{self.host}"

    @property
    def api_url(self) -> str:
        """Where the Action API answers."""
        return f"{self.base_url}/w/api.php"

    @property
    def rest_url(self) -> str:
        """Where the REST API (OAuth) begins."""
        return f"{self.base_url}/w/rest.php"

    @property
    def sparql_url(self) -> str:
        """Where SPARQL queries about taxa go."""
        return f"{self.base_url}/sparql"

    @property
    def commons_sparql_url(self) -> str:
        """Where SPARQL queries about files go; open to all."""
        return f"{self.base_url}/commons/sparql"

    @property
    def wcqs_url(self) -> str:
        """Where the same queries go with a sign-in; `wcqs.cookie` is the `wcqsOauth` cookie that it accepts."""
        return f"{self.base_url}{WCQS}sparql"

    def sign_in_as(self, username: str) -> None:
        """Whom the consent page offers first from now on. Raises KeyError if nobody is called so."""
        self.oauth.next_person = self.world.people[username].username

    def start(self) -> StandInCommons:
        """Begin to answer; at once."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering, and wake calls that hang on a fault."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> StandInCommons:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.errors and value is None:
            raise RuntimeError("the stand-in itself failed:\n" + "\n".join(self.errors))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    standin: StandInCommons

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.stopping = threading.Event()
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours; anything else is reported as usual."""
        import sys

        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "mw1.standin"
    sys_version = ""
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing: tests read `calls`."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, posted: bytes) -> None:
        standin = self.server.standin
        split = urlsplit(self.path)
        path = split.path
        kind = kind_of_path(path)
        form, upload = self._form(posted)
        params = dict(parse_qsl(split.query, keep_blank_values=True)) | form
        headers = {name.lower(): value for name, value in self.headers.items()}
        trouble = standin.faults.take(kind, params)
        fault = trouble.fault if trouble else None
        standin.calls.add(Call(kind, self.command, path, params, headers, fault))
        agent = headers.get("user-agent", "").strip()
        if not agent or GENERIC_AGENT.fullmatch(agent):
            self._send(Answer(BLOCKED, 403, TEXT if kind in ("sparql", "commons-sparql", "wcqs") else HTML))
            return
        if fault in NEVER_ANSWERED:
            self._carry_out(plan(trouble, Answer(b"")) if trouble else Plan(None))
            return
        try:
            if kind == "api":
                incoming = Incoming(self.command, split, params, headers, upload)
                right = answer_call(standin, incoming, api_refusal(trouble))
            else:
                right = _route(standin, kind, self.command, split, params, headers)
        except Exception:  # a fault of the stand-in itself: answer, keep it, and let the test fail at the end
            standin.errors.append(f"{self.command} {self.path}\n{traceback.format_exc()}")
            right = Answer(standin.errors[-1].encode(), 500, TEXT)
        self._carry_out(plan(trouble, right) if trouble else Plan(right))

    def _form(self, posted: bytes) -> tuple[dict[str, str], bytes | None]:
        """The fields of a posted form, and the file that came with them."""
        kind = (self.headers.get("Content-Type") or "").split(";")[0].strip()
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(posted.decode(), keep_blank_values=True)), None
        if kind == "application/sparql-query":
            return {"query": posted.decode()}, None
        if kind == "multipart/form-data":
            return _multipart(posted, self.headers["Content-Type"])
        return {}, None

    def _carry_out(self, todo: Plan) -> None:
        if todo.wait_s:
            self.server.stopping.wait(todo.wait_s)
        if todo.answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif todo.endless:
            self._send_endless(todo.answer, todo.declared_length)
        else:
            self._send(todo.answer, todo.cut)

    def _head(self, answer: Answer, length: int | None, encoding: str | None = None) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"]
        lines += [f"Date: {formatdate(usegmt=True)}", f"Content-Type: {answer.content_type}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines += [f"Content-Encoding: {encoding}"] if encoding else []
        if length is None:
            self.close_connection = True
        else:
            lines.append(f"Content-Length: {length}")
        lines.append(f"Connection: {'close' if self.close_connection else 'keep-alive'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send(self, answer: Answer, cut: int | None = None) -> None:
        body, encoding = answer.body, None
        takes_gzip = "gzip" in (self.headers.get("Accept-Encoding") or "")
        if takes_gzip and cut is None and len(body) > 1000 and "json" in answer.content_type:
            body, encoding = gzip.compress(body, 1), "gzip"
        if cut is not None:
            self.close_connection = True
        head = self._head(answer, len(body), encoding)
        self.wfile.write(head if self.command == "HEAD" else head + (body if cut is None else body[:cut]))

    def _send_endless(self, answer: Answer, declared: int | None) -> None:
        self.wfile.write(self._head(answer, declared))
        self.close_connection = True
        sent = 0
        while sent < ENDLESS_LIMIT and not self.server.stopping.is_set():
            self.wfile.write(answer.body)
            sent += len(answer.body)


def _multipart(posted: bytes, content_type: str) -> tuple[dict[str, str], bytes | None]:
    from email import message_from_bytes

    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + posted)
    found: dict[str, str] = {}
    upload = None
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            if part.get_filename() is not None:
                upload = payload
            else:
                found[name] = payload.decode()
    return found, upload


def kind_of_path(path: str) -> str:
    """Which kind of call a path is, as the log counts them."""
    if path == "/w/api.php":
        return "api"
    if path in ("/sparql", "/commons/sparql"):
        return "sparql" if path == "/sparql" else "commons-sparql"
    if path.startswith(WCQS):
        return "wcqs"
    if path.startswith(OAUTH):
        return "oauth"
    return "image" if path.startswith("/w/images/") else "page"


def _route(
    standin: StandInCommons,
    kind: str,
    method: str,
    address: SplitResult,
    params: dict[str, str],
    headers: dict[str, str],
) -> Answer:
    path = address.path
    if kind == "sparql":
        return answer_sparql(standin.world.taxa, params.get("query"))
    if kind == "commons-sparql":
        return answer_sparql(standin.sdc, params.get("query"))
    if kind == "wcqs":
        return standin.wcqs.answer(method, path, params, headers.get("cookie"), address.query)
    if kind == "oauth":
        return standin.oauth.answer(method, path, params, headers)
    if kind == "image":
        return part_of(_image(standin.world, path), headers)
    return _wiki_page(standin, path, params)


def _not_found(what: str) -> Answer:
    return Answer(f"<!DOCTYPE html><title>Not found</title><p>{html.escape(what)}</p>".encode(), 404, HTML)


def _image(world: World, path: str) -> Answer:
    thumb, original = THUMB.fullmatch(path), ORIGINAL.fullmatch(path)
    match = thumb or original
    page = world.page_by_title(f"File:{unquote(match[1]).replace('_', ' ')}") if match else None
    if page is None or page.file is None or match is None:
        return _not_found(f"File not found: {path}")
    mime = files.mime_of(page.title)
    if thumb is None:
        return Answer(page.file.read(), 200, mime)
    width = int(thumb[2])
    if world.thumb_steps and width not in world.thumb_steps:
        return Answer(b"Use thumbnail steps listed on https://w.wiki/GHai", 429, TEXT)
    if mime != "image/svg+xml" and width > page.file.size[0]:
        return Answer(b"Requested width is bigger than the source.", 400, TEXT)
    thumb_mime = {"image/svg+xml": "image/png", "image/tiff": "image/jpeg", "image/gif": "image/jpeg"}.get(mime, mime)
    try:
        return Answer(page.file.thumb(width), 200, thumb_mime)
    except OSError as error:
        return Answer(f"Error generating thumbnail: {error}".encode(), 500, TEXT)


def _wiki_page(standin: StandInCommons, path: str, params: dict[str, str]) -> Answer:
    """Pages for people, plain but real: file and category pages, EntityData, FilePath, and short addresses."""
    world = standin.world
    if path == "/w/index.php" and params.get("curid", "").isdigit():
        page = world.pages.get(int(params["curid"]))
        return _page_html(world, page) if page else _not_found("no page of this id")
    if not path.startswith("/wiki/"):
        return _not_found(path)
    name = unquote(path.removeprefix("/wiki/"))
    if entity := re.fullmatch(r"Special:EntityData/M(\d+)\.json", name):
        return _entity_data(world, int(entity[1]))
    if name.startswith("Special:FilePath/"):
        return _file_path(standin, name.removeprefix("Special:FilePath/"), params.get("width"))
    page = world.page_by_title(normal_title(name))
    return _page_html(world, page) if page else _not_found(f"There is no page {name}.")


def _entity_data(world: World, page_id: int) -> Answer:
    page = world.pages.get(page_id)
    if page is None or page.latest.entity is None:
        return _not_found(f"No entity with ID M{page_id} was found.")
    body = {"entities": {f"M{page_id}": media_json(page, DEFAULT_PROPS.split("|"))}}
    return Answer(json.dumps(body, ensure_ascii=False).encode(), 200, "application/json; charset=UTF-8")


def _file_path(standin: StandInCommons, name: str, width: str | None) -> Answer:
    page = standin.world.page_by_title(normal_title(f"File:{name}"))
    if page is None or page.file is None:
        return _not_found(f"There is no file {name}.")
    target = files.original_path(page.title)
    if width and width.isdigit():
        step = files.step_width(int(width), standin.world.thumb_steps)
        target = files.thumb_path(page.title, step) if step < page.file.size[0] else target
    return Answer(b"", 302, HTML, {"Location": standin.base_url + target})


def _page_html(world: World, page: Page) -> Answer:
    title = html.escape(page.title)
    picture = f'<p><img src="{files.original_path(page.title)}" alt="{title}" height="480"></p>' if page.file else ""
    links = "".join(
        f'<li><a href="/wiki/{quote(member.title.replace(" ", "_"))}">{html.escape(member.title)}</a></li>'
        for member in world.members(page.title)
    )
    text = f"<pre>{html.escape(page.latest.wikitext)}</pre>"
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1>"
    return Answer(f"{body}{picture}{text}<ul>{links}</ul></html>".encode(), 200, HTML)
