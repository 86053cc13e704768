"""Taxa as Wikidata has them: names in many languages, and the lineage as a closure for quick questions."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import document, moment, reference


class Taxon(SQLModel, table=True):
    """A Wikidata item with a taxon name (P225)."""

    qid: str = Field(primary_key=True, max_length=20)
    scientific_name: str = Field(max_length=300, index=True)
    rank: str = Field(default="", max_length=40)
    parent_qid: str | None = Field(default=None, max_length=20, index=True)
    parent_qids: list[str] = document(default_factory=list)
    """All parents that Wikidata names; ``parent_qid`` is the one we follow."""
    authorship: str = Field(default="", max_length=300)
    ids: dict[str, Any] = document(default_factory=dict)
    """Identifiers elsewhere: gbif, ncbi, nsr, worms, col, inaturalist."""
    image_title: str = Field(default="", max_length=400)
    merged_into: str | None = Field(default=None, max_length=20, index=True)
    """The item this one was merged into; what points here still means the same taxon."""
    gone_at: datetime | None = moment(nullable=True)
    """Since when Wikidata no longer has it as a taxon (deleted, or without a taxon name); what it said last is kept."""
    refreshed_at: datetime = moment()


class TaxonName(SQLModel, table=True):
    """A name of a taxon in a language; ``la`` holds the scientific name and its synonyms."""

    __table_args__ = (UniqueConstraint("taxon_qid", "language", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    taxon_qid: str = reference("taxon.qid", max_length=20)
    language: str = Field(max_length=12)
    name: str = Field(max_length=300)
    folded: str = Field(max_length=300, index=True)
    """Lower case, without accents and punctuation: what searches compare."""
    preferred: bool = False


class TaxonAncestor(SQLModel, table=True):
    """The lineage closure: every ancestor of every taxon, itself at distance 0."""

    taxon_qid: str = Field(primary_key=True, foreign_key="taxon.qid", max_length=20)
    ancestor_qid: str = Field(primary_key=True, foreign_key="taxon.qid", max_length=20, index=True)
    distance: int
