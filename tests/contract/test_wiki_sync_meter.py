"""What a piece of work asked of the wikis is counted where it leaves, and the wiki's own clock is read."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.standin import StandInCommons, World, depicts
from wiki_sync import CategoryNotFoundError, Changes, CollectionSource, Commons, TransientError, WikiConfig, metered
from wiki_sync.meter import note_time

DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"


@pytest.fixture
def standin() -> Iterator[StandInCommons]:
    world = World(start=datetime(2026, 1, 1, tzinfo=UTC))
    world.add_category("Plates")
    world.add_file("One.svg", DRAWING, ["Plates"], statements=[depicts("Q1")])
    world.add_file("Two.svg", DRAWING, ["Plates"])
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def config(standin: StandInCommons, tmp_path: Path) -> WikiConfig:
    return WikiConfig(
        api_url=standin.api_url,
        sparql_urls=(),
        commons_sparql_urls=(standin.commons_sparql_url,),
        user_agent="IconesTest/0.1 (https://example.org/icones)",
        state_dir=tmp_path / "state",
        retry_wait_s=0.01,
        max_retries=1,
    )


def test_every_request_is_counted_once_in_every_meter_around_it(standin: StandInCommons, config: WikiConfig) -> None:
    with metered() as outer:
        Commons(config).mediainfo([2])
        with metered() as inner:
            Changes(config).category_heads("Plates")
            CollectionSource(config).query("SELECT ?file WHERE { ?file ?p ?o }")
        counted = (outer.api_calls, inner.api_calls, outer.sparql_calls, inner.sparql_calls)
    assert counted == (3, 2, 1, 1)
    assert (standin.calls.count("api"), standin.calls.count("commons-sparql")) == (3, 1)
    Changes(config).heads([2])
    assert outer.api_calls == 3


def test_tries_after_a_failure_are_counted_too(standin: StandInCommons, config: WikiConfig) -> None:
    standin.faults.next("api", "502-html", times=2)
    with metered() as meter, pytest.raises(TransientError):
        Changes(config).heads([2])
    assert meter.api_calls == standin.calls.count("api") == 2
    assert meter.first_time is None


def test_the_wikis_clock_is_that_of_the_first_and_of_the_latest_answer(
    standin: StandInCommons, config: WikiConfig
) -> None:
    with metered() as meter:
        Changes(config).heads([2])
        standin.world.set_clock("2026-02-03T04:05:07Z")
        Changes(config).heads([2])
    first = datetime(2026, 1, 1, tzinfo=UTC)
    assert meter.first_time is not None
    assert (meter.first_time - first).total_seconds() < 60
    assert meter.last_time == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("told", [None, 7, "yesterday"])
def test_an_answer_without_a_readable_clock_changes_nothing(told: object) -> None:
    with metered() as meter:
        note_time({"curtimestamp": told})
    assert (meter.first_time, meter.last_time) == (None, None)


def test_the_work_of_another_thread_is_not_ours(config: WikiConfig) -> None:
    with metered() as meter:
        other = threading.Thread(target=lambda: Changes(config).heads([2]))
        other.start()
        other.join()
    assert meter.api_calls == 0


def test_a_category_states_how_many_files_it_has(standin: StandInCommons, config: WikiConfig) -> None:
    changes = Changes(config)
    with metered() as meter:
        assert changes.category_size("plates") == ("Category:Plates", 2)
    assert meter.api_calls == 1
    standin.world.add_category("Old name")
    old = standin.world.page_by_title("Category:Old name")
    assert old is not None
    standin.world.edit_wikitext(old.page_id, "{{Category redirect|Plates}}")
    assert changes.category_size("Old name") == ("Category:Plates", 2)
    assert changes.category_size("Nowhere") == ("Category:Nowhere", None)
    with pytest.raises(CategoryNotFoundError):
        changes.category_size("|")
