"""Commands for those who look after an installation: people's roles, single runs, backup and restore."""

import sqlite3
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from icones.clock import utc_now
from icones.commands.surroundings import JSON, campaign_of, opened, tell
from icones.errors import BadInputError, ConflictError, NotReadyError
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.jobs.learn import STEPS
from icones.jobs.queue import EXIT_BUSY, LEND
from icones.jobs.shards import UnableError, lend_a_hand
from icones.models import JobState, Role
from icones.people import service as people
from icones.taxa import service as taxa

user = typer.Typer(help="People and their roles.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(user, name="user")
    app.command()(backup)
    app.command()(restore)
    app.command(hidden=True)(job)


@user.command()
def grant(
    name: Annotated[str, typer.Argument(help="The account's name; the person must have signed in once.")],
    role: Annotated[str, typer.Argument(help="volunteer, specialist, curator, or admin (everywhere).")],
    campaign: Annotated[str, typer.Option(help="The campaign's short name; not needed for admin.")] = "",
    expertise: Annotated[
        list[str] | None, typer.Option(help="Q-id of a taxon that a specialist knows; may be given several times.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Give a person a role."""
    if role != "admin" and role not in {one.value for one in Role}:
        raise BadInputError(f"“{role}” is not a role. There are: volunteer, specialist, curator, admin.")
    with opened() as (_, database):
        own = campaign_of(database, campaign) if role != "admin" else None
        with database.writing() as session:
            person = people.require_by_name(session, name)
            for qid in expertise or ():
                taxa.require(session, qid)
            if own is None:
                person.is_admin = True
                session.add(person)
            else:
                people.grant(session, own.id or 0, person, Role(role), utc_now(), expertise or ())
    tell({"name": name, "role": role, "campaign": campaign or None}, as_json, f"{name} is now {role}.")


def job(
    run_id: int,
    lend: Annotated[bool, typer.Option(LEND, help="Carry out parts of a run that goes on elsewhere.")] = False,
) -> None:
    """Carry out one run that waits in the queue; the worker calls this in a process of its own."""
    with opened() as (settings, database):
        if lend:
            try:
                lend_a_hand(settings, database, run_id, STEPS)
            except UnableError as error:
                typer.echo(error.message, err=True)
                raise typer.Exit(EXIT_BUSY) from error
            return
        state = runner.execute(settings, database, run_id, JOBS)
    if state is JobState.QUEUED:
        raise typer.Exit(EXIT_BUSY)
    raise typer.Exit(0 if state in (JobState.DONE, JobState.CANCELLED, JobState.RUNNING) else 1)


def backup(target: Annotated[Path, typer.Argument(help="The archive to write (.tar.gz); must not exist.")]) -> None:
    """Write the database, the images and the models into one archive, while people go on working."""
    if target.exists():
        raise ConflictError(f"{target} exists already. Choose another name.")
    with opened() as (settings, database):
        if not database.is_sqlite:
            raise NotReadyError("On PostgreSQL, back the database up with pg_dump and the data folder with your tools.")
        partial = target.with_name(target.name + ".part")
        with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
            copy = Path(folder) / "icones.sqlite"
            with database.engine.connect() as connection, sqlite3.connect(copy) as other:
                _raw(connection).backup(other)
            other.close()
            with tarfile.open(partial, "w:gz") as archive:
                archive.add(copy, "icones.sqlite")
                for name in ("images", "models", "secret_key"):
                    if (settings.data_dir / name).exists():
                        archive.add(settings.data_dir / name, name)
        partial.replace(target)
    typer.echo(f"Written: {target} ({target.stat().st_size / 1e6:.1f} MB)")


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise NotReadyError("This database is not SQLite.")
    return raw


def restore(source: Annotated[Path, typer.Argument(help="An archive that `icones backup` wrote.")]) -> None:
    """Unpack a backup into an empty data folder."""
    from icones.config import Settings

    settings = Settings()
    if not source.is_file():
        raise BadInputError(f"There is no file {source}.")
    if (settings.data_dir / "icones.sqlite").exists():
        raise ConflictError(
            f"{settings.data_dir} holds a database already. Restore into an empty folder (ICONES_DATA_DIR)."
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(source) as archive:
            archive.extractall(settings.data_dir, filter="data")
    except tarfile.TarError as error:
        raise BadInputError(f"{source} is not a backup that can be read: {error}") from error
    with opened():
        typer.echo(f"Restored into {settings.data_dir}.")
