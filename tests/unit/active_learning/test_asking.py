"""What is asked next and why."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import Ask, ask, doubtful_labels, entropy, k_center, knn_distance, margin, typical
from active_learning.asking import REASONS
from active_learning.calibration import softmax


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def cloud(n: int, seed: int = 0, dim: int = 12) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(n, dim)))


def first(asks: list[Ask], n: int) -> list[int]:
    return sorted(range(len(asks)), key=lambda row: -asks[row].priority)[:n]


probabilities = st.lists(st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=1, max_size=30).map(
    lambda rows: softmax(np.array(rows))
)


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


@settings(max_examples=30, deadline=None)
@given(probabilities, st.integers(0, 3), st.booleans())
def test_each_figure_gets_one_place_and_one_reason(proba: NDArray[np.float64], seed: int, modelled: bool) -> None:
    x = cloud(len(proba))
    asks = ask(proba if modelled else None, x, seed, known_x=cloud(20, 1), look_again=np.arange(len(x)) % 3 == 0)
    assert sorted(found.priority for found in asks) == pytest.approx(np.arange(1, len(x) + 1) / len(x))
    assert {found.reason for found in asks} <= set(REASONS)
    assert asks == ask(
        proba if modelled else None, x, seed, known_x=cloud(20, 1), look_again=np.arange(len(x)) % 3 == 0
    )


def test_the_closest_call_comes_before_what_is_clear() -> None:
    proba = np.array([[0.98, 0.01, 0.01]] * 30 + [[0.49, 0.48, 0.03]] + [[0.35, 0.33, 0.32]] + [[0.9, 0.05, 0.05]] * 30)
    asks = ask(proba, cloud(62), seed=0)
    assert set(first(asks, 3)) >= {30, 31}
    assert asks[30].reason == "close_call"
    assert asks[31].reason == "unsure"


def test_one_in_ten_is_random_whatever_the_model_thinks() -> None:
    proba = softmax(np.random.default_rng(0).normal(size=(400, 5)) * 3)
    asks = ask(proba, cloud(400), seed=1)
    reasons = Counter(asks[row].reason for row in first(asks, 100))
    assert reasons["random"] == pytest.approx(100 * 0.10 / 0.80, abs=4)
    other = ask(proba, cloud(400), seed=2)
    drawn = [{row for row in first(found, 200) if found[row].reason == "random"} for found in (asks, other)]
    assert drawn[0] != drawn[1]


def test_what_is_far_from_everything_known_is_novel() -> None:
    known = unit(np.random.default_rng(0).normal(size=(60, 12)) * 0.1 + np.eye(12)[0])
    alike = unit(np.random.default_rng(1).normal(size=(50, 12)) * 0.1 + np.eye(12)[0])
    strange = unit(np.random.default_rng(2).normal(size=(5, 12)) * 0.1 - np.eye(12)[0])
    proba = softmax(np.random.default_rng(3).normal(size=(55, 3)) * 2)
    asks = ask(proba, np.concatenate([alike, strange]), seed=0, known_x=known)
    novel = [row for row in range(55) if asks[row].reason == "novel"]
    assert sum(row >= 50 for row in novel) >= 2
    assert sum(asks[row].priority for row in range(50, 55)) / 5 > 0.6
    assert knn_distance(strange, known, 0).min() > knn_distance(alike, known, 0).max()
    assert knn_distance(strange, known[:0], 0).tolist() == [1.0] * 5


def test_a_doubted_label_is_looked_at_again() -> None:
    proba = np.array([[0.97, 0.03], [0.97, 0.03], [0.6, 0.4]] * 20)
    doubted = doubtful_labels(proba, np.array([1, 0, 1] * 20))
    assert doubted.tolist() == [True, False, False] * 20
    asks = ask(proba, cloud(60), seed=0, look_again=doubted)
    again = [row for row in range(60) if asks[row].reason == "look_again"]
    assert again
    assert all(doubted[row] for row in again)


def test_a_cold_start_shows_one_of_each_kind_before_repeating() -> None:
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(10), [60, 30, 15, 8, 5, 4, 3, 2, 2, 1])
    x = unit(rng.normal(size=(10, 32))[kind] + 0.15 * rng.normal(size=(len(kind), 32)))
    asks = ask(None, x, seed=0)
    assert len({int(kind[row]) for row in first(asks, 30)}) == 10
    by_chance = [len(set(kind[rng.permutation(len(kind))[:30]])) for _ in range(50)]
    assert np.mean(by_chance) < 9
    assert {found.reason for found in asks} == {"cold_start", "random"}


def test_a_copy_of_a_question_waits() -> None:
    x = cloud(80)
    x[1] = x[0]
    proba = np.tile([[0.9, 0.1]], (80, 1))
    proba[:2] = [[0.51, 0.49], [0.51, 0.49]]
    asks = ask(proba, x, seed=0)
    assert min(asks[0].priority, asks[1].priority) < 0.5 < max(asks[0].priority, asks[1].priority)


def test_centres_cover_and_typical_figures_lie_in_the_middle() -> None:
    rng = np.random.default_rng(0)
    x = unit(np.eye(5)[np.repeat(np.arange(5), 20)] + 0.1 * rng.normal(size=(100, 5)))
    assert {row // 20 for row in k_center(x, 5, seed=0)} == set(range(5))
    assert {row // 20 for row in typical(x, 5, seed=0)} == set(range(5))
    assert {row // 20 for row in k_center(x, 3, seed=0, covered=x[:40])} == {2, 3, 4}
    distance = 1 - x @ np.eye(5)[0]
    chosen = next(row for row in typical(x, 5, seed=0) if row < 20)
    assert distance[chosen] <= np.median(distance[:20])
    assert len(set(k_center(x, 1000, seed=0))) == 100
    assert k_center(x[:0], 3, seed=0) == typical(x[:0], 3, seed=0) == []


def test_nothing_to_ask_is_an_empty_queue_and_nonsense_is_refused() -> None:
    assert ask(None, cloud(0), seed=0) == []
    assert [found.reason for found in ask(np.ones((3, 1)), cloud(3), seed=0)] == ["cold_start"] * 3
    with pytest.raises(ValueError):
        ask(np.ones((2, 3)) / 3, cloud(5), seed=0)
    with pytest.raises(ValueError):
        ask(np.ones((5, 3)) / 3, cloud(5), seed=0, look_again=np.ones(4, dtype=bool))


def test_margin_finds_more_of_the_classes_than_chance_with_as_many_labels() -> None:
    """The loop played through: thirty labels at first, three rounds of thirty, on a long tail."""
    from active_learning import fit_head
    from active_learning.metrics import balanced_accuracy

    rng = np.random.default_rng(7)
    sizes = (400 / np.arange(1, 31)).astype(int) + 6
    kind = np.repeat(np.arange(30), sizes)
    x = unit(rng.normal(size=(30, 48))[kind] + 0.75 * rng.normal(size=(len(kind), 48)))
    test = rng.permutation(len(kind))[: len(kind) // 3]
    pool = np.setdiff1d(np.arange(len(kind)), test)

    def play(active: bool) -> float:
        known = list(rng.permutation(pool)[:30])
        for turn in range(4):
            head = fit_head(x[known], kind[known].astype(str))
            rest = np.setdiff1d(pool, known)
            asks = ask(head.predict_proba(x[rest]), x[rest], seed=turn, known_x=x[known])
            chosen = first(asks, 30) if active else list(rng.permutation(len(rest))[:30])
            known += [int(rest[row]) for row in chosen]
        head = fit_head(x[known], kind[known].astype(str))
        found = np.array([int(name) for name in head.classes_])[head.predict_proba(x[test]).argmax(axis=1)]
        return balanced_accuracy(kind[test], found)

    assert np.mean([play(True) for _ in range(3)]) > np.mean([play(False) for _ in range(3)]) + 0.02
