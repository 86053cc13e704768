"""Commands that start something or make it ready: serve, worker, migrate, check, demo."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from icones.clock import utc_now
from icones.commands.surroundings import console, opened
from icones.config import Settings
from icones.db import Database
from icones.errors import NotReadyError
from icones.jobs import queries
from icones.paths import bundled

log = logging.getLogger(__name__)
RESTART_AFTER_S = 2.0


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (serve, worker, migrate, check, demo):
        app.command()(command)


def _missing_front() -> list[str]:
    """Say so where the front-end libraries were not built: pages would come without style and without deep zoom."""
    if (bundled("static") / "vendor" / "manifest.json").exists():
        return []
    return ["The front-end libraries are missing. In a checkout run: make front. (A built wheel holds them.)"]


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Start the worker too; on several machines start it once.")
    ] = True,
) -> None:
    """Serve the pages and the API, with the worker beside it."""
    with opened() as (settings, _):
        if problems := _missing_front():
            raise NotReadyError("This installation is not whole:", details=problems)
        if settings.mode == "production" and (problems := settings.unsafe()):
            raise NotReadyError("These settings are not safe in production:", details=problems)
    run_server(settings, host, port, with_worker)


def run_server(settings: Settings, host: str, port: int, with_worker: bool) -> None:
    """Run the server until it is told to stop; the worker's process is kept up beside it and ends with it."""
    from icones.app import create_app

    app = create_app(settings)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(settings, stop), daemon=True)
    # uvicorn raises the signal that ended it once more; by default SIGTERM would then end us before the worker.
    signal.signal(signal.SIGTERM, _leave)
    if with_worker:
        keeper.start()
    try:
        uvicorn.run(app, host=host, port=port, log_level="warning", proxy_headers=True)
    finally:
        stop.set()
        if with_worker:
            keeper.join(20)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _keep_worker(settings: Settings, stop: threading.Event) -> None:
    """Start a worker and start it again whenever it dies, until told to stop."""
    command = [sys.executable, "-m", "icones", "worker", "--beside", str(os.getpid())]
    while not stop.is_set():
        with subprocess.Popen(command, env=settings.as_environment()) as beside:  # noqa: S603 (our own program)
            while beside.poll() is None and not stop.wait(0.5):
                pass
            if stop.is_set():
                beside.terminate()
                try:
                    beside.wait(15)
                except subprocess.TimeoutExpired:
                    beside.kill()
                return
        log.error("the worker ended by itself (exit code %s); it is started again", beside.returncode)
        stop.wait(RESTART_AFTER_S)


def worker(
    clock: Annotated[
        bool, typer.Option("--clock/--no-clock", help="Ask for what is due; one worker of an installation does that.")
    ] = True,
    beside: Annotated[int, typer.Option(hidden=True, help="End with this process, which started us.")] = 0,
) -> None:
    """Carry out syncs, training and the rest. Run one of these for an installation, and more with --no-clock."""
    from icones.worker import work

    with opened() as (settings, database):
        work(settings, database, beside, with_clock=clock)


def migrate() -> None:
    """Bring the database to this version's schema."""
    with opened(migrated=False) as (_, database):
        database.migrate()
    typer.echo("The database is at this version's schema.")


def check() -> None:
    """Say what is unsafe or missing in this installation; exit code 1 if anything is."""
    settings = Settings().prepared()
    problems = settings.unsafe() if settings.mode == "production" else []
    problems += _missing_front()
    problems += _check_database(settings)
    if settings.weights_dir is not None and not settings.weights_dir.is_dir():
        problems.append(f"ICONES_WEIGHTS_DIR {settings.weights_dir} is not a folder.")
    if not problems:
        typer.echo("All is well.")
        return
    raise NotReadyError("Not all is well:", details=problems)


def _check_database(settings: Settings) -> list[str]:
    database = Database(settings.database)
    try:
        database.require_current_schema()
        with database.reading() as session:
            beat = queries.last_beat(session)
        if beat is None or (utc_now() - beat).total_seconds() > 60:
            console.print("Note: no worker is at work now (icones worker).", markup=False)
    except NotReadyError as error:
        return [error.message]
    finally:
        database.close()
    return []


def demo(
    category: Annotated[str, typer.Option(help="Use this category of the live Commons instead of drawn plates.")] = "",
    depth: Annotated[int, typer.Option(help="How many levels of subcategories to follow.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files.")] = Path("var/demo"),
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw an earlier demo's files away first.")] = False,
    only_prepare: Annotated[bool, typer.Option("--only-prepare", help="Fill and train, but do not serve.")] = False,
) -> None:
    """Fill a campaign, train a first model and serve it on 127.0.0.1, with one-click sign-in."""
    from icones.commands.demonstration import prepare

    settings = prepare(folder, port, category, depth, fresh)
    if not only_prepare:
        typer.echo(f"Icones is ready at {settings.base_url} (stop with Ctrl+C)")
        run_server(settings, "127.0.0.1", port, with_worker=True)
