"""Sets keep their promise on data drawn alike, grow with it, and are told as the smallest branches of the tree."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import NotEnoughDataError, Taxonomy, cover, fit_conformal
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


def test_a_set_is_told_as_the_smallest_branch(taxonomy: Taxonomy) -> None:
    assert cover(["ant", "bug"], CLASSES, taxonomy) == ("Formica",)
    assert cover(["ant", "cat"], CLASSES, taxonomy) == ("life",)
    assert cover(["ant", "cat"], CLASSES, taxonomy, at_most=2) == ("ant", "cat")
    assert cover(["ant", "bug", "cat"], CLASSES, taxonomy, at_most=2) == ("Formica", "cat")
    assert cover(["ant"], CLASSES, taxonomy, at_most=3) == ("ant",)
    assert cover([], CLASSES, taxonomy) == ()
    assert cover(["ant", "none"], (*CLASSES, "none"), taxonomy) == ("ant", "none"), "no common root: one for each"
    with pytest.raises(ValueError):
        cover(["ant"], CLASSES, taxonomy, at_most=0)
    with pytest.raises(ValueError):
        cover(["eel"], CLASSES, taxonomy)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_other_choice_of_taxa_holds_fewer_classes(data: st.DataObject) -> None:
    """Against all choices there are, on small trees."""
    nodes = [f"n{i}" for i in range(9)]
    parents = {nodes[0]: None} | {nodes[i]: nodes[data.draw(st.integers(0, i - 1))] for i in range(1, 9)}
    tree = Taxonomy(parents, {})
    classes = [node for node in nodes if node not in parents.values()]
    members = data.draw(st.sets(st.sampled_from(classes), min_size=1))
    limit = data.draw(st.integers(1, 4))

    def holds(chosen: tuple[str, ...]) -> set[str]:
        return {leaf for leaf in classes if set(chosen) & set(tree.lineage(leaf))}

    ours = cover(sorted(members), classes, tree, limit)
    assert len(ours) <= limit
    assert members <= holds(ours)
    others = (c for size in range(1, limit + 1) for c in combinations(nodes, size) if members <= holds(c))
    assert len(holds(ours)) == min(len(holds(other)) for other in others)
