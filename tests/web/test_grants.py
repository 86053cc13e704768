"""A person's yes to edits in their own name: the switch on their page, Wikimedia's yes, and how both end."""

import html
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from icones.app import create_app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.models import Person, Role, WikiGrant
from icones.people import grants
from icones.people import queries as people
from icones.people.grants import NoLeaveError
from tests.support.people import csrf_of
from tests.support.standin import StandInCommons, World

SWITCH_ON = 'name="yes" value="true"'


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    world = World()
    world.add_person("Anna", "101")
    world.add_person("Bert", "102")
    with StandInCommons(world) as server:
        server.sign_in_as("Anna")
        yield server


@pytest.fixture
def told(settings: Settings, commons: StandInCommons) -> Settings:
    return settings.model_copy(
        update={
            "mode": "development",
            "oauth_root": f"{commons.rest_url}/oauth2",
            "oauth_client_id": "icones-test",
            "oauth_client_secret": SecretStr("icones-secret"),
        }
    )


@pytest.fixture
def client(told: Settings, database: Database) -> Iterator[TestClient]:
    with TestClient(create_app(told), base_url=told.base_url) as browser:
        yield browser


def post(client: TestClient, path: str, **form: str) -> Any:
    return client.post(path, data={"csrf": csrf_of(client, "/about"), **form}, follow_redirects=False)


def at_wikimedia(client: TestClient, address: str, answer: str = "auto") -> Any:
    """Say yes (``auto``) or no (``deny``) at Wikimedia, and follow the browser home."""
    assert "/oauth2/authorize?" in address
    back = httpx2.get(f"{address}&{answer}=1", headers={"User-Agent": "tests of Icones"}).headers["location"]
    parts = urlsplit(back)
    return client.get(f"{parts.path}?{parts.query}")


def sign_in(client: TestClient) -> None:
    answer = post(client, "/sign-in/wikimedia", next="/me")
    assert at_wikimedia(client, answer.headers["location"]).url.path == "/me"


def switch_on(client: TestClient, answer: str = "auto") -> str:
    """Switch on and answer at Wikimedia; return the page that this leads to, as people read it."""
    sent = post(client, "/me/writing", yes="true")
    assert sent.status_code == 303
    page = at_wikimedia(client, sent.headers["location"], answer)
    assert (page.status_code, page.url.path) == (200, "/me")
    return html.unescape(page.text)


def person_of(database: Database, sub: str = "101") -> Person:
    with database.reading() as session:
        person = people.by_sub(session, sub)
    assert person is not None
    return person


def grant_of(database: Database, sub: str = "101") -> WikiGrant | None:
    person = person_of(database, sub)
    with database.reading() as session:
        return session.get(WikiGrant, person.id)


def test_it_is_off_until_the_person_says_yes_here_and_at_wikimedia(
    client: TestClient, told: Settings, database: Database, commons: StandInCommons
) -> None:
    sign_in(client)
    page = html.unescape(client.get("/me").text)
    assert "Write what I confirmed on Wikimedia Commons in my name" in page
    assert "This is off." in page
    assert 'href="/edits"' in page
    assert SWITCH_ON in page
    person = person_of(database)
    assert not person.writes_in_own_name
    assert grant_of(database) is None

    page = switch_on(client)
    assert "From now on, what you confirm may be written in your name." in page
    assert "This is on." in page
    assert "Special:OAuthManageMyGrants" in page
    assert SWITCH_ON not in page
    assert person_of(database).writes_in_own_name
    token = grants.access_token(told, database, person.id or 0, utc_now)
    headers = {"User-Agent": "tests of Icones", "Authorization": f"Bearer {token}"}
    profile = httpx2.get(f"{commons.rest_url}/oauth2/resource/profile", headers=headers).json()
    assert profile["username"] == "Anna"


def test_switching_off_forgets_the_tokens_at_once(client: TestClient, database: Database) -> None:
    sign_in(client)
    switch_on(client)
    assert grant_of(database) is not None
    assert post(client, "/me/writing").headers["location"] == "/me"
    assert grant_of(database) is None
    assert not person_of(database).writes_in_own_name
    page = client.get("/me").text
    assert "Nothing more is written in your name." in page
    assert "This is off." in page
    sign_in(client)
    assert grant_of(database) is None


def test_signing_out_forgets_the_tokens_and_the_next_sign_in_brings_new_ones(
    client: TestClient, database: Database
) -> None:
    sign_in(client)
    switch_on(client)
    before = grant_of(database)
    post(client, "/sign-out")
    assert grant_of(database) is None
    assert person_of(database).writes_in_own_name
    sign_in(client)
    after = grant_of(database)
    assert before is not None
    assert after is not None
    assert after.access_token != before.access_token
    assert "This is on." in client.get("/me").text


def test_who_is_on_already_is_not_sent_to_wikimedia_again(client: TestClient, commons: StandInCommons) -> None:
    sign_in(client)
    switch_on(client)
    commons.calls.clear()
    assert post(client, "/me/writing", yes="true").headers["location"] == "/me"
    assert commons.calls.count("oauth") == 0


def test_a_no_at_wikimedia_switches_off_and_leaves_the_person_signed_in(client: TestClient, database: Database) -> None:
    sign_in(client)
    page = switch_on(client, answer="deny")
    assert "You said no at Wikimedia, so nothing is written in your name." in page
    assert "This is off." in page
    assert not person_of(database).writes_in_own_name
    assert "Anna" in client.get("/").text


def test_who_never_comes_back_from_wikimedia_is_asked_again(client: TestClient, database: Database) -> None:
    sign_in(client)
    post(client, "/me/writing", yes="true")
    page = html.unescape(client.get("/me").text)
    assert "This waits for you." in page
    assert "Go on at Wikimedia" in page
    assert "Switch off" in page
    assert grant_of(database) is None
    assert "This is on." in switch_on(client)


def test_a_yes_taken_back_while_the_person_is_at_wikimedia_stays_taken_back(
    client: TestClient, database: Database
) -> None:
    sign_in(client)
    address = post(client, "/me/writing", yes="true").headers["location"]
    post(client, "/me/writing")
    page = at_wikimedia(client, address).text
    assert "This is off." in page
    assert "may be written in your name" not in page
    assert grant_of(database) is None


def test_another_account_at_wikimedia_gives_no_leave_to_either(
    client: TestClient, database: Database, commons: StandInCommons
) -> None:
    sign_in(client)
    commons.sign_in_as("Bert")
    page = switch_on(client)
    assert "At Wikimedia you use another account." in page
    assert "Bert" in page
    assert "This is off." in page
    assert grant_of(database, "101") is None
    assert grant_of(database, "102") is None


def test_a_permission_ended_at_wikimedia_is_noticed_at_the_next_use(
    client: TestClient, told: Settings, database: Database, commons: StandInCommons
) -> None:
    sign_in(client)
    switch_on(client)
    key = person_of(database).id or 0
    held = grants.access_token(told, database, key, utc_now)
    commons.oauth.revoke("101")
    with pytest.raises(NoLeaveError):
        grants.access_token(told, database, key, utc_now, refused=held)
    assert "This waits for you." in client.get("/me").text
    assert "This is on." in switch_on(client)


def test_with_another_secret_key_people_sign_in_again_and_all_is_well(
    client: TestClient, told: Settings, database: Database, commons: StandInCommons
) -> None:
    sign_in(client)
    switch_on(client)
    changed = told.model_copy(update={"secret_key": SecretStr("another-key-" + "1" * 32)})
    with TestClient(create_app(changed), base_url=changed.base_url) as browser:
        key = person_of(database).id or 0
        with pytest.raises(NoLeaveError):
            grants.access_token(changed, database, key, utc_now)
        sign_in(browser)
        assert "This is on." in browser.get("/me").text
        assert grants.access_token(changed, database, key, utc_now)


def test_tokens_show_neither_on_pages_nor_in_logs(
    client: TestClient, told: Settings, database: Database, commons: StandInCommons, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sign_in(client)
    pages = switch_on(client) + client.get("/me").text + client.get("/api/v1/me").text
    commons.faults.next("oauth", "applied-then-502", where=lambda params: "code_verifier" in params)
    failed = at_wikimedia(client, post(client, "/sign-in/wikimedia").headers["location"])
    assert failed.status_code == 502
    grant = grant_of(database)
    assert grant is not None
    token = grants.access_token(told, database, grant.person_id, utc_now)
    seen = pages + failed.text + caplog.text
    assert "/me/writing" in seen
    for secret in (token, grant.access_token, grant.refresh_token, "icones-secret"):
        assert secret not in seen
    assert not any(secret in str(client.cookies) for secret in (token, grant.access_token))


def test_nobody_switches_it_on_for_another(client: TestClient, database: Database) -> None:
    assert post(client, "/me/writing", yes="true").status_code == 401
    sign_in(client)
    for form in ({"yes": "true"}, {"yes": "true", "csrf": "wrong"}):
        assert client.post("/me/writing", data=form).status_code == 403
    assert client.get("/me/writing?yes=true").status_code == 405
    assert not person_of(database).writes_in_own_name


def test_an_answer_of_wikimedia_that_was_not_asked_for_here_gives_no_leave(
    client: TestClient, database: Database
) -> None:
    sign_in(client)
    address = post(client, "/me/writing", yes="true").headers["location"]
    state = parse_qs(urlsplit(address).query)["state"][0]
    assert client.get(f"/sign-in/callback?code=x&state={state}x").status_code == 422
    assert client.get(f"/sign-in/callback?code=x&state={state}").status_code == 422
    assert grant_of(database) is None


def test_the_demo_says_why_there_is_no_switch(client_of: Callable[..., TestClient], database: Database) -> None:
    client = client_of(Role.VOLUNTEER)
    page = client.get("/me").text
    assert "There is no switch here: this is a demo" in page
    assert "/me/writing" not in page
    assert client.post("/me/writing", data={"csrf": csrf_of(client, "/me"), "yes": "true"}).status_code == 409
    assert not person_of(database, "demo:volunteer").writes_in_own_name


def test_without_oauth_the_page_says_so(client: TestClient, told: Settings, database: Database) -> None:
    sign_in(client)
    bare = told.model_copy(update={"oauth_client_id": ""})
    with TestClient(create_app(bare), base_url=bare.base_url, cookies=client.cookies) as browser:
        assert "sign-in with Wikimedia is not set up" in browser.get("/me").text
        assert post(browser, "/me/writing", yes="true").status_code == 409
    assert not person_of(database).writes_in_own_name
