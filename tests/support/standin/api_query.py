"""`action=query`: which pages are meant, what is said about them, and continuation as MediaWiki counts it.

Continuation: the client echoes the whole `continue` object. Its `continue` member is `GENERATOR||DONE`, where
GENERATOR names the generator parameters of the next round (or `-` when page properties are done) and DONE the
modules that have nothing more to say (https://www.mediawiki.org/wiki/API:Continue).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.standin import api_meta, api_pages
from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.api_changes import list_log_events, list_recent_changes
from tests.support.standin.api_lists import (
    BAD_CONTINUE,
    Continuation,
    generated,
    list_category_members,
    list_search,
    namespace_of,
)
from tests.support.standin.api_modules import GENERATORS, QUERY_MODULES
from tests.support.standin.api_people_lists import list_all_images, list_user_contributions
from tests.support.standin.world import NS_CATEGORY, NS_FILE, Page, normal_title

Json = dict[str, Any]
ILLEGAL = re.compile(r"[<>\[\]|{}#\x00-\x1f]|^$")
MODULES = {group: tuple(name for kind, name in QUERY_MODULES if kind == group) for group in ("prop", "list", "meta")}


@dataclass
class PageSet:
    """The pages a query is about, in page id order, and words about titles that lead elsewhere or nowhere."""

    pages: list[Page] = field(default_factory=list)
    missing: list[Json] = field(default_factory=list)
    normalized: list[Json] = field(default_factory=list)
    redirects: list[Json] = field(default_factory=list)
    unknown_revisions: Json = field(default_factory=dict)


def query(request: ApiRequest) -> Json:
    """The whole answer of `action=query`."""
    for name in ("export", "rawcontinue", "exportnowrap"):
        if name in request.params:
            raise ApiFailure("standin-unsupported", f"the stand-in does not answer {name}")
    props, lists, metas = (request.choice("main", group, MODULES[group], "") for group in ("prop", "list", "meta"))
    generator_done, finished = _echoed(request)
    left = Continuation()
    result: Json = {}
    pages = None if generator_done else _page_set(request, left)
    if pages is not None:
        result |= {
            key: value
            for key, value in (
                ("normalized", pages.normalized),
                ("redirects", pages.redirects),
                ("badrevids", pages.unknown_revisions),
            )
            if value
        }
        if request.flag("indexpageids"):
            result["pageids"] = [str(page.page_id) for page in pages.pages]
        active = [prop for prop in props if prop not in finished]
        result |= _page_answers(request, pages, active, left)
        left.modules |= request.following
    for name in lists:
        if name not in finished:
            result |= _LISTS[name](request, left)
    for name in metas:
        if name not in finished:
            result[name] = _METAS[name](request)
    return _framed(request, result, left, props, [*props, *lists, *metas])


def _siteinfo_merged(result: Json) -> Json:
    return {**{key: value for key, value in result.items() if key != "siteinfo"}, **result.get("siteinfo", {})}


def _echoed(request: ApiRequest) -> tuple[bool, set[str]]:
    echoed = request.text("continue") or ""
    if "||" not in echoed:
        if echoed:
            raise ApiFailure("badcontinue", BAD_CONTINUE)
        return False, set()
    generator, done = echoed.split("||", 1)
    return generator == "-", set(filter(None, done.split("|")))


def _framed(request: ApiRequest, result: Json, left: Continuation, props: list[str], modules: list[str]) -> Json:
    """Put `batchcomplete` and `continue` around a result."""
    unfinished_props = [name for name in props if name in left.modules]
    finished = [name for name in modules if name not in left.modules]
    following: Json = {}
    for name, values in left.modules.items():
        if name not in props:
            following |= values
    batch_is_complete, generator_keys = True, "-"
    if unfinished_props:
        batch_is_complete = False
        for name in unfinished_props:
            following |= left.modules[name]
        following |= left.generator_now
        generator_keys = "|".join(left.generator_now)
    elif left.generator_next:
        following |= left.generator_next
        generator_keys = "|".join(left.generator_next)
        finished = [name for name in finished if name not in props]
    answer: Json = {"batchcomplete": True} if batch_is_complete else {}
    if following:
        answer["continue"] = {**following, "continue": f"{generator_keys}||{'|'.join(finished)}"}
    return answer | ({"query": _siteinfo_merged(result)} if result else {})


# ---- which pages


def _page_set(request: ApiRequest, left: Continuation) -> PageSet | None:
    given = [name for name in ("titles", "pageids", "revids", "generator") if name in request.params]
    if not given:
        return None
    if len(given) > 1 and "generator" not in given:
        names = ", ".join(f'"{name}"' for name in given)
        raise ApiFailure("invalidparammix", f"The parameters {names} can not be used together.")
    found = PageSet()
    if "generator" in given:
        name = request.need("generator")
        if name not in GENERATORS:
            raise ApiFailure("badvalue", f'Unrecognized value for parameter "generator": {name}.')
        found.pages = generated(request, name, left)
        if not found.pages:
            return None
    elif "titles" in given:
        for title in request.values("titles"):
            _resolve_title(request, title, found)
    elif "revids" in given:
        _resolve_revisions(request, found)
    else:
        for raw in request.values("pageids"):
            _resolve_id(request, raw, found)
    request.flag("redirects")
    request.flag("converttitles")
    unique = {page.page_id: page for page in found.pages}
    found.pages = [unique[number] for number in sorted(unique)]
    return found


def _resolve_title(request: ApiRequest, given: str, found: PageSet) -> None:
    title = normal_title(given)
    if ILLEGAL.search(title):
        reason = f'The requested page title contains invalid characters: "{title}".'
        found.missing.append({"title": given, "invalidreason": reason, "invalid": True})
        return
    if title != given:
        found.normalized.append({"fromencoded": False, "from": given, "to": title})
    page = request.world.page_by_title(title)
    if page is not None and page.redirect_to and request.flag("redirects"):
        found.redirects.append({"from": title, "to": page.redirect_to})
        title, page = page.redirect_to, request.world.page_by_title(page.redirect_to)
    if page is None:
        found.missing.append({"ns": namespace_of(title), "title": title, "missing": True})
    else:
        found.pages.append(page)


def _resolve_id(request: ApiRequest, raw: str, found: PageSet) -> None:
    if not raw.isdigit():
        raise ApiFailure("badinteger", f'Invalid value "{raw}" for integer parameter "pageids".')
    page = request.world.pages.get(int(raw))
    if page is not None and page.redirect_to and request.flag("redirects"):
        found.redirects.append({"from": page.title, "to": page.redirect_to})
        page = request.world.page_by_title(page.redirect_to)
    if page is None:
        found.missing.append({"pageid": int(raw), "missing": True})
    else:
        found.pages.append(page)


def _resolve_revisions(request: ApiRequest, found: PageSet) -> None:
    wanted = request.values("revids")
    for raw in wanted:
        if not raw.isdigit():
            raise ApiFailure("badinteger", f'Invalid value "{raw}" for integer parameter "revids".')
    owners = {revision.revid: page for page in request.world.pages.values() for revision in page.revisions}
    for number in map(int, wanted):
        if number in owners:
            found.pages.append(owners[number])
        else:
            found.unknown_revisions[str(number)] = {"revid": number, "missing": True}


# ---- what is said about them


def _page_answers(request: ApiRequest, found: PageSet, props: list[str], left: Continuation) -> Json:
    if not (found.pages or found.missing):
        return {}
    start, stop = _chunk(request, len(found.pages))
    if stop is not None and "imageinfo" in props:
        title = found.pages[stop].title.split(":", 1)[-1].replace(" ", "_")
        left.modules["imageinfo"] = {"iicontinue": f"{title}|{stop}"}
    bodies = []
    for position, page in enumerate(found.pages):
        body: Json = {"pageid": page.page_id, "ns": page.ns, "title": page.title}
        for prop in props:
            if prop == "imageinfo" and not (start <= position < (len(found.pages) if stop is None else stop)):
                continue
            body |= _prop(request, prop, page, alone=len(found.pages) == 1)
        bodies.append(body)
    return {"pages": [_about_missing(request, body, props) for body in found.missing] + bodies}


def _chunk(request: ApiRequest, count: int) -> tuple[int, int | None]:
    """Which pages get their imageinfo in this answer: all, unless the stand-in was told to answer in chunks."""
    echoed = request.text("iicontinue")
    start = int(echoed.rsplit("|", 1)[1]) if echoed else 0
    if request.chunk is None or start + request.chunk >= count:
        return start, None
    return start, start + request.chunk


def _prop(request: ApiRequest, prop: str, page: Page, alone: bool) -> Json:
    if prop == "revisions":
        return api_pages.revisions(request, page, alone)
    answers: dict[str, Callable[[ApiRequest, Page], Json]] = {
        "imageinfo": api_pages.imageinfo,
        "info": api_pages.info,
        "categoryinfo": api_pages.categoryinfo,
        "categories": api_pages.categories,
    }
    return answers[prop](request, page)


def _about_missing(request: ApiRequest, body: Json, props: list[str]) -> Json:
    """A page that is not there still has a model and a language by its title, and perhaps members as a category."""
    if "ns" not in body:
        return body
    more: Json = {}
    if "info" in props:
        more |= {
            "contentmodel": "wikitext",
            "pagelanguage": "en",
            "pagelanguagehtmlcode": "en",
            "pagelanguagedir": "ltr",
        }
    if "imageinfo" in props and body["ns"] == NS_FILE:
        more["imagerepository"] = ""
    if "categoryinfo" in props and body["ns"] == NS_CATEGORY:
        more |= api_pages.category_counts(request, body["title"])
    return body | more


_LISTS: dict[str, Callable[[ApiRequest, Continuation], Json]] = {
    "categorymembers": list_category_members,
    "search": list_search,
    "recentchanges": list_recent_changes,
    "logevents": list_log_events,
    "usercontribs": list_user_contributions,
    "allimages": list_all_images,
}
_METAS: dict[str, Callable[[ApiRequest], Json]] = {
    "siteinfo": api_meta.siteinfo,
    "userinfo": api_meta.userinfo,
    "tokens": api_meta.tokens,
}
