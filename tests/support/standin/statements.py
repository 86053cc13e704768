"""Statements as Wikibase says them: snaks, ranks, qualifiers, and their JSON.

Only the value types that media files and taxa need (items, strings, monolingual text, years). Hashes are
stable and of the right form, but they are not the sums that Wikibase itself would compute.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Snak:
    """A property with a value, an unknown value (`somevalue`) or none (`novalue`)."""

    property: str
    value: Any = None
    value_type: str = "string"
    snaktype: str = "value"

    def to_json(self) -> Json:
        """The snak as the API writes it in media entities, which leaves out the data type."""
        body: Json = {"snaktype": self.snaktype, "property": self.property}
        if self.snaktype == "value":
            body["datavalue"] = {"value": self.value, "type": self.value_type}
        return {
            "snaktype": self.snaktype,
            "property": self.property,
            "hash": digest(body),
            **({"datavalue": body["datavalue"]} if "datavalue" in body else {}),
        }


@dataclass(frozen=True)
class Statement:
    """A statement before it is put on a page; without `guid` one is derived from page and position."""

    mainsnak: Snak
    rank: str = "normal"
    qualifiers: tuple[Snak, ...] = ()
    guid: str | None = None

    def to_json(self, entity_id: str, position: int) -> Json:
        """The statement on `entity_id`, where `position` tells equal statements apart."""
        body: Json = {"mainsnak": self.mainsnak.to_json(), "type": "statement"}
        if self.qualifiers:
            grouped: dict[str, list[Json]] = {}
            for snak in self.qualifiers:
                grouped.setdefault(snak.property, []).append(snak.to_json())
            body["qualifiers"] = grouped
            body["qualifiers-order"] = list(grouped)
        body["id"] = self.guid or statement_guid(entity_id, position, self.mainsnak)
        body["rank"] = self.rank
        return body


def digest(body: Json) -> str:
    """A stable hash of a snak or reference."""
    return hashlib.sha1(json.dumps(body, sort_keys=True).encode()).hexdigest()


def statement_guid(entity_id: str, position: int, mainsnak: Snak) -> str:
    """A statement id `M1$UUID` that is the same on every run."""
    seed = json.dumps([entity_id, position, mainsnak.to_json()], sort_keys=True)
    return f"{entity_id}${str(uuid.uuid5(uuid.NAMESPACE_URL, seed)).upper()}"


def item(prop: str, qid: str) -> Snak:
    """A snak whose value is an item."""
    return Snak(prop, {"entity-type": "item", "numeric-id": int(qid[1:]), "id": qid}, "wikibase-entityid")


def text(prop: str, value: str) -> Snak:
    """A snak whose value is a string (also external ids and file names)."""
    return Snak(prop, value, "string")


def unknown(prop: str) -> Snak:
    """A snak that says there is a value but not which."""
    return Snak(prop, snaktype="somevalue")


def none(prop: str) -> Snak:
    """A snak that says there is no value."""
    return Snak(prop, snaktype="novalue")


def depicts(qid: str | None, rank: str = "normal", box: str | None = None, prop: str = "P180") -> Statement:
    """A depicts statement; `qid=None` is "some value", `box` is `pct:x,y,w,h` in a P2677 qualifier."""
    snak = item(prop, qid) if qid else unknown(prop)
    return Statement(snak, rank, (text("P2677", box),) if box else ())


def in_collection(collection: str, inventory_number: str) -> Statement:
    """P195 (collection) with the inventory number as a P217 qualifier, the usual Commons form."""
    return Statement(item("P195", collection), qualifiers=(text("P217", inventory_number),))


def inventory_number(value: str) -> Statement:
    """P217 (inventory number) as a statement of its own."""
    return Statement(text("P217", value))


def statements_json(entity_id: str, statements: Sequence[Statement | Mapping[str, Any]]) -> dict[str, list[Json]]:
    """Statements grouped by property, in the order given; ready-made JSON statements pass through."""
    grouped: dict[str, list[Json]] = {}
    for position, statement in enumerate(statements):
        body = statement.to_json(entity_id, position) if isinstance(statement, Statement) else dict(statement)
        grouped.setdefault(body["mainsnak"]["property"], []).append(body)
    return grouped
