"""Comparisons of backbones on a campaign's own verified figures: when one is due, on what, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from active_learning import Comparison, Taxonomy
from active_learning.choosing import LEAST_CLASSES, LEAST_SOURCES, sample
from active_learning.tuning_files import Seen
from icones.learning import label_queries, trial_queries
from icones.learning.label_queries import Labelled
from icones.learning.labels import grouped, taxonomy_of
from icones.models import BackboneTrial, Campaign, DeterminationState
from icones.taxa import service as taxa

UNSEEN = Seen()


@dataclass(frozen=True)
class Figures:
    """Verified figures to compare on. All sequences have one entry a figure."""

    ids: tuple[int, ...]
    pictures: tuple[tuple[str, str | None], ...]
    """The image's name in the store and the box on it."""
    y: tuple[str, ...]
    groups: tuple[str, ...]
    taxonomy: Taxonomy

    def at(self, places: list[int]) -> "Figures":
        """Return the figures at these places, in this order."""
        return Figures(
            tuple(self.ids[i] for i in places),
            tuple(self.pictures[i] for i in places),
            tuple(self.y[i] for i in places),
            tuple(self.groups[i] for i in places),
            self.taxonomy,
        )


def figures(session: Session, campaign: Campaign, most: int, seen: Seen = UNSEEN) -> Figures:
    """Return at most so many verified figures of a campaign, of all taxa and all sources in turn.

    Names above another name are left out: a comparison is about telling leaves apart. Near-duplicates count as one
    source, as they do in training. What stems from a source that tuned networks have ``seen`` is left out.
    """
    own = campaign.id or 0
    kept = label_queries.determined(session, [own], DeterminationState.VERIFIED)
    groups = grouped(kept, label_queries.near_duplicates(session, [own]))
    now_called = taxa.current(session, [row.qid for row in kept])
    taxonomy = taxonomy_of(session, set(now_called.values()))
    above = {node for qid in now_called.values() for node in taxonomy.lineage(qid)[1:]}
    known = {groups[row.figure_id] for row in kept if _is_seen(seen, row, groups[row.figure_id])}
    leaves = [row for row in kept if now_called[row.qid] not in above and groups[row.figure_id] not in known]
    everything = Figures(
        tuple(row.figure_id for row in leaves),
        tuple((row.image_sha1, row.box) for row in leaves),
        tuple(now_called[row.qid] for row in leaves),
        tuple(groups[row.figure_id] for row in leaves),
        taxonomy,
    )
    return everything.at(sample(everything.y, everything.groups, most, campaign.seed))


def _is_seen(seen: Seen, row: Labelled, group: str) -> bool:
    return row.image_sha1 in seen.images or bool({row.source_group, group} & seen.groups)


def keep(
    session: Session,
    campaign: Campaign,
    found: Comparison,
    problems: Mapping[str, str],
    run_id: int | None,
    now: datetime,
) -> BackboneTrial:
    """Write a comparison down, with the backbones that could not be tried; the campaign takes what was chosen."""
    refused = [{"name": name, "problem": why[:500]} for name, why in sorted(problems.items())]
    trial = BackboneTrial(
        campaign_id=campaign.id or 0,
        run_id=run_id,
        chosen=found.chosen,
        why=found.why[:1000],
        results=[*found.results, *refused],
        n_figures=found.n_figures,
        n_classes=found.n_classes,
        at=now,
    )
    session.add(trial)
    if found.is_change:
        campaign.backbone = found.chosen
        session.add(campaign)
    session.flush()
    return trial


def latest(session: Session, campaign: Campaign) -> BackboneTrial | None:
    """Return a campaign's last comparison; None before the first."""
    return trial_queries.latest(session, campaign.id or 0)


def is_due(session: Session, campaign: Campaign) -> bool:
    """Say whether enough was verified for a first comparison, and none was made yet."""
    own = campaign.id or 0
    return (
        not trial_queries.was_measured(session, own)
        and trial_queries.n_well_sourced(session, own, LEAST_SOURCES) >= LEAST_CLASSES
    )
