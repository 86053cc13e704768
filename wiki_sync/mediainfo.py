"""MediaInfo entities: what structured data says about a file, from `wbgetentities` as it comes.

Reads the traps of Wikibase's JSON (https://www.mediawiki.org/wiki/Wikibase/DataModel/JSON and observed
answers): an entity that is missing, `statements` as an empty list, snaks without a value, several equal
statements, deprecated ones. It judges nothing: what to do with a deprecated statement is the caller's matter,
the rank is there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError
from wiki_sync.object_numbers import ObjectNumber

_QID = re.compile(r"Q[1-9]\d*")
_RANK_ORDER = {"preferred": 0, "normal": 1, "deprecated": 2}


@dataclass(frozen=True)
class Depicts:
    """One depicts statement.

    `snaktype` is "value", "somevalue" or "novalue"; `qid` is None unless it is "value" and an item. `rank` is
    "preferred", "normal" or "deprecated". `box` is the first P2677 qualifier ("pct:x,y,w,h"), as written.
    `qualifiers` has the values of every qualifier property as text (item ids as Q-ids; "somevalue"/"novalue"
    snaks left out).
    """

    statement_id: str
    qid: str | None
    snaktype: str
    rank: str
    box: str | None = None
    qualifiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class MediaInfo:
    """The structured data of one file; `exists` is False where the file never had any, or is gone."""

    mid: str
    page_id: int
    lastrevid: int | None
    exists: bool
    depicts: tuple[Depicts, ...] = ()
    object_number: ObjectNumber | None = None


def parse_entity(config: WikiConfig, mid: str, entity: Mapping[str, Any]) -> MediaInfo:
    """Return the entity as `MediaInfo`. Raises BadAnswerError for JSON of another shape."""
    page_id = int(mid[1:])
    if "missing" in entity:
        return MediaInfo(mid, page_id, None, exists=False)
    statements = entity.get("statements") or {}  # an empty map is serialised as a list
    try:
        depicts = tuple(_depicts(config, one) for one in statements.get(config.depicts, ()))
        number = _object_number(config, statements)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadAnswerError(f"The structured data of {mid} has an unknown form.") from error
    revision = entity.get("lastrevid")
    return MediaInfo(mid, page_id, int(revision) if revision else None, True, depicts, number)


def _depicts(config: WikiConfig, statement: Mapping[str, Any]) -> Depicts:
    snak = statement["mainsnak"]
    qualifiers = _qualifiers(statement)
    boxes = qualifiers.get(config.box, ())
    value = _snak_text(snak)
    return Depicts(
        statement_id=statement["id"],
        qid=value if value and _QID.fullmatch(value) else None,
        snaktype=snak["snaktype"],
        rank=statement.get("rank", "normal"),
        box=boxes[0] if boxes else None,
        qualifiers=qualifiers,
    )


def _qualifiers(statement: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    written = statement.get("qualifiers") or {}
    found = {name: tuple(text for snak in snaks if (text := _snak_text(snak))) for name, snaks in written.items()}
    return {name: values for name, values in found.items() if values}


def _snak_text(snak: Mapping[str, Any]) -> str | None:
    """Return a snak's value as text: item ids, strings, the text of monolingual text, times and amounts as
    written."""
    if snak["snaktype"] != "value":
        return None
    value = snak["datavalue"]["value"]
    if isinstance(value, str):
        return value
    if "entity-type" in value:
        return str(value["id"]) if "id" in value else f"Q{value['numeric-id']}"
    for key in ("text", "time", "amount"):
        if key in value:
            return str(value[key])
    return None


def _object_number(config: WikiConfig, statements: Mapping[str, Any]) -> ObjectNumber | None:
    held_in = _live(statements.get(config.collection, ()))
    for statement in held_in:
        for value in _qualifiers(statement).get(config.inventory_number, ()):
            return ObjectNumber(value.strip(), f"{config.collection}/{config.inventory_number}")
    for statement in _live(statements.get(config.inventory_number, ())):
        if value_text := _snak_text(statement["mainsnak"]):
            return ObjectNumber(value_text.strip(), config.inventory_number)
    return None


def _live(statements: Any) -> list[Mapping[str, Any]]:
    """Return the statements that are not deprecated, preferred ones first, else in their order."""
    live = [one for one in statements if one.get("rank", "normal") != "deprecated"]
    return sorted(live, key=lambda one: _RANK_ORDER.get(one.get("rank", "normal"), 1))
