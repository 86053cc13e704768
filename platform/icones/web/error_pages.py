"""One shape of error in three renderings: a page, a fragment for htmx, and problem details (RFC 9457) for machines.

An unknown error shows a reference id; its traceback goes to the log and to nobody else.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from active_learning import LearningError
from icones.errors import BusyError, IconesError
from icones.web.render import in_their_language, render
from icones.web.visitor import visitor
from wiki_sync import PermanentError, TransientError, WikiError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """An error as it is told."""

    status: int
    code: str
    message: str
    details: Sequence[str] = ()
    reference: str = ""


@dataclass(frozen=True)
class ErrorPage:
    """The page of an error."""

    template: ClassVar[str] = "errors/error.html"
    problem: Problem


@dataclass(frozen=True)
class ErrorFragment:
    """The same, small enough to be put into a page by htmx."""

    template: ClassVar[str] = "errors/fragment.html"
    problem: Problem


def add_to(app: FastAPI) -> None:
    """Tell the application how errors are told."""
    app.add_exception_handler(IconesError, _known)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(WikiError, _elsewhere)
    app.add_exception_handler(LearningError, _learning)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unknown)


def tell(request: Request, problem: Problem) -> Response:
    """Return the error in the form the asker reads, in their language where its words are known."""
    _know_the_visitor(request)
    problem = replace(problem, message=in_their_language(request, problem.message))
    if request.url.path.startswith("/api/") or "application/json" in request.headers.get("Accept", ""):
        body = {
            "type": f"about:blank#{problem.code}",
            "title": problem.message,
            "status": problem.status,
            "code": problem.code,
            "errors": list(problem.details),
        }
        if problem.reference:
            body["reference"] = problem.reference
        return JSONResponse(body, problem.status, media_type="application/problem+json")
    if request.headers.get("HX-Request") == "true":
        response = render(request, ErrorFragment(problem), problem.status)
        response.headers["HX-Retarget"] = "#messages"
        response.headers["HX-Reswap"] = "innerHTML show:window:top"
        return response
    return render(request, ErrorPage(problem), problem.status)


def _know_the_visitor(request: Request) -> None:
    """Find out who asks where no page did: an address that does not exist shall not sign anybody out in looks."""
    if "session" not in request.scope or getattr(request.state, "visitor", None) is not None:
        return
    try:
        with request.app.state.database.reading() as session:
            visitor(request, session)
    except SQLAlchemyError as error:
        # The error that is being told may be the database's own: then the page is told to a stranger.
        log.warning("the visitor could not be looked up for an error page: %s", error)


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, IconesError)
    return tell(request, Problem(error.status, error.code, error.message, error.details))


def _busy(request: Request, error: Exception) -> Response:
    assert isinstance(error, BusyError)
    answer = _known(request, error)
    answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def _elsewhere(request: Request, error: Exception) -> Response:
    status = {TransientError: 503, PermanentError: 502}.get(type(error), 502)
    return tell(request, Problem(status, "elsewhere", str(error)))


def _learning(request: Request, error: Exception) -> Response:
    return tell(request, Problem(422, "learning", str(error)))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return too_much(request)
    words = {404: "There is no page at this address.", 405: "This address does not do that."}
    message = words.get(error.status_code) or HTTPStatus(error.status_code).phrase
    return tell(request, Problem(error.status_code, f"http-{error.status_code}", message))


def too_much(request: Request) -> Response:
    """Return what is told of a body that is larger than any that is read."""
    return tell(request, Problem(413, "too-large", "More was sent than is read at once. Send less."))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
    return tell(request, Problem(422, "bad-input", "Something in the form cannot be used as it is.", details))


def _unknown(request: Request, error: Exception) -> Response:
    reference = uuid.uuid4().hex[:8]
    log.error("unforeseen error (reference %s) at %s %s", reference, request.method, request.url.path, exc_info=error)
    message = "Something unforeseen went wrong here. Nothing of yours was half saved. Please try again."
    return tell(request, Problem(500, "unforeseen", message, reference=reference))
