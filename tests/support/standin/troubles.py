"""How each ordered fault looks on the wire.

A plan says what to send instead of, or with, the right answer; the server carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.support.standin import hindrances
from tests.support.standin.answers import ApiFailure, maxlag_failure, readonly_failure
from tests.support.standin.api import Answer
from tests.support.standin.calls import Trouble

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
BLOCK = b"\xff\xd8" + b"\x00" * 65534
GATEWAY_PAGE = (
    "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Wikimedia Error</title>"
    "<h1>Error</h1><p>Our servers are currently under maintenance or experiencing a technical issue.</p></html>"
)
JAVA_TIMEOUT = "SPARQL-QUERY: queryStr=...\njava.util.concurrent.TimeoutException\n\tat java.util.concurrent.FutureTask"


# With these the wiki behind never hears of the request, so that a write is not carried out.
NEVER_ANSWERED = frozenset(
    {
        *("429", "429-no-retry-after", "500-timeout", "502-html", "503-html", "403-banned", "404", "redirect"),
        *("text-200", "empty-200", "not-an-image", "timeout", "hang", "drop-connection"),
    }
)
API_FAULTS: Mapping[str, Callable[[], ApiFailure]] = {
    "maxlag": lambda: maxlag_failure(7.5, 5),
    "readonly": readonly_failure,
    "badtoken": lambda: ApiFailure("badtoken", "Invalid CSRF token."),
    "ratelimited": hindrances.ratelimited,
    "throttled": lambda: hindrances.failed_save(hindrances.throttled()),
    "editconflict": hindrances.edit_conflict,
    "edit-conflict": lambda: hindrances.failed_save(hindrances.late_conflict()),
    "slot-exists": lambda: hindrances.failed_save(hindrances.slot_exists()),
}


@dataclass(frozen=True)
class Plan:
    """What the server shall do: wait, then send an answer (cut after `cut` bytes), or an endless body, or nothing."""

    answer: Answer | None
    wait_s: float = 0.0
    cut: int | None = None
    endless: bool = False
    declared_length: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


def api_refusal(trouble: Trouble | None) -> ApiFailure | None:
    """The API error for a fault that MediaWiki itself would report, else None."""
    if trouble is None or trouble.fault not in API_FAULTS:
        return None
    return API_FAULTS[trouble.fault]()


def plan(trouble: Trouble, right: Answer) -> Plan:
    """Turn a trouble into what goes over the wire; `right` is the answer that would have been given."""
    fault = trouble.fault
    replacement = _replacement(trouble)
    if replacement is not None:
        return Plan(replacement)
    if fault in API_FAULTS:
        return Plan(right)
    if fault == "slow":
        return Plan(right, wait_s=trouble.seconds)
    if fault in ("timeout", "hang", "applied-then-hang"):
        return Plan(None, wait_s=trouble.seconds)
    if fault in ("drop-connection", "applied-then-dropped"):
        return Plan(None)
    if fault == "broken-json":
        return Plan(replace(right, body=right.body[: max(1, len(right.body) // 2)]))
    if fault == "200-then-timeout":
        return Plan(replace(right, body=right.body[: len(right.body) // 2] + JAVA_TIMEOUT.encode()))
    if fault == "damaged-image":
        return Plan(replace(right, body=right.body[: len(right.body) // 2]))
    if fault == "truncated-image":
        return Plan(right, cut=len(right.body) // 2)
    if fault == "endless-image":
        return Plan(replace(right, body=BLOCK), endless=True)
    if fault == "enormous-image":
        return Plan(replace(right, body=BLOCK), endless=True, declared_length=3_000_000_000)
    raise ValueError(f"no plan for {fault}")


def _replacement(trouble: Trouble) -> Answer | None:
    """The answers that do not depend on the right one."""
    retry = {"Retry-After": trouble.retry_after}
    too_many = "Too many requests. Please respect our robot policy."
    answers = {
        "429": Answer(too_many.encode(), 429, TEXT, retry),
        "429-no-retry-after": Answer(too_many.encode(), 429, TEXT),
        "500-timeout": Answer(JAVA_TIMEOUT.encode(), 500, TEXT),
        "502-html": Answer(GATEWAY_PAGE.encode(), 502, HTML),
        "applied-then-502": Answer(GATEWAY_PAGE.encode(), 502, HTML),
        "503-html": Answer(GATEWAY_PAGE.encode(), 503, HTML),
        "403-banned": Answer(b"You have been banned until 2036-01-01T00:00:00Z, please respect throttling.", 403, TEXT),
        "text-200": Answer(b"Please set a user-agent and respect our robot policy.", 200, TEXT),
        "empty-200": Answer(b"", 200, "application/json; charset=utf-8"),
        "not-an-image": Answer(GATEWAY_PAGE.encode(), 200, HTML),
        "404": Answer(GATEWAY_PAGE.encode(), 404, HTML),
        "redirect": Answer(b"", 302, HTML, {"Location": trouble.location}),
    }
    return answers.get(trouble.fault)
