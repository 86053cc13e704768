"""The taxa on the demo plates and all their ancestors, with names in four languages, from the file beside this one.

How the ids were confirmed, without a live Wikidata: every Q-id was found next to its scientific name in at least one
public source that took it from Wikidata (a table of tree species for OpenStreetMap's `species:wikidata`, the Wikidata
connector of the Encyclopedia of Life, lineages and group lists as returned by the query service, a Wikispecies page),
and every GBIF key in an answer of GBIF's own species API or in a list that cites its backbone. An id that could not be
found so was left out: this is why lineages skip ranks (no genus for the ash, no family for the lime butterfly), why
several taxa have no GBIF key, and why shells and dragonflies are named to class and order only. Vernacular names are
those in common use. The code here only reads the file; it knows neither network nor database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

FACTS = Path(__file__).with_name("taxa.json")
LANGUAGES = ("en", "nl", "de", "fr")


@dataclass(frozen=True)
class DemoTaxon:
    """One taxon as Wikidata has it. `parent` is the next ancestor in the file, None for a kingdom; `ids` holds outside
    keys by scheme, so far `gbif`."""

    qid: str
    scientific_name: str
    rank: str
    parent: str | None
    authorship: str
    names: Mapping[str, str]
    ids: Mapping[str, str]


@lru_cache(maxsize=1)
def load_taxa() -> Mapping[str, DemoTaxon]:
    """All taxa by Q-id, ancestors before descendants. Raises ValueError when a taxon is named twice."""
    taxa: dict[str, DemoTaxon] = {}
    for fact in json.loads(FACTS.read_text(encoding="utf-8")):
        if fact["qid"] in taxa:
            raise ValueError(f"{fact['qid']} stands twice in {FACTS.name}")
        names, ids = MappingProxyType(dict(fact["names"])), MappingProxyType(dict(fact["ids"]))
        taxa[fact["qid"]] = DemoTaxon(
            fact["qid"], fact["scientific_name"], fact["rank"], fact["parent"], fact["authorship"], names, ids
        )
    return MappingProxyType(taxa)


def lineage(qid: str) -> tuple[DemoTaxon, ...]:
    """The taxon and its ancestors, kingdom last. Raises KeyError for a Q-id that is not in the file."""
    taxa = load_taxa()
    line = [taxa[qid]]
    while line[-1].parent is not None:
        line.append(taxa[line[-1].parent])
    return tuple(line)
