"""Bytes from outside: pictures or not."""

import io

import pytest
from PIL import Image

from tests.support.paths import data_folder
from wiki_sync import ImageTooLargeError, NotAnImageError, picture_facts


def picture(kind: str, size: tuple[int, int] = (60, 40)) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "mime"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("TIFF", "image/tiff"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
    ],
)
def test_raster_pictures_are_known_by_their_bytes(kind: str, mime: str) -> None:
    facts = picture_facts(picture(kind), "x")
    assert (facts.width, facts.height, facts.mime) == (60, 40, mime)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_cut_off_picture_is_found_out(kind: str) -> None:
    data = picture(kind)
    with pytest.raises(NotAnImageError, match="x"):
        picture_facts(data[: len(data) // 2], "x")


@pytest.mark.parametrize("data", [b"", b"<html>no</html>", b"%PDF-1.7", b"\xff\xd8\xff", b"PK\x03\x04"])
def test_other_things_are_no_pictures(data: bytes) -> None:
    with pytest.raises(NotAnImageError):
        picture_facts(data, "x")


@pytest.mark.parametrize(
    "data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg/>"]
)
def test_a_drawing_is_named_as_such(data: bytes) -> None:
    with pytest.raises(NotAnImageError, match="SVG"):
        picture_facts(data, "x")


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(ImageTooLargeError, match="60 x 40"):
        picture_facts(picture("PNG"), "x", max_pixels=2399)


def test_a_decompression_bomb_is_refused() -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 100_000
    with pytest.raises(ImageTooLargeError):
        picture_facts(bomb.getvalue(), "x")


def test_real_plates_are_pictures() -> None:
    plates = sorted((data_folder() / "plates" / "familiar_trees").glob("*.jpg"))[:3]
    assert plates
    for plate in plates:
        facts = picture_facts(plate.read_bytes(), plate.name)
        assert facts.mime == "image/jpeg"
        assert min(facts.width, facts.height) > 100
