"""What the tests of pushes begin with."""

from collections.abc import Iterator

import pytest

from icones.config import Settings
from icones.db import Database
from icones.models import Writes
from tests.support.standin import StandInCommons
from tests.support.writing import Desk, writing_world


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    """A stand-in Commons with three files that say nothing, and the bot's account."""
    with StandInCommons(writing_world(3)) as server:
        yield server


@pytest.fixture
def desk(settings: Settings, database: Database, commons: StandInCommons) -> Desk:
    """A campaign of three files that say nothing, which writes with a bot."""
    return Desk.opened(settings, database, commons, Writes.BOT)
