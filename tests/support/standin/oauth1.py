"""Owner-only consumers of OAuth 1.0a: signed requests of a bot's own account (RFC 5849, HMAC-SHA1).

https://www.mediawiki.org/wiki/OAuth/Owner-only_consumers: four secrets, no way through a consent page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from tests.support.standin.answers import ApiFailure

if TYPE_CHECKING:
    from tests.support.standin.world import Person, World

Pairs = Iterable[tuple[str, str]]
REALM = "OAuth "


@dataclass(frozen=True)
class Consumer:
    """The two keys and two secrets of one account's consumer; edits get the tag `OAuth CID: number`."""

    key: str
    secret: str
    token: str
    token_secret: str
    sub: str
    number: int

    @property
    def secrets(self) -> tuple[str, str, str, str]:
        """Consumer key, consumer secret, access token, access secret, as pywikibot wants them."""
        return self.key, self.secret, self.token, self.token_secret


@dataclass
class OwnerOnlyConsumers:
    """The consumers that accounts have made for themselves."""

    world: World
    _consumers: dict[str, Consumer] = field(default_factory=dict)
    _nonces: set[tuple[str, str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def make(self, username: str) -> tuple[str, str, str, str]:
        """A new consumer of this account; returns its keys and secrets. Raises KeyError if nobody is called so."""
        person = self.world.people[username]
        with self._lock:
            number = 100 + len(self._consumers)
            made = [hashlib.sha1(f"{number} {person.sub} {part}".encode()).hexdigest()[:32] for part in range(4)]
            consumer = Consumer(made[0], made[1], made[2], made[3], person.sub, number)
            self._consumers[consumer.key] = consumer
            return consumer.secrets

    def revoke(self, key: str) -> None:
        """Take a consumer back."""
        with self._lock:
            self._consumers.pop(key, None)

    def person_of(self, authorization: str | None, method: str, url: str, sent: Pairs) -> tuple[Person, str] | None:
        """Who signed a request, and the tag of their consumer; None if it is not signed this way.

        `sent` are the parameters of query string and form. Raises ApiFailure `mwoauth-invalid-authorization`.
        """
        if not authorization or not authorization.startswith(REALM):
            return None
        said = _parts(authorization)
        with self._lock:
            consumer = self._consumers.get(said.get("oauth_consumer_key", ""))
            nonce = tuple(said.get(f"oauth_{name}", "") for name in ("token", "nonce", "timestamp"))
            is_new = (nonce[0], nonce[1], nonce[2]) not in self._nonces
            self._nonces.add((nonce[0], nonce[1], nonce[2]))
        if consumer is None or consumer.token != said.get("oauth_token"):
            raise _invalid("Invalid consumer")
        signed = [(name, value) for name, value in said.items() if name not in ("oauth_signature", "realm")]
        wanted = _signature(consumer, method, url, [*sent, *signed])
        if not hmac.compare_digest(wanted, said.get("oauth_signature", "")):
            raise _invalid("Invalid signature")
        if not is_new:
            raise _invalid("Nonce already used")
        person = next((one for one in self.world.people.values() if one.sub == consumer.sub), None)
        if person is None:
            raise _invalid("Invalid user")
        return person, f"OAuth CID: {consumer.number}"


def _invalid(why: str) -> ApiFailure:
    info = f"The authorization headers in your request are not valid: {why}"
    return ApiFailure("mwoauth-invalid-authorization", info, module="main")


def _parts(authorization: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in authorization.removeprefix(REALM).split(","))
    return {unquote(name): unquote(value.strip('"')) for name, _, value in pairs}


def _escaped(text: str) -> str:
    return quote(text, safe="-._~")


def _signature(consumer: Consumer, method: str, url: str, pairs: Pairs) -> str:
    """RFC 5849 §3.4.1 and §3.4.2."""
    listed = "&".join(sorted(f"{_escaped(name)}={_escaped(value)}" for name, value in pairs))
    base = "&".join(_escaped(part) for part in (method.upper(), url, listed))
    key = f"{_escaped(consumer.secret)}&{_escaped(consumer.token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()
