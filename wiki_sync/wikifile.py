"""A file of the wiki as plain facts, read from one page of an `action=query` answer.

Asks for and reads `prop=imageinfo|info|revisions` (https://www.mediawiki.org/wiki/API:Imageinfo). The address
of the smaller picture is the one that the wiki returned, never built: only some widths are served.
Descriptions are others' HTML and leave here sanitised or as plain text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError
from wiki_sync.html import plain_text, safe_html, web_address
from wiki_sync.object_numbers import ObjectNumber, most_trusted, number_in_title, number_in_wikitext

_EXTMETADATA = "ObjectName|ImageDescription|Artist|Credit|LicenseShortName|License|LicenseUrl"
_SHOWN_BY_BROWSERS = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


@dataclass(frozen=True)
class WikiFile:
    """One file page. Sizes in pixels and bytes; `sha1` (hex) is the original's, not the smaller picture's.

    `description`, `artist`, `credit` and `object_name` are plain text; `description_html` is sanitised HTML.
    `problem` says, in words, why the file cannot be used as an illustration (then addresses and sizes may be
    empty), else it is None.
    """

    page_id: int
    mid: str
    title: str
    lastrevid: int | None
    sha1: str
    mime: str
    width: int
    height: int
    size_bytes: int
    url: str
    thumb_url: str | None
    thumb_width: int | None
    thumb_height: int | None
    page_url: str
    uploaded_at: datetime | None
    uploader: str
    description: str
    description_html: str
    artist: str
    credit: str
    licence: str
    licence_url: str | None
    object_name: str
    object_number: ObjectNumber | None
    problem: str | None


def file_params(config: WikiConfig) -> dict[str, str | int]:
    """Return the `action=query` parameters under which `parse_page` finds all it reads."""
    return {
        "action": "query",
        "prop": "imageinfo|info|revisions",
        "iiprop": "url|size|mime|mediatype|sha1|timestamp|user|extmetadata",
        "iiurlwidth": config.thumb_width,
        "iiextmetadatafilter": _EXTMETADATA,
        "iiextmetadatalanguage": config.languages[0],
        "rvprop": "ids|content",
        "rvslots": "main",
    }


def parse_page(config: WikiConfig, page: Mapping[str, Any]) -> WikiFile | None:
    """Return the page as a file, or None if it is missing or no file page. Raises BadAnswerError for another
    shape."""
    if page.get("missing") or page.get("invalid") or page.get("ns") != 6:
        return None
    try:
        versions = page.get("imageinfo") or [{}]
        return _file(config, page, versions[0])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadAnswerError(f"The facts about {page.get('title', 'a file')} have an unknown form.") from error


def _file(config: WikiConfig, page: Mapping[str, Any], version: Mapping[str, Any]) -> WikiFile:
    page_id, title = int(page["pageid"]), str(page["title"])
    notes = version.get("extmetadata") or {}
    number = most_trusted(config, number_in_wikitext(config, main_wikitext(page)), number_in_title(config, title))
    return WikiFile(
        page_id=page_id,
        mid=f"M{page_id}",
        title=title,
        lastrevid=int(page["lastrevid"]) if page.get("lastrevid") else None,
        sha1=version.get("sha1", ""),
        mime=version.get("mime", ""),
        width=int(version.get("width") or 0),
        height=int(version.get("height") or 0),
        size_bytes=int(version.get("size") or 0),
        url=web_address(version.get("url")) or "",
        thumb_url=web_address(version.get("thumburl")),
        thumb_width=int(version["thumbwidth"]) if version.get("thumbwidth") else None,
        thumb_height=int(version["thumbheight"]) if version.get("thumbheight") else None,
        page_url=web_address(version.get("descriptionurl")) or "",
        uploaded_at=_moment(version.get("timestamp")),
        uploader=str(version.get("user") or ""),
        description=plain_text(_note(notes, "ImageDescription")),
        description_html=safe_html(_note(notes, "ImageDescription")),
        artist=plain_text(_note(notes, "Artist")),
        credit=plain_text(_note(notes, "Credit")),
        licence=plain_text(_note(notes, "LicenseShortName") or _note(notes, "License")),
        licence_url=web_address(_note(notes, "LicenseUrl")),
        object_name=plain_text(_note(notes, "ObjectName")),
        object_number=number,
        problem=_problem(page, version),
    )


def _problem(page: Mapping[str, Any], version: Mapping[str, Any]) -> str | None:
    if page.get("redirect"):
        return "The page has no file of its own; it only points to another one."
    if version.get("filehidden"):
        return "The file was hidden by the wiki's administrators."
    if not version or "url" not in version or version.get("filemissing"):
        return "The page has no file any more."
    mime = str(version.get("mime", ""))
    if not mime.startswith("image/") or mime == "image/vnd.djvu":
        return f"The file is not a picture ({mime or 'unknown type'})."
    if not int(version.get("width") or 0) or not int(version.get("height") or 0):
        return "The wiki knows no width and height of the picture; it may be damaged."
    if version.get("thumberror"):
        return f"The wiki cannot make a smaller picture of the file: {plain_text(str(version['thumberror']))}"
    if mime not in _SHOWN_BY_BROWSERS and version.get("thumburl", version["url"]) == version["url"]:
        return f"The wiki gives no picture of this {mime} file that a browser can show."
    return None


def _note(notes: Mapping[str, Any], name: str) -> str:
    value = (notes.get(name) or {}).get("value", "")
    return value if isinstance(value, str) else str(value)


def main_wikitext(page: Mapping[str, Any]) -> str:
    """Return the wikitext that came with the page (`prop=revisions`), "" if none did."""
    revisions = page.get("revisions") or [{}]
    main = (revisions[0].get("slots") or {}).get("main") or {}
    return str(main.get("content", ""))


def _moment(timestamp: str | None) -> datetime | None:
    return datetime.fromisoformat(timestamp).astimezone(UTC) if timestamp else None
