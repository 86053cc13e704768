"""The one place where pywikibot is set up and spoken to.

pywikibot is made for scripts: on import it looks for a configuration in the working folder and makes a folder
in the home folder, its settings and its HTTP session belong to the whole process, and a site signs itself in
when it is made. Here it is imported late, told to keep its files in `state_dir`, given a family for any
`api_url`, and never left to retry by itself (it may sleep for minutes without a word); waiting is `retry`'s.
One request is on the wire at a time in a process, which is also what Wikimedia asks of clients. `WikiSession`
reads and is nobody; a `BotSession` is one account's, with cookies of its own that are never written to a file.

PYWIKIBOT_NO_USER_CONFIG and PYWIKIBOT_DIR are set in the environment for the time of the import, as pywikibot
reads them there and nowhere else, and are put back afterwards.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from wiki_sync.config import WikiConfig
from wiki_sync.errors import (
    BadAnswerError,
    BannedError,
    NoAnswerError,
    PermanentError,
    QueryRefusedError,
    SignedOutError,
    TransientError,
    WikiError,
)
from wiki_sync.meter import count_api_call, note_time
from wiki_sync.retry import asked_wait, with_retries

_wire = threading.RLock()
_wire_process = os.getpid()
_MAXLAG = "5"  # seconds of replication lag above which the wiki should ask us to come back later
_LOGIN_TRIES = 3  # pywikibot itself would try for ever when the wiki never takes its own sign-in token
_BUSY = frozenset({"maxlag", "readonly", "ratelimited", "cirrussearch-too-busy-error", "lockmanager-fail-conflict"})


class BotSession:
    """One account's connection to one wiki through pywikibot, in memory only. Made without a request.

    `auth` signs every request (an authentication object of requests), None where cookies tell who we are. Several
    sessions of one process do not see each other's cookies, and neither does `WikiSession`.
    """

    def __init__(self, config: WikiConfig, auth: Any = None) -> None:
        from requests import Session

        self._config = config
        self._auth = auth
        self._session = Session()
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connections and forget the cookies."""
        self._session.cookies.clear()
        self._session.close()

    def send(self, params: Mapping[str, str], post: bool) -> tuple[int, Mapping[str, str], str]:
        """Send one request to the API, once; return the status, the headers and the text of what came.

        Raises NoAnswerError, and PermanentError for an address that cannot be used.
        """
        with self._on_the_wire() as http:
            count_api_call()
            response = http.fetch(
                self._config.api_url,
                method="POST" if post else "GET",
                headers={"user-agent": _literal(self._config.user_agent)},
                default_error_handling=False,
                auth=self._auth,
                allow_redirects=False,
                **{"data" if post else "params": dict(params)},
            )
        if isinstance(response, Exception):
            _raise_no_answer(response)
        return response.status_code, response.headers, response.text

    def sign_in(self, user: str, password: str) -> None:
        """Sign in with a bot password (`user` is "Name@appid"), in place of whoever was signed in.

        Raises SignedOutError when the wiki does not accept it, and as `WikiSession.ask`, without retries.
        """
        with self._on_the_wire(), _silence():
            from pywikibot.exceptions import APIError, Error
            from pywikibot.login import ClientLoginManager

            self._session.cookies.clear()
            site = _signing_site_class(self._config)("wiki", _family(self._config.api_url))
            try:
                ClientLoginManager(password=password, site=site, user=user).login_to_site()
            except APIError as refusal:
                _raise_for_login(user, str(refusal.code), str(refusal.info).replace(password, "…"))
            except (Error, KeyError, RuntimeError) as error:
                raise BadAnswerError(
                    f"The wiki’s answer to signing {user} in is none ({type(error).__name__})."
                ) from None

    @contextmanager
    def _on_the_wire(self) -> Iterator[Any]:
        """Hold the process-wide lock, and let pywikibot speak through our own connections and cookies."""
        with _on_the_wire(self._config) as http:
            if self._process != os.getpid():  # the connections are the parent's
                self._session.close()
                self._process = os.getpid()
            everybodys, http.session = http.session, self._session
            try:
                yield http
            finally:
                http.session = everybodys


class WikiSession:
    """Asks one wiki's `api.php`, and gives back its answers as plain dictionaries."""

    def __init__(self, config: WikiConfig) -> None:
        self._config = config

    def ask(self, **params: str | int) -> dict[str, Any]:
        """Return the decoded answer (formatversion 2) to one API request, after waits and retries.

        Raises TransientError when the wiki stayed busy or out of reach, BadAnswerError for an answer that is
        not the API's, BannedError or QueryRefusedError where the wiki refuses; see
        https://www.mediawiki.org/wiki/API:Errors_and_warnings.
        """
        written = {name: str(value) for name, value in params.items()}
        return with_retries(self._config, lambda: self._ask_once(written))

    def _ask_once(self, params: Mapping[str, str]) -> dict[str, Any]:
        with _on_the_wire(self._config):
            count_api_call()
            told = {"formatversion": "2", "maxlag": _MAXLAG, "curtimestamp": "1", **params}
            answer = _submit(self._config, told)
        note_time(answer)
        return answer


@contextmanager
def _on_the_wire(config: WikiConfig) -> Iterator[Any]:
    """Hold the process-wide lock and have pywikibot's process-wide settings as `config` wants them; yield its
    `comms.http`."""
    with _wire:
        settings, http = _pywikibot(config.state_dir)
        _part_from_parent(http)
        settings.base_dir = str(config.state_dir)
        settings.socket_timeout = (config.timeout_s, config.timeout_s)
        settings.max_retries = 0
        yield http


def _pywikibot(state_dir: Path) -> tuple[Any, Any]:
    """Import pywikibot (the first time) without its configuration files, and return its `config` and
    `comms.http`."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with _environment_for_import(state_dir):
        from pywikibot import config as settings
        from pywikibot import logging as talk
        from pywikibot.comms import http
    # Its own log handlers would print to the terminal and take over Python's warnings. Its messages go to the logger
    # "pywiki" instead, quietly: what they say is also in the errors raised here.
    talk._init_routines.clear()
    logger = logging.getLogger("pywiki")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
    return settings, http


@contextmanager
def _environment_for_import(state_dir: Path) -> Iterator[None]:
    # pywikibot takes a folder for its own only if it holds this file; with NO_USER_CONFIG it is not read.
    (state_dir / "user-config.py").touch(mode=0o600)
    wanted = {"PYWIKIBOT_NO_USER_CONFIG": "2", "PYWIKIBOT_DIR": str(state_dir)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _part_from_parent(http: Any) -> None:
    """In a forked child, drop the connections that it shares with its parent."""
    global _wire_process
    if _wire_process != os.getpid():
        http.session.close()
        _wire_process = os.getpid()


def _free_wire_in_child() -> None:
    """Replace the lock, which another thread of the parent may have held at the moment of the fork."""
    global _wire
    _wire = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_wire_in_child)


@contextmanager
def _silence() -> Iterator[None]:
    """Let pywikibot log nothing at all: at sign-in its messages hold the password."""
    logger = logging.getLogger("pywiki")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _literal(user_agent: str) -> str:
    """Return the User-Agent for pywikibot, which formats it: braces are doubled."""
    return user_agent.replace("{", "{{").replace("}", "}}")


def _family(api_url: str) -> Any:
    """Return pywikibot's description of the wiki with that `api.php`."""
    from pywikibot.family import Family

    parts = urlsplit(api_url)
    digest = hashlib.sha256(api_url.encode()).hexdigest()[:12]
    family_class = type(
        "AnyWikiFamily",
        (Family,),
        {
            "name": f"icones{digest}",
            "langs": {"wiki": parts.netloc},
            "protocol": lambda self, code: parts.scheme,
            "scriptpath": lambda self, code: parts.path.rpartition("/")[0],
            "apipath": lambda self, code: parts.path,
        },
    )
    return family_class()


@cache
def _site_class() -> Any:
    """Return our kind of pywikibot site: it never signs itself in."""
    from pywikibot.site import APISite

    class ReadingSite(APISite):  # type: ignore[misc]
        def login(self, *args: Any, cookie_only: bool = False, **kwargs: Any) -> None:
            """Stay anonymous: when the site is made, signing in would only cost requests; later, we cannot."""
            if not cookie_only:
                raise QueryRefusedError("This wiki can only be read by people who are signed in.")

    return ReadingSite


@cache
def _site(api_url: str) -> Any:
    """Return pywikibot's site object for the wiki with that `api.php`; made without a request."""
    return _site_class()("wiki", _family(api_url))


@cache
def _signing_site_class(config: WikiConfig) -> Any:
    """Return the kind of site that pywikibot's login classes speak through: our questions, and few of them."""

    class SigningQuestion(_question_class()):  # type: ignore[misc]
        user_agent = config.user_agent
        follows_redirects = False  # the password goes to this wiki and nowhere else
        tries = 0

        def submit(self) -> Any:
            self.throttle = False  # it would wait, and keep a file of the times of all processes
            self.tries += 1
            if self.tries > _LOGIN_TRIES:
                raise TransientError("The wiki does not accept the token that it gave for signing in.")
            return super().submit()

    class SigningSite(_site_class()):  # type: ignore[misc]
        @staticmethod
        def _request_class(kwargs: Any) -> Any:
            return SigningQuestion

        def get_tokens(self, types: list[str]) -> dict[str, str]:
            """Ask for the one token that signing in needs; for all kinds, it would read and store their list."""
            tokens: dict[str, str] = super().get_tokens(types or ["login"])
            return tokens

    return SigningSite


@cache
def _question_class() -> Any:
    """Return our kind of pywikibot `Request`: one try, our User-Agent, errors of ours, no requests on the
    side."""
    from pywikibot.comms import http
    from pywikibot.data.api import Request

    class Question(Request):  # type: ignore[misc]
        user_agent: str
        follows_redirects = True
        asked_wait: float | None = None

        def _add_defaults(self) -> None:
            self["format"] = "json"

        def _http_request(self, use_get: bool, uri: str, data: Any, headers: Any, paramstring: str) -> tuple[Any, bool]:
            response = http.fetch(
                self.site.base_url(uri),
                method="GET" if use_get else "POST",
                headers={**(headers or {}), "user-agent": _literal(self.user_agent)},
                default_error_handling=False,
                allow_redirects=self.follows_redirects,
                data=data,
            )
            if isinstance(response, Exception):
                _raise_for_transport(response)
            self.asked_wait = asked_wait(response.headers.get("Retry-After"))
            raise_for_status(response.status_code, response.text, self.asked_wait)
            return response, use_get

        def _json_loads(self, response: Any) -> dict[str, Any]:
            return _decoded(response)

        def wait(self, delay: float | None = None, **kwargs: Any) -> NoReturn:
            code = self.last_error.get("code") or "busy"
            raise TransientError(f"The wiki asked us to come back later ({code}).", self.asked_wait)

        def _ratelimited(self) -> None:
            self.wait()

        def _relogin(self, message: str = "") -> NoReturn:
            raise QueryRefusedError(f"The wiki wants us to be signed in. {message}".strip())

    return Question


def _submit(config: WikiConfig, params: dict[str, str]) -> dict[str, Any]:
    from pywikibot.exceptions import APIError, Error, MaxlagTimeoutError

    question = _question_class()(
        site=_site(config.api_url), parameters=params, throttle=False, use_get=True, max_retries=0
    )
    question.user_agent = config.user_agent
    try:
        answer: dict[str, Any] = question.submit()
    except WikiError:
        raise
    except MaxlagTimeoutError as error:
        raise TransientError(
            "The wiki's databases are behind (maxlag); it asked us to come back later.", question.asked_wait
        ) from error
    except APIError as error:
        raise_for_code(str(error.code), str(error.info), question.asked_wait)
    except Error as error:
        raise QueryRefusedError(f"The wiki did not answer the question: {error}") from error
    return answer


def _decoded(response: Any) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as error:
        kind = response.headers.get("Content-Type", "no type")
        raise BadAnswerError(
            f"The wiki at {urlsplit(response.url).netloc} answered with something that is not JSON ({kind}), "
            "or with JSON that was cut off."
        ) from error
    if not isinstance(answer, dict) or not isinstance(answer.get("error", {}), dict):
        raise BadAnswerError("The wiki's answer has an unknown form.")
    return answer


def _raise_for_transport(error: Exception) -> NoReturn:
    from requests import ConnectionError as NoConnection
    from requests import RequestException, Timeout
    from requests.exceptions import InvalidURL, MissingSchema

    if isinstance(error, Timeout):
        raise TransientError("The wiki did not answer in time.") from error
    if isinstance(error, InvalidURL | MissingSchema):
        raise PermanentError(f"The address of the wiki cannot be used: {error}") from error
    if isinstance(error, NoConnection | RequestException):
        raise TransientError("The wiki could not be reached, or the connection broke off.") from error
    raise error


def _raise_no_answer(error: Exception) -> NoReturn:
    """Raise for a request that may be a write: what counts is whether it can have arrived."""
    from requests import ConnectTimeout
    from requests.exceptions import ConnectionError as NoConnection
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    try:
        _raise_for_transport(error)
    except TransientError as known:
        reason = error.args[0] if error.args else None
        never_began = isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)
        sent = not isinstance(error, ConnectTimeout) and not (isinstance(error, NoConnection) and never_began)
        raise NoAnswerError(str(known), sent=sent) from error


def _raise_for_login(user: str, result: str, reason: str) -> NoReturn:
    """Raise for a sign-in that the wiki did not let through; see https://www.mediawiki.org/wiki/API:Login."""
    if result in _BUSY or result.startswith("internal_api_error_"):
        raise TransientError(f"The wiki asked us to come back later ({result}).") from None
    if result == "Throttled" or "too many" in reason:
        raise TransientError(f"The wiki asked us to wait before {user} signs in again.") from None
    raise SignedOutError(f"The wiki did not sign {user} in: {_first_words(reason) or result}") from None


def raise_for_status(status: int, text: str, wait: float | None) -> None:
    """Raise what an HTTP status of 300 or more means for a reader; `wait` is what the wiki asked for, in seconds."""
    if status < 300:
        return
    if status == 429:
        raise TransientError("The wiki says we ask too often (429).", wait)
    if status >= 500:
        raise TransientError(f"The wiki has a problem of its own ({status}).", wait)
    if status == 403:
        raise BannedError(f"The wiki shut us out (403): {_first_words(text)}")
    if status == 404:
        raise BadAnswerError("There is no wiki API at the address given in the settings (404).")
    raise QueryRefusedError(f"The wiki refused the request ({status}): {_first_words(text)}")


def raise_for_code(code: str, info: str, wait: float | None) -> NoReturn:
    """Raise what an error of the API means for a reader; `wait` as in `raise_for_status`."""
    if code in _BUSY or code.startswith("internal_api_error_DB"):
        raise TransientError(f"The wiki asked us to come back later ({code}).", wait)
    if code in ("blocked", "autoblocked"):
        raise BannedError(f"The wiki has blocked us: {info}")
    raise ApiRefusedError(code, info)


class ApiRefusedError(QueryRefusedError):
    """A refusal with the API's own error code, for callers that have a better word for it."""

    def __init__(self, code: str, info: str) -> None:
        super().__init__(f"The wiki refused the request: {info or code} ({code})")
        self.code = code

    def __reduce__(self) -> tuple[type[QueryRefusedError], tuple[str]]:
        return (QueryRefusedError, (str(self),))


def _first_words(text: str, length: int = 200) -> str:
    from wiki_sync.html import plain_text

    words = plain_text(text)
    return words if len(words) <= length else f"{words[:length]}…"
