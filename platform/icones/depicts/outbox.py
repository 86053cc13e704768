"""How edits come into the outbox and how the outbox follows what people decide and what the wiki does.

An edit is a row before anything is sent, made in the same transaction as the determination it follows from, with the
statement's GUID: whatever happens later, it is known what was meant and whether it was done.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from icones.depicts import queries
from icones.models import (
    Answer,
    Campaign,
    DepictsEdit,
    Determination,
    DeterminationState,
    EditAction,
    EditState,
    Illustration,
    IllustrationState,
    Queue,
    ReviewTask,
    Writes,
)
from icones.taxa import service as taxa
from wiki_sync import new_guid

log = logging.getLogger(__name__)

CHANGED = "The determination changed before this was written."
WANTED_AGAIN = "It is wanted again."
REMOVED_ELSEWHERE = "removed_elsewhere"
"""The reason code of the review task "someone removed this"."""
PRIORITY_OF_REMOVAL = 4.0
UNSURE_FOR = timedelta(minutes=15)
"""A statement whose revision is not known is not missed before this much time has passed since it was written."""


def follow(session: Session, campaign: Campaign, determinations: Collection[Determination], now: datetime) -> None:
    """Bring the outbox in line with these determinations, in the caller's transaction.

    A verified taxon of a file on the wiki gets an edit that waits. An edit that has not gone out and is no longer
    wanted is given up; one that is done and was replaced by another verified answer gets a removal, which waits too,
    unless another figure of the file is verified as the same taxon: a statement is about the file. While a figure is
    merely disputed, what was written stays.
    """
    figure_ids = [row.figure_id for row in determinations]
    known = queries.of_figures(session, figure_ids)
    if campaign.writes is Writes.OFF and not known:
        return
    files = queries.files_of(session, figure_ids)
    qids = {row.figure_id: wanted(session, row) for row in determinations}
    for row in determinations:
        for edit in known.get(row.figure_id, []):
            _reconsider(session, edit, qids[row.figure_id], row, now)
    session.flush()
    _keep_or_remove(session, {file.id or 0 for file in files.values()}, now)
    if campaign.writes is Writes.OFF:
        return
    for row in determinations:
        qid, file = qids[row.figure_id], files.get(row.figure_id)
        if qid and file is not None and _may_be_wished(session, known.get(row.figure_id, []), qid):
            _wish(session, file, row, qid, now)


def wanted(session: Session, row: Determination) -> str | None:
    """Return the taxon that a determination lets us state: where an item was merged, the one it lives on in.

    Never what the model verified alone: nothing is said on the wiki that no person confirmed.
    """
    if row.state is not DeterminationState.VERIFIED or row.answer is not Answer.TAXON or row.taxon_qid is None:
        return None
    if row.is_by_model:
        return None
    return taxa.current(session, [row.taxon_qid])[row.taxon_qid]


def _reconsider(session: Session, edit: DepictsEdit, qid: str | None, row: Determination, now: datetime) -> None:
    if edit.action is EditAction.REMOVE:
        return
    if qid is not None and edit.qid == qid:
        gave_way = edit.state is EditState.GIVEN_UP and edit.reason == CHANGED
        # What the wiki said without us when we looked, it may not say any more.
        if gave_way or edit.state is EditState.ALREADY_THERE:
            edit.state, edit.reason, edit.ended_at, edit.batch_id = EditState.WAITING, "", None, None
            edit.person_id = _confirmer(session, row, qid)
            session.add(edit)
    elif edit.state is EditState.WAITING and not may_stand(edit):
        _give_up(session, edit, CHANGED, now)


def _keep_or_remove(session: Session, illustration_ids: Collection[int], now: datetime) -> None:
    """Wish the removal of what we wrote on these files and no figure says any more, and call back other removals."""
    standing = queries.standing(session, illustration_ids)
    verdicts = queries.determinations_of(session, standing)
    for illustration_id, edits in standing.items():
        by_figure = {row.figure_id: row for row in verdicts[illustration_id]}
        wanted_here = {wanted(session, row) for row in by_figure.values()}
        for edit in edits:
            own = by_figure.get(edit.figure_id)
            if edit.qid in wanted_here:
                _call_back_removal(session, edit, now)
            elif own is not None and own.state is DeterminationState.VERIFIED and not own.is_by_model:
                ask_removal(session, edit, now)


def _call_back_removal(session: Session, edit: DepictsEdit, now: datetime) -> None:
    """Give up the removal of a statement, unless a person asked for it or it may have been carried out."""
    removal = queries.removal_of(session, edit.id or 0)
    if removal is None or removal.state is not EditState.WAITING or may_stand(removal):
        return
    if not is_asked_undo(session, removal):
        _give_up(session, removal, WANTED_AGAIN, now)


def is_asked_undo(session: Session, edit: DepictsEdit) -> bool:
    """Say whether an edit goes out because a person took statements back, not because a determination changed."""
    batch = queries.batch(session, edit.batch_id) if edit.batch_id is not None else None
    return batch is not None and batch.is_undo


def is_wanted_on_file(session: Session, edit: DepictsEdit) -> bool:
    """Say whether any figure of an edit's file is verified as its taxon."""
    verdicts = queries.determinations_of(session, [edit.illustration_id])[edit.illustration_id]
    return any(wanted(session, row) == edit.qid for row in verdicts)


def _is_standing(edit: DepictsEdit) -> bool:
    return (
        edit.action is EditAction.ADD
        and edit.state is EditState.DONE
        and edit.undone_at is None
        and edit.gone_at is None
    )


def may_stand(edit: DepictsEdit) -> bool:
    """Say whether an edit that has not ended was tried and may have been carried out: then a sender looks first."""
    return edit.base_revision is not None


def _give_up(session: Session, edit: DepictsEdit, reason: str, now: datetime) -> None:
    edit.state, edit.reason, edit.ended_at = EditState.GIVEN_UP, reason, now
    session.add(edit)


def _may_be_wished(session: Session, rows: Sequence[DepictsEdit], qid: str) -> bool:
    """Say whether no word on this taxon keeps it from being wished.

    What a person took back, or somebody removed, is never wished again by itself; what went because the determination
    changed is, when it changes back.
    """
    words = [row for row in rows if row.qid == qid and row.action is EditAction.ADD]
    return all(row.undone_at is not None and not _was_undone_by_a_person(session, row, rows) for row in words)


def _was_undone_by_a_person(session: Session, edit: DepictsEdit, rows: Sequence[DepictsEdit]) -> bool:
    return any(row.undoes_id == edit.id and is_asked_undo(session, row) for row in rows)


def _wish(session: Session, file: Illustration, row: Determination, qid: str, now: datetime) -> DepictsEdit | None:
    if not file.mid or file.state is IllustrationState.GONE:
        return None
    edit = DepictsEdit(
        campaign_id=row.campaign_id,
        illustration_id=file.id or 0,
        figure_id=row.figure_id,
        qid=qid,
        guid=new_guid(file.mid),
        person_id=_confirmer(session, row, qid),
        created_at=now,
    )
    session.add(edit)
    session.flush()
    return edit


def _confirmer(session: Session, row: Determination, qid: str) -> int | None:
    """Return who confirmed a determination: who settled it, else who last said this taxon."""
    return row.settled_by or queries.last_to_say(session, row.figure_id, row.taxon_qid or qid)


def ask_removal(session: Session, edit: DepictsEdit, now: datetime) -> DepictsEdit | None:
    """Put the removal of a statement of ours in the outbox; None if there is one already, or nothing to remove."""
    if not _is_standing(edit):
        return None
    given_up = queries.removal_of(session, edit.id or 0)
    if given_up is not None and given_up.state is not EditState.GIVEN_UP:
        return None
    removal = given_up or DepictsEdit(
        campaign_id=edit.campaign_id,
        illustration_id=edit.illustration_id,
        figure_id=edit.figure_id,
        action=EditAction.REMOVE,
        qid=edit.qid,
        guid=edit.guid,
        undoes_id=edit.id,
        created_at=now,
    )
    removal.state, removal.reason, removal.ended_at = EditState.WAITING, "", None
    removal.batch_id, removal.next_try_at, removal.attempts = None, None, 0
    removal.claim, removal.person_id = edit.claim, edit.person_id
    session.add(removal)
    session.flush()
    return removal


def fill(session: Session, campaign: Campaign, now: datetime) -> int:
    """Put the verified determinations that have no edit yet into the outbox; return how many.

    For a campaign that begins to write after people have verified figures, or after files came back.
    """
    figure_ids = queries.verified_without_edit(session, campaign.id or 0)
    rows = [session.get_one(Determination, figure_id) for figure_id in figure_ids]
    follow(session, campaign, rows, now)
    return len(rows)


def noticed(session: Session, campaign: Campaign, illustration_ids: Collection[int], now: datetime) -> int:
    """Compare what we wrote with the mirror, after these files were read; return how many statements are missed.

    A statement of ours that somebody removed or changed is never written again by itself: the figure goes to a
    specialist with the question what to make of it. The mirror must be at least as new as our revision, else it may
    have been read just before we wrote.
    """
    ours = queries.standing(session, illustration_ids)
    there = queries.mirrored(session, [edit.guid for edits in ours.values() for edit in edits])
    missed = 0
    for illustration_id, edits in ours.items():
        file = session.get_one(Illustration, illustration_id)
        if file.state is IllustrationState.GONE:
            continue  # the statement went with its file
        for edit in edits:
            found = there.get(edit.guid)
            if _mirror_is_older(edit, file, now) or (found and found.qid == edit.qid and found.rank != "deprecated"):
                continue
            missed += 1
            how = "removed" if found is None else "marked as wrong" if found.rank == "deprecated" else "changed"
            miss(session, edit, f"Somebody {how} this statement on the wiki.", now)
    return missed


def _mirror_is_older(edit: DepictsEdit, file: Illustration, now: datetime) -> bool:
    if edit.revision is not None:
        return (file.revision or 0) < edit.revision
    return edit.wrote_at is None or edit.wrote_at > now - UNSURE_FOR


def miss(session: Session, edit: DepictsEdit, why: str, now: datetime) -> None:
    """Note that a statement of ours no longer stands, and ask a specialist what to make of it."""
    edit.gone_at, edit.reason = now, why
    session.add(edit)
    session.flush()
    task = session.get(ReviewTask, edit.figure_id) or ReviewTask(
        figure_id=edit.figure_id, campaign_id=edit.campaign_id, queue=Queue.SPECIALIST, updated_at=now
    )
    task.queue, task.priority, task.reason = Queue.SPECIALIST, PRIORITY_OF_REMOVAL, REMOVED_ELSEWHERE
    task.updated_at = now
    session.add(task)
    log.info("statement %s was taken away elsewhere", edit.guid)


def say_again(session: Session, edit: DepictsEdit, person_id: int, now: datetime) -> DepictsEdit:
    """Wish a statement again that somebody removed: a person looked and decided so. It has a GUID of its own."""
    file = session.get_one(Illustration, edit.illustration_id)
    again = DepictsEdit(
        campaign_id=edit.campaign_id,
        illustration_id=edit.illustration_id,
        figure_id=edit.figure_id,
        qid=edit.qid,
        guid=new_guid(file.mid or ""),
        insists=True,
        person_id=person_id,
        created_at=now,
    )
    session.add(again)
    session.flush()
    return again
