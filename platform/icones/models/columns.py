"""Column types that behave the same on SQLite and PostgreSQL, and the metadata all tables share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = SQLModel.metadata


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC. Naive values are refused: SQLite would forget which zone they meant."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values; hand UTC to the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time (SQLite keeps the digits and drops the zone)."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment(*, nullable: bool = False, index: bool = False) -> Any:
    """Return a field that holds a moment in UTC."""
    default = {"default": None} if nullable else {}
    return Field(**default, sa_type=UtcDateTime, nullable=nullable, index=index)  # type: ignore[call-overload]


def choice(enum: type[StrEnum], check: str = "", **more: Any) -> Any:
    """Return a field that holds one value of ``enum``, guarded by a CHECK named ``check`` in the database."""
    kind = sa.Enum(
        enum,
        native_enum=False,
        length=20,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
        name=check or enum.__name__.lower(),
    )
    return Field(sa_type=kind, **more)


def document(**more: Any) -> Any:
    """Return a field that holds a JSON document."""
    return Field(sa_type=sa.JSON, **more)


def reference(target: str, **more: Any) -> Any:
    """Return a foreign key to ``target``, indexed: every list page follows one."""
    more.setdefault("index", not more.get("primary_key", False))
    return Field(foreign_key=target, **more)
