"""What is done with learning: labels gathered, a model version published whole or not at all, predictions shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import Ask, Taxonomy, TrainingSet, entropy, margin, roll_up
from icones.errors import ConflictError, NotFoundError
from icones.identifications import service as identifications
from icones.illustrations import queries as illustrations
from icones.learning import queries
from icones.learning.vectors import to_bytes, to_matrix
from icones.models import Campaign, Embedding, Figure, Illustration, ModelState, ModelVersion, Prediction
from icones.review import queries as review
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service
from icones.taxa.service import TaxonView

VERIFIED_WEIGHT = 1.0
STATED_WEIGHT = 0.5
"""What a tag that nobody here has checked weighs against a verified one."""
RANKED = 10
"""How many leaves of a prediction are kept."""


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
class Suggestions:
    """What the serving model says of a figure."""

    model_version_id: int
    model_number: int
    best: tuple[Suggestion, ...]
    lineage: tuple[tuple[TaxonView, float], ...]
    """The best leaf's ancestors with their probabilities, lowest first."""
    margin: float
    entropy: float
    reason: str


def source_of(figure: Figure, illustration: Illustration) -> str:
    """Return what a figure's vector is made from: another image or box makes it stale."""
    return f"{illustration.image_sha1} {figure.box or 'whole'}"


def to_embed(session: Session, campaign: Campaign, backbone: str) -> list[ToEmbed]:
    """Return the figures of a campaign that this backbone version has yet to see."""
    known = queries.embedding_sources(session, campaign.id or 0, backbone)
    return [
        ToEmbed(figure.id or 0, row.image_sha1, figure.box, source_of(figure, row))
        for figure, row in illustrations.figures_of_campaign(session, campaign.id or 0)
        if known.get(figure.id or 0) != source_of(figure, row)
    ]


def keep_embeddings(
    session: Session, backbone: str, embedded: Sequence[tuple[ToEmbed, NDArray[np.float32]]], now: datetime
) -> None:
    """Keep vectors, each in the place of an older one of its figure."""
    for item, vector in embedded:
        row = queries.embedding(session, item.figure_id, backbone)
        if row is None:
            row = Embedding(figure_id=item.figure_id, backbone=backbone, source="", vector=b"", created_at=now)
        row.source, row.vector, row.created_at = item.source, to_bytes(vector), now
        session.add(row)


def vectors(session: Session, campaign: Campaign, backbone: str) -> tuple[list[int], NDArray[np.float32]]:
    """Return the figure ids of a campaign and their vectors, shapes (n,) and (n, d)."""
    rows = queries.embeddings(session, campaign.id or 0, backbone)
    return [figure_id for figure_id, _ in rows], to_matrix([blob for _, blob in rows])


def taxonomy_of(session: Session, qids: Sequence[str]) -> Taxonomy:
    """Return the tree above these taxa, as active_learning reads it."""
    lines = taxa.lineages(session, set(qids))
    parents: dict[str, str | None] = {}
    for line in lines.values():
        for child, parent in zip(line, (*line[1:], None), strict=True):
            parents[child] = parent
    rows = taxa.taxa(session, set(parents))
    return Taxonomy(parents, {qid: row.rank or None for qid, row in rows.items()})


def training_set(session: Session, campaign: Campaign, backbone: str) -> tuple[TrainingSet, list[dict[str, Any]]]:
    """Return what the model may learn from now, and the same as rows for the record.

    Verified determinations count fully. A tag that the source states, for an illustration of one figure and one
    taxon that people have not settled otherwise, counts half: it begins the loop before anybody has tagged.
    """
    known = dict(queries.embeddings(session, campaign.id or 0, backbone))
    labels: dict[int, dict[str, Any]] = {}
    for origin, weight, rows in (
        ("stated", STATED_WEIGHT, queries.stated_labels(session, campaign.id or 0)),
        ("verified", VERIFIED_WEIGHT, queries.verified_labels(session, campaign.id or 0)),
    ):
        for figure, row, qid in rows:
            if figure.id in known:
                labels[figure.id or 0] = {
                    "figure": figure.id,
                    "taxon": qid,
                    "group": row.source_group,
                    "source": source_of(figure, row),
                    "origin": origin,
                    "weight": weight,
                }
    now_called = taxon_service.current(session, [label["taxon"] for label in labels.values()])
    for label in labels.values():
        label["taxon"] = now_called[label["taxon"]]  # what was merged is one class
    record = _without_ancestors(session, [labels[key] for key in sorted(labels)])
    return (
        TrainingSet(
            ids=tuple(label["figure"] for label in record),
            x=to_matrix([known[label["figure"]] for label in record]),
            y=tuple(label["taxon"] for label in record),
            groups=tuple(label["group"] for label in record),
            weights=np.array([label["weight"] for label in record], dtype=np.float64),
            backbone=backbone,
        ),
        record,
    )


def _without_ancestors(session: Session, record: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out labels at a rank above another label: the head learns leaves, whose sums give the ranks above."""
    lines = taxa.lineages(session, {label["taxon"] for label in record})
    above = {ancestor for line in lines.values() for ancestor in line[1:]}
    return [label for label in record if label["taxon"] not in above]


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

    What the version said when it last served is still there, so that nobody meets an empty page meanwhile.
    """
    version = require_version(session, campaign, number)
    if version.state is not ModelState.RETIRED:
        raise ConflictError("Only a version that served before can be put back.")
    version.retired_at = None
    return record_version(session, campaign, version, ModelState.CHAMPION, f"{version.verdict} {why}".strip(), now)


def predict(
    session: Session,
    campaign: Campaign,
    version: ModelVersion,
    classes: Sequence[str],
    answers: Mapping[int, tuple[NDArray[np.float64], str]],
    now: datetime,
) -> None:
    """Keep a version's answers: for each figure its calibrated probabilities (k,) over ``classes`` and a reason."""
    taxonomy = taxonomy_of(session, classes)
    queries.drop_predictions(session, version.id or 0, list(answers))
    if not answers:
        return
    proba = np.stack([one for one, _ in answers.values()])
    margins, entropies = margin(proba), entropy(proba)
    for place, (figure_id, (chances, reason)) in enumerate(answers.items()):
        order = np.argsort(-chances, kind="stable")[:RANKED]
        best = classes[int(order[0])]
        rolled = roll_up(chances, classes, taxonomy)
        session.add(
            Prediction(
                model_version_id=version.id or 0,
                figure_id=figure_id,
                ranked=[{"qid": classes[int(i)], "p": round(float(chances[i]), 5)} for i in order],
                lineage=[{"qid": qid, "p": round(rolled[qid], 5)} for qid in taxonomy.lineage(best)[1:]],
                margin=float(margins[place]),
                entropy=float(entropies[place]),
                reason=reason,
                created_at=now,
            )
        )
    session.flush()
    identifications.recompute(session, campaign, list(answers), now, model_version_id=version.id)


def set_priorities(session: Session, asked: Mapping[int, Ask], now: datetime) -> None:
    """Give the volunteers' tasks the priorities and reasons that the asking strategy chose."""
    review.set_priorities(session, {key: (ask.priority, ask.reason) for key, ask in asked.items()}, now)


def suggestions(
    session: Session, campaign: Campaign, figure_id: int, language: str, most: int = 5
) -> Suggestions | None:
    """Return what the serving model says of a figure, with example images; None while no model serves."""
    found = queries.prediction(session, figure_id)
    if found is None:
        return None
    prediction, version = found
    qids = [entry["qid"] for entry in (*prediction.ranked[:most], *prediction.lineage)]
    names = taxon_service.views(session, qids, language)
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
                tuple(one for one in shown.get(names[entry["qid"]].qid, []) if one[0] != figure_id)[:3],
            )
            for entry in ranked
        ),
        tuple((names[entry["qid"]], entry["p"]) for entry in above),
        prediction.margin,
        prediction.entropy,
        prediction.reason,
    )


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
