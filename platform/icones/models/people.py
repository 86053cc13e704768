"""People: Wikimedia accounts, their sessions, and what they are in a campaign."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import choice, moment, reference


class Role(StrEnum):
    """What a person is in one campaign. Later ones may do all that earlier ones may."""

    VOLUNTEER = "volunteer"
    SPECIALIST = "specialist"
    CURATOR = "curator"


class Person(SQLModel, table=True):
    """A Wikimedia account. The key is the central id ``sub``: names change."""

    id: int | None = Field(default=None, primary_key=True)
    sub: str = Field(unique=True, max_length=120)
    name: str = Field(max_length=255, index=True)
    language: str = Field(default="en", max_length=8)
    is_admin: bool = False
    named_in_exports: bool = False
    """Whether this person agreed to be named in exports and lists."""
    writes_in_own_name: bool = False
    """Whether this person agreed that what they confirmed is written on Commons in their name."""
    created_at: datetime = moment()
    last_seen_at: datetime = moment()


class SignIn(SQLModel, table=True):
    """A signed-in browser. Only the hash of the cookie is kept."""

    token_hash: str = Field(primary_key=True, max_length=64)
    person_id: int = reference("person.id")
    created_at: datetime = moment()
    expires_at: datetime = moment(index=True)


class Membership(SQLModel, table=True):
    """A person's role in a campaign. Without a row, everyone signed in is a volunteer of a public one."""

    __table_args__ = (UniqueConstraint("campaign_id", "person_id"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    person_id: int = reference("person.id")
    role: Role = choice(Role)
    created_at: datetime = moment()


class Expertise(SQLModel, table=True):
    """A taxon whose members a specialist settles in a campaign; no row means all of its scope."""

    __table_args__ = (UniqueConstraint("membership_id", "taxon_qid"),)

    id: int | None = Field(default=None, primary_key=True)
    membership_id: int = reference("membership.id")
    taxon_qid: str = reference("taxon.qid", max_length=20)
