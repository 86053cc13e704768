"""Lists of what an account did: `list=usercontribs` and `list=allimages` (by uploader and time)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from tests.support.standin import files
from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.api_lists import BAD_CONTINUE, Continuation
from tests.support.standin.files import StoredFile
from tests.support.standin.world import Page, Revision

Json = dict[str, Any]
UCPROPS = ("ids", "title", "timestamp", "comment", "parsedcomment", "size", "sizediff", "flags", "patrolled", "tags")


def _stamp(moment: str) -> str:
    return re.sub("[^0-9]", "", moment)


def list_user_contributions(request: ApiRequest, left: Continuation) -> Json:
    """`list=usercontribs`: the edits of some accounts, newest first (or oldest with `ucdir=newer`)."""
    users = request.values("ucuser")
    if not users:
        raise ApiFailure("missingparam", 'One of the parameters "ucuser" and "ucuserids" is required.')
    parts = request.choice("usercontribs", "ucprop", UCPROPS, "ids|title|timestamp|comment|size|flags")
    spaces, tag = {int(part) for part in request.values("ucnamespace")}, request.text("uctag")
    newer, limit = request.text("ucdir") == "newer", request.limit("usercontribs", "uclimit")
    low, high = ("ucstart", "ucend") if newer else ("ucend", "ucstart")
    since, until = request.text(low), request.text(high)
    rows = [
        (page, one)
        for page in request.world.pages.values()
        for one in page.revisions
        if one.user in users
        and (not spaces or page.ns in spaces)
        and (tag is None or tag in one.tags)
        and (since is None or one.timestamp >= since)
        and (until is None or one.timestamp <= until)
    ]
    rows.sort(key=lambda row: (row[1].timestamp, row[1].revid), reverse=not newer)
    start = _start(request, "uccontinue", [f"{_stamp(one.timestamp)}|{one.revid}" for _, one in rows])
    if start + limit < len(rows):
        following = rows[start + limit][1]
        left.modules["usercontribs"] = {"uccontinue": f"{_stamp(following.timestamp)}|{following.revid}"}
    return {"usercontribs": [_contribution(request, page, one, parts) for page, one in rows[start : start + limit]]}


def _start(request: ApiRequest, name: str, places: list[str]) -> int:
    echoed = request.text(name)
    if echoed is None:
        return 0
    if echoed not in places:
        raise ApiFailure("badcontinue", BAD_CONTINUE)
    return places.index(echoed)


def _contribution(request: ApiRequest, page: Page, revision: Revision, parts: list[str]) -> Json:
    person = request.world.people.get(revision.user)
    values: dict[str, Json] = {
        "ids": {"pageid": page.page_id, "revid": revision.revid, "parentid": revision.parentid},
        "title": {"ns": page.ns, "title": page.title},
        "timestamp": {"timestamp": revision.timestamp},
        "comment": {"comment": revision.comment},
        "size": {"size": revision.size(page.page_id)},
        "flags": {
            "new": revision.parentid == 0,
            "minor": False,
            "top": revision.revid == page.latest.revid,
        },
        "tags": {"tags": list(revision.tags)},
    }
    body: Json = {"userid": int(person.sub) if person is not None else 0, "user": revision.user}
    for part in parts:
        body |= values.get(part, {})
    return body


def list_all_images(request: ApiRequest, left: Continuation) -> Json:
    """`list=allimages`: files by name, or with `aisort=timestamp` by the time of their upload and perhaps by user."""
    user, by_time = request.text("aiuser"), request.text("aisort") == "timestamp"
    if user is not None and not by_time:
        info = "The parameter aiuser can only be used with aisort=timestamp."
        raise ApiFailure("badparams", info)
    request.choice("allimages", "aiprop", ("timestamp", "url"), "timestamp|url")
    limit = request.limit("allimages", "ailimit")
    rows = [
        (page, page.file)
        for page in request.world.pages.values()
        if page.file is not None and user in (None, page.file.uploader)
    ]
    rows.sort(key=lambda row: (row[1].uploaded_at if by_time else "", files.file_key(row[0].title)))
    start = _start(request, "aicontinue", [_place(page, stored, by_time) for page, stored in rows])
    if start + limit < len(rows):
        left.modules["allimages"] = {"aicontinue": _place(*rows[start + limit], by_time)}
    return {"allimages": [_image(request, page, stored) for page, stored in rows[start : start + limit]]}


def _place(page: Page, stored: StoredFile, by_time: bool) -> str:
    key = files.file_key(page.title)
    return f"{_stamp(stored.uploaded_at)}|{key}" if by_time else key


def _image(request: ApiRequest, page: Page, stored: StoredFile) -> Json:
    base, key = request.base_url, files.file_key(page.title)
    return {
        "name": key,
        "timestamp": stored.uploaded_at,
        "url": f"{base}{files.original_path(page.title)}",
        "descriptionurl": f"{base}/wiki/File:{quote(key)}",
        "descriptionshorturl": f"{base}/w/index.php?curid={page.page_id}",
        "ns": page.ns,
        "title": page.title,
    }
