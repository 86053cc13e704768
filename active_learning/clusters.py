"""Groups of figures that look alike, tight rather than complete: what nobody has named yet can be named in one go.

Mutual nearest neighbours are merged by average linkage, the most alike first, as long as the mean cosine between two
groups stays above a bound. A figure that is like no other stays single. The bound comes from the vectors themselves:
it is a little below the cosine to the nearest neighbour that nine in ten of them reach. `benchmarks/clusters.py`
measures how pure the groups are.

Average linkage: Sokal and Michener, Univ. Kansas Sci. Bull. 38 (1958). Of unit vectors the mean cosine between two
groups is the product of their sums divided by both sizes, so that no matrix of all pairs is needed.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

NEIGHBOURS = 10
FAR_SHARE, OF_THE_WAY, SAMPLE = 0.1, 0.95, 10_000
"""The bound lies so far on the way from the cosine of two vectors by chance to that of neighbours, leaving out the
share of the vectors whose neighbours are farthest; and so many pairs tell what chance is."""
EXACT_UP_TO = 10_000
"""More vectors than these are searched cell by cell: nearly all neighbours are found, in a fraction of the time."""
SEARCHED, LEARNED_FROM, ROUNDS = 8, 40, 6
"""Cells searched for each cell; vectors a cell it is learned from (faiss asks for 39), and rounds of k-means."""
AT_ONCE = 4_000_000
"""So many cosines are held at a time: 16 MB."""
ROUNDING = 1e-6
"""What cosines of the same two vectors may differ by."""


@dataclass(frozen=True)
class Cluster:
    """Rows of the matrix that look alike."""

    members: tuple[int, ...]
    """Row numbers, the most typical first: the one nearest to the centre."""
    cohesion: float
    """Mean cosine to the centre, -1 to 1."""


@dataclass(frozen=True)
class Clusters:
    """The groups that were found, the largest first, and of one size the tightest first."""

    clusters: tuple[Cluster, ...]
    cosine: float
    """The bound: the mean cosine between two parts of a group, when they were joined, was not below it."""


def look_alikes(x: Floats, *, seed: int, least: int = 2, most: int = 60, cosine: float | None = None) -> Clusters:
    """The dense groups among vectors (n, d), brought to length 1, with `least` to `most` members each.

    `cosine` is the bound for joining; None fits it to the data. The same vectors in another order give the same
    groups. Of 100,000 vectors the neighbours are nearly exact, of up to 10,000 exact. Raises ValueError for a zero
    or infinite vector, and for sizes that make no group.
    """
    if not 2 <= least <= most:
        raise ValueError(f"groups need at least 2 members, and most not below least: got {least} and {most}")
    order = _own_order(x, seed)
    rows = _unit_rows(x, order)
    if len(rows) < 2:
        return Clusters((), 1.0 if cosine is None else cosine)
    cosines, found = _neighbours(rows, seed)
    bound = _fitted(rows, cosines) if cosine is None else cosine
    groups = _joined(rows, _mutual(cosines, found, bound), bound, most)
    clusters = [_cluster(x, order[group]) for group in groups if len(group) >= least]
    return Clusters(tuple(sorted(clusters, key=lambda one: (-len(one.members), -one.cohesion))), bound)


def _own_order(x: Floats, seed: int) -> Rows:
    """An order of the rows that comes from what is in them, whatever order they were given in."""
    key = str(seed).encode()[:64]
    marks = [hashlib.blake2b(row.tobytes(), digest_size=16, key=key).digest() for row in np.asarray(x, np.float32)]
    return np.array(sorted(range(len(marks)), key=marks.__getitem__), dtype=np.int64)


def _unit_rows(x: Floats, order: Rows) -> Floats:
    rows = np.asarray(x, dtype=np.float32)[order]
    if rows.ndim != 2:
        raise ValueError(f"expected vectors as rows, got an array of shape {np.shape(x)}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("a vector is zero or not finite, and has no direction to compare")
    rows /= lengths
    return rows


def _neighbours(rows: Floats, seed: int) -> tuple[Floats, Rows]:
    """Cosines and row numbers (n, k) of each row's nearest others; -1 where its cells held too few."""
    n = len(rows)
    k = min(NEIGHBOURS, n - 1)
    cosines, found = np.full((n, k), -1, dtype=np.float32), np.full((n, k), -1, dtype=np.int64)
    cell, beside = _cells(rows, seed)
    by_cell = np.argsort(cell, kind="stable")
    held = np.split(by_cell, np.searchsorted(cell[by_cell], np.arange(1, len(beside))))
    for place, own in enumerate(held):
        others = np.concatenate([held[one] for one in beside[place]])
        step = max(1, AT_ONCE // max(len(others), 1))
        for block in (own[at : at + step] for at in range(0, len(own), step)):
            alike = rows[block] @ rows[others].T
            alike[block[:, None] == others] = -2
            top = min(k, len(others) - 1)
            best = np.argpartition(-alike, top - 1, axis=1)[:, :top] if top > 0 else np.zeros((len(block), 0), np.int64)
            cosines[block, :top], found[block, :top] = np.take_along_axis(alike, best, axis=1), others[best]
    return cosines, found


def _cells(rows: Floats, seed: int) -> tuple[Rows, list[list[int]]]:
    """The cell of each row, and for each cell those in which its rows' neighbours are looked for, itself first."""
    if len(rows) <= EXACT_UP_TO:
        return np.zeros(len(rows), dtype=np.int64), [[0]]
    import faiss

    n_cells = int(2 * np.sqrt(len(rows)))
    # The rows lie in an order that is as good as random: the first ones are a sample.
    means = faiss.Kmeans(rows.shape[1], n_cells, niter=ROUNDS, seed=seed % 2**31, spherical=True)
    means.train(rows[: n_cells * LEARNED_FROM])
    cell = means.index.search(rows, 1)[1][:, 0]
    nearest = means.index.search(np.asarray(means.centroids), SEARCHED)[1].tolist()
    return cell, [list(dict.fromkeys([own, *others])) for own, others in enumerate(nearest)]


def _fitted(rows: Floats, cosines: Floats) -> float:
    """The bound for these rows. Where most are copies of each other, it is still as low as groups need."""
    by_chance = np.median((rows[:SAMPLE][:-1] * rows[:SAMPLE][1:]).sum(axis=1))
    near = np.quantile(cosines.max(axis=1), FAR_SHARE)
    return float(by_chance + OF_THE_WAY * (near - by_chance)) - ROUNDING


def _mutual(cosines: Floats, found: Rows, bound: float) -> list[tuple[float, int, int]]:
    """Pairs of rows as near to each other as their farthest neighbours or nearer, with a cosine not below the bound."""
    farthest = cosines.min(axis=1)
    # Told by the cosine, and not by who is listed: of many equal vectors chance decides which are.
    near = (cosines >= bound) & (found >= 0) & (cosines >= farthest[found] - ROUNDING)
    one = np.repeat(np.arange(len(found)), near.sum(axis=1))
    other, alike = found[near], cosines[near]
    low, high = np.minimum(one, other), np.maximum(one, other)
    first = np.unique(low * len(found) + high, return_index=True)[1]
    return list(zip(alike[first].tolist(), low[first].tolist(), high[first].tolist(), strict=True))


def _joined(rows: Floats, pairs: Sequence[tuple[float, int, int]], bound: float, most: int) -> list[Rows]:
    """The groups of two and more rows that average linkage makes along these pairs. `rows` is used up: sums end there.

    A pair in the heap that has changed since it was put there (its ages tell) is out of date and passed over.
    """
    beside: dict[int, set[int]] = {}
    for _, i, j in pairs:
        beside.setdefault(i, set()).add(j)
        beside.setdefault(j, set()).add(i)
    members = {i: [i] for i in beside}
    age = dict.fromkeys(beside, 0)
    heap = [(-alike, i, j, 0, 0) for alike, i, j in pairs]
    heapq.heapify(heap)
    while heap:
        _, i, j, age_i, age_j = heapq.heappop(heap)
        if age.get(i) != age_i or age.get(j) != age_j or len(members[i]) + len(members[j]) > most:
            continue
        age[i] += 1
        rows[i] += rows[j]
        members[i] += members.pop(j)
        del age[j]
        _take_over(beside, i, j)
        others = sorted(beside[i])
        sizes = np.array([len(members[other]) for other in others]) * len(members[i])
        for other, alike in zip(others, (rows[others] @ rows[i] / sizes).tolist(), strict=True):
            if alike >= bound:
                low, high = min(i, other), max(i, other)
                heapq.heappush(heap, (-alike, low, high, age[low], age[high]))
    return [np.array(sorted(group), dtype=np.int64) for group in members.values() if len(group) > 1]


def _take_over(beside: dict[int, set[int]], i: int, j: int) -> None:
    """Let i stand where j stood."""
    for other in beside.pop(j):
        beside[other].discard(j)
        if other != i:
            beside[other].add(i)
            beside[i].add(other)


def _cluster(x: Floats, members: Rows) -> Cluster:
    own = np.asarray(x)[members].astype(np.float64)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    centre = own.sum(axis=0)
    to_centre = own @ (centre / np.linalg.norm(centre))
    typical = np.argsort(-to_centre, kind="stable")
    return Cluster(tuple(int(row) for row in members[typical]), float(to_centre.mean()))
