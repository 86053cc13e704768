"""Taxa, lineages and names from a query service that holds Wikidata's items.

Asks in batches of at most `BATCH` items, four small queries rather than one large: each stays within the
minute that public services allow. It answers only from what the service holds; it does not guess, correct
spellings or rank candidates.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from wiki_sync.config import WikiConfig
from wiki_sync.sparql import (
    Row,
    checked_qid,
    filled_query,
    items_in_query,
    languages_in_query,
    qid_of,
    select,
    text_in_query,
)
from wiki_sync.taxon import TaxonFacts, number_of, taxa_of_rows, without_cycles

BATCH = 200
_HOW = ("name", "synonym", "basionym", "original combination")


@dataclass(frozen=True)
class NameMatch:
    """A taxon that bears a name. `how`: "name" (its own), "synonym" (P1420), "basionym" (P566), "original
    combination" (P1403)."""

    name: str
    qid: str
    how: str


class TaxonSource:
    """Reads taxa from the first of the configured endpoints that answers. Holds no state; may be shared by
    threads."""

    def __init__(self, config: WikiConfig) -> None:
        self._config = config

    def taxa(self, qids: Collection[str]) -> dict[str, TaxonFacts]:
        """Return the facts of the items that are taxa (have P225), by Q-id; others are absent.

        Raises ValueError for what is no Q-id, and as `sparql.select`.
        """
        found: dict[str, TaxonFacts] = {}
        for part in _parts(_ordered(qids)):
            items = items_in_query(self._config, part)
            facts = self._rows("taxon_facts", items=items)
            if any(row["key"].value == "name" for row in facts):
                spoken = languages_in_query(self._config.languages)
                names = self._rows("taxon_names", items=items, languages=spoken)
                found |= taxa_of_rows(self._config, facts, names, self._rows("taxon_authors", items=items))
        return found

    def lineages(self, qids: Collection[str]) -> dict[str, TaxonFacts]:
        """Return the given taxa and all taxa above them (P171, any number of steps), by Q-id.

        Each `parent_qid` is in the answer or None, and following it always ends: of several parents the
        lowest-numbered one that leads to no cycle is taken (`parent_qids` keeps them all). Raises as `taxa`.
        """
        closure: set[str] = set()
        for part in _parts(_ordered(qids)):
            rows = self._rows("ancestors", items=items_in_query(self._config, part))
            closure |= self._items(rows)
        return without_cycles(self.taxa(closure))

    def by_name(self, names: Collection[str]) -> dict[str, tuple[NameMatch, ...]]:
        """Return the taxa for each scientific name as given, exact matches first, then by Q-id; () where
        there is none.

        Names are compared letter by letter after white space was made single. Raises as `sparql.select`.
        """
        asked = {name: " ".join(name.split()) for name in names}
        found: dict[str, set[tuple[int, int, str]]] = {clean: set() for clean in asked.values()}
        for part in _parts(sorted(clean for clean in found if clean)):
            for row in self._rows("taxa_by_name", names=" ".join(text_in_query(name) for name in part)):
                if qid := qid_of(self._config, row.get("taxon")):
                    place = _HOW.index(row["key"].value)
                    found[row["written"].value].add((place, number_of(qid), qid))
        return {name: _matches(name, found[clean]) for name, clean in asked.items()}

    def descendants(self, root: str, limit: int = 10_000) -> tuple[str, ...]:
        """Return the Q-ids of the taxa below `root`, `limit` at most, in the service's order of their
        addresses."""
        if limit < 1:
            raise ValueError("limit must be at least 1")
        rows = self._rows("descendants", root=items_in_query(self._config, [checked_qid(root)]), limit=str(limit))
        return tuple(dict.fromkeys(qid for row in rows if (qid := qid_of(self._config, row.get("taxon")))))

    def _rows(self, query: str, **values: str) -> list[Row]:
        return select(self._config, filled_query(query, **values))

    def _items(self, rows: list[Row]) -> set[str]:
        return {qid for row in rows if (qid := qid_of(self._config, row.get("taxon")))}


def _ordered(qids: Collection[str]) -> list[str]:
    return sorted({checked_qid(qid) for qid in qids}, key=number_of)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


def _matches(name: str, found: set[tuple[int, int, str]]) -> tuple[NameMatch, ...]:
    """Return one match for each taxon, by the best way in which it bears the name."""
    best: dict[str, int] = {}
    for place, _, qid in sorted(found):
        best.setdefault(qid, place)
    return tuple(NameMatch(name, qid, _HOW[place]) for qid, place in best.items())
