"""The sync job against the stand-in Commons, on both databases: what comes in, what changes, what goes wrong."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.jobs import queries
from icones.learning import queries as learning
from icones.models import Illustration, IllustrationState, JobKind, JobState
from icones.taxa import service as taxa
from tests.support.commons import ADMIRAL, CATEGORY, LADY, WHITE, category_campaign, pointed_at, run_job, small_world
from tests.support.standin import StandInCommons, depicts


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world()) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, commons: StandInCommons) -> Settings:
    return pointed_at(settings, commons)


def rows_of(database: Database, campaign_id: int | None) -> list[Illustration]:
    with database.reading() as session:
        return sorted(illustrations.by_key(session, campaign_id or 0).values(), key=lambda row: row.title)


def test_a_category_comes_in_whole(pointed: Settings, database: Database) -> None:
    campaign = category_campaign(database)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert run.state is JobState.DONE, run.log
    assert (run.result["files"], run.result["new"], run.result["images"]) == (9, 9, 9)
    rows = rows_of(database, campaign.id)
    assert {row.state for row in rows} == {IllustrationState.READY}
    assert rows[4].object_number == "RP-T-BR-2017-1-4"
    assert rows[4].object_number_source == "title"
    assert rows[4].mid == f"M{(rows[4].mid or '')[1:]}"
    assert rows[4].licence == "CC0"
    with database.reading() as session:
        stated = illustrations.statements(session, [row.id or 0 for row in rows])
        assert [stated[rows[0].id or 0][0].qid, len(stated)] == [ADMIRAL, 3]
        admiral = taxa.views(session, [ADMIRAL], "en")[ADMIRAL]
    assert (admiral.vernacular, admiral.rank) == ("red admiral", "species")
    assert admiral.lineage == (ADMIRAL, "Q910", "Q900")


def test_a_second_sync_changes_nothing_and_fetches_nothing(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    run_job(pointed, database, campaign, JobKind.SYNC)
    commons.calls.clear()
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.result["new"], run.result["changed"], run.result["gone"], run.result["statements_changed"]) == (0,) * 4
    assert commons.calls.count("image") == 0


def test_what_leaves_the_category_is_kept_as_gone_and_taken_up_when_it_is_back(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    run_job(pointed, database, campaign, JobKind.SYNC)
    page_id = int((rows_of(database, campaign.id)[0].mid or "M0")[1:])
    commons.world.delete_file(page_id)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.result["gone"], rows_of(database, campaign.id)[0].state) == (1, IllustrationState.GONE)
    commons.world.undelete_file(page_id)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.result["back"], rows_of(database, campaign.id)[0].state) == (1, IllustrationState.READY)


@pytest.mark.parametrize(
    ("category", "words"),
    [("No such category anywhere", "There is no category"), ("Empty one", "no file in it")],
)
def test_a_wrong_category_is_told_in_words_and_leaves_nothing(
    pointed: Settings, database: Database, commons: StandInCommons, category: str, words: str
) -> None:
    commons.world.add_category("Empty one")
    campaign = category_campaign(database, category)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert run.state is JobState.FAILED
    assert words.lower() in run.problem.lower()
    assert rows_of(database, campaign.id) == []


def test_whether_a_file_is_gone_is_for_the_listing_to_say_not_for_the_image_host(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    commons.faults.next("image", "404")
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.state, run.result["images"], run.result["later"]) == (JobState.DONE, 8, 1)
    (waiting,) = (row for row in rows_of(database, campaign.id) if row.state is not IllustrationState.READY)
    assert (waiting.state, waiting.problem) == (IllustrationState.LISTED, "The picture is not there any more.")
    assert "1 × The picture is not there any more." in run.log
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.result["images"], run.result["later"]) == (1, 0)
    assert {(row.state, row.problem) for row in rows_of(database, campaign.id)} == {(IllustrationState.READY, "")}


def test_boxes_of_taxa_become_figures_until_somebody_works_on_them(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    page = commons.world.page_by_title("File:Plate 00, RP-T-BR-2017-1-0.jpg")
    assert page is not None
    boxed = [
        depicts(ADMIRAL, box="pct:10,10,30,40"),
        depicts(LADY, box="pct:50,12.50,30,40"),
        depicts(WHITE, box="bad"),
    ]
    commons.world.set_statements(page.page_id, boxed)
    for _ in range(2):
        assert run_job(pointed, database, campaign, JobKind.SYNC).state is JobState.DONE
    row = next(row for row in rows_of(database, campaign.id) if row.mid == f"M{page.page_id}")
    with database.reading() as session:
        figures = illustrations.figures(session, row.id or 0)
    assert [(one.number, one.box) for one in figures] == [(1, "pct:10,10,30,40"), (2, "pct:50,12.5,30,40")]


def a_dot() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "black").save(out, "JPEG")
    return out.getvalue()


def test_an_image_is_refused_where_the_file_itself_cannot_be_used(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    commons.world.add_file("A dot.jpg", a_dot(), [CATEGORY])
    # A page of words in a picture's place says nothing of the file: gateways send one in bad hours.
    commons.faults.next("image", "not-an-image")
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.state, run.result["refused"], run.result["later"], run.result["images"]) == (JobState.DONE, 1, 1, 8)
    (refused,) = (row for row in rows_of(database, campaign.id) if row.state is IllustrationState.REFUSED)
    assert (refused.title, refused.problem) == ("A dot.jpg", "The image is too small: 8 × 8 pixels.")
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.result["refused"], run.result["later"], run.result["images"]) == (0, 0, 1)


def test_a_sync_that_brings_no_new_label_trains_nothing(pointed: Settings, database: Database) -> None:
    with StandInCommons(small_world(27)) as commons:
        settings = pointed_at(pointed, commons)
        campaign = category_campaign(database, slug="more")
        run_job(settings, database, campaign, JobKind.SYNC)
        assert run_job(settings, database, campaign, JobKind.RETRAIN).state is JobState.DONE
        run_job(settings, database, campaign, JobKind.SYNC)
        with database.reading() as session:
            assert queries.waiting(session) == []  # nothing came in, so nothing is asked for
        page = commons.world.page_by_title("File:Plate 00, RP-T-BR-2017-1-0.jpg")
        assert page is not None
        commons.world.edit_wikitext(page.page_id, "Another description.")
        run_job(settings, database, campaign, JobKind.SYNC)
        run = run_job(settings, database, campaign, JobKind.RETRAIN)
    assert run.result["why"] == "There is nothing to learn from that model version 1 had not seen."
    with database.reading() as session:
        assert len(learning.versions(session, campaign.id or 0)) == 1


def test_commons_down_fails_the_run_and_keeps_what_was_there(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    run_job(pointed, database, campaign, JobKind.SYNC)
    commons.faults.next("api", "502-html", times=20)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert run.state is JobState.FAILED
    assert {row.state for row in rows_of(database, campaign.id)} == {IllustrationState.READY}


def test_wikidata_silent_still_brings_the_files_and_says_so(
    pointed: Settings, database: Database, commons: StandInCommons
) -> None:
    campaign = category_campaign(database)
    commons.faults.next("sparql", "broken-json", times=20)
    run = run_job(pointed, database, campaign, JobKind.SYNC)
    assert (run.state, run.result["images"]) == (JobState.DONE, 9)
    assert "Wikidata did not answer" in run.log


def test_the_cost_of_a_sync_is_bounded(pointed: Settings, database: Database) -> None:
    with StandInCommons(small_world(130)) as many:
        campaign = category_campaign(database, CATEGORY, slug="many")
        run = run_job(pointed_at(pointed, many), database, campaign, JobKind.SYNC)
        assert run.result["files"] == 130
        assert (many.calls.count("api"), run.result["api_calls"]) == (2 + 2 * 3,) * 2
        many.calls.clear()
        again = run_job(pointed_at(pointed, many), database, campaign, JobKind.SYNC)
        assert (many.calls.count("api"), again.result["api_calls"], again.result["way"]) == (2, 2, "comparison")
        assert many.calls.count("sparql") == again.result["sparql_calls"] == 0
