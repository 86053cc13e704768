"""The worker: runs reach their end through the queue, a killed one is taken up, one that keeps dying is ended."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from icones.clock import utc_now
from icones.commands import serving
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries, runner
from icones.jobs.queue import JsonSerializer, make_queue
from icones.learning import queries as learning
from icones.models import Campaign, JobKind, JobRun, JobState, SourceKind
from icones.worker import Clock, retrain_is_due
from tests.jobs.test_learning import verify
from tests.support.campaigns import figure_ids


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so; fail if it never is."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def asked(database: Database, campaign: Campaign, kind: JobKind = JobKind.RETRAIN) -> int:
    with database.writing() as session:
        return runner.ask(session, kind, campaign, utc_now()).id or 0


def row(database: Database, run_id: int) -> JobRun:
    with database.reading() as session:
        return session.get_one(JobRun, run_id)


def test_a_run_goes_through_the_queue_in_a_process_of_its_own(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run_id = asked(database, campaign, JobKind.INVARIANTS)
    environment = settings.as_environment()
    worker = subprocess.Popen([sys.executable, "-m", "icones", "worker"], env=environment)
    try:
        wait_for(lambda: row(database, run_id).state is JobState.DONE)
        with database.reading() as session:
            beat = queries.last_beat(session)
        assert beat is not None
        assert utc_now() - beat < timedelta(seconds=20)
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert row(database, run_id).result["broken"] == {}


def test_a_worker_killed_in_mid_training_loses_nothing(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    verify(database, campaign, range(9))
    run_id = asked(database, campaign)
    environment = settings.as_environment()
    child = subprocess.Popen([sys.executable, "-m", "icones", "job", str(run_id)], env=environment)
    wait_for(lambda: row(database, run_id).step.startswith(("Looking", "Training")))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert row(database, run_id).state is JobState.RUNNING
    with database.reading() as session:
        assert learning.versions(session, campaign.id or 0) == []
    later = utc_now() + runner.SILENT_AFTER + timedelta(seconds=5)
    assert runner.take_up_silent(database, later) == [run_id]
    done = subprocess.run([sys.executable, "-m", "icones", "job", str(run_id)], env=environment, check=False)
    assert done.returncode == 0
    ended = row(database, run_id)
    assert (ended.state, ended.attempts, ended.result["published"]) == (JobState.DONE, 2, True)
    with database.reading() as session:
        champion = learning.champion(session, campaign.id or 0)
        assert champion is not None
        said = learning.predictions_of(session, champion.id or 0, figure_ids(database, campaign))
    assert len(said) == 12


def test_a_run_that_keeps_dying_is_ended_with_words(database: Database, campaign: Campaign) -> None:
    run_id = asked(database, campaign)
    now = utc_now()
    for _ in range(runner.MOST_ATTEMPTS):
        with database.writing() as session:
            assert queries.claim(session, run_id, now)
        now += timedelta(minutes=5)
        runner.take_up_silent(database, now)
    ended = row(database, run_id)
    assert ended.state is JobState.FAILED
    assert "died 3 times" in ended.problem


def test_two_runs_of_a_campaign_do_not_go_on_at_once(database: Database, campaign: Campaign) -> None:
    first, second = asked(database, campaign, JobKind.RETRAIN), asked(database, campaign, JobKind.PREDICT)
    with database.writing() as session:
        assert queries.claim(session, first, utc_now())
        assert not queries.claim(session, second, utc_now())
        assert not queries.claim(session, first, utc_now())


def test_asking_twice_is_one_run(database: Database, campaign: Campaign) -> None:
    assert asked(database, campaign) == asked(database, campaign)


def test_a_cancelled_run_stops_at_its_next_step(settings: Settings, database: Database, campaign: Campaign) -> None:
    run_id = asked(database, campaign)
    with database.writing() as session:
        queries.claim(session, run_id, utc_now())
        runner.cancel(session, session.get_one(JobRun, run_id), utc_now())
    with pytest.raises(runner.CancelledError):
        runner.Progress(database, run_id).step("Going on")


def test_an_unforeseen_error_shows_a_reference_and_no_traceback(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    def broken(*_: object) -> dict[str, object]:
        raise ZeroDivisionError("secret details")

    run_id = asked(database, campaign)
    state = runner.execute(settings, database, run_id, {JobKind.RETRAIN: broken})
    ended = row(database, run_id)
    assert state is JobState.FAILED
    assert "reference" in ended.problem
    assert "secret" not in ended.problem + ended.log


def test_the_clock_sends_a_waiting_run_once(settings: Settings, database: Database, campaign: Campaign) -> None:
    run_id = asked(database, campaign)
    clock = Clock(settings, database)
    clock.sweep()
    clock.sweep()
    assert [int(task.args[0]) for task in make_queue(settings).pending()] == [run_id]


def test_enough_newly_verified_figures_ask_for_retraining(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).retrain_after = 4
    verify(database, campaign, range(3))
    with database.reading() as session:
        assert not retrain_is_due(session, session.get_one(Campaign, campaign.id))
    verify(database, campaign, range(3, 6))
    with database.reading() as session:
        assert retrain_is_due(session, session.get_one(Campaign, campaign.id))
    Clock(settings, database).ask_for_what_is_due()
    with database.reading() as session:
        waiting = queries.waiting(session)
    assert [(run.kind, run.trigger) for run in waiting] == [(JobKind.RETRAIN, "labels")]


def test_a_sync_is_asked_for_when_its_time_has_come(settings: Settings, database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind, own.synced_at = SourceKind.CATEGORY, utc_now() - timedelta(hours=25)
    Clock(settings, database).ask_for_what_is_due()
    with database.reading() as session:
        assert [run.kind for run in queries.waiting(session)] == [JobKind.SYNC]


@pytest.mark.parametrize("kind", [SourceKind.CATEGORY, SourceKind.FILES, SourceKind.QUERY, SourceKind.FOLDER])
@pytest.mark.parametrize(
    ("synced", "checked", "minutes", "due"),
    [
        (timedelta(minutes=61), timedelta(minutes=61), 60, True),
        (timedelta(minutes=59), timedelta(minutes=59), 60, False),
        (timedelta(minutes=10), timedelta(hours=25), 60, True),
        (timedelta(minutes=10), None, 60, True),
        (timedelta(days=9), timedelta(days=9), 0, False),
    ],
)
def test_syncs_are_due_by_the_hour_and_comparisons_by_the_day(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    kind: SourceKind,
    synced: timedelta,
    checked: timedelta | None,
    minutes: int,
    due: bool,
) -> None:
    now = utc_now()
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind, own.synced_at = kind, now - synced
        own.checked_at = None if checked is None else now - checked
        done = runner.ask(session, JobKind.SYNC, own, now, trigger="schedule")
        done.state, done.finished_at = JobState.DONE, now - synced
    Clock(settings.model_copy(update={"sync_minutes": minutes}), database).ask_for_what_is_due()
    with database.reading() as session:
        asked_for = [run.kind for run in queries.waiting(session)]
    assert asked_for == ([JobKind.SYNC] if due and kind is not SourceKind.FOLDER else [])


def test_a_scheduled_sync_that_failed_is_left_alone_for_an_hour(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    now = utc_now()
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind, own.synced_at = SourceKind.CATEGORY, now - timedelta(hours=25)
        failed = runner.ask(session, JobKind.SYNC, own, now, trigger="schedule")
        failed.state, failed.finished_at = JobState.FAILED, now - timedelta(minutes=30)
    Clock(settings, database).ask_for_what_is_due()
    with database.reading() as session:
        assert queries.waiting(session) == []
    with database.writing() as session:
        session.get_one(JobRun, failed.id).finished_at = now - timedelta(minutes=61)
    Clock(settings, database).ask_for_what_is_due()
    with database.reading() as session:
        assert [run.kind for run in queries.waiting(session)] == [JobKind.SYNC]


def test_the_queue_speaks_json_and_refuses_what_is_not_a_number(settings: Settings) -> None:
    queue = make_queue(settings)
    queue.run(7)
    (raw,) = queue.storage.enqueued_items()
    assert raw.startswith(b"{")
    with pytest.raises((ValueError, TypeError)):
        JsonSerializer().deserialize(raw.replace(b"7]", b'"os.system"]'))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the worker through /proc, which is Linux's")
def test_a_worker_that_dies_is_started_again(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    monkeypatch.setattr(serving, "RESTART_AFTER_S", 0.1)
    keeper = threading.Thread(target=serving._keep_worker, args=(settings, stop))
    keeper.start()
    try:
        wait_for(lambda: len(workers()) == 1)
        (first,) = workers()
        wait_for(lambda: alive(database))
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(workers()) == 1 and workers() != [first])
    finally:
        stop.set()
        keeper.join(30)
    assert workers() == []


def alive(database: Database) -> bool:
    with database.reading() as session:
        return queries.last_beat(session) is not None


def workers() -> list[int]:
    """The worker processes that this process has started and that live."""
    lives = [pid for pid in children_of(os.getpid()) if "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()]
    return [pid for pid in lives if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the worker through /proc, which is Linux's")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_server(settings: Settings, database: Database, how: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "icones", "serve", "--port", port]
    server = subprocess.Popen(command, env=settings.as_environment(), stderr=subprocess.DEVNULL)
    wait_for(lambda: alive(database))
    (worker,) = children_of(server.pid)
    server.send_signal(how)
    server.wait(30)
    wait_for(lambda: not Path(f"/proc/{worker}").exists())


def children_of(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def test_a_process_that_wakes_after_another_took_its_run_up_writes_nothing(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    with database.writing() as session:
        run_id = runner.ask(session, JobKind.PREDICT, campaign, utc_now()).id or 0
    with database.writing() as session:
        assert queries.claim(session, run_id, utc_now())
    asleep = runner.Progress(database, run_id, attempt=1)
    asleep.step("Begun")
    runner.take_up_silent(database, utc_now() + timedelta(hours=1))
    with database.writing() as session:
        assert queries.claim(session, run_id, utc_now())
    with pytest.raises(runner.CancelledError):
        asleep.step("Awake again")
    with database.reading() as session:
        assert "Awake again" not in session.get_one(JobRun, run_id).log


def test_of_two_runs_of_a_campaign_claimed_at_once_one_waits(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    with database.writing() as session:
        runs = [runner.ask(session, kind, campaign, utc_now()).id or 0 for kind in (JobKind.PREDICT, JobKind.RETRAIN)]
    together = threading.Barrier(2)

    def claimed(run_id: int) -> bool:
        together.wait(10)
        with database.writing() as session:
            return queries.claim(session, run_id, utc_now())

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(claimed, runs)) == [False, True]
