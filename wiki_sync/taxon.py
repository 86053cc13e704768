"""Taxa as plain facts, put together from rows of query answers; pure, asks nobody.

Where Wikidata says several things and one is needed, the choice is always the same for the same data: among
names the one that is also the item's label, else the first in alphabetical order; among parents the best-ranked,
then the lowest; among ids the lowest.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import unquote

from wiki_sync.config import WikiConfig
from wiki_sync.sparql import Row, qid_of

RANKS: Mapping[str, str] = MappingProxyType(
    {
        "Q146481": "domain",
        "Q36732": "kingdom",
        "Q2752679": "subkingdom",
        "Q38348": "phylum",
        "Q1153785": "subphylum",
        "Q3504061": "superclass",
        "Q37517": "class",
        "Q5867051": "subclass",
        "Q2007442": "infraclass",
        "Q5868144": "superorder",
        "Q36602": "order",
        "Q5867959": "suborder",
        "Q2889003": "infraorder",
        "Q2136103": "superfamily",
        "Q35409": "family",
        "Q164280": "subfamily",
        "Q227936": "tribe",
        "Q3965313": "subtribe",
        "Q34740": "genus",
        "Q3238261": "subgenus",
        "Q3181348": "section",
        "Q7432": "species",
        "Q1306176": "nothospecies",
        "Q68947": "subspecies",
        "Q767728": "variety",
        "Q279749": "form",
        "Q4886": "cultivar",
        "Q713623": "clade",
    }
)
SPECIES_AND_BELOW = frozenset({"Q7432", "Q1306176", "Q68947", "Q767728", "Q279749", "Q4886"})
"""Ranks whose taxa have no species below them."""
ID_KEYS = ("gbif", "ncbi", "nsr", "worms", "col", "inaturalist")


@dataclass(frozen=True)
class TaxonName:
    """A name that is not the scientific one; `preferred` marks at most one name in each language."""

    language: str
    name: str
    preferred: bool


@dataclass(frozen=True)
class TaxonFacts:
    """What Wikidata says about one taxon.

    `rank` is an English word ("species", "genus" ...), None if the item has none or an unnamed one.
    `parent_qid` is one of `parent_qids` (all P171 that are not deprecated, the best-ranked first, then in order
    of number). `authorship` is the citation as Wikidata has it (P6507), else authors and year of the name
    statement as "Author, 1758", in brackets if the statement says that it is a recombination. `ids` has the keys
    of `ID_KEYS` that are known. `synonyms` are other scientific names, in alphabetical order. `merged_into` is
    set for an item that became a redirect: it bears its target's name, and its one parent is its target.
    """

    qid: str
    scientific_name: str
    rank: str | None = None
    rank_qid: str | None = None
    parent_qid: str | None = None
    parent_qids: tuple[str, ...] = ()
    authorship: str | None = None
    names: tuple[TaxonName, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    image_title: str | None = None
    synonyms: tuple[str, ...] = ()
    merged_into: str | None = None


def number_of(qid: str) -> int:
    """Return the number of a Q-id, by which items are put in order."""
    return int(qid[1:])


def taxa_of_rows(
    config: WikiConfig,
    facts: Iterable[Row],
    names: Iterable[Row],
    authors: Iterable[Row],
    synonyms: Iterable[Row] = (),
) -> dict[str, TaxonFacts]:
    """Return the taxa, by Q-id in order of number, from the rows of the four taxon queries."""
    said = _by_taxon(config, facts)
    called = _by_taxon(config, names)
    signed = _by_taxon(config, authors)
    others = {
        qid: {" ".join(row["name"].value.split()) for row in rows} for qid, rows in _by_taxon(config, synonyms).items()
    }
    return {
        qid: _taxon(config, qid, said[qid], called.get(qid, []), signed.get(qid, []), others.get(qid, set()))
        for qid in sorted(said, key=number_of)
        if _values(said[qid], "name")  # an item without P225 is no taxon
    }


def merged(qid: str, target: TaxonFacts) -> TaxonFacts:
    """Return what is known of an item that was merged into another: it stands for its target, and right below it."""
    return TaxonFacts(
        qid=qid,
        scientific_name=target.scientific_name,
        rank=target.rank,
        rank_qid=target.rank_qid,
        parent_qid=target.qid,
        parent_qids=(target.qid,),
        authorship=target.authorship,
        merged_into=target.qid,
    )


def without_cycles(taxa: Mapping[str, TaxonFacts]) -> dict[str, TaxonFacts]:
    """Return the taxa with each `parent_qid` among the taxa themselves and no walk upwards that comes back.

    Parents are tried in the order of `parent_qids`; the first that is in `taxa` and does not lead back to the
    taxon is taken, else there is none and the taxon becomes a root. Taxa choose in order of number, those that
    were merged into others first, so the result does not depend on the order of `taxa`.
    """
    chosen: dict[str, str | None] = {}
    for qid in sorted(taxa, key=lambda one: (taxa[one].merged_into is None, number_of(one))):
        inside = (parent for parent in taxa[qid].parent_qids if parent in taxa)
        chosen[qid] = next((parent for parent in inside if not _leads_to(parent, qid, chosen)), None)
    return {qid: replace(taxa[qid], parent_qid=chosen[qid]) for qid in chosen}


def _leads_to(start: str, goal: str, chosen: Mapping[str, str | None]) -> bool:
    at: str | None = start
    while at is not None and at != goal:
        at = chosen.get(at)
    return at == goal


def _by_taxon(config: WikiConfig, rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if qid := qid_of(config, row.get("taxon")):
            grouped[qid].append(row)
    return grouped


def _taxon(
    config: WikiConfig, qid: str, facts: list[Row], names: list[Row], authors: list[Row], synonyms: set[str]
) -> TaxonFacts:
    written = _values(facts, "name")
    labels = {row["value"].value for row in names if row["key"].value == "label"}
    scientific_name = min(written, key=lambda name: (name not in labels, name))
    ranks = sorted(_items(config, facts, "rank"), key=lambda rank: (rank not in RANKS, number_of(rank)))
    best = _items(config, facts, "parent") - {qid}
    others = _items(config, facts, "any parent") - best - {qid}
    parents = (*sorted(best, key=number_of), *sorted(others, key=number_of))
    rank_words = sorted(_values(facts, "rank word"))
    rank = RANKS.get(ranks[0]) or (rank_words[0] if rank_words else None) if ranks else None
    ids = {key: min(found, key=_id_order) for key in ID_KEYS if (found := _values(facts, key))}
    images = sorted(_values(facts, "image"))
    return TaxonFacts(
        qid=qid,
        scientific_name=scientific_name,
        rank=rank,
        rank_qid=ranks[0] if ranks else None,
        parent_qid=parents[0] if parents else None,
        parent_qids=parents,
        authorship=min(_values(facts, "citation"), default=None) or _authorship(authors, scientific_name),
        names=_names(config, names, written),
        ids=ids,
        image_title=f"File:{unquote(images[0].rpartition('/')[2]).replace('_', ' ')}" if images else None,
        synonyms=tuple(sorted((written | synonyms) - {scientific_name, ""})),
    )


def _values(rows: Iterable[Row], key: str) -> set[str]:
    """Return the literal or IRI values under a key; "some value" (a blank node, or a generated IRI) is none."""
    terms = [row["value"] for row in rows if row["key"].value == key and "value" in row]
    return {term.value for term in terms if term.kind != "bnode" and "/.well-known/genid/" not in term.value}


def _items(config: WikiConfig, rows: Iterable[Row], key: str) -> set[str]:
    found = (qid_of(config, row.get("value")) for row in rows if row["key"].value == key)
    return {qid for qid in found if qid}


def _id_order(value: str) -> tuple[bool, int, str]:
    return (not value.isdecimal(), int(value) if value.isdecimal() else 0, value)


def _names(config: WikiConfig, rows: Iterable[Row], scientific: Collection[str]) -> tuple[TaxonName, ...]:
    """Return the names, preferred first in each language: its label if that is no scientific name, else a
    vernacular name.

    Names that differ only in capitals are one name; the label's spelling wins, then the vernacular's.
    """
    order = {"label": 0, "vernacular": 1, "other": 2}
    known = {name.casefold() for name in scientific}
    found: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
    for row in rows:
        name, place = " ".join(row["value"].value.split()), order[row["key"].value]
        if not name or name.casefold() in known:
            continue
        spellings = found[row["value"].language.lower()]
        spellings[name.casefold()] = min((place, name), spellings.get(name.casefold(), (place, name)))
    names: list[TaxonName] = []
    for language in sorted(found, key=lambda one: (_place(config.languages, one), one)):
        ordered = sorted(found[language].values())
        names += [TaxonName(language, name, i == 0 and place < 2) for i, (place, name) in enumerate(ordered)]
    return tuple(names)


def _place(languages: tuple[str, ...], language: str) -> int:
    return languages.index(language) if language in languages else len(languages)


def _authorship(rows: Iterable[Row], scientific_name: str) -> str | None:
    """Return "Ex ex Author & Author, year" of the statement of that name, in brackets if it is a recombination.

    Authors are in alphabetical order, as RDF keeps none. An author is shown as cited in zoology (P835), else in
    botany (P428), else by label.
    """
    authors: dict[str, dict[str, str]] = {"ex": {}, "author": {}}
    years: set[str] = set()
    recombined = False
    for row in rows:
        if row["name"].value != scientific_name:
            continue
        shown = next((row[key].value for key in ("citation", "abbreviation", "label") if key in row), None)
        if "role" in row and shown:
            known = authors[row["role"].value]
            known[row["author"].value] = min(shown, known.get(row["author"].value, shown))
        if "published" in row and row["published"].value[:4].isdecimal():
            years.add(row["published"].value[:4])
        recombined = recombined or "recombined" in row
    if not authors["author"]:
        return None
    cited = " ex ".join(_listed(people.values()) for people in authors.values() if people)
    dated = f"{cited}, {min(years)}" if years else cited
    return f"({dated})" if recombined else dated


def _listed(people: Collection[str]) -> str:
    *first, last = sorted(set(people))
    return f"{', '.join(first)} & {last}" if first else last
