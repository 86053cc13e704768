"""Networks of timm and open_clip (BioCLIP among them) behind the same contract as torchvision's.

Both libraries are optional: they are imported only when a name asks for them. The input's side, mean, deviation and
resampling are read from the network's own configuration; the geometry is ours, the whole image squeezed to a square.

Sources: timm's `create_model`, `data.resolve_data_config` (huggingface.co/docs/timm); open_clip's `create_model` and
its `hf-hub:` and `local-dir:` names (github.com/mlfoundations/open_clip).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from active_learning.errors import ArtifactError, LearningError
from active_learning.torch_networks import Preprocessing, TorchNetwork
from active_learning.weights import digest, file_in, load_into, read_state

if TYPE_CHECKING:
    import torch

LIBRARIES = ("timm", "open_clip")
HF_HUB = "hf-hub:"
_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "random": Image.Resampling.BICUBIC,  # trained on several; timm measures with bicubic
}


def is_open_name(name: str) -> bool:
    """Whether the name asks for one of these libraries: `timm:<model>` or `open_clip:<model>`."""
    return name.partition(":")[0] in LIBRARIES and ":" in name


def open_network(name: str, local: Path | None) -> TorchNetwork:
    """The network of that name with the weights in `local`, a file or a folder with a configuration, else the hub's.

    `timm:<model>`; `open_clip:<architecture>`, with a local file, or `open_clip:<architecture>@<pretrained>`, or
    `open_clip:hf-hub:<team>/<model>`.

    Raises LearningError if the library is not installed, ValueError if it knows no such network, ArtifactError if the
    weights are damaged or another network's, and whatever the hub raises (OSError, RuntimeError) if it gives none.
    """
    library, _, model = name.partition(":")
    network = _timm_network if library == "timm" else _open_clip_network
    features, preprocessing = network(name, model, local)
    dim = _dim(name, features.eval(), preprocessing.side)
    return TorchNetwork(name, features, dim, preprocessing, digest(features.state_dict(), preprocessing.words()))


def _dim(name: str, features: torch.nn.Module, side: int) -> int:
    """How long its vectors are, found with one empty picture: not all of these networks tell it."""
    import torch

    with torch.inference_mode():
        found = features(torch.zeros(1, 3, side, side))
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        raise ValueError(f"The backbone {name!r} does not give one vector a picture; it cannot be used here.")
    return int(found.shape[1])


def _library(name: str) -> Any:
    """The module of that library. Raises LearningError that tells how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise LearningError(
            f"{name} is not installed; it comes with the extra `networks`: icones[networks]."
        ) from error


def _timm_network(name: str, model: str, local: Path | None) -> tuple[torch.nn.Module, Preprocessing]:
    timm = _library("timm")
    if not model.startswith(HF_HUB) and not timm.is_model(model.partition(".")[0]):
        raise ValueError(f"There is no backbone {name!r}: timm has no network of that name.")
    if local is None:
        network = timm.create_model(model, pretrained=True, num_classes=0)
    else:
        built_from, file = _on_disk(name, model, local)
        try:
            network = timm.create_model(built_from, pretrained=False, num_classes=0)
        except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
            raise ArtifactError(f"{name} cannot be built as {local.name} wants it ({error}).") from error
        wanted = network.state_dict()
        # The file may hold the layer for its classes too; that one is not used.
        load_into(network, {key: value for key, value in read_state(file).items() if key in wanted}, name)
    own = timm.data.resolve_data_config(network.pretrained_cfg)
    side = _square(name, own["input_size"][1:])
    return network, _preprocessing(side, own)


def _open_clip_network(name: str, model: str, local: Path | None) -> tuple[torch.nn.Module, Preprocessing]:
    open_clip = _library("open_clip")
    architecture, _, pretrained = model.partition("@")
    if not model.startswith(HF_HUB) and architecture not in open_clip.list_models():
        raise ValueError(f"There is no backbone {name!r}: open_clip has no network {architecture!r}.")
    if local is None:
        if not pretrained and not model.startswith(HF_HUB):
            raise ValueError(f"{name!r} needs the weights' name: open_clip:{architecture}@<pretrained>, or a file.")
        # Without require_pretrained, weights that could not be loaded would be random ones.
        whole = open_clip.create_model(architecture, pretrained=pretrained or None, require_pretrained=True)
    else:
        whole = _open_clip_from_disk(open_clip, name, architecture, pretrained, local)
    own = open_clip.get_model_preprocess_cfg(whole)
    side = _square(name, own["size"])
    return whole.visual, _preprocessing(side, own)


def _open_clip_from_disk(open_clip: Any, name: str, architecture: str, pretrained: str, local: Path) -> Any:
    """The network built without weights, then given those on disk; only the part that sees is filled."""
    built_from, file = _on_disk(name, architecture, local)
    # The name of weights that open_clip knows also tells the mean and deviation they were trained with.
    told = (open_clip.get_pretrained_cfg(architecture, pretrained) or {}) if pretrained else {}
    cfg = {key: told[key] for key in ("mean", "std", "interpolation") if key in told}
    try:
        whole = open_clip.create_model(
            built_from, load_weights=False, pretrained_text=False, force_preprocess_cfg=cfg or None
        )
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise ArtifactError(f"{name} cannot be built as {local.name} wants it ({error}).") from error
    state = read_state(file)
    prefix = "visual."
    seeing = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    load_into(whole.visual, seeing, name)
    return whole


def _on_disk(name: str, model: str, local: Path) -> tuple[str, Path]:
    """What the library has to build, and the file with its weights. Raises ArtifactError if that cannot be told."""
    if local.is_dir():
        return f"local-dir:{local}", file_in(local)
    if model.startswith(HF_HUB):
        raise ArtifactError(
            f"{name} needs the folder with its configuration beside the weights, not only {local.name}."
        )
    return model, local


def _square(name: str, size: int | Sequence[int]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f"The backbone {name!r} wants an input that is not square; it cannot be used here.")
    return int(sides.pop())


def _preprocessing(side: int, own: Mapping[str, Any]) -> Preprocessing:
    mean, std = (tuple(float(number) for number in own[key]) for key in ("mean", "std"))
    return Preprocessing(side, mean, std, _RESAMPLING[str(own["interpolation"])])
