"""Sign in with Wikimedia (OAuth 2.0 with PKCE), sign out, choose a language; in the demo, one-click sign-in.

The person is known by the central id ``sub``: account names change. Tokens are kept, sealed, only of people who said
yes to edits in their name; else Icones reads who it is, once, and lets them go.
Source: https://www.mediawiki.org/wiki/OAuth/For_Developers and wikis' Extension:OAuth (profile endpoint).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.errors import BadInputError, ElsewhereError, NotAllowedError, NotFoundError, NotReadyError
from icones.models import Person, Role
from icones.people import grants
from icones.people import service as people
from icones.people.secrets import Vault
from icones.web.render import flash, render
from icones.web.visitor import LANGUAGE, LANGUAGES, TOKEN, AppSettings, CurrentVisitor, DbSession, language_of
from wiki_sync.oauth import Tokens

router = APIRouter(include_in_schema=False)
OAUTH = "oauth"
NextField = Annotated[str, Form(alias="next")]
NextQuery = Annotated[str, Query(alias="next")]

DEMO_PEOPLE = {
    Role.VOLUNTEER: ("demo:volunteer", "Demo volunteer"),
    Role.SPECIALIST: ("demo:specialist", "Demo specialist"),
    Role.CURATOR: ("demo:curator", "Demo curator"),
}


@dataclass(frozen=True)
class SignInPage:
    """How to sign in."""

    template: ClassVar[str] = "pages/sign_in.html"
    next: str
    is_ready: bool
    """Whether sign-in with Wikimedia is set up."""


@router.get("/sign-in")
def sign_in_page(request: Request, settings: AppSettings, asking: CurrentVisitor, next_: NextQuery = "/") -> Any:
    """Show how to sign in."""
    return render(request, SignInPage(_inside(next_), bool(settings.oauth_client_id)))


@router.post("/sign-in/wikimedia")
def to_wikimedia(request: Request, settings: AppSettings, asking: CurrentVisitor, next_: NextField = "/") -> Any:
    """Send the person to Wikimedia to say yes."""
    return begin(request, settings, _inside(next_))


def begin(request: Request, settings: Settings, next_: str, leave_of: int | None = None) -> RedirectResponse:
    """Return the way to Wikimedia; ``next_`` is where the person comes back to.

    ``leave_of`` is who wants edits in their name, if that is what it is for. Raises NotReadyError without OAuth.
    """
    if not settings.oauth_client_id:
        raise NotReadyError(
            "Sign-in with Wikimedia is not set up here yet. The operator finds how in docs/wikimedia.md."
        )
    verifier = generate_token(64)
    with _client(settings) as client:
        url, state = client.create_authorization_url(f"{settings.oauth_root}/authorize", code_verifier=verifier)
    request.session[OAUTH] = {"state": state, "verifier": verifier, "next": next_, "leave_of": leave_of}
    return RedirectResponse(url, 303)


@router.get("/sign-in/callback")
def from_wikimedia(
    request: Request, settings: AppSettings, asking: CurrentVisitor, state: str = "", code: str = "", error: str = ""
) -> Any:
    """Take the person in who comes back from Wikimedia."""
    begun = request.session.pop(OAUTH, None)
    if not begun or not state or begun["state"] != state:
        raise BadInputError("This sign-in was begun elsewhere or too long ago. Please begin again.")
    if error or not code:
        _refused(request, begun.get("leave_of"))
        return RedirectResponse(begun["next"], 303)
    now = utc_now()
    profile, tokens = _answer(settings, code, begun["verifier"], now)
    # The answer to a GET, yet it must write: a transaction of its own, as `DbSession` only reads here.
    with request.app.state.database.writing() as session:
        person = _take_in(request, session, settings, profile, now)
        has_leave = grants.keep(session, Vault(settings.secret_key.get_secret_value()), person, tokens, now)
    if begun.get("leave_of"):
        _tell_of_leave(request, person.id == begun["leave_of"], has_leave)
    return RedirectResponse(begun["next"], 303)


def _refused(request: Request, leave_of: int | None) -> None:
    """Heed a no at Wikimedia: to edits in this person's name, or to the sign-in."""
    if leave_of is None:
        flash(request, "You said no at Wikimedia, so you are not signed in.", "notice")
        return
    with request.app.state.database.writing() as session:
        grants.withdraw(session, leave_of)
    flash(request, "You said no at Wikimedia, so nothing is written in your name.", "notice")


def _tell_of_leave(request: Request, is_same: bool, has_leave: bool) -> None:
    """Say what came of asking for leave; nothing to whoever took their yes back meanwhile."""
    if not is_same:
        flash(request, "At Wikimedia you use another account. You are now signed in here with that one.", "warning")
    elif has_leave:
        flash(request, "From now on, what you confirm may be written in your name.", "success")


def _answer(settings: Settings, code: str, verifier: str, now: datetime) -> tuple[dict[str, Any], Tokens]:
    """Return who the person is, as Wikimedia says, and the tokens with which it was asked."""
    try:
        with _client(settings) as client:
            given = client.fetch_token(f"{settings.oauth_root}/access_token", code=code, code_verifier=verifier)
            answer = client.get(f"{settings.oauth_root}/resource/profile")
            answer.raise_for_status()
            profile = answer.json()
            tokens = _tokens(given, now)
    except OAuthError as error:
        raise ElsewhereError(
            f"Wikimedia did not let the sign-in through: {error.description or error.error}"
        ) from error
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise ElsewhereError("Wikimedia could not be reached for the sign-in. Please try again in a minute.") from error
    if not isinstance(profile, dict) or not profile.get("sub") or not profile.get("username"):
        raise ElsewhereError("Wikimedia did not say who you are. Please try again.")
    if profile.get("blocked"):
        raise NotAllowedError("Your Wikimedia account is blocked, so you cannot take part now.")
    return profile, tokens


def _tokens(given: dict[str, Any], now: datetime) -> Tokens:
    # Without a word on how long the access token lasts it is renewed before it is used.
    refresh = given.get("refresh_token")
    lasts = timedelta(seconds=float(given.get("expires_in") or 0))
    return Tokens(str(given["access_token"]), str(refresh) if refresh else None, now + lasts)


def _take_in(request: Request, session: Session, settings: Settings, profile: dict[str, Any], now: datetime) -> Person:
    name = str(profile["username"])
    person = people.arrive(
        session,
        str(profile["sub"]),
        name,
        now,
        is_admin=name in settings.admins,
        language=language_of(request, None),
    )
    _begin(request, session, settings, person)
    return person


def _begin(request: Request, session: Session, settings: Settings, person: Person) -> None:
    # A new session for a new person: what an earlier visitor of this browser left is not theirs.
    kept = request.session.get(LANGUAGE)
    request.session.clear()
    if kept:
        request.session[LANGUAGE] = kept
    request.session[TOKEN] = people.sign_in(session, person, settings.session_days, utc_now())


@router.post("/sign-in/demo")
def demo_sign_in(
    request: Request,
    settings: AppSettings,
    session: DbSession,
    asking: CurrentVisitor,
    role: Annotated[Role, Form()],
    next_: NextField = "/",
) -> Any:
    """Sign in as one of the demo's three people; there is no such address outside the demo."""
    if not settings.is_demo:
        raise NotFoundError("There is no page at this address.")
    sub, name = DEMO_PEOPLE[role]
    person = people.arrive(session, sub, name, utc_now())
    for campaign in campaigns.all_open(session):
        people.grant(session, campaign.id or 0, person, role, utc_now())
    # The demo's people are everybody's: the language is this browser's, not the one of whoever clicked before.
    request.session.setdefault(LANGUAGE, language_of(request, None))
    _begin(request, session, settings, person)
    return RedirectResponse(_inside(next_), 303)


@router.post("/sign-out")
def sign_out(request: Request, session: DbSession, asking: CurrentVisitor) -> Any:
    """End the sign-in of this browser, and forget the tokens of its person."""
    if asking.person is not None:
        grants.forget(session, asking.person.id or 0)
    people.sign_out(session, request.session.get(TOKEN))
    request.session.clear()
    flash(request, "You are signed out.", "notice")
    return RedirectResponse("/", 303)


@router.post("/language")
def choose_language(
    request: Request,
    session: DbSession,
    asking: CurrentVisitor,
    language: Annotated[str, Form()],
    next_: NextField = "/",
) -> Any:
    """Speak another language from now on."""
    if language not in LANGUAGES:
        raise BadInputError("Icones does not speak this language yet.")
    request.session[LANGUAGE] = language
    if asking.person is not None:
        people.set_preferences(session, asking.person, language, asking.person.named_in_exports)
    return RedirectResponse(_inside(next_), 303)


def _client(settings: Settings) -> OAuth2Client:
    return OAuth2Client(
        settings.oauth_client_id,
        settings.oauth_client_secret.get_secret_value() or None,
        redirect_uri=f"{settings.base_url}/sign-in/callback",
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_post",  # noqa: S106 (a method's name)
        timeout=15.0,
        headers={"User-Agent": settings.user_agent},
    )


def _inside(address: str) -> str:
    """Return an address of ours, else the home page: nobody is sent elsewhere by a link to our sign-in."""
    parts = urlsplit(address)
    safe = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return address if safe and "\n" not in address else "/"
