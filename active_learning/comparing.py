"""Whether a new model may replace the one that serves: both measured on the same held-out figures, in plain words.

It gives a verdict; publishing is done elsewhere.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.metrics import balanced_accuracy, group_rows
from active_learning.model import TrainedModel
from active_learning.splitting import in_holdout
from active_learning.training import TrainingSet

ROUNDS = 1000


@dataclass(frozen=True)
class Verdict:
    """Publish or keep, the reason as a sentence, and the figures behind it (shares; 95 % interval of the gain)."""

    publish: bool
    reason: str
    n: int = 0
    n_groups: int = 0
    challenger_accuracy: float | None = None
    champion_accuracy: float | None = None
    challenger_balanced_accuracy: float | None = None
    champion_balanced_accuracy: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    new_classes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON types."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Duel:
    """Both models on the same figures."""

    truth: NDArray[np.int64]
    challenger: NDArray[np.int64]
    champion: NDArray[np.int64]
    old: NDArray[np.bool_]  # figures of taxa that the champion knows
    loss_gain: float  # how much lower the challenger's log loss is
    groups: tuple[str, ...]


def compare(
    challenger: TrainedModel,
    champion: TrainedModel | None,
    data: TrainingSet,
    seed: int,
    champion_x: NDArray[np.float32] | None = None,
) -> Verdict:
    """Whether the challenger should be published, on the holdout of the figures in `data`.

    Sources that either model learned from are left out. The challenger wins with a higher balanced accuracy, or the
    same and a lower log loss, or, if it knows new taxa, as long as it loses nothing significant on the old ones; a
    significant loss (paired bootstrap over sources, 95 %) of balanced accuracy on the old taxa, or of plain accuracy,
    always keeps the champion.

    `champion_x` (n, d') are the vectors of the same figures for a champion of another backbone; without them such a
    champion cannot be measured and ValueError is raised.
    """
    if challenger.backbone != data.backbone:
        raise ValueError(f"the challenger learned on {challenger.backbone}, the figures are of {data.backbone}")
    if champion is None:
        return _first(challenger)
    if champion_x is None and champion.backbone != data.backbone:
        raise ValueError(f"the champion needs vectors of {champion.backbone}, given as champion_x")
    rows = _common_holdout(challenger, champion, data)
    new = tuple(sorted(set(challenger.classes) - set(champion.classes)))
    if not rows:
        return _without_holdout(challenger, champion, new)
    vectors = data.x if champion_x is None else champion_x
    duel = _duel(challenger, champion, data, vectors, rows)
    return _judge(duel, new, seed)


def _first(challenger: TrainedModel) -> Verdict:
    report = challenger.report
    if report.measured_on == "nothing":
        words = "It could not be measured yet."
    else:
        share = round(report.accuracy * report.n)
        words = f"It was right on {share} of {report.n} figures it had not seen."
    return Verdict(True, f"This is the first model. {words}", new_classes=challenger.classes)


def _common_holdout(challenger: TrainedModel, champion: TrainedModel, data: TrainingSet) -> list[int]:
    """Figures that neither model learned from and at least one could know."""
    touched = {*challenger.borrowed_groups, *champion.borrowed_groups}
    known = {*challenger.classes, *champion.classes}
    held = {
        group
        for group in set(data.groups) - touched
        if all(in_holdout(group, model.config.holdout_fraction, model.config.seed) for model in (challenger, champion))
    }
    return [row for row, group in enumerate(data.groups) if group in held and data.y[row] in known]


def _without_holdout(challenger: TrainedModel, champion: TrainedModel, new: tuple[str, ...]) -> Verdict:
    """No figure is fair to both: more evidence wins unless cross-validation speaks against it."""
    ours, theirs = challenger.report, champion.report
    more = challenger.n_figures > champion.n_figures
    worse = (
        not new
        and "nothing" not in (ours.measured_on, theirs.measured_on)
        and ours.balanced_accuracy_interval[1] < theirs.balanced_accuracy
    )
    learned = f"It learned from {challenger.n_figures} figures, the present model from {champion.n_figures}"
    if more and not worse:
        reason = f"There are no held-out figures yet on which to compare. {learned}: published, as it has seen more."
    elif more:
        reason = f"There are no held-out figures yet, and cross-validation speaks against it. {learned}: kept back."
    else:
        reason = (
            f"There are no held-out figures yet on which to compare. {learned}: kept back, as it has not seen more."
        )
    return Verdict(more and not worse, reason, new_classes=new)


def _duel(
    challenger: TrainedModel,
    champion: TrainedModel,
    data: TrainingSet,
    champion_x: NDArray[np.float32],
    rows: list[int],
) -> _Duel:
    ids = sorted({*challenger.classes, *champion.classes})
    index = {qid: position for position, qid in enumerate(ids)}
    truth = np.array([index[data.y[row]] for row in rows], dtype=np.int64)

    def on_all(model: TrainedModel, x: NDArray[np.float32]) -> NDArray[np.float64]:
        proba = np.zeros((len(rows), len(ids)))
        proba[:, [index[qid] for qid in model.classes]] = model.predict(x[rows])
        return proba

    ours, theirs = on_all(challenger, data.x), on_all(champion, champion_x)
    old_columns = np.isin(np.arange(len(ids)), [index[qid] for qid in champion.classes])
    both = np.isin(truth, [index[qid] for qid in set(champion.classes) & set(challenger.classes)])

    def loss(proba: NDArray[np.float64]) -> float:
        own = proba[np.arange(len(rows)), truth][both]
        return float(-np.log(np.maximum(own, 1e-6)).mean()) if both.any() else 0.0

    groups = tuple(data.groups[row] for row in rows)
    return _Duel(
        truth, ours.argmax(axis=1), theirs.argmax(axis=1), old_columns[truth], loss(theirs) - loss(ours), groups
    )


def _gains(duel: _Duel, rows: NDArray[np.int64]) -> tuple[float, float, float]:
    """Challenger minus champion on these rows: balanced accuracy, the same on old taxa, plain accuracy."""
    truth, ours, theirs, old = duel.truth[rows], duel.challenger[rows], duel.champion[rows], duel.old[rows]
    return (
        balanced_accuracy(truth, ours) - balanced_accuracy(truth, theirs),
        balanced_accuracy(truth[old], ours[old]) - balanced_accuracy(truth[old], theirs[old]),
        float((ours == truth).mean() - (theirs == truth).mean()),
    )


def _judge(duel: _Duel, new: tuple[str, ...], seed: int) -> Verdict:
    everything = np.arange(len(duel.truth))
    gain, old_gain, accuracy_gain = _gains(duel, everything)
    members = group_rows(duel.groups)
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [
            _gains(duel, np.concatenate([members[j] for j in rng.integers(0, len(members), len(members))]))
            for _ in range(ROUNDS)
        ]
    )
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    ours = balanced_accuracy(duel.truth, duel.challenger)
    theirs = balanced_accuracy(duel.truth, duel.champion)
    scores = f"mean accuracy over taxa {ours:.1%} against {theirs:.1%} on {len(everything)} held-out figures"
    if high[1] < 0:
        publish, why = False, f"it is clearly worse on the taxa already known ({old_gain:+.1%})"
    elif high[2] < 0:
        publish, why = False, f"it is right clearly less often ({accuracy_gain:+.1%})"
    elif gain > 1e-9:
        publish, why = True, "it is better"
    elif new:
        publish, why = (
            True,
            f"it knows {_counted(len(new), 'new taxon', 'new taxa')} and loses nothing that is certain on the others",
        )
    elif gain > -1e-9 and duel.loss_gain > 1e-9:
        publish, why = True, "it is right as often and its probabilities are truer"
    else:
        publish, why = False, "it is no better"
    return Verdict(
        publish=publish,
        reason=f"{'Published' if publish else 'Kept back'}: {why}; {scores}.",
        n=len(everything),
        n_groups=len(members),
        challenger_accuracy=float((duel.challenger == duel.truth).mean()),
        champion_accuracy=float((duel.champion == duel.truth).mean()),
        challenger_balanced_accuracy=ours,
        champion_balanced_accuracy=theirs,
        gain=gain,
        gain_low=float(low[0]),
        gain_high=float(high[0]),
        new_classes=new,
    )


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
