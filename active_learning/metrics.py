"""How good a model is, as numbers that can be stored, drawn and compared.

It measures predictions that it is given; it fits nothing and chooses nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import (
    CalibrationError,
    ReliabilityBin,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_bins,
)
from active_learning.taxonomy import Taxonomy, rank_matrix

REPORTED_RANKS = ("species", "genus", "family", "order", "class")


NOT_MEASURED = CalibrationError(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ClassFigures:
    """One class in the measured figures; precision is 0 where it was never predicted."""

    qid: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for which: (true, predicted, count) by position in `classes`, zeros left out."""

    classes: tuple[str, ...] = ()
    cells: tuple[tuple[int, int, int], ...] = ()

    def matrix(self) -> NDArray[np.int64]:
        """(k, k) int64, rows true, columns predicted."""
        full = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        for true, predicted, count in self.cells:
            full[true, predicted] = count
        return full


@dataclass(frozen=True)
class Report:
    """What a model was worth on figures it had not learned from; shares are 0 to 1, intervals 95 %."""

    measured_on: str  # "holdout", "cross-validation" or "nothing"
    n: int = 0
    n_groups: int = 0
    accuracy: float = 0.0
    accuracy_interval: tuple[float, float] = (0.0, 0.0)
    balanced_accuracy: float = 0.0
    balanced_accuracy_interval: tuple[float, float] = (0.0, 0.0)
    top5: float = 0.0
    accuracy_by_rank: Mapping[str, float] = dataclasses.field(default_factory=dict)
    calibration: CalibrationError = NOT_MEASURED
    nll: float = 0.0
    brier: float = 0.0
    per_class: tuple[ClassFigures, ...] = ()
    confusion: Confusion = dataclasses.field(default_factory=Confusion)
    reliability: tuple[ReliabilityBin, ...] = ()
    rare_classes: tuple[str, ...] = ()  # learned from a single source, so nothing could be measured
    notes: tuple[str, ...] = ()

    @property
    def ece(self) -> float:
        """Expected calibration error; its interval and noise floor are in `calibration`."""
        return self.calibration.ece

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON types."""
        plain = dataclasses.asdict(self)
        plain["reliability"] = [list(row) for row in self.reliability]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Report:
        """The report that `to_dict` gave, also after a trip through JSON. Raises KeyError or TypeError otherwise."""
        fields = dict(plain)
        fields["accuracy_interval"] = tuple(fields["accuracy_interval"])
        fields["balanced_accuracy_interval"] = tuple(fields["balanced_accuracy_interval"])
        fields["calibration"] = CalibrationError(**fields["calibration"])
        fields["per_class"] = tuple(ClassFigures(**row) for row in fields["per_class"])
        confusion = fields["confusion"]
        cells = tuple((int(cell[0]), int(cell[1]), int(cell[2])) for cell in confusion["cells"])
        fields["confusion"] = Confusion(tuple(confusion["classes"]), cells)
        fields["reliability"] = tuple(ReliabilityBin(*row) for row in fields["reliability"])
        fields["rare_classes"], fields["notes"] = tuple(fields["rare_classes"]), tuple(fields["notes"])
        return cls(**fields)


def balanced_accuracy(y: NDArray[np.integer], predicted: NDArray[np.integer]) -> float:
    """Mean over the classes that occur in `y` (n,) of the share of each that was predicted right; 0 without figures."""
    if len(y) == 0:
        return 0.0
    support = np.bincount(y)
    hits = np.bincount(y[y == predicted], minlength=len(support))
    return float((hits[support > 0] / support[support > 0]).mean())


def _bins_for(n: int) -> int:
    """How many bins a reliability diagram of n figures can bear: about ten figures each, 3 to 15."""
    return int(min(max(n // 10, 3), 15))


def measure(
    proba: NDArray[np.float64],
    y: Sequence[str],
    classes: Sequence[str],
    groups: Sequence[str],
    taxonomy: Taxonomy,
    measured_on: str,
    seed: int = 0,
    notes: Sequence[str] = (),
    rare_classes: Sequence[str] = (),
) -> Report:
    """The report on probabilities (n, k) over `classes` for figures whose truth is `y` (n,) from sources `groups` (n,).

    A truth that is not among the classes counts as wrong everywhere; it is left out of the log loss only, and noted.
    Intervals are bootstrapped over groups, as figures of one source are not independent.
    """
    remarks = list(notes)
    if len(y) == 0:
        return Report("nothing", rare_classes=tuple(rare_classes), notes=tuple(remarks))
    ids = (*classes, *sorted(set(y) - set(classes)))
    position = {qid: index for index, qid in enumerate(ids)}
    truth = np.array([position[qid] for qid in y], dtype=np.int64)
    known = truth < len(classes)
    if not known.all():
        remarks.append(f"{int((~known).sum())} figures are of taxa the model does not know; they count as wrong.")
    predicted = proba.argmax(axis=1)
    right = predicted == truth
    top5 = (np.argsort(-proba, axis=1, kind="stable")[:, :5] == truth[:, None]).any(axis=1)
    accuracy_interval, balanced_interval = _intervals(truth, predicted, groups, seed)
    return Report(
        measured_on=measured_on,
        n=len(y),
        n_groups=len(set(groups)),
        accuracy=float(right.mean()),
        accuracy_interval=accuracy_interval,
        balanced_accuracy=balanced_accuracy(truth, predicted),
        balanced_accuracy_interval=balanced_interval,
        top5=float(top5.mean()),
        accuracy_by_rank=_accuracy_by_rank(proba, y, classes, taxonomy),
        calibration=expected_calibration_error(proba, right, seed=seed),
        nll=negative_log_likelihood(proba[known], truth[known]) if known.any() else 0.0,
        brier=_brier(proba, truth, known),
        per_class=_per_class(truth, predicted, ids),
        confusion=_confusion(truth, predicted, ids),
        reliability=tuple(reliability_bins(proba, right, bins=_bins_for(len(right)))),
        rare_classes=tuple(rare_classes),
        notes=tuple(remarks),
    )


def group_rows(groups: Sequence[str]) -> list[NDArray[np.int64]]:
    """The rows of each group, groups in the order of their names."""
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    return [np.array(members[group], dtype=np.int64) for group in sorted(members)]


def _intervals(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], groups: Sequence[str], seed: int, rounds: int = 500
) -> tuple[tuple[float, float], tuple[float, float]]:
    """95 % percentile intervals of accuracy and balanced accuracy, drawing whole groups."""
    rows = group_rows(groups)
    rng = np.random.default_rng(seed)
    drawn = np.empty((rounds, 2))
    for i in range(rounds):
        chosen = np.concatenate([rows[j] for j in rng.integers(0, len(rows), len(rows))])
        drawn[i] = (truth[chosen] == predicted[chosen]).mean(), balanced_accuracy(truth[chosen], predicted[chosen])
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _accuracy_by_rank(
    proba: NDArray[np.float64], y: Sequence[str], classes: Sequence[str], taxonomy: Taxonomy
) -> dict[str, float]:
    """Share of right answers at each rank, over the figures whose truth has a taxon of that rank."""
    shares: dict[str, float] = {}
    for rank in REPORTED_RANKS:
        ids, sums, _ = rank_matrix(classes, taxonomy, rank)
        truth = [taxonomy.at_rank(qid, rank) for qid in y]
        rows = [index for index, node in enumerate(truth) if node is not None]
        if ids and rows:
            best = (proba[rows] @ sums).argmax(axis=1)
            shares[rank] = float(np.mean([ids[b] == truth[row] for b, row in zip(best, rows, strict=True)]))
    return shares


def _brier(proba: NDArray[np.float64], truth: NDArray[np.int64], known: NDArray[np.bool_]) -> float:
    """Mean squared distance to the truth summed over classes, 0 to 2 (Brier 1950)."""
    own = np.zeros(len(truth))
    own[known] = proba[known, truth[known]]
    return float((np.square(proba).sum(axis=1) - 2 * own + 1).mean())


def _per_class(truth: NDArray[np.int64], predicted: NDArray[np.int64], ids: Sequence[str]) -> tuple[ClassFigures, ...]:
    support = np.bincount(truth, minlength=len(ids))
    claimed = np.bincount(predicted, minlength=len(ids))
    hits = np.bincount(truth[truth == predicted], minlength=len(ids))
    figures = []
    for index, qid in enumerate(ids):
        precision = hits[index] / claimed[index] if claimed[index] else 0.0
        recall = hits[index] / support[index] if support[index] else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits[index] else 0.0
        figures.append(ClassFigures(qid, float(precision), float(recall), float(f1), int(support[index])))
    return tuple(figures)


def _confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], ids: Sequence[str]) -> Confusion:
    pairs, counts = np.unique(np.stack([truth, predicted]), axis=1, return_counts=True)
    cells = tuple((int(true), int(taken), int(count)) for (true, taken), count in zip(pairs.T, counts, strict=True))
    return Confusion(tuple(ids), cells)
