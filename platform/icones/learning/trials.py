"""Comparisons of backbones on a campaign's own verified figures: when one is due, on what, and what came of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from active_learning import Comparison, Taxonomy
from active_learning.comparable import LEAST_CLASSES, LEAST_SOURCES, drawn_classes, sample, unseen_by_all
from active_learning.tuning_files import Seen
from icones.learning import label_queries, trial_queries
from icones.learning.label_queries import Labelled
from icones.learning.labels import grouped, taxonomy_of
from icones.models import BackboneTrial, Campaign, DeterminationState
from icones.taxa import service as taxa


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


@dataclass(frozen=True)
class Comparable:
    """What networks are compared on: none of it is of a source that a compared one was tuned on."""

    figures: Figures
    n_left_out: int
    """Verified figures of sources that a compared network was tuned on."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Tuned networks that have seen too much to be compared, and why."""
    missing: str = ""
    """Why nothing can be compared, to stand in the second half of a sentence; empty where there is enough."""


def comparable(
    session: Session, campaign: Campaign, most: int, seen: Mapping[str, Seen] | None = None, present: str = ""
) -> Comparable:
    """Return at most so many verified figures of a campaign, of all sources in turn, and of all taxa that find room.

    Names above another name are left out: a comparison is about telling leaves apart. Near-duplicates count as one
    source, as they do in training. What stems from a source that a compared network has ``seen`` is left out for all
    networks alike, see ``unseen_by_all``.
    """
    own = campaign.id or 0
    kept = label_queries.determined(session, [own], DeterminationState.VERIFIED)
    near = label_queries.near_duplicates(session, [own])
    groups = grouped(kept, near)
    now_called = taxa.current(session, [row.qid for row in kept])
    taxonomy = taxonomy_of(session, set(now_called.values()))
    above = {node for qid in now_called.values() for node in taxonomy.lineage(qid)[1:]}
    leaves = [row for row in kept if now_called[row.qid] not in above]
    everything = Figures(
        tuple(row.figure_id for row in leaves),
        tuple((row.image_sha1, row.box) for row in leaves),
        tuple(now_called[row.qid] for row in leaves),
        tuple(groups[row.figure_id] for row in leaves),
        taxonomy,
    )
    prints = trial_queries.prints(session, own) if seen else []
    known = {name: _groups_seen(one, kept, groups, near, prints) for name, one in (seen or {}).items() if one}
    unseen = unseen_by_all(everything.y, everything.groups, known, present)
    left = everything.at(list(unseen.rows))
    classes = drawn_classes(left.y, left.groups, most // LEAST_SOURCES, campaign.seed)
    left = left.at([place for place, label in enumerate(left.y) if label in classes])
    return Comparable(
        left.at(sample(left.y, left.groups, most, campaign.seed)),
        len(everything.ids) - len(unseen.rows),
        unseen.refused,
        unseen.missing,
    )


def _groups_seen(
    seen: Seen,
    rows: Sequence[Labelled],
    groups: Mapping[int, str],
    near: Mapping[int, int],
    prints: Collection[tuple[str, str, int]],
) -> set[str]:
    """The groups that a network was tuned on, or on a near-duplicate of: also of a figure whose name was withdrawn."""
    alike = {group for image, source, group in prints if image in seen.images or source in seen.groups}
    return {
        groups[row.figure_id]
        for row in rows
        if row.image_sha1 in seen.images
        or {row.source_group, groups[row.figure_id]} & seen.groups
        or near.get(row.figure_id) in alike
    }


def keep(
    session: Session,
    campaign: Campaign,
    found: Comparison,
    problems: Mapping[str, str],
    run_id: int | None,
    now: datetime,
) -> BackboneTrial:
    """Write a comparison down, with the backbones that could not be tried."""
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
