"""All SQL about exports."""

from collections.abc import Collection, Sequence

from sqlalchemy.orm import defer
from sqlmodel import Session, col, func, select

from icones.identifications.machine_queries import WITHOUT_SNAPSHOT
from icones.models import Export, ModelState, ModelVersion, Prediction
from icones.taxa.queries import batches


def exports(session: Session, campaign_id: int) -> Sequence[Export]:
    """Return a campaign's exports without their bytes, newest first."""
    question = select(Export).where(Export.campaign_id == campaign_id).options(defer(Export.content))  # type: ignore[arg-type]
    return session.exec(question.order_by(col(Export.number).desc())).all()


def export(session: Session, campaign_id: int, number: int) -> Export | None:
    """Return one export with its bytes."""
    return session.exec(select(Export).where(Export.campaign_id == campaign_id, Export.number == number)).first()


def last_number(session: Session, campaign_id: int) -> int:
    """Return the number of a campaign's last export, 0 before the first."""
    return session.exec(select(func.max(Export.number)).where(Export.campaign_id == campaign_id)).one() or 0


def champion_predictions(session: Session, figure_ids: Collection[int]) -> dict[int, tuple[Prediction, ModelVersion]]:
    """Return the serving model's answer for these figures."""
    found: dict[int, tuple[Prediction, ModelVersion]] = {}
    for batch in batches(sorted(figure_ids)):
        question = (
            select(Prediction, ModelVersion)
            .join(ModelVersion)
            .where(ModelVersion.state == ModelState.CHAMPION, col(Prediction.figure_id).in_(batch))
            .options(WITHOUT_SNAPSHOT)
        )
        found |= {one.figure_id: (one, version) for one, version in session.exec(question)}
    return found
