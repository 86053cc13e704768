"""A run's work in parts, so that any worker may lend a hand: each part a row, taken with a lease.

The run's own process cuts the work up and carries out parts; every other worker with nothing to do takes parts of a
run that goes on. Who holds a part renews its lease; when the holder dies the lease runs out and another takes the
part up. So a part may be done twice, or half and then whole: what a step writes must then have the effect of once.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from active_learning import LearningError
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import IconesError
from icones.jobs import shard_queries
from icones.jobs.runner import CancelledError, Progress
from icones.models import Campaign, JobRun, JobShard, JobState

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
RENEW_S = 5.0
LOOK_AGAIN_S = 0.2
"""How often a run looks whether the others have ended their parts."""
LEND_S = 300.0
"""How long a worker lends a hand at most: then it looks whether something of its own waits."""


class UnableError(IconesError):
    """This worker cannot do a part that another one can."""

    code = "unable"


class LostError(Exception):
    """The part is in other hands now, or nobody wants it any more."""


Alive = Callable[[], None]
"""To be called now and then while a part is worked on; raises when the work shall stop."""
Step = Callable[[Settings, Database, Campaign, Mapping[str, Any], Alive], None]
"""Carries out one part, told by its payload, in transactions of its own; done twice it has the effect of once."""


def carry_out(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    progress: Progress,
    name: str,
    step: Step,
    payloads: Sequence[Mapping[str, Any]],
) -> None:
    """Cut a step of a run into parts and see them all done, by this process and whoever lends a hand.

    Raises IconesError if a part failed too often; what the others wrote stays.
    """
    run_id, holder, total = progress.run_id, _own_name(), len(payloads)
    with database.writing() as session:
        shard_queries.split(session, run_id, name, payloads)
    try:
        while True:
            done = _count_done(database, run_id, name)
            progress.at(done, total)
            if done == total:
                return
            shard = _take(database, run_id, holder, [name])
            if shard is None:
                time.sleep(LOOK_AGAIN_S)
            else:
                _carry_one(settings, database, campaign, shard, step, partial(progress.at, done, total))
    finally:
        with database.writing() as session:
            shard_queries.close(session, run_id, utc_now())


def lend_a_hand(settings: Settings, database: Database, run_id: int, steps: Mapping[str, Step]) -> int:
    """Carry out parts of a run that goes on elsewhere until none is free, or ``LEND_S`` have passed; return how many.

    Parts of other steps than ``steps`` are left to the others, and so are those for which this worker lacks something;
    then UnableError is raised.
    """
    holder, until, done = _own_name(), time.monotonic() + LEND_S, 0
    while time.monotonic() < until and (shard := _take(database, run_id, holder, steps)) is not None:
        with database.reading() as session:
            campaign = session.get_one(Campaign, session.get_one(JobRun, run_id).campaign_id)
        _carry_one(settings, database, campaign, shard, steps[shard.step], lambda: None)
        done += 1
    return done


def is_wanted(database: Database, run_id: int) -> bool:
    """Say whether a run has a part that could be taken now."""
    with database.reading() as session:
        return run_id in shard_queries.runs_with_work(session, utc_now())


def _own_name() -> str:
    return f"{socket.gethostname()[:40]} {os.getpid()} {uuid.uuid4().hex[:8]}"


def _count_done(database: Database, run_id: int, name: str) -> int:
    """Count the parts that are done; raise IconesError if one has failed for good."""
    with database.writing() as session:
        shard_queries.end_spent(session, run_id, utc_now())
    with database.reading() as session:
        failed = shard_queries.failed(session, run_id, name)
        if failed is not None:
            raise IconesError(failed.problem)
        return shard_queries.counts(session, run_id, name).get(JobState.DONE, 0)


def _take(database: Database, run_id: int, holder: str, steps: Collection[str]) -> JobShard | None:
    now = utc_now()
    with database.writing() as session:
        return shard_queries.claim(session, run_id, holder, now, now + LEASE, steps)


def _carry_one(
    settings: Settings, database: Database, campaign: Campaign, shard: JobShard, step: Step, tell: Alive
) -> None:
    """Carry out one part under its lease; a failure is written down and the part put back."""
    try:
        with _lease(database, shard) as lost:

            def alive() -> None:
                if lost.is_set():
                    raise LostError
                tell()

            step(settings, database, campaign, shard.payload, alive)
    except LostError:
        log.info("part %s of run %s is in other hands now", shard.number, shard.run_id)
        return
    except CancelledError:
        raise
    except UnableError:
        with database.writing() as session:
            shard_queries.decline(session, shard)
        raise
    except Exception as error:
        with database.writing() as session:
            shard_queries.give_back(session, shard, _in_words(shard, error), utc_now())
        return
    with database.writing() as session:
        shard_queries.finish(session, shard, utc_now())


def _in_words(shard: JobShard, error: Exception) -> str:
    if isinstance(error, (IconesError, LearningError)):
        return str(error)
    reference = uuid.uuid4().hex[:8]
    log.error("part %s of run %s failed (reference %s)", shard.number, shard.run_id, reference, exc_info=error)
    return f"Something unforeseen went wrong (reference {reference})."


@contextmanager
def _lease(database: Database, shard: JobShard) -> Iterator[threading.Event]:
    """Renew a part's lease while it is worked on; the event is set when it was lost."""
    stop, lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not stop.wait(RENEW_S):
            try:
                with database.writing() as session:
                    if not shard_queries.renew(session, shard, utc_now() + LEASE):
                        lost.set()
                        return
            except Exception:
                log.warning("the lease of part %s of run %s was not renewed", shard.number, shard.run_id, exc_info=True)

    thread = threading.Thread(target=renew, name=f"lease-{shard.id}", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        stop.set()
        thread.join()
