"""Whatever happens to files on the wiki: after the next sync we hold what the wiki has, and the history says so."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.learning import queries as learning
from icones.learning import service as learning_service
from icones.models import (
    Campaign,
    DepictsEdit,
    EditBatch,
    EditState,
    IllustrationState,
    JobKind,
    JobRun,
    JobState,
    Pen,
)
from icones.web.chronicle import chronicle
from tests.support.campaigns import drawing
from tests.support.commons import (
    ADMIRAL,
    CATEGORY,
    LADY,
    WHITE,
    category_campaign,
    pointed_at,
    run_job,
    small_world,
)
from tests.support.mirrors import held, history, is_present, on_the_wiki, rows
from tests.support.standin import StandInCommons, World, depicts
from tests.support.standin.statements import Statement, item
from tests.support.standin.statements import text as text_snak
from tests.support.voices import says, somebody

Sync = Callable[..., JobRun]
FILES = 4
FIRST = "File:Plate 00, RP-T-BR-2017-1-0.jpg"


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world(FILES)) as server:
        yield server


@pytest.fixture
def world(commons: StandInCommons) -> World:
    return commons.world


@pytest.fixture
def album(settings: Settings, database: Database, commons: StandInCommons, sync: Sync) -> Campaign:
    """A campaign that was synced once."""
    campaign = category_campaign(database, depth=1)
    sync(campaign)
    return campaign


@pytest.fixture
def sync(settings: Settings, database: Database, commons: StandInCommons) -> Sync:
    """Sync a campaign; the run must end well, and we must hold what the wiki has."""

    def run(campaign: Campaign, *, below: tuple[str, ...] = (), **wishes: bool) -> JobRun:
        done = run_job(pointed_at(settings, commons), database, campaign, JobKind.SYNC, **wishes)
        assert done.state is JobState.DONE, done.problem
        assert held(database, campaign) == on_the_wiki(commons.world, CATEGORY, *below)
        return done

    return run


def page_of(world: World, title: str = FIRST) -> int:
    page = world.page_by_title(title)
    assert page is not None
    return page.page_id


def test_a_new_file_comes_in_from_the_category_and_from_a_new_subcategory(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    world.add_file("Another (Pieris rapae).jpg", drawing(2, 77), [CATEGORY], licence="CC0")
    world.add_category("Later plates", [CATEGORY])
    world.add_file("Below.jpg", drawing(1, 78), ["Later plates"], licence="CC0", statements=[depicts(LADY)])
    run = sync(album, below=("Later plates",))
    assert (run.result["new"], run.result["gone"], run.result["files"], run.result["images"]) == (2, 0, 6, 2)
    new = {row.title: row for row in rows(database, album).values()}["Another (Pieris rapae).jpg"]
    assert (new.state, new.verbatim_name) == (IllustrationState.READY, "Pieris rapae")


def test_a_moved_file_keeps_its_id_and_the_history_says_its_old_name(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    world.move_file(page_id, "File:Red admiral, RP-T-BR-2017-1-0.jpg")
    run = sync(album)
    row = rows(database, album)[f"M{page_id}"]
    assert row.title == "Red admiral, RP-T-BR-2017-1-0.jpg"
    assert (run.result["renamed"], run.result["new"], run.result["gone"]) == (1, 0, 0)
    assert history(database, row) == [("renamed", FIRST.removeprefix("File:"), "")]


def test_a_file_taken_out_of_the_category_is_gone_with_that_reason(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    world.set_categories(page_id, [])
    assert sync(album).result["gone"] == 1
    row = rows(database, album)[f"M{page_id}"]
    assert (is_present(row), row.problem) == (False, "The file is no longer in the category.")
    assert sync(album).result["gone"] == 0


def test_a_deleted_file_is_gone_with_the_reason_in_the_log_and_back_when_it_is_undeleted(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    row = rows(database, album)[f"M{page_id}"]
    with database.reading() as session:
        figure = illustrations.figures(session, row.id or 0)[0].id or 0
    anna = somebody(database, album, "Anna")
    says(database, anna, figure, ADMIRAL)
    world.delete_file(page_id, user="Deleter", comment="Duplicate of a better scan")
    sync(album)
    row = rows(database, album)[f"M{page_id}"]
    assert (is_present(row), row.problem) == (False, "Deleted on the wiki by Deleter: Duplicate of a better scan")
    world.undelete_file(page_id)
    run = sync(album)
    row = rows(database, album)[f"M{page_id}"]
    assert (run.result["back"], row.state, row.problem) == (1, IllustrationState.READY, "")
    with database.reading() as session:
        assert illustrations.is_worked_on(session, row.id or 0)
        assert [one.id for one in illustrations.figures(session, row.id or 0)] == [figure]
    assert [kind for kind, *_ in history(database, row)] == ["gone", "back"]


def test_a_file_renamed_and_then_deleted_is_gone_with_the_reason_in_the_log(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    world.move_file(page_id, "File:Other name.jpg", leave_redirect=False)
    world.delete_file(page_id, user="Deleter", comment="Not free")
    sync(album)
    assert rows(database, album)[f"M{page_id}"].problem == "Deleted on the wiki by Deleter: Not free"


def test_a_new_upload_brings_a_new_image_and_keeps_what_was_said(
    world: World, settings: Settings, database: Database, album: Campaign, sync: Sync, commons: StandInCommons
) -> None:
    page_id = page_of(world)
    run_job(pointed_at(settings, commons), database, album, JobKind.EMBED)
    before = rows(database, album)[f"M{page_id}"]
    with database.reading() as session:
        figure = illustrations.figures(session, before.id or 0)[0].id or 0
        backbone = learning.newest_backbone(session, album.id or 0) or ""
        assert learning_service.to_embed(session, album, backbone) == []
    says(database, somebody(database, album, "Anna"), figure, ADMIRAL)
    world.replace_file(page_id, drawing(1, 99))
    run = sync(album)
    after = rows(database, album)[f"M{page_id}"]
    assert (run.result["replaced"], run.result["images"], after.state) == (1, 1, IllustrationState.READY)
    assert after.image_sha1 != before.image_sha1
    with database.reading() as session:
        assert [one.figure_id for one in learning_service.to_embed(session, album, backbone)] == [figure]
        assert illustrations.is_worked_on(session, after.id or 0)


def test_an_edit_of_the_description_brings_another_object_number_and_licence(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    stored = world.pages[page_id].file
    assert stored is not None
    stored.words = replace(stored.words, licence="Public domain")
    world.edit_wikitext(page_id, "{{Artwork|accession number=RP-T-BR-2017-9-9}}")
    sync(album)
    row = rows(database, album)[f"M{page_id}"]
    assert (row.object_number, row.object_number_source) == ("RP-T-BR-2017-9-9", "template")
    assert history(database, row) == [("object_number", "RP-T-BR-2017-1-0", ""), ("licence", "CC0", "")]


def pointing(qid: str, note: str, rank: str = "normal") -> Statement:
    return Statement(item("P180", qid), rank, (text_snak("P5997", note),))


@pytest.mark.parametrize(
    ("statements", "n_changed"),
    [
        pytest.param([depicts(ADMIRAL), depicts(LADY)], 1, id="added"),
        pytest.param([depicts(WHITE)], 2, id="another in its place"),
        pytest.param([], 1, id="removed"),
        pytest.param([depicts(ADMIRAL, rank="preferred")], 1, id="another rank"),
        pytest.param([depicts(ADMIRAL, rank="deprecated"), depicts(None)], 2, id="deprecated, and some value"),
        pytest.param([depicts(ADMIRAL, box="pct:10,10,30,30")], 1, id="a box"),
        pytest.param([pointing(ADMIRAL, "red admiral")], 1, id="another qualifier"),
        pytest.param([depicts(ADMIRAL)], 0, id="saved again as it was"),
    ],
)
def test_what_others_state_is_mirrored(
    world: World, album: Campaign, sync: Sync, statements: list[Statement], n_changed: int
) -> None:
    world.set_statements(page_of(world), statements, user="Somebody else")
    run = sync(album)
    assert (run.result["changed"], run.result["statements_changed"]) == (1, n_changed)
    assert sync(album).result["statements_changed"] == 0


def test_a_value_changed_in_place_is_mirrored_and_our_own_is_noticed(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    row = rows(database, album)[f"M{page_id}"]
    (guid,) = (one[0] for one in held(database, album)[f"M{page_id}"].statements)
    now = utc_now() - timedelta(minutes=10)
    with database.writing() as session:
        batch = EditBatch(campaign_id=album.id or 0, pen=Pen.BOT, mark="0123456789ab", created_at=now)
        session.add(batch)
        session.flush()
        figure = illustrations.figures(session, row.id or 0)[0]
        ours = DepictsEdit(
            campaign_id=album.id or 0, illustration_id=row.id or 0, figure_id=figure.id or 0, batch_id=batch.id,
            qid=ADMIRAL, guid=guid, state=EditState.DONE, account="Icones bot", revision=row.revision, wrote_at=now,
            created_at=now, ended_at=now,
        )  # fmt: skip
        session.add(ours)
    sync(album)
    with database.reading() as session:
        assert session.get_one(DepictsEdit, ours.id).gone_at is None
    world.set_statements(page_id, [Statement(item("P180", LADY), guid=guid)], user="Somebody else")
    assert sync(album).result["statements_changed"] == 1
    with database.reading() as session:
        assert session.get_one(DepictsEdit, ours.id).gone_at is not None


def test_structured_data_that_never_was_or_went_away_whole(world: World, album: Campaign, sync: Sync) -> None:
    bare = page_of(world, "File:Plate 03, RP-T-BR-2017-1-3.jpg")
    assert world.pages[bare].latest.entity is None
    assert sync(album).result["statements_changed"] == 0
    world.set_entity(page_of(world), None)
    assert sync(album).result["statements_changed"] == 1


def test_a_page_that_becomes_a_redirect_is_no_file_any_more(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    target = world.page_by_title("File:Plate 01, RP-T-BR-2017-1-1.jpg")
    assert target is not None
    world.pages[page_id].redirect_to = target.title
    world.edit_wikitext(page_id, f"#REDIRECT [[{target.title}]] [[{CATEGORY}]]")
    assert sync(album).result["gone"] == 1
    assert rows(database, album)[f"M{page_id}"].problem == "The file's page leads to another file now."


def test_a_renamed_category_is_followed(
    world: World, settings: Settings, database: Database, commons: StandInCommons, album: Campaign
) -> None:
    files = [page.page_id for page in world.members(f"Category:{CATEGORY}")]
    world.add_category("Butterflies in albums")
    for page_id in files:
        world.set_categories(page_id, ["Butterflies in albums"])
    old = page_of(world, f"Category:{CATEGORY}")
    world.edit_wikitext(old, "{{Category redirect|Butterflies in albums}}")
    run = run_job(pointed_at(settings, commons), database, album, JobKind.SYNC)
    assert (run.state, run.result["gone"], run.result["changed"]) == (JobState.DONE, 0, 0)
    assert "is called “Butterflies in albums” now" in run.log
    assert held(database, album) == on_the_wiki(world, "Butterflies in albums")


def test_a_file_that_vanishes_between_listing_and_reading_is_gone_with_its_reason(
    world: World, database: Database, album: Campaign, sync: Sync, commons: StandInCommons
) -> None:
    page_id, new = page_of(world), world.add_file("Short-lived.jpg", drawing(2, 5), [CATEGORY])
    world.edit_wikitext(page_id, "changed")

    def delete_both(params: Mapping[str, str]) -> bool:
        """Delete both when structured data is about to be read; let nothing else go wrong."""
        if params.get("action") == "wbgetentities":
            for one in {page_id, new} & set(world.pages):
                world.delete_file(one, user="Deleter", comment="Test upload")
        return False

    commons.faults.next("api", "drop-connection", where=delete_both)
    run = sync(album)
    assert (run.result["gone"], run.result["new"], run.result["files"]) == (1, 0, 3)
    assert rows(database, album)[f"M{page_id}"].problem == "Deleted on the wiki by Deleter: Test upload"
    assert f"M{new}" not in rows(database, album)


def test_reading_all_again_finds_what_no_revision_tells(
    world: World, database: Database, album: Campaign, sync: Sync, commons: StandInCommons
) -> None:
    stored = world.pages[page_of(world)].file
    assert stored is not None
    stored.words = replace(stored.words, licence="CC BY-SA 4.0")  # a template changed, not the page
    commons.calls.clear()
    run = sync(album, full=True)
    assert (run.result["way"], run.result["changed"]) == ("full", FILES)
    assert commons.calls.count("api") == run.result["api_calls"] == 4


def test_the_history_of_a_plate_tells_what_happened_to_its_file(
    world: World, database: Database, album: Campaign, sync: Sync
) -> None:
    page_id = page_of(world)
    world.move_file(page_id, "File:Red admiral.jpg")
    sync(album)
    row = rows(database, album)[f"M{page_id}"]
    with database.reading() as session:
        told = chronicle(session, row, illustrations.figures(session, row.id or 0), None, "en")
    assert f"The file was renamed; before, it was called “{FIRST.removeprefix('File:')}”." in [
        event.words for event in told
    ]
    assert all(event.at <= utc_now() for event in told)
