"""What goes on behind a campaign and comes out of it: jobs, models, exports."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from icones.clock import utc_now
from icones.exports import queries as export_queries
from icones.exports import service as exports
from icones.jobs import queries as job_queries
from icones.jobs import runner
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.models import Role
from icones.web import jobs as job_pages
from icones.web.api.answers import exports_out, job_out, model_out, problems
from icones.web.api.shapes import ExportOut, JobIn, JobOut, ModelOut, ModelReportOut
from icones.web.curating import csv_answer
from icones.web.model_privacy import open_report, open_slugs
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId

router = APIRouter(prefix="/campaigns/{slug}")
CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "The export, byte for byte.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    304: {"description": "The very bytes you have (If-None-Match)."},
}


@router.get("/jobs", responses=problems(401, 403, 404), summary="List runs", tags=["jobs"])
def list_jobs(door: CampaignDoor, session: DbSession, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> list[JobOut]:
    """List a campaign's latest runs, newest first. For curators."""
    door.require(Role.CURATOR)
    return [job_out(run) for run in job_queries.of_campaign(session, door.campaign.id or 0, limit)]


@router.post("/jobs", status_code=202, responses=problems(401, 403, 404), summary="Ask for a run", tags=["jobs"])
def ask_for_job(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: JobIn) -> JobOut:
    """Ask for background work; a run of this kind that waits or goes on is given instead of a second. For curators."""
    door.require(Role.CURATOR)
    wishes = job_pages.wishes(wanted.full, wanted.accept_loss)
    return job_out(job_pages.start(session, door, wanted.kind, asking.signed_in(), utc_now(), wishes))


@router.get("/jobs/{run_id}", responses=problems(401, 403, 404), summary="Read a run", tags=["jobs"])
def read_job(door: CampaignDoor, session: DbSession, run_id: RowId) -> JobOut:
    """Give a run with its progress, log and result. For curators."""
    return job_out(job_pages.require_run(session, door, run_id))


@router.post("/jobs/{run_id}/cancel", responses=problems(401, 403, 404, 409), summary="Stop a run", tags=["jobs"])
def cancel_job(door: CampaignDoor, session: DbSession, run_id: RowId) -> JobOut:
    """Ask a run to stop: a waiting one ends here, a running one at its next step. For curators."""
    run = job_pages.require_run(session, door, run_id)
    runner.cancel(session, run, utc_now())
    return job_out(run)


@router.get("/models", responses=problems(404), summary="List model versions", tags=["models"])
def list_models(door: CampaignDoor, session: DbSession) -> list[ModelOut]:
    """List a campaign's model versions, newest first."""
    return [model_out(version) for version in learning_queries.versions(session, door.campaign.id or 0)]


@router.get("/models/{number}", responses=problems(404), summary="Read a model's report", tags=["models"])
def read_model(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: RowId) -> ModelReportOut:
    """Give a version's whole report and the parameters with which it was trained.

    What its card says of campaigns that you do not see is left out.
    """
    version = learning.require_version(session, door.campaign, number)
    report, left_out = open_report(version.report, open_slugs(session, door, asking.person))
    return ModelReportOut(
        model=model_out(version), report=report, parameters=version.parameters, sources_left_out=left_out
    )


@router.get("/exports", responses=problems(401, 403, 404), summary="List exports", tags=["exports"])
def list_exports(door: CampaignDoor, session: DbSession, settings: AppSettings) -> list[ExportOut]:
    """List what was taken home, newest first. For curators."""
    door.require(Role.CURATOR)
    return exports_out(settings, door.campaign.slug, export_queries.exports(session, door.campaign.id or 0))


@router.post("/exports", status_code=201, responses=problems(401, 403, 404), summary="Take an export", tags=["exports"])
def take_export(door: CampaignDoor, session: DbSession, settings: AppSettings, asking: CurrentVisitor) -> ExportOut:
    """Freeze the verified determinations of this moment. For curators."""
    door.require(Role.CURATOR)
    taken = exports.take(session, door.campaign, asking.signed_in(), utc_now())
    return exports_out(settings, door.campaign.slug, [taken])[0]


@router.get(
    "/exports/{number}/content",
    response_class=Response,
    responses=problems(401, 403, 404) | CSV,
    summary="Download an export",
    tags=["exports"],
)
def export_content(request: Request, door: CampaignDoor, session: DbSession, number: RowId) -> Response:
    """Give an export's bytes, the same at every download; the columns are told at /data-dictionary. For curators."""
    door.require(Role.CURATOR)
    return csv_answer(request, exports.require(session, door.campaign, number))
