"""A trained model and its folder on disk: safetensors for numbers, JSON for everything else, checksums over both.

No pickle is written or read. A folder is written whole or not at all, and never changed afterwards.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import apply_temperature
from active_learning.card import NoveltyFigures
from active_learning.conformal import ConformalModel
from active_learning.errors import ArtifactError
from active_learning.evidence import Evidence
from active_learning.heads import AnyHead, LinearHead, make_head
from active_learning.judging import Judge
from active_learning.lda import LDAHead
from active_learning.metrics import Report
from active_learning.novelty import NoveltyModel
from active_learning.ranks import RankScale
from active_learning.taxonomy import Taxonomy

FORMAT = 2
WEIGHTS_FILE, CARD_FILE = "model.safetensors", "model.json"
ABANDONED_AFTER_S = 3600.0
"""A folder that a kill left half written is removed after this time; writing one takes seconds."""


@dataclass(frozen=True)
class TrainingConfig:
    """All knobs of a training run; each is stored with the model."""

    seed: int = 0
    holdout_fraction: float = 0.2  # share of sources that is never learned from
    holdout_min_figures: int = 20  # a smaller holdout says too little to report
    holdout_min_class_share: float = 0.75  # of the taxa one expects in it
    holdout_expects_from_sources: int = 8  # a taxon with this many sources is expected in the holdout
    folds: int = 5
    l2_candidates: tuple[float, ...] = (1.0, 0.3, 0.03, 0.003)  # each divided by the number of labels
    l2_fallback: float = 0.1  # where nothing can be cross-validated
    logit_adjustment: float = 1.0  # 0: frequent taxa are favoured; 1: all taxa are equal before the picture
    min_per_class: int = 1  # taxa with fewer figures are left out
    try_lda: bool = False  # whether linear discriminant analysis is a candidate: it gained nothing (docs/learning.md)
    validation_budget: float = 2e9  # figures x taxa x vector length of all cross-validation fits: about 15 s on a core
    sure_target: float = 0.95  # share of right ones among what is said aloud
    novelty_figures: int = 1500  # of so many figures it is learned what is novel
    known_figures: int = 2048  # vectors kept with the model, to see what lies far from all of them

    def __post_init__(self) -> None:
        if not 0.0 <= self.holdout_fraction < 1.0:
            raise ValueError(f"holdout_fraction must lie from 0 to below 1, not {self.holdout_fraction}")
        if self.folds < 2 or self.min_per_class < 1 or not self.l2_candidates:
            raise ValueError("at least two folds, one figure a taxon and one l2 candidate are needed")


@dataclass(frozen=True)
class Candidate:
    """One kind of head with its penalty."""

    kind: str
    l2: float

    def __str__(self) -> str:
        return f"{self.kind} head" + (f", l2 {self.l2:g} a label" if self.kind == LinearHead.kind else "")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A fitted, calibrated, measured model with all that is needed to know where it came from."""

    classes: tuple[str, ...]
    head: AnyHead
    temperature: float
    report: Report
    config: TrainingConfig
    snapshot_hash: str
    backbone: str
    n_figures: int  # learned from, without the holdout
    borrowed_groups: tuple[str, ...]  # holdout sources that were learned from all the same
    chosen: Candidate
    environment: Mapping[str, str]
    scales: tuple[RankScale, ...] = ()  # temperature and threshold of each rank; empty where nothing was validated
    conformal: ConformalModel | None = None
    novelty: NoveltyModel | None = None
    lda: LDAHead | None = None  # with `known_x` (m, d): what novelty is measured against
    known_x: NDArray[np.float32] | None = None
    card: Mapping[str, Any] = field(default_factory=dict)  # what a report on it shows beyond `report`, as plain JSON
    novelty_figures: NoveltyFigures | None = None  # how well novelty is told; known right after training
    evidence: Evidence | None = None  # what `report` rests on; known right after training, and not kept in the folder
    holdout: Evidence | None = None  # on the frozen holdout, however small; kept as `evidence` is, None if empty

    def judge(self, taxonomy: Taxonomy) -> Judge:
        """The model at work, on the tree of taxa as it is now."""
        return Judge(
            self.head, self.temperature, taxonomy, self.scales, self.conformal, self.novelty, self.lda, self.known_x
        )

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, k) over `classes` for vectors (n, d) of this model's backbone version."""
        return apply_temperature(self.head.decision(x), self.temperature)

    def save(self, folder: Path) -> str:
        """Write the model to a new folder, whole or not at all; returns the sha256 of its card.

        Saving the same model there again does nothing. What a killed process left half written beside it is removed
        after `ABANDONED_AFTER_S`. Raises ArtifactError if another model is there.
        """
        weights, card = self._weights_bytes(), b""
        card = self._card_bytes(hashlib.sha256(weights).hexdigest())
        if folder.exists():
            if (folder / CARD_FILE).is_file() and (folder / CARD_FILE).read_bytes() == card:
                TrainedModel.load(folder)
                return hashlib.sha256(card).hexdigest()
            raise ArtifactError(f"The folder {folder.name} already holds something else; a model is never overwritten.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _remove_abandoned(unfinished)
            write_durably(unfinished / WEIGHTS_FILE, weights)
            write_durably(unfinished / CARD_FILE, card)
            unfinished.chmod(0o755)  # mkdtemp makes it private; web processes of another user must read it
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        sync_folder(folder.parent)
        return hashlib.sha256(card).hexdigest()

    def _weights_bytes(self) -> bytes:
        from safetensors.numpy import save

        named = dict(self.head.tensors())
        for part, tensors in (
            ("lda", self.lda.tensors() if self.lda else {}),
            ("novelty", self.novelty.tensors() if self.novelty else {}),
            ("conformal", _conformal_tensors(self.conformal)),
            ("known", {"x": self.known_x.astype(np.float16)} if self.known_x is not None else {}),
        ):
            named |= {f"{part}.{name}": value for name, value in tensors.items()}
        return bytes(save({name: np.ascontiguousarray(value) for name, value in named.items()}))

    def _card_bytes(self, weights_sha256: str) -> bytes:
        body = {
            "format": FORMAT,
            "head": self.head.kind,
            "classes": list(self.classes),
            "temperature": self.temperature,
            "chosen": dataclasses.asdict(self.chosen),
            "backbone": self.backbone,
            "snapshot_hash": self.snapshot_hash,
            "n_figures": self.n_figures,
            "borrowed_groups": list(self.borrowed_groups),
            "config": dataclasses.asdict(self.config),
            "environment": dict(self.environment),
            "report": self.report.to_dict(),
            "scales": [dataclasses.asdict(scale) for scale in self.scales],
            "card": dict(self.card),
            "sha256": {WEIGHTS_FILE: weights_sha256},
        }
        # The card's own checksum is taken over the card without it.
        return _json({**body, "card_sha256": hashlib.sha256(_json(body)).hexdigest()})

    @classmethod
    def load(cls, folder: Path) -> TrainedModel:
        """The model stored there. Raises ArtifactError if it is missing, damaged or of another format."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            card_bytes, weights = (folder / CARD_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes()
        except OSError as error:
            raise ArtifactError(f"There is no complete model in {folder.name}: {error.strerror}.") from error
        card = _checked_card(card_bytes, folder.name)
        if card["sha256"][WEIGHTS_FILE] != hashlib.sha256(weights).hexdigest():
            raise ArtifactError(
                f"The weights of the model in {folder.name} were damaged or exchanged: their checksum is wrong."
            )
        try:
            head = make_head(card["head"], card["chosen"]["l2"] or 1e-3, card["config"]["logit_adjustment"])
            parts = _by_part(load(weights))
            head.restore(card["classes"], parts[""])
            config = {**card["config"], "l2_candidates": tuple(card["config"]["l2_candidates"])}
            return cls(
                classes=tuple(card["classes"]),
                head=head,
                temperature=float(card["temperature"]),
                report=Report.from_dict(card["report"]),
                config=TrainingConfig(**config),
                snapshot_hash=card["snapshot_hash"],
                backbone=card["backbone"],
                n_figures=card["n_figures"],
                borrowed_groups=tuple(card["borrowed_groups"]),
                chosen=Candidate(**card["chosen"]),
                environment=card["environment"],
                scales=tuple(RankScale(**scale) for scale in card["scales"]),
                conformal=_conformal_of(card["classes"], parts.get("conformal")),
                novelty=NoveltyModel.restore(parts["novelty"]) if "novelty" in parts else None,
                lda=LDAHead().restore(card["classes"], parts["lda"]) if "lda" in parts else None,
                known_x=parts["known"]["x"].astype(np.float32) if "known" in parts else None,
                card=card["card"],
            )
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ArtifactError(f"The model in {folder.name} cannot be understood ({error!r}).") from error


Tensors = dict[str, NDArray[np.generic]]


def _by_part(tensors: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensors]:
    """The tensors by what stands before the dot of their names; the head's own have none."""
    parts: dict[str, Tensors] = {"": {}}
    for name, value in tensors.items():
        part, dot, own = name.rpartition(".")
        parts.setdefault(part if dot else "", {})[own] = value
    return parts


def _conformal_tensors(model: ConformalModel | None) -> Tensors:
    if model is None:
        return {}
    balanced = np.array([int(model.balanced)])
    return {"prior": model.prior, "scores": model.scores, "labels": model.labels, "balanced": balanced}


def _conformal_of(classes: Sequence[str], tensors: Tensors | None) -> ConformalModel | None:
    if tensors is None:
        return None
    prior, scores = np.asarray(tensors["prior"], np.float64), np.asarray(tensors["scores"], np.float64)
    labels = np.asarray(tensors["labels"], np.int64)
    return ConformalModel(tuple(classes), prior, scores, labels, bool(int(tensors["balanced"][0])))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False).encode()


def _checked_card(card_bytes: bytes, name: str) -> dict[str, Any]:
    damaged = f"The card of the model in {name} was damaged: "
    try:
        card = json.loads(card_bytes)
    except ValueError as error:
        raise ArtifactError(damaged + "it is not JSON.") from error
    if not isinstance(card, dict) or "card_sha256" not in card:
        raise ArtifactError(damaged + "it has no checksum.")
    claimed = card.pop("card_sha256")
    if claimed != hashlib.sha256(_json(card)).hexdigest():
        raise ArtifactError(damaged + "its checksum is wrong.")
    if card.get("format") != FORMAT:
        raise ArtifactError(f"The model in {name} has format {card.get('format')}; this version reads format {FORMAT}.")
    return card


def _remove_abandoned(beside: Path) -> None:
    """Remove the folders that killed processes left half written beside this new one.

    Their age is told by the file system, which stamped this one just now: machines that share a disk may not agree on
    the time. What is called otherwise, or holds anything but a model's two files, is not ours, and stays.
    """
    now = beside.stat().st_mtime
    for folder in beside.parent.glob(".*.????????"):
        try:
            files = list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else None
            if files is None or not {file.name for file in files} <= {WEIGHTS_FILE, CARD_FILE}:
                continue
            newest = max(one.stat().st_mtime for one in (folder, *files))
        except (FileNotFoundError, PermissionError):
            continue  # it was finished or removed meanwhile, or another user is writing it
        if now - newest > ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


def write_durably(path: Path, content: bytes) -> None:
    """Write and wait until it is on the disk, not only in its cache."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a rename in this folder is on the disk (POSIX; elsewhere renames need no such step)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
