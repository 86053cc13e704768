"""Sign in with Wikimedia against the stand-in's OAuth 2.0, sign out, languages, and the guards around forms."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from icones.app import create_app
from icones.config import Settings
from icones.db import Database
from icones.models import Role
from icones.people import queries as people
from tests.support.people import csrf_of, sign_in
from tests.support.standin import StandInCommons, World


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    world = World()
    world.add_person("Volunteer Anna", "101")
    world.add_person("Blocked Eve", "105", blocked=True)
    with StandInCommons(world) as server:
        yield server


@pytest.fixture
def client(settings: Settings, database: Database, commons: StandInCommons) -> Iterator[TestClient]:
    told = settings.model_copy(
        update={
            "mode": "development",
            "oauth_root": f"{commons.rest_url}/oauth2",
            "oauth_client_id": "icones-test",
            "oauth_client_secret": SecretStr("icones-secret"),
        }
    )
    with TestClient(create_app(told), base_url=told.base_url) as browser:
        yield browser


def go_to_wikimedia(client: TestClient, next_: str = "/") -> str:
    """Press the button; return the address at Wikimedia that the browser is sent to."""
    answer = client.post("/sign-in/wikimedia", data={"csrf": csrf_of(client), "next": next_}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def say_yes(address: str) -> str:
    """Say yes at Wikimedia; return the address that the browser is sent back to."""
    answer = httpx2.get(address + "&auto=1", headers={"User-Agent": "tests of Icones"})
    assert answer.status_code in (302, 303), answer.text
    return answer.headers["location"]


def come_back(client: TestClient, address: str) -> Any:
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}", follow_redirects=False)


def test_a_person_signs_in_and_out(client: TestClient, database: Database, commons: StandInCommons) -> None:
    commons.sign_in_as("Volunteer Anna")
    address = go_to_wikimedia(client, "/about")
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["code_challenge"]
    answer = come_back(client, say_yes(address))
    assert (answer.status_code, answer.headers["location"]) == (303, "/about")
    with database.reading() as session:
        person = people.by_sub(session, "101")
    assert person is not None
    assert person.name == "Volunteer Anna"
    assert "Volunteer Anna" in client.get("/").text
    client.post("/sign-out", data={"csrf": csrf_of(client, "/")})
    assert "Volunteer Anna" not in client.get("/").text


def test_a_renamed_account_stays_the_same_person(
    client: TestClient, database: Database, commons: StandInCommons
) -> None:
    commons.sign_in_as("Volunteer Anna")
    come_back(client, say_yes(go_to_wikimedia(client)))
    with database.reading() as session:
        before = people.by_sub(session, "101")
    commons.world.rename_person("Volunteer Anna", "Anna of the Album")
    commons.sign_in_as("Anna of the Album")
    come_back(client, say_yes(go_to_wikimedia(client)))
    with database.reading() as session:
        after = people.by_sub(session, "101")
    assert before is not None
    assert after is not None
    assert (before.id, after.name) == (after.id, "Anna of the Album")


def test_who_says_no_is_told_so(client: TestClient, commons: StandInCommons) -> None:
    commons.sign_in_as("Volunteer Anna")
    state = parse_qs(urlsplit(go_to_wikimedia(client)).query)["state"][0]
    answer = client.get(f"/sign-in/callback?error=access_denied&state={state}")
    assert answer.status_code == 200
    assert "You said no" in answer.text


def test_a_blocked_account_may_not_come_in(client: TestClient, commons: StandInCommons) -> None:
    commons.sign_in_as("Blocked Eve")
    assert come_back(client, say_yes(go_to_wikimedia(client))).status_code == 403


@pytest.mark.parametrize("query", ["state=stolen&code=x", "code=x", ""])
def test_a_sign_in_that_was_not_begun_here_is_refused(client: TestClient, query: str) -> None:
    go_to_wikimedia(client)
    assert client.get(f"/sign-in/callback?{query}").status_code == 422


def test_a_wrong_code_is_told_in_words(client: TestClient) -> None:
    state = parse_qs(urlsplit(go_to_wikimedia(client)).query)["state"][0]
    answer = client.get(f"/sign-in/callback?code=wrong&state={state}")
    assert answer.status_code == 502
    assert "Wikimedia" in answer.text


def test_wikimedia_down_is_told_in_words(client: TestClient, commons: StandInCommons) -> None:
    commons.sign_in_as("Volunteer Anna")
    address = say_yes(go_to_wikimedia(client))
    commons.faults.next("oauth", "502-html", times=3)
    assert come_back(client, address).status_code == 502


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_sent_elsewhere_after_sign_in(client: TestClient, commons: StandInCommons, address: str) -> None:
    commons.sign_in_as("Volunteer Anna")
    answer = come_back(client, say_yes(go_to_wikimedia(client, address)))
    assert answer.headers["location"] == "/"


def test_there_is_no_one_click_sign_in_outside_the_demo(client: TestClient) -> None:
    answer = client.post("/sign-in/demo", data={"csrf": csrf_of(client), "role": "curator"})
    assert answer.status_code == 404
    assert "Demo curator" not in client.get("/sign-in").text


def test_a_form_without_its_token_is_refused(client_of: Callable[..., TestClient]) -> None:
    client = client_of(Role.VOLUNTEER)
    for data in ({}, {"csrf": "wrong"}):
        answer = client.post("/sign-out", data=data)
        assert answer.status_code == 403
        assert "Reload the page" in answer.text
    assert "Demo volunteer" in client.get("/").text


def test_a_language_is_chosen_and_kept(client_of: Callable[..., TestClient]) -> None:
    client = client_of(Role.VOLUNTEER)
    assert '<html lang="en">' in client.get("/").text
    client.post("/language", data={"csrf": csrf_of(client, "/"), "language": "nl", "next": "/"})
    assert '<html lang="nl">' in client.get("/").text
    assert client.post("/language", data={"csrf": csrf_of(client, "/"), "language": "xx"}).status_code == 422


def test_a_browsers_language_is_heard(client_of: Callable[..., TestClient]) -> None:
    client = client_of()
    assert '<html lang="de">' in client.get("/", headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}).text
    assert '<html lang="en">' in client.get("/", headers={"Accept-Language": "ja"}).text


def test_one_click_sign_in_gives_each_role(client_of: Callable[..., TestClient]) -> None:
    client = client_of()
    for role in Role:
        sign_in(client, role)
        assert f"Demo {role.value}" in client.get("/").text
