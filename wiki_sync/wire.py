"""How one request reaches the wiki and its answer comes back: a `Wire`, and the one for people.

A wire belongs to one account. It says what came, good or bad, and tries nothing twice: whether a write may be sent
again is decided in `writing`, by what the answer says.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import httpx2

from wiki_sync.config import WikiConfig
from wiki_sync.errors import NoAnswerError, PermanentError
from wiki_sync.meter import count_api_call

_HIDDEN = "(secret)"


@dataclass(frozen=True)
class WireAnswer:
    """An answer as it came. `headers` have names in small letters; `body` is None unless `text` is a JSON object."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None = field(repr=False)
    text: str = field(repr=False)


class Wire(Protocol):
    """Carries requests to the API of one wiki for one account, one at a time."""

    def ask(self, params: Mapping[str, str], *, write: bool) -> WireAnswer:
        """Send one request, by POST if it writes, and return whatever answer came.

        Raises NoAnswerError when none came, and SignedOutError when the account cannot be signed in.
        """


def answer_of(status: int, headers: Mapping[str, str], text: str) -> WireAnswer:
    """Return the answer with its JSON read, if it is JSON."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    names = {name.lower(): value for name, value in headers.items()}
    return WireAnswer(status, names, body if isinstance(body, dict) else None, text)


class PersonWire:
    """Speaks for a person, by the OAuth 2.0 access token that they gave us.

    Only `config.api_url` is ever asked, and redirects are not followed, so that the token goes nowhere else. To be
    closed at the end (it is a context manager). May be shared by threads; requests go one after the other.
    """

    def __init__(self, config: WikiConfig, access_token: str) -> None:
        if not access_token or not access_token.isascii() or not access_token.isprintable() or " " in access_token:
            raise ValueError("an access token is printable ASCII without spaces")
        self._url = config.api_url
        self._secret = access_token
        self._alone = threading.Lock()
        self._client = httpx2.Client(
            timeout=config.timeout_s,
            follow_redirects=False,
            headers={"User-Agent": config.user_agent, "Authorization": f"Bearer {access_token}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ask(self, params: Mapping[str, str], *, write: bool) -> WireAnswer:
        """Send one request and return whatever answer came; see `Wire`. Raises PermanentError for an address that
        cannot be used."""
        asked = {"format": "json", "formatversion": "2", **params}
        with self._alone:
            count_api_call()
            try:
                if write:
                    answer = self._client.post(self._url, data=asked)
                else:
                    answer = self._client.get(self._url, params=asked)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise NoAnswerError("The wiki could not be reached.", sent=False) from error
            except httpx2.TimeoutException as error:
                raise NoAnswerError("The wiki did not answer in time.", sent=True) from error
            except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
                raise PermanentError(f"The address of the wiki cannot be used: {self._url}") from error
            except httpx2.HTTPError as error:
                raise NoAnswerError("The connection to the wiki broke off.", sent=True) from error
        return answer_of(answer.status_code, answer.headers, answer.text.replace(self._secret, _HIDDEN))
