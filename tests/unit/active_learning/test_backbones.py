"""Embeddings: real networks on real weights, and the descriptor that needs none."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from active_learning import (
    ARCHITECTURES,
    ArtifactError,
    Backbone,
    ClassicalDescriptor,
    ImageError,
    JoinedBackbone,
    available,
    load_backbone,
    open_figure,
)
from active_learning.heads import fit_head
from active_learning.images import to_square
from active_learning.metrics import balanced_accuracy
from active_learning.torch_networks import torchvision_network
from active_learning.weights import stem

# The largest numbers in the vector of one drawing, by their places.
GOLDEN = {
    "squeezenet1_1": {465: 0.391129, 433: 0.323400, 458: 0.297468},
    "mobilenet_v2/inat_insect": {808: 0.217718, 687: 0.206856, 1275: 0.187549},
}


def drawing(hue: int, shape: str, size: tuple[int, int] = (200, 260), shift: int = 0) -> Image.Image:
    image = Image.new("RGB", size, (244, 238, 220))
    colour = Image.new("HSV", (1, 1), (hue, 200, 170)).convert("RGB").getpixel((0, 0))
    box = (40 + shift, 60 + shift, 150 + shift, 190 + shift)
    getattr(ImageDraw.Draw(image), shape)(box, fill=colour, outline=(30, 20, 10), width=3)
    return image


def test_the_descriptor_gives_unit_vectors_of_one_length() -> None:
    backbone = ClassicalDescriptor()
    images = [drawing(0, "ellipse"), Image.new("RGB", (5, 900)), Image.new("RGB", (1, 1), (255, 255, 255))]
    images.append(Image.effect_noise((300, 200), 80).convert("RGB"))
    x = backbone.embed(images)
    assert x.shape == (4, backbone.dim)
    assert x.dtype == np.float32
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert 300 <= backbone.dim <= 600
    assert backbone.embed([]).shape == (0, backbone.dim)


def test_colour_and_shape_count_and_place_and_size_on_the_sheet_do_not() -> None:
    images = [drawing(0, "ellipse"), drawing(0, "ellipse", shift=30), drawing(0, "ellipse", (300, 390))]
    images += [drawing(120, "ellipse"), drawing(0, "rectangle")]
    x = ClassicalDescriptor().embed(images)
    cosine = x @ x[0]
    assert min(cosine[1], cosine[2]) > 0.9
    assert cosine[3] < min(cosine[1], cosine[2]) - 0.1
    assert cosine[4] < min(cosine[1], cosine[2]) - 0.02


def test_an_image_not_in_rgb_is_refused() -> None:
    with pytest.raises(ImageError, match="open_rgb"):
        ClassicalDescriptor().embed([Image.new("L", (10, 10))])


def test_the_descriptor_takes_less_than_25_ms_of_the_processor_an_image() -> None:
    backbone, images = ClassicalDescriptor(), [drawing(n * 10, "ellipse", (480, 768)) for n in range(20)]
    backbone.embed(images)
    before = time.process_time()
    backbone.embed(images)
    assert (time.process_time() - before) / 20 < 0.025


def test_unknown_names_and_missing_weights_are_said_and_never_random(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no backbone 'resnet9000'"):
        load_backbone("resnet9000")
    told: list[str] = []
    backbone = load_backbone("mobilenet_v3_small", tmp_path / "none.pth", allow_hub=False, on_notice=told.append)
    assert backbone.name == "classical"
    assert len(told) == 1
    assert "NO NETWORK WEIGHTS for mobilenet_v3_small" in told[0]
    assert "none.pth is not there" in told[0]


@pytest.fixture
def hub_without_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A real web server on loopback that stands where torchvision looks for weights, and has none."""
    import torchvision

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.value
    address = f"http://127.0.0.1:{server.server_port}/mobilenet_v3_small-047dcff4.pth"
    original = weights.url
    object.__setattr__(weights, "url", address)
    yield
    object.__setattr__(weights, "url", original)
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("hub_without_weights")
def test_a_hub_that_gives_nothing_is_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    backbone = load_backbone("mobilenet_v3_small")
    assert backbone.name == "classical"
    assert "NO NETWORK WEIGHTS" in caplog.text
    assert caplog.records[0].levelname == "WARNING"


def test_a_damaged_or_foreign_weights_file_is_refused(tmp_path: Path, test_data: Path) -> None:
    broken = tmp_path / "mobilenet_v2.pth"
    broken.write_bytes((test_data / "weights/mobilenet_v2.pth").read_bytes()[:100_000])
    with pytest.raises(ArtifactError, match="damaged"):
        load_backbone("mobilenet_v2", broken)
    with pytest.raises(ArtifactError, match="does not belong to mobilenet_v2"):
        load_backbone("mobilenet_v2", test_data / "weights/squeezenet1_1.pth")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"just words", b"PK\x03\x04" + bytes(40), b"\xff" * 64, b"{}" * 900])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    file = tmp_path / f"mobilenet_v2.{ending}"
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"mobilenet_v2\.{ending}"):
        load_backbone("mobilenet_v2", tmp_path)


def test_a_file_of_other_things_than_tensors_is_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "mobilenet_v2.pth")
    with pytest.raises(ArtifactError, match="something else"):
        load_backbone("mobilenet_v2", tmp_path)
    save_file({}, tmp_path / "squeezenet1_1.safetensors")
    with pytest.raises(ArtifactError, match="holds no weights"):
        load_backbone("squeezenet1_1", tmp_path)
    save_file({"features.0.weight": torch.zeros(3)}, tmp_path / "resnet50.safetensors")
    with pytest.raises(ArtifactError, match="does not belong to resnet50"):
        load_backbone("resnet50", tmp_path)


def test_a_pickled_program_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ArtifactError):
        load_backbone("mobilenet_v2", tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_weights_of_any_number_of_classes_load_and_have_versions_of_their_own(
    test_data: Path, imagenet_backbone: Backbone
) -> None:
    insects = load_backbone("mobilenet_v2", test_data / "weights/mobilenet_v2_inat_insect.pth")  # 1022 classes
    small = load_backbone("squeezenet1_1", test_data / "weights")  # a folder
    assert (insects.dim, small.dim) == (1280, 512)
    assert len({insects.version, small.version, imagenet_backbone.version}) == 3
    assert insects.version.startswith("mobilenet_v2@")
    assert np.linalg.norm(small.embed([drawing(0, "ellipse")])) == pytest.approx(1, abs=1e-5)


def test_stored_vectors_stay_comparable(test_data: Path) -> None:
    """A change here makes all stored embeddings of these networks wrong; it needs new versions, and a good reason."""
    weights = test_data / "weights"
    files = {"mobilenet_v2": "61cb71cf970c", "mobilenet_v2_inat_insect": "861ed29fb7d4"}
    for file, digest in files.items():
        assert load_backbone("mobilenet_v2", weights / f"{file}.pth").version == f"mobilenet_v2@{digest}"
    small = load_backbone("squeezenet1_1", weights)
    assert small.version == "squeezenet1_1@f8f96f2236ee"
    insects = load_backbone("mobilenet_v2/inat_insect", weights)
    for backbone in (small, insects):
        vector = backbone.embed([drawing(0, "ellipse")])[0]
        golden = GOLDEN[backbone.name]
        assert vector[list(golden)] == pytest.approx(list(golden.values()), abs=1e-4)


def test_other_weights_of_an_architecture_have_a_name_of_their_own(test_data: Path) -> None:
    weights = test_data / "weights"
    insects = load_backbone("mobilenet_v2/inat_insect", weights, allow_hub=False)
    assert (insects.name, insects.dim) == ("mobilenet_v2/inat_insect", 1280)
    assert insects.version == "mobilenet_v2/inat_insect@861ed29fb7d4"
    joined = load_backbone("mobilenet_v2/inat_insect+squeezenet1_1", weights, allow_hub=False)
    assert joined.name == "mobilenet_v2/inat_insect+squeezenet1_1"
    assert joined.dim == 1280 + 512
    assert joined.version.startswith(f"{insects.version}+squeezenet1_1@")


def test_what_is_at_hand_is_told_by_the_names_of_the_files(test_data: Path, tmp_path: Path) -> None:
    names = ("mobilenet_v2", "mobilenet_v2/inat_bird", "mobilenet_v2/inat_insect", "squeezenet1_1", "classical")
    assert available(test_data / "weights") == names
    assert available(None) == available(tmp_path / "absent") == ("classical",)
    for file in ("mobilenet_v3_small_plates.pth", "resnet50.safetensors", "notes.txt", "unknown.pth", "timm--a.b.bin"):
        (tmp_path / file).touch()
    (tmp_path / "open_clip--hf-hub--team--net-2").mkdir()
    (tmp_path / "open_clip--hf-hub--team--net-2" / "open_clip_config.json").touch()
    (tmp_path / "mobilenet_v2").mkdir()
    found = ("mobilenet_v3_small/plates", "open_clip:hf-hub:team/net-2", "resnet50", "timm:a.b", "classical")
    assert available(tmp_path) == found
    for name in found[:-1]:
        assert stem(name) in {file.name if file.is_dir() else file.stem for file in tmp_path.iterdir()}


def test_what_is_not_there_is_left_out_of_a_join(test_data: Path) -> None:
    said: list[str] = []
    one = load_backbone("mobilenet_v2/moths+squeezenet1_1", test_data / "weights", on_notice=said.append)
    assert one.name == "squeezenet1_1"
    assert "on no hub" in said[0]
    none = load_backbone("mobilenet_v2/moths+mobilenet_v2/ferns", test_data / "weights", on_notice=said.append)
    assert none.name == "classical"
    assert len(said) == 3


@pytest.mark.parametrize("name", ["no_such_net", "no_such_net/variant", "", "+", "mobilenet_v2+no_such_net"])
def test_an_unknown_backbone_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="There is no backbone"):
        load_backbone(name, allow_hub=False)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_each_architecture_gives_what_its_last_layers_see(name: str) -> None:
    """Against the whole network of torchvision, unfolded, with norms that have something to fold."""
    import torch
    import torchvision

    torch.manual_seed(0)
    whole = getattr(torchvision.models, name)(weights=None).eval()
    for part in whole.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean = torch.empty(part.num_features).uniform_(-0.2, 0.2)
            part.running_var = torch.empty(part.num_features).uniform_(0.5, 2)
    network = torchvision_network(name, whole.state_dict())
    asked = ARCHITECTURES[name].preprocessing
    image = drawing(30, "ellipse")
    pixels = to_square(image, asked.side, asked.resample) / 255.0
    batch = torch.tensor((pixels - asked.mean) / asked.std, dtype=torch.float32).permute(2, 0, 1)[None]
    seen: list[torch.Tensor] = []
    # SqueezeNet alone pools after its classes; of the others the first linear layer there is sees the pooled features.
    ends = whole.fc if name == "resnet50" else whole.classifier
    last = next((part for part in ends.modules() if isinstance(part, torch.nn.Linear)), None)
    with torch.inference_mode():
        if last is None:
            seen.append(whole.features(batch).mean(dim=(2, 3)))
        else:
            last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
            whole(batch)
    wanted = torch.nn.functional.normalize(seen[0], dim=1).numpy()
    assert network.embed([image]) == pytest.approx(wanted, abs=1e-5)


def test_safetensors_hold_the_same_network_under_the_same_version(
    test_data: Path, imagenet_backbone: Backbone, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    state = torch.load(test_data / "weights/mobilenet_v2.pth", weights_only=True)
    save_file(dict(state), tmp_path / "weights.safetensors")
    again = load_backbone("mobilenet_v2", tmp_path / "weights.safetensors")
    assert again.version == imagenet_backbone.version


def test_an_embedding_does_not_depend_on_its_company(imagenet_backbone: Backbone) -> None:
    images = [drawing(n * 20, "ellipse") for n in range(18)]  # more than a batch
    together = imagenet_backbone.embed(images)
    alone = np.concatenate([imagenet_backbone.embed([image]) for image in images])
    assert np.abs(together - alone).max() < 1e-5
    assert (together == imagenet_backbone.embed(images)).all()


def test_joined_backbones_weigh_the_same(imagenet_backbone: Backbone) -> None:
    joined = JoinedBackbone([imagenet_backbone, ClassicalDescriptor()])
    images = [drawing(0, "ellipse"), drawing(90, "rectangle")]
    x = joined.embed(images)
    assert x.shape == (2, joined.dim)
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(2), abs=1e-5)
    parts = [part.embed(images) for part in (imagenet_backbone, ClassicalDescriptor())]
    assert x[0] @ x[1] == pytest.approx(np.mean([p[0] @ p[1] for p in parts]), abs=1e-5)


def test_five_labels_a_species_are_enough_on_real_photographs(
    butterflies: tuple[NDArray[np.float32], NDArray[np.str_]],
) -> None:
    """Logistic regression as usually done reaches .962 on ten species; this is on eight, with fewer left to test."""
    x, y = butterflies
    scores = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(y))
        learned = np.concatenate([[row for row in order if y[row] == name][:5] for name in np.unique(y)])
        tested = np.setdiff1d(np.arange(len(y)), learned)
        head = fit_head(x[learned], y[learned])
        truth = np.array([head.classes_.index(name) for name in y[tested]])
        scores.append(balanced_accuracy(truth, head.predict_proba(x[tested]).argmax(axis=1)))
    assert np.mean(scores) > 0.93


def test_the_descriptor_tells_cards_from_trees_on_real_plates(test_data: Path) -> None:
    """Learned from twenty plates of each, without any network; by chance it would be a half."""
    cards = sorted((test_data / "plates/player_cards").glob("*.jpg"))[:40]
    trees = sorted((test_data / "plates/familiar_trees").glob("*.jpg"))[:40]
    x = ClassicalDescriptor().embed([open_figure(file) for file in (*cards, *trees)])
    y = np.array(["card"] * 40 + ["tree"] * 40)
    head = fit_head(x[::2], y[::2])
    found = np.array(head.classes_)[head.predict_proba(x[1::2]).argmax(axis=1)]
    assert (found == y[1::2]).mean() >= 0.8


def test_importing_the_library_loads_neither_torch_nor_faiss() -> None:
    program = "import sys, active_learning; sys.exit(any(m in sys.modules for m in ('torch', 'torchvision', 'faiss')))"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
