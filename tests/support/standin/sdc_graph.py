"""The structured data of the world's files as RDF, as the query services for Commons hold it.

Wikidata's predicates on Commons' entities (https://www.mediawiki.org/wiki/Wikibase/Indexing/RDF_Dump_Format):
`wdt:` for the best rank only, `p:`/`ps:`/`pq:` for every statement, and a data set node with the time of the last
change. Categories, wikitext and references are not in it. It is brought up to date before each query.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pyoxigraph as ox

from tests.support.standin import files
from tests.support.standin.taxa import PQ, PS, RDF_TYPE, RDFS, SCHEMA, WD, WDT, WIKIBASE, XSD, P, run_select
from tests.support.standin.world import NS_FILE, Page, World

SDC = "https://commons.wikimedia.org/entity/"
SDCS = "https://commons.wikimedia.org/entity/statement/"
SDCDATA = "https://commons.wikimedia.org/wiki/Special:EntityData/"
GENID = "https://commons.wikimedia.org/.well-known/genid/"
WDNO = "http://www.wikidata.org/prop/novalue/"
RANKS = {"preferred": "PreferredRank", "normal": "NormalRank", "deprecated": "DeprecatedRank"}
Json = Mapping[str, Any]


class SdcGraph:
    """A SPARQL store over the MediaInfo of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = ox.Store()
        self._lock = threading.Lock()
        self._quads: dict[int, list[ox.Quad]] = {}
        self._seen: dict[int, tuple[int, str]] = {}

    def select(self, query: str) -> bytes:
        """Run a SELECT or ASK query over the files as they are now. Raises SyntaxError as `TaxonStore.select`."""
        with self._lock:
            self._refresh()
            return run_select(self._store, query)

    def _refresh(self) -> None:
        with self._world.lock:
            wanted = {
                page.page_id: page
                for page in self._world.pages.values()
                if page.ns == NS_FILE and page.latest.entity is not None
            }
            for page_id in [one for one in self._seen if one not in wanted]:
                self._forget(page_id)
            for page_id, page in wanted.items():
                state = (page.latest.revid, page.title)
                if self._seen.get(page_id) != state:
                    self._forget(page_id)
                    self._seen[page_id] = state
                    self._quads[page_id] = quads = list(_quads(page))
                    self._store.extend(quads)

    def _forget(self, page_id: int) -> None:
        self._seen.pop(page_id, None)
        for quad in self._quads.pop(page_id, ()):  # every subject belongs to one page, so no quad is another's too
            self._store.remove(quad)


def _node(base: str, name: str) -> ox.NamedNode:
    return ox.NamedNode(f"{base}{name}")


def _typed(value: object, kind: str) -> ox.Literal:
    return ox.Literal(str(value), datatype=_node(XSD, kind))


def _quads(page: Page) -> Iterator[ox.Quad]:
    mid = f"M{page.page_id}"
    me, data = _node(SDC, mid), _node(SDCDATA, mid)
    yield ox.Quad(data, RDF_TYPE, _node(SCHEMA, "Dataset"))
    yield ox.Quad(data, _node(SCHEMA, "about"), me)
    yield ox.Quad(data, _node(SCHEMA, "version"), _typed(page.latest.revid, "integer"))
    yield ox.Quad(data, _node(SCHEMA, "dateModified"), _typed(page.latest.timestamp, "dateTime"))
    yield ox.Quad(me, RDF_TYPE, _node(WIKIBASE, "Mediainfo"))
    yield ox.Quad(me, RDF_TYPE, _node(SCHEMA, "MediaObject"))
    yield from _file_quads(page, me)
    entity = page.latest.entity or {}
    for code, label in (entity.get("labels") or {}).items():
        for predicate in (_node(SCHEMA, "caption"), _node(RDFS, "label")):
            yield ox.Quad(me, predicate, ox.Literal(label["value"], language=code))
    for prop, statements in (entity.get("statements") or {}).items():
        yield from _statement_quads(me, prop, statements)


def _file_quads(page: Page, me: ox.NamedNode) -> Iterator[ox.Quad]:
    if page.file is None:
        return
    name = quote(files.file_key(page.title))
    address = (
        f"https://upload.wikimedia.org{files.original_path(page.title).replace('/w/images', '/wikipedia/commons')}"
    )
    yield ox.Quad(me, _node(SCHEMA, "encodingFormat"), ox.Literal(files.mime_of(page.title)))
    yield ox.Quad(me, _node(SCHEMA, "contentUrl"), ox.NamedNode(address))
    yield ox.Quad(me, _node(SCHEMA, "url"), ox.NamedNode(f"http://commons.wikimedia.org/wiki/Special:FilePath/{name}"))
    yield ox.Quad(me, _node(SCHEMA, "contentSize"), _typed(page.file.byte_count, "integer"))


def _statement_quads(me: ox.NamedNode, prop: str, statements: Sequence[Json]) -> Iterator[ox.Quad]:
    ranks = {one.get("rank", "normal") for one in statements}
    best = next((rank for rank in ("preferred", "normal") if rank in ranks), None)
    for statement in statements:
        rank = statement.get("rank", "normal")
        node = _node(SDCS, statement["id"].replace("$", "-"))
        snak = statement["mainsnak"]
        yield ox.Quad(me, _node(P, prop), node)
        yield ox.Quad(node, RDF_TYPE, _node(WIKIBASE, "Statement"))
        yield ox.Quad(node, _node(WIKIBASE, "rank"), _node(WIKIBASE, RANKS[rank]))
        value = _value(snak, statement["id"])
        if value is None:
            yield ox.Quad(node, RDF_TYPE, _node(WDNO, prop))
        else:
            yield ox.Quad(node, _node(PS, prop), value)
        if rank == best:
            yield ox.Quad(node, RDF_TYPE, _node(WIKIBASE, "BestRank"))
            if value is not None:
                yield ox.Quad(me, _node(WDT, prop), value)
        for name, snaks in (statement.get("qualifiers") or {}).items():
            for place, qualifier in enumerate(snaks):
                said = _value(qualifier, f"{statement['id']}-{name}-{place}")
                if said is not None:
                    yield ox.Quad(node, _node(PQ, name), said)


def _value(snak: Json, key: str) -> ox.NamedNode | ox.Literal | None:
    """The value of a snak; for an unknown one a node of its own, for "no value" None."""
    if snak["snaktype"] == "novalue":
        return None
    if snak["snaktype"] == "somevalue":
        return _node(GENID, quote(key, safe=""))
    value = snak["datavalue"]["value"]
    if isinstance(value, str):
        return ox.Literal(value)
    if "id" in value:
        return _node(WD, value["id"])
    if "text" in value:
        return ox.Literal(value["text"], language=value["language"])
    if "time" in value:
        return _typed(str(value["time"]).lstrip("+"), "dateTime")
    return _typed(value["amount"], "decimal")
