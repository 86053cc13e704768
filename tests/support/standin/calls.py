"""What was asked of the stand-in, and what shall go wrong next.

`CallLog` counts every request by kind, faulty ones too. `Faults` is a queue of troubles, each used up by the
requests it hits; the server turns them into bytes (see `troubles.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KINDS = ("api", "sparql", "image", "oauth", "page")
FAULTS = (
    "maxlag",  # an API error with Retry-After: 5
    "readonly",  # an API error without Retry-After
    "429",  # Retry-After as given, "1" otherwise
    "429-no-retry-after",
    "500-timeout",  # what Blazegraph says when its minute is over
    "502-html",
    "503-html",
    "403-banned",
    "timeout",  # nothing comes for `seconds`, then the connection closes
    "slow",  # the right answer, `seconds` late
    "broken-json",  # 200, and the right answer cut in the middle
    "text-200",  # 200 text/plain with a sentence
    "empty-200",  # 200 with no body
    "drop-connection",
    "truncated-image",  # the connection closes before Content-Length is reached
    "damaged-image",  # complete, but the second half of the picture is missing
    "not-an-image",  # 200 with an HTML page
    "endless-image",  # no Content-Length and no end
    "enormous-image",  # says 3 GB, and goes on sending
    "404",
    "redirect",  # 302 to `location`
)


@dataclass(frozen=True)
class Call:
    """One request: its kind, method, path, parameters (of query string and form) and headers in small letters."""

    kind: str
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    fault: str | None = None


class CallLog:
    """The requests in order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Note a request."""
        with self._lock:
            self._calls.append(call)

    @property
    def requests(self) -> list[Call]:
        """A copy of all requests so far."""
        with self._lock:
            return list(self._calls)

    def count(self, kind: str | None = None) -> int:
        """How many requests of a kind came, or of all kinds. Raises ValueError on an unknown kind."""
        if kind is not None and kind not in KINDS:
            raise ValueError(f"no such kind of call: {kind}")
        return sum(1 for call in self.requests if kind in (None, call.kind))

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._calls.clear()


Condition = Callable[[Mapping[str, str]], bool]


@dataclass
class Trouble:
    """A fault that waits for requests: how often, for which, and its particulars."""

    kind: str
    fault: str
    times: int
    where: Condition | None = None
    seconds: float = 5.0
    retry_after: str = "1"
    location: str = ""


@dataclass
class Faults:
    """Troubles in the order they were ordered; the first that fits a request is used."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _waiting: list[Trouble] = field(default_factory=list)

    def next(
        self,
        kind: str,
        fault: str,
        times: int = 1,
        where: Condition | None = None,
        *,
        seconds: float = 5.0,
        retry_after: str = "1",
        location: str = "",
    ) -> None:
        """Let the next `times` requests of `kind` (for which `where(params)` holds) meet `fault`."""
        if kind not in KINDS or fault not in FAULTS:
            raise ValueError(f"no such kind or fault: {kind}, {fault}")
        with self._lock:
            self._waiting.append(Trouble(kind, fault, times, where, seconds, retry_after, location))

    def take(self, kind: str, params: Mapping[str, str]) -> Trouble | None:
        """The trouble for this request, counted down; None if it goes well."""
        with self._lock:
            for trouble in self._waiting:
                if trouble.kind == kind and (trouble.where is None or trouble.where(params)):
                    trouble.times -= 1
                    if trouble.times <= 0:
                        self._waiting.remove(trouble)
                    return trouble
        return None

    @property
    def pending(self) -> int:
        """How many faults are still to come; 0 shows that a test really met all it ordered."""
        with self._lock:
            return sum(trouble.times for trouble in self._waiting)

    def clear(self) -> None:
        """Let all go well from now on."""
        with self._lock:
            self._waiting.clear()
