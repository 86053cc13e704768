"""What the wiki lets whom write: blocks, protections, edit filters, tags, limits, bot passwords, properties.

Plain data that belongs to one `World`; the writing modules of the API ask it before they save.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# Data types of Commons' properties that illustrations carry; others are made with `World.add_entity`.
PROPERTIES: Mapping[str, str] = {
    "P180": "wikibase-item",
    "P195": "wikibase-item",
    "P217": "string",
    "P518": "wikibase-item",
    "P571": "time",
    "P687": "external-id",
    "P813": "time",
    "P854": "url",
    "P887": "wikibase-item",
    "P1480": "wikibase-item",
    "P2677": "string",
    "P5102": "wikibase-item",
    "P5997": "string",
    "P6243": "wikibase-item",
    "P248": "wikibase-item",
}
VALUE_TYPES = {
    "wikibase-item": "wikibase-entityid",
    "wikibase-property": "wikibase-entityid",
    "time": "time",
    "quantity": "quantity",
    "monolingualtext": "monolingualtext",
    "globe-coordinate": "globecoordinate",
}


def value_type_of(datatype: str) -> str:
    """The type of the values that a property of this data type has; most are strings."""
    return VALUE_TYPES.get(datatype, "string")


@dataclass(frozen=True)
class Block:
    """Why and how long an account may not write."""

    number: int = 2
    by: str = "Admin"
    reason: str = "study"
    since: str = "2025-11-10T00:00:00Z"
    until: str = "2035-11-10T00:00:00Z"


@dataclass(frozen=True)
class Protection:
    """Who may still edit a page."""

    level: str = "sysop"
    until: str = "infinity"


@dataclass(frozen=True)
class EditFilter:
    """An abuse filter: which edits (user, page title, the user's own summary) it catches, and what it does then."""

    number: int
    name: str
    catches: Callable[[str, str, str], bool]
    warns_only: bool = False


@dataclass
class WikiRules:
    """All that may stop a write. Names of people are account names."""

    readonly_reason: str | None = None
    throttled: set[str] = field(default_factory=set)
    blocks: dict[str, Block] = field(default_factory=dict)
    protections: dict[int, Protection] = field(default_factory=dict)
    filters: list[EditFilter] = field(default_factory=list)
    warned: set[tuple[str, str, int]] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    bot_passwords: dict[str, tuple[str, str]] = field(default_factory=dict)
    # On Commons the items are Wikidata's: all but the missing ones are there, though the stand-in holds few.
    holds_all_items: bool = False
    missing_items: set[str] = field(default_factory=set)
    # Edit comments link entities as `[[Property:P180]]`, or as `[[d:Special:EntityPage/P180]]` with this prefix.
    link_prefix: str = ""

    def link(self, entity_id: str) -> str:
        """The link to an entity in an edit comment."""
        if self.link_prefix:
            return f"[[{self.link_prefix}{entity_id}]]"
        return f"[[Property:{entity_id}]]" if entity_id.startswith("P") else f"[[{entity_id}]]"
