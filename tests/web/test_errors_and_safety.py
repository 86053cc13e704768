"""One shape of error in three renderings, and the habits that keep people safe."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.models import Campaign, Role, Visibility

ACCEPTS = {"Accept": "application/json"}


def test_an_error_is_a_page_a_fragment_or_problem_details(client_of: Callable[..., TestClient]) -> None:
    client = client_of()
    page = client.get("/c/nowhere")
    assert page.status_code == 404
    assert "<html" in page.text
    assert "There is no campaign" in page.text
    fragment = client.get("/c/nowhere", headers={"HX-Request": "true"})
    assert fragment.status_code == 404
    assert "<html" not in fragment.text
    assert fragment.headers["HX-Retarget"] == "#messages"
    told = client.get("/c/nowhere", headers=ACCEPTS)
    assert told.headers["content-type"] == "application/problem+json"
    body = told.json()
    assert {"type", "title", "status", "code", "errors"} == set(body)
    assert (body["status"], body["code"]) == (404, "not-found")


def test_the_api_always_tells_problem_details(client_of: Callable[..., TestClient]) -> None:
    client = client_of()
    for path in ("/api/v1/campaigns/nowhere", "/api/v1/no-such-thing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_an_unforeseen_error_shows_a_reference_and_nothing_else(
    app: Any, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret details")

    app.add_api_route("/broken", broken)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert "Something unforeseen" in answer.text


@pytest.mark.parametrize("told_size", [True, False], ids=["size told", "size not told"])
def test_a_body_that_is_far_too_large_is_refused_before_it_is_taken_apart(
    client_of: Callable[..., TestClient], campaign: Campaign, told_size: bool
) -> None:
    client = client_of(Role.VOLUNTEER)
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    pieces = [head, *[b"0" * 1_000_000] * 9, b"\r\n--x--\r\n"]
    sent: Any = b"".join(pieces) if told_size else iter(pieces)
    for path in ("/c/butterflies/tag/1", "/sign-in/demo", "/api/v1/figures/1/identifications"):
        answer = client.post(path, content=sent, headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert answer.status_code == 413, path
        assert "More was sent than is read at once. Send less." in answer.text
        sent = sent if told_size else iter(pieces)


def test_pages_carry_the_headers_that_keep_browsers_safe(client_of: Callable[..., TestClient]) -> None:
    answer = client_of().get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert "onclick" not in answer.text


def test_the_cookie_is_out_of_reach_of_scripts(client_of: Callable[..., TestClient]) -> None:
    client = client_of()
    cookie = client.get("/sign-in").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_what_a_source_says_is_never_markup(
    client_of: Callable[..., TestClient], database: Database, campaign: Campaign
) -> None:
    evil = '<script>alert("x")</script><b>bold</b>'
    with database.writing() as session:
        row = next(iter(illustrations.by_key(session, campaign.id or 0).values()))
        row.title = row.artist = row.description = row.credit = row.licence = row.verbatim_name = evil
        row.licence_url = row.page_url = "javascript:alert(1)"
        session.add(row)
    client = client_of(Role.CURATOR)
    page = client.get(f"/c/{campaign.slug}/i/{row.id}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<b>bold" not in page.text
    assert 'href="javascript:' not in page.text


@pytest.mark.parametrize("path", ["", "/tag", "/i/1", "/f/1/similar", "/f/1/image?side=320", "/i/1/image?side=320"])
def test_a_private_campaign_hides_from_strangers(
    client_of: Callable[..., TestClient], database: Database, campaign: Campaign, path: str
) -> None:
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).visibility = Visibility.PRIVATE
    stranger = client_of()
    assert stranger.get(f"/c/{campaign.slug}{path}").status_code == 404
    assert campaign.title not in stranger.get("/").text


@pytest.mark.parametrize("path", ["/curate", "/curate/rules", "/curate/people", "/curate/exports", "/review"])
def test_curators_and_specialists_pages_are_theirs(
    client_of: Callable[..., TestClient], campaign: Campaign, path: str
) -> None:
    assert client_of().get(f"/c/{campaign.slug}{path}").status_code in (401, 403, 404)
    assert client_of(Role.VOLUNTEER).get(f"/c/{campaign.slug}{path}").status_code in (403, 404)
