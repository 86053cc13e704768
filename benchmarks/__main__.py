"""Runs every benchmark, one after the other, and writes their tables into docs/benchmarks.md.

    python benchmarks [--dry] [NAME ...]

A benchmark whose claim does not hold does not stop the others: its misses stand in its table, and are named at the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.opening import NO_DATA

HERE = Path(__file__).resolve().parent
BROKE = 3
# So that a benchmark that breaks is not taken for one whose claim is missed: Python's own exit code is 1 for both.
GUARDED = """
import runpy, sys, traceback
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except Exception:
    traceback.print_exc()
    sys.exit(3)
"""


def scripts(wanted: list[str]) -> list[Path]:
    """The benchmarks of these names, all if none is given. Raises SystemExit for a name that is none."""
    found = {file.stem: file for file in sorted(HERE.glob("*.py")) if not file.stem.startswith("_")}
    if unknown := [name for name in wanted if name not in found]:
        raise SystemExit(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(found)}.")
    return [found[name] for name in wanted or found]


def main() -> int:
    """Run them; exit code 1 if one of them broke, 0 even where a claim is missed: that is a finding, not a fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="the benchmarks to run; all if none is named")
    parser.add_argument("--dry", action="store_true", help="print the tables, and write none of them")
    arguments = parser.parse_args()
    ended: dict[str, tuple[int, float]] = {}
    for script in scripts(arguments.names):
        print(f"== {script.name}", flush=True)
        writes = "write_section(" in script.read_text("utf-8") and not arguments.dry
        before = time.perf_counter()
        command = [sys.executable, "-c", GUARDED, str(script), *(["--write"] if writes else [])]
        code = subprocess.run(command, check=False).returncode
        ended[script.stem] = code, time.perf_counter() - before
    print()
    for name, (code, seconds) in ended.items():
        said = {0: "the claim holds", 1: "A CLAIM IS MISSED", NO_DATA: "its data is not here", BROKE: "IT BROKE"}
        print(f"{name:<20}{seconds:>7.0f} s  {said.get(code, f'ended with {code}')}")
    return int(any(code not in (0, 1, NO_DATA) for code, _ in ended.values()))


if __name__ == "__main__":
    sys.exit(main())
