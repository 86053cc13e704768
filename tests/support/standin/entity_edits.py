"""Media entities as values: reading what clients send, comparing states, and Wikibase's three-way patch.

A state is `{"labels", "descriptions", "statements"}` as in `Revision.entity`. Nothing here knows pages or the API.
The patch follows Wikibase's own classes (MediaWikiEditEntity, StatementListPatcher, MapPatcher): a difference has one
entry for each statement (by its id) and each text (by its language).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.standin.rules import value_type_of
from tests.support.standin.statements import Snak, digest

Json = dict[str, Any]
GUID = re.compile(r"([MQPL][1-9][0-9]*)\$[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)
RANKS = ("preferred", "normal", "deprecated")
TEXTS = ("labels", "descriptions")
EMPTY: Mapping[str, Any] = {"labels": {}, "descriptions": {}, "statements": {}}
DatatypeOf = Callable[[str], str | None]


class InvalidSnakError(ValueError):
    """A value that is not what its property takes."""


class InvalidClaimError(ValueError):
    """Something that is no statement; Wikibase says little about why."""


class UnknownPropertyError(ValueError):
    """A property that the wiki does not have."""


def new_guid(entity_id: str) -> str:
    """A fresh statement id, as the server makes them."""
    return f"{entity_id}${str(uuid.uuid4()).upper()}"


def guid_owner(guid: str) -> str | None:
    """The entity that a statement id belongs to; None if it is no statement id."""
    found = GUID.fullmatch(guid)
    return found[1].upper() if found else None


# ---- what clients send


def read_snak(given: Any, datatype_of: DatatypeOf) -> Json:
    """A snak in the stored form. Raises InvalidSnakError, InvalidClaimError or UnknownPropertyError."""
    if not isinstance(given, Mapping) or not isinstance(given.get("property"), str):
        raise InvalidClaimError
    prop, kind = given["property"], given.get("snaktype")
    if kind not in ("value", "somevalue", "novalue"):
        raise InvalidClaimError
    datatype = datatype_of(prop)
    if datatype is None:
        raise UnknownPropertyError(prop)
    if kind != "value":
        return Snak(prop, snaktype=kind).to_json()
    datavalue = given.get("datavalue")
    if not isinstance(datavalue, Mapping) or "value" not in datavalue:
        raise InvalidClaimError
    expected = value_type_of(datatype)
    if datavalue.get("type", expected) != expected:
        raise InvalidSnakError
    return Snak(prop, read_value(datavalue["value"], expected), expected).to_json()


def read_value(given: Any, value_type: str) -> Any:
    """The value in its full form: an item by id or by number becomes both. Raises InvalidSnakError."""
    if value_type == "string":
        if not isinstance(given, str) or not given.strip():
            raise InvalidSnakError
        return given
    if not isinstance(given, Mapping):
        raise InvalidSnakError
    if value_type != "wikibase-entityid":
        return dict(given)
    kind = given.get("entity-type", "item")
    prefix = {"item": "Q", "property": "P"}.get(kind, "?")
    named = given.get("id") or f"{prefix}{given.get('numeric-id')}"
    if not isinstance(named, str) or not re.fullmatch(rf"{prefix}[1-9][0-9]{{0,9}}", named):
        raise InvalidSnakError
    return {"entity-type": kind, "numeric-id": int(named[1:]), "id": named}


def read_statement(given: Any, datatype_of: DatatypeOf) -> Json:
    """A statement in the stored form, with `id` only if it was given. Raises as `read_snak` does."""
    if not isinstance(given, Mapping) or given.get("type") != "statement" or "mainsnak" not in given:
        raise InvalidClaimError
    if given.get("rank", "normal") not in RANKS or not isinstance(given.get("id", ""), str):
        raise InvalidClaimError
    body: Json = {"mainsnak": read_snak(given["mainsnak"], datatype_of), "type": "statement"}
    qualifiers = _read_snaks(given.get("qualifiers"), given.get("qualifiers-order"), datatype_of)
    if qualifiers:
        body |= {"qualifiers": qualifiers, "qualifiers-order": list(qualifiers)}
    if "id" in given:
        body["id"] = given["id"]
    body["rank"] = given.get("rank", "normal")
    references = [_read_reference(one, datatype_of) for one in given.get("references") or ()]
    if references:
        body["references"] = references
    return body


def _read_snaks(given: Any, order: Any, datatype_of: DatatypeOf) -> dict[str, list[Json]]:
    """Snaks by property, in the order that was asked for; a plain list of snaks will do too."""
    groups = given.values() if isinstance(given, Mapping) else [given or []]
    read = [read_snak(one, datatype_of) for group in groups for one in group]
    grouped: dict[str, list[Json]] = {prop: [] for prop in order or ()}
    for snak in read:
        grouped.setdefault(snak["property"], []).append(snak)
    return {prop: group for prop, group in grouped.items() if group}


def _read_reference(given: Any, datatype_of: DatatypeOf) -> Json:
    if not isinstance(given, Mapping):
        raise InvalidClaimError
    snaks = _read_snaks(given.get("snaks"), given.get("snaks-order"), datatype_of)
    return {"hash": digest({"snaks": snaks}), "snaks": snaks, "snaks-order": list(snaks)}


def items_in(statement: Json) -> list[str]:
    """The items that a stored statement names, in its main snak, qualifiers and references."""
    snaks = [statement["mainsnak"], *(one for group in statement.get("qualifiers", {}).values() for one in group)]
    for reference in statement.get("references", ()):
        snaks += [one for group in reference["snaks"].values() for one in group]
    values = [snak["datavalue"]["value"] for snak in snaks if "datavalue" in snak]
    return [value["id"] for value in values if isinstance(value, dict) and str(value.get("id", "")).startswith("Q")]


# ---- states


def statements_of(entity: Mapping[str, Any]) -> list[Json]:
    """All statements of a state, in order."""
    return [one for group in (entity.get("statements") or {}).values() for one in group]


def with_statements(entity: Mapping[str, Any], statements: Iterable[Json]) -> Json:
    """The state with these statements instead, grouped by property."""
    grouped: dict[str, list[Json]] = {}
    for one in statements:
        grouped.setdefault(one["mainsnak"]["property"], []).append(one)
    texts = {key: dict(entity.get(key) or {}) for key in TEXTS}
    return {**texts, "statements": grouped}


def find(entity: Mapping[str, Any], guid: str) -> Json | None:
    """The statement with this id, or None."""
    return next((one for one in statements_of(entity) if one["id"] == guid), None)


def with_statement(entity: Mapping[str, Any], statement: Json) -> Json:
    """The state with this statement in the place of the one with its id, or behind the others."""
    known = statements_of(entity)
    if any(one["id"] == statement["id"] for one in known):
        return with_statements(entity, [statement if one["id"] == statement["id"] else one for one in known])
    return with_statements(entity, [*known, statement])


def without(entity: Mapping[str, Any], guids: Iterable[str]) -> Json:
    """The state without the statements that have these ids."""
    gone = set(guids)
    return with_statements(entity, [one for one in statements_of(entity) if one["id"] not in gone])


def with_text(entity: Mapping[str, Any], key: str, language: str, value: str) -> Json:
    """The state with another label or description in one language; "" takes it away."""
    texts = {code: text for code, text in (entity.get(key) or {}).items() if code != language}
    if value:
        texts[language] = {"language": language, "value": value}
    return {**with_statements(entity, statements_of(entity)), key: texts}


def canonical(value: Any) -> str:
    """A form of a statement or text that is equal for equal content: orders of snaks and keys do not count."""
    return json.dumps(_sorted(value), sort_keys=True)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(part) for key, part in value.items() if not key.endswith("-order")}
    if isinstance(value, list):
        return sorted((_sorted(part) for part in value), key=lambda part: json.dumps(part, sort_keys=True))
    return value


# ---- the three-way patch

Parts = dict[tuple[str, str], Json]


@dataclass(frozen=True)
class Change:
    """One entry of a difference: what it is about, before (None: added) and after (None: removed)."""

    key: tuple[str, str]
    before: Json | None
    after: Json | None


def _parts(entity: Mapping[str, Any]) -> Parts:
    found: Parts = {("statements", one["id"]): one for one in statements_of(entity)}
    for key in TEXTS:
        found |= {(key, code): text for code, text in (entity.get(key) or {}).items()}
    return found


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """What leads from one state to the other, one entry for each statement and text."""
    before, after = _parts(old), _parts(new)
    changes = [Change(key, before.get(key), part) for key, part in after.items()]
    changes += [Change(key, part, None) for key, part in before.items() if key not in after]
    return [one for one in changes if canonical(one.before) != canonical(one.after)]


def patched(latest: Mapping[str, Any], changes: Iterable[Change]) -> Json:
    """The latest state with a difference applied where it fits; what does not fit is left out.

    A changed or removed statement is overwritten whatever the latest says of it; an id that is there is not added.
    """
    state = with_statements(latest, statements_of(latest))
    for change in changes:
        kind, name = change.key
        there = _parts(state).get(change.key)
        fits = there is None if change.before is None else there is not None
        if not fits or (kind != "statements" and canonical(there) != canonical(change.before)):
            continue
        if kind == "statements":
            state = with_statement(state, change.after) if change.after else without(state, [name])
        else:
            state = with_text(state, kind, name, change.after["value"] if change.after else "")
    return state
