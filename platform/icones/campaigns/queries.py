"""All SQL about campaigns."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.errors import ConflictError
from icones.models import (
    Campaign,
    Determination,
    DeterminationState,
    Identification,
    Illustration,
    IllustrationState,
    JobRun,
    Membership,
    Role,
    Visibility,
)
from icones.models.illustrations import Figure


def by_slug(session: Session, slug: str) -> Campaign | None:
    """Return the campaign with this short name."""
    return session.exec(select(Campaign).where(Campaign.slug == slug)).first()


def by_id(session: Session, campaign_id: int) -> Campaign | None:
    """Return the campaign with this id."""
    return session.get(Campaign, campaign_id)


def visible(session: Session, person_id: int | None, everything: bool) -> Sequence[Campaign]:
    """Return the campaigns a person sees on the home page, newest first."""
    question = select(Campaign).order_by(col(Campaign.closed_at).is_not(None), col(Campaign.created_at).desc())
    if not everything:
        mine = select(Membership.campaign_id).where(Membership.person_id == (person_id or 0))
        question = question.where(sa.or_(col(Campaign.visibility) == Visibility.PUBLIC, col(Campaign.id).in_(mine)))
    return session.exec(question).all()


def all_open(session: Session) -> Sequence[Campaign]:
    """Return the campaigns that are not closed."""
    return session.exec(select(Campaign).where(col(Campaign.closed_at).is_(None))).all()


def counts_by_state(session: Session, campaign_id: int) -> dict[DeterminationState, int]:
    """Return how many figures of a campaign are in each state (illustrations that are ready only)."""
    question = (
        select(Determination.state, func.count())
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            Determination.campaign_id == campaign_id,
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
        )
        .group_by(col(Determination.state))
    )
    return {DeterminationState(key): count for key, count in session.exec(question)}


def counts_of_illustrations(session: Session, campaign_id: int) -> dict[IllustrationState, int]:
    """Return how many illustrations of a campaign are in each state."""
    question = (
        select(Illustration.state, func.count())
        .where(Illustration.campaign_id == campaign_id)
        .group_by(col(Illustration.state))
    )
    return {IllustrationState(key): count for key, count in session.exec(question)}


def n_people(session: Session, campaign_id: int) -> int:
    """Return how many people have identified something in a campaign."""
    question = (
        select(func.count(sa.distinct(col(Identification.person_id))))
        .join(Figure, col(Figure.id) == Identification.figure_id)
        .where(Figure.campaign_id == campaign_id)
    )
    return session.exec(question).one()


def delete_empty(session: Session, campaign_id: int) -> None:
    """Delete a campaign that has no illustration, with its runs and memberships."""
    if session.exec(select(Illustration.id).where(Illustration.campaign_id == campaign_id).limit(1)).first():
        raise ConflictError("Something came into this campaign, so it is kept.")
    session.exec(sa.delete(JobRun).where(col(JobRun.campaign_id) == campaign_id))
    session.exec(sa.delete(Membership).where(col(Membership.campaign_id) == campaign_id))
    session.exec(sa.delete(Campaign).where(col(Campaign.id) == campaign_id))


def roles_of(session: Session, person_id: int) -> dict[str, Role]:
    """Return the roles a person was given, by the campaign's short name."""
    question = select(Campaign.slug, Membership.role).join(Membership, col(Membership.campaign_id) == Campaign.id)
    return {slug: Role(role) for slug, role in session.exec(question.where(Membership.person_id == person_id))}


def counts_by_state_of(session: Session, campaign_ids: Collection[int]) -> dict[int, dict[DeterminationState, int]]:
    """Return for each of these campaigns how many figures are in each state, as ``counts_by_state`` counts them."""
    question = (
        select(Determination.campaign_id, Determination.state, func.count())
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            col(Determination.campaign_id).in_(list(campaign_ids)),
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
        )
        .group_by(col(Determination.campaign_id), col(Determination.state))
    )
    found: dict[int, dict[DeterminationState, int]] = {}
    for campaign_id, state, count in session.exec(question):
        found.setdefault(campaign_id, {})[DeterminationState(state)] = count
    return found


def covers(session: Session, campaign_ids: Collection[int], most: int) -> dict[int, list[Illustration]]:
    """Return for each of these campaigns its first ``most`` illustrations that can be shown."""
    place = func.row_number().over(partition_by=col(Illustration.campaign_id), order_by=col(Illustration.id))
    ranked = (
        select(col(Illustration.id).label("id"), place.label("place"))
        .where(col(Illustration.campaign_id).in_(list(campaign_ids)), Illustration.state == IllustrationState.READY)
        .subquery()
    )
    question = select(Illustration).join(ranked, ranked.c.id == col(Illustration.id)).where(ranked.c.place <= most)
    found: dict[int, list[Illustration]] = {}
    for row in session.exec(question.order_by(col(Illustration.campaign_id), ranked.c.place)):
        found.setdefault(row.campaign_id, []).append(row)
    return found
