"""What other people do on the wiki while a test goes on: statements, reverts, protections, blocks.

Mixed into `World`. Every edit is saved by the same code as the API's own, so its comment, its tags and what stops it
are the same; what stops it is raised as ApiFailure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tests.support.standin import auto_comments, saving
from tests.support.standin.entity_edits import (
    difference,
    find,
    new_guid,
    patched,
    with_statement,
    without,
)
from tests.support.standin.rules import Block, EditFilter, Protection, WikiRules
from tests.support.standin.saving import Author, EntityEdit, Saved
from tests.support.standin.statements import Snak, Statement, item

if TYPE_CHECKING:
    from tests.support.standin.world import Page, Person, World

Json = dict[str, Any]


class ThirdParties:
    """Other hands on the wiki; only to be mixed into `World`."""

    lock: threading.RLock
    rules: WikiRules
    pages: dict[int, Page]
    people: dict[str, Person]
    put_person: Callable[[Person], Person]
    add_person: Callable[[str, str], Person]

    # ---- edits

    def author(self, username: str) -> Author:
        """An account, or an address if nobody is called so, as the one who edits."""
        person = self.people.get(username)
        return Author(username, person is not None and person.is_bot)

    def add_statement(
        self,
        page_id: int,
        qid: str | None,
        user: str = "Somebody else",
        *,
        prop: str = "P180",
        rank: str = "normal",
        qualifiers: Sequence[Snak] = (),
        guid: str | None = None,
        summary: str = "",
    ) -> str:
        """Add a statement as `wbsetclaim` does (`qid=None`: some value); returns its id."""
        mainsnak = item(prop, qid) if qid else Snak(prop, snaktype="somevalue")
        made = Statement(mainsnak, rank, tuple(qualifiers), guid or new_guid(f"M{page_id}")).to_json("", 0)
        self._set_statement(page_id, made, user, summary)
        return str(made["id"])

    def change_statement(
        self,
        page_id: int,
        guid: str,
        user: str = "Somebody else",
        *,
        qid: str | None = None,
        rank: str | None = None,
        qualifiers: Sequence[Snak] | None = None,
        references: Sequence[Json] | None = None,
        summary: str = "",
    ) -> int:
        """Change a statement's item, rank, qualifiers or references; returns the revision id. KeyError if none."""
        with self.lock:
            before = find(saving.entity_of(self.pages[page_id].latest), guid)
            if before is None:
                raise KeyError(guid)
            prop = before["mainsnak"]["property"]
            after = {**before, "rank": rank or before["rank"]}
            if qid is not None:
                after["mainsnak"] = item(prop, qid).to_json()
            if qualifiers is not None:
                shaped = Statement(item(prop, "Q1"), qualifiers=tuple(qualifiers)).to_json("", 0)
                after = {key: part for key, part in after.items() if not key.startswith("qualifiers")}
                after |= {key: part for key, part in shaped.items() if key.startswith("qualifiers")}
            if references is not None:
                after["references"] = list(references)
            return self._set_statement(page_id, after, user, summary).revid

    def _set_statement(self, page_id: int, statement: Json, user: str, summary: str) -> Saved:
        world = cast("World", self)
        with self.lock:
            page = self.pages[page_id]
            entity = saving.entity_of(page.latest)
            comment = auto_comments.of_set_claim(self.rules, find(entity, statement["id"]), statement)
            edit = EntityEdit(page, with_statement(entity, statement), self.author(user), comment, summary)
            return saving.save_entity(world, edit)

    def remove_statement(self, page_id: int, guid: str, user: str = "Somebody else", summary: str = "") -> int:
        """Remove a statement as `wbremoveclaims` does; returns the revision id. KeyError if there is none."""
        with self.lock:
            page = self.pages[page_id]
            entity = saving.entity_of(page.latest)
            gone = find(entity, guid)
            if gone is None:
                raise KeyError(guid)
            comment = auto_comments.of_removal(self.rules, [gone])
            edit = EntityEdit(page, without(entity, [guid]), self.author(user), comment, summary)
            return saving.save_entity(cast("World", self), edit).revid

    def revert(self, page_id: int, revid: int, user: str = "Somebody else", summary: str = "") -> int:
        """Undo one revision, in wikitext and structured data; returns the new revision's id.

        What came after it stays where it does not touch the same statements. The undone revision gets the tag
        `mw-reverted`, the new one `mw-undo`. Raises ValueError on a page's first revision or one of another page.
        """
        world = cast("World", self)
        with self.lock:
            page = self.pages[page_id]
            undone = next((one for one in page.revisions if one.revid == revid and one.parentid), None)
            before = next((one for one in page.revisions if undone and one.revid == undone.parentid), None)
            if undone is None or before is None:
                raise ValueError(f"revision {revid} of page {page_id} cannot be undone")
            author = self.author(user)
            saving.check_may_write(world, page, author, summary)
            comment = saving.written_comment(auto_comments.of_undo(undone.revid, undone.user), summary)
            done = 0
            if undone.wikitext != before.wikitext:
                text = before.wikitext if page.latest.wikitext == undone.wikitext else page.latest.wikitext
                done = saving.save_revision(world, page, author, comment, ["mw-undo"], wikitext=text)
            changes = difference(saving.entity_of(undone), saving.entity_of(before))
            if changes or not done:
                state = patched(saving.entity_of(page.latest), changes)
                done = saving.save_revision(world, page, author, comment, ["mw-undo"], entity=state)
            saving.add_tag(page, revid, "mw-reverted")
            return done

    # ---- what stops edits

    def protect(self, page_id: int, level: str = "sysop", until: str = "infinity") -> None:
        """Let only people of the group `level` edit this page."""
        with self.lock:
            self.rules.protections[page_id] = Protection(level, until)

    def unprotect(self, page_id: int) -> None:
        """Let everybody edit this page again."""
        with self.lock:
            self.rules.protections.pop(page_id, None)

    def block(self, username: str, block: Block | None = None) -> None:
        """Block an account. Raises KeyError if nobody is called so."""
        with self.lock:
            self.put_person(replace(self.people[username], blocked=True))
            self.rules.blocks[username] = block or Block()

    def unblock(self, username: str) -> None:
        """Lift the block of an account."""
        with self.lock:
            self.put_person(replace(self.people[username], blocked=False))
            self.rules.blocks.pop(username, None)

    def throttle(self, username: str, throttled: bool = True) -> None:
        """Let an account (or `127.0.0.1`, for those who are not signed in) be over its edit limit, or no more."""
        with self.lock:
            (self.rules.throttled.add if throttled else self.rules.throttled.discard)(username)

    def add_filter(self, catches: Callable[[str, str, str], bool], name: str = "filter", warns: bool = False) -> None:
        """Add an edit filter: `catches(user, title, summary)` says which edits it stops, or warns of once."""
        with self.lock:
            number = len(self.rules.filters) + 1
            self.rules.filters.append(EditFilter(number, name, catches, warns))

    # ---- who may sign in

    def add_bot_password(self, username: str, app: str, password: str, sub: str | None = None) -> Person:
        """Let `username@app` sign in with this password; an account that is not there is made, in the group bot.

        `sub` is the new account's central id, one of the 900s by default.
        """
        with self.lock:
            person = self.people.get(username)
            if person is None:
                made = self.add_person(username, sub or str(900 + len(self.people)))
                groups, rights = ("bot", *made.groups), (*made.rights, "bot")
                person = self.put_person(replace(made, groups=groups, rights=rights))
            self.rules.bot_passwords[f"{username}@{app}"] = (person.sub, password)
            return person
