"""The learning jobs: figures embedded, a model trained and published if it is better, questions put in order."""

import re
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from active_learning import (
    ArtifactError,
    Backbone,
    LearningError,
    NotEnoughDataError,
    TrainedModel,
    TrainingConfig,
    TrainingSet,
    Verdict,
    compare,
    in_holdout,
    may_follow,
    snapshot_hash,
    train,
    with_card,
)
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import alone, own_classes, publishing
from icones.jobs.embedding import backbone_of, embed
from icones.jobs.runner import Progress
from icones.learning import label_queries, labels, queries
from icones.learning.labels import Gathered
from icones.models import Campaign, JobRun, ModelOrigin, ModelVersion
from icones.taxa import service as taxa

QID = re.compile(r"\bQ\d+\b")


def predict(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new and predict everything with the serving model, without training."""
    embedded = embed(settings, database, campaign, progress, backbone_of(settings, campaign, progress.note))
    said = publishing.serve_again(settings, database, campaign, progress)
    publishing.prepare_similar(settings, database, campaign)
    return {**embedded, "predicted": said}


def retrain(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new, train on what is known, and publish the challenger if it is better than the champion.

    With too little to learn from nothing is published; the figures to ask first are chosen for variety instead.
    """
    publishing.clear_unfinished(database, campaign)
    backbone = backbone_of(settings, campaign, progress.note)
    embedded = embed(settings, database, campaign, progress, backbone)
    with database.reading() as session:
        gathered = labels.gather(session, campaign, backbone.version)
        last = next(iter(queries.versions(session, campaign.id or 0)), None)
    data = gathered.data
    known = last is not None and last.snapshot_hash == snapshot_hash(data) and last.seed == campaign.seed
    if last and run.trigger == "sync" and known and _is_served(settings, database, campaign):
        why = f"There is nothing to learn from that model version {last.number} had not seen."
        return _only_in_order(settings, database, campaign, progress, embedded, why)
    progress.step(f"Training on {len(data)} labels of {len(set(data.y))} taxa", 0, 100)
    config = TrainingConfig(seed=campaign.seed, holdout_fraction=campaign.holdout_fraction)
    try:
        challenger = train(
            data,
            gathered.taxonomy,
            config,
            on_progress=lambda share, what: progress.at(round(100 * share), 100),
            threads=settings.threads,
        )
    except NotEnoughDataError as error:
        why = _named(database, str(error))
        lent = _lend(settings, database, campaign, run, backbone, data, progress)
        if lent is not None:
            return {**embedded, "published": True, "version": lent.number, "why": f"{why} {lent.verdict}"}
        return _only_in_order(settings, database, campaign, progress, embedded, why)
    challenger = with_card(challenger, data, gathered.taxonomy, campaign.auto_precision)
    verdict = _judge(settings, database, campaign, challenger, gathered, progress)
    progress.note(verdict.reason)
    folder = publishing.keep(settings, campaign, challenger)
    version = _version(campaign, run, challenger, verdict, folder, gathered)
    if verdict.publish:
        publishing.publish(database, campaign, version, challenger, verdict.reason, progress)
    else:
        publishing.keep_back(database, campaign, version, verdict.reason, progress)
        _back_to_the_network_before(database, campaign, run, progress)
        alone.measured_again(database, campaign, version)
        publishing.serve_again(settings, database, campaign, progress)
    publishing.prepare_similar(settings, database, campaign)
    return {**embedded, "published": verdict.publish, "version": version.number, "why": verdict.reason}


def _is_served(settings: Settings, database: Database, campaign: Campaign) -> bool:
    """Say whether the serving model can be read, or none is to: else another one is needed, of the same labels too."""
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
    try:
        return champion is None or bool(publishing.load(settings, champion))
    except ArtifactError:
        return False


def _back_to_the_network_before(database: Database, campaign: Campaign, run: JobRun, progress: Progress) -> None:
    """Undo a change of network whose model is no better: the comparison that chose it rests on few names a taxon."""
    before = run.parameters.get("backbone_before")
    if before is None:
        return
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.backbone = str(before)
        session.add(own)
    progress.note("The model of the newly chosen network is no better: the network before it is used again.")


def _lend(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    run: JobRun,
    backbone: Backbone,
    data: TrainingSet,
    progress: Progress,
) -> ModelVersion | None:
    """Let the network's own classes serve where no model does, so that people get suggestions from the first day."""
    with database.reading() as session:
        if queries.champion(session, campaign.id or 0) is not None:
            return None
    lent = own_classes.lend(settings, database, campaign, run, backbone, data, progress)
    if lent is not None:
        publishing.prepare_similar(settings, database, campaign)
    return lent


def _only_in_order(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    progress: Progress,
    embedded: dict[str, Any],
    why: str,
) -> dict[str, Any]:
    """End a run that has nothing to publish: say what is not said yet, and put the questions in order."""
    progress.note(why)
    asked = publishing.serve_again(settings, database, campaign, progress)
    publishing.prepare_similar(settings, database, campaign)
    return {**embedded, "published": False, "why": why, "predicted": asked}


def _judge(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    challenger: TrainedModel,
    gathered: Gathered,
    progress: Progress,
) -> Verdict:
    """Compare with the champion, on its own vectors if it has another backbone; taxa are told by name."""
    data = gathered.data
    with database.reading() as session:
        version = queries.champion(session, campaign.id or 0)
        theirs = label_queries.vectors_of(session, data.ids, version.backbone) if version else {}
    champion, champion_x, seen, without = None, None, set(), "This is the first model."
    if version is not None:
        try:
            champion = publishing.load(settings, version)
        except LearningError as error:
            # Nobody is served by a model that cannot be read: what takes its place need not be better.
            progress.note(str(error))
            without = f"It takes the place of model version {version.number}, which cannot be used."
        else:
            seen = _learned_by(version, champion)
            if champion.backbone != data.backbone:
                data = data.take([row for row, key in enumerate(data.ids) if key in theirs])
                champion_x = np.stack([theirs[key] for key in data.ids]) if len(data) else None
                champion = champion if len(data) else None
                without = f"No figure was seen by both networks: it takes the place of model version {version.number}."
    if champion is not None and version is not None and version.origin is ModelOrigin.BORROWED:
        verdict = may_follow(challenger, champion, data, gathered.taxonomy, champion_x)
    else:
        verdict = compare(challenger, champion, data, campaign.seed, champion_x, seen, without)
    return replace(verdict, reason=_named(database, verdict.reason))


def _learned_by(version: ModelVersion, model: TrainedModel) -> set[int]:
    """Return the figures a version learned from, under the sources they had then."""
    borrowed, config = set(model.borrowed_groups), model.config
    return {
        int(label["figure"])
        for label in version.snapshot.get("labels", ())
        if label["group"] in borrowed or not in_holdout(label["group"], config.holdout_fraction, config.seed)
    }


def _named(database: Database, words: str) -> str:
    """Return words with taxa by their scientific names instead of their ids."""
    mentioned: Collection[str] = set(QID.findall(words))
    if not mentioned:
        return words
    with database.reading() as session:
        names = taxa.views(session, mentioned, "en")
    return QID.sub(lambda found: names[found[0]].scientific_name if found[0] in names else found[0], words)


def _version(
    campaign: Campaign, run: JobRun, model: TrainedModel, verdict: Verdict, folder: Path, gathered: Gathered
) -> ModelVersion:
    return ModelVersion(
        campaign_id=campaign.id or 0,
        number=0,
        backbone=model.backbone,
        folder=str(folder),
        snapshot_hash=model.snapshot_hash,
        snapshot={"labels": gathered.record},
        seed=campaign.seed,
        parameters=asdict(model.config) | {"environment": dict(model.environment)},
        report=model.report.to_dict() | {"card": dict(model.card), "verdict": verdict.to_dict()},
        run_id=run.id,
        created_at=utc_now(),
    )
