"""Files of Commons by what their structured data says: collections, changes, and curators' own queries.

Asks the query services that hold Commons' structured data (https://www.mediawiki.org/wiki/Wikibase/Indexing/RDF_Dump_Format).
They know no categories and no wikitext, and they lag behind the wiki, by seconds or by weeks. Long answers are
asked for in pages, all of them of the same service.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError, NoServiceError, QueryRefusedError
from wiki_sync.sparql import Row, Term, all_rows_at, checked_qid, filled_query, first_answer, items_in_query

PAGE = 10_000  # rows; about two megabytes
MOST_FILES = 50_000  # of a curator's query
MOST_ROWS = 1_000_000
PREFIXES = {
    "wd": "http://www.wikidata.org/entity/",
    "wdt": "http://www.wikidata.org/prop/direct/",
    "p": "http://www.wikidata.org/prop/",
    "ps": "http://www.wikidata.org/prop/statement/",
    "pq": "http://www.wikidata.org/prop/qualifier/",
    "pr": "http://www.wikidata.org/prop/reference/",
    "sdc": "https://commons.wikimedia.org/entity/",
    "sdcs": "https://commons.wikimedia.org/entity/statement/",
    "sdcdata": "https://commons.wikimedia.org/wiki/Special:EntityData/",
    "schema": "http://schema.org/",
    "wikibase": "http://wikiba.se/ontology#",
    "bd": "http://www.bigdata.com/rdf#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
"""What a curator's query may use without declaring it, as on the query pages of Wikimedia."""

# IRIs, texts and comments of SPARQL 1.1 (section 19.8): inside them no word and no bracket means anything.
_OPAQUE = re.compile(
    r"""(?P<iri><[^<>"{}|^`\\\x00-\x20]*>)|(?P<comment>\#[^\n\r]*)"""
    r"""|(?P<text>\"{3}(?:\\.|(?!\"{3}).)*\"{3}|'{3}(?:\\.|(?!'{3}).)*'{3}"""
    r"""|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*')""",
    re.DOTALL,
)
_PROLOGUE = re.compile(r"\s*(?:(?:BASE|PREFIX\s+[^\s:<]*\s*:)\s*<_*>\s*)*", re.IGNORECASE)
_PROPERTY = re.compile(r"P[1-9]\d{0,11}")
_MID = re.compile(r"M([1-9]\d{0,11})")


@dataclass(frozen=True)
class CollectionFile:
    """A file said to be in a collection, with its inventory number there ("" where none is said)."""

    mid: str
    page_id: int
    inventory_number: str


class CollectionSource:
    """Reads files from the first of `commons_sparql_urls` that answers. Holds no state; may be shared by threads.

    Every method raises QueryRefusedError where no service is set, and else as `sparql.first_answer`.
    """

    def __init__(self, config: WikiConfig, *, page: int = PAGE, most_files: int = MOST_FILES) -> None:
        """Ask for `page` rows at a time, and accept at most `most_files` files of a curator's query."""
        self._config = config
        self._rows_a_page = page
        self._most_files = most_files

    def files(self, collection_qid: str) -> tuple[CollectionFile, ...]:
        """Return the files of a collection by page id, each once.

        Of several inventory numbers the first in order of letters is taken, one that is said of the collection
        before one that is said of the file. Raises ValueError for what is no Q-id.
        """
        item = items_in_query(self._config, [checked_qid(collection_qid)])
        places = {"collection": _property(self._config.collection), "number": _property(self._config.inventory_number)}
        rows = self._rows(lambda limit, offset: _page("collection_files", limit, offset, item=item, **places))
        found: dict[int, tuple[bool, str]] = {}
        for row in rows:
            page_id = _page_id(self._config, row.get("file"))
            if page_id is not None:
                number = _number(row)
                found[page_id] = min(found.get(page_id, number), number)
        return tuple(
            CollectionFile(f"M{page_id}", page_id, number.strip()) for page_id, (_, number) in sorted(found.items())
        )

    def changed_since(self, moment: datetime) -> dict[int, datetime]:
        """Return when the files that changed after a moment (aware) changed last, by page id, oldest first."""
        if moment.tzinfo is None:
            raise ValueError("moment must have a time zone")
        since = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found: dict[int, datetime] = {}
        for row in self._rows(lambda limit, offset: _page("changed_files", limit, offset, moment=since)):
            page_id = _page_id(self._config, row.get("file"))
            if page_id is not None and "changed" in row:
                found[page_id] = _moment(row["changed"])
        return found

    def query(self, sparql: str) -> tuple[int, ...]:
        """Return the page ids of the files that a curator's own SELECT finds, each once, in the service's order.

        The files are the values of ?file, else of ?item, else of the first column, that are media entities; the
        usual prefixes need not be declared. Raises QueryRefusedError for anything but one SELECT, for a column
        that holds no files, for too many files, and with the service's words for what it does not accept.
        """
        asked = _curator_query(sparql)
        rows = self._rows(asked.page, self._most_files)
        values = [term for row in rows if (term := row.get(asked.column)) is not None]
        found = {page_id: None for term in values if (page_id := _page_id(self._config, term)) is not None}
        if values and not found:
            raise QueryRefusedError(
                f"The column ?{asked.column} of the query holds no files of Commons, but for example "
                f"“{values[0].value[:100]}”. A file is an address that begins with {self._config.media_base}M."
            )
        return tuple(found)

    def _rows(self, page: Callable[[int, int], str], most: int = MOST_ROWS) -> list[Row]:
        urls = self._config.commons_sparql_urls
        if not urls:
            raise NoServiceError("No query service that knows the files of Commons is set.")
        size = self._rows_a_page
        return first_answer(self._config, urls, lambda url: all_rows_at(self._config, url, page, size, most))


def check_query(sparql: str) -> None:
    """Raise QueryRefusedError, in words, unless this is a SELECT that `CollectionSource.query` can ask."""
    _curator_query(sparql)


def _page(name: str, limit: int, offset: int, **values: str) -> str:
    return filled_query(name, limit=str(limit), offset=str(offset), **values)


def _property(name: str) -> str:
    if not _PROPERTY.fullmatch(name):
        raise ValueError(f"not a property id: {name!r}")
    return name


def _page_id(config: WikiConfig, term: Term | None) -> int | None:
    """Return the page id in a media entity's IRI; None for no term and for anything else."""
    if term is None or term.kind != "uri" or not term.value.startswith(config.media_base):
        return None
    found = _MID.fullmatch(term.value.removeprefix(config.media_base))
    return int(found[1]) if found else None


def _number(row: Row) -> tuple[bool, str]:
    """Return the row's inventory number behind a mark that sorts the better places first."""
    said = {name: term.value for name, term in row.items() if term.kind == "literal"}
    return ("qualified" not in said, said.get("qualified") or said.get("direct", ""))


def _moment(term: Term) -> datetime:
    try:
        moment = datetime.fromisoformat(term.value)
    except ValueError as error:
        raise BadAnswerError(f"A query service gave {term.value!r} as a time.") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _CuratorQuery:
    """A curator's SELECT, taken apart so that it can be asked in pages; `column` is the variable of the files."""

    prologue: str
    select: str
    column: str

    def page(self, limit: int, offset: int) -> str:
        """Return the query for some of its files: the curator's own as a subquery, whatever limits it has."""
        return (
            f"{self.prologue}\nSELECT DISTINCT ?{self.column} WHERE {{\n{{ {self.select} }}\n}}\n"
            f"ORDER BY ?{self.column}\nLIMIT {limit}\nOFFSET {offset}"
        )


def _curator_query(sparql: str) -> _CuratorQuery:
    """Take a query apart. Raises QueryRefusedError for what is no SELECT or cannot be a subquery."""
    text, masked = _masked(sparql)
    start = _PROLOGUE.match(masked).end()  # type: ignore[union-attr]  # it matches the empty text too
    form = re.match(r"\S+", masked[start:])
    if form is None:
        raise QueryRefusedError("There is no query.")
    if not re.match(r"SELECT\b", form[0], re.IGNORECASE):
        raise QueryRefusedError(f"Only a SELECT query can be used; this one begins with “{form[0][:30]}”.")
    _check_brackets(masked[start:])
    clause = _select_clause(masked[start + len("SELECT") :])
    if re.search(r"\bFROM\b", masked[start + len("SELECT") + len(clause) :].partition("{")[0], re.IGNORECASE):
        raise QueryRefusedError("The query names a data set with FROM; the service's own is used, so leave FROM out.")
    declared = {name.lower() for name in re.findall(r"PREFIX\s+([^\s:<]*)\s*:", masked[:start], re.IGNORECASE)}
    used = [
        f"PREFIX {name}: <{iri}>"
        for name, iri in PREFIXES.items()
        if name not in declared and re.search(rf"(?<![\w.:?$-]){name}:", masked[start:])
    ]
    return _CuratorQuery("\n".join([text[:start].strip(), *used]), text[start:].strip(), _column(clause, masked))


def _masked(sparql: str) -> tuple[str, str]:
    """Return the query without comments, and again with the insides of IRIs and texts blotted out, letter for
    letter."""
    text = _OPAQUE.sub(lambda found: " " if found["comment"] is not None else found[0], sparql)

    def blot(found: re.Match[str]) -> str:
        first, last = ("<", ">") if found["iri"] is not None else ('"', '"')
        return f"{first}{'_' * (len(found[0]) - 2)}{last}"

    return text, _OPAQUE.sub(blot, text)


def _check_brackets(masked: str) -> None:
    closing = {"}": "{", ")": "(", "]": "["}
    opened: list[str] = []
    for letter in re.findall(r"[{}()\[\]]", masked):
        if letter not in closing:
            opened.append(letter)
        elif not opened or opened.pop() != closing[letter]:
            raise QueryRefusedError(f"The query has a “{letter}” that closes nothing.")
    if opened:
        raise QueryRefusedError(f"The query has a “{opened[-1]}” that is never closed.")
    if "{" not in masked:
        raise QueryRefusedError("The query does not say where to look: it has no “{ … }”.")


def _select_clause(masked: str) -> str:
    """Return what stands between SELECT and WHERE, with what is in brackets there."""
    depth = 0
    for found in re.finditer(r"[()]|\{|\b(?:WHERE|FROM)\b", masked, re.IGNORECASE):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0 and found[0] not in "()":
            return masked[: found.start()]
    return masked


def _column(clause: str, masked: str) -> str:
    """Return the variable of the files: ?file or ?item if it is selected, else the first one that is."""
    columns: list[str] = []
    depth = 0
    for found in re.finditer(r"[()]|\bAS\s*[?$](\w+)|[?$](\w+)", clause, re.IGNORECASE):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        name = found[1] if depth == 1 else found[2] if depth == 0 else None
        if name:
            columns.append(name)
    if not columns and "*" in clause:
        columns = [name for name in ("file", "item") if re.search(rf"[?$]{name}\b", masked)]
    if not columns:
        raise QueryRefusedError("The query does not say which column holds the files: begin it with SELECT ?file.")
    return next((name for name in ("file", "item") if name in columns), columns[0])
