"""What the names chain asks of Wikidata beyond `TaxonSource`: identifiers of other catalogues, and outdated names."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wiki_sync.config import WikiConfig
from wiki_sync.sparql import filled_query, items_in_query, qid_of, select, text_in_query

PROPERTIES = {"gbif": "P846", "col": "P10585", "worms": "P850"}
BATCH = 200


@dataclass(frozen=True)
class OldName:
    """Why an item may stand for an outdated name only.

    `synonym_of` are the taxa that list it as a synonym (P1420), `first_name_of` those whose basionym (P566) or original
    combination (P1403) it is, `own` what it lists as synonyms itself.
    """

    synonym_of: frozenset[str] = frozenset()
    first_name_of: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


def by_identifier(config: WikiConfig, matcher: str, keys: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the Q-ids that bear each key of a catalogue (gbif, col or worms); empty where none does.

    Raises as `sparql.select`.
    """
    found: dict[str, set[str]] = {key: set() for key in keys}
    ordered = sorted(found)
    for start in range(0, len(ordered), BATCH):
        ids = " ".join(text_in_query(key) for key in ordered[start : start + BATCH])
        for row in select(config, filled_query("taxa_by_identifier", ids=ids, property=PROPERTIES[matcher])):
            if qid := qid_of(config, row.get("taxon")):
                found[row["written"].value].add(qid)
    return {key: frozenset(qids) for key, qids in found.items()}


def old_names(config: WikiConfig, qids: Collection[str]) -> dict[str, OldName]:
    """Return for each item what speaks for its being an outdated name. Raises as `sparql.select`."""
    said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    ordered = sorted(set(qids))
    for start in range(0, len(ordered), BATCH):
        items = items_in_query(config, ordered[start : start + BATCH])
        for row in select(config, filled_query("taxa_of_old_names", items=items)):
            old, taxon = qid_of(config, row.get("old")), qid_of(config, row.get("taxon"))
            if old and taxon and old != taxon:
                said[old][row["key"].value].add(taxon)
    return {
        qid: OldName(
            frozenset(said[qid]["synonym"]),
            frozenset(said[qid]["basionym"] | said[qid]["original combination"]),
            frozenset(said[qid]["its own"]),
        )
        for qid in ordered
    }


def in_use(qid: str, known: Mapping[str, OldName]) -> frozenset[str]:
    """Return the taxa in whose place a name's item stands: itself if it is no outdated name.

    A synonym (P1420) leads to the taxon that lists it. A first name leads on too, unless the item itself lists that
    taxon as its synonym: then it is the one in use. Items that call each other synonyms stay both.
    """
    found: set[str] = set()
    seen: set[str] = set()
    todo = [qid]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        old = known.get(here, OldName())
        onward = old.synonym_of - old.own or old.first_name_of - old.own
        if old.synonym_of & old.own:
            found |= {here, *(old.synonym_of & old.own)}
        todo += sorted(onward)
        if not onward:
            found.add(here)
    return frozenset(found or seen)  # a circle of synonyms: nobody can tell which
