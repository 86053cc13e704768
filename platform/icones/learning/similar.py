"""Figures that look alike. The index is a cache: the vectors live in the database, and it is rebuilt from them."""

import hashlib
import logging
import math
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import ArtifactError, SimilarityIndex
from icones.campaigns import queries as campaigns
from icones.campaigns import service as campaign_service
from icones.errors import NotReadyError
from icones.learning import label_queries, queries, similar_queries
from icones.learning.similar_queries import Standing
from icones.learning.vectors import whole
from icones.models import Campaign, DeterminationState, Person

log = logging.getLogger(__name__)

EVERYWHERE = "*"
"""In the place of a campaign's short name: all campaigns that a person may see."""
CHANGED, CHANGED_SHARE = 1_000, 0.1
"""An index is built anew when more of its vectors came or went since: either bound may be passed, not both."""
LOOK_EVERY_S = 3.0
"""So long what was found of a campaign's vectors is taken for true: to count them takes longer than to search."""
LATE = timedelta(seconds=10)
"""So long may pass between the time a vector bears and the moment it can be seen."""


@dataclass(frozen=True)
class Narrowed:
    """Which figures may answer; all of them unless something is told."""

    taxon_qid: str | None = None
    """Only figures determined as this taxon or one below it."""
    states: frozenset[DeterminationState] = frozenset()
    """Only figures in one of these states."""

    def __bool__(self) -> bool:
        return self.taxon_qid is not None or bool(self.states)


@dataclass(frozen=True)
class Asked:
    """What is searched with: a vector, the backbone version that made it, and where to look."""

    vector: NDArray[np.float32]
    backbone: str
    places: tuple[Campaign, ...]
    exclude: tuple[int, ...] = ()

    def among(self, places: Sequence[Campaign]) -> "Asked":
        """Return the same question, asked in these campaigns."""
        return replace(self, places=tuple(places))


@dataclass(frozen=True)
class _Held:
    index: SimilarityIndex
    standing: Standing


class SimilarFigures:
    """The similarity indexes of all campaigns, one a campaign and backbone version, kept in ``folder``.

    A vector that came, changed or went since an index was made is put right in memory before the search; the index is
    built anew where there are many. Searches under way go on in the one they began in. Whether anything came or changed
    is asked once in ``look_every_s``; a figure that went is noticed at once.
    """

    def __init__(self, folder: Path, threads: int = 1, look_every_s: float = LOOK_EVERY_S) -> None:
        self._folder = folder
        self._threads = threads
        self._look_every_s = look_every_s
        self._looked: dict[tuple[int, str], float] = {}
        self._held: dict[tuple[int, str], _Held] = {}
        self._locks: dict[tuple[int, str], threading.Lock] = {}

    def search(
        self,
        session: Session,
        campaign: Campaign,
        figure_id: int,
        k: int = 8,
        narrowed: Narrowed | None = None,
        places: Sequence[Campaign] | None = None,
    ) -> list[tuple[int, float]]:
        """Return up to ``k`` other figures with their cosine, most alike first; empty before anything is embedded.

        ``places`` are the campaigns to look in; without them, the figure's own.
        """
        asked = self.asked(session, campaign, figure_id)
        if asked is None:
            return []
        return self.like(session, asked.among(places or (campaign,)), k, narrowed or Narrowed())

    def asked(self, session: Session, campaign: Campaign, figure_id: int) -> Asked | None:
        """Return the question that a figure's own vector asks in its campaign; None while it has none."""
        backbone = self.backbone(session, campaign)
        own = queries.embedding(session, figure_id, backbone) if backbone else None
        if own is None or backbone is None:
            return None
        vector = whole([own.vector])[1]
        return Asked(vector[0], backbone, (campaign,), (figure_id,)) if len(vector) else None

    def like(self, session: Session, asked: Asked, k: int, narrowed: Narrowed) -> list[tuple[int, float]]:
        """Return up to ``k`` figures of the asked campaigns with their cosine, most alike first.

        As many come back as there are: what may not answer is left out while searching.
        """
        ids = [one.id or 0 for one in asked.places]
        allowed: NDArray[np.int64] | None = None
        if narrowed:
            found = similar_queries.matching(session, ids, narrowed.taxon_qid, narrowed.states)
            allowed = np.array(found, dtype=np.int64)
            if not len(allowed):
                return []
        hits = self._nearest(session, asked, k, allowed)
        if len(similar_queries.shown_among(session, [one for one, _ in hits], asked.backbone)) < len(hits):
            hits = self._nearest(session, asked, k, allowed, afresh=True)
        return hits

    def _nearest(
        self, session: Session, asked: Asked, k: int, allowed: NDArray[np.int64] | None, *, afresh: bool = False
    ) -> list[tuple[int, float]]:
        hits: list[tuple[int, float]] = []
        for campaign in asked.places:
            index = self.index(session, campaign, asked.backbone, afresh=afresh)
            if index is not None:
                hits += index.search(asked.vector, k, exclude=asked.exclude, allowed=allowed)
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    @staticmethod
    def backbone(session: Session, campaign: Campaign) -> str | None:
        """Return the backbone version whose vectors are compared: the serving model's, else the newest."""
        champion = queries.champion(session, campaign.id or 0)
        return champion.backbone if champion else queries.newest_backbone(session, campaign.id or 0)

    def require_backbone(self, session: Session, campaign: Campaign) -> str:
        """Return the same, or raise NotReadyError where nothing was embedded yet."""
        found = self.backbone(session, campaign)
        if found is None:
            raise NotReadyError("The model has not looked at the figures of this campaign yet.")
        return found

    def index(
        self, session: Session, campaign: Campaign, backbone: str, *, afresh: bool = False
    ) -> SimilarityIndex | None:
        """Return an index of the vectors of this moment: from memory, from its file, or built; None without vectors.

        The one in memory is taken as it is if it was looked after within ``look_every_s``, unless asked ``afresh``.
        While another thread brings it up to date, the one of a moment ago is returned.
        """
        key = (campaign.id or 0, backbone)
        held, moment = self._held.get(key), time.monotonic()
        if held is not None and not afresh and moment < self._looked.get(key, -math.inf) + self._look_every_s:
            return held.index
        self._looked[key] = moment
        now = similar_queries.standing(session, *key)
        if now.n == 0:
            self._held.pop(key, None)
            return None
        held = self._held.get(key)
        if held is not None and held.standing == now:
            return held.index
        lock = self._locks.setdefault(key, threading.Lock())
        if not lock.acquire(blocking=held is None) and held is not None:
            return held.index
        try:
            held = self._held.get(key)
            if held is None or held.standing != now:
                held = _Held(self._up_to_date(session, campaign, backbone, now, held), now)
                self._held[key] = held
            return held.index
        finally:
            lock.release()

    def prepare(self, session: Session, campaign: Campaign) -> int:
        """Build the index of a campaign and keep it, so that no page has to; return how many figures are in it."""
        backbone = self.backbone(session, campaign)
        if backbone is None:
            return 0
        now = similar_queries.standing(session, campaign.id or 0, backbone)
        if now.n == 0:
            return 0
        index = self._built(session, campaign, backbone, now)
        self._held[(campaign.id or 0, backbone)] = _Held(index, now)
        return len(index)

    def _up_to_date(
        self, session: Session, campaign: Campaign, backbone: str, now: Standing, held: _Held | None
    ) -> SimilarityIndex:
        for index in self._at_hand(campaign, backbone, held):
            _bring_up_to_date(session, campaign, backbone, now, index)
            if index.n_changed <= max(CHANGED, CHANGED_SHARE * len(index)):
                return index
        return self._built(session, campaign, backbone, now)

    def _at_hand(self, campaign: Campaign, backbone: str, held: _Held | None) -> Iterator[SimilarityIndex]:
        if held is not None:
            yield held.index
        try:
            yield SimilarityIndex.load(self._path(campaign, backbone), backbone)
        except ArtifactError as error:
            log.info("the similarity index of campaign %s is built anew: %s", campaign.slug, error)

    def _built(self, session: Session, campaign: Campaign, backbone: str, now: Standing) -> SimilarityIndex:
        ids, x = label_queries.matrix(session, campaign.id or 0, backbone)
        index = SimilarityIndex.build(ids.tolist(), x, backbone, threads=self._threads)
        index.note = _note(now)
        index.save(self._path(campaign, backbone))
        self._forget_older(campaign)
        return index

    def _forget_older(self, campaign: Campaign) -> None:
        """Keep the indexes of two versions: the one that serves and the one to go back to. The rest can be rebuilt."""
        kept = sorted(self._folder.glob(f"campaign-{campaign.id}-*.faiss.json"), key=lambda card: card.stat().st_mtime)
        for card in kept[:-2]:
            for file in self._folder.glob(f"{card.name.removesuffix('.json')}*"):
                file.unlink(missing_ok=True)

    def _path(self, campaign: Campaign, backbone: str) -> Path:
        # Two backbones' indexes lie beside each other: while one is made, the other serves.
        version = hashlib.sha256(backbone.encode()).hexdigest()[:12]
        return self._folder / f"campaign-{campaign.id}-{version}.faiss"


def _note(now: Standing) -> str:
    """Return what an index says of the vectors it was made of."""
    return f"{now.n} {now.sum_of_ids} {now.last.isoformat() if now.last else ''}"


def _bring_up_to_date(
    session: Session, campaign: Campaign, backbone: str, now: Standing, index: SimilarityIndex
) -> None:
    """Put into an index what came or changed since it was made, and take out what went."""
    if index.note == _note(now):
        return
    key = (campaign.id or 0, backbone)
    known, present = set(index.ids.tolist()), set(similar_queries.embedded(session, *key))
    before = index.note.split(" ")[-1]
    changed = similar_queries.embedded_since(session, *key, datetime.fromisoformat(before) - LATE) if before else ()
    index.remove(known - present)
    rows = similar_queries.vectors(session, backbone, (present - known) | set(changed))
    if rows:
        kept, x = whole([blob for _, blob in rows], index.dim)
        index.add([rows[place][0] for place in kept], x)
    index.note = _note(now)


def places(
    session: Session, person: Person | None, campaign: Campaign, where: str, backbone: str
) -> tuple[Campaign, ...]:
    """Return the campaigns to look in: this one, the named one, or all that a person may see (``EVERYWHERE``).

    Only campaigns with vectors of the same backbone version can be compared. Raises NotFoundError for a campaign that
    is not there or that this person may not enter.
    """
    if where in ("", campaign.slug):
        return (campaign,)
    if where != EVERYWHERE:
        named = campaign_service.open_door(session, where, person).campaign
        return comparable(session, [named], backbone)
    return (campaign, *others(session, person, campaign, backbone))


def others(session: Session, person: Person | None, campaign: Campaign, backbone: str) -> tuple[Campaign, ...]:
    """Return the other campaigns that a person sees listed and whose figures can be compared with this one's."""
    seen = campaigns.visible(session, person.id if person else None, bool(person and person.is_admin))
    return comparable(session, [one for one in seen if one.id != campaign.id], backbone)


def comparable(session: Session, among: Collection[Campaign], backbone: str) -> tuple[Campaign, ...]:
    """Return those of these campaigns of which a figure has a vector of this backbone version."""
    fitting = similar_queries.comparable(session, [one.id or 0 for one in among], backbone)
    return tuple(one for one in among if one.id in fitting)
