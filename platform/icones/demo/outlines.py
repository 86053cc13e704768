"""The shapes of leaf blades, as half outlines in local coordinates.

A half outline runs from the base (0, 0) to the apex (0, 1) along the right-hand margin, x to the right and y along the
midrib; the blade is its mirror image on the left. Proportions follow the characters that floras key on: position of the
widest part, number and depth of lobes, kind of teeth. This file draws nothing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icones.demo.engraving import Points, normals, resampled, smooth

MARGIN_POINTS = 220


def spline(*control: tuple[float, float]) -> Points:
    """A smooth half outline through control points."""
    return resampled(smooth(np.array(control, dtype=np.float64)), MARGIN_POINTS)


def arcs(vertices: list[tuple[float, float]], sag: float) -> Points:
    """A half outline of arcs between sharp vertices; positive `sag` hollows each arc by that share of its chord."""
    line = []
    t = np.linspace(0.0, 1.0, 10, endpoint=False)[:, None]
    centre = np.array([0.0, 0.35])
    for start, end in pairwise(vertices):
        a, b = np.array(start), np.array(end)
        middle = (a + b) / 2
        inward = centre - middle
        inward /= np.hypot(*inward) + 1e-9
        knee = middle + inward * sag * float(np.hypot(*(b - a)))
        line.append((1 - t) ** 2 * a + 2 * (1 - t) * t * knee + t**2 * b)
    line.append(np.array([vertices[-1]]))
    return resampled(np.vstack(line), MARGIN_POINTS)


def toothed(half: Points, count: float, depth: float, kind: str = "serrate") -> Points:
    """A half outline with `count` teeth of height `depth` set on it: serrate, double, crenate or entire."""
    along = np.linspace(0.0, 1.0, len(half))
    phase = along * count
    if kind == "entire":
        return half
    if kind == "crenate":
        height = np.abs(np.sin(np.pi * phase))
    else:
        height = phase % 1.0
        if kind == "double":
            height = 0.65 * height + 0.5 * ((phase * 3.0) % 1.0)
    fade = np.minimum(1.0, np.minimum(along / 0.06, (1.0 - along) / 0.05))
    return half + normals(half) * (depth * height * fade)[:, None]


def oak_half(rng: Generator, sessile: bool) -> Points:
    """Quercus: rounded lobes. Pedunculate oak is widest far above the middle, with ears at the base and few, deep,
    uneven lobes; sessile oak is widest near the middle, wedge-shaped at the base, with more, shallower, even lobes."""
    t = np.linspace(0.0, 1.0, MARGIN_POINTS)
    lobes = rng.uniform(5.4, 6.4) if sessile else rng.uniform(4.4, 5.3)
    depth = rng.uniform(0.24, 0.34) if sessile else rng.uniform(0.42, 0.54)
    rise, fall = (1.05, 0.72) if sessile else (0.86, 0.46)
    envelope = (t**rise) * ((1 - t) ** fall)
    envelope *= (0.31 if sessile else 0.33) / envelope.max()
    phase = lobes * t ** (0.95 if sessile else 0.88)
    uneven = 1.0 if sessile else 1.0 + 0.16 * np.sin(phase * 2.3 + rng.uniform(0, 6))
    lobe = 0.5 + 0.5 * np.cos(2 * np.pi * (phase - lobes))
    lobe = lobe ** (0.6 if sessile else 0.36)
    width = envelope * (1 - depth * (1 - lobe)) * uneven
    if not sessile:
        width = width + 0.055 * np.exp(-(((t - 0.025) / 0.022) ** 2))
    width[0] = width[-1] = 0.0
    forward = 0.05 * lobe * np.sin(np.pi * t)
    return np.column_stack((width, t + forward))


def norway_maple_half(rng: Generator) -> Points:
    """Acer platanoides: five lobes with few, long, drawn-out teeth and rounded sinuses between them."""
    vertices = [
        (0.0, 0.0), (0.12, -0.06), (0.40, -0.02), (0.64, 0.08), (0.57, 0.26), (0.34, 0.29), (0.66, 0.42),
        (0.71, 0.70), (0.39, 0.74), (0.14, 0.51), (0.24, 0.80), (0.0, 1.06),
    ]  # fmt: skip
    moved = [(x + rng.normal(0, 0.012), y + rng.normal(0, 0.012)) for x, y in vertices[1:-1]]
    return arcs([vertices[0], *moved, vertices[-1]], 0.27)


def sycamore_half(rng: Generator) -> Points:
    """Acer pseudoplatanus: five broad, blunt lobes, coarsely toothed all round, with narrow sharp sinuses."""
    basal = smooth(np.array([(0.0, 0.0), (0.16, -0.09), (0.38, -0.07), (0.53, 0.04), (0.55, 0.17), (0.44, 0.27)]))
    lateral = smooth(np.array([(0.44, 0.27), (0.57, 0.36), (0.63, 0.52), (0.57, 0.69), (0.37, 0.65), (0.20, 0.53)]))
    central = smooth(np.array([(0.20, 0.53), (0.25, 0.66), (0.21, 0.80), (0.10, 0.93), (0.0, 1.0)]))
    half = resampled(np.vstack((basal, lateral, central)) * [rng.uniform(0.95, 1.05), 1.0], MARGIN_POINTS)
    return toothed(half, int(rng.integers(19, 24)), 0.026)


def birch_half(rng: Generator) -> Points:
    """Betula pendula: triangular to rhombic, long-pointed, doubly toothed."""
    wide = rng.uniform(0.33, 0.39)
    half = spline((0, 0), (wide * 0.55, 0.03), (wide, 0.20), (wide * 0.78, 0.42), (wide * 0.36, 0.70),
                  (wide * 0.10, 0.90), (0, 1.0))  # fmt: skip
    return toothed(half, int(rng.integers(9, 12)), 0.034, "double")


def lime_half(rng: Generator) -> Points:
    """Tilia cordata: heart-shaped with a small drawn-out point and fine, regular teeth."""
    wide = rng.uniform(0.46, 0.52)
    half = spline((0, 0), (wide * 0.35, -0.11), (wide * 0.80, -0.04), (wide, 0.20), (wide * 0.88, 0.46),
                  (wide * 0.55, 0.70), (wide * 0.18, 0.86), (0.012, 0.95), (0, 1.0))  # fmt: skip
    return toothed(half, int(rng.integers(24, 30)), 0.018)


def holly_half(rng: Generator) -> Points:
    """Ilex aquifolium: elliptic, with a wavy margin drawn out into a few strong spines."""
    spines = int(rng.integers(5, 8))
    wide = rng.uniform(0.24, 0.29)
    vertices = [(0.0, 0.0)]
    for i in range(spines):
        t = (i + 0.75) / (spines + 0.35)
        envelope = wide * (np.sin(np.pi * min(1.0, t * 0.97 + 0.03)) ** 0.55)
        vertices.append((envelope + rng.normal(0, 0.012), t + 0.035))
    vertices.append((0.0, 1.04))
    return arcs(vertices, 0.36)


def tulip_tree_half(rng: Generator) -> Points:
    """Liriodendron tulipifera: four lobes and an apex that looks cut off, with a shallow notch."""
    low = smooth(np.array([(0.0, 0.0), (0.14, -0.03), (0.34, 0.03), (0.45, 0.15), (0.49, 0.30), (0.56, 0.42)]))
    side = smooth(np.array([(0.56, 0.42), (0.44, 0.48), (0.32, 0.55), (0.27, 0.64), (0.29, 0.76), (0.36, 0.93)]))
    top = smooth(np.array([(0.36, 0.93), (0.22, 0.91), (0.10, 0.87), (0.0, 0.80 + rng.uniform(-0.02, 0.03))]))
    return resampled(np.vstack((low, side, top)) * [rng.uniform(0.94, 1.06), 1.0], MARGIN_POINTS)


def leaflet_half(rng: Generator, horse_chestnut: bool) -> Points:
    """One leaflet: of Aesculus, broadest far above the middle and doubly toothed; of Fraxinus, lance-shaped."""
    if horse_chestnut:
        wide = rng.uniform(0.17, 0.20)
        half = spline((0, 0), (wide * 0.25, 0.18), (wide * 0.72, 0.48), (wide, 0.72), (wide * 0.72, 0.87),
                      (wide * 0.16, 0.96), (0, 1.0))  # fmt: skip
        return toothed(half, 22, 0.011, "double")
    wide = rng.uniform(0.17, 0.20)
    half = spline((0, 0), (wide * 0.55, 0.10), (wide, 0.36), (wide * 0.80, 0.62), (wide * 0.28, 0.88), (0, 1.0))
    return toothed(half, 13, 0.014)


def whole(half: Points, bend: float = 0.0, skew: float = 0.0) -> tuple[Points, Points]:
    """Both margins, right and left, base to apex, bent along the midrib; `skew` widens one side, narrows the other."""
    sides = []
    for sign in (1.0, -1.0):
        side = half * [sign * (1.0 + sign * skew), 1.0]
        sides.append(bent(side, bend))
    return sides[0], sides[1]


def bent(points: Points, bend: float) -> Points:
    """Points moved sideways by the curve of the midrib, x = bend * y²."""
    shift: NDArray[np.float64] = np.column_stack((bend * points[:, 1] ** 2, np.zeros(len(points))))
    return points + shift
