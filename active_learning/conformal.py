"""Sets of taxa that hold the truth as often as promised, told as few branches of the tree instead of a long list.

The score is the probability over the class's prior share, which treats rare classes better than the probability
alone (PAS: Ding, Fermanian, Salmon 2025). Thresholds are split-conformal: they promise coverage for figures drawn as
the calibration figures were, whatever the model is worth.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.errors import NotEnoughDataError
from active_learning.taxonomy import Taxonomy

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


def cover(members: Collection[str], classes: Sequence[str], taxonomy: Taxonomy, at_most: int = 1) -> tuple[str, ...]:
    """The taxa, at most so many, that together hold all `members` and as few other `classes` as possible.

    Of equal choices the one with fewer taxa is taken, then the deeper one. Where the members share no root, it takes
    as many taxa as there are roots. Sorted; empty for no members.
    """
    if at_most < 1:
        raise ValueError(f"at least one taxon is needed, not {at_most}")
    wanted = set(members)
    if not wanted <= set(classes):
        raise ValueError("a member is none of the classes")
    if not wanted:
        return ()
    roots = {taxonomy.lineage(qid)[-1] for qid in wanted}
    best = _Cover(wanted, classes, taxonomy).best(sorted(roots), max(at_most, len(roots)))
    return tuple(sorted(best))


Choice = tuple[int, int, tuple[str, ...]]  # classes held, number of taxa, the taxa


class _Cover:
    """The best choice for each taxon and each number of taxa, from the leaves up."""

    def __init__(self, wanted: Collection[str], classes: Sequence[str], taxonomy: Taxonomy) -> None:
        self._wanted = set(wanted)
        self._held: dict[str, int] = {}  # classes at or below a taxon
        self._children: dict[str, set[str]] = {}  # those with something wanted at or below them
        for qid in classes:
            path = taxonomy.lineage(qid)
            for node in path:
                self._held[node] = self._held.get(node, 0) + 1
            if qid in self._wanted:
                for child, parent in pairwise(path):
                    self._children.setdefault(parent, set()).add(child)

    def best(self, nodes: Sequence[str], limit: int) -> tuple[str, ...]:
        """The best choice that covers what is wanted below all of `nodes` with at most `limit` taxa."""
        choices = self._together([self._below(node, limit) for node in nodes], limit)
        return min(choices)[2]

    def _below(self, node: str, limit: int) -> list[Choice]:
        whole: Choice = (self._held[node], 1, (node,))
        children = sorted(self._children.get(node, ()))
        if node in self._wanted or not children:
            return [whole]
        parts = self._together([self._below(child, limit) for child in children], limit)
        # One child that holds as much says more than its parent.
        kept = {choice[1]: choice for choice in parts}
        if 1 not in kept or kept[1][0] > whole[0]:
            kept[1] = whole
        return list(kept.values())

    @staticmethod
    def _together(parts: Sequence[Sequence[Choice]], limit: int) -> list[Choice]:
        found: dict[int, Choice] = {0: (0, 0, ())}
        for part in parts:
            wider: dict[int, Choice] = {}
            for held, count, nodes in found.values():
                for more, extra, others in part:
                    choice = (held + more, count + extra, nodes + others)
                    if choice[1] <= limit and (choice[1] not in wider or choice < wider[choice[1]]):
                        wider[choice[1]] = choice
            found = wider
        return list(found.values())
