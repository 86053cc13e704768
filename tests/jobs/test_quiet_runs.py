"""Runs of the schedule that find all as it was take a line on the desk, not a card each."""

import re
from collections.abc import Callable, Iterator

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from icones.app import create_app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries, runner
from icones.jobs.all import JOBS
from icones.models import Campaign, JobKind, JobRun, JobState, Role
from tests.support.campaigns import drawing
from tests.support.commons import CATEGORY, category_campaign, pointed_at, small_world
from tests.support.people import sign_in
from tests.support.standin import StandInCommons

Carry = Callable[..., JobRun]


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world(3)) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, commons: StandInCommons) -> Settings:
    return pointed_at(settings, commons)


@pytest.fixture
def album(database: Database) -> Campaign:
    return category_campaign(database)


@pytest.fixture
def carry(pointed: Settings, database: Database, album: Campaign) -> Carry:
    """Carry out a run that the schedule, or something else, asked for."""

    def run(kind: JobKind = JobKind.SYNC, trigger: str = "schedule") -> JobRun:
        with database.writing() as session:
            asked = runner.ask(session, kind, album, utc_now(), trigger=trigger)
        runner.execute(pointed, database, asked.id or 0, JOBS)
        with database.reading() as session:
            return session.get_one(JobRun, asked.id)

    return run


@pytest.fixture
def desk(pointed: Settings, database: Database) -> Iterator[Callable[[], str]]:
    with TestClient(create_app(pointed), base_url=pointed.base_url) as client:
        sign_in(client, Role.CURATOR)
        yield lambda: client.get("/c/album/curate").text


def cards(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'<article class="sheet job" id="job-(\d+)"', page)]


def test_what_the_schedule_found_unchanged_is_one_line_a_kind(
    commons: StandInCommons, database: Database, carry: Carry, desk: Callable[[], str]
) -> None:
    first = carry()
    assert (first.state, first.result["nothing_new"]) == (JobState.DONE, False)
    for _ in range(11):
        assert carry().result["nothing_new"]
    carry(JobKind.INVARIANTS)
    page = desk()
    assert cards(page)[-1] == first.id
    assert "11 syncs found nothing new, the last at" in page
    assert "1 check of the database found nothing wrong, at" in page
    commons.world.add_file("New.jpg", drawing(1, 50), [CATEGORY])
    changed, asked = carry(), carry(trigger="person")
    assert [changed.result["nothing_new"], asked.result["nothing_new"]] == [False, True]
    commons.faults.next("api", "502-html", times=20)
    failed = carry()
    commons.faults.clear()
    shown = cards(desk())
    assert {changed.id, asked.id, failed.id, first.id} <= set(shown)
    assert "11 syncs found nothing new" in desk()


def test_only_what_came_after_the_oldest_card_is_counted(
    database: Database, carry: Carry, desk: Callable[[], str]
) -> None:
    carry()
    for _ in range(3):
        carry()
    for _ in range(8):
        carry(trigger="person")
    carry()
    page = desk()
    assert len(cards(page)) == 8
    assert "1 sync found nothing new, at" in page


def test_images_left_for_later_are_told_once(commons: StandInCommons, carry: Carry) -> None:
    commons.faults.next("image", "404", times=99)
    first, second = carry(), carry()
    assert [run.result["later"] for run in (first, second)] == [3, 3]
    assert [run.result["nothing_new"] for run in (first, second)] == [False, True]
    commons.faults.clear()
    assert [carry().result["nothing_new"] for _ in range(2)] == [False, True]


def test_the_latest_run_that_says_something_is_found_among_many(database: Database, album: Campaign) -> None:
    told = [{"members": 0}, {"members": 7, "kept": 1}, *({"kept": 1} for _ in range(40)), {}]
    with database.writing() as session:
        runs = [
            JobRun(campaign_id=album.id, kind=JobKind.TAXA, state=JobState.DONE, result=result, created_at=utc_now())
            for result in told
        ]
        failed = JobRun(
            campaign_id=album.id,
            kind=JobKind.TAXA,
            state=JobState.FAILED,
            result={"members": 9},
            created_at=utc_now(),
        )
        session.add_all([*runs, failed])
        session.flush()
        meant = runs[1].id
        assert len(session.exec(select(JobRun)).all()) == len(told) + 1
    with database.reading() as session:
        found = queries.last_with_result(session, album.id or 0, JobKind.TAXA, "members")
        assert found is not None
        assert found.id == meant
        assert list(session.identity_map.values()) == [found]  # the others, with their logs, were not loaded
        assert queries.last_with_result(session, album.id or 0, JobKind.TAXA, "else") is None
        assert queries.last_with_result(session, album.id or 0, JobKind.SYNC, "members") is None
