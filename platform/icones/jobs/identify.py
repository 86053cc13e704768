"""One image from outside, looked at by a campaign's model; nothing is kept."""

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from active_learning import ArtifactError, open_figure
from icones.config import Settings
from icones.db import Database
from icones.errors import NotReadyError
from icones.jobs import publishing
from icones.jobs.embedding import backbone_of
from icones.learning import labels, predictions, queries
from icones.models import Campaign, ModelVersion, Prediction

_ONE_AT_A_TIME = threading.Lock()
"""An image may need hundreds of megabytes while it is opened, and the network is loaded once."""


@dataclass(frozen=True, eq=False)
class Seen:
    """An image from outside as a model sees it."""

    vector: NDArray[np.float32]  # (d,)
    prediction: Prediction
    """What the model says of it, in the form of what it says of a figure; of none, and never kept."""
    n_taxa: int
    """Among how many taxa the model chose."""


def embed_image(
    settings: Settings, campaign: Campaign, version: str, image: Path | bytes, box: str | None = None
) -> NDArray[np.float32]:
    """Return the vector (d,) of an image, or of a box in it, under this version of the campaign's network.

    Raises ImageError if it cannot be read, NotReadyError if the network was changed since that version.
    """
    with _ONE_AT_A_TIME:
        said: list[str] = []
        backbone = backbone_of(settings, campaign, said.append)
        if backbone.version != version:
            raise NotReadyError("The network of this campaign was changed; train a model with it first.")
        return np.asarray(backbone.embed([open_figure(image, box)])[0], dtype=np.float32)


def identify_image(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    version: ModelVersion,
    image: Path | bytes,
    now: datetime,
) -> Seen:
    """Return what a model version says of an image.

    Raises ImageError if it cannot be read, NotReadyError if the network was changed or the model's files are damaged.
    """
    try:
        model = publishing.load(settings, version)
    except ArtifactError as error:
        words = "The files of this campaign's model are damaged or missing. Training anew makes others."
        raise NotReadyError(words, details=[str(error)]) from error
    # No session is held while the network looks: that may take seconds, and others wait for their turn.
    vector = embed_image(settings, campaign, version.backbone, image)
    with database.reading() as session:
        taxonomy = labels.taxonomy_of(session, model.classes)
    judged = model.judge(taxonomy).one_block(vector[None])
    row = next(predictions.rows(version.id or 0, model.classes, [0], judged, [""], now))
    return Seen(vector, Prediction(**row), len(model.classes))


def require_model(database: Database, campaign: Campaign) -> ModelVersion:
    """Return the version that serves a campaign, or raise NotReadyError where none does yet."""
    with database.reading() as session:
        version = queries.champion(session, campaign.id or 0)
    if version is None:
        raise NotReadyError("This campaign has no model yet: too little has been named to learn from.")
    return version
