"""What every command needs: the settings, the database, a campaign by its short name, and ways to tell."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import ConflictError, IconesError, NotFoundError
from icones.jobs import queries, runner
from icones.jobs.all import JOBS
from icones.models import Campaign, JobKind, JobRun, JobState

console = Console(stderr=True, highlight=False)

CAMPAIGN = typer.Argument(help="The campaign's short name, as `icones campaign list` shows it.")
JSON = typer.Option("--json", help="Print the result as JSON, for machines.")


@contextmanager
def opened(*, migrated: bool = True) -> Iterator[tuple[Settings, Database]]:
    """Give the settings and the open database, at this version's schema."""
    settings = Settings().prepared()
    database = Database(settings.database)
    try:
        if migrated:
            if database.is_sqlite:
                database.migrate()  # the embedded database is brought along without being asked
            database.require_current_schema()
        yield settings, database
    finally:
        database.close()


def campaign_of(database: Database, slug: str) -> Campaign:
    """Return the campaign with this short name, or tell which there are."""
    with database.reading() as session:
        found = campaigns.by_slug(session, slug)
        known = [one.slug for one in campaigns.all_open(session)]
    if found is None:
        there = f"There are: {', '.join(known)}." if known else "There is none yet: icones campaign create --help"
        raise NotFoundError(f"There is no campaign “{slug}”. {there}")
    return found


def tell(result: dict[str, Any], as_json: bool, words: str) -> None:
    """Print a result, in words or as JSON."""
    typer.echo(json.dumps(result, ensure_ascii=False, default=str) if as_json else words)


def carry_out(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    kind: JobKind,
    as_json: bool,
    *,
    another: bool = False,
    **parameters: Any,
) -> JobRun:
    """Ask for a run and carry it out here and now, with a progress bar; raise if it failed."""
    with database.writing() as session:
        run = runner.ask(session, kind, campaign, utc_now(), trigger="command", parameters=parameters, another=another)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(database, run.id or 0, ended, as_json), daemon=True)
    watcher.start()
    try:
        state = runner.execute(settings, database, run.id or 0, JOBS)
    finally:
        ended.set()
        watcher.join()
    with database.reading() as session:
        run = session.get_one(JobRun, run.id)
    if state in queries.UNFINISHED:
        raise ConflictError(f"Another run is at work in “{campaign.slug}”; this one waits for it in the queue.")
    if state is JobState.FAILED:
        raise IconesError(run.problem, details=_last_notes(run))
    return run


def _last_notes(run: JobRun) -> list[str]:
    return run.log.strip().splitlines()[-6:-1]


def _watch(database: Database, run_id: int, ended: threading.Event, quiet: bool) -> None:
    """Show a run's steps as they come; on a pipe or with --json nothing is drawn."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=None)
        while not ended.wait(0.3):
            with database.reading() as session:
                run = session.get_one(JobRun, run_id)
            bar.update(task, description=run.step or "Starting", completed=run.done, total=run.total or None)
