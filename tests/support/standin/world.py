"""The wiki behind the stand-in: pages with revisions and a MediaInfo slot, categories, files, people, taxa.

Plain data in memory. Tests change it while the server answers; every reader and writer holds `World.lock`.
What may stop a write (blocks, protections, filters) is in `World.rules`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.standin.files import STANDARD_STEPS, FileWords, StoredFile
from tests.support.standin.journal import Journal
from tests.support.standin.rules import Block, WikiRules
from tests.support.standin.statements import Json, Statement, statements_json
from tests.support.standin.taxa import TaxonStore
from tests.support.standin.third_parties import ThirdParties

NS_MAIN, NS_FILE, NS_CATEGORY, NS_ITEM, NS_PROPERTY = 0, 6, 14, 120, 122
PREFIXES = {"File": NS_FILE, "Image": NS_FILE, "Category": NS_CATEGORY, "Item": NS_ITEM, "Property": NS_PROPERTY}
NAMES = {NS_FILE: "File", NS_CATEGORY: "Category", NS_ITEM: "Item", NS_PROPERTY: "Property"}
USER_RIGHTS = (
    *("read", "edit", "createpage", "createtalk", "abusefilter-view", "abusefilter-log", "item-term", "property-term"),
    *("item-merge", "item-redirect", "property-create", "mediainfo-term", "move", "move-subpages"),
    *("move-rootuserpages", "move-categorypages", "movefile", "upload", "reupload", "reupload-shared", "minoredit"),
    *("applychangetags", "changetags", "editcontentmodel", "autoconfirmed", "editsemiprotected"),
)
EMPTY_SLOT: Json = {"labels": {}, "descriptions": {}, "statements": {}}


@dataclass(frozen=True)
class Revision:
    """One saved state of a page: its wikitext and, for files with structured data, its MediaInfo slot.

    `hidden` names what is kept from readers: "user", "comment".
    """

    revid: int
    parentid: int
    timestamp: str
    user: str
    comment: str
    wikitext: str
    entity: Json | None = None
    tags: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    is_bot: bool = False

    def slot_json(self, page_id: int) -> str:
        """The MediaInfo slot as stored: empty maps are written as lists, as Wikibase does."""
        if self.entity is None:
            raise ValueError(f"revision {self.revid} has no MediaInfo slot")
        body: Json = {"type": "mediainfo", "id": f"M{page_id}"}
        body |= {key: self.entity[key] or [] for key in ("labels", "descriptions", "statements")}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)

    def size(self, page_id: int) -> int:
        """Bytes of all slots together."""
        slot = len(self.slot_json(page_id).encode()) if self.entity is not None else 0
        return len(self.wikitext.encode()) + slot


@dataclass
class Page:
    """A page with its revisions, oldest first; `categories` maps a category title to the time of joining."""

    page_id: int
    ns: int
    title: str
    revisions: list[Revision]
    categories: dict[str, str] = field(default_factory=dict)
    file: StoredFile | None = None
    redirect_to: str | None = None

    @property
    def latest(self) -> Revision:
        """The current revision."""
        return self.revisions[-1]

    @property
    def sort_key(self) -> str:
        """The key that category listings are sorted by: the title without namespace, in capitals."""
        return self.title.split(":", 1)[-1].upper() if self.ns else self.title.upper()


@dataclass(frozen=True)
class Person:
    """An account: `sub` is the central id that stays when `username` changes."""

    username: str
    sub: str
    blocked: bool = False
    editcount: int = 39
    registered: str = "20260101000000"
    groups: tuple[str, ...] = ("*", "user", "autoconfirmed")
    rights: tuple[str, ...] = USER_RIGHTS

    @property
    def is_bot(self) -> bool:
        """Whether the account may mark its edits as a bot's."""
        return "bot" in self.groups


@dataclass(frozen=True)
class Entity:
    """An item or property that the wiki itself holds (not a taxon of the SPARQL store)."""

    entity_id: str
    page_id: int
    revid: int
    modified: str
    labels: Mapping[str, str]
    descriptions: Mapping[str, str]
    datatype: str | None = None
    statements: tuple[Statement, ...] = ()


class World(ThirdParties):
    """All that the stand-in knows. Times start at `start` and move on one second with every change."""

    def __init__(self, sitename: str = "Local Commons", start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.lock = threading.RLock()
        self.sitename = sitename
        self.thumb_steps: tuple[int, ...] = STANDARD_STEPS
        self.search_works = True
        self.next_page_id = 1
        self.next_revid = 1
        self.pages: dict[int, Page] = {}
        self.titles: dict[str, int] = {}
        self.deleted: dict[int, Page] = {}
        self.rules = WikiRules()
        self.journal = Journal()
        self._in_category: dict[str, set[int]] = {}
        self._sorted: dict[str, list[Page]] = {}
        self.entities: dict[str, Entity] = {}
        self.people: dict[str, Person] = {}
        self.taxa = TaxonStore()
        self._time = start
        self.add_page("Main Page", NS_MAIN, "Welcome.")

    # ---- time and numbers

    def tick(self) -> str:
        """The time of the next change, ISO 8601 in UTC."""
        self._time += timedelta(seconds=1)
        return self.now

    @property
    def now(self) -> str:
        """The time of the latest change, which is what the wiki's own clock shows."""
        return self._time.strftime("%Y-%m-%dT%H:%M:%SZ")

    def set_clock(self, moment: str) -> None:
        """Let the next change happen at `moment` (ISO 8601, UTC, as the API writes it)."""
        self._time = datetime.fromisoformat(moment) - timedelta(seconds=1)

    def _revision(
        self, page: Page | None, wikitext: str, entity: Json | None, user: str, comment: str, journaled: bool = True
    ) -> Revision:
        """The next revision; an edit of a page that is there goes into the journal unless a log entry does."""
        revid, self.next_revid = self.next_revid, self.next_revid + 1
        parent = page.latest.revid if page and page.revisions else 0
        revision = Revision(revid, parent, self.tick(), user, comment, wikitext, entity)
        if page is not None and journaled:
            self.journal.edited(page, revision)
        return revision

    def first_revision(self, wikitext: str, user: str) -> Revision:
        """A revision without parent, at the next time and number; for worlds that rebuild a known history."""
        return self._revision(None, wikitext, None, user, "seed")

    # ---- pages

    def add_page(
        self,
        title: str,
        ns: int,
        wikitext: str,
        user: str = "Admin",
        page_id: int | None = None,
        *,
        journaled: bool = True,
    ) -> Page:
        """Make a page with its first revision. Raises ValueError if the title or the id is taken.

        A new file page is an upload to the journal; a page that another log entry tells of is not `journaled`.
        """
        with self.lock:
            number = self.next_page_id if page_id is None else page_id
            if title in self.titles or number in self.pages or number in self.deleted:
                raise ValueError(f"page {title!r} or its id {number} is there already")
            self.next_page_id = max(self.next_page_id, number + 1)
            page = Page(number, ns, title, [])
            page.revisions.append(self._revision(None, wikitext, None, user, "seed"))
            self.pages[number] = page
            self.titles[title] = number
            if journaled and ns == NS_FILE:
                self.journal.uploaded(page, page.latest)
            elif journaled:
                self.journal.edited(page, page.latest, "new")
            return page

    def taxon_qid(self, scientific_name: str) -> str:
        """The Q-id of a taxon. Raises KeyError if no taxon has this name."""
        return self.taxa.qid(scientific_name)

    def page_by_title(self, title: str) -> Page | None:
        """The page of this exact title, or None."""
        with self.lock:
            number = self.titles.get(title)
            return None if number is None else self.pages[number]

    def edit_wikitext(
        self,
        page_id: int,
        wikitext: str,
        user: str = "Admin",
        comment: str = "",
        tags: Sequence[str] = (),
        as_bot: bool = False,
    ) -> int:
        """Save new wikitext; the MediaInfo slot is carried over. Returns the revision id."""
        with self.lock:
            page = self.pages[page_id]
            revision = self._revision(page, wikitext, page.latest.entity, user, comment)
            page.revisions.append(replace(revision, tags=tuple(tags), is_bot=as_bot))
            return page.latest.revid

    def _mark_revision(self, page: Page, user: str, comment: str) -> Revision:
        """Save the page as it is, for a log entry to stand in its history too."""
        latest = page.latest
        page.revisions.append(self._revision(page, latest.wikitext, latest.entity, user, comment, journaled=False))
        return page.latest

    def add_category(self, name: str, parents: Sequence[str] = (), page_id: int | None = None) -> int:
        """Make the category `name` (with or without prefix), or add parents to one that is there; its page id."""
        with self.lock:
            title = category_title(name)
            page = self.page_by_title(title) or self.add_page(title, NS_CATEGORY, "", page_id=page_id)
            self._join(page, parents)
            return page.page_id

    def _join(self, page: Page, categories: Iterable[str]) -> None:
        for category in map(category_title, categories):
            page.categories.setdefault(category, self.tick())
            self._in_category.setdefault(category, set()).add(page.page_id)
            self._sorted.pop(category, None)

    def _leave(self, page: Page, categories: Iterable[str]) -> None:
        for category in categories:
            self._in_category[category].discard(page.page_id)
            self._sorted.pop(category, None)

    def set_categories(self, page_id: int, categories: Sequence[str]) -> None:
        """Put the page into exactly these categories; those it is in already keep their time of joining."""
        with self.lock:
            page = self.pages[page_id]
            wanted = [category_title(name) for name in categories]
            self._leave(page, [name for name in page.categories if name not in wanted])
            page.categories = {name: page.categories[name] for name in page.categories if name in wanted}
            self._join(page, wanted)

    def members(self, category: str) -> list[Page]:
        """Pages in the category: subcategories after pages and before files, each sorted by title."""
        with self.lock:
            if category not in self._sorted:
                order = {NS_CATEGORY: 1, NS_FILE: 2}
                found = [self.pages[number] for number in self._in_category.get(category, ())]
                found.sort(key=lambda page: (order.get(page.ns, 0), page.sort_key, page.page_id))
                self._sorted[category] = found
            return list(self._sorted[category])

    # ---- files

    def add_file(
        self,
        title: str,
        path: Path | bytes,
        categories: Sequence[str] = (),
        *,
        description_html: str | None = None,
        artist_html: str | None = None,
        credit_html: str | None = None,
        date_html: str | None = None,
        licence: str | None = None,
        licence_url: str | None = None,
        object_name: str | None = None,
        wikitext: str | None = None,
        statements: Sequence[Statement | Mapping[str, Any]] = (),
        uploader: str = "Uploader",
        page_id: int | None = None,
    ) -> int:
        """Upload a file and return its page id; with `statements`, its first structured data follows at once."""
        with self.lock:
            text = wikitext if wikitext is not None else _default_wikitext(description_html, categories)
            page = self.add_page(file_title(title), NS_FILE, text, uploader, page_id)
            words = FileWords(description_html, artist_html, credit_html, date_html, licence, licence_url, object_name)
            page.file = StoredFile(path, uploader, page.latest.timestamp, words)
            self._join(page, categories)
            if statements:
                self.set_statements(page.page_id, statements, user=uploader)
            return page.page_id

    def replace_file(self, page_id: int, path: Path | bytes, user: str = "Uploader") -> None:
        """Upload a new version over a file: page id stays, bytes and sha1 change."""
        with self.lock:
            page = self.pages[page_id]
            if page.file is None:
                raise ValueError(f"page {page_id} is no file")
            page.file = StoredFile(path, user, self.tick(), page.file.words)
            self.journal.uploaded(page, self._mark_revision(page, user, "new version"), "overwrite")

    def set_entity(
        self,
        page_id: int,
        entity: Json | None,
        user: str = "Uploader",
        comment: str = "/* wbeditentity-update:0| */",
        tags: Sequence[str] = (),
        as_bot: bool = False,
    ) -> int:
        """Save the whole MediaInfo slot (None takes it away); returns the revision id."""
        with self.lock:
            page = self.pages[page_id]
            revision = self._revision(page, page.latest.wikitext, entity, user, comment)
            page.revisions.append(replace(revision, tags=tuple(tags), is_bot=as_bot))
            return page.latest.revid

    def set_statements(
        self, page_id: int, statements: Sequence[Statement | Mapping[str, Any]], user: str = "Uploader"
    ) -> int:
        """Replace all statements of a file in one edit; an empty list leaves an entity with no statements."""
        entity = dict(self.pages[page_id].latest.entity or EMPTY_SLOT)
        entity["statements"] = statements_json(f"M{page_id}", statements)
        return self.set_entity(page_id, entity, user)

    def set_labels(self, page_id: int, labels: Mapping[str, str], user: str = "Uploader") -> int:
        """Replace the captions (language -> text) of a file."""
        entity = dict(self.pages[page_id].latest.entity or EMPTY_SLOT)
        entity["labels"] = {code: {"language": code, "value": value} for code, value in labels.items()}
        return self.set_entity(page_id, entity, user)

    def delete_file(self, page_id: int, user: str = "Admin", comment: str = "") -> None:
        """Delete the page; `undelete_file` brings it back with its id and its structured data."""
        with self.lock:
            page = self.pages.pop(page_id)
            del self.titles[page.title]
            self.deleted[page_id] = page
            self._leave(page, page.categories)
            self.journal.deleted(page, self.tick(), user, comment)

    def undelete_file(self, page_id: int, user: str = "Admin", comment: str = "") -> None:
        """Bring a deleted page back."""
        with self.lock:
            page = self.deleted.pop(page_id)
            self.pages[page_id] = page
            self.titles[page.title] = page_id
            self._join(page, page.categories)
            self.journal.restored(page, self.tick(), user, comment)

    def move_file(
        self, page_id: int, new_title: str, leave_redirect: bool = True, user: str | None = None, reason: str = ""
    ) -> None:
        """Rename a file: its id stays, and a redirect page with an id of its own takes the old title.

        `user` is who does it; None is whoever edited last.
        """
        with self.lock:
            page, old = self.pages[page_id], self.pages[page_id].title
            del self.titles[old]
            page.title = file_title(new_title)
            self.titles[page.title] = page_id
            for category in page.categories:
                self._sorted.pop(category, None)
            comment = f"moved from {old}{f': {reason}' if reason else ''}"
            mark = self._mark_revision(page, user or page.latest.user, comment)
            left = 0
            if leave_redirect:
                trace = self.add_page(old, NS_FILE, f"#REDIRECT [[{page.title}]]", mark.user, journaled=False)
                trace.redirect_to = page.title
                left = trace.page_id
            self.journal.moved(page, old, mark, left)

    # ---- people and entities

    def add_person(self, username: str, sub: str, blocked: bool = False) -> Person:
        """Register an account, or replace the one of that name."""
        with self.lock:
            return self.put_person(Person(username, sub, blocked))

    def put_person(self, person: Person) -> Person:
        """Register an account with all its particulars (groups, rights, edit count)."""
        with self.lock:
            self.people[person.username] = person
            return person

    def rename_person(self, old: str, new: str) -> Person:
        """Rename an account; `sub` stays."""
        with self.lock:
            before = self.people.pop(old)
            return self.put_person(replace(before, username=new))

    def block_of(self, username: str) -> Block | None:
        """The block of an account or address, if there is one."""
        person = self.people.get(username)
        if person is not None and person.blocked:
            return self.rules.blocks.get(username, Block())
        return None if person is not None else self.rules.blocks.get(username)

    def add_entity(
        self,
        entity_id: str,
        labels: Mapping[str, str],
        descriptions: Mapping[str, str] | None = None,
        datatype: str | None = None,
        page_id: int | None = None,
        statements: Sequence[Statement] = (),
    ) -> Entity:
        """Make an item (`Q…`) or, with `datatype`, a property (`P…`) on this wiki."""
        with self.lock:
            prefix, ns = ("Property", NS_PROPERTY) if datatype else ("Item", NS_ITEM)
            page = self.add_page(f"{prefix}:{entity_id}", ns, "", page_id=page_id)
            entity = Entity(
                entity_id,
                page.page_id,
                page.latest.revid,
                page.latest.timestamp,
                dict(labels),
                dict(descriptions or {}),
                datatype,
                tuple(statements),
            )
            self.entities[entity_id] = entity
            return entity


def normal_title(title: str) -> str:
    """MediaWiki's own spelling: spaces for underscores, a capital first letter, the namespace's proper name."""
    plain = re.sub(r"[ _]+", " ", title).strip()
    prefix, colon, rest = plain.partition(":")
    known = {name.lower(): ns for name, ns in PREFIXES.items()}
    if colon and prefix.strip().lower() in known:
        rest = rest.strip()
        return f"{NAMES[known[prefix.strip().lower()]]}:{rest[:1].upper()}{rest[1:]}"
    return plain[:1].upper() + plain[1:]


def category_title(name: str) -> str:
    """`birds` or `Category:Birds` -> `Category:Birds`."""
    return normal_title(name if name.startswith("Category:") else f"Category:{name}")


def file_title(name: str) -> str:
    """`a.jpg` or `File:A.jpg` -> `File:A.jpg`."""
    return normal_title(name if name.startswith("File:") else f"File:{name}")


def _default_wikitext(description_html: str | None, categories: Sequence[str]) -> str:
    links = "\n".join(f"[[{category_title(name)}]]" for name in categories)
    return f"== {{{{int:filedesc}}}} ==\n{{{{Information|description={description_html or ''}}}}}\n\n{links}"
