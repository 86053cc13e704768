"""A picture from outside through HTTP, the API and the command line: what the model says of it, and what is refused."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlmodel import Session, select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from active_learning import ImageError, LDAHead, NoveltyModel, RankScale, TrainedModel
from icones.cli import app as command_line
from icones.config import Settings
from icones.db import Database
from icones.errors import BusyError
from icones.jobs import identify
from icones.jobs.embedding import backbone_of
from icones.jobs.identify import embed_image
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


@contextmanager
def looking(settings: Settings, version: str, place: Path) -> Iterator[None]:
    """Meanwhile a picture is looked at that does not end: whoever opens a named pipe waits for what comes."""
    os.mkfifo(place / "endless")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(embed_image, settings, version, place / "endless")
        while True:
            try:
                pipe = os.open(place / "endless", os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:  # the other side has not opened it yet
                assert not waits.done()
                time.sleep(0.005)
        try:
            yield
        finally:
            (place / "text").write_text("no picture")
            (place / "text").replace(place / "endless")
            os.close(pipe)
        with pytest.raises(ImageError):
            waits.result(timeout=20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a picture that never ends is a named pipe, which Windows lacks")
def test_who_comes_when_many_wait_is_told_so_and_is_served_later(
    client_of: Clients,
    settings: Settings,
    database: Database,
    campaign: Campaign,
    figures: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, picture = client_of(), drawing(1, 77)
    with database.reading() as session:
        version = _champion(session, campaign).backbone
    form: dict[str, Any] = {
        "data": {"csrf": csrf_of(client, HERE)},
        "files": {"image": ("mine.jpg", picture, "image/jpeg")},
    }
    token = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    similar, part = "/c/butterflies/similar", f"/c/butterflies/f/{figures[0]}/similar"
    box = {"x": "5", "y": "5", "w": "50", "h": "50"}

    def of_a_part() -> Any:
        return client.post(part, data=form["data"] | box)

    monkeypatch.setattr(identify, "PATIENCE_S", 0.02)
    with looking(settings, version, tmp_path):
        pages = [client.post(HERE, **form), client.post(similar, **form), of_a_part()]
        assert client.get(part, params=box).status_code == 200  # who only follows addresses asks no network
        fragments = [client.post(one, **form, headers={"HX-Request": "true"}) for one in (HERE, similar)]
        told = [client.post(one, content=picture, headers=token) for one in (API, API.replace("identify", "similar"))]
    for answer in (*pages, *fragments, *told):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10"), answer.text
        assert "Many pictures are being looked at; try again in a moment." in answer.text
    assert all("Too many at once" in page.text and "<html" in page.text for page in pages)
    assert all("<html" not in one.text and one.headers["HX-Retarget"] == "#messages" for one in fragments)
    assert [one.json()["code"] for one in told] == ["busy", "busy"]
    for answer in (client.post(HERE, **form), client.post(similar, **form), of_a_part(), ask_api(client, picture)):
        assert answer.status_code == 200, answer.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a picture that never ends is a named pipe, which Windows lacks")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_so_many_wait_and_they_are_served(settings: Settings, campaign: Campaign, tmp_path: Path) -> None:
    version, picture = backbone_of(settings, campaign, print).version, drawing(1, 77)
    most = identify.MOST_WAITING
    with ThreadPoolExecutor(most + 3) as pool:
        with looking(settings, version, tmp_path):
            sent = [pool.submit(embed_image, settings, version, picture) for _ in range(most + 3)]
            done = as_completed(sent, timeout=5)
            first = [next(done) for _ in range(3)]
            assert [type(one.exception()) for one in first] == [BusyError] * 3
        assert sorted(one.exception() is None for one in sent) == [False] * 3 + [True] * most


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a picture that never ends is a named pipe, which Windows lacks")
def test_who_waits_holds_no_connection_to_the_database(
    client_of: Clients, app: Any, settings: Settings, database: Database, campaign: Campaign, figures: list[int],
    tmp_path: Path,
) -> None:  # fmt: skip
    picture, part = drawing(1, 77), f"figures/{figures[0]}/similar"
    with database.reading() as session:
        version = _champion(session, campaign).backbone
    clients = [client_of() for _ in range(5)]
    forms = [{"csrf": csrf_of(one, HERE)} for one in clients]
    token = {"X-CSRF-Token": forms[4]["csrf"]}
    files, box = {"image": ("mine.jpg", picture)}, {"x": "5", "y": "5", "w": "50", "h": "50"}
    wishes: list[Callable[[], Any]] = [
        lambda: clients[0].post(HERE, data=forms[0], files=files),
        lambda: clients[1].post("/c/butterflies/similar", data=forms[1], files=files),
        lambda: clients[2].post(f"/c/butterflies/f/{figures[0]}/similar", data=forms[2] | box),
        lambda: clients[3].post(
            API.replace("identify", "similar"), content=picture, headers={"X-CSRF-Token": forms[3]["csrf"]}
        ),
        lambda: clients[4].post(f"/api/v1/{part}", params={"box": "pct:5,5,50,50"}, headers=token),
    ]
    with ThreadPoolExecutor(len(wishes)) as pool:
        with looking(settings, version, tmp_path):
            sent = [pool.submit(wish) for wish in wishes]
            for _ in range(600):  # until all of them wait behind the picture that does not end
                if identify._PLACES._value == identify.MOST_WAITING - len(wishes):
                    break
                time.sleep(0.005)
            assert identify._PLACES._value == identify.MOST_WAITING - len(wishes)
            assert app.state.database.engine.pool.checkedout() == 0
        assert [one.result(timeout=20).status_code for one in sent] == [200] * len(wishes)


def test_the_model_that_serves_is_asked_while_the_next_one_has_another_network(
    client_of: Clients, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).backbone = "none-that-is-here"
    client = client_of()
    form: dict[str, Any] = {"data": {"csrf": csrf_of(client, HERE)}, "files": {"image": ("mine.jpg", drawing(1, 77))}}
    for answer in (
        ask_api(client, drawing(1, 77)),
        client.post(HERE, **form),
        client.post("/c/butterflies/similar", **form),
    ):
        assert answer.status_code == 200, answer.text


def test_a_form_sent_to_the_api_is_refused_before_it_is_taken_apart(client_of: Clients, campaign: Campaign) -> None:
    client = client_of()
    form = {"csrf": client.get("/api/v1/me").json()["csrf"]}
    for path in (API, API.replace("identify", "similar")):
        for data, content in ((form, drawing(0, 0)), ({}, b"x" * 3_000_000)):  # with the token, and without
            answer = client.post(path, data=data, files={"image": ("mine.jpg", content)})
            assert (answer.status_code, "Send the bytes of the image alone" in answer.text) == (422, True), answer.text
        assert client.post(path, data=form).status_code == 422


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
    told, said = json.loads(answer.stdout), ask_api(client_of(Role.SPECIALIST), drawing(2, 40)).json()
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
