"""Where the tables of the benchmarks go: docs/benchmarks.md, each in its own place, with the machine and the day."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """The rows as a table in Markdown; the first `left` columns hold words, the others numbers."""
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join("---" if place < left else "---:" for place in range(len(head))) + "|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def machine_and_day() -> str:
    """One line that says where and when a table was measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    day = datetime.now(UTC).date().isoformat()
    return f"Measured on {day}: {platform.machine()}, {cores} cores, Python {platform.python_version()}."


def write_section(name: str, text: str, heading: str = "", introduction: str = "") -> None:
    """Put `text` into docs/benchmarks.md between the marks of `name`, in the place of what stood there before.

    Where the marks are not there yet, `heading` and `introduction` are added at the end, with the marks below.
    Raises ValueError if there are no marks and no heading.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    document = DOCUMENT.read_text("utf-8")
    if begin not in document:
        if not heading:
            raise ValueError(f"{DOCUMENT.name} has no place for {name}, and no heading was given for one")
        document = f"{document.rstrip()}\n\n## {heading}\n{introduction.strip()}\n\n{begin}\n{end}\n"
    before, _, rest = document.partition(begin)
    after = rest.partition(end)[2]
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
