"""What a model says of a campaign, and whom to ask what next: worked out first, then published all at once or not.

A version's predictions are written before it serves, in parts that hold nobody up and that any worker may carry out;
then one short transaction moves the pointer, the states and the order of the questions. A run that is killed in
between has published nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import ArtifactError, Judged, RankBest, Taxonomy, TrainedModel, ask
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import ConflictError
from icones.identifications import machine_queries
from icones.jobs import alone, shards
from icones.jobs.runner import CancelledError, Progress
from icones.learning import clusters, label_queries, labels, predictions, queries, service
from icones.learning.similar import SimilarFigures
from icones.models import Audience, Campaign, JobRun, JobState, ModelState, ModelVersion
from icones.review import order_queries as order
from icones.review import second_look
from icones.review.order_queries import Placed

SCORE = "score"
"""The step that is cut into parts: what a version says of figures is written."""
PART = 4096
"""Figures in one part, and in one transaction: others wait to write for so long.

A part is judged as a whole wherever it is: beside other figures a number may come out different in its last bit.
"""
SET_ASIDE = "Another run of this campaign began meanwhile and set this model aside."
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Outlook:
    """What a model says of all figures of a campaign, and the order of the questions, before anything is written."""

    ids: NDArray[np.int64]
    x: Floats
    judged: tuple[Judged, ...] = ()
    placed: tuple[Placed, ...] = ()
    reasons: dict[int, str] = field(default_factory=dict)


def load(settings: Settings, version: ModelVersion) -> TrainedModel:
    """Return the model of a version from its folder; ArtifactError, with what to do, if it was damaged."""
    try:
        return TrainedModel.load(settings.data_dir / version.folder)
    except ArtifactError as error:
        words = f"Model version {version.number} cannot be used: {error} Train a new one; it takes this one's place."
        raise ArtifactError(words) from error


def look(database: Database, campaign: Campaign, backbone: str, model: TrainedModel | None) -> Outlook:
    """Let ``model`` look at every embedded figure and choose whom to ask what; without one, choose for variety."""
    with database.reading() as session:
        ids, x = label_queries.matrix(session, campaign.id or 0, backbone)
        if not len(ids):
            return Outlook(ids, x)
        waiting = np.isin(ids, order.waiting(session, campaign.id or 0))
        taxonomy = labels.taxonomy_of(session, model.classes) if model else Taxonomy({}, {})
        near = label_queries.near_duplicates(session, [campaign.id or 0])
        named = order.named(session, campaign.id or 0)
        alike = clusters.of_figures(session, campaign, backbone)
        agreed = second_look.agreed(session, campaign)
    judged = tuple(model.judge(taxonomy).look(x, PART)) if model else ()
    again = np.zeros(len(ids), dtype=bool)
    if model is not None:
        again = agreed.deserving(ids, (one.proba for one in judged), model.classes, taxonomy)
    rows = np.flatnonzero(waiting | again)
    asked = _Pool(ids, x, judged, rows, near, named, alike, model.known_x if model else None, again[rows])
    placed = _placed(campaign, asked) if len(rows) else ()
    return Outlook(ids, x, judged, placed, {one.figure_id: one.reason for one in placed})


@dataclass(frozen=True, eq=False)
class _Pool:
    """The figures that volunteers may be asked, among all of a campaign, and what decides which of them comes first."""

    ids: NDArray[np.int64]
    x: Floats
    judged: tuple[Judged, ...]
    rows: NDArray[np.int64]  # of those that may be asked
    near: Mapping[int, int]  # group of near-duplicates by figure
    named: set[int]  # figures whose name is settled
    alike: Mapping[int, int]  # group of look-alikes by figure
    known_x: Floats | None
    again: NDArray[np.bool_]  # of the rows: those that are agreed on and deserve a second look

    def of(self, values: Callable[[Judged], NDArray[Any]]) -> NDArray[Any]:
        """One value a waiting figure, taken from what the model says."""
        return np.concatenate([values(one) for one in self.judged])[self.rows]

    def rolled(self) -> tuple[RankBest, ...]:
        """The best taxon of each rank for the waiting figures."""
        return tuple(
            RankBest(
                first.rank,
                tuple(self.of(lambda one, place=place: np.array(one.rolled[place].taxa, dtype=object))),  # type: ignore[misc]
                self.of(lambda one, place=place: one.rolled[place].probability),  # type: ignore[misc]
                self.of(lambda one, place=place: one.rolled[place].margin),  # type: ignore[misc]
                first.size,
            )
            for place, first in enumerate(self.judged[0].rolled)
        )


def _placed(campaign: Campaign, pool: _Pool) -> tuple[Placed, ...]:
    ids = [int(key) for key in pool.ids[pool.rows]]
    groups = [pool.near.get(key, key) for key in ids]
    labelled = {pool.near.get(key, key) for key in pool.named}
    alike = [pool.alike.get(key) for key in ids]
    x = pool.x[pool.rows]
    if not pool.judged:
        found = ask(None, x, campaign.seed, ids=ids, groups=groups, labelled_groups=labelled, clusters=alike)
    else:
        strange = pool.judged[0].novelty is not None
        found = ask(
            pool.of(lambda one: one.proba).astype(np.float64),
            x,
            campaign.seed,
            known_x=pool.known_x,
            look_again=pool.again,
            ids=ids,
            groups=groups,
            labelled_groups=labelled,
            clusters=alike,
            novelty=pool.of(lambda one: np.asarray(one.novelty)) if strange else None,
            verdicts=list(pool.of(lambda one: np.array(one.verdicts, dtype=object))) if strange else None,
            claims=list(pool.of(_claims)),
            rolled=pool.rolled(),
        )
    return tuple(
        Placed(key, one.priority, one.reason, one.route.within, Audience(one.route.suits))
        for key, one in zip(ids, found, strict=True)
    )


def _claims(judged: Judged) -> NDArray[Any]:
    held = np.empty(len(judged), dtype=object)
    held[:] = judged.claims
    return held


def publish(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    version: ModelVersion,
    model: TrainedModel,
    why: str,
    progress: Progress,
    network: str | None = None,
) -> None:
    """Let a new version serve: its predictions first, then pointer, states and questions together, then the clusters.

    With the pointer the campaign takes the ``network`` it was trained with, by name; without one it keeps its own.
    """
    progress.step("Looking at every figure with the new model")
    view = look(database, campaign, version.backbone, model)
    with database.writing() as session:
        own = _held(session, campaign)
        version.number = queries.last_version_number(session, campaign.id or 0) + 1
        version_id = service.record_version(session, own, version, ModelState.CHALLENGER, why, utc_now()).id or 0
    parts = _parts(version_id, view, set(view.ids.tolist()))
    _write_predictions(settings, database, campaign, model, view, parts, progress)
    progress.step("Publishing")
    with database.writing() as session:
        own = _held(session, campaign)
        _require_wanted(session, progress.run_id, version_id)
        service.record_version(
            session, own, session.get_one(ModelVersion, version_id), ModelState.CHAMPION, why, utc_now()
        )
        own.backbone = own.backbone if network is None else network
        session.add(own)
        _put_in_order(session, own, view, version_id, utc_now())
    alone.settle(database, campaign, progress)
    _renew_clusters(database, campaign, version.backbone, view)
    progress.note(f"Model version {version.number} is published.")


def _held(session: Session, campaign: Campaign) -> Campaign:
    """Return the campaign, locked for other runs until this transaction ends; people go on with its figures."""
    return session.get_one(Campaign, campaign.id, with_for_update={"key_share": True})


def _require_wanted(session: Session, run_id: int, version_id: int) -> None:
    """Refuse to let a version serve whose run was stopped, or was taken for dead and taken up by another process.

    The other one has removed what this version said, and publishes its own.
    """
    if session.get_one(JobRun, run_id).state is not JobState.RUNNING:
        raise CancelledError
    if session.get_one(ModelVersion, version_id).state is not ModelState.CHALLENGER:
        raise ConflictError(SET_ASIDE)


def keep_back(database: Database, campaign: Campaign, version: ModelVersion, why: str, progress: Progress) -> None:
    """Record a version that does not serve."""
    with database.writing() as session:
        own = _held(session, campaign)
        version.number = queries.last_version_number(session, campaign.id or 0) + 1
        service.record_version(session, own, version, ModelState.REJECTED, why, utc_now())
    progress.note(f"Model version {version.number} is kept, but does not serve.")


def serve_again(settings: Settings, database: Database, campaign: Campaign, progress: Progress) -> int:
    """Say with the serving model what it has not said yet, and put all questions in order; returns of how many figures.

    Without a model the first questions are chosen for variety.
    """
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        backbone = champion.backbone if champion else queries.newest_backbone(session, campaign.id or 0)
        unsaid = predictions.stale(session, campaign.id or 0, champion) if champion else set()
    if backbone is None:
        return 0
    model = load(settings, champion) if champion else None
    view = look(database, campaign, backbone, model)
    if champion is not None and model is not None:
        parts = _parts(champion.id or 0, view, unsaid)
        _write_predictions(settings, database, campaign, model, view, parts, progress)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        _put_in_order(session, own, view, champion.id if champion else None, utc_now())
    alone.settle(database, campaign, progress)
    _renew_clusters(database, campaign, backbone, view)
    by = f"model version {champion.number}" if champion else "variety"
    progress.note(f"{len(view.placed)} figures put in order by {by}.")
    return len(view.ids)


def prepare_similar(settings: Settings, database: Database, campaign: Campaign) -> None:
    """Bring the similarity index in line with the vectors, so that no page has to build it."""
    with database.reading() as session:
        SimilarFigures(settings.data_dir / "index", settings.threads).prepare(session, campaign)


def clear_unfinished(database: Database, campaign: Campaign) -> None:
    """Set aside versions whose run ended before they were published, with all they said."""
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        for version in queries.versions(session, campaign.id or 0):
            if version.state is ModelState.CHALLENGER:
                why = "The run ended before this version was published."
                # First the state: it waits for who is just writing for this version, and nobody begins to afterwards.
                service.record_version(session, own, version, ModelState.REJECTED, why, utc_now())
                predictions.drop(session, version.id or 0)


def _parts(version_id: int, view: Outlook, wanted: set[int]) -> list[dict[str, Any]]:
    """Cut up what is to be written: a payload for each part that holds a figure which is ``wanted``."""
    now, parts = utc_now().isoformat(), []
    for start in range(0, len(view.ids), PART):
        seen = view.ids[start : start + PART].tolist()
        reasons: dict[str, list[int]] = {}
        for key in seen:
            if key in wanted:
                reasons.setdefault(view.reasons.get(key, ""), []).append(key)
        if reasons:
            parts.append({"version": version_id, "at": now, "start": start, "seen": seen, "reasons": reasons})
    return parts


def _write_predictions(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    model: TrainedModel,
    view: Outlook,
    parts: Sequence[Mapping[str, Any]],
    progress: Progress,
) -> None:
    """Write what a model says of the figures in these parts: a few by ourselves, many together with other workers."""

    def step(_: Settings, database: Database, __: Campaign, part: Mapping[str, Any], alive: shards.Alive) -> None:
        alive()
        _write(database, part, model.classes, part["seen"], view.judged[part["start"] // PART])

    done, total = 0, sum(_n_figures(part) for part in parts)
    if total > PART:
        progress.note(f"It is written in {len(parts)} parts, which every worker with nothing else to do takes from.")
        shards.carry_out(settings, database, campaign, progress, SCORE, step, parts)
        return
    for part in parts:
        step(settings, database, campaign, part, lambda: None)
        done += _n_figures(part)
        progress.at(done, total)


def _n_figures(part: Mapping[str, Any]) -> int:
    return sum(len(figures) for figures in part["reasons"].values())


def _write(
    database: Database, part: Mapping[str, Any], classes: Sequence[str], seen: Sequence[int], judged: Judged
) -> None:
    """Write one part in a transaction of its own. ``judged`` is what was said of ``seen``, in that order."""
    reasons = {key: reason for reason, figures in part["reasons"].items() for key in figures}
    words = [reasons.get(key, "") for key in seen]
    told = predictions.rows(part["version"], classes, seen, judged, words, datetime.fromisoformat(part["at"]))
    held = [row for row in told if row["figure_id"] in reasons]
    with database.writing() as session:
        # Who sets the version aside waits until we are done, and removes what we wrote too.
        lean = (machine_queries.WITHOUT_SNAPSHOT,)
        version = session.get_one(ModelVersion, part["version"], options=lean, with_for_update={"read": True})
        if version.state is ModelState.REJECTED:
            raise ConflictError(SET_ASIDE)
        predictions.write(session, held)


def _score_part(
    settings: Settings, database: Database, campaign: Campaign, part: Mapping[str, Any], alive: shards.Alive
) -> None:
    """Let the version of another worker's run look at one part, and write what it says."""
    with database.reading() as session:
        version = session.get_one(ModelVersion, part["version"], options=(machine_queries.WITHOUT_SNAPSHOT,))
    try:
        model = _loaded(settings.data_dir / version.folder)
    except ArtifactError as error:
        raise shards.UnableError(f"This worker cannot read model version {version.number}: {error}") from error
    with database.reading() as session:
        taxonomy = labels.taxonomy_of(session, model.classes)
        vectors = label_queries.vectors_of(session, part["seen"], version.backbone)
    seen = [key for key in part["seen"] if key in vectors]
    if seen:
        judged = model.judge(taxonomy).one_block(np.stack([vectors[key] for key in seen]))
        alive()
        _write(database, part, model.classes, seen, judged)


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> TrainedModel:
    """Return the model in a folder, read once: a folder is never written again."""
    return TrainedModel.load(folder)


STEPS: Mapping[str, shards.Step] = {SCORE: _score_part}
"""What another worker than the run's own does with one part."""


def _put_in_order(session: Session, campaign: Campaign, view: Outlook, version_id: int | None, now: datetime) -> None:
    predictions.note(session, campaign, version_id, now)
    second_look.put_in_order(session, campaign, view.placed, now)


def _renew_clusters(database: Database, campaign: Campaign, backbone: str, view: Outlook) -> None:
    """Group what looks alike anew, where there is anything new: after the model serves, as nothing waits for it."""
    with database.reading() as session:
        if not len(view.ids) or not clusters.are_stale(session, campaign, backbone):
            return
        unnamed = clusters.unnamed(session, campaign)
    found = clusters.group(view.ids, view.x, unnamed, campaign.seed)
    with database.writing() as session:
        clusters.replace(session, session.get_one(Campaign, campaign.id), backbone, found, utc_now())


def keep(settings: Settings, campaign: Campaign, model: TrainedModel) -> Path:
    """Save a model and return its folder, below the data folder.

    A folder is never written again: where another model of the same labels lies there, or a damaged one, the next is
    taken.
    """
    folder = first = folder_of(campaign, model)
    number = 1
    while True:
        try:
            model.save(settings.data_dir / folder)
            return folder
        except ArtifactError:
            number += 1
            folder = first.with_name(f"{first.name}-{number}")


def folder_of(campaign: Campaign, model: TrainedModel) -> Path:
    """Return where a model is kept first, below the data folder."""
    return Path("models") / campaign.slug / model.snapshot_hash[:16]
