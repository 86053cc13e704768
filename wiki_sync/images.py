"""Downloading pictures, from the wiki's image hosts only.

Follows the robot policy of upload.wikimedia.org: two at once, our User-Agent, `Retry-After` obeyed by all. Addresses
come from the wiki and could name any host, so each one, and each redirect, is held against the list of
allowed hosts before it is asked. What broke off goes on where it stopped (RFC 9110, sections 13.1.5 and 14), also in
a later process where a folder for unfinished downloads is given. Finished pictures are not kept here.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class ImageDownloads:
    """Fetches pictures; to be shared by the threads of a process and closed at the end (it is a context
    manager).

    `unfinished` is a folder for downloads that broke off, so that a later process can go on with them; without one
    only the tries of one call go on where the last one stopped. Files in it end in `.part`; whoever owns the folder
    removes those that nobody came back for.
    """

    def __init__(self, config: WikiConfig, unfinished: Path | None = None) -> None:
        self._config = config
        self._unfinished = unfinished
        self._manners = _Manners(config)
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

    def fetch(self, url: str, sha1: str = "") -> bytes:
        """Return the bytes of the picture at `url`: whole, of a raster type, within `max_image_bytes`.

        `sha1` is what the wiki says of the file, where `url` is the original itself; the bytes must have it. (Of a
        smaller picture nothing is said; it must be decodable to its end.) Raises HostNotAllowedError, FileGoneError
        (404, 410), ImageTooLargeError, NotAnImageError (the very file of that `sha1` is none that can be opened),
        BannedError (403), QueryRefusedError, and TransientError: 429, 5xx, time-outs or broken off when the retries
        are used up; at once when what came is damaged, a page of text or another file, or while the host has asked
        all of us to wait for longer than `retry_max_s`.
        """
        part = _Part(self._unfinished, url)
        try:
            with_retries(self._config, lambda: self._fetch_once(url, part))
            data = part.take()
            _check(data, url, sha1)
        except PermanentError as error:
            part.drop()
            if part.is_old and isinstance(error, ImageTooLargeError):
                # The fault may lie in what an earlier process left: the next time all of it comes anew.
                raise TransientError(str(error)) from error
            raise
        return data

    def _fetch_once(self, url: str, part: "_Part") -> None:
        address = self._allowed(url)
        with self._manners.place():
            try:
                for _ in range(_REDIRECTS + 1):
                    with self._client.stream("GET", address, headers=part.wish()) as response:
                        if not response.has_redirect_location:
                            self._read(response, part)
                            return
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

    def _read(self, response: httpx2.Response, part: "_Part") -> None:
        self._raise_for_status(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise TransientError("The picture came packed in a way that was not asked for.")
        total = part.take_up(response)
        limit, length = self._config.max_image_bytes, response.headers.get("Content-Length", "")
        announced = len(part.data) + int(length) if length.isdecimal() else 0
        if announced > limit:
            raise ImageTooLargeError(f"The picture has {announced / 1e6:.0f} MB; the limit is {limit / 1e6:g} MB.")
        deadline = time.monotonic() + _PATIENCE * self._config.timeout_s
        for piece in response.iter_raw():
            part.add(piece)
            if len(part.data) > limit:
                raise ImageTooLargeError(f"The picture has more bytes than the limit of {limit / 1e6:g} MB.")
            if time.monotonic() > deadline:
                raise TransientError(f"{response.url.host} sends the picture too slowly.")
        # An answer is whole here: httpx2 raises a TransportError when fewer bytes come than were announced. But it may
        # have been a smaller part than we wished for.
        if total is not None and len(part.data) != total:
            raise TransientError(f"{response.url.host} sent a part of the picture only.")

    def _raise_for_status(self, response: httpx2.Response) -> None:
        status, host = response.status_code, response.url.host
        if status < 300:
            return
        wait = asked_wait(response.headers.get("Retry-After"))
        if status in (404, 410):
            raise FileGoneError("The picture is not there any more.")
        if status == 429:
            self._manners.told_to_wait(self._config.retry_wait_s if wait is None else wait)
            raise TransientError(f"{host} says we ask too often (429).", wait)
        if status >= 500:
            self._manners.told_to_wait(wait or 0.0)
            raise TransientError(f"{host} has a problem of its own ({status}).", wait)
        if status == 403:
            raise BannedError(f"{host} shut us out (403).")
        if status != 416:  # "range not satisfiable": the part that we have fits no more, which the part finds out
            raise QueryRefusedError(f"{host} did not give the picture ({status}).")


class _Manners:
    """Two downloads at once; and when one of them is told to wait, all wait."""

    def __init__(self, config: WikiConfig) -> None:
        self._longest = config.retry_max_s
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    def told_to_wait(self, seconds: float) -> None:
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places. Raises TransientError where the wait is too long for a thread to sleep."""
        with self._places:
            while (left := self._quiet_until - time.monotonic()) > 0:
                if left > self._longest:
                    raise TransientError("The image host has asked us to come back later.", left)
                time.sleep(left)
            yield


class _Part:
    """What has come of a picture so far. Memory is the truth; the file is for a process after us.

    The file holds one line of JSON (the address and its ETag), then the bytes. Only a strong ETag lets us go on: with
    a weak one the bytes before and after could be of two files.
    """

    def __init__(self, folder: Path | None, url: str) -> None:
        self.data = bytearray()
        self.is_old = False
        self._url, self._etag = url, ""
        name = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        self._file = folder / f"{name}.part" if folder else None
        if self._file and self._file.is_file():
            self._load(self._file.read_bytes())

    def _load(self, content: bytes) -> None:
        head, _, data = content.partition(b"\n")
        try:
            told = json.loads(head)
        except ValueError:
            return  # killed while the first line was written: from the start, then
        if isinstance(told, dict) and told.get("url") == self._url and data:
            self._etag, self.data, self.is_old = str(told.get("etag", "")), bytearray(data), True

    def wish(self) -> dict[str, str]:
        """Return the headers that ask for the rest, or for the whole if the file has changed; none at the start."""
        return {"Range": f"bytes={len(self.data)}-", "If-Range": self._etag} if self.data and self._etag else {}

    def take_up(self, response: httpx2.Response) -> int | None:
        """Make ready for the answer's bytes; return how many there will be in all, None where it is not told.

        Raises TransientError if the answer does not fit what is here; the next try begins at the start.
        """
        etag = response.headers.get("ETag", "")
        if response.status_code == 200:
            self.drop()
            self.is_old = False
            if etag and not etag.startswith("W/") and etag.isascii() and etag.isprintable():
                self._etag = etag
                self._begin_file()
            return None
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        fits = response.status_code == 206 and self._etag and etag in ("", self._etag)
        if not fits or not found or int(found[1]) != len(self.data):
            self.drop()
            raise TransientError(f"{response.url.host} sent another part of the picture than was asked for.")
        return int(found[3]) if found[3] != "*" else None

    def _begin_file(self) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(json.dumps({"url": self._url, "etag": self._etag}).encode() + b"\n")

    def add(self, piece: bytes) -> None:
        self.data += piece
        if self._file and self._etag:
            with self._file.open("ab") as file:
                file.write(piece)

    def take(self) -> bytes:
        """Return all that came, and forget it here."""
        data = bytes(self.data)
        self.drop()
        return data

    def drop(self) -> None:
        """Forget all that came."""
        self.data, self._etag = bytearray(), ""
        if self._file:
            self._file.unlink(missing_ok=True)


def _check(data: bytes, url: str, sha1: str) -> None:
    """Raise NotAnImageError or ImageTooLargeError for what will stay so, TransientError for what came wrong."""
    try:
        picture_facts(data, f"The picture at {url}")
    except NotAnImageError as error:
        if sha1 and _sha1(data) == sha1:
            raise  # the wiki's own file is like that
        # Damaged on its way; or a page of words in the picture's place, as caches and gateways send in bad hours.
        raise TransientError(str(error)) from error
    if sha1 and _sha1(data) != sha1:
        raise TransientError(f"The picture at {url} is not the file that the wiki listed (its SHA-1 is another).")


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
