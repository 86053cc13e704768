"""The tree as a crowd's votes are weighed on it: who lies inside whom, and how an error spreads with distance.

Nodes are numbered in preorder, so a taxon and all beneath it are one run of numbers, and being inside is two
comparisons. Node 0 is everything: above all roots. Each node counts one for itself (an organism that belongs there
and to nothing listed beneath), so a node's size is the length of its run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.taxonomy import Taxonomy

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

EVERYTHING = ""
NEAR_RANKS = ("genus", "family", "order")
CLOSEST = np.array([1 / 3, 1 / 9, 1 / 27, 0.0])
"""The least share of a band's errors that any one taxon in it is taken to draw: most errors go to a few that look
alike, and until votes tell which, each may be one of them."""
BANDS = len(NEAR_RANKS) + 1
"""How far an error goes: inside the genus, the family, the order, or beyond."""


@dataclass(frozen=True)
class CrowdTree:
    """The taxa in play and all above them, numbered in preorder."""

    ids: tuple[str, ...]
    number: dict[str, int]
    parent: Ints  # (n,), -1 for everything
    depth: Ints  # (n,)
    end: Ints  # (n,) one past the last node inside
    tops: Ints  # (n, 5): the node itself, its genus, family and order (or what is nearest below), everything
    room: Ints  # (n, 4): how many nodes each band adds
    held: Floats  # (n, 4): share of the errors of each band that stay inside the node

    @property
    def size(self) -> Ints:
        """(n,) How many nodes lie inside each, itself included."""
        return np.asarray(self.end - np.arange(len(self.end)))

    def spread(self, shares: Floats) -> tuple[Floats, Floats, Floats]:
        """What becomes of an error when a node is named, given how errors share out over the bands (4,).

        First (n,): the chance that it stays inside the node, so that the vote is right all the same. Then (n, 4): how
        it leaves, over the bands. Then (n, 4): the chance that just this node is named for an organism of the band.
        A band without nodes leaves its share to the others.
        """
        inside = (self.held * shares).sum(axis=1)
        leaves = np.where(self.room > 0, (1.0 - self.held) * shares, 0.0)
        total = inside + leaves.sum(axis=1)
        inside, leaves = inside / total, leaves / total[:, None]
        each = np.minimum(leaves * np.maximum(self.size[:, None] / np.maximum(self.room, 1), CLOSEST), 1.0)
        return inside, leaves, each

    def band(self, named: Ints, true: Ints) -> Ints:
        """How far off naming one node is when another is true, pair by pair: 0 if right, else 1 to 4."""
        band = np.full(len(named), BANDS, dtype=np.int64)
        for level in range(BANDS - 1, -1, -1):
            top = self.tops[named, level]
            band[(true >= top) & (true < self.end[top])] = level
        return band


def grow(taxonomy: Taxonomy, taxa: Iterable[str]) -> CrowdTree:
    """The tree of these taxa and all above them. Ids that the taxonomy does not know are roots of their own."""
    above: dict[str, str] = {}
    for taxon in sorted(set(taxa)):
        line = taxonomy.lineage(taxon)
        if EVERYTHING in line:
            raise ValueError("a taxon needs an id that is not empty")
        above.update(zip(line, (*line[1:], EVERYTHING), strict=True))
    children: dict[str, list[str]] = {}
    for node in sorted(above, reverse=True):
        children.setdefault(above[node], []).append(node)
    ids, parent, depth, ends = _number(children)
    number = {node: place for place, node in enumerate(ids)}
    tops = _tops(ids, parent, number, taxonomy)
    size = ends - np.arange(len(ids))
    room = np.diff(size[tops], axis=1)
    return CrowdTree(tuple(ids), number, parent, depth, ends, tops, room, _held(size, tops, room))


def _number(children: dict[str, list[str]]) -> tuple[list[str], Ints, Ints, Ints]:
    """Preorder without recursion: ids, parents, depths, and one past the end of each run."""
    ids: list[str] = []
    parent: list[int] = []
    depth: list[int] = []
    waiting = [(EVERYTHING, -1)]
    while waiting:
        node, over = waiting.pop()
        place = len(ids)
        ids.append(node)
        parent.append(over)
        depth.append(0 if over < 0 else depth[over] + 1)
        waiting.extend((child, place) for child in children.get(node, ()))
    ends = np.arange(1, len(ids) + 1)
    for place in range(len(ids) - 1, 0, -1):
        ends[parent[place]] = max(ends[parent[place]], ends[place])
    return ids, np.array(parent, dtype=np.int64), np.array(depth, dtype=np.int64), ends


def _tops(ids: list[str], parent: Ints, number: dict[str, int], taxonomy: Taxonomy) -> Ints:
    """(n, 5) The highest node that is as near as each band; where a rank is missing, the one of the band before."""
    tops = np.zeros((len(ids), BANDS + 1), dtype=np.int64)
    tops[:, 0] = np.arange(len(ids))
    for level, rank in enumerate(NEAR_RANKS, start=1):
        for place, node in enumerate(ids[1:], start=1):
            found = taxonomy.at_rank(node, rank)
            # A rank that is out of order in the lineage must not make a nearer band the wider one.
            tops[place, level] = min(tops[place, level - 1], number[found] if found is not None else len(ids))
    return tops


def _held(size: Ints, tops: Ints, room: Ints) -> Floats:
    """(n, 4) Naming a genus forgives all errors inside it, naming a subgenus some of them, naming a species none."""
    held = np.zeros(room.shape)
    covered = size > 1
    for level in range(BANDS):
        empty = room[:, level] == 0
        held[covered & empty, level] = 1.0
        first = covered & ~empty
        held[first, level] = (size[first] - 1) / (size[tops[first, level + 1]] - 1)
        covered = covered & empty
    return held
