"""Images in: the one way in which a file becomes the pixels that training and serving see.

It reads and crops; it never writes an image, never fetches one, and never guesses at half a file.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from active_learning.errors import ImageError

# Raise this whenever a change in this file can change a pixel: it is part of every backbone's version.
PREPROCESSING_VERSION = "1"

# Formats that Pillow decodes by itself (MPO comes with JPEG). PostScript is left out as it starts an interpreter.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "PPM")
MAX_DECLARED_PIXELS = 178_000_000  # what a header may claim; JPEG scans of this size are read reduced
MAX_DECODED_PIXELS = 100_000_000  # what is unpacked into memory: 300 MB as RGB
EMBED_SIDE = 448  # pixels of the short side that embedding asks for: enough for a 384 px network

_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)


def open_rgb(source: Path | bytes, min_side: int | None = None) -> Image.Image:
    """The image upright, in 8-bit RGB, without alpha.

    `min_side` in pixels allows JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides stay at
    least that long (a large scan is read about four times faster); nothing is ever enlarged. Transparent parts
    become white, the paper; 16-bit grey is scaled, not clipped; of an animation the first frame counts.

    Raises ImageError if there is no such file, if it is no raster image, is truncated, or is too large.
    """
    name = "the image" if isinstance(source, bytes) else source.name
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats()) as image:
            _check_size(image, name, min_side)
            image.load()
            upright = ImageOps.exif_transpose(image) or image
            return _to_rgb(upright)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {name}.") from error
    except UnidentifiedImageError as error:
        raise ImageError(_not_an_image(source, name)) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large to be opened safely: {error}") from error
    except _DECODING_ERRORS as error:
        raise ImageError(f"{name} cannot be read to its end; it may be damaged or cut off ({error}).") from error


@cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this build of Pillow knows; naming another one makes it raise KeyError."""
    Image.init()
    return tuple(form for form in FORMATS if form in Image.OPEN)


def _check_size(image: Image.Image, name: str, min_side: int | None) -> None:
    width, height = image.size
    if width * height > MAX_DECLARED_PIXELS:
        raise ImageError(f"{name} has {width} x {height} pixels, more than can be opened safely.")
    if min_side is not None and image.format in ("JPEG", "MPO"):
        image.draft(image.mode, (min_side, min_side))
    width, height = image.size
    if width * height > MAX_DECODED_PIXELS:
        raise ImageError(f"{name} has {width} x {height} pixels, more than can be opened safely.")


def _not_an_image(source: Path | bytes, name: str) -> str:
    if isinstance(source, bytes):
        head = source[:512]
    else:
        with source.open("rb") as file:
            head = file.read(512)
    if not head:
        return f"{name} is empty."
    if b"<svg" in head.lower():
        return f"{name} is a drawing in SVG, not a raster image; use a rendered PNG of it."
    if b"<html" in head.lower() or b"<!doctype html" in head.lower():
        return f"{name} is a web page, not an image."
    return f"{name} is not an image in a format that can be read."


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode as RGB; alpha goes over white, deep grey is scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_eight_bits(np.asarray(image)), "L").convert("RGB")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", with_alpha.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    # A copy also when it is RGB already: the caller's image must outlive the closed file.
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _to_eight_bits(deep: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey of 16 or 32 bits, or float, as 0 to 255: the smallest usual full scale that holds the values."""
    values = np.nan_to_num(np.asarray(deep, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if deep.dtype == np.uint16:
        full = 65535.0
    else:
        highest = float(values.max(initial=0.0))
        full = next((limit for limit in (1.0, 255.0, 65535.0) if highest <= limit), highest)
    return np.rint(np.clip(values / full, 0.0, 1.0) * 255.0).astype(np.uint8)


def parse_box(box: str) -> tuple[float, float, float, float]:
    """x, y, width, height in percent of the image, from `pct:x,y,w,h` (Wikidata P2677, IIIF Image API 3.0 §4.1).

    Raises ImageError for any other form and for boxes that are empty or leave the image.
    """
    form = f"A box is written pct:x,y,w,h in percent; this is not one: {box[:60]!r}."
    if not box.startswith("pct:"):
        raise ImageError(form)
    parts = box[4:].split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError as error:
        raise ImageError(form) from error
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
        raise ImageError(form)
    x, y, width, height = numbers
    if width <= 0 or height <= 0:
        raise ImageError(f"The box {box} is empty.")
    rounding = 0.01  # boxes are drawn on a screen and rounded to two decimals
    if x < 0 or y < 0 or x + width > 100 + rounding or y + height > 100 + rounding:
        raise ImageError(f"The box {box} leaves the image.")
    return x, y, width, height


def crop(image: Image.Image, box: str | None) -> Image.Image:
    """The part of the image inside the box, at least one pixel; the whole image for no box.

    Raises ImageError (a ValueError) if the box is not `pct:x,y,w,h` within the image.
    """
    if box is None:
        return image
    x, y, width, height = parse_box(box)
    left = min(math.floor(x / 100 * image.width), image.width - 1)
    top = min(math.floor(y / 100 * image.height), image.height - 1)
    right = min(max(math.ceil((x + width) / 100 * image.width), left + 1), image.width)
    bottom = min(max(math.ceil((y + height) / 100 * image.height), top + 1), image.height)
    return image.crop((left, top, right, bottom))


def open_figure(source: Path | bytes, box: str | None = None, side: int = EMBED_SIDE) -> Image.Image:
    """One figure as embedding wants it: opened just large enough that the box still has `side` pixels, and cropped.

    Training and serving both come through here, so that reduced decoding cannot differ between them.
    Raises ImageError as `open_rgb` and `crop` do.
    """
    min_side = side
    if box is not None:
        _, _, width, height = parse_box(box)
        min_side = math.ceil(side * 100 / min(width, height))
    return crop(open_rgb(source, min_side), box)


def to_square(
    image: Image.Image, side: int, resample: Image.Resampling = Image.Resampling.BILINEAR
) -> NDArray[np.uint8]:
    """RGB pixels (side, side, 3) uint8 of the whole image, squeezed to a square by area resampling of that kind.

    Squeezed rather than centre-cropped: the organism on a tall plate reaches from edge to edge, and a cut would
    take its head or its roots.
    """
    if image.mode != "RGB":
        raise ImageError(f"The image is in {image.mode}, not in RGB; open it with open_rgb.")
    small = image.resize((side, side), resample, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)
