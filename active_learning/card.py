"""The model card: what a model version is worth, as plain numbers that can be kept, drawn and told.

It is made from what the model said of figures that it had not learned from. It fits nothing and decides nothing.
The headings follow Mitchell et al. 2019, "Model cards for model reporting".
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from active_learning.auto_thresholds import AutoThreshold
from active_learning.calibration import ReliabilityBin
from active_learning.curves import CurvePoint, InclusionPoint
from active_learning.intervals import NO_SHARE, Share
from active_learning.ranks import RankFigures

FEW_LABELS, SINGLE_SOURCE, NOT_MEASURED, LOW_RECALL, CONFUSED = (
    "few_labels",
    "single_source",
    "not_measured",
    "low_recall",
    "confused",
)


@dataclass(frozen=True)
class RankCard:
    """What one rank is worth: right at the best name, and what is said aloud at this rank."""

    figures: RankFigures
    accuracy: Share
    coverage: Share  # share of all figures for which this rank is the deepest that is said
    said_right: Share  # among those that are said and whose truth is known
    promised: float | None  # one-sided 95 % lower bound that the threshold was chosen for; None: nothing is said
    bins: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True)
class LookAlike:
    """Two taxa that are taken for one another; `a` is the one that suffers more."""

    a: str
    b: str
    a_as_b: int
    b_as_a: int
    a_figures: int
    b_figures: int
    relation: str  # the lowest rank that holds both, "" for none


@dataclass(frozen=True)
class Mistakes:
    """How far off the wrong answers are: the lowest rank at which the answer and the truth agree."""

    n: int
    by_rank: Mapping[str, int]  # rank, or "" where they share none
    mean_height: float  # 1 the same genus, 2 family, 3 order, 4 class, 5 nothing in common


@dataclass(frozen=True)
class SetFigures:
    """What the sets that shall hold the truth are worth."""

    n: int
    promised: float
    coverage: Share
    macro_coverage: Share  # every taxon counts the same
    mean_size: float
    at_most_five: float  # share of figures whose set has five taxa or fewer


@dataclass(frozen=True)
class NoveltyFigures:
    """How much of what is novel is found at 1 % and at 5 % false alarms; None where it could not be measured."""

    how: str
    n_known: int
    n_near: int  # relatives of what the model knows
    n_far: int  # nothing like it
    near_at_1: float | None = None
    near_at_5: float | None = None
    near_auroc: float | None = None
    far_at_1: float | None = None
    far_at_5: float | None = None
    far_auroc: float | None = None


@dataclass(frozen=True)
class NeedyClass:
    """A taxon for which more images would help most, and why (codes such as `FEW_LABELS`)."""

    qid: str
    learned: int
    n: int  # measured figures
    recall: float | None  # None where none was measured
    predicted: int  # figures that the model takes for it
    reasons: tuple[str, ...]
    confused_with: str = ""
    confused: int = 0


@dataclass(frozen=True)
class SourceFigures:
    """What the model is worth on the figures of one campaign or collection."""

    source: str
    n: int
    n_groups: int
    accuracy: Share
    balanced_accuracy: Share


@dataclass(frozen=True)
class Proof:
    """What the thresholds for settling rest on: verified figures of the frozen holdout, as the serving head sees them.

    Neither names that nobody here has checked count, nor what other heads said in cross-validation.
    """

    target: float  # the share that shall be right
    n: int
    n_sources: int
    least_sources: int  # of one taxon, all of them right, are the fewest that prove it


@dataclass(frozen=True)
class ModelCard:
    """All of it. Shares are 0 to 1 with 95 % intervals over sources; what was not measured is empty or None."""

    measured_on: str  # "holdout", "cross-validation" or "nothing"
    n: int = 0  # figures named as exactly as the model can name them
    n_groups: int = 0
    n_classes: int = 0
    accuracy: Share = NO_SHARE
    balanced_accuracy: Share = NO_SHARE
    top5: Share = NO_SHARE
    sure: Share | None = None  # right, among figures of which something is said aloud at any rank
    sure_coverage: Share | None = None  # share of such figures
    ranks: tuple[RankCard, ...] = ()  # deepest first
    pairs: tuple[LookAlike, ...] = ()  # most mistakes first
    mistakes: Mistakes | None = None
    inclusion: tuple[InclusionPoint, ...] = ()
    learning: tuple[CurvePoint, ...] = ()
    sets: SetFigures | None = None
    novelty: NoveltyFigures | None = None
    needy: tuple[NeedyClass, ...] = ()  # the neediest first
    sources: tuple[SourceFigures, ...] = ()  # most figures first
    pooled: tuple[AutoThreshold, ...] = ()  # one for all taxa, at several targets
    thresholds: tuple[AutoThreshold, ...] = ()  # by taxon, at the target that was asked for
    notes: tuple[str, ...] = field(default=())
    proof: Proof | None = None  # of `pooled` and `thresholds`; without it (an older card) they may settle nothing

    def to_dict(self) -> dict[str, Any]:
        """The card as plain JSON types; `from_dict` gives it back, also after a trip through JSON."""
        plain: dict[str, Any] = _plain(self)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ModelCard:
        """The card that `to_dict` gave; a field that an older card lacks is empty.

        Raises TypeError for a field that is not known, or lacks where it must not, or is of another kind.
        """
        card = _restored(cls, plain)
        assert isinstance(card, cls)
        return card


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _restored(kind: Any, plain: Any) -> Any:
    """The value of this type that `_plain` told. Raises TypeError where they do not fit."""
    parts = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if plain is None else _restored(next(part for part in parts if part is not types.NoneType), plain)
    if origin is tuple:
        return tuple(_restored(parts[0], each) for each in _checked(list | tuple, plain))
    if origin is Mapping:
        return {key: _restored(parts[1], each) for key, each in _checked(Mapping, plain).items()}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        unknown = _checked(Mapping, plain).keys() - hints.keys()
        if unknown:
            raise TypeError(f"{getattr(kind, '__name__', kind)} has no field named {', '.join(sorted(unknown))}")
        return typing.cast("Any", kind)(**{name: _restored(hints[name], each) for name, each in plain.items()})
    if kind is ReliabilityBin:
        return ReliabilityBin(*_checked(list | tuple, plain))
    return _checked(kind if kind is not float else float | int, plain)


def _checked(kind: Any, plain: Any) -> Any:
    if not isinstance(plain, kind):
        raise TypeError(f"expected {kind}, got {type(plain).__name__}")
    return plain
