"""The numbered tree beside the plain one, and peers of our consensus on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning import Scene, Taxonomy, Vote, agree
from active_learning.crowd_em import SPREAD, interval
from active_learning.crowd_tree import EVERYTHING, grow
from active_learning.crowd_votes import collect, standing, sums
from tests.support.consensus_peers import community_taxon, dawid_skene, majority

RANKS = (None, "species", "subgenus", "genus", "family", "order")


@st.composite
def trees(draw: st.DrawFn) -> tuple[Taxonomy, list[str]]:
    """A forest with ranks in any order, some of them missing."""
    n = draw(st.integers(1, 14))
    parents: dict[str, str | None] = {}
    ranks: dict[str, str | None] = {}
    for node in range(n):
        above = draw(st.integers(-1, node - 1))
        parents[f"Q{node}"] = None if above < 0 else f"Q{above}"
        ranks[f"Q{node}"] = draw(st.sampled_from(RANKS))
    return Taxonomy(parents, ranks), list(parents)


@settings(deadline=None)
@given(trees())
def test_inside_is_a_run_of_numbers_and_bands_follow_the_ranks(drawn: tuple[Taxonomy, list[str]]) -> None:
    taxonomy, nodes = drawn
    tree = grow(taxonomy, nodes)
    numbers = [tree.number[node] for node in nodes]
    for one, at in zip(nodes, numbers, strict=True):
        within = {other for other, n in zip(nodes, numbers, strict=True) if at <= n < tree.end[at]}
        assert within == {other for other in nodes if one in taxonomy.lineage(other)}
        assert tree.size[at] == len(within)
        for other, n in zip(nodes, numbers, strict=True):
            band = int(tree.band(np.array([at]), np.array([n]))[0])
            assert (band == 0) == (other in within)
            genus = taxonomy.at_rank(one, "genus")
            if genus is not None and genus in taxonomy.lineage(other):
                assert band <= 1


@settings(deadline=None)
@given(trees(), st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_errors_share_out_over_what_there_is(drawn: tuple[Taxonomy, list[str]], weights: list[float]) -> None:
    taxonomy, nodes = drawn
    tree = grow(taxonomy, nodes)
    inside, leaves, each = tree.spread(np.array(weights) / sum(weights))
    assert inside + leaves.sum(axis=1) == pytest.approx(np.ones(len(tree.ids)))
    assert (inside[tree.size == 1] == 0).all()  # a species forgives no error
    assert ((each >= 0) & (each <= 1)).all()


def test_a_genus_forgives_the_errors_inside_it(taxonomy: Taxonomy) -> None:
    tree = grow(taxonomy, ["ant", "bug", "cat", "dog"])
    inside, _, each = tree.spread(np.array(SPREAD))
    place = tree.number
    assert inside[place["ant"]] == 0 < inside[place["Formica"]] < inside[place["life"]]
    assert each[place["ant"], 0] > each[place["ant"], 1]  # its sister is the likelier error


@settings(deadline=None)
@given(
    trees(),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 13)), min_size=1, max_size=8),
    st.dictionaries(st.integers(0, 13), st.floats(0, 0.2), max_size=4),
)
def test_cells_part_the_tree_and_carry_the_models_word(
    drawn: tuple[Taxonomy, list[str]], said: list[tuple[int, int]], guessed: dict[int, float]
) -> None:
    taxonomy, nodes = drawn
    votes = standing([Vote(f, row, nodes[n % len(nodes)]) for row, (f, n) in enumerate(said)])
    guess = {nodes[n % len(nodes)]: p for n, p in guessed.items()}
    tree = grow(taxonomy, nodes)
    ballots = collect(votes, tree, {votes[0].figure: guess}, {})
    for row in range(len(ballots.figures)):
        own = ballots.cell_figure == row
        assert ballots.cell_size[own].sum() == tree.size[0]
        assert ballots.prior[own].sum() == pytest.approx(1)
    total = sums(ballots, tree, ballots.prior)
    for node in guess:
        cell = (ballots.cell_figure == 0) & (ballots.cell_node == tree.number[node])
        below = sum(p for other, p in guess.items() if node in taxonomy.lineage(other))
        assert total[cell][0] >= 0.95 * below - 1e-12
    assert tree.ids[ballots.cell_node[ballots.first_cell[0]]] == EVERYTHING


def test_the_interval_is_that_of_a_beta_distribution() -> None:
    """Against quantiles of Beta(8, 2) and Beta(50, 50), from tables."""
    low, high = interval(np.array([0.8, 0.5]), np.array([10.0, 100.0]))
    assert low == pytest.approx([0.518, 0.402], abs=0.003)
    assert high == pytest.approx([0.972, 0.598], abs=0.003)


def test_inaturalists_rule_by_its_own_cases(taxonomy: Taxonomy) -> None:
    def rule(*nodes: str) -> str | None:
        return community_taxon(nodes, taxonomy)

    assert rule("ant") is None
    assert rule("ant", "ant") == "ant"
    assert rule("ant", "Formica") == "Formica"
    assert rule("ant", "bug") == "Formica"  # also where nobody named it
    assert rule("ant", "ant", "bug") == "Formica"  # two of three are not more than two thirds
    assert rule("ant", "ant", "ant", "bug") == "ant"
    assert rule("ant", "ant", "Formica") == "ant"  # a coarser name is no disagreement
    assert rule("ant", "no organism") is None
    assert community_taxon(["ant", "ant", "Formica"], taxonomy, [("Formica", "ant")]) == "Formica"


def test_majority_wants_more_than_half_and_two() -> None:
    assert majority([]) is None
    assert majority(["ant"]) is None
    assert majority(["ant", "bug"]) is None
    assert majority(["ant", "bug", "ant"]) == "ant"


def test_with_few_classes_and_many_votes_we_agree_with_dawid_and_skene() -> None:
    rng = np.random.default_rng(0)
    names = ("P one", "Q one", "R one", "S one")
    parents: dict[str, str | None] = dict.fromkeys(names)
    truth = rng.integers(0, 4, 300)
    skills = rng.uniform(0.5, 0.95, 12)
    rows = [
        (f, p, int(truth[f] if rng.random() < skills[p] else rng.integers(4)))
        for f in range(300)
        for p in rng.choice(12, 6, replace=False)
    ]
    theirs = dawid_skene(np.array(rows), 300, 12, 4).argmax(axis=1)
    votes = [Vote(f, int(p), names[said]) for f, p, said in rows]
    opinions = agree(votes, Scene(Taxonomy(parents, dict.fromkeys(names, "species")), names)).opinions
    ours = np.array([max(range(4), key=lambda k: one.probabilities.get(names[k], 0.0)) for one in opinions])
    assert (theirs == truth).mean() > 0.95
    assert (ours == theirs).mean() > 0.97
    assert (ours == truth).mean() >= (theirs == truth).mean() - 0.01
