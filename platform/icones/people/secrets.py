"""Secrets that must be read again later (tokens), sealed before they reach the database.

Fernet (https://github.com/fernet/spec) from `cryptography`; its key comes from the installation's secret key by
HKDF-SHA256 (RFC 5869) with a label of its own, so that no key serves two purposes.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from icones.errors import NotReadyError

PURPOSE = b"icones: tokens of people, version 1"
"""Changing this makes all that was sealed before unreadable."""


class SealError(NotReadyError):
    """What was sealed cannot be opened: it was damaged, or sealed with another secret key."""

    code = "sealed"


class Sealed(str):
    """A sealed text. It does not show where values are printed, as the database does when a statement fails."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(sealed)"


class Vault:
    """Seals and opens short texts with a key that follows from the installation's secret key.

    Raises NotReadyError for an empty secret key: anybody could open what it sealed.
    """

    def __init__(self, secret_key: str) -> None:
        if not secret_key:
            raise NotReadyError("No secret can be kept without ICONES_SECRET_KEY. The operator has to set it.")
        key = HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(secret_key.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, text: str) -> Sealed:
        """Return the text sealed, in ASCII; sealing the same text twice gives two different results."""
        return Sealed(self._fernet.encrypt(text.encode()).decode())

    def open(self, sealed: str) -> str:
        """Return what was sealed. Raises SealError if this key did not seal it or it was changed since."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            # Without its cause: a traceback shall show nothing of the seal.
            raise SealError("A kept permission cannot be read, as the secret key is another one now.") from None
