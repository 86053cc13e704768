"""Writing pages: edit, delete, undelete, move, upload. What stops them is MediaWiki's own code, not `failed-save`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.support.standin import auto_comments, saving
from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.api_meta import NAMESPACES
from tests.support.standin.api_pages import imageinfo
from tests.support.standin.api_writes import author_of
from tests.support.standin.files import file_key, original_path
from tests.support.standin.world import NS_FILE, Page, Revision, file_title, normal_title

Json = dict[str, Any]
SPACES = {name: number for number, name, _ in NAMESPACES if name}
NO_PERMISSION = "You don't have permission to do that: it is limited to users in the group administrators."
CONFLICT = "Edit conflict: someone else has changed the page since you started editing it."
UNDO_FAILED = "The edit could not be undone due to conflicting intermediate edits."


def _page_asked(request: ApiRequest, title_name: str = "title", id_name: str = "pageid") -> Page | None:
    """The page that a title or an id names; None if a title has no page yet."""
    title, number = request.text(title_name), request.text(id_name)
    if (title is None) == (number is None):
        info = f'One of the parameters "{title_name}" and "{id_name}" is required.'
        raise ApiFailure("missingparam", info)
    if title is not None:
        return request.world.page_by_title(normal_title(title))
    page = request.world.pages.get(request.integer(id_name))
    if page is None:
        raise ApiFailure("nosuchpageid", f"There is no page with ID {number}.")
    return page


def _existing(request: ApiRequest, title_name: str = "title", id_name: str = "pageid") -> Page:
    page = _page_asked(request, title_name, id_name)
    if page is None:
        raise ApiFailure("missingtitle", "The page you specified doesn't exist.")
    return page


def _check(request: ApiRequest, page: Page | None, title: str, summary: str, tags: Sequence[str]) -> None:
    """Raise ApiFailure if the author may not do this, in MediaWiki's own codes."""
    saving.check_tags(request.world, tags)
    number = page.page_id if page is not None else None
    found = saving.hindrance(request.world, number, title, author_of(request), summary)
    if found is not None:
        raise found.core


def _need_admin(request: ApiRequest) -> None:
    if request.person is None or "sysop" not in request.person.groups:
        raise ApiFailure("permissiondenied", NO_PERMISSION)


def edit(request: ApiRequest) -> Json:
    """`action=edit`: wikitext as a whole, before or behind what is there, or one revision undone."""
    page = _page_asked(request)
    title = page.title if page is not None else normal_title(request.need("title"))
    summary, tags = request.text("summary") or "", request.values("tags")
    if page is None and request.flag("nocreate"):
        raise ApiFailure("missingtitle", "The page you specified doesn't exist.")
    if page is not None and request.flag("createonly"):
        raise ApiFailure("articleexists", "The article you tried to create has been created already.")
    automatic, text = _new_text(request, page)
    _check(request, page, title, summary, tags)
    if page is None:
        return _created(request, title, text)
    if page.latest.wikitext == text:
        return {"edit": {**_edited(page, request), "nochange": True}}
    if automatic and not summary:
        summary = automatic
    old = page.latest.revid
    tags = [*author_of(request).tags, *tags, *(["mw-undo"] if automatic else [])]
    as_bot = request.flag("bot")
    revid = saving.save_revision(request.world, page, author_of(request), summary, tags, as_bot, wikitext=text)
    if automatic:
        saving.add_tag(page, request.integer("undo"), "mw-reverted")
    result = {"oldrevid": old, "newrevid": revid, "newtimestamp": page.latest.timestamp}
    return {"edit": {**_edited(page, request), **result}}


def _edited(page: Page, request: ApiRequest) -> Json:
    body: Json = {"result": "Success", "pageid": page.page_id, "title": page.title, "contentmodel": "wikitext"}
    return body | ({"watched": True} if request.person is not None else {})


def _created(request: ApiRequest, title: str, text: str) -> Json:
    space = SPACES.get(title.partition(":")[0], 0) if ":" in title else 0
    page = request.world.add_page(title, space, text, author_of(request).username)
    result = {"new": True, "oldrevid": 0, "newrevid": page.latest.revid, "newtimestamp": page.latest.timestamp}
    return {"edit": {**_edited(page, request), **result}}


def _new_text(request: ApiRequest, page: Page | None) -> tuple[str, str]:
    """(the wiki's own summary for an undo, the text that the page shall have)."""
    if page is not None and "undo" in request.params:
        undone = _revision(page, request.integer("undo"))
        after = request.integer("undoafter") or undone.parentid
        return auto_comments.of_undo(undone.revid, undone.user), _text_without(page, undone, _revision(page, after))
    whole, before, behind = (request.text(name) for name in ("text", "prependtext", "appendtext"))
    if whole is None and before is None and behind is None:
        info = 'One of the parameters "text", "appendtext", "prependtext" and "undo" is required.'
        raise ApiFailure("missingparam", info)
    if page is not None and whole is not None:
        _check_base(request, page)
    now = page.latest.wikitext if page is not None else ""
    return "", whole if whole is not None else f"{before or ''}{now}{behind or ''}"


def _check_base(request: ApiRequest, page: Page) -> None:
    """Raise ApiFailure `editconflict` if the text was changed since the revision that the client had read."""
    number, moment = request.integer("baserevid"), request.text("basetimestamp")
    request.text("starttimestamp")
    base = _revision(page, number) if number else None
    if moment is not None and base is None:
        base = next((one for one in reversed(page.revisions) if one.timestamp <= moment), None)
    if base is not None and base.wikitext != page.latest.wikitext:
        raise ApiFailure("editconflict", CONFLICT)


def _revision(page: Page, revid: int) -> Revision:
    found = next((one for one in page.revisions if one.revid == revid), None)
    if found is None:
        raise ApiFailure("nosuchrevid", f"There is no revision with ID {revid}.")
    return found


def _text_without(page: Page, undone: Revision, before: Revision) -> str:
    """The latest text without one edit. Only the text is undone: structured data stays (the wiki's own way)."""
    if undone.wikitext == before.wikitext:
        return page.latest.wikitext
    if page.latest.wikitext != undone.wikitext:
        raise ApiFailure("undofailure", UNDO_FAILED)
    return before.wikitext


def delete(request: ApiRequest) -> Json:
    """`action=delete`; for administrators."""
    page, reason = _existing(request), request.text("reason") or ""
    _need_admin(request)
    _check(request, page, page.title, reason, request.values("tags"))
    request.world.delete_file(page.page_id, author_of(request).username, reason)
    logid = request.world.journal.changes[-1].log_id
    return {"delete": {"title": page.title, "reason": reason, "logid": logid}}


def undelete(request: ApiRequest) -> Json:
    """`action=undelete`: all revisions; for administrators."""
    title, reason = normal_title(request.need("title")), request.text("reason") or ""
    page = next((one for one in request.world.deleted.values() if one.title == title), None)
    _need_admin(request)
    if page is None:
        raise ApiFailure("cantundelete", "Couldn't undelete: the requested revisions may not exist.")
    _check(request, None, title, reason, request.values("tags"))
    request.world.undelete_file(page.page_id, author_of(request).username, reason)
    counts = {"revisions": len(page.revisions), "fileversions": int(page.file is not None)}
    return {"undelete": {"title": title, **counts, "reason": reason}}


def move(request: ApiRequest) -> Json:
    """`action=move`: the page keeps its id; a redirect takes the old title."""
    page, reason = _existing(request, "from", "fromid"), request.text("reason") or ""
    old, new = page.title, normal_title(request.need("to"))
    if request.world.page_by_title(new) is not None:
        raise ApiFailure("articleexists", "A page of that name already exists, or the name is not valid.")
    if page.ns != NS_FILE or file_title(new) != new:
        raise ApiFailure("standin-unsupported", "the stand-in moves files only, and only to be files")
    _check(request, page, old, reason, request.values("tags"))
    leaves_redirect = not request.flag("noredirect")
    request.world.move_file(page.page_id, new, leaves_redirect, author_of(request).username, reason)
    told = {"from": old, "to": new, "reason": reason, "redirectcreated": leaves_redirect, "moveoverredirect": False}
    return {"move": told}


def upload(request: ApiRequest) -> Json:
    """`action=upload` of a file sent with the form, in one piece; a title that is taken gives a warning first."""
    name = file_title(request.need("filename"))
    request.text("file")
    if request.upload is None:
        raise ApiFailure("standin-unsupported", "the stand-in takes a file in one piece, in the part `file`")
    page, comment = request.world.page_by_title(name), request.text("comment") or ""
    _check(request, page, name, comment, request.values("tags"))
    key, author = file_key(name), author_of(request).username
    ignores_warnings = request.flag("ignorewarnings")
    if page is not None and not ignores_warnings:
        return {"upload": {"result": "Warning", "warnings": {"exists": key}, "filekey": f"{key}.filekey"}}
    if page is None:
        text = comment if "text" not in request.params else request.need("text")
        number = request.world.add_file(name, request.upload, wikitext=text, uploader=author)
        page = request.world.pages[number]
    else:
        request.world.replace_file(page.page_id, request.upload, author)
    if page.file is None:
        raise ApiFailure("fileexists-forbidden", "The page has no file that could be replaced.")
    return {"upload": {"result": "Success", "filename": key, "imageinfo": _uploaded(request, page, comment)}}


def _uploaded(request: ApiRequest, page: Page, comment: str) -> Json:
    """What an upload answers about the new version, with the notice of the upload form as the recorded wiki had it."""
    asked = {"iiprop": "timestamp|user|size|dimensions|url|sha1|mime|mediatype|extmetadata|canonicaltitle"}
    about = ApiRequest(asked, request.world, request.base_url)
    info: Json = imageinfo(about, page)["imageinfo"][0]
    info.pop("descriptionshorturl")
    key = file_key(page.title)
    notice = (
        "<p>A file with this name exists already, please check "
        f'<strong><a class="mw-selflink selflink">{page.title}</a></strong> if you are not sure if you want to '
        'overwrite it.\n</p>\n<figure class="mw-default-size" typeof="mw:File/Thumb">'
        f'<a href="/wiki/File:{key}" class="mw-file-description"><img src="{original_path(page.title)}" '
        f'decoding="async" width="{info["width"]}" height="{info["height"]}" class="mw-file-element" /></a>'
        "<figcaption></figcaption></figure>"
    )
    person = request.person
    rest: Json = {"metadata": [{"name": "MEDIAWIKI_EXIF_VERSION", "value": 2}], "commonmetadata": [], "bitdepth": 8}
    said = {"comment": comment, "parsedcomment": comment, "userid": int(person.sub) if person is not None else 0}
    return {**info, **said, "html": notice, **rest}


WRITES: dict[str, Callable[[ApiRequest], Json]] = {
    "edit": edit,
    "delete": delete,
    "undelete": undelete,
    "move": move,
    "upload": upload,
}
