"""The page on a campaign's network: the last comparison for everybody, the button for its curators."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from active_learning import Comparison
from icones.clock import utc_now
from icones.db import Database
from icones.jobs import queries as jobs
from icones.learning import trials
from icones.models import Campaign, JobKind, JobState, Role
from tests.support.people import csrf_of

Client = Callable[..., TestClient]


def row(name: str, mean: float, **more: object) -> dict[str, object]:
    by_labels = [{"labels": n, "accuracy": mean, "low": mean, "high": mean} for n in (1, 2, 5)]
    interval = {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}
    return {"name": name, "dim": 8, "seconds": 0.02, **interval, "by_labels": by_labels,
            "by_rank": {"named": mean, "genus": 0.97}, "gain": interval, "chosen": False, **more}  # fmt: skip


def compared(database: Database, campaign: Campaign) -> None:
    """Write a comparison down in which a network that knows insects wins."""
    rows = (row("mobilenet_v2/inat_insect", 0.93, chosen=True), row("classical", 0.41, seconds=None, by_labels=[]))
    found = Comparison("mobilenet_v2/inat_insect", True, "The insect network is taken: 93 %.", rows, 40, 5, 20)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        trials.keep(session, own, found, {"resnet50": "Its <weights> are damaged."}, None, utc_now())


def test_before_a_comparison_it_says_what_is_needed(client_of: Client, campaign: Campaign) -> None:
    page = client_of(Role.CURATOR).get("/c/butterflies/backbones")
    assert page.status_code == 200
    assert "five taxa have verified figures from four sources each" in page.text
    assert "Compare networks" in page.text
    assert "<table" not in page.text


@pytest.mark.parametrize("role", [None, Role.VOLUNTEER, Role.CURATOR])
def test_everybody_sees_the_comparison_and_curators_the_button(
    client_of: Client, database: Database, campaign: Campaign, role: Role | None
) -> None:
    compared(database, campaign)
    page = client_of(role).get("/c/butterflies/backbones").text
    assert "The insect network is taken: 93 %." in page
    for words in ("93%", "88%–98%", "20 ms", "40 verified figures of 5 taxa", "5 labels</th>"):
        assert words in page
    assert "Its &lt;weights&gt; are damaged." in page
    assert ("Compare again" in page) is (role is Role.CURATOR)


def test_htmx_gets_the_section_only(client_of: Client, database: Database, campaign: Campaign) -> None:
    compared(database, campaign)
    answer = client_of(Role.CURATOR).get("/c/butterflies/backbones", headers={"HX-Request": "true"}).text
    assert "<html" not in answer
    assert 'id="backbones"' in answer


def test_a_curator_asks_and_nobody_else_may(client_of: Client, database: Database, campaign: Campaign) -> None:
    volunteer, curator = client_of(Role.VOLUNTEER), client_of(Role.CURATOR)
    assert volunteer.post("/c/butterflies/backbones", data={"csrf": csrf_of(volunteer)}).status_code == 403
    assert curator.post("/c/butterflies/backbones").status_code == 403  # without the token
    answer = curator.post("/c/butterflies/backbones", data={"csrf": csrf_of(curator)}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/c/butterflies/backbones")
    with database.reading() as session:
        (run,) = jobs.waiting(session)
    assert (run.kind, run.trigger) == (JobKind.CHOOSE, "person")
    page = curator.get("/c/butterflies/backbones").text
    assert f'id="job-{run.id}"' in page
    assert "Compare networks" not in page  # it waits already
    assert f'id="job-{run.id}"' not in client_of(None).get("/c/butterflies/backbones").text


def test_a_run_that_ended_tells_what_came_of_it(client_of: Client, database: Database, campaign: Campaign) -> None:
    curator = client_of(Role.CURATOR)
    curator.post("/c/butterflies/backbones", data={"csrf": csrf_of(curator)})
    with database.writing() as session:
        (run,) = jobs.waiting(session)
        run.state, run.result = (
            JobState.DONE,
            {"chosen": "one", "why": "one is taken, for it is best.", "training": True},
        )
        session.add(run)
    page = curator.get(f"/c/butterflies/jobs/{run.id}").text
    assert "Comparing networks" in page
    assert "one is taken, for it is best. Training follows." in page
