"""The SQL that puts volunteers' tasks in order, for a whole campaign at once."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.identifications.service import BEGUN, CONFIRM, DOUBTFUL, LOOK_AGAIN, PRIORITY_OF_CONFIRMATION
from icones.models import Audience, Determination, DeterminationState, Queue, ReviewTask

AT_ONCE = 5000
APART = (*BEGUN, LOOK_AGAIN)
"""Reasons of volunteers' tasks of which somebody has said something: the order of new questions is not theirs."""


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
        col(ReviewTask.reason).not_in(APART),
    )
    return list(session.exec(question.order_by(col(ReviewTask.figure_id))))


def named(session: Session, campaign_id: int) -> set[int]:
    """Return the figures whose name is settled: near-duplicates of theirs need not be asked about soon."""
    question = select(Determination.figure_id).where(
        Determination.campaign_id == campaign_id,
        col(Determination.state).in_([DeterminationState.VERIFIED, DeterminationState.AGREED]),
    )
    return set(session.exec(question))


def agreed(session: Session, campaign_id: int, fewer_than: int) -> Mapping[int, str]:
    """Return the taxon by figure that volunteers agree on, where fewer people than this spoke and a task waits."""
    question = (
        select(Determination.figure_id, col(Determination.taxon_qid))
        .join(ReviewTask, col(ReviewTask.figure_id) == col(Determination.figure_id))
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == DeterminationState.AGREED,
            col(Determination.taxon_qid).is_not(None),
            col(Determination.n_agree) + col(Determination.n_disagree) < fewer_than,
            col(ReviewTask.reason).in_([DOUBTFUL, CONFIRM, LOOK_AGAIN]),
        )
    )
    return {figure_id: str(qid) for figure_id, qid in session.exec(question)}


def end_second_looks(session: Session, campaign_id: int, kept: Collection[int], now: datetime) -> list[int]:
    """Give the second looks at other figures than these back to the specialists alone; return which they were."""
    question = select(ReviewTask).where(ReviewTask.campaign_id == campaign_id, ReviewTask.reason == LOOK_AGAIN)
    ended = [row for row in session.exec(question) if row.figure_id not in kept]
    for row in ended:
        row.queue, row.reason, row.priority, row.updated_at = Queue.SPECIALIST, CONFIRM, PRIORITY_OF_CONFIRMATION, now
        session.add(row)
    session.flush()
    return [row.figure_id for row in ended]


def place(session: Session, placed: Iterable[Placed], now: datetime) -> int:
    """Give volunteers' tasks that nobody has begun their place; all others keep theirs. Returns how many were told."""
    # A list may not stand in a statement for many rows.
    return _place(session, placed, now, _TASKS.c.queue == Queue.VOLUNTEER, *(_TASKS.c.reason != one for one in APART))


def place_again(session: Session, placed: Iterable[Placed], now: datetime) -> int:
    """Give figures that people agree on a place among the volunteers' questions, if they still wait; as ``place``."""
    waits = sa.or_(*(_TASKS.c.reason == one for one in (DOUBTFUL, CONFIRM, LOOK_AGAIN)))
    return _place(session, placed, now, waits)


_TASKS = ReviewTask.metadata.tables[str(ReviewTask.__tablename__)]


def _place(session: Session, placed: Iterable[Placed], now: datetime, *where: sa.ColumnElement[bool]) -> int:
    change = (
        sa.update(_TASKS)
        .where(_TASKS.c.figure_id == sa.bindparam("key"), *where)
        .values(
            queue=Queue.VOLUNTEER,
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
