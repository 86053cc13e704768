"""How feature vectors lie in the database: float32, little endian, unit length."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """Return the bytes of one vector, shape (d,)."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def to_matrix(blobs: Sequence[bytes]) -> NDArray[np.float32]:
    """Return vectors as rows, shape (n, d); (0, 0) for none."""
    if not blobs:
        return np.zeros((0, 0), dtype=np.float32)
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1).astype(np.float32)


def whole(blobs: Sequence[bytes], dim: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the places (m,) of those of these vectors that are whole, and them as rows (m, d).

    One that is not finite, or zero, or of another length than ``dim`` (without it: than most) was damaged.
    """
    lengths = Counter(len(blob) for blob in blobs if blob and len(blob) % 4 == 0)
    size = 4 * dim if dim else max(lengths, key=lambda length: (lengths[length], length), default=0)
    places = np.array([place for place, blob in enumerate(blobs) if size and len(blob) == size], dtype=np.int64)
    x = to_matrix([blobs[place] for place in places])
    if not len(places):
        return places, x
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", x, x)
        sound = np.isfinite(squares) & (squares > 0)
    return (places, x) if sound.all() else (places[sound], x[sound])
