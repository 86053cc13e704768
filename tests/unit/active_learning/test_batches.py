"""How many pictures go through a network together: by the device and its memory, halved where that was too many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from active_learning import ClassicalDescriptor, JoinedBackbone, embed_files
from active_learning.torch_networks import Preprocessing, TorchNetwork, batch_size

GIB = 2**30
PICTURE = 3 * 4 * 224 * 224


class Small(torch.nn.Module):
    """A network on a device with little memory: more pictures than `room` at once do not fit."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.tried: list[int] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return pixels.mean(dim=(2, 3))


def network(room: int) -> tuple[TorchNetwork, Small]:
    inside = Small(room)
    return TorchNetwork("small", inside, 3, Preprocessing(8), "0123456789abcdef"), inside


def pictures(n: int) -> list[Image.Image]:
    return [Image.new("RGB", (8, 8), (10 * number % 256, 90, 200 - number)) for number in range(n)]


def test_a_processor_and_a_graphics_processor_get_what_suits_them() -> None:
    assert batch_size("cpu", 0, PICTURE) == batch_size("cpu", 500 * GIB, PICTURE, 64) == 16
    assert batch_size("mps", 500 * GIB, PICTURE) == 16
    assert batch_size("cuda", 80 * GIB, PICTURE) == 128
    assert batch_size("cuda", 4 * GIB, PICTURE) == 32
    assert batch_size("cuda", 4 * GIB, PICTURE, at_once=4) == 8
    assert batch_size("cuda", 0, PICTURE) == 1


@settings(max_examples=40, deadline=None)
@given(free=st.integers(0, 200 * GIB), side=st.integers(32, 1024), at_once=st.integers(1, 64))
def test_all_threads_batches_fit_into_half_of_the_memory(free: int, side: int, at_once: int) -> None:
    size = batch_size("cuda", free, 12 * side * side, at_once)
    assert 1 <= size <= 128
    assert size & (size - 1) == 0
    if size > 1:
        assert size * at_once * 100 * 12 * side * side <= free // 2
    assert batch_size("cuda", 2 * free, 12 * side * side, at_once) >= size


def test_out_of_memory_it_goes_on_with_half_and_gives_the_same() -> None:
    roomy, _ = network(room=64)
    tight, inside = network(room=5)
    expected: NDArray[np.float32] = roomy.embed(pictures(21))
    assert tight.embed(pictures(21)) == pytest.approx(expected, abs=1e-6)
    assert inside.tried == [16, 8, 4, 4, 4, 4, 4, 1]
    assert tight.batch_size == 4
    inside.tried.clear()
    tight.embed(pictures(8))
    assert inside.tried == [4, 4]  # what was learned is kept


def test_where_not_even_one_picture_fits_it_says_so() -> None:
    none, inside = network(room=0)
    with pytest.raises(torch.OutOfMemoryError):
        none.embed(pictures(3))
    assert inside.tried == [3, 1]


def test_files_are_read_in_batches_of_the_networks_size(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("plates")
    for number, picture in enumerate(pictures(20)):
        picture.save(folder / f"{number:02}.png")
    items = [(file, None) for file in sorted(folder.iterdir())]
    one, _ = network(room=64)
    assert [len(batch.positions) for batch in embed_files(one, items, threads=1, device="cpu")] == [16, 4]
    joined = JoinedBackbone([ClassicalDescriptor(), one])
    one.batch_size = 4
    assert joined.batch_size == 4
    assert JoinedBackbone([ClassicalDescriptor()]).batch_size == 16
