"""Answers before anybody has named anything: a network's own classes, read as taxa.

Which taxon a class means is decided by the caller; here the class's weights become a head over taxa. Nothing is
learned, except how far its probabilities can be trusted, where there are figures to learn that from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import apply_temperature, fit_temperature
from active_learning.comparing import Verdict
from active_learning.errors import NotEnoughDataError
from active_learning.heads import LinearHead
from active_learning.metrics import Report, measure
from active_learning.model import Candidate, TrainedModel, TrainingConfig
from active_learning.splitting import grouped_folds
from active_learning.taxonomy import Taxonomy
from active_learning.training import environment
from active_learning.training_set import TrainingSet, snapshot_hash
from active_learning.validation import cross_calibrated

Floats = NDArray[np.float32]

FEW = 20
"""With fewer figures of known taxa the network's own probabilities are left as they are."""
FOLDS = 5
_LETTERS = r"[A-Za-zÀ-ÖØ-öø-ÿ.-]+"
_NAME = re.compile(rf"[A-ZÀ-Ö][a-zà-öø-ÿ-]+(?: (?:× ?)?{_LETTERS}){{0,3}}")


class OwnClasses(Protocol):
    """A network's last layer: `labels` (k,), `weight` (d, k) and `bias` (k,) on pooled features of any length.

    `typical_norm` is the mean length of those features: it takes unit vectors to where the layer expects them.
    """

    @property
    def labels(self) -> Sequence[str]: ...

    @property
    def weight(self) -> Floats: ...

    @property
    def bias(self) -> Floats: ...

    @property
    def typical_norm(self) -> float: ...


@dataclass(frozen=True)
class Borrowed:
    """A head over taxa, and which label stands for each; `merged` labels mean a taxon that another stands for."""

    head: LinearHead
    stands_for: Mapping[str, str]
    merged: tuple[str, ...]


def scientific_name(label: str) -> str | None:
    """The name in a line such as `Danaus plexippus (Monarch)`; None where it holds none, as `background` does.

    Common names stand in brackets at the end and may hold brackets themselves. `\\xd7`, as some lists write it, is the
    cross of a hybrid.
    """
    name = " ".join(label.partition("(")[0].replace("\\xd7", "×").split())
    return name if _NAME.fullmatch(name) else None


def borrowed_head(classifier: OwnClasses, mapping: Mapping[str, str]) -> Borrowed:
    """A linear head over the taxa that `mapping` gives for labels; classes without a taxon are left out.

    Leaving out what cannot be there (taxa outside the scope, the background) makes the rest more certain. Where
    several labels mean one taxon, the one that the network met most often (the largest bias) stands for it: a sum of
    their probabilities is no linear head. Raises ValueError for a label that the classifier has not, and
    NotEnoughDataError for fewer than two taxa.
    """
    place = {label: index for index, label in enumerate(classifier.labels)}
    strange = sorted(set(mapping) - set(place))
    if strange:
        raise ValueError(f"the network has no class {strange[0]!r}")
    chosen: dict[str, str] = {}
    for label in sorted(mapping, key=lambda one: (-float(classifier.bias[place[one]]), place[one])):
        chosen.setdefault(mapping[label], label)
    if len(chosen) < 2:
        raise NotEnoughDataError("Of the network's own classes fewer than two are taxa within the scope.")
    classes = sorted(chosen)
    columns = [place[chosen[qid]] for qid in classes]
    weight = np.asarray(classifier.weight, dtype=np.float32)[:, columns] * np.float32(classifier.typical_norm)
    bias = np.asarray(classifier.bias, dtype=np.float32)[columns]
    head = LinearHead().restore(classes, {"weight": np.ascontiguousarray(weight), "bias": bias})
    merged = sorted(set(mapping) - set(chosen.values()), key=lambda label: place[label])
    return Borrowed(head, {qid: chosen[qid] for qid in classes}, tuple(merged))


def borrowed_model(
    borrowed: Borrowed, data: TrainingSet, taxonomy: Taxonomy, config: TrainingConfig, notes: Sequence[str] = ()
) -> TrainedModel:
    """The head as a model, measured on all verified figures in `data`, as it learned from none of them.

    With `FEW` or more figures of its taxa the temperature is fitted to them (and each fold measured with that of the
    others); with fewer it is 1. Figures named only above one of its taxa are left out; those of taxa that it does not
    know count as wrong. Without figures of its taxa the report says that nothing was measured.
    """
    head = borrowed.head
    told = list(notes)
    if borrowed.merged:
        told.append(f"Other classes of the network mean the same taxa and are not asked: {', '.join(borrowed.merged)}.")
    above = {node for qid in head.classes_ for node in taxonomy.lineage(qid)[1:]}
    exact = data.take([row for row, ok in enumerate(data.verified()) if ok and data.y[row] not in above])
    temperature, report = 1.0, Report("nothing", notes=(*told, "None of its taxa has a verified figure yet."))
    if set(exact.y) & set(head.classes_):
        temperature, proba = _calibrated(head.decision(exact.x), exact, head.classes_, config.seed)
        report = measure(proba, exact.y, head.classes_, exact.groups, taxonomy, "holdout", config.seed, told)
    digest = hashlib.sha256(f"borrowed {snapshot_hash(data)} {head.classes_}".encode())
    for name, values in sorted(head.tensors().items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return TrainedModel(
        classes=head.classes_,
        head=head,
        temperature=temperature,
        report=report,
        config=config,
        snapshot_hash=digest.hexdigest(),
        backbone=data.backbone,
        n_figures=0,
        borrowed_groups=(),
        chosen=Candidate(LinearHead.kind, 0.0),
        environment=environment(),
    )


def _calibrated(
    decision: NDArray[np.float64], data: TrainingSet, classes: tuple[str, ...], seed: int
) -> tuple[float, NDArray[np.float64]]:
    """The temperature, and probabilities (n, k) of all figures with a temperature from other sources than their own."""
    place = {label: index for index, label in enumerate(classes)}
    rows = np.array([row for row, label in enumerate(data.y) if label in place], dtype=np.int64)
    truth = np.array([place[data.y[row]] for row in rows], dtype=np.int64)
    groups = [data.groups[row] for row in rows]
    if len(rows) < FEW or len(set(groups)) < FOLDS:
        return 1.0, apply_temperature(decision, 1.0)
    temperature = fit_temperature(decision[rows], truth)
    proba = apply_temperature(decision, temperature)
    proba[rows] = cross_calibrated(decision[rows], truth, grouped_folds(groups, FOLDS, seed))
    return temperature, proba


def may_follow(
    challenger: TrainedModel,
    borrowed: TrainedModel,
    data: TrainingSet,
    taxonomy: Taxonomy,
    borrowed_x: Floats | None = None,
) -> Verdict:
    """Whether a trained model may take the place of a borrowed one, on the verified figures in `data`.

    The trained one speaks by its report (on figures it had not learned from); the borrowed one learned from none, so
    it is measured on all figures of the taxa that the report measured. The trained one must be at least as good in
    mean accuracy over taxa; one that could not be measured yet is kept back.

    `borrowed_x` (n, d') are the vectors of the same figures for a borrowed model of another backbone; without them
    such a one cannot be measured and ValueError is raised.
    """
    if borrowed_x is None and borrowed.backbone != data.backbone:
        raise ValueError(f"the borrowed model needs vectors of {borrowed.backbone}, given as borrowed_x")
    x = data.x if borrowed_x is None else borrowed_x
    ours = challenger.report
    if ours.measured_on == "nothing":
        return Verdict(False, "Kept back: it could not be measured yet, and the network's own classes serve so far.")
    measured = {row.qid for row in ours.per_class if row.support}
    rows = [row for row, label in enumerate(data.y) if label in measured]
    part = data.take(rows)
    theirs = measure(borrowed.predict(x[rows]), part.y, borrowed.classes, part.groups, taxonomy, "holdout")
    publish = ours.balanced_accuracy >= theirs.balanced_accuracy
    verdict = "Published: it is no worse than" if publish else "Kept back: it is worse than"
    return Verdict(
        publish,
        f"{verdict} the network's own classes on the taxa measured; mean accuracy over taxa "
        f"{ours.balanced_accuracy:.1%} against {theirs.balanced_accuracy:.1%}.",
        n=theirs.n,
        n_groups=theirs.n_groups,
        challenger_accuracy=ours.accuracy,
        champion_accuracy=theirs.accuracy,
        challenger_balanced_accuracy=ours.balanced_accuracy,
        champion_balanced_accuracy=theirs.balanced_accuracy,
        gain=ours.balanced_accuracy - theirs.balanced_accuracy,
        new_classes=tuple(sorted(set(challenger.classes) - set(borrowed.classes))),
    )
