"""Which head suits these figures, and what it says of figures it has not seen: cross-validation by source.

Where figures and taxa are so many that all of it would take minutes, the head is chosen on a part of the sources, and
as many folds are tried on everything as the budget allows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import apply_temperature, fit_temperature, negative_log_likelihood
from active_learning.heads import AnyHead, LDAHead, LinearHead, PrototypeHead, make_head
from active_learning.model import Candidate, TrainingConfig
from active_learning.splitting import grouped_folds, place_of
from active_learning.threads import one_thread, pool_of_single_threads
from active_learning.training_set import TrainingSet

Progress = Callable[[float, str], None]
QUICK_ITERATIONS = 80  # a penalty is chosen, and a temperature fitted, long before the last digit of a weight is right


@dataclass(frozen=True, eq=False)
class Validation:
    """What cross-validation found: the choice, and what it says of figures it did not learn from.

    `rows` (m,) are positions in the learning part; `decision` (m, k) over `classes`, `proba` (m, k) with a temperature
    from the other folds.
    """

    chosen: Candidate
    classes: tuple[str, ...]
    rows: NDArray[np.int64]
    decision: NDArray[np.float64]
    proba: NDArray[np.float64]
    notes: tuple[str, ...]


def candidates(config: TrainingConfig) -> tuple[Candidate, ...]:
    """The heads that are tried, by the configuration."""
    linear = tuple(Candidate(LinearHead.kind, l2) for l2 in config.l2_candidates)
    lda = (Candidate(LDAHead.kind, 0.0),) if config.try_lda else ()
    return (*linear, Candidate(PrototypeHead.kind, 0.0), *lda)


def cross_validate(learned: TrainingSet, config: TrainingConfig, tell: Progress, threads: int = 1) -> Validation:
    """The head with the lowest log loss on sources it did not see, each taxon counting the same.

    `learned` must hold leaves only. Folds run side by side on `threads`; each has one thread of its own, so that the
    numbers do not depend on how many there are.
    """
    classes = tuple(sorted(set(learned.y)))
    testable = _testable(learned)
    k = min(config.folds, len(set(learned.groups)))
    if k < 2 or not testable.any():
        note = (
            "No taxon has verified figures from two sources yet: "
            "nothing could be measured, and probabilities are not calibrated."
        )
        # Prototypes would name fewer right with two to four labels a class (docs/learning.md).
        chosen, empty = Candidate(LinearHead.kind, config.l2_fallback), np.zeros((0, len(classes)))
        return Validation(chosen, classes, np.array([], np.int64), empty, empty, (note,))
    tried = candidates(config)
    each = len(learned) * len(classes) * learned.x.shape[1] * (k - 1) // k
    with one_thread():
        if each * k * len(tried) <= config.validation_budget:
            return _all_on_all(learned, classes, testable, tried, k, config, tell, threads)
        return _within_budget(learned, classes, testable, tried, k, each, config, tell, threads)


def _testable(learned: TrainingSet) -> NDArray[np.bool_]:
    """A taxon from one source is gone from training whenever it is tested: it can only be wrong, and says nothing."""
    groups_of: dict[str, set[str]] = defaultdict(set)
    for label, group in zip(learned.y, learned.groups, strict=True):
        groups_of[label].add(group)
    return np.array([len(groups_of[label]) > 1 for label in learned.y], dtype=bool)


def _all_on_all(
    learned: TrainingSet,
    classes: tuple[str, ...],
    testable: NDArray[np.bool_],
    tried: Sequence[Candidate],
    k: int,
    config: TrainingConfig,
    tell: Progress,
    threads: int,
) -> Validation:
    folds, rows = grouped_folds(learned.groups, k, config.seed, learned.y), np.flatnonzero(testable)
    truth = _index(learned.y, classes)[rows]
    values = []
    for number, candidate in enumerate(tried):
        tell(0.05 + 0.65 * number / len(tried), f"Trying {candidate}")
        found = _out_of_fold(learned, folds, range(k), candidate, config, classes, threads, quick=False)
        values.append(found[rows])
    best = _lowest([_balanced_loss(value, truth) for value in values])
    proba = cross_calibrated(values[best], truth, folds[rows])
    return Validation(tried[best], classes, rows, values[best], proba, ())


def _within_budget(
    learned: TrainingSet,
    classes: tuple[str, ...],
    testable: NDArray[np.bool_],
    tried: Sequence[Candidate],
    k: int,
    each: int,
    config: TrainingConfig,
    tell: Progress,
    threads: int,
) -> Validation:
    size = int(config.validation_budget / 2 / (len(tried) * len(classes) * learned.x.shape[1]))
    chosen = tried[_best_on_a_part(learned.take(part_of(learned, size)), tried, config, tell, threads)]
    tell(0.45, f"Trying {chosen} on everything")
    folds = grouped_folds(learned.groups, k, config.seed, learned.y)
    some = range(max(1, min(k, int(config.validation_budget / 2 / each))))
    values = _out_of_fold(learned, folds, some, chosen, config, classes, threads, quick=True)
    rows = np.flatnonzero(testable & (folds < len(some)))
    truth, own = _index(learned.y, classes)[rows], folds[rows]
    if len(some) == 1:
        # One fold gives no other to take a temperature from: its sources are dealt anew, in two.
        own = np.array([int(place_of(learned.groups[row], config.seed + 1) < 0.5) for row in rows])
    note = f"To be done in time, the head was chosen on at most {size:,} figures and tried in {len(some)} of {k} folds."
    proba = cross_calibrated(values[rows], truth, own)
    return Validation(chosen, classes, rows, values[rows], proba, (note,))


def _best_on_a_part(
    part: TrainingSet, tried: Sequence[Candidate], config: TrainingConfig, tell: Progress, threads: int
) -> int:
    classes, testable = tuple(sorted(set(part.y))), _testable(part)
    if len(classes) < 2 or not testable.any():
        return 1 if len(tried) > 1 else 0
    folds, rows = grouped_folds(part.groups, 2, config.seed, part.y), np.flatnonzero(testable)
    truth, losses = _index(part.y, classes)[rows], []
    for number, candidate in enumerate(tried):
        tell(0.05 + 0.4 * number / len(tried), f"Trying {candidate}")
        found = _out_of_fold(part, folds, range(2), candidate, config, classes, threads, quick=True)
        losses.append(_balanced_loss(found[rows], truth))
    return _lowest(losses)


def part_of(data: TrainingSet, size: int) -> NDArray[np.int64]:
    """Positions of about `size` figures by whole groups: the first group of each taxon, then the second, and so on.

    So rare taxa are all there, and the same groups are taken again as long as nothing comes before them.
    """
    if len(data) <= size:
        return np.arange(len(data))
    members: dict[str, list[int]] = defaultdict(list)
    groups_of: dict[str, set[str]] = defaultdict(set)
    for row, (label, group) in enumerate(zip(data.y, data.groups, strict=True)):
        members[group].append(row)
        groups_of[label].add(group)
    turn: dict[str, int] = {}
    for groups in groups_of.values():
        for number, group in enumerate(sorted(groups, key=lambda name: (place_of(name, 0), name))):
            turn[group] = min(number, turn.get(group, number))
    chosen: list[int] = []
    for group in sorted(turn, key=lambda name: (turn[name], place_of(name, 0), name)):
        if len(chosen) >= size:
            break
        chosen += members[group]
    return np.array(sorted(chosen), dtype=np.int64)


def _index(y: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    place = {qid: column for column, qid in enumerate(classes)}
    return np.array([place[qid] for qid in y], dtype=np.int64)


def _out_of_fold(
    learned: TrainingSet,
    folds: NDArray[np.int64],
    which: range,
    candidate: Candidate,
    config: TrainingConfig,
    classes: Sequence[str],
    threads: int,
    quick: bool,
) -> NDArray[np.float64]:
    """Decision values (n, k) of the figures in these folds, by a head that saw neither them nor their sources."""
    values = np.zeros((len(learned), len(classes)))
    weights, labels = learned.weight_of_each(), np.array(learned.y)

    def one(fold: int) -> None:
        seen, unseen = folds != fold, folds == fold
        head = new_head(candidate, config, quick)
        head.fit(learned.x[seen], labels[seen], weights[seen], config.seed)
        values[unseen] = on_classes(head, learned.x[unseen], classes)

    if threads <= 1 or len(which) == 1:
        for fold in which:
            one(fold)
    else:
        with pool_of_single_threads(min(threads, len(which))) as pool:
            list(pool.map(one, which))
    return values


def new_head(candidate: Candidate, config: TrainingConfig, quick: bool = False, threads: int = 1) -> AnyHead:
    """An unfitted head of that kind; `threads` change how long its fit takes, nothing else."""
    head = make_head(candidate.kind, candidate.l2 or config.l2_fallback, config.logit_adjustment, per_label=True)
    if isinstance(head, LinearHead):
        head.threads = threads
        if quick:
            head.max_iterations, head.rough = QUICK_ITERATIONS, True
    return head


def on_classes(head: AnyHead, x: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.float64]:
    """Decision values (n, k) over `classes`, of which the head may know a part.

    A class that it never met gets a value just below its least likely class, not minus infinity.
    """
    found = head.decision(x)
    if head.classes_ == tuple(classes):
        return found
    place = {qid: column for column, qid in enumerate(classes)}
    padded = np.repeat(found.min(axis=1, keepdims=True) - 1.0, len(classes), axis=1)
    padded[:, [place[qid] for qid in head.classes_]] = found
    return np.asarray(padded)


def _lowest(losses: Sequence[float]) -> int:
    best = 0
    for place, loss in enumerate(losses):
        if loss < losses[best] - 1e-9:
            best = place
    return best


def _balanced_loss(decision: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Log loss at its best temperature, each class counting the same: rare species are why people look."""
    proba = apply_temperature(decision, fit_temperature(decision, truth))
    per_class = [negative_log_likelihood(proba[truth == label], truth[truth == label]) for label in np.unique(truth)]
    return float(np.mean(per_class))


def cross_calibrated(
    decision: NDArray[np.float64], truth: NDArray[np.int64], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Probabilities (n, k) whose temperature was fitted without the figure's own fold."""
    proba = np.zeros_like(decision)
    for fold in np.unique(folds):
        own = folds == fold
        proba[own] = apply_temperature(decision[own], fit_temperature(decision[~own], truth[~own]))
    return proba
