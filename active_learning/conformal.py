"""Sets of taxa that hold the truth as often as promised.

The score is the probability over the class's prior share, which treats rare classes better than the probability
alone (PAS: Ding, Fermanian, Salmon 2025). Thresholds are split-conformal: they promise coverage for figures drawn as
the calibration figures were, whatever the model is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.errors import NotEnoughDataError

Truth = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class ConformalModel:
    """Calibration scores by class; `sets` reads off the threshold for any promised coverage."""

    classes: tuple[str, ...]
    prior: NDArray[np.float64]  # (k,) sums to 1
    scores: NDArray[np.float64]  # (m,) of the truths of the calibration figures, ascending
    labels: NDArray[np.int64]  # (m,) their classes
    balanced: bool

    def thresholds(self, alpha: float) -> NDArray[np.float64]:
        """The score (k,) from which a class belongs to the set that misses at most a share `alpha` of truths."""
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
        weights, own = self._weights()
        below = np.cumsum(weights)
        # A class's own figure would weigh `own`; as its score may be the lowest of all, it is counted below them.
        places = np.searchsorted(below, alpha * (below[-1] + own) - own + 1e-9, side="right")
        reached = np.append(self.scores, np.inf)[places]
        return np.where(alpha * (below[-1] + own) - own < -1e-9, -np.inf, reached)

    def _weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (m,) of the calibration figures and, by class (k,), of a new one."""
        if not self.balanced:
            return np.ones(len(self.scores)), np.ones(len(self.classes))
        each = 1.0 / np.maximum(np.bincount(self.labels, minlength=len(self.classes)), 1)
        return each[self.labels], each

    def sets(self, proba: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
        """Which classes (n, k) are in the set of each figure; the most probable one always is.

        A smaller `alpha` never takes a class away.
        """
        members = _checked(proba, self.classes) / self.prior >= self.thresholds(alpha)
        members[np.arange(len(members)), np.argmax(proba, axis=1)] = True
        return np.asarray(members)


def fit_conformal(
    proba: NDArray[np.float64],
    y_index: Truth,
    classes: Sequence[str],
    prior: ArrayLike | None = None,
    balanced: bool = False,
) -> ConformalModel:
    """The model from probabilities (n, k) and truths (n,) of figures that the head did not learn from.

    `prior` (k,) is each class's share in what `proba` was fitted to; None for a logit-adjusted head, whose
    probabilities hold no prior any more. Coverage is promised for all figures together; with `balanced`, each class
    counts the same (weights of label shift: Podkopaev and Ramdas 2021), as far as its few figures can tell.

    Raises NotEnoughDataError without figures, ValueError for what does not fit together.
    """
    values, truth = _checked(proba, classes), np.asarray(y_index, dtype=np.int64)
    if truth.shape != (len(values),):
        raise ValueError(f"{len(values)} rows of probabilities for {truth.shape} truths")
    if len(truth) == 0:
        raise NotEnoughDataError("There are no figures to calibrate sets on.")
    if truth.min() < 0 or truth.max() >= len(classes):
        raise ValueError("a truth is none of the classes")
    share = np.ones(len(classes)) if prior is None else np.asarray(prior, dtype=np.float64)
    if share.shape != (len(classes),) or not np.isfinite(share).all() or (share <= 0).any():
        raise ValueError("the prior must be one positive number for each class")
    share = share / share.sum()
    scores = values[np.arange(len(truth)), truth] / share[truth]
    order = np.argsort(scores, kind="stable")
    return ConformalModel(tuple(classes), share, scores[order], truth[order], balanced)


def _checked(proba: NDArray[np.float64], classes: Sequence[str]) -> NDArray[np.float64]:
    values = np.asarray(proba, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(classes) or not np.isfinite(values).all():
        raise ValueError(f"expected finite probabilities over {len(classes)} classes, got shape {values.shape}")
    return values
