"""A network's own classes on its unit vectors, against the whole network on real photographs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from active_learning import ArtifactError, OwnClassifier, load_backbone, open_figure, own_classifier
from active_learning.images import to_square
from active_learning.own_classes import drawn_pictures
from active_learning.torch_networks import ARCHITECTURES, IMAGENET_MEAN, IMAGENET_STD, TorchNetwork
from active_learning.weights import read_state

INSECTS = "mobilenet_v2/inat_insect"


@pytest.fixture(scope="module")
def photographs(test_data: Path) -> list[Image.Image]:
    files = sorted((test_data / "photos" / "butterflies").glob("[!_]*/*.jpg"))[::16]
    return [open_figure(file) for file in files]


@pytest.fixture(scope="module")
def whole_logits(test_data: Path, photographs: list[Image.Image]) -> NDArray[np.float32]:
    """What torchvision's own network says, its last layer included."""
    import torchvision

    state = read_state(test_data / "weights" / "mobilenet_v2_inat_insect.pth")
    whole = torchvision.models.mobilenet_v2(weights=None, num_classes=1022).eval()
    whole.load_state_dict(state)
    pixels = np.stack([to_square(image, 224) for image in photographs]) / 255.0
    batch = torch.tensor((pixels - IMAGENET_MEAN) / IMAGENET_STD, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return cast("NDArray[np.float32]", whole(batch).numpy())


@pytest.fixture(scope="module")
def network(test_data: Path) -> TorchNetwork:
    found = load_backbone(INSECTS, test_data / "weights", allow_hub=False)
    assert isinstance(found, TorchNetwork)
    return found


@pytest.fixture(scope="module")
def own(test_data: Path, photographs: list[Image.Image]) -> OwnClassifier:
    """Its typical norm is measured on the photographs."""
    found = own_classifier(INSECTS, test_data / "weights", photographs)
    assert found is not None
    return found


def test_the_whole_network_is_found_again(
    photographs: list[Image.Image], whole_logits: NDArray[np.float32], network: TorchNetwork, own: OwnClassifier
) -> None:
    assert (own.weight.shape, own.bias.shape, len(own.labels)) == ((1280, 1022), (1022,), 1022)
    assert own.labels[0] == "Nicrophorus tomentosus (Tomentose Burying Beetle)"
    assert own.labels[-1] == "background"
    x, pooled = network.embed(photographs), network.pooled(photographs)
    lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
    assert own.typical_norm == pytest.approx(float(lengths.mean()), rel=1e-5)
    # With each picture's own length the logits are the network's; with the typical one nearly always its answers.
    assert (x * lengths) @ own.weight + own.bias == pytest.approx(whole_logits, abs=1e-3)
    same = own.logits(x).argmax(axis=1) == whole_logits.argmax(axis=1)
    assert same.mean() >= 0.97


def test_without_pictures_the_norm_is_of_the_same_size(
    test_data: Path, photographs: list[Image.Image], network: TorchNetwork, own: OwnClassifier
) -> None:
    drawn = own_classifier(INSECTS, test_data / "weights")
    assert drawn is not None
    assert 0.6 < drawn.typical_norm / own.typical_norm < 1.6
    x = network.embed(photographs)
    assert (drawn.logits(x).argmax(axis=1) == own.logits(x).argmax(axis=1)).mean() >= 0.95


def test_drawn_pictures_are_the_same_each_time() -> None:
    first, second = drawn_pictures(), drawn_pictures()
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(first, second, strict=True))
    assert all(np.asarray(picture).std() > 30 for picture in first)


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1", "mobilenet_v3_small", "classical", "timm:a"])
def test_networks_without_labels_or_a_linear_layer_have_none(test_data: Path, name: str) -> None:
    assert own_classifier(name, test_data / "weights") is None
    assert own_classifier(name, None) is None


def test_labels_that_do_not_belong_are_refused(tmp_path: Path, test_data: Path) -> None:
    file = tmp_path / "mobilenet_v2_few.pth"
    file.symlink_to(test_data / "weights" / "mobilenet_v2_inat_bird.pth")
    labels = tmp_path / "few_labels.txt"
    labels.write_text("Pica pica (Magpie)\nbackground\n")
    with pytest.raises(ArtifactError, match="2 labels"):
        own_classifier("mobilenet_v2/few", tmp_path)
    labels.write_bytes(b"Pica \xff\xfe\n")
    with pytest.raises(ArtifactError, match="UTF-8"):
        own_classifier("mobilenet_v2/few", tmp_path)


def test_a_last_layer_named_in_the_table_is_a_linear_one() -> None:
    import torchvision

    for name, architecture in ARCHITECTURES.items():
        if architecture.linear:
            with torch.device("meta"):
                whole = getattr(torchvision.models, name)(weights=None)
            layer = whole.get_submodule(architecture.linear)
            assert isinstance(layer, torch.nn.Linear)
            assert layer.in_features == architecture.dim
