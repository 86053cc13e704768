"""All SQL about review tasks."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.identifications import crowd
from icones.identifications.service import DISPUTED, LOOK_AGAIN
from icones.models import (
    Audience,
    Determination,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    Queue,
    ReviewTask,
    Skill,
    Skip,
    TaxonAncestor,
)

CLOSE = 40
"""So many of the foremost tasks are looked at for one that suits the person."""
UNCERTAIN = ("close_call", "unsure", "novel")
"""Reasons of the model's for which a specialist's eye is worth most."""


def _waiting(campaign_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        col(ReviewTask.campaign_id) == campaign_id,
        col(Figure.removed_at).is_(None),
        col(Illustration.state) == IllustrationState.READY,
    )


def next_for(
    session: Session, campaign_id: int, person_id: int | None, skipped_after: datetime, leave: int | None
) -> int | None:
    """Return the figure a volunteer is asked next: the highest priority not yet named or lately skipped by them.

    Of the ``CLOSE`` foremost those of nearly the same priority are put in order by whom they suit: what lies in a group
    that the person knows first, what suits people who know its group last. What suits specialists comes after all
    others.
    """
    near = _foremost(campaign_id, person_id, skipped_after, leave).subquery()
    knows = sa.exists().where(
        col(TaxonAncestor.taxon_qid) == near.c.within_qid,
        col(TaxonAncestor.ancestor_qid) == col(Skill.group_qid),
        col(Skill.campaign_id) == campaign_id,
        col(Skill.person_id) == (person_id or 0),
        col(Skill.group_qid) != "",
        col(Skill.low) >= crowd.KNOWS,
    )
    fits = sa.case((knows, 0), (near.c.suits == Audience.KNOWING, 2), else_=1)
    question = sa.select(near.c.figure_id).order_by(
        sa.case((near.c.suits == Audience.SPECIALIST, 1), else_=0),
        sa.cast(near.c.priority * 10, sa.Integer).desc(),
        fits,
        near.c.priority.desc(),
        near.c.figure_id,
    )
    return session.execute(question.limit(1)).scalar()


def _foremost(
    campaign_id: int, person_id: int | None, skipped_after: datetime, leave: int | None
) -> sa.Select[int, float, Audience, str | None]:
    """Return the question for the ``CLOSE`` foremost of the volunteers' tasks that a person may be asked.

    The foremost of each audience are put together, each read off ``ix_reviewtask_next``: to sort all that waits would
    take most of a second where there are very many.
    """
    one_each = [
        sa.select(_foremost_of(suits, campaign_id, person_id, skipped_after, leave).subquery()) for suits in Audience
    ]
    every = sa.union_all(*one_each).subquery()
    return (
        sa.select(every.c.figure_id, every.c.priority, every.c.suits, every.c.within_qid)
        .order_by(
            sa.case((every.c.suits == Audience.SPECIALIST, 1), else_=0), every.c.priority.desc(), every.c.figure_id
        )
        .limit(CLOSE)
    )


def _foremost_of(
    suits: Audience, campaign_id: int, person_id: int | None, skipped_after: datetime, leave: int | None
) -> sa.Select[int, float, Audience, str | None]:
    said = sa.exists().where(
        col(Identification.figure_id) == col(ReviewTask.figure_id),
        col(Identification.person_id) == (person_id or 0),
        col(Identification.ended_at).is_(None),
    )
    skipped = select(Skip.figure_id).where(Skip.person_id == (person_id or 0), Skip.at > skipped_after)
    return (
        sa.select(
            col(ReviewTask.figure_id), col(ReviewTask.priority), col(ReviewTask.suits), col(ReviewTask.within_qid)
        )
        .join(Figure, col(Figure.id) == col(ReviewTask.figure_id))
        .join(Illustration, col(Illustration.id) == col(Figure.illustration_id))
        .where(
            _waiting(campaign_id),
            col(ReviewTask.queue) == Queue.VOLUNTEER,
            col(ReviewTask.suits) == suits,
            ~said,
            col(ReviewTask.figure_id).not_in(skipped),
            col(ReviewTask.figure_id) != (leave or 0),
        )
        .order_by(col(ReviewTask.priority).desc(), col(ReviewTask.figure_id))
        .limit(CLOSE)
    )


def n_waiting_for(
    session: Session, campaign_ids: Collection[int], person_id: int | None, skipped_after: datetime
) -> dict[int, int]:
    """Return for each of these campaigns how many figures wait for this volunteer, as ``next_for`` offers them."""
    said = select(Identification.figure_id).where(
        Identification.person_id == (person_id or 0), col(Identification.ended_at).is_(None)
    )
    skipped = select(Skip.figure_id).where(Skip.person_id == (person_id or 0), Skip.at > skipped_after)
    question = (
        select(ReviewTask.campaign_id, func.count())
        .join(Figure, col(Figure.id) == ReviewTask.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            col(ReviewTask.campaign_id).in_(list(campaign_ids)),
            col(Figure.removed_at).is_(None),
            col(Illustration.state) == IllustrationState.READY,
            ReviewTask.queue == Queue.VOLUNTEER,
            col(ReviewTask.figure_id).not_in(said),
            col(ReviewTask.figure_id).not_in(skipped),
        )
        .group_by(col(ReviewTask.campaign_id))
    )
    return dict(session.exec(question).all())


def n_waiting(session: Session, campaign_id: int) -> dict[Queue, int]:
    """Return how many figures wait in each queue."""
    question = (
        select(ReviewTask.queue, func.count())
        .join(Figure, col(Figure.id) == ReviewTask.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(_waiting(campaign_id))
        .group_by(col(ReviewTask.queue))
    )
    return {Queue(key): count for key, count in session.exec(question)}


def _for_specialists(campaign_id: int, field: Collection[str]) -> list[sa.ColumnElement[bool]]:
    """Return what makes a figure a specialist's: their queue, or the model's doubt; within their field, if any."""
    where = [
        _waiting(campaign_id),
        sa.or_(
            col(ReviewTask.queue) == Queue.SPECIALIST,
            col(ReviewTask.reason).in_([*UNCERTAIN, DISPUTED, LOOK_AGAIN]),
            col(ReviewTask.suits) == Audience.SPECIALIST,
        ),
    ]
    if field:
        named = sa.and_(
            col(Identification.figure_id) == col(ReviewTask.figure_id),
            col(Identification.ended_at).is_(None),
            col(Identification.taxon_qid).is_not(None),
        )
        inside = select(TaxonAncestor.taxon_qid).where(col(TaxonAncestor.ancestor_qid).in_(list(field)))
        # What nobody has named yet may be of any field, unless the model is sure of a group outside it: one that
        # neither lies within the field nor has it within itself.
        within = col(ReviewTask.within_qid)
        above = select(TaxonAncestor.ancestor_qid).where(col(TaxonAncestor.taxon_qid).in_(list(field)))
        where.append(
            sa.or_(
                sa.and_(~sa.exists().where(named), sa.or_(within.is_(None), within.in_(inside), within.in_(above))),
                sa.exists().where(named, col(Identification.taxon_qid).in_(inside)),
            )
        )
    return where


def for_specialists(
    session: Session,
    campaign_id: int,
    reasons: Collection[str],
    offset: int,
    limit: int,
    *,
    person_id: int = 0,
    field: Collection[str] = (),
) -> tuple[Sequence[tuple[ReviewTask, Figure, Illustration, Determination]], int]:
    """Return one page of what waits for a specialist, and how many wait in all.

    What deserves a second look first, then what is disputed, then what is to be confirmed, then what the model is
    unsure of; what ``person_id`` has already given their word on comes last. ``field`` holds the taxa this specialist
    knows; empty means all.
    """
    where = _for_specialists(campaign_id, field)
    if reasons:
        where.append(col(ReviewTask.reason).in_(list(reasons)))
    mine = sa.exists().where(
        col(Identification.figure_id) == col(ReviewTask.figure_id),
        col(Identification.ended_at).is_(None),
        col(Identification.person_id) == person_id,
    )
    joined = (
        select(ReviewTask, Figure, Illustration, Determination)
        .join(Figure, col(Figure.id) == ReviewTask.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(Determination, col(Determination.figure_id) == ReviewTask.figure_id)
        .where(*where)
    )
    is_theirs = sa.or_(col(ReviewTask.queue) == Queue.SPECIALIST, col(ReviewTask.reason) == DISPUTED)
    total = session.exec(select(func.count()).select_from(joined.subquery())).one()
    rows = session.exec(
        joined.order_by(
            sa.case((mine, 1), else_=0),
            sa.case((col(ReviewTask.reason) == LOOK_AGAIN, 0), (is_theirs, 1), else_=2),
            col(ReviewTask.priority).desc(),
            col(ReviewTask.figure_id),
        )
        .offset(offset)
        .limit(limit)
    ).all()
    return rows, total


def reasons_for_specialists(session: Session, campaign_id: int, field: Collection[str] = ()) -> dict[str, int]:
    """Return how many figures wait for a specialist for each reason."""
    question = (
        select(ReviewTask.reason, func.count())
        .join(Figure, col(Figure.id) == ReviewTask.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(*_for_specialists(campaign_id, field))
        .group_by(col(ReviewTask.reason))
    )
    return dict(session.exec(question).all())


def task(session: Session, figure_id: int) -> ReviewTask | None:
    """Return the review task of a figure; None when it waits for nobody."""
    return session.get(ReviewTask, figure_id)
