"""What a model said of figures that it had not learned from: all that a report on it may rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOLDOUT, CROSS_VALIDATION = "holdout", "cross-validation"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Decision values and probabilities of a head, or of heads of its kind, on figures none of them had seen.

    All sequences have length n. Raises ValueError if they do not fit together.
    """

    decision: NDArray[np.float64]  # (n, k) before any temperature
    proba: NDArray[np.float64]  # (n, k) calibrated without the figure's own fold
    y: tuple[str, ...]  # the truth, a taxon id at any rank; it need not be one of the classes
    classes: tuple[str, ...]  # (k,)
    groups: tuple[str, ...]  # figures of one source plate, or near-duplicates, share theirs
    sources: tuple[str, ...]  # the campaign or collection each figure is from
    measured_on: str  # HOLDOUT: the frozen one, by the head that serves; CROSS_VALIDATION: by others of its kind
    learned: Mapping[str, int]  # how many figures of each class the model learned from
    checked: NDArray[np.bool_] | None = None  # (n,) whose names people verified here; of none it is known if None

    def __post_init__(self) -> None:
        n, k = len(self.y), len(self.classes)
        if self.decision.shape != (n, k) or self.proba.shape != (n, k):
            raise ValueError(f"decision {self.decision.shape}, probabilities {self.proba.shape}, {n} figures, {k} taxa")
        if len(self.groups) != n or len(self.sources) != n:
            raise ValueError(f"{n} figures, {len(self.groups)} groups, {len(self.sources)} sources")
        if self.checked is not None and self.checked.shape != (n,):
            raise ValueError(f"{n} figures, checked {self.checked.shape}")

    def __len__(self) -> int:
        return len(self.y)

    def of_checked_holdout(self) -> NDArray[np.bool_]:
        """(n,): which figures lie in the frozen holdout and bear a name that people verified here."""
        if self.checked is None or self.measured_on != HOLDOUT:
            return np.zeros(len(self), dtype=bool)
        return self.checked
