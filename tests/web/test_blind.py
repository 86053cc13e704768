"""The first people name a figure without the model: what pages show, what is recorded, and what is told after."""

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from icones.db import Database
from icones.identifications import queries
from icones.models import Campaign, Role
from tests.support.campaigns import ADMIRAL, GENUS, LADY, WHITE, figure_ids
from tests.support.foretold import foretold
from tests.support.people import csrf_of, new_submission
from tests.support.voices import says, somebody

TAG, REVIEW, API = "/c/butterflies/tag", "/c/butterflies/review", "/api/v1"
Clients = Callable[..., TestClient]
RANKED = ((ADMIRAL, 0.7), (LADY, 0.2), (WHITE, 0.1))


@pytest.fixture
def version(database: Database, campaign: Campaign) -> int:
    """A serving model that takes every figure for a red admiral."""
    return foretold(database, campaign, dict.fromkeys(figure_ids(database, campaign), RANKED))


def spoken(database: Database, campaign: Campaign, figure: int, *qids: str) -> None:
    for n, qid in enumerate(qids):
        says(database, somebody(database, campaign, f"Voice {n}"), figure, qid)


def answered(client: TestClient, figure: int, **fields: object) -> str:
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), **fields}
    return client.post(f"{TAG}/{figure}", data=form).text


def shown(database: Database, figure: int) -> dict[str, object]:
    """What the last one to speak had on the screen."""
    with database.reading() as session:
        return queries.standing(session, [figure])[figure][-1].shown


def suggests(page: str) -> bool:
    return 'aria-label="What the model suggests"' in page or "suggestion-still" in page


@pytest.mark.parametrize("others", [0, 1, 2])
def test_the_model_speaks_from_the_third_person_on(
    client_of: Clients, database: Database, campaign: Campaign, version: int, others: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    spoken(database, campaign, figure, *[LADY] * others)
    client = client_of(Role.VOLUNTEER)
    page = client.get(f"{TAG}?figure={figure}").text
    fragment = client.get(f"{TAG}?figure={figure}", headers={"HX-Request": "true"}).text
    prediction = client.get(f"{API}/figures/{figure}").json()["prediction"]
    stranger = client_of().get(f"{TAG}?figure={figure}").text
    seen = [suggests(page), suggests(fragment), prediction is not None, suggests(stranger)]
    assert seen == [others >= 2] * 4
    assert ('name="model_version"' in page) == (others >= 2)
    assert ("What the model thinks, it says after your answer." in page) == (others < 2)
    assert 'name="taxon_words"' in page


def test_a_form_that_claims_to_have_seen_what_was_kept_back_is_recorded_as_blind(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figures = figure_ids(database, campaign)
    client = client_of(Role.VOLUNTEER)
    answered(client, figures[0], chosen=ADMIRAL, model_version=version)
    assert shown(database, figures[0]) == {"blind": True}
    said = {"submission_id": new_submission(), "taxon_qid": ADMIRAL, "model_version_id": version}
    token = {"X-CSRF-Token": client.get(f"{API}/me").json()["csrf"]}
    assert client.post(f"{API}/figures/{figures[1]}/identifications", json=said, headers=token).status_code == 201
    assert shown(database, figures[1]) == {"blind": True}


def test_what_was_seen_is_recorded_in_its_order_with_the_reason(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    spoken(database, campaign, figure, ADMIRAL, LADY)
    answered(client_of(Role.VOLUNTEER), figure, chosen=ADMIRAL, model_version=version)
    assert shown(database, figure) == {
        "model_version": version,
        "suggestions": [{"qid": qid, "p": p} for qid, p in RANKED],
        "reason": "disputed",
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (ADMIRAL, "The model thinks so too."),
        (GENUS, "The model agrees, and would say:"),
        (WHITE, "The model would say:"),
    ],
)
def test_after_a_blind_answer_the_model_says_what_it_thinks(
    client_of: Clients, database: Database, campaign: Campaign, version: int, said: str, told: str
) -> None:
    page = answered(client_of(Role.VOLUNTEER), figure_ids(database, campaign)[0], chosen=said)
    assert told in page


def test_without_a_model_nothing_is_told_after_an_answer(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    page = answered(client_of(Role.VOLUNTEER), figure_ids(database, campaign)[0], chosen=ADMIRAL)
    assert "Saved:" in page
    assert "The model" not in page[page.index("Saved:") : page.index("Undo")]


def test_a_second_thought_after_the_model_has_spoken_is_not_blind(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    client = client_of(Role.VOLUNTEER)
    page = answered(client, figure, chosen=WHITE)
    mine = re.search(r'name="identification" value="(\d+)"', page)
    assert mine
    client.post(f"{TAG}/undo", data={"csrf": csrf_of(client), "identification": mine.group(1)})
    answered(client, figure, chosen=ADMIRAL)
    assert shown(database, figure)["model_version"] == version


def test_specialists_see_all_on_their_page_and_it_is_recorded(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    client = client_of(Role.SPECIALIST)
    page = client.get(f"{REVIEW}?figure={figure}").text
    assert f'name="model_version" value="{version}"' in page
    assert client.get(f"{API}/figures/{figure}").json()["prediction"] is not None
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": LADY, "model_version": version}
    client.post(f"{REVIEW}/{figure}", data=form)
    assert shown(database, figure)["suggestions"]


def test_a_curator_sets_how_many_are_blind_and_by_which_rule_is_counted(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    client = client_of(Role.CURATOR)
    page = client.get("/c/butterflies/curate/rules").text
    assert re.search(r'name="blind_votes"[^>]*value="2"', page)
    assert re.search(r'value="community" checked', page)
    form = {"csrf": csrf_of(client), "quorum": 2, "agreement_percent": 66.7, "retrain_after": 20, "gold_percent": 0}
    client.post("/c/butterflies/curate/rules", data=form | {"blind_votes": 0, "rule": "community"})
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
    assert (own.blind_votes, own.gold_share, own.agreement) == (0, 0.0, 2 / 3)
    figure = figure_ids(database, campaign)[0]
    assert suggests(client_of(Role.VOLUNTEER).get(f"{TAG}?figure={figure}").text)
    refused = client.post("/c/butterflies/curate/rules", data=form | {"blind_votes": 6, "rule": "named"})
    assert refused.status_code == 422


def test_it_cannot_be_named_more_exactly_counts_only_where_somebody_tried(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    first, second = figure_ids(database, campaign)[:2]
    client = client_of(Role.VOLUNTEER)
    assert 'name="disagrees"' not in client.get(f"{TAG}?figure={second}").text
    spoken(database, campaign, first, ADMIRAL)
    assert 'name="disagrees"' in client.get(f"{TAG}?figure={first}").text
    answered(client, first, chosen=GENUS, disagrees="true")
    answered(client, second, chosen=GENUS, disagrees="true")
    with database.reading() as session:
        rows = queries.standing(session, [first, second])
        states = queries.determinations(session, [first, second])
    assert (rows[first][-1].disagrees, rows[second][-1].disagrees) == (True, False)
    assert (states[first].state.value, states[first].taxon_qid) == ("disputed", GENUS)
