"""What all heads share: the contract, and the fitted state that is a linear map with one column a class."""

from __future__ import annotations

import bisect
import copy
from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.calibration import softmax
from active_learning.errors import ArtifactError, NotFittedError

Floats = NDArray[np.float32]


class Head(Protocol):
    """What training, saving and serving need of a head.

    `fit` takes ids (n,), or shares (n, k) of the k `classes`; see `checked_examples`.
    """

    kind: str
    classes_: tuple[str, ...]

    def fit(
        self,
        x: Floats,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        seed: int = 0,
        classes: Sequence[str] | None = None,
    ) -> Self: ...

    def decision(self, x: Floats) -> NDArray[np.float64]: ...

    def predict_proba(self, x: Floats) -> NDArray[np.float64]: ...

    def tensors(self) -> dict[str, NDArray[np.generic]]: ...

    def restore(self, classes: Sequence[str], tensors: Mapping[str, NDArray[np.generic]]) -> Self: ...


class Fitted:
    """The fitted state that the heads share: a linear map of vectors, one column a class."""

    kind = ""
    can_add_class = False  # whether `add_class` takes in a class without touching the others

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
        """Decision values (n, k) float64 before the softmax.

        Raises NotFittedError before `fit`, ValueError for vectors of another length or values that are not finite.
        """
        return self._scores(self._checked_rows(x))

    def _checked_rows(self, x: Floats) -> Floats:
        weight, _ = self._fitted_arrays()
        rows = np.ascontiguousarray(x, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != weight.shape[0]:
            raise ValueError(f"expected vectors of length {weight.shape[0]}, got an array of shape {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("some vectors hold values that are not finite")
        return rows

    def _fitted_arrays(self) -> tuple[Floats, Floats]:
        if self._weight is None or self._bias is None:
            raise NotFittedError("This head has not been fitted: it can neither predict nor be saved.")
        return self._weight, self._bias

    def _scores(self, rows: Floats) -> NDArray[np.float64]:
        weight, bias = self._fitted_arrays()
        return np.asarray(rows @ weight + bias, dtype=np.float64)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """The fitted weights by name, for saving."""
        weight, bias = self._fitted_arrays()
        return {"weight": weight, "bias": bias}

    def restore(self, classes: Sequence[str], tensors: Mapping[str, NDArray[np.generic]]) -> Self:
        """The head as it was when `tensors` was called. Raises ArtifactError if they do not fit the classes."""
        weight, bias = stored(tensors, "weight"), stored(tensors, "bias")
        if weight.ndim != 2 or weight.shape[1] != len(classes) or bias.shape != (len(classes),):
            raise ArtifactError(f"The stored weights {weight.shape} do not belong to {len(classes)} classes.")
        self.classes_, self._weight, self._bias = tuple(classes), weight, bias
        return self

    def _with_column(self, qid: str, weight: NDArray[np.floating], bias: float) -> tuple[Self, int]:
        """A copy with one more class, and its place among the sorted classes; all other columns keep their bits."""
        own_weight, own_bias = self._fitted_arrays()
        if qid in self.classes_:
            raise ValueError(f"the head knows {qid} already")
        place = bisect.bisect(self.classes_, qid)
        wider = copy.copy(self)
        wider.classes_ = (*self.classes_[:place], qid, *self.classes_[place:])
        wider._weight = np.insert(own_weight, place, weight.astype(np.float32), axis=1)
        wider._bias = np.insert(own_bias, place, np.float32(bias))
        return wider, place


def stored(tensors: Mapping[str, NDArray[np.generic]], name: str) -> Floats:
    """The tensor of that name as float32. Raises ArtifactError if it is not there."""
    if name not in tensors:
        raise ArtifactError(f"The stored model lacks its {name}.")
    return np.asarray(tensors[name], dtype=np.float32)
