"""All SQL about embeddings, model versions and predictions."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import Session, col, func, select

from icones.models import (
    Determination,
    DeterminationState,
    Embedding,
    Figure,
    Illustration,
    IllustrationState,
    ModelState,
    ModelVersion,
    Prediction,
)
from icones.taxa.queries import batches, merged_from


def champion(session: Session, campaign_id: int) -> ModelVersion | None:
    """Return the model version that serves a campaign."""
    return session.exec(
        select(ModelVersion).where(ModelVersion.campaign_id == campaign_id, ModelVersion.state == ModelState.CHAMPION)
    ).first()


def versions(session: Session, campaign_id: int) -> Sequence[ModelVersion]:
    """Return all model versions of a campaign, newest first."""
    question = select(ModelVersion).where(ModelVersion.campaign_id == campaign_id)
    return session.exec(question.order_by(col(ModelVersion.number).desc())).all()


def version(session: Session, campaign_id: int, number: int) -> ModelVersion | None:
    """Return one model version of a campaign."""
    return session.exec(
        select(ModelVersion).where(ModelVersion.campaign_id == campaign_id, ModelVersion.number == number)
    ).first()


def last_version_number(session: Session, campaign_id: int) -> int:
    """Return the number of a campaign's last model version, 0 before the first."""
    question = select(func.max(ModelVersion.number)).where(ModelVersion.campaign_id == campaign_id)
    return session.exec(question).one() or 0


def embedding(session: Session, figure_id: int, backbone: str) -> Embedding | None:
    """Return one figure's vector."""
    return session.get(Embedding, (figure_id, backbone))


def embedding_state(session: Session, campaign_id: int, backbone: str) -> tuple[int, datetime | None]:
    """Return how many vectors there are and when the last was made: changed means an index is stale."""
    question = (
        select(func.count(), func.max(Embedding.created_at))
        .select_from(Embedding)
        .join(Figure, col(Figure.id) == Embedding.figure_id)
        .where(Figure.campaign_id == campaign_id, Embedding.backbone == backbone)
    )
    return session.exec(question).one()


def newest_backbone(session: Session, campaign_id: int) -> str | None:
    """Return the backbone version under which a campaign has most vectors, for when no model serves yet.

    Of several the newest. Another campaign that learns from this one's verified figures may have seen these alone.
    """
    question = (
        select(Embedding.backbone)
        .join(Figure, col(Figure.id) == Embedding.figure_id)
        .where(Figure.campaign_id == campaign_id, col(Figure.removed_at).is_(None))
        .group_by(col(Embedding.backbone))
        .order_by(func.count().desc(), func.max(Embedding.created_at).desc())
    )
    return session.exec(question.limit(1)).first()


def prediction(session: Session, figure_id: int) -> tuple[Prediction, ModelVersion] | None:
    """Return the serving model's answer for a figure."""
    question = (
        select(Prediction, ModelVersion)
        .join(ModelVersion)
        .where(Prediction.figure_id == figure_id, ModelVersion.state == ModelState.CHAMPION)
    )
    return session.exec(question).first()


def predictions_of(session: Session, version_id: int, figure_ids: Collection[int]) -> dict[int, Prediction]:
    """Return a model version's answers for these figures."""
    found: dict[int, Prediction] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Prediction).where(
            Prediction.model_version_id == version_id, col(Prediction.figure_id).in_(batch)
        )
        found |= {row.figure_id: row for row in session.exec(question)}
    return found


def examples(session: Session, campaign_id: int, qids: Collection[str], most: int) -> dict[str, list[tuple[int, str]]]:
    """Return for each taxon up to ``most`` figures that people verified as (figure id, image name), oldest first.

    Figures that were named before an item was merged into one of these count for it.
    """
    if not qids:
        return {}
    stands_for = merged_from(session, qids)
    question = (
        select(col(Determination.taxon_qid), col(Figure.id), Illustration.image_sha1)
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == DeterminationState.VERIFIED,
            Determination.by_people(),
            col(Determination.taxon_qid).in_([*qids, *stands_for]),
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
        )
        .order_by(col(Figure.id))
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for written, figure_id, image in session.exec(question):
        qid = stands_for.get(written or "", written)
        if qid and figure_id and len(found.setdefault(qid, [])) < most:
            found[qid].append((figure_id, image))
    return found


def predictions_by_version(
    session: Session, figure_ids: Collection[int]
) -> dict[int, list[tuple[Prediction, ModelVersion]]]:
    """Return what each published model version ever said of these figures, by figure, oldest version first."""
    found: dict[int, list[tuple[Prediction, ModelVersion]]] = {}
    for batch in batches(sorted(figure_ids)):
        question = (
            select(Prediction, ModelVersion)
            .join(ModelVersion)
            .where(col(Prediction.figure_id).in_(batch), col(ModelVersion.published_at).is_not(None))
        )
        for row, version in session.exec(question.order_by(col(ModelVersion.number))):
            found.setdefault(row.figure_id, []).append((row, version))
    return found
