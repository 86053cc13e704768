"""Linear discriminant analysis with one shared, shrunk covariance: whitened prototypes in closed form.

A new class costs one mean, so it is there in milliseconds, and distances in the whitened space tell how unlike
everything known a picture is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.errors import ArtifactError
from active_learning.examples import Examples, Floats, checked_examples
from active_learning.head_base import Fitted, stored

SPHERICAL_SHARE = 0.5  # of all variance lies within classes, where one label a class leaves nothing to measure it on

COPIES = 1e-8  # of all variance: less within classes is rounding, which is no covariance


@dataclass(frozen=True, eq=False)
class Whitening:
    """Vectors (n, d) to where the covariance is the unit matrix: `(x - centre) @ matrix`."""

    centre: NDArray[np.float64]  # (d,)
    matrix: NDArray[np.float64]  # (d, d)
    shrinkage: float  # 0: the covariance as measured; 1: the same variance in all directions


def whitening(
    centre: NDArray[np.float64],
    scatter: NDArray[np.float64],
    freedom: float,
    variance: float,
    shrinkage: float | None = None,
) -> Whitening:
    """The whitening of a covariance `scatter / freedom` (d, d), shrunk towards a multiple of the unit matrix.

    `shrinkage` None takes that of the oracle approximating estimator (Chen, Wiesel, Eldar, Hero 2010, equation 23).
    Where there is less than one degree of freedom, or nothing but copies in each class, `variance` is taken in all
    directions.
    """
    d = len(centre)
    if freedom < 1.0 or np.trace(scatter) <= COPIES * variance * d * freedom:
        return Whitening(centre, np.eye(d) / np.sqrt(max(variance, 1e-12)), 1.0)
    covariance = scatter / freedom
    mean_variance = float(np.trace(covariance)) / d
    amount = _oas(covariance, freedom) if shrinkage is None else shrinkage
    shrunk = (1.0 - amount) * covariance
    shrunk[np.diag_indices(d)] += amount * mean_variance + 1e-9 * mean_variance
    factor = np.linalg.cholesky(shrunk)
    return Whitening(centre, np.ascontiguousarray(np.linalg.inv(factor).T), float(amount))


def _oas(covariance: NDArray[np.float64], n: float) -> float:
    d = len(covariance)
    squared, of_squares = float(np.trace(covariance)) ** 2, float(np.square(covariance).sum())
    numerator = (1 - 2 / d) * of_squares + squared
    denominator = (n + 1 - 2 / d) * (of_squares - squared / d)
    return 1.0 if denominator <= 0 else min(1.0, numerator / denominator)


class LDAHead(Fitted):
    """Linear discriminant analysis; every class has the same covariance, as measured over all of them together.

    With `logit_adjustment` 1 all classes are equal before the picture, with 0 their shares count (scikit-learn's
    LinearDiscriminantAnalysis, but for its covariance, which is divided by n instead of n - k). Weights count as
    numbers of examples: half of everything says less about the covariance. `shrinkage` 0 to 1, None: measured.
    """

    kind = "lda"
    can_add_class = True

    def __init__(self, shrinkage: float | None = None, logit_adjustment: float = 1.0) -> None:
        super().__init__()
        if shrinkage is not None and not 0.0 <= shrinkage <= 1.0:
            raise ValueError(f"shrinkage must lie between 0 and 1, not {shrinkage}")
        self.shrinkage = shrinkage
        self.logit_adjustment = logit_adjustment
        self._centre: Floats = np.zeros(0, dtype=np.float32)
        self._matrix: Floats = np.zeros((0, 0), dtype=np.float32)
        self._prototypes: Floats = np.zeros((0, 0), dtype=np.float32)  # (k, d), whitened
        self._between: tuple[Floats, NDArray[np.float64], NDArray[np.float64]] | None = None  # of these prototypes

    def fit(
        self,
        x: Floats,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        seed: int = 0,
        classes: Sequence[str] | None = None,
    ) -> Self:
        """Fit to vectors (n, d) and ids (n,), or shares (n, k) of `classes`; `seed` changes nothing.

        Raises as `checked_examples` does.
        """
        examples = checked_examples(x, y, sample_weight, classes)
        found, means, mass = within_classes(examples, self.shrinkage)
        whitened = (means - found.centre) @ found.matrix  # (k, d)
        weight = found.matrix @ whitened.T  # (d, k)
        self.classes_ = examples.classes
        self._centre, self._matrix = found.centre.astype(np.float32), found.matrix.astype(np.float32)
        self._prototypes = whitened.astype(np.float32)
        self._weight = np.ascontiguousarray(weight, dtype=np.float32)
        self._bias = (self._offset(whitened, mass) - found.centre @ weight).astype(np.float32)
        return self

    def _offset(self, whitened: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(-0.5 * np.square(whitened).sum(axis=1) + (1.0 - self.logit_adjustment) * np.log(mass))

    def add_class(self, qid: str, x: Floats, sample_weight: ArrayLike | None = None) -> Self:
        """A head that also knows `qid` from these vectors (m, d); all else is as before, to the bit.

        Raises ValueError if the class is known already, and as `checked_examples` does.
        """
        rows = self._checked_rows(x)
        examples = checked_examples(rows, [qid] * len(rows), sample_weight)
        mean = np.average(rows.astype(np.float64), axis=0, weights=examples.weights)
        centre, matrix = self._centre.astype(np.float64), self._matrix.astype(np.float64)
        whitened = ((mean - centre) @ matrix)[None, :]  # (1, d)
        weight = matrix @ whitened[0]  # (d,)
        bias = self._offset(whitened, examples.mass())[0] - centre @ weight
        wider, place = self._with_column(qid, weight, float(bias))
        wider._prototypes = np.insert(self._prototypes, place, whitened[0].astype(np.float32), axis=0)
        return wider

    def squared_distances(self, x: Floats) -> NDArray[np.float64]:
        """Squared Mahalanobis distance (n, k) float64 of each vector to each class. Raises as `decision` does."""
        whitened = (self._checked_rows(x) - self._centre) @ self._matrix  # (n, d)
        own = np.square(whitened).sum(axis=1, dtype=np.float64)[:, None]
        theirs = np.square(self._prototypes).sum(axis=1, dtype=np.float64)[None, :]
        return np.asarray(np.maximum(own + theirs - 2.0 * (whitened @ self._prototypes.T), 0.0))

    def relative_distances(self, x: Floats) -> NDArray[np.float64]:
        """Squared distance (n,) to the nearest class less that to all classes as one cloud (Ren et al. 2021).

        The cloud's covariance is that within classes plus that between them. Measured by itself it would be shrunk by
        another amount, and far away from everything the difference would have the wrong sign.
        """
        middle = self._prototypes.mean(axis=0, dtype=np.float64)
        between = (self._prototypes - middle) / np.sqrt(len(self._prototypes))  # (k, d)
        axes, values = self._axes_between(between)
        away = (self._checked_rows(x) - self._centre) @ self._matrix - middle  # (n, d)
        along = np.square(away @ axes) * (values / (1.0 + values))  # (I + B)^-1 takes this much off
        cloud = np.square(away).sum(axis=1) - along.sum(axis=1)
        return np.asarray(self.squared_distances(x).min(axis=1) - cloud)

    def _axes_between(self, between: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The axes (d, r) along which classes lie apart, and their variances (r,); worked out once for each fit."""
        if self._between is None or self._between[0] is not self._prototypes:
            small = between @ between.T if len(between) <= between.shape[1] else between.T @ between
            values, vectors = np.linalg.eigh(small)
            kept = values > 1e-9 * max(float(values.max(initial=0.0)), 1.0)
            turned = between.T @ vectors[:, kept] if len(between) <= between.shape[1] else vectors[:, kept]
            axes = turned / np.linalg.norm(turned, axis=0)
            self._between = self._prototypes, axes, values[kept]
        return self._between[1], self._between[2]

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """The fitted weights by name, for saving."""
        space = {"centre": self._centre, "whitening": self._matrix, "prototypes": self._prototypes}
        return {**super().tensors(), **space}

    def restore(self, classes: Sequence[str], tensors: Mapping[str, NDArray[np.generic]]) -> Self:
        """The head as it was when `tensors` was called. Raises ArtifactError if they do not fit the classes."""
        super().restore(classes, tensors)
        weight, _ = self._fitted_arrays()
        d = weight.shape[0]
        centre, matrix = stored(tensors, "centre"), stored(tensors, "whitening")
        prototypes = stored(tensors, "prototypes")
        if centre.shape != (d,) or matrix.shape != (d, d) or prototypes.shape != (len(classes), d):
            raise ArtifactError("The stored whitening does not belong to the stored weights.")
        self._centre, self._matrix, self._prototypes = centre, matrix, prototypes
        return self


def within_classes(
    examples: Examples, shrinkage: float | None = None
) -> tuple[Whitening, NDArray[np.float64], NDArray[np.float64]]:
    """The whitening of the covariance within classes, the means (k, d) of the classes, and their mass (k,)."""
    rows, weights = examples.rows.astype(np.float64), examples.weights
    centre = np.average(rows, axis=0, weights=weights)
    rows -= centre
    mass = examples.mass()
    means = examples.sums(rows) / mass[:, None]
    total = (rows * weights[:, None]).T @ rows
    scatter = total - (means * mass[:, None]).T @ means
    freedom = float(weights.sum() - np.minimum(mass, 1.0).sum())
    variance = SPHERICAL_SHARE * float(np.trace(total)) / (weights.sum() * rows.shape[1])
    return whitening(centre, scatter, freedom, variance, shrinkage), means + centre, mass
