"""Embeddings of real pictures, made once and kept in the system's folder for temporary files.

The key is the version of the backbone (a hash of its weights and preprocessing) and the names and sizes of the
files, so that no stale vector is ever read.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from active_learning import Backbone, Taxonomy, load_backbone, open_figure

Floats = NDArray[np.float32]

BACKBONES = ("mobilenet_v2", "mobilenet_v2_inat_insect", "mobilenet_v2_inat_bird")
FAMILIES = {
    "Danaus": "Nymphalidae", "Heliconius": "Nymphalidae", "Junonia": "Nymphalidae", "Nymphalis": "Nymphalidae",
    "Vanessa": "Nymphalidae", "Lycaena": "Lycaenidae", "Papilio": "Papilionidae", "Pieris": "Pieridae",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


def data_folder(given: Path | None) -> Path | None:
    """The folder of pictures and weights: the given one, `ICONES_TEST_DATA`, or ../shared/data; None if absent."""
    folder = given or Path(os.environ.get("ICONES_TEST_DATA") or ROOT.parent / "shared" / "data")
    return folder if (folder / "photos").is_dir() and (folder / "weights").is_dir() else None


def absent(given: Path | None) -> str:
    """What to say where `data_folder` gives None."""
    looked = given or os.environ.get("ICONES_TEST_DATA") or "../shared/data"
    return f"There are no photographs and weights in {looked}; give their folder with --data."


def backbone_of(data: Path, weights: str) -> Backbone:
    """The backbone whose weights file has that name, without its ending; `classical` has none."""
    if weights == "classical":
        return load_backbone(weights)
    architecture = "squeezenet1_1" if weights == "squeezenet1_1" else "mobilenet_v2"
    return load_backbone(architecture, data / "weights" / f"{weights}.pth", allow_hub=False)


def embedded(data: Path, weights: str, files: Sequence[Path]) -> Floats:
    """Vectors (n, 1280) float32 of the files. `weights` may name several networks with `+`: then joined, (n, 2560)."""
    parts = [_of_one(backbone_of(data, name), files) for name in weights.split("+")]
    return np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))


def _of_one(backbone: Backbone, files: Sequence[Path]) -> Floats:
    listed = "\n".join(f"{file.parent.name}/{file.name} {file.stat().st_size}" for file in files)
    key = hashlib.sha256(f"{backbone.version}\n{listed}".encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / "icones-benchmark-embeddings"
    stored = folder / f"{key}.npy"
    if stored.exists():
        return np.asarray(np.load(stored, allow_pickle=False), dtype=np.float32)
    before = time.perf_counter()
    x = np.concatenate([backbone.embed([open_figure(f) for f in files[i : i + 32]]) for i in range(0, len(files), 32)])
    each = (time.perf_counter() - before) / len(files) * 1e3
    print(f"{backbone.version}: {len(files)} pictures, {each:.1f} ms each", file=sys.stderr)
    folder.mkdir(exist_ok=True)
    unfinished = folder / f"{key}.{os.getpid()}.npy"
    np.save(unfinished, x, allow_pickle=False)
    unfinished.replace(stored)
    return x


def butterflies(data: Path) -> tuple[list[Path], NDArray[np.str_]]:
    """The photographs of ten species of butterfly, and the species of each."""
    folders = sorted(f for f in (data / "photos" / "butterflies").iterdir() if not f.name.startswith("_"))
    files = [file for folder in folders for file in sorted(folder.glob("*.jpg"))]
    return files, np.array([file.parent.name for file in files])


def tree(species: Sequence[str]) -> Taxonomy:
    """The species with their genera and families."""
    genera = {name: name.split()[0] for name in species}
    ranks = dict.fromkeys(species, "species") | dict.fromkeys(genera.values(), "genus")
    ranks |= dict.fromkeys(FAMILIES.values(), "family") | {"Lepidoptera": "order"}
    parents: dict[str, str | None] = {**genera, **FAMILIES, **dict.fromkeys(FAMILIES.values(), "Lepidoptera")}
    return Taxonomy({**parents, "Lepidoptera": None}, ranks)


def other_things(data: Path) -> list[Path]:
    """Photographs of anything but butterflies."""
    return sorted((data / "photos" / "other").glob("*.JPEG"))


def tree_plates(data: Path) -> tuple[list[Path], NDArray[np.str_], NDArray[np.str_]]:
    """The plates of familiar trees: files, the number of the tree, and the view: `a` the tree, `b` leaf and fruit."""
    files = sorted((data / "plates" / "familiar_trees").glob("*.jpg"))
    codes = [file.name.partition("_")[0] for file in files]
    return files, np.array([code[:-1] for code in codes]), np.array([code[-1] for code in codes])


def twining_plates(data: Path) -> tuple[list[Path], NDArray[np.str_]]:
    """The plates of Twining, one a family, and the family as printed."""
    files = sorted((data / "plates" / "twining").glob("*.jpg"))
    return files, np.array([file.stem.partition("_")[2] for file in files])
