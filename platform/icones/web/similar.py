"""Figures that look like one, like a part of a plate, or like a picture that somebody brings and that is not kept."""

import base64
import io
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlmodel import Session

from active_learning import open_rgb
from icones.campaigns import service as campaign_service
from icones.campaigns.service import Door
from icones.config import Settings
from icones.errors import BadInputError, NotReadyError
from icones.identifications import queries as identifications
from icones.illustrations import queries
from icones.illustrations import service as illustrations
from icones.illustrations.store import ImageStore
from icones.jobs.identify import embed_image
from icones.learning import similar
from icones.learning.similar import EVERYWHERE, Asked, Narrowed, SimilarFigures
from icones.models import Campaign, DeterminationState, Figure, Illustration, Person
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.cases import Box, Plate, plate_of
from icones.web.figures import figure_here
from icones.web.render import render
from icones.web.tagging import box_of
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, Visitor, settings_of, visitor

GRID = 24
FORM_BYTES = 100_000
"""What a form may hold beside its picture."""
SHOWN = 640
"""Pixels of the longer side of a brought picture as the page shows it."""


class LimitedRoute(APIRoute):
    """A route that refuses a body that is larger than an image may be before it is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the check."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            limit = settings_of(request).max_image_bytes
            if request.method == "POST":
                length = request.headers.get("Content-Length", "")
                if not length.isdigit():
                    raise BadInputError("The size of what is sent must be told first.")
                if int(length) > limit + FORM_BYTES:
                    raise too_large(limit)
            return await inner(request)

        return handler


router = APIRouter(include_in_schema=False, route_class=LimitedRoute)


@dataclass(frozen=True)
class Found:
    """A figure that looks like what was asked, with what is known of it."""

    figure_id: int
    slug: str
    place: str
    """The title of its campaign; empty in the campaign that was asked in."""
    title: str
    likeness: float
    """Cosine, -1 to 1."""
    taxon: TaxonView | None
    state: str


@dataclass(frozen=True)
class Fields:
    """The form as it was sent, to be shown again."""

    taxon: TaxonView | None = None
    taxon_words: str = ""
    state: str = ""
    where: str = ""
    box: tuple[str, str, str, str] | None = None

    @property
    def narrowed(self) -> Narrowed:
        """Which figures may answer."""
        states = frozenset({DeterminationState(self.state)} if self.state else ())
        return Narrowed(self.taxon.qid if self.taxon else None, states)


@dataclass(frozen=True)
class SimilarPage:
    """What is asked with, the form, and the figures that look like it."""

    template: ClassVar[str] = "pages/similar.html"
    door: Door
    fields: Fields
    elsewhere: tuple[tuple[str, str], ...]
    """Campaigns that can be searched too, as pairs of address and title."""
    max_megabytes: int
    figure: Figure | None = None
    illustration: Illustration | None = None
    plate: Plate | None = None
    boxes: tuple[Box, ...] = ()
    taxon: TaxonView | None = None
    state: str = ""
    brought: str = ""
    """The brought picture, small, as a data address."""
    found: tuple[Found, ...] = ()
    is_ready: bool = True
    """Whether there was anything to compare with."""
    section: str = "campaigns"


@router.get("/c/{slug}/f/{figure_id}/similar")
def similar_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    figure_id: int,
    taxon: str = "",
    taxon_words: str | None = None,
    state: str = "",
    where: str = "",
    x: str = "",
    y: str = "",
    w: str = "",
    h: str = "",
) -> Any:
    """Show the figures that look like this one, or like the part of its plate that the box holds."""
    figure, row = figure_here(session, door, figure_id, asking.person)
    box = illustrations.check_box(box_of(x, y, w, h))
    fields = fields_of(session, asking, door.campaign, taxon, taxon_words, state, where, (x, y, w, h) if box else None)
    index: SimilarFigures = request.app.state.similar
    asked = index.asked(session, door.campaign, figure_id)
    if box is not None:
        asked = ask_with_box(session, settings, index, request.app.state.images, door.campaign, row, box)
    determination = identifications.determinations(session, [figure_id])[figure_id]
    names = taxa.views(session, [determination.taxon_qid] if determination.taxon_qid else [], asking.language)
    shown = queries.figures(session, row.id or 0)
    own = [Box(one.box, one.number, box is None and one.id == figure_id) for one in shown]
    return render(
        request,
        SimilarPage(
            door,
            fields,
            elsewhere_of(session, asking.person, door.campaign, asked.backbone if asked else None),
            settings.max_image_bytes // 1_000_000,
            figure,
            row,
            plate_of(door.campaign.slug, row),
            (*own, Box(box, 0, True)) if box else tuple(own),
            names.get(determination.taxon_qid or ""),
            determination.state.value,
            found=found_of(session, index, door.campaign, asked, fields, asking) if asked else (),
            is_ready=asked is not None,
        ),
    )


@router.get("/c/{slug}/similar")
def upload_page(
    request: Request, door: CampaignDoor, session: DbSession, settings: AppSettings, asking: CurrentVisitor
) -> Any:
    """Show the form for a picture of one's own."""
    backbone = SimilarFigures.backbone(session, door.campaign)
    elsewhere = elsewhere_of(session, asking.person, door.campaign, backbone)
    megabytes = settings.max_image_bytes // 1_000_000
    return render(request, SimilarPage(door, Fields(), elsewhere, megabytes, is_ready=backbone is not None))


@router.post("/c/{slug}/similar")
def search_with_upload(
    request: Request,
    settings: AppSettings,
    slug: str,
    image: Annotated[UploadFile | None, File()] = None,
    taxon: Annotated[str, Form()] = "",
    taxon_words: Annotated[str | None, Form()] = None,
    state: Annotated[str, Form()] = "",
    where: Annotated[str, Form()] = "",
) -> Any:
    """Show the figures that look like the sent picture. Nothing of it is kept."""
    content = image.file.read(settings.max_image_bytes + 1) if image else b""
    if not content:
        raise BadInputError("Choose a picture first.")
    # Nothing is written here: a writing session would hold up everybody else's answers while the network looks.
    with request.app.state.database.reading() as session:
        asking = visitor(request, session)
        door = campaign_service.open_door(session, slug, asking.person)
        fields = fields_of(session, asking, door.campaign, taxon, taxon_words, state, where, None)
        index: SimilarFigures = request.app.state.similar
        asked = ask_with_image(session, settings, index, door.campaign, content)
        return render(
            request,
            SimilarPage(
                door,
                fields,
                elsewhere_of(session, asking.person, door.campaign, asked.backbone),
                settings.max_image_bytes // 1_000_000,
                brought=data_address(content),
                found=found_of(session, index, door.campaign, asked, fields, asking),
            ),
        )


def ask_with_image(
    session: Session, settings: Settings, index: SimilarFigures, campaign: Campaign, content: bytes
) -> Asked:
    """Return the question that a picture from outside asks in a campaign.

    Raises BadInputError if it is too large, ImageError if it is no image, NotReadyError before anything was embedded
    or after the campaign's network was changed.
    """
    if len(content) > settings.max_image_bytes:
        raise too_large(settings.max_image_bytes)
    backbone = index.require_backbone(session, campaign)
    return Asked(embed_image(settings, campaign, backbone, content), backbone, (campaign,))


def ask_with_box(
    session: Session,
    settings: Settings,
    index: SimilarFigures,
    images: ImageStore,
    campaign: Campaign,
    row: Illustration,
    box: str,
) -> Asked:
    """Return the question that a part of a plate asks in its campaign; the plate's own figures may not answer.

    Raises NotReadyError where the image is not here, or as ``ask_with_image`` does.
    """
    if not row.image_sha1 or not images.has(row.image_sha1):
        raise NotReadyError("The image of this plate is not here yet.")
    backbone = index.require_backbone(session, campaign)
    vector = embed_image(settings, campaign, backbone, images.path(row.image_sha1), box)
    own = tuple(one.id or 0 for one in queries.figures(session, row.id or 0))
    return Asked(vector, backbone, (campaign,), own)


def fields_of(
    session: Session,
    asking: Visitor,
    campaign: Campaign,
    taxon: str,
    words: str | None,
    state: str,
    where: str,
    box: tuple[str, str, str, str] | None,
) -> Fields:
    """Return the form's fields checked. Words that were typed count for more than the name chosen before them."""
    if state and state not in set(DeterminationState):
        raise BadInputError("There is no such state of a figure.")
    view = taxa.views(session, {taxon}, asking.language).get(taxon) if taxon and words != "" else None
    if taxon and view is None and words != "":
        taxa.require(session, taxon)
    if words and words.strip() and (view is None or words.strip() not in (view.vernacular, view.scientific_name)):
        view = taxa.the_one(taxa.search(session, words, asking.language, campaign.root_taxon_qid))
        if view is None:
            raise BadInputError(f"“{words.strip()}” is not the name of one taxon here. Choose one from the list.")
    name = (view.vernacular or view.scientific_name) if view else ""
    return Fields(view, name, state, where, box)


def found_of(
    session: Session, index: SimilarFigures, campaign: Campaign, asked: Asked, fields: Fields, asking: Visitor
) -> tuple[Found, ...]:
    """Return what looks like it where the form says, most alike first; only what this person may see."""
    places = similar.places(session, asking.person, campaign, fields.where, asked.backbone)
    hits = index.like(session, asked.among(places), GRID, fields.narrowed)
    ids = [one for one, _ in hits]
    around, known = queries.with_figures(session, ids), identifications.determinations(session, ids)
    names = taxa.views(session, {one.taxon_qid for one in known.values() if one.taxon_qid}, asking.language)
    of = {one.id: one for one in places}
    return tuple(
        Found(
            one,
            of[around[one][0].campaign_id].slug,
            "" if around[one][0].campaign_id == campaign.id else of[around[one][0].campaign_id].title,
            around[one][1].title,
            likeness,
            names.get(known[one].taxon_qid or ""),
            known[one].state.value,
        )
        for one, likeness in hits
        if one in around and one in known and around[one][0].removed_at is None
    )


def elsewhere_of(
    session: Session, person: Person | None, campaign: Campaign, backbone: str | None
) -> tuple[tuple[str, str], ...]:
    """Return where else may be searched: everywhere, and each campaign by itself; nothing if there is no other."""
    found = similar.others(session, person, campaign, backbone) if backbone else ()
    return ((EVERYWHERE, ""), *((one.slug, one.title) for one in found)) if found else ()


def too_large(limit: int) -> BadInputError:
    """Return the error of a picture with more bytes than are taken in."""
    return BadInputError(f"The picture is too large: at most {limit // 1_000_000} MB can be sent.")


async def sent_image(request: Request) -> bytes:
    """Return the body of a request, read up to what an image may hold. Raises BadInputError beyond."""
    limit = settings_of(request).max_image_bytes
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > limit:
            raise too_large(limit)
    if not content:
        raise BadInputError("Send the bytes of an image.")
    return bytes(content)


def data_address(content: bytes, side: int = SHOWN) -> str:
    """Return a JPEG copy of a picture, at most ``side`` pixels wide and high, as an address that holds it."""
    picture = open_rgb(content, side)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
