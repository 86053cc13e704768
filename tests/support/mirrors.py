"""What we hold of a campaign and what the stand-in's wiki has, in the same form, so that the two can be compared."""

from dataclasses import dataclass
from typing import Any

from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.models import Campaign, Illustration, IllustrationState
from tests.support.standin import World
from tests.support.standin.world import NS_FILE, Page, category_title

Statement = tuple[str, str | None, str, str]
"""GUID, item, rank, qualifiers."""


@dataclass(frozen=True)
class HeldFile:
    """One file: its name, the SHA-1 of its bytes, its licence, and its depicts statements."""

    title: str
    sha1: str
    licence: str
    statements: frozenset[Statement]


def held(database: Database, campaign: Campaign) -> dict[str, HeldFile]:
    """Return the files that a campaign holds as present, by M-id."""
    return {mid: as_held(database, row) for mid, row in rows(database, campaign).items() if is_present(row)}


def is_present(row: Illustration) -> bool:
    """Say whether the source had this file when it was last looked at."""
    return row.state is not IllustrationState.GONE


def rows(database: Database, campaign: Campaign) -> dict[str, Illustration]:
    """Return all illustrations of a campaign, gone ones too, by M-id."""
    with database.reading() as session:
        return {row.mid or "": row for row in illustrations.by_key(session, campaign.id or 0).values()}


def as_held(database: Database, row: Illustration) -> HeldFile:
    """Return one illustration with its mirrored statements."""
    with database.reading() as session:
        stated = illustrations.statements(session, [row.id or 0]).get(row.id or 0, [])
    said = frozenset(
        (one.statement_id, one.qid, one.rank, str({key: one.qualifiers[key] for key in sorted(one.qualifiers)}))
        for one in stated
    )
    return HeldFile(row.title, row.sha1, row.licence, said)


def on_the_wiki(world: World, *categories: str) -> dict[str, HeldFile]:
    """Return the files in these categories as the wiki has them, by M-id."""
    found = {}
    for category in categories:
        for page in world.members(category_title(category)):
            if page.ns == NS_FILE and page.file is not None and page.redirect_to is None:
                found[f"M{page.page_id}"] = of_page(page)
    return found


def of_page(page: Page) -> HeldFile:
    """Return a file page of the stand-in in the same form."""
    assert page.file is not None
    stated = (page.latest.entity or {}).get("statements", {}).get("P180", [])
    return HeldFile(
        page.title.removeprefix("File:"), page.file.sha1, page.file.words.licence or "", frozenset(map(_said, stated))
    )


def _said(statement: dict[str, Any]) -> Statement:
    value = statement["mainsnak"].get("datavalue", {}).get("value", {}).get("id")
    written = statement.get("qualifiers") or {}
    qualifiers = {key: [snak["datavalue"]["value"] for snak in written[key]] for key in sorted(written)}
    return statement["id"], value, statement["rank"], str(qualifiers)


def history(database: Database, row: Illustration) -> list[tuple[str, str, str]]:
    """Return what is remembered of an illustration's file: kind, what was before, and the reason."""
    with database.reading() as session:
        changes = illustrations.file_changes(session, row.id or 0)
    return [(one.kind.value, one.before, one.reason) for one in changes]
