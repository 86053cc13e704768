"""A local folder of pictures, with or without a table of names, read and checked whole.

Either everything is in order and the listing comes back, or all problems come back at once; nothing is half
taken. Nothing is written, moved or converted, and nothing outside the folder is opened, whatever the table
says.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wiki_sync.errors import PermanentError
from wiki_sync.pictures import MAX_PIXELS, PictureFacts, picture_facts
from wiki_sync.table import FolderProblemsError, Problem, TableRow, read_table

MAX_BYTES = 200_000_000
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif"}
_BOX = re.compile(r"pct:(\d+(?:\.\d+)?),(\d+(?:\.\d+)?),(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class FolderImage:
    """One picture of the folder. `file` is its path inside the folder with "/"; the texts are as in the
    table, "" where empty.

    `box` is "pct:x,y,w,h" or None, `sha1` (hex) of the file's bytes, `line` the table's line or None without
    a table.
    """

    file: str
    path: Path
    line: int | None
    name: str
    scientific_name: str
    object_number: str
    title: str
    licence: str
    artist: str
    box: str | None
    source_group: str
    sha1: str
    size_bytes: int
    width: int
    height: int
    mime: str


@dataclass(frozen=True)
class FolderListing:
    """The pictures in the table's order (else by name), and what is odd without being wrong."""

    folder: Path
    images: tuple[FolderImage, ...]
    warnings: tuple[Problem, ...]


def read_folder(
    folder: Path,
    table: Path | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> FolderListing:
    """Return the pictures of the folder and what the table says about them.

    Without a table, all pictures in the folder and its subfolders. `on_progress(pictures checked, pictures)`
    is called after each one. Raises FolderProblemsError with all problems: of the table's form, missing,
    doubled, unreadable or enormous files, SVG drawings, paths that leave the folder, boxes that are none.
    Limits are in bytes and pixels a picture.
    """
    if not folder.is_dir():
        raise FolderProblemsError([Problem(None, str(folder), "There is no such folder.")])
    present = _pictures_in(folder)
    problems: list[Problem] = []
    if table is None:
        rows = [TableRow(0, {"file": name}) for name in present if Path(name).suffix.lower() in _PICTURES]
        if not rows:
            problems.append(Problem(None, folder.name, "There is no picture in the folder."))
    else:
        rows, problems = read_table(table)
    chosen = _chosen_files(folder, rows, present, problems)
    images: list[FolderImage] = []
    for done, (row, path) in enumerate(chosen, start=1):
        images += _checked(folder, row, path, max_bytes, max_pixels, problems)
        if on_progress:
            on_progress(done, len(chosen))
    if problems:
        raise FolderProblemsError(sorted(problems, key=lambda problem: (problem.line or 0, problem.file or "")))
    return FolderListing(folder, tuple(images), tuple(_warnings(images, present, table)))


def _pictures_in(folder: Path) -> dict[str, Path]:
    """Return the folder's picture and SVG files by their path inside it (NFC), hidden files and folders left
    out."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if not hidden and path.is_file() and path.suffix.lower() in _PICTURES | {".svg"}:
            found[unicodedata.normalize("NFC", inside.as_posix())] = path
    return found


def _chosen_files(
    folder: Path, rows: list[TableRow], present: dict[str, Path], problems: list[Problem]
) -> list[tuple[TableRow, Path]]:
    """Return the rows with the files they name; rows without a usable one become problems."""
    chosen: list[tuple[TableRow, Path]] = []
    lines: dict[Path, int] = {}
    for row in rows:
        written = row.cells["file"]
        path = _file_of(folder, written, present)
        if isinstance(path, str):
            problems.append(Problem(row.line or None, written or None, path))
        elif path in lines:
            problems.append(Problem(row.line, written, f"This file is already on line {lines[path]}."))
        else:
            lines[path] = row.line
            chosen.append((row, path))
    return chosen


def _file_of(folder: Path, written: str, present: dict[str, Path]) -> Path | str:
    """Return the file that a cell names, or what is wrong with it."""
    if not written:
        return "The line names no file."
    inside = PurePosixPath(unicodedata.normalize("NFC", written.replace("\\", "/")))
    if inside.is_absolute() or ".." in inside.parts or re.match(r"[A-Za-z]:", written) or "\x00" in written:
        return "The path leaves the folder. Give it from the folder downwards."
    path = present.get(inside.as_posix(), folder / inside)
    if not path.is_file():
        folded = inside.as_posix().casefold()
        similar = next((name for name in present if name.casefold() == folded), None)
        return f"There is no such file; is “{similar}” meant?" if similar else "There is no such file in the folder."
    if not path.resolve().is_relative_to(folder.resolve()):
        return "The file is a link to a place outside the folder."
    return path


def _checked(
    folder: Path, row: TableRow, path: Path, max_bytes: int, max_pixels: int, problems: list[Problem]
) -> list[FolderImage]:
    """Return the picture in a list of one, or add what is wrong to the problems and return none."""
    line, written = row.line or None, row.cells["file"]
    box = row.cells.get("box", "")
    if box and not _is_box(box):
        message = f"“{box}” is not a box; one is written pct:x,y,width,height in percent, inside the picture."
        problems.append(Problem(line, written, message))
    try:
        data, facts = _read(path, max_bytes, max_pixels)
    except (PermanentError, OSError) as error:
        problems.append(Problem(line, written, str(error)))
        return []
    return [_image(folder, row, path, data, facts)]


def _read(path: Path, max_bytes: int, max_pixels: int) -> tuple[bytes, PictureFacts]:
    size = path.stat().st_size
    if size > max_bytes:
        raise PermanentError(f"The file has {size / 1e6:.0f} MB; the limit is {max_bytes / 1e6:.0f} MB.")
    if size == 0:
        raise PermanentError("The file is empty.")
    data = path.read_bytes()
    return data, picture_facts(data, "The file", max_pixels)


def _image(folder: Path, row: TableRow, path: Path, data: bytes, facts: PictureFacts) -> FolderImage:
    texts = {name: row.cells.get(name, "") for name in ("name", "scientific_name", "object_number", "title")}
    return FolderImage(
        file=unicodedata.normalize("NFC", path.relative_to(folder).as_posix()),
        path=path,
        line=row.line or None,
        **texts,
        licence=row.cells.get("licence", ""),
        artist=row.cells.get("artist", ""),
        box=row.cells.get("box") or None,
        source_group=row.cells.get("source_group", ""),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        size_bytes=len(data),
        width=facts.width,
        height=facts.height,
        mime=facts.mime,
    )


def _is_box(text: str) -> bool:
    """Return whether the text is a box in percent that lies in the picture (a rounding of 0.01 is let
    through)."""
    found = _BOX.fullmatch(text)
    if not found:
        return False
    x, y, width, height = (float(part) for part in found.groups())
    return width > 0 and height > 0 and x + width <= 100.01 and y + height <= 100.01


def _warnings(images: list[FolderImage], present: dict[str, Path], table: Path | None) -> Iterable[Problem]:
    taken = {image.file for image in images}
    for name in present:
        if name not in taken:
            reason = "The table has no line for this picture." if table else "SVG drawings are left out."
            yield Problem(None, name, reason)
    first: dict[str, FolderImage] = {}
    for image in images:
        if image.sha1 in first:
            yield Problem(image.line, image.file, f"This is the same picture as {first[image.sha1].file}.")
        first.setdefault(image.sha1, image)
