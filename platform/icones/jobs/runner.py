"""How a run goes: asked for, claimed, carried out with progress and log, and ended with a result or a problem.

No work is lost by a kill: a run without a sign of life is put back in the queue. None is done twice with effect:
each step of a job writes whole transactions and looks first what is there.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from active_learning import LearningError
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import ConflictError, IconesError, NotFoundError
from icones.jobs import queries
from icones.models import Campaign, JobKind, JobRun, JobState, Person
from wiki_sync import WikiError

log = logging.getLogger(__name__)

BEAT_S = 2.0
SILENT_AFTER = timedelta(seconds=30)
MOST_ATTEMPTS = 3
LOG_LIMIT = 60_000
WRITE_EVERY_S = 0.4


class CancelledError(Exception):
    """Somebody asked the run to stop."""


def ask(
    session: Session,
    kind: JobKind,
    campaign: Campaign | None,
    now: datetime,
    *,
    person: Person | None = None,
    trigger: str = "person",
    parameters: Mapping[str, Any] | None = None,
    another: bool = False,
    afresh: bool = False,
) -> JobRun:
    """Put a run in the queue and return it; one that waits or goes on already is returned instead of a second.

    ``another`` asks for one of its own in any case (for kinds that may go on several times at once). ``afresh`` asks
    for one that begins after this: what goes on already may have read what was changed just now.
    """
    campaign_id = campaign.id if campaign else None
    find = queries.not_begun if afresh else queries.unfinished
    known = None if another else find(session, campaign_id, kind)
    if known is not None:
        if afresh:
            known.trigger, known.asked_by = trigger, person.id if person else None  # it shall do what is asked now
            session.add(known)
        if parameters and known.state is JobState.QUEUED:
            known.parameters = {**known.parameters, **parameters}  # it has not begun: it can do this too
            session.add(known)
        return known
    run = JobRun(
        campaign_id=campaign_id,
        kind=kind,
        asked_by=person.id if person else None,
        trigger=trigger,
        parameters=dict(parameters or {}),
        created_at=now,
    )
    session.add(run)
    session.flush()
    return run


def cancel(session: Session, run: JobRun, now: datetime) -> None:
    """Ask a run to stop: a waiting one ends here, a running one at its next step."""
    if run.state not in queries.UNFINISHED:
        raise ConflictError("This run has ended already.")
    run.state = JobState.CANCELLED
    run.finished_at = now
    run.step = "Stopped."
    session.add(run)


def take_up_silent(database: Database, now: datetime) -> list[int]:
    """Put runs that were killed back in the queue, or end them after too many tries; return the ids put back."""
    back = []
    with database.writing() as session:
        for run in queries.silent(session, now - SILENT_AFTER):
            if run.attempts >= MOST_ATTEMPTS:
                run.state, run.finished_at = JobState.FAILED, now
                run.problem = f"The worker died {run.attempts} times in this run. Look at the log, then start it again."
            else:
                run.state = JobState.QUEUED
                run.log += _line(now, "The worker died; the run is taken up again.")
                back.append(run.id or 0)
            session.add(run)
    return back


@dataclass
class Progress:
    """What a job tells while it works. Writes at most every ``WRITE_EVERY_S`` seconds; cancels when asked to."""

    database: Database
    run_id: int
    attempt: int = 0
    """Which try of the run this is, counted from 1; 0 where nobody else can take it up."""
    _last: float = 0.0
    _pending: str = ""

    def step(self, words: str, done: int = 0, total: int | None = None) -> None:
        """Begin a step, said in words; it stands in the log too."""
        self._pending += _line(utc_now(), words)
        self._write(step=words, done=done, total=total)

    def at(self, done: int, total: int | None = None) -> None:
        """Say how far the step has come."""
        if time.monotonic() - self._last >= WRITE_EVERY_S or (total is not None and done >= total):
            self._write(done=done, total=total)

    def note(self, words: str) -> None:
        """Put a line into the log."""
        self._pending += _line(utc_now(), words)

    def _write(self, **fields: Any) -> None:
        self._last = time.monotonic()
        with self.database.writing() as session:
            run = session.get_one(JobRun, self.run_id)
            # Cancelled, or taken for dead, taken up by another process, and perhaps ended: it is ours no more.
            is_ours = run.state is JobState.RUNNING and run.attempts == self.attempt
            if run.state is JobState.CANCELLED or (self.attempt and not is_ours):
                raise CancelledError
            for name, value in fields.items():
                setattr(run, name, value[:300] if isinstance(value, str) else value)
            run.log = (run.log + self._pending)[-LOG_LIMIT:]
            self._pending = ""
            run.beat_at = utc_now()
            session.add(run)

    def flush(self) -> None:
        """Write what is still held back."""
        if self._pending:
            self._write()


Job = Callable[[Settings, Database, Campaign, JobRun, Progress], dict[str, Any]]
"""A job: does its work in transactions of its own and returns its result."""


def execute(settings: Settings, database: Database, run_id: int, jobs: Mapping[JobKind, Job]) -> JobState:
    """Carry out one run to its end; return how it ended. QUEUED means it must wait for another run."""
    with database.writing() as session:
        if not queries.claim(session, run_id, utc_now()):
            run = queries.run(session, run_id)
            if run is None:
                raise NotFoundError(f"There is no run {run_id}.")
            return run.state
    with database.reading() as session:
        run = session.get_one(JobRun, run_id)
        campaign = session.get_one(Campaign, run.campaign_id)
    progress = Progress(database, run_id, run.attempts)
    try:
        with _heart(database, run_id):
            result = jobs[run.kind](settings, database, campaign, run, progress)
            progress.flush()
    except CancelledError:
        return JobState.CANCELLED
    except (IconesError, LearningError, WikiError) as error:
        told = {"code": error.code} if isinstance(error, IconesError) else {}
        return _end(progress, JobState.FAILED, problem=str(error), result=told)
    except Exception:
        reference = uuid.uuid4().hex[:8]
        log.exception("run %s failed (reference %s)", run_id, reference)
        return _end(progress, JobState.FAILED, problem=f"Something unforeseen went wrong (reference {reference}).")
    return _end(progress, JobState.DONE, result=result)


def _end(progress: Progress, state: JobState, problem: str = "", result: dict[str, Any] | None = None) -> JobState:
    now = utc_now()
    with progress.database.writing() as session:
        run = session.get_one(JobRun, progress.run_id)
        if run.state is JobState.RUNNING and run.attempts == progress.attempt:
            run.state, run.problem, run.result = state, problem[:2000], result or {}
            run.finished_at = run.beat_at = now
            run.step = "Done." if state is JobState.DONE else "Failed."
            run.log = (run.log + progress._pending + _line(now, problem or "Done."))[-LOG_LIMIT:]
            session.add(run)
        return run.state


@contextmanager
def _heart(database: Database, run_id: int) -> Iterator[None]:
    """Give signs of life while a job computes without a word."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT_S):
            try:
                with database.writing() as session:
                    run = session.get(JobRun, run_id)
                    if run is not None and run.state is JobState.RUNNING:
                        run.beat_at = utc_now()
                        session.add(run)
            except Exception:
                log.warning("no sign of life could be written for run %s", run_id, exc_info=True)

    thread = threading.Thread(target=beat, name=f"heart-{run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _line(now: datetime, words: str) -> str:
    return f"{now:%H:%M:%S} {words}\n"
