"""The rules by which identifications become a determination. Pure: the same votes, in any order, decide the same.

For a candidate t, *for* are the votes at t or below it, *against* those that are neither below nor above it; a vote
above (a genus, where t is one of its species) is consistent and counts on neither side. So a genus agrees with its
species, and does not by itself confirm one. The deepest candidate with enough votes for it, and a large enough share
of them, is carried.

By the rule COMMUNITY every taxon that is named or implied is a candidate, the share must be exceeded, and who says
"it cannot be named more exactly than this" is against all that lies below: iNaturalist's community taxon
(app/models/observation.rb there; 2 people and 2/3, so that two of three are not enough). What is carried is told at
once; while the people below it contradict each other it is disputed all the same, and goes on being asked: a robin
and a wren are birds, and not done. By the rule NAMED only what somebody named is a candidate, the share may be
reached exactly, and a dispute has no name at all. In both, quorum and share are the campaign's.

A specialist's word settles, unless another specialist says something that cannot be true at the same time.

Where a campaign lets the model name figures alone, its word counts only while nobody has said anything: the first
person to speak, whatever they say, takes its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icones.models import Answer, ConsensusRule, DeterminationState

Lineages = Mapping[str, Sequence[str]]
"""For each Q-id its lineage: itself first, then its ancestors."""
MOST_IN_A_DISPUTE = 3
"""A dispute is asked of volunteers too until as many have spoken as this times the quorum."""


@dataclass(frozen=True)
class Vote:
    """One person's standing identification of a figure."""

    person_id: int
    is_specialist: bool
    answer: Answer
    taxon_qid: str | None = None
    disagrees: bool = False
    """Whether they say that it cannot be named more exactly than this."""

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
    consensus: ConsensusRule = ConsensusRule.NAMED

    @property
    def counts_disagreement(self) -> bool:
        """Whether "it cannot be named more exactly" counts, and what nobody named may be agreed on."""
        return self.consensus is ConsensusRule.COMMUNITY


@dataclass(frozen=True)
class MachineWord:
    """What the model names alone, where a curator lets it."""

    taxon_qid: str
    rule: str
    """In words: how sure it is, and what that rests on."""
    model_version_id: int


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
    """Whether it is a specialist's turn."""
    more_may_settle: bool = False
    """Whether it is disputed, and further volunteers may still settle it."""
    model_version_id: int | None = None
    """The model version whose word alone it is; None where it follows from what people said."""


def decide(
    votes: Sequence[Vote],
    rule: Rule,
    lineages: Lineages,
    *,
    has_prediction: bool,
    machine: MachineWord | None = None,
) -> Verdict:
    """Return the determination that follows from a figure's standing votes, at most one a person.

    ``machine`` is what the model may name alone; it counts only while there is no vote at all.
    """
    if machine is not None and not votes:
        return Verdict(
            DeterminationState.VERIFIED,
            Answer.TAXON,
            machine.taxon_qid,
            machine.rule,
            model_version_id=machine.model_version_id,
        )
    specialists = [vote for vote in votes if vote.is_specialist]
    if specialists:
        return _settled(specialists, votes, rule, lineages)
    telling = [vote for vote in votes if vote.answer is not Answer.CANNOT_TELL]
    silent = len(votes) - len(telling)
    chosen = _deepest_carried(telling, rule, lineages)
    if chosen is not None and not _is_contested(chosen, telling, rule, lineages):
        return _agreed(chosen, telling, rule, lineages)
    if chosen is not None and rule.counts_disagreement:
        return _agreed_above_a_dispute(chosen, telling, rule, lineages)
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


def _for_and_against(node: str, votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> tuple[int, int]:
    """Return how many votes carry a node, and how many speak against it."""
    favour = sum(node in _line(vote.node, lineages) for vote in votes)
    against = sum(not compatible(node, vote.node, lineages) for vote in votes)
    if rule.counts_disagreement:
        above = _line(node, lineages)[1:]
        against += sum(vote.disagrees and vote.node in above for vote in votes)
    return favour, against


def _conflicts(votes: Sequence[Vote], lineages: Lineages) -> bool:
    nodes = sorted({vote.node for vote in votes})
    return any(not compatible(a, b, lineages) for i, a in enumerate(nodes) for b in nodes[i + 1 :])


def _deepest_carried(votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> str | None:
    """Return the deepest candidate that enough votes carry."""
    named = {vote.node for vote in votes}
    candidates = {above for node in named for above in _line(node, lineages)} if rule.counts_disagreement else named
    carried = []
    for node in sorted(candidates):
        favour, against = _for_and_against(node, votes, rule, lineages)
        asked = rule.agreement * (favour + against)
        enough = not against or (favour > asked + 1e-9 if rule.counts_disagreement else favour >= asked - 1e-9)
        if favour >= rule.quorum and enough:
            carried.append((len(_line(node, lineages)), favour, node))
    return max(carried)[2] if carried else None


def _is_contested(node: str, votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> bool:
    """Say whether what lies below a node is still open: the votes there contradict each other, or are contradicted.

    Where more people say that it cannot be named more exactly than have named something below, it is not.
    """
    within = [vote for vote in votes if node in _line(vote.node, lineages)]
    if not rule.counts_disagreement:
        return _conflicts(within, lineages)
    below = [vote for vote in within if vote.node != node]
    stops = sum(vote.disagrees and vote.node in _line(node, lineages) for vote in votes)
    return bool(below) and stops <= len(below) and (stops > 0 or _conflicts(below, lineages))


def _agreed(node: str, votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> Verdict:
    favour, against = _for_and_against(node, votes, rule, lineages)
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


def _agreed_above_a_dispute(node: str, votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> Verdict:
    """Return what is told of a figure whose higher taxon is agreed on while the names below it are not."""
    favour, against = _for_and_against(node, votes, rule, lineages)
    answer, qid = _answer_of(node)
    return Verdict(
        DeterminationState.DISPUTED,
        answer,
        qid,
        f"{favour} of {favour + against} agree so far; what it is more exactly is disputed.",
        favour,
        against,
        needs_specialist=True,
        more_may_settle=len(votes) < MOST_IN_A_DISPUTE * rule.quorum,
    )


def _settled(specialists: Sequence[Vote], votes: Sequence[Vote], rule: Rule, lineages: Lineages) -> Verdict:
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
    said = [vote for vote in votes if vote.answer is not Answer.CANNOT_TELL]
    favour, against = _for_and_against(node, said, rule, lineages)
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
