"""Identifications (what people say), determinations (what follows from them), and the review tasks left."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, UniqueConstraint, col

from icones.models.columns import choice, document, moment, reference
from icones.models.people import Role


class Answer(StrEnum):
    """What kind of answer an identification gives. Non-taxon answers are first class."""

    TAXON = "taxon"
    NO_ORGANISM = "no_organism"
    CANNOT_TELL = "cannot_tell"
    IMAGINARY = "imaginary"


class Confidence(StrEnum):
    """How sure the person is, in their own words."""

    SURE = "sure"
    LIKELY = "likely"
    GUESS = "guess"


class Ending(StrEnum):
    """Why an identification no longer counts."""

    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


class DeterminationState(StrEnum):
    """The state of a figure. Derived from its identifications, never typed in."""

    OPEN = "open"
    PREDICTED = "predicted"
    AGREED = "agreed"
    DISPUTED = "disputed"
    VERIFIED = "verified"
    UNIDENTIFIABLE = "unidentifiable"


class Queue(StrEnum):
    """Who a review task waits for."""

    VOLUNTEER = "volunteer"
    SPECIALIST = "specialist"


class Audience(StrEnum):
    """Whose eye a question of the model's suits best."""

    ANYONE = "anyone"
    KNOWING = "knowing"
    """Volunteers who know the group it surely belongs to."""
    SPECIALIST = "specialist"


class Identification(SQLModel, table=True):
    """One person's statement about a figure. Append-only: ended, never changed."""

    __table_args__ = (
        sa.Index(
            "uq_identification_standing",
            "figure_id",
            "person_id",
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    submission_id: str = Field(unique=True, max_length=64)
    """Made by the client: the same form sent twice is one identification."""
    figure_id: int = reference("figure.id")
    person_id: int = reference("person.id")
    given_as: Role = choice(Role)
    """The role the person had when they said it."""
    answer: Answer = choice(Answer)
    taxon_qid: str | None = reference("taxon.qid", default=None, max_length=20, nullable=True)
    confidence: Confidence = choice(Confidence, default=Confidence.SURE)
    comment: str = Field(default="", max_length=2000)
    disagrees: bool = False
    """Whether they say that it cannot be named more exactly than this: a word against every taxon below."""
    shown: dict[str, Any] = document(default_factory=dict)
    """What was on the screen: model version and suggestions, or ``{"blind": true}``; and why it was asked about."""
    created_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)
    ending: Ending | None = choice(Ending, default=None, nullable=True)


class Determination(SQLModel, table=True):
    """The state of a figure, and by which rule it came about."""

    figure_id: int = Field(primary_key=True, foreign_key="figure.id")
    campaign_id: int = reference("campaign.id")
    state: DeterminationState = choice(DeterminationState, default=DeterminationState.OPEN, index=True)
    answer: Answer | None = choice(Answer, default=None, nullable=True)
    taxon_qid: str | None = reference("taxon.qid", default=None, max_length=20, nullable=True)
    rule: str = Field(default="", max_length=300)
    """In words: which rule led here."""
    n_agree: int = 0
    n_disagree: int = 0
    settled_by: int | None = reference("person.id", default=None, nullable=True)
    decided_at: datetime = moment()

    @property
    def is_by_model(self) -> bool:
        """Whether it is verified on the model's word alone: nobody settled it, and nobody said it."""
        return self.state is DeterminationState.VERIFIED and self.settled_by is None and not self.n_agree

    @classmethod
    def by_people(cls) -> sa.ColumnElement[bool]:
        """Return the condition that people's words stand behind what is agreed or verified, as SQL."""
        return sa.or_(col(cls.settled_by).is_not(None), col(cls.n_agree) > 0)


class DeterminationChange(SQLModel, table=True):
    """A figure's passage from one state to another: the history that people read."""

    id: int | None = Field(default=None, primary_key=True)
    figure_id: int = reference("figure.id")
    before: DeterminationState = choice(DeterminationState, check="before")
    after: DeterminationState = choice(DeterminationState, check="after")
    answer: Answer | None = choice(Answer, default=None, nullable=True)
    taxon_qid: str | None = Field(default=None, max_length=20)
    rule: str = Field(default="", max_length=300)
    identification_id: int | None = reference("identification.id", default=None, nullable=True)
    model_version_id: int | None = reference("modelversion.id", default=None, nullable=True)
    at: datetime = moment()


class ReviewTask(SQLModel, table=True):
    """A figure that waits for a volunteer or for a specialist, with its priority and the reason."""

    figure_id: int = Field(primary_key=True, foreign_key="figure.id")
    campaign_id: int = reference("campaign.id")
    queue: Queue = choice(Queue)
    priority: float = Field(default=0.0, index=True)
    reason: str = Field(default="", max_length=40)
    """A code: ``close_call``, ``disputed`` ...; the pages say it in words."""
    within_qid: str | None = Field(default=None, max_length=20, index=True)
    """The deepest taxon that the model is sure of; None where it is sure of nothing."""
    suits: Audience = choice(Audience, default=Audience.ANYONE)
    updated_at: datetime = moment()


sa.Index(
    "ix_reviewtask_next",
    col(ReviewTask.campaign_id),
    col(ReviewTask.queue),
    col(ReviewTask.suits),
    col(ReviewTask.priority).desc(),
    col(ReviewTask.figure_id),
)
"""The tasks of a queue in the order in which they are asked."""


class Skip(SQLModel, table=True):
    """A person passed over a figure; it is not offered to them again for a while."""

    id: int | None = Field(default=None, primary_key=True)
    figure_id: int = reference("figure.id")
    person_id: int = reference("person.id")
    at: datetime = moment()


class Skill(SQLModel, table=True):
    """How often a person is right, as the crowd model sees it: over all taxa, or in one group of them."""

    __table_args__ = (UniqueConstraint("campaign_id", "person_id", "is_specialist", "group_qid"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    person_id: int = reference("person.id")
    is_specialist: bool = False
    group_qid: str = Field(default="", max_length=20)
    """The group of taxa; empty for all."""
    accuracy: float
    low: float
    high: float
    """95 % interval, 0 to 1."""
    n: float
    """How many votes this rests on, in weight."""
    at: datetime = moment()


class CrowdOpinion(SQLModel, table=True):
    """What the votes on a figure amount to when it is known who is right how often. Orders the work only."""

    figure_id: int = Field(primary_key=True, foreign_key="figure.id")
    campaign_id: int = reference("campaign.id")
    node: str | None = Field(default=None, max_length=20)
    """The taxon, or non-taxon answer, that they settle on; None while they settle on none."""
    belief: float = 0.0
    retires: bool = False
    """Whether more votes would change nothing."""
    labels: dict[str, Any] = document(default_factory=dict)
    """How the belief is shared out over the answers given, for training."""
    weight: float = 0.0
    """What the people's own word is worth for training, 0 to 1."""
    at: datetime = moment()
