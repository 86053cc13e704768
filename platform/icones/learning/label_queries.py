"""All SQL about what a model may learn from: names that people verified, agreed on, or that the source states."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session, col, func, select

from icones.learning.vectors import whole
from icones.models import (
    Answer,
    Campaign,
    DepictsStatement,
    Determination,
    DeterminationState,
    Embedding,
    Figure,
    Fingerprint,
    Identification,
    Illustration,
    IllustrationState,
    LearnsFrom,
    Taxon,
)
from icones.taxa.queries import batches

AT_ONCE = 5000
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """A figure with a name, and what tells where it is from."""

    figure_id: int
    campaign_id: int
    image_sha1: str
    box: str | None
    source_group: str
    qid: str


_COLUMNS = (Figure.id, Figure.campaign_id, Illustration.image_sha1, Figure.box, Illustration.source_group)


def _usable(campaign_ids: Collection[int]) -> sa.ColumnElement[bool]:
    return sa.and_(
        col(Figure.campaign_id).in_(list(campaign_ids)),
        col(Figure.removed_at).is_(None),
        col(Illustration.state) == IllustrationState.READY,
    )


def determined(session: Session, campaign_ids: Collection[int], state: DeterminationState) -> list[Labelled]:
    """Return the figures of these campaigns whose determination is a taxon and has this state, by people's words.

    What the model verified alone is left out: a model that learned from itself would be surer of its own mistakes.
    """
    question = (
        sa.select(*_COLUMNS, Determination.taxon_qid)  # type: ignore[call-overload]
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(Determination, col(Determination.figure_id) == Figure.id)
        .where(
            _usable(campaign_ids),
            Determination.state == state,
            Determination.by_people(),
            col(Determination.taxon_qid).is_not(None),
        )
    )
    return [Labelled(*row) for row in session.execute(question.order_by(col(Figure.id)))]


def first_verified(session: Session, campaign_id: int, since: datetime) -> set[str]:
    """Return the taxa of which people verified a figure after this moment, and none before it."""
    taxon = col(Determination.taxon_qid)
    question = (
        select(taxon)
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == DeterminationState.VERIFIED,
            Determination.by_people(),
            taxon.is_not(None),
            col(Figure.removed_at).is_(None),
        )
        .group_by(taxon)
        .having(func.min(col(Determination.decided_at)) > since)
    )
    return {qid for qid in session.exec(question) if qid is not None}


def stated(session: Session, campaign_id: int) -> list[Labelled]:
    """Return figures on illustrations of which the source says exactly one taxon, and which are one figure.

    What people here have settled or dispute is left out: their word comes first.
    """
    taxon = (
        select(
            col(DepictsStatement.illustration_id).label("illustration_id"),
            func.min(DepictsStatement.qid).label("qid"),
        )
        .join(Taxon, col(Taxon.qid) == DepictsStatement.qid)
        .where(col(DepictsStatement.gone_at).is_(None), DepictsStatement.rank != "deprecated")
        .group_by(col(DepictsStatement.illustration_id))
        .having(func.count(sa.distinct(col(DepictsStatement.qid))) == 1)
        .subquery()
    )
    alone = (
        select(col(Figure.illustration_id))
        .where(Figure.campaign_id == campaign_id, col(Figure.removed_at).is_(None))
        .group_by(col(Figure.illustration_id))
        .having(func.count() == 1)
    )
    unsettled = [DeterminationState.OPEN, DeterminationState.PREDICTED, DeterminationState.AGREED]
    question = (
        sa.select(*_COLUMNS, taxon.c.qid)  # type: ignore[call-overload]
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(taxon, taxon.c.illustration_id == Illustration.id)
        .join(Determination, col(Determination.figure_id) == Figure.id)
        .where(
            _usable([campaign_id]),
            # What only the model has verified, no person has settled.
            sa.or_(
                col(Determination.state).in_(unsettled),
                sa.and_(col(Determination.state) == DeterminationState.VERIFIED, ~Determination.by_people()),
            ),
            col(Illustration.id).in_(alone),
        )
    )
    return [Labelled(*row) for row in session.execute(question.order_by(col(Figure.id)))]


def no_organism(session: Session, campaign_id: int) -> list[int]:
    """Return the figures people verified to be no organism, or an imaginary one."""
    question = (
        select(Figure.id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(Determination, col(Determination.figure_id) == Figure.id)
        .where(
            _usable([campaign_id]),
            Determination.state == DeterminationState.VERIFIED,
            col(Determination.answer).in_([Answer.NO_ORGANISM, Answer.IMAGINARY]),
        )
    )
    return [key for key in session.exec(question.order_by(col(Figure.id))) if key is not None]


def asked_by_chance(session: Session, campaign_ids: Collection[int]) -> set[int]:
    """Return the figures that somebody was asked about by chance: an unbiased sample of their campaign."""
    question = (
        select(Identification.figure_id)
        .join(Figure, col(Figure.id) == Identification.figure_id)
        .where(
            col(Figure.campaign_id).in_(list(campaign_ids)),
            col(Identification.shown)["reason"].as_string() == "random",
        )
    )
    return set(session.exec(question))


def near_duplicates(session: Session, campaign_ids: Collection[int]) -> dict[int, int]:
    """Return the group of near-duplicates of each figure that has been looked at for it."""
    question = (
        select(Fingerprint.figure_id, Fingerprint.group_id)
        .join(Figure, col(Figure.id) == Fingerprint.figure_id)
        .where(col(Figure.campaign_id).in_(list(campaign_ids)), col(Fingerprint.group_id).is_not(None))
    )
    return {key: group for key, group in session.exec(question) if group is not None}


def campaigns_learned_from(session: Session, campaign_id: int) -> dict[int, str]:
    """Return the campaigns, by id with their slugs, whose verified figures this one's model learns from too."""
    question = (
        select(Campaign.id, Campaign.slug)
        .join(LearnsFrom, col(LearnsFrom.source_id) == Campaign.id)
        .where(LearnsFrom.campaign_id == campaign_id)
    )
    return {key: slug for key, slug in session.exec(question) if key is not None}


def n_usable(session: Session, campaign_id: int, backbone: str) -> int:
    """Return how many figures of a campaign have a vector and can be shown."""
    question = (
        select(func.count())
        .select_from(Embedding)
        .join(Figure, col(Figure.id) == Embedding.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(_usable([campaign_id]), Embedding.backbone == backbone)
    )
    return session.exec(question).one()


def matrix(session: Session, campaign_id: int, backbone: str) -> tuple[NDArray[np.int64], Floats]:
    """Return the figure ids (n,) and vectors (n, d) of a campaign, filled in place: nothing is held twice.

    Damaged vectors are left out.
    """
    question = (
        sa.select(Embedding.figure_id, Embedding.vector)  # type: ignore[call-overload]
        .join(Figure, col(Figure.id) == Embedding.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(_usable([campaign_id]), Embedding.backbone == backbone)
        .order_by(col(Embedding.figure_id))
    )
    ids = np.zeros(n_usable(session, campaign_id, backbone), dtype=np.int64)
    x: Floats = np.zeros((0, 0), dtype=np.float32)
    rows = session.execute(question, execution_options={"yield_per": AT_ONCE})
    place = 0
    for part in rows.partitions():
        kept, block = whole([row[1] for row in part], x.shape[1] or None)
        if not len(kept):
            continue
        if not place:
            x = np.zeros((len(ids), block.shape[1]), dtype=np.float32)
        x[place : place + len(kept)] = block
        ids[place : place + len(kept)] = [part[number][0] for number in kept]
        place += len(kept)
    return ids[:place], x[:place]


def vectors_of(session: Session, figure_ids: Sequence[int], backbone: str, dim: int | None = None) -> dict[int, Floats]:
    """Return the vectors (d,) of those of these figures that have one, damaged ones left out; see ``whole`` for dim."""
    found: dict[int, Floats] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Embedding.figure_id, Embedding.vector).where(
            col(Embedding.figure_id).in_(batch), Embedding.backbone == backbone
        )
        rows = session.exec(question).all()
        kept, x = whole([blob for _, blob in rows], dim)
        dim = x.shape[1] or dim
        found |= {rows[number][0]: vector for number, vector in zip(kept, x, strict=True)}
    return found
