"""Near-duplicates: the same plate scanned twice, coloured and uncoloured, cut a little tighter.

Plates of one series look alike: they share paper, frame and lettering, and differ in the organism. So two figures are
taken for one another only if their perceptual hashes are very close, or close and their vectors very near too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HASH_SIDE = 32  # pixels of the small grey picture that is hashed
HASH_LOW = 8  # frequencies kept in each direction
LEAST_CONTRAST = 4.0  # grey levels of 255: standard deviation of what the kept frequencies draw

AT_MOST_BITS = 12
LEAST_COSINE = 0.9
# How many bits may differ where the hash alone decides. Of 200,000 pairs of different plates (645 plates of six books)
# 1 was within 8 bits, 8 within 10 and 33 within 12: about a fifth for each two bits less. What one figure meets by
# chance grows with their number, so the limit falls: under 1 figure in 100 shall be joined wrongly.
CLOSE_BITS = ((10_000, 6), (50_000, 4), (250_000, 2))

CHANCE = 1e-4  # the share of pairs of different figures that may be as near as the limit
FEW = 50  # figures; among fewer it is not looked at
SAMPLE = 200_000  # pairs that are drawn to see how near different figures are
BLOCK = 8192  # hashes compared with all others at once: bounds the memory
PAIRS = 16384  # pairs of vectors compared at once


def perceptual_hash(image: Image.Image) -> str:
    """64 bits in 16 hex digits that stay nearly the same in another scan; "" if the image shows too little.

    The low frequencies (8 x 8, DCT-II) of a grey picture of 32 x 32 pixels, each against their median. Grey, so that
    a coloured and an uncoloured state agree; low, so that paper grain, compression and small cuts hardly count.
    An image of one colour, or nearly so, has no hash: its bits would be noise, and all such images would look alike.
    """
    low = _low_frequencies(image)
    without_mean = low.copy()
    without_mean[0, 0] = 0.0
    # The transform keeps lengths, so that this is the deviation in grey levels of the picture that they draw.
    if float(np.sqrt(np.square(without_mean).sum())) / HASH_SIDE < LEAST_CONTRAST:
        return ""
    bits = low.reshape(-1) > np.median(low)
    return np.packbits(bits).tobytes().hex()


def _low_frequencies(image: Image.Image) -> NDArray[np.float64]:
    """The 8 x 8 lowest coefficients of the orthonormal DCT-II of the image's grey, squeezed to a square."""
    grey = image.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels = np.asarray(grey, dtype=np.float64)
    places = (2 * np.arange(HASH_SIDE) + 1) * np.pi / (2 * HASH_SIDE)
    basis = np.cos(np.arange(HASH_LOW)[:, None] * places) * np.sqrt(2 / HASH_SIDE)  # (8, 32)
    basis[0] /= np.sqrt(2)
    low: NDArray[np.float64] = basis @ pixels @ basis.T
    return low


def near_duplicate_groups(
    ids: Sequence[int],
    hashes: Sequence[str],
    x: Floats,
    *,
    at_most_bits: int = AT_MOST_BITS,
    least_cosine: float = LEAST_COSINE,
    pages: Sequence[int] | None = None,
) -> dict[int, int]:
    """For each id the smallest id among its near-duplicates, its own where there are none.

    Two figures are near-duplicates if their hashes differ by no more than `close_bits` (an uncoloured state, which
    networks take for something else), or by `at_most_bits` or fewer and their vectors, rows of `x` (n, d), have a
    cosine of at least `cosine_limit`. Groups are what hangs together through such pairs, the closest joined first.
    A figure whose hash is "" stays alone. `pages` tells which illustration each figure is on: two figures of one
    illustration are two organisms and never come into one group, not even through a third.

    All hashes are compared with all (faiss, 64 bits at a time): seconds for 100,000, and the same for any data. The
    order in which figures are given changes nothing. Raises ValueError for unequal lengths or an id given twice.
    """
    given = np.asarray(ids, dtype=np.int64).reshape(-1)
    n = len(given)
    if len(hashes) != n or len(x) != n or (pages is not None and len(pages) != n):
        raise ValueError(f"{n} ids, {len(hashes)} hashes and {len(x)} vectors do not belong together")
    if len(np.unique(given)) != n:
        raise ValueError("an id is given twice")
    hashed = np.array([place for place in np.argsort(given) if hashes[place]], dtype=np.int64)
    keys = given[hashed]
    on = keys if pages is None else np.asarray(pages, dtype=np.int64)[hashed]
    by_hash, limit = close_bits(len(hashed)), cosine_limit(x, hashed, least_cosine)
    groups = _Groups(on)
    for left, right, bits in _close_pairs([hashes[place] for place in hashed], max(at_most_bits, by_hash)):
        apart = (on[left] != on[right]) & (groups.of[left] != groups.of[right])
        left, right, bits = left[apart], right[apart], bits[apart]
        cosines = _cosines(x, hashed[left], hashed[right])
        same = (bits <= by_hash) | (cosines >= limit)
        groups.join_all(left[same], right[same], bits[same], cosines[same])
    # Places stand in the order of ids, so that a group's first place has its smallest id.
    found = dict(zip(keys.tolist(), keys[groups.smallest()].tolist(), strict=True))
    return {key: found.get(key, key) for key in given.tolist()}


def close_bits(n: int) -> int:
    """How many bits two hashes may differ by, for the hash alone to join two of `n` figures; see CLOSE_BITS."""
    return next((bits for most, bits in CLOSE_BITS if n <= most), 0)


def cosine_limit(x: Floats, places: Ints, least: float = LEAST_COSINE) -> float:
    """The cosine from which two rows of `x` are near, for this network and these figures: `least` or higher.

    To one network all plates of a series are alike, to another hardly two: so the limit is where all but 1 in 10,000
    pairs of figures lie below, as drawn by chance among `places`. A campaign may hold each plate twice, which makes
    one pair in n near; those many are set aside. Among few figures hardly one meets another by chance: `least`.
    """
    n = len(places)
    if n < FEW:
        return least
    rng = np.random.default_rng(0)
    drawn = min(SAMPLE, n * (n - 1) // 2)
    left, step = rng.integers(0, n, drawn), rng.integers(1, n, drawn)
    cosines = _cosines(x, places[left], places[(left + step) % n])
    return max(least, float(np.quantile(cosines, 1 - max(CHANCE, 1 / n))))


def _close_pairs(hashes: Sequence[str], at_most_bits: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    """All pairs of places (left < right) whose hashes differ by so few bits, with the bits, a block at a time."""
    if len(hashes) < 2:
        return
    import faiss

    words = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(-1, 8)
    for start in range(0, len(words), BLOCK):
        later = faiss.IndexBinaryFlat(64)
        later.add(words[start:])
        asked = words[start : start + BLOCK]
        # faiss gives what lies strictly within the radius.
        ends, bits, found = later.range_search(asked, at_most_bits + 1)
        left = np.repeat(np.arange(len(asked)), np.diff(ends).astype(np.int64))
        found = found.astype(np.int64)
        once = left < found
        yield left[once] + start, found[once] + start, bits[once].astype(np.int64)


def _cosines(x: Floats, left: Ints, right: Ints) -> Floats:
    """The cosines (m,) of rows of `x` taken two and two, 0 where one of them is zero; a part at a time."""
    cosines = np.zeros(len(left), dtype=np.float32)
    for start in range(0, len(left), PAIRS):
        a = np.asarray(x[left[start : start + PAIRS]], dtype=np.float32)
        b = np.asarray(x[right[start : start + PAIRS]], dtype=np.float32)
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        products = np.einsum("nd,nd->n", a, b)
        cosines[start : start + PAIRS] = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return cosines


class _Groups:
    """Places 0 to n - 1 in groups of which none holds two places of one page."""

    def __init__(self, pages: Ints) -> None:
        self.of: Ints = np.arange(len(pages), dtype=np.int64)  # the group of each place
        self._members: dict[int, list[int]] = {}  # of groups of two or more
        self._pages = pages

    def join_all(self, left: Ints, right: Ints, bits: Ints, cosines: Floats) -> None:
        """Join these pairs, the closest first: where pages forbid some, the best ones stand."""
        for place in np.lexsort((right, left, -cosines, bits)).tolist():
            self._join(int(self.of[left[place]]), int(self.of[right[place]]))

    def _join(self, one: int, other: int) -> None:
        if one == other:
            return
        mine, theirs = self._members.get(one, [one]), self._members.get(other, [other])
        if set(self._pages[mine].tolist()) & set(self._pages[theirs].tolist()):
            return
        if len(mine) < len(theirs):  # the smaller group moves, so that a place moves but a few times
            one, other, mine, theirs = other, one, theirs, mine
        self._members.pop(other, None)
        self._members[one] = mine + theirs
        self.of[theirs] = one

    def smallest(self) -> Ints:
        """The first place of each place's group, (n,)."""
        first = np.arange(len(self.of), dtype=np.int64)
        for members in self._members.values():
            first[members] = min(members)
        return first
