"""Where illustrations come from, through forms and the API: categories, collections, lists and queries."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries, runner
from icones.models import Campaign, JobKind, JobRun, JobState, Role, SourceKind
from tests.support.people import csrf_of

Clients = Callable[..., TestClient]
QUERY = "SELECT ?file WHERE { ?file wdt:P180 wd:Q901 }"


def made(database: Database, slug: str) -> Campaign:
    with database.reading() as session:
        found = campaigns.by_slug(session, slug)
    assert found is not None
    return found


def runs(database: Database, campaign: Campaign) -> list[JobRun]:
    with database.reading() as session:
        return [run for run in queries.waiting(session) if run.campaign_id == campaign.id]


def test_the_form_offers_a_category_first_and_all_kinds_without_a_script(
    campaign: Campaign, client_of: Clients
) -> None:
    page = client_of(Role.CURATOR).get("/campaigns/new").text
    places = [page.index(f'value="{kind}"') for kind in ("category", "collection", "files", "query")]
    assert places == sorted(places)
    assert 'value="category" checked' in page
    for name in ("source", "collection_item", "files", "query"):
        assert f'name="{name}"' in page


@pytest.mark.parametrize(
    ("typed", "kind", "source"),
    [
        ({"source": "Birds"}, SourceKind.CATEGORY, "Birds"),
        ({"source_kind": "files", "files": "M12\r\nFile:A_b.jpg\r\nM12"}, SourceKind.FILES, "M12\nFile:A b.jpg"),
        ({"source_kind": "query", "query": QUERY}, SourceKind.QUERY, QUERY),
        ({"source_kind": "collection", "collection_item": "q190804"}, SourceKind.QUERY, "Q190804"),
        (
            {"source_kind": "collection", "collection_item": "https://www.wikidata.org/wiki/Q190804"},
            SourceKind.QUERY,
            "Q190804",
        ),
    ],
)
def test_a_campaign_is_made_of_each_kind_of_source(
    campaign: Campaign, database: Database, client_of: Clients, typed: dict[str, str], kind: SourceKind, source: str
) -> None:
    client = client_of(Role.CURATOR)
    page = client.post("/campaigns/new", data={"csrf": csrf_of(client), "title": "Plates", **typed})
    assert page.status_code == 200, page.text
    found = made(database, "plates")
    assert (found.source_kind, found.source) == (kind, source)
    assert [run.kind for run in runs(database, found)] == [JobKind.SYNC]
    assert "Fetch from Commons" in page.text
    assert client.get("/c/plates").status_code == 200


def test_all_problems_of_a_list_are_told_with_their_lines_and_the_list_stays(
    campaign: Campaign, client_of: Clients
) -> None:
    client = client_of(Role.CURATOR)
    listing = "M1\nno file\nhttps://example.org/x"
    form = {"csrf": csrf_of(client), "title": "Plates", "source_kind": "files", "files": listing}
    page = client.post("/campaigns/new", data=form)
    assert page.status_code == 422
    assert "line 2: “no file”" in page.text
    assert "line 3:" in page.text
    assert listing in page.text
    assert 'value="files" checked' in page.text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"source_kind": "collection", "collection_item": "Rijksmuseum"}, "for example Q190804"),
        ({"source_kind": "query", "query": "DROP ALL"}, "Only a SELECT query"),
        ({"source_kind": "elsewhere"}, "Choose where the illustrations come from"),
    ],
)
def test_a_source_that_cannot_be_is_told_in_words(
    campaign: Campaign, client_of: Clients, typed: dict[str, str], words: str
) -> None:
    client = client_of(Role.CURATOR)
    page = client.post("/campaigns/new", data={"csrf": csrf_of(client), "title": "Plates", **typed})
    assert (page.status_code, words in page.text) == (422, True)


def test_a_long_list_can_be_pasted(campaign: Campaign, database: Database, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    listing = "\n".join(f"Plate {n:05d} of a rather long title, as files of Commons have it.jpg" for n in range(20_000))
    form = {"csrf": csrf_of(client), "title": "Plates", "source_kind": "files", "files": listing}
    page = client.post("/campaigns/new", data=form)
    assert page.status_code == 200
    assert len(made(database, "plates").source.splitlines()) == 20_000
    assert len(page.text) < 100_000


def test_the_api_makes_lists_and_changes_them(campaign: Campaign, database: Database, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    headers = {"X-CSRF-Token": csrf_of(client)}
    told = {"title": "Plates", "source_kind": "files", "source": "M12\nM13"}
    assert client.post("/api/v1/campaigns", json=told, headers=headers).json()["source_kind"] == "files"
    answer = client.put("/api/v1/campaigns/plates/source", json={"source": "M14"}, headers=headers)
    assert (answer.status_code, answer.json()["source"]) == (200, "M14")
    wrong = client.put("/api/v1/campaigns/plates/source", json={"source": "M14\n|"}, headers=headers)
    assert (wrong.status_code, wrong.json()["errors"][0].startswith("line 2:")) == (422, True)
    assert made(database, "plates").source == "M14"
    other = client.put("/api/v1/campaigns/butterflies/source", json={"source": "M14"}, headers=headers)
    assert other.status_code == 422  # its illustrations come from a folder


def test_only_curators_change_a_source(campaign: Campaign, database: Database, client_of: Clients) -> None:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind, own.source = SourceKind.FILES, "M1"
    volunteer, curator = client_of(Role.VOLUNTEER), client_of(Role.CURATOR)
    form = {"csrf": csrf_of(volunteer), "source": "M2"}
    assert volunteer.post("/c/butterflies/curate/source", data=form).status_code == 403
    assert made(database, "butterflies").source == "M1"
    page = curator.post("/c/butterflies/curate/source", data={"csrf": csrf_of(curator), "source": "M2"})
    assert "The source is changed" in page.text
    assert made(database, "butterflies").source == "M2"


def test_a_doubted_loss_is_accepted_with_a_button(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind = SourceKind.CATEGORY
        failed = runner.ask(session, JobKind.SYNC, own, utc_now())
        failed.state, failed.finished_at = JobState.FAILED, utc_now()
        failed.problem, failed.result = "The source lists only 0 of the 500 files.", {"code": "too-much-gone"}
    client = client_of(Role.CURATOR)
    desk = client.get("/c/butterflies/curate").text
    assert "They are really gone: accept the loss" in desk
    form = {"csrf": csrf_of(client), "kind": "sync", "accept_loss": "true"}
    assert client.post("/c/butterflies/jobs", data=form).status_code == 200
    (run,) = runs(database, campaign)
    assert run.parameters == {"accept_loss": True}


def test_a_wish_reaches_the_run_that_waits_already(campaign: Campaign, database: Database, client_of: Clients) -> None:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind = SourceKind.CATEGORY
        runner.ask(session, JobKind.SYNC, own, utc_now(), trigger="schedule")
    client = client_of(Role.CURATOR)
    headers = {"X-CSRF-Token": csrf_of(client)}
    client.post("/api/v1/campaigns/butterflies/jobs", json={"kind": "sync", "full": True}, headers=headers)
    (run,) = runs(database, campaign)
    assert (run.trigger, run.parameters) == ("schedule", {"full": True})
