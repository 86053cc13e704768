"""Fine-tuning: killed and taken up, alone and in two processes, and what a tuned network is known to have seen."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from active_learning import ArtifactError, ImageError, NotEnoughDataError, available, load_backbone, open_figure
from active_learning.fine_tuning import main, tune, varied
from active_learning.images import to_square
from active_learning.tuning_files import Seen, TuningConfig, TuningFigure, held, install, prepare, seen_by

NETWORK = "mobilenet_v3_small"
SHAPES = ("ellipse", "rectangle", "line")
COLOURS = ((180, 40, 40), (40, 140, 60), (40, 60, 170))
CONFIG = TuningConfig(epochs=2, batch=8, feature_rate=2e-4, head_rate=1e-2, side=32, check_share=0.25, seed=4)
ENTRY = ("-m", "active_learning.fine_tuning")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small plates, and a weights folder with a network whose batch norms have statistics of their own."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(5)
    for number in range(24):
        plate = Image.new("RGB", (40, 48), (244, 236, 216))
        left, top = rng.integers(2, 12, 2).tolist()
        draw = getattr(ImageDraw.Draw(plate), SHAPES[number % 3])
        draw((left, top, left + 22, top + 26), fill=COLOURS[number % 3])
        plate.save(folder / f"plate-{number:02d}.png")
    torch.manual_seed(1)
    network = torchvision.models.mobilenet_v3_small(num_classes=7).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # one look is enough
    plates = [to_square(open_figure(file), 32) for file in sorted(folder.glob("*.png"))]
    with torch.no_grad():
        network(torch.from_numpy(np.stack(plates)).permute(0, 3, 1, 2).float() / 64 - 2)
    (folder / "weights").mkdir()
    torch.save(network.state_dict(), folder / "weights" / f"{NETWORK}.pth")
    return folder


def figures(world: Path) -> list[TuningFigure]:
    """Six figures a group; some have a box."""
    return [
        TuningFigure(file, "pct:0,0,95,95" if number % 9 == 0 else None, SHAPES[number % 3], f"book {number // 6}")
        for number, file in enumerate(sorted(world.glob("plate-*.png")))
    ]


def prepared(world: Path, called: str, config: TuningConfig = CONFIG) -> Path:
    return prepare(world / called, NETWORK, figures(world), world / "weights", config)


def result(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "tuned.safetensors")


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((value.double() - other[key].double()).abs().max()) for key, value in one.items())


@pytest.fixture(scope="module")
def tuned(world: Path) -> Path:
    """The folder of a tuning that nothing disturbed."""
    folder = prepared(world, "undisturbed")
    tune(folder, device="cpu")
    return folder


def test_it_learns_and_leaves_the_statistics_of_batch_norms_alone(tuned: Path) -> None:
    record = json.loads((tuned / "tuned.json").read_text())
    history = record["history"]
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert history[2]["loss"] < history[1]["loss"]
    assert all(0 <= row["right"] <= 1 for row in history)
    before, after = load_file(tuned / "start.safetensors"), result(tuned)
    still = {key for key in before if torch.equal(before[key], after[key])}
    assert still == {key for key in before if key.endswith(("running_mean", "running_var", "num_batches_tracked"))}


def test_killed_and_taken_up_it_comes_to_the_same(world: Path, tuned: Path) -> None:
    folder = prepared(world, "killed")
    assert folder.name == tuned.name
    with subprocess.Popen([sys.executable, *ENTRY, folder, "--device", "cpu"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.kill()
    assert first["epoch"] == 1
    assert json.loads((folder / "checkpoint.json").read_text())["epoch"] == 1
    assert not (folder / "tuned.json").exists()
    assert prepared(world, "killed") == folder  # asking again begins nothing anew
    epochs = []
    tune(folder, device="cpu", on_epoch=lambda told: epochs.append(told["epoch"]))
    assert epochs == [2]
    assert furthest(result(folder), result(tuned)) < 1e-5
    assert len(list(folder.glob("epoch-*"))) == 1


def test_two_processes_come_to_the_same_as_one(world: Path, tuned: Path) -> None:
    folder = prepared(world, "together")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = subprocess.run(
        [sys.executable, *torchrun, *ENTRY, folder, "--device", "cpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["epoch"] for line in done.stdout.splitlines()] == [1, 2]
    alone, together = (json.loads((one / "tuned.json").read_text())["history"] for one in (tuned, folder))
    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, abs=1e-4)
    # Sums in another order differ in the last digit, which the optimizer's division makes larger.
    assert furthest(result(folder), result(tuned)) < 4e-5
    assert furthest(load_file(folder / "start.safetensors"), result(tuned)) > 4e-4


def test_what_was_tuned_is_a_backbone_that_tells_what_it_has_seen(world: Path, tuned: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tuned, tmp_path / "work" / tuned.name))
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copytree(world / "weights", weights, dirs_exist_ok=True)
    name = install(folder, weights, "plates")
    assert not folder.exists()
    assert name.startswith(f"{NETWORK}/tuned-plates-")
    assert set(available(weights)) == {NETWORK, name, "classical"}
    backbone = load_backbone(name, weights, allow_hub=False)
    assert backbone.version.startswith(f"{name}@{name[-8:]}")
    picture = open_figure(world / "plate-00.png")
    before = load_backbone(NETWORK, weights, allow_hub=False).embed([picture])
    assert not np.allclose(backbone.embed([picture]), before, atol=1e-3)
    plates = frozenset(f"plate-{number:02d}" for number in range(24))
    assert seen_by(name, weights) == Seen(frozenset(f"book {n}" for n in range(4)), plates)
    assert seen_by(f"classical+{name}", weights) == seen_by(name, weights)
    assert not seen_by(NETWORK, weights)
    # Tuned once more on other figures, it still has seen the first.
    again = [TuningFigure(one.path, None, one.label, "another") for one in figures(world)[:6]]
    later = json.loads((prepare(tmp_path / "work", name, again, weights, CONFIG) / "tuning.json").read_text())
    assert set(later["seen"]["images"]) == plates
    # A list that somebody shortened, or another network's, is not believed; nor is there anything without one.
    record = weights / f"{name.replace('/', '_')}.json"
    told = record.read_text()
    for changed in (told.replace('"book 3"', '"book 4"'), told.replace(name, f"{NETWORK}/tuned-other"), "[]", "{}"):
        assert changed != told
        record.write_text(changed)
        with pytest.raises(ArtifactError, match=f"What {name} was tuned on is not known"):
            seen_by(name, weights)
    record.write_text(told)
    shutil.copy(record, weights / f"{NETWORK}_tuned-other.json")
    with pytest.raises(ArtifactError, match="exchanged"):
        seen_by(f"{NETWORK}/tuned-other", weights)
    record.unlink()
    with pytest.raises(ArtifactError, match="is not known"):
        seen_by(name, weights)


def test_what_cannot_be_tuned_is_refused(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    all_of_them, weights = figures(world), world / "weights"
    with pytest.raises(ValueError, match="only networks of torchvision"):
        prepare(tmp_path, "classical", all_of_them, weights)
    with pytest.raises(NotEnoughDataError, match="at least 2 taxa; there are 1"):
        prepare(tmp_path, NETWORK, all_of_them[:1], weights)
    with pytest.raises(ArtifactError, match="no weights of resnet50"):
        prepare(tmp_path, "resnet50", all_of_them, weights)
    with pytest.raises(ArtifactError, match="does not belong"):
        prepare(tmp_path, "squeezenet1_1", all_of_them, weights / f"{NETWORK}.pth")
    assert not list(tmp_path.iterdir())
    gone = TuningFigure(world / "gone.png", None, SHAPES[0], "book 0")
    with pytest.raises(ImageError, match=r"no file gone\.png"):
        tune(prepare(tmp_path, NETWORK, [gone, all_of_them[1]], weights, CONFIG), device="cpu")
    folder = prepare(tmp_path, NETWORK, all_of_them, weights)
    with pytest.raises(ArtifactError, match="not finished"):
        install(folder, tmp_path, "plates")
    with (folder / "manifest.jsonl").open("a") as file:
        file.write("\n")
    assert main([str(folder)]) == 1
    assert "was changed" in capsys.readouterr().err


def test_a_picture_is_varied_as_prints_differ() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    many = [varied(pixels, np.random.default_rng(seed)) for seed in range(40)]
    assert {one.shape for one in many} == {pixels.shape}
    assert {one.dtype for one in many} == {pixels.dtype}
    assert np.array_equal(varied(pixels, np.random.default_rng(7)), many[7])
    assert len({one.tobytes() for one in many}) == 40
    grey = [bool((one == one[:, :, :1]).all()) for one in many]
    assert 0 < sum(grey) < 20


HOLD = """
import pathlib, subprocess, sys
from active_learning.tuning_files import held
with held(pathlib.Path(sys.argv[1])) as lock:
    subprocess.run(["sh", "-c", "echo held; read end"], pass_fds=(lock,))
"""


def test_a_folder_is_kept_by_one_process_and_its_children_until_they_end(tuned: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tuned, tmp_path / tuned.name))
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        other.kill()
        other.wait()
        # Its child is still at work in the folder.
        with pytest.raises(ArtifactError, match="Another process is at work on the same tuning"), held(folder):
            pass
        other.stdin.close()
        assert other.stdout.read() == b""  # the child has ended
    with held(folder):
        install(folder, tmp_path, "plates")
    assert not folder.exists()
    assert not list(tmp_path.glob(".done-*"))
    with pytest.raises(ArtifactError, match="has just finished"), held(folder):
        pass
    assert not folder.exists()
