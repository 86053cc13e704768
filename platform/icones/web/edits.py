"""All that Icones wrote on Commons, for everybody: what, when, as whom, what became of it, and how to stop it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from sqlmodel import Session

from icones.campaigns import queries as campaign_queries
from icones.campaigns.service import Door
from icones.config import Settings
from icones.depicts import queries
from icones.jobs.pens import STOP_PAGE
from icones.models import Campaign, Writes
from icones.web.edit_rows import ALL, VIEWS, WRITTEN, Asked, Listing, listing, wiki_page
from icones.web.render import render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId, Visitor

router = APIRouter(include_in_schema=False)

MARK = r"^[0-9a-f]{12}$"


@dataclass(frozen=True)
class Place:
    """A page on the wiki."""

    title: str
    url: str


@dataclass(frozen=True)
class StopWord:
    """What the stop page said when it was last read; both are empty when writing may go on."""

    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Ways:
    """How the community reaches and stops us; None and empty for what this installation does not have."""

    stop_page: Place | None
    tool_page: Place | None
    talk_page: Place | None
    bot: Place | None
    contact: str
    contact_url: str


@dataclass(frozen=True)
class EditsPage:
    """The edits of one campaign, or of all that the reader may see."""

    template: ClassVar[str] = "pages/edits.html"
    door: Door | None
    """None for all campaigns."""
    listing: Listing
    stop: StopWord
    paused: tuple[tuple[str, str], ...]
    """Campaigns whose writing pauses: title and why."""
    ways: Ways
    section: str = "edits"


def asked_for(
    state: str = "", batch: Annotated[str, Query(pattern=MARK)] | None = None, before: RowId | None = None
) -> Asked:
    """Return the part of a list that an address asks for; all of a batch, else what was written."""
    view = state if state in VIEWS else ALL if batch else WRITTEN
    return Asked(view, batch or "", before)


AskedFor = Annotated[Asked, Depends(asked_for)]


@router.get("/edits")
def all_edits(
    request: Request,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    asked: AskedFor,
) -> Any:
    """Show what was written for all campaigns that this reader sees on the home page."""
    person = asking.person
    seen = campaign_queries.visible(session, person.id if person else None, bool(person and person.is_admin))
    return _show(request, session, settings, asking, None, seen, asked)


@router.get("/c/{slug}/edits")
def edits_of_campaign(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    asked: AskedFor,
) -> Any:
    """Show what was written for one campaign."""
    return _show(request, session, settings, asking, door, [door.campaign], asked)


def _show(
    request: Request,
    session: Session,
    settings: Settings,
    asking: Visitor,
    door: Door | None,
    campaigns: Sequence[Campaign],
    asked: Asked,
) -> Any:
    path = f"/c/{door.campaign.slug}/edits" if door else "/edits"
    page = EditsPage(
        door=door,
        listing=listing(
            session, settings, campaigns, asked, asking.language, lambda **query: address_of(path, asked, **query)
        ),
        stop=stop_word(session, settings),
        paused=tuple(
            (one.title, one.writing_paused_why)
            for one in campaigns
            if one.writing_paused_at is not None and one.writes is not Writes.OFF
        ),
        ways=ways(settings),
    )
    return render(request, page)


def address_of(path: str, asked: Asked, **query: Any) -> str:
    """Return the address of a part of a list: ``view``, ``mark`` and ``before`` where they differ from what is asked.

    Another view or batch begins at its first page.
    """
    view, mark = query.get("view", asked.view), query.get("mark", asked.mark)
    usual = ALL if mark else WRITTEN
    told = {"state": view if view != usual else "", "batch": mark, "before": query.get("before")}
    kept = urlencode({name: value for name, value in told.items() if value})
    return f"{path}?{kept}#edits" if kept else f"{path}#edits"


def stop_word(session: Session, settings: Settings) -> StopWord:
    """Return what the stop page last said, as far as we read it."""
    found = queries.notice(session, STOP_PAGE) if settings.stop_page else None
    return StopWord(found.text, found.problem) if found else StopWord()


def ways(settings: Settings) -> Ways:
    """Return how the community reaches and stops this installation."""
    bot = settings.bot_user.partition("@")[0]
    return Ways(
        stop_page=_place(settings, settings.stop_page),
        tool_page=_place(settings, settings.tool_page),
        talk_page=_place(settings, _talk_of(settings.tool_page)) if settings.tool_page else None,
        bot=Place(bot, wiki_page(settings, f"Special:Contributions/{bot}")) if bot else None,
        contact=settings.contact.removeprefix("mailto:"),
        contact_url=_contact_url(settings.contact),
    )


def _place(settings: Settings, title: str) -> Place | None:
    return Place(title, wiki_page(settings, title)) if title else None


def _talk_of(title: str) -> str:
    """Return the title of a page's talk page."""
    space, colon, name = title.partition(":")
    return f"{space} talk:{name}" if colon else f"Talk:{title}"


def _contact_url(contact: str) -> str:
    if contact.startswith(("https://", "http://", "mailto:")):
        return contact
    return f"mailto:{contact}" if "@" in contact and " " not in contact else ""
