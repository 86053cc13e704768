"""All SQL about runs of background work."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.models import Campaign, JobKind, JobRun, JobState, WorkerBeat

SCHEDULE = "schedule"
"""The trigger of runs that the clock asked for."""
NOTHING_NEW = "nothing_new"
"""In a run's result: true where it found all as it was."""
UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
BESIDE = (JobKind.PUSH, JobKind.CARE)
"""Runs that may go on beside any other: the outbox has its own order, and they wait for the wiki most of the time."""


def run(session: Session, run_id: int) -> JobRun | None:
    """Return one run."""
    return session.get(JobRun, run_id)


def unfinished(session: Session, campaign_id: int | None, kind: JobKind) -> JobRun | None:
    """Return the run of this kind that waits or goes on in a campaign."""
    return session.exec(
        select(JobRun).where(JobRun.campaign_id == campaign_id, JobRun.kind == kind, col(JobRun.state).in_(UNFINISHED))
    ).first()


def not_begun(session: Session, campaign_id: int | None, kind: JobKind) -> JobRun | None:
    """Return the run of this kind that waits in a campaign, locked: nobody claims it before this session has ended."""
    question = select(JobRun).where(
        JobRun.campaign_id == campaign_id, JobRun.kind == kind, JobRun.state == JobState.QUEUED
    )
    return session.exec(question.order_by(col(JobRun.id)).limit(1).with_for_update()).first()


def of_campaign(session: Session, campaign_id: int, limit: int) -> Sequence[JobRun]:
    """Return a campaign's latest runs, newest first."""
    question = select(JobRun).where(JobRun.campaign_id == campaign_id)
    return session.exec(question.order_by(col(JobRun.id).desc()).limit(limit)).all()


@dataclass(frozen=True)
class Quiet:
    """The runs of one kind that the schedule asked for and that changed nothing."""

    kind: JobKind
    n: int
    last_at: datetime
    """When the last of them ended."""


def _is_quiet() -> sa.ColumnElement[bool]:
    return sa.and_(
        col(JobRun.trigger) == SCHEDULE,
        col(JobRun.state) == JobState.DONE,
        # What a run says of itself; of others this is NULL, and whoever is not sure that a run was quiet shows it.
        sa.func.coalesce(col(JobRun.result)[NOTHING_NEW].as_boolean(), sa.false()),
    )


def eventful(session: Session, campaign_id: int, limit: int) -> Sequence[JobRun]:
    """Return a campaign's latest runs, newest first, without those of the schedule that changed nothing."""
    question = select(JobRun).where(JobRun.campaign_id == campaign_id, ~_is_quiet())
    return session.exec(question.order_by(col(JobRun.id).desc()).limit(limit)).all()


def quiet(session: Session, campaign_id: int, after: int) -> list[Quiet]:
    """Return, by kind, a campaign's runs later than run ``after`` that the schedule asked for and changed nothing."""
    question = (
        sa.select(col(JobRun.kind), sa.func.count(), sa.func.max(col(JobRun.finished_at)))
        .where(col(JobRun.campaign_id) == campaign_id, col(JobRun.id) > after, _is_quiet())
        .group_by(col(JobRun.kind))
        .order_by(col(JobRun.kind))
    )
    return [Quiet(JobKind(kind), n, last_at) for kind, n, last_at in session.execute(question)]


def waiting(session: Session) -> Sequence[JobRun]:
    """Return the runs that wait for a worker, oldest first."""
    return session.exec(select(JobRun).where(JobRun.state == JobState.QUEUED).order_by(col(JobRun.id))).all()


def ready(session: Session) -> Sequence[JobRun]:
    """Return the waiting runs whose campaign has no run at work that they must wait for, oldest first."""
    at_work = session.exec(select(JobRun).where(JobRun.state == JobState.RUNNING, col(JobRun.kind).not_in(BESIDE)))
    busy = {run.campaign_id for run in at_work}
    return [run for run in waiting(session) if run.kind in BESIDE or run.campaign_id not in busy]


def silent(session: Session, before: datetime) -> Sequence[JobRun]:
    """Return the runs that are said to go on but gave no sign of life since a moment: they were killed.

    They are locked: of two workers that look at once, one takes them up.
    """
    question = select(JobRun).where(JobRun.state == JobState.RUNNING, col(JobRun.beat_at) < before)
    return session.exec(question.with_for_update(skip_locked=True)).all()


def claim(session: Session, run_id: int, now: datetime) -> bool:
    """Take a waiting run, unless another run of its campaign goes on; True if it is now ours.

    One conditional UPDATE, so that of two workers one gets it; of two runs of one campaign claimed at the same moment,
    the campaign's row, locked first, lets the second see the first.
    """
    ours = select(Campaign.id).join(JobRun, col(JobRun.campaign_id) == Campaign.id).where(JobRun.id == run_id)
    session.exec(ours.with_for_update(key_share=True, of=Campaign)).first()
    other = sa.orm.aliased(JobRun)
    busy = (
        select(other.id)
        .where(
            other.state == JobState.RUNNING,
            other.campaign_id == JobRun.campaign_id,
            other.id != JobRun.id,
            col(other.kind).not_in(BESIDE),
            col(JobRun.kind).not_in(BESIDE),
        )
        .exists()
    )
    taken = session.connection().execute(
        sa.update(JobRun)
        .where(col(JobRun.id) == run_id, col(JobRun.state) == JobState.QUEUED, ~busy)
        .values(state=JobState.RUNNING, started_at=now, beat_at=now, attempts=JobRun.attempts + 1)
    )
    session.expire_all()
    return taken.rowcount == 1


def last_finished(session: Session, campaign_id: int, kinds: Collection[JobKind]) -> JobRun | None:
    """Return a campaign's latest finished run of these kinds."""
    question = select(JobRun).where(
        JobRun.campaign_id == campaign_id, col(JobRun.kind).in_(list(kinds)), col(JobRun.finished_at).is_not(None)
    )
    return session.exec(question.order_by(col(JobRun.id).desc()).limit(1)).first()


def last_done(session: Session, campaign_id: int, kind: JobKind) -> JobRun | None:
    """Return a campaign's latest run of a kind that ended well."""
    question = select(JobRun).where(
        JobRun.campaign_id == campaign_id, JobRun.kind == kind, JobRun.state == JobState.DONE
    )
    return session.exec(question.order_by(col(JobRun.id).desc()).limit(1)).first()


def last_asked(session: Session, campaign_id: int, kind: JobKind) -> JobRun | None:
    """Return the run of a kind that was asked for last in a campaign, however far it has come."""
    question = select(JobRun).where(JobRun.campaign_id == campaign_id, JobRun.kind == kind)
    return session.exec(question.order_by(col(JobRun.id).desc()).limit(1)).first()


def last_with_result(session: Session, campaign_id: int, kind: JobKind, key: str) -> JobRun | None:
    """Return a campaign's latest run of a kind that was done and whose result says something of ``key``."""
    question = select(JobRun).where(
        JobRun.campaign_id == campaign_id,
        JobRun.kind == kind,
        JobRun.state == JobState.DONE,
        col(JobRun.result)[key].as_string().is_not(None),
    )
    return session.exec(question.order_by(col(JobRun.id).desc()).limit(1)).first()


def beat(session: Session, name: str, now: datetime) -> None:
    """Note that a worker is alive."""
    row = session.get(WorkerBeat, name) or WorkerBeat(name=name, at=now)
    row.at = now
    session.add(row)


def last_beat(session: Session) -> datetime | None:
    """Return when a worker last gave a sign of life."""
    return session.exec(select(WorkerBeat.at).order_by(col(WorkerBeat.at).desc()).limit(1)).first()
