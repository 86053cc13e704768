"""What a network already knows: its own last layer and the names of its classes, before anybody has named anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from active_learning.errors import ArtifactError
from active_learning.torch_networks import ARCHITECTURES, TorchNetwork, torchvision_network
from active_learning.weights import find_weights, read_labels, read_state

Floats = NDArray[np.float32]

_DRAWN = 16  # pictures that are drawn to measure a network's typical norm
_DRAWN_SIDE = 224


@dataclass(frozen=True)
class OwnClassifier:
    """A network's own last layer, to be used on its unit vectors."""

    labels: tuple[str, ...]  # (k,) as printed in the text beside the weights, common names and `background` included
    weight: Floats  # (d, k)
    bias: Floats  # (k,)
    typical_norm: float  # mean length of the pooled features before they are scaled to unit vectors

    def logits(self, x: Floats) -> Floats:
        """The network's own logits (n, k) for unit vectors (n, d), up to the length that each vector once had."""
        return np.asarray(x @ self.weight * np.float32(self.typical_norm) + self.bias, dtype=np.float32)


def own_classifier(name: str, weights: Path | None, pictures: Sequence[Image.Image] = ()) -> OwnClassifier | None:
    """The last layer of the backbone of that name, whose classes stand in a text file beside its weights.

    None if there are no such weights or no such text (see `weights.read_labels`), or if the network has no last layer
    that is linear in its pooled features (MobileNetV3, SqueezeNet, and those of timm and open_clip here).

    The typical norm is measured on `pictures` (RGB), a few dozen of the kind to be named. Without any, on drawn ones
    whose brightness varies over all sizes as in nature: within 15 % of that of plates, up to 40 % above photographs'.
    It is a temperature, and hardly moves the order of the classes.

    Raises ArtifactError if the weights or labels are damaged or do not belong together.
    """
    architecture = ARCHITECTURES.get(name.partition("/")[0])
    file = find_weights(name, weights)
    if architecture is None or not architecture.linear or file is None or file.is_dir():
        return None
    labels = read_labels(name, file)
    if labels is None:
        return None
    state = read_state(file)
    network = torchvision_network(name, state)
    try:
        weight, bias = (state[f"{architecture.linear}.{part}"].float().numpy() for part in ("weight", "bias"))
    except KeyError as error:
        raise ArtifactError(f"The weights file {file.name} has no last layer {error}.") from error
    if weight.shape != (len(labels), network.dim) or bias.shape != (len(labels),):
        raise ArtifactError(f"There are {len(labels)} labels for {name}, whose last layer is of shape {weight.shape}.")
    return OwnClassifier(labels, weight.T.copy(), bias, _mean_norm(network, pictures or drawn_pictures()))


def _mean_norm(network: TorchNetwork, pictures: Sequence[Image.Image]) -> float:
    return float(np.linalg.norm(network.pooled(pictures), axis=1).mean())


def drawn_pictures() -> list[Image.Image]:
    """Clouds of colour whose amplitude falls as one over the frequency, as that of natural scenes does (Field 1987)."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(_DRAWN_SIDE)[:, None], np.fft.fftfreq(_DRAWN_SIDE)[None])
    amplitude = 1 / np.maximum(frequency, 1 / _DRAWN_SIDE)

    def cloud() -> NDArray[np.float64]:
        return np.fft.ifft2(np.fft.fft2(rng.normal(size=frequency.shape)) * amplitude).real

    pictures = []
    for _ in range(_DRAWN):
        light = cloud()
        colours = np.stack([light + 0.4 * cloud() for _ in range(3)], axis=-1)
        colours = (colours - colours.mean(axis=(0, 1))) / colours.std(axis=(0, 1))
        pictures.append(Image.fromarray(np.clip(128 + 55 * colours, 0, 255).astype(np.uint8)))
    return pictures
