"""Killed in the middle: the model before serves wholly until the new one does, and nothing is published twice."""

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing.context import ForkServerContext, ForkServerProcess

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from icones.cli import app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import runner
from icones.jobs.invariants import broken
from icones.jobs.queue import EXIT_BUSY
from icones.learning import queries as learning
from icones.models import Campaign, JobKind, JobState, ModelState
from tests.jobs.test_bad_input import Standing, says_right, served, serves_wholly, standing
from tests.jobs.test_worker import asked, row, wait_for
from tests.support.campaigns import figure_ids
from tests.support.voices import verified

Moment = tuple[str, str]
"""A statement with which a transaction is told from the others, and ``before`` or ``after`` it is committed."""
NEVER: Moment = ("", "")
MODEL_GETS_ITS_NAME: Moment = ("os.rename", "before")
SERVES: Moment = ("UPDATE reviewtask", "after")
"""The new version serves, and the questions are in its order."""
MOMENTS: dict[str, tuple[tuple[Moment, ...], ...]] = {
    "sqlite": (
        (MODEL_GETS_ITS_NAME, ("UPDATE reviewtask", "before")),
        # The second sets aside what the first left behind.
        (("INSERT INTO prediction", "before"), ("UPDATE modelversion", "before"), SERVES),
    ),
    "postgresql": (
        (("UPDATE jobrun", "before"), ("INSERT INTO modelversion", "before")),
        (("INSERT INTO prediction", "after"), ("UPDATE reviewtask", "before"), SERVES),
    ),
}


def job(environment: dict[str, str], run_id: int, moment: Moment, how: signal.Signals) -> None:
    """`icones job RUN`; the process sends itself this signal at this moment."""
    os.environ.update(environment)
    what, when = moment
    told: set[int] = set()

    def watch(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if what and statement.startswith(what):
            told.add(threading.get_ident())

    def strike(*_: object) -> None:
        if threading.get_ident() in told:
            told.clear()
            os.kill(os.getpid(), how)

    sa.event.listen(sa.Engine, "after_cursor_execute", watch)
    if moment == MODEL_GETS_ITS_NAME:
        sys.addaudithook(lambda event, _: os.kill(os.getpid(), how) if event == "os.rename" else None)
    elif when == "before":
        sa.event.listen(sa.Engine, "commit", strike)
    else:
        sa.event.listen(Session, "after_commit", strike)
    app(["job", str(run_id)])


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Makes processes that have imported everything: each as one of its own, but without the seconds that takes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["icones.cli", "icones.jobs.all", "torch._dynamo", "safetensors.numpy", "pytest"])
    warm = context.Process(target=int)
    warm.start()
    warm.join(60)
    return context


class Workers:
    """Starts `icones job RUN` in processes of their own."""

    def __init__(self, processes: ForkServerContext, settings: Settings) -> None:
        self._processes, self._environment = processes, settings.as_environment()
        self.started: list[ForkServerProcess] = []

    def start(self, run_id: int, moment: Moment = NEVER, how: signal.Signals = signal.SIGKILL) -> ForkServerProcess:
        process = self._processes.Process(target=job, args=(self._environment, run_id, moment, how), daemon=True)
        process.start()
        self.started.append(process)
        return process

    def ended(self, run_id: int, moment: Moment = NEVER) -> int | None:
        """Carry out a run and return how the process ended."""
        process = self.start(run_id, moment)
        process.join(60)
        return process.exitcode


@pytest.fixture
def workers(processes: ForkServerContext, settings: Settings) -> Iterator[Workers]:
    those = Workers(processes, settings)
    yield those
    for process in those.started:  # one that was put to sleep would never end by itself
        process.kill()


@pytest.fixture
def before(settings: Settings, database: Database, campaign: Campaign) -> Standing:
    """A model of two taxa that serves, and figures of a third from which a better one can be learned."""
    served(settings, database, campaign, [0, 1, 3, 4, 6, 7])
    verified(database, campaign, [2, 5, 8])
    return standing(database, campaign)


def taken_up(database: Database, run_id: int) -> int:
    """Let the clock see that a run's process is gone; return the run that goes on, another one after many deaths."""
    runner.take_up_silent(database, utc_now() + runner.SILENT_AFTER + timedelta(seconds=5))
    state = row(database, run_id).state
    if state is JobState.QUEUED:
        return run_id
    assert state is JobState.FAILED
    with database.reading() as session:
        return asked(database, session.get_one(Campaign, row(database, run_id).campaign_id))


def nothing_half(settings: Settings, database: Database, campaign: Campaign, before: Standing) -> int:
    """Whatever was killed: one version serves, with all its answers and its own order; return its number."""
    now = standing(database, campaign)
    with database.reading() as session:
        assert broken(session) == []
    champion = serves_wholly(settings, database, campaign)
    assert {key: row for key, row in now.said.items() if key in before.said} == before.said
    if champion.number == before.champion:
        assert now.asked == before.asked
    else:  # the order of the questions came with it
        assert {figure: task["reason"] for figure, task in now.asked.items()} == {
            figure: now.said[champion.id or 0, figure]["reason"] for figure in now.asked
        }
    return champion.number


def has_spoken(database: Database, campaign: Campaign, number: int) -> bool:
    """Whether a version has said something of a figure."""
    with database.reading() as session:
        version = learning.version(session, campaign.id or 0, number)
        figures = figure_ids(database, campaign)
        return version is not None and bool(learning.predictions_of(session, version.id or 0, figures))


def ends_well(settings: Settings, database: Database, campaign: Campaign, run_id: int) -> None:
    """In the end the run is done, and one version serves that has learned the third taxon."""
    done = row(database, run_id)
    assert (done.state, done.problem) == (JobState.DONE, "")
    after = standing(database, campaign)
    assert list(after.versions.values()).count(ModelState.CHAMPION) == 1
    assert ModelState.CHALLENGER not in after.versions.values()
    serves_wholly(settings, database, campaign)
    assert says_right(database, campaign, range(12))


@pytest.mark.parametrize("part", [0, 1])
def test_killed_at_each_step_the_model_before_serves_until_the_new_one_does(
    settings: Settings, database: Database, campaign: Campaign, before: Standing, workers: Workers, part: int
) -> None:
    run_id = asked(database, campaign)
    for moment in MOMENTS["sqlite" if database.is_sqlite else "postgresql"][part]:
        assert workers.ended(run_id, moment) == -signal.SIGKILL, (moment, row(database, run_id).log)
        number = nothing_half(settings, database, campaign, before)
        assert (number != before.champion) is (moment == SERVES), moment
        run_id = taken_up(database, run_id)
    assert workers.ended(run_id) == 0
    ends_well(settings, database, campaign, run_id)


def test_killed_at_any_time_a_training_loses_nothing(
    settings: Settings, database: Database, campaign: Campaign, before: Standing, workers: Workers
) -> None:
    run_id = asked(database, campaign)
    process = workers.start(run_id)
    wait_for(lambda: row(database, run_id).state is not JobState.QUEUED)
    time.sleep(random.uniform(0.05, 0.8))
    process.kill()
    process.join(60)
    nothing_half(settings, database, campaign, before)
    if row(database, run_id).state is JobState.RUNNING:
        assert taken_up(database, run_id) == run_id
    if row(database, run_id).state is JobState.QUEUED:
        assert workers.ended(run_id) == 0
    ends_well(settings, database, campaign, run_id)


def test_of_two_trainings_at_once_one_waits(
    settings: Settings, database: Database, campaign: Campaign, before: Standing, workers: Workers
) -> None:
    runs = [asked(database, campaign)]
    with database.writing() as session:
        runs.append(runner.ask(session, JobKind.RETRAIN, campaign, utc_now(), another=True).id or 0)
    first = workers.start(runs[0], ("INSERT INTO prediction", "after"), signal.SIGSTOP)
    wait_for(lambda: has_spoken(database, campaign, 2))
    assert workers.ended(runs[1]) == EXIT_BUSY
    os.kill(first.pid or 0, signal.SIGCONT)
    first.join(60)
    assert first.exitcode == 0
    assert row(database, runs[1]).state is JobState.QUEUED
    assert workers.ended(runs[1]) == 0
    for run_id in runs:
        ends_well(settings, database, campaign, run_id)
    assert len(standing(database, campaign).versions) == 3


def test_a_training_that_was_taken_for_dead_publishes_nothing_when_it_wakes_up(
    settings: Settings, database: Database, campaign: Campaign, before: Standing, workers: Workers
) -> None:
    run_id = asked(database, campaign)
    asleep = workers.start(run_id, ("INSERT INTO prediction", "after"), signal.SIGSTOP)
    wait_for(lambda: has_spoken(database, campaign, 2))
    assert nothing_half(settings, database, campaign, before) == before.champion
    assert taken_up(database, run_id) == run_id
    assert workers.ended(run_id) == 0
    ends_well(settings, database, campaign, run_id)
    serving = standing(database, campaign)
    os.kill(asleep.pid or 0, signal.SIGCONT)
    asleep.join(60)
    assert asleep.exitcode == 0
    assert standing(database, campaign) == serving
    ends_well(settings, database, campaign, run_id)
