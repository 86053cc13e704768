"""All SQL about embeddings, model versions and predictions."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import Session, col, func, select

from icones.identifications.machine_queries import WITHOUT_SNAPSHOT
from icones.identifications.machine_queries import champion as champion  # for all who ask about learning
from icones.identifications.machine_queries import has_champion as has_champion
from icones.identifications.machine_queries import snapshot_of as snapshot_of
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


def versions(session: Session, campaign_id: int) -> Sequence[ModelVersion]:
    """Return all model versions of a campaign without their snapshots, newest first."""
    question = select(ModelVersion).where(ModelVersion.campaign_id == campaign_id).options(WITHOUT_SNAPSHOT)
    return session.exec(question.order_by(col(ModelVersion.number).desc())).all()


def n_labels(session: Session, campaign_id: int) -> dict[int, int]:
    """Return from how many labels each model version of a campaign learned, by its number; counted by the database."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"  # it is slow at cutting a document out of another
    told = (col(ModelVersion.snapshot), "$.labels") if is_sqlite else (col(ModelVersion.snapshot)["labels"],)
    count = func.coalesce(func.json_array_length(*told), 0)
    question = select(ModelVersion.number, count).where(ModelVersion.campaign_id == campaign_id)
    return dict(session.exec(question).all())


def newest_version_at(session: Session, campaign_id: int) -> datetime | None:
    """Return when a campaign's newest model version was made; None before the first."""
    question = select(func.max(ModelVersion.created_at)).where(ModelVersion.campaign_id == campaign_id)
    return session.exec(question).one()


def version(session: Session, campaign_id: int, number: int) -> ModelVersion | None:
    """Return one model version of a campaign, whole."""
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
    """Return the serving model's answer for a figure, and the model without its snapshot."""
    question = (
        select(Prediction, ModelVersion)
        .join(ModelVersion)
        .where(Prediction.figure_id == figure_id, ModelVersion.state == ModelState.CHAMPION)
        .options(WITHOUT_SNAPSHOT)
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
            .options(WITHOUT_SNAPSHOT)
        )
        for row, version in session.exec(question.order_by(col(ModelVersion.number))):
            found.setdefault(row.figure_id, []).append((row, version))
    return found
