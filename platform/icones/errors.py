"""Icones' own family of errors: each has a status, a code for machines and a message for people.

Services raise them and never return ``None`` for a failure; the web turns them into a page, a fragment or JSON.
"""

from collections.abc import Sequence


class IconesError(Exception):
    """Something that a person can be told, in words they can act on."""

    status = 500
    code = "error"

    def __init__(self, message: str, *, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)


class BadInputError(IconesError):
    """What was sent cannot be used as it is."""

    status = 422
    code = "bad-input"


class NotSignedInError(IconesError):
    """This needs a person who is signed in."""

    status = 401
    code = "not-signed-in"


class NotAllowedError(IconesError):
    """The person is known but lacks the role."""

    status = 403
    code = "not-allowed"


class NotFoundError(IconesError):
    """There is no such thing, or this person may not see it."""

    status = 404
    code = "not-found"


class ConflictError(IconesError):
    """The thing changed, or exists already."""

    status = 409
    code = "conflict"


class NotReadyError(IconesError):
    """It cannot be done yet: something must come first."""

    status = 409
    code = "not-ready"


class BusyError(IconesError):
    """Too many ask for the same at once; a moment later it can be done."""

    status = 503
    code = "busy"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ElsewhereError(IconesError):
    """A service that Icones leans on (Commons, Wikidata) did not answer as it should."""

    status = 502
    code = "elsewhere"
