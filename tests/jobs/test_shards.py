"""Parts of a run: taken by one worker at a time, taken up again when it dies, done twice with the effect of once."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from active_learning import ClassicalDescriptor, ImageError
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import ConflictError, IconesError
from icones.jobs import embedding, learn, publishing, queries, runner, shard_queries, shards
from icones.jobs.all import JOBS
from icones.jobs.embedding import EMBED, embed_only
from icones.jobs.publishing import SCORE
from icones.jobs.queue import make_queue
from icones.jobs.runner import Progress
from icones.learning import fingerprints, predictions
from icones.models import (
    Campaign,
    Embedding,
    Fingerprint,
    JobKind,
    JobRun,
    JobShard,
    JobState,
    Prediction,
)
from icones.worker import Clock
from tests.jobs.test_bad_input import says_right, served, serves_wholly
from tests.jobs.test_embedding import image_of
from tests.jobs.test_worker import wait_for
from tests.support.campaigns import figure_ids
from tests.support.voices import verified

VERSION = ClassicalDescriptor().version


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Parts of two figures: twelve figures are six parts."""
    return settings.model_copy(update={"shard_figures": 2})


def begun(database: Database, campaign: Campaign) -> int:
    """A run that goes on, as if another process had it."""
    with database.writing() as session:
        run_id = runner.ask(session, JobKind.EMBED, campaign, utc_now()).id or 0
        assert queries.claim(session, run_id, utc_now())
    return run_id


def cut_up(database: Database, run_id: int, figures: list[int], size: int = 2) -> None:
    parts = [{"figures": figures[start : start + size], "backbone": VERSION} for start in range(0, len(figures), size)]
    with database.writing() as session:
        shard_queries.split(session, run_id, EMBED, parts)


def parts_of(database: Database, run_id: int) -> list[JobShard]:
    with database.reading() as session:
        return list(shard_queries.of_run(session, run_id))


def row(database: Database, run_id: int) -> JobRun:
    with database.reading() as session:
        return session.get_one(JobRun, run_id)


def embedded(database: Database) -> Counter[int]:
    with database.reading() as session:
        return Counter(session.exec(select(Embedding.figure_id)).all())


def take(database: Database, run_id: int, holder: str = "me", *, seconds: float = 30) -> JobShard | None:
    now = utc_now()
    with database.writing() as session:
        return shard_queries.claim(session, run_id, holder, now, now + timedelta(seconds=seconds))


def let_time_pass(database: Database, run_id: int) -> None:
    """As if nobody had renewed a lease for long."""
    with database.writing() as session:
        held = sa.update(JobShard).where(col(JobShard.run_id) == run_id, col(JobShard.state) == JobState.RUNNING)
        session.connection().execute(held.values(lease_until=utc_now() - timedelta(seconds=1)))


def test_each_part_is_taken_by_one_of_many_at_once(database: Database, campaign: Campaign) -> None:
    run_id = begun(database, campaign)
    cut_up(database, run_id, list(range(24)), size=1)
    taken: list[int] = []
    together = threading.Barrier(4)

    def worker(number: int) -> None:
        together.wait()
        while (shard := take(database, run_id, f"worker {number}")) is not None:
            assert shard.holder == f"worker {number}"
            taken.append(shard.number)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 25))
    assert {part.attempts for part in parts_of(database, run_id)} == {1}


def test_a_part_is_free_again_when_its_lease_has_run_out(database: Database, campaign: Campaign) -> None:
    run_id = begun(database, campaign)
    cut_up(database, run_id, [1])
    first = take(database, run_id, "first")
    assert first is not None
    assert take(database, run_id, "second") is None
    with database.writing() as session:
        assert shard_queries.renew(session, first, utc_now() + timedelta(seconds=60))
    let_time_pass(database, run_id)
    second = take(database, run_id, "second")
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
    with database.writing() as session:
        assert not shard_queries.renew(session, first, utc_now() + timedelta(seconds=60))
        shard_queries.finish(session, first, utc_now())  # too late: it is in other hands
    assert [(part.state, part.holder) for part in parts_of(database, run_id)] == [(JobState.RUNNING, "second")]


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.CANCELLED, JobState.FAILED, JobState.DONE])
def test_only_parts_of_a_run_that_goes_on_are_taken(database: Database, campaign: Campaign, state: JobState) -> None:
    run_id = begun(database, campaign)
    cut_up(database, run_id, [1])
    with database.writing() as session:
        session.get_one(JobRun, run_id).state = state
    assert take(database, run_id) is None
    with database.reading() as session:
        assert shard_queries.runs_with_work(session, utc_now()) == []


def test_a_large_campaign_is_embedded_in_parts(settings: Settings, database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        asked = runner.ask(session, JobKind.EMBED, campaign, utc_now())
    runner.execute(settings, database, asked.id or 0, {JobKind.EMBED: embed_only})
    run = row(database, asked.id or 0)
    assert (run.state, run.result["embedded"], run.done, run.total) == (JobState.DONE, 12, 6, 6), run.log
    parts = parts_of(database, run.id or 0)
    assert [(part.number, part.state, part.attempts) for part in parts] == [
        (number, JobState.DONE, 1) for number in range(1, 7)
    ]
    assert embedded(database) == Counter(figure_ids(database, campaign))
    with database.writing() as session:
        session.connection().execute(sa.delete(Fingerprint))
        again = runner.ask(session, JobKind.EMBED, campaign, utc_now())
    runner.execute(settings, database, again.id or 0, {JobKind.EMBED: embed_only})
    assert {part.step for part in parts_of(database, again.id or 0)} == {"hash"}
    with database.reading() as session:
        assert len(fingerprints.groups_of(session, campaign.id or 0)) == 12


def test_a_small_campaign_has_no_parts(settings: Settings, database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        asked = runner.ask(session, JobKind.EMBED, campaign, utc_now())
    small = settings.model_copy(update={"shard_figures": 7})
    runner.execute(small, database, asked.id or 0, {JobKind.EMBED: embed_only})
    assert row(database, asked.id or 0).result["embedded"] == 12
    assert parts_of(database, asked.id or 0) == []


def failing(times: int, error: Exception) -> shards.Step:
    """A step whose second part fails so many times."""
    failed: list[int] = []

    def step(
        settings: Settings, database: Database, campaign: Campaign, payload: Mapping[str, Any], alive: shards.Alive
    ) -> None:
        if payload["n"] == 2 and len(failed) < times:
            failed.append(1)
            raise error

    return step


def carry_out(
    settings: Settings, database: Database, campaign: Campaign, run_id: int, step: shards.Step, n: int = 3
) -> None:
    parts = [{"n": number} for number in range(1, n + 1)]
    shards.carry_out(settings, database, campaign, Progress(database, run_id), "try", step, parts)


def test_a_part_that_fails_is_tried_again(settings: Settings, database: Database, campaign: Campaign) -> None:
    run_id = begun(database, campaign)
    carry_out(settings, database, campaign, run_id, failing(2, ImageError("It is torn.")))
    assert [(part.state, part.attempts) for part in parts_of(database, run_id)] == [
        (JobState.DONE, 1),
        (JobState.DONE, 3),
        (JobState.DONE, 1),
    ]


def test_a_run_takes_no_parts_that_an_earlier_step_left(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run_id = begun(database, campaign)
    cut_up(database, run_id, [1])
    carry_out(settings, database, campaign, run_id, failing(0, ImageError("It is torn.")), n=2)
    assert [(part.step, part.state, part.attempts) for part in parts_of(database, run_id)] == [
        (EMBED, JobState.CANCELLED, 0),
        ("try", JobState.DONE, 1),
        ("try", JobState.DONE, 1),
    ]


@pytest.mark.parametrize(
    ("error", "words"), [(ImageError("It is torn."), "It is torn."), (ZeroDivisionError("secret"), "reference")]
)
def test_a_part_that_fails_three_times_fails_the_run_in_words(
    settings: Settings, database: Database, campaign: Campaign, error: Exception, words: str
) -> None:
    run_id = begun(database, campaign)
    with pytest.raises(IconesError, match=words) as told:
        carry_out(settings, database, campaign, run_id, failing(3, error))
    assert "secret" not in str(told.value)
    assert [part.state for part in parts_of(database, run_id)] == [
        JobState.DONE,
        JobState.FAILED,
        JobState.CANCELLED,
    ]


def test_a_cancelled_run_stops_and_takes_its_parts_back(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run_id = begun(database, campaign)

    def stopped(*_: Any) -> None:
        with database.writing() as session:
            runner.cancel(session, session.get_one(JobRun, run_id), utc_now())

    with pytest.raises(runner.CancelledError):
        carry_out(settings, database, campaign, run_id, stopped)
    states = [part.state for part in parts_of(database, run_id)]
    assert states == [JobState.DONE, JobState.CANCELLED, JobState.CANCELLED]


def test_who_lost_a_part_stops_and_ends_nothing(
    settings: Settings, database: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "RENEW_S", 0.01)
    run_id = begun(database, campaign)
    cut_up(database, run_id, [1])
    lost: list[int] = []

    def slow(_: Settings, __: Database, ___: Campaign, ____: Mapping[str, Any], alive: shards.Alive) -> None:
        let_time_pass(database, run_id)
        assert take(database, run_id, "another", seconds=600) is not None or lost
        for _____ in range(2000):
            try:
                alive()
            except shards.LostError:
                lost.append(1)
                raise
            threading.Event().wait(0.005)

    shards.lend_a_hand(settings, database, run_id, {EMBED: slow})
    assert lost
    assert [(part.state, part.holder) for part in parts_of(database, run_id)] == [(JobState.RUNNING, "another")]


def test_a_worker_with_other_weights_leaves_a_part_to_the_others(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run_id = begun(database, campaign)
    with database.writing() as session:
        payload = {"figures": figure_ids(database, campaign), "backbone": "mobilenet_v9@abc"}
        shard_queries.split(session, run_id, EMBED, [payload])
    with pytest.raises(shards.UnableError, match="mobilenet_v9"):
        shards.lend_a_hand(settings, database, run_id, embedding.STEPS)
    assert [(part.state, part.attempts) for part in parts_of(database, run_id)] == [(JobState.QUEUED, 0)]


def test_the_clock_calls_for_a_hand_once_and_only_while_there_are_parts(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run_id = begun(database, campaign)
    clock = Clock(settings, database)
    clock.sweep()
    assert make_queue(settings).pending() == []
    cut_up(database, run_id, figure_ids(database, campaign))
    clock.sweep()
    clock.sweep()
    assert [(task.name, *task.args) for task in make_queue(settings).pending()] == [("lend", run_id)]


def test_a_worker_that_is_not_able_starts_no_second_process(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    run_id = begun(database, campaign)
    queue = make_queue(settings)
    queue.lend(run_id)
    queue.execute(queue.dequeue())  # nobody is wanted yet
    with database.writing() as session:
        shard_queries.split(session, run_id, EMBED, [{"figures": [1], "backbone": "mobilenet_v9@abc"}])
    holders = []
    for _ in range(2):
        queue.lend(run_id)
        queue.execute(queue.dequeue())
        (part,) = parts_of(database, run_id)
        assert (part.state, part.attempts) == (JobState.QUEUED, 0)
        holders.append(part.holder)
    assert holders[0] == holders[1] != ""


@contextmanager
def process(run_id: int, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that lends a run a hand."""
    command = [sys.executable, "-m", "icones", "job", "--lend", str(run_id)]
    with subprocess.Popen(command, env=settings.as_environment()) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a picture that never ends is a named pipe, which Windows lacks")
def test_a_worker_killed_in_the_midst_of_a_part_loses_nothing(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = figure_ids(database, campaign)
    run_id = begun(database, campaign)
    cut_up(database, run_id, figures)
    picture = image_of(settings, database, figures[1])
    content = picture.read_bytes()
    # Whoever opens this picture waits for ever: one worker hangs in the first part, the other does the rest.
    picture.unlink()
    os.mkfifo(picture)
    with process(run_id, settings) as one, process(run_id, settings) as other:
        wait_for(lambda: 0 in (one.poll(), other.poll()))
        states = [part.state for part in parts_of(database, run_id)]
        assert states == [JobState.RUNNING, *[JobState.DONE] * 5]
        (hanging,) = [worker for worker in (one, other) if worker.poll() is None]
        hanging.send_signal(signal.SIGKILL)
        hanging.wait()
    picture.unlink()
    picture.write_bytes(content)
    let_time_pass(database, run_id)
    assert shards.lend_a_hand(settings, database, run_id, embedding.STEPS) == 1
    parts = parts_of(database, run_id)
    assert [(part.state, part.attempts) for part in parts] == [(JobState.DONE, 2), *[(JobState.DONE, 1)] * 5]
    assert len({part.holder for part in parts}) == 2
    assert embedded(database) == Counter(figures)


def test_a_run_taken_up_again_cuts_up_only_what_is_left(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = figure_ids(database, campaign)
    run_id = begun(database, campaign)
    cut_up(database, run_id, figures)
    step = embedding.STEPS[EMBED]
    for _ in range(2):
        shard = take(database, run_id, "who dies")
        assert shard is not None
        step(settings, database, campaign, shard.payload, lambda: None)
        with database.writing() as session:
            shard_queries.finish(session, shard, utc_now())
    runner.take_up_silent(database, utc_now() + runner.SILENT_AFTER + timedelta(seconds=5))
    runner.execute(settings, database, run_id, {JobKind.EMBED: embed_only})
    run = row(database, run_id)
    assert (run.state, run.result["embedded"]) == (JobState.DONE, 8), run.log
    assert [part.payload["figures"] for part in parts_of(database, run_id)] == [
        figures[start : start + 2] for start in range(4, 12, 2)
    ]
    assert embedded(database) == Counter(figures)


@contextmanager
def when_cut_up(then: Callable[[int], None]) -> Iterator[None]:
    """Do something once a run is cut into parts, before its own process takes the first; told the run."""
    runs: list[int] = []

    def watch(_: object, __: object, statement: str, ___: object, context: Any, ____: bool) -> None:
        if statement.startswith("INSERT INTO jobshard"):
            runs.append(context.compiled_parameters[0]["run_id"])

    def strike(_: object) -> None:
        if runs:
            run_id = runs[0]
            runs.clear()
            then(run_id)

    sa.event.listen(sa.Engine, "after_cursor_execute", watch)
    sa.event.listen(Session, "after_commit", strike)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", watch)
        sa.event.remove(Session, "after_commit", strike)


def carried_out(settings: Settings, database: Database, campaign: Campaign, kind: JobKind) -> JobRun:
    """A run that is carried out here and now, with its scoring in parts."""
    with database.writing() as session:
        run_id = runner.ask(session, kind, campaign, utc_now()).id or 0
    runner.execute(settings, database, run_id, JOBS)
    return row(database, run_id)


def said(database: Database, version_id: int) -> list[dict[str, Any]]:
    """All that a version says, in full precision."""
    with database.reading() as session:
        rows = session.exec(select(Prediction).where(Prediction.model_version_id == version_id)).all()
        told = [one.model_dump(exclude={"id", "created_at"}) for one in rows]
    return sorted(told, key=lambda one: one["figure_id"])


def scored_again(settings: Settings, database: Database, campaign: Campaign, version_id: int) -> JobRun:
    """The serving version says everything anew."""
    with database.writing() as session:
        predictions.drop(session, version_id)
    return carried_out(settings, database, campaign, JobKind.PREDICT)


def a_few(n: int) -> dict[str, shards.Step]:
    """What a worker can do that gives up after so many parts."""
    done: list[int] = []

    def step(*given: Any) -> None:
        if len(done) == n:
            raise shards.UnableError("That was enough.")
        learn.STEPS[SCORE](*given)
        done.append(1)

    return {SCORE: step}


def test_two_workers_share_the_scoring_of_a_run(
    settings: Settings, database: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(settings, database, campaign)
    version = serves_wholly(settings, database, campaign)
    assert {part.step for part in parts_of(database, version.run_id or 0)} == {EMBED}  # twelve are written in one go
    monkeypatch.setattr(publishing, "PART", 2)
    alone = scored_again(settings, database, campaign, version.id or 0)
    assert (alone.state, len({part.holder for part in parts_of(database, alone.id or 0)})) == (JobState.DONE, 1)
    by_one = said(database, version.id or 0)
    assert [one["figure_id"] for one in by_one] == figure_ids(database, campaign)

    def help_out(run_id: int) -> None:
        elsewhere = settings.model_copy(update={"data_dir": settings.data_dir / "empty"})
        with pytest.raises(shards.UnableError, match="model version 1"):
            shards.lend_a_hand(elsewhere, database, run_id, learn.STEPS)
        with pytest.raises(shards.UnableError, match="enough"):
            shards.lend_a_hand(settings, database, run_id, a_few(3))

    with when_cut_up(help_out):
        shared = scored_again(settings, database, campaign, version.id or 0)
    parts = parts_of(database, shared.id or 0)
    assert (shared.state, shared.result["predicted"]) == (JobState.DONE, 12), shared.log
    assert [(part.step, part.state, part.attempts) for part in parts] == [(SCORE, JobState.DONE, 1)] * 6
    assert Counter(part.holder for part in parts).most_common() == [(parts[0].holder, 3), (parts[5].holder, 3)]
    assert said(database, version.id or 0) == by_one


def test_parts_left_half_done_are_taken_up_and_none_is_written_of_a_version_that_was_set_aside(
    settings: Settings, database: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(settings, database, campaign, [0, 1, 3, 4, 6, 7])
    verified(database, campaign, [2, 5, 8])
    monkeypatch.setattr(publishing, "PART", 2)
    held: list[dict[str, Any]] = []

    def score(part: Mapping[str, Any]) -> None:
        learn.STEPS[SCORE](settings, database, campaign, part, lambda: None)

    def begin(run_id: int) -> None:
        """One worker writes a part and dies before it says so, another is slow with the next."""
        held.extend(shard.payload for _ in range(2) if (shard := take(database, run_id, "another")) is not None)
        score(held[-2])

    def stop(run_id: int) -> None:
        begin(run_id)
        with database.writing() as session:
            runner.cancel(session, session.get_one(JobRun, run_id), utc_now())

    def die(run_id: int) -> None:
        begin(run_id)
        let_time_pass(database, run_id)

    with when_cut_up(stop):
        assert carried_out(settings, database, campaign, JobKind.RETRAIN).state is JobState.CANCELLED
    assert [one["figure_id"] for one in said(database, held[0]["version"])] == figure_ids(database, campaign)[:2]
    assert serves_wholly(settings, database, campaign).number == 1
    with when_cut_up(die):
        run = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert (run.state, run.result["published"]) == (JobState.DONE, True), run.log
    parts = parts_of(database, run.id or 0)
    assert [(part.state, part.attempts) for part in parts] == [*[(JobState.DONE, 2)] * 2, *[(JobState.DONE, 1)] * 4]
    assert "another" not in {part.holder for part in parts}
    with pytest.raises(ConflictError, match="set this model aside"):
        score(held[1])
    assert said(database, held[0]["version"]) == []
    champion = serves_wholly(settings, database, campaign)
    assert (champion.number, says_right(database, campaign, range(12))) == (3, True)
    before = said(database, champion.id or 0)
    threads = [threading.Thread(target=score, args=(held[2],)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    score({**held[2], "at": (utc_now() - timedelta(days=1)).isoformat()})
    assert said(database, champion.id or 0) == before
    with database.reading() as session:
        moments = session.exec(select(Prediction.created_at).where(Prediction.model_version_id == champion.id))
        assert set(moments) == {datetime.fromisoformat(held[2]["at"])}  # what was said later than that stays
