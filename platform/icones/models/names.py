"""Names as collections write them, and what each was found to mean."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import choice, document, moment, reference


class NameState(StrEnum):
    """How far a written name has come."""

    OPEN = "open"
    """Nobody knows yet: a curator is asked."""
    MATCHED = "matched"
    """A matcher was sure."""
    SETTLED = "settled"
    """A curator said which taxon it is."""
    NO_TAXON = "no_taxon"
    """A curator said that it names no taxon."""


class NameAnswer(SQLModel, table=True):
    """What one written name means in a campaign, by whom or by which matcher; one row for all its illustrations."""

    __table_args__ = (UniqueConstraint("campaign_id", "verbatim"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    verbatim: str = Field(max_length=400)
    """Letter for letter, as the source has it."""
    cleaned: str = Field(default="", max_length=400)
    state: NameState = choice(NameState, default=NameState.OPEN, index=True)
    matcher: str = Field(default="", max_length=40)
    """``wikidata``, ``gbif``, ``col``, ``worms`` or ``person``."""
    version: str = Field(default="", max_length=120)
    """Of the matcher, its checklist or its date."""
    match_type: str = Field(default="", max_length=40)
    confidence: int | None = None
    """As the matcher states it, 0 to 100."""
    matched_name: str = Field(default="", max_length=300)
    accepted_name: str = Field(default="", max_length=300)
    taxon_qid: str | None = reference("taxon.qid", default=None, max_length=20, nullable=True)
    candidates: list[dict[str, Any]] = document(default_factory=list)
    """What was found and not trusted, for the curator to choose from."""
    note: str = Field(default="", max_length=500)
    """Why nothing was trusted, in words."""
    asked_at: datetime | None = moment(nullable=True)
    settled_by: int | None = reference("person.id", default=None, nullable=True)
    settled_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
