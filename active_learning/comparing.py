"""Whether a new model may replace the one that serves: both measured on the same held-out figures, in plain words.

It gives a verdict; publishing is done elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.duel import (
    CLASS_LOSS,
    ClassLoss,
    Duel,
    common_holdout,
    fight,
    known_taxa,
    mean_over_taxa,
    reached,
)
from active_learning.metrics import group_rows
from active_learning.model import TrainedModel
from active_learning.ranks import binomial_tail
from active_learning.taxonomy import Taxonomy
from active_learning.training_set import TrainingSet

ROUNDS = 1000
FLIPS = 0.02  # share of figures that the present model names rightly and the new one may name wrongly
FLIPS_IF_BETTER = 0.05  # the same where the new model is certainly better on the whole
ECE_LOSS = 0.01
RISK = 0.05
TOLD = 5  # taxa that lose figures and are told one by one in the sentence; the verdict holds them all


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
    gone_classes: tuple[str, ...] = ()  # taxa the champion names, of which no label is left
    worse_classes: tuple[str, ...] = ()  # old taxa that lose more than they may
    losses: tuple[ClassLoss, ...] = ()  # all old taxa that lose figures, those among them
    flips: float | None = None  # share of figures named rightly before and wrongly now
    flips_back: float | None = None  # and the other way round
    ece_change: float | None = None  # of the expected calibration error, where there are figures enough to tell

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON types."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Change:
    """What the challenger names and the champion does not, and what the champion names and nobody does any more."""

    new: tuple[str, ...]
    gone: tuple[str, ...]


def compare(
    challenger: TrainedModel,
    champion: TrainedModel | None,
    data: TrainingSet,
    taxonomy: Taxonomy,
    seed: int,
    champion_x: NDArray[np.float32] | None = None,
    seen: Collection[int] = (),
    without: str = "This is the first model.",
    renamed: Mapping[str, str] | None = None,
) -> Verdict:
    """Whether the challenger should be published, on the holdout of the figures in `data`.

    A name is right if it lies at or below the truth in `taxonomy`, for both alike: a model that says the family is
    right where no more is known, and wrong where the species is. What the champion knew is judged as far as it knew
    it: a species of its family "old" counts as that family. `renamed` gives the present ids of taxa that were merged
    into others since a model was trained. `taxonomy` must hold the lineages of both models' classes.

    Sources that either model learned from are left out, and so are figures `seen` by the champion under another name
    of their source. The challenger wins with a higher balanced accuracy, or the same and a lower log loss, or, if it
    knows new taxa or no label is left of an old one, as long as it loses nothing significant on the old ones. The
    champion stays after a significant loss (paired bootstrap over sources, 95 %) of balanced accuracy on the old taxa,
    or of plain accuracy; where an old taxon loses too much (`Duel.losses`); where certainly more than 2 % of the
    figures flip from right to wrong (5 % where the gain is certain); and where the calibration error grows by over
    .01, measured on 1,000 figures or more.

    `champion_x` (n, d') are the vectors of the same figures for a champion of another backbone; without them such a
    champion cannot be measured and ValueError is raised. Where there is no champion, `without` says why.
    """
    if challenger.backbone != data.backbone:
        raise ValueError(f"the challenger learned on {challenger.backbone}, the figures are of {data.backbone}")
    if champion is None:
        return _first(challenger, without)
    if champion_x is None and champion.backbone != data.backbone:
        raise ValueError(f"the champion needs vectors of {champion.backbone}, given as champion_x")
    now_called = renamed or {}
    ours, theirs = known_taxa(challenger, now_called), known_taxa(champion, now_called)
    our_reach, their_reach = reached(ours, taxonomy), reached(theirs, taxonomy)
    labelled = our_reach | reached(set(data.y), taxonomy)
    change = _Change(tuple(sorted(set(ours) - their_reach)), tuple(sorted(set(theirs) - labelled)))
    rows = common_holdout(challenger, champion, data, our_reach | their_reach, seen)
    if not rows:
        return _without_holdout(challenger, champion, change)
    vectors = data.x if champion_x is None else champion_x
    return _judge(fight(challenger, champion, data, vectors, rows, taxonomy, now_called), change, seed)


def _first(challenger: TrainedModel, without: str) -> Verdict:
    report = challenger.report
    if report.measured_on == "nothing":
        words = "It could not be measured yet."
    else:
        share = round(report.accuracy * report.n)
        words = f"It was right on {share} of {report.n} figures it had not seen."
    return Verdict(True, f"{without} {words}", new_classes=challenger.classes)


def _without_holdout(challenger: TrainedModel, champion: TrainedModel, change: _Change) -> Verdict:
    """No figure is fair to both: more evidence wins, and so does a taxon less, unless cross-validation is against."""
    ours, theirs = challenger.report, champion.report
    more = challenger.n_figures > champion.n_figures
    worse = (
        not change.new
        and "nothing" not in (ours.measured_on, theirs.measured_on)
        and ours.balanced_accuracy_interval[1] < theirs.balanced_accuracy
    )
    learned = f"It learned from {challenger.n_figures} figures, the present model from {champion.n_figures}"
    if worse and (more or change.gone):
        reason = f"There are no held-out figures yet, and cross-validation speaks against it. {learned}: kept back."
    elif change.gone:
        reason = f"There are no held-out figures yet on which to compare. Published: {_no_label_left(change.gone)}."
    elif more:
        reason = f"There are no held-out figures yet on which to compare. {learned}: published, as it has seen more."
    else:
        reason = (
            f"There are no held-out figures yet on which to compare. {learned}: kept back, as it has not seen more."
        )
    publish = bool(more or change.gone) and not worse
    return Verdict(publish, reason, new_classes=change.new, gone_classes=change.gone)


def _vetoes(duel: Duel, low_gain: float, losses: Sequence[ClassLoss]) -> list[str]:
    """What keeps a challenger back although it is better on the whole, in words."""
    told, n = [], max(int(duel.old.sum()), 1)
    (flips, _) = duel.flips()
    if too_much := [one for one in losses if one.is_too_much]:
        told.append(f"it certainly loses more than {CLASS_LOSS:.0%} of the figures of {_listed(too_much)}")
    allowed = FLIPS_IF_BETTER if low_gain > 0 else FLIPS
    if flips > allowed * n and 1.0 - binomial_tail(n, flips - 1, allowed) < RISK:
        told.append(f"{flips} of {n} figures that are named rightly now would be named wrongly")
    if duel.ece_change is not None and duel.ece_change > ECE_LOSS:
        told.append(f"its probabilities are off by {duel.ece_change:.3f} more")
    return told


def _judge(duel: Duel, change: _Change, seed: int) -> Verdict:
    everything = np.arange(len(duel))
    gain, old_gain, accuracy_gain = duel.gains(everything)
    members = group_rows(duel.groups)
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [
            duel.gains(np.concatenate([members[j] for j in rng.integers(0, len(members), len(members))]))
            for _ in range(ROUNDS)
        ]
    )
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    ours, theirs = mean_over_taxa(duel.truth, duel.ours), mean_over_taxa(duel.truth, duel.theirs)
    scores = f"mean accuracy over taxa {ours:.1%} against {theirs:.1%} on {len(everything)} held-out figures"
    losses = duel.losses()
    vetoes = _vetoes(duel, float(low[0]), losses)
    publish, told = False, losses
    if high[1] < 0:
        why = f"it is clearly worse on the taxa already known ({old_gain:+.1%})"
    elif high[2] < 0:
        why = f"it is right clearly less often ({accuracy_gain:+.1%})"
    elif vetoes:
        why, told = " and ".join(vetoes), tuple(one for one in losses if not one.is_too_much)
    else:
        publish, why = _better(gain, duel.loss_gain, change)
    flips, flips_back = duel.flips()
    n_old = max(int(duel.old.sum()), 1)
    also = f" It is right less often on {_listed(told)}." if told else ""
    return Verdict(
        publish=publish,
        reason=f"{'Published' if publish else 'Kept back'}: {why}; {scores}.{also}",
        n=len(everything),
        n_groups=len(members),
        challenger_accuracy=float(duel.ours.mean()),
        champion_accuracy=float(duel.theirs.mean()),
        challenger_balanced_accuracy=ours,
        champion_balanced_accuracy=theirs,
        gain=gain,
        gain_low=float(low[0]),
        gain_high=float(high[0]),
        new_classes=change.new,
        gone_classes=change.gone,
        worse_classes=tuple(one.qid for one in losses if one.is_too_much),
        losses=losses,
        flips=flips / n_old,
        flips_back=flips_back / n_old,
        ece_change=duel.ece_change,
    )


def _better(gain: float, loss_gain: float, change: _Change) -> tuple[bool, str]:
    if gain > 1e-9:
        return True, "it is better"
    if change.new:
        counted = _counted(len(change.new), "new taxon", "new taxa")
        return True, f"it knows {counted} and loses nothing that is certain on the others"
    if change.gone:
        return True, f"{_no_label_left(change.gone)}, and nothing that is certain is lost on the others"
    if gain > -1e-9 and loss_gain > 1e-9:
        return True, "it is right as often and its probabilities are truer"
    return False, "it is no better"


def _no_label_left(gone: Sequence[str]) -> str:
    return f"no label is left of {_listed(gone)}, which the present model still names"


def _listed(taxa: Sequence[object]) -> str:
    """The first few, and how many more."""
    rest = len(taxa) - TOLD
    told = [str(one) for one in taxa[:TOLD]] + ([_counted(rest, "more taxon", "more taxa")] if rest > 0 else [])
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
