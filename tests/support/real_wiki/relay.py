"""A relay on loopback between a client and the wiki that loses answers on order, or lets writes meet.

A request goes on to the wiki in any case; where it was carried out there, and the relay was told to, it hangs up
without a word. So a write is done and its author does not know. A write may be held until that of another client has
come, too, so that both arrive at the same moment. The wiki may be reached by http or https.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Params = Mapping[str, str]
_OWN_WAY = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding", "keep-alive"})
_NOT_HERE = re.compile(r";\s*(?:secure|domain=[^;]*)(?=;|$)", re.IGNORECASE)  # what keeps a cookie off plain loopback


def is_write(params: Params) -> bool:
    """Whether a request writes structured data."""
    return params.get("action", "").startswith("wb") and params.get("action") != "wbgetentities"


class Relay:
    """Stands before the API of a wiki, for the length of a `with` block. `api_url` is where clients shall go."""

    def __init__(self, api_url: str) -> None:
        self.target = urlsplit(api_url)
        self.lost: list[Params] = []
        self._to_lose = 0
        self._meeting: threading.Barrier | None = None
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def api_url(self) -> str:
        """The relay's address for the wiki's API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.target.path}"

    def lose(self, times: int = 1) -> None:
        """Lose the answers to the next writes that the wiki carries out; a refusal is passed on."""
        with self._lock:
            self._to_lose = times

    def meet(self, meeting: threading.Barrier) -> None:
        """Hold the next write until all the others have come to the meeting, too."""
        with self._lock:
            self._meeting = meeting

    def hold(self, params: Params) -> None:
        """Let a request wait if it is the write that has a meeting. When nobody comes it goes on."""
        if not is_write(params):
            return
        with self._lock:
            meeting, self._meeting = self._meeting, None
        if meeting is not None:
            with suppress(threading.BrokenBarrierError):
                meeting.wait()

    def loses(self, params: Params, answer: bytes) -> bool:
        """Say whether this answer is to be lost, and count it."""
        with self._lock:
            if self._to_lose < 1 or not is_write(params) or not _is_done(answer):
                return False
            self._to_lose -= 1
            self.lost.append(params)
            return True

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def _is_done(answer: bytes) -> bool:
    try:
        body = json.loads(answer)
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("success") == 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    relay: Relay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours; anything else is reported as usual."""
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing: tests read `lost`."""

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        params = dict(parse_qsl(urlsplit(self.path).query)) | dict(parse_qsl(body.decode()))
        self.server.relay.hold(params)
        status, headers, answer = self._ask(body)
        if self.server.relay.loses(params, answer):
            self.close_connection = True
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OWN_WAY:
                self.send_header(name, _NOT_HERE.sub("", value) if name.lower() == "set-cookie" else value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Carry the request to the wiki and return its whole answer."""
        target = self.server.relay.target
        kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        connection = kind(target.netloc, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_WAY}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()
