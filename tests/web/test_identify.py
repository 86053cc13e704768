"""A picture from outside through HTTP, the API and the command line: what the model says of it, and what is refused."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlmodel import Session, select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from active_learning import LDAHead, NoveltyModel, RankScale, TrainedModel
from icones.cli import app as command_line
from icones.config import Settings
from icones.db import Database
from icones.learning import label_queries, queries
from icones.models import Campaign, JobKind, ModelVersion, Prediction, Role, Visibility
from icones.web.api import identify_shapes, shapes
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, WHITE, drawing
from tests.support.people import csrf_of
from tests.support.voices import carried_out, verified

Clients = Callable[..., TestClient]
HERE, API = "/c/butterflies/identify", "/api/v1/campaigns/butterflies/identify"


@pytest.fixture
def figures(settings: Settings, database: Database, campaign: Campaign) -> list[int]:
    """The figures of a campaign whose first model learned from nine of them."""
    found = verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    return found


def ask(client: TestClient, content: bytes) -> Any:
    data = {"csrf": csrf_of(client, HERE)}
    return client.post(HERE, data=data, files={"image": ("mine.jpg", content, "image/jpeg")})


def ask_api(client: TestClient, content: bytes, **query: int) -> Any:
    token = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    return client.post(API, content=content, params=query, headers=token)


def make_it_say(settings: Settings, database: Database, campaign: Campaign, verdict: str, rank: str = "") -> None:
    """Let the serving model find everything known, near or far, and be sure at a rank whatever it sees."""
    size = np.zeros(6)
    strange, beyond = (1.0 if verdict != "known" else -1.0), (1.0 if verdict == "far" else -1.0)
    novelty = NoveltyModel(size, size + 1.0, size, strange, np.zeros(100), size, beyond, 100)
    with database.writing() as session:
        version = _champion(session, campaign)
        model = TrainedModel.load(settings.data_dir / version.folder)
        x = label_queries.matrix(session, campaign.id or 0, version.backbone)[1][:9]
        told = replace(
            model,
            novelty=novelty,
            lda=LDAHead().fit(x, [ADMIRAL, LADY, WHITE] * 3),
            known_x=x,
            scales=(RankScale(rank, 1.0, 0.0, 40, 40, 0.95, 0.9),) if rank else (),
        )
        version.folder = f"models/butterflies/{verdict}-{rank or 'nothing'}"
        told.save(settings.data_dir / version.folder)
        row = {"figures": {"rank": rank, "said": 40}, "promised": 0.9, "said_right": {"value": 0.95}}
        version.report = {**version.report, "card": {"ranks": [row]}}


def _champion(session: Session, campaign: Campaign) -> ModelVersion:
    version = queries.champion(session, campaign.id or 0)
    assert version is not None
    return version


def test_a_picture_is_named_with_plates_and_forgotten(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    client = client_of()
    assert f'href="{HERE}"' in client.get("/c/butterflies").text
    assert "nothing of it is kept" in client.get(HERE).text
    before = {path for path in settings.data_dir.rglob("*") if "index" not in path.parts}
    with database.reading() as session:
        n = len(session.exec(select(Prediction.id)).all())
    page = ask(client, drawing(1, 77))
    assert page.status_code == 200, page.text
    names = re.findall(r'<div class="identify-name">.*?<i>(\w+)</i> <i>(\w+)</i>', page.text)
    assert names[0] == ("Vanessa", "cardui")
    assert len(names) == 3
    assert "The best guess is" in page.text
    assert "The machine may be wrong" in page.text
    assert 'href="/c/butterflies/models/1"' in page.text
    plates = re.findall(r'<div class="identify-plates"><a href="/c/butterflies/f/(\d+)"', page.text)
    assert figures.index(int(plates[0])) % 3 == 1
    alike = re.findall(r'class="strip-card" href="/c/butterflies/f/(\d+)"', page.text)
    assert len(alike) == 8
    assert figures.index(int(alike[0])) % 3 == 1
    said = ask_api(client, drawing(1, 77), limit=2).json()
    assert said["prediction"]["best"][0]["taxon"]["qid"] == LADY
    assert len(said["prediction"]["best"]) == 2
    assert said["n_taxa"] == 3
    assert [one["figure_id"] for one in said["similar"]] == [int(one) for one in alike]
    assert {path for path in settings.data_dir.rglob("*") if "index" not in path.parts} == before
    with database.reading() as session:
        assert len(session.exec(select(Prediction.id)).all()) == n


def test_the_first_sentence_says_where_the_model_stands(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    client = client_of()
    for verdict, rank, words in (
        ("far", "", "probably none of its 3 taxa"),
        ("near", "species", "that is not in its list"),
        ("known", "genus", "Pretty sure: it is of the"),
    ):
        make_it_say(settings, database, campaign, verdict, rank)
        page, said = ask(client, drawing(0, 5)).text, ask_api(client, drawing(0, 5)).json()["prediction"]
        first = re.search(r'<p class="identify-first".*?</p>', page, re.DOTALL)
        assert first
        assert words in first.group()
        assert ("About 19 in 20 such statements are right" in page) == (verdict == "known")
        assert ("If it is one of its taxa all the same" in page) == (verdict != "known")
        assert (">if any<" in page) == (verdict != "known")
        assert (said["verdict"], said["novelty"] > 0.5) == (verdict, verdict != "known")
        assert (said["claim"] is None) == (not rank)
    assert (said["claim"]["taxon"]["qid"], said["claim"]["right"]) == (GENUS, 0.95)


def test_what_cannot_be_looked_at_is_refused_in_words(
    client_of: Clients, app: Any, settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    client = client_of()
    for content, words in ((b"no image", "not an image"), (drawing(0, 0)[:900], "cut off"), (b"", "Choose a picture")):
        page, said = ask(client, content), ask_api(client, content)
        assert (page.status_code, words in page.text) == (422, True)
        assert (said.status_code, said.headers["Content-Type"]) == (422, "application/problem+json")
    assert client.post(HERE, files={"image": ("a.jpg", drawing(0, 0))}).status_code == 403
    assert client.post(API, content=drawing(0, 0)).status_code == 403
    with database.writing() as session:
        version = _champion(session, campaign)
        weights = settings.data_dir / version.folder / "model.safetensors"
        kept, backbone = weights.read_bytes(), version.backbone
        version.backbone = "another@1"
    changed = ask(client, drawing(0, 0))
    assert (changed.status_code, "was changed" in changed.text) == (409, True)
    with database.writing() as session:
        _champion(session, campaign).backbone = backbone
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    for answer in (ask(client, drawing(0, 0)), ask_api(client, drawing(0, 0))):
        assert (answer.status_code, "damaged or missing" in answer.text) == (409, True)
    app.state.settings = settings.model_copy(update={"max_image_bytes": 100_000})
    for content in (b"x" * 150_000, b"x" * 300_000):
        for answer in (ask(client, content), ask_api(client, content)):
            assert (answer.status_code, "too large" in answer.text) == (422, True)


def test_without_a_model_and_without_a_right_to_see_it_there_is_no_answer(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of()
    csrf = csrf_of(client)
    assert "No model yet" in client.get(HERE).text
    for answer in (ask(client, drawing(0, 0)), ask_api(client, drawing(0, 0))):
        assert (answer.status_code, "no model yet" in answer.text) == (409, True)
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).visibility = Visibility.PRIVATE
    assert client.get(HERE).status_code == 404
    sent = client.post(HERE, data={"csrf": csrf}, files={"image": ("a.jpg", drawing(0, 0))})
    assert (sent.status_code, ask_api(client, drawing(0, 0)).status_code) == (404, 404)


def test_the_command_gives_what_the_api_gives(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign, figures: list[int], tmp_path: Path
) -> None:
    picture = tmp_path / "mine.jpg"
    picture.write_bytes(drawing(2, 40))

    def run(*words: str) -> Any:
        return CliRunner().invoke(command_line, ["identify", *words], env=settings.as_environment())

    answer = run(str(picture), "--campaign", "butterflies", "--json")
    assert answer.exit_code == 0, answer.output
    told, said = json.loads(answer.stdout), ask_api(client_of(), drawing(2, 40)).json()
    for one in (*told["similar"], *said["similar"]):
        one["likeness"] = round(one["likeness"], 4)
    assert told == said
    plain = run(str(picture), "--campaign", "butterflies").stdout
    assert f"Pieris rapae  ({WHITE})" in plain
    assert "Model version 1" in plain
    make_it_say(settings, database, campaign, "far")
    assert "probably none of its 3 taxa" in run(str(picture), "--campaign", "butterflies").stdout
    (tmp_path / "text.jpg").write_text("no picture")
    for words, problem in (
        ((str(tmp_path / "nothing.jpg"), "--campaign", "butterflies"), "There is no file"),
        ((str(tmp_path / "text.jpg"), "--campaign", "butterflies"), "not an image"),
        ((str(picture), "--campaign", "nowhere"), "There is no campaign"),
    ):
        refused = run(*words)
        assert refused.exit_code == 1
        assert problem in str(refused.exception)


@pytest.mark.parametrize("shape", [identify_shapes.IdentifiedOut])
def test_the_example_of_the_api_is_valid(shape: type[identify_shapes.IdentifiedOut]) -> None:
    shape.model_validate(shapes.example_of(shape))


def test_where_a_figure_is_shown_one_line_says_where_the_model_stands(
    client_of: Clients, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    figure, specialist, reader = figures[9], client_of(Role.SPECIALIST), client_of()
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).blind_votes = 0
    for row, words in (
        ({"verdict": "far"}, "None of the model’s taxa looks right"),
        ({"verdict": "near"}, "that the model has not learned"),
        ({"claim": {"qid": GENUS, "rank": "genus", "p": 0.97}}, "The model is pretty sure of the"),
        ({"plausible": {"qids": [FAMILY], "n": 30}}, "it may be any of 30 taxa within"),
        ({"plausible": {"qids": [LADY, WHITE], "n": 2}}, ""),
    ):
        said: dict[str, Any] = {"verdict": "known", "claim": {}, "plausible": {}, **row}
        _let_it_have_said(database, figure, said)
        for page in (
            reader.get(f"/c/butterflies/tag?figure={figure}"),
            specialist.get(f"/c/butterflies/review?figure={figure}"),
            reader.get(f"/c/butterflies/f/{figure}"),
        ):
            line = re.search(r'<p class="reason stand">.*?</p>', page.text)
            assert (words in line.group()) if line else not words
            assert (">if any<" in page.text) == (said["verdict"] != "known")
        told = reader.get(f"/api/v1/figures/{figure}").json()["prediction"]
        assert (told["claim"]["taxon"]["qid"] if told["claim"] else None) == said["claim"].get("qid")
        assert told["verdict"] == said["verdict"]
        plausible = told["plausible"] or {"taxa": [], "n": None}
        assert [one["qid"] for one in plausible["taxa"]] == said["plausible"].get("qids", [])
        assert plausible["n"] == said["plausible"].get("n")
    _let_it_have_said(database, figure, {"verdict": "far"})
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).blind_votes = 2
    withheld = client_of(Role.VOLUNTEER).get(f"/c/butterflies/tag?figure={figure}").text
    assert "reason stand" not in withheld
    assert ">if any<" not in withheld


def _let_it_have_said(database: Database, figure: int, values: dict[str, Any]) -> None:
    with database.writing() as session:
        kept = session.exec(select(Prediction).where(Prediction.figure_id == figure)).one()
        for name, value in values.items():
            setattr(kept, name, value)
