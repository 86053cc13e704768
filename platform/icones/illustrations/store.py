"""The image store: a folder of files named by the SHA-1 of their bytes. It knows no database."""

import hashlib
import io
import os
import tempfile
from pathlib import Path

from PIL import Image

from active_learning import ImageError, open_figure, open_rgb
from icones.errors import BadInputError

MIN_SIDE = 16
"""Smaller images show nothing that could be named."""
SHOWN_SIDE = 2400
"""The copy we keep is at most this many pixels on its longer side; Commons keeps the original."""


class ImageStore:
    """Images by the SHA-1 of their bytes, two letters a folder, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha1: str, suffix: str = ".jpg") -> Path:
        """Return where the image with this name lies."""
        return self.folder / sha1[:2] / f"{sha1}{suffix}"

    def keep(self, content: bytes) -> str:
        """Check and keep an image, turned upright, as JPEG; return its name. Raises BadInputError in words."""
        return self.keep_picture(readable(content))

    def keep_picture(self, picture: Image.Image) -> str:
        """Keep a picture in RGB that needs no check; return its name."""
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88, optimize=True)
        return self._write(buffer.getvalue())

    def thumbnail(self, sha1: str, side: int) -> Path:
        """Return a copy at most ``side`` pixels wide and high, made on first use."""
        target = self.path(sha1, f".{side}.jpg")
        if not target.exists():
            with Image.open(self.path(sha1)) as picture:
                picture.draft("RGB", (side, side))
                picture.thumbnail((side, side), Image.Resampling.LANCZOS)
                buffer = io.BytesIO()
                picture.convert("RGB").save(buffer, "JPEG", quality=85)
            _write_whole(target, buffer.getvalue())
        return target

    def crop(self, sha1: str, box: str, side: int) -> Path:
        """Return the part of an image inside ``box`` (``pct:x,y,w,h``), at most ``side`` pixels wide and high."""
        place = hashlib.sha1(box.encode(), usedforsecurity=False).hexdigest()[:12]
        target = self.path(sha1, f".{place}.{side}.jpg")
        if not target.exists():
            picture = open_figure(self.path(sha1), box, side)
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=85)
            _write_whole(target, buffer.getvalue())
        return target

    def _write(self, content: bytes) -> str:
        name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        target = self.path(name)
        if not target.exists():
            _write_whole(target, content)
        return name


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


def _write_whole(target: Path, content: bytes) -> None:
    """Write to a neighbour first and rename: a reader never sees half a file, a kill leaves none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
