"""Nearest figures by embedding: an exact FAISS index with stable ids, safe to share between threads.

The index is a cache. The embeddings live elsewhere; whoever gets ArtifactError from `load` builds it again from them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import ArtifactError
from active_learning.model import sync_folder, write_durably

Floats = NDArray[np.float32]


class SimilarityIndex:
    """Figure ids and their vectors, searched by cosine. One lock guards it: faiss crashes if written while searched."""

    def __init__(self, dim: int, embedding_version: str) -> None:
        """An empty index for vectors of this length, made by the backbone of this version."""
        import faiss

        self.dim = dim
        self.embedding_version = embedding_version
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._ids: set[int] = set()
        self._lock = threading.Lock()

    @classmethod
    def build(cls, ids: Sequence[int], x: Floats, embedding_version: str) -> SimilarityIndex:
        """An index of vectors (n, d), brought to length 1, under these distinct ids."""
        index = cls(int(np.asarray(x).shape[1]), embedding_version)
        index.add(ids, x)
        return index

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, figure_id: int) -> bool:
        return figure_id in self._ids

    def add(self, ids: Sequence[int], x: Floats) -> None:
        """Put in vectors (n, d); a vector already there under an id is replaced (a full pass: add many at once).

        Raises ValueError for a wrong length, a zero or infinite vector, or an id given twice.
        """
        keys = np.asarray(ids, dtype=np.int64).reshape(-1)
        rows = self._unit_rows(x)
        if len(rows) != len(keys):
            raise ValueError(f"{len(keys)} ids for {len(rows)} vectors")
        names = set(keys.tolist())
        if len(names) != len(keys):
            raise ValueError("an id is given twice")
        with self._lock:
            # faiss keeps both of two vectors with one id, without a word.
            self._remove(names & self._ids)
            if len(keys):
                self._index.add_with_ids(rows, keys)
            self._ids |= names

    def remove(self, ids: Iterable[int]) -> int:
        """Take these figures out; ids that are not there are passed over. How many were taken out."""
        with self._lock:
            return self._remove({int(figure_id) for figure_id in ids} & self._ids)

    def _remove(self, present: set[int]) -> int:
        if not present:
            return 0
        removed = int(self._index.remove_ids(np.array(sorted(present), dtype=np.int64)))
        self._ids -= present
        return removed

    def search(self, x: Floats, k: int, exclude: Collection[int] = ()) -> list[tuple[int, float]]:
        """The k most similar figures to one vector (d,), as (id, cosine from -1 to 1), most similar first.

        Fewer if there are fewer. `exclude` leaves out figures, for instance the one that is asked about. Equal
        cosines come in the order of their ids.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        query = self._unit_rows(np.asarray(x, dtype=np.float32).reshape(1, -1))
        unwanted = {int(figure_id) for figure_id in exclude}
        with self._lock:
            wanted = min(k + len(unwanted & self._ids), len(self._ids))
            if wanted == 0:
                return []
            cosines, found = self._index.search(query, wanted)
        pairs = [
            (int(figure_id), min(1.0, max(-1.0, float(cosine))))
            for figure_id, cosine in zip(found[0], cosines[0], strict=True)
            if figure_id >= 0 and int(figure_id) not in unwanted
        ]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]

    def _unit_rows(self, x: Floats) -> Floats:
        rows = np.ascontiguousarray(x, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"expected vectors of length {self.dim}, got an array of shape {rows.shape}")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            raise ValueError("a vector is zero or not finite, and has no direction to compare")
        return np.ascontiguousarray(rows / lengths)

    def save(self, path: Path) -> None:
        """Write the index, and beside it `<name>.json` with its checksum; each replaces the old one in one step.

        A kill between the two leaves a pair that does not match, which `load` refuses: nothing wrong is ever served.
        """
        import faiss

        with self._lock:
            content = faiss.serialize_index(self._index).tobytes()
            card = {"n": len(self._ids), "dim": self.dim, "version": self.embedding_version}
        card["sha256"] = hashlib.sha256(content).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
        _replace(_card_path(path), json.dumps(card, sort_keys=True).encode())
        sync_folder(path.parent)

    @classmethod
    def load(cls, path: Path, expected_version: str) -> SimilarityIndex:
        """The index stored there. Raises ArtifactError if it is lost, damaged, or of another embedding version."""
        import faiss

        again = "It must be built again from the stored embeddings."
        try:
            content, card_bytes = path.read_bytes(), _card_path(path).read_bytes()
        except OSError as error:
            raise ArtifactError(f"The similarity index {path.name} is not there ({error.strerror}). {again}") from error
        try:
            card = json.loads(card_bytes)
            n, dim, version, claimed = int(card["n"]), int(card["dim"]), card["version"], card["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"The card of the similarity index {path.name} was damaged. {again}") from error
        if claimed != hashlib.sha256(content).hexdigest():
            raise ArtifactError(f"The similarity index {path.name} was damaged: its checksum is wrong. {again}")
        if version != expected_version:
            raise ArtifactError(f"The similarity index {path.name} is of {version}, not of {expected_version}. {again}")
        restored = cls(dim, version)
        restored._index = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
        restored._ids = set(faiss.vector_to_array(restored._index.id_map).tolist())
        if len(restored._ids) != n or restored._index.ntotal != n or restored._index.d != dim:
            raise ArtifactError(f"The similarity index {path.name} does not hold what its card says. {again}")
        return restored


def _card_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _replace(path: Path, content: bytes) -> None:
    handle, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(unfinished)
    try:
        write_durably(temporary, content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
