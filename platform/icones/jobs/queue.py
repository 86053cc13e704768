"""The queue that carries runs: Huey, on SQLite for one machine and on PostgreSQL for many.

Its messages are JSON and hold nothing but a run's number: whoever can write to the queue can start a run that
exists, or have a worker lend it a hand, and nothing else. (Huey's own messages are pickles, which would make the
queue's file executable.)
"""

import json
import subprocess
import sys
from typing import Any

from huey import PostgresHuey, SqliteHuey
from huey.api import Huey
from huey.registry import Message
from huey.serializer import Serializer

from icones.config import Settings
from icones.db import Database
from icones.jobs.shards import is_wanted

WIKI_LANE = "icones-wiki"
"""For pushes: one at a time in a worker, beside everything else."""
EXIT_BUSY = 75
"""The child's word for "not now, not here": another run of this campaign goes on (EX_TEMPFAIL of sysexits.h)."""
LEND = "--lend"


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Huey's messages as JSON; anything else that Huey might want to keep is refused."""

    def _serialize(self, data: Any) -> bytes:
        if isinstance(data, Message):
            if data.on_complete or data.on_error or data.chord_config:
                raise TypeError("pipelines of tasks are not used here")
            return json.dumps({"id": data.id, "name": data.name, "args": list(data.args or ())}).encode()
        return json.dumps({"value": data}).encode()

    def _deserialize(self, data: bytes) -> Any:
        read = json.loads(data)
        if "name" in read:
            return Message(
                id=str(read["id"]),
                name=str(read["name"]),
                eta=None,
                retries=0,
                retry_delay=0,
                priority=None,
                args=tuple(int(value) for value in read["args"]),
                kwargs={},
            )
        return read["value"]


def make_queue(settings: Settings, lane: str = "icones") -> Huey:
    """Return a queue of this installation with its two tasks, ``run`` and ``lend``.

    Each lane has a worker of its own: what waits for the wiki most of the time must not hold up what computes.
    """
    common = {"serializer": JsonSerializer(), "results": False, "utc": True}
    url = settings.database
    if url.startswith("sqlite"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        queue = SqliteHuey(lane, filename=str(settings.data_dir / "queue.sqlite"), **common)
    else:
        queue = PostgresHuey(lane, dsn=url.replace("+psycopg", ""), **common)

    def run(run_id: int) -> None:
        """Carry out one run in a child process: its memory goes back, its crash harms nobody."""
        run_in_child(settings, run_id)

    unable: set[int] = set()

    def lend(run_id: int) -> None:
        """Lend a hand to a run that goes on in another worker; not again where this one was not able to."""
        if run_id not in unable and _is_wanted(settings, run_id) and run_in_child(settings, run_id, LEND) == EXIT_BUSY:
            unable.add(run_id)

    queue.run = queue.task(name="run")(run)
    queue.lend = queue.task(name="lend")(lend)
    return queue


def _is_wanted(settings: Settings, run_id: int) -> bool:
    """Look first whether anybody waits for a hand: a message may be old, and a process costs seconds."""
    database = Database(settings.database)
    try:
        return is_wanted(database, run_id)
    finally:
        database.close()


def run_in_child(settings: Settings, run_id: int, *options: str) -> int:
    """Run ``icones job RUN`` in a process of its own and return its exit code."""
    command = [sys.executable, "-m", "icones", "job", str(run_id), *options]
    try:
        return subprocess.run(  # noqa: S603 (our own program, a number as argument)
            command, env=settings.as_environment(), timeout=settings.job_timeout_s, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return 1  # killed; the clock sees the silence and takes the run up or ends it
