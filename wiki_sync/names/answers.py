"""What the catalogues of names answer, read into one form. Pure; an answer of another shape raises KeyError, TypeError,
ValueError or AttributeError, which the client reports as a bad answer.

Shapes: GBIF `v2/species/match`, ChecklistBank `match/nameusage`, WoRMS `AphiaRecordsByMatchNames`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")
MISUSED = (
    *("doubtful", "misapplied", "pro parte", "propart", "ambiguous", "nomen", "uncertain", "unassessed"),
    *("inquirend", "temporary", "interim", "bare name"),
)
"""Words in a status that mean: this name does not simply stand for its accepted one."""


class MatchKind(StrEnum):
    """How well a catalogue knows a name."""

    EXACT = "exact"
    VARIANT = "variant"
    """Another spelling of it."""
    AMBIGUOUS = "ambiguous"
    """Several, and the catalogue does not choose."""
    HIGHER_RANK = "higherrank"
    """Only what it belongs to."""
    NONE = "none"


@dataclass(frozen=True)
class Usage:
    """One name in a catalogue. `rank` and `status` in small letters; keys as text; `above` tells where it belongs."""

    key: str
    name: str
    authorship: str = ""
    rank: str = ""
    status: str = ""
    above: str = ""


@dataclass(frozen=True)
class Match:
    """A catalogue's answer for one name.

    `accepted` is the name in use today, the same as `usage` where that is in use. `lineage` maps ranks to names,
    kingdom to genus. `confidence` is 0 to 100 where the catalogue tells one. `others` are what else it may be.
    """

    kind: MatchKind
    usage: Usage | None = None
    accepted: Usage | None = None
    lineage: Mapping[str, str] | None = None
    confidence: int | None = None
    said: str = ""
    """The kind in the catalogue's own word."""
    others: tuple[Usage, ...] = ()

    @property
    def is_in_order(self) -> bool:
        """Whether the name is accepted or a plain synonym of one that is known."""
        if self.usage is None or self.accepted is None:
            return False
        return not any(word in self.usage.status for word in MISUSED)


NOTHING = Match(MatchKind.NONE, said="none")

_GBIF_KINDS = {
    "EXACT": MatchKind.EXACT,
    "VARIANT": MatchKind.VARIANT,
    "FUZZY": MatchKind.VARIANT,
    "AMBIGUOUS": MatchKind.AMBIGUOUS,
    "HIGHERRANK": MatchKind.HIGHER_RANK,
    "NONE": MatchKind.NONE,
}


def gbif_match(answer: Mapping[str, Any]) -> Match:
    """Read one answer of GBIF's matching (version 2, with `verbose=true`)."""
    told = answer["diagnostics"]
    said = str(told["matchType"])
    usage = _gbif_usage(answer["usage"]) if answer.get("usage") else None
    accepted = _gbif_usage(answer["acceptedUsage"]) if answer.get("acceptedUsage") else None
    if usage and accepted is None and not answer.get("synonym"):
        accepted = usage
    others = [one for one in told.get("alternatives") or () if one.get("usage")]
    confidence = told.get("confidence")
    return Match(
        _GBIF_KINDS.get(said, MatchKind.AMBIGUOUS),  # a kind that we do not know yet is not trusted
        usage,
        accepted,
        _gbif_lineage(answer),
        None if confidence is None else int(confidence),
        said.lower(),
        tuple(_gbif_usage(one["usage"], _joined(_gbif_lineage(one))) for one in others),
    )


def _gbif_lineage(answer: Mapping[str, Any]) -> dict[str, str]:
    return _lineage({str(one["rank"]).lower(): str(one["name"]) for one in answer.get("classification") or ()})


def _gbif_usage(usage: Mapping[str, Any], above: str = "") -> Usage:
    return Usage(
        str(usage["key"]),
        str(usage.get("canonicalName") or usage["name"]),
        str(usage.get("authorship") or ""),
        str(usage.get("rank") or "").lower(),
        str(usage.get("status") or "").lower().replace("_", " "),
        above,
    )


_COL_KINDS = {
    "exact": MatchKind.EXACT,
    "canonical": MatchKind.EXACT,
    "variant": MatchKind.VARIANT,
    "ambiguous": MatchKind.AMBIGUOUS,
    "higherrank": MatchKind.HIGHER_RANK,
    "none": MatchKind.NONE,
    "unsupported": MatchKind.NONE,
}


def col_match(answer: Mapping[str, Any]) -> Match:
    """Read one answer of the Catalogue of Life; a synonym's accepted name comes first in its classification."""
    said = str(answer["type"]).lower()
    kind = _COL_KINDS.get(said, MatchKind.AMBIGUOUS)
    others = tuple(_col_usage(one) for one in answer.get("alternatives") or ())
    if not answer.get("usage"):
        return Match(kind, said=said, others=others)
    usage = _col_usage(answer["usage"])
    above: Sequence[Mapping[str, Any]] = answer["usage"].get("classification") or ()
    accepted: Usage | None = usage
    if "synonym" in usage.status:
        accepted = _col_usage(above[0]) if above else None
    lines = {str(one.get("rank") or "").lower(): str(one["name"]) for one in above}
    return Match(kind, usage, accepted, _lineage(lines), None, said, others)


def _col_usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(
        str(usage["id"]),
        str(usage["name"]),
        str(usage.get("authorship") or ""),
        str(usage.get("rank") or "").lower(),
        str(usage.get("status") or "").lower().replace("_", " "),
    )


def worms_match(records: Sequence[Mapping[str, Any]]) -> Match:
    """Read the records that WoRMS gives for one name; several accepted taxa among them are not told apart."""
    if not records:
        return NOTHING
    exact = [one for one in records if one.get("match_type") in ("exact", "exact_genus")]
    chosen = exact or list(records)
    others = tuple(_worms_usage(one) for one in chosen)
    accepted = {one.get("valid_AphiaID") for one in chosen}
    said = str(chosen[0].get("match_type") or "")
    if len(accepted) > 1:
        return Match(MatchKind.AMBIGUOUS, said=said, others=others)
    first = chosen[0]
    valid = first.get("valid_AphiaID")
    lines = {rank: str(first[rank]) for rank in RANKS if first.get(rank)}
    return Match(
        MatchKind.EXACT if exact else MatchKind.VARIANT,
        _worms_usage(first),
        Usage(str(valid), str(first["valid_name"]), str(first.get("valid_authority") or "")) if valid else None,
        _lineage(lines),
        None,
        said,
    )


def _worms_usage(record: Mapping[str, Any]) -> Usage:
    return Usage(
        str(record["AphiaID"]),
        str(record["scientificname"]),
        str(record.get("authority") or ""),
        str(record.get("rank") or "").lower(),
        str(record.get("status") or "").lower(),
        _joined(_lineage({rank: str(record.get(rank) or "") for rank in RANKS})),
    )


def _joined(lineage: Mapping[str, str]) -> str:
    return " · ".join(lineage.values())


def _lineage(lines: Mapping[str, str]) -> dict[str, str]:
    return {rank: lines[rank] for rank in RANKS if lines.get(rank)}
