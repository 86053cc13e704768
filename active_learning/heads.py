"""Heads: small classifiers on frozen embeddings, fitted in seconds, the same each time from the same input.

All heads keep one contract (`head_base.Head`): `fit`, then `decision` and `predict_proba` over `classes_`. They know
no taxonomy, no images and no files; their weights go in and out as named arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.errors import ArtifactError
from active_learning.examples import Examples, Floats, checked_examples, unit_rows
from active_learning.head_base import Fitted, Head, stored
from active_learning.lda import LDAHead
from active_learning.logistic import minimise

__all__ = ["AnyHead", "Head", "LDAHead", "LinearHead", "PrototypeHead", "fit_head", "make_head"]

PER_LABEL = 0.1  # penalty where nothing can be cross-validated, divided by the number of labels


class LinearHead(Fitted):
    """Multinomial logistic regression with L2 penalty and logit adjustment, fitted to the optimum by L-BFGS.

    During fitting the log share of each class is added to its value (Menon et al. 2021, equation 10), so that
    afterwards rare classes are not crushed by common ones. `l2` is the penalty on weights per mean example (1/(C n)
    of scikit-learn); with `per_label` it is divided by the number of examples, so that one value suits ten labels and
    ten thousand, of ten classes or of five hundred (1/C).
    """

    kind = "linear"

    def __init__(
        self, l2: float = 1e-3, logit_adjustment: float = 1.0, max_iterations: int = 300, per_label: bool = False
    ) -> None:
        super().__init__()
        if l2 <= 0:
            raise ValueError(f"l2 must be positive, not {l2}")
        self.l2 = l2
        self.logit_adjustment = logit_adjustment
        self.max_iterations = max_iterations
        self.per_label = per_label
        self.penalty_ = l2  # of the last fit
        self.rough = False  # single precision is enough to choose by, not to serve with
        self.threads = 1  # changes how long a fit takes, nothing else

    def fit(
        self,
        x: Floats,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        seed: int = 0,
        classes: Sequence[str] | None = None,
    ) -> Self:
        """Fit to vectors (n, d) and ids (n,), or shares (n, k) of `classes`, weighted (n,) where given.

        `seed` is part of the contract and changes nothing: the loss is convex and starts from zero.
        Raises as `checked_examples` does.
        """
        examples = checked_examples(x, y, sample_weight, classes)
        rows, weights = examples.rows, examples.mean_one
        centre = np.average(rows.astype(np.float64), axis=0, weights=weights)
        centred = rows.astype(np.float64) - centre
        basis = None
        if centred.shape[0] < centred.shape[1]:
            # The optimum lies in the span of the examples: solving there is exact and far smaller.
            basis, triangle = np.linalg.qr(centred.T)  # (d, n), (n, n)
            centred = np.ascontiguousarray(triangle.T)
        # The scale makes one grid of l2 fit every backbone, however close together its vectors lie.
        scale = 1.0 / max(float(np.sqrt(np.average((centred**2).sum(axis=1), weights=weights))), 1e-12)
        self.penalty_ = self.l2 / len(rows) if self.per_label else self.l2
        solution, bias = self._solve(centred * scale, examples)
        weight = (solution if basis is None else basis @ solution) * scale  # (d, k)
        self.classes_ = examples.classes
        self._weight = np.ascontiguousarray(weight, dtype=np.float32)
        self._bias = np.asarray(bias - centre @ weight, dtype=np.float32)
        return self

    def _solve(self, rows: NDArray[np.float64], examples: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if len(examples.classes) == 1:
            return np.zeros((rows.shape[1], 1)), np.zeros(1)
        mass = examples.mass()
        prior = self.logit_adjustment * np.log(mass / mass.sum())
        return minimise(
            rows,
            examples,
            prior,
            self.penalty_,
            max_iterations=self.max_iterations,
            rough=self.rough,
            threads=self.threads,
        )


class PrototypeHead(Fitted):
    """Cosine similarity to the mean of each class, seen from the middle of the classes; sound from one label.

    Source: prototypes of Snell et al. 2017 with cosine distance. `scale` turns a cosine into a decision value.
    """

    kind = "prototype"
    can_add_class = True

    def __init__(self, scale: float = 12.0) -> None:
        super().__init__()
        self.scale = scale
        self._centre: Floats = np.zeros(0, dtype=np.float32)

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
        means = examples.sums(examples.rows.astype(np.float64)) / examples.mass()[:, None]  # (k, d)
        centre = means.mean(axis=0) if len(means) > 1 else np.zeros(means.shape[1])
        weight = unit_rows(means - centre) * self.scale
        self.classes_ = examples.classes
        self._centre = centre.astype(np.float32)
        self._weight = np.ascontiguousarray(weight.T, dtype=np.float32)
        self._bias = np.zeros(len(means), dtype=np.float32)
        return self

    def add_class(self, qid: str, x: Floats, sample_weight: ArrayLike | None = None) -> Self:
        """A head that also knows `qid` from these vectors (m, d); all else is as before, to the bit.

        The middle of the classes stays where it was. Raises ValueError if the class is known already, and as
        `checked_examples` does.
        """
        rows = self._checked_rows(x)
        examples = checked_examples(rows, [qid] * len(rows), sample_weight)
        mean = np.average(rows.astype(np.float64), axis=0, weights=examples.weights)
        weight = unit_rows((mean - self._centre)[None, :])[0] * self.scale
        return self._with_column(qid, weight, 0.0)[0]

    def _scores(self, rows: Floats) -> NDArray[np.float64]:
        weight, bias = self._fitted_arrays()
        return np.asarray(unit_rows(rows - self._centre) @ weight + bias, dtype=np.float64)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """The fitted weights by name, for saving."""
        named = super().tensors()
        return {**named, "centre": self._centre}

    def restore(self, classes: Sequence[str], tensors: Mapping[str, NDArray[np.generic]]) -> Self:
        """The head as it was when `tensors` was called. Raises ArtifactError if they do not fit the classes."""
        super().restore(classes, tensors)
        weight, _ = self._fitted_arrays()
        self._centre = stored(tensors, "centre")
        if self._centre.shape != (weight.shape[0],):
            raise ArtifactError("The stored centre does not belong to the stored weights.")
        return self


AnyHead = LinearHead | PrototypeHead | LDAHead


def make_head(kind: str, l2: float = 1e-3, logit_adjustment: float = 1.0, per_label: bool = False) -> AnyHead:
    """An unfitted head of that kind; `l2` and `per_label` are the linear head's.

    Raises ValueError for a kind that does not exist.
    """
    if kind == LinearHead.kind:
        return LinearHead(l2, logit_adjustment, per_label=per_label)
    if kind == PrototypeHead.kind:
        return PrototypeHead()
    if kind == LDAHead.kind:
        return LDAHead(None, logit_adjustment)
    raise ValueError(f"There is no head {kind!r}; choose linear, prototype or lda.")


def fit_head(
    x: Floats,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
    kind: str = "auto",
    l2: float | None = None,
    threads: int = 1,
) -> AnyHead:
    """A fitted head for when there is nothing to cross-validate; `train` chooses by cross-validation instead.

    `auto` is the linear head, with a penalty that is the smaller the more labels there are: one value then suits one
    label a class and a hundred (benchmarks/head_fit.py and few_labels.py). The weights do not depend on
    `threads`.
    """
    if kind == "auto":
        kind = LinearHead.kind
    head = make_head(kind, PER_LABEL if l2 is None else l2, per_label=l2 is None)
    if isinstance(head, LinearHead):
        head.threads = threads
    return head.fit(x, y, sample_weight, seed)
