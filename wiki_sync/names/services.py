"""The catalogues of names, asked politely: one request at a time, with our User-Agent, waits obeyed.

Only the addresses that were set are asked, and redirects are not followed. Reading only; nothing is kept here.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx2

from wiki_sync.config import WikiConfig
from wiki_sync.errors import (
    BadAnswerError,
    BannedError,
    HostNotAllowedError,
    PermanentError,
    QueryRefusedError,
    TransientError,
)
from wiki_sync.names.answers import Match, col_match, gbif_match, worms_match
from wiki_sync.retry import asked_wait, with_retries

GBIF_BACKBONE = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""The checklist whose keys Wikidata has as P846."""
WORMS_AT_ONCE = 50
_LARGEST_ANSWER = 8_000_000  # bytes
T = TypeVar("T")


@dataclass(frozen=True)
class NameServices:
    """Where the catalogues are; an empty address is not asked. `pause_s` is the time between two requests.

    `gbif_url` ends in `/species/match`, `col_url` in `/match/nameusage`, `worms_url` in `/rest`. Raises ValueError for
    what is no web address.
    """

    gbif_url: str = "https://api.gbif.org/v2/species/match"
    gbif_checklist: str = GBIF_BACKBONE
    col_url: str = "https://api.checklistbank.org/dataset/3LR/match/nameusage"
    worms_url: str = "https://www.marinespecies.org/rest"
    pause_s: float = 0.2

    def __post_init__(self) -> None:
        for url in filter(None, (self.gbif_url, self.col_url, self.worms_url)):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query:
                raise ValueError(f"not the address of a service: {url!r}")

    def version(self, matcher: str) -> str:
        """Return which release of a catalogue is asked, as far as its address tells."""
        told = {"gbif": f"v2 {self.gbif_checklist}", "col": urlsplit(self.col_url).path.strip("/"), "worms": "rest"}
        return told[matcher][:120]


class NameClient:
    """Asks the catalogues; for one thread, closed at the end (it is a context manager)."""

    def __init__(self, config: WikiConfig, services: NameServices) -> None:
        self._config = config
        self._services = services
        self._last = float("-inf")
        self._client = httpx2.Client(
            timeout=config.timeout_s,
            follow_redirects=False,
            headers={"User-Agent": config.user_agent, "Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def gbif(self, name: str, kingdom: str = "") -> Match:
        """Return what GBIF's backbone says of one name. Raises TransientError, BannedError, QueryRefusedError,
        BadAnswerError, HostNotAllowedError."""
        params = {"scientificName": name, "checklistKey": self._services.gbif_checklist, "verbose": "true"}
        answer = self._json(self._services.gbif_url, {**params, **({"kingdom": kingdom} if kingdom else {})})
        return _read(self._services.gbif_url, lambda: gbif_match(answer))

    def col(self, name: str, kingdom: str = "") -> Match:
        """Return what the Catalogue of Life says of one name. Raises as `gbif`."""
        answer = self._json(self._services.col_url, {"q": name, **({"kingdom": kingdom} if kingdom else {})})
        return _read(self._services.col_url, lambda: col_match(answer))

    def worms(self, names: Sequence[str]) -> dict[str, Match]:
        """Return what WoRMS says of each name, fifty at a time. Raises as `gbif`."""
        found: dict[str, Match] = {}
        for start in range(0, len(names), WORMS_AT_ONCE):
            part = names[start : start + WORMS_AT_ONCE]
            params = [*(("scientificnames[]", name) for name in part), ("marine_only", "false")]
            url = f"{self._services.worms_url.rstrip('/')}/AphiaRecordsByMatchNames"
            answer = self._json(url, params)
            lists: Sequence[Any] = answer if answer is not None else [[] for _ in part]
            if not isinstance(lists, list) or len(lists) != len(part):
                raise BadAnswerError(f"{_host(url)} answered for other names than were asked.")
            for name, records in zip(part, lists, strict=True):
                found[name] = _read(url, lambda records=records: worms_match(records or []))  # type: ignore[misc]
        return found

    def _json(self, url: str, params: Mapping[str, str] | Iterable[tuple[str, str]]) -> Any:
        """Return the answer's JSON; None for 204, which means "nothing"."""
        given = list(params.items()) if isinstance(params, Mapping) else list(params)
        return with_retries(self._config, lambda: self._once(url, given))

    def _once(self, url: str, params: list[tuple[str, str]]) -> Any:
        rest = self._services.pause_s - (time.monotonic() - self._last)
        if rest > 0:
            time.sleep(rest)
        try:
            with self._client.stream("GET", url, params=tuple(params)) as response:
                body = _body(url, response)
        except httpx2.TimeoutException as error:
            raise TransientError(f"{_host(url)} did not answer in time.") from error
        except httpx2.TransportError as error:
            raise TransientError(f"{_host(url)} could not be reached, or the connection broke off.") from error
        except httpx2.HTTPError as error:
            raise PermanentError(f"{_host(url)} could not be asked: {error}") from error
        finally:
            self._last = time.monotonic()
        if body is None:
            return None
        try:
            return json.loads(body)
        except ValueError as error:
            raise BadAnswerError(f"{_host(url)} sent an answer that cannot be read.") from error


def _body(url: str, response: httpx2.Response) -> bytes | None:
    _raise_for_status(url, response)
    if response.status_code == 204:
        return None
    data = bytearray()
    for piece in response.iter_bytes():
        data += piece
        if len(data) > _LARGEST_ANSWER:
            raise BadAnswerError(f"{_host(url)} sent more than {_LARGEST_ANSWER // 1_000_000} MB.")
    return bytes(data)


def _raise_for_status(url: str, response: httpx2.Response) -> None:
    status = response.status_code
    if status in (200, 204):
        return
    if 300 <= status < 400:
        raise HostNotAllowedError(f"{_host(url)} sends us on to another address, which is not followed.")
    wait = asked_wait(response.headers.get("Retry-After"))
    if status == 429:
        raise TransientError(f"{_host(url)} says we ask too often (429).", wait)
    if status >= 500:
        raise TransientError(f"{_host(url)} has a problem of its own ({status}).", wait)
    if status == 403:
        raise BannedError(f"{_host(url)} shut us out (403).")
    raise QueryRefusedError(f"{_host(url)} refused the question ({status}).")


def _read(url: str, reading: Callable[[], T]) -> T:
    try:
        return reading()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadAnswerError(f"{_host(url)} sent an answer of another form than agreed.") from error


def _host(url: str) -> str:
    return urlsplit(url).netloc
