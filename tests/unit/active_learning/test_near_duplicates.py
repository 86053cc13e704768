"""Near-duplicates: a hash that stays the same in another scan, and groups that join only what is the same picture."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from active_learning import (
    ClassicalDescriptor,
    near_duplicate_groups,
    open_figure,
    perceptual_hash,
)
from active_learning.near_duplicates import AT_MOST_BITS, CLOSE_BITS, close_bits, cosine_limit
from tests.support.paths import data_folder

Change = Callable[[Image.Image], Image.Image]


def again_as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cut(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def yellowed(image: Image.Image) -> Image.Image:
    tinted = np.asarray(image, dtype=np.float64) * [1.05, 0.95, 0.78] + [5, 0, -5]
    return Image.fromarray(np.clip(tinted, 0, 255).astype(np.uint8))


def turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(250, 246, 235))


CHANGES: dict[str, Change] = {
    "smaller": lambda image: image.resize((round(image.width * 0.6), round(image.height * 0.6))),
    "compressed": lambda image: again_as_jpeg(image, 40),
    "cut by 2 %": lambda image: cut(image, 0.02),
    "uncoloured": lambda image: image.convert("L").convert("RGB"),
    "yellowed": yellowed,
    "turned by 1 degree": lambda image: turned(image, 1.0),
    "scanned again": lambda image: again_as_jpeg(yellowed(cut(turned(image, 0.5), 0.01)), 70),
    "scanned in grey": lambda image: again_as_jpeg(
        ImageEnhance.Contrast(cut(image, 0.015).convert("L").convert("RGB")).enhance(1.2), 60
    ),
}


def bits_apart(a: str, b: str) -> int:
    """How many bits of two hashes differ, 0 to 64."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def noise(seed: int, side: int = 200) -> Image.Image:
    """Blots of many sizes: as much low frequency as a plate has."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (7, 7), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).convert("RGB")


def test_a_hash_is_sixteen_hex_digits_and_stays_the_same() -> None:
    first = perceptual_hash(noise(1))
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert perceptual_hash(noise(1)) == first
    assert 20 <= bits_apart(first, perceptual_hash(noise(2))) <= 44


@pytest.fixture(scope="module")
def plates() -> list[Image.Image]:
    """Real plates of one book, which look alike."""
    files = sorted((data_folder() / "plates" / "familiar_trees").glob("*.jpg"))[:24:2]
    return [open_figure(file, side=200).resize((150, 240)) for file in files]


@pytest.fixture(scope="module")
def seen(plates: list[Image.Image]) -> NDArray[np.float32]:
    return ClassicalDescriptor().embed(plates)


def test_plates_of_one_book_have_hashes_far_apart(plates: list[Image.Image]) -> None:
    hashes = [perceptual_hash(plate) for plate in plates]
    assert min(bits_apart(a, b) for a, b in combinations(hashes, 2)) > close_bits(len(hashes))


@pytest.mark.parametrize("change", CHANGES)
def test_a_plate_scanned_again_is_found_and_no_other_is_taken_for_it(
    plates: list[Image.Image], seen: NDArray[np.float32], change: str
) -> None:
    n = len(plates)
    again = [CHANGES[change](plate) for plate in plates]
    x = np.concatenate([seen, ClassicalDescriptor().embed(again)])
    groups = near_duplicate_groups(range(2 * n), [perceptual_hash(image) for image in (*plates, *again)], x)
    assert all(groups[place] == place for place in range(n))
    assert all(groups[n + place] in (place, n + place) for place in range(n))
    assert sum(groups[n + place] == place for place in range(n)) >= 0.9 * n


def nearly_empty(paper: int, seed: int) -> Image.Image:
    """Paper with some grain and a speck."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(np.clip(rng.normal(paper, 2, (300, 200, 3)), 0, 255).astype(np.uint8))
    ImageDraw.Draw(image).ellipse((90, 140, 94, 144), fill=(40, 40, 40))
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (200, 300), "white"),
        Image.new("RGB", (1, 1)),
        Image.new("L", (50, 50), 7),
        nearly_empty(240, 1),
        nearly_empty(200, 2),
    ],
)
def test_an_image_that_shows_nothing_has_no_hash(image: Image.Image) -> None:
    assert perceptual_hash(image) == ""


def hashes_of(words: NDArray[np.uint64]) -> list[str]:
    return [f"{word:016x}" for word in words.tolist()]


@st.composite
def figures(draw: st.DrawFn) -> tuple[list[int], list[str], NDArray[np.float32], list[int]]:
    """Figures around a few originals: some bits turned, some noise in the vector, a few without a hash."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, 30))
    originals = rng.integers(0, 2**63, 4, dtype=np.uint64)
    kinds = rng.integers(0, 4, n)
    words = originals[kinds]
    for _ in range(draw(st.integers(0, 8))):
        words = words ^ (np.uint64(1) << rng.integers(0, 64, n, dtype=np.uint64))
    vectors = rng.normal(size=(4, 6))[kinds] + rng.normal(size=(n, 6)) * draw(st.sampled_from([0.01, 0.3]))
    hashes = [one if rng.random() > 0.1 else "" for one in hashes_of(words)]
    ids = rng.permutation(1000)[:n].tolist()
    return ids, hashes, vectors.astype(np.float32), rng.integers(0, 12, n).tolist()


def by_comparing_all(ids: Sequence[int], hashes: Sequence[str], x: NDArray[np.float32]) -> dict[int, int]:
    """What the words of `near_duplicate_groups` say, without pages, in the slowest way."""
    group = {key: key for key in ids}
    hashed = [place for place in np.argsort(ids) if hashes[place]]
    limit = cosine_limit(x, np.array(hashed, dtype=np.int64))
    for a, b in combinations(hashed, 2):
        cosine = float(x[a] @ x[b] / np.linalg.norm(x[a]) / np.linalg.norm(x[b]))
        bits = bits_apart(hashes[a], hashes[b])
        if bits <= close_bits(len(hashed)) or (bits <= AT_MOST_BITS and cosine >= limit):
            low, high = sorted((group[ids[a]], group[ids[b]]))
            group = {key: low if of == high else of for key, of in group.items()}
    return group


@given(figures())
@settings(max_examples=40)
def test_groups_are_what_comparing_all_pairs_gives(
    some: tuple[list[int], list[str], NDArray[np.float32], list[int]],
) -> None:
    ids, hashes, x, _ = some
    assert near_duplicate_groups(ids, hashes, x) == by_comparing_all(ids, hashes, x)


@given(figures(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_groups_hold_each_page_once_and_do_not_depend_on_the_order(
    some: tuple[list[int], list[str], NDArray[np.float32], list[int]], dice: random.Random
) -> None:
    ids, hashes, x, pages = some
    groups = near_duplicate_groups(ids, hashes, x, pages=pages)
    order = list(range(len(ids)))
    dice.shuffle(order)
    shuffled = near_duplicate_groups(
        [ids[i] for i in order], [hashes[i] for i in order], x[order], pages=[pages[i] for i in order]
    )
    assert shuffled == groups
    assert set(groups) == set(ids)
    page_of = dict(zip(ids, pages, strict=True))
    for group in set(groups.values()):
        members = sorted(key for key, of in groups.items() if of == group)
        assert members[0] == group
        assert len({page_of[key] for key in members}) == len(members)


def test_boxes_of_one_illustration_stay_apart_even_through_another_scan() -> None:
    # Two boxes on plate 1 look the same, and plate 2 is another scan of both: each finds its own.
    x = np.array([[1, 0], [0.999, 0.03], [1, 0.001], [0.999, 0.031]], dtype=np.float32)
    groups = near_duplicate_groups([10, 11, 20, 21], ["00ff00ff00ff00ff"] * 4, x, pages=[1, 1, 2, 2])
    assert groups == {10: 10, 20: 10, 11: 11, 21: 11}
    assert set(near_duplicate_groups([10, 11], ["00ff00ff00ff00ff"] * 2, x[:2], pages=[1, 1]).values()) == {10, 11}


def with_bits(n: int) -> str:
    """A hash that differs by so many bits from the one that is all zero."""
    return f"{(1 << n) - 1:016x}"


def test_a_very_close_hash_is_enough_and_a_close_one_needs_a_near_vector() -> None:
    same = np.ones((2, 3), dtype=np.float32)
    other = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)
    zero = np.zeros((2, 3), dtype=np.float32)
    for bits, x, joined in (
        (6, other, True),
        (6, zero, True),
        (7, other, False),
        (7, zero, False),
        (7, same, True),
        (12, same, True),
        (13, same, False),
    ):
        groups = near_duplicate_groups([1, 2], [with_bits(0), with_bits(bits)], x)
        assert groups == {1: 1, 2: 1 if joined else 2}, (bits, joined)
    assert near_duplicate_groups([1, 2], ["", ""], same) == {1: 1, 2: 2}


def test_the_more_figures_the_closer_the_hash_alone_must_be() -> None:
    limits = [close_bits(n) for n in range(2, 400_000, 999)]
    assert limits == sorted(limits, reverse=True)
    assert (limits[0], limits[-1]) == (CLOSE_BITS[0][1], 0)


def test_the_cosine_limit_rises_where_a_network_takes_all_for_alike() -> None:
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(300, 20)).astype(np.float32)
    alike = apart * 0.1 + 1
    everyone = np.arange(300)
    assert cosine_limit(apart, everyone, 0.9) == 0.9
    assert 0.99 < cosine_limit(alike, everyone, 0.9) < 1
    # Each of them twice: the limit stays below what tells a figure from its own copy.
    assert cosine_limit(np.concatenate([alike, alike]), np.arange(600), 0.9) < 0.999
    assert cosine_limit(apart[:1], everyone[:1], 0.9) == 0.9


def test_nothing_to_group_is_no_error_and_wrong_input_is() -> None:
    x = np.ones((2, 3), dtype=np.float32)
    assert near_duplicate_groups([], [], np.zeros((0, 0), dtype=np.float32)) == {}
    for ids, hashes, pages in (([1, 1], ["", ""], None), ([1, 2, 3], ["", ""], None), ([1, 2], ["", ""], [1])):
        with pytest.raises(ValueError):
            near_duplicate_groups(ids, hashes, x, pages=pages)


def test_many_figures_take_no_long_time() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    words = rng.integers(0, 2**63, n, dtype=np.uint64)
    words[n // 2 :] = words[: n // 2] ^ np.uint64(5)
    x = rng.normal(size=(n, 16)).astype(np.float32)
    x[n // 2 :] = x[: n // 2]
    before = time.process_time()
    groups = near_duplicate_groups(range(n), hashes_of(words), x)
    assert time.process_time() - before < 4  # about 0.4 s on one core
    assert [groups[key] for key in range(n // 2, n)] == list(range(n // 2))
