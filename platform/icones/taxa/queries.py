"""All SQL about taxa."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.models import Taxon, TaxonAncestor, TaxonName

BATCH = 500
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


def candidate_names(session: Session, folded: str, root: str | None, limit: int = 4000) -> Sequence[TaxonName]:
    """Return names that may answer a search: by prefix of any word, else all of a scope for spelling forgiveness."""
    question = select(TaxonName)
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


def named(session: Session, folded_names: Collection[str]) -> dict[str, set[str]]:
    """Return for each folded name the Q-ids that bear it exactly."""
    found: dict[str, set[str]] = {}
    for batch in batches(sorted(folded_names)):
        question = select(TaxonName.folded, TaxonName.taxon_qid).where(col(TaxonName.folded).in_(batch))
        for name, qid in session.exec(question):
            found.setdefault(name, set()).add(qid)
    return found


def replace_names(session: Session, qid: str, rows: Sequence[TaxonName]) -> None:
    """Put ``rows`` in the place of the names of one taxon."""
    session.exec(sa.delete(TaxonName).where(col(TaxonName.taxon_qid) == qid))
    session.add_all(rows)


def replace_lineages(session: Session, lines: dict[str, Sequence[str]]) -> None:
    """Put these lineages (itself first) in the place of what the closure said of these taxa."""
    for batch in batches(lines):
        session.exec(sa.delete(TaxonAncestor).where(col(TaxonAncestor.taxon_qid).in_(batch)))
    session.flush()
    session.add_all(
        TaxonAncestor(taxon_qid=qid, ancestor_qid=ancestor, distance=step)
        for qid, line in lines.items()
        for step, ancestor in enumerate(line)
    )
