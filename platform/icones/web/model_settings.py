"""What a campaign's model learns from, by what it sorts, and whether it may verify figures alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns import model_settings
from icones.campaigns.model_settings import ModelSettings, Sources
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.errors import BadInputError
from icones.jobs import runner
from icones.learning import auto
from icones.learning.auto import Suggested
from icones.models import JobKind, Person, Role, Writes
from icones.web.render import flash, render, translations
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class ModelSettingsPage:
    """The settings of a campaign's model."""

    template: ClassVar[str] = "pages/model_settings.html"
    door: Door
    settings: ModelSettings
    sources: Sources
    suggested: Suggested | None
    """What the serving model could verify alone at the precision that is kept; None while none serves."""
    writes: bool
    """Whether the campaign writes to Commons: then the model never verifies alone."""
    problem: str = ""
    section: str = "campaigns"


@router.get("/c/{slug}/model-settings")
def settings_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Show the settings of a campaign's model."""
    door.require(Role.CURATOR)
    settings = model_settings.read(session, door.campaign)
    return render(request, _page(session, door, asking.signed_in(), settings))


def _page(
    session: Session,
    door: Door,
    person: Person,
    settings: ModelSettings,
    problem: str = "",
    chosen: Sequence[str] | None = None,
) -> ModelSettingsPage:
    return ModelSettingsPage(
        door=door,
        settings=settings,
        sources=model_settings.sources(session, door, person, chosen),
        suggested=auto.suggested(session, door.campaign),
        writes=door.campaign.writes is not Writes.OFF,
        problem=problem,
    )


@router.post("/c/{slug}/model-settings")
def set_settings(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    learns_from: Annotated[list[str], Form()] = [],  # noqa: B006 (FastAPI gives each request a copy)
    model_rank: Annotated[str, Form()] = "",
    precision_percent: Annotated[float, Form()] = 99.0,
    auto_validates: Annotated[bool, Form()] = False,
) -> Any:
    """Keep the settings, and train by them."""
    person, said = asking.signed_in(), translations(asking.language)
    wanted = ModelSettings(tuple(learns_from), model_rank, round(precision_percent / 100, 6), auto_validates)
    try:
        released = apply(session, door, person, wanted)
    except BadInputError as error:
        page = _page(session, door, person, wanted, said.ugettext(error.message), learns_from)
        return render(request, page, error.status)
    words = said.ugettext("Saved. The model is being trained by these settings.")
    if released:
        more = said.ungettext("%(num)s figure went back to people.", "%(num)s figures went back to people.", released)
        words = f"{words} {more % {'num': released}}"
    flash(request, words)
    return RedirectResponse(f"/c/{door.campaign.slug}/model-settings", 303)


def apply(session: Session, door: Door, person: Person, wanted: ModelSettings) -> int:
    """Keep the settings and ask for training; return how many figures go back to people.

    What the model may verify from now on is verified when it has been trained; what it no longer may goes back now.
    """
    model_settings.save(session, door, person, wanted)
    now = utc_now()
    released = auto.release(session, door.campaign, auto.due(session, door.campaign).release, now)
    # A training that goes on has read the settings of before: another follows it.
    runner.ask(session, JobKind.RETRAIN, door.campaign, now, person=person, afresh=True)
    return released
