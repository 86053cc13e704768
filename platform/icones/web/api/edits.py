"""Edits on Commons: what was written and why not, sending off, taking back, and how a campaign writes."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.depicts import queries, service
from icones.depicts.service import WritingRules
from icones.errors import BadInputError, NotFoundError
from icones.models import DepictsEdit, EditBatch, EditState, Illustration, Role
from icones.web import edits_desk
from icones.web.api.answers import problems
from icones.web.api.edit_shapes import EditOut, EditsOut, SendIn, SentOut, UndoIn, WritingIn, WritingOut
from icones.web.edit_rows import diff_url
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId

router = APIRouter(prefix="/campaigns/{slug}")

_AS_KEPT = (
    *("figure_id", "action", "qid", "state", "reason", "blocked_by", "account", "revision"),
    *("created_at", "wrote_at", "ended_at", "undone_at", "gone_at", "reverted_at"),
)


@router.get("/edits", responses=problems(404), summary="List edits", tags=["edits"])
def list_edits(
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    state: Annotated[list[EditState], Query(description="Only edits in these states.")] = [],  # noqa: B006
    batch: Annotated[str, Query(description="Only edits of the batch with this mark.")] = "",
    gone: Annotated[bool, Query(description="Only statements that somebody removed or changed.")] = False,
    cursor: Annotated[RowId | None, Query(ge=1, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many edits.")] = 50,
) -> EditsOut:
    """List what shall be, or was, said on Commons for this campaign, newest first."""
    chosen = queries.batch_of_mark(session, batch) if batch else None
    batch_id = (chosen.id if chosen else 0) if batch else None
    found = queries.page_of_edits(
        session, [door.campaign.id or 0], state or list(EditState), cursor, limit + 1, batch_id, only_gone=gone
    )
    page = found[:limit]
    known = queries.batches_by_id(session, {edit.batch_id for edit, _, _, _ in page if edit.batch_id})
    return EditsOut(
        edits=[_edit_out(settings, edit, file, known) for edit, file, _, _ in page],
        next=page[-1][0].id if len(found) > limit else None,
    )


def _edit_out(settings: Settings, edit: DepictsEdit, file: Illustration, known: Mapping[int, EditBatch]) -> EditOut:
    batch = known.get(edit.batch_id or 0)
    return EditOut(
        id=edit.id or 0,
        mid=file.mid,
        title=file.title,
        statement_id=edit.guid,
        batch=batch.mark if batch else None,
        diff_url=diff_url(settings, file, edit.revision) or None,
        **{name: getattr(edit, name) for name in _AS_KEPT},
    )


@router.post(
    "/edits/send", status_code=202, responses=problems(401, 403, 404, 409), summary="Send edits off", tags=["edits"]
)
def send(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: SendIn) -> SentOut:
    """Send waiting edits off as one batch; the worker writes them. For curators.

    Look before: a curator’s page, and `icones depicts push CAMPAIGN --dry-run --json`, show exactly what would be said.
    """
    door.require(Role.CURATOR)
    mark, n = edits_desk.send_off(session, door, asking.signed_in(), wanted.edit_ids, utc_now())
    return SentOut(batch=mark, edits=n)


@router.post(
    "/edits/undo", status_code=202, responses=problems(401, 403, 404, 409), summary="Take edits back", tags=["edits"]
)
def undo(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: UndoIn) -> SentOut:
    """Take statements of ours back; what somebody changed since is left alone when its turn comes. For curators."""
    door.require(Role.CURATOR)
    if (wanted.batch is None) == (wanted.edit_ids is None):
        raise BadInputError("Say which edits to undo: some of them, or a whole batch.")
    batch = queries.batch_of_mark(session, wanted.batch) if wanted.batch is not None else None
    if wanted.batch is not None and batch is None:
        raise NotFoundError(f"This campaign has no batch {wanted.batch}.")
    mark, n = edits_desk.take_back(
        session, door, asking.signed_in(), utc_now(), edit_ids=wanted.edit_ids, batch=batch.id if batch else None
    )
    return SentOut(batch=mark, edits=n)


@router.get("/writing", responses=problems(404), summary="Read how it writes", tags=["edits"])
def read_writing(door: CampaignDoor) -> WritingOut:
    """Say whether, under whose name and how this campaign writes to Commons."""
    return _writing_out(door)


@router.put("/writing", responses=problems(401, 403, 404), summary="Set how it writes", tags=["edits"])
def set_writing(door: CampaignDoor, session: DbSession, wanted: WritingIn) -> WritingOut:
    """Set whether, under whose name and how this campaign writes. Nothing is written by this alone. For curators."""
    door.require(Role.CURATOR)
    service.set_writing(session, door.campaign, WritingRules(**wanted.model_dump()), utc_now())
    return _writing_out(door)


def _writing_out(door: Door) -> WritingOut:
    own = door.campaign
    return WritingOut(
        writes=own.writes,
        edits_per_minute=own.edits_per_minute,
        revert_limit=own.revert_limit,
        change_tags=own.change_tags,
        paused=own.writing_paused_why if own.writing_paused_at is not None else "",
    )
