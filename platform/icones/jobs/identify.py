"""One image from outside, looked at by a campaign's model; nothing is kept."""

from pathlib import Path

import numpy as np

from active_learning import TrainedModel, open_figure
from icones.config import Settings
from icones.errors import NotReadyError
from icones.jobs.learn import backbone_of
from icones.models import Campaign, ModelVersion


def identify_image(
    settings: Settings, campaign: Campaign, version: ModelVersion, image: Path | bytes, most: int = 5
) -> list[tuple[str, float]]:
    """Return the best taxa with their calibrated probabilities; ImageError if it cannot be read."""
    said: list[str] = []
    backbone = backbone_of(settings, campaign, said.append)
    if backbone.version != version.backbone:
        raise NotReadyError("The network of this campaign was changed; train a model with it first.")
    model = TrainedModel.load(settings.data_dir / version.folder)
    proba = model.predict(backbone.embed([open_figure(image)]))[0]
    order = np.argsort(-proba, kind="stable")[:most]
    return [(model.classes[int(i)], float(proba[i])) for i in order]
