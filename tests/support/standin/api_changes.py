"""What `list=recentchanges` and `list=logevents` say, out of the world's journal.

Recent changes go back `KEPT_DAYS` from the wiki's own time. A row whose action is hidden shows neither title nor
page; hidden people and comments leave a mark (https://www.mediawiki.org/wiki/API:RecentChanges, API:Logevents).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.api_lists import BAD_CONTINUE, Continuation, namespace_of
from tests.support.standin.journal import Change
from tests.support.standin.world import Revision, World, normal_title

Json = dict[str, Any]
KEPT_DAYS = 30
RC_PROPS = ("user", "comment", "flags", "timestamp", "title", "ids", "sizes", "tags", "loginfo")
LE_PROPS = ("ids", "title", "type", "user", "timestamp", "comment", "details", "tags")


def list_recent_changes(request: ApiRequest, left: Continuation) -> Json:
    """`list=recentchanges`."""
    parts = request.choice("recentchanges", "rcprop", RC_PROPS, "title|timestamp|ids")
    kinds = request.choice("recentchanges", "rctype", ("edit", "new", "log", "categorize", "external"), "edit|new|log")
    spaces = {int(one) for one in request.values("rcnamespace")}
    oldest = _before(request.world.now, KEPT_DAYS)
    rows = [
        one
        for one in request.world.journal.changes
        if one.kind in kinds and (not spaces or one.ns in spaces) and one.timestamp >= oldest
    ]
    shown = _page_of(request, "recentchanges", "rc", rows, lambda one: one.rcid, left)
    return {"recentchanges": [_recent(request.world, one, parts) for one in shown]}


def list_log_events(request: ApiRequest, left: Continuation) -> Json:
    """`list=logevents`, of all pages or of the title `letitle`."""
    parts = request.choice("logevents", "leprop", LE_PROPS, "ids|title|type|user|timestamp|comment|details")
    title, kind, action = request.text("letitle"), request.text("letype"), request.text("leaction")
    wanted = None if title is None else normal_title(title)
    if wanted is not None and (not wanted or re.search(r"[<>\[\]|{}#]", wanted)):
        raise ApiFailure("invalidtitle", f'Bad title "{title}".')
    rows = [
        one
        for one in request.world.journal.changes
        if one.kind == "log"
        and (wanted is None or (one.title == wanted and "action" not in one.hidden))
        and kind in (None, one.log_type)
        and action in (None, f"{one.log_type}/{one.log_action}")
    ]
    shown = _page_of(request, "logevents", "le", rows, lambda one: one.log_id, left)
    return {"logevents": [_log_event(request.world, one, parts) for one in shown]}


def _page_of(
    request: ApiRequest,
    module: str,
    prefix: str,
    rows: list[Change],
    number: Callable[[Change], int],
    left: Continuation,
) -> list[Change]:
    """The rows between the times asked for, in the order asked for, from the place to go on at, up to the limit."""
    newer = request.text(f"{prefix}dir") == "newer"
    low, high = (f"{prefix}start", f"{prefix}end") if newer else (f"{prefix}end", f"{prefix}start")
    since, until = request.text(low), request.text(high)
    rows = [one for one in rows if (not since or one.timestamp >= since) and (not until or one.timestamp <= until)]

    def place(change: Change) -> tuple[str, int]:
        return change.timestamp, number(change)

    rows.sort(key=place, reverse=not newer)
    echoed = request.text(f"{prefix}continue")
    if echoed is not None:
        begin = _place_of_cursor(echoed)
        rows = [one for one in rows if place(one) == begin or (place(one) > begin) == newer]
    limit = request.limit(module, f"{prefix}limit")
    if len(rows) > limit:
        moment, last = place(rows[limit])
        left.modules[module] = {f"{prefix}continue": f"{re.sub('[^0-9]', '', moment)}|{last}"}
    return rows[:limit]


def _place_of_cursor(cursor: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\|(\d+)", cursor)
    if found is None:
        raise ApiFailure("badcontinue", BAD_CONTINUE)
    year, month, day, hour, minute, second, number = found.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z", int(number)


def _before(moment: str, days: int) -> str:
    return (datetime.fromisoformat(moment) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _recent(world: World, change: Change, parts: list[str]) -> Json:
    closed = "action" in change.hidden
    body: Json = {"type": change.kind}
    if closed:
        body["actionhidden"] = True
    elif "title" in parts:
        body |= {"ns": change.ns, "title": change.title}
    if "ids" in parts:
        numbers = {"pageid": change.page_id, "revid": change.revid, "old_revid": change.old_revid}
        body |= {**({} if closed else numbers), "rcid": change.rcid}
    body |= _person(change, parts)
    if "flags" in parts:
        revision = _revision(world, change)
        is_bot = revision is not None and revision.is_bot
        body |= {"bot": is_bot, "new": change.kind == "new", "minor": False}
    body |= _words(change, parts)
    if "loginfo" in parts and change.kind == "log" and not closed:
        body |= {"logid": change.log_id, "logtype": change.log_type, "logaction": change.log_action}
        body["logparams"] = dict(change.params)
    if "tags" in parts:
        body["tags"] = _tags(world, change)
    return body | ({"suppressed": True} if change.suppressed else {})


def _log_event(world: World, change: Change, parts: list[str]) -> Json:
    closed = "action" in change.hidden
    body: Json = {"logid": change.log_id} if "ids" in parts else {}
    if closed:
        body["actionhidden"] = True
    elif "title" in parts:
        body |= {"ns": namespace_of(change.title), "title": change.title}
    if "ids" in parts and not closed:
        body |= {"pageid": world.titles.get(change.title, 0), "logpage": change.page_then}
    if "details" in parts and not closed:
        body["params"] = dict(change.params)
    if "type" in parts:
        body |= {"type": change.log_type, "action": change.log_action}
    body |= _person(change, parts) | _words(change, parts)
    if "tags" in parts:
        body["tags"] = []
    return body | ({"suppressed": True} if change.suppressed else {})


def _person(change: Change, parts: list[str]) -> Json:
    if "user" not in parts:
        return {}
    return {"userhidden": True} if "user" in change.hidden else {"user": change.user}


def _words(change: Change, parts: list[str]) -> Json:
    body: Json = {"timestamp": change.timestamp} if "timestamp" in parts else {}
    if "comment" in parts:
        body |= {"commenthidden": True} if "comment" in change.hidden else {"comment": change.comment}
    return body


def _revision(world: World, change: Change) -> Revision | None:
    page = world.pages.get(change.page_id)
    found = (one for one in page.revisions if one.revid == change.revid) if page and change.revid else iter(())
    return next(found, None)


def _tags(world: World, change: Change) -> list[str]:
    revision = _revision(world, change)
    return list(revision.tags) if revision is not None else []
