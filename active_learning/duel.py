"""Two models on the same held-out figures, each name judged by where it lies in the tree of taxa.

It measures; what follows from it is said in `comparing`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import reliability_bins
from active_learning.metrics import group_rows
from active_learning.model import TrainedModel
from active_learning.ranks import binomial_tail
from active_learning.splitting import in_holdout
from active_learning.taxonomy import Taxonomy
from active_learning.training_set import TrainingSet

Bools = NDArray[np.bool_]
NEW = -1  # stands for the old taxon of a figure of which the champion knows nothing
ECE_FIGURES = 1000  # below this, a calibration error is mostly noise
CLASS_LOSS = 0.10  # share of its held-out figures that an old taxon may lose
CERTAIN = 1 / 32 + 1e-9  # how often equal models that differ in five sources lose all five


@dataclass(frozen=True)
class ClassLoss:
    """An old taxon that loses figures: how many are held out, and of how many each model's name is right."""

    qid: str
    n: int
    before: int
    now: int
    is_too_much: bool = False  # whether it keeps the challenger back

    def __str__(self) -> str:
        return f"{self.qid} ({self.before} of {self.n} right before, {self.now} now)"


@dataclass(frozen=True)
class Duel:
    """Both models on the same n figures. A name is right if it lies at or below the truth.

    `truth` is the name as it is known today. `old_truth` is the same as far as the champion's taxa go: a species of a
    family that it knows only as a family counts as that family, and what lies outside its taxa is `NEW`. Both are
    positions in `taxa`.
    """

    taxa: tuple[str, ...]
    groups: tuple[str, ...]
    truth: NDArray[np.int64]
    ours: Bools  # (n,) whether the challenger is right
    theirs: Bools
    old_truth: NDArray[np.int64]
    ours_old: Bools  # (n,) the same, measured by `old_truth`; False where that is `NEW`
    theirs_old: Bools
    loss_gain: float  # how much lower the challenger's log loss is, on the taxa that both know
    ece_change: float | None  # of the expected calibration error, where there are figures enough to tell

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def old(self) -> Bools:
        """(n,): figures of which the champion could know something."""
        return np.asarray(self.old_truth != NEW)

    def flips(self) -> tuple[int, int]:
        """How many figures of old taxa turned from right to wrong, and from wrong to right."""
        return int((self.theirs_old & ~self.ours_old).sum()), int((~self.theirs_old & self.ours_old).sum())

    def gains(self, rows: NDArray[np.int64]) -> tuple[float, float, float]:
        """Challenger minus champion on these rows: mean accuracy over taxa, the same on old taxa, plain accuracy."""
        ours, theirs, old = self.ours[rows], self.theirs[rows], rows[self.old[rows]]
        return (
            mean_over_taxa(self.truth[rows], ours) - mean_over_taxa(self.truth[rows], theirs),
            mean_over_taxa(self.old_truth[old], self.ours_old[old])
            - mean_over_taxa(self.old_truth[old], self.theirs_old[old]),
            float(ours.mean() - theirs.mean()),
        )

    def losses(self) -> tuple[ClassLoss, ...]:
        """All old taxa of which fewer figures are right than before, those that lose most first.

        Too much is over a tenth of them where chance hardly explains it: a sign test over the taxon's sources that is
        as certain as five that lose and none that wins. With 40 taxa of 7 sources each that befalls 3 of 10,000 equal
        models that differ on a tenth of the figures; with 200 of 2 to 19 sources, 4 of 100.
        """
        found = []
        for column in np.unique(self.old_truth[self.old]):
            own = np.flatnonzero(self.old_truth == column)
            before, now = self.theirs_old[own], self.ours_old[own]
            lost = int(before.sum()) - int(now.sum())
            if lost <= 0:
                continue
            change = now.astype(np.int64) - before
            sources = [int(change[rows].sum()) for rows in group_rows([self.groups[row] for row in own])]
            chance = _chance(sum(one < 0 for one in sources), sum(one > 0 for one in sources))
            too_much = chance <= CERTAIN and lost > CLASS_LOSS * len(own)
            found.append(ClassLoss(self.taxa[column], len(own), int(before.sum()), int(now.sum()), too_much))
        return tuple(sorted(found, key=lambda one: (one.now - one.before, one.qid)))


def _chance(lost: int, won: int) -> float:
    """How often equal models lose so many sources or more of those in which they differ (sign test, one-sided)."""
    return binomial_tail(lost + won, won, 0.5)


def mean_over_taxa(truth: NDArray[np.int64], right: Bools) -> float:
    """The share of right ones of each taxon in `truth` (n,), averaged over those that occur; 0 without figures."""
    if len(truth) == 0:
        return 0.0
    support = np.bincount(truth)
    hits = np.bincount(truth, weights=right)
    return float((hits[support > 0] / support[support > 0]).mean())


def known_taxa(model: TrainedModel, renamed: Mapping[str, str]) -> tuple[str, ...]:
    """The classes of a model by their present ids, each once: two may have been merged since it was trained."""
    return tuple(dict.fromkeys(renamed.get(qid, qid) for qid in model.classes))


def reached(classes: Collection[str], taxonomy: Taxonomy) -> set[str]:
    """The taxa at or above one of these classes: of a figure of any of them, one of these names would be right."""
    return {node for qid in classes for node in taxonomy.lineage(qid)}


def common_holdout(
    challenger: TrainedModel,
    champion: TrainedModel,
    data: TrainingSet,
    known: Collection[str],
    seen: Collection[int] = (),
) -> list[int]:
    """The rows of figures that neither model learned from, of the taxa that are known; not those the champion saw."""
    touched, seen = {*challenger.borrowed_groups, *champion.borrowed_groups}, set(seen)
    held = {
        group
        for group in set(data.groups) - touched
        if all(in_holdout(group, model.config.holdout_fraction, model.config.seed) for model in (challenger, champion))
    }
    return [
        row
        for row, (group, label, key) in enumerate(zip(data.groups, data.y, data.ids, strict=True))
        if group in held and label in known and key not in seen
    ]


@dataclass(frozen=True)
class _Said:
    """What a model says of n figures: probabilities (n, k) of `classes`, ids as they are now."""

    classes: tuple[str, ...]
    proba: NDArray[np.float64]

    def within(self, taxa: Sequence[str], taxonomy: Taxonomy) -> Bools:
        """(t, k): which classes lie at or below each taxon."""
        place = {qid: row for row, qid in enumerate(taxa)}
        found = np.zeros((len(taxa), len(self.classes)), dtype=bool)
        for column, qid in enumerate(self.classes):
            found[[place[node] for node in taxonomy.lineage(qid) if node in place], column] = True
        return found


def _said(model: TrainedModel, x: NDArray[np.float32], renamed: Mapping[str, str]) -> _Said:
    classes, proba = known_taxa(model, renamed), model.predict(x)
    place = {qid: column for column, qid in enumerate(classes)}
    merged = np.zeros((len(model.classes), len(classes)))
    merged[np.arange(len(model.classes)), [place[renamed.get(qid, qid)] for qid in model.classes]] = 1.0
    return _Said(classes, np.minimum(proba @ merged, 1.0))


def fight(
    challenger: TrainedModel,
    champion: TrainedModel,
    data: TrainingSet,
    champion_x: NDArray[np.float32],
    rows: Sequence[int],
    taxonomy: Taxonomy,
    renamed: Mapping[str, str],
) -> Duel:
    """Both models on these rows of `data`, the champion on its own vectors (n, d') of the same figures."""
    chosen = list(rows)
    ours, theirs = _said(challenger, data.x[chosen], renamed), _said(champion, champion_x[chosen], renamed)
    labels = [data.y[row] for row in chosen]
    old_of = _old_taxa(set(labels), theirs.classes, taxonomy)
    taxa = tuple(sorted({*labels, *(qid for qid in old_of.values() if qid is not None)}))
    place = {qid: column for column, qid in enumerate(taxa)}
    truth = np.array([place[label] for label in labels], dtype=np.int64)
    old = [old_of[label] for label in labels]
    old_truth = np.array([NEW if qid is None else place[qid] for qid in old], dtype=np.int64)
    our_places, their_places = ours.within(taxa, taxonomy), theirs.within(taxa, taxonomy)
    our_best, their_best = ours.proba.argmax(axis=1), theirs.proba.argmax(axis=1)
    ours_right, theirs_right = our_places[truth, our_best], their_places[truth, their_best]
    both = np.asarray(our_places.any(axis=1) & their_places.any(axis=1))[truth]
    gain = _log_loss(theirs.proba, their_places[truth], both) - _log_loss(ours.proba, our_places[truth], both)
    enough = len(chosen) >= ECE_FIGURES
    return Duel(
        taxa=taxa,
        groups=tuple(data.groups[row] for row in chosen),
        truth=truth,
        ours=ours_right,
        theirs=theirs_right,
        old_truth=old_truth,
        ours_old=our_places[old_truth, our_best] & (old_truth != NEW),
        theirs_old=their_places[old_truth, their_best] & (old_truth != NEW),
        loss_gain=gain,
        ece_change=_ece(ours.proba, ours_right) - _ece(theirs.proba, theirs_right) if enough else None,
    )


def _old_taxa(labels: Collection[str], classes: Sequence[str], taxonomy: Taxonomy) -> dict[str, str | None]:
    """For each name what it is to a model of these classes: itself, the class that holds it, or None."""
    own, known = set(classes), reached(classes, taxonomy)
    return {
        label: label if label in known else next((node for node in taxonomy.lineage(label) if node in own), None)
        for label in labels
    }


def _log_loss(proba: NDArray[np.float64], within: Bools, rows: Bools) -> float:
    own = np.where(within, proba, 0.0).sum(axis=1)[rows]
    return float(-np.log(np.maximum(own, 1e-6)).mean()) if rows.any() else 0.0


def _ece(proba: NDArray[np.float64], right: Bools) -> float:
    """Expected calibration error in 15 bins, as `expected_calibration_error` has it, without its interval."""
    bins = reliability_bins(proba, right, bins=15)
    return float(sum(one.n * abs(one.mean_confidence - one.accuracy) for one in bins) / len(right))
