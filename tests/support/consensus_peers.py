"""Other ways to make one answer of several: peers to measure against, written plainly from their descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from active_learning import Taxonomy


def majority(nodes: Sequence[str]) -> str | None:
    """What more than half of the votes say, and at least two."""
    if not nodes:
        return None
    node, count = min(Counter(nodes).items(), key=lambda row: (-row[1], row[0]))
    return node if count >= 2 and 2 * count > len(nodes) else None


def community_taxon(nodes: Sequence[str], taxonomy: Taxonomy, disagreed: Sequence[tuple[str, str]] = ()) -> str | None:
    """iNaturalist's community taxon: the deepest node with c >= 2 and c / (c + d + a) > 2/3.

    Of the votes, c name the node or one within it, d one that is neither above nor below. `disagreed` are explicit
    disagreements as (kept, doubted): "it is `kept`, and I doubt `doubted`", which lies within it; each counts (a)
    against all below `kept` down to `doubted` and within. Source: app/models/observation.rb there.
    """
    lines = [taxonomy.lineage(node) for node in nodes]
    found: list[tuple[int, str]] = []
    for node in {above for line in lines for above in line}:
        own = set(taxonomy.lineage(node))
        agree = sum(node in line for line in lines)
        differ = sum(node not in line and line[0] not in own for line in lines)
        doubts = sum(
            taxonomy.is_ancestor(kept, node) and (doubted in own or node in taxonomy.lineage(doubted))
            for kept, doubted in disagreed
        )
        if agree >= 2 and 3 * agree > 2 * (agree + differ + doubts):
            found.append((len(own), node))
    return max(found)[1] if found else None


def dawid_skene(
    rows: NDArray[np.int64], n_figures: int, n_people: int, k: int, rounds: int = 50
) -> NDArray[np.float64]:
    """Probabilities (n_figures, k) from votes as rows of figure, person, class: a full table of errors a person.

    Source: Dawid and Skene 1979, started from the shares of votes; one hundredth of a vote smooths each table.
    """
    figure, person, label = rows.T
    belief = np.full((n_figures, k), 1e-9)
    np.add.at(belief, (figure, label), 1.0)
    belief /= belief.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        errors = np.full((n_people, k, k), 0.01)  # person, said, true
        np.add.at(errors, (person, label), belief[figure])
        errors = np.log(errors / errors.sum(axis=1, keepdims=True))
        weight = np.tile(np.log(belief.mean(axis=0) + 1e-12), (n_figures, 1))
        np.add.at(weight, figure, errors[person, label])
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        before, belief = belief, weight / weight.sum(axis=1, keepdims=True)
        if np.abs(before - belief).max() < 1e-4:
            break
    return belief
