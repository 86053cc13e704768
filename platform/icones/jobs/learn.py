"""The learning jobs: figures embedded, a model trained and published if it is better, questions put in order."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import (
    Ask,
    Backbone,
    NotEnoughDataError,
    TrainedModel,
    TrainingConfig,
    ask,
    compare,
    load_backbone,
    open_figure,
    set_threads,
    snapshot_hash,
    train,
)
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations.store import ImageStore
from icones.jobs.runner import Progress
from icones.learning import queries, service
from icones.models import Campaign, JobRun, ModelState, ModelVersion

BATCH = 32


@lru_cache(maxsize=4)
def _backbone(name: str, weights: Path | None, from_hub: bool) -> tuple[Backbone, tuple[str, ...]]:
    said: list[str] = []
    backbone = load_backbone(name, weights, allow_hub=from_hub, on_notice=said.append)
    return backbone, tuple(said)


def backbone_of(settings: Settings, campaign: Campaign, note: Callable[[str], None]) -> Backbone:
    """Return the network that embeds this campaign's figures; what it has to say goes to ``note``."""
    set_threads(settings.threads)
    name = campaign.backbone or settings.backbone
    local = settings.weights_dir / f"{name}.pth" if settings.weights_dir else None
    backbone, said = _backbone(name, local if local and local.exists() else None, settings.weights_from_hub)
    for words in said:
        note(words)
    return backbone


def embed(settings: Settings, database: Database, campaign: Campaign, progress: Progress, backbone: Backbone) -> int:
    """Embed the figures this backbone has yet to see; kept batch by batch, so a kill loses little. Returns how many."""
    store = ImageStore(settings.data_dir / "images")
    with database.reading() as session:
        waiting = service.to_embed(session, campaign, backbone.version)
    progress.step(f"Looking at {len(waiting)} figures with {backbone.name}", 0, len(waiting))
    for start in range(0, len(waiting), BATCH):
        batch = waiting[start : start + BATCH]
        vectors = backbone.embed([open_figure(store.path(item.image_sha1), item.box) for item in batch])
        with database.writing() as session:
            service.keep_embeddings(session, backbone.version, list(zip(batch, vectors, strict=True)), utc_now())
        progress.at(start + len(batch), len(waiting))
    return len(waiting)


def embed_only(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new, and nothing else."""
    backbone = backbone_of(settings, campaign, progress.note)
    return {"embedded": embed(settings, database, campaign, progress, backbone)}


def predict(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new and predict everything with the serving model, without training."""
    embedded = embed(settings, database, campaign, progress, backbone_of(settings, campaign, progress.note))
    return {"embedded": embedded, "predicted": serve_again(settings, database, campaign, progress)}


def retrain(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new, train on what is known, and publish the challenger if it is better than the champion.

    With too little to learn from nothing is published; the figures to ask first are chosen for variety instead.
    """
    backbone = backbone_of(settings, campaign, progress.note)
    embedded = embed(settings, database, campaign, progress, backbone)
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        data, record = service.training_set(session, campaign, backbone.version)
        taxonomy = service.taxonomy_of(session, data.y)
        last = next(iter(queries.versions(session, campaign.id or 0)), None)
    if run.trigger == "sync" and last and last.snapshot_hash == snapshot_hash(data) and last.seed == campaign.seed:
        why = f"There is nothing to learn from that model version {last.number} had not seen."
        progress.note(why)
        asked = serve_again(settings, database, campaign, progress)
        return {"embedded": embedded, "published": False, "why": why, "predicted": asked}
    progress.step(f"Training on {len(data.y)} labels of {len(set(data.y))} taxa")
    config = TrainingConfig(seed=campaign.seed, holdout_fraction=campaign.holdout_fraction)
    try:
        challenger = train(data, taxonomy, config)
    except NotEnoughDataError as error:
        progress.note(str(error))
        asked = serve_again(settings, database, campaign, progress)
        return {"embedded": embedded, "published": False, "why": str(error), "predicted": asked}
    # A champion of another backbone cannot be measured on these vectors: it is replaced.
    rival = _load(settings, champion) if champion and champion.backbone == backbone.version else None
    verdict = compare(challenger, rival, data, campaign.seed)
    progress.note(verdict.reason)
    folder = Path("models") / campaign.slug / challenger.snapshot_hash[:16]
    challenger.save(settings.data_dir / folder)
    version = _version(campaign, run, challenger, str(folder), record)
    publish(database, campaign, version, challenger if verdict.publish else None, verdict.reason, progress)
    if not verdict.publish:
        serve_again(settings, database, campaign, progress)
    return {"embedded": embedded, "published": verdict.publish, "version": version.number, "why": verdict.reason}


def _load(settings: Settings, version: ModelVersion) -> TrainedModel:
    return TrainedModel.load(settings.data_dir / version.folder)


def _version(
    campaign: Campaign, run: JobRun, model: TrainedModel, folder: str, record: list[dict[str, Any]]
) -> ModelVersion:
    return ModelVersion(
        campaign_id=campaign.id or 0,
        number=0,
        backbone=model.backbone,
        folder=folder,
        snapshot_hash=model.snapshot_hash,
        snapshot={"labels": record},
        seed=campaign.seed,
        parameters=asdict(model.config) | {"environment": dict(model.environment)},
        report=model.report.to_dict(),
        run_id=run.id,
        created_at=utc_now(),
    )


@dataclass(frozen=True)
class Outlook:
    """What a model says of all figures of a campaign, computed before anything is written."""

    classes: tuple[str, ...]
    answers: dict[int, tuple[NDArray[np.float64], str]]
    asked: dict[int, Ask]


def outlook(session: Session, campaign: Campaign, backbone: str, model: TrainedModel | None) -> Outlook:
    """Let ``model`` look at every embedded figure and choose whom to ask what; without one, choose for variety."""
    ids, x = service.vectors(session, campaign, backbone)
    if not ids:
        return Outlook((), {}, {})
    if model is None:
        return Outlook((), {}, dict(zip(ids, ask(None, x, seed=campaign.seed), strict=True)))
    proba = model.predict(x)
    labelled = set(service.training_set(session, campaign, backbone)[0].ids)
    known = x[[place for place, key in enumerate(ids) if key in labelled]]
    asked = ask(proba, x, seed=campaign.seed, known_x=known)
    answers = {key: (chances, one.reason) for key, chances, one in zip(ids, proba, asked, strict=True)}
    return Outlook(model.classes, answers, dict(zip(ids, asked, strict=True)))


def publish(
    database: Database,
    campaign: Campaign,
    version: ModelVersion,
    model: TrainedModel | None,
    why: str,
    progress: Progress,
) -> None:
    """Publish a version with its predictions and priorities in one transaction; record it only, without ``model``."""
    view = None
    if model is not None:
        with database.reading() as session:
            view = outlook(session, campaign, version.backbone, model)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        version.number = queries.last_version_number(session, campaign.id or 0) + 1
        state = ModelState.CHAMPION if view else ModelState.REJECTED
        service.record_version(session, own, version, state, why, utc_now())
        if view is not None:
            service.predict(session, own, version, view.classes, view.answers, utc_now())
            service.set_priorities(session, view.asked, utc_now())
    progress.note(f"Model version {version.number} is {'published' if view else 'kept, but does not serve'}.")


def serve_again(settings: Settings, database: Database, campaign: Campaign, progress: Progress) -> int:
    """Predict anew with the serving model, or, without one, choose whom to ask first. Returns how many figures."""
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        backbone = champion.backbone if champion else queries.newest_backbone(session, campaign.id or 0)
        if backbone is None:
            return 0
        view = outlook(session, campaign, backbone, _load(settings, champion) if champion else None)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        if champion is not None:
            service.predict(session, own, champion, view.classes, view.answers, utc_now())
        service.set_priorities(session, view.asked, utc_now())
    progress.note(
        f"{len(view.asked)} figures put in order by {f'model version {champion.number}' if champion else 'variety'}."
    )
    return len(view.asked)
