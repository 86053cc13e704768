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
    Prediction,
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


def skipped_among(session: Session, person_id: int, figure_ids: Collection[int], after: datetime) -> set[int]:
    """Return which of these figures a person has passed over since ``after``."""
    found: set[int] = set()
    for batch in batches(sorted(figure_ids)):
        question = select(Skip.figure_id).where(
            Skip.person_id == person_id, Skip.at > after, col(Skip.figure_id).in_(batch)
        )
        found |= set(session.exec(question))
    return found


def made_at(session: Session, campaign_id: int, backbone: str) -> datetime | None:
    """Return when a campaign's groups were made from this backbone's vectors; None if there are none."""
    question = select(func.min(Cluster.at)).where(Cluster.campaign_id == campaign_id, Cluster.backbone == backbone)
    return session.exec(question).one()


def of_figures(session: Session, campaign_id: int, backbone: str) -> dict[int, int]:
    """Return the number of each figure's group."""
    question = select(Cluster.number, Cluster.figure_ids).where(
        Cluster.campaign_id == campaign_id, Cluster.backbone == backbone
    )
    return {figure_id: number for number, members in session.exec(question) for figure_id in members}


def clusters(session: Session, campaign_id: int, after: int, most: int) -> Sequence[Cluster]:
    """Return up to ``most`` groups of a campaign with numbers above ``after``: the largest have the lowest numbers."""
    question = select(Cluster).where(Cluster.campaign_id == campaign_id, Cluster.number > after)
    return session.exec(question.order_by(col(Cluster.number)).limit(most)).all()


def cluster(session: Session, campaign_id: int, number: int) -> Cluster | None:
    """Return one group of a campaign."""
    return session.exec(select(Cluster).where(Cluster.campaign_id == campaign_id, Cluster.number == number)).first()


def replace_clusters(session: Session, campaign_id: int, rows: Iterable[Cluster]) -> None:
    """Put these groups in the place of all that a campaign had."""
    session.exec(sa.delete(Cluster).where(col(Cluster.campaign_id) == campaign_id))
    session.add_all(rows)
    session.flush()


def best_leaves(session: Session, version_id: int, figure_ids: Collection[int]) -> dict[int, str]:
    """Return for each of these figures the taxon that a model version thinks most probable."""
    found: dict[int, str] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Prediction.figure_id, Prediction.ranked).where(
            Prediction.model_version_id == version_id, col(Prediction.figure_id).in_(batch)
        )
        found |= {figure_id: ranked[0]["qid"] for figure_id, ranked in session.exec(question) if ranked}
    return found


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
