"""Downloading pictures, from the wiki's image hosts only.

Follows the robot policy of upload.wikimedia.org: two at once, our User-Agent, `Retry-After` obeyed. Addresses
come from the wiki and could name any host, so each one, and each redirect, is held against the list of
allowed hosts before it is asked. Nothing is cached.
"""

import threading
import time
from types import TracebackType
from typing import Self

import httpx2

from wiki_sync.config import WikiConfig
from wiki_sync.errors import (
    BannedError,
    FileGoneError,
    HostNotAllowedError,
    ImageTooLargeError,
    NotAnImageError,
    PermanentError,
    QueryRefusedError,
    TransientError,
)
from wiki_sync.pictures import picture_facts
from wiki_sync.retry import asked_wait, with_retries

_AT_ONCE = 2
_REDIRECTS = 5
_PATIENCE = 10  # a whole picture may take this many times `timeout_s`, which is the wait for each piece


class ImageDownloads:
    """Fetches pictures; to be shared by the threads of a process and closed at the end (it is a context
    manager)."""

    def __init__(self, config: WikiConfig) -> None:
        self._config = config
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._client = httpx2.Client(
            timeout=config.timeout_s,
            follow_redirects=False,
            headers={"User-Agent": config.user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, url: str) -> bytes:
        """Return the bytes of the picture at `url`: whole, of a raster type, within `max_image_bytes`.

        Raises HostNotAllowedError, FileGoneError (404, 410), ImageTooLargeError, NotAnImageError, BannedError
        (403), QueryRefusedError, and TransientError (429, 5xx, time-outs, broken off) when the retries are
        used up.
        """
        data = with_retries(self._config, lambda: self._fetch_once(url))
        picture_facts(data, f"The picture at {url}")
        return data

    def _fetch_once(self, url: str) -> bytes:
        address = self._allowed(url)
        with self._places:
            try:
                for _ in range(_REDIRECTS + 1):
                    with self._client.stream("GET", address) as response:
                        if not response.has_redirect_location:
                            return self._read(response)
                        target = address.join(response.headers["Location"])
                    address = self._allowed(str(target))
            except httpx2.TimeoutException as error:
                raise TransientError(f"{address.host} did not send the picture in time.") from error
            except httpx2.TransportError as error:
                raise TransientError(f"{address.host} could not be reached, or the connection broke off.") from error
            except httpx2.HTTPError as error:
                raise PermanentError(f"The picture at {url} could not be fetched: {error}") from error
        raise QueryRefusedError(f"The address {url} leads from one address to the next without end.")

    def _allowed(self, url: str) -> httpx2.URL:
        try:
            address = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise HostNotAllowedError(f"{url!r} is not an address of a picture.") from error
        if address.userinfo or address.scheme not in ("http", "https"):
            raise HostNotAllowedError(f"{url!r} is not an address of a picture.")
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        with_port = f"{address.host}:{port}" in self._config.image_hosts
        plain = address.scheme == "https" and port == 443 and address.host in self._config.image_hosts
        if not (with_port or plain):
            raise HostNotAllowedError(f"Pictures are not fetched from {address.scheme}://{address.netloc.decode()}.")
        return address

    def _read(self, response: httpx2.Response) -> bytes:
        _raise_for_status(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise NotAnImageError("The picture came packed in a way that was not asked for.")
        limit, length = self._config.max_image_bytes, response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > limit:
            raise ImageTooLargeError(f"The picture has {int(length) / 1e6:.0f} MB; the limit is {limit / 1e6:.0f} MB.")
        deadline = time.monotonic() + _PATIENCE * self._config.timeout_s
        data = bytearray()
        for piece in response.iter_raw():
            data += piece
            if len(data) > limit:
                raise ImageTooLargeError(f"The picture has more than {limit / 1e6:.0f} MB.")
            if time.monotonic() > deadline:
                raise TransientError(f"{response.url.host} sends the picture too slowly.")
        return bytes(data)  # whole: httpx2 raises a TransportError when fewer bytes come than were announced


def _raise_for_status(response: httpx2.Response) -> None:
    status, host = response.status_code, response.url.host
    if status < 300:
        return
    wait = asked_wait(response.headers.get("Retry-After"))
    if status in (404, 410):
        raise FileGoneError("The picture is not there any more.")
    if status == 429:
        raise TransientError(f"{host} says we ask too often (429).", wait)
    if status >= 500:
        raise TransientError(f"{host} has a problem of its own ({status}).", wait)
    if status == 403:
        raise BannedError(f"{host} shut us out (403).")
    raise QueryRefusedError(f"{host} did not give the picture ({status}).")
