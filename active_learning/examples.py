"""What heads learn from, checked once for all of them: vectors with one class each, or with shares of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.errors import NotEnoughDataError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Examples:
    """Vectors (n, d) with their classes: `index` (n,) where each row has one, else `shares` (n, k) that sum to 1.

    `weights` (n,) are as given: 1 is one whole example. `classes` are sorted, and each has some label.
    """

    rows: Floats
    weights: NDArray[np.float64]
    classes: tuple[str, ...]
    index: NDArray[np.int64] | None
    shares: NDArray[np.float64] | None

    @property
    def mean_one(self) -> NDArray[np.float64]:
        """The weights (n,) scaled to a mean of 1."""
        return np.asarray(self.weights / self.weights.mean())

    def mass(self) -> NDArray[np.float64]:
        """How many examples each class (k,) has, in weight."""
        if self.index is not None:
            return np.asarray(np.bincount(self.index, self.weights, len(self.classes)), dtype=np.float64)
        assert self.shares is not None
        return np.asarray(self.weights @ self.shares)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted sum (k, d) of `values` (n, d) over the examples of each class."""
        if self.shares is not None:
            return np.asarray((self.shares * self.weights[:, None]).T @ values)
        assert self.index is not None
        order = np.argsort(self.index, kind="stable")
        starts = np.searchsorted(self.index[order], np.arange(len(self.classes)))
        weighted = values[order] * self.weights[order, None]
        return np.asarray(np.add.reduceat(weighted, starts, axis=0))


def checked_examples(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: Sequence[str] | None = None
) -> Examples:
    """The examples of vectors (n, d) and labels `y`: ids (n,), or shares (n, k) of the k `classes`.

    Shares are not negative and sum to 1 in each row. A row of zeros has no label any more and is left out, and so is
    a class that no row has a share of. Rows that are all of one class mean the same as ids.

    Raises NotEnoughDataError for no examples, ValueError for anything of the wrong shape, not finite, or negative.
    """
    rows = np.ascontiguousarray(x, dtype=np.float32)
    labels = np.asarray(y)
    n = len(labels) if labels.ndim else 0
    if rows.ndim != 2 or len(rows) != n:
        raise ValueError(f"{n} labels for an array of shape {rows.shape}")
    if n == 0:
        raise NotEnoughDataError("There are no labelled figures to learn from.")
    if not np.isfinite(rows).all():
        raise ValueError("some vectors hold values that are not finite")
    weights = np.ones(n) if sample_weight is None else np.array(sample_weight, dtype=np.float64)
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights <= 0).any():
        raise ValueError("weights must be one positive number for each example")
    if labels.ndim == 1 and classes is None:
        names, index = np.unique(np.array([str(label) for label in labels.tolist()]), return_inverse=True)
        return Examples(rows, weights, tuple(str(name) for name in names), index.astype(np.int64), None)
    shares = _checked_shares(labels, classes)
    return _of_shares(rows, weights, shares, np.array([str(name) for name in classes or ()]))


def _checked_shares(labels: NDArray[np.generic], classes: Sequence[str] | None) -> NDArray[np.float64]:
    if labels.ndim != 2 or classes is None or labels.shape[1] != len(classes):
        raise ValueError(f"shares of shape {labels.shape} need the ids of their columns in `classes`, one each")
    if len(set(classes)) != len(classes):
        raise ValueError("a class may have only one column")
    shares = labels.astype(np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise ValueError("shares must be finite and not negative")
    total = shares.sum(axis=1)
    if not (np.isclose(total, 1.0, atol=1e-6) | (total == 0)).all():
        raise ValueError("the shares of an example must sum to 1, or to 0 where it has no label any more")
    return shares


def _of_shares(
    rows: Floats, weights: NDArray[np.float64], shares: NDArray[np.float64], names: NDArray[np.str_]
) -> Examples:
    labelled = shares.sum(axis=1) > 0
    if not labelled.any():
        raise NotEnoughDataError("All labels were withdrawn: there is nothing to learn from.")
    rows, weights, shares = np.ascontiguousarray(rows[labelled]), weights[labelled], shares[labelled]
    kept = np.flatnonzero(shares.sum(axis=0) > 0)
    kept = kept[np.argsort(names[kept], kind="stable")]
    shares = np.ascontiguousarray(shares[:, kept])
    classes = tuple(str(name) for name in names[kept])
    if ((shares == 0.0) | (shares == 1.0)).all():
        return Examples(rows, weights, classes, shares.argmax(axis=1).astype(np.int64), None)
    return Examples(rows, weights, classes, None, shares)


def unit_rows(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """The rows scaled to length 1; rows of zeros stay zeros."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
