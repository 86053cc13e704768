"""All SQL about what the model names alone."""

from collections.abc import Collection

from sqlmodel import Session, col, select

from icones.models import (
    Determination,
    DeterminationState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    ModelState,
    ModelVersion,
    Prediction,
)
from icones.taxa.queries import batches

KNOWN = "known"
"""The verdict on a figure that looks like what the model knows."""


def champion(session: Session, campaign_id: int) -> ModelVersion | None:
    """Return the model version that serves a campaign."""
    question = select(ModelVersion).where(
        ModelVersion.campaign_id == campaign_id, ModelVersion.state == ModelState.CHAMPION
    )
    return session.exec(question).first()


def best_known(
    session: Session, version_id: int, figure_ids: Collection[int] | None = None
) -> list[tuple[int, str, float]]:
    """Return a version's best leaf and its probability for these figures (None: for all) that look known to it."""
    best = col(Prediction.ranked)[0]
    question = select(Prediction.figure_id, best["qid"].as_string(), best["p"].as_float()).where(
        Prediction.model_version_id == version_id, Prediction.verdict == KNOWN
    )
    parts = [question]
    if figure_ids is not None:
        parts = [question.where(col(Prediction.figure_id).in_(batch)) for batch in batches(sorted(figure_ids))]
    return [(figure_id, qid, p) for part in parts for figure_id, qid, p in session.exec(part) if qid]


def verified_by_model(session: Session, campaign_id: int) -> dict[int, str]:
    """Return the figures that the model verified alone, with their taxa."""
    question = select(Determination.figure_id, col(Determination.taxon_qid)).where(
        Determination.campaign_id == campaign_id,
        Determination.state == DeterminationState.VERIFIED,
        ~Determination.by_people(),
    )
    return {figure_id: qid or "" for figure_id, qid in session.exec(question)}


def unspoken(session: Session, campaign_id: int) -> set[int]:
    """Return the figures that can be shown, that the model has named and of which no person's word stands."""
    said = select(Identification.id).where(
        Identification.figure_id == Determination.figure_id, col(Identification.ended_at).is_(None)
    )
    question = (
        select(Determination.figure_id)
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == DeterminationState.PREDICTED,
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
            ~said.exists(),
        )
    )
    return set(session.exec(question))
