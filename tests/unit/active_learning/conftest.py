"""Shared by the tests of the learning library: synthetic embeddings, real photographs and weights where at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from active_learning import Backbone, Taxonomy, TrainingSet, load_backbone, open_figure, set_threads

REPOSITORY = Path(__file__).resolve().parents[3]
MakeSet = Callable[..., TrainingSet]


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> None:
    set_threads(1)


@pytest.fixture(scope="session")
def test_data() -> Path:
    folder = Path(os.environ.get("ICONES_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "weights").is_dir():
        pytest.skip("the test data is not here: set ICONES_TEST_DATA to a folder that holds plates, photos and weights")
    return folder


@pytest.fixture(scope="session")
def imagenet_backbone(test_data: Path) -> Backbone:
    return load_backbone("mobilenet_v2", test_data / "weights" / "mobilenet_v2.pth", allow_hub=False)


@pytest.fixture(scope="session")
def butterflies(test_data: Path, imagenet_backbone: Backbone) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Embeddings and names of 12 photographs each of 8 species of butterfly."""
    folders = sorted(f for f in (test_data / "photos" / "butterflies").iterdir() if not f.name.startswith("_"))
    files = [file for folder in folders[:8] for file in sorted(folder.glob("*.jpg"))[:12]]
    x = imagenet_backbone.embed([open_figure(file) for file in files])
    return x, np.array([file.parent.name for file in files])


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    """Two genera of two species each, in one family."""
    parents = {"ant": "Formica", "bug": "Formica", "cat": "Felis", "dog": "Felis", "Formica": "life", "Felis": "life"}
    ranks = dict.fromkeys(("ant", "bug", "cat", "dog"), "species") | {"Formica": "genus", "Felis": "genus"}
    return Taxonomy({**parents, "life": None}, {**ranks, "life": "family"})


@pytest.fixture(scope="session")
def make_set() -> MakeSet:
    """Gaussian clouds on a sphere: `counts` figures of each class, two figures a source, `noise` apart."""

    def make(
        counts: dict[str, int], noise: float = 0.5, dim: int = 16, seed: int = 0, first_id: int = 1
    ) -> TrainingSet:
        centres = np.random.default_rng(99).normal(size=(26, dim))
        rng = np.random.default_rng(seed)
        rows, labels, groups = [], [], []
        for label, count in counts.items():
            for number in range(count):
                vector = centres[ord(label[0]) - ord("a")] + noise * rng.normal(size=dim) * 2
                rows.append(vector / np.linalg.norm(vector))
                labels.append(label)
                groups.append(f"{label}-{first_id}-{number // 2}")
        x = np.array(rows, dtype=np.float32).reshape(len(rows), dim)
        ids = tuple(range(first_id, first_id + len(rows)))
        return TrainingSet(ids=ids, x=x, y=tuple(labels), groups=tuple(groups), backbone="drawn@1")

    return make
