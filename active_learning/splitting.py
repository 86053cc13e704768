"""Who is held out, and who shares a fold: always by group, so that two scans of a plate never meet as strangers.

Nothing here looks at the model or at the clock; a split depends on the groups and the seed alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import NotEnoughDataError


def place_of(group: str, seed: int) -> float:
    """A number in [0, 1) that belongs to this group and seed for ever."""
    digest = hashlib.sha256(f"{seed}\x1f{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def in_holdout(group: str, fraction: float, seed: int) -> bool:
    """Whether the group belongs to the frozen holdout of about this fraction (0 to 1) of all groups.

    Decided by a hash of group and seed only: adding data never moves an old group, and a larger fraction keeps
    the groups of a smaller one.
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")
    return place_of(group, seed) < fraction


def grouped_folds(groups: Sequence[str], k: int, seed: int, y: Sequence[str] | None = None) -> NDArray[np.int64]:
    """The fold (n,) int64 from 0 to k-1 of each item; items of one group share theirs.

    Groups are dealt largest first to the fold that holds least of their classes (`y`, where given), then least of
    anything, so that each fold sees each class where that is possible. No fold stays empty.

    Raises NotEnoughDataError if there are fewer groups than folds, ValueError for k < 2.
    """
    if k < 2:
        raise ValueError(f"k must be at least 2, not {k}")
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    if len(members) < k:
        raise NotEnoughDataError(f"{k} folds need at least {k} different sources; there are {len(members)}.")
    labels = list(y) if y is not None else [""] * len(groups)
    total = Counter(labels)
    held: list[Counter[str]] = [Counter() for _ in range(k)]
    folds = np.zeros(len(groups), dtype=np.int64)
    for group in sorted(members, key=lambda name: (-len(members[name]), place_of(name, seed), name)):
        own = Counter(labels[index] for index in members[group])
        fold = min(range(k), key=lambda f: (_crowding(held[f], own, total), held[f].total(), f))
        held[fold].update(own)
        folds[members[group]] = fold
    _fill_empty_folds(folds, members, k)
    return folds


def _crowding(held: Counter[str], own: Counter[str], total: Counter[str]) -> float:
    return sum(held[label] * count / total[label] for label, count in own.items())


def _fill_empty_folds(folds: NDArray[np.int64], members: dict[str, list[int]], k: int) -> None:
    """Give each empty fold one group of the fold with most groups; there are at least k groups."""
    fold_of = {group: int(folds[indices[0]]) for group, indices in members.items()}
    for fold in range(k):
        if fold in fold_of.values():
            continue
        fullest = Counter(fold_of.values()).most_common(1)[0][0]
        moved = min(group for group, where in fold_of.items() if where == fullest)
        fold_of[moved] = fold
        folds[members[moved]] = fold
