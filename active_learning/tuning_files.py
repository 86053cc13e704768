"""The folder in which a network is fine-tuned, what comes of it, and what a tuned network has seen.

Nothing is trained here; see `fine_tuning`. Safetensors and JSON only, and each file is written whole or not at all.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from active_learning.errors import ArtifactError, NotEnoughDataError
from active_learning.images import PREPROCESSING_VERSION
from active_learning.torch_networks import ARCHITECTURES, Preprocessing
from active_learning.weights import digest, find_weights, load_into, read_state, stem

if TYPE_CHECKING:
    import torch

MANIFEST, START, PLAN = "manifest.jsonl", "start.safetensors", "tuning.json"
CHECKPOINT = "checkpoint.json"
LOCK = "lock"
TUNED_WEIGHTS, TUNED_RECORD = "tuned.safetensors", "tuned.json"
CHECKSUM = "record_sha256"
VARIANT = "tuned-"
"""How the variant's name of every tuned network begins; what follows the architecture and a slash."""
LEAST_CLASSES = 2


@dataclass(frozen=True)
class TuningConfig:
    """All knobs of a tuning; each is stored with the weights."""

    epochs: int = 5
    batch: int = 32  # figures that make one step, over all processes
    feature_rate: float = 1e-4  # learning rate of the network, which knows much already
    head_rate: float = 3e-3  # learning rate of the new last layer
    weight_decay: float = 0.01
    balance: float = 0.5  # 0: figures are drawn as frequent as their class is; 1: all classes alike
    check_share: float = 0.1  # share of the groups that only tell, after each epoch, how far it is
    side: int = 0  # pixels of the square input; 0: what the network expects
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(f"at least one epoch and one figure a step are needed, not {self.epochs} and {self.batch}")
        if not 0.0 <= self.balance <= 1.0 or not 0.0 <= self.check_share < 1.0:
            raise ValueError("balance lies between 0 and 1, and check_share below 1")


@dataclass(frozen=True)
class TuningFigure:
    """A figure to learn from: its image file, the box on it or None, its class, and its group (the source plate)."""

    path: Path
    box: str | None
    label: str
    group: str


@dataclass(frozen=True)
class Seen:
    """What networks were tuned on: groups by name, and images by the name of their file without its ending."""

    groups: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()

    def __or__(self, other: Seen) -> Seen:
        """What either was tuned on."""
        return Seen(self.groups | other.groups, self.images | other.images)

    def __bool__(self) -> bool:
        """Whether it is anything at all."""
        return bool(self.groups or self.images)

    def to_dict(self) -> dict[str, list[str]]:
        """The same as plain JSON."""
        return {"groups": sorted(self.groups), "images": sorted(self.images)}


@dataclass(frozen=True)
class Plan:
    """What a folder asks for, and what a network tuned in it has seen."""

    folder: Path
    backbone: str
    key: str  # hash of all the rest
    config: TuningConfig
    figures: tuple[TuningFigure, ...]
    seen: Seen
    hashes: Mapping[str, str]  # of the weights to begin with, and of the manifest

    @property
    def architecture(self) -> str:
        """The name under which torchvision builds the network."""
        return self.backbone.partition("/")[0]

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network expects, with another side where one was asked for."""
        own = ARCHITECTURES[self.architecture].preprocessing
        return dataclasses.replace(own, side=self.config.side or own.side)


# The folder


def prepare(
    parent: Path,
    backbone: str,
    figures: Sequence[TuningFigure],
    weights: Path | None,
    config: TuningConfig | None = None,
) -> Path:
    """Make the folder of a tuning below `parent`, or find the one that was begun with the very same; returns it.

    It is called after a hash of the figures, the weights to begin with, and the settings. `weights` is the weights
    folder, or one file. The figures of the frozen holdout must not be among `figures`.

    Raises ValueError for a network that is not torchvision's, ArtifactError if its weights are not at hand or another
    network's, NotEnoughDataError for fewer than two classes.
    """
    config, architecture = config or TuningConfig(), backbone.partition("/")[0]
    if architecture not in ARCHITECTURES:
        raise ValueError(f"{backbone!r} cannot be tuned; only networks of torchvision can: {', '.join(ARCHITECTURES)}.")
    if (n_classes := len({one.label for one in figures})) < LEAST_CLASSES:
        raise NotEnoughDataError(f"Tuning needs figures of at least {LEAST_CLASSES} taxa; there are {n_classes}.")
    local = find_weights(backbone, weights)
    if local is None:
        raise ArtifactError(f"There are no weights of {backbone} to begin with; put them into the weights folder.")
    dropped = ARCHITECTURES[architecture].dropped
    state = {key: value for key, value in read_state(local).items() if not key.startswith(dropped)}
    network_of(architecture, state, n_classes)  # refuses another network's weights before anything is written
    lines = "".join(_manifest_line(one, parent) for one in figures)
    told = {
        "backbone": backbone,
        "start": digest(state, PREPROCESSING_VERSION),
        "manifest": hashlib.sha256(lines.encode()).hexdigest(),
        "config": dataclasses.asdict(config),
        "seen": seen_by(backbone, weights).to_dict(),  # a network may be tuned again
    }
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    folder = parent / key[:12]
    if not (folder / PLAN).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder):
            _write(folder / MANIFEST, lines.encode())
            write_tensors(folder / START, state)
            write_json(folder / PLAN, {**told, "key": key})  # last: with it the folder is whole
    return folder


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Keep the folder of a tuning to this process, from its beginning until its result is installed.

    Yields the lock as an open file: a child that is given it (`pass_fds`) keeps the folder if this process is killed,
    until it has ended too. The lock ends with the last of them, whatever happens. Raises ArtifactError if another
    process has the folder, or has finished with it.
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError as error:
        raise ArtifactError(f"Another process has just finished the tuning in {folder.name}.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            why = f"Another process is at work on the same tuning ({folder.name}); wait until it has ended."
            raise ArtifactError(why) from error
        if not _is_still(folder / LOCK, lock):
            raise ArtifactError(f"Another process has just finished the tuning in {folder.name}.")
        yield lock
    finally:
        os.close(lock)


def _is_still(path: Path, opened: int) -> bool:
    """Whether the opened file is the one that lies there now: its folder may have been removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(opened))
    except FileNotFoundError:
        return False


def _manifest_line(figure: TuningFigure, parent: Path) -> str:
    # Seen from the folder itself, so that images and tunings can be moved together.
    path = os.path.relpath(figure.path, parent / "any")
    told = {"path": path, "box": figure.box, "class": figure.label, "group": figure.group}
    return json.dumps(told, ensure_ascii=False) + "\n"


def read_plan(folder: Path) -> Plan:
    """What `prepare` wrote. Raises ArtifactError if it is not whole or was changed."""
    try:
        told = json.loads((folder / PLAN).read_text("utf-8"))
        written = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(written).hexdigest() != told["manifest"]:
            raise ArtifactError(f"{MANIFEST} in {folder.name} was changed since the tuning was prepared.")
        rows = [json.loads(line) for line in written.decode().splitlines()]
        figures = [TuningFigure(folder / row["path"], row["box"], row["class"], row["group"]) for row in rows]
        own = Seen(frozenset(one.group for one in figures), frozenset(one.path.stem for one in figures))
        seen = own | Seen(frozenset(told["seen"]["groups"]), frozenset(told["seen"]["images"]))
        hashes = {key: str(told[key]) for key in ("start", "manifest")}
        config = TuningConfig(**told["config"])
        return Plan(folder, told["backbone"], told["key"], config, tuple(figures), seen, hashes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder.name} holds no tuning that can be read ({error}).") from error


# What comes of it


def install(folder: Path, weights: Path, called: str) -> str:
    """Put the tuned features of a finished folder into the weights folder; returns the name they are loaded by.

    The name is `<architecture>/tuned-<called>-<hash>`, with the first eight digits of the weights' own hash. Beside
    the weights lies a JSON file of the same name: the settings, the course, what was seen, and a checksum over all of
    it. Then the tuning's folder has done its work and is removed, at once for whoever looks for it. Raises
    ArtifactError if it is not finished.
    """
    plan = read_plan(folder)
    if not (folder / TUNED_RECORD).is_file():
        raise ArtifactError(f"The tuning in {folder.name} is not finished.")
    state = read_state(folder / TUNED_WEIGHTS)
    name = f"{plan.architecture}/{VARIANT}{called}-{digest(state, PREPROCESSING_VERSION)[:8]}"
    record = {"name": name, **json.loads((folder / TUNED_RECORD).read_text("utf-8"))}
    # The record first: tuned weights never lie there without it.
    write_json(weights / f"{stem(name)}.json", {**record, CHECKSUM: _checksum(record)})
    write_tensors(weights / f"{stem(name)}.safetensors", state)
    gone = Path(tempfile.mkdtemp(prefix=".done-", dir=folder.parent))
    folder.replace(gone)
    for one in folder.parent.glob(".done-*"):  # also what a process left that was killed right here
        shutil.rmtree(one, ignore_errors=True)
    return name


def seen_by(name: str, weights: Path | None) -> Seen:
    """What the backbone of that name, or a part of it, was tuned on; nothing for any that was not tuned here.

    Raises ArtifactError if the record of a tuned network is lost, damaged or another's.
    """
    found = Seen()
    for part in name.split("+"):
        if not part.partition("/")[2].startswith(VARIANT):
            continue
        try:
            place = weights or Path()
            place = place if place.is_dir() else place.parent
            record = json.loads((place / f"{stem(part)}.json").read_text("utf-8"))
            if record.pop(CHECKSUM, None) != _checksum(record) or record["name"] != part:
                raise ValueError("its list was damaged or exchanged: the checksum is wrong")
            found |= Seen(frozenset(record["groups"]), frozenset(record["images"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"What {part} was tuned on is not known, so it can be measured on nothing ({error})."
            raise ArtifactError(why) from error
    return found


def _checksum(record: Mapping[str, Any]) -> str:
    """The hash of a record that does not hold it."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    whole = Path(file.name)
    whole.chmod(0o644)  # temporary files are for their owner alone; weights are for every worker
    whole.replace(path)


def write_json(path: Path, told: Mapping[str, Any]) -> None:
    """Write plain data as JSON, whole or not at all."""
    _write(path, json.dumps(told, ensure_ascii=False, indent=1).encode())


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors by their names as safetensors, whole or not at all."""
    from safetensors.torch import save

    _write(path, save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}))


# The network


def network_of(architecture: str, state: Mapping[str, torch.Tensor], n_classes: int) -> Any:
    """The features with these weights, and a new linear layer on vectors of length 1.

    It stays in evaluation mode: the statistics of batch norms are not touched (in networks that were converted they
    are folded away already), and nothing in it depends on chance, so that several processes compute what one does.
    """
    import torchvision
    from torch import nn

    own = ARCHITECTURES[architecture]
    whole: nn.Module = getattr(torchvision.models, architecture)(weights=None)
    for beginning in own.dropped:
        parent, _, last = beginning.rstrip(".").rpartition(".")
        setattr(whole.get_submodule(parent), last, nn.Identity())
    load_into(whole, state, architecture)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = whole
            self.head = nn.Linear(own.dim, n_classes, bias=False)

        def unit(self, pixels: torch.Tensor) -> torch.Tensor:
            """Vectors (b, dim) of length 1."""
            if hasattr(whole, "features"):  # what torchvision does after these is not always the mean
                mean = nn.functional.adaptive_avg_pool2d(whole.get_submodule("features")(pixels), 1)
                pooled = whole.get_submodule("classifier")(mean).flatten(1)
            else:
                pooled = whole(pixels)
            return nn.functional.normalize(pooled, dim=1)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            """Answers (b, classes) before the softmax."""
            answers: torch.Tensor = self.head(self.unit(pixels))
            return answers

    return Network().eval()
