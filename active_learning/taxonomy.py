"""The tree of taxa as the model needs it: lineages, common ancestors, and probabilities summed up the tree.

It knows no names and no Wikidata: ids in, ids out. An id that is not in the tree (an answer such as "no
organism") is a tree of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import TaxonomyError


class Taxonomy:
    """Parents and ranks by taxon id; a parent of None, or one that is not given, ends a lineage."""

    def __init__(self, parents: Mapping[str, str | None], ranks: Mapping[str, str | None]) -> None:
        """Raises TaxonomyError if a taxon is its own ancestor, naming the circle."""
        self._parents = dict(parents)
        self._ranks = dict(ranks)
        self._lineages: dict[str, tuple[str, ...]] = {}
        for qid in self._parents:
            self.lineage(qid)

    def lineage(self, qid: str) -> tuple[str, ...]:
        """The taxon itself, its parent, and so on to the root."""
        known = self._lineages.get(qid)
        if known is not None:
            return known
        path = [qid]
        seen = {qid}
        while (parent := self._parents.get(path[-1])) is not None:
            if parent in seen:
                circle = " > ".join([*path[path.index(parent) :], parent])
                raise TaxonomyError(f"The taxonomy runs in a circle: {circle}.")
            path.append(parent)
            seen.add(parent)
        self._lineages[qid] = tuple(path)
        return self._lineages[qid]

    def rank(self, qid: str) -> str | None:
        """The rank of the taxon, or None where it is not known."""
        return self._ranks.get(qid)

    def at_rank(self, qid: str, rank: str) -> str | None:
        """The taxon or its nearest ancestor that has this rank, or None."""
        return next((node for node in self.lineage(qid) if self._ranks.get(node) == rank), None)

    def is_ancestor(self, ancestor: str, qid: str) -> bool:
        """Whether `ancestor` lies truly above `qid`; a taxon is not its own ancestor."""
        return ancestor != qid and ancestor in self.lineage(qid)

    def lca(self, a: str, b: str) -> str | None:
        """The lowest taxon that is or contains both, or None if they share no root."""
        above_b = set(self.lineage(b))
        return next((node for node in self.lineage(a) if node in above_b), None)


def roll_up(proba_row: NDArray[np.float64], classes: Sequence[str], taxonomy: Taxonomy) -> dict[str, float]:
    """The probability of every taxon at or above a class: its own plus all classes beneath it.

    `proba_row` (k,) belongs to `classes`. As parents are sums, a taxon is never more probable than its parent.
    Source: flat softmax summed up the tree, as iNaturalist's vision service does (inatVisionAPI, 2026-01).
    """
    if len(proba_row) != len(classes):
        raise ValueError(f"{len(proba_row)} probabilities for {len(classes)} classes")
    rolled: dict[str, float] = {}
    for probability, qid in zip(proba_row, classes, strict=True):
        for node in taxonomy.lineage(qid):
            rolled[node] = rolled.get(node, 0.0) + float(probability)
    return rolled


def pretty_sure(
    proba_row: NDArray[np.float64], classes: Sequence[str], taxonomy: Taxonomy, threshold: float
) -> tuple[str, float] | None:
    """The deepest taxon whose summed probability is at least `threshold`, with it; None if not even a root is.

    With a threshold above one half there is one such path; below, the more probable of equally deep taxa wins.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must lie above 0 and at most at 1, not {threshold}")
    sure = [(qid, p) for qid, p in roll_up(proba_row, classes, taxonomy).items() if p >= threshold]
    if not sure:
        return None
    qid, probability = max(sure, key=lambda node: (len(taxonomy.lineage(node[0])), node[1], node[0]))
    return qid, min(probability, 1.0)


def rank_matrix(
    classes: Sequence[str], taxonomy: Taxonomy, rank: str
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.int64]]:
    """The taxa of one rank over the classes: their ids (m,), the sums (k, m) as 0/1 float64, and the column (k,) of
    each class, -1 where it has no taxon of that rank. `proba @ sums` is the probability per taxon of the rank."""
    nodes = [taxonomy.at_rank(qid, rank) for qid in classes]
    ids = tuple(sorted({node for node in nodes if node is not None}))
    column = {node: index for index, node in enumerate(ids)}
    columns = np.array([column[node] if node is not None else -1 for node in nodes], dtype=np.int64)
    sums = np.zeros((len(classes), len(ids)))
    for index, where in enumerate(columns):
        if where >= 0:
            sums[index, where] = 1.0
    return ids, sums, columns
