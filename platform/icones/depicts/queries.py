"""All SQL about depicts edits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel, col, func, select

from icones.models import (
    Campaign,
    DepictsEdit,
    DepictsStatement,
    Determination,
    EditAction,
    EditBatch,
    EditState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    Pen,
    Person,
    WikiAccount,
    WikiNotice,
)
from icones.taxa.queries import batches

OPEN = (EditState.WAITING, EditState.SENDING)


def edit(session: Session, edit_id: int) -> DepictsEdit | None:
    """Return one edit."""
    return session.get(DepictsEdit, edit_id)


def of_figures(session: Session, figure_ids: Collection[int]) -> dict[int, list[DepictsEdit]]:
    """Return all edits about these figures, oldest first."""
    found: dict[int, list[DepictsEdit]] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(DepictsEdit).where(col(DepictsEdit.figure_id).in_(batch)).order_by(col(DepictsEdit.id))
        for row in session.exec(question):
            found.setdefault(row.figure_id, []).append(row)
    return found


def of_illustration(session: Session, illustration_id: int) -> Sequence[DepictsEdit]:
    """Return all edits about a file, oldest first."""
    question = select(DepictsEdit).where(DepictsEdit.illustration_id == illustration_id)
    return session.exec(question.order_by(col(DepictsEdit.id))).all()


def standing(session: Session, illustration_ids: Collection[int]) -> dict[int, list[DepictsEdit]]:
    """Return the statements that we wrote on these files and that, as far as we know, stand there."""
    found: dict[int, list[DepictsEdit]] = {}
    for batch in batches(sorted(illustration_ids)):
        question = select(DepictsEdit).where(
            col(DepictsEdit.illustration_id).in_(batch),
            DepictsEdit.action == EditAction.ADD,
            DepictsEdit.state == EditState.DONE,
            col(DepictsEdit.undone_at).is_(None),
            col(DepictsEdit.gone_at).is_(None),
        )
        for row in session.exec(question.order_by(col(DepictsEdit.id))):
            found.setdefault(row.illustration_id, []).append(row)
    return found


def removal_of(session: Session, edit_id: int) -> DepictsEdit | None:
    """Return the edit that takes back what this one wrote, if there is one: a statement has one at most."""
    return session.exec(select(DepictsEdit).where(DepictsEdit.undoes_id == edit_id)).first()


def determinations_of(session: Session, illustration_ids: Collection[int]) -> dict[int, list[Determination]]:
    """Return the determinations of all figures of these files, by file."""
    found: dict[int, list[Determination]] = {one: [] for one in illustration_ids}
    for batch in batches(sorted(illustration_ids)):
        question = (
            select(Figure.illustration_id, Determination)
            .join(Figure, col(Figure.id) == Determination.figure_id)
            .where(col(Figure.illustration_id).in_(batch), col(Figure.removed_at).is_(None))
        )
        for illustration_id, row in session.exec(question):
            found[illustration_id].append(row)
    return found


def mirrored(session: Session, guids: Collection[str]) -> dict[str, DepictsStatement]:
    """Return what the mirror says stands under these GUIDs."""
    found: dict[str, DepictsStatement] = {}
    for batch in batches(sorted(guids)):
        question = select(DepictsStatement).where(
            col(DepictsStatement.statement_id).in_(batch), col(DepictsStatement.gone_at).is_(None)
        )
        found |= {row.statement_id: row for row in session.exec(question)}
    return found


def taken_away_elsewhere(session: Session, edit: DepictsEdit) -> bool:
    """Say whether this taxon was stated on this file once and, should it not stand there now, somebody removed it.

    Either the mirror saw it come and go, or we wrote it for another figure. What we took back ourselves, or are about
    to take back, does not count.
    """
    same = (DepictsEdit.illustration_id == edit.illustration_id, DepictsEdit.qid == edit.qid)
    our_removals = select(DepictsEdit.guid).where(
        *same, DepictsEdit.action == EditAction.REMOVE, col(DepictsEdit.state).in_((*OPEN, EditState.DONE))
    )
    seen = select(DepictsStatement.id).where(
        DepictsStatement.illustration_id == edit.illustration_id,
        DepictsStatement.qid == edit.qid,
        col(DepictsStatement.gone_at).is_not(None),
        col(DepictsStatement.statement_id).not_in(our_removals),
    )
    written = select(DepictsEdit.id).where(
        *same,
        DepictsEdit.action == EditAction.ADD,
        DepictsEdit.state == EditState.DONE,
        DepictsEdit.id != edit.id,
        col(DepictsEdit.undone_at).is_(None),
        col(DepictsEdit.guid).not_in(our_removals),
    )
    return any(session.exec(question.limit(1)).first() is not None for question in (seen, written))


def files_of(session: Session, figure_ids: Collection[int]) -> dict[int, Illustration]:
    """Return the files of these figures, by figure."""
    found: dict[int, Illustration] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Figure.id, Illustration).join(Illustration).where(col(Figure.id).in_(batch))
        found |= {key: row for key, row in session.exec(question) if key is not None}
    return found


def last_to_say(session: Session, figure_id: int, qid: str) -> int | None:
    """Return who last said that this figure is this taxon, of the identifications that stand."""
    question = (
        select(Identification.person_id)
        .where(
            Identification.figure_id == figure_id,
            Identification.taxon_qid == qid,
            col(Identification.ended_at).is_(None),
        )
        .order_by(col(Identification.id).desc())
    )
    return session.exec(question.limit(1)).first()


def boxes(session: Session, illustration_id: int, qid: str) -> list[str]:
    """Return the boxes of the verified figures of one taxon on one file."""
    question = (
        select(Figure.box)
        .join(Determination, col(Determination.figure_id) == Figure.id)
        .where(
            Figure.illustration_id == illustration_id,
            Determination.taxon_qid == qid,
            Determination.state == "verified",
            col(Figure.removed_at).is_(None),
            col(Figure.box).is_not(None),
        )
    )
    return sorted({box for box in session.exec(question) if box})


def n_figures(session: Session, illustration_id: int) -> int:
    """Return how many figures a file has."""
    question = select(func.count()).select_from(Figure)
    return session.exec(
        question.where(Figure.illustration_id == illustration_id, col(Figure.removed_at).is_(None))
    ).one()


def unsent(session: Session, campaign_id: int) -> Sequence[DepictsEdit]:
    """Return the edits that wait for somebody to send them off, oldest first."""
    question = select(DepictsEdit).where(
        DepictsEdit.campaign_id == campaign_id,
        DepictsEdit.state == EditState.WAITING,
        col(DepictsEdit.batch_id).is_(None),
    )
    return session.exec(question.order_by(col(DepictsEdit.id))).all()


def next_to_send(
    session: Session,
    campaign_id: int,
    now: datetime,
    people_not_now: Collection[int],
    bot_not_now: bool,
    *,
    only_removals: bool = False,
) -> tuple[DepictsEdit, EditBatch] | None:
    """Return the edit to send next, with its batch: due, of no file that another sender holds; removals first.

    A killed sender's edit comes before all others, once its lease has run out. Left out are the edits of people (and
    of the bot) whose account must wait or may not write now.
    """
    due = sa.or_(
        sa.and_(
            col(DepictsEdit.state) == EditState.WAITING,
            sa.or_(col(DepictsEdit.next_try_at).is_(None), col(DepictsEdit.next_try_at) <= now),
        ),
        sa.and_(col(DepictsEdit.state) == EditState.SENDING, col(DepictsEdit.lease_until) <= now),
    )
    question = (
        select(DepictsEdit, EditBatch)
        .join(EditBatch, col(EditBatch.id) == DepictsEdit.batch_id)
        .where(DepictsEdit.campaign_id == campaign_id, due, ~_is_held(now))
        .order_by(
            sa.case((col(DepictsEdit.state) == EditState.SENDING, 0), else_=1),
            sa.case((col(DepictsEdit.action) == EditAction.REMOVE, 0), else_=1),
            col(DepictsEdit.id),
        )
        .limit(1)
    )
    if only_removals:
        question = question.where(DepictsEdit.action == EditAction.REMOVE)
    if bot_not_now:
        question = question.where(EditBatch.pen != Pen.BOT)
    if people_not_now:
        theirs = sa.and_(col(EditBatch.pen) == Pen.PEOPLE, col(DepictsEdit.person_id).in_(sorted(people_not_now)))
        question = question.where(~theirs)
    return session.exec(question).first()


def _is_held(now: datetime) -> sa.Exists:
    """Return the condition that another sender is at work on an edit's file."""
    other = sa.orm.aliased(DepictsEdit)
    return (
        select(other.id)
        .where(
            other.illustration_id == DepictsEdit.illustration_id,
            other.id != DepictsEdit.id,
            other.state == EditState.SENDING,
            col(other.lease_until) > now,
        )
        .exists()
    )


def locked(session: Session, edit_id: int) -> DepictsEdit:
    """Return an edit as it is now; nobody else changes it until the transaction ends."""
    question = select(DepictsEdit).where(DepictsEdit.id == edit_id).with_for_update()
    return session.exec(question.execution_options(populate_existing=True)).one()


def take(session: Session, row: DepictsEdit, sender: str, now: datetime, lease_until: datetime) -> bool:
    """Take an edit for one sender, unless another was quicker; True if it is ours now.

    One conditional UPDATE. Before it the file is locked, so that two senders who take edits of one file at the same
    moment see each other.
    """
    file = select(Illustration.id).where(Illustration.id == row.illustration_id).with_for_update(key_share=True)
    session.exec(file).one()
    taken = session.connection().execute(
        sa.update(DepictsEdit)
        .where(
            col(DepictsEdit.id) == row.id,
            col(DepictsEdit.state) == row.state,
            col(DepictsEdit.attempts) == row.attempts,
            ~_is_held(now),
        )
        .values(state=EditState.SENDING, sender=sender, lease_until=lease_until, attempts=DepictsEdit.attempts + 1)
    )
    session.expire_all()
    return taken.rowcount == 1


def soonest(session: Session, campaign_id: int, *, only_removals: bool = False) -> datetime | None:
    """Return when the next edit that was sent off becomes due (or its lease ends); None if there is none left."""
    due = sa.case(
        (col(DepictsEdit.state) == EditState.SENDING, col(DepictsEdit.lease_until)),
        else_=func.coalesce(col(DepictsEdit.next_try_at), col(DepictsEdit.created_at)),
    )
    question = select(func.min(due)).where(
        DepictsEdit.campaign_id == campaign_id,
        col(DepictsEdit.batch_id).is_not(None),
        col(DepictsEdit.state).in_(OPEN),
    )
    if only_removals:
        question = question.where(DepictsEdit.action == EditAction.REMOVE)
    found: datetime | None = session.exec(question).one()
    return found


def has_due(session: Session, campaign_id: int, now: datetime, *, only_removals: bool = False) -> bool:
    """Say whether something that was sent off can be tried now."""
    moment = soonest(session, campaign_id, only_removals=only_removals)
    return moment is not None and moment <= now


def account(session: Session, name: str) -> WikiAccount:
    """Return what is kept of an account that writes, locked until the transaction ends."""
    question = select(WikiAccount).where(WikiAccount.name == name).with_for_update()
    if session.exec(question).first() is None:
        _add_unless_there(session, WikiAccount(name=name))
    return session.exec(question).one()


def _add_unless_there(session: Session, row: SQLModel) -> None:
    """Add a row whose key another process may be adding at this very moment; then its row is the one."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return


def notice(session: Session, key: str) -> WikiNotice | None:
    """Return what the wiki last said on a page that we heed."""
    return session.get(WikiNotice, key)


def keep_notice(session: Session, notice: WikiNotice) -> None:
    """Keep what the wiki says now on a page that we heed, in the place of what it said before."""
    if session.get(WikiNotice, notice.key) is None:
        _add_unless_there(session, WikiNotice(key=notice.key, checked_at=notice.checked_at))
    session.merge(notice)


def counts(session: Session, campaign_id: int) -> dict[tuple[EditAction, EditState], int]:
    """Return how many edits of a campaign stand where."""
    return counts_in(session, [campaign_id])


def counts_in(
    session: Session, campaign_ids: Collection[int], batch_id: int | None = None
) -> dict[tuple[EditAction, EditState], int]:
    """Return how many edits of these campaigns (or of one batch of theirs) stand where."""
    question = (
        select(DepictsEdit.action, DepictsEdit.state, func.count())
        .where(col(DepictsEdit.campaign_id).in_(list(campaign_ids)))
        .group_by(col(DepictsEdit.action), col(DepictsEdit.state))
    )
    if batch_id is not None:
        question = question.where(DepictsEdit.batch_id == batch_id)
    return {(EditAction(action), EditState(state)): count for action, state, count in session.exec(question)}


@dataclass(frozen=True)
class Fates:
    """What became of the statements that we added. An undone one may have been removed by somebody before."""

    written: int
    gone: int
    """Somebody removed or changed them; reverts are among them."""
    reverted: int
    undone: int
    """We took them back."""

    @property
    def share_reverted(self) -> float:
        """The reverted share of what was written, 0 to 1."""
        return self.reverted / self.written if self.written else 0.0


def fates(session: Session, campaign_ids: Collection[int], batch_id: int | None = None) -> Fates:
    """Return what became of the statements that were added for these campaigns (or in one batch of theirs)."""
    question = select(
        func.count(),
        func.count(col(DepictsEdit.gone_at)),
        func.count(col(DepictsEdit.reverted_at)),
        func.count(col(DepictsEdit.undone_at)),
    ).where(
        col(DepictsEdit.campaign_id).in_(list(campaign_ids)),
        DepictsEdit.action == EditAction.ADD,
        DepictsEdit.state == EditState.DONE,
    )
    if batch_id is not None:
        question = question.where(DepictsEdit.batch_id == batch_id)
    return Fates(*session.exec(question).one())


def reasons(
    session: Session, campaign_id: int, action: EditAction | None = None
) -> Sequence[tuple[EditState, str, int]]:
    """Return why edits of a campaign (of one kind, if given) are not done, with how many; the commonest first."""
    count = func.count()
    question = (
        select(DepictsEdit.state, DepictsEdit.reason, count)
        .where(DepictsEdit.campaign_id == campaign_id, DepictsEdit.state != EditState.DONE, DepictsEdit.reason != "")
        .group_by(col(DepictsEdit.state), col(DepictsEdit.reason))
        .order_by(count.desc(), col(DepictsEdit.reason))
    )
    if action is not None:
        question = question.where(DepictsEdit.action == action)
    return [(EditState(state), why, n) for state, why, n in session.exec(question)]


def verified_without_edit(session: Session, campaign_id: int) -> Sequence[int]:
    """Return the figures of files on the wiki whose verified taxon has no edit yet."""
    said = (
        select(DepictsEdit.id)
        .where(DepictsEdit.figure_id == Determination.figure_id, DepictsEdit.action == EditAction.ADD)
        .exists()
    )
    question = (
        select(Determination.figure_id)
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == "verified",
            col(Determination.taxon_qid).is_not(None),
            col(Figure.removed_at).is_(None),
            col(Illustration.mid).is_not(None),
            Illustration.state != IllustrationState.GONE,
            ~said,
        )
    )
    return session.exec(question.order_by(col(Determination.figure_id))).all()


def written(session: Session, campaign_id: int, since: datetime) -> Sequence[DepictsEdit]:
    """Return the statements that were added since a moment, with a known revision."""
    question = select(DepictsEdit).where(
        DepictsEdit.campaign_id == campaign_id,
        DepictsEdit.action == EditAction.ADD,
        DepictsEdit.state == EditState.DONE,
        col(DepictsEdit.revision).is_not(None),
        col(DepictsEdit.wrote_at) >= since,
    )
    return session.exec(question.order_by(col(DepictsEdit.id))).all()


def page_of_edits(
    session: Session,
    campaign_ids: Collection[int],
    states: Collection[EditState],
    before: int | None,
    limit: int,
    batch_id: int | None = None,
    *,
    only_gone: bool = False,
) -> Sequence[tuple[DepictsEdit, Illustration, Campaign, Person | None]]:
    """Return edits with all a list shows, newest first; ``before`` is the id where the last page ended.

    ``only_gone`` leaves those statements of ours that somebody removed or changed.
    """
    question = (
        select(DepictsEdit, Illustration, Campaign, Person)
        .join(Illustration, col(Illustration.id) == DepictsEdit.illustration_id)
        .join(Campaign, col(Campaign.id) == DepictsEdit.campaign_id)
        .join(Person, col(Person.id) == DepictsEdit.person_id, isouter=True)
        .where(col(DepictsEdit.campaign_id).in_(list(campaign_ids)), col(DepictsEdit.state).in_(list(states)))
    )
    if before is not None:
        question = question.where(col(DepictsEdit.id) < before)
    if batch_id is not None:
        question = question.where(DepictsEdit.batch_id == batch_id)
    if only_gone:
        question = question.where(col(DepictsEdit.gone_at).is_not(None))
    return session.exec(question.order_by(col(DepictsEdit.id).desc()).limit(limit)).all()


def batches_of(session: Session, campaign_id: int) -> Sequence[tuple[EditBatch, int, int]]:
    """Return a campaign's batches, newest first, with how many edits each has and how many are done."""
    done = func.sum(sa.case((col(DepictsEdit.state) == EditState.DONE, 1), else_=0))
    question = (
        select(EditBatch, func.count(col(DepictsEdit.id)), done)
        .join(DepictsEdit, col(DepictsEdit.batch_id) == EditBatch.id)
        .where(EditBatch.campaign_id == campaign_id)
        .group_by(col(EditBatch.id))
        .order_by(col(EditBatch.id).desc())
    )
    return [(batch, int(total), int(n_done or 0)) for batch, total, n_done in session.exec(question)]


def standing_by_batch(session: Session, campaign_id: int) -> dict[int, tuple[int, int]]:
    """Return for each batch of a campaign how many of its statements stand, and how many of its edits wait."""
    stands = sa.and_(
        col(DepictsEdit.action) == EditAction.ADD,
        col(DepictsEdit.state) == EditState.DONE,
        col(DepictsEdit.undone_at).is_(None),
        col(DepictsEdit.gone_at).is_(None),
    )
    n_standing = func.sum(sa.case((stands, 1), else_=0))
    n_waiting = func.sum(sa.case((col(DepictsEdit.state) == EditState.WAITING, 1), else_=0))
    question = (
        select(DepictsEdit.batch_id, n_standing, n_waiting)
        .where(DepictsEdit.campaign_id == campaign_id, col(DepictsEdit.batch_id).is_not(None))
        .group_by(col(DepictsEdit.batch_id))
    )
    return {key or 0: (int(stand), int(wait)) for key, stand, wait in session.exec(question)}


def has_files_on_the_wiki(session: Session, campaign_id: int) -> bool:
    """Say whether a campaign has illustrations that are files on the wiki."""
    question = select(Illustration.id).where(
        Illustration.campaign_id == campaign_id,
        col(Illustration.mid).is_not(None),
        Illustration.state != IllustrationState.GONE,
    )
    return session.exec(question.limit(1)).first() is not None


def batch(session: Session, batch_id: int) -> EditBatch | None:
    """Return one batch."""
    return session.get(EditBatch, batch_id)


def batch_of_mark(session: Session, mark: str) -> EditBatch | None:
    """Return the batch with this mark, as it stands in its summaries."""
    return session.exec(select(EditBatch).where(EditBatch.mark == mark)).first()


def batches_by_id(session: Session, batch_ids: Collection[int]) -> dict[int, EditBatch]:
    """Return these batches by id."""
    found: dict[int, EditBatch] = {}
    for some in batches(sorted(batch_ids)):
        question = select(EditBatch).where(col(EditBatch.id).in_(some))
        found |= {row.id or 0: row for row in session.exec(question)}
    return found


def ended_for(session: Session, campaign_id: int, state: EditState, reason: str) -> Sequence[int]:
    """Return the statements to add that ended in a state for this very reason, oldest first."""
    question = select(DepictsEdit.id).where(
        DepictsEdit.campaign_id == campaign_id,
        DepictsEdit.action == EditAction.ADD,
        DepictsEdit.state == state,
        DepictsEdit.reason == reason,
    )
    return [key for key in session.exec(question.order_by(col(DepictsEdit.id))) if key is not None]


def done_of_batch(session: Session, batch_id: int) -> Sequence[DepictsEdit]:
    """Return what a batch added and what still stands, as far as we know."""
    question = select(DepictsEdit).where(
        DepictsEdit.batch_id == batch_id,
        DepictsEdit.action == EditAction.ADD,
        DepictsEdit.state == EditState.DONE,
        col(DepictsEdit.undone_at).is_(None),
        col(DepictsEdit.gone_at).is_(None),
    )
    return session.exec(question.order_by(col(DepictsEdit.id))).all()


def waiting_of_batch(session: Session, batch_id: int) -> Sequence[DepictsEdit]:
    """Return the edits of a batch that have not gone out yet."""
    question = select(DepictsEdit).where(DepictsEdit.batch_id == batch_id, DepictsEdit.state == EditState.WAITING)
    return session.exec(question.order_by(col(DepictsEdit.id))).all()
