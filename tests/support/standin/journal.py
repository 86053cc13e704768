"""What happened on the stand-in's wiki: one row for each change, as `recentchanges` and `logging` keep them.

The edits of a page go when the page is deleted; the log stays for good. An upload, a move, a deletion and a
restoration are log rows only, as on a real wiki, though they may leave a revision in the page's history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.standin.world import Page, Revision


@dataclass(frozen=True)
class Change:
    """One row. `kind` is "edit", "new" or "log"; the log's own columns are empty for the first two.

    `page_id` is that of the page which has the title right after the change (0: none has), `page_then` that of
    the page which had it before. `hidden` names what is kept from readers: "user", "comment", "action".
    """

    rcid: int
    kind: str
    ns: int
    title: str
    page_id: int
    revid: int
    old_revid: int
    timestamp: str
    user: str
    comment: str
    log_id: int = 0
    log_type: str = ""
    log_action: str = ""
    page_then: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    suppressed: bool = False


class Journal:
    """The rows in the order in which they were made."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._next_log_id = 1

    def edited(self, page: Page, revision: Revision, kind: str = "edit") -> None:
        """Note an edit, or with `kind` "new" a new page."""
        numbers = (page.page_id, revision.revid, revision.parentid)
        who = (revision.timestamp, revision.user, revision.comment)
        self.changes.append(Change(self._next_rcid(), kind, page.ns, page.title, *numbers, *who))

    def uploaded(self, page: Page, revision: Revision, action: str = "upload") -> None:
        """Note a new file, or with `action` "overwrite" a new version of one."""
        who = (revision.timestamp, revision.user, revision.comment)
        self._log(page, "upload", action, who, page.page_id, revid=revision.revid)

    def deleted(self, page: Page, timestamp: str, user: str, comment: str) -> None:
        """Note that a page was deleted, and forget its edits."""
        self.changes = [one for one in self.changes if one.kind == "log" or one.page_id != page.page_id]
        self._log(page, "delete", "delete", (timestamp, user, comment), 0)

    def restored(self, page: Page, timestamp: str, user: str, comment: str) -> None:
        """Note that a deleted page came back."""
        counts = {"count": {"revisions": len(page.revisions), "files": int(page.file is not None)}}
        self._log(page, "delete", "restore", (timestamp, user, comment), page.page_id, counts)

    def moved(self, page: Page, old_title: str, revision: Revision, redirect_id: int) -> None:
        """Note that a page has a new title; `redirect_id` is the page that took the old one, 0 if none did."""
        params = {"target_ns": page.ns, "target_title": page.title, "suppressredirect": not redirect_id}
        who = (revision.timestamp, revision.user, "")
        self._log(page, "move", "move", who, redirect_id, params, title=old_title)

    def hide(self, change: Change, parts: Iterable[str], suppressed: bool = False) -> None:
        """Keep the user, the comment or the action of a row from readers."""
        place = self.changes.index(change)
        self.changes[place] = replace(change, hidden=frozenset(parts), suppressed=suppressed)

    def _log(
        self,
        page: Page,
        log_type: str,
        action: str,
        who: tuple[str, str, str],
        page_id: int,
        params: Mapping[str, Any] | None = None,
        *,
        title: str | None = None,
        revid: int = 0,
    ) -> None:
        number, self._next_log_id = self._next_log_id, self._next_log_id + 1
        row = Change(self._next_rcid(), "log", page.ns, title or page.title, page_id, revid, 0, *who)
        row = replace(row, log_id=number, log_type=log_type, log_action=action, page_then=page.page_id)
        self.changes.append(replace(row, params=dict(params or {})))

    def _next_rcid(self) -> int:
        return self.changes[-1].rcid + 1 if self.changes else 1
