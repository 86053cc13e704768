"""The image store: a folder of files named by the SHA-1 of their bytes, within a limit. It knows no database."""

import hashlib
import io
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from PIL import Image

from active_learning import ImageError, open_figure, open_rgb
from icones.errors import BadInputError

MIN_SIDE = 16
"""Smaller images show nothing that could be named."""
SHOWN_SIDE = 2400
"""The copy we keep is at most this many pixels on its longer side; Commons keeps the original."""
IN_USE = timedelta(minutes=1)
"""A derived copy that was shown so lately may be on its way to somebody."""
UNCLAIMED = timedelta(days=1)
"""A kept copy may wait so long for its illustration: an import keeps all images before it writes a row."""
ABANDONED = timedelta(days=7)
"""An unfinished download that nobody went on with for so long is removed."""
HALF_WRITTEN = timedelta(hours=1)
"""A file that was begun so long ago and has no name yet was left by a kill."""
EASE = 0.9
"""When there is no room, so much of the limit is cleared at once, so that not every image has to clear a little."""

_NEW = ".new-"
_UNFINISHED = ".unfinished"


class ImageStore:
    """Images by the SHA-1 of their bytes, two letters a folder, written whole or not at all.

    ``SHA1.jpg`` is a kept copy; ``SHA1.….jpg`` is derived from it (smaller, or a crop), made on first use, and can be
    thrown away at any moment. The time of a derived copy is when it was last asked for, of a kept one when it was last
    kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def unfinished(self) -> Path:
        """The folder beside the images for downloads that broke off."""
        return self.folder / _UNFINISHED

    def path(self, sha1: str, suffix: str = ".jpg") -> Path:
        """Return where the image with this name lies."""
        return self.folder / sha1[:2] / f"{sha1}{suffix}"

    def has(self, name: str, size: int | None = None) -> bool:
        """Say whether the kept copy with this name is here, with so many bytes if told; an empty file is none."""
        try:
            found = self.path(name).stat().st_size
        except FileNotFoundError:
            return False
        return found > 0 if size is None else found == size

    def keep(self, content: bytes) -> str:
        """Check and keep an image, turned upright, as JPEG; return its name. Raises BadInputError in words."""
        return self.keep_picture(readable(content))

    def keep_picture(self, picture: Image.Image) -> str:
        """Keep a picture in RGB that needs no check; return its name."""
        return self.put(as_jpeg(picture))

    def put(self, jpeg: bytes) -> str:
        """Keep these very bytes; return their name. A file of that name that is not whole is written anew."""
        name = name_of(jpeg)
        if not (self.has(name, len(jpeg)) and _touched(self.path(name))):
            _write_whole(self.path(name), jpeg)
        return name

    def thumbnail(self, sha1: str, side: int) -> Path:
        """Return a copy at most ``side`` pixels wide and high, made on first use.

        Raises ImageError where the kept copy is lost or damaged.
        """
        return self._derived(sha1, f".{side}.jpg", None, side)

    def crop(self, sha1: str, box: str, side: int) -> Path:
        """Return the part of an image inside ``box`` (``pct:x,y,w,h``), at most ``side`` pixels wide and high.

        Raises ImageError where the kept copy is lost or damaged.
        """
        place = hashlib.sha1(box.encode(), usedforsecurity=False).hexdigest()[:12]
        return self._derived(sha1, f".{place}.{side}.jpg", box, side)

    def _derived(self, sha1: str, suffix: str, box: str | None, side: int) -> Path:
        target = self.path(sha1, suffix)
        if not _touched(target):
            picture = open_figure(self.path(sha1), box, side)
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=85)
            _write_whole(target, buffer.getvalue())
        return target

    def files(self) -> Iterator["StoredFile"]:
        """Yield all files of the store, unfinished ones included; one look at each folder."""
        if not self.folder.is_dir():
            return
        for folder in os.scandir(self.folder):
            if not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # renamed or removed by another process since the folder was read
                yield StoredFile(Path(entry.path), facts.st_size, facts.st_mtime)

    def sweep(self, now: datetime) -> int:
        """Remove what kills and given-up downloads left behind; return how many files that were."""
        removed = 0
        for file in list(self.files()):
            patience = ABANDONED if file.is_unfinished else HALF_WRITTEN if file.is_half_written else None
            if patience is not None and file.time < (now - patience).timestamp():
                file.path.unlink(missing_ok=True)
                removed += 1
        return removed


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: its size in bytes, and its time in seconds since 1970."""

    path: Path
    size: int
    time: float

    @property
    def is_unfinished(self) -> bool:
        """Whether it is a download that broke off."""
        return self.path.parent.name == _UNFINISHED

    @property
    def is_half_written(self) -> bool:
        """Whether it is a file that has no name yet."""
        return self.path.name.startswith(_NEW)

    @property
    def is_derived(self) -> bool:
        """Whether it can be made anew from a kept copy."""
        return not self.is_unfinished and not self.is_half_written and self.path.name.count(".") > 1

    @property
    def is_kept(self) -> bool:
        """Whether it is a copy that illustrations are shown from."""
        return not self.is_unfinished and self.path.name.count(".") == 1 and not self.is_half_written


class Room:
    """How much room a limit leaves in the store: counted once, then kept up to date by what is put in through it.

    When there is none, derived copies are thrown away, the longest unused first; then kept copies that nothing refers
    to. What people are shown stays. To be shared by the threads of a process.
    """

    def __init__(self, store: ImageStore, limit: int, in_use: Callable[[], Collection[str]], now: datetime) -> None:
        """Count the store. ``limit`` in bytes, 0 for none; ``in_use`` tells the names that something refers to."""
        self.limit = limit
        self.is_full = False
        self.thrown_away = 0
        self._store, self._in_use, self._now = store, in_use, now
        self._lock = threading.Lock()
        files = sorted(store.files(), key=lambda file: file.time) if limit else []
        self.taken = sum(file.size for file in files)
        self._derived = deque(file for file in files if file.is_derived and file.time < (now - IN_USE).timestamp())
        self._unclaimed = deque(file for file in files if file.is_kept and file.time < (now - UNCLAIMED).timestamp())
        if limit and self.taken > limit:
            self._clear(0)

    def put(self, jpeg: bytes) -> str | None:
        """Keep these bytes and return their name; None where what must stay leaves no room for them."""
        with self._lock:
            if not self.limit or self._store.has(name_of(jpeg), len(jpeg)):
                return self._store.put(jpeg)
            if self.taken + len(jpeg) > self.limit:
                self._clear(len(jpeg))
            if self.taken + len(jpeg) > self.limit:
                self.is_full = True
                return None
            self.taken += len(jpeg)
            return self._store.put(jpeg)

    def _clear(self, wanted: int) -> None:
        enough = min(self.limit - wanted, int(EASE * self.limit))
        while self._derived and self.taken > enough:
            self._throw_away(self._derived.popleft())
        if not self._unclaimed or self.taken <= enough:
            return
        in_use = set(self._in_use())
        while self._unclaimed and self.taken > enough:
            file = self._unclaimed.popleft()
            # Its time is looked at again: it may have been kept once more since the store was counted.
            if file.path.stem not in in_use and file.path.is_file() and file.path.stat().st_mtime == file.time:
                self._throw_away(file)

    def _throw_away(self, file: StoredFile) -> None:
        file.path.unlink(missing_ok=True)
        self.taken -= file.size
        self.thrown_away += 1


def name_of(content: bytes) -> str:
    """Return the name under which the store keeps these bytes."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def as_jpeg(picture: Image.Image) -> bytes:
    """Return a picture in RGB as the store keeps it."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue()


def readable(content: bytes) -> Image.Image:
    """Return the picture upright, in RGB, at most ``SHOWN_SIDE`` wide and high; BadInputError says why not."""
    try:
        picture = open_rgb(content, min_side=SHOWN_SIDE)
    except ImageError as error:
        raise BadInputError(str(error)) from error
    if min(picture.size) < MIN_SIDE:
        raise BadInputError(f"The image is too small: {picture.width} × {picture.height} pixels.")
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return picture


def _touched(target: Path) -> bool:
    """Set a file's time to this moment; say whether there is such a file."""
    try:
        os.utime(target)
    except FileNotFoundError:
        return False
    return True


def _write_whole(target: Path, content: bytes) -> None:
    """Write to a neighbour first and rename: a reader never sees half a file, a kill leaves none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=_NEW)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
