"""The job that chooses a campaign's backbone: by few-label accuracy on its own verified figures.

Every network at hand looks at a sample of them, in memory; the comparison is kept, and where another network is better
training with it is asked for. The present model serves, and its network looks at what is new, until that training has
published a model of its own: the campaign takes the network in the same moment, or not at all.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning import (
    ArtifactError,
    Backbone,
    Comparison,
    LearningError,
    compare_backbones,
    load_backbone,
    set_threads,
)
from active_learning.backbones import available, own_classifier
from active_learning.embedding import embed_files
from active_learning.tuning_files import Seen, seen_by
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import NotReadyError
from icones.illustrations.store import ImageStore
from icones.jobs import runner
from icones.jobs.own_classes import read_labels
from icones.jobs.runner import Progress
from icones.learning import queries, trials
from icones.learning.trials import Comparable, Figures
from icones.models import Campaign, JobKind, JobRun

SAMPLE = 400
"""So many figures at most are looked at by each network."""
LONGEST = 80
"""As many letters as a campaign's backbone may have."""
SMALLEST = 2
"""Of so many taxa within the scope a network's own classes make suggestions."""


def candidates(settings: Settings, campaign: Campaign) -> tuple[str, ...]:
    """Return the backbones to compare: the present one, the named ones, those with weights here, and `classical`."""
    return tuple(dict.fromkeys((_present(settings, campaign), *settings.backbones, *available(settings.weights_dir))))


def choose(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Compare the networks at hand, keep the comparison, and take a better one; see ``compare_backbones``.

    With too few verified figures nothing is compared. Then, before anything is trained, a network is taken whose own
    classes lie within the campaign's scope, if the present one has none. Training is asked for if the backbone was
    changed, or no model serves yet. What a tuned network has seen is left out for all of them; where it has seen too
    much, or nobody knows what, it is refused, and as the campaign's present network kept.
    """
    set_threads(settings.threads)
    seen, unknown = _seen(settings, campaign)
    present = _present(settings, campaign)
    with database.reading() as session:
        basis = trials.comparable(session, campaign, SAMPLE, seen, present)
        has_model = queries.has_champion(session, campaign.id or 0)
    problems = {**unknown, **basis.refused}
    if present in unknown:
        found = Comparison(present, False, f"{present} is kept: {unknown[present]}")
    elif basis.missing:
        found = _by_own_classes(settings, database, campaign, basis.missing, has_model, progress)
    else:
        found, problems = _compared(settings, campaign, basis, progress, problems)
    progress.note(found.why)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        trials.keep(session, own, found, problems, run.id, utc_now())
        asks = found.is_change or not has_model
        told = {"backbone": found.chosen} if found.is_change and has_model else {}
        if found.is_change and not has_model:
            own.backbone = found.chosen  # nobody is served by the one before
            session.add(own)
        if asks:
            runner.ask(session, JobKind.RETRAIN, own, utc_now(), trigger="choice", parameters=told)
    return {
        "chosen": found.chosen,
        "changed": found.is_change,
        "why": found.why,
        "compared": len(found.results),
        "figures": found.n_figures,
        "refused": problems,
        "training": asks,
    }


def _seen(settings: Settings, campaign: Campaign) -> tuple[dict[str, Seen], dict[str, str]]:
    """Return what each tuned candidate was tuned on, and of which this is not known."""
    seen, unknown = dict[str, Seen](), dict[str, str]()
    for name in candidates(settings, campaign):
        try:
            if found := seen_by(name, settings.weights_dir):
                seen[name] = found
        except ArtifactError as error:
            unknown[name] = str(error)
    return seen, unknown


def _present(settings: Settings, campaign: Campaign) -> str:
    return campaign.backbone or settings.backbone


@dataclass
class _Looks:
    """What the candidates made of the figures: vectors (n, d), version and seconds an image by name; why others could
    not be tried; and which figures (n,) all of them could look at."""

    opened: NDArray[np.bool_]
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def _compared(
    settings: Settings, campaign: Campaign, basis: Comparable, progress: Progress, refused: Mapping[str, str]
) -> tuple[Comparison, dict[str, str]]:
    """Let each candidate that is not refused look at the figures, and compare; also why some could not be tried."""
    figures = basis.figures
    looks = _Looks(np.ones(len(figures.ids), dtype=bool), problems=dict(refused))
    for name in candidates(settings, campaign):
        if name in refused:
            progress.note(f"{name} is not tried: {refused[name]}")
            continue
        try:
            backbone = load_exactly(settings, name)
        except (LearningError, ValueError, ImportError) as error:
            looks.problems[name] = str(error)
            progress.note(f"{name} cannot be tried: {error}")
        else:
            _look(settings, backbone, figures, looks, progress)
    if not looks.vectors:
        raise NotReadyError("No network could look at the verified figures: " + "; ".join(looks.problems.values()))
    kept = np.flatnonzero(looks.opened).tolist()
    if len(kept) < len(figures.ids):
        progress.note(f"{len(figures.ids) - len(kept)} figures could not be looked at and are left out.")
    progress.step(f"Comparing {len(looks.vectors)} networks on {len(kept)} figures")
    left = figures.at(kept)
    longest = sorted((len(name) for name in looks.vectors if "+" not in name), reverse=True)
    found = compare_backbones(
        {name: x[kept] for name, x in looks.vectors.items()},
        left.y,
        left.groups,
        left.taxonomy,
        present=_present(settings, campaign),
        seconds=looks.seconds,
        seed=campaign.seed,
        joins=sum(longest[:2]) < LONGEST,
    )
    less = f" {basis.n_left_out} verified figures are left out for all, as a network was tuned on their sources."
    results = tuple(_with_version(row, looks.versions) for row in found.results)
    return replace(found, why=found.why + (less if basis.n_left_out else ""), results=results), looks.problems


def _with_version(row: dict[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    name = row["name"]
    return {**row, "version": versions.get(name) or "+".join(versions[part] for part in name.split("+"))}


def load_exactly(settings: Settings, name: str) -> Backbone:
    """Return this very backbone; raise ArtifactError where another would stand in for it."""
    if len(name) > LONGEST:
        raise ArtifactError(f"Its name is longer than {LONGEST} letters.")
    said: list[str] = []
    backbone = load_backbone(name, settings.weights_dir, allow_hub=settings.weights_from_hub, on_notice=said.append)
    if backbone.name != name:
        raise ArtifactError(" ".join(said) or f"{backbone.name} stands in for it.")
    return backbone


def _look(settings: Settings, backbone: Backbone, figures: Figures, looks: _Looks, progress: Progress) -> None:
    """Let one backbone look at all figures, and add what it saw and how long it took."""
    store = ImageStore(settings.data_dir / "images")
    n = len(figures.ids)
    x = np.zeros((n, backbone.dim), dtype=np.float32)
    progress.step(f"Looking at {n} verified figures with {backbone.name}", 0, n)
    before, done, unusable = time.perf_counter(), 0, set[int]()
    items = [(store.path(sha1), box) for sha1, box in figures.pictures]
    for batch in embed_files(backbone, items, threads=settings.threads):
        x[batch.positions] = batch.vectors
        unusable |= set(batch.problems)
        done += len(batch.positions) + len(batch.problems)
        progress.at(done, n)
    if 2 * len(unusable) > n:  # the network's fault, or hardly an image is left: no reason to compare on the rest
        looks.problems[backbone.name] = f"It gave usable vectors for only {n - len(unusable)} of {n} figures."
        return
    looks.opened[sorted(unusable)] = False
    looks.vectors[backbone.name], looks.versions[backbone.name] = x, backbone.version
    looks.seconds[backbone.name] = (time.perf_counter() - before) / n


def _by_own_classes(
    settings: Settings, database: Database, campaign: Campaign, missing: str, has_model: bool, progress: Progress
) -> Comparison:
    """Without figures to compare on, take the network that knows most taxa of the scope, if the present knows none."""
    present = _present(settings, campaign)
    keep = Comparison(present, False, f"{present} is kept: {missing}")
    if has_model or campaign.root_taxon_qid is None:
        return keep
    known: dict[str, int] = {}
    for name in candidates(settings, campaign):
        classifier = own_classifier(name, settings.weights_dir)
        if classifier is not None:
            reading = read_labels(settings, database, campaign, classifier.labels, progress)
            known[name] = len(set(reading.mapping.values()))
            progress.note(f"{name}: {known[name]} of its own classes are taxa within the scope.")
    best = max(known, key=lambda name: known[name], default=present)
    if known.get(present, 0) >= SMALLEST or known.get(best, 0) < SMALLEST:
        return keep
    why = f"{best} is taken, as it knows {known[best]} taxa within the scope by itself; nothing was compared: {missing}"
    return Comparison(best, True, why)
