"""Background work as curators see it: ask for a run, watch it, stop it. The work itself is done by the worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.campaigns.sources import ON_THE_WIKI
from icones.clock import utc_now
from icones.errors import BadInputError, NotFoundError
from icones.jobs import queries, runner
from icones.models import JobKind, JobRun, JobState, Person, Role
from icones.people import queries as people
from icones.web.render import flash, render, translations
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession, RowId

router = APIRouter(include_in_schema=False)

ALIVE_FOR = timedelta(seconds=15)
"""A worker gives a sign of life each second; one that was silent for longer is not there."""
SHOWN = 8
LOOK = "look"
"""What pages call a push that only looks: its card must not say that something is being written."""


@dataclass(frozen=True)
class JobView:
    """A run as pages show it."""

    id: int
    kind: str
    state: str
    done: int
    total: int | None
    step: str
    log: str
    problem: str
    asked_by: str
    trigger: str
    result: Mapping[str, Any]
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class JobPage:
    """One run with its log."""

    template: ClassVar[str] = "pages/job.html"
    door: Door
    job: JobView
    section: str = "campaigns"


@dataclass(frozen=True)
class JobFragment(JobPage):
    """The card of a run, which asks for itself again while the run goes on."""

    template: ClassVar[str] = "fragments/job.html"


def views(session: Session, runs: Sequence[JobRun]) -> tuple[JobView, ...]:
    """Return runs as pages show them, with the names of those who asked."""
    known = people.people(session, {run.asked_by for run in runs if run.asked_by})
    return tuple(
        JobView(
            id=run.id or 0,
            kind=LOOK if is_look(run) else run.kind.value,
            state=run.state.value,
            done=run.done,
            total=run.total,
            step=run.step,
            log=run.log,
            problem=run.problem,
            asked_by=known[run.asked_by].name if run.asked_by in known else "",
            trigger=run.trigger,
            result=run.result,
            created_at=run.created_at,
            finished_at=run.finished_at,
        )
        for run in runs
    )


def is_look(run: JobRun) -> bool:
    """Say whether a run is the look before a push, which writes nothing."""
    return run.kind is JobKind.PUSH and bool(run.parameters.get("dry_run"))


def worker_is_alive(session: Session, now: datetime) -> bool:
    """Say whether somebody is there to do the work."""
    last = queries.last_beat(session)
    return last is not None and now - last < ALIVE_FOR


def start(
    session: Session,
    door: Door,
    kind: JobKind,
    person: Person,
    now: datetime,
    parameters: Mapping[str, Any] | None = None,
) -> JobRun:
    """Ask for a run of this campaign; one that waits or goes on already is given instead of a second."""
    door.require(Role.CURATOR)
    if kind is JobKind.SYNC and door.campaign.source_kind not in ON_THE_WIKI:
        raise BadInputError("This campaign's illustrations came from a folder; there is nothing to fetch from Commons.")
    if kind is JobKind.INVARIANTS:
        raise BadInputError("The check of the database runs every night by itself.")
    return runner.ask(session, kind, door.campaign, now, person=person, parameters=parameters)


def wishes(full: bool, accept_loss: bool) -> dict[str, bool]:
    """Return the parameters of a run in which somebody wished for these things."""
    return {name: True for name, wished in (("full", full), ("accept_loss", accept_loss)) if wished}


def require_run(session: Session, door: Door, run_id: int) -> JobRun:
    """Return a run of this campaign for its curators."""
    door.require(Role.CURATOR)
    run = queries.run(session, run_id)
    if run is None or run.campaign_id != door.campaign.id:
        raise NotFoundError("There is no such run in this campaign.")
    return run


@router.post("/c/{slug}/jobs")
def ask_for_job(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    kind: Annotated[JobKind, Form()],
    full: Annotated[bool, Form()] = False,
    accept_loss: Annotated[bool, Form()] = False,
) -> Any:
    """Ask for a run; ``full`` and ``accept_loss`` are for syncs."""
    start(session, door, kind, asking.signed_in(), utc_now(), wishes(full, accept_loss))
    return RedirectResponse(f"/c/{door.campaign.slug}/curate#work", 303)


@router.get("/c/{slug}/jobs/{run_id}")
def job_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, run_id: RowId) -> Any:
    """Show a run; htmx gets its card only, and is told when the run has ended."""
    run = require_run(session, door, run_id)
    kind = JobFragment if asking.is_htmx else JobPage
    response = render(request, kind(door, views(session, [run])[0]))
    if asking.is_htmx and run.state not in queries.UNFINISHED:
        response.headers["HX-Trigger"] = "job-ended"
    return response


@router.post("/c/{slug}/jobs/{run_id}/cancel")
def cancel_job(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, run_id: RowId) -> Any:
    """Ask a run to stop."""
    run = require_run(session, door, run_id)
    was_running = run.state is JobState.RUNNING
    runner.cancel(session, run, utc_now())
    _ = translations(asking.language).ugettext
    flash(request, _("It stops at its next step.") if was_running else _("Taken out of the queue."), "notice")
    return RedirectResponse(f"/c/{door.campaign.slug}/curate#work", 303)
