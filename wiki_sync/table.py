"""A museum's table of pictures (CSV or TSV) as rows of named cells, with every problem of form found in one
go.

The delimiter is found from the heading line; the text must be UTF-8, with or without a byte order mark. It is
strict on purpose: a table in another encoding would be read "somehow" and bring broken names home.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wiki_sync.errors import PermanentError

COLUMNS = ("file", "name", "scientific_name", "object_number", "title", "licence", "artist", "box", "source_group")
_OTHER_SPELLINGS = {"license": "licence", "filename": "file", "file_name": "file", "inventory_number": "object_number"}
_DELIMITERS = ("\t", ";", ",")
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True)
class Problem:
    """Something to put right: the table's line (first line is 1), the file as written there, and what is
    wrong."""

    line: int | None
    file: str | None
    message: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.file or "") if part)
        return f"{place}: {self.message}" if place else self.message


class FolderProblemsError(PermanentError):
    """A folder or its table cannot be taken as it is; `problems` has all that was found, in order of line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"- {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) have to be put right first:\n{listed}")

    def __reduce__(self) -> tuple[type["FolderProblemsError"], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


@dataclass(frozen=True)
class TableRow:
    """One row: its first line in the file, and its cells by column name, stripped ("" where empty or no such
    column)."""

    line: int
    cells: Mapping[str, str]


def read_table(path: Path) -> tuple[list[TableRow], list[Problem]]:
    """Return the rows and the problems of form. Raises FolderProblemsError if there is nothing that could be
    read."""
    text = _text(path)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
    rows: list[TableRow] = []
    problems: list[Problem] = []
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _columns(cells, first, problems)
            elif len(cells) != len(columns):
                message = f"This line has {len(cells)} cells, the heading has {len(columns)}."
                problems.append(Problem(first, None, message))
            else:
                named = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
                rows.append(TableRow(first, {name: named.get(name, "") for name in COLUMNS}))
    except csv.Error as error:
        problems.append(Problem(line, None, f"The table cannot be read on from here ({error})."))
    if columns is None:
        raise FolderProblemsError([Problem(None, path.name, "The table is empty.")])
    if not rows and not problems:
        problems.append(Problem(None, path.name, "The table has a heading and no lines."))
    return rows, problems


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FolderProblemsError(
            [Problem(None, path.name, f"The table cannot be opened: {error.strerror}.")]
        ) from error
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            raise FolderProblemsError([Problem(None, path.name, f"The table is saved as {name}. {_SAVE_AS}")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"The table is not saved as UTF-8 (an accented letter here is in another encoding). {_SAVE_AS}"
        raise FolderProblemsError([Problem(line, path.name, message)]) from error


_SAVE_AS = "Please save it as “CSV UTF-8” and try again."


def _delimiter(text: str) -> str:
    """Return the delimiter under which the heading line has the most known columns; the comma if none has
    any."""
    heading = next((line for line in text.splitlines() if line.strip()), "")

    def known(delimiter: str) -> int:
        return sum(_column(cell) in COLUMNS for cell in next(csv.reader([heading], delimiter=delimiter), []))

    best = max(_DELIMITERS, key=known)
    return best if known(best) else max((",", ";", "\t"), key=heading.count)


def _column(heading: str) -> str:
    name = "_".join(heading.strip().strip('"').lower().replace("-", " ").replace("_", " ").split())
    return _OTHER_SPELLINGS.get(name, name)


def _columns(cells: list[str], line: int, problems: list[Problem]) -> list[str]:
    columns = [_column(cell) for cell in cells]
    for name, written in zip(columns, cells, strict=True):
        if name not in COLUMNS:
            message = f"There is no column “{written.strip()}”; the columns are {', '.join(COLUMNS)}."
            problems.append(Problem(line, None, message))
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            problems.append(Problem(line, None, f"The column “{name}” is there more than once."))
    if "file" not in columns:
        problems.append(Problem(line, None, "There is no column “file”, which says which picture a line is about."))
    return columns
