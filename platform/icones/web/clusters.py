"""The specialists' page of look-alikes: pictures that nobody has named yet, a group at a time, named in one go.

Nothing is asked of a model here: groups and predictions are stored when a model is published.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.db import Database, let_go
from icones.illustrations import queries as illustration_queries
from icones.learning import clusters
from icones.learning import queries as learning_queries
from icones.learning.clusters import Group
from icones.models import Answer, Confidence, Identification, Role
from icones.review import service as review
from icones.taxa import service as taxa
from icones.taxa.service import Hit, TaxonView
from icones.web.cases import crop_address
from icones.web.render import flash, render
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession, RowId, Visitor

router = APIRouter(include_in_schema=False)

ALL, FIELD = "all", "field"
SUGGESTED = 5
"""So many taxa are offered as filters: those that the model suggests for most groups."""
EXAMPLES = 2


@dataclass(frozen=True)
class Tile:
    """One picture of a group."""

    figure_id: int
    illustration_id: int
    title: str
    picture: str
    large: str
    """The address of the same picture to look at closely."""
    is_ticked: bool


@dataclass(frozen=True)
class Majority:
    """What the model would say of most pictures of a group."""

    taxon: TaxonView
    n: int
    share: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class GroupView:
    """The group that is asked now."""

    number: int
    tiles: tuple[Tile, ...]
    majority: Majority | None
    n_ticked: int


@dataclass(frozen=True)
class Chip:
    """A way to see fewer groups, with how many there are."""

    show: str
    taxon: TaxonView | None
    count: int


@dataclass(frozen=True)
class JustNamed:
    """What one form said, with the way back."""

    identification_id: int
    n: int
    answer: str
    taxon: TaxonView | None
    counts_as: str


@dataclass(frozen=True)
class ClustersPage:
    """One group of look-alikes and the question what they are; or, without a group, that none waits."""

    template: ClassVar[str] = "pages/clusters.html"
    door: Door
    group: GroupView | None
    n_groups: int
    is_all: bool
    chips: tuple[Chip, ...]
    show: str
    named: JustNamed | None
    form_id: str
    words: str = ""
    """A typed name that was looked up, for people without JavaScript."""
    hits: tuple[Hit, ...] = ()
    confidence: str = Confidence.SURE.value
    comment: str = ""
    section: str = "campaigns"


@dataclass(frozen=True)
class ClustersFragment(ClustersPage):
    """The same, without the frame around it."""

    template: ClassVar[str] = "fragments/clusters.html"


@dataclass(frozen=True)
class Asked:
    """What a request wants to see."""

    show: str = ""
    number: int | None = None
    saved: int | None = None
    words: str = ""
    ticked: frozenset[int] | None = None
    """None for all: what a form without a name had ticked is still ticked when the names are looked up."""
    leave: frozenset[int] = field(default_factory=frozenset)
    confidence: Confidence = Confidence.SURE
    comment: str = ""


@router.get("/c/{slug}/clusters")
def clusters_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    show: str = "",
    group: RowId | None = None,
    saved: RowId | None = None,
) -> Any:
    """Ask what the pictures of a group are: the given group, else the largest that waits."""
    door.require(Role.SPECIALIST)
    return _show(request, session, door, asking, Asked(show, group, saved))


@router.post("/c/{slug}/clusters/undo")
def undo(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    identification: Annotated[RowId, Form()],
    show: Annotated[str, Form()] = "",
) -> Any:
    """Take all back that one form said, and return to its group."""
    door.require(Role.SPECIALIST)
    together = clusters.said_together(session, asking.signed_in(), identification)
    n = clusters.undo(session, door, asking.signed_in(), identification, utc_now())
    number = together[0].shown["cluster"]
    if asking.is_htmx:
        return _show_after(request, session, door, asking, Asked(show, number))
    if n > 1:
        flash(request, "Taken back. Here they are again.", "notice")
    else:
        flash(request, "Taken back. Here it is again.", "notice")
    return RedirectResponse(_address(door, show=show, group=number), 303)


@router.post("/c/{slug}/clusters/{number}")
def name_group(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    number: RowId,
    submission_id: Annotated[str, Form()],
    figure: Annotated[list[RowId] | None, Form()] = None,
    chosen: Annotated[str, Form()] = "",
    taxon: Annotated[str, Form()] = "",
    taxon_words: Annotated[str, Form()] = "",
    answer: Annotated[Answer | None, Form()] = None,
    confidence: Annotated[Confidence, Form()] = Confidence.SURE,
    comment: Annotated[str, Form()] = "",
    n_shown: Annotated[int, Form(ge=0, le=1000)] = 0,
    aside: Annotated[bool, Form()] = False,
    show: Annotated[str, Form()] = "",
) -> Any:
    """Say of all ticked pictures what they are, or set the group aside for a week, and ask the next one.

    ``chosen`` is a tapped name, ``taxon`` one picked from the search, ``taxon_words`` what was typed there: if exactly
    one taxon bears that name it is taken, else the names like it are shown to choose from, with the ticks as they were.
    """
    door.require(Role.SPECIALIST)
    person, ticked, words = asking.signed_in(), frozenset(figure or ()), taxon_words.strip()
    if aside:
        clusters.set_aside(session, door, person, number, utc_now())
        return _onward(request, session, door, asking, Asked(show))
    qid = chosen or taxon or (taxa.resolve(session, [words]).get(words, "") if words else "")
    if answer is None and not qid:
        if not words:
            flash(request, "Choose a name for these pictures, or say what else they are.", "warning")
        again = Asked(show, number, words=words, ticked=ticked, confidence=confidence, comment=comment)
        return _show_after(request, session, door, asking, again)
    kind = answer or Answer.TAXON
    said = clusters.Form(
        submission_id, kind, qid if kind is Answer.TAXON else None, confidence, comment, n_shown or len(ticked)
    )
    done = clusters.name_all(session, door, person, number, ticked, said, utc_now())
    return _onward(request, session, door, asking, Asked(show, saved=done.identifications[0].id))


def _onward(request: Request, session: Session, door: Door, asking: Visitor, asked: Asked) -> Response:
    """Go on after a form: by a fragment for htmx, else by another address."""
    if not asking.is_htmx:
        return RedirectResponse(_address(door, show=asked.show, saved=asked.saved), 303)
    response = _show_after(request, session, door, asking, asked)
    response.headers["HX-Replace-Url"] = _address(door, show=asked.show)
    return response


def _show_after(request: Request, session: Session, door: Door, asking: Visitor, asked: Asked) -> Response:
    """Answer a form: what it did is kept first, so that nobody's writing waits while the next group is looked for."""
    let_go(session)
    database: Database = request.app.state.database
    with database.reading() as reading:
        return _show(request, reading, door, asking, asked)


def _show(request: Request, session: Session, door: Door, asking: Visitor, asked: Asked) -> Response:
    person, language = asking.signed_in(), asking.language
    waiting = clusters.waiting(session, door.campaign, person, utc_now())
    known = review.field_of(session, door, person)
    in_field = clusters.within(session, waiting.groups, known) if known else list(waiting.groups)
    show = asked.show or (FIELD if known else ALL)
    groups = _filtered(waiting.groups, in_field, show)
    current = next((one for one in waiting.groups if one.number == asked.number), groups[0] if groups else None)
    together = clusters.said_together(session, person, asked.saved) if asked.saved else []
    suggested = {one.suggested for one in waiting.groups if one.suggested}
    named = {row.taxon_qid for row in together if row.taxon_qid}
    names = taxa.views(session, suggested | named, language)
    kind = ClustersFragment if asking.is_htmx else ClustersPage
    page = kind(
        door=door,
        group=_view(session, door, current, names, asked.ticked) if current else None,
        n_groups=len(groups),
        is_all=waiting.is_all,
        chips=_chips(waiting.groups, in_field, known, names),
        show=show,
        named=_just_named(together, names),
        form_id=str(uuid.uuid4()),
        words=asked.words,
        hits=tuple(taxa.search(session, asked.words, language, door.campaign.root_taxon_qid)) if asked.words else (),
        confidence=asked.confidence.value,
        comment=asked.comment,
    )
    return render(request, page)


def _filtered(groups: Sequence[Group], in_field: Sequence[Group], show: str) -> list[Group]:
    if show == FIELD:
        return list(in_field)
    return [one for one in groups if show == ALL or one.suggested == show]


def _chips(
    groups: Sequence[Group], in_field: Sequence[Group], known: Collection[str], names: dict[str, TaxonView]
) -> tuple[Chip, ...]:
    counts = Counter(one.suggested for one in groups if one.suggested in names)
    often = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))[:SUGGESTED]
    first = [Chip(FIELD, None, len(in_field))] if known else []
    return (*first, Chip(ALL, None, len(groups)), *(Chip(str(qid), names[str(qid)], n) for qid, n in often))


def _view(
    session: Session, door: Door, group: Group, names: dict[str, TaxonView], ticked: frozenset[int] | None
) -> GroupView:
    rows = illustration_queries.with_figures(session, group.figure_ids)
    slug = door.campaign.slug
    tiles = tuple(
        Tile(
            one,
            rows[one][1].id or 0,
            rows[one][1].title,
            crop_address(slug, one),
            crop_address(slug, one, 1200),
            ticked is None or one in ticked,
        )
        for one in group.figure_ids
    )
    return GroupView(group.number, tiles, _majority(session, door, group, names), sum(one.is_ticked for one in tiles))


def _majority(session: Session, door: Door, group: Group, names: dict[str, TaxonView]) -> Majority | None:
    taxon = names.get(group.suggested or "")
    if taxon is None:
        return None
    shown = learning_queries.examples(session, door.campaign.id or 0, [taxon.qid], EXAMPLES).get(taxon.qid, ())
    examples = tuple(crop_address(door.campaign.slug, one, 160) for one, _ in shown)
    return Majority(taxon, group.n_suggested, group.n_suggested / len(group.figure_ids), examples)


def _just_named(together: Sequence[Identification], names: dict[str, TaxonView]) -> JustNamed | None:
    if not together:
        return None
    row = together[0]
    taxon = names.get(row.taxon_qid or "")
    return JustNamed(row.id or 0, len(together), row.answer.value, taxon, row.given_as.value)


def _address(door: Door, **query: Any) -> str:
    told = {name: value for name, value in query.items() if value}
    return f"/c/{door.campaign.slug}/clusters" + (f"?{urlencode(told)}" if told else "")
