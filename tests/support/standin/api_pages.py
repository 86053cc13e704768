"""What `prop=` says about pages: imageinfo, info, revisions, categoryinfo, categories."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.support.standin import files
from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.files import StoredFile
from tests.support.standin.world import NS_CATEGORY, NS_FILE, Page, Revision

Json = dict[str, Any]
IIPROPS = [
    "timestamp",
    "user",
    "userid",
    "comment",
    "parsedcomment",
    "canonicaltitle",
    "url",
    "size",
    "dimensions",
    "sha1",
    "mime",
    "thumbmime",
    "mediatype",
    "metadata",
    "commonmetadata",
    "extmetadata",
    "archivename",
    "bitdepth",
    "uploadwarning",
    "badfile",
]
RVPROPS = [
    "ids",
    "flags",
    "timestamp",
    "user",
    "userid",
    "size",
    "slotsize",
    "sha1",
    "slotsha1",
    "contentmodel",
    "comment",
    "parsedcomment",
    "content",
    "tags",
    "roles",
]

RV_SINGLE = ("rvlimit", "rvstartid", "rvendid", "rvstart", "rvend", "rvuser", "rvdir")


def imageinfo(request: ApiRequest, page: Page) -> Json:
    """`prop=imageinfo` of one page: where the file lies, how big it is, and a thumbnail of the width asked for."""
    parts = request.choice("imageinfo", "iiprop", tuple(IIPROPS), "timestamp|user")
    wanted = request.text("iiurlwidth")
    request.limit("imageinfo", "iilimit", 1)
    target = request.world.page_by_title(page.redirect_to) if page.redirect_to else page
    if page.ns != NS_FILE:
        return {}
    if target is None or target.file is None:
        return {"imagerepository": ""}
    stored = target.file
    mime = files.mime_of(target.title)
    size: Json = {"size": stored.byte_count, "width": stored.size[0], "height": stored.size[1]}
    if mime in ("image/tiff", "application/pdf"):
        size["pagecount"] = 1
    values: dict[str, Callable[[], Json]] = {
        "timestamp": lambda: {"timestamp": stored.uploaded_at},
        "user": lambda: {"user": stored.uploader},
        "comment": lambda: {"comment": ""},
        "canonicaltitle": lambda: {"canonicaltitle": target.title},
        "size": lambda: size,
        "dimensions": lambda: size,
        "url": lambda: _addresses(request, target, stored, int(wanted) if wanted and wanted.isdigit() else None),
        "sha1": lambda: {"sha1": stored.sha1},
        "extmetadata": lambda: {"extmetadata": _extmetadata(request, target, stored)},
        "mime": lambda: {"mime": mime},
        "mediatype": lambda: {"mediatype": "DRAWING" if mime == "image/svg+xml" else "BITMAP"},
    }
    body: Json = {}
    for part, value in values.items():
        body |= value() if part in parts else {}
    return {"imagerepository": "local", "imageinfo": [body]}


def _addresses(request: ApiRequest, page: Page, stored: StoredFile, wanted: int | None) -> Json:
    base = request.base_url
    body: Json = {}
    if wanted and stored.size[0]:
        width = files.step_width(wanted, request.world.thumb_steps)
        if width >= stored.size[0] and files.extension(page.title) not in ("svg", "tif", "tiff"):
            original = f"{base}{files.original_path(page.title)}"
            body = {"thumburl": original, "thumbwidth": stored.size[0], "thumbheight": stored.size[1]}
        else:
            body = {
                "thumburl": f"{base}{files.thumb_path(page.title, width)}",
                "thumbwidth": width,
                "thumbheight": files.scaled_height(stored.size, width),
                "responsiveUrls": {
                    name: f"{base}{files.thumb_path(page.title, _responsive(request, wanted, factor))}"
                    for name, factor in (("1.5", 1.5), ("2", 2.0))
                },
            }
    return body | {
        "url": f"{base}{files.original_path(page.title)}",
        "descriptionurl": f"{base}/wiki/File:{quote(files.file_key(page.title))}",
        "descriptionshorturl": f"{base}/w/index.php?curid={page.page_id}",
    }


def _responsive(request: ApiRequest, wanted: int, factor: float) -> int:
    return files.step_width(round(wanted * factor), request.world.thumb_steps)


def _extmetadata(request: ApiRequest, page: Page, stored: StoredFile) -> Json:
    """What CommonsMetadata gathers from the description page. Values are HTML exactly as uploaders wrote it."""
    words = stored.words
    name = words.object_name or page.title.split(":", 1)[1].rsplit(".", 1)[0]
    found: dict[str, str | None] = {
        "ImageDescription": words.description_html,
        "DateTimeOriginal": words.date_html,
        "Credit": words.credit_html,
        "Artist": words.artist_html,
        "LicenseShortName": words.licence,
        "UsageTerms": words.licence,
        "LicenseUrl": words.licence_url,
        "License": words.licence.lower().replace(" ", "-") if words.licence else None,
    }
    body: Json = {
        "DateTime": {"value": stored.uploaded_at, "source": "mediawiki-metadata", "hidden": ""},
        "ObjectName": {"value": name, "source": "commons-desc-page" if words.object_name else "mediawiki-metadata"},
    }
    if any(found.values()):
        categories = "|".join(title.split(":", 1)[1] for title in page.categories)
        body["Categories"] = {"value": categories, "source": "commons-categories", "hidden": ""}
        body |= {key: {"value": value, "source": "commons-desc-page"} for key, value in found.items() if value}
    chosen = request.values("iiextmetadatafilter", limit=500)
    request.text("iiextmetadatalanguage")
    request.text("iiextmetadatamultilang")
    return {key: value for key, value in body.items() if not chosen or key in chosen}


def info(request: ApiRequest, page: Page) -> Json:
    """`prop=info`: model, language, latest revision, redirect and new marks; protection and addresses on wish."""
    parts = request.choice("info", "inprop", ("protection", "talkid", "url", "displaytitle"), "")
    model = {120: "wikibase-item", 122: "wikibase-property"}.get(page.ns, "wikitext")
    body: Json = {
        "contentmodel": model,
        "pagelanguage": "en",
        "pagelanguagehtmlcode": "en",
        "pagelanguagedir": "ltr",
        "touched": page.latest.timestamp,
        "lastrevid": page.latest.revid,
        "length": len(page.latest.wikitext.encode()),
    }
    if page.redirect_to:
        body["redirect"] = True
    if len(page.revisions) == 1:
        body["new"] = True
    if "protection" in parts:
        rule = request.world.rules.protections.get(page.page_id)
        body["protection"] = [{"type": "edit", "level": rule.level, "expiry": rule.until}] if rule else []
        body["restrictiontypes"] = ["edit", "move", *(["upload"] if page.ns == NS_FILE else [])]
    if "url" in parts:
        address = f"{request.base_url}/wiki/{quote(page.title.replace(' ', '_'))}"
        edit = f"{request.base_url}/w/index.php?title={quote(page.title.replace(' ', '_'))}&action=edit"
        body |= {"fullurl": address, "editurl": edit, "canonicalurl": address}
    tests = request.values("intestactions")
    if tests:
        body["actions"] = {test: test != "edit" or may_edit(request, page) for test in tests}
    return body


def may_edit(request: ApiRequest, page: Page) -> bool:
    """Whether neither a block nor a protection keeps the one who asks from editing a page."""
    rule, person = request.world.rules.protections.get(page.page_id), request.person
    if person is not None and request.world.block_of(person.username):
        return False
    return rule is None or (person is not None and rule.level in person.groups)


def revisions(request: ApiRequest, page: Page, alone: bool) -> Json:
    """`prop=revisions`, newest first: one for each of several pages, or up to `rvlimit` of a page `alone`."""
    if not alone and any(name in request.params for name in RV_SINGLE):
        raise ApiFailure(
            "rvmultpages",
            "titles, pageids or a generator was used to supply multiple pages, but the limit, startid, endid, "
            "dirNewer, user, excludeuser, start, and end parameters may only be used on a single page.",
        )
    for name in ("rvsection", "rvtag", "rvexcludeuser", "rvparse"):
        if name in request.params:
            raise ApiFailure("standin-unsupported", f"the stand-in does not answer {name}")
    parts = request.choice("revisions", "rvprop", tuple(RVPROPS), "ids|timestamp|flags|comment|user")
    slots = request.choice("revisions", "rvslots", ("main", "mediainfo"), "")
    if "content" in parts and "rvslots" not in request.params:
        request.warn(
            "revisions",
            'Because "rvslots" was not specified, a legacy format has been used for the output. '
            "This format is deprecated, and in the future the new format will always be used.",
        )
    limit = request.limit("revisions", "rvlimit", 1 if not _asks_for_history(request) else 10)
    history = _history(request, page)
    asked = request.values("revids")
    if asked:  # these revisions and no others, oldest first
        history = [one for one in page.revisions if str(one.revid) in asked]
        return {"revisions": [_revision(page, one, parts, slots) for one in history]}
    if alone and _asks_for_history(request) and len(history) > limit:
        following = history[limit]
        moment = re.sub("[^0-9]", "", following.timestamp)
        request.following["revisions"] = {"rvcontinue": f"{moment}|{following.revid}"}
    return {"revisions": [_revision(page, revision, parts, slots) for revision in history[:limit]]}


def _asks_for_history(request: ApiRequest) -> bool:
    return any(name in request.params for name in RV_SINGLE)


def _history(request: ApiRequest, page: Page) -> list[Revision]:
    """The revisions in the order asked for, between the ids and times asked for, from the place to go on at."""
    newer = request.text("rvdir") == "newer"
    found = list(page.revisions) if newer else list(reversed(page.revisions))
    first, last = ("rvstart", "rvend") if newer else ("rvend", "rvstart")
    low, high = request.integer(f"{first}id"), request.integer(f"{last}id", sys.maxsize)
    since, until, user = request.text(first), request.text(last), request.text("rvuser")
    found = [
        revision
        for revision in found
        if low <= revision.revid <= high
        and (since is None or revision.timestamp >= since)
        and (until is None or revision.timestamp <= until)
        and (user is None or revision.user == user)
    ]
    echoed = request.text("rvcontinue")
    start = int(echoed.rpartition("|")[2]) if echoed else None
    return [one for one in found if start is None or (one.revid >= start if newer else one.revid <= start)]


def _revision(page: Page, revision: Revision, parts: list[str], slots: list[str]) -> Json:
    values: dict[str, Json] = {
        "ids": {"revid": revision.revid, "parentid": revision.parentid},
        "flags": {"minor": False},
        "user": {"userhidden": True} if "user" in revision.hidden else {"user": revision.user},
        "timestamp": {"timestamp": revision.timestamp},
        "size": {"size": revision.size(page.page_id)},
        "comment": {"commenthidden": True} if "comment" in revision.hidden else {"comment": revision.comment},
        "tags": {"tags": list(revision.tags)},
    }
    body: Json = {}
    for part in parts:
        body |= values.get(part, {})
    shows_slots = bool({"content", "contentmodel", "slotsize", "slotsha1"} & set(parts))
    if slots and shows_slots:
        body["slots"] = {slot: _slot(page, revision, slot, parts) for slot in slots if _has(revision, slot)}
    elif shows_slots:
        body |= _slot(page, revision, "main", parts)
    return body


def _has(revision: Revision, slot: str) -> bool:
    return slot == "main" or revision.entity is not None


def _slot(page: Page, revision: Revision, slot: str, parts: list[str]) -> Json:
    is_main = slot == "main"
    body: Json = {"contentmodel": "wikitext" if is_main else "wikibase-mediainfo"}
    if "content" in parts:
        body["contentformat"] = "text/x-wiki" if is_main else "application/json"
        body["content"] = revision.wikitext if is_main else revision.slot_json(page.page_id)
    return body


def categoryinfo(request: ApiRequest, page: Page) -> Json:
    """`prop=categoryinfo`: how many pages, files and subcategories a category has; nothing for other pages."""
    if page.ns != NS_CATEGORY:
        return {}
    return category_counts(request, page.title)


def category_counts(request: ApiRequest, title: str) -> Json:
    """The counts of a category, which may have members without having a page; `{}` if it has neither."""
    members = request.world.members(title)
    if not members and request.world.page_by_title(title) is None:
        return {}
    in_files = sum(1 for page in members if page.ns == NS_FILE)
    subcats = sum(1 for page in members if page.ns == NS_CATEGORY)
    counts = {"size": len(members), "pages": len(members) - in_files - subcats, "files": in_files, "subcats": subcats}
    return {"categoryinfo": {**counts, "hidden": False}}


def categories(request: ApiRequest, page: Page) -> Json:
    """`prop=categories`: the categories a page is in, all of them at once."""
    request.limit("categories", "cllimit", 10)
    request.choice("categories", "clprop", ("sortkey", "timestamp", "hidden"), "")
    if not page.categories:
        return {}
    return {"categories": [{"ns": NS_CATEGORY, "title": title} for title in sorted(page.categories)]}
