"""From labelled embeddings to a measured model: its head, honest probabilities at every rank, what it does not know.

The same snapshot and configuration give the same weights to the last bit on one kind of machine. Nothing here reads
an image, opens a database, looks at the clock or decides whether the model goes live.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import apply_temperature
from active_learning.card import NoveltyFigures
from active_learning.card_making import novelty_figures
from active_learning.coarse_labels import fit_coarse, leaves_of
from active_learning.conformal import ConformalModel, fit_conformal
from active_learning.errors import NotEnoughDataError
from active_learning.evidence import CROSS_VALIDATION, HOLDOUT, Evidence
from active_learning.heads import AnyHead
from active_learning.lda import LDAHead
from active_learning.metrics import Report, measure
from active_learning.model import Candidate, TrainedModel, TrainingConfig
from active_learning.novelty import NoveltyExamples, NoveltyModel, Strangeness, fit_novelty, leave_classes_out
from active_learning.ranks import RankScale, fit_ranks
from active_learning.taxonomy import Taxonomy
from active_learning.threads import one_thread
from active_learning.training_set import Split, TrainingSet, snapshot_hash, split_holdout
from active_learning.validation import Validation, cross_validate, new_head, part_of

Progress = Callable[[float, str], None]
LEAST_UNBIASED = 72  # sources asked for by chance from which probabilities can be calibrated on them alone
LARGE = 5e8  # figures x taxa x vector length from which a fit takes seconds, and is not repeated at leisure


def train(
    data: TrainingSet,
    taxonomy: Taxonomy,
    config: TrainingConfig,
    on_progress: Progress | None = None,
    threads: int = 1,
) -> TrainedModel:
    """The best head for these figures, calibrated, with its report.

    Head and penalty are chosen by log loss in grouped cross-validation on the learning part. From those same
    out-of-fold values come a temperature and a "pretty sure" threshold for each rank, the sets that hold the truth, and
    the thresholds of what is novel; where enough figures were asked for by chance, calibration rests on those alone.
    Names above the leaves train what they can. The report is measured on the frozen holdout if that is large and varied
    enough, else on the out-of-fold values (each with a temperature from the other folds), else on nothing; it says
    which and why.

    Raises NotEnoughDataError if there are no figures or only one class. `on_progress(share, what)` is called as it
    goes; the numbers do not depend on `threads`.
    """
    tell = on_progress or (lambda share, what: None)
    tell(0.0, "Taking the snapshot")
    data = data.take(np.argsort(np.array(data.ids, dtype=np.int64), kind="stable"))
    digest = snapshot_hash(data)
    data, dropped = _without_small_classes(data, config.min_per_class)
    _check_enough(data, dropped)
    leaves = set(leaves_of(data.y, taxonomy))
    _check_leaves(leaves, data, dropped)
    split = split_holdout(data, config)
    learned, held_out = data.take(split.learned), data.take(split.held_out)
    exact = learned.take([row for row, qid in enumerate(learned.y) if qid in leaves])
    held_out = held_out.take([row for row, qid in enumerate(held_out.y) if qid in leaves])
    with one_thread():
        validation = cross_validate(exact, config, tell, threads)
        tell(0.75, "Fitting the head")
        head = _fit(learned, exact, validation.chosen, taxonomy, config, threads)
        fitted = _calibrate(validation, exact, taxonomy, config)
        tell(0.88, "Learning what is novel")
        novelty = _learn_novelty(head, exact, validation.chosen, taxonomy, config)
    tell(0.95, "Measuring")
    notes = [*dropped, *_notes_on_data(learned, exact, split), *validation.notes, *fitted.notes]
    report, evidence = measured(head, fitted.temperature, validation, exact, held_out, taxonomy, config, notes)
    tell(1.0, "Done")
    return TrainedModel(
        classes=head.classes_,
        head=head,
        temperature=fitted.temperature,
        report=report,
        config=config,
        snapshot_hash=digest,
        backbone=data.backbone,
        n_figures=len(learned),
        borrowed_groups=split.borrowed_groups,
        chosen=validation.chosen,
        environment=environment(),
        scales=fitted.scales,
        conformal=fitted.conformal,
        novelty=novelty.model,
        lda=novelty.lda,
        known_x=novelty.known_x,
        novelty_figures=novelty.figures,
        evidence=evidence,
        holdout=_on_holdout(head, fitted.temperature, held_out, exact) if len(held_out) else None,
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


def _check_leaves(leaves: set[str], data: TrainingSet, dropped: Sequence[str]) -> None:
    """Several names may still be one line of descent: a family, its genus and a species of it."""
    if len(leaves) < 2:
        because = f" {' '.join(dropped)}" if dropped else ""
        raise NotEnoughDataError(
            f"All {len(data)} verified figures lie on one line of descent, down to {min(leaves)}; "
            f"at least two taxa that do not hold one another are needed to learn a difference.{because}"
        )


def _fit(
    learned: TrainingSet,
    exact: TrainingSet,
    chosen: Candidate,
    taxonomy: Taxonomy,
    config: TrainingConfig,
    threads: int,
) -> AnyHead:
    """The head on all that may be learned from: exact names, names of whole groups, and shares of several answers."""
    if len(exact) == len(learned) and not learned.soft:
        return new_head(chosen, config, threads=threads).fit(exact.x, exact.y, exact.weight_of_each(), config.seed)
    soft = {row: learned.soft[key] for row, key in enumerate(learned.ids) if learned.soft and key in learned.soft}
    heavy = len(learned) * len(set(exact.y)) * learned.x.shape[1] > LARGE
    fit = fit_coarse(
        lambda: new_head(chosen, config, threads=threads),
        learned.x,
        learned.y,
        taxonomy,
        learned.weight_of_each(),
        rounds=1 if heavy else 3,
        soft=soft,
    )
    return fit.head


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What was fitted on figures the head did not learn from."""

    temperature: float
    scales: tuple[RankScale, ...]
    conformal: ConformalModel | None
    notes: tuple[str, ...]


def _calibrate(validation: Validation, exact: TrainingSet, taxonomy: Taxonomy, config: TrainingConfig) -> _Fitted:
    rows = validation.rows
    if len(rows) == 0:
        return _Fitted(1.0, (), None, ())
    unbiased = exact.unbiased()[rows]
    n_unbiased = len({exact.groups[row] for row in rows[unbiased]})
    use, notes = np.ones(len(rows), dtype=bool), []
    if n_unbiased >= LEAST_UNBIASED:
        use = unbiased
        notes.append(f"Calibrated on {int(unbiased.sum())} figures that were asked for by chance.")
    y = [exact.y[row] for row in rows[use]]
    groups = [exact.groups[row] for row in rows[use]]
    ranks = fit_ranks(validation.decision[use], y, validation.classes, taxonomy, groups, config.sure_target)
    place = {qid: column for column, qid in enumerate(validation.classes)}
    truth = np.array([place[qid] for qid in y], dtype=np.int64)
    conformal = fit_conformal(validation.proba[use], truth, validation.classes)
    return _Fitted(ranks.scales[0].temperature, ranks.scales, conformal, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Novelty:
    """What is needed to tell what is novel, and how well it is told; all None where it could not be learned."""

    model: NoveltyModel | None = None
    lda: LDAHead | None = None
    known_x: NDArray[np.float32] | None = None
    figures: NoveltyFigures | None = None


def _learn_novelty(
    head: AnyHead, exact: TrainingSet, chosen: Candidate, taxonomy: Taxonomy, config: TrainingConfig
) -> _Novelty:
    part = exact.take(part_of(exact, config.novelty_figures))
    try:
        examples = leave_classes_out(
            lambda: new_head(chosen, config, quick=True), part.x, part.y, part.groups, taxonomy, 3, config.seed
        )
        known = exact.x[part_of(exact, config.known_figures)]
        # As it will be read back from the model's folder.
        known = np.ascontiguousarray(known.astype(np.float16).astype(np.float32))
        lda = LDAHead().fit(exact.x, exact.y)
        far = exact.far_x if exact.far_x is not None and len(exact.far_x) else None
        far_scores = None if far is None else Strangeness(head, lda, known, taxonomy).scores(far)
        return _Novelty(fit_novelty(examples, far_scores), lda, known, _novelty_told(examples, far_scores))
    except NotEnoughDataError:
        return _Novelty()


def _novelty_told(examples: NoveltyExamples, far: NDArray[np.float64] | None) -> NoveltyFigures | None:
    """What the scores are worth on every second example, learned from the others; None where a half is too small."""
    beyond = np.zeros((0, examples.known.shape[1])) if far is None else far
    half = NoveltyExamples(examples.known[::2], examples.wrong[::2], examples.near[::2])
    try:
        model = fit_novelty(half, beyond[::2] if len(beyond) else None)
    except NotEnoughDataError:
        return None
    return novelty_figures(
        model.value(examples.known[1::2]), model.value(examples.near[1::2]), model.value(beyond[1::2]),
        "Taxa left out on purpose, learned on every second figure and measured on the others.",
    )  # fmt: skip


def _notes_on_data(learned: TrainingSet, exact: TrainingSet, split: Split) -> list[str]:
    notes = []
    single = sorted(label for label, count in Counter(exact.y).items() if count == 1)
    if single:
        notes.append(f"Learned from a single figure each: {', '.join(single)}.")
    if len(exact) < len(learned):
        notes.append(f"{len(learned) - len(exact)} figures bear the name of a whole group; they train its members.")
    if split.borrowed_groups:
        notes.append(
            f"{len(split.borrowed_groups)} sources of the holdout hold the only figures of some taxon; "
            "they were learned from and are not measured on."
        )
    return notes


def measured(
    head: AnyHead,
    temperature: float,
    validation: Validation,
    exact: TrainingSet,
    held_out: TrainingSet,
    taxonomy: Taxonomy,
    config: TrainingConfig,
    notes: Sequence[str],
) -> tuple[Report, Evidence | None]:
    """The report, and the evidence it rests on; None where nothing could be measured."""
    remarks = list(notes)
    held_out, rows, unchecked = _checked_only(exact, held_out, validation, config)
    remarks += unchecked
    groups_of: dict[str, set[str]] = defaultdict(set)
    for label, group in zip((*exact.y, *held_out.y), (*exact.groups, *held_out.groups), strict=True):
        groups_of[label].add(group)
    rare = sorted(label for label, groups in groups_of.items() if len(groups) == 1)
    doubts = _doubts_about_holdout(held_out, groups_of, config)
    evidence: Evidence | None = None
    if not doubts:
        absent = len(set(head.classes_) - set(held_out.y))
        if absent:
            remarks.append(f"{absent} of {len(head.classes_)} taxa have no figure in the holdout and are not measured.")
        evidence = _on_holdout(head, temperature, held_out, exact)
    elif len(rows):
        doubts.append(
            "Measured by cross-validation grouped by source instead; "
            "this flatters slightly, as the head was chosen on it."
        )
        tested = exact.take(validation.rows[rows])
        evidence = _evidence(validation.decision[rows], validation.proba[rows], tested, head, exact, CROSS_VALIDATION)
    remarks += doubts
    if evidence is None:
        return Report("nothing", rare_classes=tuple(rare), notes=tuple(remarks)), None
    report = measure(
        evidence.proba, evidence.y, evidence.classes, evidence.groups, taxonomy, evidence.measured_on, config.seed,
        remarks, rare,
    )  # fmt: skip
    return report, evidence


def _checked_only(
    exact: TrainingSet, held_out: TrainingSet, validation: Validation, config: TrainingConfig
) -> tuple[TrainingSet, NDArray[np.int64], list[str]]:
    """What may be measured on: figures that people here verified, as long as there are enough of them.

    The holdout, places among the validated rows, and a remark where names that nobody checked are among them.
    """
    checked = exact.verified()[validation.rows]
    if min(len(held_out), int(held_out.verified().sum())) >= config.holdout_min_figures:
        held_out = held_out.take(np.flatnonzero(held_out.verified()))
    if int(checked.sum()) >= config.holdout_min_figures:
        return held_out, np.flatnonzero(checked), []
    everything = np.arange(len(checked))
    if checked.all() and held_out.verified().all():
        return held_out, everything, []
    return held_out, everything, ["Measured on names that nobody here has checked, too: too few are verified yet."]


def _evidence(
    decision: NDArray[np.float64],
    proba: NDArray[np.float64],
    tested: TrainingSet,
    head: AnyHead,
    learned: TrainingSet,
    measured_on: str,
) -> Evidence:
    return Evidence(
        decision=decision,
        proba=proba,
        y=tested.y,
        classes=head.classes_,
        groups=tested.groups,
        sources=tested.source_of_each(),
        measured_on=measured_on,
        learned=dict(Counter(learned.y)),
        checked=tested.verified(),
    )


def _on_holdout(head: AnyHead, temperature: float, held_out: TrainingSet, learned: TrainingSet) -> Evidence:
    decision = head.decision(held_out.x)
    return _evidence(decision, apply_temperature(decision, temperature), held_out, head, learned, HOLDOUT)


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
