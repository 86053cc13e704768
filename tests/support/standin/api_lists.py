"""Lists and generators of `action=query`: category members and search.

Members come sorted as MediaWiki sorts them, and the continuation names the next member, not a number, so that
changes between two calls neither repeat nor skip what was there all the time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tests.support.standin.answers import MAX_VALUES, ApiFailure, ApiRequest
from tests.support.standin.world import NS_CATEGORY, NS_FILE, PREFIXES, Page, category_title, normal_title

Json = dict[str, Any]
KINDS = {NS_CATEGORY: "subcat", NS_FILE: "file"}
KIND_ORDER = {"page": 0, "subcat": 1, "file": 2}
Row = tuple[Page, str]
BAD_CONTINUE = "Invalid continue param. You should pass the original value returned by the previous query."


@dataclass
class Continuation:
    """What is left over: per module, and for the generator."""

    modules: dict[str, Json] = field(default_factory=dict)
    generator_now: Json = field(default_factory=dict)
    generator_next: Json = field(default_factory=dict)


def namespace_of(title: str) -> int:
    """The number of a normal title's namespace."""
    return PREFIXES.get(title.partition(":")[0], 0) if ":" in title else 0


def _category_members(request: ApiRequest, prefix: str) -> tuple[list[Row], Json]:
    """(members with their time of joining, continuation) for the list (`cm`) or the generator (`gcm`)."""
    title = _category_asked(request, prefix)
    kinds = request.choice("categorymembers", f"{prefix}type", ("page", "subcat", "file"), "page|subcat|file")
    limit = request.limit("categorymembers", f"{prefix}limit")
    by_time = request.text(f"{prefix}sort") == "timestamp"
    descending = request.text(f"{prefix}dir") in ("desc", "descending", "older")
    since, until = request.text(f"{prefix}start"), request.text(f"{prefix}end")
    spaces = {int(part) for part in request.values(f"{prefix}namespace")}
    members = request.world.members(title)
    if by_time:
        joined = [page for page in members if _between(page.categories[title], since, until, descending)]
        members = sorted(joined, key=lambda page: (page.categories[title], page.page_id))
    if descending:
        members.reverse()
    begin = _position(request, prefix, title, members, by_time, descending)
    wanted = (
        page for page in islice(members, begin, None) if kind_of(page) in kinds and (not spaces or page.ns in spaces)
    )
    rows = [(page, page.categories[title]) for page in islice(wanted, limit + 1)]
    following = {f"{prefix}continue": _cursor(*rows[limit], by_time)} if len(rows) > limit else {}
    return rows[:limit], following


def _between(joined: str, since: str | None, until: str | None, descending: bool) -> bool:
    low, high = (until, since) if descending else (since, until)
    return (low is None or joined >= low) and (high is None or joined <= high)


def _category_asked(request: ApiRequest, prefix: str) -> str:
    title, number = request.text(f"{prefix}title"), request.text(f"{prefix}pageid")
    if title is None and number is None:
        info = f'One of the parameters "{prefix}title" and "{prefix}pageid" is required.'
        raise ApiFailure("missingparam", info)
    if title is None:
        page = request.world.pages.get(request.integer(f"{prefix}pageid"))
        if page is None:
            raise ApiFailure("nosuchpageid", f"There is no page with ID {number}.")
        title = page.title
    if not title.strip() or namespace_of(normal_title(title)) != NS_CATEGORY:
        raise ApiFailure("invalidcategory", "The category name you entered is not valid.")
    return category_title(normal_title(title))


def kind_of(page: Page) -> str:
    """`page`, `subcat` or `file`, the kinds of category members."""
    return KINDS.get(page.ns, "page")


def _cursor(page: Page, joined: str, by_time: bool) -> str:
    if by_time:
        return f"{re.sub('[^0-9]', '', joined)}|{page.page_id}"
    return f"{kind_of(page)}|{page.sort_key.encode().hex()}|{page.page_id}"


def _position(
    request: ApiRequest, prefix: str, title: str, members: list[Page], by_time: bool, descending: bool
) -> int:
    """Where to go on; if that very member has left meanwhile, at the next one, as a database would."""
    echoed = request.text(f"{prefix}continue")
    if echoed is None:
        return 0
    target = _place_of_cursor(echoed, by_time)

    def place(page: Page) -> tuple[int | str, ...]:
        if by_time:
            return (re.sub("[^0-9]", "", page.categories[title]), page.page_id)
        return (KIND_ORDER[kind_of(page)], page.sort_key, page.page_id)

    if descending:
        return next((i for i, page in enumerate(members) if place(page) <= target), len(members))
    return bisect_left(members, target, key=place)


def _place_of_cursor(cursor: str, by_time: bool) -> tuple[int | str, ...]:
    try:
        if by_time:
            joined, number = cursor.split("|")
            return (joined, int(number))
        kind, key, number = cursor.split("|")
        return (KIND_ORDER[kind], bytes.fromhex(key).decode(), int(number))
    except (ValueError, KeyError) as error:
        raise ApiFailure("badcontinue", BAD_CONTINUE) from error


def list_category_members(request: ApiRequest, left: Continuation) -> Json:
    """`list=categorymembers`."""
    parts = request.choice(
        "categorymembers", "cmprop", ("ids", "title", "sortkey", "sortkeyprefix", "type", "timestamp"), "ids|title"
    )
    rows, following = _category_members(request, "cm")
    if following:
        left.modules["categorymembers"] = following
    found = []
    for page, joined in rows:
        values: dict[str, Json] = {
            "ids": {"pageid": page.page_id},
            "title": {"ns": page.ns, "title": page.title},
            "sortkey": {"sortkey": page.sort_key.encode().hex()},
            "sortkeyprefix": {"sortkeyprefix": ""},
            "type": {"type": kind_of(page)},
            "timestamp": {"timestamp": joined},
        }
        found.append({key: value for part in values if part in parts for key, value in values[part].items()})
    return {"categorymembers": found}


def generated(request: ApiRequest, name: str, left: Continuation) -> list[Page]:
    """The pages of a generator; what is left of it goes into `left`."""
    if name == "categorymembers":
        rows, following = _category_members(request, "gcm")
        pages = [page for page, _ in rows]
    else:
        pages, following = _search(request, "gsr")
    left.generator_next = following
    left.generator_now = {key: request.params[key] for key in ("gcmcontinue", "gsroffset") if key in request.params}
    return pages[: MAX_VALUES * 10]


def _search(request: ApiRequest, prefix: str) -> tuple[list[Page], Json]:
    """Words in titles and wikitext, `incategory:"X"` and `haswbstatement:P180[=Q1]`, each with `-` for not."""
    if not request.world.search_works:
        return [], {}
    terms = re.findall(r'-?\w+:"[^"]+"|\S+', request.need(f"{prefix}search"))
    spaces = {int(part) for part in request.values(f"{prefix}namespace")} or {0}
    limit = request.limit("search", f"{prefix}limit")
    offset = request.integer(f"{prefix}offset")
    hits = [
        page
        for page in sorted(request.world.pages.values(), key=lambda page: page.page_id)
        if page.ns in spaces and all(_matches(page, term) for term in terms)
    ]
    following = {f"{prefix}offset": offset + limit} if offset + limit < len(hits) else {}
    request.used.add(f"{prefix}total")
    return hits[offset : offset + limit], following | ({"_total": len(hits)} if prefix == "sr" else {})


def _matches(page: Page, term: str) -> bool:
    negated, term = term.startswith("-"), term.removeprefix("-")
    key, colon, value = term.partition(":")
    value = value.strip('"')
    if colon and key == "incategory":
        hit = category_title(normal_title(value)) in page.categories
    elif colon and key == "haswbstatement":
        prop, _, qid = value.partition("=")
        found = (page.latest.entity or {}).get("statements", {}).get(prop, [])
        values = [statement["mainsnak"].get("datavalue", {}).get("value") for statement in found]
        hit = bool(found) and (not qid or any(isinstance(one, dict) and one.get("id") == qid for one in values))
    else:
        hit = term.lower() in f"{page.title} {page.latest.wikitext}".lower()
    return hit != negated


def list_search(request: ApiRequest, left: Continuation) -> Json:
    """`list=search`."""
    pages, following = _search(request, "sr")
    total = following.pop("_total", 0)
    if following:
        left.modules["search"] = following
    found = [
        {
            "ns": page.ns,
            "title": page.title,
            "pageid": page.page_id,
            "size": len(page.latest.wikitext.encode()),
            "wordcount": len(page.latest.wikitext.split()),
            "snippet": "",
            "timestamp": page.latest.timestamp,
        }
        for page in pages
    ]
    return {"searchinfo": {"totalhits": total}, "search": found}
