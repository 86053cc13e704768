"""A catalogue of names as the stand-in services hold it, and how it is looked up: exactly, nearly, or by genus."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HIGHER = ("kingdom", "phylum", "class", "order", "family", "genus")


@dataclass(frozen=True)
class Entry:
    """One usage of a name. `accepted` is the key of the name in use, "" for one that is in use itself."""

    key: str
    name: str
    rank: str = "SPECIES"
    authorship: str = ""
    status: str = "ACCEPTED"
    accepted: str = ""
    lineage: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a look-up gives: `how` is exact, near, genus or none; `slips` for near ones."""

    how: str
    entries: tuple[Entry, ...] = ()
    slips: int = 0


class Catalogue:
    """Names by key and by spelling."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.by_key: dict[str, Entry] = {}
        self._by_name: dict[str, list[Entry]] = defaultdict(list)
        self._by_start: dict[tuple[str, int], set[str]] = defaultdict(set)
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add a usage. Raises ValueError for a key that is taken."""
        if entry.key in self.by_key:
            raise ValueError(f"{entry.key} is there already")
        self.by_key[entry.key] = entry
        self._by_name[entry.name].append(entry)
        self._by_start[entry.name[0], len(entry.name.split())].add(entry.name)

    def accepted(self, entry: Entry) -> Entry:
        """The usage in use for this one."""
        return self.by_key[entry.accepted] if entry.accepted else entry

    def find(self, name: str, kingdom: str = "") -> Found:
        """Look a name up; a kingdom leaves out what belongs to another one."""
        exact = self._of(name, kingdom)
        if exact:
            return Found("exact", exact)
        near = self._near(name, kingdom)
        if near:
            return near
        genus = self._of(name.split()[0], kingdom) if " " in name else ()
        return Found("genus", genus) if genus else Found("none")

    def _of(self, name: str, kingdom: str) -> tuple[Entry, ...]:
        return tuple(
            entry for entry in self._by_name.get(name, ()) if not kingdom or entry.lineage.get("kingdom") == kingdom
        )

    def _near(self, name: str, kingdom: str) -> Found | None:
        best: tuple[int, str] | None = None
        for other in sorted(self._by_start[name[0], len(name.split())]):
            if abs(len(other) - len(name)) > 2:
                continue
            slips = distance(name, other)
            if slips <= 2 and (best is None or slips < best[0]) and self._of(other, kingdom):
                best = (slips, other)
        return Found("near", self._of(best[1], kingdom), best[0]) if best else None


def distance(one: str, other: str) -> int:
    """The Levenshtein distance of two texts."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b)))
    return row[-1]


def gbif_usages(data: Path) -> Catalogue:
    """The usages of `names/gbif_usages.tsv`.

    The table gives a synonym's accepted name, and its key only now and then: where the accepted name is no row, one is
    made with a key of the stand-in's own range (900,000,000 and up).
    """
    with (data / "names" / "gbif_usages.tsv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["canonicalName"]]
    accepted = {row["canonicalName"]: row["usageKey"] for row in rows if row["status"] == "ACCEPTED"}
    catalogue, own = Catalogue(), 900_000_000
    for row in rows:
        lineage = {rank: row[rank] for rank in HIGHER if row[rank]}
        name, target = row["canonicalName"], ""
        if row["synonym"] == "True":
            target_name = row["species"] or row["genus"] or row["family"]
            target = accepted.get(target_name, "")
            if target_name and not target:
                own += 1
                target = accepted[target_name] = str(own)
                catalogue.add(Entry(target, target_name, row["rank"], lineage=lineage))
        author = row["scientificName"].removeprefix(name).strip() if row["scientificName"].startswith(name) else ""
        status = row["status"] or ("SYNONYM" if target else "DOUBTFUL")
        catalogue.add(Entry(row["usageKey"], name, row["rank"], author, status, target, lineage))
    return catalogue
