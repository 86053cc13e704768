"""Shares with the range in which the true value lies nineteen times in twenty, counting sources and not figures.

Figures of one source are alike: thirty of one book tell less than thirty of thirty books.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964


@dataclass(frozen=True)
class Share:
    """A share, 0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float


NO_SHARE = Share(0.0, 0.0, 1.0)  # of nothing


def numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """A number (n,) for each name, the same for the same name, in the order of the names."""
    return np.unique(np.asarray(names, dtype=object), return_inverse=True)[1].astype(np.int64).reshape(-1)


def share(right: NDArray[np.bool_], sources: NDArray[np.int64]) -> Share:
    """The share of `right` (n,) with Wilson's interval for as many independent figures as these `sources` (n,) hold.

    How many those are follows from how alike figures of one source are; where all figures agree, each source counts
    once. `NO_SHARE` without figures. Source: Korn and Graubard 1998 (effective sample size), Wilson 1927.
    """
    n = len(right)
    if n == 0:
        return NO_SHARE
    value = float(np.mean(right))
    wide = _independent(right.astype(np.float64), value, sources)
    middle = (value + Z95**2 / (2 * wide)) / (1 + Z95**2 / wide)
    half = Z95 / (1 + Z95**2 / wide) * math.sqrt(value * (1 - value) / wide + Z95**2 / (4 * wide**2))
    return Share(value, max(0.0, min(middle - half, value)), min(1.0, max(middle + half, value)))


def _independent(right: NDArray[np.float64], value: float, sources: NDArray[np.int64]) -> float:
    _, where = np.unique(sources, return_inverse=True)
    n_sources = int(where.max()) + 1
    if value in (0.0, 1.0) or n_sources == 1:
        return float(n_sources)
    off = np.bincount(where, right - value)
    variance = float(np.square(off).sum()) / len(right) ** 2 * n_sources / (n_sources - 1)
    if variance <= 0.0:
        return float(len(right))
    return float(min(max(value * (1 - value) / variance, 1.0), len(right)))


def mean_recall(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], sources: NDArray[np.int64], seed: int, rounds: int = 200
) -> Share:
    """Balanced accuracy of figures (n,) with a bootstrap interval that draws whole sources.

    Where all figures are right, or all wrong, drawing them again says nothing: then the interval is that of `share`.
    Balanced accuracy is the mean, over the classes in `truth`, of the share that was predicted right.
    """
    right = truth == predicted
    if len(truth) == 0 or right.all() or not right.any():
        return share(right, sources)
    _, where = np.unique(sources, return_inverse=True)
    n_sources, rng = int(where.max()) + 1, np.random.default_rng(seed)
    drawn = [
        _recall(truth, right, rng.multinomial(n_sources, np.full(n_sources, 1 / n_sources))[where])
        for _ in range(rounds)
    ]
    low, high = np.percentile(drawn, (2.5, 97.5))
    value = _recall(truth, right, np.ones(len(truth)))
    return Share(value, float(min(low, value)), float(max(high, value)))


def _recall(truth: NDArray[np.int64], right: NDArray[np.bool_], weights: NDArray[np.number]) -> float:
    support = np.bincount(truth, weights)
    hits = np.bincount(truth, weights * right)
    return float((hits[support > 0] / support[support > 0]).mean())
