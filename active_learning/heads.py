"""Heads: small classifiers on frozen embeddings, fitted in seconds, the same each time from the same input.

Both heads keep one contract: `fit`, then `decision` and `predict_proba` over `classes_`. They know no taxonomy, no
images and no files; their weights go in and out as named arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.calibration import softmax
from active_learning.errors import ArtifactError, NotEnoughDataError, NotFittedError

Floats = NDArray[np.float32]
FEW_LABELS = 5  # below this many labels a class, a boundary follows single pictures unless held back


class Head(Protocol):
    """What training, saving and serving need of a head."""

    kind: str
    classes_: tuple[str, ...]

    def fit(self, x: Floats, y: ArrayLike, sample_weight: ArrayLike | None = None, seed: int = 0) -> Self: ...

    def decision(self, x: Floats) -> NDArray[np.float64]: ...

    def predict_proba(self, x: Floats) -> NDArray[np.float64]: ...

    def tensors(self) -> dict[str, NDArray[np.generic]]: ...


class _Fitted:
    """The fitted state both heads share: a linear map of centred vectors, one column a class."""

    kind = ""

    def __init__(self) -> None:
        self.classes_: tuple[str, ...] = ()
        self._weight: Floats | None = None  # (d, k)
        self._bias: Floats | None = None  # (k,)

    @property
    def single_class(self) -> bool:
        """Whether only one class is known, so that its probability of 1 says nothing."""
        return len(self.classes_) == 1

    def predict_proba(self, x: Floats) -> NDArray[np.float64]:
        """Probabilities (n, k) float64 over `classes_`; all 1 where there is one class, see `single_class`."""
        return softmax(self.decision(x))

    def decision(self, x: Floats) -> NDArray[np.float64]:
        """Decision values (n, k) float64 before the softmax. Raises NotFittedError before `fit`."""
        weight, _ = self._fitted_arrays()
        rows = np.ascontiguousarray(x, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != weight.shape[0]:
            raise ValueError(f"expected vectors of length {weight.shape[0]}, got an array of shape {rows.shape}")
        return self._scores(rows)

    def _fitted_arrays(self) -> tuple[Floats, Floats]:
        if self._weight is None or self._bias is None:
            raise NotFittedError("This head has not been fitted: it can neither predict nor be saved.")
        return self._weight, self._bias

    def _scores(self, rows: Floats) -> NDArray[np.float64]:
        raise NotImplementedError

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """The fitted weights by name, for saving."""
        weight, bias = self._fitted_arrays()
        return {"weight": weight, "bias": bias}

    def restore(self, classes: Sequence[str], tensors: Mapping[str, NDArray[np.generic]]) -> Self:
        """The head as it was when `tensors` was called. Raises ArtifactError if they do not fit the classes."""
        try:
            weight, bias = np.asarray(tensors["weight"], np.float32), np.asarray(tensors["bias"], np.float32)
        except KeyError as error:
            raise ArtifactError(f"The stored model lacks its {error.args[0]}.") from error
        self._check_restored(weight, bias, len(classes))
        self.classes_, self._weight, self._bias = tuple(classes), weight, bias
        return self

    def _check_restored(self, weight: Floats, bias: Floats, k: int) -> None:
        if weight.ndim != 2 or weight.shape[1] != k or bias.shape != (k,):
            raise ArtifactError(f"The stored weights {weight.shape} do not belong to {k} classes.")


class LinearHead(_Fitted):
    """Multinomial logistic regression with L2 penalty and logit adjustment, fitted to the optimum by L-BFGS.

    During fitting the log share of each class is added to its value (Menon et al. 2021, equation 10), so that
    afterwards rare classes are not crushed by common ones. `l2` is the penalty on weights per mean example (1/(C n)
    of scikit-learn).
    """

    kind = "linear"

    def __init__(self, l2: float = 1e-3, logit_adjustment: float = 1.0, max_iterations: int = 300) -> None:
        super().__init__()
        if l2 <= 0:
            raise ValueError(f"l2 must be positive, not {l2}")
        self.l2 = l2
        self.logit_adjustment = logit_adjustment
        self.max_iterations = max_iterations

    def fit(self, x: Floats, y: ArrayLike, sample_weight: ArrayLike | None = None, seed: int = 0) -> Self:
        """Fit to vectors (n, d) and class ids (n,), weighted (n,) where given.

        `seed` is part of the contract and changes nothing: the loss is convex and starts from zero.
        Raises NotEnoughDataError for no examples, ValueError for shapes, values or weights that make no sense.
        """
        rows, index, weights, classes = checked_examples(x, y, sample_weight)
        centre = np.average(rows.astype(np.float64), axis=0, weights=weights)
        centred = rows.astype(np.float64) - centre
        basis = None
        if centred.shape[0] < centred.shape[1]:
            # The optimum lies in the span of the examples: solving there is exact and far smaller.
            basis, triangle = np.linalg.qr(centred.T)  # (d, n), (n, n)
            centred = np.ascontiguousarray(triangle.T)
        # The scale makes one grid of l2 fit every backbone, however close together its vectors lie.
        scale = 1.0 / max(float(np.sqrt(np.average((centred**2).sum(axis=1), weights=weights))), 1e-12)
        solution, bias = _minimise(centred * scale, index, weights, self, len(classes))
        weight = (solution if basis is None else basis @ solution) * scale  # (d, k)
        self.classes_ = classes
        self._weight = np.ascontiguousarray(weight, dtype=np.float32)
        self._bias = np.asarray(bias - centre @ weight, dtype=np.float32)
        return self

    def _scores(self, rows: Floats) -> NDArray[np.float64]:
        weight, bias = self._fitted_arrays()
        return np.asarray(rows @ weight + bias, dtype=np.float64)


class PrototypeHead(_Fitted):
    """Cosine similarity to the mean of each class, seen from the middle of the classes; sound from one label.

    Source: prototypes of Snell et al. 2017 with cosine distance. `scale` turns a cosine into a decision value.
    """

    kind = "prototype"

    def __init__(self, scale: float = 12.0) -> None:
        super().__init__()
        self.scale = scale
        self._centre: Floats = np.zeros(0, dtype=np.float32)

    def fit(self, x: Floats, y: ArrayLike, sample_weight: ArrayLike | None = None, seed: int = 0) -> Self:
        """Fit to vectors (n, d) and class ids (n,), weighted (n,) where given; `seed` changes nothing.

        Raises as `LinearHead.fit` does.
        """
        rows, index, weights, classes = checked_examples(x, y, sample_weight)
        share = np.zeros((len(classes), len(rows)))
        share[index, np.arange(len(rows))] = weights
        means = share / share.sum(axis=1, keepdims=True) @ rows.astype(np.float64)  # (k, d)
        centre = means.mean(axis=0) if len(classes) > 1 else np.zeros(rows.shape[1])
        weight = _unit_rows(means - centre) * self.scale
        self.classes_ = classes
        self._centre = centre.astype(np.float32)
        self._weight = np.ascontiguousarray(weight.T, dtype=np.float32)
        self._bias = np.zeros(len(classes), dtype=np.float32)
        return self

    def _scores(self, rows: Floats) -> NDArray[np.float64]:
        weight, bias = self._fitted_arrays()
        return np.asarray(_unit_rows(rows - self._centre) @ weight + bias, dtype=np.float64)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """The fitted weights by name, for saving."""
        named = super().tensors()
        return {**named, "centre": self._centre}

    def restore(self, classes: Sequence[str], tensors: Mapping[str, NDArray[np.generic]]) -> Self:
        """The head as it was when `tensors` was called. Raises ArtifactError if they do not fit the classes."""
        super().restore(classes, tensors)
        if "centre" not in tensors:
            raise ArtifactError("The stored model lacks its centre.")
        self._centre = np.asarray(tensors["centre"], dtype=np.float32)
        return self


def _unit_rows(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def checked_examples(
    x: Floats, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Floats, NDArray[np.int64], NDArray[np.float64], tuple[str, ...]]:
    """Vectors (n, d), class index (n,), weights (n,) with mean 1, and the sorted classes.

    Raises NotEnoughDataError for no examples, ValueError for anything of the wrong shape, not finite, or negative.
    """
    rows = np.ascontiguousarray(x, dtype=np.float32)
    labels = [str(label) for label in np.asarray(y).tolist()]
    if rows.ndim != 2 or len(rows) != len(labels):
        raise ValueError(f"{len(labels)} labels for an array of shape {rows.shape}")
    if not labels:
        raise NotEnoughDataError("There are no labelled figures to learn from.")
    if not np.isfinite(rows).all():
        raise ValueError("some vectors hold values that are not finite")
    weights = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (len(rows),) or not np.isfinite(weights).all() or (weights <= 0).any():
        raise ValueError("weights must be one positive number for each example")
    classes, index = np.unique(np.array(labels), return_inverse=True)
    return rows, index.astype(np.int64), weights / weights.mean(), tuple(str(name) for name in classes)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread inside: sums over several threads may differ in the last bit from run to run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _minimise(
    x: NDArray[np.float64], index: NDArray[np.int64], weights: NDArray[np.float64], head: LinearHead, k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (d, k) and bias (k,) of the penalised, logit-adjusted logistic loss at its minimum."""
    import torch

    if k == 1:
        return np.zeros((x.shape[1], 1)), np.zeros(1)
    # Large problems in single precision: twice as fast, and the loss is flat far above its rounding.
    dtype = torch.float64 if x.size * k < 5e8 else torch.float32
    rows, truth = torch.from_numpy(x).to(dtype), torch.from_numpy(index)
    share = np.bincount(index, weights, minlength=k) / weights.sum()
    prior = torch.from_numpy(head.logit_adjustment * np.log(share)).to(dtype)
    per_row = torch.from_numpy(weights / len(weights)).to(dtype)
    w = torch.zeros((x.shape[1], k), dtype=dtype, requires_grad=True)
    b = torch.zeros(k, dtype=dtype, requires_grad=True)
    lbfgs = torch.optim.LBFGS(
        [w, b],
        max_iter=head.max_iterations,
        history_size=10,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        lbfgs.zero_grad()
        values = rows @ w + b + prior  # (n, k)
        misfit = torch.nn.functional.cross_entropy(values, truth, reduction="none")
        total = (per_row * misfit).sum() + 0.5 * head.l2 * (w * w).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with _one_thread():
        lbfgs.step(loss)  # type: ignore[no-untyped-call]
    return w.detach().double().numpy(), b.detach().double().numpy()


def make_head(kind: str, l2: float = 1e-3, logit_adjustment: float = 1.0) -> LinearHead | PrototypeHead:
    """An unfitted head of that kind. Raises ValueError for a kind that does not exist."""
    if kind == LinearHead.kind:
        return LinearHead(l2, logit_adjustment)
    if kind == PrototypeHead.kind:
        return PrototypeHead()
    raise ValueError(f"There is no head {kind!r}; choose linear or prototype.")


def fit_head(
    x: Floats,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
    kind: str = "auto",
    l2: float | None = None,
) -> LinearHead | PrototypeHead:
    """A fitted head for when there is nothing to cross-validate; `train` chooses by cross-validation instead.

    `auto` is the linear head, held back harder while the median class has fewer than five labels. On the photographs of
    benchmarks/head_fit.py that is as good as class means at one label a class and better from two on.
    """
    if l2 is None:
        counts = sorted(Counter(np.asarray(y).tolist()).values())
        few = not counts or counts[len(counts) // 2] < FEW_LABELS
        l2 = 1e-2 if few else 1e-3
    return make_head(LinearHead.kind if kind == "auto" else kind, l2).fit(x, y, sample_weight, seed)
