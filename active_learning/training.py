"""From labelled embeddings to a measured model: snapshot, frozen holdout, choice of head, temperature, report.

The same snapshot and configuration give the same weights to the last bit on one kind of machine. Nothing here reads
an image, opens a database, looks at the clock or decides whether the model goes live.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import apply_temperature, fit_temperature, negative_log_likelihood
from active_learning.errors import NotEnoughDataError
from active_learning.heads import AnyHead, LDAHead, LinearHead, PrototypeHead, make_head
from active_learning.metrics import Report, measure
from active_learning.model import Candidate, TrainedModel, TrainingConfig
from active_learning.splitting import grouped_folds, in_holdout
from active_learning.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """Verified figures as the model sees them. All sequences have length n; `groups` names the source plate of each.

    `ids` are the figures' own, distinct; `x` (n, d) float32; `y` taxon ids; `weights` (n,) positive, all 1 if None;
    `backbone` is the version of what made the vectors. Raises ValueError if these do not fit together.
    """

    ids: tuple[int, ...]
    x: Floats
    y: tuple[str, ...]
    groups: tuple[str, ...]
    backbone: str
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        if len(self.y) != n or len(self.groups) != n or self.x.ndim != 2 or len(self.x) != n:
            raise ValueError(f"{n} ids, {len(self.y)} labels, {len(self.groups)} groups, vectors {self.x.shape}")
        if len(set(self.ids)) != n:
            raise ValueError("a figure may stand in a training set only once")
        if not np.isfinite(self.x).all():
            raise ValueError("some vectors hold values that are not finite")
        weights = self.weight_of_each()
        if weights.shape != (n,) or not np.isfinite(weights).all() or (weights <= 0).any():
            raise ValueError("weights must be one positive number for each figure")

    def __len__(self) -> int:
        return len(self.ids)

    def weight_of_each(self) -> NDArray[np.float64]:
        """(n,) float64."""
        return np.ones(len(self)) if self.weights is None else self.weights.astype(np.float64)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> TrainingSet:
        """The figures at these positions, in this order."""
        chosen = [int(row) for row in rows]
        return TrainingSet(
            ids=tuple(self.ids[row] for row in chosen),
            x=self.x[chosen],
            y=tuple(self.y[row] for row in chosen),
            groups=tuple(self.groups[row] for row in chosen),
            backbone=self.backbone,
            weights=None if self.weights is None else self.weights[chosen],
        )


def snapshot_hash(data: TrainingSet) -> str:
    """sha256 in hex over what a model learns from: id, label, group, vector, weight of each figure, and the backbone.

    The order of the figures does not matter.
    """
    digest = hashlib.sha256(f"backbone {data.backbone}\n".encode())
    weights = data.weight_of_each()
    rows = np.ascontiguousarray(data.x, dtype="<f4")
    for row in np.argsort(np.array(data.ids, dtype=np.int64), kind="stable"):
        vector = hashlib.sha256(rows[row].tobytes()).hexdigest()
        line = "\x1f".join((str(data.ids[row]), data.y[row], data.groups[row], vector, float(weights[row]).hex()))
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """Positions of the figures to learn from and of those held out, and holdout groups that were learned from."""

    learned: NDArray[np.int64]
    held_out: NDArray[np.int64]
    borrowed_groups: tuple[str, ...]


def split_holdout(data: TrainingSet, config: TrainingConfig) -> Split:
    """The frozen holdout by group; groups that alone hold some class are borrowed for learning and not measured on.

    Without that a species whose only plate fell into the holdout could never be learned.
    """
    frozen = [in_holdout(group, config.holdout_fraction, config.seed) for group in data.groups]
    learnable = {label for label, held in zip(data.y, frozen, strict=True) if not held}
    borrowed = {
        group for label, group, held in zip(data.y, data.groups, frozen, strict=True) if held and label not in learnable
    }
    held = np.array(
        [is_held and group not in borrowed for is_held, group in zip(frozen, data.groups, strict=True)], dtype=bool
    )
    return Split(np.flatnonzero(~held), np.flatnonzero(held), tuple(sorted(borrowed)))


def train(
    data: TrainingSet, taxonomy: Taxonomy, config: TrainingConfig, on_progress: Progress | None = None
) -> TrainedModel:
    """The best head for these figures, calibrated, with its report.

    Head and penalty are chosen by log loss in grouped cross-validation on the learning part; the temperature comes
    from those same out-of-fold values. The report is measured on the frozen holdout if that is large and varied
    enough, else on the out-of-fold values (each with a temperature from the other folds), else on nothing; it says
    which and why.

    Raises NotEnoughDataError if there are no figures or only one class. `on_progress(share, what)` is called as it
    goes.
    """
    tell = on_progress or (lambda share, what: None)
    tell(0.0, "Taking the snapshot")
    data = data.take(np.argsort(np.array(data.ids, dtype=np.int64), kind="stable"))
    digest = snapshot_hash(data)
    data, dropped = _without_small_classes(data, config.min_per_class)
    _check_enough(data, dropped)
    split = split_holdout(data, config)
    learned, held_out = data.take(split.learned), data.take(split.held_out)
    validation = _cross_validate(learned, config, tell)
    tell(0.85, "Fitting the head")
    head = make_head(validation.chosen.kind, validation.chosen.l2, config.logit_adjustment)
    head.fit(learned.x, learned.y, learned.weight_of_each(), config.seed)
    tell(0.92, "Measuring")
    notes = [*dropped, *_notes_on_data(learned, split), *validation.notes]
    report = _report(head, validation, learned, held_out, taxonomy, config, notes)
    tell(1.0, "Done")
    return TrainedModel(
        classes=head.classes_,
        head=head,
        temperature=validation.temperature,
        report=report,
        config=config,
        snapshot_hash=digest,
        backbone=data.backbone,
        n_figures=len(learned),
        borrowed_groups=split.borrowed_groups,
        chosen=validation.chosen,
        environment=environment(),
    )


def environment() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    versions = {package: version(package) for package in ("numpy", "torch", "safetensors")}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}


def _without_small_classes(data: TrainingSet, least: int) -> tuple[TrainingSet, list[str]]:
    if least <= 1:
        return data, []
    counts = Counter(data.y)
    small = sorted(label for label, count in counts.items() if count < least)
    if not small:
        return data, []
    kept = data.take([row for row, label in enumerate(data.y) if counts[label] >= least])
    return kept, [f"Left out, as they have fewer than {least} figures: {', '.join(small)}."]


def _check_enough(data: TrainingSet, dropped: Sequence[str]) -> None:
    because = f" {' '.join(dropped)}" if dropped else ""
    if len(data) == 0:
        raise NotEnoughDataError(f"There are no verified figures to learn from yet.{because}")
    classes = sorted(set(data.y))
    if len(classes) == 1:
        count = "The only verified figure is" if len(data) == 1 else f"All {len(data)} verified figures are"
        raise NotEnoughDataError(
            f"{count} of one taxon, {classes[0]}; at least two taxa are needed to learn a difference.{because}"
        )


@dataclass(frozen=True)
class _Validation:
    """What cross-validation found: the choice, its temperature, and calibrated predictions to measure on."""

    chosen: Candidate
    temperature: float
    rows: NDArray[np.int64]  # positions in the learning part that could be validated
    proba: NDArray[np.float64]  # (len(rows), k), each with a temperature from the other folds
    notes: tuple[str, ...]


def _candidates(config: TrainingConfig) -> tuple[Candidate, ...]:
    linear = tuple(Candidate(LinearHead.kind, l2) for l2 in config.l2_candidates)
    lda = (Candidate(LDAHead.kind, 0.0),) if config.try_lda else ()
    return (*linear, Candidate(PrototypeHead.kind, 0.0), *lda)


def _cross_validate(learned: TrainingSet, config: TrainingConfig, tell: Progress) -> _Validation:
    classes = sorted(set(learned.y))
    index = {label: position for position, label in enumerate(classes)}
    truth = np.array([index[label] for label in learned.y], dtype=np.int64)
    groups_of: dict[str, set[str]] = defaultdict(set)
    for label, group in zip(learned.y, learned.groups, strict=True):
        groups_of[label].add(group)
    # A class from one source is gone from training whenever it is tested: it can only be wrong, and says nothing.
    testable = np.array([len(groups_of[label]) > 1 for label in learned.y], dtype=bool)
    k = min(config.folds, len(set(learned.groups)))
    if k < 2 or not testable.any():
        note = (
            "No taxon has verified figures from two sources yet: "
            "nothing could be measured, and probabilities are not calibrated."
        )
        return _Validation(
            Candidate(LinearHead.kind, config.l2_fallback),
            1.0,
            np.array([], np.int64),
            np.zeros((0, len(classes))),
            (note,),
        )
    folds = grouped_folds(learned.groups, k, config.seed, learned.y)
    candidates = _candidates(config)
    best: tuple[float, int] | None = None
    values: list[NDArray[np.float64]] = []
    for number, candidate in enumerate(candidates):
        tell(0.05 + 0.8 * number / len(candidates), f"Trying {candidate}")
        values.append(_out_of_fold(learned, folds, candidate, config, index))
        rows = np.flatnonzero(testable)
        loss = _balanced_loss(values[-1][rows], truth[rows])
        if best is None or loss < best[0] - 1e-9:
            best = loss, number
    assert best is not None
    rows = np.flatnonzero(testable)
    decision = values[best[1]][rows]
    proba = _cross_calibrated(decision, truth[rows], folds[rows])
    return _Validation(candidates[best[1]], fit_temperature(decision, truth[rows]), rows, proba, ())


def _out_of_fold(
    learned: TrainingSet, folds: NDArray[np.int64], candidate: Candidate, config: TrainingConfig, index: dict[str, int]
) -> NDArray[np.float64]:
    """Decision values (n, k) of each figure by a head that saw neither it nor its source."""
    values = np.zeros((len(learned), len(index)))
    weights = learned.weight_of_each()
    labels = np.array(learned.y)
    for fold in range(int(folds.max()) + 1):
        seen, unseen = folds != fold, folds == fold
        head = make_head(candidate.kind, candidate.l2, config.logit_adjustment)
        head.fit(learned.x[seen], labels[seen], weights[seen], config.seed)
        found = head.decision(learned.x[unseen])
        # A class that this fold's head never met gets a value just below its least likely class, not minus infinity.
        padded = np.repeat(found.min(axis=1, keepdims=True) - 1.0, len(index), axis=1)
        padded[:, [index[label] for label in head.classes_]] = found
        values[unseen] = padded
    return values


def _balanced_loss(decision: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Log loss at its best temperature, each class counting the same: rare species are why people look."""
    proba = apply_temperature(decision, fit_temperature(decision, truth))
    per_class = [negative_log_likelihood(proba[truth == label], truth[truth == label]) for label in np.unique(truth)]
    return float(np.mean(per_class))


def _cross_calibrated(
    decision: NDArray[np.float64], truth: NDArray[np.int64], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Probabilities (n, k) whose temperature was fitted without the figure's own fold."""
    proba = np.zeros_like(decision)
    for fold in np.unique(folds):
        own = folds == fold
        proba[own] = apply_temperature(decision[own], fit_temperature(decision[~own], truth[~own]))
    return proba


def _notes_on_data(learned: TrainingSet, split: Split) -> list[str]:
    notes = []
    single = sorted(label for label, count in Counter(learned.y).items() if count == 1)
    if single:
        notes.append(f"Learned from a single figure each: {', '.join(single)}.")
    if split.borrowed_groups:
        notes.append(
            f"{len(split.borrowed_groups)} sources of the holdout hold the only figures of some taxon; "
            "they were learned from and are not measured on."
        )
    return notes


def _report(
    head: AnyHead,
    validation: _Validation,
    learned: TrainingSet,
    held_out: TrainingSet,
    taxonomy: Taxonomy,
    config: TrainingConfig,
    notes: list[str],
) -> Report:
    groups_of: dict[str, set[str]] = defaultdict(set)
    for label, group in zip((*learned.y, *held_out.y), (*learned.groups, *held_out.groups), strict=True):
        groups_of[label].add(group)
    rare = sorted(label for label, groups in groups_of.items() if len(groups) == 1)
    doubts = _doubts_about_holdout(held_out, groups_of, config)
    if not doubts:
        proba = apply_temperature(head.decision(held_out.x), validation.temperature)
        absent = len(set(head.classes_) - set(held_out.y))
        if absent:
            notes.append(f"{absent} of {len(head.classes_)} taxa have no figure in the holdout and are not measured.")
        return measure(proba, held_out.y, head.classes_, held_out.groups, taxonomy, "holdout", config.seed, notes, rare)
    rows = [int(row) for row in validation.rows]
    if rows:
        doubts.append(
            "Measured by cross-validation grouped by source instead; "
            "this flatters slightly, as the head was chosen on it."
        )
    y, groups = [learned.y[row] for row in rows], [learned.groups[row] for row in rows]
    return measure(
        validation.proba, y, head.classes_, groups, taxonomy, "cross-validation", config.seed, [*notes, *doubts], rare
    )


def _doubts_about_holdout(held_out: TrainingSet, groups_of: dict[str, set[str]], config: TrainingConfig) -> list[str]:
    """Why the holdout cannot carry a measurement; empty if it can."""
    if len(held_out) == 0:
        return ["The holdout is empty."]
    if len(held_out) < config.holdout_min_figures:
        return [f"The holdout has {len(held_out)} figures, fewer than {config.holdout_min_figures}."]
    # Only of taxa with several sources can one expect to find some in the holdout.
    expected = {label for label, groups in groups_of.items() if len(groups) >= config.holdout_expects_from_sources}
    absent = sorted(expected - set(held_out.y))
    if len(absent) > len(expected) * (1 - config.holdout_min_class_share):
        named = ", ".join(absent[:20])
        return [f"The holdout lacks {len(absent)} of {len(expected)} taxa that have enough sources: {named}."]
    return []
