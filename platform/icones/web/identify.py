"""What is this? A picture that somebody brings, looked at by a campaign's model, and not kept."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, File, Request, UploadFile
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.errors import BadInputError
from icones.jobs.identify import Seen, identify_image, require_model
from icones.learning import queries
from icones.learning import service as learning
from icones.learning.service import Suggestions
from icones.learning.similar import Asked, SimilarFigures
from icones.models import ModelVersion
from icones.taxa.service import TaxonView
from icones.web.cases import crop_address
from icones.web.model_report import report_of
from icones.web.render import render
from icones.web.similar import Fields, Found, found_of
from icones.web.uploads import BEYOND_ANY, LimitedRoute, data_address, too_large
from icones.web.visitor import AppSettings, CampaignDoor, DbSession, Visitor, visitor

router = APIRouter(include_in_schema=False, route_class=LimitedRoute, max_body_size=BEYOND_ANY)

SHOWN = 1000
"""Pixels of the longer side of the brought picture as the page shows it."""
STRIP = 8


@dataclass(frozen=True)
class Served:
    """The model that answers, and what it is worth."""

    number: int
    accuracy: float | None
    """Right at the first guess, 0 to 1; None where it was not measured."""
    n: int
    """Figures that it was measured on."""


@dataclass(frozen=True)
class Named:
    """One of the names it may be, with verified figures of that taxon."""

    taxon: TaxonView
    probability: float
    plates: tuple[tuple[str, str], ...]
    """Address of the figure and of its picture."""


@dataclass(frozen=True)
class Answer:
    """What the model says of the picture."""

    brought: str
    """The picture as a data address."""
    says: Suggestions
    n_taxa: int
    names: tuple[Named, ...]
    found: tuple[Found, ...]


@dataclass(frozen=True)
class IdentifyPage:
    """The form and, once a picture was sent, the answer."""

    template: ClassVar[str] = "pages/identify.html"
    door: Door
    max_megabytes: int
    served: Served | None
    answer: Answer | None = None
    section: str = "campaigns"


@router.get("/c/{slug}/identify")
def identify_page(request: Request, door: CampaignDoor, session: DbSession, settings: AppSettings) -> Any:
    """Show the form."""
    version = queries.champion(session, door.campaign.id or 0)
    megabytes = settings.max_image_bytes // 1_000_000
    return render(request, IdentifyPage(door, megabytes, _served(version) if version else None))


@router.post("/c/{slug}/identify")
def identify(
    request: Request,
    settings: AppSettings,
    slug: str,
    image: Annotated[UploadFile | None, File()] = None,
) -> Any:
    """Say what the sent picture is taken for. Nothing of it is kept.

    Anybody may ask who may see the campaign; pictures are looked at one after another.
    """
    content = image.file.read(settings.max_image_bytes + 1) if image else b""
    if not content:
        raise BadInputError("Choose a picture first.")
    if len(content) > settings.max_image_bytes:
        raise too_large(settings.max_image_bytes)
    database = request.app.state.database
    with database.reading() as session:
        asking = visitor(request, session)
        door = campaigns.open_door(session, slug, asking.person)
    version = require_model(database, door.campaign)
    seen = identify_image(settings, database, version, content, utc_now(), SHOWN)
    with database.reading() as session:
        answer = _answer(session, request.app.state.similar, door, version, seen, asking)
    return render(request, IdentifyPage(door, settings.max_image_bytes // 1_000_000, _served(version), answer))


def _answer(
    session: Session,
    index: SimilarFigures,
    door: Door,
    version: ModelVersion,
    seen: Seen,
    asking: Visitor,
) -> Answer:
    campaign, slug = door.campaign, door.campaign.slug
    says = learning.told(session, campaign, seen.prediction, version, asking.language)
    asked = Asked(seen.vector, version.backbone, (campaign,))
    names = tuple(
        Named(
            one.taxon,
            one.probability,
            tuple((f"/c/{slug}/f/{figure}", crop_address(slug, figure)) for figure, _ in one.examples),
        )
        for one in says.best
    )
    return Answer(
        data_address(seen.copy),
        says,
        seen.n_taxa,
        names,
        found_of(session, index, campaign, asked, Fields(), asking)[:STRIP],
    )


def _served(version: ModelVersion) -> Served:
    report = report_of(version)
    return Served(version.number, report.accuracy if report.n else None, report.n)
