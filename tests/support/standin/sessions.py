"""Signing in with a bot password: sessions, their cookies and tokens, `action=login` and `action=logout`.

A bot password is only good for `action=login` (https://www.mediawiki.org/wiki/API:Login); people sign in with OAuth.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from tests.support.standin.answers import ApiFailure, ApiRequest

if TYPE_CHECKING:
    from tests.support.standin.world import Person, World

Json = dict[str, Any]
COOKIE = "standin_session"
ANONYMOUS_TOKEN = "+\\"
WRONG_PASSWORD = "Incorrect username or password entered. Please try again."
SESSION_GONE = "Unable to continue login. Your session most likely timed out."


@dataclass
class Session:
    """What a browser or bot is known by: `sub` is the account it signed in to; None before that."""

    key: str
    sub: str | None = None
    is_new: bool = False

    def token(self, kind: str) -> str:
        """The token of this session for logging in (`login`) or for writing (`csrf`)."""
        return hashlib.sha1(f"{kind} {self.key} {self.sub}".encode()).hexdigest() + ANONYMOUS_TOKEN


@dataclass
class Sessions:
    """All sessions that are alive."""

    world: World
    _alive: dict[str, Session] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count, repr=False)

    def of_cookies(self, cookies: str | None) -> Session:
        """The session that a Cookie header names, or one that nobody knows yet."""
        try:
            sent = SimpleCookie(cookies or "")
        except CookieError:
            sent = SimpleCookie()
        key = sent[COOKIE].value if COOKIE in sent else ""
        with self._lock:
            return self._alive.get(key) or Session(self._new_key())

    def _new_key(self) -> str:
        return hashlib.sha256(f"{id(self)} {next(self._numbers)}".encode()).hexdigest()[:32]

    def person_of(self, session: Session) -> Person | None:
        """Who is signed in, if anybody."""
        if session.sub is None:
            return None
        return next((one for one in self.world.people.values() if one.sub == session.sub), None)

    def keep(self, session: Session) -> Session:
        """Remember a session, so that its cookie is sent and found again."""
        with self._lock:
            session.is_new = session.key not in self._alive
            self._alive[session.key] = session
        return session

    def sign_in(self, session: Session, sub: str) -> Session:
        """A session of an account, with a new key, in the place of `session`."""
        with self._lock:
            self._alive.pop(session.key, None)
            key = self._new_key()
        return self.keep(Session(key, sub))

    def end(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            self._alive.pop(session.key, None)

    def end_all(self) -> None:
        """Lose all sessions, as a wiki does when its store is emptied: clients find themselves signed out."""
        with self._lock:
            self._alive.clear()


def cookie_header(session: Session | None) -> Mapping[str, str]:
    """The header that gives a new session to the client."""
    if session is None or not session.is_new:
        return {}
    session.is_new = False
    return {"Set-Cookie": f"{COOKIE}={session.key}; Path=/; HttpOnly; SameSite=Lax"}


def csrf_token(request: ApiRequest) -> str:
    """The token that a write of this client must carry; `+\\` means that nobody is signed in."""
    if request.person is None:
        return ANONYMOUS_TOKEN
    if request.session is not None and request.session.sub == request.person.sub:
        return request.session.token("csrf")
    return hashlib.sha1(f"csrf {request.person.sub}".encode()).hexdigest() + ANONYMOUS_TOKEN


def login_token(request: ApiRequest) -> str:
    """The token for `action=login`; asking for it begins a session."""
    if request.sessions is None or request.session is None:
        return hashlib.sha1(b"login").hexdigest() + ANONYMOUS_TOKEN
    return request.sessions.keep(request.session).token("login")


def login(request: ApiRequest) -> Json:
    """`action=login` with a bot password; what went wrong is told in `result` and `reason`, not as an error."""
    name, password, token = request.text("lgname"), request.text("lgpassword"), request.text("lgtoken")
    request.text("lgdomain")
    if not request.posted:
        raise ApiFailure("mustbeposted", 'The "login" module requires a POST request.')
    session, sessions = request.session, request.sessions
    if session is None or sessions is None:
        raise ApiFailure("standin-unsupported", "signing in needs the server's sessions")
    if not token:
        return {"login": {"result": "NeedToken", "token": login_token(request)}}
    if token != session.token("login"):
        return {"login": {"result": "Failed", "reason": SESSION_GONE}}
    person = _person_of_password(request, name or "", password or "")
    if person is None:
        return {"login": {"result": "Failed", "reason": WRONG_PASSWORD}}
    request.session = sessions.sign_in(session, person.sub)
    request.person = person
    return {"login": {"result": "Success", "lguserid": int(person.sub), "lgusername": person.username}}


def _person_of_password(request: ApiRequest, name: str, password: str) -> Person | None:
    known = request.world.rules.bot_passwords.get(name.replace("_", " "))
    if known is None or known[1] != password:
        return None
    return next((one for one in request.world.people.values() if one.sub == known[0]), None)


def logout(request: ApiRequest) -> Json:
    """`action=logout`: the session ends."""
    if request.session is not None and request.sessions is not None:
        request.sessions.end(request.session)
    return {}
