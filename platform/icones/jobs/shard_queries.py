"""All SQL about the parts of runs that any worker may carry out."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.jobs.queries import UNFINISHED
from icones.models import JobRun, JobShard, JobState

MOST_ATTEMPTS = 3


def split(session: Session, run_id: int, step: str, payloads: Sequence[Mapping[str, Any]]) -> None:
    """Put the parts of a step in, in the place of those that an earlier attempt of the run left."""
    session.connection().execute(sa.delete(JobShard).where(col(JobShard.run_id) == run_id, col(JobShard.step) == step))
    session.add_all(
        JobShard(run_id=run_id, step=step, number=number, payload=dict(payload))
        for number, payload in enumerate(payloads, 1)
    )
    session.flush()


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a part waits, or was held by somebody who gave no sign of life in time."""
    return sa.and_(
        sa.or_(
            col(JobShard.state) == JobState.QUEUED,
            sa.and_(col(JobShard.state) == JobState.RUNNING, col(JobShard.lease_until) < now),
        ),
        col(JobShard.attempts) < MOST_ATTEMPTS,
    )


def _run_is(*states: JobState) -> sa.ColumnElement[bool]:
    return sa.exists().where(col(JobRun.id) == col(JobShard.run_id), col(JobRun.state).in_(states))


def claim(
    session: Session, run_id: int, holder: str, now: datetime, until: datetime, steps: Collection[str] | None = None
) -> JobShard | None:
    """Take the next free part of a run that goes on, of these steps if they are told; None where there is none.

    One UPDATE. On PostgreSQL a part that another worker is just taking is passed over; on SQLite writers wait.
    """
    free = (
        select(JobShard.id)
        .where(JobShard.run_id == run_id, _is_free(now), _run_is(JobState.RUNNING))
        .where(sa.true() if steps is None else col(JobShard.step).in_(list(steps)))
        .order_by(col(JobShard.number))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    taken = session.connection().execute(
        sa.update(JobShard)
        .where(col(JobShard.id) == free.scalar_subquery())
        .values(state=JobState.RUNNING, holder=holder, lease_until=until, attempts=JobShard.attempts + 1)
        .returning(col(JobShard.id))
    )
    found = taken.scalar_one_or_none()
    return session.get(JobShard, found, populate_existing=True) if found is not None else None


def _held(shard: JobShard) -> sa.Update:
    """An UPDATE of a part, as long as it is in the hands of who took it."""
    own = (col(JobShard.id) == shard.id, col(JobShard.holder) == shard.holder, col(JobShard.state) == JobState.RUNNING)
    return sa.update(JobShard).where(*own)


def renew(session: Session, shard: JobShard, until: datetime) -> bool:
    """Say that the holder lives; False if the part is not its own any more, or nobody wants it."""
    changed = session.connection().execute(_held(shard).where(_run_is(*UNFINISHED)).values(lease_until=until))
    return changed.rowcount == 1


def finish(session: Session, shard: JobShard, now: datetime) -> None:
    """Note that the holder has done its part."""
    done = _held(shard).values(state=JobState.DONE, finished_at=now, lease_until=None, problem="")
    session.connection().execute(done)


def give_back(session: Session, shard: JobShard, problem: str, now: datetime) -> None:
    """Put a part back that its holder failed with; after too many tries it has failed."""
    spent = shard.attempts >= MOST_ATTEMPTS
    state, ended = (JobState.FAILED, now) if spent else (JobState.QUEUED, None)
    back = _held(shard).values(state=state, finished_at=ended, lease_until=None, problem=problem[:2000])
    session.connection().execute(back)


def decline(session: Session, shard: JobShard) -> None:
    """Put a part back that its holder is not able to do: it is as if nobody had taken it."""
    back = _held(shard).values(state=JobState.QUEUED, attempts=JobShard.attempts - 1, lease_until=None)
    session.connection().execute(back)


def end_spent(session: Session, run_id: int, now: datetime) -> None:
    """Give up parts whose holders died too often."""
    words = f"The worker died {MOST_ATTEMPTS} times in this part."
    session.connection().execute(
        sa.update(JobShard)
        .where(
            col(JobShard.run_id) == run_id,
            col(JobShard.state) == JobState.RUNNING,
            col(JobShard.lease_until) < now,
            col(JobShard.attempts) >= MOST_ATTEMPTS,
        )
        .values(state=JobState.FAILED, finished_at=now, problem=words)
    )


def close(session: Session, run_id: int, now: datetime) -> None:
    """Take back all parts of a run that are not done: who holds one learns it when it renews its lease."""
    session.connection().execute(
        sa.update(JobShard)
        .where(col(JobShard.run_id) == run_id, col(JobShard.state).in_(UNFINISHED))
        .values(state=JobState.CANCELLED, finished_at=now, lease_until=None)
    )


def counts(session: Session, run_id: int, step: str) -> dict[JobState, int]:
    """Return how many parts of a step are in which state."""
    question = select(JobShard.state, func.count()).where(JobShard.run_id == run_id, JobShard.step == step)
    return {JobState(state): n for state, n in session.exec(question.group_by(col(JobShard.state)))}


def failed(session: Session, run_id: int, step: str) -> JobShard | None:
    """Return the first part of a step that failed for good."""
    question = select(JobShard).where(
        JobShard.run_id == run_id, JobShard.step == step, JobShard.state == JobState.FAILED
    )
    return session.exec(question.order_by(col(JobShard.number)).limit(1)).first()


def of_run(session: Session, run_id: int) -> Sequence[JobShard]:
    """Return all parts of a run, in order."""
    question = select(JobShard).where(JobShard.run_id == run_id)
    return session.exec(question.order_by(col(JobShard.step), col(JobShard.number))).all()


def runs_with_work(session: Session, now: datetime) -> Sequence[int]:
    """Return the runs that go on and have a part that somebody could take."""
    question = select(JobShard.run_id).where(_is_free(now), _run_is(JobState.RUNNING)).distinct()
    return session.exec(question.order_by(col(JobShard.run_id))).all()
