"""All SQL about fingerprints, and about which figures a network has yet to see. Whole campaigns: no row by row."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, select

from icones.learning import label_queries
from icones.learning.vectors import whole
from icones.models import Embedding, Figure, Fingerprint, Illustration, IllustrationState
from icones.taxa.queries import batches

AT_ONCE = 5000


class Seen(NamedTuple):
    """A figure whose image is there, and what was made from it so far; None where nothing was."""

    figure_id: int
    illustration_id: int
    image_sha1: str
    box: str | None
    embedded_from: str | None
    """The source of its vector under the backbone asked for."""
    hashed_from: str | None
    """The source of its fingerprint."""
    phash: str | None
    problem: str | None
    group_id: int | None


def seen(session: Session, campaign_id: int, backbone: str, only: Collection[int] | None = None) -> list[Seen]:
    """Return a campaign's figures whose image is there, or those of them in ``only``, by id."""
    question = (
        sa.select(
            col(Figure.id),
            col(Figure.illustration_id),
            col(Illustration.image_sha1),
            col(Figure.box),
            col(Embedding.source),
            col(Fingerprint.source),
            col(Fingerprint.phash),
            col(Fingerprint.problem),
            col(Fingerprint.group_id),
        )
        .join(Illustration, col(Illustration.id) == col(Figure.illustration_id))
        .outerjoin(Embedding, (col(Embedding.figure_id) == col(Figure.id)) & (col(Embedding.backbone) == backbone))
        .outerjoin(Fingerprint, col(Fingerprint.figure_id) == col(Figure.id))
        .where(
            col(Figure.campaign_id) == campaign_id,
            col(Figure.removed_at).is_(None),
            col(Illustration.state) == IllustrationState.READY,
        )
        .order_by(col(Figure.id))
    )
    if only is None:
        return [Seen(*row) for row in session.execute(question)]
    parts = [question.where(col(Figure.id).in_(batch)) for batch in batches(sorted(only))]
    return [Seen(*row) for part in parts for row in session.execute(part)]


def has_ungrouped(session: Session, campaign_id: int) -> bool:
    """Say whether some figure has a fingerprint that was compared with no other yet."""
    question = (
        sa.select(col(Fingerprint.figure_id))
        .join(Figure, col(Figure.id) == col(Fingerprint.figure_id))
        .where(
            col(Figure.campaign_id) == campaign_id,
            col(Figure.removed_at).is_(None),
            col(Fingerprint.problem) == "",
            col(Fingerprint.group_id).is_(None),
        )
    )
    return session.execute(question.limit(1)).first() is not None


def keep_vectors(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write vectors, each in the place of one of its figure and backbone that was made from something else."""
    changed = col(Embedding.source) != sa.literal_column("excluded.source")
    _upsert(session, Embedding, rows, ("figure_id", "backbone"), ("source", "vector", "created_at"), changed)


def damaged(session: Session, campaign_id: int, backbone: str, dim: int) -> list[int]:
    """Return a campaign's figures whose stored vector is no vector of ``dim`` numbers. Read part by part."""
    question = (
        sa.select(col(Embedding.figure_id), col(Embedding.vector))
        .join(Figure, col(Figure.id) == col(Embedding.figure_id))
        .where(col(Figure.campaign_id) == campaign_id, col(Embedding.backbone) == backbone)
    )
    found: list[int] = []
    for part in session.execute(question, execution_options={"yield_per": AT_ONCE}).partitions():
        sound = set(whole([row[1] for row in part], dim)[0].tolist())
        found += [row[0] for place, row in enumerate(part) if place not in sound]
    return sorted(found)


def drop_vectors(session: Session, backbone: str, figure_ids: Collection[int]) -> None:
    """Remove the vectors of these figures."""
    for batch in batches(sorted(figure_ids)):
        session.connection().execute(
            sa.delete(Embedding).where(col(Embedding.figure_id).in_(batch), col(Embedding.backbone) == backbone)
        )


def keep_fingerprints(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write fingerprints, each in the place of one of its figure that was made from something else or says else."""
    changed = sa.or_(
        col(Fingerprint.source) != sa.literal_column("excluded.source"),
        col(Fingerprint.problem) != sa.literal_column("excluded.problem"),
    )
    values = ("source", "phash", "problem", "group_id", "created_at")
    _upsert(session, Fingerprint, rows, ("figure_id",), values, changed)


def _upsert(
    session: Session,
    model: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    values: Sequence[str],
    changed: sa.ColumnElement[bool],
) -> None:
    """Insert rows; where one of the same keys is there, give it these values if ``changed`` says so."""
    if not rows:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(model)
    new = {name: insert.excluded[name] for name in values}
    statement = insert.on_conflict_do_update(index_elements=list(keys), set_=new, where=changed)
    session.connection().execute(statement, [dict(row) for row in rows])


def set_groups(session: Session, groups: Mapping[int, int]) -> None:
    """Write the group of each of these figures."""
    if groups:
        statement = (
            sa.update(Fingerprint)
            .where(col(Fingerprint.figure_id) == sa.bindparam("of_figure"))
            .values(group_id=sa.bindparam("new_group"))
        )
        rows = [{"of_figure": figure_id, "new_group": group} for figure_id, group in sorted(groups.items())]
        session.connection().execute(statement, rows)


def forget(session: Session, figure_ids: Collection[int]) -> None:
    """Remove the fingerprints of these figures."""
    for batch in batches(sorted(figure_ids)):
        session.connection().execute(sa.delete(Fingerprint).where(col(Fingerprint.figure_id).in_(batch)))


def matrix(session: Session, backbone: str, figure_ids: Sequence[int]) -> NDArray[np.float32]:
    """Return the vectors of these figures under one backbone, a row each, zero where none or a damaged one is: (n, d).

    Read part by part into place: the vectors of a large campaign are hundreds of megabytes.
    """
    rows = np.zeros((len(figure_ids), 0), dtype=np.float32)
    place = {figure_id: number for number, figure_id in enumerate(figure_ids)}
    for batch in batches(figure_ids):
        for figure_id, row in label_queries.vectors_of(session, batch, backbone, rows.shape[1] or None).items():
            if not rows.size:
                rows = np.zeros((len(place), len(row)), dtype=np.float32)
            rows[place[figure_id]] = row
    return rows


def groups(session: Session, campaign_id: int) -> dict[int, int]:
    """Return the group of each figure of a campaign that has one, removed figures left out."""
    question = (
        select(Fingerprint.figure_id, col(Fingerprint.group_id))
        .join(Figure, col(Figure.id) == Fingerprint.figure_id)
        .where(
            Figure.campaign_id == campaign_id,
            col(Figure.removed_at).is_(None),
            col(Fingerprint.group_id).is_not(None),
        )
    )
    return {figure_id: group for figure_id, group in session.exec(question) if group is not None}


def problems(session: Session, campaign_id: int) -> Sequence[tuple[Fingerprint, Figure, Illustration]]:
    """Return the figures of a campaign whose image is there and could not be looked at, by title."""
    question = (
        select(Fingerprint, Figure, Illustration)
        .join(Figure, col(Figure.id) == Fingerprint.figure_id)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .where(
            Figure.campaign_id == campaign_id,
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
            Fingerprint.problem != "",
        )
    )
    return session.exec(question.order_by(Illustration.title, col(Figure.id))).all()
