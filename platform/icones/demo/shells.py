"""Draws shells of three classes of molluscs: snails, bivalves and the nautilus.

Each class comes in several forms (a tower, a banded globe and a periwinkle; scallop, cockle and mussel; the nautilus
whole and in section), because a plate named only to class shows exactly that variety. It draws no lettering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from icones.demo.engraving import (
    INK,
    Colour,
    Points,
    Pose,
    Sheet,
    Wash,
    ellipse,
    jittered_wash,
    mixed,
    smooth,
)
from icones.demo.leaves import Box


@dataclass(frozen=True)
class Spire:
    """A coiled shell in side view, apex up: whorls, how fast they grow, the cone they lie on, and the last whorl."""

    whorls: int
    growth: float
    radius: float
    height: float
    last: float
    bulge: float
    swell: float
    mouth: tuple[float, float, float, float, float]
    wash: Wash
    bands: tuple[tuple[float, float], ...] = ()
    ridges: int = 7
    inside: Colour = (120, 84, 60)
    lip: Colour = (236, 222, 196)


ACROSS = np.linspace(np.pi, 0.0, 26)


def _contour(radius: float, y: float, sag: float = 0.2, tilt: float = 0.14) -> Points:
    """A turn of the coil seen from the front, left to right: it dips towards the viewer and runs down to the right."""
    x = radius * np.cos(ACROSS)
    return np.column_stack((x, y - sag * radius * np.sin(ACROSS) - tilt * x))


def _whorl(spire: Spire, index: int, f: float) -> Points:
    """The contour at share f (0 upper suture, 1 lower) of one whorl; the last index is the body whorl."""
    top = spire.height
    if index == spire.whorls:
        profile = spire.swell * np.sqrt(max(0.03, 1.0 - ((f - 0.36) / 0.68) ** 2))
        return _contour(spire.radius * float(profile), -f * spire.last)
    upper = spire.radius * spire.growth ** (spire.whorls - index) if index else 0.0
    lower = spire.radius * spire.growth ** (spire.whorls - index - 1)
    radius = upper + (lower - upper) * f + spire.bulge * lower * np.sin(np.pi * f)
    y = top - top * (upper + (lower - upper) * f) / spire.radius
    return _contour(float(radius), float(y))


def draw_spire(sheet: Sheet, pose: Pose, spire: Spire, rng: Generator) -> None:
    """The coiled shell: whorls from the apex down, each washed, banded and ruled, then the mouth."""
    wash = jittered_wash(spire.wash, rng, 9)
    for index in range(spire.whorls + 1):
        shares = np.linspace(0, 1, 18)
        contours = [_whorl(spire, index, float(f)) for f in shares]
        left, right = np.array([c[0] for c in contours]), np.array([c[-1] for c in contours])
        outline = pose.place(np.vstack((contours[0], right, contours[-1][::-1], left[::-1])))
        sheet.wash(outline, wash, rng)
        with sheet.within(outline):
            _bands(sheet, pose, spire, index, rng)
            _rulings(sheet, pose, spire, index, wash)
        sheet.line(outline, 1.0, mixed(wash.deep, INK, 0.8), closed=True)
    _mouth(sheet, pose, spire, rng)


def _bands(sheet: Sheet, pose: Pose, spire: Spire, index: int, rng: Generator) -> None:
    """Coloured spiral bands; the upper whorls show only those above the next suture."""
    for start, end in spire.bands:
        if index < spire.whorls:
            start, end = start * 2.0 + 0.1, end * 2.0 + 0.1
            if start > 0.95:
                continue
        ribbon = np.vstack((_whorl(spire, index, start), _whorl(spire, index, min(1.0, end))[::-1]))
        sheet.wash(pose.place(ribbon), Wash((128, 82, 56), (74, 42, 30)), rng)


def _rulings(sheet: Sheet, pose: Pose, spire: Spire, index: int, wash: Wash) -> None:
    """Spiral ridges as engraved lines, carried round only on the side in shade, and growth lines across them."""
    dark = mixed(wash.deep, INK, 0.45)
    dense = spire.ridges * (3 if index == spire.whorls else 1)
    for k, f in enumerate(np.linspace(0.06, 0.97, dense)):
        curve = _whorl(spire, index, float(f))
        begin = 15 if k % 2 else 11
        sheet.line(pose.place(curve[begin:]), 0.8, dark)
        if k % 3 == 0:
            sheet.line(pose.place(curve[:5]), 0.6, dark)
    lines = [_whorl(spire, index, float(f)) for f in np.linspace(0.0, 1.0, 7)]
    for column in range(2, 25, 2):
        growth = np.array([line[max(0, column - k // 3)] for k, line in enumerate(lines)])
        sheet.line(pose.place(growth), 0.5, mixed(wash.light, dark, 0.42))


def _mouth(sheet: Sheet, pose: Pose, spire: Spire, rng: Generator) -> None:
    """The aperture: a pale lip around a dark throat."""
    x, y, rx, ry, turn = spire.mouth
    oval = ellipse(0, 0, rx, ry)
    oval[:, 0] *= 1 - 0.35 * np.clip(oval[:, 1] / ry, 0, 1)
    part = pose.moved(x, y, 1.0, turn)
    sheet.wash(part.place(oval * 1.16), Wash(spire.lip, mixed(spire.lip, (150, 110, 80), 0.55)), rng)
    sheet.line(part.place(oval * 1.16), 1.1, INK, closed=True)
    sheet.wash(
        part.place(oval),
        Wash(mixed(spire.inside, (255, 240, 220), 0.3), mixed(spire.inside, INK, 0.55), shade=-0.8),
        rng,
    )
    with sheet.within(part.place(oval)):
        for k in range(9):
            arc = oval[:21] * [1.0 - 0.08 * k, 1.0 - 0.03 * k]
            sheet.line(part.place(arc), 0.6, mixed(spire.inside, INK, 0.6))
    sheet.line(part.place(oval), 0.9, INK, closed=True)


def _tower(rng: Generator) -> Spire:
    wash = Wash((222, 190, 142), (156, 108, 70))
    return Spire(
        int(rng.integers(9, 13)), 0.855, 0.17, 1.0, 0.20, 0.09, 1.05, (0.075, -0.10, 0.075, 0.09, 0.3), wash, (), 4
    )


def _globe(rng: Generator) -> Spire:
    grounds = (
        Wash((238, 214, 116), (200, 156, 62)),
        Wash((228, 176, 146), (176, 112, 88)),
        Wash((206, 178, 136), (140, 104, 70)),
    )
    sets: tuple[tuple[tuple[float, float], ...], ...] = (
        (),
        ((0.36, 0.44),),
        ((0.12, 0.16), (0.23, 0.27), (0.36, 0.44), (0.52, 0.60), (0.68, 0.76)),
        ((0.36, 0.44), (0.52, 0.62)),
    )
    ground, bands = grounds[int(rng.integers(3))], sets[int(rng.integers(4))]
    mouth = (0.20, -0.36, 0.20, 0.185, 0.75)
    return Spire(4, 0.6, 0.40, 0.40, 0.60, 0.09, 1.22, mouth, ground, bands, 4, (168, 130, 100), (112, 74, 54))


def _periwinkle(rng: Generator) -> Spire:
    grounds = (Wash((150, 138, 120), (78, 70, 64)), Wash((160, 122, 90), (92, 60, 44)))
    mouth = (0.15, -0.36, 0.165, 0.225, 0.3)
    return Spire(
        5,
        0.6,
        0.33,
        0.52,
        0.64,
        0.06,
        1.16,
        mouth,
        grounds[int(rng.integers(2))],
        (),
        6,
        (104, 70, 52),
        (238, 230, 214),
    )


def snail(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Gastropoda: a towering screw shell, a banded land snail or a periwinkle."""
    form = (_tower, _globe, _periwinkle)[int(rng.integers(3))]
    spire = form(rng)
    tall = spire.height + spire.last
    scale = 1.0 / tall
    draw_spire(sheet, pose.moved(0.0, 0.5 - spire.height * scale, scale), spire, rng)


def _fan_rim(spread: float, ribs: int, ripple: float, roundness: float) -> Points:
    """The lower edge of a ribbed valve in polar form around the beak, left to right, the beak at the origin."""
    a = np.linspace(-spread, spread, ribs * 10 + 1)
    waves = ripple * np.cos(np.pi * ribs * (a + spread) / spread)
    radius = (1 - roundness) + roundness * np.cos(a * 1.15) + waves
    return np.column_stack((np.sin(a) * radius, -np.cos(a) * radius))


def _ribbed(sheet: Sheet, pose: Pose, rim: Points, ribs: int, wash: Wash, rng: Generator) -> None:
    """A valve with ribs fanning from its beak, banded by its years of growth."""
    outline = pose.place(np.vstack(([[0.0, 0.0]], rim)))
    sheet.wash(outline, wash, rng)
    with sheet.within(outline):
        for share in sorted(rng.uniform(0.35, 0.95, 4), reverse=True):
            zone = rim * (share + 0.03)
            tone = mixed(wash.light, wash.deep, rng.uniform(0.5, 1.0))
            sheet.wash(
                pose.place(np.vstack((zone, (rim * share)[::-1]))), Wash(mixed(tone, wash.light, 0.3), tone), rng
            )
        dark = mixed(wash.deep, INK, 0.45)
        for k in range(ribs + 1):
            foot = rim[min(len(rim) - 1, k * 10)]
            nearby = rim[min(len(rim) - 1, k * 10 + 3)]
            sheet.stroke(pose.place(np.linspace(foot * 0.06, foot, 8)), 0.6, 2.4, dark)
            sheet.line(pose.place(np.linspace(nearby * 0.12, nearby, 6)), 0.7, mixed(wash.deep, dark, 0.5))
            crest = rim[min(len(rim) - 1, k * 10 + 6)]
            sheet.stroke(
                pose.place(np.linspace(crest * 0.1, crest * 0.99, 8)), 0.4, 1.6, mixed(wash.light, (255, 252, 240), 0.5)
            )
        for share in np.linspace(0.25, 0.97, 15):
            sheet.line(pose.place(rim * share), 0.5, mixed(wash.light, dark, 0.6))
    sheet.line(outline, 1.2, INK, closed=True)


def _scallop(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    wash = jittered_wash(
        (Wash((236, 178, 140), (178, 92, 66)), Wash((232, 206, 164), (176, 120, 84)))[int(rng.integers(2))], rng, 9
    )
    for side in (-1.0, 1.0):
        ear = np.array([(0.0, 0.03), (0.30 * side, 0.02), (0.27 * side, -0.16), (0.30 * side, -0.30), (0.0, -0.10)])
        sheet.wash(pose.place(ear), wash, rng)
        for y in (-0.03, -0.08, -0.13, -0.18):
            sheet.line(pose.place(np.array([(0.02 * side, y * 0.5), (0.27 * side, y)])), 0.7, wash.deep)
        sheet.line(pose.place(ear), 1.1, INK, closed=True)
    ribs = int(rng.integers(13, 17))
    _ribbed(sheet, pose, _fan_rim(1.06, ribs, 0.014, 0.36), ribs, wash, rng)


def _cockle(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    wash = jittered_wash(Wash((240, 222, 178), (184, 142, 92)), rng, 8)
    ribs = int(rng.integers(22, 27))
    rim = _fan_rim(1.32, ribs, 0.008, 0.5) * [1.02, 0.95]
    _ribbed(sheet, pose, rim, ribs, wash, rng)
    beak = ellipse(0.0, -0.035, 0.085, 0.06)
    sheet.wash(pose.place(beak), wash, rng)
    sheet.line(pose.place(beak[20:]), 1.0, INK)


def _mussel(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    wash = jittered_wash(Wash((112, 118, 150), (38, 40, 66), mottle=0.3), rng, 7)
    control = [(0, 0), (0.17, -0.16), (0.30, -0.48), (0.27, -0.84)]
    control += [(0.06, -1.0), (-0.14, -0.90), (-0.19, -0.55), (-0.09, -0.18)]
    ring = smooth(np.array(control), closed=True)
    sheet.wash(pose.place(ring), wash, rng)
    with sheet.within(pose.place(ring)):
        for share in np.linspace(0.2, 0.97, 22):
            tone = mixed(wash.light, wash.deep, 0.9) if rng.random() < 0.6 else mixed(wash.light, (206, 196, 180), 0.35)
            sheet.line(pose.place(ring * share), 0.8, tone, closed=True)
        shine = np.column_stack((0.08 + 0.10 * np.sin(np.linspace(0.3, 2.6, 12)), np.linspace(-0.2, -0.8, 12)))
        sheet.stroke(pose.place(shine), 1.0, 5.0, mixed(wash.light, (230, 230, 240), 0.45))
    sheet.line(pose.place(ring), 1.2, INK, closed=True)


def bivalve(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Bivalvia: a scallop, a cockle or a mussel, beak up."""
    form = (_scallop, _cockle, _mussel)[int(rng.integers(3))]
    form(sheet, pose.moved(0.0, 0.46, 0.94), rng)


COIL = float(np.log(3.0) / (2 * np.pi))


def _coil(theta: Points) -> Points:
    """The nautilus spiral, tripling in radius each turn; radius 1 at angle 0 (to the right), angles growing upwards."""
    radius = np.exp(COIL * theta)
    return np.column_stack((radius * np.cos(theta), radius * np.sin(theta)))


def nautilus(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Cephalopoda: the shell of a nautilus, whole with its flames, or sawn through to show its chambers."""
    part = pose.moved(-0.12, 0.08, 0.58, rng.uniform(-0.25, 0.35))
    outer = _coil(np.linspace(-2 * np.pi, 0.0, 120))
    lip = np.linspace(0, 1, 16)[:, None]
    across = outer[-1] * (1 - lip) + outer[0] * lip + np.sin(lip**0.8 * np.pi) * [0.04, 0.2]
    shell = np.vstack((outer, across))
    ground = jittered_wash(Wash((246, 236, 212), (208, 182, 142)), rng, 6)
    sheet.wash(part.place(shell), ground, rng)
    with sheet.within(part.place(shell)):
        if rng.random() < 0.5:
            _chambers(sheet, part, rng)
        else:
            _flames(sheet, part, rng)
    sheet.line(part.place(shell), 1.4, INK, closed=True)


def _flames(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Rusty stripes that run inwards from the back of the shell, and the growth lines of its mouth."""
    rust = jittered_wash(Wash((206, 120, 66), (146, 66, 34)), rng, 8)
    for theta in np.linspace(-6.2, -1.7, int(rng.integers(17, 24))):
        inward = np.linspace(1.0, rng.uniform(0.42, 0.6), 8)
        sweep = theta - 0.55 * (1 - inward) + rng.normal(0, 0.02)
        half = np.linspace(0.085, 0.012, 8) * rng.uniform(0.7, 1.2)
        edge = [_coil(sweep + s * half) * inward[:, None] for s in (1.0, -1.0)]
        sheet.wash(pose.place(np.vstack((edge[0], edge[1][::-1]))), rust, rng)
    for theta in np.linspace(-6.0, -0.05, 60):
        inward = np.linspace(1.0, 0.36, 7)
        line = _coil(theta - 0.55 * (1 - inward)) * inward[:, None]
        sheet.line(pose.place(line), 0.5, (164, 138, 106))
    navel = _coil(np.linspace(-2 * np.pi - 4.2, -2 * np.pi + 0.35, 50))
    sheet.stroke(pose.place(navel), 1.0, 3.4, (92, 66, 48))


def _chambers(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """The section: walls bowed backwards between the turns, pierced by the siphuncle; the last third is open."""
    pearl = Wash((238, 226, 206), (178, 158, 134))
    count = int(rng.integers(26, 33))
    thetas = np.linspace(-11.5, -2.3, count)
    across = np.linspace(0, 1, 12)[:, None]
    walls = []
    for theta in thetas:
        out, deep = _coil(np.array([theta])), _coil(np.array([theta - 2 * np.pi]))
        back = _coil(np.array([theta - 0.62])) - out
        walls.append(deep * (1 - across) + out * across + np.sin(np.pi * across) * back * 0.36)
    for one, two in pairwise(walls):
        sheet.wash(pose.place(np.vstack((one, two[::-1]))), pearl, rng)
    for wall in walls:
        sheet.line(pose.place(wall), 1.5, (104, 78, 58))
    sheet.line(pose.place(np.array([wall[6] for wall in walls])), 1.3, (140, 96, 66))
    spiral = _coil(np.linspace(-18.0, 0.0, 240))
    sheet.stroke(pose.place(spiral), 0.8, 4.0, (112, 84, 60))


SHELL_KINDS: dict[str, tuple[Callable[[Sheet, Pose, Generator], None], float]] = {
    # Q-id: drawing function, width as a share of the height (every form stands in a unit square)
    "Q4867740": (snail, 0.8),
    "Q25368": (bivalve, 1.2),
    "Q128257": (nautilus, 1.0),
}


def draw_shell_figure(sheet: Sheet, qid: str, box: Box, rng: Generator) -> None:
    """Fill a box with one shell, or with two or three of different size and turn."""
    draw, breadth = SHELL_KINDS[qid]
    x, y, wide, high = box
    count = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    spots = {
        1: ((0.5, 0.5, 0.94),),
        2: ((0.40, 0.30, 0.60), (0.60, 0.77, 0.46)),
        3: ((0.5, 0.27, 0.52), (0.27, 0.76, 0.44), (0.74, 0.76, 0.44)),
    }[count]
    for across, down, share in spots:
        room = wide if count < 3 or share > 0.5 else wide * 0.5
        scale = min(high * share, room * 0.94 / breadth) * rng.uniform(0.86, 1.0)
        turn = rng.normal(0, 0.14) if count > 1 else rng.normal(0, 0.08)
        centre = Pose(x + wide * (across if room == wide * 0.5 or count > 1 else 0.5), y + high * down, scale, turn)
        draw(sheet, centre, rng)
