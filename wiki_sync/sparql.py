"""The one place where SPARQLWrapper is set up and spoken to.

Queries are portable SPARQL 1.1 kept in `queries/*.rq`, with `$name` places filled by `filled_query`; they are
POSTed as a form, and answers are read as https://www.w3.org/TR/sparql11-results-json/ by ourselves, since an
endpoint may say 200 and send text or half an answer. Endpoints are tried in order: a later one is asked only
if an earlier one cannot answer. SELECT only, no updates.
"""

import http.client
import json
import re
import urllib.error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template
from typing import Any, NoReturn
from urllib.parse import urlsplit

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError, BannedError, QueryRefusedError, TransientError, WikiError
from wiki_sync.retry import asked_wait, with_retries

_LARGEST_ANSWER = 64_000_000  # bytes; two hundred taxa with all their names are about one megabyte
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
    """Return the rows of a SELECT query from the first endpoint that answers it; unbound variables are absent
    from a row.

    Raises the last endpoint's error if none answers: TransientError (busy, slow, unreachable after retries),
    BadAnswerError (said 200 and sent something else), QueryRefusedError (wrong query or address),
    BannedError. ValueError without endpoints.
    """
    if not config.sparql_urls:
        raise ValueError("no SPARQL endpoint is set")
    last: WikiError | None = None
    for url in config.sparql_urls:
        try:
            return with_retries(config, lambda url=url: _select_at(config, url, query))  # type: ignore[misc]
        except WikiError as error:
            last = error
    assert last is not None
    raise last


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


def _select_at(config: WikiConfig, url: str, query: str) -> list[Row]:
    from SPARQLWrapper import JSON, POST, SPARQLWrapper
    from SPARQLWrapper.SPARQLExceptions import EndPointInternalError, SPARQLWrapperException

    wrapper = SPARQLWrapper(url, agent=config.user_agent)  # one a query: it is not safe for threads
    wrapper.setMethod(POST)
    wrapper.setReturnFormat(JSON)
    wrapper.setOnlyConneg(True)
    wrapper.timeout = config.timeout_s  # setTimeout() makes 0.5 s into 0, which means for ever
    wrapper.setQuery(query)
    try:
        response = wrapper.query().response
        with response:
            kind = response.headers.get("Content-Type", "")
            body = response.read(_LARGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        with error:
            _raise_for_status(url, error.code, error.read(2000), error.headers.get("Retry-After"))
    except EndPointInternalError as error:
        raise TransientError(f"{_host(url)} could not finish the query (500). {_words(error)}") from error
    except SPARQLWrapperException as error:
        raise QueryRefusedError(f"{_host(url)} refused the query. {_words(error)}") from error
    except (TimeoutError, urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
        raise TransientError(f"{_host(url)} could not be reached, or did not answer in time.") from error
    return _rows(url, kind, body)


def _raise_for_status(url: str, status: int, body: bytes, retry_after: str | None) -> NoReturn:
    wait = asked_wait(retry_after)
    text = body.decode("utf-8", "replace")
    if status == 429:
        raise TransientError(f"{_host(url)} says we ask too often (429).", wait)
    if status == 403:
        raise BannedError(f"{_host(url)} shut us out (403): {text[:200]}")
    if status >= 500:
        raise TransientError(f"{_host(url)} has a problem of its own ({status}).", wait)
    raise QueryRefusedError(f"{_host(url)} refused the query ({status}).")


def _rows(url: str, kind: str, body: bytes) -> list[Row]:
    if len(body) > _LARGEST_ANSWER:
        raise BadAnswerError(f"{_host(url)} sent more than {_LARGEST_ANSWER // 1_000_000} MB.")
    if b"java.util.concurrent.TimeoutException" in body[-20_000:]:
        raise TransientError(f"{_host(url)} ran out of time in the middle of its answer.")
    if "json" not in kind.lower():
        raise BadAnswerError(f"{_host(url)} answered with {kind or 'no type'} instead of a table: {body[:120]!r}")
    try:
        answer = json.loads(body)
        bindings = answer["results"]["bindings"]
        return [{name: _term(value) for name, value in row.items()} for row in bindings]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAnswerError(f"{_host(url)} sent an answer that is cut off or is no table of results.") from error


def _term(value: Mapping[str, Any]) -> Term:
    kind = "literal" if value["type"] == "typed-literal" else value["type"]
    return Term(str(value["value"]), kind, value.get("xml:lang", ""))


def _host(url: str) -> str:
    return f"The query service {urlsplit(url).netloc}"


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(str(text).split())[:200]
