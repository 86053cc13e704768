"""The curator's desk through HTTP: how it stands, rules, people, runs, exports, and new campaigns."""

import hashlib
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.exports.csv_form import read_back
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.jobs import queries as jobs
from icones.learning import queries as learning
from icones.learning import service as learning_service
from icones.models import (
    Campaign,
    Determination,
    DeterminationState,
    JobKind,
    JobRun,
    JobState,
    ModelState,
    ModelVersion,
    Role,
    SourceKind,
)
from icones.people import queries as people
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, figure_ids
from tests.support.people import csrf_of
from tests.support.voices import carried_out, says, somebody, verified

Clients = Callable[..., TestClient]
JSON = {"Accept": "application/json"}
DESK = "/c/butterflies/curate"


@pytest.mark.parametrize("path", [DESK, f"{DESK}/rules", f"{DESK}/people", f"{DESK}/exports"])
def test_the_desk_is_for_curators(campaign: Campaign, client_of: Clients, path: str) -> None:
    assert client_of().get(path).status_code == 401
    assert client_of(Role.SPECIALIST).get(path).status_code == 403
    assert client_of(Role.CURATOR).get(path).status_code == 200


def test_the_desk_says_what_is_wrong_and_that_nobody_works(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    with database.writing() as session:
        row = illustrations.by_key(session, campaign.id or 0)["plate-03.jpg"]
        illustration_service.image_refused(session, row.id or 0, "The image is too small: 8 × 8 pixels.")
    client = client_of(Role.CURATOR)
    page = client.get(DESK).text
    assert "Plate 03" in page
    assert "The image is too small: 8 × 8 pixels." in page
    assert "Nobody is there to do the work" in page
    with database.writing() as session:
        jobs.beat(session, "worker", utc_now())
    assert "Nobody is there to do the work" not in client.get(DESK).text


def test_rules_decide_every_figure_anew(campaign: Campaign, database: Database, client_of: Clients) -> None:
    figure = figure_ids(database, campaign)[0]
    for name in ("Anna", "Bert"):
        says(database, somebody(database, campaign, name), figure, ADMIRAL)
    client = client_of(Role.CURATOR)
    form = {
        "csrf": csrf_of(client), "quorum": "2", "agreement_percent": "60", "retrain_after": "0",
        "agreed_is_verified": "true",
    }  # fmt: skip
    page = client.post(f"{DESK}/rules", data=form)
    assert "1 figure changed its state." in page.text
    assert 'value="60"' in page.text
    with database.reading() as session:
        assert session.get_one(Determination, figure).state is DeterminationState.VERIFIED
        own = session.get_one(Campaign, campaign.id)
        assert (own.agreement, own.agreed_is_verified, own.retrain_after) == (0.6, True, 0)


def test_bad_rules_are_shown_again_and_change_nothing(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.CURATOR)
    form = {"csrf": csrf_of(client), "quorum": "0", "agreement_percent": "60", "retrain_after": "0"}
    page = client.post(f"{DESK}/rules", data=form)
    assert page.status_code == 422
    assert "The quorum is a number from 1 to 10." in page.text
    with database.reading() as session:
        assert session.get_one(Campaign, campaign.id).quorum == 2


def test_a_role_is_given_by_name_with_a_field_that_grows_and_shrinks(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    dora = somebody(database, campaign, "Dora")
    client = client_of(Role.CURATOR)
    form = {"csrf": csrf_of(client), "name": "Dora", "role": "specialist"}
    client.post(f"{DESK}/people", data=form | {"taxon": FAMILY})
    page = client.post(f"{DESK}/people", data=form | {"taxon_words": "Vanessa"}).text
    assert "Dora is now a specialist of this campaign." in page
    assert field_of(database, campaign, dora.id) == {FAMILY, GENUS}
    client.post(f"{DESK}/people/{dora.id}/forget-field", data={"csrf": form["csrf"], "taxon": FAMILY})
    assert field_of(database, campaign, dora.id) == {GENUS}
    client.post(f"{DESK}/people/{dora.id}/revoke", data={"csrf": form["csrf"]})
    with database.reading() as session:
        assert people.membership(session, campaign.id or 0, dora.id or 0) is None


def field_of(database: Database, campaign: Campaign, person_id: int | None) -> set[str]:
    with database.reading() as session:
        row = people.membership(session, campaign.id or 0, person_id or 0)
        assert row is not None
        return people.expertise(session, row.id or 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "Nobody Known"}, "has signed in here yet"),
        ({"name": "Dora", "taxon_words": "no such name"}, "is not the name of one taxon here"),
        ({"name": "Dora", "role": "volunteer", "taxon": FAMILY}, "Only a specialist has a field"),
        ({"name": "Demo curator", "role": "volunteer"}, "only curator"),
    ],
)
def test_a_role_that_cannot_be_given_is_told_in_the_form(
    campaign: Campaign, database: Database, client_of: Clients, wrong: dict[str, str], words: str
) -> None:
    somebody(database, campaign, "Dora")
    client = client_of(Role.CURATOR)
    form = {"csrf": csrf_of(client), "role": "specialist"} | wrong
    page = client.post(f"{DESK}/people", data=form)
    assert page.status_code in (404, 409, 422)
    assert words in page.text
    assert f'value="{wrong["name"]}"' in page.text


def test_the_last_curator_stays(campaign: Campaign, database: Database, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    with database.reading() as session:
        me = people.by_sub(session, "demo:curator")
        assert me is not None
    answer = client.post(f"{DESK}/people/{me.id}/revoke", data={"csrf": csrf_of(client)}, headers=JSON)
    assert answer.status_code == 409
    assert client.get(DESK).status_code == 200


def test_a_run_is_asked_for_once_watched_and_stopped(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    client = client_of(Role.CURATOR)
    form = {"csrf": csrf_of(client), "kind": "retrain"}
    for _ in range(2):
        assert client.post("/c/butterflies/jobs", data=form, follow_redirects=False).status_code == 303
    with database.reading() as session:
        runs = jobs.of_campaign(session, campaign.id or 0, 10)
    assert [run.kind for run in runs] == [JobKind.RETRAIN]
    address = f"/c/butterflies/jobs/{runs[0].id}"
    live = client.get(address, headers={"HX-Request": "true"})
    assert 'hx-trigger="every 1s"' in live.text
    assert "HX-Trigger" not in live.headers
    client.post(f"{address}/cancel", data={"csrf": form["csrf"]})
    ended = client.get(address, headers={"HX-Request": "true"})
    assert ended.headers["HX-Trigger"] == "job-ended"
    assert "hx-trigger" not in ended.text
    again = client.post(f"{address}/cancel", data={"csrf": form["csrf"]}, headers=JSON)
    assert again.status_code == 409


def test_what_the_source_did_wrong_is_told_on_the_card(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    with database.writing() as session:
        session.add(
            JobRun(
                campaign_id=campaign.id,
                kind=JobKind.SYNC,
                state=JobState.FAILED,
                problem="There is no category “Brids” on Commons.",
                created_at=utc_now(),
                finished_at=utc_now(),
            )
        )
    page = client_of(Role.CURATOR).get(DESK).text
    assert "There is no category “Brids” on Commons." in page


def test_a_folder_campaign_has_nothing_to_fetch(campaign: Campaign, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    assert "Fetch from Commons" not in client.get(DESK).text
    form = {"csrf": csrf_of(client), "kind": "sync"}
    assert client.post("/c/butterflies/jobs", data=form, headers=JSON).status_code == 422


def test_an_export_is_the_same_byte_for_byte_at_every_download(
    campaign: Campaign, database: Database, client_of: Clients
) -> None:
    verified(database, campaign, range(3))
    client = client_of(Role.CURATOR)
    page = client.post(f"{DESK}/exports", data={"csrf": csrf_of(client)}).text
    assert "Export 1 is ready." in page
    assert "3 rows" in page
    first = client.get("/c/butterflies/exports/1.csv")
    says(database, somebody(database, campaign, "Cora", Role.SPECIALIST), figure_ids(database, campaign)[5], ADMIRAL)
    second = client.get("/c/butterflies/exports/1.csv")
    assert first.content == second.content
    digest = hashlib.sha256(first.content).hexdigest()
    assert digest in page
    assert first.headers["ETag"] == f'"{digest}"'
    assert "butterflies-export-001.csv" in first.headers["Content-Disposition"]
    assert len(read_back(first.content)) == 3
    assert client.get("/c/butterflies/exports/1.csv", headers={"If-None-Match": f'"{digest}"'}).status_code == 304
    assert client.get("/c/butterflies/exports/2.csv", headers=JSON).status_code == 404
    assert client_of(Role.SPECIALIST).get("/c/butterflies/exports/1.csv", headers=JSON).status_code == 403


def test_a_new_campaign_asks_for_its_illustrations(campaign: Campaign, database: Database, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    form = {"csrf": csrf_of(client), "title": "Vögel & Fische", "source": "Category:Birds", "source_depth": "1"}
    page = client.post("/campaigns/new", data=form)
    assert page.status_code == 200
    assert re.search(r"/c/vogel-fische/curate$", str(page.url))
    assert "Fetching from Commons" in page.text
    again = client.post("/campaigns/new", data=form)
    assert again.status_code == 409
    assert "There is a campaign “vogel-fische” already" in again.text
    assert 'value="Category:Birds"' in again.text


@pytest.mark.parametrize("missing", ["title", "source"])
def test_a_campaign_without_title_or_category_is_not_made(
    campaign: Campaign, database: Database, client_of: Clients, missing: str
) -> None:
    client = client_of(Role.CURATOR)
    form = {"csrf": csrf_of(client), "title": "Birds", "source": "Birds"} | {missing: " "}
    assert client.post("/campaigns/new", data=form).status_code == 422
    with database.reading() as session:
        assert len(campaigns.all_open(session)) == 1


def test_volunteers_do_not_make_campaigns(campaign: Campaign, client_of: Clients) -> None:
    assert client_of(Role.VOLUNTEER).get("/campaigns/new").status_code == 403
    assert client_of().get("/campaigns/new").status_code == 401


def test_the_desk_shows_the_accuracy_of_the_model_that_serves(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    with database.writing() as session:
        first = learning.version(session, campaign.id or 0, 1)
        assert first is not None
        values = first.model_dump(exclude={"id", "number", "state", "report", "published_at"})
        worse = ModelVersion(**values, number=2, report=first.report | {"accuracy": 0.123})
        session.add(worse)
        learning_service.record_version(session, campaign, worse, ModelState.REJECTED, "No better.", utc_now())
        expected = f"{first.report['accuracy']:.0%}"
    page = client_of(Role.CURATOR).get(DESK).text
    assert f'<span class="spark-number">{expected}</span>' in page
    assert "12%" not in page


def test_a_card_that_asks_for_itself_does_not_inherit_what_the_desk_selects(
    campaign: Campaign, client_of: Clients
) -> None:
    # htmx hands attributes down: with the desk's hx-select a card would select nothing of its answer, and vanish.
    page = client_of(Role.CURATOR).get(DESK).text
    assert re.search(r'id="desk"[^>]*hx-select="#desk"[^>]*hx-disinherit="hx-select"', page)


def test_a_misspelt_category_is_mended_on_the_desk(campaign: Campaign, database: Database, client_of: Clients) -> None:
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.source_kind, own.source = SourceKind.CATEGORY, "Misspelt"
    client = client_of(Role.CURATOR)
    sent = {"csrf": csrf_of(client, DESK), "source": "Spelt right", "source_depth": "1"}
    page = client.post(f"{DESK}/category", data=sent)
    assert "The category is changed" in page.text
    assert "Spelt right" in page.text
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
        assert (own.source, own.source_depth) == ("Spelt right", 1)
        assert [run.kind for run in jobs.waiting(session)] == [JobKind.SYNC]
    for wrong in ({"source": " "}, {"source": "X", "source_depth": "9"}):
        assert client.post(f"{DESK}/category", data=sent | wrong).status_code == 422
    assert client_of(Role.SPECIALIST).post(f"{DESK}/category", data=sent).status_code == 403
