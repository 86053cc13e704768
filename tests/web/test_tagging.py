"""The tag page through HTTP: with and without JavaScript, signed in or not, well and badly used."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries as identifications
from icones.models import Answer, Campaign, Confidence, Role, Skip
from tests.support.campaigns import ADMIRAL, LADY, figure_ids
from tests.support.people import csrf_of, new_submission

TAG = "/c/butterflies/tag"
Clients = Callable[..., TestClient]


def form(client: TestClient, **fields: Any) -> dict[str, Any]:
    return {"csrf": csrf_of(client), "submission_id": new_submission(), **fields}


def said(database: Database, figure_id: int) -> list[tuple[Answer, str | None]]:
    with database.reading() as session:
        rows = identifications.standing(session, [figure_id]).get(figure_id, [])
        return [(row.answer, row.taxon_qid) for row in rows]


def asked(text: str) -> int:
    found = re.search(r'action="/c/butterflies/tag/(\d+)"', text)
    assert found, "the page asks for no figure"
    return int(found.group(1))


def test_a_reader_sees_the_plate_and_is_invited_to_sign_in(client_of: Clients, campaign: Campaign) -> None:
    page = client_of().get(TAG)
    assert page.status_code == 200
    assert "Sign in to answer" in page.text
    assert 'name="submission_id"' not in page.text


def test_an_answer_is_saved_and_the_next_figure_is_asked(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    sent = form(client, chosen=ADMIRAL, confidence="likely", comment="the white spots")
    answer = client.post(f"{TAG}/{figure}", data=sent)
    assert answer.status_code == 200
    assert "Saved:" in answer.text
    assert "red admiral" in answer.text
    assert asked(answer.text) != figure
    with database.reading() as session:
        row = identifications.standing(session, [figure])[figure][0]
    assert (row.taxon_qid, row.confidence, row.comment) == (ADMIRAL, Confidence.LIKELY, "the white spots")
    assert row.shown == {"blind": True, "reason": "new"}


def test_htmx_gets_the_inner_part_and_the_address_of_what_is_asked(client_of: Clients, campaign: Campaign) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    answer = client.post(f"{TAG}/{figure}", data=form(client, answer="no_organism"), headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert 'id="tag"' in answer.text
    assert answer.headers["HX-Replace-Url"] == f"{TAG}?figure={asked(answer.text)}"


def test_a_second_click_adds_no_second_tag(client_of: Clients, database: Database, campaign: Campaign) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    sent = form(client, chosen=ADMIRAL)
    for _ in range(2):
        assert client.post(f"{TAG}/{figure}", data=sent).status_code == 200
    with database.reading() as session:
        assert len(identifications.all_with_people(session, figure)) == 1


def test_undo_takes_the_answer_back_and_returns_to_the_figure(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    answer = client.post(f"{TAG}/{figure}", data=form(client, chosen=ADMIRAL))
    identification = re.search(r'name="identification" value="(\d+)"', answer.text)
    assert identification
    back = client.post(f"{TAG}/undo", data=form(client, identification=identification.group(1)))
    assert asked(back.text) == figure
    assert said(database, figure) == []


def test_nobody_undoes_what_somebody_else_said(client_of: Clients, database: Database, campaign: Campaign) -> None:
    one, other = client_of(Role.VOLUNTEER), client_of(Role.SPECIALIST)
    figure = asked(one.get(TAG).text)
    answer = one.post(f"{TAG}/{figure}", data=form(one, chosen=ADMIRAL))
    identification = re.search(r'name="identification" value="(\d+)"', answer.text)
    assert identification
    refused = other.post(f"{TAG}/undo", data=form(other, identification=identification.group(1)))
    assert refused.status_code == 403
    assert said(database, figure) == [(Answer.TAXON, ADMIRAL)]


def test_a_skipped_figure_is_not_offered_again(client_of: Clients, database: Database, campaign: Campaign) -> None:
    client = client_of(Role.VOLUNTEER)
    seen = set()
    for _ in figure_ids(database, campaign):
        figure = asked(client.get(TAG).text)
        seen.add(figure)
        client.post(f"{TAG}/{figure}", data=form(client, answer="skip"))
    assert seen == set(figure_ids(database, campaign))
    assert "Nothing left to ask you here" in client.get(TAG).text
    with database.reading() as session:
        assert len(session.exec(select(Skip)).all()) == len(seen)


def test_a_typed_name_that_one_taxon_bears_is_taken(client_of: Clients, database: Database, campaign: Campaign) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    client.post(f"{TAG}/{figure}", data=form(client, taxon="", taxon_words="Vanessa  CARDUI"))
    assert said(database, figure) == [(Answer.TAXON, LADY)]


def test_a_typed_name_with_slips_is_offered_not_taken(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    answer = client.post(f"{TAG}/{figure}", data=form(client, taxon_words="vanesa atlanta"))
    assert asked(answer.text) == figure
    assert f'name="chosen" value="{ADMIRAL}"' in answer.text
    assert "Ask Wikidata for “vanesa atlanta”" in answer.text
    assert said(database, figure) == []


def test_enter_in_the_search_box_presses_no_suggestion(client_of: Clients, campaign: Campaign) -> None:
    page = client_of(Role.VOLUNTEER).get(TAG).text
    main = page[page.index('action="/c/butterflies/tag/') :]
    first = re.search(r"<button[^>]*>", main)
    assert first
    assert "name=" not in first.group(0)


@pytest.mark.parametrize(
    "sent", [{}, {"chosen": "Q404"}, {"answer": "banana"}, {"chosen": ADMIRAL, "submission_id": "x"}]
)
def test_an_answer_that_cannot_be_used_is_refused_in_words(
    sent: dict[str, str], client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    refused = client.post(f"{TAG}/{figure}", data=form(client) | sent)
    assert refused.status_code in (404, 422)
    assert 'role="alert"' in refused.text
    assert said(database, figure) == []


def test_a_form_without_this_browsers_token_is_refused(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    sent = {"csrf": "made up", "submission_id": new_submission(), "chosen": ADMIRAL}
    assert client.post(f"{TAG}/{figure}", data=sent).status_code == 403
    assert said(database, figure) == []


def test_an_error_for_htmx_goes_to_the_message_area(client_of: Clients, campaign: Campaign) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(client.get(TAG).text)
    refused = client.post(f"{TAG}/{figure}", data=form(client), headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert refused.headers["HX-Retarget"] == "#messages"
    assert "<html" not in refused.text


def test_somebody_who_is_not_signed_in_can_say_nothing(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of()
    figure = figure_ids(database, campaign)[0]
    refused = client.post(f"{TAG}/{figure}", data=form(client, chosen=ADMIRAL))
    assert refused.status_code == 401
    assert said(database, figure) == []


def test_another_species_becomes_a_figure_with_its_box(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    text = client.get(TAG).text
    address = re.search(r'action="(/c/butterflies/i/\d+/figures)"', text)
    assert address
    before = len(figure_ids(database, campaign))
    page = client.post(address.group(1), data=form(client, x="50,5", y="10", w="60", h="20"))
    assert "Added." in page.text
    assert 'data-box="pct:50.5,10,49.5,20"' in page.text
    assert len(figure_ids(database, campaign)) == before + 1


@pytest.mark.parametrize(
    "box", [{"x": "10"}, {"x": "a", "y": "b", "w": "c", "h": "d"}, {"x": "101", "y": "0", "w": "5", "h": "5"}]
)
def test_a_box_that_is_none_adds_no_figure(
    box: dict[str, str], client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    address = re.search(r'action="(/c/butterflies/i/\d+/figures)"', client.get(TAG).text)
    assert address
    before = len(figure_ids(database, campaign))
    assert client.post(address.group(1), data=form(client, **box)).status_code == 422
    assert len(figure_ids(database, campaign)) == before


def test_a_figure_of_another_campaign_is_not_found_here(
    client_of: Clients, database: Database, settings: Settings, campaign: Campaign
) -> None:
    from tests.support.campaigns import make_campaign

    other = make_campaign(settings, database, utc_now(), per_kind=1, slug="others")
    client = client_of(Role.VOLUNTEER)
    figure = figure_ids(database, other)[0]
    assert client.get(f"{TAG}?figure={figure}").status_code == 404
    assert client.post(f"{TAG}/{figure}", data=form(client, chosen=ADMIRAL)).status_code == 404
    assert said(database, figure) == []
