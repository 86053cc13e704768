"""The penalised multinomial logistic loss and its minimum, the same to the bit whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from active_learning.examples import Examples
from active_learning.threads import one_thread, pool_of_single_threads

if TYPE_CHECKING:
    import torch

    Part = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

# Rows of one sum: with their values for 500 classes they fit the cache. Parts are always added up in the same order.
BLOCK = 2048
# Up to this many numbers in the product of rows and weights (n d k) double precision costs little.
DOUBLE_UP_TO = 5e7
# Nats a label. In single precision the loss is flat and noisy below this, and what is learned no longer changes.
SINGLE_STOPS_AT, DOUBLE_STOPS_AT = 1e-5, 1e-10


class LogisticLoss:
    """Mean cross entropy of the examples plus half of `penalty` times the squared weights, with its gradient.

    `rows` (n, d) and `offset` (k,), which is added to each example's values, are of the precision asked for.
    """

    def __init__(
        self, rows: NDArray[np.float64], examples: Examples, offset: NDArray[np.float64], penalty: float, double: bool
    ) -> None:
        import torch

        self.dtype = torch.float64 if double else torch.float32
        self._rows = torch.from_numpy(rows).to(self.dtype)
        self._offset = torch.from_numpy(offset).to(self.dtype)
        self._each = torch.from_numpy(examples.mean_one / len(rows)).to(self.dtype)[:, None]
        self._index = None if examples.index is None else torch.from_numpy(examples.index)[:, None]
        self._shares = None if examples.shares is None else torch.from_numpy(examples.shares).to(self.dtype)
        self._penalty = penalty
        self._blocks = [slice(start, start + BLOCK) for start in range(0, len(rows), BLOCK)]

    @contextmanager
    def at_work(self, threads: int) -> Iterator[Callable[[torch.Tensor, torch.Tensor], Part]]:
        """A function of weights (d, k) and bias (k,) giving the loss and its gradient by both, on that many threads."""
        with one_thread():
            if threads <= 1 or len(self._blocks) == 1:
                yield lambda w, b: self._total(w, [self._part(block, w, b) for block in self._blocks])
            else:
                with pool_of_single_threads(min(threads, len(self._blocks))) as pool:
                    yield lambda w, b: self._total(w, list(pool.map(lambda one: self._part(one, w, b), self._blocks)))

    def _part(self, block: slice, w: torch.Tensor, b: torch.Tensor) -> Part:
        """The loss of some rows and its gradient, without the penalty."""
        import torch

        with torch.no_grad():
            rows, each = self._rows[block], self._each[block]
            values = torch.addmm(b + self._offset, rows, w)  # (rows, k)
            values -= values.amax(dim=1, keepdim=True)
            if self._index is not None:
                of_truth = values.gather(1, self._index[block])
            else:
                assert self._shares is not None
                of_truth = (values * self._shares[block]).sum(dim=1, keepdim=True)
            values.exp_()
            whole = values.sum(dim=1, keepdim=True)
            loss = (each * (whole.log() - of_truth)).sum(dtype=torch.float64)
            values *= each / whole
            if self._index is not None:
                values.scatter_add_(1, self._index[block], -each)
            else:
                assert self._shares is not None
                values -= each * self._shares[block]
            return loss, rows.T @ values, values.sum(dim=0)

    def _total(self, w: torch.Tensor, parts: list[Part]) -> Part:
        import torch

        loss, by_w, by_b = parts[0]
        for more, also_by_w, also_by_b in parts[1:]:
            loss, by_w, by_b = loss + more, by_w + also_by_w, by_b + also_by_b
        return loss + 0.5 * self._penalty * (w * w).sum(dtype=torch.float64), by_w + self._penalty * w, by_b


def minimise(
    rows: NDArray[np.float64],
    examples: Examples,
    offset: NDArray[np.float64],
    penalty: float,
    *,
    max_iterations: int,
    rough: bool = False,
    threads: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (d, k) and bias (k,) at the minimum of the loss for `rows` (n, d), found by L-BFGS from zero.

    Small problems are solved in double precision, large or `rough` ones in single, and until a step gains less than a
    hundred-thousandth of a nat a label. The result does not depend on `threads`.
    """
    import torch

    n, d = rows.shape
    k = len(examples.classes)
    double = n * d * k <= DOUBLE_UP_TO and not rough
    loss = LogisticLoss(rows, examples, offset, penalty, double)
    w = torch.zeros((d, k), dtype=loss.dtype, requires_grad=True)
    b = torch.zeros(k, dtype=loss.dtype, requires_grad=True)
    lbfgs = torch.optim.LBFGS(
        [w, b],
        max_iter=max_iterations,
        history_size=10,
        tolerance_grad=1e-7,
        tolerance_change=DOUBLE_STOPS_AT if double else SINGLE_STOPS_AT,
        line_search_fn="strong_wolfe",
    )
    with loss.at_work(threads) as of:

        def closure() -> torch.Tensor:
            total, w.grad, b.grad = of(w.detach(), b.detach())
            return total

        lbfgs.step(closure)  # type: ignore[no-untyped-call]
    return w.detach().double().numpy(), b.detach().double().numpy()
