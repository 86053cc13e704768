"""A campaign's files as the wiki has them: read ones are taken in, lost ones marked, and each change remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.illustrations import queries
from icones.illustrations.service import Listed, fill, mirror, state_of
from icones.models import (
    Campaign,
    Determination,
    Figure,
    FileChange,
    Illustration,
    IllustrationChange,
    IllustrationState,
    Queue,
    ReviewTask,
)
from wiki_sync import Depicts


@dataclass(frozen=True)
class ReadFile:
    """One file as it was just read, with what its structured data says it depicts."""

    listed: Listed
    depicts: tuple[Depicts, ...] = ()
    problem: str = ""
    """Why its image cannot be used, in words; empty where it can."""


@dataclass(frozen=True)
class Taken:
    """What came of taking files in: numbers of illustrations, and of statements."""

    ids: tuple[int, ...] = ()
    """The illustrations that were read."""
    new: int = 0
    changed: int = 0
    renamed: int = 0
    replaced: int = 0
    back: int = 0
    statements: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            self.ids + other.ids,
            self.new + other.new,
            self.changed + other.changed,
            self.renamed + other.renamed,
            self.replaced + other.replaced,
            self.back + other.back,
            self.statements + other.statements,
        )


def take_in(session: Session, campaign: Campaign, files: Sequence[ReadFile], now: datetime) -> Taken:
    """Bring these illustrations and their mirrored statements in line with what was just read.

    A new file becomes an illustration with one open figure; one that was gone is taken up again with all that was said
    of it; one with other bytes (another SHA-1) waits for its image. Reading the same again changes nothing.
    """
    known = queries.by_keys(session, campaign.id or 0, [file.listed.key for file in files])
    new = [file for file in files if file.listed.key not in known]
    back = {row.id or 0 for row in known.values() if row.state is IllustrationState.GONE}
    changes = []
    for file in files:
        row = known.get(file.listed.key)
        if row is not None:
            changes += _update(row, file, now)
            session.add(row)
    changes += [_change(key, FileChange.BACK, now) for key in sorted(queries.told_as_gone(session, back))]
    rows = known | {file.listed.key: _new_row(campaign, file, now) for file in new}
    session.add_all(rows.values())
    session.add_all(changes)
    session.flush()
    _first_figures(session, campaign, [rows[file.listed.key] for file in new], now)
    stated = {rows[file.listed.key].id or 0: file.depicts for file in files}
    kinds = [change.kind for change in changes]
    return Taken(
        ids=tuple(stated),
        new=len(new),
        changed=len(files) - len(new) - len(back),
        renamed=kinds.count(FileChange.RENAMED),
        replaced=kinds.count(FileChange.REPLACED),
        back=len(back),
        statements=mirror(session, stated, now),
    )


def mark_gone(session: Session, reasons: Mapping[int, str], now: datetime) -> int:
    """Mark illustrations as gone from their source, each with its reason in words; return how many were not before.

    They are kept with all that was said of them.
    """
    rows = queries.by_ids(session, reasons).values()
    lost = [row for row in rows if row.state is not IllustrationState.GONE]
    for row in lost:
        row.state, row.problem = IllustrationState.GONE, reasons[row.id or 0][:500]
        session.add_all([row, _change(row.id or 0, FileChange.GONE, now, reason=row.problem)])
    return len(lost)


def correct_numbers(session: Session, numbers: Mapping[int, str], source: str) -> int:
    """Set the object numbers that a source's own list gives, by illustration; return how many were others before."""
    rows = queries.by_ids(session, numbers).values()
    other = [row for row in rows if row.object_number != numbers[row.id or 0]]
    for row in other:
        if row.source_group == row.object_number:
            row.source_group = numbers[row.id or 0]
        row.object_number, row.object_number_source = numbers[row.id or 0], source
        session.add(row)
    return len(other)


def _new_row(campaign: Campaign, file: ReadFile, now: datetime) -> Illustration:
    item = file.listed
    row = Illustration(campaign_id=campaign.id or 0, key=item.key, title=item.title[:400], added_at=now)
    fill(row, item, now)
    if file.problem:
        row.state, row.problem = IllustrationState.REFUSED, file.problem[:500]
    return row


def _update(row: Illustration, file: ReadFile, now: datetime) -> list[IllustrationChange]:
    """Bring one row in line and return what happened to its file."""
    before = Illustration.model_validate(row.model_dump())
    fill(row, file.listed, now)
    changes = [
        _change(row.id or 0, kind, now, old, new)
        for kind, old, new in (
            (FileChange.RENAMED, before.title, row.title),
            (FileChange.OBJECT_NUMBER, before.object_number, row.object_number),
            (FileChange.LICENCE, before.licence, row.licence),
            (FileChange.REPLACED, before.sha1, row.sha1),
        )
        if old != new and (kind is not FileChange.REPLACED or (old and new))
    ]
    # An image once refused is tried again.
    row.state = IllustrationState.REFUSED if file.problem else state_of(row)
    row.problem = file.problem[:500]
    return changes


def _change(
    key: int, kind: FileChange, now: datetime, before: str = "", after: str = "", reason: str = ""
) -> IllustrationChange:
    return IllustrationChange(
        illustration_id=key, kind=kind, before=before[:1000], after=after[:1000], reason=reason[:500], at=now
    )


def _first_figures(session: Session, campaign: Campaign, rows: Sequence[Illustration], now: datetime) -> None:
    """Give new illustrations one figure each, open and waiting for a volunteer; all of them in two steps."""
    key = campaign.id or 0
    figures = [Figure(campaign_id=key, illustration_id=row.id or 0, number=1, created_at=now) for row in rows]
    session.add_all(figures)
    session.flush()
    for figure in figures:
        own = figure.id or 0
        session.add(Determination(figure_id=own, campaign_id=key, decided_at=now))
        session.add(ReviewTask(figure_id=own, campaign_id=key, queue=Queue.VOLUNTEER, reason="new", updated_at=now))
