"""What goes wrong on the wire, and what becomes of it: maxlag, limits, gateways, time-outs, nonsense, silence."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from PIL import Image

from tests.support.standin import StandInCommons, World
from wiki_sync import (
    BadAnswerError,
    BannedError,
    Commons,
    PermanentError,
    QueryRefusedError,
    TaxonSource,
    TransientError,
    WikiConfig,
)
from wiki_sync.session import WikiSession

TRANSIENT = ["maxlag", "readonly", "429", "429-no-retry-after", "502-html", "503-html", "drop-connection"]


def config(standin: StandInCommons, folder: Path, **changes: object) -> WikiConfig:
    settings: dict[str, object] = {
        "api_url": standin.api_url,
        "sparql_urls": (standin.sparql_url,),
        "user_agent": "IconesTest/0.1 (https://example.org/icones; icones@example.org)",
        "state_dir": folder,
        "retry_wait_s": 0.01,
        "max_retries": 2,
        "timeout_s": 5.0,
    }
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    world = World()
    world.add_category("Plates")
    out = io.BytesIO()
    Image.new("RGB", (300, 200)).save(out, "JPEG")
    for n in range(3):
        world.add_file(f"Plate {n}.jpg", out.getvalue(), ["Plates"])
    world.taxa.add("Vanessa atalanta", "species", qid="Q900")
    return world


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_passing_trouble_of_the_wiki_is_lived_through(standin: StandInCommons, tmp_path: Path, fault: str) -> None:
    patient = config(standin, tmp_path)
    standin.lag = None
    standin.faults.next("api", fault, times=1, retry_after="0")
    before = time.monotonic()
    assert len(Commons(patient).category("Plates").files) == 3
    assert standin.faults.pending == 0
    assert standin.calls.count("api") == 3  # one of them in vain
    assert time.monotonic() - before < 10


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_lasting_trouble_of_the_wiki_comes_out_as_transient(
    standin: StandInCommons, tmp_path: Path, fault: str
) -> None:
    hasty = config(standin, tmp_path, max_retries=1, retry_max_s=2.0)
    standin.faults.next("api", fault, times=50, retry_after="0")
    with pytest.raises(TransientError) as caught:
        Commons(hasty).category("Plates")
    assert str(caught.value)
    assert standin.calls.count("api") == (1 if fault == "maxlag" else 2)  # maxlag says five seconds, we have but two


def test_the_wait_that_the_wiki_asked_for_travels_with_the_error(standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("api", "maxlag", times=9)
    with pytest.raises(TransientError, match="maxlag") as caught:
        Commons(config(standin, tmp_path, retry_max_s=1.0)).category("Plates")
    assert caught.value.retry_after == 5.0
    standin.faults.clear()
    standin.faults.next("api", "429", times=9, retry_after="3600")
    with pytest.raises(TransientError, match="too often") as caught:
        Commons(config(standin, tmp_path)).category("Plates")
    assert caught.value.retry_after == 3600.0
    standin.faults.clear()
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    standin.faults.next("api", "429", times=9, retry_after=in_an_hour)
    with pytest.raises(TransientError) as caught:
        Commons(config(standin, tmp_path)).category("Plates")
    assert caught.value.retry_after == pytest.approx(3600, abs=10)


def test_a_lagging_database_is_waited_for(standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("api", "429", times=1, retry_after="0.6")
    before = time.monotonic()
    Commons(config(standin, tmp_path)).mediainfo([1])
    assert 0.6 <= time.monotonic() - before < 5


def test_silence_is_not_listened_to_for_ever(standin: StandInCommons, tmp_path: Path) -> None:
    impatient = config(standin, tmp_path, timeout_s=0.3, max_retries=1)
    standin.faults.next("api", "timeout", times=2, seconds=3.0)
    before = time.monotonic()
    with pytest.raises(TransientError, match="in time"):
        Commons(impatient).category("Plates")
    assert time.monotonic() - before < 2.5


@pytest.mark.parametrize("fault", ["broken-json", "text-200", "empty-200", "404"])
def test_nonsense_from_the_wiki_is_a_bad_answer_and_not_asked_for_again(
    standin: StandInCommons, tmp_path: Path, fault: str
) -> None:
    standin.faults.next("api", fault, times=9)
    with pytest.raises(BadAnswerError):
        Commons(config(standin, tmp_path)).category("Plates")
    assert standin.calls.count("api") == 1


def test_nonsense_in_the_middle_of_a_listing_leaves_no_half_listing(standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("api", "broken-json", where=lambda params: "generator" in params)
    with pytest.raises(BadAnswerError):
        Commons(config(standin, tmp_path)).category("Plates")


def test_being_shut_out_is_said_as_it_is(standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("api", "403-banned", times=9)
    with pytest.raises(BannedError, match="banned until"):
        Commons(config(standin, tmp_path)).category("Plates")
    assert standin.calls.count("api") == 1


def test_a_user_agent_that_says_nothing_is_shut_out(standin: StandInCommons, tmp_path: Path) -> None:
    with pytest.raises(BannedError, match="user-agent"):
        Commons(config(standin, tmp_path, user_agent="python-requests/2.0")).category("Plates")
    with pytest.raises(BannedError):
        TaxonSource(config(standin, tmp_path, user_agent="python-requests/2.0")).taxa(["Q900"])


def test_a_wiki_that_is_not_there_is_transient(tmp_path: Path, standin: StandInCommons) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = config(standin, tmp_path, api_url=f"http://127.0.0.1:{port}/w/api.php", max_retries=1)
    with pytest.raises(TransientError, match="reached"):
        Commons(nowhere).category("Plates")
    away = config(standin, tmp_path, sparql_urls=(f"http://127.0.0.1:{port}/sparql",), max_retries=1)
    with pytest.raises(TransientError, match="reached"):
        TaxonSource(away).taxa(["Q900"])


def test_a_refusal_has_the_wikis_own_words(standin: StandInCommons, tmp_path: Path) -> None:
    with pytest.raises(QueryRefusedError, match=r"nonsense|Unrecognized"):
        WikiSession(config(standin, tmp_path)).ask(action="nonsense")
    with pytest.raises(QueryRefusedError, match="no-such-entity"):
        WikiSession(config(standin, tmp_path)).ask(action="wbgetentities", ids="M1|banana")


def test_every_error_of_the_wiki_is_one_of_ours(standin: StandInCommons, tmp_path: Path) -> None:
    for fault in ("403-banned", "404", "broken-json", "empty-200", "text-200"):
        standin.faults.next("api", fault)
        with pytest.raises(PermanentError):
            Commons(config(standin, tmp_path)).mediainfo([1])


def test_two_wikis_can_be_read_in_one_process(standin: StandInCommons, tmp_path: Path) -> None:
    other_world = World()
    other_world.add_category("Plates")
    other_world.add_file("Other.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", ["Plates"])
    with StandInCommons(other_world) as other:
        first = Commons(config(standin, tmp_path / "first"))
        second = Commons(config(other, tmp_path / "second", user_agent="OtherTest/1 (other@example.org)"))
        assert len(first.category("Plates").files) == 3
        (drawing,) = second.category("Plates").files
        assert drawing.title == "File:Other.svg"
        assert len(first.category("Plates").files) == 3
        assert {call.headers["user-agent"] for call in other.calls.requests} == {"OtherTest/1 (other@example.org)"}


def test_threads_may_share_a_wiki(standin: StandInCommons, tmp_path: Path) -> None:
    commons = Commons(config(standin, tmp_path))
    counts: list[int] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            counts.append(len(commons.category("Plates").files))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert counts == [3] * 6


SPARQL_TRANSIENT = ["429", "429-no-retry-after", "500-timeout", "502-html", "503-html", "drop-connection"]


@pytest.mark.parametrize("fault", SPARQL_TRANSIENT)
def test_a_passing_trouble_of_the_query_service_is_lived_through(
    standin: StandInCommons, tmp_path: Path, fault: str
) -> None:
    standin.faults.next("sparql", fault, retry_after="0")
    assert set(TaxonSource(config(standin, tmp_path)).taxa(["Q900"])) == {"Q900"}
    assert standin.faults.pending == 0


@pytest.mark.parametrize("fault", SPARQL_TRANSIENT)
def test_a_lasting_trouble_of_the_query_service_comes_out_as_transient(
    standin: StandInCommons, tmp_path: Path, fault: str
) -> None:
    standin.faults.next("sparql", fault, times=9, retry_after="0")
    with pytest.raises(TransientError):
        TaxonSource(config(standin, tmp_path)).taxa(["Q900"])
    assert standin.calls.count("sparql") == 3


@pytest.mark.parametrize("fault", ["broken-json", "text-200", "empty-200"])
def test_a_query_service_that_says_200_and_sends_nonsense_is_found_out(
    standin: StandInCommons, tmp_path: Path, fault: str
) -> None:
    standin.faults.next("sparql", fault)
    with pytest.raises(BadAnswerError):
        TaxonSource(config(standin, tmp_path)).taxa(["Q900"])


def test_a_ban_and_a_silence_of_the_query_service(standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("sparql", "403-banned")
    with pytest.raises(BannedError, match="banned until"):
        TaxonSource(config(standin, tmp_path, user_agent=f"{tmp_path.name}/1 (banned@example.org)")).taxa(["Q900"])
    standin.faults.next("sparql", "timeout", seconds=3.0, times=2)
    before = time.monotonic()
    with pytest.raises(TransientError, match="in time"):
        TaxonSource(config(standin, tmp_path, timeout_s=0.3, max_retries=1)).taxa(["Q900"])
    assert time.monotonic() - before < 2.5


def test_the_next_query_service_is_asked_when_the_first_cannot_answer(
    standin: StandInCommons, world: World, tmp_path: Path
) -> None:
    with StandInCommons(world) as spare:
        urls = (standin.sparql_url, spare.sparql_url)
        agent = f"{tmp_path.name}/1 (banned@example.org)"  # a ban stays with who was banned
        both = config(standin, tmp_path, sparql_urls=urls, max_retries=0, user_agent=agent)
        for fault in ("502-html", "text-200", "404", "500-timeout"):
            standin.faults.next("sparql", fault)
            spare.calls.clear()
            assert set(TaxonSource(both).lineages(["Q900"])) == {"Q900"}
            assert standin.faults.pending == 0
            assert spare.calls.count("sparql") == 1
        standin.faults.next("sparql", "403-banned")
        assert set(TaxonSource(both).lineages(["Q900"])) == {"Q900"}
        banned_at = standin.calls.count("sparql")
        assert set(TaxonSource(both).lineages(["Q900"])) == {"Q900"}
        assert standin.calls.count("sparql") == banned_at
        both = config(standin, tmp_path, sparql_urls=urls, max_retries=0)
        spare.faults.next("sparql", "502-html")
        standin.faults.next("sparql", "502-html")
        with pytest.raises(TransientError):
            TaxonSource(both).taxa(["Q900"])
