"""Whether a new model may replace the one that serves: both measured on the same held-out figures, in plain words.

It gives a verdict; publishing is done elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import reliability_bins
from active_learning.metrics import balanced_accuracy, group_rows
from active_learning.model import TrainedModel
from active_learning.ranks import binomial_tail
from active_learning.splitting import in_holdout
from active_learning.training_set import TrainingSet

ROUNDS = 1000
CLASS_FIGURES = 20  # held-out figures from which a taxon is watched by itself
CLASS_LOSS = 0.10  # share of its figures that such a taxon may lose
FLIPS = 0.02  # share of figures that the present model names rightly and the new one may name wrongly
FLIPS_IF_BETTER = 0.05  # the same where the new model is certainly better on the whole
ECE_FIGURES = 1000  # below this, a calibration error is mostly noise
ECE_LOSS = 0.01
RISK = 0.05


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
    worse_classes: tuple[str, ...] = ()  # watched taxa that lose more than they may
    flips: float | None = None  # share of figures named rightly before and wrongly now
    flips_back: float | None = None  # and the other way round
    ece_change: float | None = None  # of the expected calibration error, where there are figures enough to tell

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
    ids: tuple[str, ...]  # of the taxa that `truth` counts
    ece_change: float | None


def compare(
    challenger: TrainedModel,
    champion: TrainedModel | None,
    data: TrainingSet,
    seed: int,
    champion_x: NDArray[np.float32] | None = None,
    seen: Collection[int] = (),
    without: str = "This is the first model.",
) -> Verdict:
    """Whether the challenger should be published, on the holdout of the figures in `data`.

    Sources that either model learned from are left out, and so are figures `seen` by the champion under another name
    of their source. The challenger wins with a higher balanced accuracy, or the same and a lower log loss, or, if it
    knows new taxa, as long as it loses nothing significant on the old ones. The champion stays after a significant
    loss (paired bootstrap over sources, 95 %) of balanced accuracy on the old taxa, or of plain accuracy; where a taxon
    of 20 held-out figures or more loses over a tenth of them; where certainly more than 2 % of the figures flip from
    right to wrong (5 % where the gain is certain); and where the calibration error grows by over .01, measured on 1,000
    figures or more.

    `champion_x` (n, d') are the vectors of the same figures for a champion of another backbone; without them such a
    champion cannot be measured and ValueError is raised. Where there is no champion, `without` says why.
    """
    if challenger.backbone != data.backbone:
        raise ValueError(f"the challenger learned on {challenger.backbone}, the figures are of {data.backbone}")
    if champion is None:
        return _first(challenger, without)
    if champion_x is None and champion.backbone != data.backbone:
        raise ValueError(f"the champion needs vectors of {champion.backbone}, given as champion_x")
    rows = [row for row in _common_holdout(challenger, champion, data) if data.ids[row] not in set(seen)]
    new = tuple(sorted(set(challenger.classes) - set(champion.classes)))
    if not rows:
        return _without_holdout(challenger, champion, new)
    vectors = data.x if champion_x is None else champion_x
    duel = _duel(challenger, champion, data, vectors, rows)
    return _judge(duel, new, seed)


def _first(challenger: TrainedModel, without: str) -> Verdict:
    report = challenger.report
    if report.measured_on == "nothing":
        words = "It could not be measured yet."
    else:
        share = round(report.accuracy * report.n)
        words = f"It was right on {share} of {report.n} figures it had not seen."
    return Verdict(True, f"{without} {words}", new_classes=challenger.classes)


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

    return _Duel(
        truth,
        ours.argmax(axis=1),
        theirs.argmax(axis=1),
        old_columns[truth],
        loss(theirs) - loss(ours),
        tuple(data.groups[row] for row in rows),
        tuple(ids),
        _ece(ours, truth) - _ece(theirs, truth) if len(rows) >= ECE_FIGURES else None,
    )


def _ece(proba: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Expected calibration error in 15 bins, as `expected_calibration_error` has it, without its interval."""
    bins = reliability_bins(proba, proba.argmax(axis=1) == truth, bins=15)
    return float(sum(one.n * abs(one.mean_confidence - one.accuracy) for one in bins) / len(truth))


def _worse_classes(duel: _Duel) -> tuple[str, ...]:
    """Old taxa with figures enough to tell that lose more than a tenth of them."""
    worse = []
    for column in np.unique(duel.truth[duel.old]):
        own = duel.truth == column
        lost = int((duel.champion[own] == column).sum()) - int((duel.challenger[own] == column).sum())
        if own.sum() >= CLASS_FIGURES and lost > CLASS_LOSS * own.sum():
            worse.append(duel.ids[column])
    return tuple(worse)


def _flips(duel: _Duel) -> tuple[int, int]:
    """How many figures of old taxa turned from right to wrong, and from wrong to right."""
    before, now = duel.champion == duel.truth, duel.challenger == duel.truth
    return int((before & ~now & duel.old).sum()), int((~before & now & duel.old).sum())


def _vetoes(duel: _Duel, low_gain: float) -> list[str]:
    """What keeps a challenger back although it is better on the whole, in words."""
    told, n = [], max(int(duel.old.sum()), 1)
    worse, (flips, _) = _worse_classes(duel), _flips(duel)
    if worse:
        told.append(f"it loses more than {CLASS_LOSS:.0%} of the figures of {', '.join(worse)}")
    allowed = FLIPS_IF_BETTER if low_gain > 0 else FLIPS
    if flips > allowed * n and 1.0 - binomial_tail(n, flips - 1, allowed) < RISK:
        told.append(f"{flips} of {n} figures that are named rightly now would be named wrongly")
    if duel.ece_change is not None and duel.ece_change > ECE_LOSS:
        told.append(f"its probabilities are off by {duel.ece_change:.3f} more")
    return told


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
    vetoes = _vetoes(duel, float(low[0]))
    publish = False
    if high[1] < 0:
        why = f"it is clearly worse on the taxa already known ({old_gain:+.1%})"
    elif high[2] < 0:
        why = f"it is right clearly less often ({accuracy_gain:+.1%})"
    elif vetoes:
        why = " and ".join(vetoes)
    else:
        publish, why = _better(gain, duel.loss_gain, new)
    flips, flips_back = _flips(duel)
    n_old = max(int(duel.old.sum()), 1)
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
        worse_classes=_worse_classes(duel),
        flips=flips / n_old,
        flips_back=flips_back / n_old,
        ece_change=duel.ece_change,
    )


def _better(gain: float, loss_gain: float, new: tuple[str, ...]) -> tuple[bool, str]:
    if gain > 1e-9:
        return True, "it is better"
    if new:
        counted = _counted(len(new), "new taxon", "new taxa")
        return True, f"it knows {counted} and loses nothing that is certain on the others"
    if gain > -1e-9 and loss_gain > 1e-9:
        return True, "it is right as often and its probabilities are truer"
    return False, "it is no better"


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
