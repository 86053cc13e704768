"""Votes as arrays: for each figure the few nodes that can be true, and for each vote how far off each would make it.

A figure's cells are the nodes that somebody or the model named, and all above them. A cell stands for what is inside
its node and inside no other listed one, so cells part the tree exactly and stay few however many taxa there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from active_learning.crowd_tree import CrowdTree, Floats, Ints

NOT_IN_MODEL = 0.05
"""Chance that a figure shows nothing that the model knows, spread evenly over everything."""


@dataclass(frozen=True)
class Vote:
    """One person's standing answer on a figure: a taxon of any rank, or another answer as an id outside the tree.

    `shown` is what the model had suggested on the screen, the likeliest first; nothing if the vote was blind. Whoever
    cannot tell gives no vote.
    """

    figure: int
    person: int
    node: str
    shown: tuple[str, ...] = ()
    is_specialist: bool = False


@dataclass(frozen=True)
class Ballots:
    """All votes of some figures as arrays; v votes, c cells, e entries (a vote and a cell of its figure)."""

    figures: tuple[int, ...]
    votes: tuple[Vote, ...]  # sorted by figure, then person
    vote_figure: Ints  # (v,)
    vote_node: Ints  # (v,)
    saw: NDArray[np.bool_]  # (v,) a suggestion was on the screen
    repeats: NDArray[np.bool_]  # (v,) and the vote says the same, or a taxon above it
    cell_figure: Ints  # (c,) rising
    cell_node: Ints  # (c,) rising within a figure
    cell_parent: Ints  # (c,) -1 for everything
    cell_size: Ints  # (c,) nodes in the cell
    first_cell: Ints  # (f,)
    prior: Floats  # (c,) from the model, or by size; sums to 1 over a figure
    allowed: NDArray[np.bool_]  # (c,) not ruled out by a known truth
    entry_vote: Ints
    entry_cell: Ints
    band: Ints  # (e,) 0 where the vote would be right
    guessed: NDArray[np.bool_]  # (e,) whether the model has an opinion on the figure
    lure: Floats  # (e,) if the cell were true, the model's probability of what was named among all that is wrong
    pair: Ints  # (e,) which confusion it would be, -1 if right or if the cell is no single taxon
    pair_true: Ints  # (p,) nodes
    pair_named: Ints  # (p,)


def standing(votes: Sequence[Vote]) -> tuple[Vote, ...]:
    """The votes in an order of their own, so that sums are the same whatever order they came in.

    Raises ValueError if a person has two votes on one figure.
    """
    ordered = tuple(sorted(votes, key=lambda vote: (vote.figure, vote.person)))
    for one, other in pairwise(ordered):
        if (one.figure, one.person) == (other.figure, other.person):
            raise ValueError(f"person {one.person} has two votes on figure {one.figure}; only the standing one counts")
    return ordered


def collect(
    votes: tuple[Vote, ...],
    tree: CrowdTree,
    priors: Mapping[int, Mapping[str, float]],
    truths: Mapping[int, str],
) -> Ballots:
    """The arrays of these votes (from `standing`); figures without a vote are left out."""
    figures = tuple(sorted({vote.figure for vote in votes}))
    place = {figure: row for row, figure in enumerate(figures)}
    vote_figure = np.array([place[vote.figure] for vote in votes], dtype=np.int64)
    vote_node = np.array([tree.number[vote.node] for vote in votes], dtype=np.int64)
    guess_figure, guess_node, guess = _guesses(figures, tree, priors)
    true_figure = np.array([place[f] for f in truths if f in place], dtype=np.int64)
    true_node = np.array([tree.number[node] for f, node in truths.items() if f in place], dtype=np.int64)
    cell_figure, cell_node, cell_parent = _cells(
        tree,
        np.concatenate([vote_figure, guess_figure, true_figure]),
        np.concatenate([vote_node, guess_node, true_node]),
    )
    inner = cell_parent[cell_parent >= 0]
    taken = np.bincount(inner, tree.size[cell_node[cell_parent >= 0]], minlength=len(cell_node))
    cell_size = tree.size[cell_node] - taken.astype(np.int64)
    first_cell = np.searchsorted(cell_figure, np.arange(len(figures)))
    truth = np.zeros(len(figures), dtype=np.int64)
    truth[true_figure] = true_node
    inside = truth[cell_figure]
    entry_vote, entry_cell = _entries(vote_figure, cell_figure, first_cell)
    band = tree.band(vote_node[entry_vote], cell_node[entry_cell])
    pair, pair_true, pair_named = _pairs(tree, band, cell_node[entry_cell], vote_node[entry_vote])
    saw = np.array([bool(vote.shown) for vote in votes], dtype=bool)
    ballots = Ballots(
        figures, votes, vote_figure, vote_node, saw, _repeats(votes, tree),
        cell_figure, cell_node, cell_parent, cell_size, first_cell,
        np.zeros(len(cell_node)), (cell_node >= inside) & (cell_node < tree.end[inside]),
        entry_vote, entry_cell, band, np.isin(vote_figure, guess_figure)[entry_vote], np.zeros(len(band)),
        pair, pair_true, pair_named,
    )  # fmt: skip
    _lay_prior(ballots, tree, guess_figure, guess_node, guess)
    return ballots


def _guesses(
    figures: tuple[int, ...], tree: CrowdTree, priors: Mapping[int, Mapping[str, float]]
) -> tuple[Ints, Ints, Floats]:
    """The model's probabilities as rows of figure, node and probability."""
    rows, nodes, values = [], [], []
    for row, figure in enumerate(figures):
        guess = priors.get(figure, {})
        total = sum(guess.values())
        if not (total <= 1.0 + 1e-6 and all(value >= 0 for value in guess.values())):
            raise ValueError(f"the probabilities of figure {figure} are negative, not numbers, or above 1 together")
        for node in sorted(guess):
            rows.append(row)
            nodes.append(tree.number[node])
            values.append(guess[node] / max(total, 1.0))
    return np.array(rows, dtype=np.int64), np.array(nodes, dtype=np.int64), np.array(values, dtype=np.float64)


def _cells(tree: CrowdTree, figure: Ints, node: Ints) -> tuple[Ints, Ints, Ints]:
    """Each named node and all above it, once a figure, with the cell of its parent."""
    n = len(tree.ids)
    keys = []
    while len(node):
        keys.append(np.unique(figure * n + node))
        figure, node = np.divmod(keys[-1], n)
        above = tree.parent[node]
        figure, node = figure[above >= 0], above[above >= 0]
    key = np.unique(np.concatenate(keys)) if keys else np.zeros(0, dtype=np.int64)
    figure, node = np.divmod(key, n)
    above = tree.parent[node]
    parent = np.where(above >= 0, np.searchsorted(key, figure * n + np.maximum(above, 0)), -1)
    return figure, node, parent


def _entries(vote_figure: Ints, cell_figure: Ints, first_cell: Ints) -> tuple[Ints, Ints]:
    """Each vote beside each cell of its figure."""
    count = np.bincount(cell_figure, minlength=len(first_cell))[vote_figure]
    vote = np.repeat(np.arange(len(vote_figure)), count)
    within = np.arange(len(vote)) - np.repeat(np.cumsum(count) - count, count)
    return vote, first_cell[vote_figure[vote]] + within


def _pairs(tree: CrowdTree, band: Ints, true: Ints, named: Ints) -> tuple[Ints, Ints, Ints]:
    """Number the confusions of a single taxon with what was named."""
    n = len(tree.ids)
    wrong = (band > 0) & (tree.end[true] == true + 1)
    keys, index = np.unique(true[wrong] * n + named[wrong], return_inverse=True)
    pair = np.full(len(band), -1, dtype=np.int64)
    pair[wrong] = index
    pair_true, pair_named = np.divmod(keys, n)
    return pair, pair_true, pair_named


def _repeats(votes: tuple[Vote, ...], tree: CrowdTree) -> NDArray[np.bool_]:
    """Whether each vote names a taxon that was on the screen, or one above it."""
    repeats = np.zeros(len(votes), dtype=bool)
    for row, vote in enumerate(votes):
        named = tree.number[vote.node]
        repeats[row] = any(named <= tree.number[node] < tree.end[named] for node in vote.shown)
    return repeats


def _lay_prior(ballots: Ballots, tree: CrowdTree, figure: Ints, node: Ints, guess: Floats) -> None:
    """Spread each guess evenly over all that its node holds, and what is left over everything."""
    density = np.zeros(len(ballots.cell_node))
    known = np.bincount(figure, guess, minlength=len(ballots.figures))
    density[ballots.first_cell] = (1.0 - (1.0 - NOT_IN_MODEL) * known) / tree.size[0]
    n = len(tree.ids)
    cell = np.searchsorted(ballots.cell_figure * n + ballots.cell_node, figure * n + node)
    density += np.bincount(cell, (1.0 - NOT_IN_MODEL) * guess / tree.size[node], minlength=len(density))
    for level in levels(ballots, tree)[1:]:
        density[level] += density[ballots.cell_parent[level]]
    ballots.prior[:] = density * ballots.cell_size
    named = np.searchsorted(ballots.cell_figure * n + ballots.cell_node, ballots.vote_figure * n + ballots.vote_node)[
        ballots.entry_vote
    ]
    wrong = 1.0 - ballots.prior[ballots.entry_cell]
    among = sums(ballots, tree, ballots.prior)[named] / np.maximum(wrong, 1e-12)
    ballots.lure[:] = np.where(ballots.band > 0, np.minimum(among, 1.0), 0.0)


def sums(ballots: Ballots, tree: CrowdTree, belief: Floats) -> Floats:
    """(c,) The probability of each cell's node with all within it."""
    total = belief.copy()
    for level in levels(ballots, tree)[:0:-1]:
        np.add.at(total, ballots.cell_parent[level], total[level])
    return np.minimum(total, 1.0)


def levels(ballots: Ballots, tree: CrowdTree) -> list[Ints]:
    """The cells by depth, the top first."""
    depth = tree.depth[ballots.cell_node]
    order = np.argsort(depth, kind="stable")
    cuts = np.searchsorted(depth[order], np.arange(1, depth.max(initial=0) + 1))
    return [np.asarray(part) for part in np.split(order, cuts)]
