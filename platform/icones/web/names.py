"""The written names of a collection: what they were found to mean, and where a curator says what they mean.

Settling a name once holds for every illustration that bears it. Each form works without JavaScript.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.db import let_go
from icones.errors import BadInputError
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.jobs.folder import state_names
from icones.jobs.taxa import keep_taxa
from icones.models import JobKind, NameAnswer, NameState, Role
from icones.names import queries
from icones.names import service as names
from icones.names.service import Shown
from icones.people import queries as people
from icones.taxa import service as taxa
from icones.taxa.service import Hit, TaxonView
from icones.web.cases import crop_address
from icones.web.naming import from_wikidata
from icones.web.render import flash, render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, PageNumber, RowId, Visitor

router = APIRouter(include_in_schema=False)

PER_PAGE = 20
LONGEST = 120
STATES = {
    "open": (NameState.OPEN,),
    "matched": (NameState.MATCHED,),
    "settled": (NameState.SETTLED, NameState.NO_TAXON),
}
View = Literal["open", "matched", "settled"]


@dataclass(frozen=True)
class NameRow:
    """One written name with all that a curator weighs."""

    id: int
    verbatim: str
    cleaned: str
    state: str
    n: int
    """How many illustrations bear it."""
    picture: str
    plate: str
    """The address of one that bears it; empty if none has a picture."""
    taxon: TaxonView | None
    matcher: str
    match_type: str
    confidence: int | None
    matched_name: str
    note: str
    settled_by: str
    candidates: tuple[Shown, ...]
    words: str
    """A typed name that was looked up for this row, for people without JavaScript."""
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Saved:
    """What was just settled, with the way back."""

    id: int
    verbatim: str
    taxon: TaxonView | None
    n: int


@dataclass(frozen=True)
class NamesPage:
    """The names of a campaign in one view: open, matched or settled."""

    template: ClassVar[str] = "pages/names.html"
    door: Door
    view: str
    counts: dict[str, int]
    rows: tuple[NameRow, ...]
    unasked: int
    is_asking: bool
    saved: Saved | None
    page: int
    last_page: int
    address: Callable[[int], str]
    section: str = "campaigns"


@router.get("/c/{slug}/names")
def names_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    view: View = "open",
    page: PageNumber = 1,
    name: RowId | None = None,
    q: str = "",
    saved: RowId | None = None,
) -> Any:
    """Show the names of one view, those on most illustrations first."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    states = queries.counts(session, key)
    counts = {one: sum(states.get(state, 0) for state in group) for one, group in STATES.items()}
    last = max(1, -(-counts[view] // PER_PAGE))
    number = min(max(1, page), last)
    found = queries.page(session, key, STATES[view], (number - 1) * PER_PAGE, PER_PAGE)
    return render(
        request,
        NamesPage(
            door=door,
            view=view,
            counts=counts,
            rows=_rows(session, door, asking, found, name, q.strip()[:LONGEST]),
            unasked=queries.unasked(session, key),
            is_asking=jobs.unfinished(session, key, JobKind.NAMES) is not None,
            saved=_saved(session, door, asking, saved) if saved else None,
            page=number,
            last_page=last,
            address=lambda n: _address(door, view, n),
        ),
    )


def _rows(
    session: Session,
    door: Door,
    asking: Visitor,
    found: list[tuple[NameAnswer, int]],
    asked: int | None,
    words: str,
) -> tuple[NameRow, ...]:
    pictures = queries.examples(session, door.campaign.id or 0, [row.verbatim for row, _ in found])
    shown = taxa.views(session, {row.taxon_qid for row, _ in found if row.taxon_qid}, asking.language)
    known = people.people(session, {row.settled_by for row, _ in found if row.settled_by})
    slug = door.campaign.slug
    rows = []
    for row, n in found:
        plate, figure = pictures.get(row.verbatim, (None, None))
        looked_up = words if row.id == asked else ""
        hits = taxa.search(session, looked_up, asking.language, door.campaign.root_taxon_qid) if looked_up else []
        rows.append(
            NameRow(
                id=row.id or 0,
                verbatim=row.verbatim,
                cleaned=row.cleaned,
                state=row.state.value,
                n=n,
                picture=crop_address(slug, figure, 160) if figure else "",
                plate=f"/c/{slug}/i/{plate}" if plate else "",
                taxon=shown.get(row.taxon_qid or ""),
                matcher=row.matcher,
                match_type=row.match_type,
                confidence=row.confidence,
                matched_name=row.matched_name,
                note=row.note,
                settled_by=known[row.settled_by].name if row.settled_by in known else "",
                candidates=names.shown_candidates(session, row, asking.language),
                words=looked_up,
                hits=tuple(hits),
            )
        )
    return tuple(rows)


def _saved(session: Session, door: Door, asking: Visitor, answer_id: int) -> Saved | None:
    """Return what was just settled, while it stands."""
    row = queries.answer(session, answer_id)
    if row is None or row.campaign_id != door.campaign.id or row.state not in names.BY_PEOPLE:
        return None
    shown = taxa.views(session, [row.taxon_qid] if row.taxon_qid else [], asking.language)
    n = queries.n_bearing(session, door.campaign.id or 0, row.verbatim)
    return Saved(row.id or 0, row.verbatim, next(iter(shown.values()), None), n)


@router.post("/c/{slug}/names/ask")
def ask_for_names(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    again: Annotated[bool, Form()] = False,
    marine: Annotated[bool, Form()] = False,
) -> Any:
    """Ask for the names to be looked up in the background."""
    door.require(Role.CURATOR)
    told = {"again": again, "marine": marine}
    runner.ask(session, JobKind.NAMES, door.campaign, utc_now(), person=asking.signed_in(), parameters=told)
    flash(request, "The names are being looked up. This page shows what was found when you load it again.", "notice")
    return RedirectResponse(_address(door, "open"), 303)


@router.post("/c/{slug}/names/{answer_id}")
def settle_name(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    answer_id: RowId,
    view: Annotated[View, Form()] = "open",
    page: Annotated[PageNumber, Form()] = 1,
    chosen: Annotated[str, Form()] = "",
    taxon: Annotated[str, Form()] = "",
    taxon_words: Annotated[str, Form()] = "",
    no_taxon: Annotated[bool, Form()] = False,
) -> Any:
    """Save what a name means: a tapped candidate, a taxon from the search, exactly typed words, or no taxon at all."""
    door.require(Role.CURATOR)
    row = names.require(session, door.campaign, answer_id)
    qid = chosen or taxon or _only_bearer(session, taxon_words)
    if no_taxon:
        names.names_no_taxon(session, row, asking.signed_in(), utc_now())
    elif qid:
        names.settle(session, row, asking.signed_in(), qid, utc_now())
    elif taxon_words.strip():
        return RedirectResponse(_address(door, view, page, name=answer_id, q=taxon_words.strip()[:LONGEST]), 303)
    else:
        raise BadInputError("Choose a taxon, type its name, or say that this names no taxon.")
    session.flush()
    state_names(session, door.campaign, utc_now())
    return RedirectResponse(_address(door, view, page, saved=answer_id), 303)


@router.post("/c/{slug}/names/{answer_id}/undo")
def undo_name(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    answer_id: RowId,
) -> Any:
    """Take a curator's word back; the name is open again."""
    door.require(Role.CURATOR)
    names.undo(session, names.require(session, door.campaign, answer_id))
    session.flush()
    state_names(session, door.campaign, utc_now())
    flash(request, "Taken back. The name is open again.", "notice")
    return RedirectResponse(_address(door, "open") + f"#name-{answer_id}", 303)


@router.post("/c/{slug}/names/{answer_id}/fetch")
def fetch_for_name(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    settings: AppSettings,
    answer_id: RowId,
    words: Annotated[str, Form()],
    view: Annotated[View, Form()] = "open",
    page: Annotated[PageNumber, Form()] = 1,
) -> Any:
    """Ask Wikidata for a scientific name that is not known here yet; the curator then chooses it."""
    door.require(Role.CURATOR)
    names.require(session, door.campaign, answer_id)
    asked = " ".join(words.split())[:LONGEST]
    if len(asked) < 3:
        raise BadInputError("Type the scientific name, at least three letters of it.")
    let_go(session)
    facts = from_wikidata(settings, asked[0].upper() + asked[1:])
    keep_taxa(session, facts.values(), utc_now())
    flash(request, "Wikidata knows it, and now Icones does too. Choose it below.", "success")
    return RedirectResponse(_address(door, view, page, name=answer_id, q=asked), 303)


def _only_bearer(session: Session, words: str) -> str:
    return taxa.resolve(session, [words]).get(words, "") if words.strip() else ""


def _address(door: Door, view: str, page: int = 1, **query: Any) -> str:
    told = {"view": view if view != "open" else "", "page": page if page > 1 else "", **query}
    kept = {name: value for name, value in told.items() if value}
    anchor = f"#name-{query['name']}" if query.get("name") else ""
    return f"/c/{door.campaign.slug}/names" + (f"?{urlencode(kept)}" if kept else "") + anchor
