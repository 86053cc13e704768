"""Pen and brush for the drawn demo plates: tapered ink strokes, hatching and watercolour washes.

Everything is drawn on a sheet twice as large as the finished plate and reduced at the end, which is what smooths the
edges. This file knows no organism and no paper; it will not load pictures or write files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Points = NDArray[np.float64]
Colour = tuple[int, int, int]

INK: Colour = (58, 45, 36)
SUPERSAMPLING = 2
NOMINAL_WIDTH = 720


@dataclass(frozen=True)
class Pose:
    """Where a figure stands: local coordinates have x to the right and y up; the canvas has y down, in pixels."""

    x: float
    y: float
    scale: float
    angle: float = 0.0
    mirror: bool = False

    def place(self, points: Points) -> Points:
        """Local points, shape (n, 2), as canvas pixels, same shape. A positive angle (radians) turns clockwise."""
        px = -points[:, 0] if self.mirror else points[:, 0]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        turned_x = px * cosine + points[:, 1] * sine
        turned_y = -px * sine + points[:, 1] * cosine
        return np.column_stack((self.x + self.scale * turned_x, self.y - self.scale * turned_y))

    def moved(self, x: float, y: float, scale: float = 1.0, angle: float = 0.0) -> Pose:
        """The pose of a part: its origin at local (x, y), turned by a further angle, scaled relative to this pose."""
        spot = self.place(np.array([[x, y]]))[0]
        turn = -angle if self.mirror else angle
        return replace(self, x=float(spot[0]), y=float(spot[1]), scale=self.scale * scale, angle=self.angle + turn)


@dataclass(frozen=True)
class Wash:
    """A watercolour: its thin and pooled colours, and how strongly pigment gathers at edges, in blots and in shade."""

    light: Colour
    deep: Colour
    pool: float = 0.9
    mottle: float = 0.22
    shade: float = 0.22

    def darker(self, amount: float) -> Wash:
        """The same wash laid on more strongly; `amount` 0 changes nothing, 1 gives black."""
        return replace(self, light=mixed(self.light, (0, 0, 0), amount), deep=mixed(self.deep, (0, 0, 0), amount))


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with `share` (0 to 1) of `other` stirred in."""
    blend = [round(a + (b - a) * share) for a, b in zip(one, other, strict=True)]
    return (blend[0], blend[1], blend[2])


def jittered(colour: Colour, rng: Generator, amount: float = 10.0) -> Colour:
    """The colour as another mixing of the same paints would have it: a common shift and a smaller one per channel."""
    common = rng.normal(0.0, amount)
    shifted = [int(np.clip(c + common + rng.normal(0.0, amount * 0.5), 0, 255)) for c in colour]
    return (shifted[0], shifted[1], shifted[2])


def jittered_wash(wash: Wash, rng: Generator, amount: float = 10.0) -> Wash:
    """Both colours of a wash shifted together, so that light stays lighter than deep."""
    shift = rng.normal(0.0, amount, 3) * 0.5 + rng.normal(0.0, amount)
    light, deep = (
        tuple(int(v) for v in np.clip(np.array(colour) + shift, 0, 255)) for colour in (wash.light, wash.deep)
    )
    return replace(wash, light=(light[0], light[1], light[2]), deep=(deep[0], deep[1], deep[2]))


def smooth(control: Points, per_span: int = 12, closed: bool = False) -> Points:
    """A Catmull-Rom curve through the control points, `per_span` points a span."""
    ring = (
        np.vstack((control[-1:], control, control[:2]))
        if closed
        else np.vstack((2 * control[0] - control[1], control, 2 * control[-1] - control[-2]))
    )
    t = np.linspace(0.0, 1.0, per_span, endpoint=False)[:, None]
    spans = []
    for i in range(len(ring) - 3):
        a, b, c, d = ring[i : i + 4]
        spans.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    if not closed:
        spans.append(control[-1:])
    return np.vstack(spans)


def resampled(line: Points, count: int) -> Points:
    """The polyline with `count` points at equal distances along it."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    at = np.linspace(0.0, along[-1], count)
    return np.column_stack((np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])))


def normals(line: Points) -> Points:
    """Unit normals of a polyline, pointing to the right of its direction, shape (n, 2)."""
    tangent = np.gradient(line, axis=0)
    length = np.hypot(tangent[:, 0], tangent[:, 1])[:, None] + 1e-9
    unit = tangent / length
    return np.column_stack((unit[:, 1], -unit[:, 0]))


@lru_cache(maxsize=1)
def _blots() -> NDArray[np.float32]:
    """A tile of soft noise in -1..1, 384 x 384, that joins at its edges; washes take their unevenness from it."""
    rng = np.random.default_rng(20)
    total = np.zeros((384, 384), dtype=np.float32)
    for cells, weight in ((6, 0.5), (18, 0.3), (60, 0.2)):
        coarse = np.pad(rng.integers(0, 256, (cells, cells), dtype=np.uint8), 3, mode="wrap")
        size = round(384 * (cells + 6) / cells)
        fine = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
        edge = (size - 384) // 2
        fine = fine[edge : edge + 384, edge : edge + 384]
        total += weight * (fine / 127.5 - 1.0)
    return total


class Sheet:
    """A white sheet at twice the plate's size; organisms are drawn on it and reduced with it."""

    def __init__(self, width: int, height: int) -> None:
        """`width` and `height` are those of the finished plate, in pixels."""
        self.image = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING), (255, 255, 255))
        self.pen = ImageDraw.Draw(self.image)
        self.unit = SUPERSAMPLING * width / NOMINAL_WIDTH

    def wash(self, outline: Points, wash: Wash, rng: Generator) -> None:
        """Fill a canvas outline, shape (n, 2), with a watercolour that pools at its edge and darkens to lower right."""
        low = np.floor(outline.min(axis=0)).astype(int) - 1
        wide, high = (np.ceil(outline.max(axis=0)).astype(int) + 2 - low).tolist()
        if wide < 4 or high < 4:
            self.fill(outline, mixed(wash.light, wash.deep, 0.5))
            return
        mask = Image.new("L", (wide, high))
        ImageDraw.Draw(mask).polygon([tuple(p) for p in (outline - low).tolist()], fill=255)
        small = mask.resize((max(2, wide // 6), max(2, high // 6)), Image.Resampling.BOX)
        patch = Image.fromarray(_pigment(small, wash, rng)).resize((wide, high), Image.Resampling.BILINEAR)
        self.image.paste(patch, (int(low[0]), int(low[1])), mask)

    @contextmanager
    def within(self, outline: Points) -> Iterator[None]:
        """Whatever is drawn inside this block shows only inside the canvas outline."""
        least, most = outline.min(axis=0), outline.max(axis=0)
        spill = 0.3 * (most - least)  # strokes begun inside may end a little outside
        low = np.maximum(np.floor(least - spill).astype(int), 0)
        high = np.minimum(np.ceil(most + spill).astype(int) + 1, self.image.size)
        box = (int(low[0]), int(low[1]), max(int(low[0]) + 1, int(high[0])), max(int(low[1]) + 1, int(high[1])))
        before = self.image.crop(box)
        yield
        inverse = Image.new("L", before.size, 255)
        ImageDraw.Draw(inverse).polygon([tuple(p) for p in (outline - low).tolist()], fill=0)
        self.image.paste(before, box[:2], inverse)

    def fill(self, outline: Points, colour: Colour) -> None:
        """Fill a canvas outline with one flat colour."""
        self.pen.polygon([tuple(p) for p in outline.tolist()], fill=colour)

    def line(self, points: Points, width: float = 1.0, colour: Colour = INK, closed: bool = False) -> None:
        """An ink line of even width (plate pixels) along canvas points."""
        path = [tuple(p) for p in points.tolist()]
        if closed:
            path.append(path[0])
        self.pen.line(path, fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def stroke(self, points: Points, start: float, end: float, colour: Colour = INK) -> None:
        """A burin stroke that swells or tapers from width `start` to `end` (plate pixels)."""
        half = np.linspace(start, end, len(points))[:, None] * self.unit / 2
        side = normals(points) * half
        self.fill(np.vstack((points + side, (points - side)[::-1])), colour)

    def nib(self, points: Points, thin: float, thick: float, colour: Colour = INK) -> None:
        """A stroke of a broad nib (widths in plate pixels): thick where it runs down, thin where it runs across."""
        tangent = np.gradient(points, axis=0)
        steep = np.abs(tangent[:, 1]) / (np.hypot(tangent[:, 0], tangent[:, 1]) + 1e-9)
        half = (thin + (thick - thin) * steep**2)[:, None] * self.unit / 2
        side = normals(points) * half
        self.fill(np.vstack((points + side, (points - side)[::-1])), colour)

    def dot(self, centre: Points, radius: float, colour: Colour = INK) -> None:
        """A filled disc; the radius in canvas pixels."""
        x, y = float(centre[0]), float(centre[1])
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def finished(self) -> Image.Image:
        """The drawing at the plate's size."""
        return self.image.reduce(SUPERSAMPLING)


def _pigment(mask: Image.Image, wash: Wash, rng: Generator) -> NDArray[np.uint8]:
    """The colours of a wash on a small mask (L mode): shape (high, wide, 3)."""
    wide, high = mask.size
    soft = mask.filter(ImageFilter.GaussianBlur(0.05 * max(wide, high) + 0.5))
    edge = 1.0 - np.asarray(soft, dtype=np.float32) / 255.0
    tile = _blots()
    rows = (rng.integers(384) + np.arange(high) * max(1, 200 // high)) % 384
    columns = (rng.integers(384) + np.arange(wide) * max(1, 200 // wide)) % 384
    lean = np.linspace(-0.5, 0.5, wide)[None, :] + np.linspace(-0.5, 0.5, high)[:, None]
    tone = 0.38 + wash.pool * (edge - 0.25) + wash.mottle * tile[np.ix_(rows, columns)] + wash.shade * lean
    tone = np.clip(tone, 0.0, 1.0)[:, :, None]
    light, deep = np.array(wash.light, dtype=np.float32), np.array(wash.deep, dtype=np.float32)
    return np.asarray(light + (deep - light) * tone, dtype=np.uint8)


def ellipse(x: float, y: float, rx: float, ry: float, count: int = 40) -> Points:
    """Points of an ellipse in local coordinates."""
    a = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    return np.column_stack((x + rx * np.cos(a), y + ry * np.sin(a)))
