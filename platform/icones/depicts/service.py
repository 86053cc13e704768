"""What people do with edits: look at what would be written, send it off, take it back, pause and go on."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.depicts import outbox, queries
from icones.errors import BadInputError, ConflictError, NotFoundError, NotReadyError
from icones.models import (
    Campaign,
    DepictsEdit,
    EditAction,
    EditBatch,
    EditState,
    Pen,
    Person,
    ReviewTask,
    Role,
    Writes,
)
from icones.people import grants

NO_LEAVE = "The person who confirmed it has not agreed that it is written in their name."


@dataclass(frozen=True)
class Status:
    """Where a campaign's edits stand."""

    counts: dict[EditState, int]
    """Statements to add, by state."""
    removals: dict[EditState, int]
    unsent: int
    """Of the waiting ones: those that nobody has sent off yet."""
    reasons: Sequence[tuple[EditState, str, int]]
    writes: Writes
    paused_why: str

    @property
    def total(self) -> int:
        """All statements that were ever wished."""
        return sum(self.counts.values())

    @property
    def under_way(self) -> int:
        """Edits that were sent off and have not ended."""
        open_ones = sum(counted.get(state, 0) for counted in (self.counts, self.removals) for state in queries.OPEN)
        return open_ones - self.unsent


def status(session: Session, campaign: Campaign) -> Status:
    """Return where a campaign's edits stand."""
    counted = queries.counts(session, campaign.id or 0)
    return Status(
        counts={state: n for (action, state), n in counted.items() if action is EditAction.ADD},
        removals={state: n for (action, state), n in counted.items() if action is EditAction.REMOVE},
        unsent=len(queries.unsent(session, campaign.id or 0)),
        reasons=queries.reasons(session, campaign.id or 0),
        writes=campaign.writes,
        paused_why=campaign.writing_paused_why if campaign.writing_paused_at else "",
    )


@dataclass(frozen=True)
class WritingRules:
    """Whether and how a campaign writes to Commons."""

    writes: Writes
    edits_per_minute: float = 5.0
    revert_limit: float = 0.05
    change_tags: str = ""


def set_writing(session: Session, campaign: Campaign, rules: WritingRules, now: datetime) -> int:
    """Set whether and how a campaign writes; return how many verified figures came into the outbox by it.

    The caller has checked the role. Turning it off stops what was sent off, too: it waits to be sent off anew.
    """
    if not 0.1 <= rules.edits_per_minute <= 60_000:
        raise BadInputError("Edits a minute: a number from 0.1 up. Commons asks bots for 4 to 6.")
    if not 0 < rules.revert_limit <= 1:
        raise BadInputError("The share of reverted edits at which writing pauses lies above 0 and at most at 1.")
    if rules.writes is not Writes.OFF and campaign.auto_validates:
        words = "The model verifies figures alone here. Turn that off first: what no person confirmed is never written."
        raise BadInputError(words)
    tags = "|".join(tag.strip() for tag in rules.change_tags.split("|") if tag.strip())
    if len(tags) > 200:
        raise BadInputError("The change tags are too long together.")
    campaign.writes, campaign.edits_per_minute = rules.writes, rules.edits_per_minute
    campaign.revert_limit, campaign.change_tags = rules.revert_limit, tags
    session.add(campaign)
    if rules.writes is Writes.OFF:
        for edit, _, _, _ in queries.page_of_edits(
            session, [campaign.id or 0], [EditState.WAITING], None, limit=1_000_000
        ):
            if edit.action is EditAction.ADD:
                edit.batch_id = None
                session.add(edit)
        return 0
    return outbox.fill(session, campaign, now)


def refill(session: Session, campaign: Campaign, now: datetime) -> int:
    """Put verified figures that have no edit yet into the outbox (a file may have come back); return how many."""
    return outbox.fill(session, campaign, now) if campaign.writes is not Writes.OFF else 0


def unsent_ids(session: Session, campaign: Campaign) -> list[int]:
    """Return the edits that wait for somebody to send them off, oldest first."""
    return [row.id or 0 for row in queries.unsent(session, campaign.id or 0)]


def batches(session: Session, campaign: Campaign) -> list[dict[str, Any]]:
    """Return a campaign's batches, newest first, as plain values."""
    return [
        {"id": row.id, "mark": row.mark, "undo": row.is_undo, "at": row.created_at, "edits": total, "done": done}
        for row, total, done in queries.batches_of(session, campaign.id or 0)
    ]


def why_only_removals(campaign: Campaign) -> str:
    """Return why a campaign may add nothing now, "" if it may. Taking back is possible all the same."""
    try:
        require_writing(campaign)
    except NotReadyError as error:
        return error.message
    return ""


def require_writing(campaign: Campaign) -> Pen:
    """Return the pen a campaign writes with; raise NotReadyError if it does not write, or pauses."""
    if campaign.writes is Writes.OFF:
        raise NotReadyError("This campaign does not write to Commons. A curator can turn that on.")
    if campaign.writing_paused_at is not None:
        raise NotReadyError(f"Writing is paused: {campaign.writing_paused_why}")
    return Pen(campaign.writes.value)


def send_off(
    session: Session,
    campaign: Campaign,
    person: Person | None,
    now: datetime,
    *,
    edit_ids: Collection[int] | None = None,
) -> EditBatch:
    """Send off what waits (or these of it) as one batch; the push job then writes it. The caller checked the role.

    With the people's pen only what was confirmed by people who agreed goes out; the rest keeps waiting and says why.
    Raises NotReadyError when there is nothing to send off.
    """
    pen = require_writing(campaign)
    waiting = [
        row for row in queries.unsent(session, campaign.id or 0) if edit_ids is None or (row.id or 0) in edit_ids
    ]
    allowed = {row.id or 0 for row in waiting} if pen is Pen.BOT else _with_leave(session, waiting)
    chosen = [row for row in waiting if (row.id or 0) in allowed]
    for row in waiting:
        row.reason = "" if (row.id or 0) in allowed else NO_LEAVE
        session.add(row)
    if not chosen:
        raise NotReadyError(NO_LEAVE if waiting else "There is nothing to send off.")
    return _batch_of(session, campaign, chosen, pen, person, now, is_undo=False)


def without_leave(session: Session, rows: Sequence[DepictsEdit]) -> set[int]:
    """Return those of these edits that cannot go out in their person's name."""
    return {row.id or 0 for row in rows} - _with_leave(session, rows)


def _with_leave(session: Session, rows: Sequence[DepictsEdit]) -> set[int]:
    people = grants.with_leave(session, {row.person_id for row in rows if row.person_id is not None})
    return {row.id or 0 for row in rows if row.person_id in people}


def _batch_of(
    session: Session,
    campaign: Campaign,
    rows: Sequence[DepictsEdit],
    pen: Pen,
    person: Person | None,
    now: datetime,
    *,
    is_undo: bool,
) -> EditBatch:
    batch = EditBatch(
        campaign_id=campaign.id or 0,
        asked_by=person.id if person else None,
        pen=pen,
        is_undo=is_undo,
        mark=secrets.token_hex(6),
        created_at=now,
    )
    session.add(batch)
    session.flush()
    for row in rows:
        row.batch_id, row.next_try_at, row.attempts = batch.id, None, 0
        session.add(row)
    session.flush()
    return batch


def undo(
    session: Session,
    campaign: Campaign,
    person: Person | None,
    now: datetime,
    *,
    edit_ids: Collection[int] | None = None,
    batch_id: int | None = None,
) -> EditBatch:
    """Send off the removal of these statements of ours, or of all that a batch added.

    What of the batch has not gone out yet is given up. A statement that somebody changed since is left alone when its
    turn comes, and says so. The removals go out with the pen that wrote the statements,
    also while writing is paused or off: that is when an undo is wanted most.
    """
    if (edit_ids is None) == (batch_id is None):
        raise BadInputError("Say which edits to undo: some of them, or a whole batch.")
    edits = _to_undo(session, campaign, edit_ids, batch_id)
    held_back = list(queries.waiting_of_batch(session, batch_id)) if batch_id is not None else []
    looked_at_first = [row for row in held_back if outbox.may_stand(row)]
    held_back = [row for row in held_back if row not in looked_at_first]
    for row in held_back:
        row.state, row.reason, row.ended_at = (
            EditState.GIVEN_UP,
            "The batch was taken back before this was written.",
            now,
        )
        session.add(row)
    removals = [one for edit in edits if (one := outbox.ask_removal(session, edit, now)) is not None]
    if not removals and not held_back and not looked_at_first:
        raise NotReadyError("There is nothing to undo: none of these statements stands, or it is being undone already.")
    pens = {edit.batch_id: queries.batch(session, edit.batch_id or 0) for edit in edits}
    pen = next((batch.pen for batch in pens.values() if batch), Pen.BOT)
    made = _batch_of(session, campaign, removals, pen, person, now, is_undo=True)
    for row in looked_at_first:
        # An answer got lost: only a look tells whether there is anything to take back.
        row.called_back_by = made.id
        session.add(row)
    return made


def _to_undo(
    session: Session, campaign: Campaign, edit_ids: Collection[int] | None, batch_id: int | None
) -> Sequence[DepictsEdit]:
    if batch_id is not None:
        batch = queries.batch(session, batch_id)
        if batch is None or batch.campaign_id != campaign.id:
            raise NotFoundError(f"This campaign has no batch {batch_id}.")
        if batch.is_undo:
            raise ConflictError("This batch is itself an undo. Send the statements off again instead.")
        return queries.done_of_batch(session, batch_id)
    return [require_edit(session, campaign, edit_id) for edit_id in edit_ids or ()]


def require_edit(session: Session, campaign: Campaign, edit_id: int) -> DepictsEdit:
    """Return an edit of this campaign, or raise NotFoundError."""
    edit = queries.edit(session, edit_id)
    if edit is None or edit.campaign_id != campaign.id:
        raise NotFoundError(f"This campaign has no edit {edit_id}.")
    return edit


def may_insist(state: EditState, reason: str) -> bool:
    """Say whether a statement to add that ended so may be tried again."""
    again = (EditState.BLOCKED, EditState.CONFLICT, EditState.REFUSED, EditState.GIVEN_UP)
    return state in again and reason != outbox.CHANGED


def insist(session: Session, door: Door, edit_id: int, now: datetime) -> DepictsEdit:
    """Let an edit that ended as blocked, in conflict, refused or given up wait again: a curator looked.

    It waits to be sent off; beside a broader taxon, or in spite of an earlier removal, it is written then. Raises
    ConflictError for an edit that may not be tried again.
    """
    door.require(Role.CURATOR)
    edit = require_edit(session, door.campaign, edit_id)
    if edit.action is not EditAction.ADD or not may_insist(edit.state, edit.reason):
        raise ConflictError("This edit cannot be tried again.")
    edit.state, edit.reason, edit.blocked_by, edit.ended_at = EditState.WAITING, "", None, None
    edit.batch_id, edit.next_try_at, edit.attempts, edit.insists = None, None, 0, True
    session.add(edit)
    return edit


def answer_removal(session: Session, door: Door, edit_id: int, person: Person, now: datetime, *, again: bool) -> None:
    """Answer "someone removed this": say it again (a new wish, to be sent off), or let it rest. Ends the question."""
    door.require(Role.SPECIALIST)
    edit = require_edit(session, door.campaign, edit_id)
    if edit.gone_at is None:
        raise ConflictError("Nobody removed this statement.")
    task = session.get(ReviewTask, edit.figure_id)
    if task is None or task.reason != outbox.REMOVED_ELSEWHERE:
        raise ConflictError("This question has been answered already.")
    session.delete(task)
    session.flush()
    if again:
        outbox.say_again(session, edit, person.id or 0, now)


def pause(session: Session, campaign: Campaign, why: str, now: datetime) -> None:
    """Stop a campaign's writing until a curator lets it go on."""
    if campaign.writing_paused_at is None:
        campaign.writing_paused_at, campaign.writing_paused_why = now, why[:500]
        session.add(campaign)


def go_on(session: Session, door: Door, now: datetime) -> None:
    """Let a campaign write again; reverts of what was written before do not count any more."""
    door.require(Role.CURATOR)
    door.campaign.writing_paused_at, door.campaign.writing_paused_why = None, ""
    door.campaign.writing_went_on_at = now
    session.add(door.campaign)
