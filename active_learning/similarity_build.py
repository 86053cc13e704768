"""The inside of an index of similar figures: exact up to a size, above it a graph whose recall is measured.

Vectors lie in rows, 0 and up; which figure a row is of is written beside them (`IndexIDMap2`), so that a selector is a
plain bitmap over rows. The graph is HNSW (Malkov and Yashunin, 2018, arXiv:1603.09320) over vectors of 8 bits a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

EXACT_UP_TO = 200_000
"""Vectors that are compared one by one: 35 ms at 576 numbers; a graph is worth its losses above that only."""
MIN_RECALL = 0.97
"""Of the ten nearest, the share that a graph must find; below, it is built again finer."""
_AIM = 0.985
"""What the effort of a search is chosen for: new pictures are harder to place than those in the graph."""
FLAT, GRAPH = "exact", "graph"

_CHUNK = 50_000
_QUERIES = 200
_NEAREST = 10
EFFORTS = (64, 96, 128, 192, 256, 384, 512)
"""How many candidates a search keeps (efSearch): more is dearer than a finer graph in use, but far cheaper to build."""
_FINENESS = (40, 100, 200)
"""How many candidates are kept while a vector is linked (efConstruction); a finer graph takes longer to build."""
_FEW, _FEW_SHARE = 5_000, 0.1
"""Where fewer may answer, a walk through the graph meets too few of them: they are compared one by one."""


@dataclass(frozen=True)
class Shape:
    """How an index is built inside, and what it was measured to find."""

    kind: str
    """`exact` or `graph`."""
    effort: int = 0
    """Candidates that a search in the graph keeps; 0 where all are compared."""
    fineness: int = 0
    """Candidates that were kept while the graph was built."""
    recall: float = 1.0
    """Share of the ten nearest that a search finds, measured on a sample against the exact ones."""


def faiss() -> Any:
    """The library, imported when it is first needed. Its type stubs leave out most of what is used here."""
    import faiss as library

    return library


def one_thread() -> None:
    """Let searches and builds of this thread run in it alone; faiss keeps the number for each thread apart."""
    faiss().omp_set_num_threads(1)


def unit_rows(x: NDArray[Any], dim: int) -> Floats:
    """Vectors (n, dim) brought to length 1. Raises ValueError for a wrong shape or a vector without a direction."""
    rows = np.ascontiguousarray(x, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"expected vectors of length {dim}, got an array of shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("a vector is zero or not finite, and has no direction to compare")
    return np.ascontiguousarray(rows / lengths)


def built(
    ids: Ids, x: NDArray[Any], exact_up_to: int, seed: int, threads: int, efforts: Sequence[int] = EFFORTS
) -> tuple[Any, Shape]:
    """An `IndexIDMap2` of vectors (n, d) under these ids, and how it is built. They are read in pieces.

    A graph that finds too few of the nearest is searched with more effort, then built again finer; the finest is kept.
    """
    dim = int(x.shape[1])
    if len(x) <= exact_up_to:
        one_thread()
        return _filled(faiss().IndexFlatIP(dim), ids, x), Shape(FLAT)
    faiss().omp_set_num_threads(threads)
    try:
        rng = np.random.default_rng(seed)
        asked = unit_rows(x[np.sort(rng.choice(len(x), min(_QUERIES, len(x)), replace=False))], dim)
        # Each asked vector is in the index, and finds itself: that says nothing.
        truth = exact_nearest(asked, x, _NEAREST + 1)[:, 1:]
        sample = unit_rows(x[np.sort(rng.choice(len(x), min(_CHUNK, len(x)), replace=False))], dim)
        for fineness in _FINENESS:
            graph = faiss().index_factory(dim, "HNSW16_SQ8", faiss().METRIC_INNER_PRODUCT)
            graph.hnsw.efConstruction = fineness
            graph.train(sample)
            index = _filled(graph, ids, x)
            effort, recall = _effort(graph, asked, truth, efforts)
            if recall >= MIN_RECALL:
                break
        return index, Shape(GRAPH, effort, fineness, recall)
    finally:
        one_thread()


def _filled(inner: Any, ids: Ids, x: NDArray[Any]) -> Any:
    index = faiss().IndexIDMap2(inner)
    for start, rows in _pieces(x):
        index.add_with_ids(rows, ids[start : start + len(rows)])
    return index


def _pieces(x: NDArray[Any]) -> Iterator[tuple[int, Floats]]:
    for start in range(0, len(x), _CHUNK):
        yield start, unit_rows(x[start : start + _CHUNK], int(x.shape[1]))


def exact_nearest(asked: Floats, x: NDArray[Any], k: int = _NEAREST) -> Ids:
    """The rows (q, k) of the vectors that are truly nearest to each asked one, nearest first; fewer if there are."""
    best = np.full((len(asked), 0), -np.inf, dtype=np.float32)
    rows = np.zeros((len(asked), 0), dtype=np.int64)
    for start, piece in _pieces(x):
        here = np.broadcast_to(np.arange(start, start + len(piece)), (len(asked), len(piece)))
        best, rows = np.hstack([best, asked @ piece.T]), np.hstack([rows, here])
        keep = np.argpartition(-best, min(k, best.shape[1]) - 1, axis=1)[:, :k]
        best, rows = np.take_along_axis(best, keep, axis=1), np.take_along_axis(rows, keep, axis=1)
    return np.take_along_axis(rows, np.argsort(-best, axis=1, kind="stable"), axis=1)


def _effort(graph: Any, asked: Floats, truth: Ids, efforts: Sequence[int]) -> tuple[int, float]:
    """The least effort that reaches the aim, and its recall; the most effort and its recall where none does."""
    for effort in efforts:
        found = searched(graph, asked, truth.shape[1] + 1, Shape(GRAPH, effort))[1]
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
        recall = hits / truth.size
        if recall >= _AIM:
            break
    return effort, recall


def searched(
    inner: Any, asked: Floats, k: int, shape: Shape, allowed: NDArray[np.bool_] | None = None
) -> tuple[Floats, Ids]:
    """Cosines and rows (q, k) of the nearest; row -1 where there are fewer. `allowed` (n,) says which rows may answer.

    The selection is made inside the search, so that k come back if k may. In a graph few allowed ones are compared one
    by one, as they are where a walk ends too early; more are searched with more effort, as most it meets do not count.
    """
    selector = None
    n = n_allowed = inner.ntotal
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss().IDSelectorBitmap(bits)
        n_allowed = int(np.count_nonzero(allowed))
    one_by_one = faiss().SearchParameters(sel=selector)
    if shape.kind == FLAT:
        return _pair(inner.search(asked, k, params=one_by_one))
    if n_allowed >= max(_FEW, _FEW_SHARE * n) or allowed is None:
        effort = int(np.ceil(max(shape.effort, k) * n / max(n_allowed, 1)))
        walk = faiss().SearchParametersHNSW(sel=selector, efSearch=effort)
        cosines, rows = _pair(inner.search(asked, k, params=walk))
        if (rows >= 0).sum(axis=1).min(initial=k) >= min(k, n_allowed):
            return cosines, rows
    return _pair(faiss().downcast_index(inner.storage).search(asked, k, params=one_by_one))


def _pair(answer: tuple[Any, Any]) -> tuple[Floats, Ids]:
    cosines, rows = answer
    return np.asarray(cosines, dtype=np.float32), np.asarray(rows, dtype=np.int64)
