"""What a campaign's source lists now: asks the wiki, writes nothing.

Whatever the source (a category, a list, a query), the answer is the newest revision of each of its files. Two ways
lead there, see ``differences``: ``compare`` asks for all of them; ``quick`` reads the wiki's recent changes instead,
and gives None where those cannot tell enough or would cost more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from icones.campaigns.sources import collection_of, file_list
from icones.illustrations.queries import Known
from icones.jobs.differences import (
    OVERLAP,
    REMEMBERED,
    calls_to_compare,
    differs,
    is_worth_going_on,
    touched,
    unchanged,
)
from icones.jobs.runner import Progress
from icones.models import Campaign, SourceKind
from wiki_sync import (
    Changes,
    CollectionSource,
    EmptyCategoryError,
    LogEntry,
    Meter,
    PageHead,
    RecentChanges,
    WikiConfig,
)

LOGS_ASKED = 50
"""For so many deleted files a run the log is asked why; each is a call."""


@dataclass(frozen=True)
class Memory:
    """What the last sync that ended well saw of a category: its title, its number of files, and of categories."""

    title: str = ""
    n_files: int = 0
    n_categories: int = 1

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Memory":
        """Return the memory in a run's result, as ``Listing.to_remember`` put it there."""
        kept = result.get("source") or {}
        return cls(kept.get("title", ""), kept.get("files", 0), kept.get("categories", 1))


@dataclass(frozen=True)
class Listing:
    """The files that a source lists, by page id, with their newest revisions."""

    heads: Mapping[int, PageHead]
    is_compared: bool
    """Whether the wiki was asked for each file; else for those only that changed."""
    title: str = ""
    """The category's, after redirects."""
    n_files: int = 0
    n_categories: int = 0
    is_cut: bool = False
    """Whether the category tree was too large to be read whole: what is not listed may still be there."""
    numbers: Mapping[int, str] = field(default_factory=dict)
    """Object numbers that the source itself tells, by page id."""
    found: Mapping[str, int] = field(default_factory=dict)
    """The page ids of titles on a list."""
    not_found: tuple[str, ...] = ()
    """Titles and M-ids on a list that the wiki does not have."""

    def to_remember(self) -> dict[str, Any]:
        """Return what the next run's ``Memory`` is made of."""
        return {"title": self.title, "files": self.n_files, "categories": self.n_categories}


@dataclass(frozen=True)
class _Members:
    """The pages that a list or a query names."""

    page_ids: tuple[int, ...]
    numbers: Mapping[int, str] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    not_found: tuple[str, ...] = ()


class Source:
    """One campaign's source, for the length of one run."""

    def __init__(
        self,
        config: WikiConfig,
        campaign: Campaign,
        known: Mapping[int, Known],
        memory: Memory,
        meter: Meter,
        progress: Progress,
    ) -> None:
        self.changes = Changes(config)
        self._config = config
        self._campaign = campaign
        self._known = known
        self._memory = memory
        self._meter = meter
        self._progress = progress

    @property
    def is_category(self) -> bool:
        """Whether it is a category; else it is a list, as it is written down or as a query finds it."""
        return self._campaign.source_kind is SourceKind.CATEGORY

    def compare(self) -> Listing:
        """Return all files of the source with their newest revisions as the wiki has them now."""
        if self.is_category:
            return self._compare_category()
        members = self._members
        self._progress.step("Comparing with the wiki", 0, len(members.page_ids))
        heads = self.changes.heads(members.page_ids)
        return self._of_list({page_id: head for page_id, head in heads.items() if head}, is_compared=True)

    def quick(self) -> Listing | None:
        """Return the same by way of the recent changes; None where comparing is cheaper, or alone can tell."""
        read = self._recent()
        if read is None:
            return None
        ours, others = touched(self._known, read)
        return self._quick_category(ours, others) if self.is_category else self._quick_list(ours)

    def why_gone(self, page_ids: Collection[int]) -> dict[int, str]:
        """Return in words why known files are not in the source any more, by page id."""
        heads = self.changes.heads(page_ids)
        deleted = [page_id for page_id, head in heads.items() if head is None]
        reasons = {page_id: self._why_deleted(page_id) for page_id in deleted[:LOGS_ASKED]}
        reasons |= dict.fromkeys(deleted[LOGS_ASKED:], "Deleted on the wiki.")
        elsewhere = {
            SourceKind.CATEGORY: "The file is no longer in the category.",
            SourceKind.FILES: "The file is no longer on the list.",
        }.get(self._campaign.source_kind, "The query no longer finds the file.")
        for page_id, head in heads.items():
            if head is not None:
                reasons[page_id] = "The file's page leads to another file now." if head.is_redirect else elsewhere
        return reasons

    # ---- categories

    def _compare_category(self) -> Listing:
        name = self._campaign.source
        self._progress.step(f"Listing Category:{name.removeprefix('Category:')}")
        try:
            read = self.changes.category_heads(name, self._campaign.source_depth, on_progress=self._progress.at)
        except EmptyCategoryError:
            if not any(one.is_present for one in self._known.values()):
                raise  # it never had a file for us: the category is the wrong one
            return Listing({}, True, self._memory.title, 0, self._memory.n_categories)
        return Listing(read.pages, True, read.title, len(read.pages), len(read.categories), read.truncated)

    def _quick_category(self, ours: set[int], others: bool) -> Listing | None:
        """Trust the recent changes where no file can have come or gone.

        An edit that takes a file out of the category, or brings one in, is an edit of that file; a template may do it
        without one, but then the category's own count differs. Only an exchange of one for another could go unseen.
        """
        if self._campaign.source_depth or calls_to_compare(len(ours), 0) >= self._cost_of_comparing():
            return None
        found = self.changes.heads(ours)
        if others and any(head is None or differs(self._known[page_id], head) for page_id, head in found.items()):
            return None
        title, n_files = self.changes.category_size(self._campaign.source)
        if (title, n_files) != (self._memory.title, self._memory.n_files):
            return None
        heads = unchanged(self._known, [page_id for page_id in self._known if page_id not in ours])
        heads |= {page_id: head for page_id, head in found.items() if head}
        return Listing(heads, False, title, self._memory.n_files, 1)

    # ---- lists and queries

    @cached_property
    def _members(self) -> _Members:
        if self._campaign.source_kind is SourceKind.FILES:
            return self._listed()
        self._progress.step("Asking the query service for the files")
        collection = collection_of(self._campaign.source)
        service = CollectionSource(self._config)
        if collection is None:
            return _Members(service.query(self._campaign.source))
        files = service.files(collection)
        numbers = {file.page_id: file.inventory_number for file in files if file.inventory_number}
        return _Members(tuple(file.page_id for file in files), numbers)

    def _listed(self) -> _Members:
        files = file_list(self._campaign.source)
        if files.titles:
            self._progress.step(f"Looking up {len(files.titles)} titles")
        heads = self.changes.by_title(files.titles)
        found = {title: head.page_id for title, head in heads.items() if head}
        page_ids = tuple(dict.fromkeys([*files.page_ids, *found.values()]))
        return _Members(page_ids, {}, found, tuple(title for title in files.titles if title not in found))

    def _quick_list(self, ours: set[int]) -> Listing:
        members = self._members
        heads = unchanged(self._known, [page_id for page_id in members.page_ids if page_id not in ours])
        asked = [page_id for page_id in members.page_ids if page_id in ours or page_id not in self._known]
        heads |= {page_id: head for page_id, head in self.changes.heads(asked).items() if head}
        return self._of_list(heads, is_compared=False)

    def _of_list(self, heads: Mapping[int, PageHead], is_compared: bool) -> Listing:
        members = self._members
        absent = tuple(
            f"M{page_id}" for page_id in members.page_ids if page_id not in heads and page_id not in self._known
        )
        return Listing(
            heads,
            is_compared,
            n_files=len(members.page_ids),
            numbers={page_id: number for page_id, number in members.numbers.items() if page_id in heads},
            found=members.found,
            not_found=(*members.not_found, *absent),
        )

    # ---- recent changes

    def _recent(self) -> RecentChanges | None:
        """Read the recent changes since the last run if they fit into fewer calls than comparing costs."""
        read_until = self._campaign.changes_read_at
        cost = self._cost_of_comparing()
        own = 1 if self.is_category else 0
        if read_until is None or cost - own < 2:
            return None
        since, budget = read_until - OVERLAP, cost - own - 1
        self._progress.step("Reading the wiki's recent changes")
        first = self.changes.recent(since, 1)
        now = self._meter.last_time
        if first.complete or first.n_hidden or now is None:
            return first if first.complete else None
        if now - since > REMEMBERED or not is_worth_going_on(first, since, now, budget):
            return None
        rest = self.changes.recent(first.newest or since, budget)
        return _joined(first, rest) if rest.complete else None

    def _cost_of_comparing(self) -> int:
        if self.is_category:
            return calls_to_compare(self._memory.n_files, max(1, self._memory.n_categories))
        return calls_to_compare(len(self._members.page_ids), 0)

    # ---- the log

    def _why_deleted(self, page_id: int) -> str:
        title = f"File:{self._known[page_id].title}"
        entries = self.changes.log_of(title)
        if entries and entries[0].new_title:
            entries = self.changes.log_of(entries[0].new_title)  # it was renamed first
        return _deleted_words(entries)


def _joined(first: RecentChanges, rest: RecentChanges) -> RecentChanges:
    return RecentChanges(
        first.page_ids | rest.page_ids,
        first.titles | rest.titles,
        first.log + rest.log,
        rest.newest or first.newest,
        rest.complete,
        first.calls + rest.calls,
        first.n_hidden + rest.n_hidden,
    )


def _deleted_words(entries: Sequence[LogEntry]) -> str:
    """Return the reason of the newest deletion in a page's log."""
    entry = next((one for one in entries if (one.kind, one.action) == ("delete", "delete")), None)
    if entry is None:
        return "Deleted on the wiki."
    by = f" by {entry.user}" if entry.user else ""
    return f"Deleted on the wiki{by}: {entry.comment}" if entry.comment else f"Deleted on the wiki{by}."


def is_check_due(campaign: Campaign, now: datetime, hours: float) -> bool:
    """Say whether every file's revision has to be compared again."""
    return campaign.checked_at is None or (now - campaign.checked_at).total_seconds() >= hours * 3600
