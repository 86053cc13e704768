"""The SQL that puts volunteers' tasks in order, for a whole campaign at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.identifications.service import BEGUN
from icones.models import Audience, Determination, DeterminationState, Queue, ReviewTask

AT_ONCE = 5000


@dataclass(frozen=True)
class Placed:
    """A figure's place among the questions: priority from 0 (last) to 1 (first), why, and whose eye it suits."""

    figure_id: int
    priority: float
    reason: str
    within_qid: str | None = None
    suits: Audience = Audience.ANYONE


def waiting(session: Session, campaign_id: int) -> list[int]:
    """Return the figures that wait for volunteers and that nobody has begun, by id."""
    question = select(ReviewTask.figure_id).where(
        ReviewTask.campaign_id == campaign_id,
        ReviewTask.queue == Queue.VOLUNTEER,
        col(ReviewTask.reason).not_in(BEGUN),
    )
    return list(session.exec(question.order_by(col(ReviewTask.figure_id))))


def named(session: Session, campaign_id: int) -> set[int]:
    """Return the figures whose name is settled: near-duplicates of theirs need not be asked about soon."""
    question = select(Determination.figure_id).where(
        Determination.campaign_id == campaign_id,
        col(Determination.state).in_([DeterminationState.VERIFIED, DeterminationState.AGREED]),
    )
    return set(session.exec(question))


def place(session: Session, placed: Iterable[Placed], now: datetime) -> int:
    """Give volunteers' tasks that nobody has begun their place; all others keep theirs. Returns how many were told."""
    tasks = ReviewTask.__tablename__
    table = ReviewTask.metadata.tables[str(tasks)]
    change = (
        sa.update(table)
        .where(
            table.c.figure_id == sa.bindparam("key"),
            table.c.queue == Queue.VOLUNTEER,
            *(table.c.reason != one for one in BEGUN),  # a list may not stand in a statement for many rows
        )
        .values(
            priority=sa.bindparam("new_priority"),
            reason=sa.bindparam("new_reason"),
            within_qid=sa.bindparam("new_within"),
            suits=sa.bindparam("new_suits"),
            updated_at=now,
        )
    )
    told = [
        {
            "key": one.figure_id,
            "new_priority": one.priority,
            "new_reason": one.reason,
            "new_within": one.within_qid,
            "new_suits": one.suits,
        }
        for one in placed
    ]
    session.flush()
    for start in range(0, len(told), AT_ONCE):
        session.connection().execute(change, told[start : start + AT_ONCE])
    session.expire_all()
    return len(told)
