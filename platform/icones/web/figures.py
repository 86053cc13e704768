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
from icones.clock import utc_now
from icones.errors import NotFoundError
from icones.identifications import queries as identifications
from icones.identifications.blind import SETTLED
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
from icones.web import screens
from icones.web.cases import Alike, Box, Plate, crop_address, plate_of
from icones.web.chronicle import Event, chronicle, rule_words
from icones.web.edit_rows import EditRow, of_file
from icones.web.render import render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId, Visitor

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
    is_kept_back: bool
    """Whether what others and the model say of it is not shown to this person yet."""


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
    why_kept_back: str
    """In a sentence, why the answers on a figure are kept back."""
    is_early: bool
    """Whether this person sees, as a specialist or curator, what volunteers do not see yet."""
    section: str = "campaigns"


@router.get("/c/{slug}/i/{illustration_id}")
def illustration_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    illustration_id: RowId,
    figure: RowId | None = None,
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
    states = {one.figure_id: one for _, one in known}
    kept = screens.kept_back(session, door, asking.person, states, utc_now())
    rows = _rows(session, door, known, shown, edits, kept, asking.language)
    hides = shown is not None and shown.id in kept
    newcomers = screens.voted_blind(session, door.campaign, None, states)
    # What the source says of a settled figure may be our own word, which we wrote there.
    tells_source = not any(states[one].state in SETTLED for one in kept)
    return render(
        request,
        IllustrationPage(
            door=door,
            illustration=row,
            plate=plate_of(door.campaign.slug, row),
            boxes=tuple(Box(one.box, one.number, one is shown) for one, _ in known),
            figures=rows,
            current=next((one for one in rows if one.is_current), None),
            events=chronicle(
                session,
                row,
                [shown] if shown and not hides else [],
                asking.person,
                asking.language,
                with_source=tells_source,
            ),
            stated=_stated(session, stated if tells_source else [], asking.language),
            collection_taxon=names.taxon_of(session, door.campaign, row.verbatim_name, asking.language),
            similar=_alike(request, session, door, shown.id or 0, asking, STRIP, hides=hides) if shown else (),
            address=lambda number: f"/c/{door.campaign.slug}/i/{illustration_id}?figure={number}#figures",
            why_kept_back=screens.why_kept_back(door.campaign, asking.language),
            is_early=door.is_specialist and shown is not None and shown.id in newcomers,
        ),
    )


def _rows(
    session: Session,
    door: Door,
    known: list[tuple[Figure, Determination]],
    shown: Figure | None,
    edits: Mapping[int, tuple[EditRow, ...]],
    kept: frozenset[int],
    language: str,
) -> tuple[FigureRow, ...]:
    champion = learning.champion(session, door.campaign.id or 0)
    open_ones = [one.id or 0 for one, _ in known if one.id not in kept]
    said = learning.predictions_of(session, champion.id or 0, open_ones) if champion else {}
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
            screens.state_of(one, kept).value,
            one.answer.value if one.answer and figure.id not in kept else None,
            names.get(screens.taxon_of(one, kept)),
            "" if figure.id in kept else rule_words(one.rule, language),
            names.get(best[figure.id or 0]["qid"]) if figure.id in best else None,
            best[figure.id or 0]["p"] if figure.id in best else None,
            says if figure is shown else None,
            figure is shown,
            () if figure.id in kept else edits.get(figure.id or 0, ()),
            figure.id in kept,
        )
        for figure, one in known
    )


def _stated(session: Session, rows: list[DepictsStatement], language: str) -> tuple[Stated, ...]:
    names = taxa.views(session, {one.qid for one in rows if one.qid}, language)
    return tuple(Stated(one.qid, names.get(one.qid)) for one in rows if one.qid)


def _alike(
    request: Request, session: Session, door: Door, figure_id: int, asking: Visitor, most: int, *, hides: bool
) -> tuple[Alike, ...]:
    """Return the figures of the campaign that look like this one, most alike first; the index is a local file.

    With ``hides`` without their names: what looks most like it is nearly what the model would say.
    """
    found = request.app.state.similar.search(session, door.campaign, figure_id, most)
    ids = [one for one, _ in found]
    around, known = queries.with_figures(session, ids), identifications.determinations(session, ids)
    kept = screens.kept_back(session, door, asking.person, known, utc_now())
    unnamed = kept | known.keys() if hides else kept
    names = taxa.views(session, {one.taxon_qid for one in known.values() if one.taxon_qid}, asking.language)
    return tuple(
        Alike(
            one,
            around[one][1].id or 0,
            likeness,
            names.get(screens.taxon_of(known[one], unnamed)),
            screens.state_of(known[one], kept).value,
            (hides and known[one].taxon_qid is not None) or screens.is_name_kept(known[one], kept),
        )
        for one, likeness in found
        if one in around and one in known and around[one][0].removed_at is None
    )


@router.get("/c/{slug}/f/{figure_id}")
def figure_page(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, figure_id: RowId) -> Any:
    """Go to a figure's plate."""
    _, row = figure_here(session, door, figure_id, asking.person)
    return RedirectResponse(f"/c/{door.campaign.slug}/i/{row.id}?figure={figure_id}", 303)


@router.get("/c/{slug}/i/{illustration_id}/image")
def illustration_image(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    illustration_id: RowId,
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
    figure_id: RowId,
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
