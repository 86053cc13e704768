"""All SQL about illustrations and figures."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Campaign,
    DepictsStatement,
    Determination,
    DeterminationState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
)
from icones.taxa.queries import batches


def illustration(session: Session, illustration_id: int) -> Illustration | None:
    """Return one illustration."""
    return session.get(Illustration, illustration_id)


def by_key(session: Session, campaign_id: int) -> dict[str, Illustration]:
    """Return all illustrations of a campaign by their key."""
    rows = session.exec(select(Illustration).where(Illustration.campaign_id == campaign_id))
    return {row.key: row for row in rows}


def without_image(session: Session, campaign_id: int) -> Sequence[Illustration]:
    """Return the illustrations whose image is still to be fetched."""
    question = select(Illustration).where(
        Illustration.campaign_id == campaign_id, Illustration.state == IllustrationState.LISTED
    )
    return session.exec(question.order_by(col(Illustration.id))).all()


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
