"""What is shown was made from the file that is listed; what is lost comes again; the store keeps within its limit."""

import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as configured
from hypothesis import strategies as st
from PIL import Image

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import mirror
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.mirror import ReadFile
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.models import Campaign, Illustration, IllustrationState, JobKind, JobRun, JobState
from tests.support.commons import CATEGORY, category_campaign, pointed_at, run_job, small_world
from tests.support.standin import StandInCommons

READY, LISTED, GONE = IllustrationState.READY, IllustrationState.LISTED, IllustrationState.GONE


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world(3)) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, commons: StandInCommons) -> Settings:
    return pointed_at(settings, commons)


@pytest.fixture
def store(settings: Settings) -> ImageStore:
    return ImageStore(settings.data_dir / "images")


def synced(settings: Settings, database: Database, campaign: Campaign, **wishes: bool) -> JobRun:
    run = run_job(settings, database, campaign, JobKind.SYNC, **wishes)
    assert run.state is JobState.DONE, run.problem
    return run


def rows_of(database: Database, campaign: Campaign) -> list[Illustration]:
    with database.reading() as session:
        return sorted(illustrations.by_key(session, campaign.id or 0).values(), key=lambda row: row.title)


def other_picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((320, 200), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def page_id_of(row: Illustration) -> int:
    return int((row.mid or "M0")[1:])


def test_a_file_with_new_bytes_that_leaves_and_comes_back_waits_for_its_new_image(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    synced(pointed, database, campaign)
    before = rows_of(database, campaign)[0]
    page_id = page_id_of(before)
    commons.world.replace_file(page_id, other_picture())
    commons.faults.next("image", "503-html", times=99)
    states = []
    for categories in ([CATEGORY], [], [CATEGORY]):
        commons.world.set_categories(page_id, categories)
        synced(pointed, database, campaign)
        row = rows_of(database, campaign)[0]
        states.append((row.state, row.image_sha1 == before.image_sha1))
    assert states == [(LISTED, True), (GONE, True), (LISTED, True)]
    commons.faults.clear()
    # Another campaign must not take the old copy for one of the new file either.
    second = category_campaign(database, slug="second")
    run = synced(pointed, database, second)
    assert (run.result["images"], run.result["shared"]) == (3, 2)
    run = synced(pointed, database, campaign)
    assert (run.result["images"], run.result["shared"]) == (1, 1)
    after = [rows_of(database, one)[0] for one in (campaign, second)]
    assert {(row.state, row.problem, row.fetched_sha1 == row.sha1) for row in after} == {(READY, "", True)}
    assert {row.image_sha1 != before.image_sha1 for row in after} == {True}


def test_a_file_whose_old_bytes_are_put_back_is_shown_at_once(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    synced(pointed, database, campaign)
    row = rows_of(database, campaign)[0]
    old = commons.world.pages[page_id_of(row)].file
    assert old is not None
    content = old.read()
    commons.faults.next("image", "503-html", times=99)
    commons.world.replace_file(page_id_of(row), other_picture())
    synced(pointed, database, campaign)
    commons.world.replace_file(page_id_of(row), content)
    assert rows_of(database, campaign)[0].state is LISTED
    synced(pointed, database, campaign)
    after = rows_of(database, campaign)[0]
    assert (after.state, after.image_sha1) == (READY, row.image_sha1)


EVENTS = st.lists(st.sampled_from(["upload", "leave", "return", "read", "begin", "end", "refuse", "lose"]), max_size=25)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@configured(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_in_whatever_order_things_happen_what_is_ready_was_made_from_the_listed_file(
    database: Database, events: list[str]
) -> None:
    now = utc_now()
    made = category_campaign(database, slug=f"album-{uuid.uuid4().hex}")
    with database.writing() as session:
        campaign = session.get_one(Campaign, made.id)
        version, is_listed, begun = 0, True, ""
        for event in ["read", *events]:
            row = illustrations.by_keys(session, campaign.id or 0, ["M1"]).get("M1")
            key = row.id or 0 if row else 0
            if event == "upload":
                version += 1
            elif event in ("leave", "return"):
                is_listed = event == "return"
                if not is_listed:
                    mirror.mark_gone(session, {key: "It left."}, now)
            elif event == "begin" and row is not None:
                begun = row.sha1
            elif event == "end" and begun:
                illustration_service.image_fetched(session, key, f"copy of {begun}", begun)
            elif event == "refuse" and row is not None and row.state is LISTED:
                illustration_service.image_refused(session, key, "It is damaged.")
            elif event == "lose":
                illustration_service.images_lost(session, [key])
            if is_listed and event in ("read", "return"):
                listed = Listed(key="M1", mid="M1", title="One.jpg", sha1=f"file {version}")
                mirror.take_in(session, campaign, [ReadFile(listed)], now)
            session.flush()
            held = illustrations.by_keys(session, campaign.id or 0, ["M1"])["M1"]
            assert held.state is not READY or held.image_sha1 == f"copy of {held.sha1}", event
            assert (held.state is GONE) != is_listed


@pytest.mark.parametrize("is_back", [False, True])
def test_images_that_were_lost_come_again_with_the_next_sync(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore, is_back: bool
) -> None:
    campaign = category_campaign(database)
    synced(pointed, database, campaign)
    names = [row.image_sha1 for row in rows_of(database, campaign)]
    contents = {path: path.read_bytes() for path in (store.path(name) for name in names)}
    store.path(names[0]).unlink()
    store.path(names[1]).write_bytes(b"")
    commons.faults.next("image", "503-html", times=99)
    run = synced(pointed, database, campaign)
    assert (run.result["images"], run.result["later"]) == (0, 2)
    assert [row.state for row in rows_of(database, campaign)] == [LISTED, LISTED, READY]
    commons.faults.clear()
    commons.calls.clear()
    if is_back:  # the disk was found
        put_all(contents)
    run = synced(pointed, database, campaign)
    assert (run.result["images"], run.result["later"]) == (2, 0)
    assert commons.calls.count("image") == (0 if is_back else 2)
    assert {(row.state, row.problem) for row in rows_of(database, campaign)} == {(READY, "")}
    assert {path: path.read_bytes() for path in contents} == contents


def put_all(contents: dict[Path, bytes]) -> None:
    for path, content in contents.items():
        path.write_bytes(content)


def test_shut_out_by_the_image_host_nothing_is_refused_and_nobody_knocks_for_long(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    for place in range(12):
        commons.world.add_file(f"More {place:02d}.jpg", other_picture() + bytes([place]), [CATEGORY])
    campaign = category_campaign(database)
    commons.faults.next("image", "403-banned", times=99)
    run = synced(pointed, database, campaign)
    assert (run.result["later"], run.result["refused"], run.result["images"]) == (15, 0, 0)
    assert 5 <= commons.calls.count("image") <= 6  # two were on their way together
    assert "was not asked any further" in run.log
    assert all("shut us out" in row.problem for row in rows_of(database, campaign))
    commons.faults.clear()
    assert synced(pointed, database, campaign).result["images"] == 15


def test_every_night_the_store_is_brought_within_its_limit_without_any_sync(
    settings: Settings, database: Database, campaign: Campaign, store: ImageStore
) -> None:
    shown = [store.path(row.image_sha1) for row in rows_of(database, campaign)]
    derived = [store.thumbnail(path.stem, 100) for path in shown]
    for path in derived[:-1]:
        age(path)
    limit = sum(path.stat().st_size for path in (*shown, *derived)) - 1
    run = run_job(settings.model_copy(update={"image_cache_bytes": limit}), database, campaign, JobKind.INVARIANTS)
    assert (run.state, run.result["broken"]) == (JobState.DONE, {})
    assert run.result["files_removed"] == sum(not path.exists() for path in derived) >= 1
    assert "thrown away" in run.log
    assert all(path.is_file() for path in (*shown, derived[-1]))
    assert "more than its" not in run.log
    run = run_job(settings.model_copy(update={"image_cache_bytes": 1000}), database, campaign, JobKind.INVARIANTS)
    assert "ICONES_IMAGE_CACHE_BYTES" in run.log
    assert all(path.is_file() for path in shown)
    assert run_job(settings, database, campaign, JobKind.INVARIANTS).result["files_removed"] == 0


def age(path: Path) -> None:
    os.utime(path, (1_700_000_000, 1_700_000_000))
