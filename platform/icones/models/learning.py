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


class ModelOrigin(StrEnum):
    """Where a model version's weights come from."""

    TRAINED = "trained"
    BORROWED = "borrowed"
    """The backbone's own classes, mapped to taxa: an answer before anybody has named anything."""


class Fingerprint(SQLModel, table=True):
    """What tells a figure that was scanned twice from a new one, or why its image could not be looked at."""

    figure_id: int = Field(primary_key=True, foreign_key="figure.id")
    source: str = Field(max_length=120)
    """The image and box it was made from, as in ``Embedding``."""
    phash: str = Field(default="", max_length=16)
    """Perceptual hash, 64 bits in hex."""
    group_id: int | None = Field(default=None, index=True)
    """The smallest figure id among its near-duplicates; its own where there are none."""
    problem: str = Field(default="", max_length=500)
    created_at: datetime = moment()


class Embedding(SQLModel, table=True):
    """A figure's feature vector under one backbone version: float32, little endian, unit length."""

    # Where a campaign's vectors stand is asked at every search: it is read off here, without the vectors themselves.
    __table_args__ = (sa.Index("ix_embedding_standing", "backbone", "figure_id", "created_at"),)

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
    origin: ModelOrigin = choice(ModelOrigin, default=ModelOrigin.TRAINED)
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
    """The best leaf's ancestors with their probabilities, calibrated rank by rank: ``[{"qid", "p"}]``."""
    claim: dict[str, Any] = document(default_factory=dict)
    """The deepest taxon it is pretty sure of: ``{"qid", "rank", "p"}``; empty where it is sure of nothing."""
    plausible: dict[str, Any] = document(default_factory=dict)
    """The conformal set: ``{"qids": [covering taxa], "n": leaves}``; empty where it is not calibrated."""
    novelty: float | None = None
    """The probability that it is nothing the model knows; None before that was learned."""
    verdict: str = Field(default="", max_length=8)
    """``known``, ``near`` (a relative of what it knows) or ``far`` (nothing like it); empty before that."""
    margin: float
    entropy: float
    """In nats, divided by the logarithm of the number of classes: 0 sure, 1 knows nothing."""
    reason: str = Field(default="", max_length=40)
    created_at: datetime = moment()


class BackboneTrial(SQLModel, table=True):
    """One comparison of backbones on a campaign's own verified figures."""

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    run_id: int | None = reference("jobrun.id", default=None, nullable=True)
    chosen: str = Field(max_length=120)
    """The backbone's name; several joined by ``+``."""
    why: str = Field(default="", max_length=1000)
    results: list[dict[str, Any]] = document(default_factory=list)
    """One row a backbone: name, version, dim, accuracies by labels a class with intervals, seconds an image."""
    n_figures: int
    n_classes: int
    at: datetime = moment()


class Cluster(SQLModel, table=True):
    """Unnamed figures that look alike, so that a specialist can name them in one go."""

    __table_args__ = (UniqueConstraint("campaign_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    number: int
    """From 1 on; below zero while so little is left to name that it no longer waits."""
    backbone: str = Field(max_length=120)
    figure_ids: list[int] = document(default_factory=list)
    """The most typical first."""
    cohesion: float
    """Mean cosine to the cluster's centre, -1 to 1."""
    at: datetime = moment()
