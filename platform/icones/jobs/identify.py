"""One image from outside, looked at by a campaign's model; nothing is kept."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from active_learning import ArtifactError, open_figure, open_rgb
from active_learning.embedding import usable
from icones.config import Settings
from icones.db import Database
from icones.errors import BusyError, NotReadyError
from icones.jobs import publishing
from icones.jobs.embedding import network_of_version
from icones.learning import labels, predictions, queries
from icones.models import Campaign, ModelVersion, Prediction

PATIENCE_S = 8.0
"""So long an image waits for its turn; after that its sender is better told than kept waiting."""
MOST_WAITING = 8
"""So many images wait at most. Each holds one of the threads that answer everybody else."""
TRY_AGAIN_AFTER_S = 10

_ONE_AT_A_TIME = threading.Lock()
"""An image may need hundreds of megabytes while it is opened, and the network is loaded once."""
_PLACES = threading.BoundedSemaphore(1 + MOST_WAITING)
"""One for the image that is looked at, the others for those that wait."""


@dataclass(frozen=True, eq=False)
class Seen:
    """An image from outside as a model sees it."""

    vector: NDArray[np.float32]  # (d,)
    prediction: Prediction
    """What the model says of it, in the form of what it says of a figure; of none, and never kept."""
    n_taxa: int
    """Among how many taxa the model chose."""
    copy: bytes
    """A small JPEG of the image, where one was asked for."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What came of looking at an image from outside."""

    vector: NDArray[np.float32]  # (d,)
    copy: bytes = b""
    """A small JPEG of the image, where one was asked for."""


def embed_image(settings: Settings, version: str, image: Path | bytes, box: str | None = None) -> NDArray[np.float32]:
    """Return the vector (d,) of an image, or of a box in it, as ``look_at`` makes it."""
    return look_at(settings, version, image, box).vector


def look_at(settings: Settings, version: str, image: Path | bytes, box: str | None = None, side: int = 0) -> Looked:
    """Return the vector of an image, or of a box in it, under this version of a network.

    It need not be the network that the campaign will take next. With a ``side`` a copy of the whole image is made too,
    at most so many pixels wide and high: opening it needs as much memory, so that it belongs to the image's turn.
    Raises ImageError if it cannot be read, NotReadyError if the network is not at hand in that version or makes nothing
    of the image, BusyError if too many other images wait or its turn does not come.
    """
    with _turn():
        try:
            backbone = network_of_version(settings, version)
        except NotReadyError as error:
            words = "The network of this campaign was changed; train a model with it first."
            raise NotReadyError(words, details=[error.message]) from error
        found: NDArray[np.float32] = np.asarray(backbone.embed([open_figure(image, box)]), dtype=np.float32)
        copy = _small_copy(image, side) if side else b""
    if not usable(found)[0]:
        raise NotReadyError(
            "The network makes nothing of this picture. If it does so with others, its weights are damaged."
        )
    return Looked(found[0], copy)


def _small_copy(image: Path | bytes, side: int) -> bytes:
    """Return a JPEG of an image, at most ``side`` pixels wide and high."""
    picture = open_rgb(image, side)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


@contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other image is looked at, but not for long, and not where many wait already."""
    busy = BusyError("Many pictures are being looked at; try again in a moment.", TRY_AGAIN_AFTER_S)
    if not _PLACES.acquire(blocking=False):
        raise busy
    try:
        if not _ONE_AT_A_TIME.acquire(timeout=PATIENCE_S):
            raise busy
        try:
            yield
        finally:
            _ONE_AT_A_TIME.release()
    finally:
        _PLACES.release()


def identify_image(
    settings: Settings,
    database: Database,
    version: ModelVersion,
    image: Path | bytes,
    now: datetime,
    side: int = 0,
) -> Seen:
    """Return what a model version says of an image; with a ``side`` also a copy, at most so many pixels a side.

    Raises ImageError if it cannot be read, NotReadyError if the network is not at hand any more or the model's files
    are damaged, BusyError if too many other images wait.
    """
    try:
        model = publishing.load(settings, version)
    except ArtifactError as error:
        words = "The files of this campaign's model are damaged or missing. Training anew makes others."
        raise NotReadyError(words, details=[str(error)]) from error
    # No session is held while the network looks: that may take seconds, and others wait for their turn.
    looked = look_at(settings, version.backbone, image, side=side)
    with database.reading() as session:
        taxonomy = labels.taxonomy_of(session, model.classes)
    judged = model.judge(taxonomy).one_block(looked.vector[None])
    row = next(predictions.rows(version.id or 0, model.classes, [0], judged, [""], now))
    return Seen(looked.vector, Prediction(**row), len(model.classes), looked.copy)


def require_model(database: Database, campaign: Campaign) -> ModelVersion:
    """Return the version that serves a campaign, or raise NotReadyError where none does yet."""
    with database.reading() as session:
        version = queries.champion(session, campaign.id or 0)
    if version is None:
        raise NotReadyError("This campaign has no model yet: too little has been named to learn from.")
    return version
