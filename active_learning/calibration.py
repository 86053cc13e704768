"""Making a probability mean what it says, and measuring how far it does.

One temperature for all classes: it changes how sure the model is, never which class comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_COLDEST, _HOTTEST = 0.02, 50.0


def softmax(decision: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows (n, k) float64 that are positive and sum to 1; no overflow for any finite input."""
    shifted = np.asarray(decision, dtype=np.float64) - np.max(decision, axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def apply_temperature(decision: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Calibrated probabilities (n, k) of decision values (n, k); a temperature above 1 makes them less sure."""
    if not temperature > 0:
        raise ValueError(f"a temperature must be positive, not {temperature}")
    return softmax(np.asarray(decision, dtype=np.float64) / temperature)


def negative_log_likelihood(proba: NDArray[np.float64], y_index: NDArray[np.integer]) -> float:
    """Mean -log of the probability of the truth; probabilities below 1e-12 count as that."""
    truth = np.take_along_axis(proba, np.asarray(y_index, dtype=np.int64)[:, None], axis=1)
    return float(-np.log(np.maximum(truth, 1e-12)).mean())


def fit_temperature(decision: NDArray[np.floating], y_index: NDArray[np.integer]) -> float:
    """The temperature under which decision values (n, k) give the truth `y_index` (n,) the highest likelihood.

    They must come from figures the head was not fitted on. A weak log-normal prior around 1 (worth about one figure)
    keeps the answer finite where every figure was right; no figures at all, or one class, give 1.

    Source: Guo et al. 2017, section 4.2; golden-section search as the loss has one minimum in log temperature.
    """
    y = np.asarray(y_index, dtype=np.int64)
    values = np.asarray(decision, dtype=np.float64)
    if len(values) != len(y):
        raise ValueError(f"{len(values)} rows of decision values for {len(y)} truths")
    if len(y) == 0 or values.shape[1] < 2:
        return 1.0

    def loss(log_t: float) -> float:
        proba = softmax(values / np.exp(log_t))
        return negative_log_likelihood(proba, y) * len(y) + 0.5 * log_t**2

    low, high = float(np.log(_COLDEST)), float(np.log(_HOTTEST))
    ratio = (np.sqrt(5.0) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    loss_a, loss_b = loss(a), loss(b)
    while high - low > 1e-5:
        if loss_a <= loss_b:
            high, b, loss_b = b, a, loss_a
            a = high - ratio * (high - low)
            loss_a = loss(a)
        else:
            low, a, loss_a = a, b, loss_b
            b = low + ratio * (high - low)
            loss_b = loss(b)
    return float(np.exp((low + high) / 2))


class ReliabilityBin(NamedTuple):
    """Figures whose highest probability lies in (lo, hi]; means are 0 in an empty bin."""

    lo: float
    hi: float
    n: int
    mean_confidence: float
    accuracy: float


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error with its 95 % bootstrap interval and what a perfect model would show by chance."""

    ece: float
    low: float
    high: float
    noise_floor: float


def _checked(proba: ArrayLike, correct: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    confidence = np.asarray(proba, dtype=np.float64)
    if confidence.ndim == 2:
        confidence = confidence.max(axis=1)
    right = np.asarray(correct, dtype=np.float64)
    if confidence.shape != right.shape:
        raise ValueError(f"{confidence.shape} probabilities for {right.shape} truths")
    return confidence, right


def _bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability_bins(proba: ArrayLike, correct: ArrayLike, bins: int = 15) -> list[ReliabilityBin]:
    """How often the model was right at each level of confidence, in equal bins from 0 to 1.

    `proba` is (n,) highest probabilities, or (n, k) of which the highest are taken; `correct` (n,) is 0/1.
    """
    confidence, right = _checked(proba, correct)
    where = _bin_of(confidence, bins)
    counts = np.bincount(where, minlength=bins)
    sure = np.bincount(where, confidence, minlength=bins) / np.maximum(counts, 1)
    hits = np.bincount(where, right, minlength=bins) / np.maximum(counts, 1)
    return [
        ReliabilityBin(i / bins, (i + 1) / bins, int(counts[i]), float(sure[i]), float(hits[i])) for i in range(bins)
    ]


def _ece(confidence: NDArray[np.float64], right: NDArray[np.float64], bins: int) -> float:
    if len(confidence) == 0:
        return 0.0
    gap = np.bincount(_bin_of(confidence, bins), right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def expected_calibration_error(
    proba: ArrayLike, correct: ArrayLike, bins: int = 15, rounds: int = 200, seed: int = 0
) -> CalibrationError:
    """Mean distance between confidence and accuracy over equal bins, weighted by figures (Guo 2017, equation 3).

    The interval is a basic bootstrap (Davison & Hinkley 1997, §2.4), as resampling adds bins' noise and so shifts
    plain percentiles upwards, off the estimate itself with few figures; it never falls below 0. `noise_floor` is the
    mean error of a perfectly calibrated model on these very confidences: an error below it cannot be told from
    perfect. All zeros without figures.
    """
    confidence, right = _checked(proba, correct)
    n = len(confidence)
    if n == 0:
        return CalibrationError(0.0, 0.0, 0.0, 0.0)
    rng = np.random.default_rng(seed)
    resampled = np.empty(rounds)
    perfect = np.empty(rounds)
    for i in range(rounds):
        chosen = rng.integers(0, n, n)
        resampled[i] = _ece(confidence[chosen], right[chosen], bins)
        perfect[i] = _ece(confidence, (rng.random(n) < confidence).astype(np.float64), bins)
    found = _ece(confidence, right, bins)
    low, high = 2 * found - np.percentile(resampled, (97.5, 2.5))
    return CalibrationError(found, float(max(low, 0.0)), float(max(high, found)), float(perfect.mean()))
