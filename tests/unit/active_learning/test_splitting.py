"""Splits by group: frozen, complete, and never through the middle of a source."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning import NotEnoughDataError, grouped_folds, in_holdout

names = st.text(max_size=12)


@given(group=names, seed=st.integers(0, 9), small=st.floats(0, 1), large=st.floats(0, 1))
def test_a_larger_holdout_keeps_the_groups_of_a_smaller_one(group: str, seed: int, small: float, large: float) -> None:
    small, large = sorted((small, large))
    assert not in_holdout(group, small, seed) or in_holdout(group, large, seed)


def test_the_holdout_is_the_same_in_every_process_and_year() -> None:
    # Written down: a change of the hash would let figures that were learned from into the holdout.
    assert [name for name in "abcdefghijklmnopqrst" if in_holdout(name, 0.2, 0)] == [
        "c",
        "d",
        "g",
        "h",
        "i",
        "n",
        "o",
        "q",
        "s",
    ]


def test_the_holdout_has_about_the_share_that_was_asked_for() -> None:
    for seed in (0, 1, 2):
        share = sum(in_holdout(f"plate {n}", 0.2, seed) for n in range(5000)) / 5000
        assert share == pytest.approx(0.2, abs=0.02)


def test_no_and_all_are_possible_and_more_is_not() -> None:
    assert not in_holdout("a", 0.0, 0)
    assert in_holdout("a", 1.0, 0)
    with pytest.raises(ValueError, match="fraction"):
        in_holdout("a", 1.2, 0)


@given(
    groups=st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60), k=st.integers(2, 5), seed=st.integers(0, 5)
)
def test_a_source_is_in_one_fold_and_no_fold_is_empty(groups: list[str], k: int, seed: int) -> None:
    if len(set(groups)) < k:
        with pytest.raises(NotEnoughDataError):
            grouped_folds(groups, k, seed)
        return
    folds = grouped_folds(groups, k, seed, y=[name.upper() for name in groups])
    assert sorted(set(folds.tolist())) == list(range(k))
    for group in set(groups):
        assert len({int(fold) for name, fold in zip(groups, folds, strict=True) if name == group}) == 1


def test_each_fold_sees_each_class_where_that_is_possible() -> None:
    y = ["rare"] * 5 + ["common"] * 50
    folds = grouped_folds([f"g{n}" for n in range(55)], 5, seed=3, y=y)
    assert Counter(folds[:5].tolist()) == dict.fromkeys(range(5), 1)
    assert Counter(folds.tolist()) == dict.fromkeys(range(5), 11)


def test_one_fold_is_no_split() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        grouped_folds(["a", "b"], 1, seed=0)
