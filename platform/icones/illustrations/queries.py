"""All SQL about illustrations and figures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Campaign,
    DepictsStatement,
    Determination,
    DeterminationState,
    Embedding,
    Figure,
    FileChange,
    Identification,
    Illustration,
    IllustrationChange,
    IllustrationState,
    Taxon,
)
from icones.taxa.queries import batches


def illustration(session: Session, illustration_id: int) -> Illustration | None:
    """Return one illustration."""
    return session.get(Illustration, illustration_id)


def by_key(session: Session, campaign_id: int) -> dict[str, Illustration]:
    """Return all illustrations of a campaign by their key."""
    rows = session.exec(select(Illustration).where(Illustration.campaign_id == campaign_id))
    return {row.key: row for row in rows}


@dataclass(frozen=True)
class Known:
    """What a sync must know of an illustration to see whether its file changed."""

    id: int
    page_id: int
    title: str
    revision: int | None
    state: IllustrationState
    object_number: str

    @property
    def is_present(self) -> bool:
        """Whether the source still listed it when it was last looked at."""
        return self.state is not IllustrationState.GONE


def known_files(session: Session, campaign_id: int) -> dict[int, Known]:
    """Return the illustrations of a campaign that are files on the wiki, by page id."""
    question = sa.select(
        col(Illustration.id),
        col(Illustration.mid),
        col(Illustration.title),
        col(Illustration.revision),
        col(Illustration.state),
        col(Illustration.object_number),
    ).where(col(Illustration.campaign_id) == campaign_id, col(Illustration.mid).is_not(None))
    found = {}
    for key, mid, title, revision, state, number in session.execute(question.order_by(col(Illustration.id))):
        page_id = int(str(mid)[1:])
        found[page_id] = Known(key or 0, page_id, title, revision, IllustrationState(state), number)
    return found


def by_keys(session: Session, campaign_id: int, keys: Collection[str]) -> dict[str, Illustration]:
    """Return these illustrations of a campaign by their key; unknown ones are absent."""
    found: dict[str, Illustration] = {}
    for batch in batches(sorted(keys)):
        question = select(Illustration).where(Illustration.campaign_id == campaign_id, col(Illustration.key).in_(batch))
        found |= {row.key: row for row in session.exec(question)}
    return found


def by_ids(session: Session, illustration_ids: Collection[int]) -> dict[int, Illustration]:
    """Return these illustrations by id."""
    found: dict[int, Illustration] = {}
    for batch in batches(sorted(illustration_ids)):
        question = select(Illustration).where(col(Illustration.id).in_(batch))
        found |= {row.id or 0: row for row in session.exec(question)}
    return found


def with_free_boxes(session: Session, campaign_id: int) -> list[int]:
    """Return the illustrations with a box that Commons states and one whole-image figure nobody has worked on."""
    boxed = sa.exists().where(
        col(DepictsStatement.illustration_id) == col(Illustration.id),
        col(DepictsStatement.box).is_not(None),
        col(DepictsStatement.gone_at).is_(None),
    )
    n_figures = (
        select(func.count())
        .where(col(Figure.illustration_id) == col(Illustration.id), col(Figure.removed_at).is_(None))
        .correlate(Illustration)
        .scalar_subquery()
    )
    drawn = sa.exists().where(
        col(Figure.illustration_id) == col(Illustration.id),
        col(Figure.removed_at).is_(None),
        col(Figure.box).is_not(None),
    )
    question = select(Illustration.id).where(Illustration.campaign_id == campaign_id, boxed, ~drawn, n_figures == 1)
    return [key or 0 for key in session.exec(question.order_by(col(Illustration.id)))]


def stated_without_taxon(session: Session, campaign_id: int) -> set[str]:
    """Return the items that a campaign's files are said to depict and that are no taxon we know."""
    question = (
        select(DepictsStatement.qid)
        .join(Illustration, col(Illustration.id) == DepictsStatement.illustration_id)
        .where(
            Illustration.campaign_id == campaign_id,
            col(DepictsStatement.qid).is_not(None),
            col(DepictsStatement.gone_at).is_(None),
            ~sa.exists().where(col(Taxon.qid) == col(DepictsStatement.qid)),
        )
        .distinct()
    )
    return {qid for qid in session.exec(question) if qid}


def verbatim_names(session: Session, campaign_id: int) -> set[str]:
    """Return the names that a campaign's source gives, letter for letter."""
    question = select(Illustration.verbatim_name).where(
        Illustration.campaign_id == campaign_id, Illustration.verbatim_name != ""
    )
    return set(session.exec(question.distinct()))


def read_since(session: Session, campaign_id: int, since: datetime) -> bool:
    """Say whether a file of a campaign was read from its source since a moment."""
    question = select(Illustration.id).where(
        Illustration.campaign_id == campaign_id, col(Illustration.synced_at) >= since
    )
    return session.exec(question.limit(1)).first() is not None


def file_changes(session: Session, illustration_id: int) -> Sequence[IllustrationChange]:
    """Return what happened to an illustration's file, oldest first."""
    question = select(IllustrationChange).where(IllustrationChange.illustration_id == illustration_id)
    return session.exec(question.order_by(col(IllustrationChange.id))).all()


def told_as_gone(session: Session, illustration_ids: Collection[int]) -> set[int]:
    """Return those of these illustrations whose history says last that they are gone."""
    found: dict[int, FileChange] = {}
    for batch in batches(sorted(illustration_ids)):
        question = select(IllustrationChange).where(
            col(IllustrationChange.illustration_id).in_(batch),
            col(IllustrationChange.kind).in_([FileChange.GONE, FileChange.BACK]),
        )
        for row in session.exec(question.order_by(col(IllustrationChange.id))):
            found[row.illustration_id] = row.kind
    return {key for key, kind in found.items() if kind is FileChange.GONE}


def without_image(session: Session, campaign_id: int) -> Sequence[Illustration]:
    """Return the illustrations whose image is still to be fetched."""
    question = select(Illustration).where(
        Illustration.campaign_id == campaign_id, Illustration.state == IllustrationState.LISTED
    )
    return session.exec(question.order_by(col(Illustration.id))).all()


def with_image(session: Session, campaign_id: int) -> list[tuple[int, str]]:
    """Return the illustrations of a campaign that can be shown, each with the name of the copy we keep."""
    question = select(Illustration.id, Illustration.image_sha1).where(
        Illustration.campaign_id == campaign_id, Illustration.state == IllustrationState.READY
    )
    return [(key or 0, name) for key, name in session.exec(question.order_by(col(Illustration.id)))]


def images_of(session: Session, sha1s: Collection[str]) -> dict[str, set[str]]:
    """Return the names of the copies made of these originals, in any campaign, by the SHA-1 of the original."""
    found: dict[str, set[str]] = {}
    for batch in batches(sorted(sha1s)):
        question = select(Illustration.fetched_sha1, Illustration.image_sha1).where(
            col(Illustration.fetched_sha1).in_(batch), Illustration.image_sha1 != ""
        )
        for original, name in session.exec(question.distinct()):
            found.setdefault(original, set()).add(name)
    return found


def images_in_use(session: Session) -> set[str]:
    """Return the names of all copies that an illustration has or that a figure's vector was made from."""
    shown = session.exec(select(Illustration.image_sha1).where(Illustration.image_sha1 != "").distinct())
    seen = session.exec(select(Embedding.source).distinct())
    return {*shown, *(source.partition(" ")[0] for source in seen)}


def figures(session: Session, illustration_id: int) -> Sequence[Figure]:
    """Return the figures on an illustration, removed ones left out."""
    question = select(Figure).where(Figure.illustration_id == illustration_id, col(Figure.removed_at).is_(None))
    return session.exec(question.order_by(col(Figure.number))).all()


def figure(session: Session, figure_id: int) -> tuple[Figure, Illustration, Campaign] | None:
    """Return a figure with its illustration and campaign."""
    question = (
        select(Figure, Illustration, Campaign)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(Campaign, col(Campaign.id) == Figure.campaign_id)
        .where(Figure.id == figure_id)
    )
    return session.exec(question).first()


def locked_figure(session: Session, figure_id: int) -> Figure | None:
    """Return a figure and hold it against other writers until the transaction ends."""
    return session.exec(select(Figure).where(Figure.id == figure_id).with_for_update()).first()


def figures_of_campaign(session: Session, campaign_id: int) -> Sequence[tuple[Figure, Illustration]]:
    """Return all figures of a campaign whose image is there."""
    question = (
        select(Figure, Illustration)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            Figure.campaign_id == campaign_id,
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
        )
    )
    return session.exec(question.order_by(col(Figure.id))).all()


def with_figures(session: Session, figure_ids: Collection[int]) -> dict[int, tuple[Figure, Illustration]]:
    """Return these figures with their illustrations, by figure id."""
    found: dict[int, tuple[Figure, Illustration]] = {}
    for batch in batches(sorted(figure_ids)):
        question = (
            select(Figure, Illustration)
            .join(Illustration, col(Illustration.id) == Figure.illustration_id)
            .where(col(Figure.id).in_(batch))
        )
        found |= {one.id or 0: (one, of) for one, of in session.exec(question)}
    return found


def statements(session: Session, illustration_ids: Collection[int]) -> dict[int, list[DepictsStatement]]:
    """Return what Commons says these illustrations depict now, by illustration."""
    found: dict[int, list[DepictsStatement]] = {}
    for batch in batches(sorted(illustration_ids)):
        question = select(DepictsStatement).where(
            col(DepictsStatement.illustration_id).in_(batch), col(DepictsStatement.gone_at).is_(None)
        )
        for row in session.exec(question.order_by(col(DepictsStatement.id))):
            found.setdefault(row.illustration_id, []).append(row)
    return found


def is_worked_on(session: Session, illustration_id: int) -> bool:
    """Say whether somebody has identified a figure of an illustration, now or ever."""
    question = select(Identification.id).join(Figure).where(Figure.illustration_id == illustration_id)
    return session.exec(question.limit(1)).first() is not None


def all_statements(session: Session, illustration_ids: Collection[int]) -> dict[int, list[DepictsStatement]]:
    """Return all statements ever mirrored for these illustrations, gone ones included."""
    found: dict[int, list[DepictsStatement]] = {}
    for batch in batches(sorted(illustration_ids)):
        question = select(DepictsStatement).where(col(DepictsStatement.illustration_id).in_(batch))
        for row in session.exec(question):
            found.setdefault(row.illustration_id, []).append(row)
    return found


def page(
    session: Session, campaign_id: int, states: Collection[IllustrationState], offset: int, limit: int
) -> tuple[Sequence[Illustration], int]:
    """Return one page of a campaign's illustrations by title, and how many there are in all."""
    where = (Illustration.campaign_id == campaign_id, col(Illustration.state).in_(list(states)))
    total = session.exec(select(func.count()).select_from(Illustration).where(*where)).one()
    question = select(Illustration).where(*where).order_by(col(Illustration.title), col(Illustration.id))
    return session.exec(question.offset(offset).limit(limit)).all(), total


def gallery(
    session: Session, campaign_id: int, state: DeterminationState | None, offset: int, limit: int
) -> tuple[Sequence[Illustration], int]:
    """Return one page of a campaign's illustrations that can be shown, by title, and how many there are in all.

    With a ``state``, only illustrations with a figure in it.
    """
    where = [col(Illustration.campaign_id) == campaign_id, col(Illustration.state) == IllustrationState.READY]
    if state is not None:
        where.append(
            sa.exists()
            .where(
                col(Figure.illustration_id) == col(Illustration.id),
                col(Figure.removed_at).is_(None),
                col(Determination.figure_id) == col(Figure.id),
                col(Determination.state) == state,
            )
            .correlate(Illustration)
        )
    total = session.exec(select(func.count()).select_from(Illustration).where(*where)).one()
    question = select(Illustration).where(*where).order_by(col(Illustration.title), col(Illustration.id))
    return session.exec(question.offset(offset).limit(limit)).all(), total


def determined(session: Session, illustration_ids: Collection[int]) -> dict[int, list[tuple[Figure, Determination]]]:
    """Return the figures on these illustrations with their states, by illustration, in their order."""
    found: dict[int, list[tuple[Figure, Determination]]] = {}
    for batch in batches(sorted(illustration_ids)):
        question = (
            select(Figure, Determination)
            .join(Determination, col(Determination.figure_id) == Figure.id)
            .where(col(Figure.illustration_id).in_(batch), col(Figure.removed_at).is_(None))
        )
        for figure, row in session.exec(question.order_by(col(Figure.number))):
            found.setdefault(figure.illustration_id, []).append((figure, row))
    return found
