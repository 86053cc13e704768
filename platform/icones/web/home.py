"""The home page with its campaigns, and a person's own page: language, whether to be named, edits in their name."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.errors import BadInputError, NotReadyError
from icones.models import Campaign, DeterminationState, Illustration, Person, Visibility
from icones.people import grants
from icones.people import queries as people_queries
from icones.people import service as people
from icones.review import service as review
from icones.web.curating import may_found
from icones.web.render import flash, render
from icones.web.sign_in import begin
from icones.web.visitor import LANGUAGE, LANGUAGES, AppSettings, CurrentVisitor, DbSession

router = APIRouter(include_in_schema=False)

COVERS = 3
SETTLED = (DeterminationState.VERIFIED, DeterminationState.UNIDENTIFIABLE)


@dataclass(frozen=True)
class Cover:
    """One of the pictures of a campaign's card, with what must be said of its maker and licence."""

    address: str
    illustration: Illustration


@dataclass(frozen=True)
class CampaignCard:
    """A campaign at a glance."""

    slug: str
    title: str
    description: str
    collection: str
    pictures: tuple[Cover, ...]
    settled: int
    total: int
    waiting: int
    """How many figures wait for this reader."""
    is_closed: bool
    is_private: bool


@dataclass(frozen=True)
class HomePage:
    """What Icones is, in a sentence, and the campaigns that this reader may see."""

    template: ClassVar[str] = "pages/home.html"
    cards: tuple[CampaignCard, ...]
    may_found: bool
    section: str = "campaigns"


@dataclass(frozen=True)
class OwnPage:
    """What Icones keeps of a person, and what they may change."""

    template: ClassVar[str] = "pages/me.html"
    me: Person
    identified: tuple[tuple[Campaign, int], ...]
    n_identified: int
    can_write: bool
    """Whether there is anything to say yes to: a real account, at an installation that Wikimedia knows."""
    has_leave: bool
    """Whether we hold tokens to write in this person's name."""
    leave_url: str
    """Where Wikimedia lets a person end what they allowed."""
    section: str = "me"


@router.get("/")
def home(request: Request, session: DbSession, settings: AppSettings, asking: CurrentVisitor) -> Any:
    """Show the campaigns."""
    cards = _cards(session, asking.person)
    return render(request, HomePage(cards, may_found(session, settings, asking.person)))


def _cards(session: Session, person: Person | None) -> tuple[CampaignCard, ...]:
    """Return the cards of all campaigns this person may see, in a constant number of queries."""
    seen = campaigns.visible(session, person.id if person else None, bool(person and person.is_admin))
    ids = [one.id or 0 for one in seen]
    states = campaigns.counts_by_state_of(session, ids)
    pictures = campaigns.covers(session, ids, COVERS)
    waiting = review.waiting_for(session, ids, person, utc_now())
    return tuple(
        CampaignCard(
            slug=one.slug,
            title=one.title,
            description=one.description,
            collection=one.collection,
            pictures=tuple(
                Cover(f"/c/{one.slug}/i/{row.id}/image?side=640", row) for row in pictures.get(one.id or 0, [])
            ),
            settled=sum(states.get(one.id or 0, {}).get(state, 0) for state in SETTLED),
            total=sum(states.get(one.id or 0, {}).values()),
            waiting=waiting.get(one.id or 0, 0),
            is_closed=one.closed_at is not None,
            is_private=one.visibility is Visibility.PRIVATE,
        )
        for one in seen
    )


@router.get("/me")
def own_page(request: Request, session: DbSession, settings: AppSettings, asking: CurrentVisitor) -> Any:
    """Show a person what is kept of them."""
    person = asking.signed_in()
    key = person.id or 0
    identified = tuple((campaign, n) for campaign, n in people_queries.identified_by(session, key))
    page = OwnPage(
        me=person,
        identified=identified,
        n_identified=sum(n for _, n in identified),
        can_write=_can_write(settings),
        has_leave=grants.has_leave(session, key),
        leave_url=f"{settings.oauth_root.removesuffix('/rest.php/oauth2')}/index.php?title=Special:OAuthManageMyGrants",
    )
    return render(request, page)


@router.post("/me")
def keep_preferences(
    request: Request,
    session: DbSession,
    asking: CurrentVisitor,
    language: Annotated[str, Form()],
    named_in_exports: Annotated[bool, Form()] = False,
) -> Any:
    """Keep a person's language and whether they may be named."""
    person = asking.signed_in()
    if language not in LANGUAGES:
        raise BadInputError("Icones does not speak this language yet.")
    people.set_preferences(session, person, language, named_in_exports)
    request.session[LANGUAGE] = language
    flash(request, "Saved.", "success")
    return RedirectResponse("/me", 303)


@router.post("/me/writing")
def choose_writing(
    request: Request,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    yes: Annotated[bool, Form()] = False,
) -> Any:
    """Keep whether what a person confirmed may be written in their name; a yes may need Wikimedia's yes, too."""
    person = asking.signed_in()
    key = person.id or 0
    if not yes:
        grants.withdraw(session, key)
        flash(request, "Nothing more is written in your name.", "success")
        return RedirectResponse("/me", 303)
    if not _can_write(settings):
        raise NotReadyError("Nothing can be written in anybody’s name here: people do not sign in with Wikimedia.")
    grants.agree(session, key)
    if grants.has_leave(session, key):
        return RedirectResponse("/me", 303)
    return begin(request, settings, "/me", leave_of=key)


def _can_write(settings: Settings) -> bool:
    return bool(settings.oauth_client_id) and not settings.is_demo
