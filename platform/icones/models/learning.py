"""What the machine learned and says: embeddings, model versions, predictions."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import choice, document, moment, reference


class ModelState(StrEnum):
    """Where a model version stands. A campaign has at most one champion."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"
    RETIRED = "retired"
    REJECTED = "rejected"


class Embedding(SQLModel, table=True):
    """A figure's feature vector under one backbone version: float32, little endian, unit length."""

    figure_id: int = Field(primary_key=True, foreign_key="figure.id")
    backbone: str = Field(primary_key=True, max_length=120)
    """Name and version: vectors of two backbones cannot be compared."""
    source: str = Field(max_length=120)
    """The image and box it was made from: another one makes it stale."""
    vector: bytes = Field(sa_type=sa.LargeBinary)
    created_at: datetime = moment()


class ModelVersion(SQLModel, table=True):
    """One trained model with all that is needed to repeat it."""

    __table_args__ = (
        UniqueConstraint("campaign_id", "number"),
        sa.Index(
            "uq_modelversion_champion",
            "campaign_id",
            unique=True,
            sqlite_where=sa.text("state = 'champion'"),
            postgresql_where=sa.text("state = 'champion'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    number: int
    state: ModelState = choice(ModelState, default=ModelState.CHALLENGER, index=True)
    backbone: str = Field(max_length=120)
    folder: str = Field(max_length=200)
    """Of the weights, below the data folder."""
    snapshot_hash: str = Field(max_length=64)
    snapshot: dict[str, Any] = document(default_factory=dict)
    """What it was trained on: figure, taxon, group, identification, one row a label."""
    seed: int
    parameters: dict[str, Any] = document(default_factory=dict)
    report: dict[str, Any] = document(default_factory=dict)
    verdict: str = Field(default="", max_length=1000)
    """Why it was published, or not, in a sentence."""
    run_id: int | None = reference("jobrun.id", default=None, nullable=True)
    created_at: datetime = moment()
    published_at: datetime | None = moment(nullable=True)
    retired_at: datetime | None = moment(nullable=True)


class Prediction(SQLModel, table=True):
    """A model version's calibrated answer for a figure."""

    __table_args__ = (UniqueConstraint("model_version_id", "figure_id"),)

    id: int | None = Field(default=None, primary_key=True)
    model_version_id: int = reference("modelversion.id")
    figure_id: int = reference("figure.id")
    ranked: list[dict[str, Any]] = document(default_factory=list)
    """The best leaves: ``[{"qid", "p"}]``, most probable first."""
    lineage: list[dict[str, Any]] = document(default_factory=list)
    """The best leaf's ancestors with their rolled-up probabilities: ``[{"qid", "p"}]``."""
    margin: float
    entropy: float
    """In nats, divided by the logarithm of the number of classes: 0 sure, 1 knows nothing."""
    reason: str = Field(default="", max_length=40)
    created_at: datetime = moment()
