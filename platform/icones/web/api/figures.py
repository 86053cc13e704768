"""Figures: what is known of them, what looks alike, and what people say of them; and the search for names."""

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
from icones.learning.similar import Asked, Narrowed, SimilarFigures, places
from icones.models import Campaign, DeterminationState, Person
from icones.review import service as review
from icones.taxa import service as taxa
from icones.web import screens
from icones.web.api.answers import (
    detail_out,
    determination_out,
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
from icones.web.similar import ask_with_box, ask_with_image, sent_image
from icones.web.visitor import AppSettings, CurrentVisitor, DbSession, visitor

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=100)]
WithinTaxon = Annotated[str, Query(description="Only figures determined as this taxon (Q-id) or one below it.")]
InState = Annotated[list[DeterminationState] | None, Query(description="Only figures in one of these states.")]
Where = Annotated[
    str,
    Query(description="Another campaign's short name, or `*` for all that you may see; empty for the figure's own."),
]


@router.get("/figures/{figure_id}", responses=problems(404), summary="Read a figure", tags=["figures"])
def read_figure(session: DbSession, settings: AppSettings, asking: CurrentVisitor, figure_id: int) -> FigureDetailOut:
    """Give a figure with everything ever said of it and what the serving model thinks.

    The model's answer is left out, as on the tag page, while too few others have named the figure (`blind_votes` of the
    rules); specialists always get it.
    """
    opened = illustrations.open_figure(session, figure_id, asking.person)
    return detail_out(
        session, settings, opened.door, opened.figure, opened.illustration, asking.person, asking.language
    )


@router.get(
    "/figures/{figure_id}/similar", responses=problems(404, 409), summary="Figures that look like it", tags=["figures"]
)
def similar(
    request: Request,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    figure_id: int,
    limit: Limit = 12,
    taxon: WithinTaxon = "",
    state: InState = None,
    where: Where = "",
    box: Annotated[
        str, Query(max_length=80, description="Only this part of its plate is asked about: `pct:x,y,w,h`.")
    ] = "",
) -> list[SimilarOut]:
    """List the figures that look most like this one; empty before they were looked at."""
    opened = illustrations.open_figure(session, figure_id, asking.person)
    campaign, index = opened.door.campaign, request.app.state.similar
    asked = index.asked(session, campaign, figure_id)
    part = illustrations.check_box(box)
    if part is not None:
        asked = ask_with_box(session, settings, index, request.app.state.images, campaign, opened.illustration, part)
    narrowed = _narrowed(session, taxon, state)
    return _similar(session, index, asking.person, campaign, asked, narrowed, where, limit) if asked else []


@router.post(
    "/campaigns/{slug}/similar",
    responses=problems(403, 404, 409),
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
    limit: Limit = 12,
    taxon: WithinTaxon = "",
    state: InState = None,
    where: Where = "",
) -> list[SimilarOut]:
    """List the figures that look most like the image whose bytes are sent. Nothing of it is kept."""
    index = request.app.state.similar
    # Nothing is written here: a writing session would hold up everybody else's answers while the network looks.
    with request.app.state.database.reading() as session:
        asking = visitor(request, session)
        campaign = campaigns.open_door(session, slug, asking.person).campaign
        asked = ask_with_image(session, settings, index, campaign, content)
        narrowed = _narrowed(session, taxon, state)
        return _similar(session, index, asking.person, campaign, asked, narrowed, where, limit)


def _narrowed(session: Session, taxon: str, state: list[DeterminationState] | None) -> Narrowed:
    qid = taxa.current(session, [taxa.require(session, taxon).qid])[taxon] if taxon else None
    return Narrowed(qid, frozenset(state or ()))


def _similar(
    session: Session,
    index: SimilarFigures,
    person: Person | None,
    campaign: Campaign,
    asked: Asked,
    narrowed: Narrowed,
    where: str,
    limit: int,
) -> list[SimilarOut]:
    found = index.like(session, asked.among(places(session, person, campaign, where, asked.backbone)), limit, narrowed)
    known = identification_queries.determinations(session, [one for one, _ in found])
    return [
        SimilarOut(
            figure_id=one,
            likeness=likeness,
            determination=determination_out(known[one]) if one in known else None,
        )
        for one, likeness in found
    ]


@router.post(
    "/figures/{figure_id}/identifications",
    status_code=201,
    responses=problems(401, 403, 404, 409),
    summary="Say what it is",
    tags=["figures"],
)
def submit(session: DbSession, asking: CurrentVisitor, figure_id: int, said: IdentificationIn) -> SubmittedOut:
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
def withdraw(session: DbSession, asking: CurrentVisitor, identification_id: int) -> DeterminationOut:
    """Withdraw one's own identification and give the figure's state without it. It stays in the history."""
    return determination_out(identifications.withdraw(session, asking.signed_in(), identification_id, utc_now()))


@router.post(
    "/figures/{figure_id}/skip",
    status_code=204,
    responses=problems(401, 403, 404),
    summary="Pass it over",
    tags=["figures"],
)
def skip(session: DbSession, asking: CurrentVisitor, figure_id: int) -> None:
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
    session: DbSession, settings: AppSettings, asking: CurrentVisitor, illustration_id: int, where: BoxIn
) -> FigureOut:
    """Say that another organism is on an illustration, with its box if one is known."""
    figure = illustrations.add_figure(session, illustration_id, asking.signed_in(), where.box, utc_now())
    row, door = illustrations.open_illustration(session, illustration_id, asking.person)
    state = identification_queries.determinations(session, [figure.id or 0])[figure.id or 0]
    return figure_out(settings, door.campaign.slug, figure, row, state)


@router.get(
    "/illustrations/{illustration_id}/figures",
    responses=problems(404),
    summary="Figures of an illustration",
    tags=["figures"],
)
def figures_of(
    session: DbSession, settings: AppSettings, asking: CurrentVisitor, illustration_id: int
) -> list[FigureOut]:
    """List the figures on one illustration."""
    row, door = illustrations.open_illustration(session, illustration_id, asking.person)
    found = illustration_queries.figures(session, illustration_id)
    states = identification_queries.determinations(session, [one.id or 0 for one in found])
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
