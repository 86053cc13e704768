"""Alembic's entry: migrates the engine it is handed, or the database of the settings."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

import icones.models  # noqa: F401  (registers all tables)
from icones.config import Settings
from icones.db import Database
from icones.models.columns import UtcDateTime, metadata


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own column types as the plain ones they are in the database."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Run the migrations online, in one transaction."""
    engine = context.config.attributes.get("engine") or Database(Settings().database).engine
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # SQLite changes a table by making it anew; with foreign keys on, dropping the old one would fail. Only for
            # this connection, and only before its transaction begins.
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            render_item=render_item,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        if engine.dialect.name == "sqlite":
            connection.rollback()
            connection.connection.cursor().execute("PRAGMA foreign_keys=ON")


if context.is_offline_mode():
    raise SystemExit("Icones migrates online only: the steps look at the data.")
run()
