"""Other people on the wiki during a fault run: they add, take away, change, revert, move and delete, by lot."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from tests.support.standin import World
from tests.support.standin.saving import entity_of
from tests.support.standin.statements import Snak
from tests.support.standin.world import NS_FILE, Page

OTHERS = ("Anna", "Bert", "Patroller")


class ThirdHands:
    """Does one thing a call, on a file drawn by lot. ``done`` counts what was done."""

    def __init__(self, world: World, bot: str, qids: Sequence[str], seed: int) -> None:
        self._world, self._bot, self._qids = world, bot, list(qids)
        self._lot = random.Random(f"others {seed}")
        self._moves = 0
        self.done: Counter[str] = Counter()
        self._deeds: tuple[tuple[int, Callable[[Page], str]], ...] = (
            (30, self._adds),
            (14, self._takes_away),
            (8, self._changes),
            (8, self._qualifies),
            (10, self._reverts),
            (20, self._edits_text),
            (4, self._deletes),
            (3, self._moves_file),
            (1, self._wants_no_bots),
        )

    def do_something(self) -> None:
        """Do one thing, if there is anything to do it to."""
        with self._world.lock:
            files = [page for page in self._world.pages.values() if page.ns == NS_FILE and not page.redirect_to]
            deed = self._lot.choices([one for _, one in self._deeds], [weight for weight, _ in self._deeds])[0]
            said = deed(self._lot.choice(files))
            self.done[said] += 1
            if self._world.deleted and self._lot.random() < 0.1:
                self._world.undelete_file(self._lot.choice(sorted(self._world.deleted)))
                self.done["brought a file back"] += 1

    def _who(self) -> str:
        return self._lot.choice(OTHERS)

    def _stated(self, page: Page, *, by_us: bool) -> list[str]:
        """The ids of the statements that stand on a page, ours or other people's."""
        own = {
            one["id"]
            for before, after in zip([None, *page.revisions], page.revisions, strict=False)
            if after.user == self._bot
            for one in _depicts(after)
            if before is None or one["id"] not in {other["id"] for other in _depicts(before)}
        }
        return [one["id"] for one in _depicts(page.latest) if (one["id"] in own) is by_us]

    def _adds(self, page: Page) -> str:
        self._world.add_statement(page.page_id, self._lot.choice(self._qids), self._who())
        return "added a statement"

    def _takes_away(self, page: Page) -> str:
        ours = self._lot.random() < 0.6
        found = self._stated(page, by_us=ours)
        if not found:
            return self._edits_text(page)
        self._world.remove_statement(page.page_id, self._lot.choice(found), self._who())
        return "took a statement of ours away" if ours else "took another statement away"

    def _changes(self, page: Page) -> str:
        found = self._stated(page, by_us=True)
        if not found:
            return self._edits_text(page)
        if self._lot.random() < 0.5:
            self._world.change_statement(page.page_id, self._lot.choice(found), self._who(), rank="deprecated")
            return "marked a statement of ours as wrong"
        qid = self._lot.choice(self._qids)
        self._world.change_statement(page.page_id, self._lot.choice(found), self._who(), qid=qid)
        return "changed a statement of ours"

    def _qualifies(self, page: Page) -> str:
        found = self._stated(page, by_us=True)
        if not found:
            return self._edits_text(page)
        box = Snak("P2677", "pct:1,2,30,40")
        self._world.change_statement(page.page_id, self._lot.choice(found), self._who(), qualifiers=[box])
        return "added a box to a statement of ours"

    def _reverts(self, page: Page) -> str:
        """Undo an addition of ours (never a removal of anything: what is gone stays gone)."""
        ours = [
            after.revid
            for before, after in zip(page.revisions, page.revisions[1:], strict=False)
            if after.user == self._bot and len(_depicts(after)) > len(_depicts(before))
        ]
        standing = set(self._stated(page, by_us=True))
        if not ours or not standing:
            return self._edits_text(page)
        self._world.revert(page.page_id, ours[-1], self._who())
        return "reverted an edit of ours"

    def _edits_text(self, page: Page) -> str:
        self._world.edit_wikitext(page.page_id, f"{page.latest.wikitext}\nMore words.", self._who())
        return "edited the text"

    def _deletes(self, page: Page) -> str:
        self._world.delete_file(page.page_id)
        return "deleted a file"

    def _moves_file(self, page: Page) -> str:
        self._moves += 1
        self._world.move_file(
            page.page_id, f"Moved {self._moves} {page.page_id}.jpg", self._lot.random() < 0.5, self._who()
        )
        return "moved a file"

    def _wants_no_bots(self, page: Page) -> str:
        self._world.edit_wikitext(page.page_id, f"{page.latest.wikitext}\n{{{{nobots}}}}", self._who())
        return "put {{nobots}} on a page"


def _depicts(revision: object) -> list[dict[str, str]]:
    return list((entity_of(revision).get("statements") or {}).get("P180", []))  # type: ignore[arg-type]
