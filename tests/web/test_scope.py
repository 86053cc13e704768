"""What a campaign is about: set by its curator at the desk, at its making, through the API and on the command line."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from icones.campaigns import queries as campaigns
from icones.cli import app as cli
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries, runner
from icones.models import Campaign, JobKind, JobRun, JobState, Role
from tests.support.campaigns import ADMIRAL, FAMILY, WHITE
from tests.support.people import csrf_of

HOME = "/c/butterflies"
Clients = Callable[..., TestClient]


@pytest.fixture
def curator(campaign: Campaign, client_of: Clients) -> TestClient:
    return client_of(Role.CURATOR)


def save_scope(client: TestClient, **fields: str) -> Any:
    token = csrf_of(client, f"{HOME}/curate/rules")
    return client.post(f"{HOME}/curate/scope", data={"csrf": token, **fields}, follow_redirects=False)


def root_of(database: Database, slug: str = "butterflies") -> str | None:
    with database.reading() as session:
        found = campaigns.by_slug(session, slug)
        assert found is not None
        return found.root_taxon_qid


def waiting(database: Database) -> list[JobRun]:
    with database.reading() as session:
        return [run for run in queries.waiting(session) if run.kind is JobKind.TAXA]


def test_a_known_taxon_becomes_the_scope_at_once(curator: TestClient, database: Database) -> None:
    answer = save_scope(curator, root=FAMILY, root_words="brush-footed butterflies")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}/curate#work")
    assert root_of(database) == FAMILY
    (run,) = waiting(database)
    assert run.asked_by is not None
    page = curator.get(f"{HOME}/curate/rules").text
    assert re.search(r'name="root_words" value="Nymphalidae"', page)
    assert "brush-footed butterflies" in curator.get(HOME).text


def test_words_without_a_choice_are_understood_where_they_are_clear(curator: TestClient, database: Database) -> None:
    save_scope(curator, root="", root_words="nymphalidae")
    assert root_of(database) == FAMILY
    save_scope(curator, root="", root_words="Nymphalidae")  # the form as it was shown
    assert root_of(database) == FAMILY


def test_a_taxon_that_nobody_knows_is_left_to_the_job(curator: TestClient, database: Database) -> None:
    save_scope(curator, root="", root_words="Q5113")
    assert root_of(database) is None
    (run,) = waiting(database)
    assert run.parameters["root"] == "Q5113"


def test_what_went_wrong_stands_on_the_desk(curator: TestClient, database: Database) -> None:
    save_scope(curator, root="", root_words="Q5")
    (run,) = waiting(database)
    with database.writing() as session:
        row = session.get_one(JobRun, run.id)
        row.state, row.problem, row.finished_at = JobState.FAILED, "Q5 is not a taxon on Wikidata.", utc_now()
    page = curator.get(f"{HOME}/curate").text
    assert "Q5 is not a taxon on Wikidata." in page
    assert "Asking Wikidata about taxa" in page


def test_an_empty_field_lifts_the_scope(curator: TestClient, database: Database) -> None:
    save_scope(curator, root=FAMILY)
    answer = save_scope(curator, root="", root_words=" ")
    assert answer.headers["location"] == f"{HOME}/curate/rules"
    assert root_of(database) is None


def test_the_scope_is_the_curators(campaign: Campaign, client_of: Clients, database: Database) -> None:
    client = client_of(Role.VOLUNTEER)
    token = csrf_of(client, f"{HOME}/tag")
    answer = client.post(f"{HOME}/curate/scope", data={"csrf": token, "root": FAMILY}, follow_redirects=False)
    assert answer.status_code == 403
    assert client.post(f"{HOME}/curate/scope", data={"root": FAMILY}).status_code == 403
    assert root_of(database) is None


def test_while_taxa_come_in_the_scope_waits(curator: TestClient, campaign: Campaign, database: Database) -> None:
    with database.writing() as session:
        run = runner.ask(session, JobKind.TAXA, session.get_one(Campaign, campaign.id), utc_now())
        assert queries.claim(session, run.id or 0, utc_now())
    answer = save_scope(curator, root=FAMILY)
    assert answer.status_code == 409
    assert "just now" in answer.text


def test_a_search_offers_the_scope_first_and_marks_the_rest(curator: TestClient, database: Database) -> None:
    save_scope(curator, root=FAMILY)
    page = curator.get("/taxa", params={"campaign": "butterflies", "q": "vanessa"}).text
    assert f'data-value="{ADMIRAL}"' in page
    assert "outside this campaign’s scope" not in page
    page = curator.get("/taxa", params={"campaign": "butterflies", "q": "pieris"}).text
    assert "outside this campaign’s scope" in page
    page = curator.get(f"{HOME}/tag", params={"q": "pieris"}).text
    assert "outside this campaign’s scope" in page
    hits = curator.get("/api/v1/taxa", params={"campaign": "butterflies", "q": "pieris"}).json()
    assert [(hit["taxon"]["qid"], hit["is_outside"], hit["is_synonym"]) for hit in hits] == [(WHITE, True, False)]


def test_a_new_campaign_takes_its_scope_along(curator: TestClient, database: Database) -> None:
    form = curator.get("/campaigns/new").text
    assert 'name="root_words"' in form
    fields = {"title": "Birds", "source": "Birds of the album", "root_words": "Aves"}
    token = csrf_of(curator, "/campaigns/new")
    answer = curator.post("/campaigns/new", data={"csrf": token, **fields}, follow_redirects=False)
    assert answer.headers["location"] == "/c/birds/curate"
    (run,) = waiting(database)
    assert run.parameters["root"] == "Aves"
    kept = curator.post("/campaigns/new", data={"csrf": token, **fields}, follow_redirects=False)
    assert (kept.status_code, 'value="Aves"' in kept.text) == (409, True)


def test_the_api_sets_and_lifts_the_scope(curator: TestClient, database: Database) -> None:
    headers = {"X-CSRF-Token": curator.get("/api/v1/me").json()["csrf"]}
    address = "/api/v1/campaigns/butterflies/scope"
    answer = curator.put(address, json={"root_taxon_qid": ADMIRAL}, headers=headers)
    assert (answer.status_code, answer.json()["root_taxon_qid"]) == (200, ADMIRAL)
    assert curator.put(address, json={"root_taxon_qid": "birds"}, headers=headers).status_code == 422
    answer = curator.put(address, json={"root_taxon_qid": ""}, headers=headers)
    assert answer.json()["root_taxon_qid"] is None
    new = {"title": "Birds", "source": "Birds of the album", "root_taxon_qid": "Q5113"}
    assert curator.post("/api/v1/campaigns", json=new, headers=headers).status_code == 201
    assert [run.parameters["root"] for run in waiting(database)] == ["", "Q5113"]


def test_the_command_line_makes_a_campaign_with_a_scope(
    settings: Settings, campaign: Campaign, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    made = CliRunner().invoke(cli, ["campaign", "create", "More", "--category", "More", "--root", "Nymphalidae"])
    assert made.exit_code == 0, made.output
    assert root_of(database, "more") == FAMILY
    assert len(waiting(database)) == 1
    for wrong in (["taxa"], ["taxa", "more", "--all"]):
        assert CliRunner().invoke(cli, wrong).exit_code == 2
