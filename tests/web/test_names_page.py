"""The page of written names through HTTP, as a browser without JavaScript sends its forms."""

import re
from collections.abc import Callable, Iterator

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.models import Campaign, Identification, JobKind, NameAnswer, NameState, Role
from icones.names import queries
from tests.support.campaigns import ADMIRAL, figure_ids
from tests.support.commons import pointed_at
from tests.support.people import csrf_of
from tests.support.standin import StandInCommons
from tests.support.standin_names import Catalogue, StandInNames
from tests.support.written_names import names_world, point, write_names

Clients = Callable[..., TestClient]
NAMES = "/c/butterflies/names"


@pytest.fixture(scope="module")
def wiki() -> Iterator[StandInCommons]:
    with StandInCommons(names_world()) as server:
        yield server


@pytest.fixture(scope="module")
def others() -> Iterator[StandInNames]:
    with StandInNames(Catalogue()) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, wiki: StandInCommons, others: StandInNames) -> Settings:
    return point(pointed_at(settings, wiki), others)


@pytest.fixture
def looked_up(settings: Settings, database: Database, campaign: Campaign) -> Campaign:
    """The campaign, its names looked up: two matched, two open."""
    write_names(database, campaign)
    with database.writing() as session:
        asked = runner.ask(session, JobKind.NAMES, campaign, utc_now())
    runner.execute(settings, database, asked.id or 0, JOBS)
    return campaign


def row_of(database: Database, campaign: Campaign, name: str) -> NameAnswer:
    with database.reading() as session:
        found = queries.of_name(session, campaign.id or 0, name)
    assert found is not None
    return found


def test_the_page_is_for_curators(campaign: Campaign, client_of: Clients) -> None:
    assert client_of().get(NAMES).status_code == 401
    assert client_of(Role.SPECIALIST).get(NAMES).status_code == 403
    page = client_of(Role.CURATOR).get(NAMES)
    assert page.status_code == 200
    assert "gives no names" in page.text
    assert f'href="{NAMES}"' in client_of(Role.CURATOR).get("/c/butterflies/curate").text


def test_open_names_come_with_their_number_picture_reason_and_candidates(
    looked_up: Campaign, client_of: Clients
) -> None:
    page = client_of(Role.CURATOR).get(NAMES).text
    assert page.index("Lanius cf. minor") < page.index("Lanius italicus Lath.")  # on two plates before on one
    assert "on 2 illustrations" in page
    assert "The source itself was not sure" in page
    assert re.search(r'name="chosen" value="Q21"', page)
    assert re.search(r'class="thumb"><img src="/c/butterflies/f/\d+/image\?side=160"', page)
    assert "Lanius minor</h3>" not in page
    matched = client_of(Role.CURATOR).get(f"{NAMES}?view=matched").text
    assert "Lanius rufus, Briss.</h3>" in matched
    assert "woodchat shrike" in matched
    assert "a synonym" in matched


def test_one_tap_settles_a_name_for_all_its_plates_and_can_be_taken_back(
    looked_up: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.CURATOR)
    row = row_of(database, looked_up, "Lanius cf. minor")
    page = client.post(f"{NAMES}/{row.id}", data={"csrf": csrf_of(client), "chosen": "Q21"})
    assert page.status_code == 200
    assert "2 illustrations" in page.text
    settled = row_of(database, looked_up, "Lanius cf. minor")
    assert (settled.state, settled.taxon_qid, settled.matcher) == (NameState.SETTLED, "Q21", "person")
    assert settled.settled_by is not None
    with database.reading() as session:
        assert session.exec(select(Identification)).all() == []
    undone = client.post(f"{NAMES}/{row.id}/undo", data={"csrf": csrf_of(client)})
    assert "The name is open again." in undone.text
    assert row_of(database, looked_up, "Lanius cf. minor").state is NameState.OPEN
    assert client.post(f"{NAMES}/{row.id}/undo", data={"csrf": csrf_of(client)}).status_code == 409


def test_a_name_may_name_no_taxon(looked_up: Campaign, database: Database, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    row = row_of(database, looked_up, "Lanius italicus Lath.")
    page = client.post(f"{NAMES}/{row.id}", data={"csrf": csrf_of(client), "no_taxon": "true"}).text
    assert "names no taxon" in page
    assert row_of(database, looked_up, "Lanius italicus Lath.").state is NameState.NO_TAXON
    assert "said by" in client.get(f"{NAMES}?view=settled").text


def test_a_matched_name_is_corrected_by_searching_without_javascript(
    looked_up: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.CURATOR)
    row = row_of(database, looked_up, "Lanius minor")
    form = {"csrf": csrf_of(client), "view": "matched"}
    found = client.post(f"{NAMES}/{row.id}", data=form | {"taxon_words": "Lanius senat"}).text
    assert "Names like “Lanius senat”" in found
    assert re.search(r'name="chosen" value="Q23"', found)
    client.post(f"{NAMES}/{row.id}", data=form | {"taxon_words": "Lanius senator"})
    corrected = row_of(database, looked_up, "Lanius minor")
    assert (corrected.state, corrected.taxon_qid, corrected.accepted_name) == (
        *(NameState.SETTLED, "Q23", "Lanius senator"),
    )
    assert corrected.candidates[0]["qid"] == "Q21"
    client.post(f"{NAMES}/{row.id}", data=form | {"taxon": "Q21"})
    assert row_of(database, looked_up, "Lanius minor").taxon_qid == "Q21"


def test_a_name_that_is_not_known_here_is_asked_of_wikidata(
    looked_up: Campaign, database: Database, client_of: Clients, wiki: StandInCommons
) -> None:
    if wiki.world.taxa.find("Lanius excubitor") is None:
        wiki.world.taxa.add("Lanius excubitor", "species", ["Q20"], qid="Q29")
    client = client_of(Role.CURATOR)
    row = row_of(database, looked_up, "Lanius italicus Lath.")
    form = {"csrf": csrf_of(client), "words": "Lanius excubitor"}
    page = client.post(f"{NAMES}/{row.id}/fetch", data=form).text
    assert re.search(r'name="chosen" value="Q29"', page)
    assert client.post(f"{NAMES}/{row.id}/fetch", data=form | {"words": "Nobody knows"}).status_code == 404
    assert client.post(f"{NAMES}/{row.id}/fetch", data=form | {"words": "ab"}).status_code == 422


def test_the_job_is_asked_for_and_new_names_are_counted(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    write_names(database, campaign)
    client = client_of(Role.CURATOR)
    assert "Look 4 new names up" in client.get(NAMES).text
    page = client.post(f"{NAMES}/ask", data={"csrf": csrf_of(client), "marine": "true"}).text
    assert "The names are being looked up now." in page
    with database.reading() as session:
        run = jobs.unfinished(session, campaign.id, JobKind.NAMES)
        assert run is not None
        assert run.parameters == {"again": False, "marine": True}


def test_what_cannot_be_is_refused(
    looked_up: Campaign, settings: Settings, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.CURATOR)
    row = row_of(database, looked_up, "Lanius minor")
    csrf = csrf_of(client)
    assert client.post(f"{NAMES}/{row.id}", data={"csrf": csrf}).status_code == 422
    assert client.post(f"{NAMES}/{row.id}", data={"csrf": csrf, "chosen": "Q777"}).status_code == 404
    assert client.post(f"{NAMES}/99999", data={"csrf": csrf, "chosen": "Q21"}).status_code == 404
    assert client.post(f"{NAMES}/{row.id}", data={"chosen": "Q21"}).status_code == 403
    volunteer = client_of(Role.VOLUNTEER)
    sent = {"csrf": csrf_of(volunteer), "chosen": ADMIRAL}
    assert volunteer.post(f"{NAMES}/{row.id}", data=sent).status_code == 403
    assert volunteer.post(f"{NAMES}/ask", data=sent).status_code == 403
    assert row_of(database, looked_up, "Lanius minor").taxon_qid == "Q21"


def test_names_are_written_safely_and_pages_are_counted(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    evil = '<script>alert("x")</script> & "more"'
    with database.writing() as session:
        for place in range(25):
            session.add(NameAnswer(campaign_id=campaign.id or 0, verbatim=f"{evil} {place:02d}", created_at=utc_now()))
    client = client_of(Role.CURATOR)
    first, second = client.get(NAMES).text, client.get(f"{NAMES}?page=2").text
    assert "<script>alert" not in first
    assert first.count('class="sheet name-row"') == 20
    assert second.count('class="sheet name-row"') == 5
    assert "Page 2 of 2" in client.get(f"{NAMES}?page=99").text


def test_the_plate_and_the_tag_page_tell_what_the_collection_means(
    looked_up: Campaign, database: Database, client_of: Clients
) -> None:
    with database.reading() as session:
        plate = illustrations.by_key(session, looked_up.id or 0)["plate-00.jpg"]
    figure = figure_ids(database, looked_up)[0]
    client = client_of(Role.VOLUNTEER)
    assert "lesser grey shrike" in client.get(f"/c/butterflies/i/{plate.id}").text
    tag = client.get(f"/c/butterflies/tag?figure={figure}").text
    assert "The collection calls it “Lanius minor”" in tag
    assert re.search(r'name="chosen" value="Q21"', tag)
    nameless = figure_ids(database, looked_up)[11]
    assert "The collection calls it" not in client.get(f"/c/butterflies/tag?figure={nameless}").text
