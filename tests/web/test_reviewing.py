"""The specialists' queue through HTTP: what comes first, what is shown, one tap settles, and it can be taken back."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries
from icones.models import Campaign, Determination, DeterminationState, JobKind, Role
from icones.people import queries as people_queries
from icones.people import service as people
from tests.support.campaigns import ADMIRAL, FAMILY, LADY, WHITE, figure_ids, make_campaign
from tests.support.people import csrf_of, new_submission
from tests.support.voices import carried_out, says, somebody, verified

Clients = Callable[..., TestClient]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def disputed(database: Database, campaign: Campaign) -> int:
    """A figure about which two people disagree."""
    figure = figure_ids(database, campaign)[4]
    says(database, somebody(database, campaign, "Anna"), figure, ADMIRAL, "Look at the red band.")
    says(database, somebody(database, campaign, "Bert"), figure, LADY)
    return figure


def state_of(database: Database, figure: int) -> tuple[DeterminationState, str | None]:
    with database.reading() as session:
        row = session.get_one(Determination, figure)
        return row.state, row.taxon_qid


def test_volunteers_and_strangers_are_told_whom_the_queue_is_for(
    campaign: Campaign, client_of: Clients, disputed: int
) -> None:
    assert client_of().get("/c/butterflies/review").status_code == 401
    assert client_of(Role.VOLUNTEER).get("/c/butterflies/review").status_code == 403


def test_an_empty_queue_says_so(campaign: Campaign, client_of: Clients) -> None:
    page = client_of(Role.SPECIALIST).get("/c/butterflies/review")
    assert page.status_code == 200
    assert "Nothing waits for a specialist" in page.text


def test_a_case_shows_what_everybody_said_but_not_their_names(
    campaign: Campaign, client_of: Clients, disputed: int
) -> None:
    page = client_of(Role.SPECIALIST).get("/c/butterflies/review").text
    assert "People disagree about this one." in page
    assert "red admiral" in page
    assert "painted lady" in page
    assert "Look at the red band." in page
    assert "Anna" not in page
    assert "Bert" not in page


def test_who_agreed_to_be_named_is_named(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    with database.writing() as session:
        anna = people_queries.by_name(session, "Anna")
        assert anna is not None
        people.set_preferences(session, anna, "en", named_in_exports=True)
    page = client_of(Role.SPECIALIST).get("/c/butterflies/review").text
    assert "Anna" in page
    assert "Bert" not in page


def test_one_tap_settles_and_the_next_case_comes(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": ADMIRAL}
    answer = client.post(f"/c/butterflies/review/{disputed}", data=form, headers=HTMX)
    assert answer.status_code == 200
    assert "Settled:" in answer.text
    assert "<html" not in answer.text
    assert answer.headers["HX-Replace-Url"] == "/c/butterflies/review"
    assert state_of(database, disputed) == (DeterminationState.VERIFIED, ADMIRAL)


def test_without_script_the_same_form_leads_back_to_the_queue(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "answer": "no_organism"}
    answer = client.post(f"/c/butterflies/review/{disputed}", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"][:21]) == (303, "/c/butterflies/review")
    assert "Saved and settled." in client.get(answer.headers["Location"]).text
    assert state_of(database, disputed) == (DeterminationState.VERIFIED, None)


def test_a_second_click_settles_nothing_twice(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": ADMIRAL}
    for _ in range(2):
        assert client.post(f"/c/butterflies/review/{disputed}", data=form, headers=HTMX).status_code == 200
    with database.reading() as session:
        assert len(queries.all_with_people(session, disputed)) == 3


def test_undo_brings_the_dispute_back(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": ADMIRAL}
    settled = client.post(f"/c/butterflies/review/{disputed}", data=form, headers=HTMX).text
    found = re.search(r'name="identification" value="(\d+)"', settled)
    assert found
    back = {"csrf": form["csrf"], "identification": found.group(1)}
    again = client.post("/c/butterflies/review/undo", data=back, headers=HTMX)
    assert f"/c/butterflies/review/{disputed}" in again.text
    assert state_of(database, disputed)[0] is DeterminationState.DISPUTED


def test_typed_words_are_looked_up_for_people_without_script(
    campaign: Campaign, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "taxon_words": "small whit"}
    page = client.post(f"/c/butterflies/review/{disputed}", data=form)
    assert "Names like “small whit”" in page.text
    assert f'value="{WHITE}"' in page.text


def test_an_answer_without_a_name_is_refused_in_words(campaign: Campaign, client_of: Clients, disputed: int) -> None:
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission()}
    answer = client.post(f"/c/butterflies/review/{disputed}", data=form, headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert "Choose one of the names" in answer.json()["title"]


def test_a_figure_of_another_campaign_is_not_settled_here(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    other = make_campaign(settings, database, utc_now(), per_kind=1, slug="elsewhere")
    figure = figure_ids(database, other)[0]
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": ADMIRAL}
    headers = {"Accept": "application/json"}
    assert client.post(f"/c/butterflies/review/{figure}", data=form, headers=headers).status_code == 404
    assert state_of(database, figure)[0] is DeterminationState.OPEN


def test_outside_their_field_a_specialist_is_not_asked_and_counts_as_a_volunteer(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    whites = figure_ids(database, campaign)[2]
    for name in ("Anna", "Bert"):
        says(database, somebody(database, campaign, name), whites, WHITE)
    with database.writing() as session:
        person = people_queries.by_sub(session, "demo:specialist")
        assert person is not None
        people.grant(session, campaign.id or 0, person, Role.SPECIALIST, utc_now(), [FAMILY])
    page = client.get("/c/butterflies/review").text
    assert f"/c/butterflies/review/{disputed}" in page
    assert "Plate 02" not in page
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": WHITE}
    answer = client.post(f"/c/butterflies/review/{whites}", data=form, headers=HTMX)
    assert "outside your field" in answer.text
    assert state_of(database, whites)[0] is DeterminationState.AGREED


def test_what_the_model_showed_is_kept_and_cannot_be_made_up(
    campaign: Campaign, database: Database, settings: Settings, client_of: Clients
) -> None:
    figures = verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    client = client_of(Role.SPECIALIST)
    page = client.get(f"/c/butterflies/review?figure={figures[10]}").text
    found = re.search(r'name="model_version" value="(\d+)"', page)
    assert found
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": LADY}
    client.post(f"/c/butterflies/review/{figures[10]}", data=form | {"model_version": found.group(1)}, headers=HTMX)
    other = form | {"submission_id": new_submission(), "model_version": "99999"}
    client.post(f"/c/butterflies/review/{figures[11]}", data=other, headers=HTMX)
    with database.reading() as session:
        kept = {row.figure_id: row.shown for rows in queries.standing(session, figures[10:12]).values() for row in rows}
    assert kept[figures[10]]["model_version"] == int(found.group(1))
    assert {one["qid"] for one in kept[figures[10]]["suggestions"]} <= {ADMIRAL, LADY, WHITE}
    assert kept[figures[11]] == {"blind": True, "reason": "random"}


def test_reasons_filter_the_queue_with_their_counts(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    agreed = figure_ids(database, campaign)[0]
    for name in ("Anna", "Bert"):
        says(database, somebody(database, campaign, name), agreed, ADMIRAL)
    client = client_of(Role.SPECIALIST)
    page = client.get("/c/butterflies/review").text
    assert re.search(r"Disputed <strong>1</strong>", page)
    assert re.search(r"To confirm <strong>1</strong>", page)
    assert page.index("Plate 04") < page.index("Plate 00")
    only = client.get("/c/butterflies/review?reason=confirm").text
    assert f"/c/butterflies/review/{agreed}" in only
    assert "Plate 04" not in only


def test_the_queue_asks_the_database_as_often_for_many_as_for_few(
    campaign: Campaign, database: Database, app: object, client_of: Clients, disputed: int
) -> None:
    client = client_of(Role.SPECIALIST)
    asked: list[str] = []
    event.listen(app.state.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))  # type: ignore[attr-defined]
    client.get(f"/c/butterflies/review?figure={disputed}")
    few = len(asked)
    for figure in figure_ids(database, campaign)[5:11]:
        says(database, somebody(database, campaign, "Anna"), figure, ADMIRAL)
        says(database, somebody(database, campaign, "Bert"), figure, LADY)
    asked.clear()
    client.get(f"/c/butterflies/review?figure={disputed}")
    assert len(asked) == few
    assert few < 40


def test_what_i_have_answered_comes_last(
    campaign: Campaign, database: Database, client_of: Clients, disputed: int
) -> None:
    other = somebody(database, campaign, "Cora", Role.SPECIALIST)
    says(database, other, disputed, LADY)
    client = client_of(Role.SPECIALIST)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": ADMIRAL}
    client.post(f"/c/butterflies/review/{disputed}", data=form, headers=HTMX)
    assert state_of(database, disputed)[0] is DeterminationState.DISPUTED
    second = figure_ids(database, campaign)[7]
    says(database, somebody(database, campaign, "Anna"), second, ADMIRAL)
    says(database, somebody(database, campaign, "Bert"), second, LADY)
    page = client.get("/c/butterflies/review").text
    assert page.index("Plate 07") < page.index("Plate 04")
