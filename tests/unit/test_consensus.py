"""The rule by which identifications become a determination: cases that people argue about, and properties."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning import Scene, Taxonomy, agree
from active_learning import Vote as CrowdVote
from icones.identifications.consensus import Rule, Verdict, Vote, compatible, decide
from icones.models import Answer, ConsensusRule, DeterminationState

LINEAGES = {
    "vanessa": ("vanessa", "nymphalidae", "lepidoptera"),
    "atalanta": ("atalanta", "vanessa", "nymphalidae", "lepidoptera"),
    "cardui": ("cardui", "vanessa", "nymphalidae", "lepidoptera"),
    "rapae": ("rapae", "pieris", "lepidoptera"),
    "nymphalidae": ("nymphalidae", "lepidoptera"),
    "lepidoptera": ("lepidoptera",),
}
RULE = Rule()


def taxon(person: int, qid: str, *, specialist: bool = False) -> Vote:
    return Vote(person, specialist, Answer.TAXON, qid)


def other(person: int, answer: Answer, *, specialist: bool = False) -> Vote:
    return Vote(person, specialist, answer)


def state(*votes: Vote, rule: Rule = RULE) -> tuple[DeterminationState, str | None]:
    verdict = decide(votes, rule, LINEAGES, has_prediction=False)
    return verdict.state, verdict.taxon_qid


def test_nobody_has_spoken() -> None:
    assert state() == (DeterminationState.OPEN, None)
    assert decide((), RULE, LINEAGES, has_prediction=True).state is DeterminationState.PREDICTED


def test_one_voice_does_not_agree_with_itself() -> None:
    assert state(taxon(1, "atalanta")) == (DeterminationState.OPEN, None)


def test_two_voices_agree() -> None:
    assert state(taxon(1, "atalanta"), taxon(2, "atalanta")) == (DeterminationState.AGREED, "atalanta")


def test_a_genus_agrees_with_its_species_and_gives_the_genus() -> None:
    assert state(taxon(1, "vanessa"), taxon(2, "atalanta")) == (DeterminationState.AGREED, "vanessa")


def test_a_genus_does_not_stand_in_the_way_of_two_for_the_species() -> None:
    votes = (taxon(1, "vanessa"), taxon(2, "atalanta"), taxon(3, "atalanta"))
    assert state(*votes) == (DeterminationState.AGREED, "atalanta")


def test_two_species_are_a_dispute_and_not_quietly_their_genus() -> None:
    assert state(taxon(1, "atalanta"), taxon(2, "cardui"))[0] is DeterminationState.DISPUTED
    assert state(taxon(1, "atalanta"), taxon(2, "rapae"))[0] is DeterminationState.DISPUTED


def test_a_named_genus_above_two_disputed_species_does_not_hide_the_dispute() -> None:
    votes = (taxon(1, "atalanta"), taxon(2, "cardui"), taxon(3, "vanessa"))
    assert state(*votes)[0] is DeterminationState.DISPUTED


def test_two_against_one_is_not_enough_and_three_is() -> None:
    two = [taxon(1, "atalanta"), taxon(2, "atalanta"), taxon(3, "rapae")]
    assert state(*two)[0] is DeterminationState.DISPUTED
    assert state(*two, taxon(4, "atalanta")) == (DeterminationState.AGREED, "atalanta")


def test_an_organism_and_none_are_a_dispute() -> None:
    assert state(taxon(1, "atalanta"), other(2, Answer.NO_ORGANISM))[0] is DeterminationState.DISPUTED


def test_two_see_no_organism() -> None:
    verdict = decide((other(1, Answer.NO_ORGANISM), other(2, Answer.NO_ORGANISM)), RULE, LINEAGES, has_prediction=True)
    assert (verdict.state, verdict.answer) == (DeterminationState.AGREED, Answer.NO_ORGANISM)


def test_who_cannot_tell_disputes_nothing_and_two_of_them_call_a_specialist() -> None:
    silent = (other(1, Answer.CANNOT_TELL), other(2, Answer.CANNOT_TELL))
    assert state(*silent)[0] is DeterminationState.UNIDENTIFIABLE
    assert decide((*silent, taxon(3, "rapae")), RULE, LINEAGES, has_prediction=True).needs_specialist
    assert state(*silent, taxon(3, "rapae"), taxon(4, "rapae")) == (DeterminationState.AGREED, "rapae")


def test_a_specialists_word_settles_against_any_number() -> None:
    votes = [taxon(n, "rapae") for n in range(5)]
    verdict = decide([*votes, taxon(9, "atalanta", specialist=True)], RULE, LINEAGES, has_prediction=False)
    assert (verdict.state, verdict.taxon_qid) == (DeterminationState.VERIFIED, "atalanta")
    assert (verdict.n_agree, verdict.n_disagree, verdict.settled_by) == (1, 5, 9)


def test_two_specialists_who_contradict_each_other_are_a_dispute() -> None:
    votes = (taxon(1, "rapae", specialist=True), taxon(2, "atalanta", specialist=True))
    assert state(*votes)[0] is DeterminationState.DISPUTED


def test_two_specialists_at_different_ranks_give_the_lower() -> None:
    votes = (taxon(1, "nymphalidae", specialist=True), taxon(2, "atalanta", specialist=True))
    assert state(*votes) == (DeterminationState.VERIFIED, "atalanta")


def test_a_specialist_who_cannot_tell_ends_the_question() -> None:
    assert state(other(1, Answer.CANNOT_TELL, specialist=True))[0] is DeterminationState.UNIDENTIFIABLE


def test_a_campaign_may_trust_its_volunteers() -> None:
    rule = Rule(agreed_is_verified=True)
    assert state(taxon(1, "rapae"), taxon(2, "rapae"), rule=rule)[0] is DeterminationState.VERIFIED


nodes = st.sampled_from(sorted(LINEAGES))
answers = st.one_of(
    nodes.map(lambda qid: (Answer.TAXON, qid)),
    st.sampled_from([Answer.NO_ORGANISM, Answer.CANNOT_TELL, Answer.IMAGINARY]).map(lambda one: (one, None)),
)
crowds = st.lists(st.tuples(answers, st.booleans(), st.booleans()), max_size=7).map(
    lambda rows: [
        Vote(n, special, answer, qid, disagrees) for n, ((answer, qid), special, disagrees) in enumerate(rows)
    ]
)
volunteers = st.lists(answers, max_size=7).map(
    lambda rows: [Vote(n, False, answer, qid) for n, (answer, qid) in enumerate(rows)]
)
rules = st.builds(
    Rule, st.integers(1, 4), st.floats(0.5, 1.0, allow_nan=False), st.booleans(), st.sampled_from(ConsensusRule)
)


@given(crowds, rules, st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(votes: list[Vote], rule: Rule, random: object) -> None:
    shuffled = list(votes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(votes, rule, LINEAGES, has_prediction=True) == decide(shuffled, rule, LINEAGES, has_prediction=True)


@given(volunteers, rules)
def test_nothing_is_agreed_by_fewer_than_the_quorum(votes: list[Vote], rule: Rule) -> None:
    verdict = decide(votes, rule, LINEAGES, has_prediction=False)
    if verdict.state in (DeterminationState.AGREED, DeterminationState.VERIFIED, DeterminationState.UNIDENTIFIABLE):
        assert verdict.n_agree >= rule.quorum


@given(crowds, rules)
def test_what_is_agreed_was_named_by_somebody(votes: list[Vote], rule: Rule) -> None:
    verdict = decide(votes, rule, LINEAGES, has_prediction=False)
    if verdict.taxon_qid is not None and verdict.state is not DeterminationState.DISPUTED:
        assert verdict.taxon_qid in {vote.taxon_qid for vote in votes}


@given(volunteers, rules, nodes)
def test_a_specialist_always_settles(votes: list[Vote], rule: Rule, qid: str) -> None:
    verdict = decide([*votes, taxon(99, qid, specialist=True)], rule, LINEAGES, has_prediction=False)
    assert (verdict.state, verdict.taxon_qid) == (DeterminationState.VERIFIED, qid)


@given(volunteers, rules)
def test_one_more_voice_for_what_is_agreed_never_undoes_it(votes: list[Vote], rule: Rule) -> None:
    verdict = decide(votes, rule, LINEAGES, has_prediction=False)
    if verdict.state is DeterminationState.AGREED and verdict.taxon_qid:
        again = decide([*votes, taxon(99, verdict.taxon_qid)], rule, LINEAGES, has_prediction=False)
        assert again.state is DeterminationState.AGREED
        assert verdict.taxon_qid in LINEAGES[again.taxon_qid or ""]


COMMUNITY = Rule(agreement=2 / 3, consensus=ConsensusRule.COMMUNITY)


def told(*votes: Vote) -> tuple[DeterminationState, str | None]:
    return state(*votes, rule=COMMUNITY)


def stops(person: int, qid: str) -> Vote:
    return Vote(person, False, Answer.TAXON, qid, disagrees=True)


A, C, R, V, N, L = "atalanta", "cardui", "rapae", "vanessa", "nymphalidae", "lepidoptera"
AGREED, DISPUTED, OPEN = DeterminationState.AGREED, DeterminationState.DISPUTED, DeterminationState.OPEN


@pytest.mark.parametrize(
    ("named", "stopped", "expected"),
    [
        ([A], [], (OPEN, None)),
        ([A, A], [], (AGREED, A)),
        ([V, A], [], (AGREED, V)),
        ([V, A, A], [], (AGREED, A)),
        # What nobody named is told, and goes on being asked.
        ([A, C], [], (DISPUTED, V)),
        ([A, R], [], (DISPUTED, L)),
        ([A, C, V], [], (DISPUTED, V)),
        # Two of three are two thirds, and not more.
        ([A, A, C], [], (DISPUTED, V)),
        ([A, A, A, C], [], (AGREED, A)),
        ([A, A, A, A, C, C], [], (DISPUTED, V)),
        ([A, A, R], [], (DISPUTED, L)),
        ([A, A, A, C, N], [], (AGREED, A)),
        # "Not more exactly than this" is against all below.
        ([A], [V], (DISPUTED, V)),
        ([A, A], [V], (DISPUTED, V)),
        ([A, A, A], [V], (AGREED, A)),
        ([A], [V, V], (AGREED, V)),
        ([A, C], [V, V, V], (AGREED, V)),
        ([A, C], [V, V], (DISPUTED, V)),
        ([A], [N, N], (AGREED, N)),
        ([V, A, A], [A], (AGREED, A)),
        ([], [V, N], (DISPUTED, N)),
    ],
)
def test_the_community_rule_by_examples(
    named: list[str], stopped: list[str], expected: tuple[DeterminationState, str | None]
) -> None:
    votes = [taxon(n, qid) for n, qid in enumerate(named)] + [stops(50 + n, qid) for n, qid in enumerate(stopped)]
    assert told(*votes) == expected


def test_what_has_nothing_in_common_is_disputed_without_a_name() -> None:
    assert told(taxon(1, A), other(2, Answer.NO_ORGANISM)) == (DISPUTED, None)


def test_agreement_above_a_dispute_is_never_verified_by_volunteers_alone() -> None:
    rule = Rule(agreement=2 / 3, agreed_is_verified=True, consensus=ConsensusRule.COMMUNITY)
    verdict = decide([taxon(1, A), taxon(2, C)], rule, LINEAGES, has_prediction=False)
    assert (verdict.state, verdict.taxon_qid) == (DISPUTED, V)


def test_a_dispute_is_asked_of_volunteers_too_until_enough_have_spoken() -> None:
    few = [taxon(1, A), taxon(2, C)]
    many = [*few, *(taxon(10 + n, (A, C)[n % 2]) for n in range(4))]
    assert decide(few, COMMUNITY, LINEAGES, has_prediction=False).more_may_settle
    assert not decide(many, COMMUNITY, LINEAGES, has_prediction=False).more_may_settle
    assert not decide(few, RULE, LINEAGES, has_prediction=False).more_may_settle


def test_disagreement_counts_by_the_community_rule_alone() -> None:
    assert state(stops(1, V), taxon(2, A), taxon(3, A)) == (AGREED, A)
    assert told(stops(1, V), taxon(2, A), taxon(3, A)) == (DISPUTED, V)


def counted_again(votes: list[Vote], quorum: int) -> str | None:
    """The community taxon by plain sets of everything above and below, node by node."""
    lines = {**{q: set(line) for q, line in LINEAGES.items()}, "pieris": {"pieris", L}}
    lines |= {kind.value: {kind.value} for kind in Answer}
    best: tuple[int, str] | None = None
    for t, above in lines.items():
        at_or_below = [v for v in votes if t in lines[v.node]]
        elsewhere = [v for v in votes if t not in lines[v.node] and v.node not in above]
        refused = [v for v in votes if v.disagrees and v.node != t and v.node in above]
        c, rest = len(at_or_below), len(elsewhere) + len(refused)
        if c >= quorum and 3 * c > 2 * (c + rest):
            best = max(best, (len(above), t)) if best else (len(above), t)
    return best[1] if best else None


refusals = st.lists(st.tuples(answers, st.booleans()), max_size=7).map(
    lambda rows: [
        Vote(n, False, answer, qid, disagrees=no and answer is Answer.TAXON)
        for n, ((answer, qid), no) in enumerate(rows)
    ]
)


@settings(max_examples=150)
@given(refusals, st.integers(2, 4))
def test_the_community_taxon_is_the_one_that_counting_anew_gives(votes: list[Vote], quorum: int) -> None:
    telling = [vote for vote in votes if vote.answer is not Answer.CANNOT_TELL]
    verdict = decide(votes, replace(COMMUNITY, quorum=quorum), LINEAGES, has_prediction=False)
    expected = counted_again(telling, quorum)
    named = verdict.taxon_qid or (verdict.answer.value if verdict.answer and not is_silence(verdict) else None)
    assert named == expected
    if verdict.state is AGREED and verdict.taxon_qid:
        assert verdict.taxon_qid in {vote.taxon_qid for vote in votes}


def is_silence(verdict: Verdict) -> bool:
    return verdict.answer is Answer.CANNOT_TELL


@settings(max_examples=40)
@given(st.lists(st.sampled_from([A, C, R]), min_size=4, max_size=6))
def test_where_counting_agrees_the_crowd_model_does_not_contradict(named: list[str]) -> None:
    """Of people of whom nothing is known, a name that all give is what the crowd model settles on too."""
    parents = {q: (line[1] if len(line) > 1 else None) for q, line in LINEAGES.items()} | {"pieris": L}
    ranks = {A: "species", C: "species", R: "species", V: "genus", "pieris": "genus", N: "family", L: "order"}
    scene = Scene(Taxonomy(parents, ranks))
    opinion = agree([CrowdVote(1, n, qid) for n, qid in enumerate(named)], scene).opinions[0]
    verdict = decide([taxon(n, qid) for n, qid in enumerate(named)], COMMUNITY, LINEAGES, has_prediction=False)
    if len(set(named)) == 1:
        assert opinion.settled == verdict.taxon_qid == named[0]
    elif opinion.settled is not None and verdict.taxon_qid is not None:
        assert compatible(opinion.settled, verdict.taxon_qid, {**LINEAGES, "pieris": ("pieris", L)})
