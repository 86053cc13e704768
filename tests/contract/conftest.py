"""A place to write at, for the contract tests of writing: `kind` is who writes, a person or a bot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.place import Place, a_world
from tests.support.standin import StandInCommons
from wiki_sync import BotWire, PersonWire, Writer


@pytest.fixture
def standin() -> Iterator[StandInCommons]:
    with StandInCommons(a_world()) as running:
        yield running


@pytest.fixture
def place(standin: StandInCommons, tmp_path: Path) -> Place:
    return Place(standin, tmp_path / "state")


@pytest.fixture(params=["person", "bot"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wire(place: Place, kind: str) -> Iterator[PersonWire | BotWire]:
    with place.wire(kind) as made:
        yield made


@pytest.fixture
def writer(place: Place, wire: PersonWire | BotWire) -> Writer:
    return place.writer(wire)


@pytest.fixture
def page(place: Place) -> int:
    return place.new_file()
