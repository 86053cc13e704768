"""All SQL about groups of look-alike figures that nobody has named yet."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import (
    Cluster,
    Determination,
    DeterminationState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    Skip,
)
from icones.taxa.queries import batches

UNNAMED = (DeterminationState.OPEN, DeterminationState.PREDICTED)


def _unnamed(campaign_id: int) -> list[sa.ColumnElement[bool]]:
    said = sa.exists().where(
        col(Identification.figure_id) == col(Figure.id),
        col(Identification.ended_at).is_(None),
    )
    return [
        col(Figure.campaign_id) == campaign_id,
        col(Figure.removed_at).is_(None),
        col(Illustration.state) == IllustrationState.READY,
        col(Determination.state).in_(UNNAMED),
        ~said,
    ]


def unnamed(session: Session, campaign_id: int) -> set[int]:
    """Return the figures of a campaign that can be shown and of which nobody says anything."""
    question = (
        select(col(Figure.id))
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(Determination, col(Determination.figure_id) == Figure.id)
        .where(*_unnamed(campaign_id))
    )
    return {figure_id for figure_id in session.exec(question) if figure_id}


def unnamed_among(session: Session, campaign_id: int, figure_ids: Collection[int]) -> set[int]:
    """Return which of these figures nobody has named yet, as ``unnamed`` has it."""
    found: set[int] = set()
    for batch in batches(sorted(figure_ids)):
        question = (
            select(col(Figure.id))
            .join(Illustration, col(Illustration.id) == Figure.illustration_id)
            .join(Determination, col(Determination.figure_id) == Figure.id)
            .where(*_unnamed(campaign_id), col(Figure.id).in_(batch))
        )
        found |= {figure_id for figure_id in session.exec(question) if figure_id}
    return found


def skipped(session: Session, person_id: int, after: datetime) -> set[int]:
    """Return the figures that a person has passed over since ``after``."""
    return set(session.exec(select(Skip.figure_id).where(Skip.person_id == person_id, Skip.at > after)))


def made_at(session: Session, campaign_id: int, backbone: str) -> datetime | None:
    """Return when a campaign's groups were made from this backbone's vectors; None if there are none."""
    question = select(func.min(Cluster.at)).where(Cluster.campaign_id == campaign_id, Cluster.backbone == backbone)
    return session.exec(question).one()


def of_figures(session: Session, campaign_id: int, backbone: str) -> dict[int, int]:
    """Return the number of each figure's group."""
    question = select(Cluster.number, Cluster.figure_ids).where(
        Cluster.campaign_id == campaign_id, Cluster.backbone == backbone
    )
    return {figure_id: abs(number) for number, members in session.exec(question) for figure_id in members}


def clusters(session: Session, campaign_id: int, after: int, most: int) -> Sequence[Cluster]:
    """Return up to ``most`` groups of a campaign with numbers above ``after``: the largest have the lowest numbers.

    From 0 on these are the groups that wait: the number of one that is done stands below zero (``put_away``).
    """
    question = select(Cluster).where(Cluster.campaign_id == campaign_id, Cluster.number > after)
    return session.exec(question.order_by(col(Cluster.number)).limit(most)).all()


def cluster(session: Session, campaign_id: int, number: int) -> Cluster | None:
    """Return one group of a campaign, done or not."""
    question = select(Cluster).where(Cluster.campaign_id == campaign_id, col(Cluster.number).in_((number, -number)))
    return session.exec(question).first()


def put_away(session: Session, row: Cluster, *, is_done: bool) -> None:
    """Let a group no longer be among those that wait, or again: it keeps its number, below zero while it is done.

    Nothing happens where the groups were made anew at this very moment.
    """
    number = -abs(row.number) if is_done else abs(row.number)
    session.exec(sa.update(Cluster).where(col(Cluster.id) == row.id).values(number=number))


def replace_clusters(session: Session, campaign_id: int, rows: Iterable[Cluster]) -> None:
    """Put these groups in the place of all that a campaign had."""
    session.exec(sa.delete(Cluster).where(col(Cluster.campaign_id) == campaign_id))
    session.add_all(rows)
    session.flush()


def given_together(session: Session, person_id: int, at: datetime) -> Sequence[Identification]:
    """Return what a person said in one moment and still says: the identifications of one form."""
    question = select(Identification).where(
        Identification.person_id == person_id,
        Identification.created_at == at,
        col(Identification.ended_at).is_(None),
    )
    return session.exec(question.order_by(col(Identification.figure_id))).all()


def by_submissions(session: Session, submission_ids: Collection[str]) -> Sequence[Identification]:
    """Return the identifications that these forms made."""
    question = select(Identification).where(col(Identification.submission_id).in_(list(submission_ids)))
    return session.exec(question).all()
