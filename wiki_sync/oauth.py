"""Fresh access tokens for a person who once said yes (OAuth 2.0 as https://www.mediawiki.org/wiki/OAuth has it).

A refresh token works once: with the new access token comes a new refresh token, and both old ones die. So the
answer has to be stored before it is used, and two processes must not refresh the same person's at once.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2

from wiki_sync.errors import GrantEndedError, NoAnswerError, QueryRefusedError, TransientError
from wiki_sync.retry import seconds_of_retry_after

_ENDED = "Wikimedia ended the permission to edit in your name. Please sign in again."


@dataclass(frozen=True)
class Tokens:
    """What lets us act for a person until `expires_at` (timezone-aware), and get on after that.

    `refresh_token` is None where the wiki gave none. Both are secrets, and do not show when this is printed.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime


def refresh_tokens(
    root: str,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    user_agent: str,
    timeout_s: float,
    now: datetime,
) -> Tokens:
    """Return new tokens in exchange for a refresh token, which is used up by this.

    `root` is the address of `rest.php/oauth2`; `client_secret` is "" for a public client. Raises GrantEndedError
    when the person has to be asked again, QueryRefusedError when it is our own client that the wiki does not
    accept (wrong secret), NoAnswerError or TransientError when it may work later.
    """
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    if client_secret:
        form["client_secret"] = client_secret
    try:
        with httpx2.Client(timeout=timeout_s, follow_redirects=False, headers={"User-Agent": user_agent}) as client:
            answer = client.post(f"{root}/access_token", data=form)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise NoAnswerError("Wikimedia’s sign-in could not be reached.", sent=False) from error
    except httpx2.HTTPError as error:
        raise NoAnswerError("Wikimedia’s sign-in gave no answer.", sent=True) from error
    if answer.status_code != 200:
        _raise_for_refusal(answer, bool(client_secret), now)
    return _tokens(_body(answer), now)


def _tokens(body: dict[str, Any], now: datetime) -> Tokens:
    access, fresh, lasts = body.get("access_token"), body.get("refresh_token"), body.get("expires_in")
    if not isinstance(access, str) or not access or not isinstance(lasts, int | float):
        raise TransientError("Wikimedia’s sign-in sent something that is no token.")
    return Tokens(access, str(fresh) if fresh else None, now + timedelta(seconds=lasts))


def _raise_for_refusal(answer: httpx2.Response, has_secret: bool, now: datetime) -> None:
    status = answer.status_code
    if status not in (400, 401):
        wait = seconds_of_retry_after(answer.headers.get("Retry-After"), now)
        raise TransientError(f"Wikimedia’s sign-in has a problem of its own ({status}).", wait)
    if _body(answer).get("error") == "invalid_client" and has_secret:
        # Ours to mend, for all people at once: no person's permission may be thrown away for it.
        raise QueryRefusedError("Wikimedia does not accept our client id and secret. The operator has to check them.")
    raise GrantEndedError(_ENDED)


def _body(answer: httpx2.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
