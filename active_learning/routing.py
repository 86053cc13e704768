"""Of whom to ask a figure: of anyone, of volunteers who know its group, or of specialists.

Pure rules over the model's probabilities at each rank. Nobody is kept from any figure: what does not suit a person
comes to them later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.novelty import FAR, KNOWN
from active_learning.ranks import Claim, RankModel
from active_learning.strategies import margin

ANYONE, KNOWING, SPECIALIST = "anyone", "knowing", "specialist"

SURE = 0.9  # from here on a group is taken for certain
OPEN = 0.6  # below this the next rank down is an open question
CLOSE = 0.2  # a smaller margin inside a genus is a matter of small characters


@dataclass(frozen=True)
class Route:
    """Whose eye suits a figure best, and the taxon and rank that is sure (None and "" where nothing is)."""

    suits: str = ANYONE
    within: str | None = None
    rank: str = ""


@dataclass(frozen=True, eq=False)
class RankBest:
    """The best taxon of one rank for each of n figures, with its probability and its lead over the second, (n,) each.

    `size` is how many taxa of the rank there are: where there is one, it tells nobody apart.
    """

    rank: str
    taxa: tuple[str, ...]
    probability: NDArray[np.float64]
    margin: NDArray[np.float64]
    size: int


def best_at(rank: str, ids: Sequence[str], proba: NDArray[np.float64]) -> RankBest:
    """The best of the taxa `ids` (m,) of a rank by their probabilities (n, m). Raises ValueError if they do not fit."""
    if proba.ndim != 2 or proba.shape[1] != len(ids) or not ids:
        raise ValueError(f"probabilities {proba.shape} for {len(ids)} taxa")
    best = proba.argmax(axis=1)
    probability = proba[np.arange(len(proba)), best]
    # Where there is one taxon its rival is that the figure is of none of this rank.
    lead = margin(proba) if len(ids) > 1 else np.clip(2 * probability - 1, 0.0, 1.0)
    return RankBest(rank, tuple(ids[column] for column in best), probability, lead, len(ids))


def best_of(model: RankModel, decision: NDArray[np.float64]) -> tuple[RankBest, ...]:
    """The best taxon of each rank that the model has, deepest rank first, for decision values (n, k)."""
    return tuple(best_at(scale.rank, *model.probabilities(decision, scale.rank)) for scale in model.scales)


def route(
    rolled: Sequence[RankBest],
    n: int,
    claims: Sequence[Claim | None] | None = None,
    verdicts: Sequence[str] | None = None,
) -> list[Route]:
    """Whom to ask each of n figures of.

    `rolled` deepest rank first. Taking the deepest rank above the leaves whose best taxon is sure (0.9): if what is
    below is open (under 0.6), those who know that taxon are asked; if it is the last rank above the leaves and two
    leaves lie close together, specialists are. `verdicts` other than "known" go to specialists, and what is far from
    all that is known is within nothing. `claims`, where given, say what is sure where nothing else is asked.
    """
    for name, given in (("claims", claims), ("verdicts", verdicts), *((one.rank, one.taxa) for one in rolled)):
        if given is not None and len(given) != n:
            raise ValueError(f"{len(given)} {name} for {n} figures")
    return [
        _route(
            rolled,
            row,
            claims[row] if claims is not None else None,
            verdicts[row] if verdicts is not None else KNOWN,
        )
        for row in range(n)
    ]


def _route(rolled: Sequence[RankBest], row: int, claim: Claim | None, verdict: str) -> Route:
    if verdict == FAR:
        return Route(SPECIALIST)
    sure = next((place for place in range(1, len(rolled)) if rolled[place].probability[row] >= SURE), None)
    above = None if sure is None else rolled[sure]
    known = Route(ANYONE, above.taxa[row], above.rank) if above else Route()
    if verdict != KNOWN:
        return Route(SPECIALIST, known.within, known.rank)
    if above is not None and sure is not None and above.size > 1:
        below = rolled[sure - 1]
        if sure == 1 and below.margin[row] < CLOSE:
            return Route(SPECIALIST, known.within, known.rank)
        if below.probability[row] < OPEN:
            return Route(KNOWING, known.within, known.rank)
    return Route(ANYONE, claim.node, claim.rank) if claim is not None else known
