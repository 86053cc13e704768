"""Query services and their troubles: those open to all, and the one that wants a sign-in."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.support.standin import StandInCommons, World, in_collection
from wiki_sync import (
    BadAnswerError,
    BannedError,
    CollectionSource,
    NoServiceError,
    PermanentError,
    QueryRefusedError,
    SignedOutError,
    TaxonSource,
    TransientError,
    WikiConfig,
)
from wiki_sync.endpoints import reason_not_to_ask

DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
MUSEUM = "Q190804"
SERVICES = ["commons-sparql", "wcqs"]


@pytest.fixture
def world() -> World:
    world = World()
    for n in range(3):
        world.add_file(f"Plate {n}.svg", DRAWING, statements=[in_collection(MUSEUM, f"RP-T-{n}")])
    return world


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


def config(standin: StandInCommons, folder: Path, service: str = "commons-sparql", **changes: object) -> WikiConfig:
    """Settings for one of the two services; each test is somebody else, for a ban stays with who was banned."""
    url = standin.wcqs_url if service == "wcqs" else standin.commons_sparql_url
    settings: dict[str, object] = {
        "api_url": standin.api_url,
        "sparql_urls": (),
        "commons_sparql_urls": (url,),
        "user_agent": f"{folder.name}/0.1 (https://example.org/icones; icones@example.org)",
        "state_dir": folder,
        "retry_wait_s": 0.01,
        "max_retries": 2,
        "timeout_s": 5.0,
    }
    if service == "wcqs":
        settings |= {"wcqs_hosts": (standin.host,), "wcqs_cookie": standin.wcqs.cookie}
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


def count(settings: WikiConfig) -> int:
    return len(CollectionSource(settings).files(MUSEUM))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "fault", ["429", "429-no-retry-after", "500-timeout", "502-html", "200-then-timeout", "drop-connection"]
)
def test_a_passing_trouble_is_lived_through(standin: StandInCommons, tmp_path: Path, service: str, fault: str) -> None:
    settings = config(standin, tmp_path, service)
    standin.faults.next(service, fault, retry_after="0")
    assert count(settings) == 3
    assert standin.faults.pending == 0


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("429", "too often"),
        ("500-timeout", "500"),
        ("502-html", "502"),
        ("200-then-timeout", "ran out of time"),
        ("drop-connection", "reached"),
    ],
)
def test_a_lasting_trouble_is_transient_and_says_which(
    standin: StandInCommons, tmp_path: Path, service: str, fault: str, words: str
) -> None:
    settings = config(standin, tmp_path, service, max_retries=1)
    count(settings)  # signed in, so that the trouble meets the query and not the way to it
    standin.faults.next(service, fault, times=9, retry_after="0")
    with pytest.raises(TransientError, match=words):
        count(settings)
    assert standin.faults.pending == 7


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("fault", "words"), [("broken-json", "cut off"), ("text-200", "text/plain"), ("empty-200", "cut off")]
)
def test_200_is_not_believed(standin: StandInCommons, tmp_path: Path, service: str, fault: str, words: str) -> None:
    settings = config(standin, tmp_path, service)
    count(settings)
    standin.faults.next(service, fault)
    with pytest.raises(BadAnswerError, match=words):
        count(settings)


@pytest.mark.parametrize("service", SERVICES)
def test_the_wait_that_was_asked_for_travels_with_the_error(
    standin: StandInCommons, tmp_path: Path, service: str
) -> None:
    settings = config(standin, tmp_path, service)
    standin.faults.next(service, "429", retry_after="3600")
    with pytest.raises(TransientError) as caught:
        count(settings)
    assert caught.value.retry_after == 3600.0
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    standin.faults.next(service, "429", retry_after=in_an_hour)
    with pytest.raises(TransientError) as caught:
        count(settings)
    assert caught.value.retry_after == pytest.approx(3600, abs=10)


@pytest.mark.parametrize("service", SERVICES)
def test_silence_is_not_listened_to_for_ever(standin: StandInCommons, tmp_path: Path, service: str) -> None:
    settings = config(standin, tmp_path, service, timeout_s=0.3, max_retries=1)
    standin.faults.next(service, "timeout", times=2, seconds=3.0)
    before = time.monotonic()
    with pytest.raises(TransientError, match="in time"):
        count(settings)
    assert time.monotonic() - before < 2.5


@pytest.mark.parametrize("service", SERVICES)
def test_who_shut_us_out_is_left_alone(standin: StandInCommons, tmp_path: Path, service: str) -> None:
    settings = config(standin, tmp_path, service)
    standin.faults.next(service, "403-banned")
    with pytest.raises(BannedError, match="banned until"):
        count(settings)
    asked = standin.calls.count(service)
    with pytest.raises(BannedError, match="until 2036-01-01 00:00 UTC"):
        count(settings)
    assert standin.calls.count(service) == asked
    (url,) = settings.commons_sparql_urls
    end = datetime(2036, 1, 1, tzinfo=UTC)
    assert isinstance(reason_not_to_ask(settings, url, end - timedelta(seconds=1)), BannedError)
    assert reason_not_to_ask(settings, url, end) is None
    assert count(config(standin, tmp_path / "somebody else", service)) == 3


def test_a_ban_leads_to_the_next_service_without_asking_the_first(
    standin: StandInCommons, world: World, tmp_path: Path
) -> None:
    with StandInCommons(world) as spare:
        both = config(standin, tmp_path, commons_sparql_urls=(standin.commons_sparql_url, spare.commons_sparql_url))
        standin.faults.next("commons-sparql", "403-banned")
        assert [count(both), count(both)] == [3, 3]
        assert standin.calls.count("commons-sparql") == 1
        spare.faults.next("commons-sparql", "502-html", times=9)
        with pytest.raises(TransientError):  # worth another try, which a ban is not
            count(both)


def test_files_and_taxa_are_asked_of_different_services(standin: StandInCommons, world: World, tmp_path: Path) -> None:
    world.taxa.add("Vanessa atalanta", "species", qid="Q900")
    settings = config(standin, tmp_path, sparql_urls=(standin.sparql_url,))
    assert count(settings) == 3
    assert (standin.calls.count("sparql"), standin.calls.count("commons-sparql")) == (0, 1)


# ---- the service that wants a sign-in


def test_signing_in_happens_once_and_by_the_cookie_alone(standin: StandInCommons, tmp_path: Path) -> None:
    settings = config(standin, tmp_path, "wcqs")
    assert [count(settings), count(settings)] == [3, 3]
    paths = [call.path.rpartition("/")[2] for call in standin.calls.requests]
    assert paths == ["sparql", "check_login", "sparql", "sparql"]
    assert {call.method for call in standin.calls.requests} == {"GET"}
    assert {call.headers["user-agent"] for call in standin.calls.requests} == {settings.user_agent}
    assert "authorization" not in standin.calls.requests[0].headers


def test_a_session_that_ended_is_begun_again(standin: StandInCommons, tmp_path: Path) -> None:
    settings = config(standin, tmp_path, "wcqs")
    count(settings)
    standin.wcqs.sessions.clear()
    assert count(settings) == 3


def test_a_sign_in_that_leads_to_a_start_page_is_a_sign_in_too(standin: StandInCommons, tmp_path: Path) -> None:
    standin.wcqs.leads_back = False
    assert count(config(standin, tmp_path, "wcqs")) == 3


def test_a_cookie_that_is_not_accepted_is_said_and_no_other_host_is_asked(
    standin: StandInCommons, tmp_path: Path
) -> None:
    with pytest.raises(SignedOutError, match="wcqsOauth") as caught:
        count(config(standin, tmp_path, "wcqs", wcqs_cookie="an-old-one"))
    assert "an-old-one" not in str(caught.value)
    assert standin.calls.count("wcqs") == standin.calls.count() == 2


@pytest.mark.parametrize("place", ["sign-in", "query"])
def test_a_refusal_on_the_way_to_the_sign_in_is_no_ban(standin: StandInCommons, tmp_path: Path, place: str) -> None:
    settings = config(standin, tmp_path, "wcqs")
    standin.faults.next("wcqs", "403-banned", where=lambda params: ("back" in params) == (place == "sign-in"))
    with pytest.raises(SignedOutError if place == "sign-in" else BannedError):
        count(settings)
    asked = standin.calls.count("wcqs")
    if place == "sign-in":
        assert count(settings) == 3
    else:
        with pytest.raises(BannedError):
            count(settings)
        assert standin.calls.count("wcqs") == asked


def test_being_sent_round_in_circles_ends(standin: StandInCommons, tmp_path: Path) -> None:
    standin.faults.next("wcqs", "redirect", times=50, location="/wcqs/sparql")
    with pytest.raises(SignedOutError):
        count(config(standin, tmp_path, "wcqs"))
    assert standin.calls.count("wcqs") < 10


def test_without_a_cookie_the_service_is_passed_over_with_a_reason(standin: StandInCommons, tmp_path: Path) -> None:
    with pytest.raises(SignedOutError, match="no cookie"):
        count(config(standin, tmp_path, "wcqs", wcqs_cookie=""))
    assert standin.calls.count() == 0
    with StandInCommons(standin.world) as other:
        urls = (standin.wcqs_url, other.commons_sparql_url)
        settings = config(standin, tmp_path, "wcqs", wcqs_cookie="", commons_sparql_urls=urls)
        assert count(settings) == 3
        other.faults.next("commons-sparql", "503-html", times=9)
        with pytest.raises(TransientError):
            count(settings)
    assert standin.calls.count() == 0


def test_a_query_that_fits_no_address_is_refused_before_it_is_sent(standin: StandInCommons, tmp_path: Path) -> None:
    long = (
        f"SELECT ?file WHERE {{ ?file wdt:P180 ?x . FILTER(?x NOT IN ({', '.join(f'wd:Q{n}' for n in range(900))})) }}"
    )
    with pytest.raises(QueryRefusedError, match="too long"):
        CollectionSource(config(standin, tmp_path, "wcqs")).query(long)
    assert standin.calls.count() == 0
    assert CollectionSource(config(standin, tmp_path)).query(long) == ()


def test_the_cookie_is_in_no_text(standin: StandInCommons, tmp_path: Path) -> None:
    settings = config(standin, tmp_path, "wcqs", wcqs_cookie="a-secret-of-mine")
    assert "a-secret-of-mine" not in repr(settings)
    with pytest.raises(ValueError) as caught:
        config(standin, tmp_path, "wcqs", wcqs_cookie="a secret; Path=/")
    assert "secret;" not in str(caught.value)


def test_the_cookie_goes_nowhere_but_to_the_service_it_is_for(standin: StandInCommons, tmp_path: Path) -> None:
    settings = config(standin, tmp_path, wcqs_cookie="a-secret-of-mine")
    count(settings)
    assert standin.calls.count() == 1
    assert all("cookie" not in call.headers for call in standin.calls.requests)


def test_the_service_over_an_open_line_is_not_given_the_cookie(tmp_path: Path, standin: StandInCommons) -> None:
    """A host by its name alone means https on its usual port; http on another port is another service."""
    settings = config(standin, tmp_path, "wcqs", wcqs_hosts=("127.0.0.1",))
    with pytest.raises(PermanentError):
        count(settings)
    assert all("cookie" not in call.headers for call in standin.calls.requests)


def test_without_any_service_the_reason_is_told(tmp_path: Path) -> None:
    config = WikiConfig("http://127.0.0.1:9/w/api.php", (), "Icones-test/1 (test@example.org)", tmp_path)
    with pytest.raises(NoServiceError, match="No query service is set"):
        TaxonSource(config).taxa(["Q1"])
    with pytest.raises(NoServiceError, match="No query service that knows the files"):
        CollectionSource(config).files("Q1")
