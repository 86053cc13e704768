"""How unsure, how unlike, how typical: what single figures are worth asking about."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import doubtful_labels, entropy, herd, k_center, knn_distance, margin, typical
from active_learning.calibration import softmax

Floats = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def islands(members: list[int], seed: int = 0, spread: float = 0.1) -> tuple[Floats, NDArray[np.int64]]:
    kind = np.repeat(np.arange(len(members)), members)
    noise = np.random.default_rng(seed).normal(size=(len(kind), len(members)))
    return unit(np.eye(len(members))[kind] + spread * noise), kind.astype(np.int64)


probabilities = st.lists(st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=1, max_size=30).map(
    lambda rows: softmax(np.array(rows))
)


@settings(max_examples=30, deadline=None)
@given(probabilities)
def test_margin_and_entropy_stay_between_nothing_and_one(proba: NDArray[np.float64]) -> None:
    for values in (margin(proba), entropy(proba)):
        assert values.shape == (len(proba),)
        assert (values >= 0).all()
        assert (values <= 1).all()


def test_a_tie_has_no_margin_and_no_idea_has_all_entropy() -> None:
    proba = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
    assert margin(proba) == pytest.approx([0, 0, 1])
    assert entropy(proba) == pytest.approx([np.log(2) / np.log(3), 1, 0])
    assert margin(np.ones((2, 1))).tolist() == [1, 1]
    assert entropy(np.ones((2, 1))).tolist() == [0, 0]


def test_many_rows_have_the_values_that_few_have() -> None:
    proba = softmax(np.random.default_rng(0).normal(size=(5000, 4)))
    for measure in (margin, entropy):
        assert measure(proba)[4990:] == pytest.approx(measure(proba[4990:]))


def test_a_label_is_doubted_only_if_the_model_is_sure_of_another() -> None:
    proba = np.array([[0.97, 0.03], [0.97, 0.03], [0.6, 0.4]])
    assert doubtful_labels(proba, np.array([1, 0, 1])).tolist() == [True, False, False]


def test_what_is_strange_is_far_from_what_is_known() -> None:
    x, kind = islands([30, 30, 30])
    known, alike, strange = x[:20], x[20:30], x[kind == 2]
    assert knn_distance(strange, known, 0).min() > knn_distance(alike, known, 0).max()
    assert knn_distance(strange, known[:0], 0).tolist() == [1.0] * 30
    own = knn_distance(known, known, 0, neighbours=1, own=True)
    assert (own > 0).all()


def test_centres_cover_all_there_is() -> None:
    x, kind = islands([20] * 5)
    assert set(kind[k_center(x, 5, seed=0)]) == set(range(5))
    assert set(kind[k_center(x, 3, seed=0, covered=x[:40])]) == {2, 3, 4}
    assert len(set(k_center(x, 1000, seed=0))) == 100


def test_typical_figures_lie_in_the_middle_of_their_cluster() -> None:
    x, kind = islands([40, 30, 20], spread=0.15)
    chosen = typical(x, 3, seed=0)
    assert kind[chosen].tolist() == [0, 1, 2]
    for row in chosen:
        own = x[kind == kind[row]] @ np.eye(3)[kind[row]]
        assert x[row][kind[row]] >= np.median(own)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 5))
def test_each_way_chooses_as_many_different_rows_as_it_can(n: int, size: int, seed: int) -> None:
    x = unit(np.random.default_rng(seed).normal(size=(n, 6)))
    for chosen in (k_center(x, size, seed), typical(x, size, seed), herd(x, size, seed)):
        assert len(chosen) == len(set(chosen))
        assert set(chosen) <= set(range(n))
    assert len(k_center(x, size, seed)) == len(herd(x, size, seed)) == min(n, size)


def test_nothing_is_chosen_from_nothing() -> None:
    x, _ = islands([2, 2])
    assert k_center(x[:0], 3, seed=0) == typical(x[:0], 3, seed=0) == herd(x[:0], 3, seed=0) == []


def test_herding_takes_what_stands_for_most_doubt_and_never_twice_the_same() -> None:
    x, kind = islands([30, 28, 26, 5])
    assert set(kind[herd(x, 3, seed=0)]) == {0, 1, 2}
    doubt = np.where(kind == 3, 1.0, 0.01)
    assert kind[herd(x, 4, seed=0, weight=doubt)[0]] == 3
    assert 0 not in kind[herd(x, 3, seed=0, covered=x[kind == 0])]


def test_herding_without_doubt_still_orders_everything() -> None:
    x, _ = islands([5, 5, 5])
    assert sorted(herd(x, 15, seed=0, weight=np.zeros(15))) == list(range(15))


def test_copies_of_one_picture_are_one_question() -> None:
    x, _ = islands([3, 3])
    copies = np.concatenate([np.repeat(x[:1], 40, axis=0), x[3:]])
    assert len({max(row, 39) for row in herd(copies, 4, seed=0)}) == 4


def test_among_thousands_what_is_in_doubt_is_looked_at() -> None:
    rng = np.random.default_rng(0)
    x = unit(rng.normal(size=(9000, 8)))
    doubt = np.full(9000, 1e-3)
    rare = [17, 4321, 8888]
    doubt[rare] = 1.0
    assert set(rare) <= set(herd(x, 30, seed=0, weight=doubt))
