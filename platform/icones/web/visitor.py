"""Who is asking: the request's one database session, the person, their language, and the CSRF guard."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from babel import negotiate_locale
from fastapi import Depends, Request
from pydantic import Field
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import NotAllowedError, NotSignedInError
from icones.models import Person
from icones.people import service as people

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LANGUAGES = ("en", "nl", "de", "fr")
TOKEN, CSRF, LANGUAGE = "token", "csrf", "language"

RowId = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A number that tells a row or a place in a list; PostgreSQL's ``integer`` holds no larger one."""
PageNumber = Annotated[int, Field(le=10**9)]
"""The number of a page of a list; a larger one would not fit the database's numbers as a place in it."""


def db_session(request: Request) -> Iterator[Session]:
    """Give the request's one session: reading for safe methods, else one transaction, committed before the answer."""
    database: Database = request.app.state.database
    with database.reading() if request.method in SAFE else database.writing() as session:
        yield session


# scope="function": by default FastAPI answers first and commits later, so a failed commit would be told as success.
DbSession = Annotated[Session, Depends(db_session, scope="function")]


def settings_of(request: Request) -> Settings:
    """Return the installation's settings."""
    settings: Settings = request.app.state.settings
    return settings


AppSettings = Annotated[Settings, Depends(settings_of)]


@dataclass(frozen=True)
class Visitor:
    """The person behind a request, or a reader who is not signed in."""

    person: Person | None
    language: str
    csrf: str
    is_htmx: bool

    def signed_in(self) -> Person:
        """Return the person, or raise NotSignedInError."""
        if self.person is None:
            raise NotSignedInError("Sign in with your Wikimedia account to do this.")
        return self.person


def visitor(request: Request, session: DbSession) -> Visitor:
    """Return who is asking."""
    person = people.who(session, request.session.get(TOKEN), utc_now())
    csrf = request.session.setdefault(CSRF, secrets.token_urlsafe(24))
    found = Visitor(person, language_of(request, person), csrf, request.headers.get("HX-Request") == "true")
    request.state.visitor = found
    return found


CurrentVisitor = Annotated[Visitor, Depends(visitor)]


def language_of(request: Request, person: Person | None) -> str:
    """Return the language to speak: chosen in this browser, the person's, or what the browser asks for."""
    chosen = request.session.get(LANGUAGE) or (person.language if person else None)
    if chosen in LANGUAGES:
        return str(chosen)
    asked = [part.split(";")[0].strip() for part in request.headers.get("Accept-Language", "").split(",")]
    wanted = [tag.split("-")[0] for tag in asked if tag]
    return negotiate_locale(wanted, LANGUAGES) or "en"


async def csrf_guard(request: Request) -> None:
    """Refuse a changing request that does not carry this browser's own token, in a field or in a header."""
    if request.method in SAFE:
        return
    given = request.headers.get("X-CSRF-Token")
    if given is None and "form" in request.headers.get("Content-Type", ""):
        value = (await request.form()).get("csrf")
        given = value if isinstance(value, str) else None
    kept = request.session.get(CSRF)
    if not kept or not given or not secrets.compare_digest(given, kept):
        raise NotAllowedError("This form is out of date or came from elsewhere. Reload the page and send it again.")


def campaign_door(slug: str, session: DbSession, asking: CurrentVisitor) -> Door:
    """Return the campaign of the address and the visitor's role in it."""
    return campaigns.open_door(session, slug, asking.person)


CampaignDoor = Annotated[Door, Depends(campaign_door)]
