"""`/sparql`: SPARQL 1.1 over the taxa, by GET, by form, or as a posted query.

Answers SELECT and ASK as JSON. Federation (SERVICE) is refused, for the engine would really go out to the network.
"""

from __future__ import annotations

import re

from tests.support.standin.api import Answer
from tests.support.standin.taxa import TaxonStore

RESULTS = "application/sparql-results+json;charset=utf-8"
TEXT = "text/plain;charset=utf-8"


def answer_sparql(taxa: TaxonStore, query: str | None) -> Answer:
    """Run the query. 400 with a Java-like complaint if it is missing, does not parse or federates."""
    if not query:
        return Answer(b"No query was given.", 400, TEXT)
    if re.search(r"\bSERVICE\b", query):
        return Answer(b"Service call is not allowed here.", 400, TEXT)
    try:
        body = taxa.select(query)
    except SyntaxError as error:
        said = f"SPARQL-QUERY: queryStr={query}\norg.openrdf.query.MalformedQueryException: {error}\n"
        return Answer(said.encode(), 400, TEXT)
    return Answer(body, 200, RESULTS)
