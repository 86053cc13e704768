"""Temperatures and how honest a probability is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import apply_temperature, expected_calibration_error, fit_temperature, reliability_bins
from active_learning.calibration import negative_log_likelihood, softmax


def drawn(true_temperature: float, n: int = 4000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Decision values whose truths were drawn as if divided by that temperature."""
    rng = np.random.default_rng(5)
    decision = rng.normal(size=(n, 6)) * 4
    proba = softmax(decision / true_temperature)
    y = (proba.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return decision, y


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_data_is_found_again(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.06)


def test_calibration_brings_the_error_down_to_what_chance_leaves() -> None:
    decision, y = drawn(3.0)
    before = expected_calibration_error(softmax(decision), softmax(decision).argmax(axis=1) == y)
    proba = apply_temperature(decision, fit_temperature(decision, y))
    after = expected_calibration_error(proba, proba.argmax(axis=1) == y)
    assert before.ece > 0.2
    assert after.ece < 2 * after.noise_floor
    assert after.low <= after.ece <= after.high


def test_a_model_that_was_always_right_stays_finite_and_gets_surer() -> None:
    decision = np.eye(3)[[0, 1, 2] * 10]
    temperature = fit_temperature(decision, np.array([0, 1, 2] * 10))
    assert 0.02 < temperature < 1


def test_with_nothing_to_learn_from_the_temperature_is_one() -> None:
    assert fit_temperature(np.zeros((0, 4)), np.zeros(0, dtype=int)) == 1.0
    assert fit_temperature(np.zeros((5, 1)), np.zeros(5, dtype=int)) == 1.0
    with pytest.raises(ValueError):
        fit_temperature(np.zeros((5, 2)), np.zeros(4, dtype=int))


@given(st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=6), st.floats(0.05, 20))
def test_a_temperature_never_changes_which_class_comes_first(rows: list[list[float]], temperature: float) -> None:
    decision = np.array(rows)
    proba = apply_temperature(decision, temperature)
    assert np.isfinite(proba).all()
    assert proba.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    first = decision.argmax(axis=1)
    assert (proba[np.arange(len(rows)), first] >= proba.max(axis=1) - 1e-12).all()


def test_the_reliability_bins_hold_every_figure_once_and_its_truth() -> None:
    bins = reliability_bins([0.0, 0.1, 0.95, 0.96, 1.0], [0, 0, 1, 0, 1], bins=10)
    assert [row.n for row in bins] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bins[-1].accuracy == pytest.approx(2 / 3)
    assert bins[-1].mean_confidence == pytest.approx(0.97)
    assert (bins[0].lo, bins[-1].hi) == (0.0, 1.0)


def test_the_error_by_hand_is_the_error_by_formula() -> None:
    found = expected_calibration_error([0.9, 0.9, 0.9, 0.9], [1, 1, 1, 0])
    assert found.ece == pytest.approx(0.15)
    assert expected_calibration_error([], []).ece == 0


def test_a_perfect_model_on_five_hundred_figures_shows_an_error_of_chance() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1.0, 500)
    found = expected_calibration_error(confidence, rng.random(500) < confidence)
    assert 0.02 < found.noise_floor < 0.08


def test_a_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError):
        apply_temperature(np.zeros((1, 2)), 0.0)


def test_an_impossible_truth_costs_much_but_not_infinitely() -> None:
    assert negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-12))
