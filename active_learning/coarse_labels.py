"""Names at any rank train what they can: a genus adds to its species together, no name at all to all of them.

A head is fitted in rounds (expectation and maximisation): each figure without a class of its own is shared out over
the classes below its name as the head of the round before sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from active_learning.errors import NotEnoughDataError
from active_learning.heads import AnyHead
from active_learning.taxonomy import Taxonomy

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CoarseFit:
    """A head with what it made of the coarse names."""

    head: AnyHead
    shares: NDArray[np.float64]  # (n, k) over `head.classes_`: what each figure counted as in the last round
    log_likelihoods: tuple[float, ...]  # mean log probability of the names as given, after each round


def leaves_of(y: Sequence[str | None], taxonomy: Taxonomy) -> tuple[str, ...]:
    """The classes that a head for these labels has, sorted: those below which no other label lies."""
    named = {qid for qid in y if qid is not None}
    above = {node for qid in named for node in taxonomy.lineage(qid)[1:]}
    return tuple(sorted(named - above))


def fit_coarse(
    make: Callable[[], AnyHead],
    x: Floats,
    y: Sequence[str | None],
    taxonomy: Taxonomy,
    sample_weight: ArrayLike | None = None,
    rounds: int = 5,
    soft: Mapping[int, Mapping[str, float]] | None = None,
) -> CoarseFit:
    """A head on vectors (n, d) whose names `y` (n,) may be at any rank; None is a figure nobody has named yet.

    A name with other names below it counts for those together; one with none below is a class itself. `soft` gives the
    shares of several answers, at any rank, for the figures at some places: they stay as they are. A figure
    without a name must be of one of the classes, or it misleads: leave out what looks novel. With a linear head
    without logit adjustment this is the generalised EM of the penalised likelihood.

    Raises NotEnoughDataError if no figure has a class of its own, ValueError for fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"at least one round is needed, not {rounds}")
    leaves = leaves_of(y, taxonomy)
    below = _below(y, leaves, taxonomy)  # (n, k) 0/1
    fixed = _fixed(soft or {}, leaves, taxonomy)
    sure = below.sum(axis=1) == 1
    sure[list(fixed)] = True
    if not leaves:
        raise NotEnoughDataError("There are no labelled figures to learn from.")
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    own = [row for row, qid in enumerate(y) if qid in set(leaves)]
    head = make().fit(x[own], [str(y[row]) for row in own], weights[own])
    shares, likelihoods = below, []
    for _ in range(1 if sure.all() else rounds):
        shares = _shared(head.predict_proba(x), below)
        for row, own_shares in fixed.items():
            shares[row] = own_shares
        head = make().fit(x, shares, weights, classes=leaves)
        told = (head.predict_proba(x) * below).sum(axis=1)
        likelihoods.append(float(np.average(np.log(np.maximum(told, 1e-12)), weights=weights)))
    return CoarseFit(head, shares, tuple(likelihoods))


def _below(y: Sequence[str | None], leaves: Sequence[str], taxonomy: Taxonomy) -> NDArray[np.float64]:
    holds = {qid: np.array([qid in taxonomy.lineage(leaf) for leaf in leaves], dtype=np.float64) for qid in y if qid}
    anything = np.ones(len(leaves))
    return np.array([anything if qid is None else holds[qid] for qid in y]).reshape(len(y), len(leaves))


def _fixed(
    soft: Mapping[int, Mapping[str, float]], leaves: Sequence[str], taxonomy: Taxonomy
) -> dict[int, NDArray[np.float64]]:
    """Shares (k,) that sum to 1, by row: what is said of a taxon is spread evenly over the leaves at or below it.

    A row whose answers lie outside the tree of the leaves is left to its name.
    """
    lines = [set(taxonomy.lineage(leaf)) for leaf in leaves]
    fixed = {}
    for row, shares in soft.items():
        own = np.zeros(len(leaves))
        for qid, share in shares.items():
            within = np.array([qid in line for line in lines], dtype=np.float64)
            if within.any():
                own += share * within / within.sum()
        if own.sum() > 0:
            fixed[row] = own / own.sum()
    return fixed


def _shared(proba: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each figure's one unit over the classes below its name; evenly where the head sees none of them."""
    held = proba * below + 1e-12 * below
    return np.asarray(held / held.sum(axis=1, keepdims=True))
