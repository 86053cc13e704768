"""What people type: ``icones serve``, ``icones sync`` and the rest. Exit codes: 0 done, 1 failed, 2 misused."""

import logging
import sys

import typer
from rich.console import Console

from icones import __version__
from icones.commands import administration, collections, depicts, loop, serving, tuning
from icones.errors import IconesError

app = typer.Typer(
    name="icones",
    help="Name the species on natural-history illustrations: people and a model together.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for part in (serving, administration, collections, loop, tuning, depicts):
    part.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"icones {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more of what is done."),
) -> None:
    """Set up what all commands share."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Run the command line; an expected problem is told in words, without a traceback."""
    try:
        app()
    except IconesError as error:
        console = Console(stderr=True, highlight=False)
        console.print(f"icones: {error.message}", markup=False, soft_wrap=True)
        for detail in error.details:
            console.print(f"  {detail}", markup=False, soft_wrap=True)
        sys.exit(1)
