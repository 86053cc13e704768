"""The access token of the person in whose name the tests write, where the environment gives one or the means to get it.

A person's consent cannot be automated: either their access token was given, with or without a refresh token, or the
client is an owner-only one, whose owner is the person. A refresh token works once, so what comes in exchange is kept
in a file that only its owner can read; the next run with the same variables goes on from there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.real_wiki import variables as names
from tests.support.real_wiki.hand import AGENT
from tests.support.real_wiki.variables import Variables

HOW = f"set {names.ACCESS_TOKEN}, or {names.OAUTH_ROOT}, {names.CLIENT_ID} and {names.CLIENT_SECRET} of an owner-only"
_CLIENT = (names.OAUTH_ROOT, names.CLIENT_ID, names.CLIENT_SECRET)


@dataclass(frozen=True)
class Pair:
    """An access token and the refresh token that came with it, "" if there is none."""

    access: str
    refresh: str = ""


class PersonTokens:
    """The tokens at hand. `folder` is where exchanged ones are kept; without it none is exchanged."""

    def __init__(self, variables: Variables, folder: Path | None) -> None:
        self._variables = variables
        self._file = folder / "tokens.json" if folder else None
        self._pair: Pair | None = None

    @property
    def there_are(self) -> bool:
        """Whether something is set from which an access token may come."""
        known = self._variables
        return known.has(names.ACCESS_TOKEN) or known.has(*_CLIENT)

    def access(self) -> str:
        """Return an access token, or skip the calling test."""
        if self._pair is None:
            self._pair = self._kept() or self._given() or self._of_owner()
            if self._pair.refresh and self._may_exchange and not self._is_good(self._pair.access):
                self.exchange(*self._refreshed(self._pair.refresh))
        return self._pair.access

    def to_exchange(self) -> Pair:
        """Return the tokens that are to be renewed, or skip the calling test."""
        self._variables.need(*_CLIENT, names.REFRESH_TOKEN)
        self.access()
        if self._pair is None or not self._pair.refresh or not self._may_exchange:
            pytest.skip(f"the token at hand cannot be renewed: set {names.REFRESH_TOKEN}")
        return self._pair

    def exchange(self, access: str, refresh: str) -> None:
        """Take note of new tokens, and keep them for the next run: the old ones are dead."""
        self._pair = Pair(access, refresh)
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps({"given": self._sign(), "access": access, "refresh": refresh}))

    @property
    def _may_exchange(self) -> bool:
        return self._file is not None and self._variables.has(*_CLIENT)

    def _sign(self) -> str:
        """What tells apart the refresh token that was given, and does not tell it."""
        return hashlib.sha256(self._variables.optional(names.REFRESH_TOKEN).encode()).hexdigest()

    def _kept(self) -> Pair | None:
        if not self._variables.has(names.REFRESH_TOKEN) or self._file is None or not self._file.exists():
            return None
        kept = json.loads(self._file.read_text())
        return Pair(kept["access"], kept["refresh"]) if kept["given"] == self._sign() else None

    def _given(self) -> Pair | None:
        access = self._variables.optional(names.ACCESS_TOKEN)
        refresh = self._variables.optional(names.REFRESH_TOKEN)
        return Pair(access, refresh) if access or (refresh and self._may_exchange) else None

    def _of_owner(self) -> Pair:
        """Return the token of an owner-only client's owner; skip the calling test if it is none."""
        if not self._variables.has(*_CLIENT):
            pytest.skip(f"{HOW} client; see CONTRIBUTING.md")
        status, body = self._token({"grant_type": "client_credentials"})
        if status != 200:
            said = body.get("error", status)
            pytest.skip(f"{HOW} client: the one that is set got no token by itself ({said})")
        return Pair(body["access_token"], body.get("refresh_token") or "")

    def _refreshed(self, refresh: str) -> tuple[str, str]:
        status, body = self._token({"grant_type": "refresh_token", "refresh_token": refresh})
        if status != 200:
            said = f"{body.get('error', status)}: {body.get('hint') or body.get('message')}"
            pytest.fail(f"{names.ACCESS_TOKEN} and {names.REFRESH_TOKEN} are both over ({said}); sign in again")
        return body["access_token"], body.get("refresh_token") or ""

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        root, client_id, secret = self._variables.need(*_CLIENT)
        whole = {"client_id": client_id, "client_secret": secret, **form}
        answer = httpx2.post(f"{root}/access_token", data=whole, headers={"User-Agent": AGENT}, timeout=60)
        try:
            body = answer.json()
        except ValueError:
            body = {}
        return answer.status_code, body if isinstance(body, dict) else {}

    def _is_good(self, access: str) -> bool:
        """Ask the wiki whether it knows an access token."""
        (api,) = self._variables.need(names.API)
        asked = {"action": "query", "meta": "userinfo", "assert": "user", "format": "json", "formatversion": "2"}
        headers = {"User-Agent": AGENT, "Authorization": f"Bearer {access}"}
        answer = httpx2.get(api, params=asked, headers=headers, timeout=60)
        return bool(access) and answer.status_code == 200 and "error" not in answer.json()
