"""Probabilities that mean what they say at every rank, and the deepest name that may be said aloud.

Leaves hold all the probability and every taxon above is their sum. Each rank has a temperature of its own, and a
threshold above which its best taxon is right often enough; both come from figures that the head did not learn from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import CalibrationError, apply_temperature, expected_calibration_error
from active_learning.metrics import REPORTED_RANKS
from active_learning.taxonomy import Taxonomy, rank_matrix

LEAF = "leaf"  # the classes themselves, whatever their ranks are
FOR_TEMPERATURE = 2000  # figures that a temperature is fitted on at most
LOOKS = 8  # how many thresholds are tried at a rank; each costs some of the confidence

Rolled = tuple[tuple[str, ...], NDArray[np.float64]]  # taxa (m,) of a rank, and which class (k, m) is of which


@dataclass(frozen=True)
class RankScale:
    """How one rank is calibrated, and on how much.

    `threshold` None: nothing is said at this rank, as too few figures were right or there were too few of them.
    """

    rank: str
    temperature: float
    threshold: float | None
    n: int  # calibration figures whose truth at this rank is known, and for which nothing deeper is said
    said: int  # of those, how many lie above the threshold
    precision: float  # share of right ones among `said`; 0 where nothing is said
    precision_low: float  # one-sided lower bound of that share, counting sources


@dataclass(frozen=True)
class Claim:
    """What may be said of a figure: the taxon, its rank, and its probability on that rank's own scale."""

    node: str
    rank: str
    probability: float


@dataclass(frozen=True)
class RankFigures:
    """What the probabilities of one rank were worth on figures that nothing was fitted on; shares are 0 to 1."""

    rank: str
    n: int  # figures whose truth at this rank is known
    accuracy: float
    calibration: CalibrationError
    nll: float  # over figures whose truth is among the taxa of this rank
    brier: float  # 0 to 2
    said: int  # figures for which this rank is the deepest that is said
    said_right: float  # share of right ones among those whose truth is known; 0 where nothing is said


class RankModel:
    """Calibrated probabilities at every rank, over the classes of one head."""

    def __init__(self, classes: Sequence[str], taxonomy: Taxonomy, scales: Sequence[RankScale]) -> None:
        """`scales` deepest rank first, as `fit_ranks` gives them."""
        self.classes = tuple(classes)
        self.taxonomy = taxonomy
        self.scales = tuple(scales)
        self._sums = {scale.rank: _rolled(self.classes, taxonomy, scale.rank) for scale in self.scales}

    def probabilities(self, decision: NDArray[np.float64], rank: str) -> Rolled:
        """The taxa (m,) of that rank and their probabilities (n, m); what has no taxon of the rank is left out.

        Raises KeyError for a rank that has no scale.
        """
        ids, sums = self._sums[rank]
        temperature = next(scale.temperature for scale in self.scales if scale.rank == rank)
        return ids, apply_temperature(decision, temperature) @ sums

    def claims(self, decision: NDArray[np.float64]) -> list[Claim | None]:
        """For each row of decision values (n, k) the deepest taxon that is sure enough to be said, or None."""
        found: list[Claim | None] = [None] * len(decision)
        for scale in self.scales:
            if scale.threshold is None:
                continue
            ids, proba = self.probabilities(decision, scale.rank)
            best = proba.argmax(axis=1)
            for row in np.flatnonzero(proba.max(axis=1) >= scale.threshold):
                if found[row] is None:
                    found[row] = Claim(ids[best[row]], scale.rank, float(min(proba[row, best[row]], 1.0)))
        return found

    def top(self, decision: NDArray[np.float64], size: int = 5) -> list[list[tuple[str, float]]]:
        """The `size` most probable classes of each row with their probabilities, best first."""
        proba = apply_temperature(decision, self.scales[0].temperature)
        order = np.argsort(-proba, axis=1, kind="stable")[:, :size]
        return [[(self.classes[c], float(p[c])) for c in best] for p, best in zip(proba, order, strict=True)]

    def to_dict(self) -> list[dict[str, Any]]:
        """The scales as plain JSON types; classes and taxonomy are kept by whoever keeps the head."""
        return [asdict(scale) for scale in self.scales]

    @classmethod
    def from_dict(cls, classes: Sequence[str], taxonomy: Taxonomy, plain: Sequence[Mapping[str, Any]]) -> RankModel:
        """The model whose `to_dict` gave `plain`. Raises TypeError for anything else."""
        return cls(classes, taxonomy, [RankScale(**scale) for scale in plain])


def known_ranks(classes: Sequence[str], taxonomy: Taxonomy) -> tuple[str, ...]:
    """The ranks worth a scale, deepest first; of two that hold the same classes the higher one's name is kept.

    `LEAF` is among them where some class is of another rank than the rest, such as "no organism" beside species.
    """
    ranks: list[tuple[str, Rolled]] = []
    for rank in (LEAF, *REPORTED_RANKS):
        ids, sums = _rolled(classes, taxonomy, rank)
        if not ids:
            continue
        if ranks and ranks[-1][1][0] == ids and np.array_equal(ranks[-1][1][1], sums):
            ranks.pop()
        ranks.append((rank, (ids, sums)))
    return tuple(rank for rank, _ in ranks)


def _rolled(classes: Sequence[str], taxonomy: Taxonomy, rank: str) -> Rolled:
    if rank == LEAF:
        return tuple(classes), np.eye(len(classes))
    ids, sums, _ = rank_matrix(classes, taxonomy, rank)
    return ids, sums


def fit_ranks(
    decision: NDArray[np.float64],
    y: Sequence[str],
    classes: Sequence[str],
    taxonomy: Taxonomy,
    groups: Sequence[str] | None = None,
    target: float = 0.95,
    confidence: float = 0.95,
) -> RankModel:
    """Temperatures and thresholds of all ranks from decision values (n, k) that no label here helped to make.

    `y` (n,) is the truth, at any rank; one that is no class counts as wrong where something else is said. With this
    `confidence`, at each rank at least the share `target` of what is said (and not said deeper) is right, for figures
    drawn as these were. Figures of one of the `groups` count once, and as wrong if one of them is.
    """
    if len(decision) != len(y) or decision.shape[1:] != (len(classes),):
        raise ValueError(f"decision values {decision.shape} for {len(y)} figures and {len(classes)} classes")
    sources = np.unique(np.arange(len(y)) if groups is None else np.asarray(groups), return_inverse=True)[1]
    scales: list[RankScale] = []
    silent = np.ones(len(y), dtype=bool)
    for rank in known_ranks(classes, taxonomy):
        ids, sums = _rolled(classes, taxonomy, rank)
        temperature = _fit_temperature(decision, sums, _columns(ids, y, taxonomy, rank))
        proba = apply_temperature(decision, temperature) @ sums
        verdicts = _verdicts(proba, ids, y, taxonomy)
        rows = np.flatnonzero(silent & (verdicts >= 0))
        best = proba.max(axis=1)
        scale = _scale(rank, temperature, best[rows], verdicts[rows] == 1, sources[rows], target, 1.0 - confidence)
        scales.append(scale)
        if scale.threshold is not None:
            silent &= best < scale.threshold
    return RankModel(classes, taxonomy, scales)


def _columns(ids: Sequence[str], y: Sequence[str], taxonomy: Taxonomy, rank: str) -> NDArray[np.int64]:
    """The column (n,) of each truth among the taxa of a rank, -1 where it is not among them."""
    place = {node: column for column, node in enumerate(ids)}
    nodes = [qid if rank == LEAF else taxonomy.at_rank(qid, rank) for qid in y]
    return np.array([-1 if node is None else place.get(node, -1) for node in nodes], dtype=np.int64)


def _verdicts(
    proba: NDArray[np.float64], ids: Sequence[str], y: Sequence[str], taxonomy: Taxonomy
) -> NDArray[np.int64]:
    """Of the best taxon of each row (n,): 1 right, 0 wrong, -1 the truth is known at a higher rank only."""
    found = [ids[column] for column in proba.argmax(axis=1)]
    told = {}
    for said, truth in set(zip(found, y, strict=True)):
        if said in taxonomy.lineage(truth):
            told[said, truth] = 1
        else:
            told[said, truth] = -1 if taxonomy.is_ancestor(truth, said) else 0
    return np.array([told[pair] for pair in zip(found, y, strict=True)], dtype=np.int64)


def _fit_temperature(decision: NDArray[np.float64], sums: NDArray[np.float64], columns: NDArray[np.int64]) -> float:
    """The temperature with the highest likelihood of the summed truth; the weak prior of `fit_temperature` holds.

    A grid, then two finer ones around its best: the sum over leaves may have more than one minimum.
    """
    rows = np.flatnonzero(columns >= 0)
    if len(rows) == 0 or decision.shape[1] < 2:
        return 1.0
    # One number needs no more figures; spread over all of them, so that no order they come in tells.
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), FOR_TEMPERATURE)).round().astype(np.int64)]
    values, own = decision[rows].astype(np.float32), columns[rows]
    values -= values.max(axis=1, keepdims=True)
    below = np.ascontiguousarray(sums.T[own], dtype=np.float32)  # (n, k): the leaves of the truth

    def loss(log_t: float) -> float:
        powers = np.exp(values * np.float32(math.exp(-log_t)))
        truth = np.einsum("nk,nk->n", powers, below) / powers.sum(axis=1)
        return float(-np.log(np.maximum(truth.astype(np.float64), 1e-12)).sum() + 0.5 * log_t**2)

    low, high = math.log(0.02), math.log(50.0)
    for _ in range(3):
        grid = np.linspace(low, high, 25)
        best = int(np.argmin([loss(float(log_t)) for log_t in grid]))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    return math.exp((low + high) / 2)


def _scale(
    rank: str,
    temperature: float,
    best: NDArray[np.float64],
    right: NDArray[np.bool_],
    sources: NDArray[np.int64],
    target: float,
    risk: float,
) -> RankScale:
    order = np.argsort(-best, kind="stable")
    # They come strictest first: the last one says most.
    passed = _thresholds(best[order], right[order], sources[order], target, risk)
    if not passed:
        return RankScale(rank, temperature, None, len(best), 0, 0.0, 0.0)
    threshold = passed[-1]
    said = best >= threshold
    n, wrong = _by_source(right[said], sources[said])
    bound = lower_bound(n, wrong, risk)
    return RankScale(rank, temperature, threshold, len(best), int(said.sum()), float(right[said].mean()), bound)


def _thresholds(
    best: NDArray[np.float64], right: NDArray[np.bool_], sources: NDArray[np.int64], target: float, risk: float
) -> list[float]:
    """The thresholds that pass, strictest first, of a few that are fixed before any truth is looked at.

    Source: the fallback procedure (Wiens 2003): half of the risk is for the strictest, the rest is shared, and what a
    passed test did not lose is handed on to the next.
    """
    least = math.ceil(math.log(risk / 2) / math.log(target))  # with fewer, even no error at all proves nothing
    if len(best) < least:
        return []
    passed, carried = [], 0.0
    sizes = np.unique(np.geomspace(least, len(best), LOOKS).round().astype(np.int64))
    for look, size in enumerate(sizes):
        own = risk / 2 if look == 0 else risk / 2 / max(len(sizes) - 1, 1)
        threshold = float(best[size - 1])
        reach = int(np.searchsorted(-best, -threshold, side="right"))  # all that tie with the last one
        n, wrong = _by_source(right[:reach], sources[:reach])
        if binomial_tail(n, wrong, 1.0 - target) <= own + carried:
            passed.append(threshold)
            carried += own
        else:
            carried = 0.0
    return passed


def _by_source(right: NDArray[np.bool_], sources: NDArray[np.int64]) -> tuple[int, int]:
    return len(np.unique(sources)), len(np.unique(sources[~right]))


def binomial_tail(n: int, events: int, rate: float) -> float:
    """The probability of at most `events` among n independent ones of that rate."""
    if events >= n or rate <= 0.0:
        return 1.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(rate)
        + (n - i) * math.log1p(-rate)
        for i in range(events + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def lower_bound(n: int, wrong: int, risk: float) -> float:
    """The one-sided lower bound of the share of right ones, with confidence 1 - risk (Clopper and Pearson 1934)."""
    if wrong >= n:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(n, wrong, 1.0 - middle) <= risk else (low, middle)
    return low


def measure_ranks(
    model: RankModel, decision: NDArray[np.float64], y: Sequence[str], seed: int = 0
) -> tuple[RankFigures, ...]:
    """What each rank's probabilities and claims are worth for figures whose truth is `y` (n,), at any rank."""
    claims = model.claims(decision)
    figures = []
    for scale in model.scales:
        ids, proba = model.probabilities(decision, scale.rank)
        verdicts = _verdicts(proba, ids, y, model.taxonomy)
        known = np.flatnonzero(verdicts >= 0)
        columns = _columns(ids, y, model.taxonomy, scale.rank)
        own = np.flatnonzero(columns >= 0)
        of_truth = proba[own, columns[own]]
        said = [row for row, claim in enumerate(claims) if claim is not None and claim.rank == scale.rank]
        judged = verdicts[[row for row in said if verdicts[row] >= 0]]
        figures.append(
            RankFigures(
                rank=scale.rank,
                n=len(known),
                accuracy=float((verdicts[known] == 1).mean()) if len(known) else 0.0,
                calibration=expected_calibration_error(proba[known], verdicts[known] == 1, seed=seed),
                nll=float(-np.log(np.maximum(of_truth, 1e-12)).mean()) if len(own) else 0.0,
                brier=float((np.square(proba[own]).sum(axis=1) - 2 * of_truth + 1).mean()) if len(own) else 0.0,
                said=len(said),
                said_right=float((judged == 1).mean()) if len(judged) else 0.0,
            )
        )
    return tuple(figures)
