"""Thousands of image files to vectors: read and embedded batch by batch in threads, always in order.

A file that cannot be read is named and left out; it never stops the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from active_learning.backbones import Backbone, set_threads
from active_learning.errors import ImageError
from active_learning.images import open_figure
from active_learning.torch_networks import BATCH_SIZE

T = TypeVar("T")

_MAX_OPEN_PIXELS = 40_000_000  # of images that wait in one thread: 120 MB
NO_VECTOR = "the network gave no usable vector"

Item = tuple[Path | bytes, str | None]


@dataclass(frozen=True)
class EmbeddedBatch(Generic[T]):
    """What became of some items that follow each other."""

    positions: list[int]  # (m,) which items the rows belong to, ascending
    vectors: NDArray[np.float32]  # (m, dim) of length 1
    problems: dict[int, str]  # the items of this batch without a row, and why
    extra: list[T]  # (m,) what `also` gave; empty without it


def usable(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of these vectors (n, d) are any: (n,). A network with damaged weights gives no numbers, or zeros."""
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1)
    found: NDArray[np.bool_] = np.isfinite(lengths) & (lengths > 0.5)
    return found


@runtime_checkable
class _Movable(Protocol):
    @property
    def batch_size(self) -> int: ...

    def use_device(self, device: str, at_once: int = 1) -> None: ...


@overload
def embed_files(
    backbone: Backbone, items: Sequence[Item], *, threads: int, device: str = ..., batch_size: int | None = ...
) -> Generator[EmbeddedBatch[None], None, None]: ...


@overload
def embed_files(
    backbone: Backbone,
    items: Sequence[Item],
    *,
    threads: int,
    also: Callable[[Image.Image], T],
    device: str = ...,
    batch_size: int | None = ...,
) -> Generator[EmbeddedBatch[T], None, None]: ...


def embed_files(
    backbone: Backbone,
    items: Sequence[Item],
    *,
    threads: int,
    also: Callable[[Image.Image], Any] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> Generator[EmbeddedBatch[Any], None, None]:
    """Vectors of the files, each with its box or None, in the order of `items`, a batch at a time.

    `threads` batches are in work at the same time, each read, cropped and embedded by one thread that torch does not
    split further; so the vectors are those of `backbone.embed([open_figure(path, box)])` to float32's rounding,
    whatever the number of threads and the size of the batches. Without `batch_size` a batch is as large as suits the
    device and its memory (see `torch_networks.batch_size`). `also` is applied to each opened image in the same
    thread, and what it gives comes back beside the vector. `device` is `cpu`, `cuda`, or `auto`.

    An image that cannot be read, or that `also` refuses with ImageError, and one whose vector is not finite or zero
    becomes a problem of its batch. Any other error ends the run. Raises ValueError for no threads or an empty batch.
    """
    if threads < 1:
        raise ValueError(f"at least one thread is needed, not {threads}")
    most = BATCH_SIZE
    if isinstance(backbone, _Movable):
        backbone.use_device(device, threads)
        most = backbone.batch_size
    # A short list is shared out, or one thread would do it all.
    size = batch_size if batch_size is not None else min(most, max(1, -(-len(items) // threads)))
    if size < 1:
        raise ValueError(f"a batch holds at least one figure, not {size}")
    return _batches(backbone, items, threads, also, size)


def _batches(
    backbone: Backbone, items: Sequence[Item], threads: int, also: Callable[[Image.Image], T] | None, size: int
) -> Generator[EmbeddedBatch[T], None, None]:
    starts = iter(range(0, len(items), size))
    waiting: deque[Future[EmbeddedBatch[T]]] = deque()
    with _one_torch_thread(isinstance(backbone, _Movable)):
        pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        try:
            # Twice as many batches as threads are under way, so that no thread waits for a slow caller.
            for start in starts:
                waiting.append(pool.submit(_one_batch, backbone, items[start : start + size], start, also))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_torch_thread(uses_torch: bool) -> Iterator[None]:
    """Each of our threads computes its own batch, so torch must not split the work again; undone at the end."""
    if not uses_torch:
        yield
        return
    import torch

    before = torch.get_num_threads()
    set_threads(1)
    try:
        yield
    finally:
        set_threads(before)


def _one_batch(
    backbone: Backbone, items: Sequence[Item], start: int, also: Callable[[Image.Image], T] | None
) -> EmbeddedBatch[T]:
    opened: list[Image.Image] = []
    positions: list[int] = []
    extra: list[T] = []
    problems: dict[int, str] = {}
    parts: list[NDArray[np.float32]] = []
    for position, (source, box) in enumerate(items, start):
        try:
            image = open_figure(source, box)
            told = [] if also is None else [also(image)]
        except ImageError as error:
            problems[position] = str(error)
            continue
        opened.append(image)
        positions.append(position)
        extra.extend(told)
        if sum(waiting.width * waiting.height for waiting in opened) > _MAX_OPEN_PIXELS:
            parts.append(backbone.embed(opened))
            opened = []
    parts.append(backbone.embed(opened))
    vectors = np.concatenate(parts)
    kept = np.flatnonzero(usable(vectors))
    problems |= {positions[row]: NO_VECTOR for row in np.flatnonzero(~usable(vectors))}
    return EmbeddedBatch(
        positions=[positions[row] for row in kept],
        vectors=vectors[kept],
        problems=dict(sorted(problems.items())),
        extra=[extra[row] for row in kept] if also is not None else [],
    )
