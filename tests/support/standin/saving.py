"""Saving as MediaWiki and Wikibase do it: who may, what conflicts, what the comment says, what is tagged.

The API's writing modules and the third parties of `World` both come through here, so that an edit looks the same
whoever made it. The caller holds `World.lock`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.support.standin import hindrances
from tests.support.standin.answers import ApiFailure
from tests.support.standin.entity_edits import EMPTY, canonical, difference, items_in, patched, statements_of
from tests.support.standin.hindrances import Hindrance, failed_save
from tests.support.standin.rules import PROPERTIES

if TYPE_CHECKING:
    from tests.support.standin.world import Page, Revision, World

Json = dict[str, Any]
REVERT_RADIUS = 15  # revisions that MediaWiki looks back to recognise a revert ($wgManualRevertSearchRadius)
BAD_REVISION = "Wikibase\\Lib\\Store\\BadRevisionException"


@dataclass(frozen=True)
class Author:
    """Who edits: an account's name or an address, whether it has the bot right, and what its edits are tagged with."""

    username: str
    is_bot: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class EntityEdit:
    """A new state of a page's entity, made from `base` (None: from the latest revision)."""

    page: Page
    entity: Json
    author: Author
    comment: str
    summary: str = ""
    base: Revision | None = None
    tags: tuple[str, ...] = ()
    as_bot: bool = False


@dataclass(frozen=True)
class Saved:
    """The revision after an edit, whether the edit made it, and the name of the warning that goes with it."""

    revid: int
    changed: bool
    warning: str | None = None


def entity_of(revision: Revision) -> Mapping[str, Any]:
    """The entity of a revision; an empty one where there is none yet."""
    return revision.entity if revision.entity is not None else EMPTY


def datatype_of(world: World, prop: str) -> str | None:
    """The data type of a property; None if the wiki has no such property."""
    made = world.entities.get(prop)
    return made.datatype if made is not None else PROPERTIES.get(prop)


def check_items(world: World, statements: Sequence[Json]) -> None:
    """Raise ApiFailure `modification-failed` if a statement names an item that is not there."""
    for statement in statements:
        for qid in items_in(statement):
            if not _item_exists(world, qid):
                raise hindrances.item_missing(qid)


def _item_exists(world: World, qid: str) -> bool:
    if qid in world.rules.missing_items:
        return False
    return not world.rules.holds_all_items or qid in world.entities or qid in world.taxa.taxa


def save_entity(world: World, edit: EntityEdit) -> Saved:
    """Save a state of an entity, patched into the latest revision if that is not its base.

    Raises ApiFailure: `failed-save` for what stops the author, `editconflict`, and Wikibase's crash where the base
    had no entity yet but the page has one now.
    """
    page, latest = edit.page, edit.page.latest
    check_may_write(world, page, edit.author, edit.summary)
    state, warning = edit.entity, None
    has_moved_on = edit.base is not None and edit.base.revid != latest.revid and latest.entity is not None
    if has_moved_on and edit.base is not None:
        state, warning = _patched_into_latest(page, edit.base, edit)
    if latest.entity is not None and not difference(latest.entity, state):
        return Saved(latest.revid, changed=False, warning=warning)
    tags = (*edit.author.tags, *edit.tags)
    comment = written_comment(edit.comment, edit.summary)
    return Saved(save_revision(world, page, edit.author, comment, tags, edit.as_bot, entity=state), True, warning)


def _patched_into_latest(page: Page, base: Revision, edit: EntityEdit) -> tuple[Json, str | None]:
    """Wikibase's fixEditConflict: what was changed since the base, applied to the latest revision."""
    if base.entity is None:
        raise hindrances.crash(BAD_REVISION)
    latest = entity_of(page.latest)
    changes = difference(base.entity, edit.entity)
    state = patched(latest, changes)
    if not changes:
        return state, None
    fitting = len(difference(latest, state))
    if fitting == len(changes):
        return state, "wikibase-conflict-patched"
    since = [revision for revision in page.revisions if revision.revid > base.revid]
    if fitting and all(revision.user == edit.author.username for revision in since):
        return state, "wikibase-self-conflict-patched"
    raise hindrances.edit_conflict()


def check_may_write(world: World, page: Page, author: Author, summary: str) -> None:
    """Raise ApiFailure `failed-save` if a block, a protection, a limit or a filter stops the author here."""
    found = hindrance(world, page.page_id, page.title, author, summary)
    if found is not None:
        raise failed_save(found)


def hindrance(world: World, page_id: int | None, title: str, author: Author, summary: str) -> Hindrance | None:
    """What stops the author, if anything. An edit filter that only warns lets the same edit pass the second time."""
    rules, person = world.rules, world.people.get(author.username)
    block = world.block_of(author.username)
    if block is not None:
        return hindrances.blocked(world.sitename, author.username, block)
    protection = rules.protections.get(page_id or 0)
    if protection is not None and (person is None or protection.level not in person.groups):
        return hindrances.protected()
    if author.username in rules.throttled:
        return hindrances.throttled()
    for one in rules.filters:
        if not one.catches(author.username, title, summary):
            continue
        key = (author.username, title, one.number)
        if not one.warns_only:
            return hindrances.filtered(one.name, one.number)
        if key not in rules.warned:
            rules.warned.add(key)
            return hindrances.filter_warning(one.name, one.number)
        rules.warned.discard(key)
    return None


def save_revision(
    world: World,
    page: Page,
    author: Author,
    comment: str,
    tags: Sequence[str] = (),
    as_bot: bool = False,
    *,
    entity: Json | None = None,
    wikitext: str | None = None,
) -> int:
    """Make a revision with another entity or other wikitext, tag it and what it reverts; returns its id."""
    text = page.latest.wikitext if wikitext is None else wikitext
    state = page.latest.entity if wikitext is not None else entity
    reverted = [] if "mw-undo" in tags else _reverted_by(page, text, state)
    tags = (*tags, *(["mw-manual-revert"] if reverted else []))
    marks_as_bot = as_bot and author.is_bot
    if wikitext is not None:
        revid = world.edit_wikitext(page.page_id, wikitext, author.username, comment, tags, marks_as_bot)
    else:
        revid = world.set_entity(page.page_id, entity, author.username, comment, tags, marks_as_bot)
    for revision in reverted:
        add_tag(page, revision.revid, "mw-reverted")
    return revid


def _reverted_by(page: Page, wikitext: str, entity: Json | None) -> list[Revision]:
    """The latest revisions that a save undoes by restoring, byte for byte, the state before them."""
    recent = page.revisions[-REVERT_RADIUS:]
    for position in range(len(recent) - 2, -1, -1):
        old = recent[position]
        if old.wikitext == wikitext and _same_slot(old.entity, entity):
            return recent[position + 1 :]
    return []


def _same_slot(one: Json | None, other: Json | None) -> bool:
    if one is None or other is None:
        return one is other
    return canonical(statements_of(one)) == canonical(statements_of(other)) and not difference(one, other)


def add_tag(page: Page, revid: int, tag: str) -> None:
    """Put a change tag on a revision that is there."""
    page.revisions = [
        replace(one, tags=(*one.tags, tag)) if one.revid == revid and tag not in one.tags else one
        for one in page.revisions
    ]


def written_comment(automatic: str, summary: str) -> str:
    """The edit comment: what the wiki says by itself, then the author's own words."""
    if not summary:
        return automatic
    return f"{automatic}{' ' if automatic.endswith('*/') else ', '}{summary}"


def checked_revision(page: Page, revid: int) -> Revision:
    """The revision of this page with this id. Raises ApiFailure `nosuchrevid`."""
    found = next((revision for revision in page.revisions if revision.revid == revid), None)
    if found is None:
        raise hindrances.wikibase_error("nosuchrevid", "Revision with ID not found.")
    return found


def check_tags(world: World, tags: Sequence[str]) -> None:
    """Raise ApiFailure `badtags` if a tag may not be put on by hand, because the wiki does not know it."""
    unknown = [tag for tag in tags if tag not in world.rules.tags]
    if len(unknown) == 1:
        info = f'The tag "{unknown[0]}" is not allowed to be manually applied.'
        raise ApiFailure("badtags", info, {"disallowedtags": unknown})
    if unknown:
        info = f"The following tags are not allowed to be manually applied: {', '.join(unknown)}"
        raise ApiFailure("badtags", info, {"disallowedtags": unknown})
