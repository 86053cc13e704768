"""Queries and their answers: templates, terms, rows, and which service answers.

Queries are portable SPARQL 1.1 kept in `queries/*.rq`, with `$name` places filled by `filled_query`; answers are
read as https://www.w3.org/TR/sparql11-results-json/ by ourselves, since a service may say 200 and send text or
half an answer. Services are tried in order: a later one is asked only if an earlier one cannot answer. SELECT
only, no updates. How a service is spoken to is a matter of `endpoints`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template
from typing import Any, TypeVar

from wiki_sync.config import WikiConfig
from wiki_sync.endpoints import Reply, ask, host_of, reason_not_to_ask
from wiki_sync.errors import BadAnswerError, NoServiceError, QueryRefusedError, TransientError, WikiError
from wiki_sync.retry import this_moment, with_retries

T = TypeVar("T")
_QID = re.compile(r"Q[1-9]\d{0,11}")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True)
class Term:
    """One bound value of a row. `kind` is "uri", "literal" or "bnode"; `language` is "" for plain literals."""

    value: str
    kind: str
    language: str = ""


Row = Mapping[str, Term]


def select(config: WikiConfig, query: str) -> list[Row]:
    """Return the rows of a SELECT query from the first of `sparql_urls` that answers it; unbound variables are
    absent from a row.

    Raises as `first_answer`.
    """
    return first_answer(config, config.sparql_urls, lambda url: rows_at(config, url, query))


def first_answer(config: WikiConfig, urls: Sequence[str], read: Callable[[str], T]) -> T:
    """Return what `read(url)` returns for the first of the services that answers.

    Services that shut us out, or want a sign-in that we do not have, are passed over. Raises the error of the
    last service that was asked: TransientError (busy, slow, unreachable after retries), BadAnswerError (said 200
    and sent something else), QueryRefusedError (wrong query or address), SignedOutError, BannedError; if none was
    asked, the reason why the first was not; NoServiceError if none is set.
    """
    failed: WikiError | None = None
    passed_over: WikiError | None = None
    for url in urls:
        reason = reason_not_to_ask(config, url, this_moment())
        if reason is not None:
            passed_over = passed_over or reason
            continue
        try:
            return read(url)
        except WikiError as error:
            failed = error
    raise failed or passed_over or NoServiceError("No query service is set, so this cannot be asked.")


def rows_at(config: WikiConfig, url: str, query: str) -> list[Row]:
    """Return the rows of a SELECT query from this service, after waits and retries. Raises as `first_answer`."""
    return with_retries(config, lambda: _rows(url, ask(config, url, query)))


def all_rows_at(config: WikiConfig, url: str, page: Callable[[int, int], str], size: int, most: int) -> list[Row]:
    """Return all rows of a query that is asked in pages of `size` rows: `page(limit, offset)` is the query.

    The query must order its rows fully, so that the pages fit together. Raises QueryRefusedError if there are
    more than `most` rows, and as `first_answer`.
    """
    found: list[Row] = []
    while True:
        rows = rows_at(config, url, page(size, len(found)))
        if rows and rows == found[-len(rows) :]:
            raise BadAnswerError(f"{host_of(url)} keeps sending the same part of its answer.")
        found += rows
        if len(found) > most:
            raise QueryRefusedError(f"The query finds more than {most:,} rows; ask for less.")
        if len(rows) < size:
            return found


def filled_query(name: str, **values: str) -> str:
    """Return the query in `queries/<name>.rq` with its places filled; the values must come from the functions
    below."""
    return _template(name).substitute(values)


@cache
def _template(name: str) -> Template:
    text = (resources.files("wiki_sync") / "queries" / f"{name}.rq").read_text(encoding="utf-8")
    # SPARQLWrapper takes a word of a comment for the kind of query ("described": a DESCRIBE), so comments stay here.
    return Template("".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")))


def items_in_query(config: WikiConfig, qids: Iterable[str]) -> str:
    """Return the items as IRIs for a VALUES block. Raises ValueError for anything that is no Q-id."""
    return " ".join(f"<{config.item_base}{checked_qid(qid)}>" for qid in qids)


def checked_qid(qid: str) -> str:
    """Return the Q-id. Raises ValueError for anything else, so that no text of others reaches a query."""
    if not _QID.fullmatch(qid):
        raise ValueError(f"not an item id: {qid!r}")
    return qid


def text_in_query(text: str) -> str:
    """Return the text as a SPARQL string literal (https://www.w3.org/TR/sparql11-query/#grammarEscapes)."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'


def languages_in_query(languages: Iterable[str]) -> str:
    """Return language codes as a list of string literals. Raises ValueError for what is no language code."""
    codes = list(languages)
    wrong = [code for code in codes if not _LANGUAGE.fullmatch(code)]
    if wrong:
        raise ValueError(f"not a language code: {wrong[0]!r}")
    return ", ".join(f'"{code}"' for code in codes)


def qid_of(config: WikiConfig, term: Term | None) -> str | None:
    """Return the Q-id of an item's IRI; None for no term, a blank node ("some value") or any other IRI."""
    if term is None or term.kind != "uri" or not term.value.startswith(config.item_base):
        return None
    qid = term.value.removeprefix(config.item_base)
    return qid if _QID.fullmatch(qid) else None


def _rows(url: str, reply: Reply) -> list[Row]:
    if b"java.util.concurrent.TimeoutException" in reply.body[-20_000:]:
        raise TransientError(f"{host_of(url)} ran out of time in the middle of its answer.")
    if "json" not in reply.kind.lower():
        kind = reply.kind or "no type"
        raise BadAnswerError(f"{host_of(url)} answered with {kind} instead of a table: {reply.body[:120]!r}")
    try:
        answer = json.loads(reply.body)
        bindings = answer["results"]["bindings"]
        return [{name: _term(value) for name, value in row.items()} for row in bindings]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAnswerError(f"{host_of(url)} sent an answer that is cut off or is no table of results.") from error


def _term(value: Mapping[str, Any]) -> Term:
    kind = "literal" if value["type"] == "typed-literal" else value["type"]
    return Term(str(value["value"]), kind, value.get("xml:lang", ""))
