"""The database: one engine, read and write transactions, and the set-up that SQLite needs.

SQLite gets write-ahead logging, foreign keys and ``BEGIN IMMEDIATE`` for writes, so that two writers wait for
each other at the start instead of failing in the middle. PostgreSQL needs none of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlmodel import Session

from icones.errors import NotReadyError
from icones.paths import bundled

_WRITE = "icones_write"


class Database:
    """One database, by its SQLAlchemy address (``sqlite:///…`` or ``postgresql://…``)."""

    def __init__(self, url: str) -> None:
        self.url = _with_driver(url)
        # What was asked with may be a person's (sealed) token: it does not belong in a log.
        options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
        self._engine = sa.create_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        self._writing = self._engine.execution_options(**{_WRITE: True})

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.startswith("sqlite")

    @property
    def engine(self) -> sa.Engine:
        """The engine for reads and for tools."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session for questions; nothing it changed is kept, and what it read stays readable."""
        with Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session for one piece of work: all of it is committed, or nothing."""
        with Session(self._writing, expire_on_commit=False) as session:
            yield session
            session.commit()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def migrate(self) -> None:
        """Bring the schema to the newest form."""
        if self.is_sqlite and (file := sa.make_url(self.url).database):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        alembic.command.upgrade(self._alembic(), "head")

    def require_current_schema(self) -> None:
        """Raise NotReadyError unless the schema is the one this version needs."""
        with self._engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        if found != _newest_schema():
            raise NotReadyError("The database is not at this version's schema. Run: icones migrate")

    def _alembic(self) -> alembic.config.Config:
        config = _migrations()
        config.attributes["engine"] = self._engine
        return config


def _migrations() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(bundled("migrations")).replace("%", "%%"))
    return config


@cache
def _newest_schema() -> str | None:
    """The revision of this version's schema; read once a process, as each migration is compiled for it."""
    return ScriptDirectory.from_config(_migrations()).get_current_head()


def let_go(session: Session) -> None:
    """End a transaction early, before something slow is asked elsewhere: nobody shall wait for the database meanwhile.

    What was done so far is kept; the next statement begins a new transaction.
    """
    session.commit()


def _with_driver(url: str) -> str:
    """Name psycopg 3 where the address leaves the driver open."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling would begin too late and as a reader.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
