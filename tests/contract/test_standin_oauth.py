"""The stand-in's OAuth 2 answers as the recorded wiki's did, on the way that a browser and a client really take."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.support.paths import reference_folder
from tests.support.recorded_world import study_world
from tests.support.recordings import VOLATILE, Recording, at_address, differences, load_recordings
from tests.support.standin import StandInCommons

VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
REDIRECT = "http://127.0.0.1:9/oauth/callback"
CONFIDENTIAL = {"client_id": "icones-test", "client_secret": "icones-secret"}
PUBLIC = {"client_id": "icones-public"}
PROFILE = VOLATILE | {"editcount"}


@pytest.fixture(scope="module")
def recordings() -> Mapping[str, Recording]:
    return load_recordings(reference_folder() / "commons-api")


@pytest.fixture
def standin() -> Iterator[StandInCommons]:
    with StandInCommons(study_world()) as running:
        running.sign_in_as("Tester")
        yield running


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"User-Agent": "IconesContractTest/1.0 (test@icones.example)"}) as running:
        yield running


def _authorize_params(client_id: str, **more: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "state": "xyz&=/ä",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }


def _code(client: httpx2.Client, standin: StandInCommons, client_id: str = "icones-test") -> str:
    params = _authorize_params(client_id, auto="1")
    answer = client.get(f"{standin.rest_url}/oauth2/authorize", params=params)
    assert answer.status_code == 302
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert back["state"] == ["xyz&=/ä"]
    return back["code"][0]


def _exchange(client: httpx2.Client, standin: StandInCommons, code: str, **form: str) -> httpx2.Response:
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **form,
    }
    return client.post(f"{standin.rest_url}/oauth2/access_token", data=body)


def _refresh(client: httpx2.Client, standin: StandInCommons, token: str, **form: str) -> httpx2.Response:
    body = {"grant_type": "refresh_token", "refresh_token": token, **form}
    return client.post(f"{standin.rest_url}/oauth2/access_token", data=body)


def _profile(client: httpx2.Client, standin: StandInCommons, token: str | None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.get(f"{standin.rest_url}/oauth2/resource/profile", headers=headers)


def _userinfo(client: httpx2.Client, standin: StandInCommons, token: str, uiprop: str | None = None) -> httpx2.Response:
    params = {"action": "query", "meta": "userinfo", "format": "json", "formatversion": "2"}
    params |= {"uiprop": uiprop} if uiprop else {}
    return client.get(standin.api_url, params=params, headers={"Authorization": f"Bearer {token}"})


def _same(
    answer: httpx2.Response, recording: Recording, standin: StandInCommons, volatile: frozenset[str] = VOLATILE
) -> None:
    assert differences(at_address(recording.body, standin.base_url), answer.json(), volatile) == []
    assert answer.status_code == recording.status
    error = {key.lower(): value for key, value in recording.headers.items()}.get("mediawiki-api-error")
    assert answer.headers.get("mediawiki-api-error") == error


def test_a_confidential_client_gets_tokens_and_loses_the_old_ones_on_refresh(
    standin: StandInCommons, client: httpx2.Client, recordings: Mapping[str, Recording]
) -> None:
    first = _exchange(client, standin, _code(client, standin), **CONFIDENTIAL)
    _same(first, recordings["oauth2-token-ok.oauth2-confidential"], standin)
    old = first.json()
    userinfo = _userinfo(client, standin, old["access_token"], "groups")
    _same(userinfo, recordings["oauth2-userinfo.oauth2-confidential"], standin)
    rights = _userinfo(client, standin, old["access_token"], "groups|rights")
    _same(rights, recordings["oauth2-userinfo-rights"], standin)
    profile = _profile(client, standin, old["access_token"])
    _same(profile, recordings["oauth2-profile.oauth2-confidential"], standin, PROFILE)

    second = _refresh(client, standin, old["refresh_token"], **CONFIDENTIAL)
    _same(second, recordings["oauth2-refresh-ok.oauth2-confidential"], standin)
    assert second.json()["access_token"] != old["access_token"]
    again = _refresh(client, standin, old["refresh_token"], **CONFIDENTIAL)
    _same(again, recordings["oauth2-refresh-reused.oauth2-confidential"], standin)
    stale = _userinfo(client, standin, old["access_token"])
    _same(stale, recordings["oauth2-api-after-refresh-with-old-token.oauth2-confidential"], standin)
    assert _profile(client, standin, old["access_token"]).status_code == 401
    assert _profile(client, standin, second.json()["access_token"]).json()["username"] == "Tester"


def test_a_public_client_gets_tokens_but_cannot_refresh(
    standin: StandInCommons, client: httpx2.Client, recordings: Mapping[str, Recording]
) -> None:
    first = _exchange(client, standin, _code(client, standin, "icones-public"), **PUBLIC)
    _same(first, recordings["oauth2-token-ok.oauth2-public"], standin)
    tokens = first.json()
    userinfo = _userinfo(client, standin, tokens["access_token"], "groups")
    _same(userinfo, recordings["oauth2-userinfo.oauth2-public"], standin)
    profile = _profile(client, standin, tokens["access_token"])
    _same(profile, recordings["oauth2-profile.oauth2-public"], standin, PROFILE)
    for name in ("oauth2-refresh-refused.oauth2-public", "oauth2-refresh-reused.oauth2-public"):
        refused = _refresh(client, standin, tokens["refresh_token"], **PUBLIC)
        _same(refused, recordings[name], standin)
    still = _userinfo(client, standin, tokens["access_token"])
    _same(still, recordings["oauth2-api-after-refresh-with-old-token.oauth2-public"], standin)


def test_bad_codes_and_secrets_are_refused_as_recorded(
    standin: StandInCommons, client: httpx2.Client, recordings: Mapping[str, Recording]
) -> None:
    bad = _exchange(client, standin, "nonsense", **CONFIDENTIAL)
    _same(bad, recordings["oauth2-token-bad-code.oauth2-confidential"], standin)
    bad = _exchange(client, standin, "nonsense", **PUBLIC)
    _same(bad, recordings["oauth2-token-bad-code.oauth2-public"], standin)
    code = _code(client, standin)
    wrong = _exchange(client, standin, code, client_id="icones-test", client_secret="guess")
    _same(wrong, recordings["oauth2-wrong-secret"], standin)


def test_bad_bearer_tokens_are_refused_as_recorded(
    standin: StandInCommons, client: httpx2.Client, recordings: Mapping[str, Recording]
) -> None:
    _same(_userinfo(client, standin, "not-a-token"), recordings["oauth2-api-bad-bearer"], standin)
    _same(_profile(client, standin, "not-a-token"), recordings["oauth2-profile-bad-token"], standin)
    _same(_profile(client, standin, None), recordings["oauth2-profile-without-token"], standin)
    token = standin.oauth.token_for("4")
    standin.oauth.revoke("4")
    _same(_userinfo(client, standin, token), recordings["oauth2-api-expired-access-token"], standin)
    headers = {"Authorization": f"Bearer {token}"}
    for name in ("oauth2-api-expired-access-token-on-write", "oauth2-api-write-bad-bearer"):
        form = {"format": "json", "formatversion": "2", "action": "wbcreateclaim", **recordings[name].params}
        _same(client.post(standin.api_url, data=form, headers=headers), recordings[name], standin)


def test_an_owner_only_token_speaks_for_its_owner(
    standin: StandInCommons, client: httpx2.Client, recordings: Mapping[str, Recording]
) -> None:
    token = standin.oauth.token_for("1")
    _same(_userinfo(client, standin, token, "groups|rights"), recordings["oauth2-owner-only-userinfo"], standin)
    headers = {"Authorization": f"Bearer {token}"}
    params = {"action": "query", "meta": "tokens", "format": "json", "formatversion": "2"}
    answer = client.get(standin.api_url, params=params, headers=headers)
    _same(answer, recordings["oauth2-query-tokens"], standin)


def test_the_code_is_worth_nothing_without_the_verifier(standin: StandInCommons, client: httpx2.Client) -> None:
    code = _code(client, standin)
    wrong = _exchange(client, standin, code, **CONFIDENTIAL, code_verifier="x" * 50)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    missing = _exchange(client, standin, code, **CONFIDENTIAL, code_verifier="")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    elsewhere = _exchange(client, standin, code, **CONFIDENTIAL, redirect_uri="http://127.0.0.1:9/other")
    assert elsewhere.json()["hint"] == "Invalid redirect URI"
    assert _exchange(client, standin, code, **CONFIDENTIAL).status_code == 200
    assert _exchange(client, standin, code, **CONFIDENTIAL).json()["hint"] == "Authorization code has been revoked"


def test_client_credentials_may_come_in_a_basic_header(standin: StandInCommons, client: httpx2.Client) -> None:
    form = {"grant_type": "authorization_code", "code": _code(client, standin), "redirect_uri": REDIRECT}
    address = f"{standin.rest_url}/oauth2/access_token"
    answer = client.post(address, data=form | {"code_verifier": VERIFIER}, auth=("icones-test", "icones-secret"))
    assert answer.json()["token_type"] == "Bearer"


def test_the_consent_page_lets_a_person_be_chosen_allowed_or_denied(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    address = f"{standin.rest_url}/oauth2/authorize"
    page = client.get(address, params=_authorize_params("icones-test")).text
    assert "<option selected>Tester</option>" in page
    assert "Allow</button>" in page
    assert "Deny</button>" in page
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    fields = {name: value.replace("&amp;", "&") for name, value in fields.items()}
    allowed = client.post(address, data={**fields, "person": "Admin", "allow": "1"})
    code = parse_qs(urlsplit(allowed.headers["location"]).query)["code"][0]
    token = _exchange(client, standin, code, **CONFIDENTIAL).json()["access_token"]
    assert _profile(client, standin, token).json()["username"] == "Admin"
    denied = client.post(address, data={**fields, "person": "Admin", "deny": "1"})
    back = parse_qs(urlsplit(denied.headers["location"]).query)
    assert back["error"] == ["access_denied"]
    assert back["state"] == ["xyz&=/ä"]
    assert "code" not in back


def test_a_renamed_person_keeps_the_central_id(standin: StandInCommons, client: httpx2.Client) -> None:
    token = _exchange(client, standin, _code(client, standin), **CONFIDENTIAL).json()["access_token"]
    standin.world.rename_person("Tester", "Tester II")
    profile: dict[str, Any] = json.loads(_profile(client, standin, token).text)
    assert (profile["sub"], profile["username"]) == ("4", "Tester II")


def test_every_recorded_oauth_answer_is_held_to_here(recordings: Mapping[str, Recording]) -> None:
    writes = {name for name in recordings if name.startswith("oauth2-write-ok")} | {"oauth2-error-" + "badtoken-csrf"}
    mine = Path(__file__).read_text(encoding="utf-8")
    forgotten = [name for name in recordings if name.startswith("oauth2-") and f'"{name}"' not in mine]
    assert set(forgotten) == writes
