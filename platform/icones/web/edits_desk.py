"""The curator's desk for Commons: may we write, what would be written, send it off, take it back, go on after a pause.

Nothing is read from the wiki or written on it inside a request: looks and pushes are runs in the background.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.depicts import queries, service
from icones.depicts.decide import BROADER_THERE
from icones.depicts.service import Status
from icones.errors import BadInputError, NotReadyError
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.models import EditAction, EditState, JobKind, JobRun, JobState, Person, Role
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.edit_rows import Listing, listing, reason_words
from icones.web.edits import AskedFor, Place, StopWord, address_of, stop_word, ways
from icones.web.jobs import JobView, is_look, views, worker_is_alive
from icones.web.render import flash, render, translations
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId

router = APIRouter(include_in_schema=False)

RUNS_LOOKED_THROUGH = 30
NOT_WRITTEN = ("already_there", "blocked", "conflict", "refused")
"""Outcomes of a look that end an edit without a word on the wiki."""


@dataclass(frozen=True)
class PlannedRow:
    """One edit as it would go out."""

    edit_id: int
    title: str
    page_url: str
    picture: str
    qid: str
    taxon: TaxonView | None
    is_removal: bool
    rank: str
    boxes: tuple[str, ...]
    sources: int
    """How many references come with it."""
    account: str
    summary: str
    json: str
    """What would be sent, indented."""


@dataclass(frozen=True)
class NotWritten:
    """Edits that would not be written, for one reason."""

    outcome: str
    reason: str
    rows: tuple[PlannedRow, ...]
    ids: str
    """Their numbers for a form; empty where sending them off would change nothing."""


@dataclass(frozen=True)
class Look:
    """What a look found, of that which still waits."""

    at: datetime
    rows: tuple[PlannedRow, ...]
    ids: str
    """The numbers of what would be written, for the form that sends it off."""
    not_written: tuple[NotWritten, ...]
    n_later: int
    """How many edits wait that this look did not see."""


@dataclass(frozen=True)
class ReasonRow:
    """Edits that are not done for one reason."""

    state: str
    reason: str
    raw: str
    """The reason as the outbox keeps it, for the form."""
    n: int
    may_insist: bool
    is_beside: bool


@dataclass(frozen=True)
class BatchRow:
    """What was sent off together."""

    id: int
    mark: str
    at: datetime
    is_undo: bool
    total: int
    done: int
    standing: int
    """Statements of it that stand and would be taken back."""
    waiting: int
    """Edits of it that have not gone out and would be given up."""


@dataclass(frozen=True)
class EditsDeskPage:
    """Where a campaign's edits stand, and all that a curator does with them."""

    template: ClassVar[str] = "pages/edits_desk.html"
    door: Door
    status: Status
    worker_alive: bool
    stop: StopWord
    stop_page: Place | None
    is_on_wiki: bool
    looking: JobView | None
    look_failed: str
    look: Look | None
    pushing: JobView | None
    """The latest push: under way, or how it ended."""
    reasons: tuple[ReasonRow, ...]
    batches: tuple[BatchRow, ...]
    listing: Listing
    section: str = "campaigns"


@router.get("/c/{slug}/desk/edits")
def edits_desk(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    asked: AskedFor,
) -> Any:
    """Show where this campaign's edits stand."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    path = f"/c/{door.campaign.slug}/desk/edits"
    pushes = [run for run in jobs.of_campaign(session, key, RUNS_LOOKED_THROUGH) if run.kind is JobKind.PUSH]
    seen = next((run for run in pushes if is_look(run)), None)
    pushing = next((run for run in pushes if not is_look(run)), None)
    page = EditsDeskPage(
        door=door,
        status=service.status(session, door.campaign),
        worker_alive=worker_is_alive(session, utc_now()),
        stop=stop_word(session, settings),
        stop_page=ways(settings).stop_page,
        is_on_wiki=queries.has_files_on_the_wiki(session, key),
        looking=views(session, [seen])[0] if seen and seen.state in jobs.UNFINISHED else None,
        look_failed=seen.problem if seen and seen.state is JobState.FAILED else "",
        look=_look(session, door, seen, asking.language) if seen and seen.state is JobState.DONE else None,
        pushing=views(session, [pushing])[0] if pushing else None,
        reasons=_reasons(session, key, asking.language),
        batches=_batches(session, key),
        listing=listing(
            session, settings, [door.campaign], asked, asking.language, lambda **query: address_of(path, asked, **query)
        ),
    )
    return render(request, page)


def _look(session: Session, door: Door, run: JobRun, language: str) -> Look | None:
    """Return what a look found, less what was sent off or given up since; None if nothing of it is left."""
    unsent = {row.id or 0: row for row in queries.unsent(session, door.campaign.id or 0)}
    planned = [one for one in run.result.get("planned", []) if one["edit_id"] in unsent]
    if not planned:
        return None
    names = taxa.views(session, {one["qid"] for one in planned}, language)
    pictures = {
        edit_id: f"/c/{door.campaign.slug}/i/{row.illustration_id}/image?side=160" for edit_id, row in unsent.items()
    }
    rows = {one["edit_id"]: _planned_row(one, names, pictures) for one in planned}
    grouped: dict[tuple[str, str], list[PlannedRow]] = {}
    for one in planned:
        if not one["would_write"]:
            grouped.setdefault((one["outcome"], one["reason"]), []).append(rows[one["edit_id"]])
    written = tuple(rows[one["edit_id"]] for one in planned if one["would_write"])
    return Look(
        at=run.finished_at or run.created_at,
        rows=written,
        ids=_numbers(written),
        not_written=tuple(
            NotWritten(
                outcome, reason_words(why, language), tuple(some), _numbers(some) if outcome in NOT_WRITTEN else ""
            )
            for (outcome, why), some in sorted(grouped.items(), key=lambda pair: -len(pair[1]))
        ),
        n_later=len(unsent) - len(planned),
    )


def _numbers(rows: Collection[PlannedRow]) -> str:
    return ",".join(str(row.edit_id) for row in rows)


def _planned_row(one: Mapping[str, Any], names: Mapping[str, TaxonView], pictures: Mapping[int, str]) -> PlannedRow:
    claim = one["claim"]
    boxes = [snak for snaks in claim.get("qualifiers", {}).values() for snak in snaks]
    return PlannedRow(
        edit_id=one["edit_id"],
        title=one["title"],
        page_url=one["page_url"],
        picture=pictures[one["edit_id"]],
        qid=one["qid"],
        taxon=names.get(one["qid"]),
        is_removal=one["action"] == EditAction.REMOVE.value,
        rank=claim.get("rank", ""),
        boxes=tuple(snak["datavalue"]["value"] for snak in boxes),
        sources=len(claim.get("references", [])),
        account=one["account"],
        summary=one["summary"],
        json=json.dumps(claim, indent=1, ensure_ascii=False),
    )


def _reasons(session: Session, campaign_id: int, language: str) -> tuple[ReasonRow, ...]:
    """Return why edits are not done, the commonest first; those with a remedy before those without."""
    found = [
        ReasonRow(
            state=state.value,
            reason=reason_words(why, language),
            raw=why,
            n=n,
            may_insist=action is EditAction.ADD and service.may_insist(state, why),
            is_beside=state is EditState.BLOCKED and why == BROADER_THERE,
        )
        for action in EditAction
        for state, why, n in queries.reasons(session, campaign_id, action)
    ]
    return tuple(sorted(found, key=lambda row: (not row.may_insist, -row.n)))


def _batches(session: Session, campaign_id: int) -> tuple[BatchRow, ...]:
    stands = queries.standing_by_batch(session, campaign_id)
    return tuple(
        BatchRow(
            batch.id or 0,
            batch.mark,
            batch.created_at,
            batch.is_undo,
            total,
            done,
            *stands.get(batch.id or 0, (0, 0)),
        )
        for batch, total, done in queries.batches_of(session, campaign_id)
    )


@router.post("/c/{slug}/desk/edits/look")
def look(door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Ask for a look at what would be written now; one that waits or goes on is enough."""
    door.require(Role.CURATOR)
    ask_for_look(session, door, asking.signed_in(), utc_now())
    return _back(door, "look")


def ask_for_look(session: Session, door: Door, person: Person, now: datetime) -> JobRun:
    """Ask for a look in the background; what is verified and has no edit yet comes into the outbox first."""
    service.require_writing(door.campaign)
    service.refill(session, door.campaign, now)
    for run in jobs.of_campaign(session, door.campaign.id or 0, RUNS_LOOKED_THROUGH):
        if is_look(run) and run.state in jobs.UNFINISHED:
            return run
    # A run of its own: asked of a push that waits, it would turn that push into a look.
    return runner.ask(
        session, JobKind.PUSH, door.campaign, now, person=person, parameters={"dry_run": True}, another=True
    )


@router.post("/c/{slug}/desk/edits/send")
def send(
    request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, edits: Annotated[str, Form()]
) -> Any:
    """Send off these edits, whose numbers a look gave, and have them written."""
    door.require(Role.CURATOR)
    n = send_off(session, door, asking.signed_in(), numbers(edits), utc_now())[1]
    words = translations(asking.language).ungettext("%(num)s edit is on its way.", "%(num)s edits are on their way.", n)
    told = words % {"num": n}
    flash(request, told)
    return _back(door, "progress")


def numbers(words: str) -> list[int]:
    """Return the numbers of edits in a form's field, which are separated by commas."""
    parts = [part.strip() for part in words.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and len(part) < 19 for part in parts):
        raise BadInputError("Say which edits: their numbers, separated by commas.")
    return [int(part) for part in parts]


def send_off(
    session: Session, door: Door, person: Person, edit_ids: Collection[int] | None, now: datetime
) -> tuple[str, int]:
    """Send off these edits (all that wait if None) and ask for a push; return the batch's mark and how many went."""
    made = service.send_off(session, door.campaign, person, now, edit_ids=edit_ids)
    _push(session, door, person, now)
    return made.mark, sum(queries.counts_in(session, [door.campaign.id or 0], made.id).values())


def take_back(
    session: Session, door: Door, person: Person, now: datetime, *, edit_ids: Sequence[int] | None, batch: int | None
) -> tuple[str, int]:
    """Send off the removal of statements of ours and ask for a push; return the batch's mark and how many go."""
    made = service.undo(session, door.campaign, person, now, edit_ids=edit_ids, batch_id=batch)
    _push(session, door, person, now)
    return made.mark, sum(queries.counts_in(session, [door.campaign.id or 0], made.id).values())


def _push(session: Session, door: Door, person: Person, now: datetime) -> JobRun:
    """Ask for a push, unless a real one waits already: it takes all that was sent off by then."""
    for run in jobs.of_campaign(session, door.campaign.id or 0, RUNS_LOOKED_THROUGH):
        if run.kind is JobKind.PUSH and not is_look(run) and run.state is JobState.QUEUED:
            return run
    return runner.ask(session, JobKind.PUSH, door.campaign, now, person=person, another=True)


@router.post("/c/{slug}/desk/edits/undo")
def undo(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    edit: Annotated[RowId | None, Form()] = None,
    batch: Annotated[RowId | None, Form()] = None,
) -> Any:
    """Take one statement back, or all that a batch wrote."""
    door.require(Role.CURATOR)
    edit_ids = [edit] if edit is not None else None
    n = take_back(session, door, asking.signed_in(), utc_now(), edit_ids=edit_ids, batch=batch)[1]
    said = translations(asking.language)
    _ = said.ugettext
    words = said.ungettext("%(num)s statement is being taken back.", "%(num)s statements are being taken back.", n)
    told = words % {"num": n} if n else _("Nothing of it had been written; it is given up.")
    flash(request, told, "notice")
    return _back(door, "progress")


@router.post("/c/{slug}/desk/edits/insist")
def insist(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    edit: Annotated[RowId | None, Form()] = None,
    state: Annotated[EditState | None, Form()] = None,
    reason: Annotated[str, Form()] = "",
) -> Any:
    """Let an edit wait once more, or all that ended in a state for one reason."""
    door.require(Role.CURATOR)
    if edit is not None:
        chosen: Sequence[int] = [edit]
    elif state is not None:
        chosen = queries.ended_for(session, door.campaign.id or 0, state, reason)
    else:
        raise BadInputError("Say which edits to try again: one of them, or all of one reason.")
    if not chosen:
        raise NotReadyError("There is nothing left to try again for this reason.")
    for edit_id in chosen:
        service.insist(session, door, edit_id, utc_now())
    said, n = translations(asking.language), len(chosen)
    _ = said.ugettext
    words = said.ungettext("%(num)s edit waits again.", "%(num)s edits wait again.", n) % {"num": n}
    then = _("Look at what would be written, then send it off.")
    flash(request, f"{words} {then}")
    return _back(door, "look")


@router.post("/c/{slug}/desk/edits/go-on")
def go_on(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Let a campaign write again after a pause."""
    service.go_on(session, door, utc_now())
    flash(request, "Writing goes on. Earlier reverts do not count any more.")
    return _back(door, "top")


def _back(door: Door, part: str) -> RedirectResponse:
    return RedirectResponse(f"/c/{door.campaign.slug}/desk/edits#{part}", 303)
