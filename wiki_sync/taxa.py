"""Taxa, lineages and names from a query service that holds Wikidata's items.

Asks in batches of at most `BATCH` items, several small queries rather than one large: each stays within the
minute that public services allow. It answers only from what the service holds; it does not guess, correct
spellings or rank candidates.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from wiki_sync.config import WikiConfig
from wiki_sync.members import Below, Members, most_linked
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
from wiki_sync.taxon import SPECIES_AND_BELOW, TaxonFacts, merged, number_of, taxa_of_rows, without_cycles

BATCH = 200
LOOKED_AT = 5
"""How many times as many members as wanted are looked at before the search below a root stops."""
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
        """Return the facts of the items that are taxa (have P225), by Q-id; others are absent, redirects too.

        Raises ValueError for what is no Q-id, and as `sparql.select`.
        """
        found: dict[str, TaxonFacts] = {}
        for part in _parts(_ordered(qids)):
            items = items_in_query(self._config, part)
            facts = self._rows("taxon_facts", items=items)
            if any(row["key"].value == "name" for row in facts):
                spoken = languages_in_query(self._config.languages)
                names = self._rows("taxon_names", items=items, languages=spoken)
                authors = self._rows("taxon_authors", items=items)
                found |= taxa_of_rows(self._config, facts, names, authors, self._rows("taxa_synonyms", items=items))
        return found

    def lineages(self, qids: Collection[str]) -> dict[str, TaxonFacts]:
        """Return the given taxa and all taxa above them (P171, any number of steps), by Q-id.

        An item that became a redirect is in the answer with `merged_into`, its target and what is above that too.
        Each `parent_qid` is in the answer or None, and following it always ends: of several parents the
        best-ranked, then the lowest-numbered one that leads to no cycle is taken (`parent_qids` keeps them all).
        Raises as `taxa`.
        """
        found: dict[str, TaxonFacts] = {}
        targets: dict[str, str] = {}
        asked: set[str] = set()
        wanted = set(qids)
        while wanted:
            new = self._closure(wanted) - asked
            asked |= new
            found |= self.taxa(new)
            targets |= self._redirects(new - found.keys())
            wanted = set(targets.values()) - asked
        gone = {qid: merged(qid, found[target]) for qid, target in targets.items() if target in found}
        return without_cycles(found | gone)

    def _closure(self, qids: Collection[str]) -> set[str]:
        closure: set[str] = set()
        for part in _parts(_ordered(qids)):
            closure |= self._items(self._rows("ancestors", items=items_in_query(self._config, part)))
        return closure

    def _redirects(self, qids: Collection[str]) -> dict[str, str]:
        """Return where those of the items went that became redirects, to the end of each chain."""
        found: dict[str, str] = {}
        for part in _parts(_ordered(qids)):
            for row in self._rows("taxa_redirects", items=items_in_query(self._config, part)):
                qid, target = qid_of(self._config, row.get("taxon")), qid_of(self._config, row.get("target"))
                if qid and target:
                    found[qid] = target
        return found

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

    def members(self, root: str, limit: int = 20_000, on_progress: Callable[[int], None] | None = None) -> Members:
        """Return at most `limit` taxa below `root`, down to species, the most-linked first served with their parents.

        Goes down step by step, in small queries; it stops looking when `LOOKED_AT` times as many as wanted were
        seen. `on_progress` is told after each query how many were. Raises ValueError for a limit below 1, and as
        `taxa`.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        found: dict[str, Below] = {}
        waiting = [checked_qid(root)]
        while waiting and len(found) < limit * LOOKED_AT:
            parents, waiting = waiting[:BATCH], waiting[BATCH:]
            waiting += self._below(parents, root, found)
            if on_progress is not None:
                on_progress(len(found))
        chosen = most_linked(found, root, limit)
        return Members(chosen, len(found), is_complete=not waiting and len(chosen) == len(found))

    def _below(self, parents: Sequence[str], root: str, found: dict[str, Below]) -> list[str]:
        """Add the taxa right below `parents` to `found`; return those of them that may have species below them."""
        ranks: dict[str, set[str]] = {}
        seen: dict[str, Below] = {}
        for row in self._rows("taxa_below", items=items_in_query(self._config, parents)):
            qid, parent = qid_of(self._config, row.get("taxon")), qid_of(self._config, row.get("parent"))
            if qid is None or parent is None or qid == root or qid in found:
                continue
            before = seen.get(qid)
            chosen = parent if before is None else min(parent, before.parent, key=number_of)
            links = row["links"].value if "links" in row else ""
            seen[qid] = Below(chosen, int(links) if links.isdecimal() else 0)
            ranks.setdefault(qid, set()).add(qid_of(self._config, row.get("rank")) or "")
        fresh = sorted(seen, key=number_of)
        found.update((qid, seen[qid]) for qid in fresh)
        return [qid for qid in fresh if not ranks[qid] & SPECIES_AND_BELOW]

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
