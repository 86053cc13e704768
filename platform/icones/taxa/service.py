"""What is done with taxa: kept from Wikidata, looked up with their names, searched with forgiveness."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.errors import NotFoundError
from icones.models import Taxon, TaxonName
from icones.taxa import queries
from icones.taxa.names import closeness, folded
from wiki_sync import TaxonFacts


@dataclass(frozen=True)
class TaxonView:
    """A taxon as pages and answers show it, in one language."""

    qid: str
    scientific_name: str
    authorship: str
    rank: str
    vernacular: str
    """In the asked language, else in English, else empty."""
    ids: Mapping[str, str]
    lineage: tuple[str, ...] = ()
    """Q-ids, itself first."""


@dataclass(frozen=True)
class Hit:
    """An answer to a search: the taxon, and the name by which it was found."""

    taxon: TaxonView
    found_by: str
    closeness: int


def save(session: Session, facts: Iterable[TaxonFacts], now: datetime) -> int:
    """Keep these taxa (ancestors included, in any order) and renew the lineage closure; return how many.

    Labels change; the Q-id, and every identification that points at it, stays.
    """
    given = {fact.qid: fact for fact in facts}
    for fact in given.values():
        row = session.get(Taxon, fact.qid) or Taxon(qid=fact.qid, scientific_name="", refreshed_at=now)
        row.scientific_name = fact.scientific_name[:300]
        row.rank = fact.rank or ""
        row.parent_qid = fact.parent_qid
        row.authorship = (fact.authorship or "")[:300]
        row.ids = dict(fact.ids)
        row.image_title = fact.image_title or ""
        row.refreshed_at = now
        session.add(row)
    session.flush()
    for fact in given.values():
        queries.replace_names(session, fact.qid, _name_rows(fact))
    _renew_lineages(session, given.keys())
    return len(given)


def _name_rows(fact: TaxonFacts) -> list[TaxonName]:
    rows = {
        ("la", fact.scientific_name): TaxonName(
            taxon_qid=fact.qid,
            language="la",
            name=fact.scientific_name[:300],
            folded=folded(fact.scientific_name)[:300],
            preferred=True,
        )
    }
    for name in fact.names:
        key = (name.language, name.name)
        if key not in rows and folded(name.name):
            rows[key] = TaxonName(
                taxon_qid=fact.qid,
                language=name.language,
                name=name.name[:300],
                folded=folded(name.name)[:300],
                preferred=name.preferred,
            )
    return list(rows.values())


def _renew_lineages(session: Session, changed: Iterable[str]) -> None:
    parents = {row.qid: row.parent_qid for row in queries.taxa(session, queries.all_qids(session)).values()}
    touched = set(changed)
    lines: dict[str, Sequence[str]] = {}
    for qid in parents:
        line: list[str] = []
        step: str | None = qid
        while step is not None and step in parents and step not in line:  # a cycle ends the line
            line.append(step)
            step = parents[step]
        if touched.intersection(line):
            lines[qid] = line
    queries.replace_lineages(session, lines)


def require(session: Session, qid: str) -> Taxon:
    """Return the taxon, or raise NotFoundError in the person's words."""
    row = queries.taxon(session, qid)
    if row is None:
        raise NotFoundError(f"{qid} is not a taxon that Icones knows yet.")
    return row


def views(session: Session, qids: Collection[str], language: str, fallback: str = "en") -> dict[str, TaxonView]:
    """Return these taxa as pages show them; unknown ones are absent.

    The vernacular name is the one of ``language``, else of ``fallback``, else empty.
    """
    wanted = {qid for qid in qids if qid}
    rows = queries.taxa(session, wanted)
    best: dict[str, tuple[int, str]] = {}
    for name in queries.names(session, wanted):
        score = {fallback: 2, language: 0}.get(name.language)
        if score is None or folded(name.name) == folded(rows[name.taxon_qid].scientific_name):
            continue
        score += 0 if name.preferred else 1
        if name.taxon_qid not in best or score < best[name.taxon_qid][0]:
            best[name.taxon_qid] = (score, name.name)
    lines = queries.lineages(session, wanted)
    return {
        qid: TaxonView(
            qid=qid,
            scientific_name=row.scientific_name,
            authorship=row.authorship,
            rank=row.rank,
            vernacular=best.get(qid, (0, ""))[1],
            ids=row.ids,
            lineage=lines.get(qid, (qid,)),
        )
        for qid, row in rows.items()
    }


def search(session: Session, text: str, language: str, root: str | None = None, limit: int = 12) -> list[Hit]:
    """Return the taxa that ``text`` may mean, best first: scientific and vernacular names, slips forgiven.

    Within one closeness, names in the person's language and scientific names come first, then species before
    higher ranks' many members, then the alphabet.
    """
    query = folded(text)
    if not query:
        return []
    best: dict[str, tuple[int, int, int, str]] = {}
    for row in queries.candidate_names(session, query, root):
        close = closeness(query, row.folded)
        if close is None:
            continue
        other = 0 if row.language in (language, "la") else 1
        key = (close, other, len(row.folded), row.name)
        if row.taxon_qid not in best or key < best[row.taxon_qid]:
            best[row.taxon_qid] = key
    chosen = sorted(best, key=lambda qid: best[qid])[:limit]
    shown = views(session, chosen, language)
    return [Hit(shown[qid], best[qid][3], best[qid][0]) for qid in chosen]


def resolve(session: Session, verbatim: Collection[str]) -> dict[str, str]:
    """Return the Q-id for each name that exactly one taxon bears; unclear and unknown names are absent."""
    wanted = {name: folded(name) for name in verbatim if folded(name)}
    bearers = queries.named(session, set(wanted.values()))
    return {name: next(iter(bearers[key])) for name, key in wanted.items() if len(bearers.get(key, ())) == 1}
