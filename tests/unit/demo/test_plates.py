"""The drawn demo plates: the plan, the drawings, the files."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icones.demo import draw_frontispiece, draw_plate, drawn_taxa, load_taxa, plan_plates, write_plates
from icones.demo.engraving import Sheet
from icones.demo.lettering import roman, write
from icones.demo.plates import DemoFigure, DemoPlate, draw_figure


def _numbers(box: str) -> tuple[float, float, float, float]:
    assert box.startswith("pct:")
    x, y, wide, high = (float(part) for part in box.removeprefix("pct:").split(","))
    return x, y, wide, high


def _alone(qid: str, number: int = 3) -> DemoPlate:
    return DemoPlate(number, "", "", (DemoFigure(qid, "pct:11.0,12.0,78.0,76.0"),), "", "")


def test_every_taxon_leads_twenty_plates_and_there_are_at_least_twelve_taxa() -> None:
    plates = plan_plates()
    leads = Counter(plate.figures[0].qid for plate in plates)
    assert len(drawn_taxa()) >= 12
    assert leads == dict.fromkeys(drawn_taxa(), 20)


def test_plates_are_numbered_from_one_and_their_object_numbers_differ() -> None:
    plates = plan_plates()
    assert [plate.number for plate in plates] == list(range(1, len(plates) + 1))
    assert len({plate.object_number for plate in plates}) == len(plates)


def test_about_fifteen_per_cent_of_the_plates_show_two_or_three_different_taxa() -> None:
    plates = plan_plates()
    counts = Counter(len(plate.figures) for plate in plates)
    assert set(counts) == {1, 2, 3}
    assert 0.12 <= (counts[2] + counts[3]) / len(plates) <= 0.18
    assert all(len({figure.qid for figure in plate.figures}) == len(plate.figures) for plate in plates)


def test_boxes_lie_on_the_plate_with_one_decimal_and_do_not_overlap() -> None:
    for plate in plan_plates(seed=4):
        for figure in plate.figures:
            x, y, wide, high = _numbers(figure.box)
            assert 0 <= x < x + wide <= 100
            assert 0 <= y < y + high <= 100
            assert all(len(part.partition(".")[2]) == 1 for part in figure.box.removeprefix("pct:").split(","))
        for one, other in combinations([_numbers(figure.box) for figure in plate.figures], 2):
            beside = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
            above = one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
            assert beside or above


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert plan_plates(seed=2) == plan_plates(seed=2)
    assert plan_plates(seed=2) != plan_plates(seed=3)


def test_titles_and_object_numbers_give_no_name_away() -> None:
    names = [taxon.scientific_name for taxon in load_taxa().values()]
    vernacular = [name for taxon in load_taxa().values() for name in taxon.names.values()]
    for plate in plan_plates():
        text = f"{plate.title} {plate.object_number}".lower()
        assert not [name for name in names + vernacular if name.lower() in text]


@pytest.mark.parametrize("plates_per_taxon", [0, -1, 900])
def test_a_plan_that_cannot_be_numbered_is_refused(plates_per_taxon: int) -> None:
    with pytest.raises(ValueError, match="plate"):
        plan_plates(plates_per_taxon=plates_per_taxon)


def test_a_plate_is_drawn_the_same_every_time() -> None:
    for plate in plan_plates(plates_per_taxon=1)[:4]:
        assert draw_plate(plate, seed=5).tobytes() == draw_plate(plate, seed=5).tobytes()


def test_another_seed_and_another_number_draw_another_picture() -> None:
    first = draw_plate(_alone("Q165145", 3), seed=1).tobytes()
    assert draw_plate(_alone("Q165145", 3), seed=2).tobytes() != first
    assert draw_plate(_alone("Q165145", 4), seed=1).tobytes() != first


@pytest.mark.parametrize("qid", drawn_taxa())
def test_each_taxon_puts_ink_and_colour_inside_its_box_and_little_outside(qid: str) -> None:
    for seed in range(6):
        sheet = Sheet(360, 480)
        box = (120.0, 160.0, 480.0, 640.0)
        draw_figure(sheet, qid, box, np.random.default_rng(seed))
        painted = np.asarray(sheet.image).min(axis=2) < 245
        inside = painted[160:800, 120:600].sum()
        assert inside > 0.05 * 480 * 640, f"{qid} is hardly there with seed {seed}"
        assert painted.sum() - inside < 0.04 * painted.sum(), f"{qid} leaves its box with seed {seed}"


def test_the_taxa_do_not_look_alike_in_colour_or_outline() -> None:
    """Every pair of taxa, each averaged over eight drawings, differs visibly somewhere."""
    means = {}
    for qid in drawn_taxa():
        drawings = []
        for seed in range(8):
            sheet = Sheet(90, 120)
            draw_figure(sheet, qid, (18.0, 24.0, 144.0, 192.0), np.random.default_rng(seed))
            drawings.append(np.asarray(sheet.image.reduce(6), dtype=np.float64))
        means[qid] = np.mean(drawings, axis=0)
    for one, other in combinations(means, 2):
        assert np.abs(means[one] - means[other]).max() > 18, f"{one} and {other}"


@pytest.mark.parametrize("width", [240, 720])
def test_a_plate_has_the_width_asked_for_and_the_height_that_belongs_to_it(width: int) -> None:
    picture = draw_plate(_alone("Q43284"), width=width)
    assert picture.mode == "RGB"
    assert picture.size == (width, round(width * 4 / 3))


def test_an_unknown_taxon_or_a_malformed_box_is_an_error_and_not_an_empty_plate() -> None:
    with pytest.raises(KeyError, match="Q1"):
        draw_plate(_alone("Q1"))
    with pytest.raises(ValueError, match="pct"):
        draw_plate(DemoPlate(1, "", "", (DemoFigure("Q43284", "px:1,2,3,4"),), "", ""))


def test_writing_makes_one_readable_jpeg_a_plate_and_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    written = write_plates(
        tmp_path / "new" / "plates",
        seed=1,
        on_progress=lambda done, total: told.append((done, total)),
        plates_per_taxon=1,
    )
    total = len(drawn_taxa())
    assert told == [(done, total) for done in range(1, total + 1)]
    assert [plate for plate, _ in written] == list(plan_plates(1, 1))
    assert len({path for _, path in written}) == total
    for _, path in written:
        with Image.open(path) as picture:
            picture.load()
            assert (picture.format, picture.size) == ("JPEG", (720, 960))


def test_the_frontispiece_is_twice_as_wide_as_high() -> None:
    assert draw_frontispiece(600).size == (600, 300)


@pytest.mark.parametrize(("number", "numeral"), [(1, "I"), (14, "XIV"), (49, "XLIX"), (340, "CCCXL"), (444, "CDXLIV")])
def test_plate_numbers_are_roman(number: int, numeral: str) -> None:
    assert roman(number) == numeral


def test_a_letter_that_was_never_engraved_is_refused() -> None:
    with pytest.raises(KeyError):
        write(Sheet(50, 50), "Q", 5, 40, 20)
