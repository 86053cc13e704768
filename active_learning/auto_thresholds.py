"""From which probability on a model could settle figures by itself: a suggestion, with what it rests on.

A threshold is given only where the figures at hand prove, with 95 % confidence, that at least the wanted share of
what it lets through is right. To prove 99 of 100 takes hundreds of sources: most taxa alone will never have those,
and then a threshold for all taxa together is the honest one. That one promises nothing for any single taxon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.ranks import binomial_tail, lower_bound

CONFIDENCE = 0.95
LOOKS = 8  # how many thresholds are tried; each costs some of the confidence


@dataclass(frozen=True)
class AutoThreshold:
    """The lowest probability from which enough is right, for one taxon or for all; None where nothing proves it."""

    qid: str  # "" for all taxa together
    target: float  # the share that shall be right
    threshold: float | None
    n: int  # figures that the model said to be this taxon
    n_sources: int
    said: int  # of those, how many lie at or above the threshold
    coverage: float  # said / n
    precision: float  # share of right ones among `said`; 0 where there is no threshold
    precision_low: float  # its one-sided 95 % lower bound, counting sources


def least_sources(target: float) -> int:
    """How many sources without a single mistake are the fewest that prove this share."""
    return math.ceil(math.log((1.0 - CONFIDENCE) / 2) / math.log(target))


def auto_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], sources: NDArray[np.int64], target: float, qid: str = ""
) -> AutoThreshold:
    """The threshold for figures (n,) whose best taxon has this probability and is right or not.

    Figures of one source count once, and as wrong if one of them is. The thresholds that are tried are fixed before
    any truth is looked at, strictest first; half of the risk is for the first, the rest is shared, and what a passed
    test did not lose is handed on (fallback procedure: Wiens 2003). Raises ValueError for a target not within 0 and 1.
    """
    if not 0.0 < target < 1.0:
        raise ValueError(f"target must lie between 0 and 1, not {target}")
    order = np.argsort(-confidence, kind="stable")
    best, correct, of = confidence[order], right[order], sources[order]
    risk, passed, carried = 1.0 - CONFIDENCE, 0, 0.0
    reaches = _reaches(best, of, target)
    for look, reach in enumerate(reaches):
        own = risk / 2 if look == 0 else risk / 2 / (len(reaches) - 1)
        if binomial_tail(*_by_source(correct[:reach], of[:reach]), 1.0 - target) <= own + carried:
            passed, carried = reach, carried + own
        else:
            carried = 0.0
    n, n_sources = len(best), len(np.unique(of))
    if not passed:
        return AutoThreshold(qid, target, None, n, n_sources, 0, 0.0, 0.0, 0.0)
    low = lower_bound(*_by_source(correct[:passed], of[:passed]), risk)
    precision = float(correct[:passed].mean())
    return AutoThreshold(
        qid, target, float(best[passed - 1]), n, n_sources, passed, passed / n, precision, min(low, precision)
    )


def _reaches(best: NDArray[np.float64], sources: NDArray[np.int64], target: float) -> list[int]:
    """How many figures, most probable first, each threshold lets through; ties go together. Empty with too few."""
    first = np.zeros(len(sources), dtype=np.int64)
    first[np.unique(sources, return_index=True)[1]] = 1
    ends = np.unique(np.searchsorted(-best, -best, side="right"))
    met = np.cumsum(first)[ends - 1]  # sources met by the end of each tie
    enough = np.flatnonzero(met >= least_sources(target))
    if len(enough) == 0:
        return []
    sizes = np.geomspace(ends[enough[0]], len(best), LOOKS).round().astype(np.int64)
    return [int(end) for end in np.unique(ends[np.searchsorted(ends, sizes)])]


def _by_source(right: NDArray[np.bool_], sources: NDArray[np.int64]) -> tuple[int, int]:
    return len(np.unique(sources)), len(np.unique(sources[~right]))


def auto_thresholds(
    said: Sequence[str],
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    sources: NDArray[np.int64],
    target: float,
) -> tuple[AutoThreshold, ...]:
    """One threshold for each taxon in `said` (n,), those that let most through first; the others by figures."""
    names = np.array(list(said), dtype=object)
    found = []
    for qid in sorted(set(said)):
        rows = np.flatnonzero(names == qid)
        found.append(auto_threshold(confidence[rows], right[rows], sources[rows], target, qid))
    return tuple(sorted(found, key=lambda one: (-one.said, -one.n_sources, -one.n, one.qid)))
