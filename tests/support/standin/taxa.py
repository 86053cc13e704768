"""Taxa as Wikidata has them, in a real SPARQL store (pyoxigraph).

Best-rank `wdt:` triples, full `p:`/`ps:`/`pq:` statements for the scientific name (where authorship is a
qualifier), for parents and for synonyms, labels, aliases, ids and the number of sitelinks; redirects as
`owl:sameAs`. Nothing else of Wikidata's model (no references).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyoxigraph as ox

WD = "http://www.wikidata.org/entity/"
WDS = "http://www.wikidata.org/entity/statement/"
WDT = "http://www.wikidata.org/prop/direct/"
P = "http://www.wikidata.org/prop/"
PS = "http://www.wikidata.org/prop/statement/"
PQ = "http://www.wikidata.org/prop/qualifier/"
WIKIBASE = "http://wikiba.se/ontology#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
SCHEMA = "http://schema.org/"
RDF_TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"

RANKS = {
    "kingdom": "Q36732",
    "phylum": "Q38348",
    "class": "Q37517",
    "order": "Q36602",
    "family": "Q35409",
    "genus": "Q34740",
    "species": "Q7432",
    "subspecies": "Q68947",
}
ID_PROPERTIES = {
    "gbif": "P846",
    "ncbi": "P685",
    "nsr": "P3405",
    "worms": "P850",
    "col": "P10585",
    "inaturalist": "P3151",
}
TAXON_ITEM = "Q16521"
OWN_RANGE_START = 900_000_001


@dataclass(frozen=True)
class Taxon:
    """What was put into the store for one taxon; `names` are vernaculars by language, the first preferred."""

    qid: str
    scientific_name: str
    rank: str
    parents: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    author: str | None = None
    year: int | None = None
    synonyms: tuple[str, ...] = ()
    basionym: str | None = None
    original_combination: str | None = None
    image: str | None = None


class TaxonStore:
    """Taxa by Q-id and by name, with the same facts in `store` for SPARQL."""

    def __init__(self) -> None:
        self.store = ox.Store()
        self.lock = threading.Lock()
        self.taxa: dict[str, Taxon] = {}
        self._by_name: dict[str, str] = {}
        self._authors: dict[str, str] = {}
        self._next = OWN_RANGE_START

    def new_qid(self) -> str:
        """A Q-id of the stand-in's own range, which no real item has."""
        qid, self._next = f"Q{self._next}", self._next + 1
        return qid

    def qid(self, scientific_name: str) -> str:
        """The Q-id of a scientific name. Raises KeyError if no taxon has it."""
        return self._by_name[scientific_name]

    def find(self, scientific_name: str) -> str | None:
        """The Q-id of a scientific name, or None."""
        return self._by_name.get(scientific_name)

    def add(
        self,
        scientific_name: str,
        rank: str,
        parents: Sequence[str] = (),
        *,
        qid: str | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
        ids: Mapping[str, str] | None = None,
        author: str | None = None,
        year: int | None = None,
        synonyms: Sequence[str] = (),
        basionym: str | None = None,
        original_combination: str | None = None,
        image: str | None = None,
    ) -> str:
        """Add a taxon and return its Q-id; `parents`, `synonyms`, `basionym` (botany) and
        `original_combination` (zoology) are Q-ids. A name may come twice
        (homonyms): the first keeps the look-up by name."""
        with self.lock:
            taxon = Taxon(
                qid or self.new_qid(),
                scientific_name,
                rank,
                tuple(parents),
                {code: tuple(values) for code, values in (names or {}).items()},
                dict(ids or {}),
                author,
                year,
                tuple(synonyms),
                basionym,
                original_combination,
                image,
            )
            if taxon.qid in self.taxa:
                raise ValueError(f"{taxon.qid} is there already")
            self.taxa[taxon.qid] = taxon
            self._by_name.setdefault(scientific_name, taxon.qid)
            self.store.extend(self._quads(taxon))
            return taxon.qid

    def add_parent(self, qid: str, parent: str, rank: str = "Normal") -> None:
        """Give a taxon one more parent (several parents, and even cycles, do occur on Wikidata).

        `rank` is "Preferred", "Normal" or "Deprecated"; the direct properties follow it as on Wikidata.
        """
        with self.lock:
            self.store.extend(_statement(qid, "P171", parent, rank))
            self._best_ranked(qid, "P171")

    def move(self, qid: str, *parents: str) -> None:
        """Put a taxon below other parents."""
        with self.lock:
            self._forget_statements(qid, "P171")
            for parent in parents:
                self.store.extend(_statement(qid, "P171", parent))
            self._best_ranked(qid, "P171")

    def rename(self, qid: str, scientific_name: str) -> None:
        """Give a taxon another scientific name; its labels that were the old one follow."""
        with self.lock:
            before = self.taxa[qid]
            self.taxa[qid] = after = replace(before, scientific_name=scientific_name)
            self._forget(qid)
            self._by_name = {name: one for name, one in self._by_name.items() if one != qid}
            self._by_name.setdefault(scientific_name, qid)
            self.store.extend(self._quads(after))

    def lose_name(self, qid: str) -> None:
        """Take the scientific name away: the item stays, and is no taxon any more."""
        with self.lock:
            self._forget_statements(qid, "P225")
            for quad in list(self.store.quads_for_pattern(_wd(qid), _wdt("P225"), None)):
                self.store.remove(quad)

    def delete(self, qid: str) -> None:
        """Delete an item."""
        with self.lock:
            self._forget(qid)

    def merge(self, qid: str, target: str) -> None:
        """Merge an item into another: it becomes a redirect. What points at it still does, as on the first day."""
        with self.lock:
            self._forget(qid)
            self.store.add(ox.Quad(_wd(qid), ox.NamedNode(f"{OWL}sameAs"), _wd(target)))

    def link(self, qid: str, sitelinks: int) -> None:
        """Say how many pages of Wikimedia's wikis are about an item."""
        count = ox.Literal(str(sitelinks), datatype=ox.NamedNode(f"{XSD}integer"))
        with self.lock:
            self.store.add(ox.Quad(_wd(qid), ox.NamedNode(f"{WIKIBASE}sitelinks"), count))

    def _forget(self, qid: str) -> None:
        """Remove all that is said of an item, statements included."""
        for quad in list(self.store.quads_for_pattern(_wd(qid), None, None)):
            if isinstance(quad.object, ox.NamedNode) and quad.object.value.startswith(WDS):
                self._remove_node(quad.object)
            self.store.remove(quad)

    def _forget_statements(self, qid: str, prop: str) -> None:
        for quad in list(self.store.quads_for_pattern(_wd(qid), ox.NamedNode(f"{P}{prop}"), None)):
            assert isinstance(quad.object, ox.NamedNode)
            self._remove_node(quad.object)
            self.store.remove(quad)

    def _remove_node(self, node: ox.NamedNode) -> None:
        for quad in list(self.store.quads_for_pattern(node, None, None)):
            self.store.remove(quad)

    def _best_ranked(self, qid: str, prop: str) -> None:
        """Let the direct property say what the best-ranked statements say, as on Wikidata."""
        ranked: dict[str, list[ox.NamedNode]] = {"Preferred": [], "Normal": [], "Deprecated": []}
        for quad in self.store.quads_for_pattern(_wd(qid), ox.NamedNode(f"{P}{prop}"), None):
            assert isinstance(quad.object, ox.NamedNode)
            (value,) = self.store.quads_for_pattern(quad.object, ox.NamedNode(f"{PS}{prop}"), None)
            (rank,) = self.store.quads_for_pattern(quad.object, ox.NamedNode(f"{WIKIBASE}rank"), None)
            assert isinstance(value.object, ox.NamedNode)
            assert isinstance(rank.object, ox.NamedNode)
            ranked[rank.object.value.removeprefix(WIKIBASE).removesuffix("Rank")].append(value.object)
        for quad in list(self.store.quads_for_pattern(_wd(qid), _wdt(prop), None)):
            self.store.remove(quad)
        for value_node in ranked["Preferred"] or ranked["Normal"]:
            self.store.add(ox.Quad(_wd(qid), _wdt(prop), value_node))

    def add_label(self, qid: str, language: str, label: str) -> None:
        """Give any item a label, for items that are no taxa (a stone, a painter)."""
        with self.lock:
            self.store.add(_text(_wd(qid), f"{RDFS}label", label, language))

    def _author_item(self, author: str) -> str:
        if author not in self._authors:
            qid = self.new_qid()
            self._authors[author] = qid
            self.store.add(_text(_wd(qid), f"{RDFS}label", author, "en"))
            self.store.add(ox.Quad(_wd(qid), _wdt("P835"), ox.Literal(author)))
        return self._authors[author]

    def _quads(self, taxon: Taxon) -> list[ox.Quad]:
        me = _wd(taxon.qid)
        quads = [
            ox.Quad(me, RDF_TYPE, ox.NamedNode(f"{WIKIBASE}Item")),
            ox.Quad(me, _wdt("P31"), _wd(TAXON_ITEM)),
            *self._name_statement(taxon),
        ]
        if taxon.rank in RANKS:
            quads.append(ox.Quad(me, _wdt("P105"), _wd(RANKS[taxon.rank])))
        linked = [("P171", parent) for parent in taxon.parents] + [("P1420", synonym) for synonym in taxon.synonyms]
        linked += [("P566", taxon.basionym)] if taxon.basionym else []
        linked += [("P1403", taxon.original_combination)] if taxon.original_combination else []
        for prop, value in linked:
            quads += [ox.Quad(me, _wdt(prop), _wd(value)), *_statement(taxon.qid, prop, value)]
        quads += [ox.Quad(me, _wdt(ID_PROPERTIES[kind]), ox.Literal(value)) for kind, value in taxon.ids.items()]
        if taxon.image:
            address = f"http://commons.wikimedia.org/wiki/Special:FilePath/{taxon.image.replace(' ', '%20')}"
            quads.append(ox.Quad(me, _wdt("P18"), ox.NamedNode(address)))
        return quads + _name_quads(taxon)

    def _name_statement(self, taxon: Taxon) -> list[ox.Quad]:
        me, name = _wd(taxon.qid), ox.Literal(taxon.scientific_name)
        node = ox.NamedNode(f"{WDS}{taxon.qid}-name")
        quads = [
            ox.Quad(me, _wdt("P225"), name),
            ox.Quad(me, ox.NamedNode(f"{P}P225"), node),
            ox.Quad(node, ox.NamedNode(f"{PS}P225"), name),
            ox.Quad(node, RDF_TYPE, ox.NamedNode(f"{WIKIBASE}Statement")),
            ox.Quad(node, RDF_TYPE, ox.NamedNode(f"{WIKIBASE}BestRank")),
            ox.Quad(node, ox.NamedNode(f"{WIKIBASE}rank"), ox.NamedNode(f"{WIKIBASE}NormalRank")),
        ]
        if taxon.author:
            quads.append(ox.Quad(node, ox.NamedNode(f"{PQ}P405"), _wd(self._author_item(taxon.author))))
        if taxon.year:
            year = ox.Literal(f"{taxon.year:04d}-01-01T00:00:00Z", datatype=ox.NamedNode(f"{XSD}dateTime"))
            quads.append(ox.Quad(node, ox.NamedNode(f"{PQ}P574"), year))
        return quads

    def load_turtle(self, turtle: str) -> None:
        """Add triples written in Turtle, for cases that `add` has no words for."""
        with self.lock:
            self.store.load(turtle.encode(), format=ox.RdfFormat.TURTLE)

    def select(self, query: str) -> bytes:
        """Run a SELECT or ASK query; SPARQL 1.1 JSON results. Raises SyntaxError on a query that does not parse."""
        return run_select(self.store, query)


def run_select(store: ox.Store, query: str) -> bytes:
    """Run a SELECT or ASK query on a store; see `TaxonStore.select`."""
    answer = store.query(query)
    if isinstance(answer, ox.QueryTriples):
        raise SyntaxError("only SELECT and ASK are answered here")
    data = answer.serialize(format=ox.QueryResultsFormat.JSON)
    if data is None:
        raise TypeError("no results were serialised")
    json.loads(data)
    return data


def _name_quads(taxon: Taxon) -> list[ox.Quad]:
    """Labels as on Wikidata: the vernacular where there is one, the scientific name in all other languages."""
    me, quads = _wd(taxon.qid), []
    for language in ("en", "nl", "de", "fr"):
        given = taxon.names.get(language, ())
        label = given[0] if given else taxon.scientific_name
        quads.append(_text(me, f"{RDFS}label", label, language))
        quads.append(_text(me, f"{SCHEMA}description", f"{taxon.rank} of organisms", language))
        if given:
            quads.append(_text(me, f"{SKOS}altLabel", taxon.scientific_name, language))
        quads += [_text(me, f"{SKOS}altLabel", other, language) for other in given[1:]]
        quads += [_text(me, f"{WDT}P1843", name, language) for name in given]
    return quads


def _statement(qid: str, prop: str, value: str, rank: str = "Normal") -> list[ox.Quad]:
    """The full statement that an item has another as a property's value."""
    node = ox.NamedNode(f"{WDS}{qid}-{prop}-{value}")
    return [
        ox.Quad(_wd(qid), ox.NamedNode(f"{P}{prop}"), node),
        ox.Quad(node, ox.NamedNode(f"{PS}{prop}"), _wd(value)),
        ox.Quad(node, RDF_TYPE, ox.NamedNode(f"{WIKIBASE}Statement")),
        ox.Quad(node, ox.NamedNode(f"{WIKIBASE}rank"), ox.NamedNode(f"{WIKIBASE}{rank}Rank")),
    ]


def _wd(qid: str) -> ox.NamedNode:
    return ox.NamedNode(f"{WD}{qid}")


def _wdt(prop: str) -> ox.NamedNode:
    return ox.NamedNode(f"{WDT}{prop}")


def _text(subject: ox.NamedNode, predicate: str, value: str, language: str) -> ox.Quad:
    return ox.Quad(subject, ox.NamedNode(predicate), ox.Literal(value, language=language))
