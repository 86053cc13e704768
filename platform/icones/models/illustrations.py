"""Illustrations, the figures on them, and what Commons already says of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import choice, document, moment, reference


class IllustrationState(StrEnum):
    """How far an illustration's file has come."""

    LISTED = "listed"
    READY = "ready"
    REFUSED = "refused"
    GONE = "gone"


class FileChange(StrEnum):
    """What happened to an illustration's file at its source."""

    RENAMED = "renamed"
    REPLACED = "replaced"
    """Another image was uploaded over it."""
    OBJECT_NUMBER = "object_number"
    LICENCE = "licence"
    GONE = "gone"
    BACK = "back"


class Illustration(SQLModel, table=True):
    """One image file of a campaign. On Commons its key is the M-id; the title is only an attribute."""

    __table_args__ = (UniqueConstraint("campaign_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    key: str = Field(max_length=400)
    """``M`` + page id, or the file's path in a local folder."""
    mid: str | None = Field(default=None, max_length=20, index=True)
    title: str = Field(max_length=400)
    state: IllustrationState = choice(IllustrationState, default=IllustrationState.LISTED, index=True)
    problem: str = Field(default="", max_length=500)
    mime: str = Field(default="", max_length=100)
    width: int = 0
    height: int = 0
    sha1: str = Field(default="", max_length=40)
    """Of the original, as Commons tells it."""
    image_sha1: str = Field(default="", max_length=40, index=True)
    """Of the copy we keep, its name in the image store; empty until fetched."""
    fetched_sha1: str = Field(default="", max_length=40, index=True)
    """Of the original that this copy was made from; empty where it was not known then."""
    image_url: str = Field(default="", max_length=2000)
    thumb_url: str = Field(default="", max_length=2000)
    page_url: str = Field(default="", max_length=2000)
    description: str = Field(default="", max_length=8000)
    artist: str = Field(default="", max_length=1000)
    credit: str = Field(default="", max_length=1000)
    uploader: str = Field(default="", max_length=255)
    """The account on the wiki that uploaded the original; named where the author is unknown."""
    licence: str = Field(default="", max_length=200)
    licence_url: str = Field(default="", max_length=1000)
    object_number: str = Field(default="", max_length=200, index=True)
    object_number_source: str = Field(default="", max_length=40)
    verbatim_name: str = Field(default="", max_length=400)
    """The name the source gave, letter for letter; never trusted as an identification."""
    source_group: str = Field(default="", max_length=400, index=True)
    """Plates of one source go to the same side of a split."""
    revision: int | None = None
    added_at: datetime = moment()
    synced_at: datetime | None = moment(nullable=True)


class Figure(SQLModel, table=True):
    """One organism depicted on an illustration, with an optional box (``pct:x,y,w,h``)."""

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    illustration_id: int = reference("illustration.id")
    number: int = 1
    box: str | None = Field(default=None, max_length=60)
    created_by: int | None = reference("person.id", default=None, nullable=True)
    created_at: datetime = moment()
    removed_at: datetime | None = moment(nullable=True)


class DepictsStatement(SQLModel, table=True):
    """What a file's structured data says it depicts, as last read. A mirror: never written by people."""

    __table_args__ = (UniqueConstraint("illustration_id", "statement_id"),)

    id: int | None = Field(default=None, primary_key=True)
    illustration_id: int = reference("illustration.id")
    statement_id: str = Field(max_length=80)
    qid: str | None = Field(default=None, max_length=20, index=True)
    """None when the statement says "some value" or "no value"."""
    snaktype: str = Field(default="value", max_length=20)
    rank: str = Field(default="normal", max_length=12)
    box: str | None = Field(default=None, max_length=60)
    qualifiers: dict[str, Any] = document(default_factory=dict)
    first_seen_at: datetime = moment()
    gone_at: datetime | None = moment(nullable=True)


class IllustrationChange(SQLModel, table=True):
    """What a sync saw happen to an illustration's file: the part of its history that no person here made."""

    id: int | None = Field(default=None, primary_key=True)
    illustration_id: int = reference("illustration.id")
    kind: FileChange = choice(FileChange, check="kind")
    before: str = Field(default="", max_length=1000)
    after: str = Field(default="", max_length=1000)
    reason: str = Field(default="", max_length=500)
    """Why, as far as the wiki tells."""
    at: datetime = moment()
