"""The page and the API on what a campaign's model learns from, by what it sorts, and whether it may verify alone."""

from collections.abc import Callable

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from icones.campaigns import model_queries
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import machine
from icones.identifications import service as identifications
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.models import Campaign, JobKind, JobRun, LearnsFrom, ModelVersion, Prediction, Role, Visibility, Writes
from icones.people import service as people
from tests.support.campaigns import ADMIRAL, figure_ids, make_campaign
from tests.support.foretold import foretold
from tests.support.people import csrf_of
from tests.support.voices import says, somebody

Client = Callable[..., TestClient]
Made = dict[str, Campaign]
PATH = "/c/butterflies/model-settings"
API = "/api/v1/campaigns/butterflies/model-settings"


@pytest.fixture
def curator(client_of: Client, campaign: Campaign) -> TestClient:
    """The curator of the campaign; of those that are made later they are none."""
    return client_of(Role.CURATOR)


@pytest.fixture
def others(settings: Settings, database: Database, curator: TestClient) -> Made:
    """A public campaign with one verified figure, and a private one of somebody else."""
    made = {slug: make_campaign(settings, database, utc_now(), 1, slug) for slug in ("moths", "secret")}
    with database.writing() as session:
        for slug, title in (("moths", "Moths of the album"), ("secret", "Nobody's business")):
            own = session.get_one(Campaign, made[slug].id)
            own.title, own.visibility = title, Visibility.PRIVATE if slug == "secret" else Visibility.PUBLIC
            session.add(own)
    cora = somebody(database, made["moths"], "Cora", Role.SPECIALIST)
    says(database, cora, figure_ids(database, made["moths"])[0], ADMIRAL)
    return made


def saved(client: TestClient, **fields: object) -> str:
    """Send the form and return the page that follows."""
    told = {"csrf": csrf_of(client), "precision_percent": "99", "model_rank": "", **fields}
    return client.post(PATH, data=told).text


def test_it_is_for_curators(client_of: Client, campaign: Campaign) -> None:
    volunteer = client_of(Role.VOLUNTEER)
    assert volunteer.get(PATH).status_code == 403
    assert volunteer.post(PATH, data={"csrf": csrf_of(volunteer), "model_rank": "genus"}).status_code == 403
    assert volunteer.get(API).status_code == 403
    curator = client_of(Role.CURATOR)
    assert curator.post(PATH, data={"model_rank": "genus"}).status_code == 403  # without the token


def test_a_curator_chooses_and_training_follows(
    curator: TestClient, database: Database, campaign: Campaign, others: Made
) -> None:
    page = curator.get(PATH).text
    assert 'aria-current="page">Learning' in page
    assert "Moths of the album" in page
    assert "1 verified figure<" in page
    assert "Nobody" not in page.replace("that nobody", "")  # what a curator may not see is not named
    assert "No model serves yet" in page
    page = saved(curator, learns_from=["moths"], model_rank="genus", precision_percent="97.5", auto_validates="true")
    assert "Saved. The model is being trained by these settings." in page
    assert 'value="moths" checked' in page
    assert 'value="genus" checked' in page
    assert 'value="97.5"' in page
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
        assert (own.model_rank, own.auto_precision, own.auto_validates) == ("genus", 0.975, True)
        assert model_queries.sources(session, own.id or 0) == {others["moths"].id}
        assert [(run.kind, run.campaign_id) for run in jobs.waiting(session)] == [(JobKind.RETRAIN, own.id)]
    saved(curator)  # all taken back
    with database.reading() as session:
        assert session.exec(select(LearnsFrom)).all() == []
        assert session.get_one(Campaign, campaign.id).auto_validates is False


def test_a_training_that_goes_on_already_is_followed_by_another(
    curator: TestClient, database: Database, campaign: Campaign
) -> None:
    with database.writing() as session:
        begun = runner.ask(session, JobKind.RETRAIN, campaign, utc_now(), trigger="sync")
        first = begun.id or 0
        assert jobs.claim(session, first, utc_now())
    for rank in ("genus", "family"):
        assert "The model is being trained by these settings." in saved(curator, model_rank=rank)
    with database.reading() as session:
        (queued,) = jobs.waiting(session)  # the second time it had not begun
        assert (queued.kind, queued.trigger, queued.id != first) == (JobKind.RETRAIN, "person", True)
        assert not jobs.ready(session)  # it waits until the other has ended
    with database.writing() as session:
        session.get_one(JobRun, queued.id).trigger = "sync"
    saved(curator)
    with database.reading() as session:
        (queued,) = jobs.waiting(session)
        # A run of a sync would train nothing where all labels are as they were.
        assert queued.trigger == "person"


def test_what_may_not_be_chosen_is_refused_and_what_another_chose_stays(
    curator: TestClient, database: Database, campaign: Campaign, others: Made
) -> None:
    for wrong in ({"learns_from": ["secret"]}, {"model_rank": "order"}, {"precision_percent": "80"}):
        told = {"csrf": csrf_of(curator), "precision_percent": "99", "model_rank": "", **wrong}
        answer = curator.post(PATH, data=told)
        assert answer.status_code == 422
        assert 'class="message message-error"' in answer.text
    with database.writing() as session:
        session.add(LearnsFrom(campaign_id=campaign.id or 0, source_id=others["secret"].id or 0))
    assert "It also learns from 1 campaign that is not open to you." in saved(curator, learns_from=["moths"])
    with database.reading() as session:
        assert model_queries.sources(session, campaign.id or 0) == {one.id for one in others.values()}
    with database.writing() as session:  # a curator of the other one sees it
        person = people.require_by_name(session, curator.get("/api/v1/me").json()["name"])
        people.grant(session, others["secret"].id or 0, person, Role.CURATOR, utc_now())
    assert "Nobody&#39;s business" in curator.get(PATH).text


def test_where_the_campaign_writes_the_switch_is_off_and_says_why(
    client_of: Client, database: Database, campaign: Campaign
) -> None:
    curator = client_of(Role.CURATOR)
    saved(curator, auto_validates="true")
    writing = {"csrf": csrf_of(curator), "writes": "bot"}
    answer = curator.post("/c/butterflies/desk/writing", data=writing)
    assert "The model verifies figures alone here. Turn that off first" in answer.text
    saved(curator)
    assert curator.post("/c/butterflies/desk/writing", data=writing).status_code == 200
    with database.reading() as session:
        assert session.get_one(Campaign, campaign.id).writes is Writes.BOT
    page = curator.get(PATH).text
    assert "Not possible here: this campaign writes to Commons" in page
    assert "This campaign writes to Commons. What no person confirmed is never written" in saved(
        curator, auto_validates="true"
    )


def test_what_the_model_verified_alone_is_told_and_goes_back_when_it_is_turned_off(
    client_of: Client, database: Database, campaign: Campaign
) -> None:
    figure = figure_ids(database, campaign)[0]
    foretold(database, campaign, {figure: [(ADMIRAL, 0.997)]})
    with database.writing() as session:
        version = session.exec(select(ModelVersion)).one()
        rows = [{"qid": ADMIRAL, "target": 0.99, "threshold": 0.991}]
        version.report = {"card": {"thresholds": rows, "proof": {"target": 0.99}}}
        row = session.exec(select(Prediction)).one()
        row.verdict = "known"
        session.add_all([version, row])
        own = session.get_one(Campaign, campaign.id)
        identifications.recompute(session, own, [figure], utc_now())
    curator = client_of(Role.CURATOR)
    page = curator.get(PATH).text
    assert "It is proven for 1 taxon." in page
    assert "Of 1 figure that nobody has named yet, 1 lies above its threshold." in page
    saved(curator, auto_validates="true")
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        assert machine.is_on(own)
        identifications.recompute(session, own, [figure], utc_now())
    assert "verified on the model’s word alone now" in curator.get(PATH).text
    shown = curator.get(f"/c/butterflies/f/{figure}").text
    words = (
        "The model alone: probability 0.997, at or above 0.991 for this taxon, where at least 99 per cent were right"
    )
    assert words in shown
    assert "1 figure went back to people." in saved(curator)
    assert words in curator.get(f"/c/butterflies/f/{figure}").text  # the history keeps it
    assert "The model&#39;s word alone no longer counts." in curator.get(f"/c/butterflies/f/{figure}").text


def test_programs_read_and_set_the_same(
    curator: TestClient, database: Database, campaign: Campaign, others: Made
) -> None:
    token = {"X-CSRF-Token": curator.get("/api/v1/me").json()["csrf"]}
    told = curator.get(API).json()
    assert told == {"learns_from": [], "model_rank": "", "auto_precision": 0.99, "auto_validates": False}
    wanted = told | {"learns_from": ["moths"], "model_rank": "family", "auto_validates": True}
    assert curator.put(API, json=wanted, headers=token).json() == wanted
    assert curator.get(API).json() == wanted
    assert curator.put(API, json=told | {"learns_from": ["secret"]}, headers=token).status_code == 422
    with database.reading() as session:
        assert session.exec(select(LearnsFrom.source_id).where(col(LearnsFrom.campaign_id) == campaign.id)).all()
