"""Waiting and trying again, with a clock that is only a list."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from wiki_sync import BadAnswerError, TransientError, WikiConfig
from wiki_sync.retry import seconds_of_retry_after, with_retries

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def config(**changes: float | int) -> WikiConfig:
    return WikiConfig(
        api_url="http://127.0.0.1:9/w/api.php",
        sparql_urls=(),
        user_agent="IconesTest/0 (test@example.org)",
        state_dir=Path("unused"),
        **changes,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_of_retry_after(header, NOW) == seconds


def test_a_busy_moment_is_waited_out_with_doubling_waits() -> None:
    waits: list[float] = []
    answers: list[Exception | str] = [TransientError("busy"), TransientError("busy"), TransientError("busy"), "done"]

    def attempt() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert with_retries(config(retry_wait_s=1.0), attempt, waits.append) == "done"
    assert waits == [1.0, 2.0, 4.0]


def test_the_wait_is_at_least_what_the_other_side_asked_for() -> None:
    waits: list[float] = []
    answers = [TransientError("busy", 7.0), None]

    def attempt() -> None:
        if error := answers.pop(0):
            raise error

    with_retries(config(retry_wait_s=1.0), attempt, waits.append)
    assert waits == [7.0]


def test_a_wait_longer_than_our_patience_is_handed_to_the_caller_at_once() -> None:
    waits: list[float] = []
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise TransientError("come back in an hour", 3600.0)

    with pytest.raises(TransientError) as caught:
        with_retries(config(), attempt, waits.append)
    assert caught.value.retry_after == 3600.0
    assert (len(tries), waits) == (1, [])


def test_after_the_last_try_the_error_itself_comes_out() -> None:
    waits: list[float] = []

    def attempt() -> None:
        raise TransientError("still busy")

    with pytest.raises(TransientError, match="still busy"):
        with_retries(config(max_retries=2, retry_wait_s=1.0), attempt, waits.append)
    assert waits == [1.0, 2.0]


def test_a_permanent_error_is_not_tried_again() -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise BadAnswerError("nonsense")

    with pytest.raises(BadAnswerError):
        with_retries(config(), attempt, lambda _: None)
    assert len(tries) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_url": "commons.wikimedia.org"},
        {"sparql_urls": ("ftp://example.org",)},
        {"user_agent": " "},
        {"user_agent": "Icones\r\nX-Evil: 1"},
        {"languages": ()},
        {"object_number_pattern": "RP-("},
        {"timeout_s": 0.0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {
        "api_url": "https://commons.wikimedia.org/w/api.php",
        "sparql_urls": (),
        "user_agent": "IconesTest/0 (test@example.org)",
        "state_dir": Path("unused"),
    }
    WikiConfig(**right)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        WikiConfig(**{**right, **wrong})  # type: ignore[arg-type]
