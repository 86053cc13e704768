"""OAuth 2.0 as MediaWiki's extension speaks it: consent page, code with PKCE, rotating refresh tokens, profile.

Two clients are registered: a confidential one (`icones-test`, with a secret) and a public one (`icones-public`).
Tokens have the look of JWTs but are only looked up in memory; scopes and grants are not enforced.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import itertools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.standin.answers import ApiFailure
from tests.support.standin.api import Answer
from tests.support.standin.world import Person, World

Json = dict[str, Any]
PREFIX = "/w/rest.php/oauth2"
DENIED = "The resource owner or authorization server denied the request."
MALFORMED = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more "
    "than once, or is otherwise malformed."
)
GRANTS = ["basic", "highvolume", "editpage", "createeditmovepage", "uploadfile", "uploadeditmovefile"]


@dataclass(frozen=True)
class Client:
    """A registered application; `secret=None` is a public one. `redirect_prefix` is what its addresses begin with.

    Edits through it get the tag `OAuth CID: number`.
    """

    client_id: str
    secret: str | None
    redirect_prefix: str = "http"
    number: int = 1


@dataclass(frozen=True)
class Grant:
    """What a code or a token stands for."""

    client_id: str
    sub: str
    redirect_uri: str = ""
    challenge: str = ""
    challenge_method: str = "plain"
    used: bool = False


@dataclass
class OAuthProvider:
    """The state of sign-ins. `next_person` is preselected on the consent page and used by `auto=1`."""

    world: World
    clients: dict[str, Client] = field(default_factory=dict)
    next_person: str | None = None
    expires_in: int = 3600
    _codes: dict[str, Grant] = field(default_factory=dict)
    _access: dict[str, Grant] = field(default_factory=dict)
    _refresh: dict[str, tuple[Grant, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count, repr=False)

    def __post_init__(self) -> None:
        for client in (Client("icones-test", "icones-secret"), Client("icones-public", None, number=2)):
            self.clients[client.client_id] = client

    # ---- used by the API

    def person_of(self, authorization: str | None) -> Person | None:
        """Whose Bearer token this is; None without one. Raises ApiFailure `mwoauth-invalid-authorization`."""
        if not authorization or not authorization.lower().startswith("bearer "):
            return None
        person = self._person(authorization.split(" ", 1)[1].strip())
        if person is None:
            info = "The authorization headers in your request are not valid: Invalid access token"
            raise ApiFailure("mwoauth-invalid-authorization", info, module="main")
        return person

    def tags_of(self, authorization: str | None) -> tuple[str, ...]:
        """The change tags of edits that come with this access token."""
        grant = self._access.get((authorization or "").partition(" ")[2].strip())
        return () if grant is None else (f"OAuth CID: {self.clients[grant.client_id].number}",)

    def expire_access(self, sub: str) -> None:
        """Let the access tokens of an account expire; its refresh tokens stay good."""
        with self._lock:
            self._access = {key: replace(g, used=g.used or g.sub == sub) for key, g in self._access.items()}

    def _person(self, token: str) -> Person | None:
        grant = self._access.get(token)
        if grant is None or grant.used:
            return None
        return next((person for person in self.world.people.values() if person.sub == grant.sub), None)

    def token_for(self, sub: str, client_id: str = "icones-test") -> str:
        """A fresh access token of an account without the way through the consent page, as owner-only clients have."""
        with self._lock:
            token = self._new("owner-only")
            self._access[token] = Grant(client_id, sub)
            return token

    def revoke(self, sub: str) -> None:
        """Let all tokens of an account die, as when the person withdraws the grant or the tokens expire."""
        with self._lock:
            self._access = {key: replace(g, used=g.used or g.sub == sub) for key, g in self._access.items()}
            self._refresh = {
                key: (replace(g, used=g.used or g.sub == sub), access) for key, (g, access) in self._refresh.items()
            }

    # ---- the three addresses

    def answer(self, method: str, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Route one request below `/w/rest.php/oauth2`."""
        with self._lock:
            if path == f"{PREFIX}/authorize":
                return self._authorize(method, params)
            if path == f"{PREFIX}/access_token":
                return self._token(method, params, headers)
            if path == f"{PREFIX}/resource/profile":
                return self._profile(headers)
        return _error(404, "rest-no-match", "The requested relative path did not match any known handler")

    def _authorize(self, method: str, params: Mapping[str, str]) -> Answer:
        client = self.clients.get(params.get("client_id", ""))
        redirect_uri = params.get("redirect_uri", "")
        if client is None:
            return _error(401, "invalid_client", "Client authentication failed")
        if not redirect_uri.startswith(client.redirect_prefix) or not urlsplit(redirect_uri).netloc:
            return _error(401, "invalid_client", "Client authentication failed", "Invalid redirect URI")
        if params.get("response_type") != "code":
            said = "The authorization grant type is not supported by the authorization server."
            return _error(400, "unsupported_grant_type", said, "Check that all required parameters have been provided")
        if client.secret is None and not params.get("code_challenge"):
            hint = "Code challenge must be provided for public clients"
            return _error(400, "invalid_request", MALFORMED, hint)
        name = params.get("person") or self.next_person or next(iter(self.world.people), None)
        if "deny" in params:
            back = {"error": "access_denied", "error_description": DENIED, "hint": "The user denied the request"}
            return _redirect(redirect_uri, back | {"message": DENIED}, params)
        allowed = (method == "POST" and "allow" in params) or params.get("auto") == "1"
        if not allowed:
            return _page(params, list(self.world.people), name)
        person = self.world.people.get(name or "")
        if person is None:
            return _error(400, "standin-nobody", "the stand-in has no person of this name: add_person first")
        code = self._new("code")
        method_name = params.get("code_challenge_method", "plain")
        challenge = params.get("code_challenge", "")
        self._codes[code] = Grant(client.client_id, person.sub, redirect_uri, challenge, method_name)
        return _redirect(redirect_uri, {"code": code}, params)

    def _token(self, method: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if method != "POST":
            return _error(405, "rest-wrong-method", "The request method was not allowed")
        client_id, secret = _credentials(params, headers)
        client = self.clients.get(client_id)
        kind = params.get("grant_type")
        if client is None or (client.secret is not None and secret != client.secret):
            return _error(401, "invalid_client", "Client authentication failed")
        if kind == "authorization_code":
            return self._exchange(client, params)
        if kind == "refresh_token":
            return self._rotate(client, params)
        said = "The authorization grant type is not supported by the authorization server."
        return _error(400, "unsupported_grant_type", said, "Check that all required parameters have been provided")

    def _exchange(self, client: Client, params: Mapping[str, str]) -> Answer:
        code = params.get("code", "")
        grant = self._codes.get(code)
        if grant is None:
            return _error(400, "invalid_request", MALFORMED, "Cannot decrypt the authorization code")
        if grant.client_id != client.client_id:
            return _error(400, "invalid_request", MALFORMED, "Authorization code was not issued to this client")
        if grant.used:
            return _error(400, "invalid_request", MALFORMED, "Authorization code has been revoked")
        if params.get("redirect_uri") != grant.redirect_uri:
            return _error(400, "invalid_request", MALFORMED, "Invalid redirect URI")
        verifier = params.get("code_verifier")
        if grant.challenge and not verifier:
            return _error(400, "invalid_request", MALFORMED, "Check the `code_verifier` parameter")
        if grant.challenge and not _verifies(verifier or "", grant):
            said = "The provided authorization grant or refresh token is invalid, expired or revoked."
            return _error(400, "invalid_grant", said, "Failed to verify `code_verifier`.")
        self._codes[code] = replace(grant, used=True)
        return self._issue(grant)

    def _rotate(self, client: Client, params: Mapping[str, str]) -> Answer:
        if client.secret is None:
            return _error(401, "invalid_client", "Client authentication failed")
        said = "The refresh token is invalid."
        old = params.get("refresh_token", "")
        if old not in self._refresh:
            return _error(401, "invalid_request", said, "Cannot decrypt the refresh token")
        grant, access = self._refresh[old]
        if grant.client_id != client.client_id:
            return _error(401, "invalid_request", said, "Token is not linked to client")
        if grant.used:
            return _error(401, "invalid_request", said, "Token has been revoked")
        self._refresh[old] = (replace(grant, used=True), access)
        self._access[access] = replace(self._access[access], used=True)
        return self._issue(grant)

    def _issue(self, grant: Grant) -> Answer:
        fresh = replace(grant, used=False)
        access, refresh = self._new("access"), self._new("refresh")
        self._access[access] = fresh
        self._refresh[refresh] = (fresh, access)
        body = {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "access_token": access,
            "refresh_token": refresh,
        }
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        return Answer(json.dumps(body).encode(), 200, "application/json; charset=UTF-8", headers)

    def _profile(self, headers: Mapping[str, str]) -> Answer:
        token = headers.get("authorization", "").partition(" ")[2].strip()
        if token.count(".") != 2:
            return _error(401, "access_denied", DENIED, "The JWT string must have two dots")
        person = self._person(token)
        if person is None:
            return _error(401, "access_denied", DENIED, "Access token has been revoked")
        body = {
            "sub": person.sub,
            "username": person.username,
            "editcount": person.editcount,
            "email_verified": False,
            "confirmed_email": False,
            "blocked": person.blocked,
            "registered": person.registered,
            "groups": list(person.groups),
            "rights": list(person.rights),
            "grants": GRANTS,
        }
        return Answer(json.dumps(body).encode(), 200, "application/json")

    def _new(self, kind: str) -> str:
        """A token with two dots, unlike any before it and hard to guess from outside."""
        payload = base64.urlsafe_b64encode(f"{kind}-{next(self._numbers)}".encode()).decode().rstrip("=")
        seal = hmac.new(f"{id(self)}".encode(), payload.encode(), hashlib.sha256).hexdigest()
        return f"eyJhbGciOiJIUzI1NiJ9.{payload}.{seal}"


def _credentials(params: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str | None]:
    """Client id and secret from the form, or from HTTP Basic."""
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith("basic "):
        client_id, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
        return client_id, secret
    return params.get("client_id", ""), params.get("client_secret")


def _verifies(verifier: str, grant: Grant) -> bool:
    """RFC 7636 §4.6."""
    if grant.challenge_method != "S256":
        return verifier == grant.challenge
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == grant.challenge


def _error(status: int, code: str, said: str, hint: str | None = None) -> Answer:
    body: Json = {"error": code, "error_description": said}
    if hint is not None:
        body["hint"] = hint
    return Answer(json.dumps(body | {"message": said}).encode(), status, "application/json")


def _redirect(uri: str, values: Mapping[str, str], params: Mapping[str, str]) -> Answer:
    state = {"state": params["state"]} if "state" in params else {}
    joint = "&" if urlsplit(uri).query else "?"
    address = f"{uri}{joint}{urlencode({**values, **state})}"
    return Answer(b"", 302, "text/html; charset=utf-8", {"Location": address})


def _page(params: Mapping[str, str], people: list[str], chosen: str | None) -> Answer:
    """The consent page: who signs in, Allow, Deny. It works without scripts."""
    kept = {key: value for key, value in params.items() if key not in ("person", "allow", "deny", "auto")}
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(key)}" value="{html.escape(value)}">' for key, value in kept.items()
    )
    options = "".join(f"<option{' selected' if name == chosen else ''}>{html.escape(name)}</option>" for name in people)
    client = html.escape(params.get("client_id", ""))
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Connect {client} · stand-in wiki</title>
<meta name="viewport" content="width=device-width"></head>
<body><main><h1>Connect {client}?</h1>
<p>This is the stand-in wiki of the tests. {client} asks to act in your name.</p>
<form method="post" action="{PREFIX}/authorize">{hidden}
<p><label for="person">Sign in as</label> <select id="person" name="person">{options}</select></p>
<p><button type="submit" name="allow" value="1">Allow</button>
<button type="submit" name="deny" value="1">Deny</button></p>
</form></main></body></html>"""
    return Answer(page.encode(), 200, "text/html; charset=utf-8")
