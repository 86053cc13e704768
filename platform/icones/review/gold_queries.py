"""All SQL about questions whose answer a specialist has given already."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Determination,
    DeterminationState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    Skill,
    Skip,
    TaxonAncestor,
)

ENOUGH_VOTES = 5
"""With so many votes in a group we know how reliable a person is there."""
_PRIME = 10_007


def _settled(campaign_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        col(Determination.campaign_id) == campaign_id,
        col(Determination.state) == DeterminationState.VERIFIED,
        col(Determination.settled_by).is_not(None),
        col(Determination.taxon_qid).is_not(None),
    )


def has_settled(session: Session, campaign_id: int, least: int) -> bool:
    """Say whether specialists have settled at least so many figures of a campaign as taxa."""
    some = select(Determination.figure_id).where(_settled(campaign_id)).limit(least).subquery()
    return session.exec(select(func.count()).select_from(some)).one() >= least


def figure_for(session: Session, campaign_id: int, person_id: int, skipped_after: datetime, lot: int) -> int | None:
    """Return a settled figure that is new to a person, picked by ``lot``; None when there is none left."""
    said = select(Identification.figure_id).where(Identification.person_id == person_id)
    skipped = select(Skip.figure_id).where(Skip.person_id == person_id, Skip.at > skipped_after)
    known = (
        sa.exists()
        .where(col(Skill.campaign_id) == campaign_id, col(Skill.person_id) == person_id, col(Skill.group_qid) != "")
        .where(col(Skill.n) >= ENOUGH_VOTES, col(TaxonAncestor.taxon_qid) == col(Determination.taxon_qid))
        .where(col(TaxonAncestor.ancestor_qid) == col(Skill.group_qid))
    )
    question = (
        select(Determination.figure_id)
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            _settled(campaign_id),
            col(Determination.settled_by) != person_id,
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
            col(Determination.figure_id).not_in(said),
            col(Determination.figure_id).not_in(skipped),
        )
        .order_by(
            sa.case((known, 1), else_=0),
            # A shuffle that stays nearly the same when figures come or go.
            (col(Determination.figure_id) % _PRIME * 7919 + lot % _PRIME) % _PRIME,
            col(Determination.figure_id),
        )
        .limit(1)
    )
    return session.exec(question).first()
