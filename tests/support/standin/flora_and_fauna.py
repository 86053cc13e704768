"""Fill a taxon store with the lineages of the test world: trees, Lepidoptera, and the birds of Havell's plates.

Names come from `taxa_data`; the birds' Q-ids and GBIF keys, and GBIF keys of higher taxa, from the shared tables.
All other Q-ids are of the stand-in's own range.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tests.support.standin import taxa_data
from tests.support.standin.taxa import TaxonStore

LANGUAGES = ("en", "nl", "de", "fr")
CYCLE = ("Icones cyclica", "Icones recurrens")
TWO_PARENTS = "Polygonia c-album"


def fill_taxa(store: TaxonStore, data: Path) -> None:
    """Add all taxa. Reads `names/gbif_usages.tsv` and the Havell table below `data`."""
    _higher_taxa(store, _gbif_keys(data))
    for row in _rows(taxa_data.TREES):
        _species(store, row, "Plantae", None)
    for row in _rows(taxa_data.LEPIDOPTERA):
        _species(store, row, "Animalia", "Linnaeus, 1758")
    _birds(store, data)
    _odd_cases(store)


def _rows(table: str) -> Iterator[list[str]]:
    for line in table.strip().splitlines():
        yield line.split("|")


def plate_names(table: str) -> dict[str, str]:
    """Plate label (or card number, or folder) -> accepted scientific name."""
    return {row[0]: row[1] for row in _rows(table)}


def _gbif_keys(data: Path) -> dict[tuple[str, str], str]:
    """(canonical name, rank in small letters) -> GBIF key, accepted usages of plants and animals only."""
    with (data / "names" / "gbif_usages.tsv").open(encoding="utf-8", newline="") as table:
        return {
            (row["canonicalName"], row["rank"].lower()): row["usageKey"]
            for row in csv.DictReader(table, delimiter="\t")
            if row["status"] == "ACCEPTED" and row["kingdom"] in ("Plantae", "Animalia")
        }


def _higher_taxa(store: TaxonStore, gbif: dict[tuple[str, str], str]) -> None:
    def add(name: str, rank: str, parent: str | None) -> None:
        if store.find(name) is None:
            key = gbif.get((name, rank))
            store.add(
                name,
                rank,
                [store.qid(parent)] if parent else [],
                names={code: [word] for code, word in taxa_data.HIGHER_NAMES.get(name, {}).items()},
                ids={"gbif": key} if key else {},
            )

    for class_name, (phylum, kingdom, orders) in taxa_data.CLASSES.items():
        add(kingdom, "kingdom", None)
        add(phylum, "phylum", kingdom)
        add(class_name, "class", phylum)
        for order in orders.split():
            add(order, "order", class_name)
            for family in taxa_data.FAMILIES[order].split():
                add(family, "family", order)


def _genus(store: TaxonStore, name: str, family: str) -> str:
    return store.find(name) or store.add(name, "genus", [store.qid(family)])


def _species(store: TaxonStore, row: list[str], kingdom: str, default_author: str | None) -> None:
    _, name, author, family, *vernaculars = row
    if store.find(name) is not None:
        return
    genus = _genus(store, name.split()[0], family)
    who, _, year = (author or default_author or "").partition(", ")
    synonyms = [_old_name(store, old, genus) for accepted, old in _rows(taxa_data.SYNONYMS) if accepted == name]
    first = [_old_name(store, old, None) for accepted, old in _rows(taxa_data.FIRST_COMBINATIONS) if accepted == name]
    store.add(
        name,
        "species",
        [genus],
        names={code: words.split(";") for code, words in zip(LANGUAGES, vernaculars, strict=True) if words},
        author=who or None,
        year=int(year) if year else None,
        synonyms=synonyms,
        basionym=first[0] if first and kingdom == "Plantae" else None,
        original_combination=first[0] if first and kingdom == "Animalia" else None,
    )


def _old_name(store: TaxonStore, name: str, parent: str | None) -> str:
    """An item that only stands for an outdated name."""
    return store.add(name, "species", [parent] if parent else [])


def _birds(store: TaxonStore, data: Path) -> None:
    families = {genus: family for family, genera in taxa_data.BIRD_GENERA.items() for genus in genera.split()}
    table = data / "names" / "historical-bird-plates" / "havell_species_plates1-59.psv"
    with table.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="|"):
            name = row["scientific"]
            if not name or not row["wikidata"] or row["wikidata"] in store.taxa:
                continue
            genus = _genus(store, name.split()[0], families[name.split()[0]])
            ids = {"gbif": row["gbif"]} if row["gbif"] else {}
            store.add(name, "species", [genus], qid=row["wikidata"], names={"en": [row["common"]]}, ids=ids)


def _odd_cases(store: TaxonStore) -> None:
    """What Wikidata has too: a subspecies, a taxon with two parents, and two taxa that are each other's parent."""
    store.add(
        "Pinus nigra subsp. laricio",
        "subspecies",
        [store.qid("Pinus nigra")],
        names={"en": ["Corsican pine"], "nl": ["Corsicaanse den"], "de": ["Korsische Schwarzkiefer"]},
        author="Palib. ex Maire",
    )
    store.add_parent(store.qid(TWO_PARENTS), store.qid("Nymphalis"))
    first = store.add(CYCLE[0], "genus")
    second = store.add(CYCLE[1], "genus", [first])
    store.add_parent(first, second)
