"""The rules of a sync, pure: what has to be read again, when a loss is too large to be true, and which way is cheaper.

Two ways lead to the same end. Comparing every file's newest revision with ours is always right. Reading the wiki's
recent changes is cheaper where little happened on the whole wiki, and can tell enough only in some cases.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from icones.illustrations.queries import Known
from wiki_sync import PageHead, RecentChanges

HEADS_OF_CATEGORY = 500
HEADS_BY_ID = 50
"""Files whose newest revision one call tells, to an account without special rights."""
OVERLAP = timedelta(minutes=2)
"""The wiki's databases lag behind each other: changes are read again from so long before the last reading."""
REMEMBERED = timedelta(days=29)
"""A wiki keeps its recent changes for thirty days."""
LOSS_ASKED = 10
"""Fewer files may leave a source without a question, as long as one remains."""


@dataclass(frozen=True)
class Differences:
    """What must be done to bring a campaign in line, by page id."""

    to_read: tuple[int, ...]
    """Listed files that are new, changed or back, in the order of the listing."""
    missing: tuple[int, ...]
    """Files that were there and are not listed any more."""
    present: int
    """How many files were there before."""
    n_listed: int
    """How many files are listed now."""


def differences(known: Mapping[int, Known], listed: Mapping[int, PageHead], everything: bool = False) -> Differences:
    """Compare what we hold with what the source lists now. Redirects are no files; ``everything`` is read anew."""
    files = {page_id: head for page_id, head in listed.items() if not head.is_redirect}
    present = [page_id for page_id, one in known.items() if one.is_present]
    return Differences(
        to_read=tuple(page_id for page_id, head in files.items() if everything or differs(known.get(page_id), head)),
        missing=tuple(page_id for page_id in present if page_id not in files),
        present=len(present),
        n_listed=len(files),
    )


def differs(ours: Known | None, head: PageHead) -> bool:
    """Say whether a file has to be read: one we do not hold, or hold as gone, or in another revision."""
    if ours is None or not ours.is_present:
        return True
    return ours.revision != head.revision or ours.title != bare(head.title)


def bare(title: str) -> str:
    """Return a file's title without "File:", as illustrations keep it."""
    return title.removeprefix("File:")[:400]


def is_too_much(found: Differences) -> bool:
    """Say whether so many files are missing that it is more likely a mistake at the source."""
    lost = len(found.missing)
    return lost * 2 > found.present and (lost >= LOSS_ASKED or lost == found.present)


def calls_to_compare(n_files: int, n_categories: int) -> int:
    """Return what comparing all revisions costs: in a category tree, or with 0 categories of a list."""
    if n_categories:
        return 1 + max(n_categories, n_categories - 1 + -(-n_files // HEADS_OF_CATEGORY))
    return -(-n_files // HEADS_BY_ID)


def is_worth_going_on(first: RecentChanges, since: datetime, now: datetime, budget: int) -> bool:
    """Say whether the other changes fit into ``budget`` calls, judging by the time that the first one covered."""
    if first.newest is None or now - since > REMEMBERED:
        return False
    covered = (first.newest - since) / (now - since) if now > since else 1.0
    return covered > 0 and 1 / covered <= budget


def touched(known: Mapping[int, Known], changes: RecentChanges) -> tuple[set[int], bool]:
    """Return those of our files that the changes are about, and whether they are about any other page as well."""
    by_title = {one.title: page_id for page_id, one in known.items()}
    named = {bare(title) for title in changes.titles}
    named |= {bare(title) for entry in changes.log for title in (entry.title, entry.new_title) if title}
    ours = {page_id for page_id in changes.page_ids if page_id in known}
    ours |= {by_title[title] for title in named if title in by_title}
    others = any(page_id not in known for page_id in changes.page_ids)
    return ours, others or any(title not in by_title for title in named)


def unchanged(known: Mapping[int, Known], page_ids: Collection[int]) -> dict[int, PageHead]:
    """Return heads as we hold them for files that are there and of which nothing new was said."""
    return {
        page_id: PageHead(page_id, f"File:{one.title}", one.revision or 0, is_redirect=False)
        for page_id in page_ids
        if (one := known.get(page_id)) is not None and one.is_present and one.revision
    }
