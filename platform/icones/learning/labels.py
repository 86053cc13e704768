"""What a model may learn from now: names gathered from people and from the source, each with its weight and its kin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlmodel import Session

from active_learning import Taxonomy, TrainingSet
from icones.identifications import crowd
from icones.learning import label_queries as queries
from icones.learning.label_queries import Floats, Labelled
from icones.models import Campaign, DeterminationState
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service

VERIFIED, AGREED, STATED = "verified", "agreed", "stated"
VERIFIED_WEIGHT = 1.0
AGREED_WEIGHT = 0.5
"""What a name that volunteers agree on weighs at most against a verified one; their skill decides how much of it."""
STATED_WEIGHT = 0.5
"""What a tag that nobody here has checked weighs against a verified one."""


@dataclass(frozen=True)
class Gathered:
    """What may be learned from, the tree it stands in, and the same as rows for the record."""

    data: TrainingSet
    taxonomy: Taxonomy
    record: list[dict[str, Any]] = field(default_factory=list)


def taxonomy_of(session: Session, qids: Iterable[str]) -> Taxonomy:
    """Return the tree above these taxa, as active_learning reads it."""
    lines = taxa.lineages(session, set(qids))
    parents: dict[str, str | None] = {}
    for line in lines.values():
        for child, parent in zip(line, (*line[1:], None), strict=True):
            parents[child] = parent
    rows = taxa.taxa(session, set(parents))
    return Taxonomy(parents, {qid: row.rank or None for qid, row in rows.items()})


def gather(session: Session, campaign: Campaign, backbone: str) -> Gathered:
    """Return what a campaign's model may learn from now.

    Verified determinations count fully, those of the campaigns it learns from too. What volunteers agree on counts by
    what is known of them, and not at all where it rests on repeated suggestions. A tag that the source states, for an
    illustration of one figure and one taxon that people have not settled otherwise, counts half: it begins the loop
    before anybody has tagged. Names may be at any rank; where the campaign's model sorts at a rank, they are taken up
    to it.
    """
    own = campaign.id or 0
    others = queries.campaigns_learned_from(session, own)
    slugs = {own: campaign.slug, **others}
    opinions = crowd.trainable(session, own)
    labels = _labels(session, own, list(slugs), opinions)
    vectors = queries.vectors_of(session, list(labels), backbone)
    kept = [labels[key] for key in sorted(labels) if key in vectors]
    names = counted_as(session, campaign, [row.qid for _, _, row in kept])
    groups = grouped([row for _, _, row in kept], queries.near_duplicates(session, list(slugs)))
    record: list[dict[str, Any]] = [
        {
            "figure": row.figure_id,
            "taxon": names[row.qid],
            "group": groups[row.figure_id],
            "source": f"{row.image_sha1} {row.box or 'whole'}",
            "campaign": slugs[row.campaign_id],
            "origin": origin,
            "weight": round(weight, 6),
        }
        for origin, weight, row in kept
    ]
    soft = {
        row.figure_id: opinions[row.figure_id][0]
        for origin, _, row in kept
        if origin == AGREED and len(opinions[row.figure_id][0]) > 1
    }
    taxonomy = taxonomy_of(session, {*names.values(), *(qid for shares in soft.values() for qid in shares)})
    far = queries.vectors_of(session, queries.no_organism(session, own), backbone)
    chance = queries.asked_by_chance(session, list(slugs))
    data = TrainingSet(
        ids=tuple(one["figure"] for one in record),
        x=_rows([one["figure"] for one in record], vectors),
        y=tuple(one["taxon"] for one in record),
        groups=tuple(one["group"] for one in record),
        weights=np.array([one["weight"] for one in record], dtype=np.float64),
        sources=tuple(one["campaign"] for one in record) if others else None,
        at_random=np.array([one["figure"] in chance for one in record], dtype=bool),
        checked=np.array([one["origin"] == VERIFIED for one in record], dtype=bool),
        soft=soft or None,
        far_x=_rows(sorted(far), far) if far else None,
        backbone=backbone,
    )
    return Gathered(data, taxonomy, record)


def _labels(
    session: Session, own: int, campaign_ids: Sequence[int], opinions: Mapping[int, tuple[dict[str, float], float]]
) -> dict[int, tuple[str, float, Labelled]]:
    """Return by figure where its name is from, its weight and the name; a better origin takes the place of a lesser."""
    labels: dict[int, tuple[str, float, Labelled]] = {}
    for row in queries.stated(session, own):
        labels[row.figure_id] = STATED, STATED_WEIGHT, row
    for row in queries.determined(session, [own], DeterminationState.AGREED):
        if row.figure_id in opinions:
            labels[row.figure_id] = AGREED, AGREED_WEIGHT * opinions[row.figure_id][1], row
    for row in queries.determined(session, campaign_ids, DeterminationState.VERIFIED):
        labels[row.figure_id] = VERIFIED, VERIFIED_WEIGHT, row
    return labels


def _rows(figure_ids: Sequence[int], vectors: Mapping[int, Floats]) -> Floats:
    """Return the vectors (n, d) of these figures; (0, 0) for none."""
    if not figure_ids:
        return np.zeros((0, 0), dtype=np.float32)
    return np.stack([vectors[key] for key in figure_ids]).astype(np.float32)


def counted_as(session: Session, campaign: Campaign, qids: Sequence[str]) -> dict[str, str]:
    """Return for each name what it counts as: merged items as their target, and taken up to the campaign's rank."""
    now_called = taxon_service.current(session, qids)
    if not campaign.model_rank:
        return dict(now_called)
    taxonomy = taxonomy_of(session, set(now_called.values()))
    return {written: taxonomy.at_rank(qid, campaign.model_rank) or qid for written, qid in now_called.items()}


def grouped(rows: Sequence[Labelled], near: Mapping[int, int]) -> dict[int, str]:
    """Return the group of each figure: of one source, on one image, or near-duplicates, directly or by way of others.

    A group is called after the first of its sources in alphabetical order, so that its name lasts.
    """
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    own: dict[int, str] = {}
    for row in rows:
        keys = [f"image {row.image_sha1}", f"near {near.get(row.figure_id, row.figure_id)}"]
        if row.source_group:
            keys.append(f"from {row.source_group}")
        for key in keys[1:]:
            above[root(key)] = root(keys[0])
        own[row.figure_id] = keys[0]
    called: dict[str, str] = {}
    for row in rows:
        place = root(own[row.figure_id])
        name = row.source_group or row.image_sha1
        called[place] = min(called.get(place, name), name)
    return {figure_id: called[root(key)] for figure_id, key in own.items()}
