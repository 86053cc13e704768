"""The learning jobs: figures embedded, a model trained and published if it is better, questions put in order."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from active_learning import (
    ArtifactError,
    Backbone,
    LearningError,
    NotEnoughDataError,
    Taxonomy,
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
from icones.errors import NotReadyError
from icones.jobs import alone, embedding, own_classes, publishing, shards
from icones.jobs import queries as job_queries
from icones.jobs.embedding import backbone_of, embed
from icones.jobs.runner import Progress
from icones.learning import label_queries, labels, queries
from icones.learning.labels import Gathered
from icones.models import Campaign, JobKind, JobRun, JobState, ModelOrigin, ModelVersion
from icones.taxa import service as taxa

QID = re.compile(r"\bQ\d+\b")
STEPS: Mapping[str, shards.Step] = {**embedding.STEPS, **publishing.STEPS}
"""Which step of a run does what with one part, for workers that lend it a hand."""


def predict(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new and predict everything with the serving model, without training.

    The network is the serving model's, whichever the next one will be trained with.
    """
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
    serving = _network_of(settings, champion, progress) if champion else None
    backbone = serving or backbone_of(settings, campaign, progress.note)
    embedded = embed(settings, database, campaign, progress, backbone)
    said = publishing.serve_again(settings, database, campaign, progress)
    publishing.prepare_similar(settings, database, campaign)
    return {**embedded, "predicted": said}


def retrain(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new, train on what is known, and publish the challenger if it is better than the champion.

    With too little to learn from nothing is published; the figures to ask first are chosen for variety instead. Where
    the run was asked for with another ``backbone`` than the campaign's, it becomes the campaign's if its model serves.
    """
    publishing.clear_unfinished(database, campaign)
    name = str(run.parameters.get("backbone") or _chosen_in_vain(database, campaign) or campaign.backbone)
    try:
        backbone = embedding.network(settings, name, progress.note)
    except (LearningError, ValueError):
        _keep_serving(settings, database, campaign, "", progress)
        raise
    _keep_serving(settings, database, campaign, backbone.version, progress)
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
        publishing.publish(settings, database, campaign, version, challenger, verdict.reason, progress, name)
    else:
        publishing.keep_back(database, campaign, version, verdict.reason, progress)
        if name != campaign.backbone:
            progress.note("The model of the newly chosen network is no better: the present network stays.")
        alone.measured_again(database, campaign, version)
        publishing.serve_again(settings, database, campaign, progress)
    publishing.prepare_similar(settings, database, campaign)
    return {**embedded, "published": verdict.publish, "version": version.number, "why": verdict.reason}


def _chosen_in_vain(database: Database, campaign: Campaign) -> str:
    """Return the network that the training before this one was to take and failed with; it gets one more chance."""
    with database.reading() as session:
        last = job_queries.last_finished(session, campaign.id or 0, [JobKind.RETRAIN])
    return str(last.parameters.get("backbone", "")) if last is not None and last.state is JobState.FAILED else ""


def _is_served(settings: Settings, database: Database, campaign: Campaign) -> bool:
    """Say whether the serving model can be read, or none is to: else another one is needed, of the same labels too."""
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
    try:
        return champion is None or bool(publishing.load(settings, champion))
    except ArtifactError:
        return False


def _keep_serving(settings: Settings, database: Database, campaign: Campaign, version: str, progress: Progress) -> None:
    """Let the serving model say what it can of new figures before another network looks at all of them, for hours.

    Nothing is done where that is the network it has itself, in this ``version``.
    """
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
    if champion is None or champion.backbone == version or not _is_served(settings, database, campaign):
        return
    serving = _network_of(settings, champion, progress)
    if serving is not None:
        embed(settings, database, campaign, progress, serving)
        publishing.serve_again(settings, database, campaign, progress)


def _network_of(settings: Settings, version: ModelVersion, progress: Progress) -> Backbone | None:
    """Return the network of a model version; None, said in the log, where it cannot be had any more."""
    try:
        return embedding.network_of_version(settings, version.backbone)
    except NotReadyError as error:
        progress.note(f"{error} Of new figures model version {version.number} says nothing.")
        return None


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
        if queries.has_champion(session, campaign.id or 0):
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
        snapshot = queries.snapshot_of(session, version.id or 0) if version else {}
    champion, champion_x, seen, without = None, None, set(), "This is the first model."
    if version is not None:
        try:
            champion = publishing.load(settings, version)
        except LearningError as error:
            # Nobody is served by a model that cannot be read: what takes its place need not be better.
            progress.note(str(error))
            without = f"It takes the place of model version {version.number}, which cannot be used."
        else:
            seen = _learned_by(snapshot, champion)
            if champion.backbone != data.backbone:
                data = data.take([row for row, key in enumerate(data.ids) if key in theirs])
                champion_x = np.stack([theirs[key] for key in data.ids]) if len(data) else None
                champion = champion if len(data) else None
                without = f"No figure was seen by both networks: it takes the place of model version {version.number}."
    if champion is not None and version is not None and version.origin is ModelOrigin.BORROWED:
        verdict = may_follow(challenger, champion, data, gathered.taxonomy, champion_x)
    else:
        tree, renamed = _tree_of_both(database, challenger, champion, data)
        verdict = compare(challenger, champion, data, tree, campaign.seed, champion_x, seen, without, renamed)
    return replace(verdict, reason=_named(database, verdict.reason))


def _tree_of_both(
    database: Database, challenger: TrainedModel, champion: TrainedModel | None, data: TrainingSet
) -> tuple[Taxonomy, dict[str, str]]:
    """Return the tree above all that was named and that either model names, and what merged items are called now."""
    qids = {*challenger.classes, *(champion.classes if champion else ())}
    with database.reading() as session:
        renamed = taxa.current(session, qids)
        return labels.taxonomy_of(session, {*data.y, *renamed.values()}), renamed


def _learned_by(snapshot: Mapping[str, Any], model: TrainedModel) -> set[int]:
    """Return the figures a version learned from by its snapshot, under the sources they had then."""
    borrowed, config = set(model.borrowed_groups), model.config
    return {
        int(label["figure"])
        for label in snapshot.get("labels", ())
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
