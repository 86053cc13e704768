"""All SQL about the model that serves: which it is, what it learned from, and what it names alone."""

from collections.abc import Collection
from typing import Any

from sqlalchemy.orm import defer
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


WITHOUT_SNAPSHOT = defer(ModelVersion.snapshot, raiseload=True)  # type: ignore[arg-type]
"""For questions about model versions: what a version was trained on is a row a label, and hardly anybody asks for it.

To read it from such a row raises; ``snapshot_of`` has it.
"""


def champion(session: Session, campaign_id: int) -> ModelVersion | None:
    """Return the model version that serves a campaign, without its snapshot."""
    question = select(ModelVersion).where(
        ModelVersion.campaign_id == campaign_id, ModelVersion.state == ModelState.CHAMPION
    )
    return session.exec(question.options(WITHOUT_SNAPSHOT)).first()


def has_champion(session: Session, campaign_id: int) -> bool:
    """Say whether a model serves a campaign."""
    question = select(ModelVersion.id).where(
        ModelVersion.campaign_id == campaign_id, ModelVersion.state == ModelState.CHAMPION
    )
    return session.exec(question.limit(1)).first() is not None


def snapshot_of(session: Session, version_id: int) -> dict[str, Any]:
    """Return what a model version was trained on: ``{"labels": [...]}``, one row a label."""
    return session.exec(select(col(ModelVersion.snapshot)).where(ModelVersion.id == version_id)).one()


def ranked(session: Session, version_id: int, figure_ids: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """Return a model version's best leaves for these figures, ``[{"qid", "p"}]``, most probable first."""
    found: dict[int, list[dict[str, Any]]] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Prediction.figure_id, col(Prediction.ranked)).where(
            Prediction.model_version_id == version_id, col(Prediction.figure_id).in_(batch)
        )
        found |= dict(session.exec(question).all())
    return found


def best_leaves(
    session: Session, version_id: int, figure_ids: Collection[int] | None = None, verdict: str | None = None
) -> list[tuple[int, str, float]]:
    """Return (figure, taxon, probability): what a version thinks most probable of these figures (None: of all).

    With a ``verdict``, of those only that it says this of. The database reads it off: the rest of the answer is long.
    """
    best = col(Prediction.ranked)[0]
    question = select(Prediction.figure_id, best["qid"].as_string(), best["p"].as_float()).where(
        Prediction.model_version_id == version_id
    )
    if verdict is not None:
        question = question.where(Prediction.verdict == verdict)
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
