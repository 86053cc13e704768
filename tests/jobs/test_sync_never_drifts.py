"""Anything may happen to the files, in any order and between any two syncs: what we hold is what the wiki has."""

import random
from collections.abc import Callable, Iterator

import pytest

from icones.config import Settings
from icones.db import Database
from icones.models import JobKind, JobState, SourceKind
from tests.support.campaigns import drawing
from tests.support.commons import (
    ADMIRAL,
    CATEGORY,
    LADY,
    WHITE,
    category_campaign,
    listed_campaign,
    pointed_at,
    run_job,
    small_world,
)
from tests.support.mirrors import held, of_page, on_the_wiki
from tests.support.standin import StandInCommons, World, depicts
from tests.support.standin.statements import Statement

ROUNDS = 8
BELOW = "Plates below"
PICTURES = [drawing(kind, kind) for kind in range(3)]


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    world = small_world(0)
    world.add_category(BELOW, [CATEGORY])
    with StandInCommons(world) as server:
        yield server


class Fate:
    """Does one thing after the other to the files of a world."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world = world
        self._dice = dice
        self._count = 0

    def upload(self) -> int:
        """Add a file to the category, to the one below, or to neither."""
        self._count += 1
        return self._world.add_file(
            f"Plate {self._count:04d}.jpg",
            self._dice.choice(PICTURES),
            self._dice.choice([[CATEGORY], [CATEGORY], [BELOW], [CATEGORY, BELOW], []]),
            licence="CC0",
            statements=self._statements(),
        )

    def strike(self) -> None:
        """Let something happen."""
        events: list[Callable[[], object]] = [
            self.upload, self._state, self._state, self._describe, self._rename, self._replace, self._recategorize,
            self._delete, self._undelete, self._wait, self._forget_data, self._redirect,
        ]  # fmt: skip
        self._dice.choice(events)()

    def _statements(self) -> list[Statement]:
        wanted = self._dice.sample([ADMIRAL, LADY, WHITE], self._dice.randint(0, 2))
        return [depicts(qid, rank=self._dice.choice(["normal", "preferred", "deprecated"])) for qid in wanted]

    def _one(self) -> int:
        files = [one.page_id for one in self._world.pages.values() if one.file is not None and not one.redirect_to]
        return self._dice.choice(files) if files else self.upload()

    def _state(self) -> None:
        self._world.set_statements(self._one(), self._statements())

    def _forget_data(self) -> None:
        self._world.set_entity(self._one(), None)

    def _describe(self) -> None:
        self._world.edit_wikitext(self._one(), f"Text {self._dice.random()}")

    def _rename(self) -> None:
        self._count += 1
        self._world.move_file(self._one(), f"File:Renamed {self._count:04d}.jpg", self._dice.random() < 0.5)

    def _replace(self) -> None:
        self._world.replace_file(self._one(), self._dice.choice(PICTURES))

    def _recategorize(self) -> None:
        page_id = self._one()
        self._world.edit_wikitext(page_id, f"Categories {self._dice.random()}")
        self._world.set_categories(page_id, self._dice.choice([[], [CATEGORY], [BELOW]]))

    def _delete(self) -> None:
        self._world.delete_file(self._one(), comment="Out of scope")

    def _undelete(self) -> None:
        back = [one for one, page in self._world.deleted.items() if page.title not in self._world.titles]
        if back:
            self._world.undelete_file(self._dice.choice(back))

    def _redirect(self) -> None:
        page, other = self._world.pages[self._one()], self._world.pages[self._one()]
        if page is not other:
            page.redirect_to = other.title
            self._world.edit_wikitext(page.page_id, f"#REDIRECT [[{other.title}]]")

    def _wait(self) -> None:
        day = int(self._world.now[8:10])
        if day < 25:
            self._world.set_clock(f"2026-01-{day + 1:02d}T12:00:00Z")
            self._world.tick()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(6))
def test_a_category_with_one_below_never_drifts(
    settings: Settings, database: Database, commons: StandInCommons, seed: int
) -> None:
    dice = random.Random(seed)
    fate = Fate(commons.world, dice)
    for _ in range(12):
        fate.upload()
    campaign = category_campaign(database, depth=1)
    pointed = pointed_at(settings, commons)
    for _ in range(ROUNDS):
        run = run_job(pointed, database, campaign, JobKind.SYNC, accept_loss=True)
        assert run.state is JobState.DONE, run.problem
        assert held(database, campaign) == on_the_wiki(commons.world, CATEGORY, BELOW)
        for _ in range(dice.randint(0, 7)):
            fate.strike()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(6))
def test_a_list_never_drifts_and_is_mostly_followed_by_recent_changes(
    settings: Settings, database: Database, commons: StandInCommons, seed: int
) -> None:
    dice = random.Random(100 + seed)
    world = commons.world
    fate = Fate(world, dice)
    files = [fate.upload() for _ in range(105)]
    campaign = listed_campaign(database, SourceKind.FILES, "\n".join(f"M{page_id}" for page_id in files))
    pointed = pointed_at(settings, commons)
    ways = []
    for _ in range(ROUNDS):
        run = run_job(pointed, database, campaign, JobKind.SYNC)
        assert run.state is JobState.DONE, run.problem
        ways.append(run.result["way"])
        there = {one: world.pages[one] for one in files if one in world.pages and not world.pages[one].redirect_to}
        assert held(database, campaign) == {f"M{one}": of_page(page) for one, page in there.items()}
        for _ in range(dice.randint(0, 7)):
            fate.strike()
    assert ways[0] == "comparison"
    assert ways.count("recent changes") >= ROUNDS // 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(2))
def test_a_large_category_never_drifts_whichever_way_is_taken(
    settings: Settings, database: Database, commons: StandInCommons, seed: int
) -> None:
    dice = random.Random(200 + seed)
    world = commons.world
    fate = Fate(world, dice)
    for number in range(510):
        world.add_file(f"Sheet {number:04d}.jpg", PICTURES[0], [CATEGORY], licence="CC0")
    campaign = category_campaign(database)
    pointed = pointed_at(settings, commons)
    ways = set()
    for _ in range(ROUNDS):
        run = run_job(pointed, database, campaign, JobKind.SYNC)
        assert run.state is JobState.DONE, run.problem
        ways.add(run.result["way"])
        assert held(database, campaign) == on_the_wiki(world, CATEGORY)
        for _ in range(dice.randint(0, 2)):
            fate.strike()
    assert ways == {"comparison", "recent changes"}
