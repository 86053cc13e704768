"""Runs of background work, and the heartbeat of the worker that does it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import choice, document, moment, reference


class JobKind(StrEnum):
    """What a run does."""

    SYNC = "sync"
    EMBED = "embed"
    RETRAIN = "retrain"
    PREDICT = "predict"
    INVARIANTS = "invariants"
    PUSH = "push"
    """Write what was sent off to Commons."""
    CARE = "care"
    """See what became of our edits: reverted, removed."""
    TAXA = "taxa"
    """Renew what Wikidata says of the taxa we keep."""
    NAMES = "names"
    """Find out what the written names of a campaign mean."""
    CHOOSE = "choose"
    """Compare backbones on a campaign's own verified figures and take the best."""
    CROWD = "crowd"
    """Weigh the votes by who is right how often."""


class JobState(StrEnum):
    """How far a run has come."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobRun(SQLModel, table=True):
    """One run: who or what asked, parameters, progress, log, result."""

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int | None = reference("campaign.id", default=None, nullable=True)
    kind: JobKind = choice(JobKind, index=True)
    state: JobState = choice(JobState, default=JobState.QUEUED, index=True)
    asked_by: int | None = reference("person.id", default=None, nullable=True)
    trigger: str = Field(default="person", max_length=40)
    """``person``, ``schedule``, ``labels`` (enough new verified figures) or ``command``."""
    parameters: dict[str, Any] = document(default_factory=dict)
    done: int = 0
    total: int | None = None
    step: str = Field(default="", max_length=300)
    """What it is doing now, in words."""
    log: str = Field(default="", sa_type=sa.Text)
    result: dict[str, Any] = document(default_factory=dict)
    problem: str = Field(default="", max_length=2000)
    attempts: int = 0
    created_at: datetime = moment()
    started_at: datetime | None = moment(nullable=True)
    beat_at: datetime | None = moment(nullable=True)
    """The last sign of life; a running row without one for long was killed and is taken up again."""
    finished_at: datetime | None = moment(nullable=True)


class WorkerBeat(SQLModel, table=True):
    """The worker's last sign of life: pages say so when nobody is there to do the work."""

    name: str = Field(primary_key=True, max_length=40)
    at: datetime = moment()


class JobShard(SQLModel, table=True):
    """A part of a run that any worker may carry out; done twice it has the effect of once."""

    __table_args__ = (UniqueConstraint("run_id", "step", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = reference("jobrun.id")
    step: str = Field(max_length=20)
    number: int
    payload: dict[str, Any] = document(default_factory=dict)
    state: JobState = choice(JobState, default=JobState.QUEUED, index=True)
    holder: str = Field(default="", max_length=80)
    lease_until: datetime | None = moment(nullable=True)
    attempts: int = 0
    problem: str = Field(default="", max_length=2000)
    finished_at: datetime | None = moment(nullable=True)
