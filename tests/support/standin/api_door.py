"""The door of the API: from an HTTP request to an `ApiRequest` with the one who asks, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl

from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.api import Answer, answer_api

if TYPE_CHECKING:
    from tests.support.standin.server import StandInCommons

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Incoming:
    """An HTTP request: `params` are those of query string and form together, `upload` a file sent along."""

    method: str
    address: SplitResult
    params: dict[str, str]
    headers: Mapping[str, str]
    upload: bytes | None = None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters in the address."""
        return parse_qsl(self.address.query, keep_blank_values=True)

    @property
    def signed_pairs(self) -> list[tuple[str, str]]:
        """The parameters that a signature covers: a form with a file in it is left out (RFC 5849 §3.4.1.3)."""
        is_form = self.headers.get("content-type", "").split(";")[0].strip() == FORM
        return list(self.params.items()) if is_form else self.query


def answer_call(standin: StandInCommons, incoming: Incoming, refusal: ApiFailure | None) -> Answer:
    """Answer a call of `api.php`; `refusal` is an ordered fault that the wiki itself would report."""
    request = ApiRequest(
        incoming.params,
        standin.world,
        standin.base_url,
        chunk=standin.chunk,
        lag=standin.lag,
        posted=incoming.method == "POST",
        in_query=frozenset(name for name, _ in incoming.query),
        upload=incoming.upload,
        session=standin.sessions.of_cookies(incoming.headers.get("cookie")),
        sessions=standin.sessions,
    )
    try:
        with standin.world.lock:
            _identify(standin, request, incoming)
    except ApiFailure as failure:
        refusal = failure
    return answer_api(request, refusal)


def _identify(standin: StandInCommons, request: ApiRequest, incoming: Incoming) -> None:
    """Find out who asks: by access token, by signature, or by the session of the cookies.

    Raises ApiFailure `mwoauth-invalid-authorization`.
    """
    authorization = incoming.headers.get("authorization")
    request.person, request.tags = standin.oauth.person_of(authorization), standin.oauth.tags_of(authorization)
    url = f"http://{incoming.headers.get('host', standin.host)}{incoming.address.path}"
    signed = standin.consumers.person_of(authorization, incoming.method, url, incoming.signed_pairs)
    if signed is not None:
        request.person, request.tags = signed[0], (signed[1],)
    if request.person is None and request.session is not None:
        request.person = standin.sessions.person_of(request.session)
