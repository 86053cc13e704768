"""A model on disk: whole or not there, and never believed when it was touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from active_learning import ArtifactError, Taxonomy, TrainedModel, TrainingConfig, TrainingSet, train

MakeSet = Callable[..., TrainingSet]


@pytest.fixture(scope="module")
def data(make_set: MakeSet) -> TrainingSet:
    return make_set({"ant": 20, "bug": 20, "cat": 20})


@pytest.fixture(scope="module")
def model(data: TrainingSet, taxonomy: Taxonomy) -> TrainedModel:
    return train(data, taxonomy, TrainingConfig())


def test_a_loaded_model_is_the_saved_one(
    model: TrainedModel, data: TrainingSet, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    model.save(tmp_path / "models" / "7")
    again = TrainedModel.load(tmp_path / "models" / "7")
    assert (again.predict(data.x) == model.predict(data.x)).all()
    for field in ("classes", "temperature", "report", "config", "snapshot_hash", "backbone", "n_figures", "chosen"):
        assert getattr(again, field) == getattr(model, field)
    assert again.environment == model.environment
    assert again.scales == model.scales
    for ours, theirs in zip(again.judge(taxonomy).look(data.x), model.judge(taxonomy).look(data.x), strict=True):
        assert (ours.claims, ours.sets, ours.verdicts) == (theirs.claims, theirs.sets, theirs.verdicts)
        assert ours.novelty is not None
        assert theirs.novelty is not None
        assert (ours.novelty == theirs.novelty).all()
    assert sorted(file.name for file in (tmp_path / "models").rglob("*")) == ["7", "model.json", "model.safetensors"]


def test_the_prototype_head_is_stored_as_well(data: TrainingSet, taxonomy: Taxonomy, tmp_path: Path) -> None:
    from dataclasses import replace

    from active_learning import Candidate, PrototypeHead

    trained = train(data, taxonomy, TrainingConfig())
    model = replace(trained, head=PrototypeHead().fit(data.x, data.y), chosen=Candidate("prototype", 0.0))
    model.save(tmp_path / "7")
    assert (TrainedModel.load(tmp_path / "7").predict(data.x) == model.predict(data.x)).all()


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_one_flipped_bit_is_found(name: str, model: TrainedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "7")
    file = tmp_path / "7" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        TrainedModel.load(tmp_path / "7")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_missing_file_is_said(name: str, model: TrainedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "7")
    (tmp_path / "7" / name).unlink()
    with pytest.raises(ArtifactError, match="no complete model in 7"):
        TrainedModel.load(tmp_path / "7")


def test_a_card_of_another_format_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    import hashlib

    model.save(tmp_path / "7")
    card = json.loads((tmp_path / "7/model.json").read_text())
    card["format"] = 99
    del card["card_sha256"]
    body = json.dumps(card, ensure_ascii=False, sort_keys=True, indent=1).encode()
    card["card_sha256"] = hashlib.sha256(body).hexdigest()
    (tmp_path / "7/model.json").write_text(json.dumps(card, ensure_ascii=False, sort_keys=True, indent=1))
    with pytest.raises(ArtifactError, match="format 99"):
        TrainedModel.load(tmp_path / "7")


def test_saving_twice_is_once_and_another_model_is_never_overwritten(
    model: TrainedModel, make_set: MakeSet, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    assert model.save(tmp_path / "7") == model.save(tmp_path / "7")
    before = (tmp_path / "7/model.json").read_bytes()
    other = train(make_set({"ant": 9, "bug": 9}), taxonomy, TrainingConfig())
    with pytest.raises(ArtifactError, match="never overwritten"):
        other.save(tmp_path / "7")
    assert (tmp_path / "7/model.json").read_bytes() == before


ENDLESS = """
import itertools, pathlib, sys
from active_learning import TrainedModel
folder = pathlib.Path(sys.argv[1])
model = TrainedModel.load(folder / "first")
for number in itertools.count():
    model.save(folder / "killed" / str(number))
    print(number, flush=True)
"""


def test_a_kill_in_the_middle_of_saving_leaves_only_whole_models(model: TrainedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "first")
    root = Path(__file__).resolve().parents[3]
    saving = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)], cwd=root, stdout=subprocess.PIPE)
    assert saving.stdout is not None
    with saving:
        for _ in range(5):
            assert saving.stdout.readline()
        saving.kill()
    folders = [folder for folder in (tmp_path / "killed").iterdir() if not folder.name.startswith(".")]
    assert len(folders) >= 5
    for folder in folders:
        assert TrainedModel.load(folder).snapshot_hash == model.snapshot_hash


KILLED = """
import os, pathlib, sys
from active_learning import TrainedModel
folder = pathlib.Path(sys.argv[1])
model = TrainedModel.load(folder / "first")
os.fsync = lambda handle: os._exit(9)  # the power fails while the first file goes to the disk
model.save(folder / "models" / "1")
"""


def grown_old(folder: Path) -> None:
    """Let a folder and what is in it be from two hours ago."""
    for one in (*folder.iterdir(), folder):
        moment = one.stat().st_mtime - 7200
        os.utime(one, (moment, moment))


def test_what_a_kill_left_half_written_is_removed_when_it_is_old(model: TrainedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "first")
    root = Path(__file__).resolve().parents[3]
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, check=False)
    assert ended.returncode == 9
    (killed,) = (tmp_path / "models").iterdir()
    assert [file.name for file in killed.iterdir()] == ["model.safetensors"]
    model.save(tmp_path / "models" / "1")
    assert killed.is_dir()  # it may be another process that is still writing
    grown_old(killed)
    others = [killed.with_name(name) for name in (".notes", ".theirs.12345678", ".7.1234567", "7.12345678")]
    for other in others:
        other.mkdir()
        (other / ("model.json" if other.name != ".theirs.12345678" else "notes.txt")).write_text("{}")
        grown_old(other)
    (tmp_path / "models" / ".link.12345678").symlink_to(tmp_path / "models" / "1")
    model.save(tmp_path / "models" / "2")
    assert not killed.exists()
    assert all(any(other.iterdir()) for other in others)
    assert sorted(one.name for one in (tmp_path / "models").iterdir() if one not in others) == [
        ".link.12345678", "1", "2"]  # fmt: skip
    assert TrainedModel.load(tmp_path / "models" / "1").snapshot_hash == model.snapshot_hash


def test_no_pickle_and_no_path_of_the_machine_is_in_the_folder(model: TrainedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "7")
    assert str(tmp_path).encode() not in (tmp_path / "7/model.json").read_bytes()
    assert (tmp_path / "7/model.safetensors").read_bytes()[8:9] == b"{"
