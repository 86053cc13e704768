"""What is done with taxa: kept from Wikidata, looked up with their names, searched with forgiveness."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.errors import NotFoundError
from icones.models import Taxon, TaxonName
from icones.taxa import queries
from icones.taxa.lineage import choose_parents, lines_of
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
    is_synonym: bool = False
    """Found by a scientific name that is not the one it bears now."""
    is_outside: bool = False
    """It lies outside the scope in which was searched."""


@dataclass(frozen=True)
class Kept:
    """What keeping taxa changed. Q-ids; ``renamed`` are pairs of names, before and after."""

    n: int
    new: frozenset[str]
    renamed: tuple[tuple[str, str], ...]
    moved: frozenset[str]
    """Known ones that stand elsewhere now: by themselves, by what is above them, or by being merged."""
    merged: tuple[tuple[str, str], ...]
    """Pairs: what was merged now, and into what."""


def save(session: Session, facts: Iterable[TaxonFacts], now: datetime) -> int:
    """Keep these taxa as ``keep`` does; return how many."""
    return keep(session, facts, now).n


def keep(session: Session, facts: Iterable[TaxonFacts], now: datetime) -> Kept:
    """Keep these taxa (ancestors included, in any order), renew the lineages that this changes, and say what changed.

    Labels change; the Q-id, and every identification that points at it, stays. A taxon that was merged into another
    keeps its names and stands right below its target. The caller recomputes the determinations of what moved.
    """
    queries.one_at_a_time(session)
    given = {fact.qid: fact for fact in facts}
    rows = queries.taxa(session, given.keys())
    new = given.keys() - rows.keys()
    parents = _followed(session, given)
    renamed, merged, relinked, turned = [], [], set(new), set()
    for qid, fact in given.items():
        row = rows.get(qid) or Taxon(qid=qid, scientific_name="", refreshed_at=now)
        if qid in rows and row.parent_qid != parents[qid]:
            relinked.add(qid)
        if row.merged_into != fact.merged_into:
            turned.add(qid)
            merged += [(qid, fact.merged_into)] if fact.merged_into else []
        if qid in rows and not fact.merged_into and row.scientific_name != fact.scientific_name[:300]:
            renamed.append((row.scientific_name, fact.scientific_name))
        _write(row, fact, parents[qid], now)
        session.add(row)
    session.flush()
    queries.replace_names(
        session, {qid: _name_rows(fact) for qid, fact in given.items() if qid in new or not fact.merged_into}
    )
    moved = _renew_lineages(session, relinked, new)
    return Kept(len(given), frozenset(new), tuple(renamed), (moved | turned) - new, tuple(merged))


def _write(row: Taxon, fact: TaxonFacts, parent: str | None, now: datetime) -> None:
    """Put the facts into a taxon's row; one that was merged only says into what, and is else left as it was last."""
    row.parent_qid, row.parent_qids = parent, list(fact.parent_qids)
    row.merged_into, row.gone_at, row.refreshed_at = fact.merged_into, None, now
    if fact.merged_into and row.scientific_name:
        return
    row.scientific_name = fact.scientific_name[:300]
    row.rank = fact.rank or ""
    row.authorship = (fact.authorship or "")[:300]
    row.ids = dict(fact.ids)
    row.image_title = fact.image_title or ""


def _followed(session: Session, given: Mapping[str, TaxonFacts]) -> Mapping[str, str | None]:
    """Return for each of these taxa the parent that is followed, among all that are known."""
    wanted = {
        qid: tuple(dict.fromkeys([*([fact.parent_qid] if fact.parent_qid else []), *fact.parent_qids]))
        for qid, fact in given.items()
    }
    outside = {parent for options in wanted.values() for parent in options} - wanted.keys()
    known: dict[str, str | None] = {}
    for line in queries.lineages(session, outside).values():
        known |= dict(zip(line, (*line[1:], None), strict=True))
    # A line may end at a parent that nobody knows yet: it must not be forgotten, or it could close a ring.
    known |= queries.parents(session, [qid for qid, parent in known.items() if parent is None])
    return choose_parents(wanted, known, first=[qid for qid, fact in given.items() if fact.merged_into])


def mark_gone(session: Session, qids: Collection[str], now: datetime) -> int:
    """Note that Wikidata no longer has these as taxa: they stay as last known, and no search offers them.

    Returns how many were there until now. One that comes back is taken up again by ``keep``.
    """
    rows = queries.taxa(session, qids).values()
    fresh = [row for row in rows if row.gone_at is None]
    for row in rows:
        row.gone_at, row.refreshed_at = row.gone_at or now, now
        session.add(row)
    return len(fresh)


def current(session: Session, qids: Iterable[str | None]) -> dict[str, str]:
    """Return for each Q-id the one it stands for: itself, or what its item was merged into in the end.

    Wherever taxa are compared or shown, they are asked about here first; what was written down stays.
    """
    given = {qid for qid in qids if qid}
    step = {qid: qid for qid in given}
    found = queries.merged(session, given)
    while new := set(found.values()) - found.keys() - step.keys():
        step |= {qid: qid for qid in new}
        found |= queries.merged(session, new)
    ends: dict[str, str] = {}
    for qid in given:
        at, seen = qid, {qid}
        while at in found and found[at] not in seen:
            at = found[at]
            seen.add(at)
        ends[qid] = at
    return ends


def _name_rows(fact: TaxonFacts) -> list[TaxonName]:
    rows = {
        ("la", fact.scientific_name[:300]): TaxonName(
            taxon_qid=fact.qid,
            language="la",
            name=fact.scientific_name[:300],
            folded=folded(fact.scientific_name)[:300],
            preferred=True,
        )
    }
    others = [("la", name, False) for name in fact.synonyms]
    for language, name, preferred in [*others, *((one.language, one.name, one.preferred) for one in fact.names)]:
        key = (language, name[:300])
        if key not in rows and folded(name):
            rows[key] = TaxonName(
                taxon_qid=fact.qid,
                language=language,
                name=name[:300],
                folded=folded(name)[:300],
                preferred=preferred,
            )
    return list(rows.values())


def _renew_lineages(session: Session, relinked: Collection[str], new: Collection[str]) -> frozenset[str]:
    """Renew the lineages that hang on taxa with another parent, and on new ones; return those that are different now.

    Everything else is left alone: most renewals change no lineage at all.
    """
    orphans = queries.children(session, new)
    touched = {*relinked, *orphans, *queries.below(session, {*relinked, *orphans})}
    parents = queries.parents(session, touched)
    outside = {parent for parent in parents.values() if parent} - touched
    lines = lines_of(parents, queries.lineages(session, outside))
    before = queries.lineages(session, touched)
    different = {qid: line for qid, line in lines.items() if before.get(qid) != line}
    queries.replace_lineages(session, different)
    return frozenset(different)


def is_qid(text: str) -> bool:
    """Say whether a text has the form of a Wikidata item's id."""
    return re.fullmatch(r"Q[1-9][0-9]{0,11}", text) is not None


def find(session: Session, text: str) -> str | None:
    """Return the taxon that a Q-id or a name means, as it is called now; None if we know none, or several."""
    if is_qid(text):
        target = current(session, [text])[text]
        return target if queries.taxon(session, target) is not None else None
    return resolve(session, [text]).get(text)


def require(session: Session, qid: str) -> Taxon:
    """Return the taxon, or raise NotFoundError in the person's words."""
    row = queries.taxon(session, qid)
    if row is None:
        raise NotFoundError(f"{qid} is not a taxon that Icones knows yet.")
    return row


def views(session: Session, qids: Collection[str], language: str, fallback: str = "en") -> dict[str, TaxonView]:
    """Return these taxa as pages show them; unknown ones are absent. One that was merged shows as its target.

    The vernacular name is the one of ``language``, else of ``fallback``, else empty.
    """
    stands_for = current(session, qids)
    wanted = set(stands_for.values())
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
    shown = {
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
    return {qid: shown[target] for qid, target in stands_for.items() if target in shown}


def search(session: Session, text: str, language: str, root: str | None = None, limit: int = 12) -> list[Hit]:
    """Return the taxa that ``text`` may mean, best first: scientific and vernacular names, slips forgiven.

    With a ``root``, taxa within it come first, then those outside it, marked so. Within one closeness, names in the
    person's language and scientific names come first, names of synonyms last, then the shortest, then the alphabet.
    """
    query = folded(text)
    if not query:
        return []
    if root is None:
        return _hits(session, _best(session, query, language, None), language, limit)
    scope = current(session, [root])[root]
    inside = _best(session, query, language, scope)
    hits = _hits(session, inside, language, limit)
    if len(hits) < limit:
        others = {qid: key for qid, key in _best(session, query, language, None).items() if qid not in inside}
        within = {qid for qid, line in queries.lineages(session, others.keys()).items() if scope in line}
        outside = {qid: key for qid, key in others.items() if qid not in within}
        hits += _hits(session, outside, language, limit - len(hits), is_outside=True)
    return hits


_Key = tuple[int, int, int, str]
"""By which answers are put in order: closeness, kind of name, its length, and the name itself."""
_SYNONYM = 2


def _best(session: Session, query: str, language: str, root: str | None) -> dict[str, _Key]:
    """Return for each taxon that may be meant the best way in which it answers; merged ones speak for their target."""
    found: list[tuple[str, _Key]] = []
    for row in queries.candidate_names(session, query, root):
        close = closeness(query, row.folded)
        if close is not None:
            kind = 0 if row.language in (language, "la") else 1
            kind = _SYNONYM if row.language == "la" and not row.preferred else kind
            found.append((row.taxon_qid, (close, kind, len(row.folded), row.name)))
    stands_for = current(session, [qid for qid, _ in found])
    best: dict[str, _Key] = {}
    for qid, key in found:
        target = stands_for[qid]
        best[target] = min(key, best.get(target, key))
    return best


def _hits(
    session: Session, best: Mapping[str, _Key], language: str, limit: int, *, is_outside: bool = False
) -> list[Hit]:
    chosen = sorted(best, key=lambda qid: best[qid])[:limit]
    shown = views(session, chosen, language)
    return [
        Hit(shown[qid], best[qid][3], best[qid][0], best[qid][1] == _SYNONYM, is_outside)
        for qid in chosen
        if qid in shown
    ]


def the_one(hits: Sequence[Hit]) -> TaxonView | None:
    """Return the one taxon that was named exactly; None when there is none, or when it could be several.

    What lies within the scope goes before what lies outside, and a taxon's own name before that of a synonym.
    """
    exact = [hit for hit in hits if hit.closeness == 0]
    for is_outside, is_synonym in ((False, False), (False, True), (True, False), (True, True)):
        meant = [hit for hit in exact if (hit.is_outside, hit.is_synonym) == (is_outside, is_synonym)]
        if meant:
            return meant[0].taxon if len(meant) == 1 else None
    return None


def resolve(session: Session, verbatim: Collection[str]) -> dict[str, str]:
    """Return the Q-id for each name that exactly one taxon bears; unclear and unknown names are absent.

    Taxa that bear it as a synonym's name are asked only where none bears it as its own.
    """
    wanted = {name: folded(name) for name in verbatim if folded(name)}
    bearers = queries.bearers(session, set(wanted.values()))
    stands_for = current(session, [qid for found in bearers.values() for qid, _ in found])
    answers: dict[str, str] = {}
    for name, key in wanted.items():
        found = bearers.get(key, [])
        own = {stands_for[qid] for qid, is_own in found if is_own}
        meant = own or {stands_for[qid] for qid, _ in found}
        if len(meant) == 1:
            answers[name] = meant.pop()
    return answers
