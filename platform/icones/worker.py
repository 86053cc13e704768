"""The worker: one process that is the clock (APScheduler) and carries the queue (Huey).

The clock only puts work in: it never works itself. Runs are rows first; a row becomes a message in the queue here,
so that no work is lost between the two, and a run that was killed is put back.
"""

import logging
import os
import signal
import threading
from datetime import datetime, timedelta
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler
from sqlmodel import Session

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries as identifications
from icones.jobs import queries, runner
from icones.jobs.queue import make_queue
from icones.learning import queries as learning
from icones.models import Campaign, JobKind, SourceKind

log = logging.getLogger(__name__)

SWEEP_S = 1.0
TRY_AGAIN_AFTER = timedelta(hours=1)
"""How long a scheduled sync that failed is left alone."""
NAME = "worker"


class Clock:
    """What the clock does at each tick. Kept apart from the scheduler so that a test can tick it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._queue = make_queue(settings)

    @property
    def queue(self) -> object:
        """The queue whose consumer this process runs."""
        return self._queue

    def sweep(self) -> None:
        """Send waiting runs to the queue, take up killed ones, and give a sign of life."""
        now = utc_now()
        runner.take_up_silent(self._database, now)
        with self._database.writing() as session:
            queries.beat(session, NAME, now)
            ready = [run.id or 0 for run in queries.ready(session)]
        pending = set(self._pending())
        for run_id in ready:
            # A message may have been taken in vain, while another run of the campaign went on: it is sent again.
            if run_id not in pending:
                self._queue.run(run_id)

    def _pending(self) -> list[int]:
        return [int(task.args[0]) for task in self._queue.pending()]

    def ask_for_what_is_due(self) -> None:
        """Ask for syncs whose time has come and for retraining where enough was newly verified."""
        now = utc_now()
        with self._database.writing() as session:
            for campaign in campaigns.all_open(session):
                if self._sync_is_due(session, campaign, now):
                    runner.ask(session, JobKind.SYNC, campaign, now, trigger="schedule")
                if retrain_is_due(session, campaign):
                    runner.ask(session, JobKind.RETRAIN, campaign, now, trigger="labels")

    def _sync_is_due(self, session: Session, campaign: Campaign, now: datetime) -> bool:
        if campaign.source_kind is not SourceKind.CATEGORY or not self._settings.sync_hours or not campaign.synced_at:
            return False
        last = queries.last_finished(session, campaign.id or 0, [JobKind.SYNC])
        tried = last.finished_at if last else None
        if tried is not None and tried > now - TRY_AGAIN_AFTER:
            return False  # it failed lately: Commons is not asked again every few seconds
        return campaign.synced_at < now - timedelta(hours=self._settings.sync_hours)

    def ask_for_invariants(self) -> None:
        """Ask for the nightly check, in the name of the first campaign there is."""
        with self._database.writing() as session:
            found = campaigns.all_open(session)
            if found:
                runner.ask(session, JobKind.INVARIANTS, found[0], utc_now(), trigger="schedule")


def retrain_is_due(session: Session, campaign: Campaign) -> bool:
    """Say whether as many figures were verified since the last training as the campaign asks for."""
    if campaign.retrain_after <= 0:
        return False
    last = queries.last_finished(session, campaign.id or 0, [JobKind.RETRAIN])
    versions = learning.versions(session, campaign.id or 0)
    since = max(
        (moment for moment in (last and last.started_at, versions[0].created_at if versions else None) if moment),
        default=None,
    )
    return identifications.n_verified_since(session, campaign.id or 0, since) >= campaign.retrain_after


def work(settings: Settings, database: Database, beside: int = 0) -> None:
    """Work until told to stop (SIGINT, SIGTERM), or until the process ``beside`` that started us is no more."""
    clock = Clock(settings, database)
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    scheduler.add_job(clock.sweep, "interval", seconds=SWEEP_S)
    scheduler.add_job(clock.ask_for_what_is_due, "interval", seconds=20)
    scheduler.add_job(clock.ask_for_invariants, "cron", hour=3, minute=20)
    consumer = clock.queue.create_consumer(  # type: ignore[attr-defined]
        workers=1, worker_type="thread", periodic=False, initial_delay=0.1, max_delay=0.5
    )
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    clock.sweep()
    scheduler.start()
    consumer.start()
    log.info("the worker is ready")
    # Huey's start() takes the signals for itself; ours come back here.
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    while not stop.wait(1.0):
        if beside and os.getppid() != beside:
            log.warning("the server that started this worker is gone; so is the worker")
            break
    scheduler.shutdown(wait=False)
    consumer.stop(graceful=False)
