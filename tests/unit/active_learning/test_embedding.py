"""Many files to vectors: the same ones whatever the threads and batches, and no bad file stops the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from active_learning import (
    Backbone,
    ClassicalDescriptor,
    ImageError,
    JoinedBackbone,
    embed_files,
    load_backbone,
    open_figure,
)
from active_learning.embedding import EmbeddedBatch

Item = tuple[Path, str | None]
BROKEN = (3, 10)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Fourteen figures, of which one has no file and one is cut off."""
    folder = tmp_path_factory.mktemp("scans")
    made: list[Item] = []
    for number in range(14):
        image = Image.new("RGB", (500 + 40 * number, 620), (240, 235, 220))
        ImageDraw.Draw(image).ellipse((50, 60, 250 + 9 * number, 400), fill=(number * 15, 90, 140))
        file = folder / f"{number:02}.{'png' if number % 5 == 4 else 'jpg'}"
        image.save(file)
        made.append((file, "pct:5,5,60,70" if number % 3 == 2 else None))
    made[BROKEN[0]][0].unlink()
    cut = made[BROKEN[1]][0]
    cut.write_bytes(cut.read_bytes()[:2000])
    return made


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """MobileNetV3-small with weights from a seed: fast, and as a network as good as any for this."""
    import torchvision

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "mobilenet_v3_small.pth"
    torch.save(torchvision.models.mobilenet_v3_small(weights=None).state_dict(), file)
    return load_backbone("mobilenet_v3_small", file, allow_hub=False)


@pytest.fixture(scope="module")
def expected(items: list[Item], network: Backbone) -> dict[int, NDArray[np.float32]]:
    """The vector of each readable figure, computed one by one."""
    readable = [place for place in range(len(items)) if place not in BROKEN]
    return {place: network.embed([open_figure(*items[place])])[0] for place in readable}


def together(batches: Iterable[EmbeddedBatch[None]]) -> tuple[list[int], NDArray[np.float32], dict[int, str]]:
    told = list(batches)
    problems: dict[int, str] = {}
    for batch in told:
        problems |= batch.problems
    vectors = np.concatenate([batch.vectors for batch in told])
    return [place for batch in told for place in batch.positions], vectors, problems


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(threads=st.integers(1, 4), size=st.integers(1, 20), first=st.integers(0, 14))
def test_vectors_are_the_same_whatever_the_threads_and_batches(
    items: list[Item],
    network: Backbone,
    expected: dict[int, NDArray[np.float32]],
    threads: int,
    size: int,
    first: int,
) -> None:
    chosen = items[first:]
    batches = list(embed_files(network, chosen, threads=threads, batch_size=size))
    assert len(batches) == -(-len(chosen) // size)
    seen = [place for batch in batches for place in sorted([*batch.positions, *batch.problems])]
    assert seen == list(range(len(chosen)))
    for batch in batches:
        assert batch.vectors.shape == (len(batch.positions), network.dim)
        assert batch.extra == []
        for place, vector in zip(batch.positions, batch.vectors, strict=True):
            assert np.abs(vector - expected[first + place]).max() < 1e-5


def test_what_cannot_be_read_is_named_and_left_out(items: list[Item], network: Backbone) -> None:
    positions, vectors, problems = together(embed_files(network, items, threads=2, batch_size=4))
    assert positions == [place for place in range(14) if place not in BROKEN]
    assert len(vectors) == 12
    assert list(problems) == list(BROKEN)
    assert "no file" in problems[3]
    assert "cut off" in problems[10]


def test_a_box_that_leaves_the_image_is_a_problem_of_that_figure_alone(items: list[Item]) -> None:
    chosen = [items[0], (items[1][0], "pct:90,90,50,50"), items[2]]
    positions, _, problems = together(embed_files(ClassicalDescriptor(), chosen, threads=1))
    assert positions == [0, 2]
    assert "leaves the image" in problems[1]


def test_what_else_is_asked_of_an_image_comes_back_beside_its_vector(items: list[Item]) -> None:
    threads: set[str] = set()

    def width(image: Image.Image) -> int:
        threads.add(threading.current_thread().name)
        if image.width == open_figure(*items[6]).width:
            raise ImageError("this one has no fingerprint")
        return image.width

    batches = list(embed_files(ClassicalDescriptor(), items, threads=2, also=width, batch_size=5))
    for batch in batches:
        assert batch.extra == [open_figure(*items[place]).width for place in batch.positions]
    assert {place: words for batch in batches for place, words in batch.problems.items()}[6].endswith("no fingerprint")
    assert threading.current_thread().name not in threads


class Spoilt:
    """A network that gives no number for dark pictures and nothing for bright ones."""

    name, version, dim = "spoilt", "spoilt@1", 3

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        x = np.zeros((len(images), 3), dtype=np.float32)
        for row, image in enumerate(images):
            level = np.asarray(image).mean()
            x[row, 0] = np.nan if level < 80 else 0 if level > 170 else 1
        return x


def test_a_vector_that_is_none_is_a_problem(tmp_path: Path) -> None:
    files = []
    for number, level in enumerate((10, 120, 250, 130)):
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (20, 20), (level, level, level)).save(files[-1])
    chosen = [(file, None) for file in files]
    (batch,) = embed_files(Spoilt(), chosen, threads=1, also=lambda image: image.getpixel((0, 0)))
    assert batch.positions == [1, 3]
    assert batch.extra == [(120, 120, 120), (130, 130, 130)]
    assert batch.problems == dict.fromkeys((0, 2), "the network gave no usable vector")
    assert np.isfinite(batch.vectors).all()


class Halting(ClassicalDescriptor):
    """Fails on its third batch, as a graphics processor without memory does."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.batches += 1
        if self.batches == 3:
            raise MemoryError("no room left")
        return super().embed(images)


def test_what_was_done_before_a_failure_is_not_lost(items: list[Item]) -> None:
    kept: list[int] = []
    with pytest.raises(MemoryError):  # noqa: PT012
        for batch in embed_files(Halting(), items, threads=1, batch_size=2):
            kept += batch.positions
    assert kept == [0, 1, 2]


def test_a_run_left_in_the_middle_leaves_no_thread_behind(items: list[Item], network: Backbone) -> None:
    before, torch_threads = threading.active_count(), torch.get_num_threads()
    batches = embed_files(network, items, threads=3, batch_size=1)
    assert next(batches).positions == [0]
    batches.close()
    assert threading.active_count() == before
    assert torch.get_num_threads() == torch_threads


def test_huge_images_do_not_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of scans that cannot be read reduced is embedded in parts, so that memory stays bounded."""
    monkeypatch.setattr("active_learning.embedding._MAX_OPEN_PIXELS", 1000)
    file = tmp_path / "large.png"
    Image.new("RGB", (40, 40), (200, 30, 30)).save(file)
    sizes: list[int] = []

    class Counting(ClassicalDescriptor):
        def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
            sizes.append(len(images))
            return super().embed(images)

    (batch,) = embed_files(Counting(), [(file, None)] * 5, threads=1)
    assert batch.positions == [0, 1, 2, 3, 4]
    assert max(sizes) == 1


def test_a_short_list_is_shared_out_among_the_threads(items: list[Item]) -> None:
    batches = list(embed_files(ClassicalDescriptor(), items[4:9], threads=2))
    assert [batch.positions for batch in batches] == [[0, 1, 2], [3, 4]]


def test_joined_networks_and_no_items_at_all(items: list[Item], network: Backbone) -> None:
    joined = JoinedBackbone([network, ClassicalDescriptor()])
    _, vectors, _ = together(embed_files(joined, items[:2], threads=2))
    assert vectors == pytest.approx(joined.embed([open_figure(*item) for item in items[:2]]), abs=1e-5)
    assert list(embed_files(joined, [], threads=2)) == []


@pytest.mark.parametrize(("threads", "size"), [(0, 4), (1, 0), (1, -1)])
def test_no_threads_or_empty_batches_are_refused_at_once(items: list[Item], threads: int, size: int) -> None:
    with pytest.raises(ValueError):
        embed_files(ClassicalDescriptor(), items, threads=threads, batch_size=size)
