"""All SQL about review tasks."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Determination,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    Queue,
    ReviewTask,
    Skip,
    TaxonAncestor,
)
from icones.taxa.queries import batches

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
    """Return the figure a volunteer is asked next: the highest priority not yet named or lately skipped by them."""
    said = select(Identification.figure_id).where(
        Identification.person_id == (person_id or 0), col(Identification.ended_at).is_(None)
    )
    skipped = select(Skip.figure_id).where(Skip.person_id == (person_id or 0), Skip.at > skipped_after)
    question = (
        select(ReviewTask.figure_id)
        .join(Figure, col(Figure.id) == ReviewTask.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            _waiting(campaign_id),
            ReviewTask.queue == Queue.VOLUNTEER,
            col(ReviewTask.figure_id).not_in(said),
            col(ReviewTask.figure_id).not_in(skipped),
            ReviewTask.figure_id != (leave or 0),
        )
        .order_by(col(ReviewTask.priority).desc(), col(ReviewTask.figure_id))
        .limit(1)
    )
    return session.exec(question).first()


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
        sa.or_(col(ReviewTask.queue) == Queue.SPECIALIST, col(ReviewTask.reason).in_(UNCERTAIN)),
    ]
    if field:
        named = sa.and_(
            col(Identification.figure_id) == col(ReviewTask.figure_id),
            col(Identification.ended_at).is_(None),
            col(Identification.taxon_qid).is_not(None),
        )
        inside = select(TaxonAncestor.taxon_qid).where(col(TaxonAncestor.ancestor_qid).in_(list(field)))
        # What nobody has named yet may be of any field.
        where.append(
            sa.or_(
                ~sa.exists().where(named),
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

    Disputed first, then what is to be confirmed, then what the model is unsure of; what ``person_id`` has already
    given their word on comes last. ``field`` holds the taxa this specialist knows; empty means all.
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
    total = session.exec(select(func.count()).select_from(joined.subquery())).one()
    rows = session.exec(
        joined.order_by(
            sa.case((mine, 1), else_=0),
            sa.case((col(ReviewTask.queue) == Queue.SPECIALIST, 0), else_=1),
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


def set_priorities(session: Session, asked: Mapping[int, tuple[float, str]], now: datetime) -> None:
    """Set priority and reason of volunteers' tasks that nobody has begun; other tasks keep theirs."""
    for batch in batches(sorted(asked)):
        question = select(ReviewTask).where(
            col(ReviewTask.figure_id).in_(batch),
            ReviewTask.queue == Queue.VOLUNTEER,
            ReviewTask.reason != "second_opinion",
        )
        for task in session.exec(question):
            task.priority, task.reason = asked[task.figure_id]
            task.updated_at = now
            session.add(task)
