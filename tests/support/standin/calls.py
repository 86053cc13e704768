"""What was asked of the stand-in, and what shall go wrong next.

`CallLog` counts every request by kind, faulty ones too. `Faults` is a queue of troubles, each used up by the
requests it hits; the server turns them into bytes (see `troubles.py`).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.standin.api_modules import WRITES

KINDS = ("api", "sparql", "commons-sparql", "wcqs", "image", "oauth", "page")
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
    "200-then-timeout",  # 200, half of the right answer, and then what Blazegraph says when its minute is over
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
    "hang",  # another name of timeout; the request is not carried out
    "applied-then-dropped",  # the request is carried out, then the connection closes without an answer
    "applied-then-502",
    "applied-then-hang",  # carried out, then nothing comes for `seconds`
    "badtoken",  # and the API errors that writes meet
    "ratelimited",  # the code of MediaWiki's own modules
    "throttled",  # the same inside `failed-save`
    "editconflict",
    "edit-conflict",  # a late one, inside `failed-save`
    "slot-exists",  # `failed-save`: two first edits of a file's structured data at once
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


def is_write(params: Mapping[str, str]) -> bool:
    """Whether a call of the API would change pages."""
    return params.get("action") in WRITES and params.get("action") != "logout"


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
class RandomPlan:
    """Faults by lot: the nth request that fits meets the same one in every run with the same seed."""

    seed: int
    kind: str
    where: Condition | None
    share: float
    among: tuple[str, ...]
    seconds: float
    retry_after: str
    asked: int = 0

    def draw(self, kind: str, params: Mapping[str, str]) -> Trouble | None:
        """The fault of this request, if the lot falls on it."""
        if kind != self.kind or (self.where is not None and not self.where(params)):
            return None
        self.asked += 1
        lot = random.Random(f"{self.seed} {self.asked}")
        if lot.random() >= self.share:
            return None
        fault = lot.choice(self.among)
        return Trouble(kind, fault, 1, seconds=self.seconds, retry_after=self.retry_after)


@dataclass
class Faults:
    """Troubles in the order they were ordered; the first that fits a request is used."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _waiting: list[Trouble] = field(default_factory=list)
    _plan: RandomPlan | None = None

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

    def at_random(
        self,
        seed: int,
        kind: str = "api",
        where: Condition | None = is_write,
        *,
        share: float = 0.2,
        among: Sequence[str] = ("applied-then-dropped", "applied-then-502", "502-html", "throttled", "maxlag"),
        seconds: float = 5.0,
        retry_after: str = "1",
    ) -> None:
        """Let a `share` of the requests of `kind` (writes, by default) meet one of the faults `among`, from now on.

        Which ones is decided by `seed` and by the count of such requests. Ordered faults come first. Another call
        replaces this plan, and `clear` ends it. Raises ValueError on an unknown kind or fault.
        """
        unknown = [fault for fault in among if fault not in FAULTS]
        if kind not in KINDS or unknown or not among or not 0 <= share <= 1:
            raise ValueError(f"no such plan: {kind}, {unknown or among}, {share}")
        with self._lock:
            self._plan = RandomPlan(seed, kind, where, share, tuple(among), seconds, retry_after)

    def take(self, kind: str, params: Mapping[str, str]) -> Trouble | None:
        """The trouble for this request, counted down; None if it goes well."""
        with self._lock:
            for trouble in self._waiting:
                if trouble.kind == kind and (trouble.where is None or trouble.where(params)):
                    trouble.times -= 1
                    if trouble.times <= 0:
                        self._waiting.remove(trouble)
                    return trouble
            return self._plan.draw(kind, params) if self._plan is not None else None

    @property
    def pending(self) -> int:
        """How many faults are still to come; 0 shows that a test really met all it ordered."""
        with self._lock:
            return sum(trouble.times for trouble in self._waiting)

    def clear(self) -> None:
        """Let all go well from now on."""
        with self._lock:
            self._waiting.clear()
            self._plan = None
