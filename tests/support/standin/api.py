"""`/w/api.php`: from parameters to an answer with status and headers.

The order of checks is MediaWiki's: sign-in, assertions, parameters, token, read-only, lag, then the action. Each
request has the whole world to itself while it is answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.standin.answers import (
    ApiFailure,
    ApiRequest,
    maxlag_failure,
    readonly_failure,
    to_version_1,
    with_warnings,
)
from tests.support.standin.api_entities import get_claims, get_entities, search_entities
from tests.support.standin.api_modules import WRITES, parameter_names, paraminfo, required
from tests.support.standin.api_query import query
from tests.support.standin.api_writes import WRITES as ENTITY_WRITES
from tests.support.standin.api_writes_pages import WRITES as PAGE_WRITES
from tests.support.standin.sessions import cookie_header, csrf_token, login, logout

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def _paraminfo(request: ApiRequest) -> Json:
    return {"paraminfo": {"helpformat": "none", "modules": paraminfo(request.values("modules"))}}


ACTIONS: dict[str, Callable[[ApiRequest], Json]] = {
    "query": query,
    "paraminfo": _paraminfo,
    "wbgetentities": get_entities,
    "wbgetclaims": get_claims,
    "wbsearchentities": search_entities,
    "login": login,
    "logout": logout,
    **ENTITY_WRITES,
    **PAGE_WRITES,
}


def answer_api(request: ApiRequest, refusal: ApiFailure | None = None) -> Answer:
    """Answer one call. `refusal` is an error decided before the action (bad token, an ordered fault)."""
    failure = refusal
    if failure is not None:
        failure.module = failure.module or request.params.get("action")
    body: Json = {}
    if failure is None:
        try:
            with request.world.lock:
                body = _act(request)
        except ApiFailure as raised:
            failure = raised
    headers = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
    headers["Cache-Control"] = "private, must-revalidate, max-age=0"
    status = 200
    if failure is not None:
        body = failure.body(request.base_url, request.params.get("errorformat", "bc"))
        headers |= {"MediaWiki-API-Error": ", ".join(failure.codes), **failure.headers}
        status = failure.status
    if request.params.get("formatversion", "1") == "1":
        body = to_version_1(body)
    headers |= cookie_header(request.session)
    return Answer(json.dumps(body, ensure_ascii=False).encode(), status, headers=headers)


def _act(request: ApiRequest) -> Json:
    _check_assertions(request)
    if request.params.get("format", "json") != "json":
        raise ApiFailure("standin-unsupported", "the stand-in answers format=json only")
    name = request.text("action") or "help"
    action = ACTIONS.get(name)
    if action is None:
        raise ApiFailure("badvalue", f'Unrecognized value for parameter "action": {name}.')
    try:
        if name in WRITES:
            _check_write(request, name)
        _check_lag(request)
        answer = action(request)
    except ApiFailure as failure:
        failure.module = failure.module or name
        raise
    if request.flag("curtimestamp"):
        answer = {"curtimestamp": request.world.now, **answer}
    _warn_of_unknown(request)
    return with_warnings(answer, request)


def _check_write(request: ApiRequest, name: str) -> None:
    """Parameters, token, and whether the wiki takes any edits at all."""
    for needed in required(name):
        request.need(needed)
    if "token" in request.in_query:
        info = "The following parameter was found in the query string, but must be in the POST body: token."
        raise ApiFailure("mustpostparams", info)
    if request.params["token"] != csrf_token(request):
        raise ApiFailure("badtoken", "Invalid CSRF token.")
    if not request.posted:
        raise ApiFailure("mustbeposted", f'The "{name}" module requires a POST request.')
    if request.world.rules.readonly_reason is not None and name != "logout":
        raise readonly_failure(request.world.rules.readonly_reason)


def _check_assertions(request: ApiRequest) -> None:
    wanted, name = request.text("assert"), request.text("assertuser")
    if wanted == "user" and request.person is None:
        info = "You are no longer logged in, so the action could not be completed."
        raise ApiFailure("assertuserfailed", info)
    if wanted == "anon" and request.person is not None:
        raise ApiFailure("assertanonfailed", "You are logged in, so the action could not be completed.")
    if wanted == "bot" and not (request.person is not None and request.person.is_bot):
        info = 'You do not have the "bot" right, so the action could not be completed.'
        raise ApiFailure("assertbotfailed", info)
    if name is not None and (request.person is None or request.person.username != name):
        info = f'You are no longer logged in as "{name}", so the action could not be completed.'
        raise ApiFailure("assertnameduserfailed", info)


def _check_lag(request: ApiRequest) -> None:
    if "maxlag" not in request.params or request.lag is None:
        return
    allowed = request.integer("maxlag")
    if request.lag > allowed:
        raise maxlag_failure(request.lag, allowed)


def _warn_of_unknown(request: ApiRequest) -> None:
    unknown = [name for name in request.params if name not in parameter_names(dict(request.params))]
    if unknown:
        noun = "parameter" if len(unknown) == 1 else "parameters"
        request.warn("main", f"Unrecognized {noun}: {', '.join(unknown)}.")
