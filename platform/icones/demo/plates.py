"""Plans, draws and writes the demo plates: which organisms stand where, on old paper, in a frame, with a plate number.

The same seed gives the same plates on every machine: no font, file or clock is read. A plate never names what it shows.
Licence of the drawings: CC0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageChops, ImageDraw

from icones.demo.engraving import NOMINAL_WIDTH, SUPERSAMPLING, Sheet
from icones.demo.leaves import LEAF_KINDS, Box, draw_leaf_figure
from icones.demo.lettering import roman, text_width, write
from icones.demo.paper import granulation, sheet_of_paper
from icones.demo.shells import SHELL_KINDS, draw_shell_figure
from icones.demo.wings import WING_KINDS, draw_wing_figure

LICENCE = "CC0-1.0"
ARTIST = "Icones demo draughtsman"
SHARE_OF_MIXED_PLATES = 0.15
ASPECT = 4 / 3
JPEG_QUALITY = 85


@dataclass(frozen=True)
class DemoFigure:
    """One organism on a plate; `box` is "pct:x,y,w,h" in per cent of the plate with one decimal, as P2677 has it."""

    qid: str
    box: str


@dataclass(frozen=True)
class DemoPlate:
    """One plate: its number in the work, a title that gives nothing away, and what is on it."""

    number: int
    title: str
    object_number: str
    figures: tuple[DemoFigure, ...]
    artist: str
    licence: str


def drawn_taxa() -> tuple[str, ...]:
    """The Q-ids of all taxa that can be drawn, leaves first, then wings, then shells."""
    return (*LEAF_KINDS, *WING_KINDS, *SHELL_KINDS)


def plan_plates(seed: int = 1, plates_per_taxon: int = 20) -> tuple[DemoPlate, ...]:
    """All plates, numbered from 1 in mixed order.

    Each taxon leads `plates_per_taxon` of them; on about 15 % of the plates one or two other taxa join it. Raises
    ValueError when `plates_per_taxon` is below 1 or makes more plates than the engraved capitals can number.
    """
    if plates_per_taxon < 1:
        raise ValueError(f"plates_per_taxon must be at least 1, not {plates_per_taxon}")
    rng = np.random.default_rng((seed, 0))
    taxa = drawn_taxa()
    leads = [qid for qid in taxa for _ in range(plates_per_taxon)]
    order = rng.permutation(len(leads))
    roman(len(leads))
    mixed = set(rng.permutation(len(leads))[: round(len(leads) * SHARE_OF_MIXED_PLATES)].tolist())
    plates = []
    for index, lead in enumerate(order.tolist()):
        qids = [leads[lead]]
        if index in mixed:
            others = [qid for qid in taxa if qid != qids[0]]
            picked = rng.permutation(len(others))[: int(rng.integers(1, 3))]
            qids += [others[k] for k in picked.tolist()]
        boxes = _boxes(len(qids), rng)
        figures = tuple(DemoFigure(qid, box) for qid, box in zip(qids, boxes, strict=True))
        number = index + 1
        plates.append(
            DemoPlate(number, f"{_work(qids)}, Tab. {roman(number)}", f"DEMO-{number:04d}", figures, ARTIST, LICENCE)
        )
    return tuple(plates)


def _work(qids: list[str]) -> str:
    """The Latin title of the work that a plate belongs to, by what is on it."""
    for kinds, title in ((LEAF_KINDS, "Folia arborum"), (WING_KINDS, "Alae insectorum"), (SHELL_KINDS, "Conchylia")):
        if all(qid in kinds for qid in qids):
            return title
    return "Miscellanea naturae"


def _boxes(count: int, rng: Generator) -> list[str]:
    """Where 1, 2 or 3 figures stand: non-overlapping boxes in per cent, inside the frame."""
    if count == 1:
        places = [(11.0, 12.0, 78.0, 76.0)]
    elif count == 2:
        across = [(8.5, 17.0, 40.0, 64.0), (51.5, 17.0, 40.0, 64.0)]
        stacked = [(15.0, 10.5, 70.0, 38.0), (15.0, 51.0, 70.0, 38.0)]
        places = across if rng.random() < 0.35 else stacked
    else:
        places = [(20.0, 10.5, 60.0, 38.0), (8.5, 51.0, 40.0, 38.0), (51.5, 51.0, 40.0, 38.0)]
    boxes = []
    for x, y, wide, high in places:
        trim = rng.uniform(0.0, 0.06, 2)
        left, top = x + wide * trim[0] * rng.random(), y + high * trim[1] * rng.random()
        boxes.append(f"pct:{left:.1f},{top:.1f},{wide * (1 - trim[0]):.1f},{high * (1 - trim[1]):.1f}")
    return boxes


def _pixels(box: str, wide: int, high: int) -> Box:
    """A box in canvas pixels. Raises ValueError when it is not "pct:" and four numbers."""
    scheme, _, numbers = box.partition(":")
    if scheme != "pct":
        raise ValueError(f"a box must start with pct:, not {box!r}")
    x, y, w, h = (float(part) / 100 for part in numbers.split(","))
    return x * wide, y * high, w * wide, h * high


def draw_figure(sheet: Sheet, qid: str, box: Box, rng: Generator) -> None:
    """Draw one taxon into a box given in canvas pixels. Raises KeyError for a taxon that cannot be drawn."""
    if qid in LEAF_KINDS:
        draw_leaf_figure(sheet, LEAF_KINDS[qid], box, rng)
    elif qid in WING_KINDS:
        draw_wing_figure(sheet, qid, box, rng)
    elif qid in SHELL_KINDS:
        draw_shell_figure(sheet, qid, box, rng)
    else:
        raise KeyError(f"no drawing for {qid}")


def draw_plate(plate: DemoPlate, seed: int = 1, width: int = NOMINAL_WIDTH) -> Image.Image:
    """The plate as an RGB picture, `width` pixels wide and four thirds of that high; same arguments, same picture."""
    height = round(width * ASPECT)
    sheet = Sheet(width, height)
    wide, high = sheet.image.size
    unit = sheet.unit
    for index, figure in enumerate(plate.figures):
        box = _pixels(figure.box, wide, high)
        sheet.unit = unit * (1.0 if len(plate.figures) == 1 else 0.72)  # smaller figures, finer lines
        draw_figure(sheet, figure.qid, box, np.random.default_rng((seed, plate.number, index)))
        sheet.unit = unit
        if len(plate.figures) > 1:
            write(sheet, f"{roman(index + 1)}.", box[0] + 2 * unit, box[1] + 15 * unit, 11 * unit)
    _frame(sheet)
    legend = f"TAB. {roman(plate.number)}."
    write(sheet, legend, wide * 0.945 - text_width(legend, 15 * unit), high * 0.052, 15 * unit)
    return printed(sheet, np.random.default_rng((seed, plate.number, 99)))


def _frame(sheet: Sheet) -> None:
    """A thick and a thin rule around the picture."""
    wide, high = sheet.image.size
    for inset, weight in ((0.0, 1.8), (5.0, 0.7)):
        left, top = wide * 0.045 + inset * sheet.unit, high * 0.062 + inset * sheet.unit
        right, bottom = wide * 0.955 - inset * sheet.unit, high * 0.945 - inset * sheet.unit
        ring = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        sheet.line(ring, weight, closed=True)


def printed(sheet: Sheet, rng: Generator) -> Image.Image:
    """The finished drawing as if printed and coloured on old paper, with the dent of the plate around it."""
    drawing = sheet.finished()
    wide, high = drawing.size
    drawing = ImageChops.screen(drawing, granulation(wide, high))
    paper = sheet_of_paper(wide, high, rng)
    _plate_mark(paper)
    return ImageChops.multiply(drawing, paper)


def _plate_mark(paper: Image.Image) -> None:
    """The pressed edge of the copper plate: a line of shade above and left, of light below and right."""
    wide, high = paper.size
    left, top, right, bottom = round(wide * 0.022), round(high * 0.02), round(wide * 0.978), round(high * 0.98)
    pen = ImageDraw.Draw(paper)
    shade, light = (206, 192, 162), (254, 250, 238)
    pen.line([(left, bottom), (left, top), (right, top)], fill=shade)
    pen.line([(left + 1, bottom), (left + 1, top + 1), (right, top + 1)], fill=light)
    pen.line([(left, bottom), (right, bottom), (right, top)], fill=shade)


def write_plates(
    folder: Path,
    seed: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    plates_per_taxon: int = 20,
) -> list[tuple[DemoPlate, Path]]:
    """Draw all planned plates as JPEG files `tab-NNNN.jpg` in `folder`, which is made if need be.

    An existing file of that name is drawn over. `on_progress` gets how many are done and how many there are. Raises
    OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plates = plan_plates(seed, plates_per_taxon)
    written = []
    for done, plate in enumerate(plates, start=1):
        path = folder / f"tab-{plate.number:04d}.jpg"
        draw_plate(plate, seed).save(path, "JPEG", quality=JPEG_QUALITY)
        written.append((plate, path))
        if on_progress is not None:
            on_progress(done, len(plates))
    return written


def draw_frontispiece(width: int = 1200, seed: int = 7) -> Image.Image:
    """The title picture of the demo campaign: leaves, wings and shells around the word ICONES.

    RGB, half as high as wide; `width` in pixels.
    """
    sheet = Sheet(width, width // 2)
    sheet.unit = SUPERSAMPLING * width / 1200
    wide, high = sheet.image.size
    places = (
        ("Q165145", (0.035, 0.07, 0.17, 0.86)), ("Q43284", (0.215, 0.08, 0.15, 0.40)),
        ("Q25368", (0.205, 0.56, 0.125, 0.36)), ("Q212398", (0.385, 0.07, 0.23, 0.38)),
        ("Q4867740", (0.645, 0.08, 0.13, 0.40)), ("Q128257", (0.670, 0.56, 0.125, 0.36)),
        ("Q26745", (0.795, 0.07, 0.17, 0.48)), ("Q25375", (0.80, 0.58, 0.16, 0.34)),
        ("Q285314", (0.43, 0.73, 0.14, 0.19)),
    )  # fmt: skip
    for index, (qid, (x, y, w, h)) in enumerate(places):
        box = (x * wide, y * high, w * wide, h * high)
        draw_figure(sheet, qid, box, np.random.default_rng((seed, index)))
    size = high * 0.13
    write(sheet, "ICONES", (wide - text_width("ICONES", size)) / 2 + 0.07 * size, high * 0.655, size)
    for inset, weight in ((0.012, 1.8), (0.017, 0.7)):
        edge = inset * wide
        ring = np.array([(edge, edge), (wide - edge, edge), (wide - edge, high - edge), (edge, high - edge)])
        sheet.line(ring, weight, closed=True)
    return printed(sheet, np.random.default_rng((seed, 99)))
