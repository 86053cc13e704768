"""Groups of look-alikes through HTTP: who sees them, one form names them all once, undo, skip, and what is refused."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries
from icones.identifications import service as identifications
from icones.learning import cluster_queries, clusters
from icones.models import (
    Campaign,
    Determination,
    DeterminationState,
    Illustration,
    IllustrationState,
    ModelState,
    ModelVersion,
    Prediction,
    Role,
)
from icones.web.api import cluster_shapes, shapes
from tests.support.campaigns import ADMIRAL, FAMILY, LADY, WHITE, figure_ids, make_campaign
from tests.support.people import csrf_of, new_submission
from tests.support.voices import says, somebody, verified

Clients = Callable[..., TestClient]
HTMX = {"HX-Request": "true"}
HERE = "/c/butterflies/clusters"
BACKBONE = "drawn@1"


def grouped(database: Database, campaign: Campaign, seed: int = 0) -> int:
    """Make the groups of a campaign from vectors that tell its three kinds apart; return how many."""
    ids = figure_ids(database, campaign)
    rng = np.random.default_rng(1)
    x = np.eye(8, dtype=np.float32)[[place % 3 for place in range(len(ids))]] + rng.normal(0, 0.01, (len(ids), 8))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    with database.writing() as session:
        found = clusters.group(np.array(ids), x, clusters.unnamed(session, campaign), seed)
        return clusters.replace(session, campaign, BACKBONE, found, utc_now())


@pytest.fixture
def groups(database: Database, campaign: Campaign) -> list[list[int]]:
    """Three groups of four figures, one of each kind that was drawn, in the order of their numbers."""
    assert grouped(database, campaign) == 3
    with database.reading() as session:
        return [row.figure_ids for row in cluster_queries.clusters(session, campaign.id or 0, 0, 10)]


def form_of(client: TestClient, figures: Sequence[int], **more: object) -> dict[str, object]:
    return {"csrf": csrf_of(client), "submission_id": new_submission(), "figure": list(figures), **more}


def said(database: Database, figures: Sequence[int]) -> dict[int, list[str | None]]:
    with database.reading() as session:
        standing = queries.standing(session, figures)
    return {figure: [one.taxon_qid for one in rows] for figure, rows in standing.items()}


def tiles(page: str) -> list[int]:
    """The figures on a page, in their order."""
    return [int(one) for one in re.findall(r'name="figure" value="(\d+)"', page)]


def test_volunteers_and_strangers_are_told_whom_the_groups_are_for(groups: list[list[int]], client_of: Clients) -> None:
    assert client_of().get(HERE).status_code == 401
    volunteer = client_of(Role.VOLUNTEER)
    refused = volunteer.get(HERE)
    assert (refused.status_code, "This is for the specialists" in refused.text) == (403, True)
    assert volunteer.post(f"{HERE}/1", data=form_of(volunteer, groups[0], chosen=WHITE)).status_code == 403


def test_without_groups_the_page_says_so(campaign: Campaign, client_of: Clients) -> None:
    page = client_of(Role.SPECIALIST).get(HERE)
    assert (page.status_code, "No group waits here" in page.text) == (200, True)


def test_a_group_is_of_one_kind_and_the_named_are_in_none(database: Database, campaign: Campaign) -> None:
    figures = verified(database, campaign, [0, 4])
    assert grouped(database, campaign) == 3
    with database.reading() as session:
        rows = cluster_queries.clusters(session, campaign.id or 0, 0, 10)
    members = [set(row.figure_ids) for row in rows]
    assert set().union(*members) == set(figures) - {figures[0], figures[4]}
    assert all(len({figures.index(one) % 3 for one in group}) == 1 for group in members)
    assert [row.number for row in rows] == [1, 2, 3]


def test_one_form_names_all_that_is_ticked_and_the_next_group_comes(
    groups: list[list[int]], database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    page = client.get(HERE).text
    assert sorted(tiles(page)) == sorted(groups[0])
    kept = groups[0][1:]
    answer = client.post(f"{HERE}/1", data=form_of(client, kept, chosen=WHITE, n_shown=4), headers=HTMX)
    assert answer.status_code == 200
    assert "3 pictures named:" in answer.text
    assert "<html" not in answer.text
    assert sorted(tiles(answer.text)) == sorted(groups[1])
    assert said(database, groups[0]) == {figure: [WHITE] for figure in kept}
    with database.reading() as session:
        for figure in kept:
            assert session.get_one(Determination, figure).state is DeterminationState.VERIFIED
        assert queries.standing(session, kept)[kept[0]][0].shown == {"cluster": 1, "figures": 4}


def waiting_numbers(database: Database, campaign: Campaign) -> list[int]:
    with database.reading() as session:
        return [row.number for row in cluster_queries.clusters(session, campaign.id or 0, 0, 10)]


def test_a_group_that_is_done_is_not_read_again_until_it_is_taken_back(
    groups: list[list[int]], campaign: Campaign, database: Database, client_of: Clients
) -> None:
    first, second = client_of(Role.SPECIALIST), client_of(Role.CURATOR)
    page = first.post(f"{HERE}/1", data=form_of(first, groups[0][:3], chosen=WHITE)).text
    assert waiting_numbers(database, campaign) == [2, 3], "one figure is no group"
    late = second.post(f"{HERE}/1", data=form_of(second, groups[0][:3], chosen=LADY), headers=HTMX)
    assert late.status_code == 200, "whoever still has it on the screen is heard"
    assert said(database, groups[0][:1]) == {groups[0][0]: [WHITE, LADY]}
    for client, shown, after in ((second, late.text, [2, 3]), (first, page, [1, 2, 3])):
        found = re.search(r'name="identification" value="(\d+)"', shown)
        assert found
        client.post(f"{HERE}/undo", data={"csrf": csrf_of(client), "identification": found.group(1)})
        assert waiting_numbers(database, campaign) == after
    assert sorted(tiles(client_of(Role.SPECIALIST).get(HERE).text)) == sorted(groups[0])


def test_what_comes_next_is_looked_for_after_the_word_is_kept(
    groups: list[list[int]], app: Any, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    steps: list[str] = []
    form = form_of(client, groups[0], chosen=WHITE)
    engine = app.state.database.engine
    sa.event.listen(engine, "commit", lambda *_: steps.append("kept"))
    sa.event.listen(engine, "before_cursor_execute", lambda *args: steps.append(args[2]))
    assert client.post(f"{HERE}/1", data=form, headers=HTMX).status_code == 200
    asked = [place for place, step in enumerate(steps) if "FROM skip" in step]
    assert len(asked) == 1
    assert steps.index("kept") < asked[0]


def test_the_same_form_twice_says_it_once_even_when_the_groups_are_new(
    groups: list[list[int]], campaign: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    form = form_of(client, groups[0], chosen=ADMIRAL)
    for _ in range(2):
        assert client.post(f"{HERE}/1", data=form).status_code == 200
    grouped(database, campaign)
    assert client.post(f"{HERE}/1", data=form).status_code == 200
    with database.reading() as session:
        assert [len(queries.all_with_people(session, figure)) for figure in groups[0]] == [1] * 4


def test_undo_takes_all_of_one_form_back_and_nothing_else(
    groups: list[list[int]], database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    client.post(f"{HERE}/2", data=form_of(client, groups[1], chosen=LADY))
    page = client.post(f"{HERE}/1", data=form_of(client, groups[0], chosen=WHITE))
    assert "4 pictures named:" in page.text
    found = re.search(r'name="identification" value="(\d+)"', page.text)
    assert found
    other = client_of(Role.CURATOR)
    back = {"csrf": csrf_of(other), "identification": found.group(1)}
    assert other.post(f"{HERE}/undo", data=back).status_code == 404
    again = client.post(f"{HERE}/undo", data=back | {"csrf": csrf_of(client)}, headers=HTMX)
    assert sorted(tiles(again.text)) == sorted(groups[0])
    assert said(database, groups[0] + groups[1]) == {figure: [LADY] for figure in groups[1]}


def test_who_was_quicker_keeps_their_word_and_gets_another_beside_it(
    groups: list[list[int]], campaign: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    form = form_of(client, groups[0], chosen=WHITE)
    says(database, somebody(database, campaign, "Anna"), groups[0][2], ADMIRAL)
    assert groups[0][2] not in tiles(client.get(f"{HERE}?group=1").text), "what was named meanwhile is not asked"
    assert client.post(f"{HERE}/1", data=form).status_code == 200
    assert said(database, groups[0])[groups[0][2]] == [ADMIRAL, WHITE]


@pytest.mark.parametrize("stranger", ["another group", "another campaign", "no group of this number"])
def test_a_figure_of_elsewhere_is_refused_and_nothing_is_kept(
    stranger: str, groups: list[list[int]], database: Database, settings: Settings, client_of: Clients
) -> None:
    figures, number = list(groups[0]), 1
    if stranger == "another group":
        figures.append(groups[1][0])
    elif stranger == "another campaign":
        other = make_campaign(settings, database, utc_now(), per_kind=1, slug="elsewhere")
        figures.append(figure_ids(database, other)[0])
    else:
        number = 99
    client = client_of(Role.SPECIALIST)
    answer = client.post(f"{HERE}/{number}", data=form_of(client, figures, chosen=WHITE))
    assert (answer.status_code, "made anew meanwhile" in answer.text) == (409, True)
    assert said(database, groups[0]) == {}


def test_a_form_that_cannot_be_used_is_refused_in_words(
    groups: list[list[int]], database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    json = {"Accept": "application/json"}
    nothing = client.post(f"{HERE}/1", data=form_of(client, [], chosen=WHITE), headers=json)
    assert (nothing.status_code, nothing.json()["title"]) == (422, "Leave at least one picture ticked.")
    old = form_of(client, groups[0], chosen=WHITE) | {"submission_id": "not-an-id"}
    assert client.post(f"{HERE}/1", data=old, headers=json).status_code == 422
    assert said(database, groups[0]) == {}


def test_typed_words_are_looked_up_and_the_ticks_stay(
    groups: list[list[int]], database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    page = client.post(f"{HERE}/1", data=form_of(client, groups[0][:3], taxon_words="small whit", comment="Wings"))
    assert "Names like “small whit”" in page.text
    assert f'value="{WHITE}"' in page.text
    assert page.text.count('name="figure"') == 4
    assert len(re.findall(r'name="figure" value="\d+" checked', page.text)) == 3
    assert "Wings" in page.text
    assert said(database, groups[0]) == {}
    exact = client.post(f"{HERE}/1", data=form_of(client, groups[0][:3], taxon_words="Pieris rapae"))
    assert "3 pictures named:" in exact.text


def test_without_a_name_the_page_asks_for_one(groups: list[list[int]], client_of: Clients) -> None:
    client = client_of(Role.SPECIALIST)
    page = client.post(f"{HERE}/1", data=form_of(client, groups[0]))
    assert "Choose a name for these pictures" in page.text


def test_pictures_without_an_organism_are_said_to_be_so(
    groups: list[list[int]], database: Database, client_of: Clients
) -> None:
    client = client_of(Role.SPECIALIST)
    client.post(f"{HERE}/1", data=form_of(client, groups[0], answer="no_organism", taxon=WHITE))
    assert said(database, groups[0]) == {figure: [None] for figure in groups[0]}


def test_a_group_set_aside_is_not_asked_again_but_waits_for_others(groups: list[list[int]], client_of: Clients) -> None:
    client = client_of(Role.SPECIALIST)
    page = client.post(f"{HERE}/1", data=form_of(client, groups[0], aside="true"))
    assert sorted(tiles(page.text)) == sorted(groups[1])
    assert "2 groups wait" in page.text
    assert "3 groups wait" in client_of(Role.CURATOR).get(HERE).text


def test_a_stale_group_leaves_out_what_was_removed_and_goes_when_one_is_left(
    groups: list[list[int]], campaign: Campaign, database: Database, client_of: Clients
) -> None:
    anna = somebody(database, campaign, "Anna")
    for figure in groups[0][:2]:
        says(database, anna, figure, WHITE)
    client = client_of(Role.CURATOR)
    assert sorted(tiles(client.get(f"{HERE}?group=1").text)) == sorted(groups[0][2:])
    with database.writing() as session:
        plates = {figure.id: plate for figure, plate, _ in queries.figures_page(session, campaign.id or 0, [], 0, 99)}
        plate = session.get_one(Illustration, plates[groups[1][0]].id)
        plate.state = IllustrationState.GONE
        session.add(plate)
    shown = [one for number in (1, 2, 3) for one in tiles(client.get(f"{HERE}?group={number}").text)]
    assert groups[1][0] not in shown
    assert groups[1][1] in shown
    says(database, anna, groups[0][2], WHITE)
    assert groups[0][3] not in tiles(client.get(f"{HERE}?group=1").text)


def predicted(database: Database, campaign: Campaign) -> None:
    """Let a model serve that thinks of every figure what it was drawn as."""
    figures, now = figure_ids(database, campaign), utc_now()
    with database.writing() as session:
        version = ModelVersion(
            campaign_id=campaign.id or 0,
            number=1,
            state=ModelState.CHAMPION,
            backbone=BACKBONE,
            folder="campaign-1/1",
            snapshot_hash="0" * 64,
            seed=0,
            created_at=now,
            published_at=now,
        )
        session.add(version)
        session.flush()
        for place, figure in enumerate(figures):
            ranked = [{"qid": (ADMIRAL, LADY, WHITE)[place % 3], "p": 0.9}, {"qid": FAMILY, "p": 0.1}]
            told: dict[str, Any] = {
                "figure_id": figure,
                "ranked": ranked,
                "margin": 0.8,
                "entropy": 0.3,
                "created_at": now,
            }
            session.add(Prediction(model_version_id=version.id or 0, **told))
        session.flush()
        identifications.recompute(session, campaign, figures, now, model_version_id=version.id)


def test_the_model_tells_what_it_would_say_and_filters(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    predicted(database, campaign)
    grouped(database, campaign)
    client = client_of(Role.CURATOR)
    page = client.get(HERE).text
    assert "The model would say so for 4 of 4" in page
    only = client.get(f"{HERE}?show={WHITE}").text
    assert "1 group waits" in only
    assert f'name="chosen" value="{WHITE}"' in only
    listed = client.get("/api/v1/campaigns/butterflies/clusters").json()
    assert listed["is_all"] is True
    assert sorted(one["suggested"]["qid"] for one in listed["clusters"]) == sorted([ADMIRAL, LADY, WHITE])


def test_specialists_begin_with_their_own_field(
    groups: list[list[int]], campaign: Campaign, database: Database, client_of: Clients
) -> None:
    with database.reading() as session:
        dora = somebody(database, campaign, "Dora", Role.SPECIALIST, FAMILY)
        made = clusters.waiting(session, campaign, dora, utc_now()).groups
        told = [
            clusters.Group(one.number, one.figure_ids, one.cohesion, qid, 4)
            for one, qid in zip(made, (ADMIRAL, WHITE, None), strict=True)
        ]
        assert [one.suggested for one in clusters.within(session, told, {FAMILY})] == [ADMIRAL, None]


def test_the_list_of_the_api_is_for_specialists(groups: list[list[int]], client_of: Clients) -> None:
    assert client_of(Role.VOLUNTEER).get("/api/v1/campaigns/butterflies/clusters").status_code == 403
    listed = client_of(Role.SPECIALIST).get("/api/v1/campaigns/butterflies/clusters").json()
    assert [one["figure_ids"] for one in listed["clusters"]] == groups
    assert all(one["suggested"] is None and one["n_suggested"] == 0 for one in listed["clusters"])


@pytest.mark.parametrize("shape", [cluster_shapes.ClusterOut, cluster_shapes.ClustersOut])
def test_examples_of_the_api_are_valid(shape: type[cluster_shapes.ClusterOut]) -> None:
    shape.model_validate(shapes.example_of(shape))
