"""Thresholds above which a model could settle figures: they keep their promise, and are silent without evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import auto_threshold, auto_thresholds
from active_learning.auto_thresholds import least_sources


def honest(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities that mean what they say, many of them high."""
    confidence = rng.beta(6, 1, n)
    return confidence, rng.random(n) < confidence


def right_above(threshold: float) -> float:
    """The share of right ones above a threshold, for ever so many honest figures: the mean of beta(6, 1) there."""
    return 6 / 7 * (1 - threshold**7) / (1 - threshold**6)


def test_what_passes_is_right_as_often_as_promised_in_nearly_all_draws() -> None:
    rng = np.random.default_rng(0)
    broken = given_one = 0
    for _ in range(300):
        confidence, right = honest(400, rng)
        found = auto_threshold(confidence, right, np.arange(400), 0.9)
        if found.threshold is not None:
            given_one += 1
            broken += right_above(found.threshold) < 0.9
    assert given_one > 250
    assert broken <= 25, "binomial: more than 25 of 300 at 5 % has a chance below 1 %"


def test_taxon_by_taxon_the_promise_holds_too() -> None:
    rng = np.random.default_rng(1)
    kinds = [f"Q{i}" for i in range(40)]
    said = np.repeat(kinds, 200)
    confidence, right = honest(len(said), rng)
    found = auto_thresholds(list(said), confidence, right, np.arange(len(said)), 0.9)
    assert {one.qid for one in found} == set(kinds)
    with_one = [one for one in found if one.threshold is not None]
    assert len(with_one) > 20
    assert sum(right_above(one.threshold or 0.0) < 0.9 for one in with_one) <= 6
    assert [one.said for one in found] == sorted((one.said for one in found), reverse=True)


def test_too_few_sources_get_none() -> None:
    least = least_sources(0.99)
    assert 0.99**least <= 0.025 < 0.99 ** (least - 1)
    sure = np.full(least, 0.999)
    assert auto_threshold(sure[1:], np.ones(least - 1, bool), np.arange(least - 1), 0.99).threshold is None
    enough = auto_threshold(sure, np.ones(least, bool), np.arange(least), 0.99)
    assert (enough.threshold, enough.said, enough.coverage) == (0.999, least, 1.0)
    assert 0.99 <= enough.precision_low < enough.precision == 1.0
    crowded = auto_threshold(np.tile(sure, 3), np.ones(3 * least, bool), np.arange(3 * least) // 4, 0.99)
    assert crowded.threshold is None, "figures of one source count once"
    with pytest.raises(ValueError):
        auto_threshold(sure, np.ones(least, bool), np.arange(least), 1.0)


@examples(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 400), target=st.sampled_from([0.7, 0.8, 0.9]))
def test_thresholds_say_what_they_let_through(seed: int, n: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    confidence, right = honest(n, rng)
    confidence = confidence.round(2)  # ties
    sources = rng.integers(0, max(n, 1), n)
    found = auto_threshold(confidence, right, sources, target)
    assert (found.n, found.n_sources) == (n, len(np.unique(sources)))
    if found.threshold is None:
        assert (found.said, found.coverage) == (0, 0.0)
        return
    above = confidence >= found.threshold
    assert found.said == above.sum()
    assert found.precision == pytest.approx(right[above].mean())
    assert found.precision_low >= target - 1e-9
    mixed = rng.permutation(n)
    assert auto_threshold(confidence[mixed], right[mixed], sources[mixed], target) == found


@examples(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_asking_for_less_lets_more_through_where_all_is_right(seed: int) -> None:
    confidence = np.random.default_rng(seed).random(600)
    reached = [auto_threshold(confidence, np.ones(600, bool), np.arange(600), target).said for target in (0.99, 0.9)]
    assert reached == [600, 600]
    half_wrong = np.arange(600) % 2 == 0
    assert auto_threshold(confidence, half_wrong, np.arange(600), 0.9).threshold is None
