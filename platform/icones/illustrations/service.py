"""What is done with illustrations: listed from a source, mirrored, split into figures, opened by the one door."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from active_learning import ImageError, parse_box
from icones.campaigns import service as campaigns
from icones.errors import BadInputError, NotFoundError
from icones.illustrations import queries
from icones.models import (
    Campaign,
    DepictsStatement,
    Determination,
    Figure,
    Illustration,
    IllustrationState,
    Person,
    Queue,
    ReviewTask,
    Role,
)
from icones.taxa import queries as taxa
from wiki_sync import Depicts

MIN_BOX = 0.5
"""Per cent of the image's width and height."""


@dataclass(frozen=True)
class Listed:
    """One file as a source lists it."""

    key: str
    title: str
    mid: str | None = None
    mime: str = ""
    width: int = 0
    height: int = 0
    sha1: str = ""
    image_url: str = ""
    thumb_url: str = ""
    page_url: str = ""
    description: str = ""
    artist: str = ""
    credit: str = ""
    uploader: str = ""
    licence: str = ""
    licence_url: str = ""
    object_number: str = ""
    object_number_source: str = ""
    verbatim_name: str = ""
    source_group: str = ""
    revision: int | None = None
    box: str | None = None
    """Of the first figure, where the source tells one."""


@dataclass(frozen=True)
class Counted:
    """What a listing changed: numbers of illustrations."""

    new: int
    changed: int
    gone: int
    back: int
    total: int


@dataclass(frozen=True)
class OpenFigure:
    """A figure that a person may see, with all around it."""

    figure: Figure
    illustration: Illustration
    door: campaigns.Door


def save_listing(session: Session, campaign: Campaign, listing: Sequence[Listed], now: datetime) -> Counted:
    """Bring a campaign's illustrations in line with what its source lists now.

    What the source no longer lists is marked gone and kept with all that was said of it; what comes back is
    taken up again. A file with new bytes (another SHA-1) is fetched anew. Nothing is deleted.
    """
    known = queries.by_key(session, campaign.id or 0)
    new = changed = back = 0
    for item in listing:
        row = known.get(item.key)
        if row is None:
            new += 1
            row = Illustration(campaign_id=campaign.id or 0, key=item.key, title=item.title[:400], added_at=now)
        elif row.state is IllustrationState.GONE:
            back += 1
        has_new_bytes = bool(item.sha1 and row.sha1 and item.sha1 != row.sha1)
        changed += has_new_bytes
        fill(row, item, now)
        if has_new_bytes or row.state is not IllustrationState.REFUSED:
            row.state = state_of(row)
        session.add(row)
    listed = {item.key for item in listing}
    missing = [row for key, row in known.items() if key not in listed and row.state is not IllustrationState.GONE]
    for row in missing:
        row.state = IllustrationState.GONE
        row.problem = "The source no longer lists this file."
        session.add(row)
    campaign.synced_at = now
    session.add(campaign)
    session.flush()
    # Each new illustration starts with one figure, open and waiting for a volunteer.
    boxes = {item.key: item.box for item in listing}
    for key, row in queries.by_key(session, campaign.id or 0).items():
        if key not in known:
            add_figure_row(session, campaign, row, number=1, box=check_box(boxes[key]), person=None, now=now)
    return Counted(new, changed, len(missing), back, len(listing))


def fill(row: Illustration, item: Listed, now: datetime) -> None:
    """Write what a source says of a file into its row, within the lengths of the columns."""
    for field in ("mid", "mime", "width", "height", "sha1", "image_url", "thumb_url", "revision"):
        setattr(row, field, getattr(item, field))
    for field, length in (
        ("title", 400), ("page_url", 2000), ("description", 8000), ("artist", 1000), ("credit", 1000),
        ("uploader", 255), ("licence", 200), ("licence_url", 1000), ("object_number", 200),
        ("object_number_source", 40), ("verbatim_name", 400),
    ):  # fmt: skip
        setattr(row, field, getattr(item, field)[:length])
    row.source_group = (item.source_group or item.object_number or item.key)[:400]
    row.synced_at = now


def state_of(row: Illustration) -> IllustrationState:
    """Return where an illustration stands that its source lists: ready once we keep a copy of this very original.

    An original whose SHA-1 the source does not tell cannot be told from another: any copy of it will do.
    """
    is_of_this = row.fetched_sha1 == row.sha1 or not row.sha1
    return IllustrationState.READY if row.image_sha1 and is_of_this else IllustrationState.LISTED


def add_figure_row(
    session: Session,
    campaign: Campaign,
    row: Illustration,
    number: int,
    box: str | None,
    person: Person | None,
    now: datetime,
) -> Figure:
    """Make a figure with its open determination and its review task."""
    figure = Figure(
        campaign_id=campaign.id or 0,
        illustration_id=row.id or 0,
        number=number,
        box=box,
        created_by=person.id if person else None,
        created_at=now,
    )
    session.add(figure)
    session.flush()
    key = figure.id or 0
    session.add(Determination(figure_id=key, campaign_id=campaign.id or 0, decided_at=now))
    session.add(
        ReviewTask(figure_id=key, campaign_id=campaign.id or 0, queue=Queue.VOLUNTEER, reason="new", updated_at=now)
    )
    return figure


def image_fetched(session: Session, illustration_id: int, image_sha1: str, original_sha1: str = "") -> None:
    """Note that an illustration's image is in the store; from now on it can be tagged, unless the file changed since.

    ``original_sha1`` is of the original that the image was made from, where it is known.
    """
    row = queries.illustration(session, illustration_id)
    if row is not None and row.state is not IllustrationState.GONE:
        row.image_sha1, row.fetched_sha1 = image_sha1, original_sha1
        row.state, row.problem = state_of(row), ""
        session.add(row)


def image_refused(session: Session, illustration_id: int, problem: str) -> None:
    """Note why an illustration's image cannot be used; the curator sees it in words."""
    row = queries.illustration(session, illustration_id)
    if row is not None:
        row.state = IllustrationState.REFUSED
        row.problem = problem[:500]
        session.add(row)


def images_waited_for(session: Session, reasons: Mapping[int, str]) -> None:
    """Keep in words why the images of these illustrations are not here yet; the next sync tries again."""
    for row in queries.by_ids(session, reasons).values():
        if row.state is IllustrationState.LISTED:
            row.problem = reasons[row.id or 0][:500]
            session.add(row)


def images_lost(session: Session, illustration_ids: Collection[int]) -> None:
    """Note that the copies of these illustrations are not in the store any more: they have to be fetched again."""
    for row in queries.by_ids(session, illustration_ids).values():
        if row.state is IllustrationState.READY:
            row.state, row.problem = IllustrationState.LISTED, "The copy of the image was lost."
            session.add(row)


def mirror(session: Session, stated: Mapping[int, Sequence[Depicts]], now: datetime) -> int:
    """Bring the mirror of depicts statements in line; ``stated`` is by illustration id. Returns how many changed."""
    known = queries.all_statements(session, list(stated))
    changes = 0
    for illustration_id, statements in stated.items():
        rows = {row.statement_id: row for row in known.get(illustration_id, [])}
        for one in statements:
            row = rows.pop(one.statement_id, None) or DepictsStatement(
                illustration_id=illustration_id, statement_id=one.statement_id, first_seen_at=now
            )
            said = (one.qid, one.snaktype, one.rank, one.box, None)
            qualifiers = {key: list(values) for key, values in one.qualifiers.items()}
            if row.id is None or (*_said(row), row.qualifiers) != (*said, qualifiers):
                changes += 1
            row.qid, row.snaktype, row.rank, row.box, row.gone_at = said
            row.qualifiers = qualifiers
            session.add(row)
        for row in rows.values():
            if row.gone_at is None:
                changes += 1
                row.gone_at = now
                session.add(row)
    return changes


def _said(row: DepictsStatement) -> tuple[str | None, str, str, str | None, datetime | None]:
    return row.qid, row.snaktype, row.rank, row.box, row.gone_at


def take_up_boxes(session: Session, campaign: Campaign, illustration_ids: Sequence[int], now: datetime) -> int:
    """Make the boxes that Commons' taxa stand in (P2677) the figures of illustrations nobody has worked on yet.

    A box that cannot be read is left in the mirror, as it was written. Returns how many figures have one now.
    """
    made = 0
    stated = queries.statements(session, illustration_ids)
    boxed = {one.qid for statements in stated.values() for one in statements if one.qid and one.box}
    known = taxa.taxa(session, boxed)
    for illustration_id, statements in stated.items():
        boxes = sorted({box for one in statements if one.qid in known and (box := _box_or_none(one.box))})
        present = queries.figures(session, illustration_id)
        if not boxes or len(present) != 1 or present[0].box or queries.is_worked_on(session, illustration_id):
            continue
        present[0].box = boxes[0]
        session.add(present[0])
        row = session.get_one(Illustration, illustration_id)
        for number, box in enumerate(boxes[1:], 2):
            add_figure_row(session, campaign, row, number, box, None, now)
        made += len(boxes)
    return made


def _box_or_none(box: str | None) -> str | None:
    try:
        return check_box(box)
    except BadInputError:
        return None


def open_figure(session: Session, figure_id: int, person: Person | None) -> OpenFigure:
    """Return a figure that this person may see: the one door to it."""
    found = queries.figure(session, figure_id)
    if found is None or found[0].removed_at is not None:
        raise NotFoundError("There is no such figure.")
    figure, row, campaign = found
    return OpenFigure(figure, row, campaigns.door_of(session, campaign, person))


def open_illustration(
    session: Session, illustration_id: int, person: Person | None
) -> tuple[Illustration, campaigns.Door]:
    """Return an illustration that this person may see: the one door to it."""
    row = queries.illustration(session, illustration_id)
    if row is None:
        raise NotFoundError("There is no such illustration.")
    campaign = session.get_one(Campaign, row.campaign_id)
    return row, campaigns.door_of(session, campaign, person)


def add_figure(session: Session, illustration_id: int, person: Person, box: str | None, now: datetime) -> Figure:
    """Add another figure to an illustration ("there is another species"), with a box if one was drawn."""
    row, door = open_illustration(session, illustration_id, person)
    door.require(Role.VOLUNTEER)
    present = queries.figures(session, illustration_id)
    if len(present) >= 40:
        raise BadInputError("This illustration has 40 figures already; a specialist should look at it first.")
    checked = check_box(box)
    number = max((figure.number for figure in present), default=0) + 1
    return add_figure_row(session, door.campaign, row, number, checked, person, now)


def check_box(box: str | None) -> str | None:
    """Return the box in its plain form (``pct:x,y,w,h``, per cent of the image), or raise BadInputError."""
    if not box:
        return None
    try:
        x, y, w, h = parse_box(box.strip())
    except ImageError as error:
        raise BadInputError(str(error)) from error
    if w < MIN_BOX or h < MIN_BOX:
        raise BadInputError("The box is too small: draw it around the whole organism.")
    return f"pct:{x:g},{y:g},{w:g},{h:g}"
