"""What changed on the wiki: newest revisions of file pages, recent changes, the log, single revisions.

Reads `prop=info`, `list=recentchanges`, `list=logevents` and `prop=revisions`
(https://www.mediawiki.org/wiki/API:Query). These are the cheap questions of a sync: 500 files of a category or
500 changes a call, 50 pages or revisions by number. What is found is then read in full by `Commons`.

What the wiki keeps from us (a hidden user, comment or log action) is left empty and is no error; recent changes say
how many of them do not tell their page.
"""

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from wiki_sync.commons import (
    Progress,
    answers,
    batches,
    category_page,
    category_title,
    checked_ids,
    parts,
    read_category,
)
from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError
from wiki_sync.session import WikiSession
from wiki_sync.wikifile import main_wikitext

KEPT = timedelta(days=30)  # how long Wikimedia's wikis keep recent changes ($wgRCMaxAge)
_NEVER = datetime.fromtimestamp(0, UTC)
_HEAD: dict[str, str | int] = {"action": "query", "prop": "info"}


@dataclass(frozen=True)
class PageHead:
    """A page and its newest revision; every edit, of the text or of the structured data, makes another one."""

    page_id: int
    title: str
    revision: int
    is_redirect: bool


@dataclass(frozen=True)
class CategoryHeads:
    """The file pages under a category, by page id, nearer categories first.

    `categories` are the titles that were read, the asked one (after redirects: `title`) first. `truncated` is
    True when the tree has more categories than are read; then a file that is not in `pages` may still be in it.
    """

    title: str
    pages: Mapping[int, PageHead]
    categories: tuple[str, ...]
    truncated: bool = False


@dataclass(frozen=True)
class LogEntry:
    """One entry of the wiki's log: `kind` "delete", `action` "restore", and so on.

    `title` is the page's title then; `new_title` is set for moves. `page_id` is what the wiki tells, and it tells
    different things: a deleted page's own id, or none, and after a move it may be that of the redirect left
    behind. `user` and `comment` are "" where they are hidden.
    """

    kind: str
    action: str
    page_id: int | None
    title: str
    new_title: str | None
    user: str
    comment: str
    at: datetime


@dataclass(frozen=True)
class RecentChanges:
    """What happened to file pages since a moment.

    `page_ids` are the pages that were edited, uploaded or otherwise named by their id. `titles` are those that
    the wiki named without an id (as deletions are) and both titles of moves. `log` is in order of time. `newest`
    is the moment of the last change seen, at which the next reading may begin; None if there was none.
    `complete` is False where changes may be missing: the reading stopped at `max_calls`, `since` is so long ago that
    the wiki has forgotten some, or some are kept from us (`n_hidden`). `calls` is the number of questions asked.
    """

    page_ids: frozenset[int]
    titles: frozenset[str]
    log: tuple[LogEntry, ...]
    newest: datetime | None
    complete: bool
    calls: int
    n_hidden: int = 0
    """Changes whose page or action the wiki hides; any of them may be a deletion."""


@dataclass(frozen=True)
class RevisionFacts:
    """One revision. Where it `is_missing` (deleted, or never there) nothing else is known: page id 0, no tags, no
    user, and 1970 as its time. `user` is "" where it is hidden."""

    revid: int
    page_id: int
    tags: tuple[str, ...]
    user: str
    at: datetime
    is_missing: bool


class Changes:
    """Reads one wiki. Holds no connection and no state: an instance may be shared by threads.

    Every method raises as `WikiSession.ask`, and BadAnswerError for an answer of another form.
    """

    def __init__(self, config: WikiConfig) -> None:
        self._session = WikiSession(config)

    def category_heads(self, name: str, depth: int = 0, on_progress: Progress | None = None) -> CategoryHeads:
        """Return the newest revisions of all files of a category and of its subcategories down to `depth`.

        One call for the category, and for each category that is read one for every 500 files, begun or full.
        Names, cycles, renamed categories, progress and errors are as for `Commons.category`.
        """
        params = {**_HEAD, "gcmlimit": "max"}
        found = read_category(self._session, name, depth, params, _head, on_progress=on_progress)
        return CategoryHeads(found.title, found.pages, found.categories, found.truncated)

    def category_size(self, name: str) -> tuple[str, int | None]:
        """Return a category's title after redirects and the number of files that its page states.

        One call (two for a category that was renamed). The number is the wiki's own running count, which may be off
        by a few; None where there is no such category. Raises CategoryNotFoundError for what cannot be one.
        """
        title, exists, files = category_page(self._session, category_title(name))
        return title, files if exists else None

    def heads(self, page_ids: Collection[int]) -> dict[int, PageHead | None]:
        """Return the newest revisions of pages by page id, 50 a call; None for a page that is not there (any
        more)."""
        wanted = checked_ids(page_ids)
        found: dict[int, PageHead | None] = dict.fromkeys(wanted)
        for part in parts(wanted):
            for query in batches(self._session, **_HEAD, pageids="|".join(map(str, part))):
                found |= {one.page_id: one for one in _heads(query) if one.page_id in found}
        return found

    def by_title(self, titles: Collection[str]) -> dict[str, PageHead | None]:
        """Return the pages that bear the titles ("File:…"), by title as given, 50 a call; None where there is none.

        Redirects are followed, so the head may have another title; a title that cannot exist has no page.
        """
        asked = {title: _spelled(title) for title in titles}
        found: dict[str, PageHead | None] = {}
        for part in parts(sorted({one for one in asked.values() if _may_exist(one)})):
            for query in batches(self._session, **_HEAD, titles="|".join(part), redirects=1):
                heads = {one.title: one for one in _heads(query)}
                leads_to = _leads_to(query)
                found |= {title: heads.get(_end_of(title, leads_to)) for title in part}
        return {title: found.get(spelled) for title, spelled in asked.items()}

    def recent(self, since: datetime, max_calls: int) -> RecentChanges:
        """Return what happened to file pages since a moment (aware), in at most `max_calls` calls of 500 changes.

        Changes of the very second of `since` are in it. Databases lag behind each other, so callers begin a few
        minutes before where they ended.
        """
        if since.tzinfo is None or max_calls < 1:
            raise ValueError("since must have a time zone, and max_calls must be at least 1")
        seen = _Seen()
        # "categorize" rows are rows of the category's page, in another namespace; the edits that cause them are here.
        params: dict[str, str | int] = {
            "action": "query",
            "curtimestamp": 1,
            "list": "recentchanges",
            "rcnamespace": 6,
            "rctype": "edit|new|log",
            "rcprop": "ids|title|timestamp|loginfo|comment|user",
            "rcdir": "newer",
            "rcstart": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "rclimit": "max",
        }
        calls, is_all = 0, False
        for answer in islice(answers(self._session, **params), max_calls):
            calls += 1
            seen.read(answer.get("query", {}).get("recentchanges", ()))
            remembered = since >= _moment(answer.get("curtimestamp")) - KEPT
            is_all = remembered and "continue" not in answer
        return RecentChanges(
            frozenset(seen.page_ids),
            frozenset(seen.titles),
            tuple(seen.log),
            seen.newest,
            is_all and not seen.n_hidden,
            calls,
            seen.n_hidden,
        )

    def log_of(self, title: str) -> tuple[LogEntry, ...]:
        """Return what the log tells of the page that bears or bore the title, newest first; () for nothing."""
        params: dict[str, str | int] = {
            "action": "query",
            "list": "logevents",
            "letitle": title,
            "leprop": "ids|title|type|user|timestamp|comment|details",
            "lelimit": "max",
        }
        rows = [row for one in answers(self._session, **params) for row in one.get("query", {}).get("logevents", ())]
        return tuple(
            entry
            for row in rows
            if (entry := _entry(row, "type", "action", "params", row.get("logpage") or row.get("pageid")))
        )

    def revisions(self, revids: Collection[int]) -> dict[int, RevisionFacts]:
        """Return the facts of revisions by number, 50 a call; every number asked for is in the answer."""
        wanted = checked_ids(revids, "revision id")
        found: dict[int, RevisionFacts] = {}
        for part in parts(wanted):
            params: dict[str, str | int] = {
                "action": "query",
                "prop": "revisions",
                "revids": "|".join(map(str, part)),
                "rvprop": "ids|tags|user|timestamp",
            }
            for answer in answers(self._session, **params):  # a page may be split between two answers
                found |= {one.revid: one for one in _revisions(answer.get("query", {}))}
            if forgotten := [one for one in part if one not in found]:
                raise BadAnswerError(f"The wiki said nothing about revision {forgotten[0]}.")
        return {revid: found[revid] for revid in wanted}

    def page_text(self, title: str) -> str | None:
        """Return the wikitext of the page of that title; None if there is no such page. Redirects are not
        followed."""
        if not _may_exist(title):
            return None
        facts: dict[str, str | int] = {"prop": "revisions", "rvprop": "content", "rvslots": "main"}
        answer = self._session.ask(action="query", titles=title, **facts)
        pages = answer.get("query", {}).get("pages") or [{"missing": True}]
        page = pages[0]
        return None if page.get("missing") or page.get("invalid") else main_wikitext(page)


class _Seen:
    """What was read of the recent changes so far."""

    def __init__(self) -> None:
        self.page_ids: set[int] = set()
        self.titles: set[str] = set()
        self.log: list[LogEntry] = []
        self.newest: datetime | None = None
        self.n_hidden = 0

    def read(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in one answer's rows. Raises BadAnswerError for rows of another form."""
        for row in rows:
            moment = _moment(row.get("timestamp"))
            self.newest = moment if self.newest is None else max(moment, self.newest)
            page_id = row.get("pageid") or None
            self.n_hidden += bool(row.get("actionhidden")) or (page_id is None and "title" not in row)
            if page_id is not None:
                self.page_ids.add(int(page_id))
            elif "title" in row:
                self.titles.add(str(row["title"]))
            entry = _entry(row, "logtype", "logaction", "logparams", page_id)
            if entry:
                self.log.append(entry)
                self.titles.update((entry.title, entry.new_title) if entry.new_title else ())


def _head(page: Mapping[str, Any]) -> PageHead | None:
    if page.get("missing") or page.get("invalid") or "pageid" not in page:
        return None
    try:
        return PageHead(int(page["pageid"]), str(page["title"]), int(page["lastrevid"]), bool(page.get("redirect")))
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswerError(f"The facts about {page.get('title', 'a page')} have an unknown form.") from error


def _heads(query: Mapping[str, Any]) -> list[PageHead]:
    return [head for page in query.get("pages", ()) if (head := _head(page)) is not None]


def _entry(row: Mapping[str, Any], kind: str, action: str, params: str, page_id: object) -> LogEntry | None:
    """Return the log entry in a row that names its parts so; None if the row is none, or is hidden."""
    if not row.get(kind) or "title" not in row or not row.get(action):
        return None
    details = row.get(params)  # an empty map may be serialised as a list
    target = details.get("target_title") if isinstance(details, Mapping) else None
    return LogEntry(
        kind=str(row[kind]),
        action=str(row[action]),
        page_id=int(str(page_id)) if page_id else None,
        title=str(row["title"]),
        new_title=str(target) if target and row[kind] == "move" else None,
        user=str(row.get("user") or ""),
        comment=str(row.get("comment") or ""),
        at=_moment(row.get("timestamp")),
    )


def _revisions(query: Mapping[str, Any]) -> list[RevisionFacts]:
    unknown = query.get("badrevids") or {}
    gone = unknown.values() if isinstance(unknown, Mapping) else unknown
    try:
        found = [RevisionFacts(int(one["revid"]), 0, (), "", _NEVER, is_missing=True) for one in gone]
        for page in query.get("pages", ()):
            for one in page.get("revisions", ()):
                tags, user = tuple(map(str, one.get("tags", ()))), str(one.get("user") or "")
                moment = _moment(one.get("timestamp"))
                found.append(RevisionFacts(int(one["revid"]), int(page["pageid"]), tags, user, moment, False))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadAnswerError("The facts about revisions have an unknown form.") from error
    return found


def _moment(timestamp: object) -> datetime:
    try:
        return datetime.fromisoformat(str(timestamp)).astimezone(UTC)
    except ValueError as error:
        raise BadAnswerError(f"The wiki gave {timestamp!r} as a time.") from error


def _spelled(title: str) -> str:
    """Return the title with single spaces and composed letters, as the wiki would repeat it to us."""
    return " ".join(unicodedata.normalize("NFC", title).replace("_", " ").split())


def _may_exist(title: str) -> bool:
    """Say whether the title can be asked for: "|" and U+001F separate titles, and no title has them."""
    return bool(title.strip()) and "|" not in title and "\x1f" not in title


def _leads_to(query: Mapping[str, Any]) -> dict[str, str]:
    steps = (*query.get("normalized", ()), *query.get("redirects", ()))
    return {str(step["from"]): str(step["to"]) for step in steps}


def _end_of(title: str, leads_to: Mapping[str, str]) -> str:
    """Follow a title to its proper spelling and over redirects; in a circle of redirects it ends somewhere."""
    for _ in range(len(leads_to)):
        title = leads_to.get(title, title)
    return title
