"""An image file as the wiki keeps it: its bytes, facts and thumbnails, each worked out when first asked.

Nothing is read from disk before something needs it, so that a world of hundreds of files is there at once.
Thumbnails are made by Pillow; SVG is drawn for simple shapes only (rectangles, circles, ellipses, polygons).
"""

from __future__ import annotations

import hashlib
import io
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from PIL import Image, ImageDraw

STANDARD_STEPS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
MIMES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "pdf": "application/pdf",
}
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class FileWords:
    """What the file's description page says, as HTML where Commons gives HTML; None where it says nothing."""

    description_html: str | None = None
    artist_html: str | None = None
    credit_html: str | None = None
    date_html: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    object_name: str | None = None


@dataclass
class StoredFile:
    """The current version of a file. `source` is a path that is read late, or the bytes themselves."""

    source: Path | bytes
    uploader: str
    uploaded_at: str
    words: FileWords = FileWords()
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _size: tuple[int, int] | None = None
    _sha1: str | None = None
    _thumbs: dict[int, bytes] = field(default_factory=dict, repr=False)

    def read(self) -> bytes:
        """The original's bytes."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    @property
    def byte_count(self) -> int:
        """Length of the original in bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @property
    def sha1(self) -> str:
        """SHA-1 of the original, 40 hex digits."""
        if self._sha1 is None:
            self._sha1 = hashlib.sha1(self.read()).hexdigest()
        return self._sha1

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels as stored; (0, 0) for what is no image, as MediaWiki has it."""
        if self._size is None:
            self._size = _measure(self.read() if isinstance(self.source, bytes) else self.source)
        return self._size

    def thumb(self, width: int) -> bytes:
        """The image scaled to `width` px as JPEG or PNG bytes, made once. Raises OSError on unreadable bytes."""
        with self._lock:
            if width not in self._thumbs:
                self._thumbs[width] = _scale(self.read(), width)
            return self._thumbs[width]


def _looks_like_svg(data: bytes) -> bool:
    return b"<svg" in data[:1000]


def _measure(source: Path | bytes) -> tuple[int, int]:
    head = source[:4096] if isinstance(source, bytes) else source.open("rb").read(4096)
    if _looks_like_svg(head):
        root = ElementTree.fromstring(source if isinstance(source, bytes) else source.read_bytes())
        return int(root.get("width", "512")), int(root.get("height", "512"))
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return image.size
    except OSError:
        return 0, 0


def _scale(data: bytes, width: int) -> bytes:
    out = io.BytesIO()
    if _looks_like_svg(data):
        _draw_svg(data, width).save(out, "PNG")
        return out.getvalue()
    with Image.open(io.BytesIO(data)) as image:
        height = scaled_height(image.size, width)
        is_png = image.format == "PNG"
        image.draft("RGB", (width, height))
        scaled = image.convert("RGBA" if is_png else "RGB").resize((width, height), Image.Resampling.LANCZOS)
    scaled.save(out, "PNG") if is_png else scaled.save(out, "JPEG", quality=87)
    return out.getvalue()


def _draw_svg(data: bytes, width: int) -> Image.Image:
    root = ElementTree.fromstring(data)
    factor = width / int(root.get("width", "512"))
    canvas = Image.new("RGBA", (width, round(int(root.get("height", "512")) * factor)), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)

    def number(shape: ElementTree.Element, name: str) -> float:
        return float(shape.get(name, "0")) * factor

    for shape in root.iter():
        fill = shape.get("fill", "black")
        if shape.tag == f"{SVG}rect":
            x, y = number(shape, "x"), number(shape, "y")
            draw.rectangle((x, y, x + number(shape, "width"), y + number(shape, "height")), fill=fill)
        elif shape.tag in (f"{SVG}circle", f"{SVG}ellipse"):
            x, y = number(shape, "cx"), number(shape, "cy")
            rx = number(shape, "r") or number(shape, "rx")
            ry = number(shape, "r") or number(shape, "ry")
            draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
        elif shape.tag == f"{SVG}polygon":
            corners = [float(part) * factor for part in shape.get("points", "").replace(",", " ").split()]
            draw.polygon(corners, fill=fill)
    return canvas


def scaled_height(size: tuple[int, int], width: int) -> int:
    """Height in px of an image of `size` scaled to `width` px, at least 1."""
    return max(1, round(size[1] * width / size[0])) if size[0] else 0


def step_width(wanted: int, steps: tuple[int, ...]) -> int:
    """The standard width that a wish is rounded up to; without steps, the wish itself."""
    return next((step for step in steps if step >= wanted), steps[-1]) if steps else wanted


def file_key(title: str) -> str:
    """`File:A b.jpg` -> `A_b.jpg`, the name in addresses."""
    return title.split(":", 1)[1].replace(" ", "_")


def extension(title: str) -> str:
    """The file name's extension in small letters, without the dot."""
    return title.rsplit(".", 1)[-1].lower()


def mime_of(title: str) -> str:
    """The MIME type that MediaWiki reports for a file of this name."""
    return MIMES.get(extension(title), "application/octet-stream")


def folder_of(title: str) -> str:
    """The two hash folders `a/ab` that the file lies in (from the MD5 of its name)."""
    digest = hashlib.md5(file_key(title).encode()).hexdigest()
    return f"{digest[0]}/{digest[:2]}"


def original_path(title: str) -> str:
    """The address path of the original, percent-encoded."""
    return f"/w/images/{folder_of(title)}/{quote(file_key(title))}"


def thumb_path(title: str, width: int) -> str:
    """The address path of a thumbnail; SVG gives PNG and TIFF gives JPEG, as on Commons."""
    key = quote(file_key(title))
    kind = extension(title)
    prefix = "lossy-page1-" if kind in ("tif", "tiff") else ""
    suffix = ".png" if kind == "svg" else ".jpg" if kind in ("tif", "tiff") else ""
    return f"/w/images/thumb/{folder_of(title)}/{key}/{prefix}{width}px-{key}{suffix}"
