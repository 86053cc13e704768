"""Where a campaign's illustrations come from, as curators write it down: pure, asks nobody."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from icones.errors import BadInputError
from icones.models import SourceKind
from wiki_sync import QueryRefusedError, check_query

MOST_LISTED = 20_000
LONGEST_TITLE = 240
"""MediaWiki's own limit, in bytes, for the name of a file."""
ON_THE_WIKI = (SourceKind.CATEGORY, SourceKind.QUERY, SourceKind.FILES)
"""The kinds of source that a sync can ask."""

_MID = re.compile(r"M[1-9]\d{0,11}")
_QID = re.compile(r"Q[1-9]\d{0,11}")
_NEVER_IN_TITLES = re.compile(r"[<>\[\]{}|#\x00-\x1f\x7f]")


@dataclass(frozen=True)
class FileList:
    """The files that a list names, each once, in its order."""

    page_ids: tuple[int, ...]
    titles: tuple[str, ...]
    """With "File:" in front; which files they are, only the wiki can say."""


def checked_source(kind: SourceKind, source: str) -> str:
    """Return a source as it is kept, or raise BadInputError that says all that is wrong with it."""
    text = source.strip()
    if kind is SourceKind.CATEGORY:
        if not text:
            raise BadInputError("Name the Commons category whose files this campaign is about.")
        return text[:500]
    if kind is SourceKind.FILES:
        files = file_list(text)
        return "\n".join([*(f"M{page_id}" for page_id in files.page_ids), *files.titles])
    if kind is SourceKind.QUERY:
        return _checked_query(text)
    return text[:500]


def collection_of(source: str) -> str | None:
    """Return the Q-id if a query's source is just that: all files of that collection."""
    return source if _QID.fullmatch(source) else None


def _checked_query(text: str) -> str:
    if not text:
        raise BadInputError("Write the query whose files this campaign is about, or the Q-id of a collection.")
    if _QID.fullmatch(text.upper()):
        return text.upper()
    try:
        check_query(text)
    except QueryRefusedError as error:
        raise BadInputError(str(error)) from error
    return text


def file_list(text: str) -> FileList:
    """Read a list of files: one M-id, title or address of a file page a line; empty lines are passed over.

    Raises BadInputError with every problem and its line at once. A file named twice is one file.
    """
    page_ids: dict[int, None] = {}
    titles: dict[str, None] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        written = line.strip().lstrip("\ufeff").strip()
        if not written:
            continue
        problem = _take_line(written, page_ids, titles)
        if problem:
            problems.append(f"line {number}: {problem}")
    n = len(page_ids) + len(titles)
    if n > MOST_LISTED:
        problems.append(f"The list names {n:,} files; {MOST_LISTED:,} are the most for one campaign.")
    if not n and not problems:
        problems.append("The list names no file.")
    if problems:
        raise BadInputError(_summary(problems), details=problems)
    return FileList(tuple(page_ids), tuple(titles))


def with_page_ids(source: str, found: dict[str, int]) -> str:
    """Return a list of files in which every title that was found is written as its M-id: titles change, ids stay."""
    lines = [f"M{found[line]}" if line in found else line for line in source.splitlines()]
    return "\n".join(dict.fromkeys(lines))


def _summary(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return f"The list cannot be used: {problems[0]}"
    return f"The list cannot be used; {len(problems)} things have to be put right first."


def _take_line(written: str, page_ids: dict[int, None], titles: dict[str, None]) -> str:
    """Add what a line names; return what is wrong with it, empty when nothing is."""
    if _MID.fullmatch(written):
        page_ids[int(written[1:])] = None
        return ""
    title = _title_in(written)
    if title is None:
        return f"“{written[:80]}” is not the address of a file page."
    if not title:
        return f"“{written[:80]}” names no file."
    wrong = _NEVER_IN_TITLES.search(title)
    if wrong:
        return f"“{written[:80]}” cannot be the name of a file: a name has no “{wrong[0]}”."
    if "." not in title.strip("."):
        return f"“{written[:80]}” is neither an M-id nor a file's name (it ends in no .jpg, .png …)."
    if len(title.encode()) > LONGEST_TITLE:
        return f"“{written[:80]}…” is longer than a file's name can be."
    titles[f"File:{title}"] = None
    return ""


def _title_in(written: str) -> str | None:
    """Return the name of the file without "File:"; None for an address that is no file page's."""
    text = written
    is_address = re.match(r"https?://", written, re.IGNORECASE) is not None
    if is_address:
        parts = urlsplit(written)
        asked = parse_qs(parts.query).get("title")
        text = asked[0] if asked else unquote(parts.path).partition("/wiki/")[2]
    found = re.match(r":?\s*(?:file|image)\s*:\s*(.*)", text.replace("_", " "), re.IGNORECASE)
    if is_address and found is None:
        return None
    return " ".join((found[1] if found else text.replace("_", " ")).split())
