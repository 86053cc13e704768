"""Draws the fruits that stand beside the leaves on the demo plates, each small and with the character that tells its
species: stalked or sessile acorns, the angle of maple wings, keys, catkins, berries. No lettering, no files."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from icones.demo.engraving import INK, Pose, Sheet, Wash, ellipse, jittered_wash, mixed, resampled, smooth

NUT = Wash((206, 168, 100), (132, 88, 44))
GREEN = Wash((184, 192, 112), (112, 124, 58))
BROWN = Wash((168, 118, 72), (92, 52, 30))


def _acorn(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    nut = ellipse(0, 0.42, 0.2, 0.36)
    nut[:, 0] *= 1 - 0.25 * np.clip(nut[:, 1] - 0.42, 0, 1)
    sheet.wash(pose.place(nut), jittered_wash(NUT, rng, 8), rng)
    for x in np.linspace(-0.13, 0.15, 6):
        bow = np.column_stack((x * np.sin(np.linspace(0.9, 2.7, 8)), np.linspace(0.25, 0.72, 8)))
        sheet.line(pose.place(bow), 0.5, NUT.deep)
    sheet.line(pose.place(nut), 1.0, INK, closed=True)
    sheet.stroke(pose.place(np.array([[0, 0.77], [0, 0.82], [0, 0.86]])), 2.6, 0.8)
    a = np.linspace(np.pi, 2 * np.pi, 20)
    cup = np.column_stack((0.25 * np.cos(a), 0.24 + 0.27 * np.sin(a)))
    cup = np.vstack((cup, [[0.2, 0.33], [0, 0.36], [-0.2, 0.33]]))
    sheet.wash(pose.place(cup), Wash((164, 150, 104), (98, 84, 54)), rng)
    for row in range(4):
        for x in np.linspace(-0.2, 0.2, 8):
            y = 0.26 - 0.075 * row
            if x**2 / 0.062 + ((y - 0.24) / 0.27) ** 2 < 1:
                sheet.line(pose.place(np.array([[x - 0.02, y], [x, y - 0.03], [x + 0.02, y]])), 0.6, INK)
    sheet.line(pose.place(cup), 1.0, INK, closed=True)


def stalked_acorns(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Quercus robur: acorns on a long common stalk."""
    stalk = smooth(np.array([[0.55, 1.0], [0.35, 0.45], [0.0, 0.0]]))
    sheet.stroke(pose.place(stalk), 2.6, 1.8)
    _acorn(sheet, pose.moved(0.0, 0.02, 0.72, 3.3), rng)
    _acorn(sheet, pose.moved(0.36, 0.45, 0.66, 2.3), rng)


def sessile_acorns(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Quercus petraea: two or three acorns without stalks, crowded on the twig."""
    sheet.stroke(pose.place(np.array([[-0.7, -0.25], [0.0, 0.0], [0.7, 0.12]])), 5.0, 3.0)
    for x, turn in ((-0.22, -0.45), (0.24, 0.5), (0.02, 0.02)):
        _acorn(sheet, pose.moved(x, 0.08, 0.72, turn), rng)


def _winged(sheet: Sheet, pose: Pose, rng: Generator, turn: float, red: float) -> None:
    for side in (-1.0, 1.0):
        part = pose.moved(0.0, 0.0, 1.0, side * turn)
        wing = smooth(
            np.array([[0.0, 0.12], [0.13, 0.4], [0.17, 0.75], [0.1, 0.98], [-0.03, 0.94], [-0.05, 0.5]]) * [side, 1],
            closed=True,
        )
        wash = Wash(mixed((206, 206, 140), (214, 130, 96), red), mixed((150, 142, 74), (150, 74, 50), red))
        sheet.wash(part.place(wing), wash, rng)
        for i in range(7):
            vein = np.array(
                [[-0.02 * side, 0.2], [0.01 * side * i, 0.55], [side * (0.16 - 0.03 * i), 0.58 + 0.055 * i]]
            )
            sheet.line(part.place(smooth(vein)), 0.5, wash.deep)
        sheet.line(part.place(wing), 0.9, INK, closed=True)
        nut = ellipse(side * 0.05, 0.12, 0.11, 0.14)
        sheet.wash(part.place(nut), GREEN, rng)
        sheet.line(part.place(nut), 0.9, INK, closed=True)
    sheet.stroke(pose.place(np.array([[0, 0.02], [0.03, 0.3], [0.0, 0.6]])), 1.6, 1.2)


def spread_samara(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Acer platanoides: the two wings spread almost in one line."""
    _winged(sheet, pose.moved(0, 0.2), rng, rng.uniform(1.45, 1.65), 0.1)


def angled_samara(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Acer pseudoplatanus: the two wings meet at about a right angle, often flushed red."""
    _winged(sheet, pose.moved(0, 0.55), rng, rng.uniform(2.3, 2.5), rng.uniform(0.2, 0.6))


def ginkgo_seeds(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Ginkgo biloba: one or two plum-like seeds on a long stalk."""
    for x in (-0.22, 0.24)[: int(rng.integers(1, 3))]:
        sheet.stroke(pose.place(smooth(np.array([[0, 1.0], [x * 0.5, 0.6], [x, 0.25]]))), 1.8, 1.4)
        seed = ellipse(x, 0.05, 0.2, 0.24)
        sheet.wash(pose.place(seed), Wash((240, 208, 130), (196, 140, 66)), rng)
        sheet.line(pose.place(seed), 1.0, INK, closed=True)


def catkins(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Betula pendula: hanging catkins, scaly."""
    for x, length in ((-0.16, 1.0), (0.2, 0.78)):
        body = np.column_stack(
            (
                x + 0.11 * np.array([0, 1, 1.1, 0.8, 0, -0.8, -1.1, -1]),
                0.8 - length * np.array([0, 0.15, 0.5, 0.85, 1, 0.85, 0.5, 0.15]),
            )
        )
        shape = smooth(body, closed=True)
        sheet.wash(pose.place(shape), jittered_wash(Wash((206, 190, 118), (146, 112, 58)), rng), rng)
        for y in np.linspace(0.72, 0.86 - length, 9):
            for dx in (-0.055, 0.0, 0.055):
                sheet.line(
                    pose.place(np.array([[x + dx - 0.03, y], [x + dx, y - 0.045], [x + dx + 0.03, y]])),
                    0.6,
                    (96, 66, 40),
                )
        sheet.line(pose.place(shape), 0.9, INK, closed=True)
        sheet.stroke(pose.place(np.array([[x, 0.8], [x * 0.5, 0.95], [0.0, 1.05]])), 1.4, 1.4)


def conker(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Aesculus hippocastanum: the spiny husk, and beside it a shining brown seed with its pale scar."""
    husk = ellipse(-0.2, 0.35, 0.4, 0.38)
    for a in np.linspace(0, 2 * np.pi, 17):
        root = np.array([-0.2 + 0.38 * np.cos(a), 0.35 + 0.36 * np.sin(a)])
        tip = root + 0.12 * np.array([np.cos(a), np.sin(a)])
        sheet.stroke(pose.place(np.array([root, (root + tip) / 2, tip])), 2.6, 0.4)
    sheet.wash(pose.place(husk), GREEN, rng)
    for a, r in zip(rng.uniform(0, 6.28, 9), rng.uniform(0.06, 0.28, 9), strict=True):
        root = np.array([-0.2 + r * np.cos(a), 0.35 + r * np.sin(a)])
        sheet.line(pose.place(np.array([root, root + np.array([0.02, 0.05])])), 0.9, (74, 84, 40))
    sheet.line(pose.place(husk), 1.0, INK, closed=True)
    seed = ellipse(0.5, 0.08, 0.27, 0.25)
    sheet.wash(pose.place(seed), BROWN, rng)
    scar = ellipse(0.45, -0.03, 0.13, 0.1)
    sheet.wash(pose.place(scar), Wash((226, 206, 170), (190, 160, 120)), rng)
    sheet.line(pose.place(seed), 1.0, INK, closed=True)


def ash_keys(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Fraxinus excelsior: a bunch of single-winged keys."""
    for i in range(6):
        turn = -1.0 + 0.4 * i + rng.normal(0, 0.06)
        part = pose.moved(0.0, 0.75, 0.95, np.pi + turn * 0.55)
        key = smooth(
            np.array([[0, 0.12], [0.05, 0.35], [0.075, 0.7], [0, 0.95], [-0.075, 0.7], [-0.05, 0.35]]), closed=True
        )
        sheet.wash(part.place(key), jittered_wash(Wash((202, 190, 118), (150, 122, 64)), rng, 6), rng)
        sheet.line(part.place(np.array([[0, 0.0], [0, 0.55]])), 1.4, (96, 76, 44))
        sheet.line(part.place(key), 0.9, INK, closed=True)


def lime_fruit(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Tilia cordata: round nutlets on a stalk that springs from a strap-shaped bract."""
    bract = smooth(np.array([[0, 1.05], [0.11, 0.8], [0.12, 0.3], [0.02, 0.0], [-0.1, 0.3], [-0.1, 0.8]]), closed=True)
    sheet.wash(pose.place(bract), Wash((222, 214, 150), (176, 164, 92)), rng)
    sheet.line(pose.place(np.array([[0, 1.0], [0.01, 0.05]])), 0.8, (130, 120, 66))
    sheet.line(pose.place(bract), 0.9, INK, closed=True)
    for dx, dy in ((0.42, 0.02), (0.26, -0.16), (0.56, 0.24)):
        sheet.stroke(pose.place(smooth(np.array([[0.02, 0.5], [0.22, 0.4], [dx, dy]]))), 1.3, 1.0)
        nut = ellipse(dx, dy, 0.085, 0.09)
        sheet.wash(pose.place(nut), Wash((190, 182, 126), (126, 114, 70)), rng)
        sheet.line(pose.place(nut), 0.9, INK, closed=True)


def holly_berries(sheet: Sheet, pose: Pose, rng: Generator) -> None:
    """Ilex aquifolium: a cluster of red berries."""
    for dx, dy in ((-0.22, 0.1), (0.2, 0.16), (0.0, -0.16), (0.02, 0.4))[: int(rng.integers(3, 5))]:
        sheet.stroke(pose.place(resampled(np.array([[0.0, 0.75], [dx, dy]]), 5)), 1.4, 1.2, (92, 96, 52))
        berry = ellipse(dx, dy, 0.19, 0.19)
        sheet.wash(pose.place(berry), jittered_wash(Wash((222, 76, 54), (142, 26, 28)), rng, 8), rng)
        sheet.line(pose.place(berry), 1.0, INK, closed=True)
        sheet.dot(pose.place(np.array([[dx - 0.06, dy + 0.07]]))[0], pose.scale * 0.03, (250, 214, 196))
        sheet.dot(pose.place(np.array([[dx + 0.04, dy - 0.15]]))[0], pose.scale * 0.022, INK)
