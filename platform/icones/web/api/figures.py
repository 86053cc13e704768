"""Figures: what is known of them, what looks alike, and what people say of them; and the search for names."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.errors import NotFoundError
from icones.identifications import queries as identification_queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.illustrations import queries as illustration_queries
from icones.illustrations import service as illustrations
from icones.jobs.identify import embed_image
from icones.learning.similar import Asked, Narrowed, SimilarFigures, places
from icones.models import Campaign, DeterminationState
from icones.review import service as review
from icones.taxa import service as taxa
from icones.web import screens
from icones.web.api.answers import (
    detail_out,
    determination_out,
    determinations_out,
    figure_out,
    identification_out,
    problems,
    taxon_out,
)
from icones.web.api.shapes import (
    BoxIn,
    DeterminationOut,
    FigureDetailOut,
    FigureOut,
    HitOut,
    IdentificationIn,
    SimilarOut,
    SubmittedOut,
    TaxonOut,
)
from icones.web.similar import ask_with_part, part_of
from icones.web.uploads import BEYOND_ANY, BytesRoute, sent_image
from icones.web.visitor import AppSettings, CurrentVisitor, DbSession, RowId, Visitor, visitor

router = APIRouter()
uploads = APIRouter(route_class=BytesRoute, max_body_size=BEYOND_ANY)

Limit = Annotated[int, Query(ge=1, le=100)]
WithinTaxon = Annotated[str, Query(description="Only figures determined as this taxon (Q-id) or one below it.")]
InState = Annotated[list[DeterminationState] | None, Query(description="Only figures in one of these states.")]
Where = Annotated[
    str,
    Query(description="Another campaign's short name, or `*` for all that you may see; empty for the figure's own."),
]


@dataclass(frozen=True)
class Wanted:
    """How many figures a search may find, and which."""

    limit: Limit = 12
    taxon: WithinTaxon = ""
    state: InState = None
    where: Where = ""

    def narrowed(self, session: Session) -> Narrowed:
        """Return which ones, by the taxon's present Q-id. Raises NotFoundError for a taxon that is not known."""
        qid = taxa.current(session, [taxa.require(session, self.taxon).qid])[self.taxon] if self.taxon else None
        return Narrowed(qid, frozenset(self.state or ()))


Search = Annotated[Wanted, Depends()]


@router.get("/figures/{figure_id}", responses=problems(404), summary="Read a figure", tags=["figures"])
def read_figure(session: DbSession, settings: AppSettings, asking: CurrentVisitor, figure_id: RowId) -> FigureDetailOut:
    """Give a figure with everything ever said of it and what the serving model thinks.

    All of this is left out while your own answer would be one of the first (`blind_votes` of the rules), which are
    given without seeing any; `determination.kept_back` says so. Specialists always get it.
    """
    opened = illustrations.open_figure(session, figure_id, asking.person)
    return detail_out(
        session, settings, opened.door, opened.figure, opened.illustration, asking.person, asking.language
    )


@router.get(
    "/figures/{figure_id}/similar",
    responses=problems(404),
    summary="Figures that look like it",
    tags=["figures"],
)
def similar(
    request: Request,
    session: DbSession,
    asking: CurrentVisitor,
    figure_id: RowId,
    wanted: Search,
) -> list[SimilarOut]:
    """List the figures that look most like this one; empty before they were looked at."""
    opened = illustrations.open_figure(session, figure_id, asking.person)
    campaign, index = opened.door.campaign, request.app.state.similar
    asked = index.asked(session, campaign, figure_id)
    narrowed = wanted.narrowed(session)
    return _similar(session, index, asking, campaign, asked, narrowed, wanted) if asked else []


@router.post(
    "/figures/{figure_id}/similar",
    responses=problems(403, 404, 409, 503),
    summary="Figures that look like a part of its plate",
    tags=["figures"],
)
def similar_to_part(
    request: Request,
    settings: AppSettings,
    figure_id: RowId,
    box: Annotated[str, Query(min_length=1, max_length=80, description="The part, in per cent: `pct:x,y,w,h`.")],
    wanted: Search,
) -> list[SimilarOut]:
    """List the figures that look most like a part of this figure's plate. Nothing is kept."""
    index, database = request.app.state.similar, request.app.state.database
    checked = illustrations.check_box(box) or ""
    with database.reading() as session:
        asking = visitor(request, session)
        opened = illustrations.open_figure(session, figure_id, asking.person)
        campaign, narrowed = opened.door.campaign, wanted.narrowed(session)
        part = part_of(session, index, request.app.state.images, campaign, opened.illustration, checked)
    asked = ask_with_part(settings, part)
    with database.reading() as session:
        return _similar(session, index, asking, campaign, asked, narrowed, wanted)


@uploads.post(
    "/campaigns/{slug}/similar",
    responses=problems(403, 404, 409, 503),
    summary="Figures that look like an image",
    tags=["figures"],
    openapi_extra={
        "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def similar_to_image(
    request: Request,
    settings: AppSettings,
    content: Annotated[bytes, Depends(sent_image)],
    slug: str,
    wanted: Search,
) -> list[SimilarOut]:
    """List the figures that look most like the image whose bytes are sent. Nothing of it is kept."""
    index, database = request.app.state.similar, request.app.state.database
    with database.reading() as session:
        asking = visitor(request, session)
        campaign = campaigns.open_door(session, slug, asking.person).campaign
        narrowed, backbone = wanted.narrowed(session), index.require_backbone(session, campaign)
    # No session is held while the network looks: that may take seconds, and others wait for their turn.
    asked = Asked(embed_image(settings, backbone, content), backbone, (campaign,))
    with database.reading() as session:
        return _similar(session, index, asking, campaign, asked, narrowed, wanted)


router.include_router(uploads)


def _similar(
    session: Session,
    index: SimilarFigures,
    asking: Visitor,
    campaign: Campaign,
    asked: Asked,
    narrowed: Narrowed,
    wanted: Wanted,
) -> list[SimilarOut]:
    among = places(session, asking.person, campaign, wanted.where, asked.backbone)
    found = index.like(session, asked.among(among), wanted.limit, narrowed)
    known = identification_queries.determinations(session, [one for one, _ in found])
    told = determinations_out(session, among, asking.person, known, asking.language)
    return [
        SimilarOut(figure_id=one, likeness=likeness, determination=told.get(one))
        for one, likeness in found
        # Asked for one taxon, a figure whose name is kept back does not answer: that would tell it.
        if not (narrowed.taxon_qid and one in told and told[one].kept_back)
    ]


@router.post(
    "/figures/{figure_id}/identifications",
    status_code=201,
    responses=problems(401, 403, 404, 409),
    summary="Say what it is",
    tags=["figures"],
)
def submit(session: DbSession, asking: CurrentVisitor, figure_id: RowId, said: IdentificationIn) -> SubmittedOut:
    """Give one's identification. An earlier one of the same person is superseded; the same form twice is one."""
    person = asking.signed_in()
    door = illustrations.open_figure(session, figure_id, person).door
    now = utc_now()
    submission = Submission(
        said.submission_id,
        said.answer,
        said.taxon_qid,
        said.confidence,
        said.comment,
        screens.on_tag_page(session, door, person, figure_id, said.model_version_id, now),
        said.disagrees,
    )
    done = identifications.submit(session, person, figure_id, submission, now)
    return SubmittedOut(
        identification=identification_out(done.identification, person, person),
        determination=determination_out(done.determination),
        is_repeat=done.is_repeat,
    )


@router.delete(
    "/identifications/{identification_id}",
    responses=problems(401, 403, 404),
    summary="Take an identification back",
    tags=["figures"],
)
def withdraw(session: DbSession, asking: CurrentVisitor, identification_id: RowId) -> DeterminationOut:
    """Withdraw one's own identification and give the figure's state without it. It stays in the history."""
    return determination_out(identifications.withdraw(session, asking.signed_in(), identification_id, utc_now()))


@router.post(
    "/figures/{figure_id}/skip",
    status_code=204,
    responses=problems(401, 403, 404),
    summary="Pass it over",
    tags=["figures"],
)
def skip(session: DbSession, asking: CurrentVisitor, figure_id: RowId) -> None:
    """Pass a figure over: it is not offered to this person for a week."""
    review.skip(session, asking.signed_in(), figure_id, utc_now())


@router.post(
    "/illustrations/{illustration_id}/figures",
    status_code=201,
    responses=problems(401, 403, 404),
    summary="Add another figure",
    tags=["figures"],
)
def add_figure(
    session: DbSession, settings: AppSettings, asking: CurrentVisitor, illustration_id: RowId, where: BoxIn
) -> FigureOut:
    """Say that another organism is on an illustration, with its box if one is known."""
    figure = illustrations.add_figure(session, illustration_id, asking.signed_in(), where.box, utc_now())
    row, door = illustrations.open_illustration(session, illustration_id, asking.person)
    known = identification_queries.determinations(session, [figure.id or 0])
    states = determinations_out(session, [door.campaign], asking.person, known, asking.language)
    return figure_out(settings, door.campaign.slug, figure, row, states[figure.id or 0])


@router.get(
    "/illustrations/{illustration_id}/figures",
    responses=problems(404),
    summary="Figures of an illustration",
    tags=["figures"],
)
def figures_of(
    session: DbSession, settings: AppSettings, asking: CurrentVisitor, illustration_id: RowId
) -> list[FigureOut]:
    """List the figures on one illustration."""
    row, door = illustrations.open_illustration(session, illustration_id, asking.person)
    found = illustration_queries.figures(session, illustration_id)
    known = identification_queries.determinations(session, [one.id or 0 for one in found])
    states = determinations_out(session, [door.campaign], asking.person, known, asking.language)
    return [figure_out(settings, door.campaign.slug, one, row, states[one.id or 0]) for one in found]


@router.get("/taxa", responses=problems(404), summary="Search names", tags=["taxa"])
def search_taxa(
    session: DbSession,
    asking: CurrentVisitor,
    q: Annotated[str, Query(min_length=1, max_length=200, description="A scientific or vernacular name, or a part.")],
    campaign: Annotated[str, Query(description="Taxa in the scope of this campaign first.")] = "",
    language: Annotated[str, Query(pattern="^[a-z]{2,3}$", description="Of vernacular names.")] = "en",
    limit: Annotated[int, Query(ge=1, le=50)] = 12,
) -> list[HitOut]:
    """Find the taxa that a name may mean, best first; slips of the finger are forgiven."""
    root = campaigns.open_door(session, campaign, asking.person).campaign.root_taxon_qid if campaign else None
    return [
        HitOut(
            taxon=taxon_out(hit.taxon),
            found_by=hit.found_by,
            closeness=hit.closeness,
            is_synonym=hit.is_synonym,
            is_outside=hit.is_outside,
        )
        for hit in taxa.search(session, q, language, root, limit)
    ]


@router.get("/taxa/{qid}", responses=problems(404), summary="Read a taxon", tags=["taxa"])
def read_taxon(
    session: DbSession,
    qid: str,
    language: Annotated[str, Query(pattern="^[a-z]{2,3}$")] = "en",
) -> TaxonOut:
    """Give one taxon with its lineage."""
    found = taxa.views(session, {qid}, language).get(qid)
    if found is None:
        raise NotFoundError(f"{qid} is not a taxon that Icones knows yet.")
    return taxon_out(found)
