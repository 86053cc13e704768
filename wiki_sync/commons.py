"""Categories, files and structured data of Commons (or any MediaWiki with WikibaseMediaInfo), read only.

The costs are bounded: a category is listed together with all file facts, 50 files a call, and structured data
is read 50 entities a call, so that n files cost about 2 * n / 50 calls and one more for each category.
Nothing is written, nobody is signed in.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import mwparserfromhell

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError, CategoryNotFoundError, EmptyCategoryError
from wiki_sync.mediainfo import MediaInfo, parse_entity
from wiki_sync.session import ApiRefusedError, WikiSession
from wiki_sync.wikifile import WikiFile, file_params, main_wikitext, parse_page

BATCH = 50  # what the API takes from an account without special rights
MAX_CATEGORIES = 2000  # some category trees have no end; each category is at least one call
# https://commons.wikimedia.org/wiki/Template:Category_redirect and the names that redirect to it
_SOFT_REDIRECTS = frozenset({"category redirect", "categoryredirect", "cat redirect", "catredir", "see cat", "seecat"})
Progress = Callable[[int, int | None], None]
Params = Mapping[str, str | int]


class _Page(Protocol):
    @property
    def page_id(self) -> int: ...


PageT = TypeVar("PageT", bound=_Page)
PartT = TypeVar("PartT")


@dataclass(frozen=True)
class CategoryListing:
    """The files under a category, each once, in the wiki's order, nearer categories first.

    `categories` are the titles that were read, the asked one first. `truncated` is True when `limit` cut the
    files off.
    """

    title: str
    files: tuple[WikiFile, ...]
    categories: tuple[str, ...]
    truncated: bool


class Commons:
    """Reads one wiki. Holds no connection and no state: an instance may be shared by threads."""

    def __init__(self, config: WikiConfig) -> None:
        self._config = config
        self._session = WikiSession(config)

    def category(
        self, name: str, depth: int = 0, limit: int | None = None, on_progress: Progress | None = None
    ) -> CategoryListing:
        """Return the files of a category and of its subcategories down to `depth` (0: none).

        `name` may be a bare name, a title with "Category:", or the address of the category's page. A category
        is read once however often it is met, so cycles are harmless. `on_progress(files so far, files in the
        asked category)` is called after each page of answers; the second number is None when subcategories
        may add to it. Raises CategoryNotFoundError, EmptyCategoryError, ValueError (negative depth or limit
        below 1), and as `WikiSession.ask`.
        """
        params: Params = {**file_params(self._config), "gcmlimit": BATCH}
        found = read_category(self._session, name, depth, params, partial(parse_page, self._config), limit, on_progress)
        return CategoryListing(found.title, tuple(found.pages.values()), found.categories, found.truncated)

    def files(self, page_ids: Sequence[int]) -> dict[int, WikiFile | None]:
        """Return the facts of the files, `BATCH` a call, by page id; None for a deleted page or one that is
        no file."""
        wanted = checked_ids(page_ids)
        found: dict[int, WikiFile | None] = dict.fromkeys(wanted)
        for part in parts(wanted):
            for query in batches(self._session, pageids="|".join(map(str, part)), **file_params(self._config)):
                for page in query.get("pages", ()):
                    if page.get("pageid") in found:
                        found[page["pageid"]] = parse_page(self._config, page)
        return found

    def mediainfo(self, page_ids: Sequence[int]) -> dict[int, MediaInfo]:
        """Return the structured data of the files, `BATCH` a call, by page id; every id asked for is in the
        answer."""
        wanted = checked_ids(page_ids)
        found: dict[int, MediaInfo] = {}
        for part in parts(wanted):
            ids = [f"M{page_id}" for page_id in part]
            answer = self._session.ask(action="wbgetentities", ids="|".join(ids), props="info|claims")
            entities = answer.get("entities")
            if not isinstance(entities, dict):
                raise BadAnswerError("The wiki sent no structured data where it should have.")
            for page_id, mid in zip(part, ids, strict=True):
                found[page_id] = parse_entity(self._config, mid, entities.get(mid, {"missing": ""}))
        return found


@dataclass(frozen=True)
class CategoryPages(Generic[PageT]):
    """The file pages under a category by page id, nearer categories first; see `CategoryListing`."""

    title: str
    pages: Mapping[int, PageT]
    categories: tuple[str, ...]
    truncated: bool


def read_category(
    session: WikiSession,
    name: str,
    depth: int,
    params: Params,
    parse: Callable[[Mapping[str, Any]], PageT | None],
    limit: int | None = None,
    on_progress: Progress | None = None,
) -> CategoryPages[PageT]:
    """Return the file pages of a category and of its subcategories, as `Commons.category` describes it.

    `params` is what is asked of each file, with `gcmlimit`, the number of files in an answer; `parse` reads one
    page of an answer, None leaves it out.
    """
    if depth < 0 or (limit is not None and limit < 1):
        raise ValueError("depth must not be negative, and limit must be at least 1")
    title, exists, total = category_page(session, category_title(name))
    files: dict[int, PageT] = {}
    seen = {title}
    waiting = deque([(title, depth)])
    done: list[str] = []
    truncated = members = False
    while waiting and not truncated:
        if len(done) >= MAX_CATEGORIES:
            truncated = True
            break
        current, levels = waiting.popleft()
        done.append(current)
        for query in batches(session, **_members_params(current, params, with_subcategories=levels > 0)):
            found = [one for page in query.get("pages", ()) if (one := parse(page)) is not None]
            subcategories = [member["title"] for member in query.get("categorymembers", ())]
            members = members or bool(found or subcategories)
            truncated = _take(found, files, limit)
            new = [one for one in subcategories if one not in seen]
            seen.update(new)
            waiting.extend((one, levels - 1) for one in new)
            if on_progress:
                on_progress(len(files), None if depth else total)
            if truncated:
                break
    if not files:
        raise _nothing_found(title, exists or members, depth)
    return CategoryPages(title, files, tuple(done), truncated)


def category_page(session: WikiSession, title: str, follow: bool = True) -> tuple[str, bool, int | None]:
    """Return the title after redirects, whether the page exists, and how many files it says it has.

    A category that was renamed leaves a page with a template that names the new one; it is followed once.
    """
    facts: Params = {"prop": "info|categoryinfo|revisions", "rvprop": "content", "rvslots": "main"}
    try:
        answer = session.ask(action="query", titles=title, redirects=1, **facts)
    except ApiRefusedError as refusal:
        raise CategoryNotFoundError(f"“{title}” cannot be a category: {refusal}") from refusal
    pages = answer.get("query", {}).get("pages") or [{}]
    page = pages[0]
    if page.get("invalid") or page.get("ns") != 14:
        raise CategoryNotFoundError(f"“{title}” is not the name of a category.")
    target = _renamed_to(main_wikitext(page))
    if target and follow:
        return category_page(session, target, follow=False)
    return page["title"], not page.get("missing"), (page.get("categoryinfo") or {}).get("files")


def _members_params(title: str, params: Params, with_subcategories: bool) -> Params:
    asked: Params = {**params, "generator": "categorymembers", "gcmtitle": title, "gcmtype": "file"}
    if not with_subcategories:
        return asked
    below = {"cmtitle": title, "cmtype": "subcat", "cmprop": "title|type", "cmlimit": "max"}
    return {**asked, "list": "categorymembers", **below}


def answers(session: WikiSession, **params: str | int) -> Iterator[dict[str, Any]]:
    """Yield one answer after the other, each asked for when it is wanted, continuing as
    https://www.mediawiki.org/wiki/API:Continue says. The last one has no `continue`."""
    further: dict[str, str | int] = {}
    while True:
        answer = session.ask(**{**params, **further})
        yield answer
        following = answer.get("continue")
        if following is None:
            return
        if following == further:
            raise BadAnswerError("The wiki keeps sending the same page of a list.")
        further = following


def batches(session: WikiSession, **params: str | int) -> Iterator[dict[str, Any]]:
    """Yield the merged `query` part of each complete batch of answers."""
    merged: dict[str, Any] = {}
    for answer in answers(session, **params):
        _merge(merged, answer.get("query", {}))
        if "continue" not in answer or answer.get("batchcomplete", False) is not False:
            yield merged
            merged = {}


def category_title(name: str) -> str:
    """Return "Category:Name" for a bare name, a title or a page address. Raises CategoryNotFoundError if
    nothing is left."""
    text = name.strip()
    if re.match(r"https?://", text, re.IGNORECASE):
        parts = urlsplit(text)
        asked = parse_qs(parts.query).get("title")
        text = asked[0] if asked else unquote(parts.path).partition("/wiki/")[2]
        if not re.match(r"\s*category\s*:", text, re.IGNORECASE):
            raise CategoryNotFoundError(f"The address {name.strip()} is not that of a category.")
    bare = re.sub(r"^:?\s*category\s*:", "", text.replace("_", " "), flags=re.IGNORECASE)
    bare = " ".join(bare.split())
    if not bare:
        raise CategoryNotFoundError("No category was named.")
    if "|" in bare or "\x1f" in bare:
        raise CategoryNotFoundError(f"“{bare}” cannot be the name of a category: a name has no “|”.")
    return f"Category:{bare}"


def _renamed_to(wikitext: str) -> str | None:
    """Return the category that a "category redirect" template on the page names, or None."""
    if "{{" not in wikitext:
        return None
    for template in mwparserfromhell.parse(wikitext).filter_templates():
        name = str(template.name).strip().lower().replace("_", " ")
        if name in _SOFT_REDIRECTS and template.has("1"):
            return category_title(str(template.get("1").value.strip_code()))
    return None


def _nothing_found(title: str, known: bool, depth: int) -> CategoryNotFoundError | EmptyCategoryError:
    if not known:
        return CategoryNotFoundError(
            f"There is no category “{title.partition(':')[2]}”. Is the name spelled as on its page?"
        )
    reach = "or in the subcategories that were read" if depth else "(subcategories were not read)"
    return EmptyCategoryError(f"The category “{title.partition(':')[2]}” exists, but there is no file in it {reach}.")


def _take(found: list[PageT], files: dict[int, PageT], limit: int | None) -> bool:
    """Add new files up to the limit; return whether a file had to stay outside."""
    for one in found:
        if one.page_id in files:
            continue
        if limit is not None and len(files) >= limit:
            return True
        files[one.page_id] = one
    return False


def _merge(merged: dict[str, Any], part: dict[str, Any]) -> None:
    """Add one answer's `query` to those before it: pages by their id, lists one after the other."""
    for key, value in part.items():
        if key == "pages":
            pages: dict[int | str, dict[str, Any]] = {}
            for page in (*merged.get("pages", ()), *value):
                pages.setdefault(page.get("pageid", page.get("title")), {}).update(page)
            merged["pages"] = list(pages.values())
        elif isinstance(value, list) and isinstance(merged.get(key), list):
            merged[key] = merged[key] + [one for one in value if one not in merged[key]]
        else:
            merged[key] = value


def checked_ids(ids: Collection[int], what: str = "page id") -> list[int]:
    """Return the ids, each once. One malformed id would fail a whole batch on the wiki, so they are checked
    here."""
    wrong = [one for one in ids if isinstance(one, bool) or not isinstance(one, int) or one < 1]
    if wrong:
        raise ValueError(f"not a {what}: {wrong[0]!r}")
    return list(dict.fromkeys(ids))


def parts(values: Sequence[PartT]) -> Iterator[Sequence[PartT]]:
    """Yield the values, `BATCH` at a time."""
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]
