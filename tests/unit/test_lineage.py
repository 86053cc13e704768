"""Which parent is followed, and what lineage follows: rules that hold for whatever Wikidata says."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from icones.identifications.consensus import Rule, Vote, compatible, decide
from icones.models import Answer, DeterminationState
from icones.taxa.lineage import choose_parents, lines_of

numbers = st.integers(min_value=1, max_value=10)
graphs = st.dictionaries(numbers, st.lists(numbers, max_size=3, unique=True), min_size=1, max_size=10)


def named(graph: dict[int, list[int]]) -> dict[str, list[str]]:
    return {f"Q{n}": [f"Q{parent}" for parent in parents] for n, parents in graph.items()}


@given(graphs)
def test_every_line_ends_and_begins_with_its_taxon(graph: dict[int, list[int]]) -> None:
    parents = choose_parents(named(graph), {})
    for qid, line in lines_of(parents, {}).items():
        assert line[0] == qid
        assert len(set(line)) == len(line)
        assert all(parents[child] == parent for child, parent in itertools.pairwise(line))


@given(graphs)
def test_no_ring_is_left(graph: dict[int, list[int]]) -> None:
    parents = choose_parents(named(graph), {})
    for qid in parents:
        at, steps = parents[qid], 0
        while at is not None and at in parents:
            at, steps = parents[at], steps + 1
            assert steps <= len(parents)


@given(graphs)
def test_the_choice_does_not_depend_on_the_order(graph: dict[int, list[int]]) -> None:
    wanted = named(graph)
    assert choose_parents(wanted, {}) == choose_parents(dict(reversed(wanted.items())), {})


@given(graphs, st.integers(min_value=0, max_value=10))
def test_in_two_batches_no_ring_is_left_either(graph: dict[int, list[int]], cut: int) -> None:
    wanted = named(graph)
    first = dict(list(wanted.items())[:cut])
    known = choose_parents(first, {})
    rest = {qid: parents for qid, parents in wanted.items() if qid not in first}
    parents = {**known, **choose_parents(rest, known)}
    for qid in parents:
        at, steps = parents[qid], 0
        while at is not None and at in parents:
            at, steps = parents[at], steps + 1
            assert steps <= len(parents)


def test_the_best_parent_that_is_known_is_followed_and_else_the_first() -> None:
    assert choose_parents({"Q1": ["Q2", "Q3"]}, {"Q3": None}) == {"Q1": "Q3"}
    assert choose_parents({"Q1": ["Q2", "Q3"]}, {"Q2": None, "Q3": None}) == {"Q1": "Q2"}
    assert choose_parents({"Q1": ["Q2", "Q3"]}, {}) == {"Q1": "Q2"}
    assert choose_parents({"Q1": ["Q1"]}, {}) == {"Q1": None}
    assert choose_parents({"Q1": ["Q2"]}, {"Q2": "Q1"}) == {"Q1": None}


def test_a_merged_one_goes_to_its_target_before_the_target_chooses() -> None:
    wanted = {"Q5": ["Q9"], "Q9": ["Q5", "Q3"], "Q3": []}
    assert choose_parents(wanted, {}, first=["Q9"])["Q9"] == "Q5"
    assert choose_parents(wanted, {}, first=["Q5"]) == {"Q5": "Q9", "Q3": None, "Q9": "Q3"}


def test_a_line_goes_on_with_what_is_known_above() -> None:
    assert lines_of({"Q1": "Q2", "Q2": "Q8"}, {"Q8": ("Q8", "Q9")}) == {
        "Q1": ("Q1", "Q2", "Q8", "Q9"),
        "Q2": ("Q2", "Q8", "Q9"),
    }
    assert lines_of({"Q1": "Q7"}, {}) == {"Q1": ("Q1",)}


OLD, NEW, GENUS, OTHER = "Q91", "Q92", "Q80", "Q93"
LINES = {
    GENUS: (GENUS,),
    NEW: (NEW, GENUS),
    OLD: (OLD, NEW, GENUS),
    OTHER: (OTHER, GENUS),
}
kinds = st.tuples(st.sampled_from([OLD, NEW]), st.booleans())
on_both = st.lists(kinds, min_size=1, max_size=6).map(
    lambda said: [Vote(n, expert, Answer.TAXON, qid) for n, (qid, expert) in enumerate(said)]
)


@given(on_both, st.integers(1, 3), st.floats(0.5, 1))
def test_votes_on_a_merged_item_and_on_its_target_agree(votes: list[Vote], quorum: int, agreement: float) -> None:
    verdict = decide(votes, Rule(quorum, agreement), LINES, has_prediction=False)
    assert verdict.n_disagree == 0
    assert verdict.state is not DeterminationState.DISPUTED
    assert verdict.taxon_qid in (OLD, NEW, None)


def test_a_merged_item_contradicts_what_its_target_contradicts() -> None:
    for other in (NEW, GENUS, OTHER):
        assert compatible(OLD, other, LINES) == compatible(NEW, other, LINES)
