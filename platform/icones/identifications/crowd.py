"""The crowd model at work: who is right how often, and what a figure's votes amount to when that is known.

It puts the work in order and weighs labels for training; it verifies nothing (docs/decisions/0013). The counting
itself is ``active_learning.agree``; here its questions are gathered and its answers kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlmodel import Session

from active_learning import Consensus, Crowd, Scene, Taxonomy, Vote, agree
from icones.identifications import crowd_queries as queries
from icones.identifications import machine_queries
from icones.identifications.consensus import Lineages
from icones.identifications.crowd_queries import Word
from icones.models import Campaign, CrowdOpinion, Role, Skill
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service

GROUP_RANKS = frozenset({"order", "class", "phylum"})
"""Skill is told apart by the nearest of these above a name: butterflies from birds, whoever knows one of them."""
DOUBT = 0.5
"""Below this share of belief, what people agreed on by count is doubted."""
KNOWS = 0.6
"""A person knows a group of taxa if even the lower end of what we think of their reliability is at least this."""


@dataclass(frozen=True)
class Polled:
    """The votes of a campaign with what bears on them; all taxa under the Q-ids by which they are called now."""

    votes: tuple[Vote, ...]
    priors: dict[int, dict[str, float]]
    """The serving model's calibrated probabilities, of figures that it did not learn from."""
    truths: dict[int, str]
    """What a specialist settled; the specialist's own vote there is left out, as it is its own measure."""

    @cached_property
    def nodes(self) -> set[str]:
        """All taxa and other answers that are named, shown or predicted."""
        named = {vote.node for vote in self.votes} | set(self.truths.values())
        named |= {node for vote in self.votes for node in vote.shown}
        return named | {node for guess in self.priors.values() for node in guess}


def poll(session: Session, campaign: Campaign) -> Polled:
    """Gather a campaign's standing votes, what was on the screen, what specialists settled and what the model says."""
    key = campaign.id or 0
    settled = queries.settled_by_specialists(session, key)
    rows = [
        row
        for row in queries.votes(session, key)
        if row.figure_id not in settled or settled[row.figure_id][1] != row.person_id
    ]
    figures = {row.figure_id for row in rows}
    guesses = _guesses(session, key, figures)
    qids = {row.taxon_qid for row in rows} | {node for node, _ in settled.values()}
    qids |= {qid for row in rows for qid in shown_qids(row.shown)}
    qids |= {qid for guess in guesses.values() for qid in guess}
    called = taxon_service.current(session, qids)
    return Polled(
        votes=tuple(_vote(row, called) for row in rows),
        priors={figure: _summed(guess, called) for figure, guess in guesses.items()},
        truths={figure: called.get(node, node) for figure, (node, _) in settled.items() if figure in figures},
    )


def shown_qids(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of the model's was on the screen, by the record of an identification; empty when it was blind."""
    return tuple(one["qid"] for one in shown.get("suggestions", ()))


def _vote(row: Word, called: Mapping[str, str]) -> Vote:
    node = called[row.taxon_qid] if row.taxon_qid else row.answer.value
    shown = tuple(dict.fromkeys(called[qid] for qid in shown_qids(row.shown)))
    return Vote(row.figure_id, row.person_id, node, shown, row.given_as is not Role.VOLUNTEER)


def _guesses(session: Session, campaign_id: int, figures: Collection[int]) -> dict[int, dict[str, float]]:
    """Return the serving model's probabilities of figures that it has not learned from (of those it repeats votes)."""
    version = machine_queries.champion(session, campaign_id)
    if version is None:
        return {}
    snapshot = machine_queries.snapshot_of(session, version.id or 0)
    learned = {label["figure"] for label in snapshot.get("labels", ())}
    unseen = [figure for figure in figures if figure not in learned]
    ranked = machine_queries.ranked(session, version.id or 0, unseen)
    return {figure: {str(one["qid"]): one["p"] for one in row} for figure, row in ranked.items()}


def _summed(guess: Mapping[str, float], called: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for qid, chance in guess.items():
        found[called[qid]] = found.get(called[qid], 0.0) + chance
    return found


def weigh(polled: Polled, taxonomy: Taxonomy) -> Consensus:
    """Learn who is right how often, and what each figure's votes amount to. Computes only; seconds for many votes."""
    if not polled.votes:
        return Consensus((), Crowd(), 0)
    groups = frozenset(
        above for node in polled.nodes for above in taxonomy.lineage(node) if taxonomy.rank(above) in GROUP_RANKS
    )
    return agree(polled.votes, Scene(taxonomy, groups=groups), polled.priors, polled.truths)


def keep(session: Session, campaign: Campaign, polled: Polled, found: Consensus, now: datetime) -> None:
    """Put skills and opinions in the place of all that the campaign had.

    An opinion for which nobody spoke but by repeating what was on the screen weighs nothing: a model must not learn
    its own words.
    """
    key = campaign.id or 0
    skills = [
        Skill(
            campaign_id=key,
            person_id=one.person,
            is_specialist=one.is_specialist,
            group_qid=one.group or "",
            accuracy=one.accuracy,
            low=one.low,
            high=one.high,
            n=one.n,
            at=now,
        )
        for one in found.crowd.skills
    ]
    opinions = [
        CrowdOpinion(
            figure_id=one.figure,
            campaign_id=key,
            node=one.settled,
            belief=one.probability,
            retires=one.may_retire,
            labels={node: round(share, 5) for node, share in one.labels.items()},
            weight=one.weight if one.independent or one.figure in polled.truths else 0.0,
            at=now,
        )
        for one in found.opinions
    ]
    queries.replace(session, key, skills, opinions)


def believed(opinion: CrowdOpinion, node: str, lineages: Lineages) -> float:
    """Return how much of the belief in a figure lies on a node and all within it, 0 to 1."""
    return float(sum(share for one, share in opinion.labels.items() if node in lineages.get(one, (one,))))


def doubtful(session: Session, campaign_id: int) -> set[int]:
    """Return the figures that volunteers agree on and that deserve another look: weighed, it is likelier wrong."""
    named = queries.named_by_volunteers(session, campaign_id)
    opinions = queries.opinions_of(session, campaign_id)
    weighed = [(row, opinions[row.figure_id]) for row in named if row.figure_id in opinions]
    called = taxon_service.current(session, [row.taxon_qid for row, _ in weighed])
    lineages = taxa.lineages(session, {node for _, opinion in weighed for node in opinion.labels})
    return {
        row.figure_id
        for row, opinion in weighed
        if believed(opinion, _node(called.get(row.taxon_qid or ""), row.answer), lineages) < DOUBT
    }


def _node(qid: str | None, answer: Any) -> str:
    return qid or answer.value


def trainable(session: Session, campaign_id: int) -> dict[int, tuple[dict[str, float], float]]:
    """Return by figure what its votes say for training: shares of labels, and the weight of all, above 0 up to 1.

    Figures whose only independent support is nobody's are absent: there, people repeated what the model had said.
    """
    rows = queries.opinions_of(session, campaign_id)
    return {key: (dict(row.labels), row.weight) for key, row in rows.items() if row.weight > 0}


@dataclass(frozen=True)
class Reliability:
    """How often a person is right: over all taxa (``group_qid`` empty), or in one group."""

    person_id: int
    name: str
    is_specialist: bool
    group_qid: str
    accuracy: float
    low: float
    high: float
    n: int


SPOKEN = 5
"""From so many votes on something is told of a person's reliability."""


def reliabilities(session: Session, campaign_id: int, person_id: int | None = None) -> Sequence[Reliability]:
    """Return how reliable people are (or one person is), as far as enough votes tell, by name, all taxa first."""
    return [
        Reliability(
            row.person_id, person.name, row.is_specialist, row.group_qid, row.accuracy, row.low, row.high, round(row.n)
        )
        for row, person in queries.skills(session, campaign_id, person_id)
        if row.n >= SPOKEN
    ]
