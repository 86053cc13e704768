"""Which figures to show people next, and why: a priority and a reason for each, the same for the same seed.

It ranks; it assigns nothing to anyone and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

COLD_START, CLOSE_CALL, UNSURE, LIKELY = "cold_start", "close_call", "unsure", "likely"
NOVEL, RANDOM, LOOK_AGAIN = "novel", "random", "look_again"
REASONS = (COLD_START, CLOSE_CALL, UNSURE, LIKELY, NOVEL, RANDOM, LOOK_AGAIN)

# Share of each kind of question among those asked next. The random tenth is what later measurements rest on.
SHARES: Mapping[str, float] = MappingProxyType({"uncertain": 0.70, NOVEL: 0.15, RANDOM: 0.10, LOOK_AGAIN: 0.05})
NEIGHBOURS = 10  # for novelty, after OpenOOD's kNN score
SAMPLE = 4096  # vectors against which typicality and novelty are measured
HEAD = 256  # how many of the next questions are picked with care; later ones come after a retraining
SURE = 0.8  # from here on the first name is likely, and a look confirms it
ALIKE = 0.97  # cosine from which two figures are the same question


@dataclass(frozen=True)
class Ask:
    """One figure's place in the queue: priority from 0 (last) to 1 (first), and the code of the reason."""

    priority: float
    reason: str


def margin(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the first class lies before the second, (n,) from 0 (a tie) to 1; 1 where there is one class."""
    if proba.shape[1] < 2:
        return np.ones(len(proba))
    best = np.partition(proba, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def entropy(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shannon entropy over its maximum log(k), (n,) from 0 (certain) to 1 (no idea); 0 where there is one class."""
    k = proba.shape[1]
    if k < 2:
        return np.zeros(len(proba))
    terms = np.where(proba > 0, proba * np.log(np.maximum(proba, 1e-300)), 0.0)
    return np.asarray(np.clip(-terms.sum(axis=1) / np.log(k), 0.0, 1.0))


def doubtful_labels(
    proba: NDArray[np.float64], y_index: NDArray[np.integer], certainty: float = 0.9
) -> NDArray[np.bool_]:
    """Whether a labelled figure (n,) deserves a second look: the model is at least this sure of another class.

    The probabilities must come from a model that did not learn from these labels.
    """
    return np.asarray((proba.argmax(axis=1) != y_index) & (proba.max(axis=1) >= certainty))


def knn_distance(
    x: Floats, known_x: Floats, seed: int, neighbours: int = NEIGHBOURS, own: bool = False
) -> NDArray[np.float64]:
    """Cosine distance (n,) of each vector to its k-th nearest of at most 4096 known ones; 1 if nothing is known.

    With `own`, `x` is `known_x` itself and a vector does not count as its own neighbour.
    """
    if len(known_x) == 0:
        return np.ones(len(x))
    reference = _sample(known_x, seed)
    k = min(neighbours + own, len(reference))
    distances = np.empty(len(x))
    for start in range(0, len(x), 2048):
        cosines = x[start : start + 2048] @ reference.T
        distances[start : start + 2048] = 1.0 - np.partition(cosines, -k, axis=1)[:, -k]
    return distances


def _sample(x: Floats, seed: int) -> Floats:
    if len(x) <= SAMPLE:
        return x
    return x[np.sort(np.random.default_rng(seed).choice(len(x), SAMPLE, replace=False))]


def k_center(x: Floats, size: int, seed: int, covered: Floats | None = None) -> list[int]:
    """The rows of up to `size` vectors, each farthest from all before it and from `covered`; a first one by chance.

    Source: greedy k-center, Sener and Savarese 2018, algorithm 1; cosine distance.
    """
    size = min(size, len(x))
    if size == 0:
        return []
    if covered is not None and len(covered):
        nearest = np.max([(x @ row) for row in _sample(covered, seed)], axis=0)
        chosen = [int(np.argmin(nearest))]
    else:
        chosen = [int(np.random.default_rng(seed).integers(len(x)))]
        nearest = np.full(len(x), -np.inf)
    nearest = np.maximum(nearest, x @ x[chosen[0]])
    nearest[chosen[0]] = np.inf
    while len(chosen) < size:
        farthest = int(np.argmin(nearest))
        chosen.append(farthest)
        nearest = np.maximum(nearest, x @ x[farthest])
        nearest[chosen] = np.inf
    return chosen


def typical(x: Floats, size: int, seed: int) -> list[int]:
    """The rows of up to `size` vectors: the most typical of each of as many clusters, largest cluster first.

    Typicality is the inverse mean distance to the 20 nearest. Source: TypiClust, Hacohen et al. 2022, algorithm 1.
    """
    size = min(size, len(x))
    if size == 0:
        return []
    cluster = _clusters(x, size, seed)
    density = -_mean_distance(x, seed)
    sizes = np.bincount(cluster, minlength=size)
    chosen = []
    for label in np.argsort(-sizes, kind="stable"):
        members = np.flatnonzero(cluster == label)
        if len(members):
            chosen.append(int(members[np.argmax(density[members])]))
    return chosen


def _mean_distance(x: Floats, seed: int, neighbours: int = 20) -> NDArray[np.float64]:
    reference = _sample(x, seed)
    k = min(neighbours, len(reference))
    means = np.empty(len(x))
    for start in range(0, len(x), 2048):
        cosines = x[start : start + 2048] @ reference.T
        means[start : start + 2048] = 1.0 - np.partition(cosines, -k, axis=1)[:, -k:].mean(axis=1)
    return means


def _clusters(x: Floats, k: int, seed: int, rounds: int = 8) -> NDArray[np.int64]:
    """Spherical k-means from farthest-point seeds: the cluster (n,) of each vector."""
    centres = x[k_center(x, k, seed)].astype(np.float32)
    label = np.zeros(len(x), dtype=np.int64)
    for _ in range(rounds):
        label = np.argmax(x @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, label, x)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), centres)
    return label


def ask(
    proba: NDArray[np.float64] | None,
    x: Floats,
    seed: int,
    known_x: Floats | None = None,
    look_again: NDArray[np.bool_] | None = None,
) -> list[Ask]:
    """A place in the queue for each of n figures with vectors `x` (n, d) of length 1, in the order given.

    `proba` (n, k) are calibrated probabilities, or None while there is no model: then typical and unlike figures take
    turns. `known_x` (m, d) are the vectors learned from: what lies farther from them than 95 % of them from each
    other may be novel. `look_again` (n,) marks labelled figures that deserve a second look. No two figures share a
    priority.
    """
    n = len(x)
    if proba is not None and (proba.ndim != 2 or len(proba) != n):
        raise ValueError(f"probabilities {proba.shape} for {n} vectors")
    if look_again is not None and look_again.shape != (n,):
        raise ValueError(f"look_again {look_again.shape} for {n} vectors")
    if n == 0:
        return []
    if proba is None or proba.shape[1] < 2:
        order, reason = _cold_start(x, seed, known_x)
    else:
        order, reason = _with_model(proba, x, seed, known_x, look_again)
    priority = np.empty(n)
    priority[order] = 1.0 - np.arange(n) / n
    return [Ask(float(priority[row]), reason[row]) for row in range(n)]


def _cold_start(x: Floats, seed: int, known_x: Floats | None) -> tuple[list[int], list[str]]:
    """Half k-center, half TypiClust, then the rest by chance; one in ten is random from the start."""
    by_chance = [int(row) for row in np.random.default_rng(seed).permutation(len(x))]
    size = min(HEAD, len(x))
    queues = {
        RANDOM: by_chance,
        "unlike": k_center(x, size, seed, known_x),
        "typical": typical(x, size // 2 or 1, seed),
    }
    order, source = _deal(queues, {RANDOM: SHARES[RANDOM], "unlike": 0.45, "typical": 0.45}, len(x))
    reason = [RANDOM if source[row] == RANDOM else COLD_START for row in range(len(x))]
    return _without_repeats(order, x, reason), reason


def _with_model(
    proba: NDArray[np.float64], x: Floats, seed: int, known_x: Floats | None, look_again: NDArray[np.bool_] | None
) -> tuple[list[int], list[str]]:
    by_chance = [int(row) for row in np.random.default_rng(seed).permutation(len(x))]
    chance_rank = np.empty(len(x))
    chance_rank[by_chance] = np.arange(len(x))
    closeness, vagueness = 1.0 - margin(proba), entropy(proba)
    # Ties are broken by chance, never by the order in which figures came in.
    uncertain = [int(row) for row in np.lexsort((chance_rank, -vagueness, -closeness))]
    queues = {"uncertain": uncertain, RANDOM: by_chance}
    if known_x is not None and len(known_x):
        distance = knn_distance(x, known_x, seed)
        usual = np.quantile(knn_distance(_sample(known_x, seed), known_x, seed, own=True), 0.95)
        far = np.lexsort((chance_rank, -distance))
        queues[NOVEL] = [int(row) for row in far if distance[row] > usual]
    if look_again is not None:
        queues[LOOK_AGAIN] = [row for row in uncertain[::-1] if look_again[row]]
    order, source = _deal(queues, SHARES, len(x))
    best = np.sort(np.pad(proba, ((0, 0), (1, 0))), axis=1)[:, :-4:-1]  # (n, 3): the first, second and third
    reason = [_reason(source[row], *map(float, best[row])) for row in range(len(x))]
    return _without_repeats(order, x, reason), reason


def _reason(source: str, first: float, second: float, third: float) -> str:
    """Name a question by what the model says: one name is likely, two share most of it, or it is spread over many."""
    if source != "uncertain":
        return source
    if first >= SURE:
        return LIKELY
    alike = first + second >= 0.5 and second >= 0.5 * first and third <= 0.6 * second
    return CLOSE_CALL if alike or first + second >= 0.75 else UNSURE


def _deal(queues: Mapping[str, list[int]], shares: Mapping[str, float], n: int) -> tuple[list[int], dict[int, str]]:
    """All n rows in one order, drawn from the queues in proportion to their shares, and the queue each came from.

    A queue that runs out leaves its turns to the others; rows in no queue follow at the end, by the random queue.
    """
    iterators = {name: iter(queue) for name, queue in queues.items()}
    credit = dict.fromkeys(queues, 0.0)
    order: list[int] = []
    source: dict[int, str] = {}
    while len(order) < n:
        for name in credit:
            credit[name] += shares[name]
        turn = max(credit, key=lambda name: credit[name])
        row = next((row for row in iterators[turn] if row not in source), None)
        if row is None:
            del credit[turn]
            continue
        credit[turn] -= sum(shares[name] for name in credit)
        order.append(row)
        source[row] = turn
    return order, source


def _without_repeats(order: list[int], x: Floats, reason: list[str]) -> list[int]:
    """The order with near copies moved from its head to behind it: answering one of them answers the others.

    Random figures stay where they are: leaving copies out would make the sample a biased one.
    """
    kept: list[int] = []
    later: list[int] = []
    for row in order[: 2 * HEAD]:
        alike = bool(kept) and float((x[kept] @ x[row]).max()) >= ALIKE
        (later if alike and reason[row] != RANDOM else kept).append(row)
    return kept + later + order[2 * HEAD :]
