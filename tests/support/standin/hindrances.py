"""The errors of writing, in the words of the recorded wiki.

Wikibase wraps what stops a save into `failed-save` and names the cause in `messages`; MediaWiki's own modules say it
as the code. With `errorformat=plaintext` every cause is an entry of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.standin.answers import ApiFailure, Message
from tests.support.standin.rules import Block

Json = dict[str, Any]
SAVE_FAILED = Message("wikibase-api-failed-save", "The save has failed.", code="failed-save")
PERMISSION_ERROR = Message("permissionserrors", "Permission error")
TOO_OFTEN = (
    "As an anti-abuse measure, you are limited from performing this action too many times in a short space of time, "
    "and you have exceeded this limit.\nPlease try again in a few minutes."
)
RATE_LIMIT = "You've exceeded your rate limit. Please wait some time and try again."
CRASH_ID = "71a7f9819ae2bc89585e79d2"
FILTERED = (
    "This action has been automatically identified as harmful, and therefore disallowed.\nIf you believe your action "
    "was constructive, please inform an administrator of what you were trying to do.\nA brief description of the "
    "abuse rule which your action matched is: "
)
FILTER_WARNS = (
    "<b>Warning:</b> This action has been automatically identified as harmful.\nUnconstructive actions will be "
    "quickly reverted,\nand egregious or repeated unconstructive editing will result in your account or IP address "
    "being blocked.\nIf you believe this action to be constructive, you may submit it again to confirm it.\nA brief "
    "description of the abuse rule which your action matched is: "
)


@dataclass(frozen=True)
class Hindrance:
    """What stops a save: its messages, its code in MediaWiki's own modules, and entries that plaintext adds."""

    messages: tuple[Message, ...]
    core: ApiFailure
    entries: tuple[Json, ...] = field(default=())


def failed_save(hindrance: Hindrance) -> ApiFailure:
    """The hindrance as Wikibase's modules say it."""
    messages = (SAVE_FAILED, *hindrance.messages)
    return ApiFailure("failed-save", SAVE_FAILED.html, messages=messages, entries=hindrance.entries)


def wikibase_error(code: str, info: str, name: str | None = None, parameters: tuple[Any, ...] = ()) -> ApiFailure:
    """An error of Wikibase's modules, which comes with its one message."""
    return ApiFailure(code, info, messages=(Message(name or f"wikibase-api-{code}", info, parameters, code),))


def no_such_page_entity(entity_id: str) -> ApiFailure:
    """There is no page that could carry this entity; the message that Wikibase names here does not exist."""
    return wikibase_error("no-such-entity", "⧼no-such-entity⧽", "no-such-entity", (entity_id,))


def item_missing(qid: str) -> ApiFailure:
    """A statement names an item that is not there."""
    link = f"[[Item:{qid}|{qid}]]"
    address = f"/w/index.php?title=Item:{qid}&amp;action=edit&amp;redlink=1"
    html = f'<a href="{address}" class="new" title="Item:{qid} (page does not exist)">{qid}</a> not found'
    message = Message("wikibase-validator-no-such-entity", html, (link,), "modification-failed")
    return ApiFailure("modification-failed", f"{link} not found", messages=(message,))


def edit_conflict() -> ApiFailure:
    """Somebody touched the same statement since the base revision."""
    info = "Edit conflict. Could not patch the current revision."
    first = Message("wikibase-api-editconflict", info, code="editconflict")
    second = Message("edit-conflict", "Edit conflict.", code="editconflict")
    return ApiFailure("editconflict", info, messages=(first, second))


def late_conflict() -> Hindrance:
    """Somebody saved between this edit's last look and its own save."""
    return Hindrance((Message("edit-conflict", "Edit conflict."),), ApiFailure("editconflict", "Edit conflict."))


def slot_exists() -> Hindrance:
    """Two first edits of one file's entity at the same moment."""
    said = "Can't create slot, it already exists: mediainfo"
    message = Message("internalerror_info", f"Internal error: {said}", (said,))
    return Hindrance((message,), ApiFailure("internalerror", f"Internal error: {said}"))


def crash(error_class: str) -> ApiFailure:
    """An exception that the wiki did not catch: no documentation reference, no module."""
    code, info = f"internal_api_error_{error_class}", f"[{CRASH_ID}] Caught exception of type {error_class}"
    return ApiFailure(code, info, {"errorclass": error_class}, is_crash=True)


def throttled() -> Hindrance:
    """The author has edited too often."""
    entry = {"code": "ratelimited", "text": RATE_LIMIT}
    message = Message("actionthrottledtext", TOO_OFTEN, code="ratelimited")
    return Hindrance((message,), ratelimited(), (entry,))


def ratelimited() -> ApiFailure:
    """The same in MediaWiki's own modules."""
    return ApiFailure("ratelimited", RATE_LIMIT)


def protected() -> Hindrance:
    """The page is protected."""
    html = "This page has been protected to prevent editing or other actions."
    message = Message("protectedpagetext", html, ("editprotected", "edit"), "protectedpage")
    core = ApiFailure("protectedpage", html)
    return Hindrance((message, PERMISSION_ERROR), core)


def filtered(name: str, number: int) -> Hindrance:
    """An edit filter forbids the edit."""
    html = FILTERED + name
    message = Message("abusefilter-disallowed", html, (name, str(number)))
    return Hindrance((message,), ApiFailure("abusefilter-disallowed", html))


def filter_warning(name: str, number: int) -> Hindrance:
    """An edit filter warns; the same edit a second time is let through."""
    html = FILTER_WARNS + name
    message = Message("abusefilter-warning", html, (name, str(number)))
    return Hindrance((message,), ApiFailure("abusefilter-warning", html))


# ---- blocks


def blocked(sitename: str, username: str, block: Block) -> Hindrance:
    """The author is blocked."""
    since, until = spelled(block.since), spelled(block.until)
    by, whom = f"\u202a{block.by}\u202c", f"\u202a{username}\u202c"
    link = f"[[User:{block.by}|{by}]]"
    parameters = (link, block.reason, "127.0.0.1", by, block.number, until, whom, since)
    html = _block_html(sitename, by, whom, block)
    text = _block_text(sitename, link, whom, block)
    message = Message("blockedtext", html, parameters, "blocked", text)
    entry = {"code": "blocked", "text": text, "data": {"blockinfo": block_info(block)}}
    core = ApiFailure("blocked", text, {"blockinfo": block_info(block)})
    return Hindrance((message, PERMISSION_ERROR), core, (entry,))


def block_info(block: Block) -> Json:
    """A block as `blockinfo` and `meta=userinfo` tell it."""
    return {
        "blockid": block.number,
        "blockedby": block.by,
        "blockedbyid": 1,
        "blockreason": block.reason,
        "blockedtimestamp": block.since,
        "blockexpiry": block.until,
        "blockpartial": False,
        "blocknocreate": False,
        "blockanononly": False,
        "blockemail": False,
        "blockowntalk": True,
        "blockedtimestampformatted": spelled(block.since),
        "blockexpiryformatted": spelled(block.until),
        "blockexpiryrelative": spelled(block.until),
    }


def spelled(moment: str) -> str:
    """`2026-11-21T01:25:30Z` -> `01:25, 21 November 2026`; other words (infinity) stay."""
    if not re.match(r"\d{4}-", moment):
        return moment
    at = datetime.fromisoformat(moment)
    return f"{at:%H:%M}, {at.day} {at:%B} {at.year}"


def _red_link(page: str, label: str) -> str:
    address = f"/w/index.php?title={page.replace(' ', '_')}&amp;action=edit&amp;redlink=1"
    return f'<a href="{address}" class="new" title="{page} (page does not exist)">{label}</a>'


def _block_html(sitename: str, by: str, whom: str, block: Block) -> str:
    user = _red_link(f"User:{block.by}", by)
    admins = _red_link(f"{sitename}:Administrators", "administrator")
    preferences = '<a href="/wiki/Special:Preferences" title="Special:Preferences">preferences</a>'
    return (
        "<p><strong>Your username or IP address has been blocked.</strong>\n</p>"
        f"<p>The block was made by {user}.\nThe reason given is <em>{block.reason}</em>.\n</p>\n"
        f"<ul><li>Start of block: {spelled(block.since)}</li>\n<li>Expiration of block: {spelled(block.until)}</li>\n"
        f"<li>Intended blockee: {whom}</li></ul>\n"
        f"<p>You can contact {user} or another {admins} to discuss the block.\n"
        f'You can use the "Email this user" feature if a valid email address is specified in your {preferences} and '
        "you have not been blocked from using it.\n"
        f"Your current IP address is 127.0.0.1. Block ID #{block.number}.\n"
        "Please include all above details in any queries you make.\n</p>"
    )


def _block_text(sitename: str, link: str, whom: str, block: Block) -> str:
    return (
        f"Your username or IP address has been blocked. The block was made by {link}. "
        f"The reason given is {block.reason}. *Start of block: {spelled(block.since)} "
        f"*Expiration of block: {spelled(block.until)} *Intended blockee: {whom} "
        f"You can contact {link} or another [[{sitename}:Administrators|administrator]] to discuss the block. "
        'You can use the "Email this user" feature if a valid email address is specified in your '
        "[[Special:Preferences|preferences]] and you have not been blocked from using it. "
        f"Your current IP address is 127.0.0.1. Block ID #{block.number}. "
        "Please include all above details in any queries you make."
    )
