"""What a piece of work asked of the wikis, and what time it is there.

Requests are counted where they leave this machine, tries after a failure included: what `metered` gives is what was
really asked. The count belongs to the thread (or task) that opened it; threads started inside do not share it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass
class Meter:
    """Counts of requests so far, and the wiki's own clock at its first and latest answer (None: no answer yet)."""

    api_calls: int = 0
    sparql_calls: int = 0
    first_time: datetime | None = None
    last_time: datetime | None = None


_running: ContextVar[tuple[Meter, ...]] = ContextVar("running_meters", default=())


@contextmanager
def metered() -> Iterator[Meter]:
    """Give a meter that runs until the block ends; meters may lie inside each other, and each counts for itself."""
    meter = Meter()
    token = _running.set((*_running.get(), meter))
    try:
        yield meter
    finally:
        _running.reset(token)


def count_api_call() -> None:
    """Count one request to an `api.php`."""
    for meter in _running.get():
        meter.api_calls += 1


def count_sparql_call() -> None:
    """Count one request to a query service."""
    for meter in _running.get():
        meter.sparql_calls += 1


def note_time(answer: Mapping[str, Any]) -> None:
    """Take the wiki's clock from an answer that tells it (`curtimestamp`); an answer without one changes nothing."""
    told = answer.get("curtimestamp")
    if not isinstance(told, str):
        return
    try:
        moment = datetime.fromisoformat(told).astimezone(UTC)
    except ValueError:
        return  # a clock that cannot be read is no reason to throw the answer away
    for meter in _running.get():
        meter.first_time = meter.first_time or moment
        meter.last_time = moment
