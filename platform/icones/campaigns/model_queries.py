"""All SQL about which campaigns a campaign's model learns from."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Campaign,
    Determination,
    DeterminationState,
    Figure,
    Illustration,
    IllustrationState,
    LearnsFrom,
    Membership,
    Role,
    Visibility,
)


def sources(session: Session, campaign_id: int) -> set[int]:
    """Return the other campaigns that a campaign's model learns from."""
    return set(session.exec(select(LearnsFrom.source_id).where(LearnsFrom.campaign_id == campaign_id)))


def set_sources(session: Session, campaign_id: int, source_ids: Collection[int]) -> None:
    """Let a campaign's model learn from these other campaigns, and no others."""
    session.exec(sa.delete(LearnsFrom).where(col(LearnsFrom.campaign_id) == campaign_id))
    session.add_all(LearnsFrom(campaign_id=campaign_id, source_id=key) for key in sorted(set(source_ids)))
    session.flush()


def open_to(session: Session, person_id: int | None, *, everything: bool) -> Sequence[Campaign]:
    """Return the campaigns that are public or that a person is curator of, or all, by title."""
    question = select(Campaign)
    if not everything:
        own = select(Membership.campaign_id).where(
            Membership.person_id == (person_id or 0), Membership.role == Role.CURATOR
        )
        question = question.where(sa.or_(col(Campaign.visibility) == Visibility.PUBLIC, col(Campaign.id).in_(own)))
    return session.exec(question.order_by(col(Campaign.title), col(Campaign.id))).all()


def n_verified(session: Session, campaign_ids: Collection[int]) -> dict[int, int]:
    """Return for each of these campaigns how many figures people verified as a taxon: what it brings to learn from."""
    question = (
        select(Determination.campaign_id, func.count())
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            col(Determination.campaign_id).in_(list(campaign_ids)),
            Determination.state == DeterminationState.VERIFIED,
            Determination.by_people(),
            col(Determination.taxon_qid).is_not(None),
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
        )
        .group_by(col(Determination.campaign_id))
    )
    return dict(session.exec(question).all())
