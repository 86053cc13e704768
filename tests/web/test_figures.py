"""A plate's page, its history, similar figures, and pictures through HTTP; names found and fetched."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from sqlmodel import select
from starlette.testclient import TestClient

from icones.app import create_app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import service as identifications
from icones.illustrations import service as illustrations
from icones.illustrations.store import ImageStore
from icones.models import Campaign, Figure, Identification, Illustration, IllustrationState, JobKind, Role
from icones.taxa import queries as taxa
from tests.support.campaigns import ADMIRAL, LADY, figure_ids
from tests.support.commons import pointed_at, small_world
from tests.support.people import csrf_of, new_submission, sign_in
from tests.support.standin import StandInCommons
from tests.support.voices import carried_out, says, somebody, verified

Clients = Callable[..., TestClient]
HOME = "/c/butterflies"


def plate_of(database: Database, figure_id: int) -> int:
    with database.reading() as session:
        return session.get_one(Figure, figure_id).illustration_id


def test_a_plate_tells_its_facts_and_its_whole_history(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    figure = figure_ids(database, campaign)[0]
    ann, ben = somebody(database, campaign, "Ann"), somebody(database, campaign, "Ben")
    first = says(database, ann, figure, LADY, comment="at first sight")
    with database.writing() as session:
        identifications.withdraw(session, session.merge(ann), first.identification.id or 0, utc_now())
    says(database, ann, figure, ADMIRAL)
    says(database, ben, figure, ADMIRAL)
    page = client_of().get(f"{HOME}/i/{plate_of(database, figure)}")
    assert page.status_code == 200
    for words in ("RP-T-BR-2017-1-0", "Public domain", "(taken back)", "at first sight", "2 of 2 agree", "Agreed"):
        assert words in page.text, words
    history = page.text[page.text.index('id="history"') :]
    assert history.index("painted lady") < history.index("red admiral")


def test_words_of_people_are_never_markup(client_of: Clients, database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    says(database, somebody(database, campaign, "Ann"), figure, ADMIRAL, comment="<script>alert(1)</script>")
    page = client_of(Role.SPECIALIST).get(f"{HOME}/f/{figure}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_model_suggests_with_examples_and_what_was_shown_is_kept(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = verified(database, campaign, range(9))
    done = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert done.result["published"], done.log
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).blind_votes = 0  # else the first two would see no suggestion
    client = client_of(Role.VOLUNTEER)
    page = client.get(f"{HOME}/tag?figure={figures[9]}").text
    assert page.count('name="chosen"') >= 3
    assert re.search(rf"{HOME}/f/\d+/image\?side=160", page)
    version = re.search(r'name="model_version" value="(\d+)"', page)
    assert version
    said = {
        "csrf": csrf_of(client),
        "submission_id": new_submission(),
        "chosen": ADMIRAL,
        "model_version": version.group(1),
    }
    client.post(f"{HOME}/tag/{figures[9]}", data=said)
    made_up = said | {"submission_id": new_submission(), "model_version": "999"}
    client.post(f"{HOME}/tag/{figures[10]}", data=made_up)
    with database.reading() as session:
        rows = {
            row.figure_id: row.shown
            for row in session.exec(select(Identification).where(Identification.figure_id > figures[8]))
        }
    assert rows[figures[9]]["model_version"] == int(version.group(1))
    assert rows[figures[9]]["suggestions"][0].keys() == {"qid", "p"}
    assert rows[figures[10]] == {"blind": True, "reason": "likely"}
    similar = client.get(f"{HOME}/f/{figures[9]}/similar").text
    assert similar.count('class="plate-card"') == 11
    assert "Model version 1 suggested" in client.get(f"{HOME}/f/{figures[11]}").text


def test_before_anything_is_embedded_the_similar_page_says_so(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    page = client_of().get(f"{HOME}/f/{figure_ids(database, campaign)[0]}/similar")
    assert page.status_code == 200
    assert "Nothing to compare with yet" in page.text


def test_a_picture_comes_in_the_asked_size_and_only_once(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client, figure = client_of(), figure_ids(database, campaign)[0]
    address = f"{HOME}/i/{plate_of(database, figure)}/image?side=160"
    answer = client.get(address)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (160, 160)
    again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address.replace("160", "161")).status_code == 422
    assert client.get(f"{HOME}/i/999999/image").status_code == 404


@pytest.mark.parametrize("loss", ["gone", "empty", "cut off", "yet to come"])
def test_a_calm_drawing_stands_for_an_image_that_is_not_here(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign, loss: str
) -> None:
    client, figure = client_of(), figure_ids(database, campaign)[0]
    plate = plate_of(database, figure)
    with database.writing() as session:
        row = session.get_one(Illustration, plate)
        copy = ImageStore(settings.data_dir / "images").path(row.image_sha1)
        if loss == "yet to come":
            row.state, row.image_sha1 = IllustrationState.LISTED, ""
            session.add(row)
    content = copy.read_bytes()
    if loss == "gone":
        copy.unlink()
    elif loss != "yet to come":
        copy.write_bytes(content[: len(content) // 2] if loss == "cut off" else b"")
    sides = (160, 640) if loss == "cut off" else (160, 640, 2400)
    for address in [f"{HOME}/i/{plate}/image?side={side}" for side in sides] + [f"{HOME}/f/{figure}/image"]:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "image/svg+xml")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.text.startswith("<svg ")
    for path in (f"{HOME}/i/{plate}", HOME, "/"):
        assert client.get(path).status_code == 200
    if loss != "yet to come":
        copy.write_bytes(content)
        assert client.get(f"{HOME}/i/{plate}/image?side=160").headers["Content-Type"] == "image/jpeg"


def test_a_figures_picture_is_its_box(client_of: Clients, database: Database, campaign: Campaign) -> None:
    figure = figure_ids(database, campaign)[0]
    ann = somebody(database, campaign, "Ann")
    with database.writing() as session:
        boxed = illustrations.add_figure(session, plate_of(database, figure), ann, "pct:0,0,50,25", utc_now())
    picture = Image.open(io.BytesIO(client_of().get(f"{HOME}/f/{boxed.id}/image?side=640").content))
    assert picture.size == (120, 60)


def test_names_are_found_in_any_language_with_slips(client_of: Clients, campaign: Campaign) -> None:
    client = client_of()
    for words, qid in (("atal", ADMIRAL), ("distelvl", LADY), ("v card", LADY), ("red admrial", ADMIRAL)):
        found = client.get("/taxa", params={"campaign": "butterflies", "taxon_words": words, "list": "here"}).text
        assert f'data-value="{qid}"' in found, words
        assert 'id="here-1"' in found
    nothing = client.get("/taxa", params={"campaign": "butterflies", "taxon_words": "qqqq<b>"}).text
    assert "No name like “qqqq&lt;b&gt;” here" in nothing


@pytest.fixture
def beside_wikidata(settings: Settings, database: Database) -> Iterator[TestClient]:
    """A signed-in volunteer of an installation whose Wikidata is the stand-in's."""
    world = small_world()
    world.taxa.add("Aglais io", "species", qid="Q920", parents=("Q900",), names={"en": ["peacock butterfly"]})
    with (
        StandInCommons(world) as commons,
        TestClient(create_app(pointed_at(settings, commons)), base_url=settings.base_url) as client,
    ):
        sign_in(client, Role.VOLUNTEER)
        yield client


def ask_wikidata(client: TestClient, name: str, **fields: Any) -> Any:
    return client.post(f"{HOME}/taxa/fetch", data={"csrf": csrf_of(client), "name": name, **fields})


def test_a_name_that_is_not_known_here_is_fetched_from_wikidata(
    campaign: Campaign, beside_wikidata: TestClient, database: Database
) -> None:
    figure = figure_ids(database, campaign)[0]
    page = ask_wikidata(beside_wikidata, " aglais  io ", figure=figure)
    assert page.status_code == 200
    assert 'name="chosen" value="Q920"' in page.text
    with database.reading() as session:
        assert taxa.lineages(session, ["Q920"])["Q920"] == ("Q920", "Q900")


def test_a_name_that_nobody_knows_is_told_and_nothing_is_kept(
    campaign: Campaign, beside_wikidata: TestClient, database: Database
) -> None:
    with database.reading() as session:
        before = taxa.all_qids(session)
    answer = ask_wikidata(beside_wikidata, "Nomen nudum")
    assert answer.status_code == 404
    assert "Wikidata has no taxon called “Nomen nudum”" in answer.text
    with database.reading() as session:
        assert taxa.all_qids(session) == before


def test_a_silent_wikidata_is_told_in_words(campaign: Campaign, settings: Settings, database: Database) -> None:
    with StandInCommons(small_world()) as commons:
        nowhere = pointed_at(settings, commons)
    with TestClient(create_app(nowhere), base_url=settings.base_url) as client:
        sign_in(client, Role.VOLUNTEER)
        answer = ask_wikidata(client, "Aglais io")
    assert answer.status_code == 503
    assert "could not be reached" in answer.text
