"""What makes a figure worth asking about: how unsure a model is of it, how unlike it is, what it stands for.

Plain functions of probabilities and vectors of length 1. `asking` puts them together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NEIGHBOURS = 10  # for novelty, after OpenOOD's kNN score
TYPICAL_NEIGHBOURS = 20  # for typicality, as in the paper
SAMPLE = 4096  # vectors against which typicality, novelty and coverage are measured
ROWS = 2048  # vectors compared at a time, so that memory stays small
REACH_NEIGHBOUR = 5  # a vector reaches about as far as its fifth neighbour


def margin(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the first class lies before the second, (n,) from 0 (a tie) to 1; 1 where there is one class."""
    if proba.shape[1] < 2:
        return np.ones(len(proba))
    gaps = np.empty(len(proba))
    for start in range(0, len(proba), ROWS):
        best = np.partition(proba[start : start + ROWS], -2, axis=1)
        gaps[start : start + ROWS] = best[:, -1] - best[:, -2]
    return gaps


def entropy(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shannon entropy over its maximum log(k), (n,) from 0 (certain) to 1 (no idea); 0 where there is one class."""
    k = proba.shape[1]
    if k < 2:
        return np.zeros(len(proba))
    sums = np.empty(len(proba))
    for start in range(0, len(proba), ROWS):
        part = proba[start : start + ROWS]
        sums[start : start + ROWS] = np.where(part > 0, part * np.log(np.maximum(part, 1e-300)), 0.0).sum(axis=1)
    return np.asarray(np.clip(-sums / np.log(k), 0.0, 1.0))


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
    reference = sampled(known_x, seed)
    k = min(neighbours + own, len(reference))
    distances = np.empty(len(x))
    for start in range(0, len(x), ROWS):
        cosines = x[start : start + ROWS] @ reference.T
        distances[start : start + ROWS] = 1.0 - np.partition(cosines, -k, axis=1)[:, -k]
    return distances


def sampled(x: Floats, seed: int) -> Floats:
    """The vectors themselves, or 4096 of them by chance where there are more, in their order."""
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
        nearest = nearest_cosine(x, sampled(covered, seed))
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


def nearest_cosine(x: Floats, others: Floats) -> NDArray[np.float32]:
    """The cosine (n,) of each vector with the nearest of the others; -1 if there are none."""
    found = np.full(len(x), -1.0, dtype=np.float32)
    if len(others):
        for start in range(0, len(x), ROWS):
            found[start : start + ROWS] = (x[start : start + ROWS] @ others.T).max(axis=1)
    return found


def typical(x: Floats, size: int, seed: int) -> list[int]:
    """The rows of up to `size` vectors: the most typical of each of as many clusters, largest cluster first.

    Typicality is the inverse mean distance to the 20 nearest of the cluster. Source: TypiClust, Hacohen et al. 2022,
    algorithm 1.
    """
    size = min(size, len(x))
    if size == 0:
        return []
    cluster = _clusters(x, size, seed)
    sizes = np.bincount(cluster, minlength=size)
    chosen = []
    for label in np.argsort(-sizes, kind="stable"):
        members = np.flatnonzero(cluster == label)
        if len(members):
            chosen.append(int(members[np.argmin(_remoteness(x[members], seed))]))
    return chosen


def _remoteness(x: Floats, seed: int, neighbours: int = TYPICAL_NEIGHBOURS) -> NDArray[np.float64]:
    """The summed Euclidean distance (n,) of each vector to its nearest of at most 4096; small for what is typical."""
    reference = sampled(x, seed)
    k = min(neighbours, len(reference) - 1) + 1  # each is its own nearest, at no distance
    means = np.empty(len(x))
    for start in range(0, len(x), ROWS):
        cosines = np.partition(x[start : start + ROWS] @ reference.T, -k, axis=1)[:, -k:]
        means[start : start + ROWS] = np.sqrt(np.maximum(2.0 - 2.0 * cosines, 0.0)).sum(axis=1)
    return means


def _clusters(x: Floats, k: int, seed: int, rounds: int = 8) -> NDArray[np.int64]:
    """Spherical k-means from farthest-point seeds: the cluster (n,) of each vector."""
    centres = x[k_center(x, k, seed)].astype(np.float32)
    label = np.zeros(len(x), dtype=np.int64)
    for _ in range(rounds):
        for start in range(0, len(x), ROWS):
            label[start : start + ROWS] = np.argmax(x[start : start + ROWS] @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, label, x)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), centres)
    return label


def herd(
    x: Floats, size: int, seed: int, weight: NDArray[np.float64] | None = None, covered: Floats | None = None
) -> list[int]:
    """The rows of up to `size` vectors, each the one worth most after those before it and after `covered`.

    What one is worth is how unsure it is itself times how much unsure weight it newly stands for; a vector stands for
    another as far as they are alike. Without `weight` (n,) all weigh the same. Of more than 4096 vectors the heavier
    half of those looked at are the heaviest, the others are drawn by chance; those stood for are drawn by chance.

    Source: uncertainty herding, Bae et al. 2024 (arXiv 2412.20644), equation 5, with a kernel that is fitted to the
    vectors in place of a fixed radius, and the gain times the own weight, as in a margin's choice.
    """
    size = min(size, len(x))
    if size == 0:
        return []
    weights = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
    rng = np.random.default_rng(seed)
    looked = _looked_at(weights, rng)
    stood_for = np.sort(rng.permutation(len(x))[:SAMPLE])
    reach, power = _reach(x[stood_for])
    kernel = _alike(x[looked] @ x[stood_for].T, reach, power)  # (candidates, stood for)
    shadow = np.zeros(len(stood_for), dtype=np.float32)
    if covered is not None and len(covered):
        shadow = _alike(nearest_cosine(x[stood_for], sampled(covered, seed)), reach, power)
    return [int(looked[row]) for row in _greedy(kernel, weights[stood_for], weights[looked], shadow, size)]


def _looked_at(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    if len(weights) <= SAMPLE:
        return np.arange(len(weights))
    by_chance = rng.permutation(len(weights))
    heaviest = by_chance[np.argsort(-weights[by_chance], kind="stable")[: SAMPLE // 2]]
    others = by_chance[~np.isin(by_chance, heaviest)][: SAMPLE // 2]
    return np.asarray(np.sort(np.concatenate([heaviest, others])), dtype=np.int64)


def _reach(x: Floats) -> tuple[float, float]:
    """The cosine distance at which likeness is one half, and how steeply it falls.

    One half at the fifth neighbour and one fiftieth at the distance of any two, in the median.
    """
    some = x[:: max(len(x) // 1024, 1)]
    distance = 1.0 - some @ some.T
    if len(some) <= REACH_NEIGHBOUR:
        return 0.5, 2.0
    usual = float(np.median(distance[np.triu_indices(len(some), 1)]))
    np.fill_diagonal(distance, np.inf)
    near = max(float(np.median(np.partition(distance, REACH_NEIGHBOUR - 1, axis=1)[:, REACH_NEIGHBOUR - 1])), 1e-6)
    steepness = np.log(np.log(0.02) / np.log(0.5)) / np.log(max(usual / near, 1.05))
    return near, float(np.clip(steepness, 1.0, 35.0))


def _alike(cosine: NDArray[np.float32], reach: float, power: float) -> NDArray[np.float32]:
    """How far one stands for the other, from 0 to 1."""
    # From four reaches on nothing is left whatever the steepness, and larger numbers would only overflow.
    distance = np.clip((1.0 - cosine) / np.float32(reach), 0.0, 4.0).astype(np.float32)
    return np.asarray(np.float32(0.5) ** np.minimum(distance ** np.float32(power), np.float32(100.0)), np.float32)


def _greedy(
    kernel: NDArray[np.float32],
    stood_for: NDArray[np.float64],
    own: NDArray[np.float64],
    shadow: NDArray[np.float32],
    size: int,
) -> list[int]:
    """The rows of the kernel in the order chosen. What a row gains only ever falls, so few are computed anew."""
    mass = stood_for.astype(np.float32)
    # An own weight of nothing still leaves an order among what is left.
    own = np.maximum(own, 1e-6)
    gain = np.empty(len(kernel))
    for start in range(0, len(kernel), 256):
        gain[start : start + 256] = np.maximum(kernel[start : start + 256] - shadow, 0.0) @ mass
    gain *= own
    chosen: list[int] = []
    while len(chosen) < min(size, len(kernel)):
        best = int(gain.argmax())
        gain[best] = float(np.maximum(kernel[best] - shadow, 0.0) @ mass) * own[best]
        if gain[best] < gain.max():
            continue
        chosen.append(best)
        gain[best] = -1.0
        shadow = np.maximum(shadow, kernel[best])
    return chosen
