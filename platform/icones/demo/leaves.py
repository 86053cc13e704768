"""Draws leaves of eleven trees as a botanical plate would: blade, veins and stalk, with a twig and often a fruit.

Every function draws into a box of a sheet and takes its variation from the generator it is given. It draws no
lettering: a caption would tell a model the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from icones.demo import fruits
from icones.demo.engraving import INK, Colour, Points, Pose, Sheet, Wash, jittered_wash, mixed
from icones.demo.outlines import (
    bent,
    birch_half,
    holly_half,
    leaflet_half,
    lime_half,
    norway_maple_half,
    oak_half,
    sycamore_half,
    tulip_tree_half,
    whole,
)

Box = tuple[float, float, float, float]
"""Left, top, width and height in canvas pixels."""

TWIG = Wash((150, 120, 92), (84, 62, 46))


@dataclass(frozen=True)
class LeafKind:
    """How one species' leaf looks: its blade, colours, veins, stalk, fruit and proportions."""

    blade: Callable[[Sheet, Pose, Generator, LeafKind, Wash], None]
    washes: tuple[Wash, ...]
    petiole: float
    half: Callable[[Generator], Points] | None = None
    veins: int = 6
    vein_angle: float = 0.85
    breadth: float = 0.8
    fruit: Callable[[Sheet, Pose, Generator], None] | None = None
    petiole_colour: Colour = (120, 128, 70)
    palmate: tuple[tuple[float, float], ...] = ()


def draw_leaf_figure(sheet: Sheet, kind: LeafKind, box: Box, rng: Generator) -> None:
    """Fill a box with one of three arrangements: a single leaf, an upper and an under side, or a leafy twig."""
    wash = jittered_wash(kind.washes[int(rng.integers(len(kind.washes)))], rng, 7)
    arrangement = rng.choice(["single", "pair", "twig"], p=[0.34, 0.33, 0.33])
    if arrangement == "twig":
        _twig(sheet, kind, box, rng, wash)
        return
    x, y, wide, high = box
    both = arrangement == "pair"
    share = 0.66 if both else 0.94
    scale = min(high * share / (1.04 + kind.petiole), wide * (0.62 if both else 0.92) / kind.breadth)
    angle = rng.uniform(-0.22, 0.22)
    centre = x + wide * (0.36 if both else 0.5), y + high * (0.38 if both else 0.48)
    pose = _centred(centre, scale, angle, kind, bool(rng.integers(2)))
    if both:
        second = scale * rng.uniform(0.62, 0.74)
        lower = (x + wide * 0.68, y + high * 0.69)
        under = Wash(mixed(wash.light, (222, 222, 190), 0.5), mixed(wash.deep, (190, 196, 150), 0.45))
        _leaf(sheet, _centred(lower, second, rng.uniform(0.15, 0.55), kind, bool(rng.integers(2))), kind, rng, under)
    _leaf(sheet, pose, kind, rng, wash)
    if kind.fruit is not None and (both or rng.random() < 0.5):
        spot = Pose(x + wide * rng.uniform(0.12, 0.2), y + high * 0.84, min(wide, high) * 0.2, rng.uniform(-0.3, 0.3))
        kind.fruit(sheet, spot, rng)


def _centred(centre: tuple[float, float], scale: float, angle: float, kind: LeafKind, mirror: bool) -> Pose:
    """The pose whose leaf, stalk included, lies around `centre`."""
    middle = (1.0 - kind.petiole) / 2
    x = centre[0] - scale * middle * np.sin(angle)
    y = centre[1] + scale * middle * np.cos(angle)
    return Pose(float(x), float(y), scale, angle, mirror)


def _leaf(sheet: Sheet, pose: Pose, kind: LeafKind, rng: Generator, wash: Wash) -> None:
    """Stalk first, then the blade over its upper end."""
    down = np.linspace(-0.02, 1.04, 12)
    stalk = np.column_stack((0.07 * kind.petiole * np.sin(down * 3.0), -kind.petiole * down))
    placed = pose.place(stalk)
    sheet.stroke(placed, 4.2, 6.4, INK)
    sheet.stroke(placed, 2.4, 4.4, kind.petiole_colour)
    kind.blade(sheet, pose, rng, kind, wash)


def _twig(sheet: Sheet, kind: LeafKind, box: Box, rng: Generator, wash: Wash) -> None:
    """A twig rising through the box, with leaves set alternately along it and fruit near its foot."""
    x, y, wide, high = box
    flip = -1.0 if rng.integers(2) else 1.0
    t = np.linspace(0, 1, 30)
    sway = rng.uniform(0.05, 0.12)
    stem = np.column_stack(
        (x + wide * (0.5 + flip * sway * (t * 2.2 - 1.1 - np.sin(t * 3) * 0.5)), y + high * (0.98 - 0.55 * t))
    )
    sheet.stroke(stem, 10.0, 4.0, INK)
    sheet.stroke(stem, 7.6, 2.4, TWIG.light)
    scale = min(high * 0.47 / (1 + kind.petiole), wide * 0.43 / kind.breadth, wide * 0.5 / (1 + kind.petiole))
    stations = [(0.30, flip, 1.15), (0.55, -flip, 1.0), (0.80, flip, 0.75), (1.0, -flip * 0.1, 0.0)]
    if rng.random() < 0.35:
        stations.pop(int(rng.integers(0, 3)))
    for at, side, spread in stations:
        foot = stem[min(29, int(at * 29))]
        angle = side * spread + rng.normal(0, 0.08)
        size = scale * rng.uniform(0.86, 1.04)
        reach = size * kind.petiole
        pose = Pose(foot[0] + reach * np.sin(angle), foot[1] - reach * np.cos(angle), size, angle, side < 0)
        _leaf(sheet, pose, kind, rng, wash)
    if kind.fruit is not None and rng.random() < 0.75:
        foot = stem[4]
        kind.fruit(
            sheet, Pose(foot[0] - flip * wide * 0.12, foot[1] - high * 0.04, min(wide, high) * 0.17, 0.2 * flip), rng
        )


def _veined(sheet: Sheet, pose: Pose, margins: tuple[Points, Points], kind: LeafKind, wash: Wash, bend: float) -> None:
    """Midrib, side veins ending at the margin, and the fine hatching of the engraver between them."""
    pale, dark = mixed(wash.light, (250, 248, 214), 0.45), mixed(wash.deep, INK, 0.45)
    length = float(margins[0][-1, 1])
    _tint(sheet, pose, margins[0], mixed(wash.deep, INK, 0.12))
    for side in margins:
        for start in np.linspace(0.06, 0.86 * length, kind.veins):
            base = np.array([bend * start**2, start])
            reach = start + kind.vein_angle * 0.34 * (1 - start * 0.55)
            end = side[int(np.argmin(np.abs(side[:, 1] - reach)))]
            curve = _curve(base, (base + end) / 2 + [0.0, -0.018], base + (end - base) * 0.95, 26)
            _hatch(sheet, pose, curve, mixed(wash.deep, dark, 0.15))
            placed = pose.place(curve)
            sheet.line(placed + np.array([0.0, 1.6 * sheet.unit]), 0.8, dark)
            sheet.stroke(placed, 1.9, 0.7, pale)
    rib = bent(np.column_stack((np.zeros(24), np.linspace(-0.01, 0.97 * length, 24))), bend)
    sheet.stroke(pose.place(rib), 4.6, 1.2, dark)
    sheet.stroke(pose.place(rib), 2.8, 0.5, pale)


def _tint(sheet: Sheet, pose: Pose, margin: Points, colour: Colour) -> None:
    """Fine parallel lines over the half of the blade that lies in shade."""
    slope = 0.72 * np.sign(margin[:, 0].sum())
    for start in np.arange(-0.5, 1.0, 0.022):
        above = margin[:, 1] - start - slope * margin[:, 0] > 0
        crossings = np.flatnonzero(above[1:] != above[:-1])
        if len(crossings) == 0:
            continue
        end = margin[crossings[-1]]
        root = np.array([0.0, start]) if 0 < start < margin[-1, 1] else margin[crossings[0]]
        sheet.line(pose.place(np.array([root, end])), 0.5, colour)


def _curve(a: Points, knee: Points, b: Points, count: int = 12) -> Points:
    """A quadratic Bézier curve."""
    t = np.linspace(0, 1, count)[:, None]
    return (1 - t) ** 2 * a + 2 * (1 - t) * t * knee + t**2 * b


def _hatch(sheet: Sheet, pose: Pose, vein: Points, colour: Colour) -> None:
    """Short strokes below a vein, shortening towards its ends, as a burin shades the fold there."""
    for i in range(1, len(vein) - 1):
        step = vein[i + 1] - vein[i - 1]
        length = 0.02 * np.sin(np.pi * i / (len(vein) - 1)) + 0.004
        tip = vein[i] + np.array([step[1] * 0.2 * np.sign(step[0] + 1e-9), -abs(length)])
        sheet.line(pose.place(np.array([vein[i], tip])), 0.5, colour)


def simple_blade(sheet: Sheet, pose: Pose, rng: Generator, kind: LeafKind, wash: Wash) -> None:
    """A blade with one midrib; the half in shade is laid on a little darker."""
    if kind.half is None:
        raise ValueError("a simple blade needs the outline of its half")
    bend = rng.normal(0.0, 0.07)
    margins = whole(kind.half(rng), bend, rng.normal(0, 0.03))
    rib = bent(np.column_stack((np.zeros(30), np.linspace(0, 1, 30) * margins[0][-1, 1])), bend)
    for side, tone in zip(margins, (wash.darker(0.09), wash), strict=True):
        sheet.wash(pose.place(np.vstack((side, rib[::-1]))), tone, rng)
    outline = pose.place(np.vstack((margins[0], margins[1][::-1])))
    with sheet.within(outline):
        if kind.palmate:
            _palmate_veins(sheet, pose, kind, wash)
        else:
            _veined(sheet, pose, margins, kind, wash, bend)
    sheet.line(outline, 1.2, mixed(wash.deep, INK, 0.8), closed=True)
    _wear(sheet, pose, margins, rng)


def _palmate_veins(sheet: Sheet, pose: Pose, kind: LeafKind, wash: Wash) -> None:
    """Main veins from the base to each lobe, with side veins, on both halves."""
    pale, dark = mixed(wash.light, (250, 248, 214), 0.45), mixed(wash.deep, INK, 0.45)
    ends = [(sign * x, y) for x, y in kind.palmate for sign in (1.0, -1.0) if x or sign > 0]
    for x, y in ends:
        tip = np.array([x, y])
        for at in (0.32, 0.48, 0.64, 0.8):
            for sign in (1.0, -1.0):
                turn = np.array(
                    [[np.cos(0.72 * sign), -np.sin(0.72 * sign)], [np.sin(0.72 * sign), np.cos(0.72 * sign)]]
                )
                start = tip * at
                end = start + turn @ (tip / np.hypot(*tip)) * 0.26 * (1.04 - at)
                vein = _curve(start, (start + end) / 2 + tip * 0.02, end, 9)
                _hatch(sheet, pose, vein, mixed(wash.deep, dark, 0.12))
                sheet.line(pose.place(vein), 0.9, mixed(pale, dark, 0.25))
    for x, y in ends:
        rib = np.column_stack((np.linspace(0, x * 0.95, 16), np.linspace(0, y * 0.95, 16)))
        sheet.stroke(pose.place(rib), 4.0, 1.0, dark)
        sheet.stroke(pose.place(rib), 2.3, 0.5, pale)


def _wear(sheet: Sheet, pose: Pose, margins: tuple[Points, Points], rng: Generator) -> None:
    """Now and then a brown spot or a hole that an insect left."""
    for _ in range(int(rng.poisson(0.9))):
        side = margins[int(rng.integers(2))]
        at = side[int(rng.integers(40, len(side) - 40))] * [rng.uniform(0.3, 0.8), 1.0]
        spot = pose.place(at[None, :])[0]
        radius = pose.scale * rng.uniform(0.006, 0.016)
        sheet.dot(spot, radius * 1.5, (132, 92, 50))
        sheet.dot(spot, radius, (246, 242, 228) if rng.random() < 0.4 else (166, 120, 66))


def ginkgo_blade(sheet: Sheet, pose: Pose, rng: Generator, kind: LeafKind, wash: Wash) -> None:
    """A fan with a cleft, its veins forking from the stalk without a midrib."""
    spread, cleft = rng.uniform(0.95, 1.2), rng.uniform(0.12, 0.42)
    a = np.linspace(-spread, spread, 120)
    radius = 1.0 - 0.1 * (a / spread) ** 2 + 0.018 * np.sin(a * rng.uniform(14, 22)) + 0.01 * np.sin(a * 41)
    radius = radius - cleft * np.exp(-((a / 0.045) ** 2))
    rim = np.column_stack((np.sin(a) * radius * 0.82, np.cos(a) * radius))
    edge = np.linspace(0.04, 0.96, 10)[:, None]
    hollow = np.sin(edge * np.pi) * [0.0, 0.07]
    left, right = rim[0] * edge + hollow, (rim[-1] * edge + hollow)[::-1]
    outline = pose.place(np.vstack(([[0, 0]], left, rim, right)))
    sheet.wash(outline, wash, rng)
    dark, pale = mixed(wash.deep, INK, 0.4), mixed(wash.light, (255, 252, 226), 0.5)
    for i in range(3, 117, 2):
        inner = rim[i] * (0.1 if i % 6 == 3 else 0.34 if i % 4 == 1 else 0.58)
        tip = rim[i] * 0.985
        knee = (inner + tip) / 2 * [0.93, 1.02]
        sheet.line(pose.place(_curve(inner, knee, tip, 8)), 0.6, dark if i % 4 == 1 else pale)
    sheet.line(outline, 1.1, mixed(wash.deep, INK, 0.75), closed=True)


def horse_chestnut_blade(sheet: Sheet, pose: Pose, rng: Generator, kind: LeafKind, wash: Wash) -> None:
    """Five or seven leaflets spread like fingers from the end of the stalk, the middle one largest."""
    count = 7 if rng.random() < 0.7 else 5
    fan = np.linspace(-1.0, 1.0, count)
    for i in sorted(range(count), key=lambda k: -abs(fan[k])):
        size = 0.98 - 0.42 * abs(fan[i]) ** 1.4
        part = pose.moved(0.0, 0.0, size, fan[i] * 1.75 + rng.normal(0, 0.04))
        _leaflet(sheet, part, rng, wash, True)


def ash_blade(sheet: Sheet, pose: Pose, rng: Generator, kind: LeafKind, wash: Wash) -> None:
    """Four to six pairs of leaflets along a common stalk, and one at its end."""
    pairs = int(rng.integers(4, 7))
    bend = rng.normal(0, 0.06)
    rib = bent(np.column_stack((np.zeros(20), np.linspace(-0.02, 0.76, 20))), bend)
    sheet.stroke(pose.place(rib), 4.0, 1.8, mixed(wash.deep, INK, 0.6))
    for i in range(pairs):
        at = 0.1 + 0.62 * i / pairs
        for side in (-1.0, 1.0):
            part = pose.moved(bend * at**2, at, rng.uniform(0.33, 0.39), side * rng.uniform(0.95, 1.12))
            _leaflet(sheet, part, rng, wash, False)
    _leaflet(sheet, pose.moved(bend * 0.55, 0.72, 0.36, bend), rng, wash, False)


def _leaflet(sheet: Sheet, pose: Pose, rng: Generator, wash: Wash, horse_chestnut: bool) -> None:
    """One leaflet with its veins."""
    bend = rng.normal(0, 0.05)
    margins = whole(leaflet_half(rng, horse_chestnut), bend)
    rib = bent(np.column_stack((np.zeros(20), np.linspace(0, 1, 20))), bend)
    for side, tone in zip(margins, (wash.darker(0.1), wash), strict=True):
        sheet.wash(pose.place(np.vstack((side, rib[::-1]))), tone, rng)
    dark, pale = mixed(wash.deep, INK, 0.45), mixed(wash.light, (250, 248, 214), 0.5)
    for side in margins:
        for start in np.linspace(0.1, 0.86, 13 if horse_chestnut else 7):
            end = side[int(np.argmin(np.abs(side[:, 1] - start - 0.09)))] * [0.93, 1.0]
            sheet.line(pose.place(np.array([[bend * start**2, start], end])), 0.6, dark)
    sheet.stroke(pose.place(rib), 2.4, 0.8, dark)
    sheet.stroke(pose.place(rib), 1.3, 0.4, pale)
    sheet.line(pose.place(np.vstack((margins[0], margins[1][::-1]))), 1.0, mixed(wash.deep, INK, 0.75), closed=True)


SPRING, SUMMER = Wash((176, 194, 104), (92, 126, 58)), Wash((138, 166, 88), (62, 98, 50))
DARK, OLIVE = Wash((104, 140, 82), (42, 78, 46)), Wash((160, 164, 84), (96, 102, 44))
GOLD, RUST = Wash((240, 214, 108), (206, 152, 46)), Wash((214, 168, 92), (150, 84, 40))

LEAF_KINDS: dict[str, LeafKind] = {
    "Q165145": LeafKind(
        simple_blade, (SUMMER, SPRING, OLIVE, RUST), 0.05, lambda rng: oak_half(rng, sessile=False), 5, 0.75, 0.66,
        fruits.stalked_acorns,
    ),
    "Q158608": LeafKind(
        simple_blade, (SUMMER, DARK, OLIVE, RUST), 0.19, lambda rng: oak_half(rng, sessile=True), 7, 0.62, 0.62,
        fruits.sessile_acorns,
    ),
    "Q26745": LeafKind(
        simple_blade, (SPRING, SUMMER, GOLD), 0.5, norway_maple_half, breadth=1.34, fruit=fruits.spread_samara,
        palmate=((0.0, 1.0), (0.66, 0.66), (0.6, 0.09)), petiole_colour=(152, 128, 72),
    ),
    "Q156944": LeafKind(
        simple_blade, (DARK, SUMMER, OLIVE), 0.5, sycamore_half, breadth=1.3, fruit=fruits.angled_samara,
        palmate=((0.0, 0.97), (0.57, 0.64), (0.5, 0.07)), petiole_colour=(158, 84, 66),
    ),
    "Q43284": LeafKind(ginkgo_blade, (SPRING, SUMMER, GOLD, GOLD), 0.55, breadth=1.6, fruit=fruits.ginkgo_seeds),
    "Q156895": LeafKind(simple_blade, (SPRING, SUMMER, GOLD), 0.34, birch_half, 7, 0.62, 0.8, fruits.catkins),
    "Q26899": LeafKind(horse_chestnut_blade, (SUMMER, DARK, RUST), 0.6, breadth=1.75, fruit=fruits.conker),
    "Q156907": LeafKind(ash_blade, (SUMMER, SPRING, OLIVE), 0.16, breadth=0.74, fruit=fruits.ash_keys),
    "Q158746": LeafKind(simple_blade, (SPRING, SUMMER, DARK), 0.42, lime_half, 6, 0.85, 1.04, fruits.lime_fruit),
    "Q158783": LeafKind(
        simple_blade, (SPRING, SUMMER, GOLD), 0.5, tulip_tree_half, 5, 0.55, 1.16, petiole_colour=(150, 150, 82)
    ),
    "Q192190": LeafKind(simple_blade, (DARK, DARK, SUMMER), 0.09, holly_half, 6, 0.6, 0.6, fruits.holly_berries),
}  # fmt: skip
