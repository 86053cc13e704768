"""Votes weighed by who is right how often: what must hold for any crowd, and what a crowd's ways should lead to."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning import Consensus, Crowd, Opinion, RetireRule, Scene, Skill, Taxonomy, Vote, agree, weigh

SPECIES = tuple(f"{genus}{n}" for genus in "ABCDEF" for n in range(4))
PARENTS: dict[str, str | None] = {name: name[0] for name in SPECIES}
PARENTS |= {genus: "X" if genus in "ABC" else "Y" for genus in "ABCDEF"}
RANKS = dict.fromkeys(SPECIES, "species") | dict.fromkeys("ABCDEF", "genus") | dict.fromkeys("XY", "family")
TREE = Taxonomy({**PARENTS, "X": "top", "Y": "top", "top": None}, {**RANKS, "top": "order"})
SCENE = Scene(TREE, SPECIES, frozenset("XY"))
NODES = (*SPECIES, *"ABCDEF", *"XY", "top", "no_organism")


def opinion(consensus: Consensus, figure: int) -> Opinion:
    return next(one for one in consensus.opinions if one.figure == figure)


def skill(crowd: Crowd, person: int, group: str | None = None) -> Skill:
    return next(one for one in crowd.skills if (one.person, one.group) == (person, group))


def lookalike(name: str) -> str:
    """Another species of the genus."""
    return name[0] + str((int(name[1]) + 1) % 4)


def known_crowd(skills: dict[int, float]) -> Crowd:
    return Crowd(skills=tuple(Skill(p, False, None, a, a, a, 50.0) for p, a in skills.items()))


nodes = st.sampled_from(NODES)
screens = st.one_of(st.just(()), st.lists(st.sampled_from(SPECIES), min_size=1, max_size=3, unique=True).map(tuple))
votes_on = st.lists(
    st.builds(Vote, st.integers(0, 5), st.integers(0, 6), nodes, screens, st.booleans()),
    max_size=20,
    unique_by=lambda vote: (vote.figure, vote.person),
)
guesses = st.dictionaries(
    st.integers(0, 5),
    st.dictionaries(st.sampled_from((*SPECIES, "A", "no_organism")), st.floats(0, 0.3), min_size=1, max_size=3),
)
known_truths = st.dictionaries(st.integers(0, 5), nodes, max_size=2)


@settings(max_examples=40, deadline=None)
@given(votes_on, guesses, known_truths, st.randoms(use_true_random=False))
def test_the_order_of_votes_changes_no_bit(
    votes: list[Vote], priors: dict[int, dict[str, float]], truths: dict[int, str], chance: random.Random
) -> None:
    shuffled = list(votes)
    chance.shuffle(shuffled)
    turned = {f: dict(reversed(list(guess.items()))) for f, guess in reversed(list(priors.items()))}
    assert agree(votes, SCENE, priors, truths) == agree(shuffled, SCENE, turned, truths)


@settings(max_examples=40, deadline=None)
@given(votes_on, guesses, known_truths)
def test_probabilities_add_up_the_tree(
    votes: list[Vote], priors: dict[int, dict[str, float]], truths: dict[int, str]
) -> None:
    for one in agree(votes, SCENE, priors, truths).opinions:
        assert 0 <= one.weight <= 1
        assert sum(one.labels.values()) <= 1 + 1e-9
        for node, probability in one.probabilities.items():
            assert 0 <= probability <= 1 + 1e-9
            above = TREE.lineage(node)[1:2]
            assert all(probability <= one.probabilities[parent] + 1e-9 for parent in above)
        if one.figure in truths:
            assert one.probabilities[truths[one.figure]] == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(votes_on, guesses, st.permutations("ABCDEF"))
def test_names_mean_nothing(votes: list[Vote], priors: dict[int, dict[str, float]], order: list[str]) -> None:
    """Genera with all their species renamed: the same beliefs under the new names."""
    new = dict(zip("ABCDEF", order, strict=True))

    def named(node: str) -> str:
        return new[node[0]] + node[1:] if node[0] in new else node

    parents = {named(node): named(above) for node, above in PARENTS.items() if above is not None}
    ranks = {named(node): rank for node, rank in RANKS.items()} | {"top": "order"}
    scene = Scene(Taxonomy({**parents, "X": "top", "Y": "top", "top": None}, ranks), SPECIES, SCENE.groups)
    renamed = [replace(v, node=named(v.node), shown=tuple(map(named, v.shown))) for v in votes]
    guess = {f: {named(node): p for node, p in row.items()} for f, row in priors.items()}
    before, after = agree(votes, SCENE, priors), agree(renamed, scene, guess)
    for one, other in zip(before.opinions, after.opinions, strict=True):
        expected = {named(node): p for node, p in one.probabilities.items() if p > 0.01}
        assert {n: p for n, p in other.probabilities.items() if p > 0.01} == pytest.approx(expected, abs=1e-6)
        assert one.weight == pytest.approx(other.weight, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(nodes, screens), min_size=1, max_size=6),
    st.tuples(nodes, screens),
    st.lists(st.floats(0.02, 0.99), min_size=7, max_size=7),
    st.dictionaries(st.sampled_from(SPECIES), st.floats(0, 0.3), max_size=3),
    st.dictionaries(st.tuples(st.sampled_from(SPECIES), nodes), st.floats(0, 20), max_size=8),
    st.integers(0, 6),
)
def test_one_more_vote_for_a_taxon_never_makes_it_less_probable(
    said: list[tuple[str, tuple[str, ...]]],
    added: tuple[str, tuple[str, ...]],
    skills: list[float],
    guess: dict[str, float],
    confusions: dict[tuple[str, str], float],
    place: int,
) -> None:
    """Whoever gives it, with the crowd as known; votes are sorted by person, so `place` is where it goes in."""
    crowd = replace(known_crowd(dict(enumerate(skills))), confusions=confusions)
    people = [person for person in range(7) if person != place]
    before = [Vote(1, person, *vote) for person, vote in zip(people, said, strict=False)]
    scene = replace(SCENE, taxa=NODES)
    old = weigh(before, scene, crowd, {1: guess})[0].probabilities.get(added[0], 0.0)
    new = weigh([*before, Vote(1, place, *added)], scene, crowd, {1: guess})[0].probabilities.get(added[0], 0.0)
    assert new >= old - 1e-9


def drawn_votes(seed: int, skills: list[float], figures: int = 300, each: int = 4) -> tuple[list[Vote], list[str]]:
    """Blind votes by people of these skills, whose errors go to a lookalike or anywhere."""
    rng = np.random.default_rng(seed)
    truth = [SPECIES[row] for row in rng.integers(0, len(SPECIES), figures)]
    votes = []
    for figure, true in enumerate(truth):
        for person in rng.choice(len(skills), each, replace=False):
            wrong = lookalike(true) if rng.random() < 0.5 else SPECIES[rng.integers(len(SPECIES))]
            votes.append(Vote(figure, int(person), true if rng.random() < skills[person] else wrong))
    return votes, truth


def test_it_finds_out_who_is_right_how_often() -> None:
    skills = [0.95, 0.9, 0.85, 0.7, 0.6, 0.5, 0.4, 0.2]
    votes, truth = drawn_votes(0, skills, figures=600)
    consensus = agree(votes, SCENE)
    found = [skill(consensus.crowd, person).accuracy for person in range(len(skills))]
    right = [np.mean([v.node == truth[v.figure] for v in votes if v.person == person]) for person in range(8)]
    assert found == pytest.approx(right, abs=0.05)
    assert all(one.low < one.accuracy < one.high for one in consensus.crowd.skills)
    retired = [one for one in consensus.opinions if one.may_retire]
    assert len(retired) > 300
    assert np.mean([one.settled == truth[one.figure] for one in retired]) > 0.97


def test_a_person_is_trusted_by_group() -> None:
    """Right on one family, wrong on the other; the others are mostly right."""
    votes, truth = drawn_votes(3, [0.85] * 6)
    votes += [Vote(f, 9, true if true[0] in "ABC" else lookalike(true)) for f, true in enumerate(truth)]
    crowd = agree(votes, SCENE).crowd
    good, bad = skill(crowd, 9, "X"), skill(crowd, 9, "Y")
    assert bad.high < 0.3 < 0.8 < good.low
    assert bad.accuracy < skill(crowd, 9).accuracy < good.accuracy


def test_settled_figures_tell_who_is_right() -> None:
    """Three who always agree on a wrong name outvote one, until a specialist has settled some of it."""
    figures = range(40)
    votes = [Vote(f, p, "A1" if p < 3 else "A0") for f in figures for p in range(4)]
    assert skill(agree(votes, SCENE).crowd, 3).accuracy < 0.3
    told = agree(votes, SCENE, truths=dict.fromkeys(range(15), "A0"))
    assert skill(told.crowd, 3).accuracy > 0.8
    assert opinion(told, 30).probabilities["A0"] > 0.9
    assert opinion(told, 3).may_retire
    assert opinion(told, 3).weight == 1.0


def test_repeating_the_screen_says_less_than_the_same_word_unseen() -> None:
    crowd = known_crowd({1: 0.7, 2: 0.7})
    guess = {1: {"A0": 0.5, "B0": 0.4}}
    blind = weigh([Vote(1, 1, "A0")], SCENE, crowd, guess)[0]
    echo = weigh([Vote(1, 1, "A0", ("A0",))], SCENE, crowd, guess)[0]
    against = weigh([Vote(1, 1, "B0", ("A0",))], SCENE, crowd, guess)[0]
    unseen = weigh([Vote(1, 1, "B0")], SCENE, crowd, guess)[0]
    assert 0.5 < echo.probabilities["A0"] < blind.probabilities["A0"]
    assert against.probabilities == pytest.approx(unseen.probabilities)
    assert (echo.independent, against.independent) == (0, 1)
    assert echo.weight == 0.0 < blind.weight


def test_who_always_accepts_is_found_out() -> None:
    """One person repeats any suggestion, another looks; both saw the same screens."""
    votes, truth = drawn_votes(5, [0.9] * 6)
    screens = [lookalike(true) if f % 2 else true for f, true in enumerate(truth)]
    votes += [Vote(f, 8, shown, (shown,)) for f, shown in enumerate(screens)]
    votes += [Vote(f, 9, true, (shown,)) for f, (true, shown) in enumerate(zip(truth, screens, strict=True))]
    repeats = agree(votes, SCENE).crowd.repeats
    assert repeats[8, False] > 0.5 > 0.2 > repeats[9, False]


def test_a_figure_on_which_all_repeat_the_screen_does_not_retire() -> None:
    sure = {1: {"A0": 0.99}}
    echoes = [Vote(1, person, "A0", ("A0", "A1")) for person in range(6)]
    one = agree(echoes, SCENE, sure).opinions[0]
    assert one.settled == "A0"
    assert not one.may_retire
    assert agree([*echoes, Vote(1, 9, "A0")], SCENE, sure).opinions[0].may_retire
    assert agree([*echoes[1:], replace(echoes[0], is_specialist=True)], SCENE, sure).opinions[0].may_retire


def test_a_genus_supports_its_species_and_two_species_their_genus() -> None:
    crowd = known_crowd(dict.fromkeys(range(6), 0.8))
    alone = weigh([Vote(1, 1, "A0")], SCENE, crowd)[0].probabilities["A0"]
    with_genus = weigh([Vote(1, 1, "A0"), Vote(1, 2, "A")], SCENE, crowd)[0].probabilities["A0"]
    assert with_genus > alone
    divided = [Vote(1, p, "A0" if p % 2 else "A1") for p in range(4)]
    split = weigh(divided, SCENE, crowd)[0]
    assert (split.settled, split.may_retire) == ("A", False)
    assert weigh(divided, SCENE, crowd, rule=RetireRule(ranks=("genus",)))[0].may_retire
    assert weigh(
        [Vote(1, p, "A0" if p % 2 else "A1") for p in range(4)], SCENE, crowd, rule=RetireRule(ranks=("genus",))
    )[0].may_retire


def test_an_answer_outside_the_tree_may_retire() -> None:
    one = weigh([Vote(1, p, "no_organism") for p in range(3)], SCENE, known_crowd(dict.fromkeys(range(3), 0.9)))[0]
    assert (one.settled, one.may_retire) == ("no_organism", True)


def test_what_misleads_one_misleads_others() -> None:
    """Two who agree are worth less than the square of one: odds grow with each, but by less."""
    crowd = known_crowd(dict.fromkeys(range(6), 0.6))

    def odds(n: int) -> float:
        p = weigh([Vote(1, p, "A0") for p in range(n)], SCENE, crowd)[0].probabilities["A0"]
        return p / (1 - p)

    first, second, third = odds(1), odds(2) / odds(1), odds(3) / odds(2)
    assert second > third > 1
    assert first > 0


def test_a_known_crowd_weighs_as_it_did_when_it_was_learned() -> None:
    votes, _ = drawn_votes(7, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], figures=120)
    learned = agree(votes, SCENE)
    again = weigh(votes, SCENE, learned.crowd)
    for one, other in zip(learned.opinions, again, strict=True):
        assert other.probabilities == pytest.approx(one.probabilities, abs=0.01)
    # Somebody new is like everybody.
    assert weigh([Vote(1, 99, "A0")], SCENE, learned.crowd)[0].probabilities["A0"] == pytest.approx(
        learned.crowd.usual[0], abs=0.1
    )


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="two votes on figure 1"):
        agree([Vote(1, 1, "A0"), Vote(1, 1, "A1")], SCENE)
    for guess in ({"A0": 0.8, "B0": 0.7}, {"A0": -0.1}, {"A0": float("nan")}):
        with pytest.raises(ValueError, match="probabilities of figure 1"):
            agree([Vote(1, 1, "A0")], SCENE, {1: guess})
    with pytest.raises(ValueError, match="not empty"):
        agree([Vote(1, 1, "")], SCENE)
    with pytest.raises(ValueError, match="threshold"):
        RetireRule(0.5)
    assert agree([], SCENE).opinions == ()
