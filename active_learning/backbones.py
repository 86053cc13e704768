"""Frozen networks that turn images into vectors, with a name and a version that tells one set of weights from another.

Weights come from a local file, else from torchvision's hub, else, said loudly, the classical descriptor stands in.
Never are random weights used, and nothing here is trained.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from active_learning.classical import ClassicalDescriptor
from active_learning.errors import ArtifactError
from active_learning.images import PREPROCESSING_VERSION, to_square

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# Mean and deviation of ImageNet in RGB, 0 to 1: what every torchvision network here was trained with.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class Backbone(Protocol):
    """What turns images into comparable vectors. Vectors of two versions must never be compared."""

    name: str
    version: str
    dim: int

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim) float32 of length 1, one for each RGB image."""
        ...


@dataclass(frozen=True)
class Architecture:
    """How one torchvision network is built and what it expects."""

    weights_enum: str  # name of the weights class in torchvision.models
    dim: int
    side: int  # pixels of the square input


ARCHITECTURES: Mapping[str, Architecture] = {
    "mobilenet_v3_small": Architecture("MobileNet_V3_Small_Weights", 576, 224),
    "mobilenet_v2": Architecture("MobileNet_V2_Weights", 1280, 224),
    "efficientnet_v2_s": Architecture("EfficientNet_V2_S_Weights", 1280, 384),
    "squeezenet1_1": Architecture("SqueezeNet1_1_Weights", 512, 224),
}
DEFAULT_BACKBONE = "mobilenet_v3_small"


def set_threads(n: int) -> None:
    """How many threads torch uses in this process; call it once, before the first embedding."""
    import torch

    if n < 1:
        raise ValueError(f"at least one thread is needed, not {n}")
    torch.set_num_threads(n)


class TorchvisionBackbone:
    """The convolutional part of a torchvision network, averaged over the image and scaled to length 1."""

    def __init__(self, name: str, features: torch.nn.Module, weights_digest: str, batch_size: int = 16) -> None:
        import torch

        self.name = name
        self.dim = ARCHITECTURES[name].dim
        self.version = f"{name}@{weights_digest[:12]}"
        self._side = ARCHITECTURES[name].side
        self._batch_size = batch_size
        # channels_last lets oneDNN use its fast layout on CPU; the result is the same to rounding.
        self._features = features.eval().to(memory_format=torch.channels_last)

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim) float32 of length 1. Raises ImageError for an image that is not RGB."""
        vectors = np.zeros((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), self._batch_size):
            batch = images[start : start + self._batch_size]
            vectors[start : start + len(batch)] = self._embed_batch(batch)
        return vectors

    def _embed_batch(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        import torch

        pixels = np.stack([to_square(image, self._side) for image in images])  # (b, side, side, 3) uint8
        scaled = (pixels.astype(np.float32) / 255.0 - IMAGENET_MEAN) / IMAGENET_STD
        # Permuted, not copied: (b, 3, side, side) whose memory is already channels_last.
        batch = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        with torch.inference_mode():
            maps = self._features(batch)  # (b, dim, h, w)
            pooled = maps.mean(dim=(2, 3))  # (b, dim)
            unit = torch.nn.functional.normalize(pooled, dim=1)
        return cast("NDArray[np.float32]", unit.numpy())


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


def _shout(message: str) -> None:
    log.warning(message)


def load_backbone(
    name: str = DEFAULT_BACKBONE,
    weights: Path | None = None,
    allow_hub: bool = True,
    on_notice: Callable[[str], None] = _shout,
) -> Backbone:
    """The backbone of that name: one of ARCHITECTURES, or `classical`.

    `weights` is a state dict (.pth, or .safetensors) of this network, of any number of classes, or a folder that holds
    `<name>.pth`. Without it, torchvision's hub is asked if `allow_hub`. If neither gives weights, `on_notice` is told
    why and the classical descriptor comes back, under its own name and version.

    Raises ValueError for an unknown name, ArtifactError if the file is there but is not this network's.
    """
    if name == "classical":
        return ClassicalDescriptor()
    if name not in ARCHITECTURES:
        raise ValueError(f"There is no backbone {name!r}; choose one of {', '.join([*ARCHITECTURES, 'classical'])}.")
    state, missing = _local_state(name, weights), []
    if state is None and weights is not None:
        missing.append(f"the weights file {weights} is not there")
    if state is None and allow_hub:
        try:
            state = _hub_state(name)
        except (urllib.error.URLError, OSError, RuntimeError) as error:
            missing.append(f"torchvision's hub gave none ({error})")
    elif state is None:
        missing.append("downloading is switched off")
    if state is None:
        on_notice(
            f"NO NETWORK WEIGHTS for {name}: {'; '.join(missing)}. The built-in classical descriptor "
            "(colour, texture, shape) is used instead; predictions will be clearly weaker. "
            "Put a weights file in place and embed again."
        )
        return ClassicalDescriptor()
    return TorchvisionBackbone(name, _features_with(name, state), _digest(state))


def _local_state(name: str, weights: Path | None) -> dict[str, torch.Tensor] | None:
    if weights is None:
        return None
    file = weights / f"{name}.pth" if weights.is_dir() else weights
    if not file.exists():
        return None
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"The weights file {file.name} cannot be read; it may be damaged ({error}).") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ArtifactError(f"The weights file {file.name} holds something else than a network's weights.")
    return state


def _hub_state(name: str) -> dict[str, torch.Tensor]:
    import torchvision

    enum = getattr(torchvision.models, ARCHITECTURES[name].weights_enum)
    state = enum.DEFAULT.get_state_dict(progress=False, check_hash=True)
    return cast("dict[str, torch.Tensor]", state)


def _features_with(name: str, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    """The convolutional part with these weights; whatever classes the network was trained for are left behind."""
    import torchvision

    features = getattr(torchvision.models, name)(weights=None).features
    own = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    try:
        features.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise ArtifactError(f"The weights file does not belong to {name}: {str(error)[:200]}") from error
    return cast("torch.nn.Module", features)


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    """sha256 in hex over the convolutional weights and the preprocessing, however the file was packed."""
    digest = hashlib.sha256(f"preprocessing {PREPROCESSING_VERSION}".encode())
    for key in sorted(state):
        if key.startswith("features."):
            values = state[key].cpu().contiguous().numpy()
            digest.update(f"{key} {values.dtype} {values.shape}".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()
