"""Which way a sync takes and what it costs, when a loss needs a person's word, and what is asked of whom."""

from collections.abc import Iterator

import pytest

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.models import Campaign, JobKind, JobRun, JobState, Role, SourceKind
from tests.support.campaigns import drawing
from tests.support.commons import (
    ADMIRAL,
    CATEGORY,
    LADY,
    category_campaign,
    listed_campaign,
    pointed_at,
    run_job,
    small_world,
)
from tests.support.mirrors import held, is_present, of_page, on_the_wiki, rows
from tests.support.standin import StandInCommons, World, depicts
from tests.support.standin.statements import in_collection

MANY = 501
PICTURE = drawing(0, 0)


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world(0)) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, commons: StandInCommons) -> Settings:
    return pointed_at(settings, commons)


def fill(world: World, n: int) -> list[int]:
    """Put ``n`` files with one and the same picture into the category; all that was an hour ago."""
    added = [
        world.add_file(f"Sheet {place:04d}.jpg", PICTURE, [CATEGORY], licence="CC0", statements=[depicts(ADMIRAL)])
        for place in range(n)
    ]
    an_hour_later(world)
    return added


def an_hour_later(world: World) -> None:
    world.set_clock(f"2026-01-{int(world.now[8:10]) + 1:02d}T12:00:00Z")


def synced(settings: Settings, database: Database, campaign: Campaign, **wishes: bool) -> JobRun:
    run = run_job(settings, database, campaign, JobKind.SYNC, **wishes)
    assert run.state is JobState.DONE, run.problem
    return run


def test_a_large_category_where_nothing_happened_costs_two_calls(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    fill(commons.world, MANY)
    campaign = category_campaign(database)
    first = synced(pointed, database, campaign)
    assert (first.result["new"], first.result["api_calls"]) == (MANY, 3 + 2 * 11)
    commons.calls.clear()
    again = synced(pointed, database, campaign)
    assert (again.result["way"], again.result["api_calls"], commons.calls.count("api")) == ("recent changes", 2, 2)
    assert (again.result["files"], again.result["changed"]) == (MANY, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_large_category_is_followed_by_recent_changes_and_compared_when_they_cannot_tell(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    world = commons.world
    files = fill(world, MANY)
    campaign = category_campaign(database)
    synced(pointed, database, campaign)
    ways = []

    def after(happened: str) -> None:
        run = synced(pointed, database, campaign)
        ways.append((happened, run.result["way"]))
        assert held(database, campaign) == on_the_wiki(world, CATEGORY), happened
        an_hour_later(world)

    world.set_statements(files[0], [depicts(LADY)])
    after("an edit of one of ours")
    world.add_file("Elsewhere.jpg", PICTURE, [])
    after("an upload elsewhere")
    world.add_file("Sheet 9999.jpg", PICTURE, [CATEGORY], licence="CC0")
    after("an upload into the category")
    world.set_categories(files[1], [])
    after("a template takes one out, without an edit")
    world.move_file(files[2], "File:Sheet of another name.jpg")
    after("a move")
    world.delete_file(files[3])
    after("a deletion")
    world.undelete_file(files[3])
    after("a restoration")
    world.edit_wikitext(files[4], "Out of the category.")
    world.set_categories(files[4], [])
    world.set_categories(world.add_file("In exchange.jpg", PICTURE, licence="CC0"), [CATEGORY])
    after("one in exchange for another")
    assert ways == [
        ("an edit of one of ours", "recent changes"),
        ("an upload elsewhere", "recent changes"),
        ("an upload into the category", "comparison"),
        ("a template takes one out, without an edit", "comparison"),
        ("a move", "comparison"),
        ("a deletion", "comparison"),
        ("a restoration", "comparison"),
        ("one in exchange for another", "comparison"),
    ]


def test_a_list_is_followed_by_recent_changes(pointed: Settings, database: Database, commons: StandInCommons) -> None:
    world = commons.world
    files = fill(world, 130)
    campaign = listed_campaign(database, SourceKind.FILES, "\n".join(f"M{page_id}" for page_id in files))
    assert synced(pointed, database, campaign).result["new"] == 130
    quiet = synced(pointed, database, campaign)
    assert (quiet.result["way"], quiet.result["api_calls"]) == ("recent changes", 1)
    world.set_statements(files[0], [depicts(LADY)])
    world.move_file(files[1], "File:Other name.jpg")
    world.delete_file(files[2], user="Deleter", comment="Copy")
    world.replace_file(files[3], drawing(2, 2))
    world.add_file("Not ours.jpg", PICTURE)
    run = synced(pointed, database, campaign)
    assert run.result["way"] == "recent changes"
    assert [run.result[name] for name in ("changed", "renamed", "gone", "replaced", "new")] == [3, 1, 1, 1, 0]
    assert held(database, campaign) == {f"M{one}": of_page(world.pages[one]) for one in files if one != files[2]}
    assert rows(database, campaign)[f"M{files[2]}"].problem == "Deleted on the wiki by Deleter: Copy"
    an_hour_later(world)
    world.undelete_file(files[2])
    back = synced(pointed, database, campaign)
    assert (back.result["way"], back.result["back"]) == ("recent changes", 1)


def test_a_deletion_that_the_wiki_hides_is_found_all_the_same(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    world = commons.world
    files = fill(world, 130)
    campaign = listed_campaign(database, SourceKind.FILES, "\n".join(f"M{page_id}" for page_id in files))
    synced(pointed, database, campaign)
    world.delete_file(files[2], user="Deleter", comment="Copy")
    world.journal.hide(world.journal.changes[-1], ["action"])
    run = synced(pointed, database, campaign)
    assert (run.result["way"], run.result["gone"]) == ("comparison", 1)
    assert held(database, campaign) == {f"M{one}": of_page(world.pages[one]) for one in files if one != files[2]}


def test_a_wiki_too_busy_for_its_recent_changes_costs_one_call_more(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    world = commons.world
    files = fill(world, 130)
    campaign = listed_campaign(database, SourceKind.FILES, "\n".join(f"M{page_id}" for page_id in files))
    synced(pointed, database, campaign)
    busy = world.add_file("Busy.jpg", PICTURE)
    for number in range(1500):
        world.edit_wikitext(busy, str(number))
    world.set_statements(files[0], [depicts(LADY)])
    run = synced(pointed, database, campaign)
    # Its own three calls, the one that showed how much there is, and two for the file that changed.
    assert (run.result["way"], run.result["changed"], run.result["api_calls"]) == ("comparison", 1, 3 + 1 + 2)


def test_at_least_once_a_day_all_is_compared(pointed: Settings, database: Database, commons: StandInCommons) -> None:
    files = fill(commons.world, 130)
    campaign = listed_campaign(database, SourceKind.FILES, "\n".join(f"M{page_id}" for page_id in files))
    synced(pointed, database, campaign)
    assert synced(pointed, database, campaign).result["way"] == "recent changes"
    often = pointed.model_copy(update={"check_hours": 0.0000001})
    assert synced(often, database, campaign).result["way"] == "comparison"


@pytest.mark.parametrize("left", [0, 7])
def test_a_loss_too_large_to_be_true_needs_a_persons_word(
    pointed: Settings, database: Database, commons: StandInCommons, left: int
) -> None:
    world = commons.world
    files = fill(world, 20)
    campaign = category_campaign(database)
    synced(pointed, database, campaign)
    for page_id in files[left:]:
        world.set_categories(page_id, [])
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.state, run.result) == (JobState.FAILED, {"code": "too-much-gone"})
    assert f"lists only {left} of the 20 files" in run.problem
    assert all(is_present(row) for row in rows(database, campaign).values())
    for page_id in files[left:]:
        world.set_categories(page_id, [CATEGORY])
    assert synced(pointed, database, campaign).result["gone"] == 0
    for page_id in files[left:]:
        world.set_categories(page_id, [])
    assert synced(pointed, database, campaign, accept_loss=True).result["gone"] == 20 - left
    assert held(database, campaign) == on_the_wiki(world, CATEGORY)


def test_half_of_the_files_may_leave_without_a_question(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    files = fill(commons.world, 20)
    campaign = category_campaign(database)
    synced(pointed, database, campaign)
    for page_id in files[10:]:
        commons.world.set_categories(page_id, [])
    assert synced(pointed, database, campaign).result["gone"] == 10


def test_titles_on_a_list_become_ids_and_what_is_not_there_is_told(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    world = commons.world
    files = fill(world, 3)
    world.move_file(files[1], "File:Moved.jpg")
    listing = (
        f"M{files[0]}\nFile:Sheet 0001.jpg\nhttps://commons.wikimedia.org/wiki/File:Sheet_0002.jpg\nLost.jpg\nM99999"
    )
    campaign = listed_campaign(database, SourceKind.FILES, listing)
    run = synced(pointed, database, campaign)
    assert (run.result["new"], run.result["not_found"]) == (3, 2)
    assert "The wiki has no file “File:Lost.jpg”." in run.log
    with database.reading() as session:
        kept = session.get_one(Campaign, campaign.id).source.splitlines()
    assert set(kept) == {f"M{files[0]}", f"M{files[1]}", f"M{files[2]}", "M99999", "File:Lost.jpg"}
    world.move_file(files[2], "File:Moved too.jpg", leave_redirect=False)
    world.add_file("Lost.jpg", PICTURE)
    assert synced(pointed, database, campaign).result["new"] == 1
    assert rows(database, campaign)[f"M{files[2]}"].title == "Moved too.jpg"


def test_what_is_taken_off_a_list_is_gone(pointed: Settings, database: Database, commons: StandInCommons) -> None:
    files = fill(commons.world, 3)
    campaign = listed_campaign(database, SourceKind.FILES, "\n".join(f"M{page_id}" for page_id in files))
    synced(pointed, database, campaign)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        campaigns.set_source(session, Door(own, Role.CURATOR), f"M{files[0]}\nM{files[1]}")
    assert synced(pointed, database, campaign).result["gone"] == 1
    assert rows(database, campaign)[f"M{files[2]}"].problem == "The file is no longer on the list."


def test_a_collection_comes_in_with_its_inventory_numbers(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    world = commons.world
    files = [
        world.add_file(f"Sheet {n}.jpg", PICTURE, statements=[in_collection("Q190804", f"RP-T-{n}"), depicts(ADMIRAL)])
        for n in range(3)
    ]
    world.add_file("Another museum's.jpg", PICTURE, statements=[in_collection("Q1", "X-1")])
    campaign = listed_campaign(database, SourceKind.QUERY, "Q190804")
    run = synced(pointed, database, campaign)
    assert (run.result["new"], run.result["sparql_calls"] >= 1) == (3, True)
    assert [rows(database, campaign)[f"M{one}"].object_number for one in files] == ["RP-T-0", "RP-T-1", "RP-T-2"]
    world.set_statements(files[0], [in_collection("Q190804", "RP-T-9")])
    world.set_statements(files[1], [depicts(LADY)])
    run = synced(pointed, database, campaign)
    assert (run.result["changed"], run.result["gone"]) == (1, 1)
    assert rows(database, campaign)[f"M{files[0]}"].object_number == "RP-T-9"
    assert rows(database, campaign)[f"M{files[1]}"].problem == "The query no longer finds the file."


def test_a_curators_own_query_names_the_files(pointed: Settings, database: Database, commons: StandInCommons) -> None:
    world = commons.world
    lady = world.add_file("Lady.jpg", PICTURE, statements=[depicts(LADY)])
    world.add_file("Admiral.jpg", PICTURE, statements=[depicts(ADMIRAL)])
    query = f"SELECT ?file WHERE {{ ?file p:P180/ps:P180 wd:{LADY} }}"
    campaign = listed_campaign(database, SourceKind.QUERY, query)
    assert synced(pointed, database, campaign).result["files"] == 1
    assert list(rows(database, campaign)) == [f"M{lady}"]


def test_a_query_service_that_is_down_fails_the_run_and_changes_nothing(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    commons.world.add_file("Lady.jpg", PICTURE, statements=[in_collection("Q190804", "1")])
    campaign = listed_campaign(database, SourceKind.QUERY, "Q190804")
    synced(pointed, database, campaign)
    commons.faults.next("commons-sparql", "502-html", times=9)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert run.state is JobState.FAILED
    assert len(held(database, campaign)) == 1


def test_another_source_chosen_in_mid_run_is_read_by_the_next_one(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    world = commons.world
    fill(world, 2)
    world.add_file("In the other.jpg", PICTURE, ["Another category"], licence="CC0")
    campaign = category_campaign(database)

    def choose_another(_params: object) -> bool:
        with database.writing() as session:
            own = session.get_one(Campaign, campaign.id)
            campaigns.set_category(session, Door(own, Role.CURATOR), "Another category", 0)
        return False

    commons.faults.next("api", "drop-connection", where=choose_another)
    synced(pointed, database, campaign)
    commons.faults.clear()
    with database.reading() as session:
        assert session.get_one(Campaign, campaign.id).checked_at is None
    synced(pointed, database, campaign, accept_loss=True)
    assert held(database, campaign) == on_the_wiki(world, "Another category")
    with database.reading() as session:
        assert (session.get_one(Campaign, campaign.id).checked_at or utc_now()) <= utc_now()
