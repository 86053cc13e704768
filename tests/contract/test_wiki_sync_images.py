"""Pictures fetched over real HTTP, and all that is refused."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.standin import StandInCommons, World
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
        ("not-an-image", NotAnImageError),
        ("damaged-image", NotAnImageError),
        ("empty-200", NotAnImageError),
        ("endless-image", ImageTooLargeError),
        ("enormous-image", ImageTooLargeError),
    ],
)
def test_what_will_not_get_better_is_not_tried_again(
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
