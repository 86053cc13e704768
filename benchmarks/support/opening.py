"""How every benchmark begins: the options they share, and the folder of real pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from active_learning import set_threads
from benchmarks.support.embedded import absent, data_folder

NO_DATA = 4
"""The exit code where the folder of real pictures is not there; 2 is that of a wrong option."""


def options(about: str | None, *, as_json: bool = False) -> argparse.ArgumentParser:
    """A parser with `--write`, and `--json` where asked; its help begins with the first line of `about`."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    if as_json:
        parser.add_argument("--json", action="store_true")
    return parser


def opened(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Path]:
    """What the caller asked for, and the folder of real pictures; torch keeps to one thread from here on.

    Raises SystemExit with `NO_DATA`, after a line that says so, where the folder is not there.
    """
    parser.add_argument("--data", type=Path, help="real pictures; else ICONES_TEST_DATA or ../shared/data")
    arguments = parser.parse_args()
    data = data_folder(arguments.data)
    if data is None:
        print(absent(arguments.data), file=sys.stderr)
        raise SystemExit(NO_DATA)
    set_threads(1)
    return arguments, data
