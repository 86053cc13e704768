"""Images come in once, whole, within a limit, only from addresses that the wiki gave, and with their makers' names."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from sqlmodel import select
from starlette.testclient import TestClient

from icones.app import create_app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.illustrations.store import ImageStore, Room, name_of
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.models import Campaign, Embedding, Figure, Illustration, IllustrationState, JobKind, JobState, Role
from tests.support.commons import CATEGORY, category_campaign, pointed_at, run_job, small_world
from tests.support.people import sign_in
from tests.support.standin import StandInCommons

READY, LISTED = IllustrationState.READY, IllustrationState.LISTED
LONG_AGO = timedelta(days=30)


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world()) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, commons: StandInCommons) -> Settings:
    return pointed_at(settings, commons)


@pytest.fixture
def store(settings: Settings) -> ImageStore:
    return ImageStore(settings.data_dir / "images")


def rows_of(database: Database, campaign_id: int | None) -> list[Illustration]:
    with database.reading() as session:
        return sorted(illustrations.by_key(session, campaign_id or 0).values(), key=lambda row: row.title)


def noise(seed: int, size: tuple[int, int] = (1300, 400)) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 60 + seed).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def bytes_in(store: ImageStore) -> int:
    return sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())


def put_back(path: Path, by: timedelta = LONG_AGO) -> None:
    moment = (utc_now() - by).timestamp()
    os.utime(path, (moment, moment))


@pytest.mark.parametrize(("wanted", "served"), [(960, 960), (1000, 1280), (300, 330)])
def test_only_addresses_that_the_wiki_gave_are_asked(
    pointed: Settings, database: Database, commons: StandInCommons, wanted: int, served: int
) -> None:
    commons.world.add_file("A broad plate.jpg", noise(1), [CATEGORY])
    campaign = category_campaign(database)
    run = run_job(pointed.model_copy(update={"image_width": wanted}), database, campaign, JobKind.SYNC)
    assert (run.state, run.result["images"]) == (JobState.DONE, 10), run.log
    rows = rows_of(database, campaign.id)
    given = {urlsplit(row.thumb_url).path for row in rows}
    assert {call.path for call in commons.calls.requests if call.kind == "image"} == given
    assert f"/{served}px-" in rows[0].thumb_url
    assert ("ICONES_IMAGE_WIDTH" in run.log) == (wanted != served)


def test_an_original_that_is_here_already_is_not_fetched_again(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    page = commons.world.page_by_title("File:Plate 03, RP-T-BR-2017-1-3.jpg")
    assert page is not None
    assert page.file is not None
    commons.world.add_file("The same again.jpg", page.file.read(), [CATEGORY])
    first, second = (category_campaign(database, slug=slug) for slug in ("album", "another"))
    run = run_job(pointed, database, first, JobKind.SYNC)
    assert (run.result["images"], run.result["shared"], commons.calls.count("image")) == (10, 1, 9)
    run = run_job(pointed, database, second, JobKind.SYNC)
    assert (run.result["images"], run.result["shared"], commons.calls.count("image")) == (10, 10, 9)
    names = [[(row.state, row.image_sha1) for row in rows_of(database, one.id)] for one in (first, second)]
    assert names[0] == names[1]
    assert len({name for _, name in names[0]}) == 9


def test_a_copy_that_is_lost_is_fetched_again(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore
) -> None:
    first = category_campaign(database)
    run_job(pointed, database, first, JobKind.SYNC)
    store.path(rows_of(database, first.id)[0].image_sha1).unlink()
    second = category_campaign(database, slug="another")
    run = run_job(pointed, database, second, JobKind.SYNC)
    assert (run.result["shared"], commons.calls.count("image")) == (8, 10)
    assert store.path(rows_of(database, first.id)[0].image_sha1).is_file()


def test_new_bytes_are_fetched_and_the_old_copy_stays_while_a_vector_is_made_from_it(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore
) -> None:
    campaign = category_campaign(database)
    run_job(pointed, database, campaign, JobKind.SYNC)
    run_job(pointed, database, campaign, JobKind.EMBED)
    before = rows_of(database, campaign.id)[0]
    commons.world.replace_file(int((before.mid or "M0")[1:]), noise(2, (300, 200)))
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.result["changed"], run.result["images"]) == (1, 1)
    after = rows_of(database, campaign.id)[0]
    assert (after.state, after.image_sha1 != before.image_sha1) == (READY, True)
    put_back(store.path(before.image_sha1))
    tight = pointed.model_copy(update={"image_cache_bytes": 1})
    run_job(tight, database, campaign, JobKind.SYNC)
    assert store.path(before.image_sha1).is_file()
    run_job(pointed, database, campaign, JobKind.EMBED)
    run = run_job(tight, database, campaign, JobKind.SYNC)
    assert not store.path(before.image_sha1).exists()
    assert "nothing refers to: 1." in run.log
    assert all(store.path(row.image_sha1).is_file() for row in rows_of(database, campaign.id))
    with database.reading() as session:
        assert len(session.exec(select(Embedding)).all()) == len(session.exec(select(Figure)).all())


@pytest.mark.parametrize("fault", ["damaged-image", "truncated-image", "drop-connection", "503-html"])
def test_what_came_broken_comes_with_the_next_sync(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore, fault: str
) -> None:
    campaign = category_campaign(database)
    commons.faults.next("image", fault, times=24)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    commons.faults.clear()
    assert (run.state, run.result["refused"]) == (JobState.DONE, 0)
    assert run.result["later"] >= 1
    assert "could not be fetched now" in run.log
    kept = {row.image_sha1 for row in rows_of(database, campaign.id) if row.state is READY}
    assert {file.path.stem for file in store.files() if not file.is_unfinished} == kept
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert run.result["later"] == 0
    assert {row.state for row in rows_of(database, campaign.id)} == {READY}
    assert not list(store.unfinished.glob("*"))
    for row in rows_of(database, campaign.id):
        with Image.open(store.path(row.image_sha1)) as image:
            image.load()


@pytest.mark.parametrize("fault", ["endless-image", "enormous-image"])
def test_what_is_too_large_is_refused_and_leaves_nothing(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore, fault: str
) -> None:
    campaign = category_campaign(database)
    commons.faults.next("image", fault)
    run = run_job(pointed.model_copy(update={"max_image_bytes": 200_000}), database, campaign, JobKind.SYNC)
    assert (run.result["refused"], run.result["images"]) == (1, 8)
    assert "limit" in next(row.problem for row in rows_of(database, campaign.id) if row.problem)
    assert not list(store.unfinished.glob("*"))


def test_when_told_to_come_back_in_an_hour_nobody_knocks_again(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    commons.faults.next("image", "429", times=99, retry_after="3600")
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.state, run.result["later"]) == (JobState.DONE, 9)
    assert commons.calls.count("image") <= 2  # two were on their way together
    assert "come back later" in run.log
    assert {row.state for row in rows_of(database, campaign.id)} == {LISTED}


def test_a_full_store_stops_the_fetching_and_says_so_on_the_desk(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore
) -> None:
    campaign = category_campaign(database)
    run_job(pointed, database, campaign, JobKind.SYNC)
    shown = {row.image_sha1 for row in rows_of(database, campaign.id)}
    commons.calls.clear()
    for seed in range(20):
        commons.world.add_file(f"Wide {seed}.jpg", noise(seed), [CATEGORY])
    limit = bytes_in(store) + len(noise(1))
    run = run_job(pointed.model_copy(update={"image_cache_bytes": limit}), database, campaign, JobKind.SYNC)
    assert run.state is JobState.DONE
    assert run.result["later"] >= 18
    assert commons.calls.count("image") <= 4
    assert bytes_in(store) <= limit
    assert all(store.path(name).is_file() for name in shown)
    with TestClient(create_app(pointed), base_url=pointed.base_url) as client:
        sign_in(client, Role.CURATOR)
        desk = client.get("/c/album/curate").text
    assert f"{run.result['later']} to be tried again" in desk
    assert "The image store is full" in desk
    assert "ICONES_IMAGE_CACHE_BYTES" in desk
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert {row.state for row in rows_of(database, campaign.id)} == {READY}


def filled(store: ImageStore, days: list[int]) -> tuple[str, list[Path]]:
    """A store with one image and a smaller copy for each entry, last asked for so many days ago."""
    name = store.put(noise(3))
    small = [store.thumbnail(name, side) for side in range(100, 100 + len(days))]
    for path, ago in zip(small, days, strict=True):
        put_back(path, timedelta(days=ago))
    return name, small


def test_smaller_copies_go_first_the_longest_unused_before_the_others(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    name, small = filled(store, [3, 9, 1, 7, 5])
    store.thumbnail(name, 101)  # asked for once more: the oldest is now the newest
    limit = bytes_in(store)
    room = Room(store, limit, lambda: {name}, utc_now())
    assert room.put(noise(4, (60, 40))) is not None
    left = [path for path in small if path.exists()]
    assert left
    assert len(left) < 5
    assert small[1] in left
    assert left == [path for path in small if path in {small[1], *[small[at] for at in (2, 0, 4)[: len(left) - 1]]}]
    assert store.path(name).is_file()
    assert bytes_in(store) == room.taken <= limit


@pytest.mark.parametrize("limit", [0, 10**9])
def test_with_room_nothing_is_thrown_away(tmp_path: Path, limit: int) -> None:
    store = ImageStore(tmp_path)
    _, small = filled(store, [30, 20])
    room = Room(store, limit, set, utc_now())
    assert room.put(noise(4)) is not None
    assert all(path.exists() for path in small)
    assert room.thrown_away == 0


def test_a_copy_kept_lately_waits_for_its_illustration(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    old, lately = store.put(noise(5)), store.put(noise(6))
    put_back(store.path(old))
    again = store.put(noise(7))
    put_back(store.path(again))
    content = store.path(again).read_bytes()
    room = Room(store, bytes_in(store), set, utc_now())
    assert room.put(content) == again  # kept once more: it is young again
    assert room.put(noise(8, (60, 40))) is not None
    assert not store.path(old).exists()
    assert store.path(lately).is_file()
    assert store.path(again).is_file()


def test_what_was_left_behind_is_swept_and_what_is_young_stays(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    name = store.put(noise(9))
    store.unfinished.mkdir()
    left = [store.unfinished / "a.part", store.path(name).parent / ".new-a"]
    young = [store.unfinished / "b.part", store.path(name).parent / ".new-b"]
    for path in (*left, *young):
        path.write_bytes(b"x")
    for path in left:
        put_back(path)
    assert store.sweep(utc_now()) == 2
    assert [path.exists() for path in (*left, *young)] == [False, False, True, True]
    assert store.path(name).is_file()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_kill_in_the_middle_of_a_sync_leaves_nothing_half_written_and_little_to_do_again(
    pointed: Settings, database: Database, commons: StandInCommons, store: ImageStore
) -> None:
    campaign = category_campaign(database)
    commons.faults.next("image", "truncated-image", times=2)
    slow = pointed.model_copy(update={"wiki_retry_wait_s": 60.0})
    code = (
        "import sys; from icones.config import Settings; from icones.db import Database; "
        "from icones.jobs.all import JOBS; from icones.jobs import runner; settings = Settings(_env_file=None); "
        "runner.execute(settings, Database(settings.database), int(sys.argv[1]), JOBS)"
    )
    asked = queued(database, campaign.id)
    child = subprocess.Popen([sys.executable, "-c", code, str(asked)], env=slow.as_environment())
    try:
        until(lambda: sum(path.stat().st_size > 1000 for path in store.unfinished.glob("*.part")) == 2, child)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    for row in rows_of(database, campaign.id):
        assert (row.state is READY) == bool(row.image_sha1)
    assert all(name_of(file.path.read_bytes()) == file.path.stem for file in store.files() if file.is_kept)
    commons.calls.clear()
    run = run_again(pointed, database, asked)
    assert run == JobState.DONE
    assert {row.state for row in rows_of(database, campaign.id)} == {READY}
    parts = [call.headers.get("range") for call in commons.calls.requests if call.kind == "image"]
    assert sum(part is not None for part in parts) == 2
    assert not list(store.unfinished.glob("*"))


def queued(database: Database, campaign_id: int | None) -> int:
    with database.writing() as session:
        return runner.ask(session, JobKind.SYNC, session.get_one(Campaign, campaign_id), utc_now()).id or 0


def run_again(settings: Settings, database: Database, run_id: int) -> JobState:
    assert runner.take_up_silent(database, utc_now() + timedelta(minutes=5)) == [run_id]
    return runner.execute(settings, database, run_id, JOBS)


def until(happened: Callable[[], bool], child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.02)


def test_maker_source_and_licence_stand_beside_every_large_image(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    commons.world.add_category("Signed")
    commons.world.add_file(
        "Signed.jpg",
        noise(1, (400, 300)),
        ["Signed"],
        artist_html='<a href="javascript:alert(1)">Ann &amp; <b>Ben</b></a><script>alert(2)</script> &lt;i&gt;',
        licence="CC BY-SA 4.0",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0",
    )
    campaign = category_campaign(database, "Signed", slug="signed")
    run_job(pointed, database, campaign, JobKind.SYNC)
    (row,) = rows_of(database, campaign.id)
    with database.reading() as session:
        (figure,) = illustrations.figures(session, row.id or 0)
    with TestClient(create_app(pointed), base_url=pointed.base_url) as client:
        sign_in(client, Role.SPECIALIST)
        sign_in(client, Role.CURATOR)
        paths = (f"tag?figure={figure.id}", f"i/{row.id}", f"f/{figure.id}", f"f/{figure.id}/similar")
        pages = [client.get(f"/c/signed/{path}").text for path in (*paths, f"review?figure={figure.id}")]
    line = (
        f'Ann &amp; Ben &lt;i&gt;, <a href="{row.page_url}">via Wikimedia Commons</a>, '
        '<a href="https://creativecommons.org/licenses/by-sa/4.0" rel="license">CC BY-SA 4.0</a>'
    )
    for page in pages:
        assert line in page
        assert "alert(" not in page
        assert "<i>" not in page


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({}, "author not told by the source, licence not told by the source"),
        ({"artist": "<b>Ann</b>", "licence": "CC0"}, "&lt;b&gt;Ann&lt;/b&gt;, CC0"),
        ({"credit": "Naturalis", "licence": "CC0", "licence_url": "javascript:alert(1)"}, "Naturalis, CC0"),
        (
            {"uploader": "Ann <b>", "licence": "CC0"},
            "author not told by the source, uploaded by Ann &lt;b&gt;, CC0",
        ),
        ({"credit": "Own work", "uploader": "Ann", "licence": "CC0"}, "Own work, uploaded by Ann, CC0"),
        ({"artist": "Ben", "uploader": "Ann", "licence": "CC0"}, "Ben, CC0"),
    ],
)
def test_what_the_source_did_not_tell_is_said_and_what_it_wrote_is_never_markup(
    pointed: Settings, database: Database, told: dict[str, str], line: str
) -> None:
    campaign = category_campaign(database)
    run_job(pointed, database, campaign, JobKind.SYNC)
    assert rows_of(database, campaign.id)[0].uploader == "Uploader"
    blank = {"artist": "", "credit": "", "uploader": "", "licence": "", "licence_url": "", "page_url": ""}
    with database.writing() as session:
        row = session.get_one(Illustration, rows_of(database, campaign.id)[0].id)
        for name, value in {**blank, **told}.items():
            setattr(row, name, value)
        session.add(row)
    with TestClient(create_app(pointed), base_url=pointed.base_url) as client:
        page = client.get(f"/c/album/i/{row.id}").text
    assert f'<div class="credit">{line}</div>' in page
    assert "javascript:" not in page
