"""A plate with its figures and their history, and the pictures themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from sqlmodel import Session

from active_learning import ImageError
from icones.campaigns.service import Door
from icones.errors import NotFoundError
from icones.identifications import queries as identifications
from icones.illustrations import queries, service
from icones.illustrations.store import SHOWN_SIDE, ImageStore
from icones.learning import queries as learning
from icones.learning import service as learning_service
from icones.learning.service import Suggestions
from icones.models import DepictsStatement, Determination, Figure, Illustration, IllustrationState, Person
from icones.names import service as names
from icones.paths import bundled
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.cases import Alike, Box, Plate, crop_address, plate_of
from icones.web.chronicle import Event, chronicle, rule_words
from icones.web.edit_rows import EditRow, of_file
from icones.web.render import render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, Visitor

router = APIRouter(include_in_schema=False)


class Side(IntEnum):
    """The longest side of a picture in pixels: a few sizes, so that nobody fills the disk with all of them."""

    THUMB = 160
    CARD = 320
    LARGE = 640
    PAGE = 1200
    FULL = 2400


NO_IMAGE = bundled("static") / "no-image.svg"
"""Shown in the place of an image that is not here."""
STRIP = 8


@dataclass(frozen=True)
class FigureRow:
    """One figure of a plate with where it stands."""

    figure_id: int
    number: int
    picture: str
    state: str
    answer: str | None
    taxon: TaxonView | None
    rule: str
    best: TaxonView | None
    """What the serving model thinks, while people have not said."""
    probability: float | None
    says: Suggestions | None
    """All that it says, of the figure whose history is shown."""
    is_current: bool
    edits: tuple[EditRow, ...]
    """What we say, or shall say, of it on Commons; the latest word last."""


@dataclass(frozen=True)
class Stated:
    """What the source says the plate depicts."""

    qid: str
    taxon: TaxonView | None


@dataclass(frozen=True)
class IllustrationPage:
    """All that is known of a plate."""

    template: ClassVar[str] = "pages/illustration.html"
    door: Door
    illustration: Illustration
    plate: Plate
    boxes: tuple[Box, ...]
    figures: tuple[FigureRow, ...]
    current: FigureRow | None
    events: tuple[Event, ...]
    stated: tuple[Stated, ...]
    collection_taxon: TaxonView | None
    """What the name at the source was found to mean; a suggestion of the collection, never an identification."""
    similar: tuple[Alike, ...]
    address: Callable[[int], str]
    section: str = "campaigns"


@router.get("/c/{slug}/i/{illustration_id}")
def illustration_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    illustration_id: int,
    figure: int | None = None,
) -> Any:
    """Show a plate, its figures and the history of one of them: the named one, else the first."""
    row = _illustration(session, door, illustration_id, asking.person)
    known = queries.determined(session, [illustration_id]).get(illustration_id, [])
    shown = next((one for one, _ in known if one.id == figure), known[0][0] if known else None)
    stated = [
        one
        for one in queries.statements(session, [illustration_id]).get(illustration_id, [])
        if one.rank != "deprecated"
    ]
    edits = of_file(session, settings, door.campaign, row, asking.language)
    rows = _rows(session, door, known, shown, edits, asking.language)
    return render(
        request,
        IllustrationPage(
            door=door,
            illustration=row,
            plate=plate_of(door.campaign.slug, row),
            boxes=tuple(Box(one.box, one.number, one is shown) for one, _ in known),
            figures=rows,
            current=next((one for one in rows if one.is_current), None),
            events=chronicle(session, row, [shown] if shown else [], asking.person, asking.language),
            stated=_stated(session, stated, asking.language),
            collection_taxon=names.taxon_of(session, door.campaign, row.verbatim_name, asking.language),
            similar=_alike(request, session, door, shown.id or 0, asking, STRIP) if shown else (),
            address=lambda number: f"/c/{door.campaign.slug}/i/{illustration_id}?figure={number}#figures",
        ),
    )


def _rows(
    session: Session,
    door: Door,
    known: list[tuple[Figure, Determination]],
    shown: Figure | None,
    edits: Mapping[int, tuple[EditRow, ...]],
    language: str,
) -> tuple[FigureRow, ...]:
    champion = learning.champion(session, door.campaign.id or 0)
    said = learning.predictions_of(session, champion.id or 0, [one.id or 0 for one, _ in known]) if champion else {}
    best = {figure_id: one.ranked[0] for figure_id, one in said.items() if one.ranked}
    qids = {one.taxon_qid for _, one in known if one.taxon_qid} | {one["qid"] for one in best.values()}
    names = taxa.views(session, qids, language)
    held = said.get(shown.id or 0) if shown else None
    says = learning_service.told(session, door.campaign, held, champion, language) if champion and held else None
    return tuple(
        FigureRow(
            figure.id or 0,
            figure.number,
            crop_address(door.campaign.slug, figure.id or 0, 160),
            one.state.value,
            one.answer.value if one.answer else None,
            names.get(one.taxon_qid or ""),
            rule_words(one.rule, language),
            names.get(best[figure.id or 0]["qid"]) if figure.id in best else None,
            best[figure.id or 0]["p"] if figure.id in best else None,
            says if figure is shown else None,
            figure is shown,
            edits.get(figure.id or 0, ()),
        )
        for figure, one in known
    )


def _stated(session: Session, rows: list[DepictsStatement], language: str) -> tuple[Stated, ...]:
    names = taxa.views(session, {one.qid for one in rows if one.qid}, language)
    return tuple(Stated(one.qid, names.get(one.qid)) for one in rows if one.qid)


def _alike(
    request: Request, session: Session, door: Door, figure_id: int, asking: Visitor, most: int
) -> tuple[Alike, ...]:
    """Return the figures of the campaign that look like this one, most alike first; the index is a local file."""
    found = request.app.state.similar.search(session, door.campaign, figure_id, most)
    ids = [one for one, _ in found]
    around, known = queries.with_figures(session, ids), identifications.determinations(session, ids)
    names = taxa.views(session, {one.taxon_qid for one in known.values() if one.taxon_qid}, asking.language)
    return tuple(
        Alike(one, around[one][1].id or 0, likeness, names.get(known[one].taxon_qid or ""), known[one].state.value)
        for one, likeness in found
        if one in around and one in known and around[one][0].removed_at is None
    )


@router.get("/c/{slug}/f/{figure_id}")
def figure_page(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, figure_id: int) -> Any:
    """Go to a figure's plate."""
    _, row = figure_here(session, door, figure_id, asking.person)
    return RedirectResponse(f"/c/{door.campaign.slug}/i/{row.id}?figure={figure_id}", 303)


@router.get("/c/{slug}/i/{illustration_id}/image")
def illustration_image(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    illustration_id: int,
    side: Side = Side.PAGE,
) -> Response:
    """Return a plate's picture, at most ``side`` pixels wide and high."""
    return _picture(request, _illustration(session, door, illustration_id, asking.person), None, side)


@router.get("/c/{slug}/f/{figure_id}/image")
def figure_image(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    figure_id: int,
    side: Side = Side.CARD,
) -> Response:
    """Return a figure's picture: its box, else the whole plate."""
    figure, row = figure_here(session, door, figure_id, asking.person)
    return _picture(request, row, figure.box, side)


def _picture(request: Request, row: Illustration, box: str | None, side: int) -> Response:
    # The address stays when the file on Commons gets new bytes, so browsers ask again after a day; the tag says
    # at once whether anything changed. Private, as a session's cookie decides who may see it.
    tag = f'"{row.image_sha1}-{box or "whole"}-{side}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=86400"}
    if row.image_sha1 and tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    try:
        path = _file(request.app.state.images, row, box, side)
    except ImageError:
        # Browsers show the picture that comes with a "not found"; it is asked for again with the next page.
        return FileResponse(NO_IMAGE, 404, {"Cache-Control": "no-store"}, media_type="image/svg+xml")
    return FileResponse(path, media_type="image/jpeg", headers=headers)


def _file(store: ImageStore, row: Illustration, box: str | None, side: int) -> Path:
    """Return the file to show; ImageError where the image is yet to be fetched, lost or damaged."""
    if not row.image_sha1:
        raise ImageError("The image is yet to be fetched.")
    if box is not None:
        return store.crop(row.image_sha1, box, side)
    if side >= SHOWN_SIDE and store.has(row.image_sha1):
        return store.path(row.image_sha1)
    return store.thumbnail(row.image_sha1, side)


def _illustration(session: Session, door: Door, illustration_id: int, person: Person | None) -> Illustration:
    row, opened = service.open_illustration(session, illustration_id, person)
    if opened.campaign.id != door.campaign.id or (row.state is IllustrationState.REFUSED and not door.is_curator):
        raise NotFoundError("There is no such illustration in this campaign.")
    return row


def figure_here(session: Session, door: Door, figure_id: int, person: Person | None) -> tuple[Figure, Illustration]:
    """Return a figure of this campaign with its illustration, or say that there is none."""
    opened = service.open_figure(session, figure_id, person)
    if opened.door.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such figure in this campaign.")
    return opened.figure, opened.illustration
