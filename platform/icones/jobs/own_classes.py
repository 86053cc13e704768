"""A network's own classes as taxa: suggestions before anybody has named anything.

The labels of a network are names; which taxa they mean is looked up here, among the taxa we know and, for a campaign
on the wiki, on Wikidata. Only what lies within the campaign's scope is kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from active_learning import (
    Backbone,
    NotEnoughDataError,
    TrainedModel,
    TrainingConfig,
    TrainingSet,
    borrowed_head,
    borrowed_model,
    scientific_name,
)
from active_learning.backbones import own_classifier
from icones.campaigns.sources import ON_THE_WIKI
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import publishing
from icones.jobs.runner import Progress
from icones.jobs.taxa import keep_taxa
from icones.jobs.wiki import wiki_config
from icones.learning.labels import taxonomy_of
from icones.models import Campaign, JobRun, ModelOrigin, ModelVersion
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service
from wiki_sync import TaxonFacts, TaxonSource, WikiError

BATCH = 200
LISTED = 20
"""So many names are told one by one; of more only the number."""


@dataclass(frozen=True)
class Reading:
    """What a network's labels mean: taxa within the scope, labels outside it, and labels that nobody knows."""

    mapping: Mapping[str, str]
    outside: tuple[str, ...]
    unknown: tuple[str, ...]

    def notes(self) -> tuple[str, ...]:
        """Return the same in sentences."""
        told = [f"The network's own classes: {len(self.mapping)} are taxa that can occur here."]
        if self.outside:
            told.append(f"{len(self.outside)} lie outside the campaign's scope and are never suggested.")
        if self.unknown:
            named = ", ".join(self.unknown[:LISTED]) + (" and others" if len(self.unknown) > LISTED else "")
            told.append(f"{len(self.unknown)} are of taxa that we do not know: {named}.")
        return tuple(told)


def zero_label_version(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    backbone: Backbone,
    data: TrainingSet,
    progress: Progress,
) -> TrainedModel | None:
    """Return a model of the backbone's own classes within the campaign's scope, measured on the figures in ``data``.

    None where the network's classes are not known, or fewer than two of them are taxa within the scope.
    """
    classifier = own_classifier(backbone.name, settings.weights_dir)
    if classifier is None:
        return None
    reading = read_labels(settings, database, campaign, classifier.labels, progress)
    try:
        borrowed = borrowed_head(classifier, reading.mapping)
    except NotEnoughDataError as error:
        progress.note(str(error))
        return None
    with database.reading() as session:
        taxonomy = taxonomy_of(session, {*borrowed.head.classes_, *data.y})
    config = TrainingConfig(seed=campaign.seed, holdout_fraction=campaign.holdout_fraction)
    return borrowed_model(borrowed, data, taxonomy, config, reading.notes())


def lend(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    run: JobRun,
    backbone: Backbone,
    data: TrainingSet,
    progress: Progress,
) -> ModelVersion | None:
    """Publish the backbone's own classes as a campaign's model, for as long as there is too little to train on.

    For a campaign that no model serves, whose figures are embedded. None where there is nothing to lend.
    """
    model = zero_label_version(settings, database, campaign, backbone, data, progress)
    if model is None:
        return None
    folder = publishing.keep(settings, campaign, model)
    measured = model.report.measured_on != "nothing"
    how = f"right on {model.report.accuracy:.0%} of {model.report.n} verified figures" if measured else "not measured"
    why = f"The network's own classes serve until there is enough to train on: {len(model.classes)} taxa, {how}."
    version = ModelVersion(
        campaign_id=campaign.id or 0,
        number=0,
        origin=ModelOrigin.BORROWED,
        backbone=model.backbone,
        folder=str(folder),
        snapshot_hash=model.snapshot_hash,
        snapshot={"labels": []},
        seed=campaign.seed,
        parameters=asdict(model.config) | {"environment": dict(model.environment)},
        report=model.report.to_dict(),
        run_id=run.id,
        created_at=utc_now(),
    )
    publishing.publish(settings, database, campaign, version, model, why, progress)
    return version


def read_labels(
    settings: Settings, database: Database, campaign: Campaign, labels: Sequence[str], progress: Progress
) -> Reading:
    """Find the taxa that a network's labels name; ask Wikidata about unknown ones where the campaign is on the wiki.

    If Wikidata does not answer, the taxa we know must do. New taxa are kept if they lie within the scope.
    """
    names = {label: name for label in labels if (name := scientific_name(label)) is not None}
    with database.reading() as session:
        found = taxon_service.resolve(session, set(names.values()))
    missing = sorted(set(names.values()) - found.keys())
    elsewhere: set[str] = set()
    if missing and campaign.source_kind in ON_THE_WIKI:
        asked, elsewhere = _ask(settings, database, campaign, missing, progress)
        found |= asked
    root = _root(database, campaign)
    with database.reading() as session:
        inside = _within(taxa.lineages(session, set(found.values())), root)
    return Reading(
        {label: found[name] for label, name in names.items() if found.get(name) in inside},
        tuple(label for label, name in names.items() if name in elsewhere or found.get(name, "") not in {"", *inside}),
        tuple(label for label, name in names.items() if name not in found and name not in elsewhere),
    )


def _root(database: Database, campaign: Campaign) -> str | None:
    root = campaign.root_taxon_qid
    if root is None:
        return None
    with database.reading() as session:
        return taxon_service.current(session, [root])[root]


def _within(lines: Mapping[str, Sequence[str]], root: str | None) -> set[str]:
    return {qid for qid, line in lines.items() if root is None or root in line}


def _ask(
    settings: Settings, database: Database, campaign: Campaign, names: Sequence[str], progress: Progress
) -> tuple[dict[str, str], set[str]]:
    """Ask Wikidata which taxa bear these names; return those within the scope by name, and the names outside it."""
    source, root = TaxonSource(wiki_config(settings)), _root(database, campaign)
    found: dict[str, str] = {}
    outside: set[str] = set()
    progress.step("Asking Wikidata what the network's own classes are", 0, len(names))
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        try:
            bearers = _bearers(source, part)
            facts = source.lineages({qid for qids in bearers.values() for qid in qids})
        except WikiError as error:
            progress.note(f"Wikidata could not be asked about {len(names) - start} names: {error}")
            break
        lines = {qid: _line(qid, facts) for qid in facts}
        inside = _within(lines, root)
        for name, qids in bearers.items():
            meant = {facts[qid].merged_into or qid for qid in qids if qid in facts}
            if len(meant & inside) == 1:
                found[name] = (meant & inside).pop()
            elif meant and not meant & inside:
                outside.add(name)
        wanted = {node for qid in found.values() if qid in lines for node in lines[qid]}
        with database.writing() as session:
            keep_taxa(session, [facts[qid] for qid in sorted(wanted) if qid in facts], utc_now())
        progress.at(min(start + BATCH, len(names)), len(names))
    return found, outside


def _bearers(source: TaxonSource, names: Collection[str]) -> dict[str, set[str]]:
    """Return the taxa that bear each name: as their own, else as a synonym."""
    answers = {}
    for name, matches in source.by_name(names).items():
        own = {match.qid for match in matches if match.how == "name"}
        answers[name] = own or {match.qid for match in matches}
    return answers


def _line(qid: str, facts: Mapping[str, TaxonFacts]) -> tuple[str, ...]:
    """Return a taxon and what is above it, as far as the facts go; they hold no circle."""
    line = [qid]
    while (parent := facts[line[-1]].parent_qid) in facts and parent is not None:
        line.append(parent)
    return tuple(line)
