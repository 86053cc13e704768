"""Lineages, ancestors, and probabilities that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning import Taxonomy, TaxonomyError, pretty_sure, roll_up


@st.composite
def trees(draw: st.DrawFn) -> Taxonomy:
    """A forest: each node's parent comes before it, or there is none."""
    n = draw(st.integers(2, 14))
    parents: dict[str, str | None] = {}
    for node in range(n):
        above = draw(st.integers(-1, node - 1))
        parents[f"Q{node}"] = None if above < 0 else f"Q{above}"
    return Taxonomy(parents, {})


nodes = st.integers(0, 15).map(lambda number: f"Q{number}")
masses = st.lists(st.floats(0, 1), min_size=2, max_size=14).filter(lambda values: sum(values) > 0.01)


def test_a_lineage_runs_from_the_taxon_to_its_root(taxonomy: Taxonomy) -> None:
    assert taxonomy.lineage("ant") == ("ant", "Formica", "life")
    assert taxonomy.lineage("no organism") == ("no organism",)
    assert taxonomy.at_rank("ant", "genus") == "Formica"
    assert taxonomy.at_rank("life", "genus") is None


def test_a_circle_is_refused_and_named() -> None:
    with pytest.raises(TaxonomyError, match="b > c > b"):
        Taxonomy({"a": "b", "b": "c", "c": "b"}, {})


def test_a_genus_is_above_its_species_and_not_above_itself(taxonomy: Taxonomy) -> None:
    assert taxonomy.is_ancestor("Felis", "cat")
    assert not taxonomy.is_ancestor("cat", "Felis")
    assert not taxonomy.is_ancestor("Felis", "Felis")
    assert not taxonomy.is_ancestor("Felis", "ant")


def test_species_meet_in_their_genus_and_genera_in_their_family(taxonomy: Taxonomy) -> None:
    assert taxonomy.lca("cat", "dog") == "Felis"
    assert taxonomy.lca("cat", "ant") == "life"
    assert taxonomy.lca("cat", "Felis") == "Felis"
    assert taxonomy.lca("cat", "no organism") is None


@given(trees(), nodes, nodes)
def test_the_common_ancestor_contains_both_whichever_comes_first(tree: Taxonomy, a: str, b: str) -> None:
    common = tree.lca(a, b)
    assert common == tree.lca(b, a)
    assert tree.lca(a, a) == a
    if common is not None:
        assert common in tree.lineage(a)
        assert common in tree.lineage(b)


@given(trees(), masses)
def test_a_taxon_is_never_more_probable_than_its_parent(tree: Taxonomy, values: list[float]) -> None:
    proba = np.array(values) / sum(values)
    rolled = roll_up(proba, [f"Q{number}" for number in range(len(values))], tree)
    roots = {tree.lineage(qid)[-1] for qid in rolled}
    assert sum(rolled[root] for root in roots) == pytest.approx(1)
    for qid, probability in rolled.items():
        above = tree.lineage(qid)[1:2]
        assert all(probability <= rolled[parent] + 1e-12 for parent in above)


@given(trees(), masses, st.floats(0.51, 1))
def test_nothing_deeper_is_as_sure(tree: Taxonomy, values: list[float], threshold: float) -> None:
    proba = np.array(values) / sum(values)
    classes = [f"Q{number}" for number in range(len(values))]
    rolled = roll_up(proba, classes, tree)
    found = pretty_sure(proba, classes, tree, threshold)
    if found is None:
        assert all(probability < threshold for probability in rolled.values())
        return
    qid, probability = found
    assert probability >= threshold
    deeper = [other for other in rolled if tree.is_ancestor(qid, other)]
    assert all(rolled[other] < threshold for other in deeper)


def test_two_likely_species_of_a_genus_give_the_genus(taxonomy: Taxonomy) -> None:
    classes = ("ant", "bug", "cat", "dog")
    proba = np.array([0.05, 0.03, 0.5, 0.42])
    for threshold, qid, probability in ((0.8, "Felis", 0.92), (0.95, "life", 1.0)):
        found = pretty_sure(proba, classes, taxonomy, threshold)
        assert found is not None
        assert found[0] == qid
        assert found[1] == pytest.approx(probability)
    with pytest.raises(ValueError):
        roll_up(proba, classes[:3], taxonomy)
