"""Agreement with scikit-activeml and scikit-learn wherever they do the same as we."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from active_learning import (
    LinearHead,
    apply_temperature,
    entropy,
    fit_temperature,
    herd,
    k_center,
    margin,
    reliability_bins,
    typical,
)
from active_learning.calibration import negative_log_likelihood, softmax
from active_learning.metrics import balanced_accuracy

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def proba() -> NDArray[np.float64]:
    return softmax(np.random.default_rng(0).normal(size=(300, 7)) * 2)


@pytest.fixture(scope="module")
def islands() -> tuple[Floats, NDArray[np.int64]]:
    """Six groups of unit vectors, well apart, of 10 to 35 members."""
    rng = np.random.default_rng(3)
    kind = np.repeat(np.arange(6), [35, 30, 25, 20, 15, 10])
    x = np.eye(6)[kind] + 0.08 * rng.normal(size=(len(kind), 6))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32), kind.astype(np.int64)


def test_margin_and_entropy_are_those_of_scikit_activeml(proba: NDArray[np.float64]) -> None:
    from skactiveml.pool import uncertainty_scores

    assert 1 - margin(proba) == pytest.approx(uncertainty_scores(proba, method="margin_sampling"))
    assert entropy(proba) * np.log(7) == pytest.approx(uncertainty_scores(proba, method="entropy"))


def test_k_center_chooses_what_core_set_chooses(islands: tuple[Floats, NDArray[np.int64]]) -> None:
    from skactiveml.pool import CoreSet

    x, _ = islands
    labels = np.full(len(x), np.nan)
    labels[[0, 40, 80]] = 0
    theirs = CoreSet(random_state=0).query(x, labels, batch_size=12)
    # On unit vectors Euclid's distance and the cosine give one order.
    assert k_center(x, 12, seed=0, covered=x[[0, 40, 80]]) == [int(row) for row in theirs]


def test_typical_figures_are_those_of_typiclust(islands: tuple[Floats, NDArray[np.int64]]) -> None:
    from skactiveml.pool import TypiClust

    x, kind = islands
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn counts this machine's cores
        theirs = TypiClust(random_state=0, k=20).query(x, np.full(len(x), np.nan), batch_size=6)
    ours = typical(x, 6, seed=0)
    assert ours == [int(row) for row in theirs]
    assert kind[ours].tolist() == [0, 1, 2, 3, 4, 5]  # from the largest cluster to the smallest


def test_herding_covers_what_prob_cover_and_max_herding_cover(islands: tuple[Floats, NDArray[np.int64]]) -> None:
    from skactiveml.pool import MaxHerding, ProbCover

    rows = np.concatenate([np.flatnonzero(islands[1] == number)[:10] for number in range(6)])
    x, kind = islands[0][rows], islands[1][rows]
    nothing = np.full(len(x), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        covered = ProbCover(n_classes=6, deltas=[0.5], random_state=0).query(x, nothing, batch_size=6)
        herded = MaxHerding(random_state=0).query(x, nothing, batch_size=6)
    ours = herd(x, 6, seed=0)
    # One figure of an island stands for that island: each way takes one of each before a second of any.
    assert sorted(kind[ours].tolist()) == [0, 1, 2, 3, 4, 5]
    assert sorted(kind[covered].tolist()) == [0, 1, 2, 3, 4, 5]
    assert sorted(kind[herded].tolist()) == [0, 1, 2, 3, 4, 5]


def test_accuracy_loss_and_brier_score_are_those_of_scikit_learn(proba: NDArray[np.float64]) -> None:
    from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss

    truth = np.random.default_rng(1).integers(0, 7, len(proba))
    assert balanced_accuracy(truth, proba.argmax(axis=1)) == pytest.approx(
        balanced_accuracy_score(truth, proba.argmax(axis=1))
    )
    assert negative_log_likelihood(proba, truth) == pytest.approx(log_loss(truth, proba, labels=np.arange(7)))
    ours = np.square(proba - np.eye(7)[truth]).sum(axis=1).mean()
    assert ours == pytest.approx(brier_score_loss(truth, proba, labels=np.arange(7), scale_by_half=False))


def test_reliability_is_the_calibration_curve_of_scikit_learn(proba: NDArray[np.float64]) -> None:
    from sklearn.calibration import calibration_curve

    confidence = proba.max(axis=1)
    right = (np.random.default_rng(2).random(len(proba)) < confidence).astype(int)
    accuracy, sure = calibration_curve(right, confidence, n_bins=15)
    ours = [found for found in reliability_bins(proba, right) if found.n]
    assert [found.accuracy for found in ours] == pytest.approx(accuracy)
    assert [found.mean_confidence for found in ours] == pytest.approx(sure)


def test_the_temperature_is_the_slope_of_a_logistic_regression_on_the_gap() -> None:
    """With two classes a temperature is one over the one weight of a regression without penalty and bias."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(4)
    decision = rng.normal(size=(4000, 2)) * 5
    truth = (rng.random(len(decision)) < softmax(decision / 2.5)[:, 1]).astype(np.int64)
    gap = (decision[:, 1] - decision[:, 0])[:, None]
    theirs = LogisticRegression(C=np.inf, fit_intercept=False).fit(gap, truth)
    temperature = fit_temperature(decision, truth)
    assert temperature == pytest.approx(1 / theirs.coef_[0, 0], rel=5e-3)  # the weak prior is worth one figure
    assert apply_temperature(decision, temperature)[:, 1] == pytest.approx(theirs.predict_proba(gap)[:, 1], abs=5e-3)


def test_no_other_weights_have_a_smaller_loss_than_the_linear_head(islands: tuple[Floats, NDArray[np.int64]]) -> None:
    """scikit-learn's optimum of the same loss, without the adjustment for frequencies: the same probabilities."""
    from sklearn.linear_model import LogisticRegression

    x, kind = islands
    ours = LinearHead(l2=1e-3, logit_adjustment=0.0).fit(x, kind.astype(str))
    centred = x.astype(np.float64) - x.mean(axis=0)
    scale = 1 / np.sqrt((centred**2).sum(axis=1).mean())
    theirs = LogisticRegression(C=1 / (1e-3 * len(x)), max_iter=5000, tol=1e-8).fit(centred * scale, kind)
    assert ours.predict_proba(x) == pytest.approx(theirs.predict_proba(centred * scale), abs=2e-4)
