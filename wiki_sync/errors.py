"""The ways in which reading or writing Wikimedia, or reading a local folder, can fail.

Every message is written for the person who asked (a curator), not for a log. There are two families: a
`TransientError` is worth another try later, a `PermanentError` is not until somebody changes something. The
module knows no transport: the places that talk (`session`, `sparql`, `images`) translate into these.
"""

from typing import Any


class WikiError(Exception):
    """Anything that went wrong between us and the outside; `str(error)` can be shown to a person."""


class TransientError(WikiError):
    """The other side is busy, slow, locked or unreachable; the tries we had were used up.

    `retry_after` is the wait in seconds that the other side asked for, or None where it named none.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Keep `retry_after` when the error crosses from a child process."""
        return (type(self), (str(self), self.retry_after))


class NoAnswerError(TransientError):
    """The other side gave no answer: out of reach, too slow, or the connection broke off.

    `sent` is True if the request may have arrived. Then a write may have been done, and nobody may send it again
    without reading first.
    """

    def __init__(self, message: str = "The wiki gave no answer.", *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """Keep `sent` when the error crosses from a child process."""
        return (_no_answer, (str(self), self.sent))


def _no_answer(message: str, sent: bool) -> NoAnswerError:
    return NoAnswerError(message, sent=sent)


class PermanentError(WikiError):
    """Trying the same again will not help."""


class SignedOutError(PermanentError):
    """The wiki does not know (any more) who we are; the person, or the bot, has to sign in again."""


class GrantEndedError(PermanentError):
    """The person's permission to act in their name has ended (withdrawn, expired or used up): ask them again."""


class CategoryNotFoundError(PermanentError):
    """There is no such category: neither a page nor a member."""


class EmptyCategoryError(PermanentError):
    """The category exists, but no file was found in it within the depth that was asked for."""


class BadAnswerError(PermanentError):
    """The other side said "all is well" and sent something that cannot be read (broken JSON, a page of text)."""


class NoServiceError(PermanentError):
    """The settings name no service that could answer this."""


class QueryRefusedError(PermanentError):
    """The other side understood the request and declined it."""


class BannedError(PermanentError):
    """The other side has shut us out (too many errors, or a User-Agent it does not accept)."""


class HostNotAllowedError(PermanentError):
    """An image address, or a redirect from one, points to a host that is not on the list of image hosts."""


class FileGoneError(PermanentError):
    """The file was there when it was listed and is not there any more."""


class ImageTooLargeError(PermanentError):
    """The image has more bytes or more pixels than we accept."""


class NotAnImageError(PermanentError):
    """What came is not a picture that can be opened (another type, damaged, or cut off)."""
