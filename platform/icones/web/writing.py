"""The switch on the curator's desk: whether a campaign writes to Commons, under whose name, and how."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.depicts import queries, service
from icones.depicts.service import WritingRules
from icones.errors import BadInputError
from icones.models import Role, Writes
from icones.web.render import flash, render, translations
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class WritingPage:
    """Whether, under whose name and how a campaign writes."""

    template: ClassVar[str] = "pages/writing.html"
    door: Door
    rules: WritingRules
    n_waiting: int
    n_without_leave: int
    bot: str
    """The bot account of this installation; empty if there is none."""
    can_ask_people: bool
    problem: str = ""
    section: str = "campaigns"


@router.get("/c/{slug}/desk/writing")
def writing_page(
    request: Request, door: CampaignDoor, session: DbSession, settings: AppSettings, asking: CurrentVisitor
) -> Any:
    """Show whether, under whose name and how this campaign writes."""
    door.require(Role.CURATOR)
    return render(request, _writing(session, settings, door, rules_of(door)))


def rules_of(door: Door) -> WritingRules:
    """Return whether and how a campaign writes now."""
    own = door.campaign
    return WritingRules(own.writes, own.edits_per_minute, own.revert_limit, own.change_tags)


def _writing(session: Session, settings: Settings, door: Door, rules: WritingRules, problem: str = "") -> WritingPage:
    unsent = queries.unsent(session, door.campaign.id or 0)
    return WritingPage(
        door=door,
        rules=rules,
        n_waiting=len(unsent),
        n_without_leave=len(service.without_leave(session, unsent)),
        bot=settings.bot_user.partition("@")[0] if settings.bot_password.get_secret_value() else "",
        can_ask_people=bool(settings.oauth_client_id) and not settings.is_demo,
        problem=problem,
    )


@router.post("/c/{slug}/desk/writing")
def set_writing(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    writes: Annotated[Writes, Form()],
    edits_per_minute: Annotated[float, Form()] = 5.0,
    revert_percent: Annotated[float, Form()] = 5.0,
    change_tags: Annotated[str, Form()] = "",
) -> Any:
    """Set whether, under whose name and how this campaign writes. Nothing is written by this alone."""
    door.require(Role.CURATOR)
    rules = WritingRules(writes, edits_per_minute, revert_percent / 100, change_tags)
    said = translations(asking.language)
    try:
        n = service.set_writing(session, door.campaign, rules, utc_now())
    except BadInputError as error:
        page = _writing(session, settings, door, rules, said.ugettext(error.message))
        return render(request, page, error.status)
    if writes is Writes.OFF:
        flash(request, "Saved. Nothing is written now; what was sent off waits.")
        return RedirectResponse(f"/c/{door.campaign.slug}/desk/edits#top", 303)
    _ = said.ugettext
    words = said.ungettext("%(num)s verified figure was added.", "%(num)s verified figures were added.", n) % {"num": n}
    told = _("Saved. Nothing is written until you send it off.")
    flash(request, f"{told} {words}")
    return RedirectResponse(f"/c/{door.campaign.slug}/desk/edits#top", 303)
