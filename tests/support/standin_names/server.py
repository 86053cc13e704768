"""The HTTP server of the stand-in catalogues. Loopback only."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.standin_names.catalogue import HIGHER, Catalogue, Entry

GBIF, COL, WORMS = "/v2/species/match", "/dataset/3LR/match/nameusage", "/rest/AphiaRecordsByMatchNames"
KINDS = {GBIF: "gbif", COL: "col", WORMS: "worms"}


@dataclass
class Trouble:
    """What comes instead of the answer, so many times."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 10**9


class StandInNames:
    """GBIF, the Catalogue of Life and WoRMS on 127.0.0.1, for the length of a `with` block."""

    def __init__(
        self, gbif: Catalogue | None = None, col: Catalogue | None = None, worms: Catalogue | None = None
    ) -> None:
        self.catalogues = {"gbif": gbif or Catalogue(), "col": col or Catalogue(), "worms": worms or Catalogue()}
        self.troubles: dict[str, Trouble] = {}
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.agents: set[str] = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.standin = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def gbif_url(self) -> str:
        """GBIF's matching."""
        return self.base_url + GBIF

    @property
    def col_url(self) -> str:
        """The Catalogue of Life's matching."""
        return self.base_url + COL

    @property
    def worms_url(self) -> str:
        """WoRMS' services."""
        return self.base_url + "/rest"

    def down(self, kind: str, status: int = 503, times: int = 10**9, headers: dict[str, str] | None = None) -> None:
        """Let a service answer with this status from now on."""
        self.troubles[kind] = Trouble(status, b"<h1>Service unavailable</h1>", headers or {}, times)

    def says(self, kind: str, body: str, times: int = 10**9) -> None:
        """Let a service answer 200 with this text from now on, or so many times."""
        self.troubles[kind] = Trouble(200, body.encode(), times=times)

    def up(self) -> None:
        """Let all go well again."""
        self.troubles.clear()

    def __enter__(self) -> StandInNames:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours; anything else is reported as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing: tests read `calls`."""

    def do_GET(self) -> None:
        standin: StandInNames = self.server.standin  # type: ignore[attr-defined]
        split = urlsplit(self.path)
        kind, query = KINDS.get(split.path, ""), parse_qs(split.query)
        standin.calls[kind] += 1
        standin.asked.append((kind, query))
        standin.agents.add(self.headers.get("User-Agent", ""))
        trouble = standin.troubles.get(kind)
        if trouble is not None and trouble.times > 0:
            trouble.times -= 1
            self._send(trouble.status, trouble.body, trouble.headers)
            return
        if not kind:
            self._send(404, b"{}", {})
            return
        answer = ANSWERS[kind](standin.catalogues[kind], query)
        self._send(200 if answer is not None else 204, json.dumps(answer).encode() if answer is not None else b"", {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _one(query: dict[str, list[str]], name: str) -> str:
    return query.get(name, [""])[0]


def _gbif(catalogue: Catalogue, query: dict[str, list[str]]) -> dict[str, Any]:
    found = catalogue.find(_one(query, "scientificName"), _one(query, "kingdom"))
    accepted = {catalogue.accepted(entry).key for entry in found.entries}
    if len(accepted) > 1 and found.how in ("exact", "near"):
        others = [{"usage": _gbif_usage(entry), "classification": _classification(entry)} for entry in found.entries]
        told = {"matchType": "AMBIGUOUS", "confidence": 80, "alternatives": others, "note": "Multiple equal matches"}
        return {"diagnostics": told, "synonym": False}
    if not found.entries:
        return {"diagnostics": {"matchType": "NONE", "confidence": 100, "timeTaken": 1}, "synonym": False}
    kind = {"exact": "EXACT", "near": "VARIANT", "genus": "HIGHERRANK"}[found.how]
    entry = found.entries[0]
    used = catalogue.accepted(entry)
    answer: dict[str, Any] = {
        "usage": _gbif_usage(entry),
        "classification": _classification(used),
        "diagnostics": {"matchType": kind, "confidence": {0: 99, 1: 96, 2: 90}[found.slips], "timeTaken": 1},
        "synonym": used is not entry,
    }
    if used is not entry:
        answer["acceptedUsage"] = _gbif_usage(used)
    return answer


def _classification(entry: Entry) -> list[dict[str, str]]:
    return [
        {"key": f"h{place}", "name": entry.lineage[rank], "rank": rank.upper()}
        for place, rank in enumerate(HIGHER)
        if rank in entry.lineage
    ]


def _gbif_usage(entry: Entry) -> dict[str, str]:
    usage = {"key": entry.key, "name": f"{entry.name} {entry.authorship}".strip(), "canonicalName": entry.name}
    return {**usage, "authorship": entry.authorship, "rank": entry.rank, "status": entry.status}


def _col(catalogue: Catalogue, query: dict[str, list[str]]) -> dict[str, Any]:
    found = catalogue.find(_one(query, "q"), _one(query, "kingdom"))
    if not found.entries:
        return {"type": "none", "match": False, "issues": {}}
    if len({catalogue.accepted(entry).key for entry in found.entries}) > 1:
        return {"type": "ambiguous", "match": False, "alternatives": [_col_usage(one) for one in found.entries]}
    entry = found.entries[0]
    used = catalogue.accepted(entry)
    above: list[dict[str, str]] = [_col_usage(used)] if used is not entry else []
    higher = [rank for rank in reversed(HIGHER) if rank in used.lineage]
    above += [{"id": f"H{rank}", "name": used.lineage[rank], "rank": rank} for rank in higher]
    kind = {"exact": "canonical", "near": "higherrank", "genus": "higherrank"}[found.how]
    return {"type": kind, "match": True, "usage": {**_col_usage(entry), "classification": above}, "issues": {}}


def _col_usage(entry: Entry) -> dict[str, str]:
    told = {"id": entry.key, "name": entry.name, "authorship": entry.authorship, "rank": entry.rank.lower()}
    return {**told, "status": entry.status.lower()}


def _worms(catalogue: Catalogue, query: dict[str, list[str]]) -> list[list[dict[str, Any]]] | None:
    lists = [_worms_records(catalogue, name) for name in query.get("scientificnames[]", [])]
    return lists if any(lists) else None


def _worms_records(catalogue: Catalogue, name: str) -> list[dict[str, Any]]:
    found = catalogue.find(name)
    if found.how not in ("exact", "near"):
        return []
    kind = "exact" if found.how == "exact" else f"near_{found.slips}"
    return [_worms_record(catalogue, entry, kind) for entry in found.entries]


def _worms_record(catalogue: Catalogue, entry: Entry, kind: str) -> dict[str, Any]:
    used = catalogue.accepted(entry)
    return {
        "AphiaID": int(entry.key),
        "scientificname": entry.name,
        "authority": entry.authorship,
        "status": entry.status.lower(),
        "rank": entry.rank.capitalize(),
        "valid_AphiaID": int(used.key),
        "valid_name": used.name,
        "valid_authority": used.authorship,
        **{rank: used.lineage.get(rank) for rank in HIGHER},
        "match_type": kind,
        "isMarine": 1,
    }


ANSWERS = {"gbif": _gbif, "col": _col, "worms": _worms}
