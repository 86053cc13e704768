"""The record of models through HTTP: the report in pictures, the snapshot, and going back to an earlier version."""

import json
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from active_learning import Report
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries as jobs
from icones.learning import queries, service
from icones.models import Campaign, JobKind, ModelState, ModelVersion, Role
from tests.support.people import csrf_of
from tests.support.voices import carried_out, verified

Clients = Callable[..., TestClient]


@pytest.fixture
def trained(settings: Settings, database: Database, campaign: Campaign) -> Campaign:
    """A campaign with one model, trained on nine verified figures."""
    verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    return campaign


def test_before_the_first_model_the_page_says_what_is_needed(campaign: Campaign, client_of: Clients) -> None:
    page = client_of().get("/c/butterflies/models")
    assert page.status_code == 200
    assert "No model yet" in page.text
    assert client_of().get("/c/butterflies/models/1", headers={"Accept": "application/json"}).status_code == 404


def test_the_report_shows_every_part(trained: Campaign, database: Database, client_of: Clients) -> None:
    page = client_of().get("/c/butterflies/models/1").text
    with database.reading() as session:
        version = queries.version(session, trained.id or 0, 1)
        assert version is not None
    for words in ("Right at the first guess", "What was taken for what", "Name by name", "four in five"):
        assert words in page
    assert "Vanessa</i> <i>atalanta" in page
    assert version.verdict in page
    assert version.snapshot_hash in page
    assert f"{version.report['accuracy']:.0%}" in page


def test_readers_see_the_report_and_only_curators_the_way_back(
    trained: Campaign, settings: Settings, database: Database, client_of: Clients
) -> None:
    _retire(database, trained)
    assert "Go back to this one" not in client_of().get("/c/butterflies/models").text
    assert "Go back to this one" in client_of(Role.CURATOR).get("/c/butterflies/models").text


def _retire(database: Database, campaign: Campaign) -> None:
    """Make a second version, a copy of the first with another number, the one that serves."""
    with database.writing() as session:
        first = queries.version(session, campaign.id or 0, 1)
        assert first is not None
        values = first.model_dump(exclude={"id", "number", "state", "published_at", "retired_at"})
        second = ModelVersion(**values, number=2)
        own = session.get_one(Campaign, campaign.id)
        service.record_version(session, own, second, ModelState.CHAMPION, "The second.", utc_now())


def test_an_earlier_version_serves_again(trained: Campaign, database: Database, client_of: Clients) -> None:
    _retire(database, trained)
    client = client_of(Role.CURATOR)
    page = client.post("/c/butterflies/models/1/serve", data={"csrf": csrf_of(client)})
    assert "Model version 1 serves again" in page.text
    with database.reading() as session:
        states = {version.number: version.state for version in queries.versions(session, trained.id or 0)}
        assert states == {1: ModelState.CHAMPION, 2: ModelState.RETIRED}
        assert jobs.unfinished(session, trained.id, JobKind.PREDICT) is not None
    again = client.post(
        "/c/butterflies/models/1/serve", data={"csrf": csrf_of(client)}, headers={"Accept": "application/json"}
    )
    assert again.status_code == 409
    volunteer = client_of(Role.VOLUNTEER)
    refused = volunteer.post("/c/butterflies/models/2/serve", data={"csrf": csrf_of(volunteer)})
    assert refused.status_code == 403


def test_the_snapshot_names_every_label(trained: Campaign, client_of: Clients) -> None:
    answer = client_of().get("/c/butterflies/models/1/snapshot.json")
    told = json.loads(answer.content)
    assert len(told["labels"]) == 9
    assert {"figure", "taxon", "group", "origin", "weight"} <= told["labels"][0].keys()
    assert "butterflies-model-1-snapshot.json" in answer.headers["Content-Disposition"]


def test_a_model_that_could_not_be_measured_says_so(trained: Campaign, database: Database, client_of: Clients) -> None:
    with database.writing() as session:
        version = queries.version(session, trained.id or 0, 1)
        assert version is not None
        version.report = Report("nothing").to_dict()
        session.add(version)
    assert "Not measured yet" in client_of().get("/c/butterflies/models/1").text
    assert "not measured" in client_of().get("/c/butterflies/models").text
