"""Campaigns, their progress, rules and queues, and who is asking."""

from typing import Annotated

from fastapi import APIRouter, Query

from icones.campaigns import queries as campaign_queries
from icones.campaigns import service as campaigns
from icones.campaigns.service import NewCampaign, Rules
from icones.clock import utc_now
from icones.identifications import queries as identification_queries
from icones.jobs import runner
from icones.jobs.taxa import ask_for_scope
from icones.models import DeterminationState, JobKind, Queue, Role, SourceKind
from icones.review import queries as review
from icones.review import service as review_service
from icones.web import screens
from icones.web.api.answers import campaign_out, determination_out, determinations_out, figure_out, problems
from icones.web.api.campaign_shapes import CampaignIn, CategoryIn, ScopeIn, SourceIn
from icones.web.api.shapes import (
    CampaignOut,
    FiguresOut,
    Me,
    NextOut,
    ProgressOut,
    ReviewOut,
    ReviewTaskOut,
    RulesOut,
)
from icones.web.curating import apply_rules, require_founder
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId

router = APIRouter()


@router.get("/me", responses=problems(), summary="Who is asking", tags=["people"])
def me(session: DbSession, asking: CurrentVisitor) -> Me:
    """Say who this browser is signed in as, and give the token that changing requests must carry."""
    person = asking.person
    return Me(
        signed_in=person is not None,
        name=person.name if person else None,
        is_admin=bool(person and person.is_admin),
        language=asking.language,
        csrf=asking.csrf,
        roles=campaign_queries.roles_of(session, person.id or 0) if person else {},
    )


@router.get("/campaigns", responses=problems(), summary="List campaigns", tags=["campaigns"])
def list_campaigns(session: DbSession, asking: CurrentVisitor) -> list[CampaignOut]:
    """List the campaigns that this person sees on the home page, newest first, closed ones last."""
    person = asking.person
    found = campaign_queries.visible(session, person.id if person else None, bool(person and person.is_admin))
    return [campaign_out(row) for row in found]


@router.post(
    "/campaigns", status_code=201, responses=problems(401, 403, 409), summary="Make a campaign", tags=["campaigns"]
)
def make_campaign(session: DbSession, settings: AppSettings, asking: CurrentVisitor, new: CampaignIn) -> CampaignOut:
    """Make a campaign of files on Commons and ask for its illustrations. For site admins."""
    person = require_founder(session, settings, asking)
    told = new.model_dump(exclude={"root_taxon_qid", "source_kind"})
    made = campaigns.create(session, person, NewCampaign(source_kind=SourceKind(new.source_kind), **told), utc_now())
    runner.ask(session, JobKind.SYNC, made, utc_now(), person=person)
    ask_for_scope(session, made, new.root_taxon_qid, utc_now(), person=person)
    return campaign_out(made)


@router.get("/campaigns/{slug}", responses=problems(404), summary="Read a campaign", tags=["campaigns"])
def read_campaign(door: CampaignDoor) -> CampaignOut:
    """Give one campaign."""
    return campaign_out(door.campaign)


@router.get("/campaigns/{slug}/progress", responses=problems(404), summary="How far it has come", tags=["campaigns"])
def progress(door: CampaignDoor, session: DbSession) -> ProgressOut:
    """Count figures and illustrations by state."""
    found = campaigns.progress(session, door.campaign)
    return ProgressOut(
        total=found.total,
        settled=found.settled,
        share=found.share,
        by_state=found.by_state,
        illustrations=found.illustrations,
        people=found.people,
        waiting_for_specialists=review.n_waiting(session, door.campaign.id or 0).get(Queue.SPECIALIST, 0),
    )


@router.get("/campaigns/{slug}/figures", responses=problems(404), summary="List figures", tags=["figures"])
def list_figures(
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    state: Annotated[list[DeterminationState], Query(description="Only figures in these states.")] = [],  # noqa: B006
    cursor: Annotated[RowId, Query(ge=0, description="The `next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many figures.")] = 50,
) -> FiguresOut:
    """List a campaign's figures in the order of their ids. New figures appear at the end: no page is missed."""
    rows = identification_queries.figures_page(session, door.campaign.id or 0, state, cursor, limit + 1)
    page = rows[:limit]
    known = {figure.id or 0: determination for figure, _, determination in page}
    told = determinations_out(session, [door.campaign], asking.person, known, asking.language)
    return FiguresOut(
        figures=[figure_out(settings, door.campaign.slug, one, row, told[one.id or 0]) for one, row, _ in page],
        next=page[-1][0].id if len(rows) > limit else None,
    )


@router.get("/campaigns/{slug}/next", responses=problems(404), summary="What to name next", tags=["figures"])
def next_figure(door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> NextOut:
    """Give the figure that this person is asked next, as the tagging page would."""
    figure_id = review_service.next_figure(session, door, asking.person, utc_now())
    task = review.task(session, figure_id) if figure_id else None
    known = identification_queries.determinations(session, [figure_id] if figure_id else [])
    withheld = bool(screens.kept_back(session, door, asking.person, known, utc_now()))
    return NextOut(figure_id=figure_id, reason=screens.reason_told(task.reason, withheld=withheld) if task else None)


@router.get(
    "/campaigns/{slug}/review", responses=problems(401, 403, 404), summary="The specialists' queue", tags=["campaigns"]
)
def review_queue(
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    reason: Annotated[list[str], Query(description="Only these reasons, such as `disputed`.")] = [],  # noqa: B006
    offset: RowId = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReviewOut:
    """List what waits for a specialist, as their page does: disputed first. For specialists and curators."""
    door.require(Role.SPECIALIST)
    person = asking.signed_in()
    rows, total = review.for_specialists(
        session,
        door.campaign.id or 0,
        reason,
        offset,
        limit,
        person_id=person.id or 0,
        field=review_service.field_of(session, door, person),
    )
    return ReviewOut(
        total=total,
        tasks=[
            ReviewTaskOut(
                reason=task.reason,
                priority=task.priority,
                figure=figure_out(settings, door.campaign.slug, figure, illustration, determination_out(determination)),
            )
            for task, figure, illustration, determination in rows
        ],
    )


@router.put(
    "/campaigns/{slug}/category",
    responses=problems(401, 403, 404),
    summary="Look at another category",
    tags=["campaigns"],
)
def set_category(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: CategoryIn) -> CampaignOut:
    """Look at another category from now on, and ask for its illustrations. For curators."""
    campaigns.set_category(session, door, wanted.source, wanted.source_depth)
    runner.ask(session, JobKind.SYNC, door.campaign, utc_now(), person=asking.signed_in())
    return campaign_out(door.campaign)


@router.put(
    "/campaigns/{slug}/source",
    responses=problems(401, 403, 404),
    summary="Change the list or the query",
    tags=["campaigns"],
)
def set_source(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: SourceIn) -> CampaignOut:
    """Give the campaign another source of the same kind, and ask for its illustrations. For curators."""
    campaigns.set_source(session, door, wanted.source)
    runner.ask(session, JobKind.SYNC, door.campaign, utc_now(), person=asking.signed_in())
    return campaign_out(door.campaign)


@router.put(
    "/campaigns/{slug}/scope",
    responses=problems(401, 403, 404, 409),
    summary="Set the scope",
    tags=["campaigns"],
)
def set_scope(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: ScopeIn) -> CampaignOut:
    """Set or lift the taxon within which the campaign stays, and ask for its members. For curators.

    A taxon that is not known here yet becomes the root when the run (kind `taxa`) has found it on Wikidata.
    """
    door.require(Role.CURATOR)
    ask_for_scope(session, door.campaign, wanted.root_taxon_qid, utc_now(), person=asking.signed_in())
    return campaign_out(door.campaign)


@router.get("/campaigns/{slug}/rules", responses=problems(404), summary="Read the rules", tags=["campaigns"])
def read_rules(door: CampaignDoor) -> RulesOut:
    """Give the rules by which a campaign decides."""
    return RulesOut.model_validate(door.campaign, from_attributes=True)


@router.put("/campaigns/{slug}/rules", responses=problems(401, 403, 404), summary="Set the rules", tags=["campaigns"])
def set_rules(door: CampaignDoor, session: DbSession, rules: RulesOut) -> RulesOut:
    """Set the rules and decide every figure anew. For curators."""
    apply_rules(session, door, Rules(**rules.model_dump()))
    return read_rules(door)
