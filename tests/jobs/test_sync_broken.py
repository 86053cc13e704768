"""A sync that is killed or cut off anywhere: the next one ends where an undisturbed one would have ended."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.models import Campaign, JobKind, JobRun, JobState
from tests.support.campaigns import drawing
from tests.support.commons import CATEGORY, LADY, category_campaign, pointed_at, run_job, small_world
from tests.support.mirrors import held, on_the_wiki
from tests.support.standin import StandInCommons, World, depicts

TOLD = (
    """SELECT i.mid, i.title, i.state, i.problem, i.sha1, i.image_sha1, i.licence, i.object_number, i.revision,
              (SELECT count(*) FROM figure f WHERE f.illustration_id = i.id)
       FROM illustration i ORDER BY i.mid""",
    """SELECT i.mid, s.statement_id, s.qid, s.rank, s.box, s.gone_at IS NULL
       FROM depictsstatement s JOIN illustration i ON i.id = s.illustration_id ORDER BY i.mid, s.statement_id""",
    """SELECT i.mid, c.kind, c.before, c.after, c.reason
       FROM illustrationchange c JOIN illustration i ON i.id = c.illustration_id ORDER BY i.mid, c.kind""",
    "SELECT qid, scientific_name FROM taxon ORDER BY qid",
)
"""All that a sync writes, without ids and times."""


def state_of(database: Database) -> list[list[tuple[Any, ...]]]:
    with database.reading() as session:
        return [[tuple(row) for row in session.connection().execute(sa.text(question))] for question in TOLD]


def much_happens(world: World) -> None:
    """Do a bit of everything to the small wiki."""
    pages = [page.page_id for page in world.members(f"Category:{CATEGORY}")]
    world.add_file(
        "New one.jpg", drawing(1, 51), [CATEGORY], licence="CC0", statements=[depicts(LADY, box="pct:1,1,9,9")]
    )
    world.add_file("New two (Pieris rapae).jpg", drawing(2, 52), [CATEGORY], licence="CC0")
    world.taxa.add("Aglais io", "species", qid="Q904", parents=("Q900",))
    world.set_statements(pages[0], [depicts("Q904")])
    world.move_file(pages[1], "File:Moved.jpg")
    world.delete_file(pages[2], user="Deleter", comment="Copy")
    world.replace_file(pages[3], drawing(0, 77))
    world.set_categories(pages[4], [])


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world(8)) as server:
        yield server


def copied(settings: Settings, database: Database, name: str) -> tuple[Settings, Database]:
    """Return settings and database for a copy of an installation on SQLite."""
    folder = settings.data_dir.parent / name
    shutil.copytree(settings.data_dir, folder)
    path = folder / "icones.sqlite"
    here = settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(here)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    own = settings.model_copy(update={"data_dir": folder, "database_url": f"sqlite:///{path}"})
    return own, Database(own.database)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["api", "sparql", "image"])
@pytest.mark.parametrize("is_first", [False, True], ids=["later run", "first run"])
def test_cut_off_at_any_call_the_next_run_ends_in_the_same_state(
    settings: Settings, database: Database, commons: StandInCommons, kind: str, is_first: bool
) -> None:
    pointed = pointed_at(settings, commons).model_copy(update={"wiki_retries": 0})
    campaign = category_campaign(database)
    if not is_first:
        assert run_job(pointed, database, campaign, JobKind.SYNC).state is JobState.DONE
        much_happens(commons.world)
    calm, calm_database = copied(pointed, database, "calm")
    commons.calls.clear()
    assert run_job(calm, calm_database, campaign, JobKind.SYNC).state is JobState.DONE
    n_calls = commons.calls.count(kind)
    expected = state_of(calm_database)
    calm_database.close()
    assert n_calls >= 2
    for cut_at in range(n_calls):
        own, own_database = copied(pointed, database, f"cut-{kind}-{cut_at}")
        cut(commons, kind, cut_at)
        broken = run_job(own, own_database, campaign, JobKind.SYNC)
        commons.faults.clear()
        assert kind != "api" or broken.state is JobState.FAILED
        ended = run_job(own, own_database, campaign, JobKind.SYNC)
        assert ended.state is JobState.DONE, ended.problem
        assert state_of(own_database) == expected, f"cut at {kind} call {cut_at}"
        own_database.close()


def cut(commons: StandInCommons, kind: str, cut_at: int) -> None:
    """Let ``cut_at`` calls of a kind go well and every later one break off."""
    calls = iter(range(1000))

    def is_over(_params: Mapping[str, str]) -> bool:
        return next(calls) >= cut_at

    commons.faults.next(kind, "drop-connection", times=1000, where=is_over)


def test_killed_in_the_middle_nothing_is_lost_and_nothing_is_read_twice(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with StandInCommons(small_world(120)) as commons:
        pointed = pointed_at(settings, commons)
        campaign = category_campaign(database)
        second_batch = iter(range(1000))

        def is_third_reading(params: Mapping[str, str]) -> bool:
            return params.get("action") == "wbgetentities" and next(second_batch) == 2

        commons.faults.next("api", "slow", where=is_third_reading, seconds=60)
        with database.writing() as session:
            run_id = runner.ask(session, JobKind.SYNC, campaign, utc_now()).id or 0
        command = [sys.executable, "-m", "icones", "job", str(run_id)]
        child = subprocess.Popen(command, env=pointed.as_environment())
        end = time.monotonic() + 60
        while n_rows(database, campaign) < 100:
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        commons.faults.clear()
        commons.calls.clear()
        later = utc_now() + runner.SILENT_AFTER + timedelta(seconds=5)
        assert runner.take_up_silent(database, later) == [run_id]
        assert runner.execute(pointed, database, run_id, JOBS) is JobState.DONE
        assert held(database, campaign) == on_the_wiki(commons.world, CATEGORY)
        with database.reading() as session:
            run = session.get_one(JobRun, run_id)
        assert (run.result["files"], run.result["new"], run.attempts) == (120, 20, 2)
        assert commons.calls.count("api") == 2 + 2
        with database.reading() as session:
            ids = [row.id or 0 for row in illustrations.by_key(session, campaign.id or 0).values()]
            assert {len(illustrations.figures(session, one)) for one in ids} == {1}


def n_rows(database: Database, campaign: Campaign) -> int:
    with database.reading() as session:
        return len(illustrations.known_files(session, campaign.id or 0))
