"""Every way in which a file can be odd, and the pixels that come of it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from active_learning import ImageError, crop, open_figure, open_rgb, parse_box
from active_learning.images import to_square


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def half_red(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    return image


def test_the_colours_come_out_in_the_order_red_green_blue() -> None:
    image = open_rgb(encoded(half_red(), "PNG"))
    assert image.getpixel((2, 2)) == (255, 0, 0)
    assert to_square(image, 8)[4, 0].tolist() == [255, 0, 0]


def test_a_picture_taken_on_its_side_comes_out_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned 90 degrees clockwise
    image = open_rgb(encoded(half_red(), "JPEG", exif=exif, quality=95))
    assert image.size == (20, 40)
    top = image.getpixel((10, 3))
    assert isinstance(top, tuple)
    assert top[0] > 200
    assert top[2] < 60


def test_what_is_transparent_becomes_white_paper() -> None:
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    assert open_rgb(encoded(clear, "PNG")).getpixel((1, 1)) == (255, 255, 255)
    half = Image.new("LA", (4, 4), (0, 128))
    assert open_rgb(encoded(half, "PNG")).getpixel((1, 1)) == (127, 127, 127)
    palette = half_red().quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert open_rgb(encoded(palette, "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    deep = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    image = open_rgb(encoded(deep, "PNG"))
    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]
    floating = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert open_rgb(encoded(floating, "TIFF")).getpixel((1, 0)) == (128, 128, 128)


def test_printers_colours_become_screen_colours() -> None:
    image = open_rgb(encoded(half_red().convert("CMYK"), "JPEG", quality=95))
    assert image.mode == "RGB"
    left = image.getpixel((4, 10))
    assert isinstance(left, tuple)
    assert left[0] > 200
    assert left[2] < 60


def test_a_large_jpeg_is_read_reduced_but_never_too_small() -> None:
    large = encoded(half_red((1600, 1200)), "JPEG")
    assert open_rgb(large).size == (1600, 1200)
    assert open_rgb(large, min_side=200).size == (400, 300)
    assert open_rgb(large, min_side=1201).size == (1600, 1200)


def test_a_small_box_is_read_with_all_its_pixels() -> None:
    large = encoded(half_red((1600, 1200)), "JPEG")
    assert min(open_figure(large, "pct:0,0,25,25", side=200).size) >= 200
    assert min(open_figure(large, None, side=100).size) == 150


def test_an_image_outlives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "plate.png"
    file.write_bytes(encoded(half_red(), "PNG"))
    image = open_rgb(file)
    file.unlink()
    assert image.getpixel((0, 0)) == (255, 0, 0)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"just words", "not an image"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (encoded(half_red((400, 400)), "JPEG")[:1500], "cut off"),
        (encoded(Image.effect_noise((64, 64), 90), "PNG")[:900], "cut off"),
        (png_that_claims(60000, 60000), "too large|more than can be opened"),
        (png_that_claims(12000, 12000), "more than can be opened"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
    ],
    ids=["empty", "words", "svg", "html", "cut jpeg", "cut png", "bomb", "large png", "postscript"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_usable_image_is_refused_in_plain_words(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=said):
        open_rgb(content)
    file = tmp_path / "thing.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=said):
        open_rgb(file)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no file plate\.jpg") as caught:
        open_rgb(tmp_path / "plate.jpg")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    "box",
    [
        "",
        "1,2,3,4",
        "pct:1,2,3",
        "pct:a,b,c,d",
        "pct:nan,0,10,10",
        "pct:0,0,inf,10",
        "pct:0,0,0,10",
        "pct:-1,0,10,10",
        "pct:95,0,10,10",
        "pct:0,0,10,-5",
        "pct:0,0,10,101",
    ],
)
def test_a_box_that_is_none_is_refused(box: str) -> None:
    with pytest.raises(ImageError):
        parse_box(box)
    with pytest.raises(ValueError):
        crop(half_red(), box)


def test_a_box_cuts_where_it_says() -> None:
    assert crop(half_red(), "pct:50,0,50,100").getcolors() == [(400, (0, 0, 255))]
    image = half_red()
    assert crop(image, None) is image


@given(
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    corner=st.tuples(st.floats(0, 99.9), st.floats(0, 99.9)),
    share=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)),
)
def test_every_box_inside_the_image_gives_at_least_a_pixel(
    size: tuple[int, int], corner: tuple[float, float], share: tuple[float, float]
) -> None:
    width, height = (100 - corner[0]) * share[0], (100 - corner[1]) * share[1]
    part = crop(Image.new("RGB", size), f"pct:{corner[0]:.4f},{corner[1]:.4f},{width:.4f},{height:.4f}")
    assert 1 <= part.width <= size[0]
    assert 1 <= part.height <= size[1]


def test_the_preprocessing_gives_the_pixels_it_always_gave() -> None:
    """A change here makes all stored embeddings wrong: raise PREPROCESSING_VERSION with it."""
    ramp = np.zeros((60, 90, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(90) * 2
    ramp[..., 1] = np.arange(60)[:, None] * 4
    ramp[20:40, 30:60, 2] = 255
    square = to_square(open_rgb(encoded(Image.fromarray(ramp), "PNG")), 6)
    assert square[:, :, 0][0].tolist() == pytest.approx([15, 44, 74, 104, 134, 163], abs=2)
    assert square[:, 0, 1].tolist() == pytest.approx([22, 58, 98, 138, 178, 214], abs=1)
    assert square[2:4, 2:4, 2].ravel().tolist() == pytest.approx([197] * 4, abs=2)
    assert square[0, :, 2].max() < 2
