"""Campaigns: a set of illustrations to identify, its source, its scope and its rules."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from icones.models.columns import choice, moment, reference


class SourceKind(StrEnum):
    """Where a campaign's illustrations come from."""

    CATEGORY = "category"
    QUERY = "query"
    """A SPARQL query over the structured data of Commons."""
    FILES = "files"
    """A list of files on Commons, by title or M-id."""
    FOLDER = "folder"
    DEMO = "demo"


class Visibility(StrEnum):
    """Who may see a campaign."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class Writes(StrEnum):
    """Whether a campaign's verified determinations go to Commons, and under whose name."""

    OFF = "off"
    PEOPLE = "people"
    BOT = "bot"


class ConsensusRule(StrEnum):
    """How identifications become a determination (``identifications/consensus.py``)."""

    COMMUNITY = "community"
    """The deepest taxon, named or implied, that enough people carry."""
    NAMED = "named"
    """The same, but never a taxon that nobody named."""


class Campaign(SQLModel, table=True):
    """A set of illustrations to identify. The rule fields are what consensus reads."""

    id: int | None = Field(default=None, primary_key=True)
    slug: str = Field(unique=True, max_length=80)
    title: str = Field(max_length=200)
    description: str = Field(default="", max_length=4000)
    source_kind: SourceKind = choice(SourceKind)
    source: str = Field(default="", sa_type=sa.Text)
    """The category's name, the query, the list of files (one a line), or the folder's name."""
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
    rule: ConsensusRule = choice(ConsensusRule, default=ConsensusRule.NAMED)
    blind_votes: int = 2
    """How many people name a figure before anybody is shown what the model says of it."""
    gold_share: float = 0.05
    """The share of questions to volunteers whose answer a specialist has given already."""
    backbone: str = Field(default="", max_length=80)
    """The network that embeds this campaign's figures; empty means the installation's default."""
    model_rank: str = Field(default="", max_length=40)
    """The rank at which the model sorts (``genus``, ``family``); empty means the names as they are given."""
    auto_precision: float = 0.99
    """The share of right ones that a taxon's threshold must reach before the model may name it alone."""
    auto_validates: bool = False
    """Whether what lies above those thresholds is verified without a person; never where the campaign writes."""
    holdout_fraction: float = 0.2
    seed: int = 1
    retrain_after: int = 20
    """Retrain by itself after this many newly verified figures; 0 means only when asked."""
    created_by: int | None = reference("person.id", default=None, nullable=True)
    created_at: datetime = moment()
    synced_at: datetime | None = moment(nullable=True)
    changes_read_at: datetime | None = moment(nullable=True)
    """Up to when the wiki's recent changes were read."""
    checked_at: datetime | None = moment(nullable=True)
    """When every file's revision was last compared with the wiki's."""
    writes: Writes = choice(Writes, default=Writes.OFF)
    edits_per_minute: float = 5.0
    """The pace of the bot account."""
    revert_limit: float = 0.05
    """Writing pauses when a larger share of our edits was reverted."""
    change_tags: str = Field(default="", max_length=200)
    """Tags for our edits, separated by ``|``; they must be defined on the wiki first."""
    writing_paused_at: datetime | None = moment(nullable=True)
    writing_paused_why: str = Field(default="", max_length=500)
    writing_went_on_at: datetime | None = moment(nullable=True)
    """When a curator last let it go on: reverts of what was written before do not pause it again."""
    closed_at: datetime | None = moment(nullable=True)


class LearnsFrom(SQLModel, table=True):
    """A campaign whose verified figures another campaign's model learns from too."""

    campaign_id: int = reference("campaign.id", primary_key=True)
    source_id: int = reference("campaign.id", primary_key=True)
