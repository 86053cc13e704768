"""Old paper for the demo plates: laid lines, fibres, browned edges, foxing, and the dent of the copper plate.

The grounds are made once for a size and reused, turned and shifted; only the foxing is set for each plate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

GROUNDS = ((247, 240, 222), (243, 233, 208), (238, 226, 198), (249, 244, 231))


def _cloud(rng: Generator, wide: int, high: int, cells: int) -> NDArray[np.float32]:
    """Soft noise in -1..1, shape (high, wide), with about `cells` blots across."""
    coarse = rng.integers(0, 256, (max(2, cells * high // wide), cells), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((wide, high), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32) / 127.5 - 1.0


@lru_cache(maxsize=8)
def _ground(index: int, wide: int, high: int) -> Image.Image:
    """One sheet of laid paper without foxing."""
    rng = np.random.default_rng((7, index))
    tone = 2.6 * _cloud(rng, wide, high, 5) + 1.6 * _cloud(rng, wide, high, 40)
    tone += rng.normal(0.0, 1.5, (high, wide)).astype(np.float32)
    step = wide / 720
    tone += (0.9 * np.sin(np.arange(high) * 2 * np.pi / (3.4 * step)))[:, None].astype(np.float32)
    chain = np.abs(((np.arange(wide) + rng.integers(60)) % (62 * step)) - 31 * step)
    tone -= (2.2 * np.exp(-((chain / (1.3 * step)) ** 2)))[None, :].astype(np.float32)
    across, down = np.linspace(-1, 1, wide)[None, :], np.linspace(-1, 1, high)[:, None]
    rim = np.maximum(np.abs(across), np.abs(down) * 1.01) ** 14
    stain = np.clip(_cloud(rng, wide, high, 3), 0.15, 1.0) * 5.0
    browned = (rim * 26 + stain).astype(np.float32)
    base = np.array(GROUNDS[index], dtype=np.float32)
    colour = base + tone[:, :, None] - browned[:, :, None] * np.array([0.7, 1.0, 1.5], dtype=np.float32)
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


@lru_cache(maxsize=4)
def granulation(wide: int, high: int) -> Image.Image:
    """A dark grain to be screened over washes: it lets a little paper through, unevenly, as dried pigment does."""
    rng = np.random.default_rng(31)
    grain = 9 + 7 * _cloud(rng, wide, high, 90) + rng.normal(0, 4.5, (high, wide))
    return Image.fromarray(np.clip(grain, 0, 40).astype(np.uint8)).convert("RGB")


def sheet_of_paper(wide: int, high: int, rng: Generator) -> Image.Image:
    """A sheet with its own foxing, RGB, of the given size in pixels."""
    paper = _ground(int(rng.integers(len(GROUNDS))), wide, high)
    if rng.random() < 0.5:
        paper = paper.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        paper = paper.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    paper = paper.copy()
    for _ in range(int(rng.poisson(7))):
        _fox(paper, rng)
    return paper


def _fox(paper: Image.Image, rng: Generator) -> None:
    """One rust-coloured spot with a soft edge, more often near the margins."""
    wide, high = paper.size
    across, down = rng.beta(0.6, 0.6), rng.beta(0.7, 0.7)
    radius = float(wide * rng.uniform(0.002, 0.011))
    size = int(radius * 5) + 5
    blob = Image.new("L", (size, size))
    middle = size / 2
    for _ in range(3):
        x, y, r = (
            middle + rng.normal(0, radius * 0.5),
            middle + rng.normal(0, radius * 0.5),
            radius * rng.uniform(0.5, 1),
        )
        ImageDraw.Draw(blob).ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(28, 74)))
    blob = blob.filter(ImageFilter.GaussianBlur(radius * 0.7 + 0.6))
    paper.paste((168, 116, 62), (int(across * wide - middle), int(down * high - middle)), blob)
