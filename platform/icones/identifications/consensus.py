"""The rule by which identifications become a determination. Pure: the same votes, in any order, decide the same.

Each taxon somebody named is a candidate. For a candidate t, *for* are the votes at t or below it, *against* those
that are neither below nor above it; a vote above (a genus, where t is one of its species) is consistent and counts
on neither side. So a genus agrees with its species, and does not by itself confirm one. The deepest candidate with
enough votes for it, and a large enough share of them, is agreed on. The counting is that of iNaturalist's community
taxon (app/models/observation.rb there), with two differences: the quorum and the share are the campaign's, and a
node that nobody named is never agreed on, so that a robin and a wren do not quietly become "birds".
A specialist's word settles, unless another specialist says something that cannot be true at the same time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icones.models import Answer, DeterminationState

Lineages = Mapping[str, Sequence[str]]
"""For each Q-id its lineage: itself first, then its ancestors."""


@dataclass(frozen=True)
class Vote:
    """One person's standing identification of a figure."""

    person_id: int
    is_specialist: bool
    answer: Answer
    taxon_qid: str | None = None

    @property
    def node(self) -> str:
        """What the vote points at: a taxon, or a non-taxon answer as a node of its own."""
        return self.taxon_qid or self.answer.value


@dataclass(frozen=True)
class Rule:
    """What a campaign asks for."""

    quorum: int = 2
    agreement: float = 0.67
    agreed_is_verified: bool = False


@dataclass(frozen=True)
class Verdict:
    """What follows from the votes."""

    state: DeterminationState
    answer: Answer | None = None
    taxon_qid: str | None = None
    rule: str = ""
    n_agree: int = 0
    n_disagree: int = 0
    settled_by: int | None = None
    needs_specialist: bool = False


def decide(votes: Sequence[Vote], rule: Rule, lineages: Lineages, *, has_prediction: bool) -> Verdict:
    """Return the determination that follows from a figure's standing votes, at most one a person."""
    specialists = [vote for vote in votes if vote.is_specialist]
    if specialists:
        return _settled(specialists, votes, lineages)
    telling = [vote for vote in votes if vote.answer is not Answer.CANNOT_TELL]
    silent = len(votes) - len(telling)
    chosen = _deepest_agreed(telling, rule, lineages)
    if chosen is not None:
        return _agreed(chosen, telling, rule, lineages)
    if _conflicts(telling, lineages):
        return Verdict(
            DeterminationState.DISPUTED,
            rule=f"{len(telling)} people gave answers that cannot all be true.",
            n_disagree=len(telling),
            needs_specialist=True,
        )
    if silent >= rule.quorum and not telling:
        return Verdict(
            DeterminationState.UNIDENTIFIABLE,
            Answer.CANNOT_TELL,
            rule=f"{silent} people looked and could not tell.",
            n_agree=silent,
        )
    state = DeterminationState.PREDICTED if has_prediction else DeterminationState.OPEN
    return Verdict(state, n_agree=len(telling), needs_specialist=silent >= rule.quorum)


def compatible(one: str, other: str, lineages: Lineages) -> bool:
    """Say whether two nodes can be true of the same organism: equal, or one above the other."""
    return one in _line(other, lineages) or other in _line(one, lineages)


def _line(node: str, lineages: Lineages) -> Sequence[str]:
    return lineages.get(node, (node,))


def _for_and_against(node: str, votes: Sequence[Vote], lineages: Lineages) -> tuple[int, int]:
    favour = sum(node in _line(vote.node, lineages) for vote in votes)
    against = sum(not compatible(node, vote.node, lineages) for vote in votes)
    return favour, against


def _conflicts(votes: Sequence[Vote], lineages: Lineages) -> bool:
    nodes = sorted({vote.node for vote in votes})
    return any(not compatible(a, b, lineages) for i, a in enumerate(nodes) for b in nodes[i + 1 :])


def _deepest_agreed(votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> str | None:
    """Return the deepest named node that enough votes carry, unless votes below it contradict each other."""
    carried = []
    for node in sorted({vote.node for vote in votes}):
        favour, against = _for_and_against(node, votes, lineages)
        if favour >= rule.quorum and favour >= rule.agreement * (favour + against) - 1e-9:
            carried.append((len(_line(node, lineages)), favour, node))
    if not carried:
        return None
    node = max(carried)[2]
    below = [vote for vote in votes if node in _line(vote.node, lineages)]
    return None if _conflicts(below, lineages) else node


def _agreed(node: str, votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> Verdict:
    favour, against = _for_and_against(node, votes, lineages)
    answer, qid = _answer_of(node)
    return Verdict(
        DeterminationState.VERIFIED if rule.agreed_is_verified else DeterminationState.AGREED,
        answer,
        qid,
        f"{favour} of {favour + against} agree (asked for: {rule.quorum} people, {rule.agreement:.0%}).",
        favour,
        against,
        needs_specialist=not rule.agreed_is_verified,
    )


def _settled(specialists: Sequence[Vote], votes: Sequence[Vote], lineages: Lineages) -> Verdict:
    telling = [vote for vote in specialists if vote.answer is not Answer.CANNOT_TELL]
    if not telling:
        return Verdict(
            DeterminationState.UNIDENTIFIABLE,
            Answer.CANNOT_TELL,
            rule="A specialist looked and could not tell.",
            n_agree=len(specialists),
            settled_by=min(vote.person_id for vote in specialists),
        )
    if _conflicts(telling, lineages):
        return Verdict(
            DeterminationState.DISPUTED,
            rule="Specialists gave answers that cannot all be true.",
            n_disagree=len(telling),
            needs_specialist=True,
        )
    node = max((len(_line(vote.node, lineages)), vote.node) for vote in telling)[1]
    favour, against = _for_and_against(node, [v for v in votes if v.answer is not Answer.CANNOT_TELL], lineages)
    answer, qid = _answer_of(node)
    return Verdict(
        DeterminationState.VERIFIED,
        answer,
        qid,
        "A specialist's word settles.",
        favour,
        against,
        min(vote.person_id for vote in telling if vote.node == node),
    )


def _answer_of(node: str) -> tuple[Answer, str | None]:
    if node in (Answer.NO_ORGANISM.value, Answer.IMAGINARY.value):
        return Answer(node), None
    return Answer.TAXON, node
