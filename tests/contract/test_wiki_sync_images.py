"""Pictures fetched over real HTTP, and all that is refused."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.paths import REPOSITORY
from tests.support.standin import StandInCommons, World
from tests.support.standin.files import STANDARD_STEPS
from wiki_sync import (
    BannedError,
    Commons,
    FileGoneError,
    HostNotAllowedError,
    ImageDownloads,
    ImageTooLargeError,
    NotAnImageError,
    QueryRefusedError,
    TransientError,
    WikiConfig,
    WikiFile,
    standard_width,
)


def config(standin: StandInCommons, folder: Path, **changes: object) -> WikiConfig:
    settings: dict[str, object] = {
        "api_url": standin.api_url,
        "sparql_urls": (),
        "user_agent": "IconesTest/0.1 (https://example.org/icones; icones@example.org)",
        "state_dir": folder,
        "image_hosts": (standin.host,),
        "retry_wait_s": 0.01,
        "max_retries": 2,
        "timeout_s": 5.0,
    }
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((1300, 900), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def world() -> World:
    world = World()
    world.add_category("Plates")
    world.add_file("Plate.jpg", picture(), ["Plates"])
    return world


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def file(standin: StandInCommons, tmp_path: Path) -> WikiFile:
    (found,) = Commons(config(standin, tmp_path)).category("Plates").files
    return found


@pytest.fixture
def downloads(standin: StandInCommons, tmp_path: Path) -> Iterator[ImageDownloads]:
    with ImageDownloads(config(standin, tmp_path)) as opened:
        yield opened


def thumb(file: WikiFile) -> str:
    assert file.thumb_url is not None
    return file.thumb_url


def test_the_smaller_picture_and_the_original_come_whole(
    file: WikiFile, downloads: ImageDownloads, standin: StandInCommons
) -> None:
    with Image.open(io.BytesIO(downloads.fetch(thumb(file)))) as image:
        assert image.size == (file.thumb_width, file.thumb_height)
    assert len(downloads.fetch(file.url)) == file.size_bytes
    agents = {call.headers["user-agent"] for call in standin.calls.requests if call.kind == "image"}
    assert agents == {"IconesTest/0.1 (https://example.org/icones; icones@example.org)"}


@pytest.mark.parametrize("fault", ["429", "429-no-retry-after", "503-html", "drop-connection", "truncated-image"])
def test_a_passing_trouble_is_lived_through(
    file: WikiFile, downloads: ImageDownloads, standin: StandInCommons, fault: str
) -> None:
    standin.faults.next("image", fault, retry_after="0")
    assert downloads.fetch(thumb(file))
    assert standin.faults.pending == 0
    assert standin.calls.count("image") == 2


@pytest.mark.parametrize("fault", ["429", "503-html", "drop-connection", "truncated-image"])
def test_a_lasting_trouble_comes_out_as_transient(
    file: WikiFile, downloads: ImageDownloads, standin: StandInCommons, fault: str
) -> None:
    standin.faults.next("image", fault, times=9, retry_after="0")
    with pytest.raises(TransientError):
        downloads.fetch(thumb(file))
    assert standin.calls.count("image") == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("404", FileGoneError),
        ("403-banned", BannedError),
        ("not-an-image", TransientError),
        ("damaged-image", TransientError),
        ("empty-200", TransientError),
        ("endless-image", ImageTooLargeError),
        ("enormous-image", ImageTooLargeError),
    ],
)
def test_what_will_not_get_better_at_once_is_not_tried_again(
    file: WikiFile, downloads: ImageDownloads, standin: StandInCommons, fault: str, error: type[Exception]
) -> None:
    standin.faults.next("image", fault, times=9)
    with pytest.raises(error):
        downloads.fetch(thumb(file))
    assert standin.calls.count("image") == 1


def test_a_file_deleted_since_it_was_listed_is_gone(world: World, file: WikiFile, downloads: ImageDownloads) -> None:
    world.delete_file(file.page_id)
    with pytest.raises(FileGoneError):
        downloads.fetch(file.url)


def test_a_silent_image_host_is_given_up(file: WikiFile, standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("image", "timeout", seconds=3.0, times=2)
    before = time.monotonic()
    with (
        ImageDownloads(config(standin, tmp_path, timeout_s=0.3, max_retries=1)) as downloads,
        pytest.raises(TransientError, match="in time"),
    ):
        downloads.fetch(thumb(file))
    assert time.monotonic() - before < 2.5


def test_the_limit_of_bytes_is_a_setting(file: WikiFile, standin: StandInCommons, tmp_path: Path) -> None:
    with (
        ImageDownloads(config(standin, tmp_path, max_image_bytes=1000)) as downloads,
        pytest.raises(ImageTooLargeError),
    ):
        downloads.fetch(thumb(file))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://example.org/x.jpg",
        "http://localhost/x.jpg",
        "https://upload.wikimedia.org/x.jpg",  # not in these settings
        "http://user:secret@{host}/x.jpg",
        "http://{host}@example.org/x.jpg",
        "http://{host}.example.org/x.jpg",
        "https://{name}/x.jpg",
        "http://{name}:1/x.jpg",
        "ftp://{host}/x.jpg",
        "file:///etc/passwd",
        "//{host}/x.jpg",
        "",
        "http://[",
    ],
)
def test_only_the_hosts_on_the_list_are_asked(standin: StandInCommons, downloads: ImageDownloads, url: str) -> None:
    address = url.format(host=standin.host, name=standin.host.partition(":")[0])
    with pytest.raises(HostNotAllowedError):
        downloads.fetch(address)
    assert standin.calls.count() == 0


def test_a_redirect_is_followed_on_the_list_and_not_off_it(
    file: WikiFile, standin: StandInCommons, downloads: ImageDownloads, world: World
) -> None:
    standin.faults.next("image", "redirect", location=file.url)
    assert len(downloads.fetch(thumb(file))) == file.size_bytes
    with StandInCommons(world) as elsewhere:
        standin.faults.next("image", "redirect", location=f"{elsewhere.base_url}/w/images/x.jpg")
        with pytest.raises(HostNotAllowedError):
            downloads.fetch(thumb(file))
        assert elsewhere.calls.count() == 0


def test_redirects_without_end_are_given_up(file: WikiFile, standin: StandInCommons, downloads: ImageDownloads) -> None:
    standin.faults.next("image", "redirect", location=thumb(file), times=99)
    with pytest.raises(QueryRefusedError, match="without end"):
        downloads.fetch(thumb(file))
    assert standin.calls.count("image") == 6


def test_plain_host_names_mean_https_on_the_usual_port(standin: StandInCommons, tmp_path: Path) -> None:
    with ImageDownloads(config(standin, tmp_path, image_hosts=("127.0.0.1",))) as downloads:
        for url in (f"http://{standin.host}/x.jpg", "http://127.0.0.1/x.jpg", "http://127.0.0.1:443/x.jpg"):
            with pytest.raises(HostNotAllowedError):
                downloads.fetch(url)


def test_no_more_than_two_are_fetched_at_once(
    file: WikiFile, standin: StandInCommons, downloads: ImageDownloads
) -> None:
    standin.faults.next("image", "slow", times=6, seconds=0.25)
    before = time.monotonic()
    threads = [threading.Thread(target=downloads.fetch, args=(thumb(file),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert standin.calls.count("image") == 6
    assert time.monotonic() - before >= 0.7  # three rounds of two, a quarter of a second each


def ranges(standin: StandInCommons) -> list[str | None]:
    """The part that each request for a picture asked for, None for the whole."""
    return [call.headers.get("range") for call in standin.calls.requests if call.kind == "image"]


def test_an_original_must_have_the_sha1_that_the_wiki_told(
    file: WikiFile, downloads: ImageDownloads, standin: StandInCommons
) -> None:
    data = downloads.fetch(file.url, file.sha1)
    assert hashlib.sha1(data).hexdigest() == file.sha1
    with pytest.raises(TransientError, match="SHA-1"):
        downloads.fetch(file.url, "0" * 40)
    standin.faults.next("image", "damaged-image")
    with pytest.raises(TransientError):
        downloads.fetch(file.url, file.sha1)


def test_a_file_that_is_damaged_at_the_wiki_is_refused_for_good(tmp_path: Path) -> None:
    world = World()
    world.add_category("Plates")
    world.add_file("Cut off.jpg", picture()[:5000], ["Plates"])
    with StandInCommons(world) as standin, ImageDownloads(config(standin, tmp_path)) as downloads:
        (file,) = Commons(config(standin, tmp_path)).category("Plates").files
        with pytest.raises(NotAnImageError, match="damaged"):
            downloads.fetch(file.url, file.sha1)
        with pytest.raises(TransientError, match="damaged"):
            downloads.fetch(file.url)  # whose bytes these are is not known, so they may have come wrong


@pytest.mark.parametrize("is_kept", [False, True])
def test_what_broke_off_goes_on_where_it_stopped(
    file: WikiFile, standin: StandInCommons, tmp_path: Path, is_kept: bool
) -> None:
    folder = tmp_path / "unfinished"
    standin.faults.next("image", "truncated-image", times=2)
    with ImageDownloads(config(standin, tmp_path), folder if is_kept else None) as downloads:
        data = downloads.fetch(file.url, file.sha1)
    assert len(data) == file.size_bytes
    first, second, third = ranges(standin)
    assert first is None
    assert second == f"bytes={file.size_bytes // 2}-"
    assert third == f"bytes={file.size_bytes // 2 + (file.size_bytes - file.size_bytes // 2) // 2}-"
    asked = [call.headers.get("if-range") for call in standin.calls.requests if call.kind == "image"]
    assert (asked[0], asked[1] == asked[2], bool(asked[1])) == (None, True, True)
    assert not list(folder.glob("*"))


def test_a_later_process_goes_on_with_what_an_earlier_one_left(
    file: WikiFile, standin: StandInCommons, tmp_path: Path
) -> None:
    folder = tmp_path / "unfinished"
    never = config(standin, tmp_path, max_retries=0)
    standin.faults.next("image", "truncated-image")
    with ImageDownloads(never, folder) as downloads, pytest.raises(TransientError):
        downloads.fetch(file.url, file.sha1)
    assert [part.suffix for part in folder.iterdir()] == [".part"]
    with ImageDownloads(never, folder) as downloads:
        assert len(downloads.fetch(file.url, file.sha1)) == file.size_bytes
    assert ranges(standin) == [None, f"bytes={file.size_bytes // 2}-"]
    assert not list(folder.iterdir())


def test_a_file_that_changed_meanwhile_comes_whole_and_new(
    file: WikiFile, standin: StandInCommons, world: World, tmp_path: Path
) -> None:
    never, new = config(standin, tmp_path, max_retries=0), picture()
    standin.faults.next("image", "truncated-image")
    with ImageDownloads(never, tmp_path / "unfinished") as downloads:
        with pytest.raises(TransientError):
            downloads.fetch(file.url, file.sha1)
        world.replace_file(file.page_id, new)
        assert downloads.fetch(file.url, hashlib.sha1(new).hexdigest()) == new


@pytest.mark.parametrize("rest", [b"", b"\x00" * 40, b"\xff" * 3_000_000], ids=["empty", "short", "too long"])
@pytest.mark.parametrize("head", ["right", "other address", "other etag", "cut", "none"])
def test_an_unfinished_file_that_cannot_be_trusted_costs_a_try_and_no_more(
    file: WikiFile, standin: StandInCommons, tmp_path: Path, head: str, rest: bytes
) -> None:
    folder = tmp_path / "unfinished"
    standin.faults.next("image", "truncated-image")
    with ImageDownloads(config(standin, tmp_path, max_retries=0), folder) as downloads:
        with pytest.raises(TransientError):
            downloads.fetch(file.url, file.sha1)
        (part,) = folder.iterdir()
        told = json.loads(part.read_bytes().partition(b"\n")[0])
        heads = {
            "right": json.dumps(told),
            "other address": json.dumps(told | {"url": thumb(file)}),
            "other etag": json.dumps(told | {"etag": '"0"'}),
            "cut": json.dumps(told)[:20],
            "none": "",
        }
        part.write_bytes(heads[head].encode() + b"\n" + rest)
        if head == "right" and rest:
            # The bytes are none of the file's: they are found out, and the next time all is well.
            with pytest.raises(TransientError):
                downloads.fetch(file.url, file.sha1)
        assert len(downloads.fetch(file.url, file.sha1)) == file.size_bytes
    assert not list(folder.iterdir())


KILLED = """
import sys
from pathlib import Path
from wiki_sync import ImageDownloads, WikiConfig
config = WikiConfig(api_url=sys.argv[1], sparql_urls=(), user_agent="IconesTest/0.1 (icones@example.org)",
                    state_dir=Path(sys.argv[2]), image_hosts=(sys.argv[3],), retry_wait_s=60)
ImageDownloads(config, Path(sys.argv[2])).fetch(sys.argv[4])
"""


def test_a_kill_in_the_middle_loses_nothing_that_came(file: WikiFile, standin: StandInCommons, tmp_path: Path) -> None:
    folder, half = tmp_path / "unfinished", file.size_bytes // 2
    standin.faults.next("image", "truncated-image")
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, standin.api_url, str(folder), standin.host, file.url], cwd=REPOSITORY
    )
    try:
        deadline = time.monotonic() + 20
        while not any(part.stat().st_size > half for part in folder.glob("*.part")):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with ImageDownloads(config(standin, tmp_path), folder) as downloads:
        assert len(downloads.fetch(file.url, file.sha1)) == file.size_bytes
    assert ranges(standin)[-1] == f"bytes={half}-"


def test_when_one_is_told_to_wait_all_wait(file: WikiFile, standin: StandInCommons, downloads: ImageDownloads) -> None:
    standin.faults.next("image", "429", retry_after="1")
    first = threading.Thread(target=downloads.fetch, args=(thumb(file),))
    before = time.monotonic()
    first.start()
    while standin.calls.count("image") < 1:
        time.sleep(0.01)
    time.sleep(0.2)  # the refusal has arrived
    downloads.fetch(file.url)
    assert time.monotonic() - before >= 0.95
    first.join(10)
    assert standin.calls.count("image") == 3


def test_a_long_wait_is_told_at_once_and_nobody_asks_meanwhile(
    file: WikiFile, standin: StandInCommons, downloads: ImageDownloads
) -> None:
    standin.faults.next("image", "429", retry_after="3600")
    for url in (thumb(file), file.url, file.url):
        with pytest.raises(TransientError) as caught:
            downloads.fetch(url)
        assert 3590 < (caught.value.retry_after or 0) <= 3600
    assert standin.calls.count("image") == 1


@given(st.integers(1, 10_000))
def test_widths_are_rounded_up_to_those_that_the_wiki_serves(wanted: int) -> None:
    width = standard_width(wanted)
    assert width in STANDARD_STEPS
    assert width >= min(wanted, 3840)
    assert all(step >= width for step in STANDARD_STEPS if step >= wanted)
