"""Engraved capitals for plate and figure numbers, drawn with strokes so that no font has to be installed.

Only the letters that "TAB.", Roman numerals and the title ICONES need; a plate carries no name that a model could read.
"""

from __future__ import annotations

import numpy as np

from icones.demo.engraving import INK, Sheet, smooth

Stroke = tuple[str, tuple[tuple[float, float], ...]]

# Each letter in a cell one unit high: its width, then strokes: "thick" and "thin" straight ones, "nib" for curves.
_THICK_I: Stroke = ("thick", ((0.17, 0), (0.17, 1)))
GLYPHS: dict[str, tuple[float, tuple[Stroke, ...]]] = {
    "I": (0.34, (_THICK_I, ("thin", ((0.02, 0), (0.32, 0))), ("thin", ((0.02, 1), (0.32, 1))))),
    "V": (0.78, (("thick", ((0.12, 1), (0.41, 0))), ("thin", ((0.41, 0), (0.68, 1))),
                 ("thin", ((0, 1), (0.26, 1))), ("thin", ((0.56, 1), (0.8, 1))))),
    "X": (0.80, (("thick", ((0.12, 1), (0.69, 0))), ("thin", ((0.7, 1), (0.1, 0))), ("thin", ((0, 0), (0.24, 0))),
                 ("thin", ((0.55, 1), (0.8, 1))), ("thin", ((0.02, 1), (0.24, 1))), ("thin", ((0.57, 0), (0.81, 0))))),
    "L": (0.66, (_THICK_I, ("thin", ((0.02, 1), (0.34, 1))), ("thin", ((0.02, 0), (0.58, 0), (0.62, 0.24))))),
    "C": (0.80, (("nib", ((0.70, 0.74), (0.56, 0.95), (0.38, 1.0), (0.15, 0.84), (0.07, 0.50), (0.15, 0.16),
                          (0.38, 0.0), (0.58, 0.05), (0.72, 0.24))), ("thin", ((0.7, 0.68), (0.71, 0.98))))),
    "D": (0.84, (_THICK_I, ("nib", ((0.04, 1.0), (0.40, 0.99), (0.66, 0.80), (0.74, 0.50), (0.66, 0.20), (0.40, 0.01),
                                    (0.04, 0.0))))),
    "T": (0.74, (("thick", ((0.37, 0), (0.37, 1))), ("thin", ((0.02, 0.76), (0.05, 1), (0.69, 1), (0.72, 0.76))),
                 ("thin", ((0.22, 0), (0.52, 0))))),
    "A": (0.80, (("thin", ((0.1, 0), (0.38, 1))), ("thick", ((0.38, 1), (0.68, 0))),
                 ("thin", ((0.2, 0.36), (0.56, 0.36))), ("thin", ((0, 0), (0.22, 0))),
                 ("thin", ((0.55, 0), (0.82, 0))))),
    "B": (0.68, (_THICK_I, ("nib", ((0.02, 1.0), (0.38, 0.99), (0.53, 0.78), (0.38, 0.56), (0.17, 0.53))),
                 ("nib", ((0.17, 0.53), (0.46, 0.50), (0.61, 0.27), (0.46, 0.02), (0.02, 0.0))))),
    "O": (0.86, (("nib", ((0.41, 1.0), (0.16, 0.84), (0.07, 0.5), (0.16, 0.16), (0.41, 0.0), (0.66, 0.16), (0.75, 0.5),
                          (0.66, 0.84), (0.41, 1.0))),)),
    "N": (0.86, (("thin", ((0.14, 0), (0.14, 1))), ("thick", ((0.16, 1), (0.68, 0))), ("thin", ((0.7, 0), (0.7, 1))),
                 ("thin", ((0, 0), (0.28, 0))), ("thin", ((0.56, 1), (0.84, 1))), ("thin", ((0, 1), (0.18, 1))))),
    "E": (0.70, (_THICK_I, ("thin", ((0.02, 1), (0.58, 1), (0.6, 0.78))), ("thin", ((0.17, 0.52), (0.46, 0.52))),
                 ("thin", ((0.02, 0), (0.6, 0), (0.64, 0.24))))),
    "S": (0.64, (("nib", ((0.52, 0.78), (0.44, 0.95), (0.28, 1.0), (0.11, 0.90), (0.08, 0.74), (0.20, 0.59),
                          (0.41, 0.46), (0.53, 0.30), (0.49, 0.10), (0.30, 0.0), (0.12, 0.06), (0.05, 0.26))),)),
    ".": (0.30, (("thick", ((0.1, 0.0), (0.1, 0.09))),)),
    " ": (0.42, ()),
}  # fmt: skip


def roman(number: int) -> str:
    """A number from 1 to 899 in Roman numerals. Raises ValueError outside that range: there is no capital M."""
    if not 1 <= number <= 899:
        raise ValueError(f"no plate number {number}: the engraved capitals reach from 1 to 899")
    text = ""
    for value, sign in ((500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"),
                        (5, "V"), (4, "IV"), (1, "I")):  # fmt: skip
        while number >= value:
            text, number = text + sign, number - value
    return text


def text_width(text: str, height: float) -> float:
    """The width of a line of capitals `height` canvas pixels high."""
    return sum(GLYPHS[sign][0] + 0.14 for sign in text) * height


def write(sheet: Sheet, text: str, x: float, baseline: float, height: float) -> None:
    """Engrave capitals from canvas position x on a baseline; `height` in canvas pixels. KeyError for other letters."""
    for sign in text:
        width, strokes = GLYPHS[sign]
        for kind, points in strokes:
            placed = np.array([x, baseline]) + np.array(points, dtype=np.float64) * [height, -height]
            size = height / sheet.unit
            if kind == "nib":
                sheet.nib(smooth(placed, 10), 0.05 * size, 0.14 * size)
            elif kind == "thick":
                sheet.stroke(placed, 0.13 * size, 0.13 * size)
            else:
                sheet.line(placed, 0.05 * size, INK)
        x += (width + 0.14) * height
