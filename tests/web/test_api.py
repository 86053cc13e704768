"""The JSON API: the whole loop through it, its errors, its pages, and that its description is true."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from icones.config import Settings
from icones.db import Database
from icones.models import Campaign, JobKind, Role, SourceKind
from icones.web.api import campaign_shapes, cluster_shapes, edit_shapes, shapes
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, ROOT, figure_ids
from tests.support.people import new_submission
from tests.support.voices import carried_out, says, somebody, verified

Clients = Callable[..., TestClient]
API = "/api/v1"
SHAPES = [
    shape
    for shape in {**vars(shapes), **vars(campaign_shapes), **vars(cluster_shapes), **vars(edit_shapes)}.values()
    if isinstance(shape, type) and issubclass(shape, BaseModel) and shape is not BaseModel
]


def token(client: TestClient) -> dict[str, str]:
    """Return the header that a changing request carries."""
    return {"X-CSRF-Token": client.get(f"{API}/me").json()["csrf"]}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_documented_example_is_valid_and_complete(shape: type[BaseModel]) -> None:
    example = shapes.example_of(shape)
    shape.model_validate(example)
    assert example.keys() <= shape.model_fields.keys()


def test_the_description_has_examples_and_problems_everywhere(app: Any) -> None:
    described = app.openapi()
    tags = {tuple(said["tags"]) for methods in described["paths"].values() for said in methods.values()}
    assert tags == {(tag,) for tag in ("people", "campaigns", "figures", "taxa", "jobs", "models", "exports", "edits")}
    for path, methods in described["paths"].items():
        assert path.startswith("/api/v1/"), path
        for said in methods.values():
            assert said["summary"]
            assert said["description"]
            refused = [code for code in said["responses"] if code >= "400"]
            assert refused
            for code in refused:
                assert list(said["responses"][code]["content"]) == ["application/problem+json"]
    for name, schema in described["components"]["schemas"].items():
        if schema["type"] == "object":
            assert schema.get("examples"), name


def test_me_tells_who_and_the_roles(campaign: Campaign, client_of: Clients) -> None:
    nobody = client_of().get(f"{API}/me").json()
    assert (nobody["signed_in"], nobody["name"], nobody["roles"]) == (False, None, {})
    curator = client_of(Role.CURATOR).get(f"{API}/me").json()
    assert (curator["name"], curator["roles"]) == ("Demo curator", {"butterflies": "curator"})


def test_the_loop_through_the_api(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    client = client_of(Role.SPECIALIST)
    figure = client.get(f"{API}/campaigns/butterflies/next").json()["figure_id"]
    detail = client.get(f"{API}/figures/{figure}").json()
    chances = [one["probability"] for one in detail["prediction"]["best"]]
    assert chances == sorted(chances, reverse=True)
    assert abs(sum(chances) - 1) < 0.01
    said = {
        "submission_id": new_submission(),
        "taxon_qid": ADMIRAL,
        "model_version_id": detail["prediction"]["model_version_id"],
    }
    done = client.post(f"{API}/figures/{figure}/identifications", json=said, headers=token(client))
    assert done.status_code == 201
    assert done.json()["determination"]["state"] == "verified"
    again = client.post(f"{API}/figures/{figure}/identifications", json=said, headers=token(client)).json()
    assert (again["is_repeat"], again["identification"]["id"]) == (True, done.json()["identification"]["id"])
    back = client.delete(f"{API}/identifications/{done.json()['identification']['id']}", headers=token(client))
    assert back.json()["state"] == "predicted"
    history = client.get(f"{API}/figures/{figure}").json()["identifications"]
    assert [one["ending"] for one in history] == ["withdrawn"]
    assert client.get(f"{API}/campaigns/butterflies/next").json()["figure_id"] is not None


def test_figures_are_paged_by_a_cursor_and_none_is_missed(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of()
    seen: list[int] = []
    cursor: int | None = 0
    while cursor is not None:
        page = client.get(f"{API}/campaigns/butterflies/figures", params={"cursor": cursor, "limit": 5}).json()
        seen += [one["id"] for one in page["figures"]]
        cursor = page["next"]
    assert seen == figure_ids(database, campaign)
    verified(database, campaign, [0])
    only = client.get(f"{API}/campaigns/butterflies/figures", params={"state": "verified"}).json()["figures"]
    assert [one["determination"]["taxon_qid"] for one in only] == [ADMIRAL]


def test_names_of_people_are_told_only_where_they_agreed(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    figure = figure_ids(database, campaign)[0]
    says(database, somebody(database, campaign, "Anna"), figure, ADMIRAL)
    answer = client_of(Role.SPECIALIST).get(f"{API}/figures/{figure}")
    assert answer.json()["identifications"][0]["person"] is None
    assert "Anna" not in answer.text


def test_taxa_are_found_by_either_name_with_a_slip(campaign: Campaign, client_of: Clients) -> None:
    client = client_of()
    hits = client.get(f"{API}/taxa", params={"q": "red admirla"}).json()
    assert hits[0]["taxon"]["qid"] == ADMIRAL
    dutch = client.get(f"{API}/taxa/{LADY}", params={"language": "nl"}).json()
    assert (dutch["vernacular"], dutch["lineage"]) == ("distelvlinder", [LADY, GENUS, FAMILY, ROOT])


def test_another_figure_is_added_and_passed_over(campaign: Campaign, client_of: Clients) -> None:
    client = client_of(Role.VOLUNTEER)
    plate = client.get(f"{API}/campaigns/butterflies/figures").json()["figures"][0]["illustration_id"]
    made = client.post(f"{API}/illustrations/{plate}/figures", json={"box": "pct:10,10,30,30"}, headers=token(client))
    assert (made.status_code, made.json()["number"], made.json()["box"]) == (201, 2, "pct:10,10,30,30")
    assert len(client.get(f"{API}/illustrations/{plate}/figures").json()) == 2
    assert client.post(f"{API}/figures/{made.json()['id']}/skip", headers=token(client)).status_code == 204
    wrong = client.post(f"{API}/illustrations/{plate}/figures", json={"box": "pct:1"}, headers=token(client))
    assert wrong.status_code == 422


def test_similar_figures_come_most_alike_first(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    carried_out(settings, database, campaign, JobKind.EMBED)
    figures = figure_ids(database, campaign)
    found = client_of().get(f"{API}/figures/{figures[0]}/similar", params={"limit": 3}).json()
    likeness = [one["likeness"] for one in found]
    assert len(found) == 3
    assert likeness == sorted(likeness, reverse=True)
    assert figures[0] not in [one["figure_id"] for one in found]


def test_curators_ask_for_runs_take_exports_and_set_rules(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    verified(database, campaign, range(2))
    client = client_of(Role.CURATOR)
    root = f"{API}/campaigns/butterflies"
    asked = client.post(f"{root}/jobs", json={"kind": "embed"}, headers=token(client))
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    stopped = client.post(f"{root}/jobs/{asked.json()['id']}/cancel", headers=token(client))
    assert stopped.json()["state"] == "cancelled"
    assert client.get(f"{root}/jobs").json()[0]["id"] == asked.json()["id"]
    taken = client.post(f"{root}/exports", headers=token(client)).json()
    content = client.get(taken["url"])
    assert content.headers["ETag"] == f'"{taken["sha256"]}"'
    assert client.get(f"{root}/exports").json() == [taken]
    rules = client.get(f"{root}/rules").json() | {"quorum": 3}
    assert client.put(f"{root}/rules", json=rules, headers=token(client)).json()["quorum"] == 3
    assert client.get(f"{root}/rules").json() == rules
    progress = client.get(f"{root}/progress").json()
    assert (progress["total"], progress["settled"], progress["by_state"]["verified"]) == (12, 2, 2)
    made = client.post(f"{API}/campaigns", json={"title": "Birds", "source": "Birds"}, headers=token(client))
    assert (made.status_code, made.json()["slug"]) == (201, "birds")


def test_the_review_queue_is_for_specialists(campaign: Campaign, database: Database, client_of: Clients) -> None:
    figure = figure_ids(database, campaign)[3]
    says(database, somebody(database, campaign, "Anna"), figure, ADMIRAL)
    says(database, somebody(database, campaign, "Bert"), figure, LADY)
    assert client_of(Role.VOLUNTEER).get(f"{API}/campaigns/butterflies/review").status_code == 403
    found = client_of(Role.SPECIALIST).get(f"{API}/campaigns/butterflies/review").json()
    assert found["total"] == 1
    assert (found["tasks"][0]["reason"], found["tasks"][0]["figure"]["id"]) == ("disputed", figure)


def test_models_and_their_reports_are_public(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    verified(database, campaign, range(9))
    carried_out(settings, database, campaign, JobKind.RETRAIN)
    client = client_of()
    models = client.get(f"{API}/campaigns/butterflies/models").json()
    assert [(one["number"], one["state"]) for one in models] == [(1, "champion")]
    report = client.get(f"{API}/campaigns/butterflies/models/1").json()
    assert report["model"] == models[0]
    assert report["report"]["per_class"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/campaigns/nowhere", 404, "not-found"),
        ("GET", "/figures/999999", 404, "not-found"),
        ("GET", "/taxa/Q1", 404, "not-found"),
        ("GET", "/campaigns/butterflies/jobs", 401, "not-signed-in"),
        ("GET", "/campaigns/butterflies/exports/1/content", 401, "not-signed-in"),
        ("GET", "/campaigns/butterflies/figures?limit=0", 422, "bad-input"),
        ("GET", "/nothing", 404, "http-404"),
        ("POST", "/campaigns/butterflies/jobs", 403, "not-allowed"),
    ],
)
def test_errors_are_problem_details(
    campaign: Campaign, client_of: Clients, method: str, path: str, status: int, code: str
) -> None:
    answer = client_of().request(method, API + path, json={"kind": "embed"} if method == "POST" else None)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = shapes.Problem.model_validate(answer.json())
    assert (told.status, told.code) == (status, code)
    assert told.title


def test_a_curator_keeps_people_and_category_through_the_api(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    somebody(database, campaign, "Clara")
    client = client_of(Role.CURATOR)
    path, head = f"{API}/campaigns/butterflies/people", token(client)
    given = {"name": "Clara", "role": "specialist", "expertise": [GENUS]}
    clara = client.put(path, json=given, headers=head).json()
    assert (clara["role"], clara["expertise"]) == ("specialist", [GENUS])
    listed = {one["name"]: one["role"] for one in client.get(path).json()}
    assert listed == {"Demo curator": "curator", "Clara": "specialist"}
    own = next(one["person_id"] for one in client.get(path).json() if one["name"] == "Demo curator")
    assert client.delete(f"{path}/{own}", headers=head).status_code == 409
    assert client.delete(f"{path}/{clara['person_id']}", headers=head).status_code == 204
    assert client.delete(f"{path}/{clara['person_id']}", headers=head).status_code == 404
    for wrong, status in (({"name": "Nobody"}, 404), ({"expertise": ["Q404"]}, 404), ({"role": "king"}, 422)):
        assert client.put(path, json=given | wrong, headers=head).status_code == status
    category = f"{API}/campaigns/butterflies/category"
    assert client.put(category, json={"source": "Other"}, headers=head).status_code == 422
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).source_kind = SourceKind.CATEGORY
    moved = client.put(category, json={"source": "Other", "source_depth": 1}, headers=head)
    assert (moved.status_code, moved.json()["source"]) == (200, "Other")
    specialist = client_of(Role.SPECIALIST)
    assert specialist.get(path).status_code == 403
    assert specialist.put(category, json={"source": "X"}, headers=token(specialist)).status_code == 403
