"""Networks of timm and open_clip: built small here, with weights drawn from a seed and kept in local files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from active_learning import ArtifactError, JoinedBackbone, LearningError, available, load_backbone
from active_learning.images import to_square
from active_learning.torch_networks import TorchNetwork

TIMM = "timm:test_resnet.r160_in1k"
CLIP = "open_clip:hf-hub:icones/tiny"
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "interpolation": "bicubic"},
}


def picture(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((200, 160))


def state_of(network: Any) -> dict[str, torch.Tensor]:
    return {key: value.clone().contiguous() for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def drawn_timm() -> Any:
    """A network of timm as it is: with its own classes, and weights from a seed."""
    import timm

    torch.manual_seed(1)
    return timm.create_model("test_resnet.r160_in1k", pretrained=False).eval()


@pytest.fixture(scope="module")
def drawn_clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small CLIP, words included."""
    import open_clip

    folder = tmp_path_factory.mktemp("clip")
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(2)
    return open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False).eval()


@pytest.fixture
def clip_folder(tmp_path: Path, drawn_clip: Any) -> Path:
    """A weights folder that holds the small CLIP as a hub's snapshot has it."""
    own = tmp_path / "open_clip--hf-hub--icones--tiny"
    own.mkdir()
    (own / "open_clip_config.json").write_text(json.dumps(CONFIG))
    save_file(state_of(drawn_clip), own / "open_clip_model.safetensors")
    return tmp_path


def own_pixels(network: TorchNetwork, image: Image.Image) -> torch.Tensor:
    """The input (1, 3, side, side) that a network asks for, computed the long way."""
    asked = network.preprocessing
    pixels = to_square(image, asked.side, asked.resample).astype(np.float64) / 255
    return torch.tensor((pixels - asked.mean) / asked.std, dtype=torch.float32).permute(2, 0, 1)[None]


@pytest.mark.parametrize("keep", [save_file, torch.save], ids=["safetensors", "pth"])
def test_a_network_of_timm_gives_its_own_features(tmp_path: Path, drawn_timm: Any, keep: Callable[..., None]) -> None:
    file = tmp_path / f"timm--test_resnet.r160_in1k.{'pth' if keep is torch.save else 'safetensors'}"
    keep(state_of(drawn_timm), file)
    network = load_backbone(TIMM, tmp_path, allow_hub=False)
    assert isinstance(network, TorchNetwork)
    assert (network.name, network.dim) == (TIMM, 96)
    assert network.version.startswith(f"{TIMM}@")
    assert (network.preprocessing.side, network.preprocessing.mean) == (160, (0.5, 0.5, 0.5))
    with torch.inference_mode():
        wanted = drawn_timm.forward_head(
            drawn_timm.forward_features(own_pixels(network, picture())), pre_logits=True
        ).numpy()
    assert network.embed([picture()]) == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)
    assert available(tmp_path) == (TIMM, "classical")


def test_a_network_of_open_clip_gives_its_own_features(clip_folder: Path, drawn_clip: Any) -> None:
    network = load_backbone(CLIP, clip_folder, allow_hub=False)
    assert isinstance(network, TorchNetwork)
    assert (network.name, network.dim) == (CLIP, 24)
    asked = network.preprocessing
    assert (asked.side, asked.mean, asked.std) == (32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    assert asked.resample is Image.Resampling.BICUBIC
    with torch.inference_mode():
        wanted = drawn_clip.encode_image(own_pixels(network, picture()), normalize=True).numpy()
    assert network.embed([picture()]) == pytest.approx(wanted, abs=1e-5)
    assert available(clip_folder) == (CLIP, "classical")


def test_a_network_of_timm_from_a_hub_is_a_folder_here(tmp_path: Path, drawn_timm: Any) -> None:
    own = tmp_path / "timm--hf-hub--icones--small"
    own.mkdir()
    cfg = {**drawn_timm.pretrained_cfg, "mean": [0.1, 0.2, 0.3]}
    (own / "config.json").write_text(json.dumps({"architecture": "test_resnet", "pretrained_cfg": cfg}))
    save_file(state_of(drawn_timm), own / "model.safetensors")
    (name, _) = available(tmp_path)
    network = load_backbone(name, tmp_path, allow_hub=False)
    assert isinstance(network, TorchNetwork)
    assert (network.name, network.preprocessing.mean) == ("timm:hf-hub:icones/small", (0.1, 0.2, 0.3))
    with pytest.raises(ArtifactError, match="cannot be built"):
        load_backbone("timm:test_resnet.no_such_weights", own / "model.safetensors", allow_hub=False)


def test_a_version_is_of_the_weights_and_of_the_preprocessing(clip_folder: Path, drawn_clip: Any) -> None:
    own = clip_folder / "open_clip--hf-hub--icones--tiny"
    before = load_backbone(CLIP, clip_folder, allow_hub=False).version
    assert load_backbone(CLIP, own, allow_hub=False).version == before
    other = {**CONFIG, "preprocess_cfg": {**CONFIG["preprocess_cfg"], "mean": [0.5, 0.5, 0.5]}}
    (own / "open_clip_config.json").write_text(json.dumps(other))
    remixed = load_backbone(CLIP, clip_folder, allow_hub=False).version
    state = state_of(drawn_clip)
    state["visual.proj"] = state["visual.proj"] + 0.01
    save_file(state, own / "open_clip_model.safetensors")
    assert len({before, remixed, load_backbone(CLIP, clip_folder, allow_hub=False).version}) == 3


def test_a_built_in_network_of_open_clip_takes_a_file_and_the_mean_of_its_training(tmp_path: Path) -> None:
    """Weights that open_clip knows by name bring the deviation they were trained with, also from a local file."""
    import open_clip

    (tmp_path / "tiny-icones.json").write_text(json.dumps(CONFIG["model_cfg"]))
    open_clip.add_model_config(tmp_path / "tiny-icones.json")
    torch.manual_seed(3)
    whole = open_clip.create_model("tiny-icones", pretrained=None, pretrained_text=False)
    file = tmp_path / "tiny.safetensors"
    save_file(state_of(whole), file)
    network = load_backbone("open_clip:tiny-icones", file, allow_hub=False)
    assert isinstance(network, TorchNetwork)
    assert network.embed([picture()]).shape == (1, 24)
    assert network.preprocessing.mean == pytest.approx(open_clip.OPENAI_DATASET_MEAN)


def test_they_join_with_others(clip_folder: Path, drawn_timm: Any) -> None:
    save_file(state_of(drawn_timm), clip_folder / "timm--test_resnet.r160_in1k.safetensors")
    joined = load_backbone(f"{CLIP}+{TIMM}+classical", clip_folder, allow_hub=False)
    assert isinstance(joined, JoinedBackbone)
    assert joined.name == f"{CLIP}+{TIMM}+classical"
    x = joined.embed([picture(), picture(1)])
    assert x.shape == (2, joined.dim)
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(2), abs=1e-5)


def test_weights_that_do_not_fit_or_are_damaged_are_refused(
    tmp_path: Path, clip_folder: Path, drawn_timm: Any, drawn_clip: Any
) -> None:
    file = tmp_path / "w.safetensors"
    save_file(state_of(drawn_clip), file)
    with pytest.raises(ArtifactError, match=f"does not belong to {TIMM}"):
        load_backbone(TIMM, file, allow_hub=False)
    with pytest.raises(ArtifactError, match="folder with its configuration"):
        load_backbone(CLIP, file, allow_hub=False)
    own = clip_folder / "open_clip--hf-hub--icones--tiny"
    kept = (own / "open_clip_model.safetensors").read_bytes()
    (own / "open_clip_model.safetensors").write_bytes(kept[: len(kept) // 2])
    with pytest.raises(ArtifactError, match="damaged"):
        load_backbone(CLIP, clip_folder, allow_hub=False)
    save_file(state_of(drawn_timm), own / "open_clip_model.safetensors")
    with pytest.raises(ArtifactError, match="does not belong"):
        load_backbone(CLIP, clip_folder, allow_hub=False)
    (own / "open_clip_model.safetensors").unlink()
    with pytest.raises(ArtifactError, match="holds no weights"):
        load_backbone(CLIP, clip_folder, allow_hub=False)
    (own / "open_clip_config.json").write_text("{}")
    (own / "open_clip_model.safetensors").write_bytes(kept)
    with pytest.raises(ArtifactError, match="cannot be built"):
        load_backbone(CLIP, clip_folder, allow_hub=False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:no_such_net", "timm has no network"),
        ("open_clip:no-such-net@openai", "open_clip has no network"),
        ("open_clip:ViT-B-32", "needs the weights' name"),
    ],
)
def test_an_unknown_network_is_named(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_backbone(name)


@pytest.mark.parametrize("name", [TIMM, CLIP, "open_clip:ViT-B-32@openai"])
def test_a_hub_out_of_reach_is_said_loudly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own switch for machines without a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said: list[str] = []
    assert load_backbone(name, on_notice=said.append).name == "classical"
    assert "the hub gave none" in said[0]
    assert load_backbone(name, allow_hub=False, on_notice=said.append).name == "classical"
    assert "downloading is switched off" in said[1]


@pytest.mark.parametrize("library", ["timm", "open_clip"])
def test_without_the_library_the_extra_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LearningError, match=r"icones\[networks\]"):
        load_backbone(f"{library}:anything")


def test_the_libraries_are_imported_only_when_asked_for() -> None:
    program = "import sys, active_learning; sys.exit(any(m in sys.modules for m in ('torch', 'timm', 'open_clip')))"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
