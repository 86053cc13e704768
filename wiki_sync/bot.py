"""The wire for a bot: pywikibot in this process, with a bot password or an owner-only OAuth 1.0a consumer.

pywikibot keeps one HTTP session, one cookie file and one set of credentials for a process; `session` holds it by
the reins. Here each wire has its own connection and cookies, in memory only, so that wires do not disturb each
other, in one process or in several.
"""

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from wiki_sync.config import WikiConfig
from wiki_sync.session import BotSession
from wiki_sync.wire import WireAnswer, answer_of

OAuth = tuple[str, str, str, str]
_LOST = frozenset({"assertuserfailed", "assertnameduserfailed"})


class BotWire:
    """Speaks for a bot's account. Signs in at the first request, and once more when the wiki lost the session.

    Either `user` ("Name@appid") and `password`, a bot password (Special:BotPasswords), or `oauth`: consumer key,
    consumer secret, access token, access secret. To be closed at the end (it is a context manager). May be shared
    by threads; requests go one after the other. Raises ValueError without credentials.
    """

    def __init__(self, config: WikiConfig, user: str = "", password: str = "", *, oauth: OAuth | None = None) -> None:
        if oauth is None and ("@" not in user or not password):
            raise ValueError("a bot password needs a user as Name@appid and a password")
        if oauth is not None and (len(oauth) != 4 or not all(oauth)):
            raise ValueError("an owner-only consumer has four parts: two keys and two secrets")
        self._user, self._password = user, password
        self._session = BotSession(config, _signature(oauth) if oauth else None)
        self._is_known = oauth is not None
        self._has_cookies = oauth is None
        self._alone = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and forget the cookies; the next request would sign in again."""
        with self._alone:
            self._session.close()
            self._is_known = not self._has_cookies

    def ask(self, params: Mapping[str, str], *, write: bool) -> WireAnswer:
        """Send one request and return whatever answer came; see `Wire`.

        Raises SignedOutError when the wiki does not take the bot password, and TransientError or PermanentError
        when signing in fails otherwise.
        """
        asked = {"format": "json", "formatversion": "2", **params}
        with self._alone:
            if not self._is_known:
                self._sign_in()
            answer = self._send(asked, write)
            if self._has_cookies and _error_code(answer) in _LOST:
                # Assertions are checked before anything else, so nothing was done and the same may be sent again.
                self._sign_in()
                answer = self._send(asked, write)
        return answer

    def _sign_in(self) -> None:
        self._is_known = False
        self._session.sign_in(self._user, self._password)
        self._is_known = True

    def _send(self, params: Mapping[str, str], write: bool) -> WireAnswer:
        return answer_of(*self._session.send(params, post=write))


def _error_code(answer: WireAnswer) -> str:
    error = (answer.body or {}).get("error")
    return str(error.get("code", "")) if isinstance(error, Mapping) else ""


def _signature(oauth: OAuth) -> Any:
    """Return what signs a request of pywikibot's HTTP library (RFC 5849, HMAC-SHA1)."""
    from authlib.integrations.requests_client import OAuth1Auth

    key, secret, token, token_secret = oauth
    return OAuth1Auth(key, secret, token, token_secret)
