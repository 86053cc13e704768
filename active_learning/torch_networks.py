"""Networks of torchvision and any other torch module that gives pooled features, as backbones.

Nothing is trained here, and random weights are never used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from active_learning.images import PREPROCESSING_VERSION, to_square
from active_learning.weights import digest, load_into

if TYPE_CHECKING:
    import torch

# Mean and deviation of ImageNet in RGB, 0 to 1: what every torchvision network here was trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
BATCH_SIZE = 16  # images that go through a network together; on a processor more gains nothing
CUDA_BATCH_SIZE = 128  # on a graphics processor with enough memory
_ROOM = 100  # so many times its input's bytes a picture may need on its way through a network


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its input. The whole image is squeezed to a square: see `to_square` for why."""

    side: int  # pixels of the square input
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    resample: Image.Resampling = Image.Resampling.BILINEAR

    def words(self) -> str:
        """All of it in one line, for the hash of a network whose input is told by its own configuration."""
        numbers = " ".join(f"{number:.6g}" for number in (*self.mean, *self.std))
        return f"{PREPROCESSING_VERSION} squeezed {self.side} {self.resample.name} {numbers}"


@dataclass(frozen=True)
class Architecture:
    """How one torchvision network is built, what it expects, and where its features end."""

    weights_enum: str  # name of the weights class in torchvision.models
    dim: int
    preprocessing: Preprocessing
    dropped: tuple[str, ...] = ("classifier.",)  # beginnings of the names of weights that come after the features
    linear: str = ""  # the last layer, if it is a linear map of the pooled features and nothing else


_224 = Preprocessing(224)
_384 = Preprocessing(384)
# EfficientNets of the first series and later recipes were trained on bicubic pixels.
_BICUBIC_224 = Preprocessing(224, resample=Image.Resampling.BICUBIC)

ARCHITECTURES: Mapping[str, Architecture] = {
    "mobilenet_v3_small": Architecture("MobileNet_V3_Small_Weights", 576, _224),
    "mobilenet_v3_large": Architecture("MobileNet_V3_Large_Weights", 960, _224),
    "mobilenet_v2": Architecture("MobileNet_V2_Weights", 1280, _224, linear="classifier.1"),
    "efficientnet_b0": Architecture("EfficientNet_B0_Weights", 1280, _BICUBIC_224, linear="classifier.1"),
    "efficientnet_v2_s": Architecture("EfficientNet_V2_S_Weights", 1280, _384, linear="classifier.1"),
    "resnet50": Architecture("ResNet50_Weights", 2048, _224, dropped=("fc.",), linear="fc"),
    "convnext_tiny": Architecture(
        # Its features end with a norm that torchvision keeps in the classifier.
        "ConvNeXt_Tiny_Weights",
        768,
        _224,
        dropped=("classifier.1.", "classifier.2."),
        linear="classifier.2",
    ),
    "squeezenet1_1": Architecture("SqueezeNet1_1_Weights", 512, _224),
}


def batch_size(kind: str, free_bytes: int, picture_bytes: int, at_once: int = 1) -> int:
    """How many pictures go through a network together, by the kind of device and its memory.

    On a processor always `BATCH_SIZE`. On a graphics processor (`cuda`) a power of two up to `CUDA_BATCH_SIZE`, of
    which `at_once` fit into half of the free memory; `picture_bytes` is what one picture's input takes. It is a guess
    to begin with: a network that runs out of memory all the same goes on with half of it.
    """
    if kind != "cuda":
        return BATCH_SIZE
    fitting = free_bytes // 2 // (_ROOM * picture_bytes * at_once)
    return min(CUDA_BATCH_SIZE, 1 << max(0, fitting.bit_length() - 1))


class TorchNetwork:
    """A torch module that turns pixels into pooled features, whose vectors are scaled to length 1."""

    def __init__(
        self, name: str, features: torch.nn.Module, dim: int, preprocessing: Preprocessing, weights_digest: str
    ) -> None:
        import torch

        self.name = name
        self.dim = dim
        self.version = f"{name}@{weights_digest[:12]}"
        self.preprocessing = preprocessing
        self.batch_size = BATCH_SIZE
        """How many pictures go through it together at most."""
        self._device = torch.device("cpu")
        # channels_last lets oneDNN use its fast layout on CPU; the result is the same to rounding.
        self._features = features.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim) float32 of length 1. Raises ImageError for an image that is not RGB."""
        import torch

        pooled = self.pooled(images)
        unit = torch.nn.functional.normalize(torch.from_numpy(pooled), dim=1)
        return cast("NDArray[np.float32]", unit.numpy())

    def pooled(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """The pooled features (n, dim) float32 before they are scaled: what the network's own last layer sees.

        Where the memory of a graphics processor does not do, `batch_size` is halved for good. Raises
        torch.OutOfMemoryError if not even one picture fits.
        """
        found = np.zeros((len(images), self.dim), dtype=np.float32)
        start = 0
        while start < len(images):
            chosen = images[start : start + self.batch_size]  # of this moment: another thread may have halved it
            batch = self._fitting(chosen)
            if batch is None:
                self._halve(len(chosen))
            else:
                found[start : start + len(batch)] = batch
                start += len(batch)
        return found

    def use_device(self, device: str, at_once: int = 1) -> None:
        """From now on compute there: `cpu`, `cuda`, or `auto` for a graphics processor where there is one.

        As many pictures go through the network together as its memory allows if `at_once` threads do so.
        """
        import torch

        wanted = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if torch.device(wanted) != self._device:
            # TF32 would round away half of the digits, and vectors would differ from those of a processor.
            torch.backends.cudnn.allow_tf32 = False
            self._features.to(wanted)
            self._device = torch.device(wanted)
        picture = 3 * 4 * self.preprocessing.side**2  # float32 in three colours
        self.batch_size = batch_size(self._device.type, _free_bytes(self._device), picture, at_once)

    def _fitting(self, images: Sequence[Image.Image]) -> NDArray[np.float32] | None:
        """The pooled features of these; None if they are too many for the memory, though one may fit."""
        import torch

        try:
            return self._pooled_batch(images)
        except torch.OutOfMemoryError:
            if len(images) == 1:
                raise
            return None

    def _halve(self, size: int) -> None:
        import torch

        # What the failed batch held is free by now, but kept in pieces of its size.
        torch.cuda.empty_cache()
        self.batch_size = min(self.batch_size, size // 2)

    def _pooled_batch(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        import torch

        side, resample = self.preprocessing.side, self.preprocessing.resample
        pixels = np.stack([to_square(image, side, resample) for image in images])  # (b, side, side, 3) uint8
        mean = torch.tensor(self.preprocessing.mean, device=self._device)
        std = torch.tensor(self.preprocessing.std, device=self._device)
        with torch.inference_mode():
            scaled = torch.from_numpy(pixels).to(self._device).float().div_(255.0).sub_(mean).div_(std)
            # Permuted, not copied: (b, 3, side, side) whose memory is already channels_last.
            pooled = self._features(scaled.permute(0, 3, 1, 2))
        return cast("NDArray[np.float32]", pooled.float().cpu().numpy())


def _free_bytes(device: torch.device) -> int:
    """What we can have of a graphics processor's memory: what nobody has, and what torch keeps for us; else 0."""
    import torch

    if device.type != "cuda":
        return 0
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def torchvision_network(name: str, state: Mapping[str, torch.Tensor]) -> TorchNetwork:
    """The torchvision network (`architecture` or `architecture/variant`) with these weights.

    Whatever classes it was trained for are left behind. Raises ArtifactError if the weights are another network's.
    """
    own = ARCHITECTURES[name.partition("/")[0]]
    kept = {key: value for key, value in state.items() if not key.startswith(own.dropped)}
    features = _features(name.partition("/")[0], kept)
    # The side and the resampling of a torchvision network belong to its name, so its hash needs only our version.
    return TorchNetwork(name, features, own.dim, own.preprocessing, digest(kept, PREPROCESSING_VERSION))


def _features(architecture: str, kept: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    """Pixels (b, 3, side, side) to pooled features (b, dim)."""
    import torchvision
    from torch import nn

    whole: nn.Module = getattr(torchvision.models, architecture)(weights=None)
    for beginning in ARCHITECTURES[architecture].dropped:
        parent, _, last = beginning.rstrip(".").rpartition(".")
        setattr(whole.get_submodule(parent), last, nn.Identity())
    load_into(whole, kept, architecture)
    if hasattr(whole, "features"):
        # Convolutions, the mean over the image, and the norm if there is one.
        convolutions, norm = whole.get_submodule("features"), whole.get_submodule("classifier")
        whole = nn.Sequential(convolutions, nn.AdaptiveAvgPool2d(1), norm, nn.Flatten(1))
    fold_norms(whole)
    return whole


def fold_norms(module: torch.nn.Module) -> None:
    """Fold each batch norm that directly follows a convolution into it: a fifth less work for the same vectors.

    Only for networks whose parts are registered in the order of their use, as torchvision's are.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child.eval(), following.eval()))
            setattr(module, next_name, nn.Identity())
    for _, child in children:
        fold_norms(child)
