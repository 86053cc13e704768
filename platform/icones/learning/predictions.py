"""What a model version says of figures, written in bulk: a hundred thousand rows in seconds, and little memory."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, func, select

from active_learning import Judged, entropy, margin
from icones.models import (
    Campaign,
    Determination,
    DeterminationChange,
    DeterminationState,
    Embedding,
    Figure,
    ModelState,
    ModelVersion,
    Prediction,
    Queue,
    ReviewTask,
    metadata,
)
from icones.taxa.queries import batches, lineages

RANKED = 10
"""How many leaves of a prediction are kept."""
AT_ONCE = 2000


def rows(
    version_id: int, classes: Sequence[str], ids: Sequence[int], judged: Judged, reasons: Sequence[str], now: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the rows of some figures' predictions, in the order of ``ids`` (m,), to which ``judged`` belongs."""
    order, best = judged.top(RANKED)
    margins, entropies = margin(judged.proba.astype(np.float64)), entropy(judged.proba.astype(np.float64))
    for row, figure_id in enumerate(ids):
        claim, (qids, size) = judged.claims[row], judged.sets[row]
        yield {
            "model_version_id": version_id,
            "figure_id": int(figure_id),
            "ranked": [_told(classes[leaf], p) for leaf, p in zip(order[row], best[row], strict=True)],
            "lineage": [_told(qid, p) for qid, p in judged.lineage(row)],
            "claim": {**_told(claim.node, claim.probability), "rank": claim.rank} if claim else {},
            "plausible": {"qids": list(qids), "n": size} if size else {},
            "novelty": round(float(judged.novelty[row]), 5) if judged.novelty is not None else None,
            "verdict": judged.verdicts[row] if judged.verdicts is not None else "",
            "margin": float(margins[row]),
            "entropy": float(entropies[row]),
            "reason": reasons[row],
            "created_at": now,
        }


def _told(qid: str, probability: float) -> dict[str, Any]:
    return {"qid": qid, "p": round(float(probability), 5)}


def write(session: Session, told: Sequence[dict[str, Any]]) -> None:
    """Write rows of predictions, all of one version and moment; what it said of these figures before is replaced.

    What it said later than that stays, so that rows may be written twice, by two at once and too late.
    """
    for batch in batches(sorted({row["figure_id"] for row in told})):
        session.execute(
            sa.delete(Prediction).where(
                col(Prediction.model_version_id) == told[0]["model_version_id"],
                col(Prediction.figure_id).in_(batch),
                col(Prediction.created_at) <= told[0]["created_at"],
            )
        )
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(Prediction).on_conflict_do_nothing(index_elements=["model_version_id", "figure_id"])
    for start in range(0, len(told), AT_ONCE):
        session.connection().execute(statement, list(told[start : start + AT_ONCE]))


def drop(session: Session, version_id: int) -> None:
    """Remove all that a version said: it never served."""
    session.execute(sa.delete(Prediction).where(col(Prediction.model_version_id) == version_id))


def stale(session: Session, campaign_id: int, version: ModelVersion) -> set[int]:
    """Return the figures of which a version has said nothing, or only of an image that has been replaced since.

    All of them where a taxon that it names has moved in the tree since.
    """
    said = (
        sa.select(Prediction.id)  # type: ignore[call-overload]
        .where(
            Prediction.figure_id == Embedding.figure_id,
            Prediction.model_version_id == version.id,
            Prediction.created_at >= Embedding.created_at,
        )
        .exists()
    )
    question = (
        select(Embedding.figure_id)
        .join(Figure, col(Figure.id) == Embedding.figure_id)
        .where(Figure.campaign_id == campaign_id, Embedding.backbone == version.backbone)
    )
    return set(session.exec(question if _has_moved(session, version) else question.where(~said)))


def _has_moved(session: Session, version: ModelVersion) -> bool:
    """Say whether the taxa above a leaf are others than what a version said of a figure of it."""
    one_a_leaf = (
        select(func.min(Prediction.id))
        .where(Prediction.model_version_id == version.id)
        .group_by(col(Prediction.ranked)[0]["qid"].as_string())
    )
    told = session.exec(select(Prediction.ranked, Prediction.lineage).where(col(Prediction.id).in_(one_a_leaf))).all()
    said = {ranked[0]["qid"]: [above["qid"] for above in lineage] for ranked, lineage in told if ranked}
    lines = lineages(session, said.keys())
    return any(list(lines.get(leaf, (leaf,))[1:]) != above for leaf, above in said.items())


def note(session: Session, campaign: Campaign, version_id: int | None, now: datetime) -> None:
    """Let open figures of which the serving model says something be ``predicted``, and the others ``open`` again.

    Nothing else depends on a prediction, so no votes need to be counted: it is done for all figures at once.
    """
    column, history = metadata.tables["determination"].c, metadata.tables["determinationchange"].c
    said = (
        sa.select(Prediction.id)  # type: ignore[call-overload]
        .join(ModelVersion, col(ModelVersion.id) == Prediction.model_version_id)
        .where(Prediction.figure_id == Determination.figure_id, ModelVersion.state == ModelState.CHAMPION)
        .exists()
    )
    for before, after, where in (
        (DeterminationState.OPEN, DeterminationState.PREDICTED, said),
        (DeterminationState.PREDICTED, DeterminationState.OPEN, ~said),
    ):
        here = sa.and_(col(Determination.campaign_id) == campaign.id, col(Determination.state) == before, where)
        passages = sa.select(
            column.figure_id,
            sa.literal(before, history.before.type),
            sa.literal(after, history.after.type),
            sa.literal(""),
            sa.literal(version_id, sa.Integer()),
            sa.literal(now, history.at.type),
        ).where(here)
        written = ["figure_id", "before", "after", "rule", "model_version_id", "at"]
        session.execute(sa.insert(DeterminationChange).from_select(written, passages))
        session.execute(
            sa.update(Determination)
            .where(here)
            .values(state=after, decided_at=now)
            .execution_options(synchronize_session=False)
        )
    session.expire_all()


def waiting(session: Session, campaign_id: int) -> set[int]:
    """Return the figures that wait for volunteers."""
    question = select(ReviewTask.figure_id).where(
        ReviewTask.campaign_id == campaign_id, ReviewTask.queue == Queue.VOLUNTEER
    )
    return set(session.exec(question))
