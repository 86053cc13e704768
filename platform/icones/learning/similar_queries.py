"""All SQL about which figures may answer a search for similar ones, and what changed since an index was made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Determination,
    DeterminationState,
    Embedding,
    Figure,
    Illustration,
    IllustrationState,
    Taxon,
    TaxonAncestor,
)
from icones.taxa.queries import batches, merged_from


@dataclass(frozen=True)
class Standing:
    """What tells that a campaign's vectors are not those of before."""

    n: int
    last: datetime | None
    """When the newest of them was made."""
    sum_of_ids: int
    """Another one where a figure went as another one came."""


def _shown(campaign_id: int, backbone: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(Figure.id) == col(Embedding.figure_id),
        col(Illustration.id) == col(Figure.illustration_id),
        col(Figure.campaign_id) == campaign_id,
        col(Embedding.backbone) == backbone,
        col(Figure.removed_at).is_(None),
        col(Illustration.state) == IllustrationState.READY,
    )


def standing(session: Session, campaign_id: int, backbone: str) -> Standing:
    """Return where the vectors of a campaign's figures that can be shown stand."""
    question = select(func.count(), func.max(Embedding.created_at), func.sum(Embedding.figure_id))
    n, last, total = session.exec(question.where(*_shown(campaign_id, backbone))).one()
    return Standing(n, last, int(total or 0))


def embedded(session: Session, campaign_id: int, backbone: str) -> Sequence[int]:
    """Return the figures of a campaign that can be shown and have a vector."""
    return session.exec(select(Embedding.figure_id).where(*_shown(campaign_id, backbone))).all()


def shown_among(session: Session, figure_ids: Collection[int], backbone: str) -> set[int]:
    """Return those of these figures, of whatever campaign, that can be shown and have a vector of this backbone."""
    found: set[int] = set()
    for batch in batches(sorted(figure_ids)):
        question = (
            select(Embedding.figure_id)
            .join(Figure, col(Figure.id) == Embedding.figure_id)
            .join(Illustration, col(Illustration.id) == Figure.illustration_id)
            .where(
                col(Embedding.figure_id).in_(batch),
                Embedding.backbone == backbone,
                col(Figure.removed_at).is_(None),
                Illustration.state == IllustrationState.READY,
            )
        )
        found |= set(session.exec(question))
    return found


def embedded_since(session: Session, campaign_id: int, backbone: str, since: datetime) -> Sequence[int]:
    """Return those of these figures whose vector was made at ``since`` or later."""
    question = select(Embedding.figure_id).where(*_shown(campaign_id, backbone))
    return session.exec(question.where(col(Embedding.created_at) >= since)).all()


def vectors(session: Session, backbone: str, figure_ids: Collection[int]) -> list[tuple[int, bytes]]:
    """Return the vectors of these figures, by figure id."""
    found: list[tuple[int, bytes]] = []
    for batch in batches(sorted(figure_ids)):
        question = select(Embedding.figure_id, Embedding.vector).where(
            col(Embedding.figure_id).in_(batch), Embedding.backbone == backbone
        )
        found += session.exec(question).all()
    return found


def comparable(session: Session, campaign_ids: Collection[int], backbone: str) -> set[int]:
    """Return those of these campaigns of which a figure has a vector of this backbone."""
    found: set[int] = set()
    for campaign_id in campaign_ids:
        question = select(Embedding.figure_id).where(*_shown(campaign_id, backbone)).limit(1)
        if session.exec(question).first() is not None:
            found.add(campaign_id)
    return found


def matching(
    session: Session, campaign_ids: Collection[int], taxon_qid: str | None, states: Collection[DeterminationState]
) -> Sequence[int]:
    """Return the figures whose determination is a taxon at or below this one, and in one of these states.

    None and no states leave that open. An item that was merged into another one means that one.
    """
    where: list[Any] = [col(Determination.campaign_id).in_(list(campaign_ids))]
    if states:
        where.append(col(Determination.state).in_(list(states)))
    if taxon_qid is not None:
        below = select(TaxonAncestor.taxon_qid).where(TaxonAncestor.ancestor_qid == taxon_qid)
        direct = set(session.exec(select(Taxon.qid).where(col(Taxon.merged_into).in_(below))))
        merged = {taxon_qid, *direct, *merged_from(session, direct), *merged_from(session, [taxon_qid])}
        where.append(sa.or_(col(Determination.taxon_qid).in_(below), col(Determination.taxon_qid).in_(merged)))
    return session.exec(select(Determination.figure_id).where(*where)).all()
