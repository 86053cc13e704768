"""Is this a picture that can be opened, and how large is it: asked of bytes from outside before anything else
uses them.

Pictures are decoded once, whole, because a cut-off file has a perfect header. Only raster formats that
museums and Commons use are tried, so that no rarely used decoder meets a stranger's bytes. Nothing is resized
or converted here.
"""

import io
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from wiki_sync.errors import ImageTooLargeError, NotAnImageError

MAX_PIXELS = 150_000_000  # a sheet scanned at 600 dpi has about 35 million
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF")
STANDARD_WIDTHS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
"""The widths in pixels of the smaller pictures that Wikimedia serves (https://w.wiki/GHai); it refuses others."""


@dataclass(frozen=True)
class PictureFacts:
    """Width and height in pixels as stored (before any EXIF turn), and the type that the bytes really have."""

    width: int
    height: int
    mime: str


def picture_facts(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> PictureFacts:
    """Return the facts of a whole, decodable picture; `name` is used in messages only.

    Raises NotAnImageError (another type, SVG, damaged, cut off) or ImageTooLargeError (more than
    `max_pixels`).
    """
    if _looks_like_svg(data):
        raise NotAnImageError(f"{name} is an SVG drawing. Please give a JPEG, PNG or TIFF picture of it.")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            mime = Image.MIME[image.format or ""]
            if width * height > max_pixels:
                raise ImageTooLargeError(
                    f"{name} has {width} x {height} pixels; more than {max_pixels / 1e6:.0f} million cannot be read."
                )
            image.load()
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{name} has too many pixels to be read.") from error
    except UnidentifiedImageError as error:
        raise NotAnImageError(f"{name} is not a JPEG, PNG, TIFF, WebP or GIF picture.") from error
    except (OSError, SyntaxError, ValueError, KeyError, EOFError) as error:
        raise NotAnImageError(f"{name} is a damaged picture, or was cut off: {error}") from error
    return PictureFacts(width, height, mime)


def standard_width(wanted: int) -> int:
    """Return the standard width that serves for `wanted` pixels: the next larger one, or the largest there is."""
    return next((width for width in STANDARD_WIDTHS if width >= wanted), STANDARD_WIDTHS[-1])


def _looks_like_svg(data: bytes) -> bool:
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in data[:20_000].lower()
