"""All SQL about taxa."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    DepictsStatement,
    Determination,
    Figure,
    Identification,
    Illustration,
    Taxon,
    TaxonAncestor,
    TaxonName,
)

BATCH = 500
_KEEPING = 6_420_171
"""Of PostgreSQL's advisory locks: whoever holds it is the one who renews taxa. Any number that nobody else uses."""
T = TypeVar("T")


def batches(items: Iterable[T], size: int = BATCH) -> Iterable[list[T]]:
    """Cut ``items`` into lists of at most ``size``: databases limit the variables of one statement."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def taxon(session: Session, qid: str) -> Taxon | None:
    """Return the taxon with this Q-id."""
    return session.get(Taxon, qid)


def taxa(session: Session, qids: Collection[str]) -> dict[str, Taxon]:
    """Return the taxa with these Q-ids; unknown ones are absent."""
    found: dict[str, Taxon] = {}
    for batch in batches(sorted(qids)):
        found |= {row.qid: row for row in session.exec(select(Taxon).where(col(Taxon.qid).in_(batch)))}
    return found


def names(session: Session, qids: Collection[str]) -> list[TaxonName]:
    """Return all names of these taxa."""
    rows: list[TaxonName] = []
    for batch in batches(sorted(qids)):
        question = select(TaxonName).where(col(TaxonName.taxon_qid).in_(batch))
        rows += session.exec(question.order_by(col(TaxonName.preferred).desc(), col(TaxonName.id))).all()
    return rows


def lineages(session: Session, qids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return for each taxon its lineage: itself first, then its ancestors up to the root."""
    found: dict[str, list[str]] = {}
    for batch in batches(sorted(qids)):
        question = (
            select(TaxonAncestor.taxon_qid, TaxonAncestor.ancestor_qid)
            .where(col(TaxonAncestor.taxon_qid).in_(batch))
            .order_by(col(TaxonAncestor.taxon_qid), col(TaxonAncestor.distance))
        )
        for qid, ancestor in session.exec(question):
            found.setdefault(qid, []).append(ancestor)
    return {qid: tuple(line) for qid, line in found.items()}


def all_qids(session: Session) -> set[str]:
    """Return the Q-ids of all taxa we keep."""
    return set(session.exec(select(Taxon.qid)))


def one_at_a_time(session: Session) -> None:
    """Wait until nobody else renews taxa; until this transaction ends, nobody else does.

    Two runs that bring the same new taxon would else disturb each other. SQLite has one writer at any time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(sa.select(func.pg_advisory_xact_lock(_KEEPING)))


def known(session: Session, qids: Collection[str]) -> set[str]:
    """Return which of these Q-ids are taxa we keep."""
    return set(parents(session, qids))


def parents(session: Session, qids: Collection[str]) -> dict[str, str | None]:
    """Return for each of these taxa the parent we follow; unknown ones are absent."""
    found: dict[str, str | None] = {}
    for batch in batches(sorted(qids)):
        found |= dict(session.exec(select(Taxon.qid, Taxon.parent_qid).where(col(Taxon.qid).in_(batch))).all())
    return found


def children(session: Session, qids: Collection[str]) -> set[str]:
    """Return the taxa whose followed parent is one of these."""
    found: set[str] = set()
    for batch in batches(sorted(qids)):
        found |= set(session.exec(select(Taxon.qid).where(col(Taxon.parent_qid).in_(batch))))
    return found


def below(session: Session, qids: Collection[str]) -> set[str]:
    """Return the taxa in whose lineage one of these stands, themselves included."""
    found: set[str] = set()
    for batch in batches(sorted(qids)):
        inside = select(TaxonAncestor.taxon_qid).where(col(TaxonAncestor.ancestor_qid).in_(batch))
        found |= set(session.exec(inside))
    return found


def merged(session: Session, qids: Collection[str]) -> dict[str, str]:
    """Return for those of these taxa that were merged into another what they were merged into."""
    found: dict[str, str] = {}
    for batch in batches(sorted(qids)):
        question = select(Taxon.qid, Taxon.merged_into).where(col(Taxon.qid).in_(batch))
        for qid, target in session.exec(question.where(col(Taxon.merged_into).is_not(None))):
            found[qid] = target or qid
    return found


def merged_from(session: Session, qids: Collection[str]) -> dict[str, str]:
    """Return the items that were merged into one of these, in any number of steps, each with the one it stands for."""
    found: dict[str, str] = {}
    level = {qid: qid for qid in qids}
    while level:
        below: dict[str, str] = {}
        for batch in batches(sorted(level)):
            question = select(Taxon.qid, Taxon.merged_into).where(col(Taxon.merged_into).in_(batch))
            below |= {qid: level[target] for qid, target in session.exec(question) if target}
        level = {qid: target for qid, target in below.items() if qid not in found and qid not in qids}
        found |= level
    return found


def oldest(session: Session, before: datetime, limit: int, campaign_id: int | None = None) -> list[str]:
    """Return the taxa that were not asked for since ``before``, the longest-waiting first; of a campaign, or all."""
    question = select(Taxon.qid).where(col(Taxon.refreshed_at) < before)
    if campaign_id is not None:
        question = question.where(col(Taxon.qid).in_(_named_in(campaign_id)))
    return list(session.exec(question.order_by(col(Taxon.refreshed_at), col(Taxon.qid)).limit(limit)))


def n_older(session: Session, before: datetime, campaign_id: int | None = None) -> int:
    """Count the taxa that ``oldest`` would give without a limit."""
    question = select(func.count()).select_from(Taxon).where(col(Taxon.refreshed_at) < before)
    if campaign_id is not None:
        question = question.where(col(Taxon.qid).in_(_named_in(campaign_id)))
    return session.exec(question).one()


def fresh(session: Session, qids: Collection[str], since: datetime) -> set[str]:
    """Return which of these taxa were asked for at ``since`` or later."""
    found: set[str] = set()
    for batch in batches(sorted(qids)):
        question = select(Taxon.qid).where(col(Taxon.qid).in_(batch), col(Taxon.refreshed_at) >= since)
        found |= set(session.exec(question))
    return found


def _named_in(campaign_id: int) -> sa.CompoundSelect[tuple[str]]:
    """Return the taxa that people, rules and the source name in a campaign."""
    said = (
        sa.select(col(Identification.taxon_qid))
        .join(Figure, col(Figure.id) == col(Identification.figure_id))
        .where(col(Figure.campaign_id) == campaign_id, col(Identification.taxon_qid).is_not(None))
    )
    decided = sa.select(col(Determination.taxon_qid)).where(
        col(Determination.campaign_id) == campaign_id, col(Determination.taxon_qid).is_not(None)
    )
    stated = (
        sa.select(col(DepictsStatement.qid))
        .join(Illustration, col(Illustration.id) == col(DepictsStatement.illustration_id))
        .where(col(Illustration.campaign_id) == campaign_id, col(DepictsStatement.qid).is_not(None))
    )
    return sa.union(said, decided, stated)


def candidate_names(session: Session, folded: str, root: str | None, limit: int = 4000) -> Sequence[TaxonName]:
    """Return names that may answer a search: by prefix of any word, else all of a scope for spelling forgiveness.

    The shortest come first, as nearest to what was typed. What Wikidata no longer has as a taxon is left out.
    """
    gone = select(Taxon.qid).where(col(Taxon.gone_at).is_not(None))
    question = select(TaxonName).where(col(TaxonName.taxon_qid).not_in(gone))
    question = question.order_by(func.length(col(TaxonName.folded)), col(TaxonName.id))
    if root is not None:
        inside = select(TaxonAncestor.taxon_qid).where(TaxonAncestor.ancestor_qid == root)
        question = question.where(col(TaxonName.taxon_qid).in_(inside))
    first = folded.split(" ")[0]
    near = question.where(
        sa.or_(col(TaxonName.folded).startswith(first), col(TaxonName.folded).contains(" " + first))
    ).limit(limit)
    rows = session.exec(near).all()
    if len(rows) >= 8:
        return rows
    # Few or none: perhaps a slip of the finger. The first letter is the one least often wrong.
    wider = question.where(
        sa.or_(col(TaxonName.folded).startswith(first[:1]), col(TaxonName.folded).contains(" " + first[:1]))
    )
    return [*rows, *session.exec(wider.limit(limit * 5)).all()]


def bearers(session: Session, folded_names: Collection[str]) -> dict[str, list[tuple[str, bool]]]:
    """Return for each folded name the taxa that bear it exactly, each with whether as its own name.

    A name is not a taxon's own where it is a scientific one that a synonym bears.
    """
    found: dict[str, list[tuple[str, bool]]] = {}
    for batch in batches(sorted(folded_names)):
        question = select(TaxonName).where(col(TaxonName.folded).in_(batch))
        for row in session.exec(question.order_by(col(TaxonName.id))):
            found.setdefault(row.folded, []).append((row.taxon_qid, row.preferred or row.language != "la"))
    return found


def replace_names(session: Session, names_of: Mapping[str, Sequence[TaxonName]]) -> None:
    """Put these names in the place of those that the taxa had; what is the same stays as it is."""
    before: dict[str, set[tuple[str, str, str, bool]]] = {}
    for row in names(session, names_of.keys()):
        before.setdefault(row.taxon_qid, set()).add((row.language, row.name, row.folded, row.preferred))
    changed = {
        qid: rows
        for qid, rows in names_of.items()
        if {(row.language, row.name, row.folded, row.preferred) for row in rows} != before.get(qid, set())
    }
    session.flush()
    for batch in batches(sorted(changed)):
        session.exec(sa.delete(TaxonName).where(col(TaxonName.taxon_qid).in_(batch)))
    rows = [row.model_dump(exclude={"id"}) for qid in changed for row in changed[qid]]
    if rows:
        session.connection().execute(sa.insert(TaxonName), rows)


def replace_lineages(session: Session, lines: Mapping[str, Sequence[str]]) -> None:
    """Put these lineages (itself first) in the place of what the closure said of these taxa."""
    session.flush()
    for batch in batches(sorted(lines)):
        session.exec(sa.delete(TaxonAncestor).where(col(TaxonAncestor.taxon_qid).in_(batch)))
    rows = [
        {"taxon_qid": qid, "ancestor_qid": ancestor, "distance": step}
        for qid, line in lines.items()
        for step, ancestor in enumerate(line)
    ]
    if rows:
        session.connection().execute(sa.insert(TaxonAncestor), rows)
