"""The life of one attempt, in transactions: take an edit, prepare what it says, and note how it ended.

Between these transactions the wiki is asked. A process that is killed anywhere leaves an edit whose lease runs out;
the next sender reads the file anew, finds our GUID there or not, and goes on from what is true.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from icones.config import Settings
from icones.depicts import outbox, queries, wording
from icones.models import (
    Campaign,
    DepictsEdit,
    Determination,
    EditAction,
    EditBatch,
    EditState,
    Illustration,
    Pen,
)
from wiki_sync import DepictsClaim

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Account:
    """Whose name an edit goes out in: the bot's, or a person's."""

    person_id: int | None

    @property
    def key(self) -> str:
        """Its key in the table of accounts."""
        return "bot" if self.person_id is None else f"person:{self.person_id}"


@dataclass(frozen=True)
class Taken:
    """An edit that this sender holds, with all that sending it needs."""

    edit_id: int
    action: EditAction
    page_id: int
    qid: str
    guid: str
    why_not: str
    """Not empty: only find out whether an earlier try was carried out, write nothing, and give up for this reason."""
    insists: bool
    was_taken_away: bool
    leaving: frozenset[str]
    boxes: tuple[str, ...]
    n_figures: int
    verbatim_name: str
    kept_claim: dict[str, object]
    """Of the statement to remove; empty for one to add."""
    mark: str
    """That of the batch in whose name an earlier try went out, if there was one; it stood in the summary."""
    base_revision: int | None
    """The file's revision before an earlier try that may have been carried out."""
    summary: str
    tags: tuple[str, ...]
    account: Account
    attempts: int
    created_at: datetime


def take_next(
    session: Session,
    settings: Settings,
    campaign: Campaign,
    sender: str,
    now: datetime,
    not_now: Collection[Account],
    *,
    only_removals: bool = False,
) -> Taken | datetime | None:
    """Take the next edit; else return when to look again, or None when nothing is left.

    The pace of each account is kept here, in the database, so that it holds for all workers together.
    """
    waits: list[datetime] = []
    people = {one.person_id for one in not_now if one.person_id is not None}
    bot = Account(None) in not_now
    while True:
        found = queries.next_to_send(session, campaign.id or 0, now, people, bot, only_removals=only_removals)
        if found is None:
            soonest = None
            if not (people or bot):
                soonest = queries.soonest(session, campaign.id or 0, only_removals=only_removals)
            return min([*waits, *([soonest] if soonest else [])], default=None)
        row, batch = found
        account = Account(row.person_id if batch.pen is Pen.PEOPLE else None)
        pen = queries.account(session, account.key)
        if pen.next_at is not None and pen.next_at > now:
            waits.append(pen.next_at)
            if account.person_id is None:
                bot = True
            else:
                people.add(account.person_id)
            continue
        why_not = _why_not(session, settings, row)
        if why_not and not outbox.may_stand(row):
            _give_up(session, row, why_not, now)
            continue
        key = row.id or 0
        if not queries.take(session, row, sender, now, now + timedelta(seconds=settings.edit_lease_s)):
            continue
        pace = settings.person_edits_per_minute if account.person_id is not None else campaign.edits_per_minute
        pen.next_at = now + timedelta(minutes=1 / pace)
        session.add(pen)
        return _taken(session, settings, campaign, session.get_one(DepictsEdit, key), batch, account, why_not)


def _why_not(session: Session, settings: Settings, row: DepictsEdit) -> str:
    """Return why an edit must not be written any more, "" if it may be."""
    if row.attempts >= settings.edit_tries:
        return f"Given up after {row.attempts} tries. The last one: {row.reason}"
    if row.action is EditAction.REMOVE:
        is_moot = not outbox.is_asked_undo(session, row) and outbox.is_wanted_on_file(session, row)
        return outbox.WANTED_AGAIN if is_moot else ""
    if row.called_back_by is not None:
        return "The batch was taken back before this was written."
    found = session.get(Determination, row.figure_id)
    is_wanted = found is not None and outbox.wanted(session, found) == row.qid
    return "" if is_wanted else outbox.CHANGED


def _give_up(session: Session, row: DepictsEdit, why: str, now: datetime) -> None:
    _end(row, EditState.GIVEN_UP, why, now)
    session.add(row)
    session.flush()
    _follow(session, row, now)


def prepared(session: Session, settings: Settings, campaign: Campaign, row: DepictsEdit, pen: Pen) -> Taken:
    """Return an edit that nobody has sent off, as it would be sent: for the look before. Nothing is taken."""
    batch = EditBatch(campaign_id=row.campaign_id, pen=pen, mark="…", created_at=row.created_at)
    account = Account(row.person_id if pen is Pen.PEOPLE else None)
    return _taken(session, settings, campaign, row, batch, account, "")


def _taken(
    session: Session,
    settings: Settings,
    campaign: Campaign,
    row: DepictsEdit,
    batch: EditBatch,
    account: Account,
    why_not: str,
) -> Taken:
    file = session.get_one(Illustration, row.illustration_id)
    leaving = {
        other.guid
        for other in queries.of_illustration(session, row.illustration_id)
        if other.action is EditAction.REMOVE and other.state in queries.OPEN
    }
    words = wording.summary(
        campaign.title,
        batch.mark,
        tool_page=settings.tool_page,
        editgroups=settings.editgroups,
        is_undo=row.action is EditAction.REMOVE,
    )
    return Taken(
        edit_id=row.id or 0,
        action=row.action,
        page_id=int((file.mid or "M0")[1:]),
        qid=row.qid,
        guid=row.guid,
        why_not=why_not,
        insists=row.insists,
        was_taken_away=queries.taken_away_elsewhere(session, row),
        leaving=frozenset(leaving),
        boxes=tuple(queries.boxes(session, row.illustration_id, row.qid)),
        n_figures=queries.n_figures(session, row.illustration_id),
        verbatim_name=file.verbatim_name,
        kept_claim=dict(row.claim) if row.action is EditAction.REMOVE else {},
        mark=wording.mark_in(row.summary) or batch.mark,
        base_revision=row.base_revision,
        summary=words,
        tags=tuple(tag for tag in campaign.change_tags.split("|") if tag),
        account=account,
        attempts=row.attempts,
        created_at=row.created_at,
    )


def renew(
    session: Session,
    settings: Settings,
    taken: Taken,
    sender: str,
    claim: DepictsClaim | None,
    base_revision: int | None,
    now: datetime,
) -> bool:
    """Say right before the write what will be said, and hold the edit for another while; False if it was lost.

    An edit is lost when the lease ran out and another sender took it: then nothing may be sent.
    """
    row = queries.locked(session, taken.edit_id)
    if row.state is not EditState.SENDING or row.sender != sender or row.attempts != taken.attempts:
        return False
    row.lease_until = now + timedelta(seconds=settings.edit_lease_s)
    row.summary, row.base_revision = taken.summary, base_revision
    if claim is not None:
        row.claim = wording.kept(claim)
    session.add(row)
    return True


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: in a state, or to be tried again."""

    state: EditState
    reason: str = ""
    blocked_by: str | None = None
    revision: int | None = None
    account: str = ""
    answer: str = ""
    retry_after: float | None = None
    """Seconds; only for an edit that waits again."""
    is_free: bool = False
    """The attempt does not count: the wiki, or we, were not in a state to try."""
    was_removed: bool = False
    """Of one to add: it was written in an earlier try, and somebody has removed it since. Of one to remove: the file
    is there, and the statement is not, whoever removed it."""
    rests_account: bool = False
    """The wait holds for the whole account."""


def note(
    session: Session, settings: Settings, taken: Taken, sender: str, ended: Ended, now: datetime
) -> EditState | None:
    """Write down how an attempt ended; return the state, or None if another sender had taken the edit over."""
    row = queries.locked(session, taken.edit_id)
    if row.state is not EditState.SENDING or row.sender != sender or row.attempts != taken.attempts:
        return None
    row.last_answer = ended.answer[:4000] or row.last_answer
    row.sender, row.lease_until = "", None
    if ended.is_free:
        row.attempts -= 1
    if ended.state is EditState.WAITING:
        _wait(session, settings, row, taken, ended, now)
    else:
        _end(row, ended.state, ended.reason, now)
        row.blocked_by = ended.blocked_by
        if ended.state is EditState.DONE:
            row.revision, row.account, row.wrote_at = ended.revision, ended.account, now
    session.add(row)
    session.flush()
    if ended.state is EditState.DONE or ended.was_removed:
        if ended.was_removed and row.action is EditAction.ADD:
            outbox.miss(session, row, "Somebody removed this statement on the wiki right after it was written.", now)
        _after(session, row, now)
    return EditState(row.state)


def _wait(session: Session, settings: Settings, row: DepictsEdit, taken: Taken, ended: Ended, now: datetime) -> None:
    if not ended.is_free and row.attempts >= settings.edit_tries and not outbox.may_stand(row):
        _end(row, EditState.GIVEN_UP, f"Given up after {row.attempts} tries. The last one: {ended.reason}", now)
        return
    pause = timedelta(seconds=max(ended.retry_after or 0.0, _backoff(settings, row.attempts)))
    row.state, row.reason = EditState.WAITING, ended.reason[:500]
    row.next_try_at = now + min(pause, LONGEST_WAIT)
    if ended.rests_account:
        pen = queries.account(session, taken.account.key)
        pen.next_at = max(pen.next_at or now, now + min(timedelta(seconds=ended.retry_after or 5.0), LONGEST_WAIT))
        session.add(pen)


def _backoff(settings: Settings, attempts: int) -> float:
    """Return the wait in seconds before the next try: doubling from the setting, never falling into step by chance."""
    return float(settings.wiki_retry_wait_s * 2 ** min(attempts, 12))


def _end(row: DepictsEdit, state: EditState, reason: str, now: datetime) -> None:
    row.state, row.reason, row.ended_at = state, reason[:500], now
    row.sender, row.lease_until, row.next_try_at = "", None, None


def _after(session: Session, row: DepictsEdit, now: datetime) -> None:
    """Draw the consequences of an edit that is done."""
    if row.action is EditAction.REMOVE and row.undoes_id is not None:
        undone = session.get_one(DepictsEdit, row.undoes_id)
        undone.undone_at = now
        session.add(undone)
        session.flush()
    if row.called_back_by is not None and (removal := outbox.ask_removal(session, row, now)) is not None:
        removal.batch_id = row.called_back_by
        session.add(removal)
    _follow(session, row, now)


def _follow(session: Session, row: DepictsEdit, now: datetime) -> None:
    """Look again at what is wanted: people may have decided otherwise while the edit was on its way."""
    found = session.get(Determination, row.figure_id)
    if found is not None:
        outbox.follow(session, session.get_one(Campaign, row.campaign_id), [found], now)
