"""What is done with learning: labels gathered, a model version published whole or not at all, predictions shown."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning.novelty import FAR, NEAR
from icones.errors import ConflictError, NotFoundError
from icones.learning import fingerprint_queries, label_queries, queries
from icones.learning.vectors import to_bytes
from icones.models import (
    Campaign,
    DeterminationState,
    ModelState,
    ModelVersion,
    Prediction,
)
from icones.taxa import service as taxon_service
from icones.taxa.service import TaxonView

SAID_OFTEN = 20
"""From so many statements on, the share of right ones among them says more than what was promised."""


@dataclass(frozen=True)
class ToEmbed:
    """A figure whose vector is missing or made from another image or box."""

    figure_id: int
    image_sha1: str
    box: str | None
    source: str


@dataclass(frozen=True)
class Suggestion:
    """One of the model's answers as a person sees it."""

    taxon: TaxonView
    probability: float
    examples: tuple[tuple[int, str], ...]
    """Verified figures of this taxon: figure id and image name."""


@dataclass(frozen=True)
class Claimed:
    """The deepest taxon of which a model is pretty sure."""

    taxon: TaxonView
    probability: float
    right: float | None
    """The share of such statements that is right; None where too little was measured."""


@dataclass(frozen=True)
class Plausible:
    """The taxa among which the truth is, nine times in ten."""

    taxa: tuple[TaxonView, ...]
    n: int
    """How many they are, of those that the model learned."""
    is_list: bool
    """Whether ``taxa`` are these; else it is the one taxon that holds them all, or empty where there is none."""


@dataclass(frozen=True)
class Suggestions:
    """What a model says of a figure."""

    model_version_id: int
    model_number: int
    best: tuple[Suggestion, ...]
    lineage: tuple[tuple[TaxonView, float], ...]
    """The best leaf's ancestors with their probabilities, lowest first."""
    margin: float
    entropy: float
    reason: str
    claim: Claimed | None = None
    plausible: Plausible | None = None
    """None where nothing was calibrated."""
    novelty: float | None = None
    """The probability that it is nothing the model knows; None where that was not learned."""
    verdict: str = ""
    """``known``, ``near`` (a relative of what it knows), ``far`` (nothing like it), or empty."""

    @property
    def stand(self) -> str:
        """What to say first: ``far``, ``near``, ``sure`` or ``unsure``. A name means little for what is not known."""
        if self.verdict in (NEAR, FAR) and self.best:
            return self.verdict
        return "sure" if self.claim else "unsure"

    @property
    def is_doubted(self) -> bool:
        """Whether it may well be none of the taxa that the model knows: its probabilities hold only if it is one."""
        return self.stand in (NEAR, FAR)


def network_of(version: str) -> str:
    """Return the name of the network that makes vectors of this version; of joined ones all names."""
    return "+".join(part.rpartition("@")[0] for part in version.split("+"))


def made_from(image_sha1: str, box: str | None) -> str:
    """Return what a figure's vector is made from, the name of an image and a box: another one makes it stale."""
    return f"{image_sha1} {box or 'whole'}"


def to_embed(session: Session, campaign: Campaign, backbone: str, only: Collection[int] | None = None) -> list[ToEmbed]:
    """Return the figures of a campaign (those in ``only``, if told) that this backbone version has yet to see.

    One that could not be looked at waits for another image or box.
    """
    waiting = []
    for row in fingerprint_queries.seen(session, campaign.id or 0, backbone, only):
        source = made_from(row.image_sha1, row.box)
        if row.embedded_from != source and not (row.problem and row.hashed_from == source):
            waiting.append(ToEmbed(row.figure_id, row.image_sha1, row.box, source))
    return waiting


def to_embed_elsewhere(
    session: Session, campaign: Campaign, backbone: str, only: Collection[int] | None = None
) -> list[ToEmbed]:
    """Return the verified figures of the campaigns it learns from that this backbone version has yet to see."""
    waiting = []
    for source_id in sorted(label_queries.campaigns_learned_from(session, campaign.id or 0)):
        labelled = label_queries.determined(session, [source_id], DeterminationState.VERIFIED)
        wanted = [row.figure_id for row in labelled if only is None or row.figure_id in only]
        waiting += to_embed(session, session.get_one(Campaign, source_id), backbone, wanted)
    return waiting


def keep_embeddings(
    session: Session, backbone: str, embedded: Sequence[tuple[ToEmbed, NDArray[np.float32]]], now: datetime
) -> None:
    """Keep vectors, each in the place of an older one of its figure; what is there already stays as it is."""
    common = {"backbone": backbone, "created_at": now}
    rows = [
        {"figure_id": item.figure_id, "source": item.source, "vector": to_bytes(vector), **common}
        for item, vector in embedded
    ]
    fingerprint_queries.keep_vectors(session, rows)


def damaged(session: Session, campaign: Campaign, backbone: str, dim: int) -> list[int]:
    """Return the figures whose stored vector is none of ``dim`` numbers: cut short, not finite, or zero."""
    return fingerprint_queries.damaged(session, campaign.id or 0, backbone, dim)


def forget_vectors(session: Session, backbone: str, figure_ids: Collection[int]) -> None:
    """Remove the vectors of these figures, so that they are made anew."""
    fingerprint_queries.drop_vectors(session, backbone, figure_ids)


def record_version(
    session: Session, campaign: Campaign, version: ModelVersion, state: ModelState, verdict: str, now: datetime
) -> ModelVersion:
    """Keep a trained model version; as champion it takes the place of the one before, in this transaction."""
    if state is ModelState.CHAMPION:
        before = queries.champion(session, campaign.id or 0)
        if before is not None:
            before.state, before.retired_at = ModelState.RETIRED, now
            session.add(before)
            session.flush()  # the database allows one champion a campaign, at every moment
        version.published_at = now
    version.state, version.verdict = state, verdict[:1000]
    session.add(version)
    session.flush()
    return version


def require_version(session: Session, campaign: Campaign, number: int) -> ModelVersion:
    """Return a model version of a campaign, or say that there is none of this number."""
    version = queries.version(session, campaign.id or 0, number)
    if version is None:
        raise NotFoundError(f"This campaign has no model version {number}.")
    return version


def serve_version(session: Session, campaign: Campaign, number: int, why: str, now: datetime) -> ModelVersion:
    """Let a version serve that served before; the present one is retired. The caller asks for new predictions.

    What the version said when it last served is still there, so that nobody meets an empty page meanwhile. The
    campaign takes the version's network with it: else its next model would be trained with the other one again.
    """
    version = require_version(session, campaign, number)
    if version.state is not ModelState.RETIRED:
        raise ConflictError("Only a version that served before can be put back.")
    version.retired_at = None
    before = queries.champion(session, campaign.id or 0)
    if before is None or network_of(before.backbone) != network_of(version.backbone):
        campaign.backbone = network_of(version.backbone)
        session.add(campaign)
    return record_version(session, campaign, version, ModelState.CHAMPION, f"{version.verdict} {why}".strip(), now)


def suggestions(
    session: Session, campaign: Campaign, figure_id: int, language: str, most: int = 5
) -> Suggestions | None:
    """Return what the serving model says of a figure, with example images; None while no model serves."""
    found = queries.prediction(session, figure_id)
    return told(session, campaign, *found, language, most) if found else None


def told(
    session: Session, campaign: Campaign, prediction: Prediction, version: ModelVersion, language: str, most: int = 5
) -> Suggestions:
    """Return a prediction with names and example images; it need not be one that is kept."""
    sure_of, within = prediction.claim.get("qid"), prediction.plausible.get("qids", [])
    qids = {entry["qid"] for entry in (*prediction.ranked[:most], *prediction.lineage)} | {*within, sure_of}
    names = taxon_service.views(session, {qid for qid in qids if qid}, language)
    ranked = _once(prediction.ranked[:most], names)
    best = {names[entry["qid"]].qid for entry in ranked[:1]}
    above = [entry for entry in _once(prediction.lineage, names) if names[entry["qid"]].qid not in best]
    shown = queries.examples(session, campaign.id or 0, [names[entry["qid"]].qid for entry in ranked], 4)
    return Suggestions(
        version.id or 0,
        version.number,
        tuple(
            Suggestion(
                names[entry["qid"]],
                entry["p"],
                tuple(one for one in shown.get(names[entry["qid"]].qid, []) if one[0] != prediction.figure_id)[:3],
            )
            for entry in ranked
        ),
        tuple((names[entry["qid"]], entry["p"]) for entry in above),
        prediction.margin,
        prediction.entropy,
        prediction.reason,
        _claimed(prediction, version, names),
        _plausible(prediction, names),
        prediction.novelty,
        prediction.verdict,
    )


def _claimed(prediction: Prediction, version: ModelVersion, names: Mapping[str, TaxonView]) -> Claimed | None:
    claim = prediction.claim
    if claim.get("qid") not in names:
        return None
    return Claimed(names[claim["qid"]], claim["p"], _right(version, claim["rank"]))


def _right(version: ModelVersion, rank: str) -> float | None:
    """Return how often a statement at this rank is right: as measured, or of too few the least that was promised."""
    card = version.report.get("card") or {}
    row = next((one for one in card.get("ranks", ()) if one["figures"]["rank"] == rank), None)
    if row is None or row["promised"] is None:
        return None
    share: float = row["said_right"]["value"] if row["figures"]["said"] >= SAID_OFTEN else row["promised"]
    return share


def _plausible(prediction: Prediction, names: Mapping[str, TaxonView]) -> Plausible | None:
    kept = prediction.plausible
    if not kept:
        return None
    found = {names[qid].qid: names[qid] for qid in kept["qids"] if qid in names}
    is_list = len(kept["qids"]) == kept["n"]
    return Plausible(tuple(found.values()), len(found) if is_list else kept["n"], is_list)


def _once(entries: Sequence[dict[str, Any]], names: Mapping[str, TaxonView]) -> list[dict[str, Any]]:
    """Return the entries whose taxon is known, each taxon once: two may have been merged since the model spoke."""
    kept: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry["qid"] in names:
            kept.setdefault(names[entry["qid"]].qid, entry)
    return list(kept.values())


def shown(session: Session, figure_id: int, model_version_id: int | None, most: int = 5) -> dict[str, Any]:
    """Return what a page showed of the model when an answer was given, as the record of the identification.

    A page tells only which version it showed; what that version said is looked up here, so that a record cannot be
    made up. ``{"blind": True}`` when nothing was shown, or the version said nothing of this figure.
    """
    said = queries.predictions_of(session, model_version_id, [figure_id]) if model_version_id else {}
    if figure_id not in said:
        return {"blind": True}
    return {"model_version": model_version_id, "suggestions": said[figure_id].ranked[:most]}
