"""Worlds in which written names are looked up: a Wikidata and the catalogues beside it, from the shared tables.

Where a table tells no Wikidata item, the item is one of the stand-in's own: then the tests show that the chain follows
the catalogue, not that Wikidata would agree.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path

from tests.support.standin import World
from tests.support.standin.flora_and_fauna import fill_taxa
from tests.support.standin.taxa import TaxonStore
from tests.support.standin_names.catalogue import HIGHER, Catalogue, Entry

BIRD_PLATES = Path("names") / "historical-bird-plates"


def rows_of(path: Path, delimiter: str) -> list[dict[str, str]]:
    """The rows of a table with a heading."""
    with path.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter=delimiter))


def plates_and_birds(data: Path) -> World:
    """Trees, moths and the birds of Havell's plates (these with real Q-ids), with the synonyms of the test world."""
    world = World()
    fill_taxa(world.taxa, data)
    return world


def gould_birds(data: Path) -> World:
    """A Wikidata with the birds of both review tables of Gould's names: an item for every name that a modern list has.

    A row marked "old name" makes the older one a synonym; a race stands below its species. Nothing else is told.
    """
    world = World()
    taxa = world.taxa
    taxa.add("Animalia", "kingdom")
    taxa.add("Aves", "class", [taxa.qid("Animalia")])
    british = rows_of(data / BIRD_PLATES / "gould-britain_ku-disagreements_subset.csv", ",")
    australian = rows_of(data / BIRD_PLATES / "gould-australia_sources_review.csv", ",")
    olden = {row["scientific"]: row["ku_scientific"] for row in british if row["kind"] == "old name"}
    modern = [row["scientific"] for row in british]
    modern += [name for row in australian for name in (row["birdnet_sci"], row["ku_sci"])]
    modern += [row["ku_scientific"] for row in british if row["kind"] not in ("old name", "typo", "subspecies")]
    for old in olden.values():
        _bird(taxa, old)
    for name in modern:
        _bird(taxa, name, [taxa.qid(olden[name])] if name in olden else [])
    for row in british:
        if row["kind"] == "subspecies" and len(row["ku_scientific"].split()) == 3:
            taxa.add(row["ku_scientific"], "subspecies", [taxa.qid(row["scientific"])])
    return world


def _bird(taxa: TaxonStore, name: str, synonyms: Collection[str] = ()) -> None:
    if not name or taxa.find(name) is not None:
        return
    genus = taxa.find(name.split()[0]) or taxa.add(name.split()[0], "genus", [taxa.qid("Aves")])
    taxa.add(name, "species", [genus], synonyms=list(synonyms))


def of_catalogue(catalogue: Catalogue, *, without: Collection[str] = ()) -> tuple[World, dict[str, str]]:
    """A Wikidata with an item for each accepted name of a catalogue, by its key (P846); the items by key."""
    world, items = World(), {}
    higher: dict[tuple[str, ...], str] = {}
    for key, entry in catalogue.by_key.items():
        if entry.accepted or entry.status != "ACCEPTED" or key in without:
            continue
        line = [(rank, entry.lineage[rank]) for rank in HIGHER if rank in entry.lineage]
        above = [one for one in line if one[1] != entry.name]
        parent = _line(world.taxa, higher, above)
        items[key] = world.taxa.add(
            entry.name,
            entry.rank.lower(),
            [parent] if parent else [],
            ids={"gbif": key},
            author=entry.authorship or None,
        )
    return world, items


def _line(taxa: TaxonStore, known: dict[tuple[str, ...], str], line: list[tuple[str, str]]) -> str | None:
    """The item right above: one for each place in the tree, for names come twice in different places."""
    parent: str | None = None
    path: tuple[str, ...] = ()
    for rank, name in line:
        path = (*path, name)
        if path not in known:
            known[path] = taxa.add(name, rank, [parent] if parent else [])
        parent = known[path]
    return parent


def homonyms(catalogue: Catalogue) -> dict[str, list[Entry]]:
    """Names that several accepted taxa of a catalogue bear."""
    bearers: dict[str, list[Entry]] = defaultdict(list)
    for entry in catalogue.by_key.values():
        bearers[entry.name].append(entry)
    accepted = {name: Counter(catalogue.accepted(one).key for one in group) for name, group in bearers.items()}
    return {name: group for name, group in bearers.items() if len(accepted[name]) > 1}
