"""Draws insects from their wings: two butterflies and the dragonflies, set out as in a collection drawer.

Outlines are hand-set for the right-hand side and mirrored; patterns follow the characters of the taxa (black veins and
a white-dotted border for the monarch, cream blotches on black for the lime butterfly, dense cells and a dark spot near
the tip for dragonflies). It draws no lettering.
"""

from __future__ import annotations

from collections.abc import Callable

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
    jittered,
    jittered_wash,
    mixed,
    resampled,
    smooth,
)
from icones.demo.leaves import Box

BLACK: Colour = (44, 36, 34)


def _ring(*control: tuple[float, float]) -> Points:
    return smooth(np.array(control, dtype=np.float64), closed=True)


MONARCH_FORE = _ring((0.04, 0.16), (0.30, 0.44), (0.66, 0.70), (0.93, 0.78), (0.99, 0.70), (0.88, 0.47), (0.74, 0.20),
                     (0.62, 0.04), (0.40, 0.00), (0.10, 0.02))  # fmt: skip
MONARCH_HIND = _ring((0.05, 0.06), (0.30, 0.06), (0.54, 0.03), (0.67, -0.12), (0.64, -0.34), (0.46, -0.53),
                     (0.27, -0.56), (0.13, -0.40), (0.06, -0.16))  # fmt: skip
LIME_FORE = _ring((0.04, 0.16), (0.30, 0.42), (0.62, 0.60), (0.90, 0.66), (0.96, 0.59), (0.88, 0.38), (0.80, 0.14),
                  (0.72, 0.02), (0.42, 0.00), (0.10, 0.02))  # fmt: skip
LIME_HIND = _ring((0.05, 0.06), (0.32, 0.06), (0.56, 0.02), (0.65, -0.12), (0.63, -0.30), (0.53, -0.46), (0.38, -0.57),
                  (0.24, -0.55), (0.15, -0.38), (0.06, -0.14))  # fmt: skip


def _toward(outline: Points, root: Points, share: float) -> Points:
    """The outline drawn together towards a point: share 1 is the outline, 0 the point."""
    return np.asarray(root + (outline - root) * share, dtype=np.float64)


def _veins(fore: bool) -> list[Points]:
    """Main veins of a butterfly's right wing: the cell and the veins that leave it for the margin."""
    if fore:
        cell = smooth(np.array([(0.06, 0.14), (0.30, 0.32), (0.50, 0.40), (0.52, 0.32), (0.34, 0.17), (0.06, 0.08)]))
        ends = [(0.80, 0.72), (0.95, 0.68), (0.93, 0.58), (0.87, 0.46), (0.81, 0.33), (0.75, 0.20), (0.66, 0.07)]
        starts = [(0.44, 0.39), (0.51, 0.39), (0.53, 0.37), (0.52, 0.33), (0.46, 0.26), (0.36, 0.18), (0.12, 0.08)]
    else:
        cell = smooth(np.array([(0.06, 0.02), (0.24, 0.0), (0.36, -0.08), (0.34, -0.18), (0.20, -0.16), (0.06, -0.03)]))
        ends = [(0.60, 0.01), (0.66, -0.14), (0.65, -0.29), (0.57, -0.43), (0.44, -0.53), (0.30, -0.55), (0.16, -0.44)]
        starts = [(0.22, 0.0), (0.36, -0.06), (0.37, -0.11), (0.36, -0.16), (0.30, -0.18), (0.22, -0.17), (0.08, -0.06)]
    rays = [
        smooth(np.array([a, ((a[0] + b[0]) / 2 + 0.01, (a[1] + b[1]) / 2 + 0.015), b]), 8)
        for a, b in zip(starts, ends, strict=True)
    ]
    return [cell, *rays]


def _both(pose: Pose) -> tuple[Pose, Pose]:
    """The poses of the right and the left side."""
    return pose, Pose(pose.x, pose.y, pose.scale, pose.angle, not pose.mirror)


def _butterfly_body(sheet: Sheet, pose: Pose, rng: Generator, wash: Wash) -> None:
    """Antennae, abdomen, thorax and head over the roots of the wings."""
    for side in _both(pose):
        feeler = smooth(np.array([(0.015, 0.23), (0.08, 0.42), (0.17, 0.56)]))
        sheet.stroke(side.place(feeler), 1.5, 1.1)
        sheet.dot(side.place(feeler[-1:])[0], pose.scale * 0.012)
    for part in (ellipse(0, -0.14, 0.034, 0.21), ellipse(0, 0.10, 0.048, 0.11), ellipse(0, 0.225, 0.032, 0.03)):
        sheet.wash(pose.place(part), wash, rng)
        sheet.line(pose.place(part), 1.0, INK, closed=True)
    for y in np.linspace(-0.3, -0.02, 8):
        sheet.line(pose.place(np.array([(-0.026, y), (0, y - 0.012), (0.026, y)])), 0.7, mixed(wash.light, INK, 0.4))


def _scaled_wing(sheet: Sheet, pose: Pose, outline: Points, wash: Wash, rng: Generator) -> None:
    """A washed wing with the fine radiating lines by which engravers show scales."""
    placed = pose.place(outline)
    sheet.wash(placed, wash, rng)
    tone = mixed(wash.deep, INK, 0.18)
    root = np.array([0.04, 0.06])
    for point in resampled(outline, 90):
        line = np.array([root + (point - root) * rng.uniform(0.35, 0.7), root + (point - root) * 0.97])
        sheet.line(pose.place(line), 0.5, tone)


def monarch(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Danaus plexippus, upper side: orange with black veins and a black border with two rows of white dots."""
    orange = jittered_wash(Wash((240, 158, 62), (204, 96, 30), mottle=0.3), rng, 8)
    vein_width = rng.uniform(3.0, 4.4)
    for side in _both(pose):
        for outline, fore in ((MONARCH_HIND, False), (MONARCH_FORE, True)):
            placed = side.place(outline)
            sheet.wash(placed, Wash((84, 62, 52), (34, 26, 26)), rng)
            root = np.array([0.03, 0.06])
            with sheet.within(placed):
                core = _toward(outline, root, 0.86 if fore else 0.88)
                _scaled_wing(sheet, side, core, orange, rng)
                for vein in _veins(fore):
                    sheet.stroke(side.place(vein), vein_width, vein_width * 0.85, BLACK)
                if fore:
                    tip = _ring((0.5, 0.60), (0.60, 0.44), (0.80, 0.34), (1.1, 0.5), (1.0, 0.9), (0.7, 0.8))
                    sheet.wash(side.place(tip), Wash((78, 58, 50), (34, 26, 26)), rng)
                    for x, y, r in ((0.62, 0.56, 0.034), (0.70, 0.49, 0.03), (0.77, 0.42, 0.022)):
                        sheet.wash(side.place(ellipse(x, y, r * 1.5, r)), orange, rng)
                    for x, y in ((0.69, 0.66), (0.76, 0.68), (0.83, 0.66), (0.74, 0.58), (0.82, 0.54)):
                        sheet.dot(side.place(np.array([[x, y]]))[0], pose.scale * 0.017, (252, 248, 236))
                _border_dots(sheet, side, outline, root, fore, rng)
            sheet.line(placed, 1.1, INK, closed=True)
    _butterfly_body(sheet, pose, rng, Wash((92, 78, 70), (36, 30, 30)))


def _border_dots(sheet: Sheet, pose: Pose, outline: Points, root: Points, fore: bool, rng: Generator) -> None:
    """Two rows of white dots along the outer margin."""
    ring = resampled(np.vstack((outline, outline[:1])), 64)
    outer = ring[26:48] if fore else ring[20:46]
    for share, radius, step in ((0.965, 0.0085, 1), (0.915, 0.0105, 2)):
        for point in _toward(outer, root, share)[::step]:
            sheet.dot(pose.place(point[None, :])[0], pose.scale * radius * rng.uniform(0.75, 1.15), (252, 248, 236))


def lime_butterfly(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Papilio demoleus, upper side: black with cream blotches in rows, a broken band across both wings, and on the hind
    wing a red spot at the inner corner and a blue-edged eye at the front."""
    cream: Colour = jittered((240, 226, 156), rng, 7)
    for side in _both(pose):
        for outline, fore in ((LIME_HIND, False), (LIME_FORE, True)):
            placed = side.place(outline)
            sheet.wash(placed, Wash((92, 78, 64), (38, 32, 30)), rng)
            with sheet.within(placed):
                _scaled_wing(sheet, side, outline, Wash((88, 76, 62), (36, 30, 28)), rng)
                for x, y, wide, high in _lime_blotches(fore):
                    blotch = ellipse(x, y, wide * rng.uniform(0.85, 1.15), high * rng.uniform(0.85, 1.15), 14)
                    blotch += rng.normal(0, 0.004, blotch.shape)
                    sheet.wash(side.place(blotch), Wash(cream, mixed(cream, (196, 160, 82), 0.6)), rng)
                _lime_margin(sheet, side, outline, fore, cream)
                if not fore:
                    _lime_eyes(sheet, side, rng)
                for vein in _veins(fore):
                    sheet.line(side.place(vein), 1.1, BLACK)
            sheet.line(placed, 1.1, INK, closed=True)
    _butterfly_body(sheet, pose, rng, Wash((206, 186, 120), (66, 54, 44)))


def _lime_blotches(fore: bool) -> tuple[tuple[float, float, float, float], ...]:
    """Centres and half axes of the cream blotches on one right wing."""
    if fore:
        return (
            (0.44, 0.07, 0.05, 0.055), (0.52, 0.15, 0.055, 0.04), (0.60, 0.24, 0.055, 0.035), (0.66, 0.34, 0.045, 0.03),
            (0.58, 0.44, 0.035, 0.03), (0.68, 0.50, 0.03, 0.025), (0.46, 0.39, 0.045, 0.035), (0.36, 0.27, 0.03, 0.03),
            (0.76, 0.44, 0.022, 0.02), (0.80, 0.54, 0.03, 0.02), (0.20, 0.12, 0.06, 0.015), (0.26, 0.17, 0.07, 0.012),
        )  # fmt: skip
    return (
        (0.18, -0.10, 0.09, 0.07), (0.30, -0.06, 0.07, 0.075), (0.40, -0.09, 0.05, 0.07), (0.26, -0.20, 0.06, 0.06),
        (0.36, -0.22, 0.04, 0.05), (0.49, -0.33, 0.04, 0.028), (0.40, -0.41, 0.035, 0.03), (0.29, -0.43, 0.03, 0.028),
        (0.54, -0.22, 0.03, 0.03),
    )  # fmt: skip


def _lime_margin(sheet: Sheet, pose: Pose, outline: Points, fore: bool, cream: Colour) -> None:
    """The row of small cream spots along the outer margin."""
    ring = resampled(np.vstack((outline, outline[:1])), 60)
    outer = ring[25:44:2] if fore else ring[20:46:3]
    for point in _toward(outer, np.array([0.03, 0.06]), 0.945):
        sheet.dot(pose.place(point[None, :])[0], pose.scale * 0.015, cream)


def _lime_eyes(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """The red spot with its blue bar at the inner corner, and the eye near the front margin."""
    for x, y, size in ((0.23, -0.50, 0.048), (0.54, -0.05, 0.042)):
        sheet.wash(
            pose.place(ellipse(x, y + size * 0.9, size, size * 0.5, 16)), Wash((92, 120, 176), (44, 62, 120)), rng
        )
        red = Wash((212, 92, 52), (158, 44, 30)) if y < -0.2 else Wash((190, 150, 90), (140, 92, 50))
        sheet.wash(pose.place(ellipse(x, y, size, size * 0.55, 16)), red, rng)


def dragonfly(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Odonata: four long, netted wings held flat, each with a dark spot near its tip; great eyes; a slender abdomen."""
    body = jittered_wash(
        (
            Wash((128, 164, 186), (54, 84, 116)),
            Wash((206, 116, 76), (140, 46, 34)),
            Wash((166, 182, 102), (74, 96, 50)),
        )[int(rng.integers(3))],
        rng,
    )
    glass = Wash((240, 238, 226), (212, 214, 204), pool=0.6, shade=0.1)
    amber = rng.random() < 0.35
    for side in _both(pose):
        for lift, length, broad in ((-0.20, 0.86, 0.135), (0.10, 0.92, 0.105)):
            root = side.moved(0.03, 0.20 if lift > 0 else 0.13, 1.0, np.pi / 2 - lift + rng.normal(0, 0.02))
            _netted_wing(sheet, root, length, broad * (1.25 if lift < 0 else 1.0), glass, amber, rng)
    segments = np.linspace(0.08, -0.78, 11)
    for i in range(10):
        half = 0.038 - 0.012 * np.sin(np.pi * i / 9) + (0.008 if i > 7 else 0)
        part = np.array(
            [(-half, segments[i]), (half, segments[i]), (half * 0.92, segments[i + 1]), (-half * 0.92, segments[i + 1])]
        )
        sheet.wash(pose.place(part), body, rng)
        stripe = np.array([(0.0, segments[i]), (0.0, segments[i + 1])])
        sheet.line(pose.place(stripe), 2.6, mixed(body.deep, INK, 0.6))
        sheet.line(pose.place(part), 0.9, INK, closed=True)
    thorax = ellipse(0, 0.17, 0.078, 0.12)
    sheet.wash(pose.place(thorax), body.darker(0.1), rng)
    for x in (-0.04, 0.0, 0.04):
        sheet.line(pose.place(np.array([(x * 0.7, 0.26), (x, 0.1)])), 1.6, mixed(body.deep, INK, 0.5))
    sheet.line(pose.place(thorax), 1.0, INK, closed=True)
    for x in (-0.048, 0.048):
        eye = ellipse(x, 0.315, 0.055, 0.05)
        sheet.wash(pose.place(eye), body.darker(0.22), rng)
        sheet.line(pose.place(eye), 1.0, INK, closed=True)


def _netted_wing(
    sheet: Sheet, pose: Pose, length: float, broad: float, glass: Wash, amber: bool, rng: Generator
) -> None:
    """One dragonfly wing along local y: five long veins, a net of cross veins, and the dark spot near the tip."""
    t = np.linspace(0, 1, 40)
    front = np.column_stack((-0.018 - 0.012 * np.sin(np.pi * t), t * length))
    hind = np.column_stack((broad * np.sin(np.pi * t**0.85) ** 0.7 * (0.55 + 0.45 * t) + 0.012, t * length))
    hind[-1] = front[-1] = (0.0, length)
    outline = pose.place(np.vstack((front, hind[::-1])))
    sheet.wash(outline, glass, rng)
    with sheet.within(outline):
        if amber:
            patch = ellipse(broad * 0.4, length * 0.1, broad * 0.8, length * 0.16)
            sheet.wash(pose.place(patch), Wash((226, 178, 96), (196, 132, 54)), rng)
        shares = (0.12, 0.24, 0.42, 0.62, 0.82)
        longs = [front + (hind - front) * s for s in shares]
        for vein, width in zip(longs, (1.5, 1.1, 0.9, 0.8, 0.7), strict=True):
            sheet.line(pose.place(vein), width, (84, 66, 52))
        lanes = [front, *longs, hind]
        for k in range(len(lanes) - 1):
            for i in range(2 + k % 2, 39, 2):
                sheet.line(pose.place(np.array([lanes[k][i], lanes[k + 1][min(39, i + 1)]])), 0.6, (112, 92, 74))
        spot = np.vstack((front[32:36], longs[0][32:36][::-1]))
        sheet.fill(pose.place(spot), (74, 52, 38))
    sheet.line(outline, 1.2, INK, closed=True)


WING_KINDS: dict[str, tuple[Callable[[Sheet, Pose, Generator], None], float, float, float]] = {
    # Q-id: drawing function, half width, and extent above and below the origin, in local units
    "Q212398": (monarch, 1.0, 0.80, 0.58),
    "Q285314": (lime_butterfly, 0.98, 0.68, 0.60),
    "Q25375": (dragonfly, 0.97, 0.38, 0.80),
}


def draw_wing_figure(sheet: Sheet, qid: str, box: Box, rng: Generator) -> None:
    """Fill a box with one insect, or with two of different size one above the other."""
    draw, half, above, below = WING_KINDS[qid]
    x, y, wide, high = box
    count = 2 if high > wide * 1.05 and rng.random() < 0.7 else 1
    for i in range(count):
        share = (0.52, 0.46)[i] if count == 2 else 0.96
        scale = min(wide * 0.96 / (2 * half), high * share / (above + below)) * rng.uniform(0.84, 1.0)
        middle = y + high * (0.5 if count == 1 else (0.27, 0.76)[i]) + rng.normal(0, high * 0.01)
        centre = x + wide * (0.5 + rng.normal(0, 0.02))
        turn = rng.normal(0, 0.07)
        draw(sheet, Pose(centre, middle + scale * (above - below) / 2, scale, turn), rng)
