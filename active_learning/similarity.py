"""Nearest figures by embedding, with stable ids, searched by many threads while one writes.

The index is a cache. The embeddings live elsewhere; whoever gets ArtifactError from `load` builds it again from them.
Small ones are exact; large ones are a graph whose recall was measured when it was built (`similarity_build`).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning import similarity_files as files
from active_learning.errors import ArtifactError
from active_learning.similarity_build import (
    EXACT_UP_TO,
    FLAT,
    Floats,
    Ids,
    Shape,
    built,
    faiss,
    one_thread,
    searched,
    unit_rows,
)

_POST_FILTERED = 256
"""So few left-out figures are dropped from a longer answer; more are left out inside the search."""

_SAME = 0.9998
"""Cosine above which two vectors are the same: eight bits a number take away a fifth of that."""
_MANY = 16
"""Where more than one in so many is looked up, a pass over all is quicker."""


@dataclass(frozen=True)
class _Content:
    """All that a search reads; never changed, only replaced as a whole."""

    main: Any
    """IndexIDMap2 of the vectors that were there when it was built."""
    shape: Shape
    ids: Ids
    """Which figure each row of `main` is of."""
    in_order: Ids
    """The rows of `main` by the id of their figure."""
    alive: NDArray[np.bool_]
    """Which rows of `main` still count."""
    n_alive: int
    aside_ids: Ids
    aside: Floats
    """What was put in since, compared one by one."""

    @classmethod
    def of(cls, main: Any, shape: Shape, dim: int) -> _Content:
        ids = faiss().vector_to_array(main.id_map).astype(np.int64)
        alive = np.ones(len(ids), dtype=bool)
        nothing = np.zeros((0, dim), dtype=np.float32)
        return cls(main, shape, ids, np.argsort(ids), alive, len(ids), np.zeros(0, dtype=np.int64), nothing)

    def places_of(self, ids: Ids) -> Ids:
        """The row of `main` for each of these figures (n,); -1 where it is not there or no longer counts."""
        if not len(self.ids):
            return np.full(len(ids), -1, dtype=np.int64)
        places = np.searchsorted(self.ids, ids, sorter=self.in_order)
        rows = self.in_order[np.minimum(places, len(self.ids) - 1)]
        return np.where((self.ids[rows] == ids) & self.alive[rows], rows, -1)

    def rows_of(self, ids: Ids) -> Ids:
        """The rows of `main` that are of these figures and still count; unknown ids are passed over."""
        places = self.places_of(np.unique(ids))
        return np.asarray(places[places >= 0], dtype=np.int64)

    def holds(self, ids: Ids, x: Floats) -> NDArray[np.bool_]:
        """Whether the vector of each figure (n,) is in `main` as it is given, but for what its storing costs."""
        places = self.places_of(ids)
        same = places >= 0
        if same.any():
            stored = faiss().downcast_index(self.main.index).reconstruct_batch(places[same])
            lengths = np.linalg.norm(stored, axis=1)
            same[same] = np.sum(stored * x[same], axis=1) > _SAME * lengths
        return np.asarray(same, dtype=np.bool_)

    def mask_of(self, ids: Ids) -> NDArray[np.bool_]:
        """Which rows of `main` (n,) are of these figures and still count."""
        if len(ids) > len(self.ids) // _MANY:
            return np.asarray(np.isin(self.ids, ids) & self.alive, dtype=np.bool_)
        mask = np.zeros(len(self.ids), dtype=bool)
        mask[self.rows_of(ids)] = True
        return mask

    def without(self, ids: Ids) -> _Content:
        """The same without these figures."""
        alive = self.alive.copy()
        alive[self.rows_of(ids)] = False
        kept = ~np.isin(self.aside_ids, ids)
        n_alive = int(np.count_nonzero(alive))
        return replace(self, alive=alive, n_alive=n_alive, aside_ids=self.aside_ids[kept], aside=self.aside[kept])


class SimilarityIndex:
    """Figure ids and their vectors, searched by cosine.

    Any number of threads may search at any time. A change makes a new content beside the old one and switches to it;
    searches under way go on in the old one. Nothing is ever written into what is searched.
    """

    def __init__(self, dim: int, embedding_version: str) -> None:
        """An empty index for vectors of this length, made by the backbone of this version."""
        self._begin(dim, embedding_version, *built(np.zeros(0, dtype=np.int64), np.zeros((0, dim)), 0, 0, 1))

    def _begin(self, dim: int, embedding_version: str, main: Any, shape: Shape) -> None:
        self.dim = dim
        self.embedding_version = embedding_version
        self.note = ""
        """What the caller wants to find again beside it; `save` and `load` carry it."""
        self._content = _Content.of(main, shape, dim)
        self._writing = threading.Lock()

    @classmethod
    def build(
        cls,
        ids: Sequence[int] | Ids,
        x: NDArray[Any],
        embedding_version: str,
        *,
        exact_up_to: int = EXACT_UP_TO,
        seed: int = 0,
        threads: int = 1,
    ) -> SimilarityIndex:
        """An index of vectors (n, d), floats of any width, brought to length 1, under these distinct ids.

        Above `exact_up_to` vectors it is a graph; `seed` draws the sample on which its recall is measured, and
        `threads` are used to build it. Raises ValueError as `add` does.
        """
        keys, rows = as_ids(ids), np.asarray(x)
        _check_pairs(keys, rows)
        if rows.ndim != 2:
            raise ValueError(f"expected vectors in rows, got an array of shape {rows.shape}")
        index = cls.__new__(cls)
        index._begin(int(rows.shape[1]), embedding_version, *built(keys, rows, exact_up_to, seed, threads))
        return index

    def __len__(self) -> int:
        content = self._content
        return content.n_alive + len(content.aside_ids)

    def __contains__(self, figure_id: int) -> bool:
        content = self._content
        return bool(len(content.rows_of(as_ids([figure_id])))) or figure_id in content.aside_ids

    @property
    def ids(self) -> Ids:
        """The ids of all figures in it, int64, in no order."""
        content = self._content
        return np.concatenate([content.ids[content.alive], content.aside_ids])

    @property
    def shape(self) -> Shape:
        """Whether it is exact or a graph, and the recall that was measured when it was built."""
        return self._content.shape

    @property
    def n_changed(self) -> int:
        """How many vectors were put in or taken out since it was built: many make searches slow."""
        content = self._content
        return len(content.aside_ids) + len(content.ids) - content.n_alive

    def add(self, ids: Sequence[int] | Ids, x: NDArray[Any]) -> None:
        """Put in vectors (n, d); a vector already there under an id is replaced. They are found exactly, at once.

        They lie beside those it was built of, and are meant to be few: build anew where they become many. A vector
        that is there as it is stays where it is.
        Raises ValueError for a wrong length, a zero or infinite vector, or an id given twice.
        """
        keys, rows = as_ids(ids), unit_rows(x, self.dim)
        _check_pairs(keys, rows)
        with self._writing:
            new = ~self._content.holds(keys, rows)
            keys, rows = keys[new], rows[new]
            # The old vector of an id goes first: two with one id would both be found.
            rest = self._content.without(keys)
            self._content = replace(
                rest, aside_ids=np.concatenate([rest.aside_ids, keys]), aside=np.concatenate([rest.aside, rows])
            )

    def remove(self, ids: Iterable[int]) -> int:
        """Take these figures out; ids that are not there are passed over. How many were taken out."""
        with self._writing:
            before = len(self)
            self._content = self._content.without(as_ids(list(ids)))
            return before - len(self)

    def search(
        self, x: NDArray[Any], k: int, exclude: Collection[int] = (), allowed: Collection[int] | Ids | None = None
    ) -> list[tuple[int, float]]:
        """The k most similar figures to one vector (d,), as (id, cosine from -1 to 1), most similar first.

        Fewer if there are fewer. `exclude` leaves out figures, for instance the one that is asked about; `allowed`
        are the only ones that may answer (None: all). Equal cosines come in the order of their ids.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        query = unit_rows(np.asarray(x, dtype=np.float32).reshape(1, -1), self.dim)
        content = self._content
        wanted = None if allowed is None else as_ids(allowed)
        pairs = _from_main(content, query, k, as_ids(exclude), wanted)
        pairs += _from_aside(content, query, as_ids(exclude), wanted)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]

    def save(self, path: Path) -> None:
        """Write the index with a card that holds its checksums; each file replaces the old one in one step.

        A kill between them leaves files that do not match, which `load` refuses: nothing wrong is ever served.
        """
        content = self._content
        if content.shape.kind == FLAT and self.n_changed:
            content = _folded(content, self.dim)
        aside = None
        if len(content.aside_ids):
            aside = built(content.aside_ids, content.aside, len(content.aside), 0, 1)[0]
        shape = content.shape
        card = {"n": len(content.ids), "dim": self.dim, "version": self.embedding_version, "kind": shape.kind}
        card |= {"note": self.note}
        card |= {"effort": shape.effort, "fineness": shape.fineness, "recall_at_10": shape.recall}
        card |= {"removed": np.sort(content.ids[~content.alive]).tolist(), "faiss": faiss().__version__}
        files.write(path, content.main, aside, card)

    @classmethod
    def load(cls, path: Path, expected_version: str) -> SimilarityIndex:
        """The index stored there; its vectors stay on the disk and are shared between processes.

        Raises ArtifactError if it is lost, damaged, or of another embedding version.
        """
        main, aside, card = files.read(path)
        try:
            n, dim, version, removed = int(card["n"]), int(card["dim"]), card["version"], card["removed"]
            note = str(card["note"])
            shape = Shape(card["kind"], card["effort"], card["fineness"], card["recall_at_10"])
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"The card of {path.name} is of another version of Icones. {files.AGAIN}") from error
        if version != expected_version:
            raise ArtifactError(
                f"The similarity index {path.name} is of {version}, not of {expected_version}. {files.AGAIN}"
            )
        if main.ntotal != n or main.d != dim:
            raise ArtifactError(f"The similarity index {path.name} does not hold what its card says. {files.AGAIN}")
        restored = cls.__new__(cls)
        restored._begin(dim, version, main, shape)
        restored.note = note
        restored.remove(removed)
        if aside is not None:
            restored.add(faiss().vector_to_array(aside.id_map), _vectors(aside))
        return restored


def as_ids(ids: Collection[int] | Ids) -> Ids:
    """Ids as an array (n,) int64."""
    given = ids if isinstance(ids, np.ndarray) else list(ids)
    return np.asarray(given, dtype=np.int64).reshape(-1)


def _check_pairs(ids: Ids, x: NDArray[Any]) -> None:
    if len(x) != len(ids):
        raise ValueError(f"{len(ids)} ids for {len(x)} vectors")
    if len(np.unique(ids)) != len(ids):
        raise ValueError("an id is given twice")


def _from_main(content: _Content, query: Floats, k: int, exclude: Ids, allowed: Ids | None) -> list[tuple[int, float]]:
    unwanted = content.rows_of(exclude)
    mask: NDArray[np.bool_] | None = None
    extra = len(unwanted)
    if allowed is not None or content.n_alive < len(content.ids) or extra > _POST_FILTERED:
        extra, mask = 0, content.alive.copy() if allowed is None else content.mask_of(allowed)
        mask[unwanted] = False
    possible = content.n_alive if mask is None else int(np.count_nonzero(mask))
    if possible == 0:
        return []
    one_thread()
    inner = faiss().downcast_index(content.main.index)
    cosines, rows = searched(inner, query, min(k + extra, possible), content.shape, mask)
    left_out = set(unwanted.tolist())
    return [
        (int(content.ids[row]), min(1.0, max(-1.0, float(cosine))))
        for row, cosine in zip(rows[0].tolist(), cosines[0], strict=True)
        if row >= 0 and row not in left_out
    ]


def _from_aside(content: _Content, query: Floats, exclude: Ids, allowed: Ids | None) -> list[tuple[int, float]]:
    if not len(content.aside_ids):
        return []
    may = ~np.isin(content.aside_ids, exclude)
    if allowed is not None:
        may &= np.isin(content.aside_ids, allowed)
    cosines = np.clip(content.aside[may] @ query[0], -1.0, 1.0)
    return list(zip(content.aside_ids[may].tolist(), cosines.astype(float).tolist(), strict=True))


def _folded(content: _Content, dim: int) -> _Content:
    """An exact content with what was put in and taken out since as part of it."""
    rows = np.flatnonzero(content.alive)
    x = np.concatenate([faiss().downcast_index(content.main.index).reconstruct_batch(rows), content.aside])
    ids = np.concatenate([content.ids[rows], content.aside_ids])
    return _Content.of(*built(ids, x, len(ids), 0, 1), dim)


def _vectors(index: Any) -> Floats:
    return np.asarray(faiss().downcast_index(index.index).reconstruct_n(0, index.ntotal), dtype=np.float32)
