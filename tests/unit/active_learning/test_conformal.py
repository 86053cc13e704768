"""Sets keep their promise on data drawn alike and grow with it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import NotEnoughDataError, fit_conformal
from active_learning.calibration import softmax

CLASSES = ("ant", "bug", "cat", "dog")
SKEW = np.array([0.6, 0.25, 0.1, 0.05])


def drawn(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities of a model that is too sure, and truths, of a long-tailed world."""
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=SKEW)
    values = rng.normal(size=(n, 4)) + 1.5 * np.eye(4)[y]
    return softmax(values * 3.0), y


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("with_prior", [False, True])
def test_on_average_over_draws_the_truth_is_missed_as_seldom_as_promised(alpha: float, with_prior: bool) -> None:
    missed = total = 0
    for seed in range(100):
        proba, y = drawn(260, seed)
        model = fit_conformal(proba[:60], y[:60], CLASSES, SKEW if with_prior else None)
        members = model.sets(proba[60:], alpha)
        missed += int((~members[np.arange(200), y[60:]]).sum())
        total += 200
    # Misses of one calibration set move together: their share is Beta distributed around alpha.
    deviation = np.sqrt(alpha * (1 - alpha) * (1 / total + 1 / (100 * 60)))
    assert missed / total <= alpha + 3 * deviation


def test_balanced_sets_cover_rare_classes_as_well() -> None:
    proba, y = drawn(8000, 1)
    plain = fit_conformal(proba[:4000], y[:4000], CLASSES).sets(proba[4000:], 0.1)
    balanced = fit_conformal(proba[:4000], y[:4000], CLASSES, balanced=True).sets(proba[4000:], 0.1)
    truth = y[4000:]

    def macro(members: NDArray[np.bool_]) -> float:
        held = members[np.arange(len(truth)), truth]
        return float(np.mean([held[truth == label].mean() for label in range(4)]))

    assert macro(balanced) >= 0.9 - 0.02
    assert macro(plain) <= macro(balanced) + 0.02


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), balanced=st.booleans(), alphas=st.tuples(
    st.floats(0.001, 0.999), st.floats(0.001, 0.999)))  # fmt: skip
def test_a_stronger_promise_never_takes_a_class_away(
    seed: int, n: int, balanced: bool, alphas: tuple[float, float]
) -> None:
    proba, y = drawn(n + 20, seed)
    model = fit_conformal(proba[:n], y[:n], CLASSES, balanced=balanced)
    small, large = model.sets(proba[n:], max(alphas)), model.sets(proba[n:], min(alphas))
    assert (small <= large).all()
    assert small.any(axis=1).all()


def test_with_too_few_figures_to_promise_anything_all_classes_are_given() -> None:
    proba, y = drawn(8, 0)
    assert fit_conformal(proba, y, CLASSES).sets(proba, 0.1).all()
    with pytest.raises(NotEnoughDataError):
        fit_conformal(proba[:0], y[:0], CLASSES)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_an_impossible_promise_is_refused(alpha: float) -> None:
    proba, y = drawn(30, 0)
    with pytest.raises(ValueError, match="alpha"):
        fit_conformal(proba, y, CLASSES).sets(proba, alpha)


def test_what_does_not_fit_together_is_refused() -> None:
    proba, y = drawn(30, 0)
    with pytest.raises(ValueError, match="truths"):
        fit_conformal(proba, y[:5], CLASSES)
    with pytest.raises(ValueError, match="none of the classes"):
        fit_conformal(proba, y + 4, CLASSES)
    with pytest.raises(ValueError, match="prior"):
        fit_conformal(proba, y, CLASSES, [1.0, 1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="finite"):
        fit_conformal(proba * np.nan, y, CLASSES)
