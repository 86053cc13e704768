"""All SQL about comparisons of backbones."""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.models import (
    BackboneTrial,
    Determination,
    DeterminationState,
    Figure,
    Fingerprint,
    Illustration,
    IllustrationState,
)


def latest(session: Session, campaign_id: int) -> BackboneTrial | None:
    """Return a campaign's last comparison."""
    question = select(BackboneTrial).where(BackboneTrial.campaign_id == campaign_id)
    return session.exec(question.order_by(col(BackboneTrial.at).desc(), col(BackboneTrial.id).desc()).limit(1)).first()


def was_measured(session: Session, campaign_id: int) -> bool:
    """Say whether backbones were ever compared on figures of this campaign."""
    question = select(BackboneTrial.id).where(BackboneTrial.campaign_id == campaign_id, BackboneTrial.n_figures > 0)
    return session.exec(question.limit(1)).first() is not None


def prints(session: Session, campaign_id: int) -> list[tuple[str, str, int]]:
    """Return the image, the source and the group of near-duplicates of each figure that has such a group.

    Figures without a name and removed ones are among them: a network may have been tuned on them before.
    """
    question = (
        sa.select(
            col(Illustration.image_sha1),
            col(Illustration.source_group),
            col(Fingerprint.group_id),
        )
        .join(Figure, col(Figure.illustration_id) == col(Illustration.id))
        .join(Fingerprint, col(Fingerprint.figure_id) == col(Figure.id))
        .where(col(Figure.campaign_id) == campaign_id, col(Fingerprint.group_id).is_not(None))
    )
    return [(image, source, group) for image, source, group in session.execute(question)]


def n_well_sourced(session: Session, campaign_id: int, least: int) -> int:
    """Return how many taxa have verified figures from at least so many sources."""
    source = sa.func.coalesce(sa.func.nullif(col(Illustration.source_group), ""), col(Illustration.image_sha1))
    taxa = (
        sa.select(col(Determination.taxon_qid))
        .join(Figure, col(Figure.id) == col(Determination.figure_id))
        .join(Illustration, col(Illustration.id) == col(Figure.illustration_id))
        .where(
            col(Determination.campaign_id) == campaign_id,
            col(Determination.state) == DeterminationState.VERIFIED,
            Determination.by_people(),
            col(Determination.taxon_qid).is_not(None),
            col(Figure.removed_at).is_(None),
            col(Illustration.state) == IllustrationState.READY,
        )
        .group_by(col(Determination.taxon_qid))
        .having(sa.func.count(sa.distinct(source)) >= least)
        .subquery()
    )
    return int(session.execute(sa.select(sa.func.count()).select_from(taxa)).scalar_one())
