"""Verified figures as a model sees them, their fingerprint, and who among them is held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.model import TrainingConfig
from active_learning.splitting import in_holdout

Floats = NDArray[np.float32]
NOWHERE = "(here)"  # the source of figures whose source nobody told; no campaign can be called so


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """Verified figures as the model sees them. All sequences have length n.

    `ids` are the figures' own, distinct; `x` (n, d) float32; `y` taxon ids at any rank; `groups` names the source plate
    of each (near-duplicates share theirs); `weights` (n,) positive, all 1 if None; `sources` names the campaign or
    collection each is from; `at_random` (n,) tells which figures were asked for by chance, an unbiased sample, none if
    None; `checked` (n,) whose names were verified here, all if None: a model is measured on no others; `soft` gives, by
    id, the shares of several answers where people are of two minds; `far_x` (m, d) are figures people found to be no
    organism; `backbone` is the version of what made the vectors. Raises ValueError if these do not fit together.
    """

    ids: tuple[int, ...]
    x: Floats
    y: tuple[str, ...]
    groups: tuple[str, ...]
    backbone: str
    weights: NDArray[np.float64] | None = None
    sources: tuple[str, ...] | None = None
    at_random: NDArray[np.bool_] | None = None
    checked: NDArray[np.bool_] | None = None
    soft: Mapping[int, Mapping[str, float]] | None = None
    far_x: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        if len(self.y) != n or len(self.groups) != n or self.x.ndim != 2 or len(self.x) != n:
            raise ValueError(f"{n} ids, {len(self.y)} labels, {len(self.groups)} groups, vectors {self.x.shape}")
        if len(set(self.ids)) != n:
            raise ValueError("a figure may stand in a training set only once")
        if not np.isfinite(self.x).all():
            raise ValueError("some vectors hold values that are not finite")
        if n and not np.abs(self.x).max(axis=1, initial=0.0).all():
            raise ValueError("some vectors are zero: they say nothing of their figures")
        weights = self.weight_of_each()
        if weights.shape != (n,) or not np.isfinite(weights).all() or (weights <= 0).any():
            raise ValueError("weights must be one positive number for each figure")
        if self.sources is not None and len(self.sources) != n:
            raise ValueError(f"{n} ids, {len(self.sources)} sources")
        if self.at_random is not None and self.at_random.shape != (n,):
            raise ValueError(f"{n} ids, at_random {self.at_random.shape}")
        if self.checked is not None and self.checked.shape != (n,):
            raise ValueError(f"{n} ids, checked {self.checked.shape}")
        if self.far_x is not None and (self.far_x.ndim != 2 or not np.isfinite(self.far_x).all()):
            raise ValueError(f"figures of no organism must be finite vectors, not {self.far_x.shape}")

    def __len__(self) -> int:
        return len(self.ids)

    def weight_of_each(self) -> NDArray[np.float64]:
        """(n,) float64."""
        return np.ones(len(self)) if self.weights is None else self.weights.astype(np.float64)

    def source_of_each(self) -> tuple[str, ...]:
        """(n,), all the same where nobody told."""
        return self.sources if self.sources is not None else (NOWHERE,) * len(self)

    def unbiased(self) -> NDArray[np.bool_]:
        """(n,): which figures were asked for by chance; none where nobody told."""
        return self.at_random if self.at_random is not None else np.zeros(len(self), dtype=bool)

    def verified(self) -> NDArray[np.bool_]:
        """(n,): whose names were verified here; all where nobody told."""
        return self.checked if self.checked is not None else np.ones(len(self), dtype=bool)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> TrainingSet:
        """The figures at these positions, in this order."""
        chosen = [int(row) for row in rows]
        ids = tuple(self.ids[row] for row in chosen)
        return TrainingSet(
            ids=ids,
            x=self.x[chosen],
            y=tuple(self.y[row] for row in chosen),
            groups=tuple(self.groups[row] for row in chosen),
            backbone=self.backbone,
            weights=None if self.weights is None else self.weights[chosen],
            sources=None if self.sources is None else tuple(self.sources[row] for row in chosen),
            at_random=None if self.at_random is None else self.at_random[chosen],
            checked=None if self.checked is None else self.checked[chosen],
            soft=None if self.soft is None else {key: self.soft[key] for key in ids if key in self.soft},
            far_x=self.far_x,
        )


def snapshot_hash(data: TrainingSet) -> str:
    """sha256 in hex over what a model learns from: id, label, group, vector, weight of each figure, and the backbone.

    So are sources, shares, which figures were asked for by chance, and those of no organism, where they are told. The
    order of the figures does not matter.
    """
    digest = hashlib.sha256(f"backbone {data.backbone}\n".encode())
    weights, soft, unbiased = data.weight_of_each(), data.soft or {}, data.unbiased()
    verified = data.verified()
    rows = np.ascontiguousarray(data.x, dtype="<f4")
    for row in np.argsort(np.array(data.ids, dtype=np.int64), kind="stable"):
        key, vector = data.ids[row], hashlib.sha256(rows[row].tobytes()).hexdigest()
        told = [str(key), data.y[row], data.groups[row], vector, float(weights[row]).hex()]
        if data.sources is not None:
            told.append(f"from {data.sources[row]}")
        if unbiased[row]:
            told.append("by chance")
        if not verified[row]:
            told.append("unchecked")
        if key in soft:
            told.append(json.dumps(soft[key], sort_keys=True))
        digest.update("\x1f".join(told).encode() + b"\n")
    if data.far_x is not None and len(data.far_x):
        far = sorted(hashlib.sha256(row.tobytes()).hexdigest() for row in np.ascontiguousarray(data.far_x, "<f4"))
        digest.update("\n".join(far).encode())
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
