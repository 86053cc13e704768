"""Which figures to show people next, why, and to whom: a priority, a reason and a route for each.

It ranks; it assigns nothing to anyone and remembers nothing. The same figures with the same seed get the same places,
in whatever order they come in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from active_learning.novelty import KNOWN
from active_learning.ranks import Claim
from active_learning.routing import ANYONE, RankBest, Route, route
from active_learning.strategies import ROWS, SAMPLE, Floats, entropy, herd, k_center, knn_distance, margin, typical

COLD_START, CLOSE_CALL, UNSURE, LIKELY = "cold_start", "close_call", "unsure", "likely"
NOVEL, RANDOM, LOOK_AGAIN = "novel", "random", "look_again"
REASONS = (COLD_START, CLOSE_CALL, UNSURE, LIKELY, NOVEL, RANDOM, LOOK_AGAIN)

UNCERTAIN, UNLIKE, TYPICAL = "uncertain", "unlike", "typical"  # queues; their reasons are other words
BATCH = 20  # the shares below hold among each so many questions
# How many of each batch are of each kind. The random tenth is what later measurements rest on.
SHARES: Mapping[str, int] = MappingProxyType({UNCERTAIN: 14, NOVEL: 3, RANDOM: 2, LOOK_AGAIN: 1})
COLD_SHARES: Mapping[str, int] = MappingProxyType({UNLIKE: 9, TYPICAL: 9, RANDOM: 2})
HEAD = 256  # how many of the next questions are picked with care; later ones come after a retraining
SURE = 0.8  # from here on the first name is likely, and a look confirms it


@dataclass(frozen=True)
class Ask:
    """One figure's place in the queue: priority from 0 (last) to 1 (first), the code of the reason, and whose eye
    suits it best."""

    priority: float
    reason: str
    route: Route = field(default_factory=Route)


@dataclass(frozen=True, eq=False)
class _Pool:
    """What dealing needs to know of n figures. Keys (n,) are by chance and break ties, never the order given."""

    group: NDArray[np.int64]
    answered: NDArray[np.bool_]  # a figure of its group has a label
    cluster: NDArray[np.int64]  # -1: of none
    key: NDArray[np.float64]
    by_chance: list[int]  # one figure of each unanswered group, groups and figures both drawn by chance

    @property
    def open(self) -> NDArray[np.int64]:
        return np.flatnonzero(~self.answered)

    def one_a_group(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first of each group, in the order given."""
        first = np.unique(self.group[order], return_index=True)[1]
        return np.asarray(order[np.sort(first)], dtype=np.int64)


def ask(
    proba: NDArray[np.float64] | None,
    x: Floats,
    seed: int,
    known_x: Floats | None = None,
    look_again: NDArray[np.bool_] | None = None,
    *,
    ids: Sequence[int] | Sequence[str] | None = None,
    groups: Sequence[Hashable] | None = None,
    labelled_groups: Collection[Hashable] = (),
    clusters: Sequence[int | None] | None = None,
    novelty: NDArray[np.float64] | None = None,
    verdicts: Sequence[str] | None = None,
    claims: Sequence[Claim | None] | None = None,
    rolled: Sequence[RankBest] = (),
) -> list[Ask]:
    """A place in the queue for each of n figures with vectors `x` (n, d) of length 1, in the order given.

    `proba` (n, k) are calibrated probabilities of the classes, or None while there is no model: then unlike and typical
    figures take turns. `known_x` (m, d) are the vectors learned from. `look_again` (n,) marks labelled figures that
    deserve a second look. `ids` tell figures apart for ever, so that the order they come in plays no part. Of each of
    the `groups` of near-duplicates one is asked, the others come behind; those in `labelled_groups` come last (without
    groups each figure is one of its own, named by its id). Of each of the `clusters` that look alike at most one is in
    a batch of 20, unless nothing else is left. `novelty` (n,) with `verdicts` as `NoveltyModel` gives them say what is
    novel; without them, it is what lies farther from the known than 95 % of them from each other. `claims` and `rolled`
    are for `route`.

    Among each 20 next questions 14 are where the model is unsure, 3 novel, 2 random and 1 looked at again; a kind that
    has no more leaves its turns to the others. Of the unsure, those come first that also stand for many others, so the
    first labels of all go where most is to be learned and no switch from a cold start is needed. What the random turns
    take is drawn group by group, whatever the model thinks. No two figures share a priority.

    Raises ValueError for shapes that do not fit and for ids that are not different.
    """
    n = len(x)
    lists = {"ids": ids, "groups": groups, "clusters": clusters, "novelty": novelty, "verdicts": verdicts}
    _check(n, proba, look_again, lists)
    if n == 0:
        return []
    pool = _pool(n, seed, ids, groups, labelled_groups, clusters)
    if proba is None or proba.shape[1] < 2:
        order, source = _cold_start(x, seed, known_x, pool)
        reason = [RANDOM if source.get(row) == RANDOM else COLD_START for row in range(n)]
    else:
        strange = _strangeness(x, seed, known_x, novelty, verdicts, pool)
        order, source = _with_model(proba, x, seed, known_x, look_again, strange, pool)
        best = _three_best(proba)
        reason = [_reason(source.get(row, UNCERTAIN), *map(float, best[row])) for row in range(n)]
    priority = np.empty(n)
    priority[order] = 1.0 - np.arange(n) / n
    routes = route(rolled, n, claims, verdicts)
    return [
        Ask(float(priority[row]), why, replace(routes[row], suits=ANYONE) if why == RANDOM else routes[row])
        for row, why in enumerate(reason)
    ]


def _check(
    n: int,
    proba: NDArray[np.float64] | None,
    look_again: NDArray[np.bool_] | None,
    lists: Mapping[str, Sized | None],
) -> None:
    if proba is not None and (proba.ndim != 2 or len(proba) != n):
        raise ValueError(f"probabilities {proba.shape} for {n} vectors")
    if look_again is not None and look_again.shape != (n,):
        raise ValueError(f"look_again {look_again.shape} for {n} vectors")
    for name, given in lists.items():
        if given is not None and len(given) != n:
            raise ValueError(f"{len(given)} {name} for {n} vectors")


def _pool(
    n: int,
    seed: int,
    ids: Sequence[int] | Sequence[str] | None,
    groups: Sequence[Hashable] | None,
    labelled: Collection[Hashable],
    clusters: Sequence[int | None] | None,
) -> _Pool:
    names: Sequence[Hashable] = list(range(n)) if ids is None else ids
    if len(set(names)) != n:
        raise ValueError("two figures have the same id")
    by_id = np.arange(n) if ids is None else np.argsort(np.asarray(ids), kind="stable")
    rng = np.random.default_rng(seed)
    key = np.empty(n)
    key[by_id] = rng.random(n)
    of = names if groups is None else groups
    # Groups are numbered by the smallest id in them.
    number: dict[Hashable, int] = {}
    for row in by_id:
        number.setdefault(of[row], len(number))
    group = np.array([number[one] for one in of], dtype=np.int64)
    marked = frozenset(labelled)
    answered = np.array([one in marked for one in of], dtype=bool)
    cluster = np.array([-1 if one is None else one for one in ([None] * n if clusters is None else clusters)])
    drawn = rng.random(len(number))
    open_rows = np.flatnonzero(~answered)
    by_chance = open_rows[np.lexsort((key[open_rows], drawn[group[open_rows]]))]
    pool = _Pool(group, answered, cluster.astype(np.int64), key, [])
    return replace(pool, by_chance=pool.one_a_group(by_chance).tolist())


def _cold_start(
    x: Floats, seed: int, known_x: Floats | None, pool: _Pool
) -> tuple[NDArray[np.int64], Mapping[int, str]]:
    """Half unlike, half typical figures, of each group one; one in ten is random from the start."""
    some = np.array(pool.by_chance[:SAMPLE], dtype=np.int64)
    some = some[np.argsort(pool.key[some])]
    size = min(HEAD, len(some))
    queues = {
        UNLIKE: some[k_center(x[some], size, seed, known_x)].tolist(),
        TYPICAL: some[typical(x[some], (size + 1) // 2, seed)].tolist(),
        RANDOM: pool.by_chance,
    }
    dealt, source = _deal(queues, COLD_SHARES, pool)
    return _with_rest(dealt, np.lexsort((pool.key, pool.answered)), pool), source


def _with_model(
    proba: NDArray[np.float64],
    x: Floats,
    seed: int,
    known_x: Floats | None,
    look_again: NDArray[np.bool_] | None,
    strange: NDArray[np.float64],
    pool: _Pool,
) -> tuple[NDArray[np.int64], Mapping[int, str]]:
    gap = margin(proba)
    closest = np.lexsort((pool.key, -entropy(proba), gap))
    doubted = pool.one_a_group(closest[~pool.answered[closest]])
    far = np.lexsort((pool.key, -strange))
    queues = {
        UNCERTAIN: _worth_most(doubted, gap, x, seed, known_x, pool),
        NOVEL: far[np.isfinite(strange[far])].tolist(),
        RANDOM: pool.by_chance,
        LOOK_AGAIN: [] if look_again is None else closest[::-1][look_again[closest[::-1]]].tolist(),
    }
    dealt, source = _deal(queues, SHARES, pool)
    return _with_rest(dealt, closest, pool), source


def _worth_most(
    doubted: NDArray[np.int64], gap: NDArray[np.float64], x: Floats, seed: int, known_x: Floats | None, pool: _Pool
) -> list[int]:
    """The closest calls, those first that also stand for others and are not alike. Only candidates are copied."""
    half = SAMPLE // 2
    some = doubted if len(doubted) <= SAMPLE else np.concatenate([doubted[:half], _some(doubted[half:], half, pool)])
    some = some[np.argsort(pool.key[some])]
    first = some[herd(x[some], HEAD, seed, 1.0 - gap[some], known_x)]
    return [*first.tolist(), *doubted[~np.isin(doubted, first)].tolist()]


def _some(rows: NDArray[np.int64], size: int, pool: _Pool) -> NDArray[np.int64]:
    return np.asarray(rows[np.argsort(pool.key[rows])[:size]], dtype=np.int64)


def _strangeness(
    x: Floats,
    seed: int,
    known_x: Floats | None,
    novelty: NDArray[np.float64] | None,
    verdicts: Sequence[str] | None,
    pool: _Pool,
) -> NDArray[np.float64]:
    """How strange each figure is that is novel and waits for a name, (n,); -inf for all others."""
    strange = np.full(len(x), -np.inf)
    if verdicts is not None:
        novel = ~pool.answered & (np.asarray(verdicts) != KNOWN)
        strange[novel] = 1.0 if novelty is None else novelty[novel]
    elif known_x is not None and len(known_x):
        # Against each other of thousands would take minutes; the strangest are needed, not all.
        rows = _some(pool.open, 2 * SAMPLE, pool)
        distance = knn_distance(x[rows], known_x, seed)
        edge = np.quantile(knn_distance(_spread(known_x), known_x, seed, own=True), 0.95)
        strange[rows[distance > edge]] = distance[distance > edge]
    return strange


def _spread(x: Floats) -> Floats:
    return x[:: max(len(x) // ROWS, 1)]


def _three_best(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first, second and third probability of each figure, (n, 3); 0 where there are fewer classes."""
    k = min(3, proba.shape[1])
    best = np.zeros((len(proba), 3))
    for start in range(0, len(proba), ROWS):
        part = np.partition(proba[start : start + ROWS], -k, axis=1)[:, -k:]
        best[start : start + ROWS, :k] = np.sort(part, axis=1)[:, ::-1]
    return best


def _reason(source: str, first: float, second: float, third: float) -> str:
    """Name a question by what the model says: one name is likely, two share most of it, or it is spread over many."""
    if source != UNCERTAIN:
        return source
    if first >= SURE:
        return LIKELY
    alike = first + second >= 0.5 and second >= 0.5 * first and third <= 0.6 * second
    return CLOSE_CALL if alike or first + second >= 0.75 else UNSURE


class _Dealer:
    """Hands out figures from queues: none twice, one a group, and one a cluster in a batch."""

    def __init__(self, queues: Mapping[str, list[int]], kept: Collection[int], pool: _Pool) -> None:
        self.queues = {name: deque(queue) for name, queue in queues.items()}
        self.pool = pool
        self.groups: set[int] = set()
        self.kept = {int(pool.group[row]) for row in kept}  # groups that the random turns will take
        self.in_batch: set[int] = set()

    def take(self, name: str, apart: bool) -> int | None:
        """The next of a queue; with `apart`, of a cluster that the batch has none of yet, if there is one."""
        queue, waiting, found = self.queues[name], list[int](), None
        may: Callable[[int], bool] = self._free if name == RANDOM else self._unreserved
        while queue and found is None and len(waiting) < SAMPLE:
            row = queue.popleft()
            if not may(int(self.pool.group[row])):
                continue
            if apart and name != RANDOM and int(self.pool.cluster[row]) in self.in_batch:
                waiting.append(row)
            else:
                found = row
        if found is None and waiting:
            found = waiting.pop(0)
        queue.extendleft(reversed(waiting))
        if found is not None:
            self.groups.add(int(self.pool.group[found]))
            if self.pool.cluster[found] >= 0:
                self.in_batch.add(int(self.pool.cluster[found]))
        return found

    def _free(self, group: int) -> bool:
        return group not in self.groups

    def _unreserved(self, group: int) -> bool:
        return group not in self.groups and group not in self.kept


def _deal(queues: Mapping[str, list[int]], shares: Mapping[str, int], pool: _Pool) -> tuple[list[int], dict[int, str]]:
    """One figure a group in the order asked, and the queue each came from; shares hold in each batch.

    Turns go round by weight, so that no kind waits long. The random turns among those asked next are kept for what was
    drawn by chance: nobody else takes it before, or what is left would be another sample.
    """
    turns = sum(share for name, share in shares.items() if queues[name])
    n_random = -(-min(HEAD, len(pool.by_chance)) * shares[RANDOM] // max(turns, 1))
    dealer = _Dealer(queues, pool.by_chance[:n_random], pool)
    credit = dict.fromkeys(queues, 0)
    order: list[int] = []
    source: dict[int, str] = {}
    while credit:
        if len(order) % BATCH == 0:
            dealer.in_batch.clear()
        turn = max(credit, key=lambda name: credit[name] + shares[name])
        row = dealer.take(turn, apart=len(order) < HEAD)
        if row is None:
            del credit[turn]
            continue
        for name in credit:
            credit[name] += shares[name]
        credit[turn] -= sum(shares[name] for name in credit)
        order.append(row)
        source[row] = turn
    return order, source


def _with_rest(dealt: list[int], closest: NDArray[np.int64], pool: _Pool) -> NDArray[np.int64]:
    """The order with all others behind it: first those alike to one in it, then those of groups with a label."""
    rest = closest[~np.isin(closest, dealt)]
    head = np.array(dealt, dtype=np.int64)
    return np.concatenate([head, rest[~pool.answered[rest]], rest[pool.answered[rest]]])
