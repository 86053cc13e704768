"""What a crowd's votes say about each figure, when it is known who is right how often.

For queue order, retirement and training weights; what is made public follows a rule that a person can recount. A
sparse one-coin model on the tree of taxa: a person is right with a chance of their own (for each group of taxa, backed
off to all of theirs, and to everybody's); errors fall near by in the tree and where others erred on the same taxon; the
model's calibrated probabilities are what is believed before any vote.

What a suggestion on the screen does to a vote: a vote that contradicts it counts in full. One that repeats it counts
as what it may be, a repetition, with a chance that is estimated for each person. So the model's opinion stays in
and is not counted twice, and a figure on which all repeat the suggestion cannot retire at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from active_learning.crowd_em import (
    GROUP_VOTES,
    LURES,
    PERSON_VOTES,
    REPEATS,
    SPREAD,
    USUAL,
    Coins,
    State,
    believe,
    interval,
    learn,
    start,
)
from active_learning.crowd_tree import CrowdTree, grow
from active_learning.crowd_votes import Ballots, Vote, collect, standing, sums
from active_learning.taxonomy import Taxonomy

TOLD = 0.001
"""Nodes less probable than this are left out of what is told of a figure."""

Holder = tuple[int, bool]
"""A person, and whether they speak as a specialist."""


@dataclass(frozen=True)
class RetireRule:
    """When a figure needs no more votes: sure enough, of a rank that is wanted, on enough people's own word.

    `people` must have named the taxon, or one within it, and of them `independent` without repeating a suggestion; one
    specialist is enough. An answer outside the tree ("no organism") has no rank and may retire, and so may a taxon at
    or below one of `ranks`.
    """

    threshold: float = 0.97
    people: int = 2
    independent: int = 1
    ranks: tuple[str, ...] = ("species", "subspecies", "variety", "form")

    def __post_init__(self) -> None:
        """Raises ValueError for a threshold at which two different taxa could both be settled."""
        if not 0.5 < self.threshold < 1.0:
            raise ValueError(f"threshold must lie between one half and 1, not {self.threshold}")


@dataclass(frozen=True)
class Opinion:
    """What is believed of one figure.

    `probabilities` are of taxa at every rank, each including all within it. `settled` is the deepest with at least
    the threshold. `labels` share the figure out to train on: a taxon here stands for itself and what nobody named
    within it. `weight` (0 to 1) is how sure people's own votes alone make it, without the model and its echoes.
    """

    figure: int
    probabilities: Mapping[str, float]
    settled: str | None
    probability: float
    independent: int
    may_retire: bool
    labels: Mapping[str, float]
    weight: float


@dataclass(frozen=True)
class Skill:
    """How often a person is right, in one group of taxa or (None) in all; `n` of their own votes tell, `low` to `high`
    is the 95 % interval, which takes the figures' answers as believed."""

    person: int
    is_specialist: bool
    group: str | None
    accuracy: float
    low: float
    high: float
    n: float


@dataclass(frozen=True)
class Crowd:
    """What was learned of people and their errors, to weigh the next vote without learning anew."""

    usual: tuple[float, float] = (USUAL[0][0] / sum(USUAL[0]), USUAL[1][0] / sum(USUAL[1]))
    skills: tuple[Skill, ...] = ()
    usual_repeat: float = REPEATS[0] / sum(REPEATS)
    repeats: Mapping[Holder, float] = field(default_factory=dict)
    lure: float = LURES[0] / sum(LURES)
    shares: tuple[float, ...] = SPREAD
    confusions: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (true, named): expected votes


@dataclass(frozen=True)
class Scene:
    """What votes are about: the tree, the taxa that a figure may show, and the groups (ids of taxa) that skill is told
    apart by. Taxa that are voted for or predicted belong to it without being listed."""

    taxonomy: Taxonomy
    taxa: Sequence[str] = ()
    groups: frozenset[str] = frozenset()

    def group_of(self, node: str) -> str | None:
        """The nearest group that a taxon lies in, or None."""
        return next((above for above in self.taxonomy.lineage(node) if above in self.groups), None)


@dataclass(frozen=True)
class Consensus:
    """Opinions by figure id, what was learned of the crowd, and in how many rounds."""

    opinions: tuple[Opinion, ...]
    crowd: Crowd
    rounds: int


Priors = Mapping[int, Mapping[str, float]]
Truths = Mapping[int, str]


@dataclass(frozen=True)
class _Polled:
    tree: CrowdTree
    ballots: Ballots
    coins: Coins
    holders: list[Holder]
    coin_groups: list[str | None]


def agree(
    votes: Sequence[Vote],
    scene: Scene,
    priors: Priors | None = None,
    truths: Truths | None = None,
    rule: RetireRule | None = None,
) -> Consensus:
    """Learn the crowd from all its votes, and say what they make of each figure that has one.

    `priors` are a model's calibrated probabilities for each figure (the likeliest ten are enough; what is missing to 1
    is spread evenly); the model must not have learned from these votes. `truths` are figures settled by specialists:
    their votes tell who is right. The same votes in any order give the same bits. Raises ValueError for two votes of a
    person on one figure, for probabilities that are none, and for empty ids.
    """
    polled = _poll(votes, scene, priors or {}, truths or {})
    state, rounds = learn(polled.ballots, polled.tree, polled.coins)
    opinions = _opinions(polled, state, scene, truths or {}, rule or RetireRule())
    return Consensus(opinions, _crowd(polled, state), rounds)


def weigh(
    votes: Sequence[Vote],
    scene: Scene,
    crowd: Crowd,
    priors: Priors | None = None,
    truths: Truths | None = None,
    rule: RetireRule | None = None,
) -> tuple[Opinion, ...]:
    """What the votes make of each figure, with the crowd as known: nothing is learned, figures stand alone.

    One more vote for a taxon never makes that taxon less probable here. Raises as `agree` does.
    """
    polled = _poll(votes, scene, priors or {}, truths or {})
    return _opinions(polled, _known(crowd, polled), scene, truths or {}, rule or RetireRule())


def _poll(votes: Sequence[Vote], scene: Scene, priors: Priors, truths: Truths) -> _Polled:
    ordered = standing(votes)
    tree = grow(scene.taxonomy, _named(ordered, scene, priors, truths))
    group = {node: scene.group_of(node) for node in {vote.node for vote in ordered}}
    keys = [(vote.person, vote.is_specialist, group[vote.node] or "") for vote in ordered]
    coin_keys = sorted(set(keys))
    holders = sorted({key[:2] for key in coin_keys})
    coin_place = {key: place for place, key in enumerate(coin_keys)}
    holder_place = {holder: place for place, holder in enumerate(holders)}
    coins = Coins(
        np.array([coin_place[key] for key in keys], dtype=np.int64),
        np.array([holder_place[key[:2]] for key in coin_keys], dtype=np.int64),
        np.array([int(is_specialist) for _, is_specialist in holders], dtype=np.int64),
    )
    ballots = collect(ordered, tree, priors, truths)
    return _Polled(tree, ballots, coins, holders, [key[2] or None for key in coin_keys])


def _named(votes: tuple[Vote, ...], scene: Scene, priors: Priors, truths: Truths) -> Iterable[str]:
    figures = {vote.figure for vote in votes}
    yield from scene.taxa
    for vote in votes:
        yield vote.node
        yield from vote.shown
    for figure in figures:
        yield from priors.get(figure, ())
    yield from (node for figure, node in truths.items() if figure in figures)


def _opinions(polled: _Polled, state: State, scene: Scene, truths: Truths, rule: RetireRule) -> tuple[Opinion, ...]:
    tree, ballots = polled.tree, polled.ballots
    belief = believe(state, ballots, tree, polled.coins)
    alone = believe(state, ballots, tree, polled.coins, of_people_alone=True)
    total, alone_total = sums(ballots, tree, belief), sums(ballots, tree, alone)
    ends = np.append(ballots.first_cell[1:], len(belief))
    votes = np.searchsorted(ballots.vote_figure, np.arange(len(ballots.figures) + 1))
    opinions = []
    for row, figure in enumerate(ballots.figures):
        cells = slice(ballots.first_cell[row], ends[row])
        nodes, sum_of, own = ballots.cell_node[cells], total[cells], belief[cells]
        # What is at least half probable lies on one line of descent, and deeper nodes have higher numbers.
        sure = np.flatnonzero(sum_of >= rule.threshold)
        deepest = int(sure[-1]) if len(sure) else 0
        best = deepest or int(own.argmax())
        heard, people, independent, by_specialist = _support(
            polled, slice(votes[row], votes[row + 1]), int(nodes[best])
        )
        settled = tree.ids[nodes[deepest]] if deepest else None
        enough = by_specialist or (people >= rule.people and independent >= rule.independent)
        told = {tree.ids[n]: float(p) for n, p in zip(nodes, sum_of, strict=True) if p >= TOLD and n}
        labels = {tree.ids[n]: float(p) for n, p in zip(nodes, own, strict=True) if p >= TOLD and n}
        opinions.append(
            Opinion(
                figure,
                told,
                settled,
                float(sum_of[deepest]) if deepest else 0.0,
                independent,
                settled is not None and (figure in truths or (enough and _wanted(settled, scene, rule))),
                labels,
                1.0 if figure in truths else float(alone_total[cells][best]) if heard else 0.0,
            )
        )
    return tuple(opinions)


def _support(polled: _Polled, votes: slice, node: int) -> tuple[bool, int, int, bool]:
    """Whether anybody's own word is there at all; how many name the node or what is within it, and how many of them on
    their own; whether a specialist does."""
    own = ~polled.ballots.repeats[votes]
    named = polled.ballots.vote_node[votes]
    inside = (named >= node) & (named < polled.tree.end[node])
    special = any(vote.is_specialist for vote, held in zip(polled.ballots.votes[votes], inside, strict=True) if held)
    return bool(own.any()) or special, int(inside.sum()), int((own & inside).sum()), special


def _wanted(node: str, scene: Scene, rule: RetireRule) -> bool:
    line = scene.taxonomy.lineage(node)
    outside = len(line) == 1 and scene.taxonomy.rank(node) is None
    return outside or any(scene.taxonomy.rank(above) in rule.ranks for above in line)


def _crowd(polled: _Polled, state: State) -> Crowd:
    usual = (float(state.usual[0]), float(state.usual[1]))
    ids, ballots = polled.tree.ids, polled.ballots
    confusions = {
        (ids[true], ids[named]): float(count)
        for true, named, count in zip(ballots.pair_true, ballots.pair_named, state.pair_count, strict=True)
        if count > 1e-3
    }
    repeats = dict(zip(polled.holders, map(float, state.holder_repeat), strict=True))
    shares = tuple(map(float, state.shares))
    return Crowd(usual, tuple(_skills(polled, state)), state.usual_repeat, repeats, state.lure, shares, confusions)


def _skills(polled: _Polled, state: State) -> Iterable[Skill]:
    """Everyone's skill over all taxa, then in each group that they voted in."""
    holder, group = polled.coins.holder, polled.coin_groups
    wide = interval(state.holder_accuracy, state.holder_count + PERSON_VOTES)
    for place, (person, special) in enumerate(polled.holders):
        low, high = float(wide[0][place]), float(wide[1][place])
        accuracy, n = float(state.holder_accuracy[place]), float(state.holder_count[place])
        yield Skill(person, special, None, accuracy, low, high, n)
    near = interval(state.coin_accuracy, state.coin_count + GROUP_VOTES)
    for place, name in enumerate(group):
        if name is not None:
            person, special = polled.holders[holder[place]]
            low, high = float(near[0][place]), float(near[1][place])
            accuracy, n = float(state.coin_accuracy[place]), float(state.coin_count[place])
            yield Skill(person, special, name, accuracy, low, high, n)


def _known(crowd: Crowd, polled: _Polled) -> State:
    """The state that a known crowd means for these votes; who is not known is like everybody."""
    known = {(skill.person, skill.is_specialist, skill.group): skill.accuracy for skill in crowd.skills}
    holder = [known.get((*holder, None), crowd.usual[holder[1]]) for holder in polled.holders]
    coin = [
        known.get((*polled.holders[place], group), holder[place])
        for place, group in zip(polled.coins.holder, polled.coin_groups, strict=True)
    ]
    ids, ballots = polled.tree.ids, polled.ballots
    pairs = zip(ballots.pair_true, ballots.pair_named, strict=True)
    errors: dict[str, float] = {}
    for (true, _), count in sorted(crowd.confusions.items()):
        errors[true] = errors.get(true, 0.0) + count
    return replace(
        start(polled.coins, polled.tree, ballots),
        usual=np.array(crowd.usual),
        holder_accuracy=np.array(holder),
        coin_accuracy=np.array(coin),
        usual_repeat=crowd.usual_repeat,
        holder_repeat=np.array([crowd.repeats.get(holder, crowd.usual_repeat) for holder in polled.holders]),
        lure=crowd.lure,
        shares=np.array(crowd.shares),
        pair_count=np.array([crowd.confusions.get((ids[true], ids[named]), 0.0) for true, named in pairs]),
        true_count=np.array([errors.get(node, 0.0) for node in ids]),
    )
