"""SPARQL 1.1 over the taxa and over the files' structured data, by GET, by form, or as a posted query.

Answers SELECT and ASK as JSON. Federation (SERVICE) is refused, for the engine would really go out to the network.
`SignedInService` stands for the query service of Commons, which wants a cookie: it sends whoever has no session to
its own `check_login`, and whoever has no good cookie to a sign-in page on another host.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Protocol
from urllib.parse import quote

from tests.support.standin.api import Answer

RESULTS = "application/sparql-results+json;charset=utf-8"
TEXT = "text/plain;charset=utf-8"
HTML = "text/html; charset=utf-8"
PREFIX = "/wcqs/"
GOOD_COOKIE = "a-long-lived-sign-in-of-the-stand-in"


class Graph(Protocol):
    """Something that answers queries, as `TaxonStore` and `SdcGraph` do."""

    def select(self, query: str) -> bytes:
        """Run a SELECT or ASK query; SPARQL 1.1 JSON results. Raises SyntaxError on a query that does not parse."""


def answer_sparql(graph: Graph, query: str | None) -> Answer:
    """Run the query. 400 with a Java-like complaint if it is missing, does not parse or federates."""
    if not query:
        return Answer(b"No query was given.", 400, TEXT)
    if re.search(r"\bSERVICE\b", query):
        return Answer(b"Service call is not allowed here.", 400, TEXT)
    try:
        body = graph.select(query)
    except SyntaxError as error:
        said = f"SPARQL-QUERY: queryStr={query}\norg.openrdf.query.MalformedQueryException: {error}\n"
        return Answer(said.encode(), 400, TEXT)
    return Answer(body, 200, RESULTS)


class SignedInService:
    """The query service that wants a sign-in: `sparql` and `oauth/check_login` below `PREFIX`.

    `sessions` are the short-lived cookies that were given out; forgetting them ends all sessions. Where it no longer
    `leads_back`, a sign-in ends on the service's start page instead of at the query.
    """

    def __init__(self, graph: Graph, cookie: str = GOOD_COOKIE) -> None:
        self._graph = graph
        self.cookie = cookie
        self.sessions: set[str] = set()
        self.leads_back = True

    def answer(self, method: str, path: str, params: Mapping[str, str], cookies: str | None, query: str) -> Answer:
        """Answer a call; `query` is the query string as it came, to which `check_login` leads back."""
        jar = {name: morsel.value for name, morsel in SimpleCookie(cookies or "").items()}
        name = path.removeprefix(PREFIX)
        if not name:
            return Answer(b"<!DOCTYPE html><title>Query service</title>", 200, HTML)
        if name == "sparql":
            if jar.get("wcqsSession") in self.sessions:
                return answer_sparql(self._graph, params.get("query"))
            back = quote(f"{path}?{query}", safe="")
            status = 307 if method == "GET" else 403
            return Answer(b"", status, HTML, {"Location": f"{PREFIX}oauth/check_login?back={back}"})
        if name != "oauth/check_login":
            return Answer(b"There is nothing here.", 404, TEXT)
        if jar.get("wcqsOauth") != self.cookie:
            sign_in = "https://commons.wikimedia.org/wiki/Special:OAuth/authenticate"
            return Answer(b"", 307, HTML, {"Location": sign_in})
        session = secrets.token_hex(8)
        self.sessions.add(session)
        cookie = f"wcqsSession={session}; Path=/; HttpOnly; SameSite=Lax"
        target = params["back"] if self.leads_back and "back" in params else PREFIX
        return Answer(b"", 307, HTML, {"Location": target, "Set-Cookie": cookie})
