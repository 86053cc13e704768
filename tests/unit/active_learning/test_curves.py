"""Curves: more labels, more taxa, always on sources that were not learned from; and shares with honest ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import Evidence, PrototypeHead, TrainingSet, learning_curve
from active_learning.curves import inclusion_curve
from active_learning.intervals import NO_SHARE, mean_recall, numbered, share

MakeSet = Callable[..., TrainingSet]


def fit(x: NDArray[np.float32], y: Sequence[str]) -> PrototypeHead:
    return PrototypeHead(20.0).fit(x, y)


def test_more_labels_are_worth_more_and_sets_are_nested(make_set: MakeSet) -> None:
    data = make_set(dict.fromkeys("abcdef", 24), noise=0.9)
    learned: list[frozenset[bytes]] = []

    def watched(x: NDArray[np.float32], y: Sequence[str]) -> PrototypeHead:
        learned.append(frozenset(row.tobytes() for row in x))
        return fit(x, y)

    points = learning_curve(data.x, data.y, data.groups, watched, steps=4, folds=3, seed=1)
    assert len(learned) == 12
    assert [point.labels for point in points] == sorted(point.labels for point in points)
    assert points[-1].labels == 96, "two thirds of 144"
    assert points[-1].balanced_accuracy.value > points[0].balanced_accuracy.value
    for fold in range(3):
        smaller, larger = learned[fold], learned[fold + 3]
        assert smaller < larger
    again = learning_curve(data.x[::-1], data.y[::-1], data.groups[::-1], fit, steps=4, folds=3, seed=1)
    assert [point.labels for point in again] == [point.labels for point in points]
    assert again[-1].balanced_accuracy.value == pytest.approx(points[-1].balanced_accuracy.value)


def test_no_source_is_learned_from_and_measured_on(make_set: MakeSet) -> None:
    """Vectors that name their source alone: who learned from it would be right."""
    n = 12
    x = np.eye(n, dtype=np.float32)
    y = ["a", "b"] * (n // 2)
    groups = [f"plate {i}" for i in range(n)]
    twice = learning_curve(np.vstack([x, x]), y + y, groups + groups, fit, steps=2, folds=3)
    assert twice[-1].balanced_accuracy.value < 0.8


def test_with_too_little_there_is_no_curve(make_set: MakeSet) -> None:
    data = make_set({"a": 2, "b": 2})
    assert learning_curve(data.x, data.y, data.groups, fit) == ()


def told(seed: int, n: int = 120, k: int = 6) -> tuple[Evidence, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    decision = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[truth]
    proba = np.exp(decision) / np.exp(decision).sum(axis=1, keepdims=True)
    classes = tuple(f"Q{i}" for i in range(k))
    learned = {qid: 3 * i for i, qid in enumerate(classes, 1)}
    names, groups = tuple(classes[i] for i in truth), tuple(f"p{i // 3}" for i in range(n))
    return (
        Evidence(
            decision=decision, proba=proba, y=names, classes=classes, groups=groups, sources=groups,
            measured_on="holdout", learned=learned,
        ),
        truth,
    )  # fmt: skip


@examples(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_among_fewer_taxa_no_figure_gets_worse(seed: int) -> None:
    """A choice among fewer can only lose wrong answers: figures right among all are right among some."""
    evidence, truth = told(seed)
    points = inclusion_curve(evidence, truth)
    assert [point.taxa for point in points] == [2, 3, 4, 5, 6]
    assert [point.least_learned for point in points] == [15, 12, 9, 6, 3]
    assert [point.n for point in points] == sorted(point.n for point in points)
    full = evidence.proba.argmax(axis=1) == truth
    for point in points:
        own = truth >= 6 - point.taxa
        assert point.n == own.sum()
        assert point.accuracy.value >= full[own].mean() - 1e-9
    assert points[-1].accuracy.value == pytest.approx(full.mean())


def test_truths_that_are_no_class_are_left_out() -> None:
    evidence, truth = told(0)
    outside = np.where(truth == 0, -1, truth)
    assert inclusion_curve(evidence, outside)[-1].n == (truth != 0).sum()
    assert inclusion_curve(evidence, np.full(len(truth), -1)) == ()


@examples(max_examples=40)
@given(right=st.lists(st.booleans(), max_size=60), per_source=st.integers(1, 5))
def test_a_share_lies_within_its_range(right: list[bool], per_source: int) -> None:
    found = share(np.array(right, dtype=bool), np.arange(len(right)) // per_source)
    if not right:
        assert found == NO_SHARE
        return
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert found.high - found.low > 0.0


def test_figures_of_one_source_tell_less() -> None:
    right = np.arange(60) % 10 < 8
    alone = share(right, np.arange(60))
    together = share(np.sort(right), np.arange(60) // 12)
    assert together.value == alone.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert share(np.ones(30, bool), np.zeros(30, np.int64)).low < 0.3
    assert share(np.ones(30, bool), np.arange(30)).low > 0.85


def test_the_range_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        skill = rng.beta(8, 2, 60)  # each source has its own
        right = rng.random((60, 4)) < skill[:, None]
        found = share(right.ravel(), np.repeat(np.arange(60), 4))
        held += found.low <= 0.8 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_mean_recall_counts_each_class_alike() -> None:
    truth, said = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    found = mean_recall(truth, said, np.arange(4), seed=0)
    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    assert mean_recall(truth, truth, np.arange(4), seed=0).low < 1.0
    assert (numbered(["b", "a", "b"]) == [1, 0, 1]).all()
