"""Trying again: when, how often, and how long to wait in between.

The wait is what the other side asked for (`Retry-After`), else doubles from `retry_wait_s` up to
`retry_max_s`. If the other side asks for longer than `retry_max_s` the error is raised at once: a job can be
put off, a thread should not sleep for an hour. There is no random part: requests of one process are serial,
so its waits cannot fall into step.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from wiki_sync.config import WikiConfig
from wiki_sync.errors import TransientError

T = TypeVar("T")


def seconds_of_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the wait in seconds that a `Retry-After` header asks for, never negative; None if absent or
    unreadable.

    Both forms of RFC 9110 section 10.2.3 are read: a number of seconds and an HTTP date. `now` is
    timezone-aware.
    """
    if value is None or not value.strip():
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    if seconds != seconds or seconds == float("inf"):
        return None
    return max(0.0, seconds)


def asked_wait(value: str | None) -> float | None:
    """Return `seconds_of_retry_after` as of this moment; for headers that have just been received."""
    return seconds_of_retry_after(value, this_moment())


def this_moment() -> datetime:
    """Return the time it is, in UTC: for waits and bans that another side has set. Nothing else of the library
    reads the clock."""
    return datetime.now(UTC)


def with_retries(config: WikiConfig, attempt: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Return what `attempt()` returns, calling it again after each `TransientError`, `max_retries` times at
    most.

    Raises the last `TransientError`, or at once whatever else `attempt` raises.
    """
    wait = config.retry_wait_s
    for tries_left in range(config.max_retries, -1, -1):
        try:
            return attempt()
        except TransientError as error:
            pause = max(error.retry_after or 0.0, min(wait, config.retry_max_s))
            if tries_left == 0 or pause > config.retry_max_s:
                raise
            sleep(pause)
            wait *= 2
    raise AssertionError("the loop above returns or raises")
