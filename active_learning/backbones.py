"""Frozen networks that turn images into vectors, with a name and a version that tells one set of weights from another.

Weights come from a local file, else from a hub, else, said loudly, the classical descriptor stands in.
Never are random weights used, and nothing here is trained.
"""

from __future__ import annotations

import logging
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from active_learning.classical import ClassicalDescriptor
from active_learning.open_networks import HF_HUB, LIBRARIES, is_open_name, open_network
from active_learning.own_classes import OwnClassifier as OwnClassifier
from active_learning.own_classes import own_classifier as own_classifier
from active_learning.torch_networks import ARCHITECTURES, BATCH_SIZE, TorchNetwork, torchvision_network
from active_learning.weights import ENDINGS, find_weights, is_network, read_state

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

DEFAULT_BACKBONE = "mobilenet_v3_small"
CLASSICAL = ClassicalDescriptor.name


class Backbone(Protocol):
    """What turns images into comparable vectors. Vectors of two versions must never be compared."""

    name: str
    version: str
    dim: int

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim) float32 of length 1, one for each RGB image."""
        ...


def set_threads(n: int) -> None:
    """How many threads torch uses in this process; call it once, before the first embedding."""
    import torch

    if n < 1:
        raise ValueError(f"at least one thread is needed, not {n}")
    torch.set_num_threads(n)


class JoinedBackbone:
    """Several backbones side by side: their vectors concatenated with equal weight, again of length 1."""

    def __init__(self, parts: Sequence[Backbone]) -> None:
        if not parts:
            raise ValueError("at least one backbone is needed")
        self._parts = tuple(parts)
        self.name = "+".join(part.name for part in parts)
        self.version = "+".join(part.version for part in parts)
        self.dim = sum(part.dim for part in parts)

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim) float32 of length 1."""
        joined = np.concatenate([part.embed(images) for part in self._parts], axis=1)
        return cast("NDArray[np.float32]", joined / np.float32(np.sqrt(len(self._parts))))

    @property
    def batch_size(self) -> int:
        """How many pictures go through all parts together at most."""
        return min((part.batch_size for part in self._networks()), default=BATCH_SIZE)

    def use_device(self, device: str, at_once: int = 1) -> None:
        """From now on compute there, as far as the parts can: see `TorchNetwork.use_device`."""
        for part in self._networks():
            part.use_device(device, at_once)

    def _networks(self) -> list[TorchNetwork | JoinedBackbone]:
        return [part for part in self._parts if isinstance(part, TorchNetwork | JoinedBackbone)]


def _shout(message: str) -> None:
    log.warning(message)


def load_backbone(
    name: str = DEFAULT_BACKBONE,
    weights: Path | None = None,
    allow_hub: bool = True,
    on_notice: Callable[[str], None] = _shout,
) -> Backbone:
    """The backbone of that name.

    A name is one of ARCHITECTURES; one of them with the name of other weights, as `mobilenet_v2/inat_insect`;
    `timm:<model>` or `open_clip:<model>` (see `open_networks`); `classical`; or several of these joined by `+`.

    `weights` is a file with the weights of this network (.pth or .safetensors, of any number of classes), or a folder
    that holds `<name>.pth` (`mobilenet_v2_inat_insect.pth`; see `weights.stem`). Without it, the hub is asked if
    `allow_hub`. If neither gives weights, `on_notice` is told why and the classical descriptor comes back, under its
    own name and version; in a join it stands in once, or not at all if another part can be had.

    Raises ValueError for an unknown name, ArtifactError if the file is there but is not this network's, LearningError
    if the library of a plug-in is not installed.
    """
    if "+" in name:
        return _joined(name, weights, allow_hub, on_notice)
    if name == CLASSICAL:
        return ClassicalDescriptor()
    if not is_open_name(name) and name.partition("/")[0] not in ARCHITECTURES:
        known = ", ".join([*ARCHITECTURES, CLASSICAL, *(f"{library}:..." for library in LIBRARIES)])
        raise ValueError(f"There is no backbone {name!r}; choose one of {known}.")
    found, missing = _with_weights(name, weights, allow_hub)
    if found is None:
        on_notice(
            f"NO NETWORK WEIGHTS for {name}: {'; '.join(missing)}. The built-in classical descriptor "
            "(colour, texture, shape) is used instead; predictions will be clearly weaker. "
            "Put a weights file in place and embed again."
        )
        return ClassicalDescriptor()
    return found


def _joined(name: str, weights: Path | None, allow_hub: bool, on_notice: Callable[[str], None]) -> Backbone:
    asked = name.split("+")
    loaded = [load_backbone(part, weights, allow_hub, on_notice) for part in asked]
    kept = [part for part, own in zip(loaded, asked, strict=True) if part.name == own] or loaded[:1]
    return kept[0] if len(kept) == 1 else JoinedBackbone(kept)


def _with_weights(name: str, weights: Path | None, allow_hub: bool) -> tuple[TorchNetwork | None, list[str]]:
    """The network of that name, or None and the reasons why its weights cannot be had."""
    local = find_weights(name, weights)
    if local is not None:
        network = open_network(name, local) if is_open_name(name) else torchvision_network(name, read_state(local))
        return network, []
    missing = [] if weights is None else [f"the weights file {weights} is not there"]
    if "/" in name and not is_open_name(name):
        return None, [*missing, "weights of that name are on no hub"]
    if not allow_hub:
        return None, [*missing, "downloading is switched off"]
    try:
        return (open_network(name, None) if is_open_name(name) else torchvision_network(name, _hub_state(name))), []
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        return None, [*missing, f"the hub gave none ({error})"]


def _hub_state(name: str) -> Mapping[str, torch.Tensor]:
    import torchvision

    enum = getattr(torchvision.models, ARCHITECTURES[name].weights_enum)
    state = enum.DEFAULT.get_state_dict(progress=False, check_hash=True)
    return cast("Mapping[str, torch.Tensor]", state)


def available(weights: Path | None) -> tuple[str, ...]:
    """The names of all backbones that can be loaded from this folder without a hub, sorted, and `classical`.

    Only names of files are looked at; whether a file is what its name says is found when it is loaded.
    """
    if weights is None or not weights.is_dir():
        return (CLASSICAL,)
    names = {_name_of(entry) for entry in weights.iterdir()}
    return (*sorted(name for name in names if name is not None), CLASSICAL)


def _name_of(entry: Path) -> str | None:
    """The backbone whose weights lie in that file or folder; None if none can be told."""
    if not (is_network(entry) if entry.is_dir() else entry.suffix in ENDINGS):
        return None
    own = entry.name if entry.is_dir() else entry.name.removesuffix(entry.suffix)
    library, _, model = own.partition("--")
    if library in LIBRARIES and model:
        hub, _, place = model.partition("--")
        return f"{library}:{HF_HUB}{place.replace('--', '/', 1)}" if f"{hub}:" == HF_HUB else f"{library}:{model}"
    if own in ARCHITECTURES:
        return own
    # The longest beginning: `mobilenet_v3_small_plates` is a variant of mobilenet_v3_small.
    whose = max((name for name in ARCHITECTURES if own.startswith(f"{name}_")), key=len, default=None)
    return None if whose is None else f"{whose}/{own.removeprefix(f'{whose}_')}"
