"""Which backbone suits a campaign: few-label accuracy of each on the campaign's own verified figures.

Every backbone gets the same draws, so that differences are paired. It compares vectors that it is given; it embeds
nothing, reads no file and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.comparable import sources_in_turn, well_sourced, what_is_missing
from active_learning.heads import fit_head
from active_learning.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SHOTS = (1, 2, 5)
ROUNDS = 20
MARGIN = 0.005
"""A gain in mean balanced accuracy that is not worth embedding a whole campaign again."""
CHEAPER = 0.8
"""A backbone that takes less than this share of another's time, or has so much shorter vectors, is cheaper."""
BOOTSTRAPS = 1000
RANKS = ("species", "genus", "family")


@dataclass(frozen=True)
class Comparison:
    """Which backbone to take, why as a sentence, and the figures behind it.

    `results` holds one plain-JSON row a backbone, best first: `name`, `dim`, `seconds` an image (None where unknown),
    `mean` balanced accuracy over the numbers of labels with its 95 % interval `low` to `high`, `by_labels` (rows of
    `labels`, `accuracy`, `low`, `high`), `by_rank` (balanced accuracy, as the labels are `named` and at the ranks that
    several of them have), and `gain` over the chosen one (`mean`, `low`, `high`). Without a comparison it is empty.
    """

    chosen: str
    is_change: bool
    why: str
    results: tuple[dict[str, Any], ...] = ()
    n_figures: int = 0
    n_classes: int = 0
    n_groups: int = 0


@dataclass(frozen=True, eq=False)
class _Draw:
    """One round at one number of labels: positions to learn from, and those of other sources to measure on."""

    learned: NDArray[np.int64]
    tested: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Scores:
    """Hits (rounds, n) of one backbone at one number of labels: 1 right, 0 wrong, on what the round tested."""

    hits: Doubles
    by_rank: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class _Field:
    """What all backbones are measured on: labels with their codes, sources, the tree, and the draws by labels a class.

    `in_class` (n, k) and `in_group` (n, g) are 0/1.
    """

    y: NDArray[np.str_]
    taxonomy: Taxonomy
    in_class: Doubles
    in_group: Doubles
    draws: Mapping[int, tuple[_Draw, ...]]

    def tested(self, shots: int) -> Doubles:
        """(rounds, n): 1 where the round measured the figure."""
        marks = np.zeros((len(self.draws[shots]), len(self.y)))
        for row, draw in enumerate(self.draws[shots]):
            marks[row, draw.tested] = 1.0
        return marks


def compare_backbones(
    vectors: Mapping[str, Floats],
    y: Sequence[str],
    groups: Sequence[str],
    taxonomy: Taxonomy,
    *,
    present: str = "",
    seconds: Mapping[str, float] | None = None,
    shots: Sequence[int] = SHOTS,
    rounds: int = ROUNDS,
    seed: int = 0,
    joins: bool = True,
) -> Comparison:
    """The backbone to take for figures with labels `y` (n,) from sources `groups` (n,).

    `vectors` holds an array (n, d) of unit vectors for each backbone's name, all of the same figures in the same
    order. In each round up to the largest number of `shots` is drawn a class, one figure a source as long as there are
    sources, and measured on all other sources. With `joins` the best two are tried side by side too, as
    `JoinedBackbone` joins them. `seconds` is what each costs an image; where it is not given, longer vectors cost more.

    Beginning with the `present` one (the cheapest, where there is none), a backbone that is cheaper by `CHEAPER` is
    taken if it is better by more than `MARGIN`; any other only if the 95 % interval of its gain (drawn anew over
    rounds and sources) lies above `MARGIN`. With fewer than `LEAST_CLASSES` taxa of `LEAST_SOURCES` sources the
    present one is kept, and `why` says what is missing. The same input gives the same answer.

    Raises ValueError for no vectors, or vectors, labels and sources of different lengths.
    """
    _check(vectors, y, groups)
    known_seconds = dict(seconds or {})
    start = present if present in vectors else min(vectors, key=lambda name: _cost(name, vectors, known_seconds))
    kept = present or start
    if missing := what_is_missing(y, groups):
        return Comparison(kept, False, f"{kept} is kept: {missing}")
    field = _field(y, groups, taxonomy, shots, rounds, seed)
    scores = {name: _measure(x, field) for name, x in vectors.items()}
    tried = dict(vectors)
    single = {name: x for name, x in vectors.items() if "+" not in name}
    if joins and len(single) > 1:
        name, joined = _joined(single, scores, field)
        tried[name], scores[name] = joined, _measure(joined, field)
        if all(part in known_seconds for part in name.split("+")):
            known_seconds[name] = sum(known_seconds[part] for part in name.split("+"))
    boot = _Bootstrap(field, seed)
    chosen = _choose(start, scores, {name: _cost(name, tried, known_seconds) for name in tried}, boot)
    rows = [_row(name, tried[name], known_seconds.get(name), scores, chosen, boot) for name in tried]
    rows.sort(key=lambda row: (-row["mean"], row["name"]))
    measured = int(np.any([field.tested(s).any(axis=0) for s in field.draws], axis=0).sum())
    is_change = chosen != kept
    return Comparison(
        chosen, is_change, _why(chosen, present, rows), tuple(rows), measured, field.in_class.shape[1], len(set(groups))
    )


def _check(vectors: Mapping[str, Floats], y: Sequence[str], groups: Sequence[str]) -> None:
    if not vectors:
        raise ValueError("there is no backbone to compare")
    if len(groups) != len(y):
        raise ValueError(f"{len(y)} labels for {len(groups)} sources")
    for name, x in vectors.items():
        if x.ndim != 2 or len(x) != len(y):
            raise ValueError(f"{len(y)} labels for vectors {x.shape} of {name}")


def _cost(name: str, vectors: Mapping[str, Floats], seconds: Mapping[str, float]) -> tuple[float, int, str]:
    return (seconds.get(name, 0.0), vectors[name].shape[1], name)


def _field(
    y: Sequence[str], groups: Sequence[str], taxonomy: Taxonomy, shots: Sequence[int], rounds: int, seed: int
) -> _Field:
    labels = np.array([str(label) for label in y])
    classes, code = np.unique(labels, return_inverse=True)
    names, group = np.unique(np.array([str(one) for one in groups]), return_inverse=True)
    compared = set(well_sourced(y, groups, 2))  # of one source alone nothing can be both learned and measured
    drawn = [_one_round(labels, groups, compared, shots, np.random.default_rng((seed, i))) for i in range(rounds)]
    draws = {s: tuple(one[s] for one in drawn if s in one) for s in shots}
    in_class = np.eye(len(classes))[code][:, [label in compared for label in classes.tolist()]]
    return _Field(labels, taxonomy, in_class, np.eye(len(names))[group], {s: d for s, d in draws.items() if d})


def _one_round(
    y: NDArray[np.str_], groups: Sequence[str], compared: set[str], shots: Sequence[int], rng: np.random.Generator
) -> dict[int, _Draw]:
    """What is learned from and measured on at each number of labels; fewer labels are a part of more labels.

    First each class lays one source aside that nobody learns from. A class takes part at a number of labels if it
    has so many figures in other sources.
    """
    rows_of = {label: np.flatnonzero(y == label).tolist() for label in sorted(compared)}
    aside: set[str] = set()
    for label in sorted(rows_of, key=lambda one: (len({groups[row] for row in rows_of[one]}), one)):
        own = sorted({groups[row] for row in rows_of[label]})
        if not aside.intersection(own):
            aside.add(own[int(rng.integers(len(own)))])
    turn = {
        label: sources_in_turn([row for row in rows if groups[row] not in aside], groups, rng)
        for label, rows in rows_of.items()
    }
    found = {}
    for s in shots:
        taking_part = [label for label, rows in turn.items() if len(rows) >= s]
        if len(taking_part) < 2:
            continue
        learned = [row for label in taking_part for row in turn[label][:s]]
        touched = {groups[row] for row in learned}
        tested = [row for label in taking_part for row in rows_of[label] if groups[row] not in touched]
        found[s] = _Draw(np.array(learned, dtype=np.int64), np.array(sorted(tested), dtype=np.int64))
    return found


def _measure(x: Floats, field: _Field) -> dict[int, _Scores]:
    """How one backbone's head does in each draw, by labels a class."""
    found = {}
    for shots, draws in field.draws.items():
        hits = np.zeros((len(draws), len(field.y)))
        by_rank: dict[str, list[float]] = defaultdict(list)
        for row, draw in enumerate(draws):
            head = fit_head(x[draw.learned], field.y[draw.learned])
            truth = field.y[draw.tested]
            said = np.array(head.classes_)[head.decision(x[draw.tested]).argmax(axis=1)]
            hits[row, draw.tested] = said == truth
            for rank, share in _at_ranks(said, truth, field.taxonomy).items():
                by_rank[rank].append(share)
        found[shots] = _Scores(hits, {rank: float(np.mean(shares)) for rank, shares in by_rank.items()})
    return found


def _at_ranks(said: NDArray[np.str_], truth: NDArray[np.str_], taxonomy: Taxonomy) -> dict[str, float]:
    """Balanced accuracy at each rank of which the truth has several taxa: does what was said lie in the right one?"""
    shares = {}
    for rank in RANKS:
        hits: dict[str, list[bool]] = defaultdict(list)
        for one, other in zip(said.tolist(), truth.tolist(), strict=True):
            if (node := taxonomy.at_rank(other, rank)) is not None:
                hits[node].append(taxonomy.at_rank(one, rank) == node)
        if len(hits) > 1:
            shares[rank] = float(np.mean([np.mean(marks) for marks in hits.values()]))
    return shares


def _joined(
    vectors: Mapping[str, Floats], scores: Mapping[str, dict[int, _Scores]], field: _Field
) -> tuple[str, Floats]:
    """The best two side by side, with equal weight and of length 1, under the name that `JoinedBackbone` gives."""
    ones = _Weights(np.ones((1, field.in_class.shape[0])), None)
    hits = {name: {s: one.hits for s, one in scores[name].items()} for name in vectors}
    plain = {name: float(_mean_accuracy(hits[name], field, ones)[0]) for name in vectors}
    best = sorted(sorted(vectors, key=lambda name: (-plain[name], name))[:2])
    joined = np.concatenate([vectors[name] for name in best], axis=1) / np.float32(np.sqrt(2.0))
    return "+".join(best), np.asarray(joined, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Weights:
    """How often each figure (draws, n) and each round (draws, rounds) counts; None: every round once."""

    figures: Doubles
    rounds: Mapping[int, Doubles] | None


def _class_sums(marks: Doubles, shots: int, field: _Field, weights: _Weights) -> Doubles:
    """(draws, k): the marks (rounds, n) summed over rounds and over the figures of each class."""
    of_rounds = marks.sum(axis=0)[None, :] if weights.rounds is None else weights.rounds[shots] @ marks
    return np.asarray((of_rounds * weights.figures) @ field.in_class)


def _accuracy(marks: Doubles, shots: int, field: _Field, weights: _Weights) -> Doubles:
    """(draws,): the marks' mean over the figures of a class, then over the classes that were measured."""
    seen = _class_sums(field.tested(shots), shots, field, weights)
    total = _class_sums(marks, shots, field, weights)
    share = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    return np.asarray(share.sum(axis=1) / np.maximum((seen > 0).sum(axis=1), 1))


def _mean_accuracy(hits: Mapping[int, Doubles], field: _Field, weights: _Weights) -> Doubles:
    return np.asarray(np.mean([_accuracy(marks, s, field, weights) for s, marks in hits.items()], axis=0))


class _Bootstrap:
    """Intervals over rounds and sources, with the same draws for everything that is asked."""

    def __init__(self, field: _Field, seed: int) -> None:
        rng = np.random.default_rng((seed, 1))
        n, n_groups = field.in_group.shape
        times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), BOOTSTRAPS).astype(np.float64)
        rounds = {
            s: rng.multinomial(len(d), np.full(len(d), 1 / len(d)), BOOTSTRAPS).astype(np.float64)
            for s, d in field.draws.items()
        }
        self._field = field
        self._drawn = _Weights(times @ field.in_group.T, rounds)
        self._once = _Weights(np.ones((1, n)), None)

    def of(self, scores: Mapping[int, _Scores], minus: Mapping[int, _Scores] | None = None) -> dict[str, float]:
        """The mean balanced accuracy over the numbers of labels, or its gain over `minus`, with a 95 % interval."""
        values = {s: one.hits - (minus[s].hits if minus else 0.0) for s, one in scores.items()}
        plain = _mean_accuracy(values, self._field, self._once)[0]
        low, high = np.percentile(_mean_accuracy(values, self._field, self._drawn), (2.5, 97.5))
        return {"mean": float(plain), "low": float(low), "high": float(high)}


def _choose(
    start: str,
    scores: Mapping[str, dict[int, _Scores]],
    costs: Mapping[str, tuple[float, int, str]],
    boot: _Bootstrap,
) -> str:
    """The cheapest that no other clearly beats, beginning with `start`."""
    chosen = start
    for name in sorted(costs, key=lambda one: costs[one]):
        gain = boot.of(scores[name], scores[chosen])
        worth = gain["mean"] if _is_cheaper(costs[name], costs[chosen]) else gain["low"]
        if name != chosen and worth > MARGIN:
            chosen = name
    return chosen


def _is_cheaper(one: tuple[float, int, str], other: tuple[float, int, str]) -> bool:
    if one[0] and other[0]:
        return one[0] < CHEAPER * other[0]
    return one[1] < CHEAPER * other[1]


def _row(
    name: str,
    x: Floats,
    seconds: float | None,
    scores: Mapping[str, dict[int, _Scores]],
    chosen: str,
    boot: _Bootstrap,
) -> dict[str, Any]:
    own = scores[name]
    by_labels = []
    for shots, one in own.items():
        told = boot.of({shots: one})
        by_labels.append({"labels": shots, "accuracy": told["mean"], "low": told["low"], "high": told["high"]})
    overall = boot.of(own)
    ranks = {rank for one in own.values() for rank in one.by_rank}
    by_rank = {
        rank: float(np.mean([one.by_rank[rank] for one in own.values() if rank in one.by_rank])) for rank in ranks
    }
    return {
        "name": name,
        "dim": int(x.shape[1]),
        "seconds": seconds,
        **overall,
        "by_labels": by_labels,
        "by_rank": {"named": overall["mean"], **{rank: by_rank[rank] for rank in RANKS if rank in by_rank}},
        "gain": boot.of(own, scores[chosen]),
        "chosen": name == chosen,
    }


def _why(chosen: str, present: str, rows: Sequence[Mapping[str, Any]]) -> str:
    by_name = {row["name"]: row for row in rows}
    shots = [one["labels"] for one in rows[0]["by_labels"]]
    labels = " and ".join(filter(None, [", ".join(map(str, shots[:-1])), str(shots[-1])]))
    with_labels = f"with {labels} {'label' if shots == [1] else 'labels'} a taxon"
    mine = f"{by_name[chosen]['mean']:.1%}"
    if len(rows) == 1:
        return f"{chosen} is the only one at hand: right {mine} of the time {with_labels}."
    if chosen != present and present in by_name:
        gain = by_name[present]["gain"]
        return (
            f"{chosen} is taken: right {mine} of the time {with_labels}, {present} {by_name[present]['mean']:.1%} "
            f"(a gain of {-gain['mean']:.1%}, between {-gain['high']:.1%} and {-gain['low']:.1%})."
        )
    verb = "is kept" if chosen == present else "is taken"
    best = rows[0]
    if best["name"] == chosen:
        return f"{chosen} {verb}: right {mine} of the time {with_labels}, more than any other."
    return (
        f"{chosen} {verb}: right {mine} of the time {with_labels}. {best['name']} is right {best['mean']:.1%} of the "
        f"time, but that is not certain to be worth more (between {best['gain']['low']:+.1%} and "
        f"{best['gain']['high']:+.1%}) and changing has its cost."
    )
