"""Groups of look-alikes: the same in any order, tight, bounded, nothing lost or named twice, and true to a peer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage  # type: ignore[import-untyped]

from active_learning import Clusters, clusters, look_alikes

Floats = NDArray[np.float32]


def clouds(sizes: list[int], noise: float, dim: int = 12, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Unit vectors around as many directions as there are sizes, and which direction each belongs to."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    centres = np.linalg.qr(rng.normal(size=(dim, dim)))[0][: len(sizes)]
    x = centres[y] + noise * rng.normal(size=(len(y), dim)) / np.sqrt(dim)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), y


def as_sets(found: Clusters) -> set[frozenset[int]]:
    return {frozenset(one.members) for one in found.clusters}


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    noise=st.floats(0.05, 1.5),
    most=st.integers(2, 12),
    seed=st.integers(0, 9),
)
@settings(max_examples=40)
def test_every_group_is_as_it_is_promised(sizes: list[int], noise: float, most: int, seed: int) -> None:
    x, _ = clouds(sizes, noise, seed=seed)
    found = look_alikes(x, seed=seed, most=most)
    rows = [row for one in found.clusters for row in one.members]
    assert len(rows) == len(set(rows))
    order = [(-len(one.members), -one.cohesion) for one in found.clusters]
    assert order == sorted(order)
    for one in found.clusters:
        assert 2 <= len(one.members) <= most
        own = x[list(one.members)].astype(np.float64)
        centre = own.sum(axis=0)
        to_centre = own @ centre / np.linalg.norm(centre)
        assert one.cohesion == pytest.approx(to_centre.mean(), abs=1e-5)
        assert (np.diff(to_centre) <= 1e-6).all(), "the most typical first"
        # Every join was at a mean cosine not below the bound, so all pairs together are not below it either.
        pairs = (own @ own.T)[np.triu_indices(len(own), 1)]
        assert pairs.mean() >= found.cosine - 1e-5


@given(order=st.permutations(range(24)), seed=st.integers(0, 3))
@settings(max_examples=25)
def test_the_order_of_the_vectors_changes_nothing(order: list[int], seed: int) -> None:
    x, _ = clouds([8, 7, 5, 4], 0.7)
    turned = look_alikes(x[order], seed=seed)
    back = {frozenset(order[row] for row in one.members) for one in turned.clusters}
    assert back == as_sets(look_alikes(x, seed=seed))


def test_far_apart_clouds_are_found_whole_and_strangers_stay_single() -> None:
    x, y = clouds([9, 6, 4, 1, 1], 0.15)
    found = look_alikes(x, seed=0, cosine=0.8)
    assert as_sets(found) == {frozenset(np.flatnonzero(y == cloud)) for cloud in range(3)}
    assert found.cosine == 0.8


@pytest.mark.parametrize("cosine", [0.5, 0.7, 0.85])
def test_as_average_linkage_of_scipy_has_it(cosine: float) -> None:
    # So few that every other is a neighbour, as all are there.
    x, _ = clouds([5, 4, 2], 0.6, seed=3)
    cut = fcluster(linkage(x, "average", metric="cosine"), 1 - cosine, "distance")
    theirs = {frozenset(np.flatnonzero(cut == label)) for label in set(cut)}
    assert as_sets(look_alikes(x, seed=0, cosine=cosine)) == {group for group in theirs if len(group) > 1}


def test_equal_vectors_are_one_group() -> None:
    x = np.tile(clouds([1], 0.1)[0], (25, 1))
    assert as_sets(look_alikes(x, seed=0)) == {frozenset(range(25))}


def test_cell_by_cell_finds_nearly_what_looking_everywhere_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds([60] * 10, 0.8, dim=24)
    whole = look_alikes(x, seed=0)
    monkeypatch.setattr(clusters, "EXACT_UP_TO", 100)
    cells = look_alikes(x, seed=0)
    assert as_sets(cells) == as_sets(look_alikes(x, seed=0)), "the same seed gives the same groups"
    n_whole, n_cells = (sum(len(one.members) for one in found.clusters) for found in (whole, cells))
    assert n_cells >= 0.9 * n_whole
    pure = sum(np.bincount(y[list(one.members)]).max() for one in cells.clusters)
    assert pure >= 0.97 * n_cells


def test_of_too_few_vectors_there_are_no_groups() -> None:
    for n in (0, 1):
        assert look_alikes(np.ones((n, 4), dtype=np.float32), seed=0).clusters == ()
    assert look_alikes(np.eye(2, dtype=np.float32), seed=0, cosine=0.5).clusters == ()


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="no direction"):
        look_alikes(np.zeros((3, 4), dtype=np.float32), seed=0)
    with pytest.raises(ValueError, match="at least 2 members"):
        look_alikes(np.eye(3, dtype=np.float32), seed=0, least=1)
    with pytest.raises(ValueError, match="at least 2 members"):
        look_alikes(np.eye(3, dtype=np.float32), seed=0, least=5, most=4)


def test_butterflies_of_one_group_are_of_one_species(butterflies: tuple[Floats, NDArray[np.str_]]) -> None:
    x, names = butterflies
    found = look_alikes(x, seed=0)
    pure = sum(np.unique(names[list(one.members)], return_counts=True)[1].max() for one in found.clusters)
    n = sum(len(one.members) for one in found.clusters)
    assert n >= 0.5 * len(x)
    assert pure >= 0.95 * n
