"""On which of a campaign's verified figures backbones can be compared: with sources enough, and unseen by all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST_CLASSES, LEAST_SOURCES = 5, 4
"""A comparison needs this many taxa with verified figures from this many sources each."""


@dataclass(frozen=True)
class Unseen:
    """What backbones can be compared on if some of them were tuned on sources at hand."""

    rows: tuple[int, ...]
    """Positions, in ascending order, of the figures of sources that none of the compared backbones was tuned on."""
    refused: Mapping[str, str]
    """Tuned backbones that cannot be compared, as they have seen too much, and why."""
    missing: str
    """Why nothing can be compared, to stand in the second half of a sentence; empty where there is enough."""


def well_sourced(y: Sequence[str], groups: Sequence[str], least: int = LEAST_SOURCES) -> tuple[str, ...]:
    """The classes, sorted, that have figures from at least so many sources."""
    sources: dict[str, set[str]] = defaultdict(set)
    for label, group in zip(y, groups, strict=True):
        sources[label].add(group)
    return tuple(sorted(label for label, found in sources.items() if len(found) >= least))


def what_is_missing(y: Sequence[str], groups: Sequence[str]) -> str:
    """What is missing for a comparison, to stand in the second half of a sentence; empty where there is enough."""
    n = len(well_sourced(y, groups))
    if n >= LEAST_CLASSES:
        return ""
    have = {0: "no taxon has", 1: "one taxon has"}.get(n, f"{n} taxa have")
    return (
        f"{have} verified figures from {LEAST_SOURCES} or more sources so far; "
        f"a comparison needs {LEAST_CLASSES} such taxa."
    )


def unseen_by_all(
    y: Sequence[str], groups: Sequence[str], seen: Mapping[str, Collection[str]], present: str = ""
) -> Unseen:
    """What to compare backbones on, of which those named in `seen` were tuned on these sources.

    A network knows the figures that it was tuned on, so all are measured on the same figures of other sources. Where
    that would leave too little (`what_is_missing`), a tuned network is refused, and not measured on less nor on what
    it knows; those that have seen least are taken first. The `present` one is what all others are compared with: if
    it has seen too much itself, nothing is compared.
    """
    left, compared, refused = set(groups), list[str](), dict[str, str]()
    for name in sorted(seen, key=lambda one: (one != present, len(left.intersection(seen[one])), one)):
        less = left.difference(seen[name])
        rows = [row for row, group in enumerate(groups) if group in less]
        lacking = what_is_missing([y[row] for row in rows], [groups[row] for row in rows]) if less != left else ""
        without = f"the figures that {' or '.join([name, *compared])} was tuned on, {lacking}"
        if lacking and name == present:
            return Unseen(tuple(rows), refused, f"without {without}")
        if lacking:
            refused[name] = f"Without {without}"
            continue
        compared += [name] if less != left else []
        left = less
    kept = tuple(row for row, group in enumerate(groups) if group in left)
    return Unseen(kept, refused, what_is_missing([y[row] for row in kept], [groups[row] for row in kept]))


def drawn_classes(y: Sequence[str], groups: Sequence[str], most: int, seed: int) -> frozenset[str]:
    """All classes if they are at most `most`; else so many, drawn from those that a comparison counts.

    Of too many classes a sample would hold too few sources each for any comparison.
    """
    classes = sorted(set(y))
    if len(classes) <= most:
        return frozenset(classes)
    counted = well_sourced(y, groups)
    drawn = np.random.default_rng(seed).permutation(len(counted))[:most]
    return frozenset(counted[place] for place in drawn.tolist())


def sample(y: Sequence[str], groups: Sequence[str], most: int, seed: int) -> list[int]:
    """At most `most` positions, in ascending order: all classes in turn, and within a class all sources in turn."""
    rng = np.random.default_rng(seed)
    queues: dict[str, list[int]] = {}
    for label in sorted(set(y)):
        queues[label] = sources_in_turn([row for row, one in enumerate(y) if one == label], groups, rng)
    chosen: list[int] = []
    while queues and len(chosen) < most:
        for label in list(queues):
            chosen.append(queues[label].pop(0))
            if not queues[label]:
                del queues[label]
    return sorted(chosen[:most])


def sources_in_turn(rows: Sequence[int], groups: Sequence[str], rng: np.random.Generator) -> list[int]:
    """The rows in a drawn order in which each source's first figure comes before any source's second."""
    times: dict[str, int] = defaultdict(int)
    ordered: list[tuple[int, int, int]] = []
    for row in rng.permutation(np.array(rows, dtype=np.int64)).tolist():
        ordered.append((times[groups[row]], len(ordered), row))
        times[groups[row]] += 1
    return [row for _, _, row in sorted(ordered)]
