"""Campaigns: a set of illustrations to identify, its source, its scope and its rules."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from icones.models.columns import choice, moment, reference


class SourceKind(StrEnum):
    """Where a campaign's illustrations come from."""

    CATEGORY = "category"
    FOLDER = "folder"
    DEMO = "demo"


class Visibility(StrEnum):
    """Who may see a campaign."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class Campaign(SQLModel, table=True):
    """A set of illustrations to identify. The rule fields are what consensus reads."""

    id: int | None = Field(default=None, primary_key=True)
    slug: str = Field(unique=True, max_length=80)
    title: str = Field(max_length=200)
    description: str = Field(default="", max_length=4000)
    source_kind: SourceKind = choice(SourceKind)
    source: str = Field(default="", max_length=500)
    """The category's name, or the folder's."""
    source_depth: int = 0
    root_taxon_qid: str | None = reference("taxon.qid", default=None, max_length=20, nullable=True)
    visibility: Visibility = choice(Visibility, default=Visibility.PUBLIC)
    collection: str = Field(default="", max_length=200)
    object_number_pattern: str = Field(default="", max_length=200)
    quorum: int = 2
    """How many people must agree before a figure is ``agreed``."""
    agreement: float = 0.67
    """Which share of the counted identifications must agree (0.5 to 1)."""
    agreed_is_verified: bool = False
    """Whether agreement of volunteers is enough, without a specialist's word."""
    backbone: str = Field(default="", max_length=80)
    """The network that embeds this campaign's figures; empty means the installation's default."""
    holdout_fraction: float = 0.2
    seed: int = 1
    retrain_after: int = 20
    """Retrain by itself after this many newly verified figures; 0 means only when asked."""
    created_by: int | None = reference("person.id", default=None, nullable=True)
    created_at: datetime = moment()
    synced_at: datetime | None = moment(nullable=True)
    closed_at: datetime | None = moment(nullable=True)
