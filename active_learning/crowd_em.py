"""Who is right how often, what is taken for what, and what each figure shows: each estimated from the others.

A person knows a figure with a probability of their own, and then says what is true. Otherwise they err:
mostly near by in the tree, towards what others took the same taxon for, and towards what the model takes the figure
for, as what looks alike misleads both. Whoever saw a suggestion may simply have repeated it; a
repetition says as much less as people are found to repeat. Source: expectation-maximisation for observers' errors,
Dawid and Skene 1979, with one coin a person in place of a table a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from active_learning.crowd_tree import BANDS, CrowdTree, Floats, Ints
from active_learning.crowd_votes import Ballots

PERSON_VOTES = 5.0  # how many votes like everybody's a person starts with
GROUP_VOTES = 8.0  # how many votes like their own elsewhere a person starts with in a group of taxa
USUAL = ((7.0, 3.0), (38.0, 2.0))  # right and wrong votes before any are seen: of volunteers, of specialists
REPEATS = (6.0, 14.0)  # repeated and own votes before any are seen, of people who saw a suggestion
REPEAT_VOTES = 5.0  # how many such votes a person starts with
SPREAD = (0.55, 0.20, 0.15, 0.10)  # of all errors: in the genus, the family, the order, beyond
SPREAD_VOTES = 100.0  # how many errors the spread starts with
PAIR_VOTES = 4.0  # how many errors that follow the tree each taxon starts with
LURES = (20.0, 20.0)  # errors where the model's doubts lie, and elsewhere, before any are seen
ALIKE_VOTES = 4.0  # how many errors each figure starts with before those on it; few means that they are all alike
LEAST, MOST = 0.02, 0.99  # no person is taken to be always wrong or always right
ROUNDS = 60
STILL = 5e-4  # people's accuracies that move less are settled


@dataclass(frozen=True)
class Coins:
    """Which coin each vote uses: a person and whether a specialist, in one group of taxa; backed off step by step."""

    vote: Ints  # (v,) the coin
    holder: Ints  # (coins,) the person it belongs to
    kind: Ints  # (holders,) 0 volunteer, 1 specialist


@dataclass(frozen=True)
class State:
    """All that is estimated; counts are expected numbers of votes."""

    usual: Floats  # (2,) accuracy of all volunteers, of all specialists
    holder_accuracy: Floats
    holder_count: Floats
    coin_accuracy: Floats
    coin_count: Floats
    usual_repeat: float
    holder_repeat: Floats
    lure: float  # of errors on figures with a model's opinion, the part that goes where its doubts lie
    shares: Floats  # (4,)
    pair_count: Floats  # (p,)
    true_count: Floats  # (nodes,) errors on each taxon


def start(coins: Coins, tree: CrowdTree, ballots: Ballots) -> State:
    """What is believed before any vote is seen."""
    usual = np.array([right / (right + wrong) for right, wrong in USUAL])
    repeat = REPEATS[0] / sum(REPEATS)
    by_holder = usual[coins.kind]
    return State(
        usual, by_holder, np.zeros(len(by_holder)), by_holder[coins.holder], np.zeros(len(coins.holder)),
        repeat, np.full(len(by_holder), repeat), LURES[0] / sum(LURES), np.array(SPREAD),
        np.zeros(len(ballots.pair_true)), np.zeros(len(tree.ids)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Chances:
    """Of each entry: the chance of the vote if the cell were true, by someone who looked, and where it came from."""

    vote: Floats  # (e,)
    knew: Floats  # (e,) the part of it where the person knew
    lured: Floats  # (e,) of errors, the part that went where the model's doubts lie
    told: Floats  # (e,) of errors, the part that is not due to others who said the same


def _chances(state: State, ballots: Ballots, tree: CrowdTree, coins: Coins) -> _Chances:
    inside, _, each = tree.spread(state.shares)
    accuracy = state.coin_accuracy[coins.vote][ballots.entry_vote]
    named = ballots.vote_node[ballots.entry_vote]
    right = ballots.band == 0
    error = np.where(right, 1.0, each[named, np.maximum(ballots.band - 1, 0)])
    seen = ballots.pair >= 0
    pair = ballots.pair[seen]
    held = state.true_count[ballots.pair_true[pair]]
    error[seen] = (state.pair_count[pair] + PAIR_VOTES * error[seen]) / (held + PAIR_VOTES)
    lured = np.where(ballots.guessed, state.lure, 0.0) * ballots.lure
    error = np.where(ballots.guessed, 1.0 - state.lure, 1.0) * error + lured
    lured = lured / error
    before = _same_before(state.coin_accuracy[coins.vote], ballots)[ballots.entry_vote]
    told = ALIKE_VOTES * error / (ALIKE_VOTES * error + before)
    error = (ALIKE_VOTES * error + before) / (ALIKE_VOTES + before)
    agrees = accuracy + (1.0 - accuracy) * inside[named]
    # However often somebody errs, a vote is never held against what it names.
    vote = np.where(right, agrees, np.minimum((1.0 - accuracy) * error, agrees))
    return _Chances(vote, np.where(right, accuracy / agrees, 0.0), lured, told)


def _same_before(accuracy: Floats, ballots: Ballots) -> Floats:
    """How many others (v,) say the same of the figure on their own, counted from the most reliable to the least.

    If they all err, each makes the next such error likelier: what misleads one misleads others (an urn of Polya's).
    Before a vote that repeats the screen there is one: the screen. In this order, one more vote for a taxon never makes
    it less probable, however unreliable and whether or not it repeats.
    """
    order = np.lexsort((-accuracy, ballots.repeats, ballots.vote_node, ballots.vote_figure))
    node, figure = ballots.vote_node[order], ballots.vote_figure[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (node[1:] != node[:-1]) | (figure[1:] != figure[:-1])
    place = np.arange(len(order))
    before = np.empty(len(order))
    before[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    before[ballots.repeats] = 1.0
    return before


def _own(state: State, ballots: Ballots, coins: Coins, chances: _Chances) -> tuple[Floats, Floats]:
    """The chance (e,) of each vote, repeated or not, and the chance (e,) that it was the person's own."""
    repeat = np.where(ballots.repeats, state.holder_repeat[coins.holder[coins.vote]], 0.0)[ballots.entry_vote]
    own = (1.0 - repeat) * chances.vote
    return repeat + own, own / (repeat + own)


def believe(state: State, ballots: Ballots, tree: CrowdTree, coins: Coins, of_people_alone: bool = False) -> Floats:
    """The probability (c,) of each cell; 1 together over a figure.

    `of_people_alone` leaves out the model's opinion and every vote that repeats what it suggested.
    """
    return _posterior(_chances(state, ballots, tree, coins), state, ballots, coins, of_people_alone)


def _posterior(
    chances: _Chances, state: State, ballots: Ballots, coins: Coins, of_people_alone: bool = False
) -> Floats:
    if of_people_alone:
        chance = np.where(ballots.repeats[ballots.entry_vote], 1.0, chances.vote)
        prior = ballots.cell_size.astype(np.float64)
    else:
        chance, prior = _own(state, ballots, coins, chances)[0], ballots.prior
    cells = len(ballots.cell_node)
    weight = np.log(prior) + _total(ballots.entry_cell, np.log(chance), cells)
    weight[~ballots.allowed] = -np.inf
    if cells == 0:
        return weight
    weight = np.exp(weight - np.maximum.reduceat(weight, ballots.first_cell)[ballots.cell_figure])
    return np.asarray(weight / np.add.reduceat(weight, ballots.first_cell)[ballots.cell_figure])


def learn(ballots: Ballots, tree: CrowdTree, coins: Coins) -> tuple[State, int]:
    """The state that explains the votes best, and the number of rounds that it took (at most 60)."""
    state = start(coins, tree, ballots)
    for turn in range(1, ROUNDS + 1):
        chances = _chances(state, ballots, tree, coins)
        belief = _posterior(chances, state, ballots, coins)
        after = _reestimate(state, ballots, tree, coins, chances, belief)
        moved = np.abs(after.coin_accuracy - state.coin_accuracy).max(initial=0.0)
        state = after
        if moved < STILL:
            return state, turn
    return state, ROUNDS


def _reestimate(
    state: State, ballots: Ballots, tree: CrowdTree, coins: Coins, chances: _Chances, belief: Floats
) -> State:
    weight = belief[ballots.entry_cell]
    own = weight * _own(state, ballots, coins, chances)[1]
    votes = len(ballots.votes)
    count = _total(ballots.entry_vote, own, votes)
    knew = _total(ballots.entry_vote, own * chances.knew, votes)
    after = _accuracies(state, coins, count, knew)
    after = _repeating(after, ballots, coins, 1.0 - count)
    return _errors(after, ballots, tree, chances, own)


def _accuracies(state: State, coins: Coins, count: Floats, knew: Floats) -> State:
    """Everybody, then each person, then each person in each group; each starts from the one before."""
    coin_count = _total(coins.vote, count, len(coins.holder))
    coin_knew = _total(coins.vote, knew, len(coins.holder))
    holders = len(coins.kind)
    holder_count = _total(coins.holder, coin_count, holders)
    holder_knew = _total(coins.holder, coin_knew, holders)
    before = np.array(USUAL)
    kind_knew = _total(coins.kind, holder_knew, 2) + before[:, 0]
    usual = kind_knew / (_total(coins.kind, holder_count, 2) + before.sum(axis=1))
    holder = (holder_knew + PERSON_VOTES * usual[coins.kind]) / (holder_count + PERSON_VOTES)
    coin = (coin_knew + GROUP_VOTES * holder[coins.holder]) / (coin_count + GROUP_VOTES)
    return replace(
        state,
        usual=usual,
        holder_accuracy=np.clip(holder, LEAST, MOST),
        holder_count=holder_count,
        coin_accuracy=np.clip(coin, LEAST, MOST),
        coin_count=coin_count,
    )


def _repeating(state: State, ballots: Ballots, coins: Coins, repeated: Floats) -> State:
    """How often people who saw a suggestion repeat it without a look; what contradicts it is always their own."""
    seen = ballots.saw
    holder = coins.holder[coins.vote[seen]]
    done = _total(holder, repeated[seen], len(coins.kind))
    seen_by = _total(holder, np.ones(len(holder)), len(coins.kind))
    usual = (done.sum() + REPEATS[0]) / (seen_by.sum() + sum(REPEATS))
    each = (done + REPEAT_VOTES * usual) / (seen_by + REPEAT_VOTES)
    return replace(state, usual_repeat=float(usual), holder_repeat=np.clip(each, LEAST, MOST))


def _errors(state: State, ballots: Ballots, tree: CrowdTree, chances: _Chances, own: Floats) -> State:
    """How far errors go, which taxon was taken for which, and how many went where the model's doubts lie."""
    wrong = ballots.band > 0
    error = np.where(wrong, own * chances.told, 0.0)
    lured = error * chances.lured
    able = (error * ballots.guessed).sum()
    lure = (lured.sum() + LURES[0]) / (able + sum(LURES))
    error = error - lured
    far = _total(ballots.band[wrong] - 1, error[wrong], BANDS)
    hidden = _total(ballots.vote_node[ballots.entry_vote], own * (1.0 - chances.knew) * ~wrong, len(tree.ids))
    inside = tree.held * state.shares
    far = far + (hidden / np.maximum(inside.sum(axis=1), 1e-300)) @ inside
    shares = (far + SPREAD_VOTES * np.array(SPREAD)) / (far.sum() + SPREAD_VOTES)
    seen = ballots.pair >= 0
    pair_count = _total(ballots.pair[seen], error[seen], len(ballots.pair_true))
    true_count = _total(ballots.pair_true, pair_count, len(tree.ids))
    return replace(state, lure=float(lure), shares=shares, pair_count=pair_count, true_count=true_count)


def _total(place: Ints, what: Floats, places: int) -> Floats:
    """The sum of what falls on each place, added up in the order given."""
    return np.bincount(place, what, minlength=places).astype(np.float64)


def interval(accuracy: Floats, count: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95 % interval of a Beta distribution with these means (m,), worth `count` votes (m,)."""
    grid = (np.arange(1000) + 0.5) / 1000
    low, high = np.empty(len(accuracy)), np.empty(len(accuracy))
    for first in range(0, len(accuracy), 1000):
        rows = slice(first, first + 1000)
        right, wrong = (accuracy[rows] * count[rows])[:, None], ((1 - accuracy[rows]) * count[rows])[:, None]
        weight = (right - 1) * np.log(grid) + (wrong - 1) * np.log1p(-grid)
        weight = np.cumsum(np.exp(weight - weight.max(axis=1, keepdims=True)), axis=1)
        weight /= weight[:, -1:]
        low[rows] = grid[(weight < 0.025).sum(axis=1)]
        high[rows] = grid[np.minimum((weight < 0.975).sum(axis=1), len(grid) - 1)]
    return low, high
