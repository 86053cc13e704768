"""Depicts statements as we write them, and whether the wiki still says what we wrote.

Pure: no wiki is asked. The form is Wikibase's JSON (https://www.mediawiki.org/wiki/Wikibase/DataModel/JSON). The id
of a statement is made here and not by the wiki, so that a write whose answer got lost can be found again.
"""

import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wiki_sync.config import WikiConfig

RANKS = ("preferred", "normal", "deprecated")
MAX_STRING = 1500  # characters; what Wikidata and Commons accept
_QID = re.compile(r"Q[1-9]\d*")
_PROPERTY = re.compile(r"P[1-9]\d*")
_MID = re.compile(r"M[1-9]\d*")
_HEX = "[0-9A-Fa-f]"
_GUID = re.compile(rf"M[1-9]\d*\${_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}")
_NUMBER = r"\d{1,3}(?:\.\d{1,10})?"
_BOX = re.compile(rf"pct:({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ROUNDING = 0.1  # per cent that a box may stick out: its numbers are rounded one by one


@dataclass(frozen=True)
class Reference:
    """One source of a statement: (property, kind, value) triples; `kind` is "item", "string" or "url"."""

    snaks: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class DepictsClaim:
    """A depicts statement with an id of ours (see `new_guid`).

    `rank` is "preferred", "normal" or "deprecated"; `boxes` are places on the picture, "pct:x,y,w,h" in per cent
    of its width and height.
    """

    guid: str
    qid: str
    rank: str = "normal"
    boxes: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()


def new_guid(mid: str) -> str:
    """Return a new statement id for the file `mid`, as "M36$" and a random UUID in capitals.

    Raises ValueError if `mid` is none.
    """
    if not _MID.fullmatch(mid):
        raise ValueError(f"not the id of a file: {mid!r}")
    return f"{mid}${str(uuid.uuid4()).upper()}"


def is_guid(text: str) -> bool:
    """Return whether this can be the id of one statement on a file."""
    return _GUID.fullmatch(text) is not None


def claim_json(config: WikiConfig, claim: DepictsClaim) -> dict[str, Any]:
    """Return the statement as `wbsetclaim` takes it in `claim`.

    Raises ValueError for what no wiki would take, or what would say something else than meant: ids of another
    form, an unknown rank, a box that is empty or leaves the picture, the same box or source twice.
    """
    _check_ids(claim)
    _check_each_once("box", claim.boxes)
    _check_each_once("reference", [frozenset(one.snaks) for one in claim.references])
    statement: dict[str, Any] = {
        "type": "statement",
        "id": claim.guid,
        "rank": claim.rank,
        "mainsnak": _snak(config.depicts, "item", claim.qid),
    }
    if claim.boxes:
        statement["qualifiers"] = {config.box: [_snak(config.box, "string", _checked_box(box)) for box in claim.boxes]}
        statement["qualifiers-order"] = [config.box]
    if claim.references:
        statement["references"] = [_reference(one) for one in claim.references]
    return statement


def is_as_written(config: WikiConfig, claim: DepictsClaim, statement: Mapping[str, Any]) -> bool:
    """Return whether the wiki's statement still says exactly this: the same value, rank, boxes and references,
    and nothing beside.

    Order, hashes and data types do not matter, nor does the statement's id: by that the caller found it. JSON of
    an unknown form is not what we wrote. Raises ValueError as `claim_json`.
    """
    try:
        return _meaning(claim_json(config, claim)) == _meaning(statement)
    except (KeyError, TypeError, AttributeError):
        return False


def _check_ids(claim: DepictsClaim) -> None:
    if not is_guid(claim.guid):
        raise ValueError(f"not the id of a statement on a file: {claim.guid!r}")
    if claim.rank not in RANKS:
        raise ValueError(f"not a rank: {claim.rank!r}")


def _check_each_once(what: str, values: Iterable[Any]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"the same {what} twice: {twice[0]}")


def _checked_box(box: str) -> str:
    found = _BOX.fullmatch(box)
    if found is None:
        raise ValueError(f"not a place on a picture: {box!r}")
    left, top, width, height = (float(number) for number in found.groups())
    if not width or not height or left + width > 100 + _ROUNDING or top + height > 100 + _ROUNDING:
        raise ValueError(f"not a place inside a picture: {box!r}")
    return box


def _reference(reference: Reference) -> dict[str, Any]:
    if not reference.snaks:
        raise ValueError("a reference that says nothing")
    _check_each_once("part of a reference", reference.snaks)
    grouped: dict[str, list[dict[str, Any]]] = {}
    for name, kind, value in reference.snaks:
        grouped.setdefault(name, []).append(_snak(name, kind, value))
    return {"snaks": grouped, "snaks-order": list(grouped)}


def _snak(name: str, kind: str, value: str) -> dict[str, Any]:
    if not _PROPERTY.fullmatch(name):
        raise ValueError(f"not a property: {name!r}")
    if kind == "item":
        if not _QID.fullmatch(value):
            raise ValueError(f"not an item: {value!r}")
        item = {"entity-type": "item", "numeric-id": int(value[1:]), "id": value}
        datavalue: dict[str, Any] = {"type": "wikibase-entityid", "value": item}
    elif kind in ("string", "url"):
        datavalue = {"type": "string", "value": _checked_text(kind, value)}
    else:
        raise ValueError(f"not a kind of value: {kind!r}")
    return {"snaktype": "value", "property": name, "datavalue": datavalue}


def _checked_text(kind: str, value: str) -> str:
    if not value or value != value.strip() or len(value) > MAX_STRING or _CONTROL.search(value):
        raise ValueError(f"not a text that a wiki takes: {value[:100]!r}")
    parts = urlsplit(value)
    if kind == "url" and (parts.scheme not in ("http", "https") or not parts.netloc or " " in value):
        raise ValueError(f"not a web address: {value[:100]!r}")
    return unicodedata.normalize("NFC", value)  # as the wiki stores every text


def _meaning(statement: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a statement says, in a form that can be compared: without id, order and hashes."""
    sources = [_said(one["snaks"]) for one in statement.get("references") or ()]
    return (
        _snak_meaning(statement["mainsnak"]),
        statement.get("rank", "normal"),
        _said(statement.get("qualifiers")),
        Counter(frozenset(source.items()) for source in sources),
    )


def _said(grouped: Mapping[str, Any] | list[Any] | None) -> Counter[tuple[Any, ...]]:
    if not grouped:  # an empty map is serialised as a list
        return Counter()
    if isinstance(grouped, list):
        raise TypeError("snaks that are not grouped by property")
    return Counter(_snak_meaning(snak) for snaks in grouped.values() for snak in snaks)


def _snak_meaning(snak: Mapping[str, Any]) -> tuple[Any, ...]:
    if snak["snaktype"] != "value":
        return (snak["property"], snak["snaktype"])
    kind, value = snak["datavalue"]["type"], snak["datavalue"]["value"]
    if kind == "wikibase-entityid":
        value = value["id"] if "id" in value else f"Q{value['numeric-id']}"
    elif not isinstance(value, str):
        value = repr(sorted(value.items()))
    return (snak["property"], "value", kind, value)
