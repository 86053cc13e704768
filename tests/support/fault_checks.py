"""What must hold after a fault run: the outbox, row by row, against the wiki's state and its whole history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from icones.depicts import outbox
from icones.jobs.invariants import broken
from icones.models import (
    DepictsEdit,
    Determination,
    DeterminationState,
    EditAction,
    EditBatch,
    EditState,
    Figure,
    Illustration,
    ReviewTask,
)
from tests.support.standin import World
from tests.support.standin.saving import entity_of
from tests.support.standin.world import NS_FILE, Page

Json = Mapping[str, Any]
TRIES_USED_UP = "Given up after"


@dataclass
class Findings:
    """What is wrong, in words, and counts of what is allowed but worth knowing."""

    problems: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def problem(self, words: str) -> None:
        """Keep what is wrong."""
        self.problems.append(words)


@dataclass
class Life:
    """What happened to one statement of ours: the revisions that made, changed and removed it, ours and others'."""

    made: list[int] = field(default_factory=list)
    made_by_others: list[int] = field(default_factory=list)
    changed_by_others: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    removed_by_others: list[int] = field(default_factory=list)

    @property
    def was_touched(self) -> bool:
        """Whether somebody else changed or removed it, or brought it back."""
        return bool(self.changed_by_others or self.removed_by_others or self.made_by_others)


@dataclass
class Wiki:
    """The wiki as the checks read it."""

    pages: dict[int, Page]
    present: frozenset[int]
    lives: dict[str, Life] = field(default_factory=dict)

    def standing(self, guid: str) -> Json | None:
        """The statement that stands under an id now, deleted files left out."""
        page_id = int(guid[1:].split("$")[0])
        if page_id not in self.present:
            return None
        return statements(self.pages[page_id].latest).get(guid)


def stands(world: World, guid: str) -> bool:
    """Say whether a statement stands on a file that is there."""
    with world.lock:
        page = world.pages.get(int(guid[1:].split("$")[0]))
        return page is not None and guid in statements(page.latest)


def statements(revision: Any) -> dict[str, Json]:
    """All statements of a revision, by id. Raises AssertionError if an id is there twice."""
    found: dict[str, Json] = {}
    for group in (entity_of(revision).get("statements") or {}).values():
        for one in group:
            assert one["id"] not in found, f"{one['id']} stands twice in revision {revision.revid}"
            found[one["id"]] = one
    return found


def qid_of(statement: Json) -> str | None:
    """The item that a statement names."""
    value = statement["mainsnak"].get("datavalue")
    return str(value["value"]["id"]) if value and isinstance(value["value"], dict) else None


def check_all(session: Session, world: World, bot: str, findings: Findings) -> None:
    """Check the history, every row, every verified determination, and the database by itself."""
    rows = session.exec(select(DepictsEdit)).all()
    with world.lock:
        files = {page.page_id: page for page in world.pages.values() if page.ns == NS_FILE}
        wiki = Wiki({**files, **world.deleted}, frozenset(files))
    _check_history(session, wiki, rows, bot, findings)
    for row in rows:
        if row.action is EditAction.ADD:
            _check_addition(row, wiki, findings)
        else:
            _check_removal(row, wiki, findings)
    _check_determinations(session, rows, wiki, findings)
    for invariant, n in broken(session):
        findings.problem(f"{n} times broken: {invariant.name}")


# ---- the history


@dataclass
class Ours:
    """Our rows by the statement's id, and the marks of our batches."""

    additions: Mapping[str, DepictsEdit]
    removals: Mapping[str, DepictsEdit]
    marks: frozenset[str]


def _check_history(session: Session, wiki: Wiki, rows: Sequence[DepictsEdit], bot: str, findings: Findings) -> None:
    ours = Ours(
        {row.guid: row for row in rows if row.action is EditAction.ADD},
        {row.guid: row for row in rows if row.action is EditAction.REMOVE},
        frozenset(session.exec(select(EditBatch.mark))),
    )
    wiki.lives.update({guid: Life() for guid in ours.additions})
    for page in wiki.pages.values():
        before: dict[str, Json] = {}
        first_seen: dict[str, int] = {}
        for revision in page.revisions:
            now = statements(revision)
            touched = [guid for guid in {*before, *now} if before.get(guid) != now.get(guid)]
            for guid in touched:
                first_seen.setdefault(guid, revision.revid)
                _note_life(wiki.lives.get(guid), guid, before, now, revision.revid, revision.user == bot)
            if revision.user == bot:
                where = f"revision {revision.revid} of page {page.page_id}"
                if not any(mark in revision.comment for mark in ours.marks):
                    findings.problem(f"{where} was made by us without the mark of a batch")
                if len(touched) != 1:
                    findings.problem(f"{where} was made by us and changed {len(touched)} statements")
                for guid in touched:
                    _check_touch(guid, ours, before, now, first_seen, where, findings)
            before = now
    for guid, life in wiki.lives.items():
        if len(life.made) > 1:
            findings.problem(f"{guid} was said {len(life.made)} times by us")


def _check_touch(
    guid: str,
    ours: Ours,
    before: Mapping[str, Json],
    now: Mapping[str, Json],
    first_seen: Mapping[str, int],
    where: str,
    findings: Findings,
) -> None:
    """See that what we touched was ours, and wished."""
    if guid not in ours.additions:
        findings.problem(f"{where} touched {guid}, which is not ours")
    elif guid in before and guid in now:
        findings.problem(f"{where} changed our own {guid}")
    elif guid in before and guid not in ours.removals:
        findings.problem(f"{where} removed {guid}, and no row wished it")
    elif guid in now:
        _check_neighbours(ours.additions[guid], ours.removals, before, first_seen, where, findings)


def _note_life(
    life: Life | None, guid: str, before: Mapping[str, Json], now: Mapping[str, Json], revid: int, is_ours: bool
) -> None:
    if life is None:
        return
    if guid not in before:
        (life.made if is_ours else life.made_by_others).append(revid)
    elif guid not in now:
        (life.removed if is_ours else life.removed_by_others).append(revid)
    else:
        life.changed_by_others.append(revid)


def _check_neighbours(
    row: DepictsEdit,
    removals: Mapping[str, DepictsEdit],
    before: Mapping[str, Json],
    first_seen: Mapping[str, int],
    where: str,
    findings: Findings,
) -> None:
    """See what stood on the file when we added a statement: nothing equal, and no relative that could be seen."""
    for guid, other in before.items():
        qid = qid_of(other)
        if qid == row.qid:
            findings.problem(f"{where} said {row.qid} although {guid} says it")
        if other.get("rank") == "deprecated" or qid is None or guid in removals:
            continue
        if not _are_related(qid, row.qid):
            continue
        if row.base_revision is not None and first_seen[guid] > row.base_revision:
            findings.counted["a relative was added by others between our look and our write"] += 1
        else:
            findings.problem(f"{where} said {row.qid} beside {qid}, which stood there since {first_seen[guid]}")


def _are_related(one: str, other: str) -> bool:
    """Say whether one of two taxa of the run's world lies in the other: Q512 is the genus of Q5220 to Q5223."""
    one_is_genus, other_is_genus = one.startswith("Q51"), other.startswith("Q51")
    return one_is_genus != other_is_genus and one[3] == other[3]


# ---- rows


def _check_addition(row: DepictsEdit, wiki: Wiki, findings: Findings) -> None:
    life = wiki.lives[row.guid]
    who = f"edit {row.id} ({row.qid} on page {row.guid[1:].split('$')[0]}, {row.state}: {row.reason or 'no reason'})"
    if row.state in (EditState.WAITING, EditState.SENDING):
        return  # told as "never came to an end" already
    if row.state is EditState.DONE:
        _check_done(who, row, life, wiki, findings)
        return
    if not row.reason:
        findings.problem(f"{who} ended without a reason")
    if row.reason.startswith(TRIES_USED_UP):
        findings.counted["tries used up"] += 1
    if life.made and not life.was_touched:
        findings.problem(f"{who} says that it is not done, but revision {life.made[0]} made it")


def _check_done(who: str, row: DepictsEdit, life: Life, wiki: Wiki, findings: Findings) -> None:
    """See that a statement was written, by the revision in its row, and stands unless somebody touched it."""
    if not life.made:
        findings.problem(f"{who} says that it is done, but no revision of ours made it")
        return
    if row.revision is None:
        findings.counted["revision not known"] += 1
    elif row.revision != life.made[0]:
        findings.problem(f"{who} names revision {row.revision}, but {life.made[0]} made it")
    if row.batch_id is None:
        findings.problem(f"{who} was written without a batch")
    standing = wiki.standing(row.guid)
    says_so = standing is not None and qid_of(standing) == row.qid
    if not says_so and not life.was_touched and not life.removed and _is_present(row, wiki):
        findings.problem(f"{who} does not stand, and nobody touched it")
    if row.undone_at is not None and says_so and not life.made_by_others:
        findings.problem(f"{who} is said to be undone, and stands")
    if row.gone_at is not None and not life.was_touched:
        findings.problem(f"{who} is said to be gone, and nobody touched it")


def _is_present(row: DepictsEdit, wiki: Wiki) -> bool:
    return int(row.guid[1:].split("$")[0]) in wiki.present


def _check_removal(row: DepictsEdit, wiki: Wiki, findings: Findings) -> None:
    life = wiki.lives[row.guid]
    who = f"removal {row.id} of {row.guid} ({row.state}: {row.reason or 'no reason'})"
    if row.state in (EditState.WAITING, EditState.SENDING):
        return
    if row.state is EditState.DONE:
        if not life.removed:
            findings.problem(f"{who} says that it is done, but no revision of ours removed it")
        elif row.revision is None:
            findings.counted["revision not known"] += 1
        elif row.revision not in life.removed:
            findings.problem(f"{who} names revision {row.revision}, not {life.removed}")
    elif not row.reason:
        findings.problem(f"{who} ended without a reason")
    elif life.removed:
        findings.problem(f"{who} says that it is not done, but revision {life.removed[0]} removed it")
    if len(life.removed) > 1:
        findings.problem(f"{who} was removed {len(life.removed)} times by us")


# ---- determinations


def _check_determinations(session: Session, rows: Sequence[DepictsEdit], wiki: Wiki, findings: Findings) -> None:
    question = select(Determination, Figure, Illustration).where(
        Determination.figure_id == Figure.id, Figure.illustration_id == Illustration.id
    )
    wanted_on: dict[int, set[str]] = {}
    for verdict, figure, _ in session.exec(question):
        qid = outbox.wanted(session, verdict)
        if qid is not None:
            wanted_on.setdefault(figure.illustration_id, set()).add(qid)
    for verdict, figure, file in session.exec(question):
        if verdict.state is not DeterminationState.VERIFIED:
            continue
        own = [row for row in rows if row.figure_id == figure.id and row.action is EditAction.ADD]
        live = [row for row in own if row.qid == verdict.taxon_qid and row.undone_at is None]
        who = f"figure {figure.id} ({verdict.taxon_qid} on {file.mid})"
        if len(live) != 1:
            findings.problem(f"{who} has {len(live)} edits that stand for it: {[row.state.value for row in own]}")
            continue
        _check_end(who, live[0], rows, wiki, findings)
    for row in rows:
        is_ours = row.action is EditAction.ADD and row.state is EditState.DONE and wiki.standing(row.guid) is not None
        if not is_ours or row.qid in wanted_on.get(row.illustration_id, ()):
            continue
        if not any(other.undoes_id == row.id and other.reason for other in rows) and row.gone_at is None:
            findings.problem(f"edit {row.id} stands ({row.qid}), nobody wants it any more, and no removal says why")


def _check_end(who: str, row: DepictsEdit, rows: Sequence[DepictsEdit], wiki: Wiki, findings: Findings) -> None:
    """See that a statement stands, or that the history bears out the reason why it does not."""
    page = wiki.pages[int(row.guid[1:].split("$")[0])]
    ever = [(revision, one) for revision in page.revisions for one in statements(revision).values()]
    others = [(revision, one) for revision, one in ever if one["id"] != row.guid]
    if row.state is EditState.ALREADY_THERE:
        if not any(qid_of(one) == row.qid for _, one in others):
            findings.problem(f"{who}: nobody else ever said it")
        _check_not_lost(who, row, rows, wiki, findings)
    elif row.state is EditState.BLOCKED and not any(qid_of(one) == row.blocked_by for _, one in others):
        findings.problem(f"{who}: {row.blocked_by} never stood there")
    elif row.state is EditState.CONFLICT and not any(one.get("rank") == "deprecated" for _, one in ever):
        was_removed = any(qid_of(one) == row.qid for _, one in others) and "took this statement away" in row.reason
        if not was_removed and not wiki.lives[row.guid].was_touched:
            findings.problem(f"{who}: in conflict ({row.reason}), and nobody touched anything")
    elif row.state is EditState.REFUSED and "no longer on the wiki" not in row.reason and "alone" not in row.reason:
        findings.problem(f"{who}: refused without need: {row.reason}")


def _check_not_lost(who: str, row: DepictsEdit, rows: Sequence[DepictsEdit], wiki: Wiki, findings: Findings) -> None:
    """What was left unsaid because we had said it for another figure must not have been taken back by us since."""
    if not _is_present(row, wiki):
        return
    page = wiki.pages[int(row.guid[1:].split("$")[0])]
    if any(qid_of(one) == row.qid for one in statements(page.latest).values()):
        return
    twins = [
        other
        for other in rows
        if other.action is EditAction.ADD and other.illustration_id == row.illustration_id and other.qid == row.qid
    ]
    lives = [wiki.lives[other.guid] for other in twins]
    gone = [revid for life in lives for revid in (*life.removed, *life.removed_by_others, *life.changed_by_others)]
    if gone and max(gone) in [revid for life in lives for revid in life.removed]:
        findings.problem(f"{who}: we took away ourselves what another figure had said for it")


def check_after_sync(session: Session, world: World, since: datetime, findings: Findings) -> None:
    """The statements that were done and do not stand are just those that somebody touched, and are asked about."""
    for row in session.exec(
        select(DepictsEdit).where(DepictsEdit.action == EditAction.ADD, DepictsEdit.state == EditState.DONE)
    ):
        with world.lock:
            page = world.pages.get(int(row.guid[1:].split("$")[0]))
            found = statements(page.latest).get(row.guid) if page is not None else None
        if page is None or row.undone_at is not None:
            continue
        says_so = found is not None and qid_of(found) == row.qid and found.get("rank") != "deprecated"
        if row.revision is None and row.gone_at is None and not says_so:
            findings.counted["not missed yet, as its revision is not known"] += 1
        elif (row.gone_at is None) is not says_so:
            how = "does not stand, and is not missed" if not says_so else f"stands, and is missed ({row.reason})"
            findings.problem(f"after the sync: edit {row.id} ({row.qid}, revision {row.revision}) {how}")
        if row.gone_at is not None and row.gone_at >= since:
            task = session.get(ReviewTask, row.figure_id)
            findings.counted["missed by the sync, and asked about"] += 1
            if task is None or task.reason != outbox.REMOVED_ELSEWHERE:
                findings.problem(f"edit {row.id} is missed, and nobody is asked about it")
