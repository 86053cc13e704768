"""Figures that look alike through HTTP: narrowed, in several campaigns, by a box and by a brought picture."""

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from sqlmodel import Session, col, select
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import service as illustrations
from icones.illustrations.store import ImageStore
from icones.learning.similar import SimilarFigures
from icones.models import Campaign, Embedding, Figure, Illustration, JobKind, Person, Role, Visibility
from icones.people import service as people
from tests.support.campaigns import FAMILY, GENUS, LADY, WHITE, drawing, figure_ids, make_campaign
from tests.support.people import csrf_of
from tests.support.voices import carried_out, verified

Clients = Callable[..., TestClient]
HOME, API = "/c/butterflies", "/api/v1"


@pytest.fixture
def figures(settings: Settings, database: Database, campaign: Campaign) -> list[int]:
    """The figures of the small campaign, embedded; the first six are verified, kinds in turn."""
    carried_out(settings, database, campaign, JobKind.EMBED)
    return verified(database, campaign, range(6))


@pytest.fixture
def elsewhere(settings: Settings, database: Database, figures: list[int]) -> list[int]:
    """The figures of another campaign, private, with the same drawings and more."""
    other = make_campaign(settings, database, utc_now(), per_kind=2, slug="album-two")
    carried_out(settings, database, other, JobKind.EMBED)
    show(database, "album-two", Visibility.PRIVATE)
    return figure_ids(database, other)


def show(database: Database, slug: str, visibility: Visibility) -> None:
    with database.writing() as session:
        campaign = session.exec(select(Campaign).where(Campaign.slug == slug)).one()
        campaign.visibility = visibility


def cards(page: str) -> list[int]:
    return [int(one) for one in re.findall(r'class="plate-card" href="/c/[^/"]+/f/(\d+)"', page)]


def token(client: TestClient) -> dict[str, str]:
    return {"X-CSRF-Token": client.get(f"{API}/me").json()["csrf"]}


def upload(client: TestClient, content: bytes, **fields: str) -> Any:
    data = {"csrf": csrf_of(client, f"{HOME}/similar"), **fields}
    return client.post(f"{HOME}/similar", data=data, files={"image": ("mine.jpg", content, "image/jpeg")})


def test_only_figures_that_fit_come_back_and_all_of_them(client_of: Clients, figures: list[int]) -> None:
    client, path = client_of(), f"{HOME}/f/{figures[9]}/similar"
    everything = client.get(path).text
    assert len(cards(everything)) == 11
    assert {figures.index(one) % 3 for one in cards(everything)[:3]} == {0}
    assert "almost the same" in everything or "very alike" in everything
    for query, places in (
        ({"taxon": GENUS}, {0, 1, 3, 4}),
        ({"taxon": FAMILY, "state": "verified"}, {0, 1, 3, 4}),
        ({"taxon_words": "Pieris rapae"}, {2, 5}),
        ({"taxon": WHITE, "taxon_words": "red admiral"}, {0, 3}),
        ({"taxon": WHITE, "taxon_words": "", "state": "open"}, {6, 7, 8, 10, 11}),
    ):
        page = client.get(path, params=query)
        assert page.status_code == 200
        assert {figures.index(one) for one in cards(page.text)} == places, query
        found = client.get(f"{API}/figures/{figures[9]}/similar", params={**query, "limit": 100}).json()
        if "taxon_words" not in query:
            assert {figures.index(one["figure_id"]) for one in found} == places, query
    nothing = client.get(path, params={"taxon": LADY, "state": "open"}).text
    assert "No figure fits" in nothing
    assert "Show all that look like it" in nothing


def test_a_filter_that_means_nothing_is_told(client_of: Clients, figures: list[int]) -> None:
    client, path = client_of(), f"{HOME}/f/{figures[0]}/similar"
    for query, status in (({"taxon_words": "qqq"}, 422), ({"state": "lost"}, 422), ({"taxon": "Q1"}, 404)):
        assert client.get(path, params=query).status_code == status, query
        if "taxon_words" not in query:
            answer = client.get(f"{API}/figures/{figures[0]}/similar", params=query)
            assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_removed_figure_never_comes_back_and_a_new_one_is_found_at_once(
    app: Any, client_of: Clients, settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    app.state.similar = SimilarFigures(settings.data_dir / "index", look_every_s=0)  # what came is looked for each time
    client, path = client_of(), f"{API}/figures/{figures[0]}/similar"
    assert figures[3] in [one["figure_id"] for one in client.get(path).json()]
    with database.writing() as session:
        gone = session.get_one(Figure, figures[3])
        gone.removed_at = utc_now()
        new = illustrations.add_figure(session, gone.illustration_id, somebody_of(session), "pct:5,5,90,90", utc_now())
    assert figures[3] not in [one["figure_id"] for one in client.get(path).json()]
    carried_out(settings, database, campaign, JobKind.EMBED)
    assert new.id in [one["figure_id"] for one in client.get(path).json()]
    with database.writing() as session:
        session.get_one(Figure, figures[3]).removed_at = None
        session.get_one(Figure, new.id).removed_at = utc_now()
        # Another drawing under the same figure: its vector is made anew.
        row = session.get_one(Illustration, session.get_one(Figure, figures[6]).illustration_id)
        row.image_sha1 = ImageStore(settings.data_dir / "images").keep(drawing(2, 99))
    before = {one["figure_id"]: one["likeness"] for one in client.get(path).json()}
    assert (figures[3] in before, new.id in before) == (True, False)
    carried_out(settings, database, campaign, JobKind.EMBED)
    after = {one["figure_id"]: one["likeness"] for one in client.get(path).json()}
    assert after[figures[6]] < before[figures[6]] - 0.01


def somebody_of(session: Session) -> Person:
    """A person who is not known yet, within this piece of work."""
    return people.arrive(session, "test:dora", "Dora", utc_now())


def test_all_campaigns_are_those_that_one_may_see(
    client_of: Clients, database: Database, figures: list[int], elsewhere: list[int]
) -> None:
    stranger, path = client_of(), f"{HOME}/f/{figures[0]}/similar"
    api = f"{API}/figures/{figures[0]}/similar"
    for query in ({"where": "*"}, {"where": "*", "taxon": GENUS}, {"where": "*", "state": "open"}, {}):
        page = stranger.get(path, params=query).text
        assert "album-two" not in page
        assert set(cards(page)) <= set(figures)
        assert {one["figure_id"] for one in stranger.get(api, params={**query, "limit": 100}).json()} <= set(figures)
    for address in (path, api):
        assert stranger.get(address, params={"where": "album-two"}).status_code == 404
    hidden = stranger.post(
        f"{API}/campaigns/butterflies/similar?where=*&limit=100", content=drawing(0, 1), headers=token(stranger)
    )
    assert {one["figure_id"] for one in hidden.json()} == set(figures)
    show(database, "album-two", Visibility.UNLISTED)
    assert "album-two" not in stranger.get(path, params={"where": "*"}).text
    show(database, "album-two", Visibility.PUBLIC)
    page = stranger.get(path, params={"where": "*"}).text
    assert set(cards(page)) == {*figures, *elsewhere} - {figures[0]}
    assert page.index(f"/c/album-two/f/{elsewhere[0]}") < page.index(f"/f/{figures[1]}/image?side=320")
    assert set(cards(stranger.get(path, params={"where": "album-two"}).text)) == set(elsewhere)


def test_members_of_a_private_campaign_find_its_figures(
    client_of: Clients, database: Database, figures: list[int], elsewhere: list[int]
) -> None:
    curator = client_of(Role.CURATOR)
    with database.writing() as session:
        campaign = session.exec(select(Campaign).where(Campaign.slug == "album-two")).one()
        one = people.require_by_name(session, "Demo curator")
        people.grant(session, campaign.id or 0, one, Role.VOLUNTEER, utc_now())
    page = curator.get(f"{HOME}/f/{figures[0]}/similar", params={"where": "*"}).text
    assert set(elsewhere) <= set(cards(page))


def test_vectors_of_another_network_are_not_compared(
    client_of: Clients, database: Database, figures: list[int], elsewhere: list[int]
) -> None:
    show(database, "album-two", Visibility.PUBLIC)
    with database.writing() as session:
        for row in session.exec(select(Embedding).where(col(Embedding.figure_id).in_(elsewhere))):
            row.backbone = "another@1"
    path = f"{HOME}/f/{figures[0]}/similar"
    for where in ("*", "album-two"):
        page = client_of().get(path, params={"where": where})
        assert page.status_code == 200
        assert set(cards(page.text)) <= set(figures)


def test_a_part_of_a_plate_is_searched_with(client_of: Clients, figures: list[int]) -> None:
    client, path = client_of(), f"{HOME}/f/{figures[0]}/similar"
    box = {"x": "10", "y": "15", "w": "75", "h": "60"}
    form = {"csrf": csrf_of(client, path)}
    page = client.post(path, data=form | box).text
    assert figures[0] not in cards(page)
    assert len(cards(page)) == 11
    assert 'data-box="pct:10,15,75,60"' in page
    assert 'name="x" min="0" max="100" step="0.1" inputmode="decimal" value="10"' in page
    part: dict[str, str | int] = {"box": "pct:10,15,75,60", "limit": 100}
    api = client.post(f"{API}/figures/{figures[0]}/similar", params=part, headers=token(client)).json()
    assert [one["figure_id"] for one in api] == cards(page)
    assert cards(client.get(path, params=box).text) == cards(client.get(path).text)  # an address asks no network
    for refused in (client.post(path, data=box), client.post(f"{API}/figures/{figures[0]}/similar", params=part)):
        assert refused.status_code == 403
    assert cards(client.get(path).text) != cards(page)
    for wrong in ({**box, "w": ""}, {**box, "w": "0.1"}, {**box, "x": "120"}):
        assert client.post(path, data=form | wrong).status_code == 422
    wrong_part = client.post(f"{API}/figures/{figures[0]}/similar", params={"box": "pct:1"}, headers=token(client))
    assert wrong_part.status_code == 422


def test_the_same_form_without_a_box_narrows_the_search(client_of: Clients, figures: list[int]) -> None:
    client, path = client_of(), f"{HOME}/f/{figures[9]}/similar"
    form = {"csrf": csrf_of(client, path), "x": "", "y": "", "w": "", "h": ""}
    for sent, places in (
        ({"taxon": WHITE, "taxon_words": "Pieris rapae"}, {2, 5}),
        ({"taxon": WHITE, "taxon_words": "", "state": "open"}, {6, 7, 8, 10, 11}),  # the name was cleared
        ({"taxon": WHITE, "state": "verified"}, {2, 5}),
        ({"taxon": "", "taxon_words": ""}, set(range(12)) - {9}),
    ):
        page = client.post(path, data=form | sent)
        assert (page.status_code, page.history[0].status_code) == (200, 303)
        assert {figures.index(one) for one in cards(page.text)} == places, sent
    part = form | {"x": "10", "y": "15", "w": "75", "h": "60"}
    page = client.post(path, data=part | {"taxon": WHITE, "taxon_words": "", "state": "verified"})
    assert {figures.index(one) for one in cards(page.text)} == set(range(6))


def test_the_only_figure_has_none_like_it(client_of: Clients, database: Database, figures: list[int]) -> None:
    with database.writing() as session:
        for key in figures[1:]:
            session.get_one(Figure, key).removed_at = utc_now()
    page = client_of().get(f"{HOME}/f/{figures[0]}/similar").text
    assert "No other figure can be compared yet." in page
    assert "Ask for less" not in page
    narrowed = client_of().get(f"{HOME}/f/{figures[0]}/similar", params={"state": "open"}).text
    assert "Ask for less" in narrowed


def test_a_brought_picture_is_looked_at_and_forgotten(
    client_of: Clients, settings: Settings, figures: list[int]
) -> None:
    client = client_of()
    before = {path for path in settings.data_dir.rglob("*") if "images" in path.parts}
    page = upload(client, drawing(1, 77), state="verified")
    assert page.status_code == 200, page.text
    assert {figures.index(one) for one in cards(page.text)} == set(range(6))
    assert {figures.index(one) for one in cards(page.text)[:2]} == {1, 4}
    shown = re.search(r'src="data:image/jpeg;base64,([^"]+)"', page.text)
    assert shown
    assert Image.open(io.BytesIO(base64.b64decode(shown.group(1)))).size == (240, 240)
    assert {path for path in settings.data_dir.rglob("*") if "images" in path.parts} == before
    found = client.post(
        f"{API}/campaigns/butterflies/similar",
        params={"limit": 2, "taxon": GENUS},
        content=drawing(1, 77),
        headers=token(client) | {"Content-Type": "image/jpeg"},
    )
    assert [figures.index(one["figure_id"]) % 3 for one in found.json()] == [1, 1]
    assert {one["determination"]["taxon_qid"] for one in found.json()} == {LADY}


def test_what_is_no_picture_is_refused_in_words(client_of: Clients, settings: Settings, figures: list[int]) -> None:
    client = client_of()
    api = f"{API}/campaigns/butterflies/similar"
    head = token(client)
    for content, words in (
        (b"not an image", "not an image"),
        (drawing(0, 0)[:900], "damaged or cut off"),
        (b"<svg xmlns='x'></svg>", "SVG"),
        (b"", "Choose a picture first"),
    ):
        page = upload(client, content)
        assert page.status_code == 422
        assert words in page.text
        assert client.post(api, content=content, headers=head).status_code == 422
    assert client.post(api, content=drawing(0, 0)).status_code == 403
    assert client.post(f"{HOME}/similar", data={}, files={"image": drawing(0, 0)}).status_code == 403
    assert client.post(f"{API}/campaigns/nowhere/similar", content=drawing(0, 0), headers=head).status_code == 404


def test_a_picture_with_too_many_bytes_is_refused_before_it_is_read(
    client_of: Clients, app: Any, settings: Settings, figures: list[int]
) -> None:
    app.state.settings = settings.model_copy(update={"max_image_bytes": 100_000})
    client = client_of()
    for content in (b"x" * 150_000, b"x" * 300_000):
        page = upload(client, content)
        assert page.status_code == 422
        assert "too large" in page.text
        sent = client.post(f"{API}/campaigns/butterflies/similar", content=content, headers=token(client))
        assert (sent.status_code, "too large" in sent.text) == (422, True)


def test_before_anything_is_embedded_it_says_so(client_of: Clients, database: Database, campaign: Campaign) -> None:
    client, figure = client_of(), figure_ids(database, campaign)[0]
    assert "Nothing to compare with yet" in client.get(f"{HOME}/f/{figure}/similar").text
    assert "Nothing to compare with yet" in client.get(f"{HOME}/similar").text
    assert client.get(f"{API}/figures/{figure}/similar").json() == []
    part = {"csrf": csrf_of(client, f"{HOME}/f/{figure}/similar"), "x": "1", "y": "1", "w": "50", "h": "50"}
    boxed = client.post(f"{HOME}/f/{figure}/similar", data=part)
    brought = upload(client, drawing(0, 0))
    for answer in (boxed, brought):
        assert answer.status_code == 409
        assert "has not looked at the figures" in answer.text


def test_after_the_network_was_changed_nothing_wrong_is_compared(
    client_of: Clients, database: Database, figures: list[int]
) -> None:
    with database.writing() as session:
        for row in session.exec(select(Embedding)):
            row.backbone = "before@1"
    client = client_of()
    assert len(cards(client.get(f"{HOME}/f/{figures[0]}/similar").text)) == 11
    answer = upload(client, drawing(0, 0))
    assert answer.status_code == 409
    assert "was changed" in answer.text


def test_a_private_campaigns_search_is_closed_to_strangers(
    client_of: Clients, database: Database, figures: list[int]
) -> None:
    client = client_of()
    csrf = csrf_of(client)
    show(database, "butterflies", Visibility.PRIVATE)
    assert client.get(f"{HOME}/similar").status_code == 404
    sent = client.post(f"{HOME}/similar", data={"csrf": csrf}, files={"image": ("a.jpg", drawing(0, 0))})
    assert sent.status_code == 404
    assert "Butterflies" not in sent.text
