"""The care for what we wrote: reverts are noticed and asked about, and too many of them stop a campaign's writing."""

from collections.abc import Iterator

import pytest

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import service
from icones.errors import NotReadyError
from icones.models import Campaign, JobKind, Role, Writes
from tests.support.commons import ADMIRAL
from tests.support.standin import StandInCommons
from tests.support.voices import somebody
from tests.support.writing import Desk, writing_world

N = 6
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def desk(settings: Settings, database: Database) -> Iterator[Desk]:
    """A campaign that has just said what six files depict."""
    with StandInCommons(writing_world(N)) as commons:
        desk = Desk.opened(settings, database, commons, Writes.BOT)
        for place in range(N):
            desk.says(place, ADMIRAL)
        desk.sent()
        yield desk


def revert(desk: Desk, *places: int) -> None:
    for place in places:
        row = desk.edits()[place]
        desk.world.revert(desk.pages[place], row.revision or 0)


def pause_of(desk: Desk) -> str:
    with desk.database.reading() as session:
        own = session.get_one(Campaign, desk.campaign.id)
        return own.writing_paused_why if own.writing_paused_at else ""


@sqlite_only
def test_reverts_are_noticed_once_and_asked_about(desk: Desk) -> None:
    revert(desk, 1)
    assert desk.run(JobKind.CARE).result == {
        "looked_at": N,
        "reverted": 1,
        "share": round(1 / N, 4),
        "nothing_new": False,
    }
    row, task = desk.edits()[1], desk.task(1)
    assert row.reverted_at is not None
    assert row.gone_at is not None
    assert task is not None
    assert task.reason == "removed_elsewhere"
    assert desk.run(JobKind.CARE).result["reverted"] == 0
    desk.run(JobKind.SYNC)
    assert desk.edits()[1].gone_at == row.gone_at
    assert [desk.task(place) is not None for place in range(N)] == [place == 1 for place in range(N)]


def test_many_reverts_pause_writing_until_a_curator_lets_it_go_on(desk: Desk) -> None:
    revert(desk, 0, 1)
    desk.run(JobKind.CARE)
    assert pause_of(desk) == ""  # two of six say too little
    revert(desk, 2)
    desk.run(JobKind.CARE)
    assert pause_of(desk).startswith(f"3 of the {N} edits of the last 30 days were reverted on the wiki (50%")
    with pytest.raises(NotReadyError, match="Writing is paused"):
        desk.send_off()
    carl = somebody(desk.database, desk.campaign, "Carl", Role.CURATOR)
    with desk.database.writing() as session:
        door = campaigns.open_door(session, desk.campaign.slug, session.merge(carl))
        service.go_on(session, door, utc_now())
    assert pause_of(desk) == ""
    revert(desk, 3)
    assert desk.run(JobKind.CARE).result["share"] == 0.0  # what was written before does not count any more
    assert pause_of(desk) == ""


@sqlite_only
def test_what_we_took_back_ourselves_is_no_revert(desk: Desk) -> None:
    desk.undo(edit_ids=[row.id or 0 for row in desk.edits()[:4]])
    desk.push()
    assert desk.run(JobKind.CARE).result["share"] == 0.0
    assert pause_of(desk) == ""
    assert [desk.task(place) for place in range(N)] == [None] * N


@sqlite_only
def test_a_revert_that_was_itself_reverted_is_none(desk: Desk) -> None:
    undone = desk.world.revert(desk.pages[0], desk.edits()[0].revision or 0)
    desk.world.revert(desk.pages[0], undone)
    assert desk.qids(0) == [ADMIRAL]
    assert desk.run(JobKind.CARE).result["reverted"] == 0
    assert (desk.edits()[0].gone_at, desk.task(0)) == (None, None)


@sqlite_only
def test_a_file_that_was_deleted_takes_its_statement_along_and_is_no_revert(desk: Desk) -> None:
    revert(desk, 0)
    desk.world.delete_file(desk.pages[0])
    assert desk.run(JobKind.CARE).result["reverted"] == 0


@sqlite_only
def test_a_wiki_that_does_not_answer_fails_the_run_and_changes_nothing(desk: Desk) -> None:
    revert(desk, 0)
    desk.commons.faults.next("api", "502-html", times=2, where=lambda params: "revids" in params)
    assert desk.run(JobKind.CARE).problem
    assert desk.edits()[0].reverted_at is None
    assert desk.run(JobKind.CARE).result["reverted"] == 1
