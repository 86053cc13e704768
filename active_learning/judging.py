"""What a model says of figures: the best names, the deepest it dares to say, what else it may be, how strange it is.

Everything is worked out for a block of figures at a time, so that a hundred thousand of them need little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import apply_temperature
from active_learning.conformal import ConformalModel
from active_learning.heads import AnyHead
from active_learning.lda import LDAHead
from active_learning.metrics import REPORTED_RANKS
from active_learning.novelty import NoveltyModel, Strangeness
from active_learning.ranks import Claim, RankModel, RankScale
from active_learning.routing import RankBest, best_of
from active_learning.taxonomy import Taxonomy, rank_matrix

Floats = NDArray[np.float32]
BLOCK = 4096  # figures that are worked out together
MOST_LISTED = 12  # taxa of a set that are told one by one; larger sets are told by the taxon that holds them all
ALPHA = 0.1  # a set misses the truth at most this often


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model says of m figures.

    `proba` (m, k) float32 are calibrated and sum to 1; `claims` the deepest taxon it is pretty sure of, or None;
    `above` the ancestors of the best leaf, lowest first, with probabilities calibrated rank by rank and never falling;
    `sets` the taxa that hold the truth nine times in ten (where they are many, one taxon over them) and the number of
    leaves among them, empty before anything was calibrated; `novelty` (m,) and `verdicts` None before novelty was
    learned.
    """

    proba: Floats
    claims: tuple[Claim | None, ...]
    above: tuple[tuple[tuple[str, ...], Floats], ...]
    sets: tuple[tuple[tuple[str, ...], int], ...]
    novelty: NDArray[np.float64] | None
    verdicts: tuple[str, ...] | None
    rolled: tuple[RankBest, ...] = ()  # the best taxon of each rank, deepest first

    def __len__(self) -> int:
        return len(self.proba)

    def top(self, size: int) -> tuple[NDArray[np.int64], Floats]:
        """The columns (m, size) of the most probable classes, best first, and their probabilities."""
        order = np.argsort(-self.proba, axis=1, kind="stable")[:, :size]
        return order, np.take_along_axis(self.proba, order, axis=1)

    def lineage(self, row: int) -> list[tuple[str, float]]:
        """The ancestors of the best leaf of one figure, lowest first, with their probabilities."""
        line, values = self.above[row]
        return [(qid, float(value)) for qid, value in zip(line, values, strict=True)]


class Judge:
    """A model at work, on the tree of taxa as it is now (taxa move; the leaves' probabilities do not care)."""

    def __init__(
        self,
        head: AnyHead,
        temperature: float,
        taxonomy: Taxonomy,
        scales: Sequence[RankScale] = (),
        conformal: ConformalModel | None = None,
        novelty: NoveltyModel | None = None,
        lda: LDAHead | None = None,
        known_x: Floats | None = None,
    ) -> None:
        self.classes = head.classes_
        self._head, self._temperature, self._taxonomy = head, temperature, taxonomy
        self._ranks = RankModel(self.classes, taxonomy, scales) if scales else None
        self._scales = tuple(scales)
        self._conformal = conformal
        self._novelty = novelty
        self._strangeness = (
            Strangeness(head, lda, known_x, taxonomy)
            if novelty is not None and lda is not None and known_x is not None
            else None
        )
        self._lines = [taxonomy.lineage(qid)[1:] for qid in self.classes]
        self._nodes = sorted({node for line in self._lines for node in line})
        column = {node: place for place, node in enumerate(self._nodes)}
        self._below = np.zeros((len(self.classes), len(self._nodes)), dtype=np.float32)
        longest = max((len(line) for line in self._lines), default=0)
        self._places = np.zeros((len(self.classes), longest), dtype=np.int64)  # columns of a leaf's ancestors
        for leaf, line in enumerate(self._lines):
            own = [column[node] for node in line]
            self._below[leaf, own] = 1.0
            self._places[leaf, : len(own)] = own
            self._places[leaf, len(own) :] = own[-1] if own else 0
        self._of_ranks = [rank_matrix(self.classes, taxonomy, rank) for rank in REPORTED_RANKS]

    def look(self, x: Floats, block: int = BLOCK) -> Iterator[Judged]:
        """What it says of figures with vectors (n, d), block by block, in their order. Raises as `decision` does."""
        for start in range(0, len(x), block):
            yield self.one_block(x[start : start + block])

    def one_block(self, x: Floats) -> Judged:
        """What it says of a few thousand figures at once."""
        decision = self._head.decision(x)
        proba = apply_temperature(decision, self._temperature)
        rolled = best_of(self._ranks, decision) if self._ranks else ()
        novelty, verdicts = None, None
        if self._novelty is not None and self._strangeness is not None:
            scores = self._strangeness.scores(x)
            novelty, verdicts = self._novelty.probability(scores), tuple(self._novelty.verdicts(scores))
        return Judged(
            proba.astype(np.float32),
            self._claims(rolled, len(x)),
            self._above(decision, proba),
            self._sets(proba),
            novelty,
            verdicts,
            rolled,
        )

    def _claims(self, rolled: Sequence[RankBest], n: int) -> tuple[Claim | None, ...]:
        """As `RankModel.claims` has it: the deepest rank whose best taxon lies above the threshold."""
        found: list[Claim | None] = [None] * n
        for scale, best in zip(self._scales, rolled, strict=True):
            if scale.threshold is None:
                continue
            for row in np.flatnonzero(best.probability >= scale.threshold):
                if found[row] is None:
                    found[row] = Claim(best.taxa[row], scale.rank, float(min(best.probability[row], 1.0)))
        return tuple(found)

    def _above(
        self, decision: NDArray[np.float64], proba: NDArray[np.float64]
    ) -> tuple[tuple[tuple[str, ...], Floats], ...]:
        best, plain = proba.argmax(axis=1), proba.astype(np.float32)
        if not self._nodes:
            return tuple((line, np.zeros(0, np.float32)) for line in (self._lines[leaf] for leaf in best))
        sums = plain @ self._below  # (m, nodes)
        ranks = np.array([self._taxonomy.rank(node) or "" for node in self._nodes])
        for scale in self._scales:
            own = np.flatnonzero(ranks == scale.rank)
            if len(own):
                sums[:, own] = apply_temperature(decision, scale.temperature).astype(np.float32) @ self._below[:, own]
        rows = np.arange(len(proba))
        values = np.maximum(sums[rows[:, None], self._places[best]], plain[rows, best][:, None])
        # Each rank has a temperature of its own, yet nothing is less probable than what lies within it.
        values = np.minimum(np.maximum.accumulate(values, axis=1), 1.0).astype(np.float32)
        return tuple((line, values[row, : len(line)]) for row, line in enumerate(self._lines[leaf] for leaf in best))

    def _sets(self, proba: NDArray[np.float64]) -> tuple[tuple[tuple[str, ...], int], ...]:
        if self._conformal is None:
            return tuple(((), 0) for _ in range(len(proba)))
        members = self._conformal.sets(proba, ALPHA)
        sizes = members.sum(axis=1)
        many = np.flatnonzero(sizes > MOST_LISTED)
        holding = dict(zip(many.tolist(), self._holding(members[many]), strict=True))
        return tuple(
            (
                tuple(self.classes[leaf] for leaf in np.flatnonzero(own))
                if size <= MOST_LISTED
                else ((node,) if (node := holding[row]) else ()),
                int(size),
            )
            for row, (own, size) in enumerate(zip(members, sizes, strict=True))
        )

    def _holding(self, members: NDArray[np.bool_]) -> list[str | None]:
        """The lowest taxon of a reported rank that holds all members of each set (m, k), or None."""
        found: list[str | None] = [None] * len(members)
        for ids, _, columns in reversed(self._of_ranks):  # from the widest: lower ones overwrite it
            lowest = np.where(members, columns, len(self.classes)).min(axis=1)
            highest = np.where(members, columns, -1).max(axis=1)
            for row in np.flatnonzero((lowest == highest) & (lowest >= 0)):
                found[row] = ids[lowest[row]]
        return found
