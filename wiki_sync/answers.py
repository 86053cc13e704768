"""What the wiki's answer to a write means: one word for what to do next.

Pure. Wikibase says most refusals as `failed-save` and names the cause in `messages`, and the `MediaWiki-API-Error`
header names it once more, in the API's own codes; both are read. Sources:
https://www.mediawiki.org/wiki/API:Errors_and_warnings and recorded answers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from wiki_sync.retry import asked_wait
from wiki_sync.wire import WireAnswer

MAX_BODY = 4000


class OutcomeKind(StrEnum):
    """What became of a write, and so what may be done next."""

    WRITTEN = "written"
    """Done; the revision says where."""
    NOCHANGE = "nochange"
    """The wiki said exactly this already."""
    DUPLICATE = "duplicate"
    """Not done: a statement with this value is there, ours or somebody else's."""
    REREAD = "reread"
    """Not done: somebody was there first. Read again, decide again."""
    LATER = "later"
    """Not done: the wiki is busy. The same may be tried again."""
    UNKNOWN = "unknown"
    """Done or not: no readable answer came. Read, and look for our statement, before anything else."""
    SIGNED_OUT = "signed_out"
    """Not done: the account has to sign in again."""
    ACCOUNT_BLOCKED = "account_blocked"
    """Not done: the account is blocked."""
    REFUSED = "refused"
    """Not done, and the same would be refused again."""
    WARNED = "warned"
    """Not done: an edit filter wants a person to think twice. The same once more would pass."""
    GONE = "gone"
    """Not done: there is no such file any more."""


@dataclass(frozen=True)
class Outcome:
    """One write's end.

    `code` is the API's error code ("http-502" where there was none, "" where all went well), `names` are the
    wiki's names of the causes, `info` is its explanation in English. `revision` is the one that the write became.
    `retry_after` is in seconds. `patched` means that somebody else changed the file after the revision that the
    write was based on. `body` is the answer, cut to `MAX_BODY` characters.
    """

    kind: OutcomeKind
    code: str = ""
    names: tuple[str, ...] = ()
    info: str = ""
    revision: int | None = None
    retry_after: float | None = None
    patched: bool = False
    body: str = field(default="", repr=False)


_SIGNED_OUT = ("assertuserfailed", "assertnameduserfailed", "notloggedin", "mwoauth-")
_BLOCKED = ("blocked", "autoblocked", "systemblocked", "globalblocking-", "wikimedia-globalblocking-")
_REREAD = (
    *("editconflict", "edit-conflict", "nosuchrevid", "edit-already-exists", "edit-gone-missing"),
    # Two first statements on one file at the same moment: one of the two saves finds the place taken.
    *("internal_api_error_Wikibase\\Lib\\Store\\BadRevisionException", "internalerror_info"),
)
_LATER = (
    *("maxlag", "readonly", "ratelimited", "actionthrottled", "badtoken", "lockmanager-fail-conflict"),
    *("internal_api_error_DBReadOnlyError", "internal_api_error_ReadOnlyError"),
)
# In this order; the first whose beginning fits one of an answer's codes and names is meant.
_MEANINGS: tuple[tuple[OutcomeKind, tuple[str, ...]], ...] = (
    (OutcomeKind.SIGNED_OUT, _SIGNED_OUT),
    (OutcomeKind.ACCOUNT_BLOCKED, _BLOCKED),
    (OutcomeKind.REREAD, _REREAD),
    (OutcomeKind.LATER, _LATER),
    (OutcomeKind.WARNED, ("abusefilter-warning",)),
    # An accident inside the wiki: what was saved before it, nobody has told.
    (OutcomeKind.UNKNOWN, ("internal_api_error_",)),
)
_PATCHED = "wikibase-conflict-patched"
_DUPLICATE = ("wikibase-setclaim-warning-duplicatemainsnak", "Duplicate main snak detected")


def classify(answer: WireAnswer, baserevid: int | None = None) -> Outcome:
    """Return what the answer to a write means.

    A success that names `baserevid` itself as its revision changed nothing.
    """
    wait = asked_wait(answer.headers.get("retry-after"))
    text = answer.text[:MAX_BODY]
    body = answer.body or {}
    errors = _errors(body)
    if answer.body is None or (not errors and answer.status != 200):
        return Outcome(_of_status(answer.status), f"http-{answer.status}", retry_after=wait, body=text)
    if not errors:
        return _of_success(body, baserevid, text)
    code = str(errors[0].get("code", ""))
    names = _names(errors)
    said = (code, *(str(one.get("code", "")) for one in errors), *names, *_codes_of_header(answer.headers))
    kind = _of_words(code, names, said)
    info = str(errors[0].get("info") or errors[0].get("text") or "")
    return Outcome(kind, code, names, info, retry_after=wait, body=text)


def _of_status(status: int) -> OutcomeKind:
    """Return what an answer means that does not come from the API: from a gateway, or cut off on its way."""
    if status in (408, 429):
        return OutcomeKind.LATER
    # A refusal of the gateway (4xx, a redirect) never reached the wiki.
    return OutcomeKind.REFUSED if 300 <= status < 500 else OutcomeKind.UNKNOWN


def _of_words(code: str, names: tuple[str, ...], said: Iterable[str]) -> OutcomeKind:
    words = tuple(said)
    for kind, beginnings in _MEANINGS:
        if any(word.startswith(beginnings) for word in words):
            return kind
    # The same code with another message name says that a property is missing.
    if code == "no-such-entity" and "no-such-entity" in names:
        return OutcomeKind.GONE
    return OutcomeKind.REFUSED if code else OutcomeKind.UNKNOWN


def _of_success(body: Mapping[str, Any], baserevid: int | None, text: str) -> Outcome:
    warnings = list(_warnings(body))
    if body.get("success") != 1:
        is_duplicate = any(sign in warning for warning in warnings for sign in _DUPLICATE)
        return Outcome(OutcomeKind.DUPLICATE if is_duplicate else OutcomeKind.UNKNOWN, body=text)
    revision = _revision(body)
    if revision is None:
        return Outcome(OutcomeKind.UNKNOWN, body=text)
    entity = body.get("entity")
    unchanged = revision == baserevid or (isinstance(entity, Mapping) and entity.get("nochange", False) is not False)
    kind = OutcomeKind.NOCHANGE if unchanged else OutcomeKind.WRITTEN
    return Outcome(kind, revision=revision, patched=_PATCHED in warnings, body=text)


def _revision(body: Mapping[str, Any]) -> int | None:
    for part in (body.get("pageinfo"), body.get("entity")):
        if isinstance(part, Mapping) and isinstance(part.get("lastrevid"), int):
            return int(part["lastrevid"])
    return None


def _errors(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the errors of an answer: one in the usual form, several with `errorformat=plaintext`."""
    found = [body["error"]] if "error" in body else body.get("errors") or []
    return _maps(found) or [{}] if found else []


def _names(errors: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of all causes, each once."""
    parts = [(one.get("messages"), one.get("data")) for one in errors]
    lists = [said or (data.get("messages") if isinstance(data, Mapping) else None) for said, data in parts]
    return tuple(dict.fromkeys(str(message["name"]) for one in lists for message in _maps(one) if "name" in message))


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _codes_of_header(headers: Mapping[str, str]) -> list[str]:
    return [code.strip() for code in headers.get("mediawiki-api-error", "").split(",") if code.strip()]


def _warnings(body: Mapping[str, Any]) -> Iterable[str]:
    """Yield the texts and names of all warnings, in the forms of both format versions."""
    warnings = body.get("warnings")
    for module in _maps(list(warnings.values())) if isinstance(warnings, Mapping) else ():
        for key in ("warnings", "*"):
            if key in module:
                yield str(module[key])
        for message in _maps(module.get("messages")):
            yield str(message.get("name", ""))
