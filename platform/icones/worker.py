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
from huey.api import Huey
from sqlmodel import Session

from icones.campaigns import queries as campaigns
from icones.campaigns.sources import ON_THE_WIKI
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import queries as edits
from icones.identifications import crowd_queries as crowd
from icones.identifications import queries as identifications
from icones.jobs import queries, runner, shard_queries, taxa
from icones.jobs.care import LOOK_BACK
from icones.jobs.listing import is_check_due
from icones.jobs.pens import STOP_PAGE
from icones.jobs.queue import WIKI_LANE, make_queue
from icones.learning import newcomers, trials
from icones.learning import queries as learning
from icones.models import Campaign, JobKind, JobState, Writes

log = logging.getLogger(__name__)

SWEEP_S = 1.0
TRY_AGAIN_AFTER = timedelta(hours=1)
"""How long a scheduled sync that failed is left alone."""
LOOK_AGAIN_AFTER = timedelta(minutes=5)
"""How long a push that the wiki stopped, or that failed, is left alone."""
CARE_EVERY = timedelta(hours=1)
NEW_TAXON_PAUSE = timedelta(minutes=2)
"""How long after a training the next one waits at least where a new taxon asks for it."""
NEW_TAXON_REST = 4
"""And it waits so many times as long as the last one took: trainings for new taxa take a fifth of the time at most."""
CHOICE_LOOK_EVERY = timedelta(minutes=5)
"""How often a campaign's verified figures are counted by taxon and source, until there is a first comparison."""
NAME = "worker"


class Clock:
    """What the clock does at each tick. Kept apart from the scheduler so that a test can tick it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._queue = make_queue(settings)
        self._wiki_lane = make_queue(settings, WIKI_LANE)
        self._choice_looked: dict[int, datetime] = {}
        """When each campaign was last looked at for a first comparison."""

    @property
    def queues(self) -> tuple[Huey, ...]:
        """The queues whose consumers this process runs, a worker each."""
        return (self._queue, self._wiki_lane)

    def sweep(self) -> None:
        """Send waiting runs and calls for a hand to the queue, take up killed runs, and give a sign of life."""
        now = utc_now()
        runner.take_up_silent(self._database, now)
        with self._database.writing() as session:
            queries.beat(session, NAME, now)
            ready = [(run.id or 0, run.kind) for run in queries.ready(session)]
            wanting = shard_queries.runs_with_work(session, now)
        pending = {(task.name, int(task.args[0])) for queue in self.queues for task in queue.pending()}
        for run_id, kind in ready:
            # A message may have been taken in vain, while another run of the campaign went on: it is sent again.
            if ("run", run_id) not in pending:
                lane = self._wiki_lane if kind in queries.BESIDE else self._queue
                lane.run(run_id)
        for run_id in wanting:
            # Whoever has nothing to do takes it; as long as parts are left, the next one is sent for the next worker.
            if ("lend", run_id) not in pending:
                self._queue.lend(run_id)

    def ask_for_what_is_due(self) -> None:
        """Ask for syncs whose time has come and for retraining where enough was newly verified."""
        now = utc_now()
        with self._database.writing() as session:
            for campaign in campaigns.all_open(session):
                if self._sync_is_due(session, campaign, now):
                    runner.ask(session, JobKind.SYNC, campaign, now, trigger="schedule")
                if retrain_is_due(session, campaign) or new_taxon_is_due(session, campaign, now):
                    runner.ask(session, JobKind.RETRAIN, campaign, now, trigger="labels")
                if crowd_is_due(session, campaign):
                    runner.ask(session, JobKind.CROWD, campaign, now, trigger="schedule")
                if self._choose_is_due(session, campaign, now):
                    runner.ask(session, JobKind.CHOOSE, campaign, now, trigger="labels")
                if push_is_due(session, campaign, now):
                    runner.ask(session, JobKind.PUSH, campaign, now, trigger="schedule")
                if care_is_due(session, campaign, now):
                    runner.ask(session, JobKind.CARE, campaign, now, trigger="schedule")

    def _choose_is_due(self, session: Session, campaign: Campaign, now: datetime) -> bool:
        """Say the same as ``choose_is_due``, but look only every few minutes: it goes through all verified figures."""
        key = campaign.id or 0
        looked = self._choice_looked.get(key)
        if looked is not None and now < looked + CHOICE_LOOK_EVERY:
            return False
        self._choice_looked[key] = now
        return choose_is_due(session, campaign)

    def _sync_is_due(self, session: Session, campaign: Campaign, now: datetime) -> bool:
        minutes = self._settings.sync_minutes
        if campaign.source_kind not in ON_THE_WIKI or not minutes or not campaign.synced_at:
            return False
        last = queries.last_finished(session, campaign.id or 0, [JobKind.SYNC])
        if last and last.state is JobState.FAILED and (last.finished_at or now) > now - TRY_AGAIN_AFTER:
            return False  # Commons is not asked again every few seconds
        return campaign.synced_at < now - timedelta(minutes=minutes) or is_check_due(
            campaign, now, self._settings.check_hours
        )

    def ask_for_taxa(self) -> None:
        """Ask for the renewal of what Wikidata says of the taxa, where it is old."""
        with self._database.writing() as session:
            taxa.ask_for_what_is_due(session, self._settings, utc_now())

    def ask_for_crowds(self) -> None:
        """Ask for the nightly weighing of votes, wherever there are some."""
        with self._database.writing() as session:
            for campaign in campaigns.all_open(session):
                if crowd.has_votes(session, campaign.id or 0):
                    runner.ask(session, JobKind.CROWD, campaign, utc_now(), trigger="schedule")

    def ask_for_invariants(self) -> None:
        """Ask for the nightly check, in the name of the first campaign there is."""
        with self._database.writing() as session:
            found = campaigns.all_open(session)
            if found:
                runner.ask(session, JobKind.INVARIANTS, found[0], utc_now(), trigger="schedule")


def retrain_is_due(session: Session, campaign: Campaign) -> bool:
    """Say whether as many figures were verified since the last training, or lost it, as the campaign asks for."""
    if campaign.retrain_after <= 0 or queries.unfinished(session, campaign.id, JobKind.RETRAIN):
        return False
    last = queries.last_finished(session, campaign.id or 0, [JobKind.RETRAIN])
    newest = learning.newest_version_at(session, campaign.id or 0)
    since = max((moment for moment in (last and last.started_at, newest) if moment), default=None)
    key = campaign.id or 0
    n_changed = identifications.n_verified_since(session, key, since)
    return n_changed + identifications.n_unverified_since(session, key, since) >= campaign.retrain_after


def new_taxon_is_due(session: Session, campaign: Campaign, now: datetime) -> bool:
    """Say whether a taxon was verified that no model has learned yet, and the last training was long enough ago."""
    if campaign.retrain_after <= 0 or queries.unfinished(session, campaign.id, JobKind.RETRAIN):
        return False
    last = queries.last_finished(session, campaign.id or 0, [JobKind.RETRAIN])
    # One that was stopped while it waited never began.
    began = (last.started_at or last.finished_at) if last is not None else None
    since = began or learning.newest_version_at(session, campaign.id or 0)
    if since is None:
        return False
    if last is not None and began is not None and last.finished_at is not None:
        pause = max(NEW_TAXON_PAUSE, NEW_TAXON_REST * (last.finished_at - began))
        if now < last.finished_at + pause:
            return False
    return bool(newcomers.unlearned(session, campaign, since))


def crowd_is_due(session: Session, campaign: Campaign) -> bool:
    """Say whether a model was trained since the votes were last weighed; it has its own opinion of them."""
    trained = queries.last_finished(session, campaign.id or 0, [JobKind.RETRAIN])
    if trained is None or trained.state is not JobState.DONE or trained.finished_at is None:
        return False
    weighed = queries.last_finished(session, campaign.id or 0, [JobKind.CROWD])
    if weighed is not None and (weighed.started_at or weighed.created_at) > trained.finished_at:
        return False
    return crowd.has_votes(session, campaign.id or 0)


def choose_is_due(session: Session, campaign: Campaign) -> bool:
    """Say whether enough was verified to compare networks for the first time; what was asked for so is not repeated."""
    last = queries.last_finished(session, campaign.id or 0, [JobKind.CHOOSE])
    return (last is None or last.trigger != "labels") and trials.is_due(session, campaign)


def push_is_due(session: Session, campaign: Campaign, now: datetime) -> bool:
    """Say whether something that was sent off can be written now, as far as we know without asking the wiki."""
    only_removals = campaign.writes is Writes.OFF or campaign.writing_paused_at is not None
    notice = edits.notice(session, STOP_PAGE)
    if notice is not None and (notice.text or notice.problem) and notice.checked_at > now - LOOK_AGAIN_AFTER:
        return False
    last = queries.last_finished(session, campaign.id or 0, [JobKind.PUSH])
    if last is not None and last.state is JobState.FAILED and (last.finished_at or now) > now - LOOK_AGAIN_AFTER:
        return False
    return edits.has_due(session, campaign.id or 0, now, only_removals=only_removals)


def care_is_due(session: Session, campaign: Campaign, now: datetime) -> bool:
    """Say whether it is time to see what became of our edits: every hour, as long as some are young."""
    if campaign.writes is Writes.OFF or not edits.written(session, campaign.id or 0, now - LOOK_BACK):
        return False
    last = queries.last_finished(session, campaign.id or 0, [JobKind.CARE])
    return last is None or (last.finished_at or now) < now - CARE_EVERY


def work(settings: Settings, database: Database, beside: int = 0, *, with_clock: bool = True) -> None:
    """Work until told to stop (SIGINT, SIGTERM), or until the process ``beside`` that started us is no more.

    Without the clock it carries out what another worker puts in the queue, and asks for nothing itself.
    """
    clock = Clock(settings, database)
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    scheduler.add_job(clock.sweep, "interval", seconds=SWEEP_S)
    scheduler.add_job(clock.ask_for_what_is_due, "interval", seconds=20)
    scheduler.add_job(clock.ask_for_taxa, "cron", hour=2, minute=40)
    scheduler.add_job(clock.ask_for_crowds, "cron", hour=3, minute=0)
    scheduler.add_job(clock.ask_for_invariants, "cron", hour=3, minute=20)
    consumers = [
        queue.create_consumer(workers=1, worker_type="thread", periodic=False, initial_delay=0.1, max_delay=0.5)
        for queue in clock.queues
    ]
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    if with_clock:
        clock.sweep()
        scheduler.start()
    for consumer in consumers:
        consumer.start()
    log.info("the worker is ready")
    # Huey's start() takes the signals for itself; ours come back here.
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    while not stop.wait(1.0):
        if beside and os.getppid() != beside:
            log.warning("the server that started this worker is gone; so is the worker")
            break
    if with_clock:
        scheduler.shutdown(wait=False)
    for consumer in consumers:
        consumer.stop(graceful=False)
