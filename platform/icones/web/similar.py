"""Figures that look like one, like a part of a plate, or like a picture that somebody brings and that is not kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns import service as campaign_service
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.errors import BadInputError, NotReadyError
from icones.identifications import queries as identifications
from icones.illustrations import queries
from icones.illustrations import service as illustrations
from icones.illustrations.store import ImageStore
from icones.jobs.identify import embed_image, look_at
from icones.learning import similar
from icones.learning.similar import EVERYWHERE, Asked, Narrowed, SimilarFigures
from icones.models import Campaign, DeterminationState, Figure, Illustration, Person
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web import screens
from icones.web.cases import Box, Plate, plate_of
from icones.web.figures import figure_here
from icones.web.render import render
from icones.web.tagging import box_of
from icones.web.uploads import BEYOND_ANY, LimitedRoute, data_address, too_large
from icones.web.visitor import (
    AppSettings,
    CampaignDoor,
    CurrentVisitor,
    DbSession,
    RowId,
    Visitor,
    settings_of,
    visitor,
)

GRID = 24
Words = Annotated[list[str] | None, Form()]
"""One text field, which tells an empty one from none at all: a text alone would be None in both cases."""
SHOWN = 640
"""Pixels of the longer side of a brought picture as the page shows it."""


router = APIRouter(include_in_schema=False, route_class=LimitedRoute, max_body_size=BEYOND_ANY)


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
    is_kept_back: bool = False
    """Whether its name is not shown to this person yet."""


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
    asking: CurrentVisitor,
    figure_id: RowId,
    taxon: str = "",
    taxon_words: str | None = None,
    state: str = "",
    where: str = "",
) -> Any:
    """Show the figures that look like this one."""
    figure_here(session, door, figure_id, asking.person)
    fields = fields_of(session, asking, door.campaign, taxon, taxon_words, state, where, None)
    asked = _index(request).asked(session, door.campaign, figure_id)
    return render(request, _of_figure(request, session, door, asking, figure_id, fields, asked))


@router.post("/c/{slug}/f/{figure_id}/similar")
def search_with_part(
    request: Request,
    settings: AppSettings,
    slug: str,
    figure_id: RowId,
    taxon: Annotated[str, Form()] = "",
    taxon_words: Words = None,
    state: Annotated[str, Form()] = "",
    where: Annotated[str, Form()] = "",
    x: Annotated[str, Form()] = "",
    y: Annotated[str, Form()] = "",
    w: Annotated[str, Form()] = "",
    h: Annotated[str, Form()] = "",
) -> Any:
    """Show the figures that look like the part of its plate that the box holds; without a box, like the figure.

    The network has to look at that part: what only follows addresses does not ask for this.
    """
    words = taxon_words[0] if taxon_words else None
    box = illustrations.check_box(box_of(x, y, w, h))
    if box is None:
        given = {"taxon": taxon, "taxon_words": words, "state": state, "where": where}
        query = urlencode({name: value for name, value in given.items() if value or (taxon and value == "")})
        return RedirectResponse(f"/c/{slug}/f/{figure_id}/similar" + (f"?{query}" if query else ""), 303)
    database = request.app.state.database
    with database.reading() as session:
        asking = visitor(request, session)
        door = campaign_service.open_door(session, slug, asking.person)
        fields = fields_of(session, asking, door.campaign, taxon, words, state, where, (x, y, w, h))
        row = figure_here(session, door, figure_id, asking.person)[1]
        part = part_of(session, _index(request), request.app.state.images, door.campaign, row, box)
    asked = ask_with_part(settings, part)
    with database.reading() as session:
        return render(request, _of_figure(request, session, door, asking, figure_id, fields, asked, box))


def _index(request: Request) -> SimilarFigures:
    index: SimilarFigures = request.app.state.similar
    return index


def _of_figure(
    request: Request,
    session: Session,
    door: Door,
    asking: Visitor,
    figure_id: int,
    fields: Fields,
    asked: Asked | None,
    box: str | None = None,
) -> SimilarPage:
    """Return the page of what looks like a figure, or like the part of its plate that the box holds."""
    figure, row = figure_here(session, door, figure_id, asking.person)
    known = identifications.determinations(session, [figure_id])
    kept = screens.kept_back(session, door, asking.person, known, utc_now())
    named = screens.taxon_of(known[figure_id], kept)
    names = taxa.views(session, [named] if named else [], asking.language)
    shown = queries.figures(session, row.id or 0)
    own = [Box(one.box, one.number, box is None and one.id == figure_id) for one in shown]
    return SimilarPage(
        door,
        fields,
        elsewhere_of(session, asking.person, door.campaign, asked.backbone if asked else None),
        settings_of(request).max_image_bytes // 1_000_000,
        figure,
        row,
        plate_of(door.campaign.slug, row),
        (*own, Box(box, 0, True)) if box else tuple(own),
        names.get(named),
        screens.state_of(known[figure_id], kept).value,
        found=found_of(session, _index(request), door.campaign, asked, fields, asking) if asked else (),
        is_ready=asked is not None,
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
    taxon_words: Words = None,
    state: Annotated[str, Form()] = "",
    where: Annotated[str, Form()] = "",
) -> Any:
    """Show the figures that look like the sent picture. Nothing of it is kept."""
    content = image.file.read(settings.max_image_bytes + 1) if image else b""
    if not content:
        raise BadInputError("Choose a picture first.")
    if len(content) > settings.max_image_bytes:
        raise too_large(settings.max_image_bytes)
    words, index, database = taxon_words[0] if taxon_words else None, _index(request), request.app.state.database
    with database.reading() as session:
        asking = visitor(request, session)
        door = campaign_service.open_door(session, slug, asking.person)
        fields = fields_of(session, asking, door.campaign, taxon, words, state, where, None)
        backbone = index.require_backbone(session, door.campaign)
    # No session is held while the network looks: that may take seconds, and others wait for their turn.
    looked = look_at(settings, backbone, content, side=SHOWN)
    asked = Asked(looked.vector, backbone, (door.campaign,))
    with database.reading() as session:
        return render(
            request,
            SimilarPage(
                door,
                fields,
                elsewhere_of(session, asking.person, door.campaign, backbone),
                settings.max_image_bytes // 1_000_000,
                brought=data_address(looked.copy),
                found=found_of(session, index, door.campaign, asked, fields, asking),
            ),
        )


@dataclass(frozen=True)
class Part:
    """A part of a plate to ask with, and all that must be known before the network looks at it."""

    image: Path
    box: str
    backbone: str
    campaign: Campaign
    own: tuple[int, ...]
    """The plate's own figures, which may not answer."""


def part_of(
    session: Session, index: SimilarFigures, images: ImageStore, campaign: Campaign, row: Illustration, box: str
) -> Part:
    """Return a part of a plate. Raises NotReadyError where its image is not here, or before anything was embedded."""
    if not row.image_sha1 or not images.has(row.image_sha1):
        raise NotReadyError("The image of this plate is not here yet.")
    own = tuple(one.id or 0 for one in queries.figures(session, row.id or 0))
    return Part(images.path(row.image_sha1), box, index.require_backbone(session, campaign), campaign, own)


def ask_with_part(settings: Settings, part: Part) -> Asked:
    """Return the question that a part of a plate asks in its campaign. To be called while no session is held.

    Raises what ``look_at`` raises.
    """
    vector = embed_image(settings, part.backbone, part.image, part.box)
    return Asked(vector, part.backbone, (part.campaign,), part.own)


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
    """Return what looks like it where the form says, most alike first; only what this person may see.

    Asked for one taxon, a figure whose name is kept back does not answer: that would tell it.
    """
    places = similar.places(session, asking.person, campaign, fields.where, asked.backbone)
    hits = index.like(session, asked.among(places), GRID, fields.narrowed)
    ids = [one for one, _ in hits]
    around, known = queries.with_figures(session, ids), identifications.determinations(session, ids)
    kept = screens.kept_back_in(session, places, asking.person, known, utc_now())
    names = taxa.views(session, {one.taxon_qid for one in known.values() if one.taxon_qid}, asking.language)
    of = {one.id: one for one in places}
    return tuple(
        Found(
            one,
            of[around[one][0].campaign_id].slug,
            "" if around[one][0].campaign_id == campaign.id else of[around[one][0].campaign_id].title,
            around[one][1].title,
            likeness,
            names.get(screens.taxon_of(known[one], kept)),
            screens.state_of(known[one], kept).value,
            screens.is_name_kept(known[one], kept),
        )
        for one, likeness in hits
        if one in around and one in known and around[one][0].removed_at is None
        if not (fields.taxon and one in kept)
    )


def elsewhere_of(
    session: Session, person: Person | None, campaign: Campaign, backbone: str | None
) -> tuple[tuple[str, str], ...]:
    """Return where else may be searched: everywhere, and each campaign by itself; nothing if there is no other."""
    found = similar.others(session, person, campaign, backbone) if backbone else ()
    return ((EVERYWHERE, ""), *((one.slug, one.title) for one in found)) if found else ()
