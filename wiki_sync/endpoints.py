"""How one query service is asked: what goes over the wire, and what its troubles are called.

Most services take a POSTed form, by SPARQLWrapper, which is set up and spoken to here and nowhere else. The one
for Commons' structured data wants a sign-in (https://wikitech.wikimedia.org/wiki/Commons_Query_Service): a
long-lived cookie that a person copied from a browser, for which it gives a short-lived one by sending us round;
that takes GET, cookies that are kept, and redirects, of which only those on the same host are followed.

A service that shut us out is left alone by this process until its ban is over: asking on makes a ban longer
(https://www.mediawiki.org/wiki/Wikidata_Query_Service/User_Manual#Query_limits).
"""

import http.client
import http.cookiejar
import re
import urllib.error
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from urllib.parse import urlsplit

import httpx2

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError, BannedError, QueryRefusedError, SignedOutError, TransientError, WikiError
from wiki_sync.meter import count_sparql_call
from wiki_sync.retry import asked_wait, this_moment

LARGEST_ANSWER = 64_000_000  # bytes; two hundred taxa with all their names are about one megabyte
LONGEST_ADDRESS = 7_000  # characters; proxies refuse addresses from about 8,000 on
BAN = timedelta(hours=24)  # where the service does not say how long
_REDIRECTS = 5
_BAN_END = re.compile(r"banned until\s+(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)", re.IGNORECASE)
# Bans are for an address and a User-Agent. Both maps are of this process, and single assignments need no lock.
_bans: dict[tuple[str, str], datetime] = {}
_jars: dict[tuple[str, str], http.cookiejar.CookieJar] = {}


@dataclass(frozen=True)
class Reply:
    """What a service sent with status 200: the content type as written, and the whole body."""

    kind: str
    body: bytes


def reason_not_to_ask(config: WikiConfig, url: str, now: datetime) -> WikiError | None:
    """Return why the service is not to be asked at `now`: BannedError, SignedOutError (no cookie for one that
    wants a sign-in), or None."""
    end = _bans.get((url, config.user_agent))
    if end is not None and now < end:
        return BannedError(f"{host_of(url)} shut us out until {end:%Y-%m-%d %H:%M} UTC; it is not asked before then.")
    if _wants_sign_in(config, url) and not config.wcqs_cookie:
        return SignedOutError(f"{host_of(url)} wants a sign-in, and no cookie for it is set; it is not asked.")
    return None


def ask(config: WikiConfig, url: str, query: str) -> Reply:
    """Send the query once and return what came.

    Raises TransientError (busy, slow, unreachable), BannedError, SignedOutError (the cookie is not accepted),
    QueryRefusedError (wrong query or address, or too long for a service that takes GET only), BadAnswerError
    (larger than `LARGEST_ANSWER`).
    """
    count_sparql_call()
    reply = _ask_signed_in(config, url, query) if _wants_sign_in(config, url) else _ask_openly(config, url, query)
    if len(reply.body) > LARGEST_ANSWER:
        raise BadAnswerError(f"{host_of(url)} sent more than {LARGEST_ANSWER // 1_000_000} MB.")
    return reply


def host_of(url: str) -> str:
    """Return how messages call a service."""
    return f"The query service {urlsplit(url).netloc}"


def end_of_ban(words: str, now: datetime) -> datetime:
    """Return until when a refusal's words shut us out ("banned until 2026-01-31T12:00:00Z"), `BAN` from `now` if
    they do not say."""
    said = _BAN_END.search(words)
    if said is None:
        return now + BAN
    moment = datetime.fromisoformat(said[1])
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _ask_openly(config: WikiConfig, url: str, query: str) -> Reply:
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
            return Reply(response.headers.get("Content-Type", ""), response.read(LARGEST_ANSWER + 1))
    except urllib.error.HTTPError as error:
        with error:
            _raise_for_status(config, url, error.code, error.read(2000), error.headers.get("Retry-After"))
    except EndPointInternalError as error:
        raise TransientError(f"{host_of(url)} could not finish the query (500). {_words(error)}") from error
    except SPARQLWrapperException as error:
        raise QueryRefusedError(f"{host_of(url)} refused the query. {_words(error)}") from error
    except (TimeoutError, urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
        raise TransientError(f"{host_of(url)} could not be reached, or did not answer in time.") from error


def _wants_sign_in(config: WikiConfig, url: str) -> bool:
    """Say whether the service is one of `wcqs_hosts`, written as `image_hosts` are."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    plain = parts.scheme == "https" and port == 443 and parts.hostname in config.wcqs_hosts
    return plain or f"{parts.hostname}:{port}" in config.wcqs_hosts


def _ask_signed_in(config: WikiConfig, url: str, query: str) -> Reply:
    address = httpx2.URL(url).copy_merge_params({"query": query})
    length = len(str(address))
    if length > LONGEST_ADDRESS:
        raise QueryRefusedError(
            f"{host_of(url)} takes queries as part of an address, and this one is too long for that: "
            f"{length:,} characters, where {LONGEST_ADDRESS:,} are the limit."
        )
    headers = {"User-Agent": config.user_agent, "Accept": "application/sparql-results+json"}
    try:
        with httpx2.Client(
            cookies=_jar(config, url), timeout=config.timeout_s, follow_redirects=False, headers=headers
        ) as client:
            return _answer_after_sign_in(config, client, url, address)
    except httpx2.TransportError as error:
        raise TransientError(f"{host_of(url)} could not be reached, or did not answer in time.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise BadAnswerError(f"{host_of(url)} sent an answer that cannot be read: {error}") from error


def _answer_after_sign_in(config: WikiConfig, client: httpx2.Client, url: str, address: httpx2.URL) -> Reply:
    """Ask, be sent to the sign-in and back, and return the answer.

    The sign-in may lead back to the query or to a start page; the query is then asked again.
    """
    target = address
    for _ in range(_REDIRECTS + 1):
        with client.stream("GET", target) as response:
            if not response.has_redirect_location:
                body, status, at_the_query = _body(response), response.status_code, target.path == address.path
                if status == 401 or (status == 403 and not at_the_query):
                    break
                if status >= 300:
                    _raise_for_status(config, url, status, body[:2000], response.headers.get("Retry-After"))
                if at_the_query:
                    return Reply(response.headers.get("Content-Type", ""), body)
                target = address
                continue
            target = target.join(response.headers["Location"])
        if (target.scheme, target.host, target.port) != (address.scheme, address.host, address.port):
            break
    raise SignedOutError(
        f"{host_of(url)} does not accept the cookie that it was given. Sign in there with a browser, and set the "
        "new value of its cookie wcqsOauth."
    )


def _body(response: httpx2.Response) -> bytes:
    data = bytearray()
    for piece in response.iter_bytes():
        data += piece
        if len(data) > LARGEST_ANSWER:
            break
    return bytes(data)


def _jar(config: WikiConfig, url: str) -> http.cookiejar.CookieJar:
    """Return the cookies for a service; what it gives us for the long-lived one is kept for the next query."""
    key = (urlsplit(url).netloc, config.wcqs_cookie)
    if key not in _jars:
        jar = http.cookiejar.CookieJar()
        httpx2.Cookies(jar).set("wcqsOauth", config.wcqs_cookie, domain=urlsplit(url).hostname or "")
        _jars[key] = jar
    return _jars[key]


def _raise_for_status(config: WikiConfig, url: str, status: int, body: bytes, retry_after: str | None) -> NoReturn:
    wait = asked_wait(retry_after)
    text = " ".join(body.decode("utf-8", "replace").split())[:200]
    if status == 429:
        raise TransientError(f"{host_of(url)} says we ask too often (429).", wait)
    if status == 403:
        _bans[(url, config.user_agent)] = end_of_ban(text, this_moment())
        raise BannedError(f"{host_of(url)} shut us out (403): {text}")
    if status >= 500:
        raise TransientError(f"{host_of(url)} has a problem of its own ({status}). {text}".strip(), wait)
    if status < 400:
        raise QueryRefusedError(f"{host_of(url)} sends us elsewhere ({status}), perhaps to sign in.")
    raise QueryRefusedError(f"{host_of(url)} refused the query ({status}). {text}".strip())


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(str(text).split())[:200]
