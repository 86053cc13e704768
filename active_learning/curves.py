"""How a model's worth changes with the labels it learned from, and with the number of taxa among which it chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from active_learning.evidence import Evidence
from active_learning.intervals import Share, mean_recall, numbered, share
from active_learning.splitting import grouped_folds, place_of

Floats = NDArray[np.float32]


class Decides(Protocol):
    """What a curve needs of a fitted head."""

    classes_: tuple[str, ...]

    def decision(self, x: Floats) -> NDArray[np.float64]: ...


Fit = Callable[[Floats, Sequence[str]], Decides]  # a head fitted on vectors (n, d) and labels (n,)


@dataclass(frozen=True)
class CurvePoint:
    """What a head is worth that learned from so many labels (the mean over the folds)."""

    labels: int
    balanced_accuracy: Share


@dataclass(frozen=True)
class InclusionPoint:
    """What the model is worth when it chooses among its so many best known taxa only."""

    taxa: int
    least_learned: int  # figures that the least known of these taxa was learned from
    n: int  # measured figures of these taxa
    accuracy: Share
    mean_recall: Share  # every taxon counts the same


def learning_curve(
    x: Floats, y: Sequence[str], groups: Sequence[str], fit: Fit, *, steps: int = 5, folds: int = 3, seed: int = 0
) -> tuple[CurvePoint, ...]:
    """Balanced accuracy on unseen sources by number of labels; each of the `steps` has twice those of the one before.

    It fits `steps * folds` heads. Whole sources are learned from or measured on, a smaller set lies within every
    larger one, and a figure is measured once. Taxa of a single source are learned but not measured, as nothing of
    them would be left to learn from. Empty where there are fewer sources than folds, or nothing to measure; steps that
    would leave a head with a single taxon are left out.
    """
    names, of_group = np.array(list(y), dtype=object), np.array(list(groups), dtype=object)
    sources_of: dict[str, set[str]] = {}
    for label, group in zip(y, groups, strict=True):
        sources_of.setdefault(label, set()).add(group)
    testable = np.array([len(sources_of[label]) > 1 for label in names], dtype=bool)
    if len(set(groups)) < folds or not testable.any():
        return ()
    fold = grouped_folds(list(groups), folds, seed, list(y))
    place = np.array([place_of(group, seed) for group in of_group])
    shares = [0.5**step for step in reversed(range(steps))]
    points = []
    for part in shares:
        said: NDArray[np.object_] = np.full(len(names), "", dtype=object)
        used = []
        for number in range(folds):
            seen, unseen = _first_sources(np.flatnonzero(fold != number), place, part), (fold == number) & testable
            if len(set(names[seen])) < 2:
                break
            used.append(len(seen))
            if unseen.any():
                head = fit(x[seen], [str(label) for label in names[seen]])
                said[unseen] = np.array(head.classes_, dtype=object)[head.decision(x[unseen]).argmax(axis=1)]
        if len(used) == folds:
            points.append(CurvePoint(round(sum(used) / folds), _measured(names, said, of_group, testable, seed)))
    return tuple({point.labels: point for point in points}.values())


def _first_sources(rows: NDArray[np.int64], place: NDArray[np.float64], part: float) -> NDArray[np.int64]:
    """The rows of the first sources, in the order of their places, that together hold this part of all `rows`."""
    ordered = rows[np.argsort(place[rows], kind="stable")]
    last = place[ordered[max(round(part * len(ordered)), 1) - 1]]
    return np.sort(ordered[place[ordered] <= last])


def _measured(
    names: NDArray[np.object_],
    said: NDArray[np.object_],
    groups: NDArray[np.object_],
    rows: NDArray[np.bool_],
    seed: int,
) -> Share:
    both = numbered([*names[rows], *said[rows]])
    n = int(rows.sum())
    return mean_recall(both[:n], both[n:], numbered([str(group) for group in groups[rows]]), seed)


def inclusion_curve(
    evidence: Evidence, truth: NDArray[np.int64], *, points: int = 16, seed: int = 0
) -> tuple[InclusionPoint, ...]:
    """Accuracy and mean recall by number of taxa included, those learned from most figures first.

    `truth` (n,) is the class of each figure by position, -1 for none: such figures are left out. Among the taxa
    included, and only among those, the model chooses. A number of taxa without a figure of theirs is left out.
    """
    order = sorted(range(len(evidence.classes)), key=lambda c: (-_learned(evidence, c), evidence.classes[c]))
    sources = numbered(evidence.groups)
    found = []
    for size in np.unique(np.geomspace(min(2, len(order)), len(order), points).round().astype(np.int64)):
        included = np.sort(np.array(order[: int(size)], dtype=np.int64))
        rows = np.flatnonzero(np.isin(truth, included))
        if len(rows) == 0:
            continue
        said = included[evidence.proba[np.ix_(rows, included)].argmax(axis=1)]
        right = said == truth[rows]
        recall = mean_recall(truth[rows], said, sources[rows], seed)
        least = _learned(evidence, order[int(size) - 1])
        found.append(InclusionPoint(int(size), least, len(rows), share(right, sources[rows]), recall))
    return tuple(found)


def _learned(evidence: Evidence, column: int) -> int:
    return evidence.learned.get(evidence.classes[column], 0)
