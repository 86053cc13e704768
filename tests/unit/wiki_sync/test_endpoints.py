"""Which query services are asked, and until when one that shut us out is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wiki_sync import SignedOutError, WikiConfig
from wiki_sync.endpoints import BAN, end_of_ban, reason_not_to_ask

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WCQS = "https://commons-query.wikimedia.org/sparql"


def config(**changes: object) -> WikiConfig:
    settings: dict[str, object] = {
        "api_url": "https://commons.wikimedia.org/w/api.php",
        "sparql_urls": (),
        "user_agent": "IconesTest/0 (test@example.org)",
        "state_dir": Path("unused"),
    }
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("You have been banned until 2026-03-02T08:44:59Z, please respect throttling.", "2026-03-02T08:44:59+00:00"),
        ("BANNED UNTIL 2026-03-01T12:00:00.123Z", "2026-03-01T12:00:00.123000+00:00"),
        ("banned until 2026-03-05T00:00", "2026-03-05T00:00:00+00:00"),
        ("Please set a user-agent", (NOW + BAN).isoformat()),
        ("banned until further notice", (NOW + BAN).isoformat()),
        ("", (NOW + timedelta(hours=24)).isoformat()),
    ],
)
def test_a_ban_ends_when_it_says_or_after_a_day(words: str, end: str) -> None:
    assert end_of_ban(words, NOW) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("url", "hosts", "wants"),
    [
        (WCQS, ("commons-query.wikimedia.org",), True),
        ("https://commons-query.wikimedia.org:443/sparql", ("commons-query.wikimedia.org",), True),
        ("http://commons-query.wikimedia.org/sparql", ("commons-query.wikimedia.org",), False),
        ("https://commons-query.wikimedia.org:8443/sparql", ("commons-query.wikimedia.org",), False),
        ("http://127.0.0.1:8443/sparql", ("127.0.0.1:8443",), True),
        ("https://commons-query.wikimedia.org.example.org/sparql", ("commons-query.wikimedia.org",), False),
        (WCQS, (), False),
    ],
)
def test_only_listed_hosts_want_a_sign_in(url: str, hosts: tuple[str, ...], wants: bool) -> None:
    reason = reason_not_to_ask(config(wcqs_hosts=hosts), url, NOW)
    assert isinstance(reason, SignedOutError) == wants
    assert reason_not_to_ask(config(wcqs_hosts=hosts, wcqs_cookie="abc.def=="), url, NOW) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"commons_sparql_urls": ("ftp://example.org",)},
        {"commons_sparql_urls": ("example.org/sparql",)},
        {"wcqs_cookie": "a b"},
        {"wcqs_cookie": "a;b"},
        {"wcqs_cookie": "a\r\nX-Evil: 1"},
        {"wcqs_cookie": "ü"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError) as caught:
        config(**wrong)
    assert str(wrong.get("wcqs_cookie", "\0")) not in str(caught.value)
