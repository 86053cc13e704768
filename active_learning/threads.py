"""How many threads torch uses while heads are fitted: one, so that the same labels give the same bits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_alone = threading.Lock()
_inside = 0
_threads_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside: sums over several threads may differ in the last bit from run to run.

    May be entered again, and by several threads of this process; the last one out restores what was before.
    """
    import torch

    global _inside, _threads_before
    with _alone:
        if _inside == 0:
            _threads_before = torch.get_num_threads()
            torch.set_num_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _alone:
            _inside -= 1
            if _inside == 0:
                torch.set_num_threads(_threads_before)


def pool_of_single_threads(threads: int) -> ThreadPoolExecutor:
    """A pool in each of whose threads torch uses one thread, for work that is cut into parts."""
    return ThreadPoolExecutor(threads, initializer=_one_torch_thread)


def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)
