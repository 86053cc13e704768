"""Fresh access tokens from the stand-in's OAuth: they rotate, end, and never show in a log. And OAuth 1.0a for bots."""

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import httpx2
import pytest

from tests.support.standin import Call, StandInCommons, World
from wiki_sync import (
    BotWire,
    GrantEndedError,
    NoAnswerError,
    PersonWire,
    QueryRefusedError,
    SignedOutError,
    Tokens,
    TransientError,
    WikiConfig,
    Writer,
    refresh_tokens,
)

AGENT = "IconesTest/0.1 (https://example.org/icones; icones@example.org)"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REDIRECT = "http://127.0.0.1:9/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class SignIn:
    """The address of a wiki's OAuth, our client there, and the tokens that a person's yes brought."""

    root: str
    client_id: str
    client_secret: str
    access_token: str
    refresh_token: str

    def refresh(
        self, refresh_token: str | None = None, client_secret: str | None = None, timeout_s: float = 5
    ) -> Tokens:
        secret = self.client_secret if client_secret is None else client_secret
        token = refresh_token or self.refresh_token
        return refresh_tokens(self.root, self.client_id, secret, token, AGENT, timeout_s, NOW)


@pytest.fixture
def standin() -> Iterator[StandInCommons]:
    world = World()
    world.add_person("Anna", "77")
    with StandInCommons(world) as running:
        yield running


def said_yes(standin: StandInCommons, client_id: str, secret: str) -> SignIn:
    """What a person's way through the consent page leaves with us."""
    root = f"{standin.rest_url}/oauth2"
    asked = {"response_type": "code", "client_id": client_id, "redirect_uri": REDIRECT, "auto": "1", "person": "Anna"}
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    with httpx2.Client(headers={"User-Agent": AGENT}) as client:
        back = client.get(f"{root}/authorize", params=asked | pkce)
        code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": client_id}
        form |= {"code_verifier": VERIFIER} | ({"client_secret": secret} if secret else {})
        tokens = client.post(f"{root}/access_token", data=form).json()
    return SignIn(root, client_id, secret, tokens["access_token"], tokens["refresh_token"])


@pytest.fixture
def signed_in(standin: StandInCommons) -> SignIn:
    return said_yes(standin, "icones-test", "icones-secret")


@pytest.fixture
def config(standin: StandInCommons, tmp_path: Path) -> WikiConfig:
    return WikiConfig(standin.api_url, (), AGENT, tmp_path, retry_wait_s=0.01)


def account(config: WikiConfig, access_token: str) -> str:
    with PersonWire(config, access_token) as wire:
        return Writer(config, wire).account


def test_new_tokens_work_and_the_old_ones_die(signed_in: SignIn, config: WikiConfig) -> None:
    assert account(config, signed_in.access_token) == "Anna"
    fresh = signed_in.refresh()
    assert account(config, fresh.access_token) == "Anna"
    assert fresh.refresh_token not in (None, signed_in.refresh_token)
    with pytest.raises(SignedOutError):
        account(config, signed_in.access_token)


def test_the_end_is_counted_from_now(signed_in: SignIn, standin: StandInCommons) -> None:
    standin.oauth.expires_in = 14400
    assert signed_in.refresh().expires_at == NOW + timedelta(hours=4)


def test_refreshing_goes_on_and_on(signed_in: SignIn, config: WikiConfig) -> None:
    token: str | None = None
    for _ in range(4):
        fresh = signed_in.refresh(token)
        token = fresh.refresh_token
        assert account(config, fresh.access_token) == "Anna"


def test_a_refresh_token_works_once(signed_in: SignIn) -> None:
    signed_in.refresh()
    with pytest.raises(GrantEndedError, match="sign in again"):
        signed_in.refresh()


def test_a_grant_that_the_person_withdrew_has_ended(
    signed_in: SignIn, standin: StandInCommons, config: WikiConfig
) -> None:
    standin.oauth.revoke("77")
    with pytest.raises(GrantEndedError):
        signed_in.refresh()
    with pytest.raises(SignedOutError):
        account(config, signed_in.access_token)


def test_a_token_that_never_was_one_has_ended(signed_in: SignIn) -> None:
    with pytest.raises(GrantEndedError):
        signed_in.refresh("not-a-token")


def test_a_wrong_secret_is_ours_to_mend_and_ends_no_grant(signed_in: SignIn) -> None:
    with pytest.raises(QueryRefusedError, match="operator"):
        signed_in.refresh(client_secret="wrong")
    assert signed_in.refresh().access_token


def test_a_public_client_has_to_ask_the_person_again(standin: StandInCommons) -> None:
    with pytest.raises(GrantEndedError):
        said_yes(standin, "icones-public", "").refresh()


@pytest.mark.parametrize("fault", ["502-html", "503-html", "429", "empty-200", "broken-json", "text-200", "redirect"])
def test_what_may_work_later_ends_no_grant(signed_in: SignIn, standin: StandInCommons, fault: str) -> None:
    standin.faults.next("oauth", fault, retry_after="7", location="https://elsewhere.example/")
    with pytest.raises(TransientError) as caught:
        signed_in.refresh()
    assert caught.value.retry_after == (7.0 if fault == "429" else None)


@pytest.mark.parametrize(("fault", "seconds"), [("drop-connection", 0.0), ("timeout", 5.0)])
def test_an_answer_that_got_lost(signed_in: SignIn, standin: StandInCommons, fault: str, seconds: float) -> None:
    standin.faults.next("oauth", fault, seconds=seconds)
    with pytest.raises(NoAnswerError) as caught:
        signed_in.refresh(timeout_s=0.3)
    assert caught.value.sent


def test_a_wiki_out_of_reach(signed_in: SignIn) -> None:
    nowhere = SignIn("http://127.0.0.1:9/oauth2", "a", "b", "c", "d")
    with pytest.raises(NoAnswerError) as caught:
        nowhere.refresh()
    assert not caught.value.sent


def test_no_secret_is_logged_or_printed(signed_in: SignIn, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        fresh = signed_in.refresh()
        with pytest.raises(GrantEndedError) as caught:
            signed_in.refresh()
    secrets = [signed_in.refresh_token, signed_in.client_secret, fresh.access_token, str(fresh.refresh_token)]
    told = caplog.text + repr(fresh) + str(caught.value)
    assert not [secret for secret in secrets if secret in told]
    assert caplog.records  # something was listened to


# ---- an owner-only consumer of a bot: OAuth 1.0a, signed as RFC 5849 says

CONSUMER = ("consumer-key", "consumer-secret", "access-token", "access-secret")


def escaped(text: str) -> str:
    return quote(text, safe="-._~")


def signature_of(call: Call, address: str) -> tuple[str, str]:
    """The signature that a request carries, and the one that it should have (section 3.4)."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', call.headers["authorization"]))
    parts = {**call.params, **{name: unquote(value) for name, value in said.items() if name != "oauth_signature"}}
    pairs = sorted((escaped(name), escaped(value)) for name, value in parts.items())
    base = "&".join(escaped(text) for text in (call.method, address, "&".join(f"{n}={v}" for n, v in pairs)))
    key = f"{escaped(CONSUMER[1])}&{escaped(CONSUMER[3])}"
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()
    return unquote(said["oauth_signature"]), base64.b64encode(digest).decode()


def test_an_owner_only_consumer_signs_what_it_asks_and_writes(
    standin: StandInCommons, config: WikiConfig, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"action": "wbsetclaim", "summary": "Ünïcode & = + %", "claim": '{"a": "b|c"}'}
    with caplog.at_level(logging.DEBUG), BotWire(config, oauth=CONSUMER) as wire:
        for write in (False, True):
            assert wire.ask(asked, write=write).status == 200
    calls = standin.calls.requests
    assert [call.method for call in calls] == ["GET", "POST"]
    for call in calls:
        assert {**asked, "format": "json", "formatversion": "2"} == call.params
        assert 'oauth_consumer_key="consumer-key"' in call.headers["authorization"]
        assert 'oauth_token="access-token"' in call.headers["authorization"]
        sent, right = signature_of(call, standin.api_url)
        assert sent == right
    assert CONSUMER[1] not in caplog.text
    assert CONSUMER[3] not in caplog.text


def test_an_owner_only_consumer_that_the_wiki_does_not_know_is_signed_out(config: WikiConfig) -> None:
    with BotWire(config, oauth=CONSUMER) as wire, pytest.raises(SignedOutError):
        _ = Writer(config, wire).account
    with pytest.raises(ValueError, match="four parts"):
        BotWire(config, oauth=("a", "b", "c", ""))
