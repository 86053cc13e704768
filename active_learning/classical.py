"""Colour, texture and shape of a drawn figure as a vector, in numpy and Pillow: the backbone that needs no weights.

It finds the drawing on its paper and describes that; it learns nothing, and it is no match for a trained network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from active_learning.images import PREPROCESSING_VERSION, to_square

DESCRIPTOR_VERSION = "1"
_SIDE = 112  # pixels of the square on which everything is measured
_CELL_SIDE = 64  # pixels of the square figure on which gradients are measured

Floats = NDArray[np.float32]


class ClassicalDescriptor:
    """A descriptor of fixed length: Lab colours by region, local binary patterns, oriented gradients, outline."""

    name = "classical"

    def __init__(self) -> None:
        digest = hashlib.sha256(f"classical {DESCRIPTOR_VERSION} {PREPROCESSING_VERSION}".encode()).hexdigest()
        self.version = f"classical@{digest[:12]}"
        self.dim = len(_describe(np.full((_SIDE, _SIDE, 3), 255, dtype=np.uint8)))

    def embed(self, images: Sequence[Image.Image]) -> Floats:
        """Vectors (n, dim) float32 of length 1. Raises ImageError for an image that is not RGB."""
        vectors = np.zeros((len(images), self.dim), dtype=np.float32)
        for row, image in enumerate(images):
            vectors[row] = _describe(to_square(image, _SIDE))
        return vectors


def _describe(pixels: NDArray[np.uint8]) -> Floats:
    """(dim,) float32 of length 1 from (side, side, 3) uint8; each block has length 1 before its weight."""
    lab = _to_lab(pixels)
    drawn = _drawing(lab)
    top, bottom, left, right = _extent(drawn)
    figure, mask = lab[top:bottom, left:right], drawn[top:bottom, left:right]
    grey = _resized(figure[..., 0] / 100.0, _CELL_SIDE)
    sheet = np.ones_like(drawn)
    # Weights by trial on photographs and plates (few labels, balanced accuracy); the whole sheet counts a little, as
    # the style of a work and the ground behind a figure tell something too.
    blocks = (
        (0.8, _colours(figure, mask)),
        (1.0, _texture(figure[..., 0], mask)),
        (0.8, _gradients(grey)),
        (0.4, _outline(mask)),
        (0.4, _palette(lab, sheet)),
        (0.4, _texture(lab[..., 0], sheet)),
    )
    joined = np.concatenate([weight * _unit(block) for weight, block in blocks])
    return _unit(joined).astype(np.float32)


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def _linear_light() -> Floats:
    """sRGB 0 to 255 as linear light 0 to 1 (IEC 61966-2-1)."""
    value = np.arange(256, dtype=np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _linear_light()
# Linear sRGB to XYZ, each row divided by the D65 white, so that white gives 1, 1, 1.
_TO_XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]], dtype=np.float32)


def _to_lab(pixels: NDArray[np.uint8]) -> Floats:
    """CIE L*a*b* (D65): L from 0 to 100, a and b about -100 to 100."""
    xyz = _LINEAR[pixels] @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    return lab.astype(np.float32)


def _drawing(lab: Floats) -> NDArray[np.bool_]:
    """Which pixels are drawn: those that differ from the paper, which is the median of the margin."""
    margin = max(2, lab.shape[0] // 28)
    edge = np.concatenate(
        [
            lab[:margin].reshape(-1, 3),
            lab[-margin:].reshape(-1, 3),
            lab[:, :margin].reshape(-1, 3),
            lab[:, -margin:].reshape(-1, 3),
        ]
    )
    distance = np.linalg.norm(lab - np.median(edge, axis=0), axis=-1)
    mask: NDArray[np.bool_] = distance > max(8.0, _otsu(distance))
    if mask.mean() < 0.01:  # an empty sheet, or a photograph without paper: describe all of it
        mask = np.ones_like(mask)
    return mask


def _otsu(values: Floats) -> float:
    """The threshold that parts a histogram best in two (Otsu 1979, equation 18)."""
    counts, edges = np.histogram(values, bins=64)
    share = counts / counts.sum()
    below = np.cumsum(share)
    mean = np.cumsum(share * (edges[:-1] + edges[1:]) / 2)
    spread = below * (1 - below)
    between = np.where(spread > 0, (mean[-1] * below - mean) ** 2 / np.maximum(spread, 1e-12), 0)
    return float(edges[int(np.argmax(between)) + 1])


def _extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right around the drawing, without the outer 1 % of it (captions, specks)."""
    spans: list[int] = []
    for axis in (1, 0):
        reached = np.cumsum(mask.sum(axis=axis)) / max(int(mask.sum()), 1)
        first = int(np.searchsorted(reached, 0.01))
        last = int(np.searchsorted(reached, 0.99)) + 1
        if last - first < 12:  # too thin to measure: widen to 12 pixels within the image
            first = min(max(0, (first + last) // 2 - 6), mask.shape[0] - 12)
            last = first + 12
        spans += [first, last]
    return spans[0], spans[1], spans[2], spans[3]


def _resized(plane: Floats, side: int) -> Floats:
    return np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32)


def _colour_bins(lab: Floats) -> NDArray[np.int64]:
    """The bin, 0 to 77, of each pixel: 12 hues x 3 chromas x 2 lightnesses, then 6 greys."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = (np.arctan2(lab[..., 2], lab[..., 1]) / (2 * np.pi) % 1.0 * 12).astype(np.int64) % 12
    level = np.digitize(chroma, (22.0, 42.0))
    light = (lab[..., 0] > 55).astype(np.int64)
    colour = (hue * 3 + level) * 2 + light
    grey = 72 + np.clip(lab[..., 0] / 100 * 6, 0, 5).astype(np.int64)
    return np.where(chroma < 9, grey, colour)


def _palette(lab: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Square roots of colour shares (78,), so that their products are Hellinger affinities."""
    return np.sqrt(_shares(_colour_bins(lab), mask)).astype(np.float32)


def _colours(lab: Floats, mask: NDArray[np.bool_]) -> Floats:
    """The palette of the whole, and of each quarter without lightness and greys: 78 + 4 x 36."""
    bins = _colour_bins(lab)
    half_y, half_x = bins.shape[0] // 2, bins.shape[1] // 2
    parts: list[NDArray[np.float64]] = [np.sqrt(_shares(bins, mask))]
    for rows in (slice(None, half_y), slice(half_y, None)):
        for columns in (slice(None, half_x), slice(half_x, None)):
            share = _shares(bins[rows, columns], mask[rows, columns])
            parts.append(0.4 * np.sqrt(share[:72:2] + share[1:72:2]))
    return np.concatenate(parts).astype(np.float32)


def _shares(bins: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    counts = np.bincount(bins[mask], minlength=78).astype(np.float64)
    return np.asarray(counts / max(float(counts.sum()), 1.0))


def _texture(lightness: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Rotation-invariant uniform local binary patterns at three radii (Ojala 2002, LBP riu2, P = 8): 3 x 10 shares."""
    return np.concatenate([np.sqrt(_patterns(lightness, mask, radius)) for radius in (1, 2, 4)]).astype(np.float32)


def _patterns(plane: Floats, mask: NDArray[np.bool_], radius: int) -> NDArray[np.float64]:
    height, width = plane.shape
    inner = (slice(radius, height - radius), slice(radius, width - radius))
    centre = plane[inner]
    ring = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
    # One unit of lightness of slack, so that paper grain does not read as a pattern.
    brighter = np.stack(
        [
            plane[
                radius + dy * radius : height - radius + dy * radius,
                radius + dx * radius : width - radius + dx * radius,
            ]
            > centre + 1
            for dy, dx in ring
        ]
    )
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    pattern = np.where(changes <= 2, brighter.sum(axis=0), 9)
    counts = np.bincount(pattern[mask[inner]], minlength=10).astype(np.float64)
    return np.asarray(counts / max(float(counts.sum()), 1.0))


def _gradients(grey: Floats) -> Floats:
    """Oriented gradients of a 64 x 64 figure: 4 x 4 cells x 8 unsigned directions, square-rooted (after Dalal 2005)."""
    dy, dx = np.gradient(grey)
    strength = np.hypot(dx, dy)
    direction = (np.arctan2(dy, dx) / np.pi % 1.0 * 8).astype(np.int64) % 8
    cell = np.arange(_CELL_SIDE) * 4 // _CELL_SIDE
    place = (cell[:, None] * 4 + cell[None, :]) * 8 + direction
    return np.sqrt(np.bincount(place.ravel(), strength.ravel(), minlength=128)).astype(np.float32)


def _outline(mask: NDArray[np.bool_]) -> Floats:
    """Shape of the silhouette: proportions, Hu's moments, its reach by direction as Fourier strengths, its profiles."""
    ys, xs = np.nonzero(mask)
    height, width = mask.shape
    edge = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    area = max(len(ys), 1)
    plain = [np.log(height / width), area / mask.size, np.log1p(edge / np.sqrt(area)) / 3]
    rows, columns = _profile(mask.mean(axis=1)), _profile(mask.mean(axis=0))
    parts = [np.array(plain), 0.3 * _hu_moments(ys, xs), 2 * _reach(ys, xs), 0.5 * rows, 0.5 * columns]
    return np.concatenate(parts).astype(np.float32)


def _profile(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """A line of any length as 12 equal steps."""
    return np.interp(np.linspace(0, len(line) - 1, 12), np.arange(len(line)), line)


def _hu_moments(ys: NDArray[np.int64], xs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The first six of Hu's invariants (Hu 1962) as signed logarithms scaled to about -1 to 1."""
    if len(ys) == 0:
        return np.zeros(6)
    y, x = ys - ys.mean(), xs - xs.mean()

    def eta(p: int, q: int) -> float:
        return float(np.sum(x**p * y**q) / np.power(float(len(ys)), 1 + (p + q) / 2))

    n20, n02, n11 = eta(2, 0), eta(0, 2), eta(1, 1)
    n30, n03, n21, n12 = eta(3, 0), eta(0, 3), eta(2, 1), eta(1, 2)
    a, b = n30 + n12, n21 + n03
    invariants = np.array(
        [
            n20 + n02,
            (n20 - n02) ** 2 + 4 * n11**2,
            (n30 - 3 * n12) ** 2 + (3 * n21 - n03) ** 2,
            a**2 + b**2,
            (n30 - 3 * n12) * a * (a**2 - 3 * b**2) + (3 * n21 - n03) * b * (3 * a**2 - b**2),
            (n20 - n02) * (a**2 - b**2) + 4 * n11 * a * b,
        ]
    )
    return np.asarray(np.sign(invariants) * np.log10(1 + np.abs(invariants) * 1e6) / 6)


def _reach(ys: NDArray[np.int64], xs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fourier strengths 1 to 16 of the centre-to-outline distance over 64 directions, free of turning and size."""
    if len(ys) == 0:
        return np.zeros(16)
    y, x = ys - ys.mean(), xs - xs.mean()
    direction = ((np.arctan2(y, x) / (2 * np.pi) % 1.0) * 64).astype(np.int64) % 64
    farthest = np.zeros(64)
    np.maximum.at(farthest, direction, np.hypot(y, x))
    strengths = np.abs(np.fft.rfft(farthest))
    return np.asarray(strengths[1:17] / max(float(strengths[0]), 1e-9))
