"""Figures that look alike. The index is a cache: the vectors live in the database, and it is rebuilt from them."""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlmodel import Session

from active_learning import ArtifactError, SimilarityIndex
from icones.learning import queries, service
from icones.learning.vectors import to_matrix
from icones.models import Campaign

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Held:
    index: SimilarityIndex
    state: tuple[int, datetime | None]


class SimilarFigures:
    """The similarity indexes of all campaigns, one a campaign and backbone version, kept in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[tuple[int, str], _Held] = {}
        self._lock = threading.Lock()

    def search(self, session: Session, campaign: Campaign, figure_id: int, k: int = 8) -> list[tuple[int, float]]:
        """Return up to ``k`` other figures with their cosine, most alike first; empty before anything is embedded."""
        backbone = self.backbone(session, campaign)
        if backbone is None:
            return []
        own = queries.embedding(session, figure_id, backbone)
        if own is None:
            return []
        index = self.index(session, campaign, backbone)
        vector = to_matrix([own.vector])[0]
        return index.search(vector, k, exclude=(figure_id,))

    @staticmethod
    def backbone(session: Session, campaign: Campaign) -> str | None:
        """Return the backbone version whose vectors are compared: the serving model's, else the newest."""
        champion = queries.champion(session, campaign.id or 0)
        return champion.backbone if champion else queries.newest_backbone(session, campaign.id or 0)

    def index(self, session: Session, campaign: Campaign, backbone: str) -> SimilarityIndex:
        """Return an index that holds the vectors of this moment: from memory, from its file, or built anew."""
        key = (campaign.id or 0, backbone)
        state = queries.embedding_state(session, *key)
        with self._lock:
            held = self._held.get(key)
            if held is None or held.state != state:
                held = _Held(self._read_or_build(session, campaign, backbone, state), state)
                self._held[key] = held
            return held.index

    def _read_or_build(
        self, session: Session, campaign: Campaign, backbone: str, state: tuple[int, datetime | None]
    ) -> SimilarityIndex:
        # The state is part of the version: a file of other vectors is another index.
        version = f"{backbone} {state[0]} {state[1]}"
        path = self._folder / f"campaign-{campaign.id}.faiss"
        try:
            return SimilarityIndex.load(path, version)
        except ArtifactError as error:
            log.info("the similarity index of campaign %s is built anew: %s", campaign.slug, error)
        ids, x = service.vectors(session, campaign, backbone)
        index = SimilarityIndex.build(ids, x, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        index.save(path)
        return index
