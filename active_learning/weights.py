"""Weights of networks on disk: where a name's file lies, what is in it, and the hash that its version is made of.

Only plain tensors are read: safetensors, or a state dict with `torch.load(weights_only=True)`. Never a program.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from active_learning.errors import ArtifactError

if TYPE_CHECKING:
    import torch

ENDINGS = (".safetensors", ".pth", ".bin")  # in this order, if a folder holds several
# What marks a folder as a whole network, as hubs give it: for open_clip and for timm.
CONFIGURATIONS = ("open_clip_config.json", "config.json")


def stem(name: str) -> str:
    """What the file (without ending) or folder of a backbone is called in a weights folder.

    `mobilenet_v2/inat_insect` is `mobilenet_v2_inat_insect`; `timm:hf-hub:team/net` is `timm--hf-hub--team--net`.
    """
    if ":" in name:
        return name.replace(":", "--").replace("/", "--")
    return name.replace("/", "_")


def is_network(folder: Path) -> bool:
    """Whether the folder holds a whole network with its configuration."""
    return any((folder / configuration).is_file() for configuration in CONFIGURATIONS)


def find_weights(name: str, weights: Path | None) -> Path | None:
    """The file or folder with the weights of that backbone: `weights` itself, or what lies in it under `stem(name)`.

    None if there is none.
    """
    if weights is None or not weights.exists():
        return None
    if weights.is_file() or is_network(weights):
        return weights
    own = weights / stem(name)
    candidates = [own.with_name(own.name + ending) for ending in ENDINGS]
    found = next((file for file in candidates if file.is_file()), None)
    return own if found is None and is_network(own) else found


def file_in(folder: Path) -> Path:
    """The one weights file in the folder of a network. Raises ArtifactError if there is none."""
    for ending in ENDINGS:
        for file in sorted(folder.glob(f"*{ending}")):
            return file
    raise ArtifactError(f"The folder {folder.name} holds no weights ({', '.join(ENDINGS)}).")


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """The tensors in the file by their names.

    Raises ArtifactError if it cannot be read to its end or holds anything but tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    unreadable = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, SafetensorError, KeyError, struct.error)
    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except unreadable as error:
        raise ArtifactError(f"The weights file {file.name} cannot be read; it may be damaged ({error}).") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ArtifactError(f"The weights file {file.name} holds something else than a network's weights.")
    if not state:
        raise ArtifactError(f"The weights file {file.name} holds no weights.")
    return state


def digest(state: Mapping[str, torch.Tensor], preprocessing: str) -> str:
    """sha256 in hex over the preprocessing and the weights, however the file was packed."""
    import torch

    found = hashlib.sha256(f"preprocessing {preprocessing}".encode())
    for key in sorted(state):
        values = state[key].detach().cpu().contiguous()
        if values.dtype == torch.bfloat16:
            values = values.float()  # numpy has no bfloat16; float32 holds each of its values
        array = values.numpy()
        found.update(f"{key} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def load_into(module: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Put the weights into the network. Raises ArtifactError if a name or a shape does not fit."""
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise ArtifactError(f"The weights file does not belong to {name}: {str(error)[:200]}") from error


def read_labels(name: str, file: Path) -> tuple[str, ...] | None:
    """The classes of a network in the order of its outputs, as printed: one a line in a text file beside the weights.

    The text is called like the weights file, or like the variant alone: for `mobilenet_v2_inat_bird.pth` that is
    `mobilenet_v2_inat_bird_labels.txt` or `inat_bird_labels.txt`. None if there is no such text.
    Raises ArtifactError if it is no text.
    """
    architecture = name.partition("/")[0]
    stems = [file.stem, file.stem.removeprefix(f"{architecture}_")]
    for text in (file.with_name(f"{own}_labels.txt") for own in stems):
        if text.is_file():
            try:
                return tuple(line.strip() for line in text.read_text("utf-8-sig").splitlines() if line.strip())
            except UnicodeDecodeError as error:
                raise ArtifactError(f"The labels in {text.name} cannot be read as UTF-8 text.") from error
    return None
