"""Exports: frozen, numbered snapshots that a curator took."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import moment, reference


class Export(SQLModel, table=True):
    """A snapshot's bytes with their checksum: downloaded again, it is the same byte for byte."""

    __table_args__ = (UniqueConstraint("campaign_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    number: int
    filename: str = Field(max_length=200)
    content: bytes = Field(sa_type=sa.LargeBinary)
    sha256: str = Field(max_length=64)
    n_rows: int
    created_by: int | None = reference("person.id", default=None, nullable=True)
    created_at: datetime = moment()
