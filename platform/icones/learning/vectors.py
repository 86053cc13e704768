"""How feature vectors lie in the database: float32, little endian, unit length."""

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
