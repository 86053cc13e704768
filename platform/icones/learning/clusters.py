"""Groups of look-alike figures that nobody has named yet: made anew with each model, and named in one go."""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import look_alikes
from icones.campaigns.service import Door
from icones.errors import BadInputError, ConflictError, NotFoundError
from icones.identifications import machine_queries
from icones.identifications import queries as identification_queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.learning import cluster_queries, queries
from icones.models import Answer, Campaign, Cluster, Confidence, Identification, Person, Role, Skip
from icones.review.service import SKIPPED_FOR
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service

LEAST, MOST = 2, 60
"""Figures in a group: fewer are no group, more are not seen at a glance."""
AT_A_TIME = 200
"""So many groups are looked through for one page; what waits behind them comes when these are done."""
AT_ONCE = 50
"""So many more are read at least, where of some that were read nothing waits for this person."""


@dataclass(frozen=True)
class Group:
    """A group as it stands for one person now: without what was named or passed over meanwhile."""

    number: int
    figure_ids: tuple[int, ...]
    """The most typical first."""
    cohesion: float
    """Mean cosine to the centre when the group was made."""
    suggested: str | None
    """The taxon that the model thinks most probable for most of them; None before there is a model."""
    n_suggested: int
    """For how many of them it does."""


@dataclass(frozen=True)
class Waiting:
    """Groups that wait for a person, the largest first, and of one size the tightest first."""

    groups: tuple[Group, ...]
    is_all: bool
    """Whether these are all of them, or only the first."""


@dataclass(frozen=True)
class Form:
    """What a specialist's form says of a group."""

    form_id: str
    answer: Answer
    taxon_qid: str | None
    confidence: Confidence = Confidence.SURE
    comment: str = ""
    n_shown: int = 0
    """How many figures were on the screen, ticked or not."""


@dataclass(frozen=True)
class Named:
    """What came of a form: its identifications, and whether it had come before."""

    identifications: tuple[Identification, ...]
    is_repeat: bool


Members = tuple[tuple[int, ...], float]
"""The figures of a group, the most typical first, and its cohesion."""


def unnamed(session: Session, campaign: Campaign) -> set[int]:
    """Return the figures of a campaign that can be shown and of which nobody says anything."""
    return cluster_queries.unnamed(session, campaign.id or 0)


def are_stale(session: Session, campaign: Campaign, backbone: str) -> bool:
    """Say whether there are no groups, or vectors that they do not know: a new model alone changes none of them."""
    made = cluster_queries.made_at(session, campaign.id or 0, backbone)
    newest = queries.embedding_state(session, campaign.id or 0, backbone)[1]
    return made is None or (newest is not None and newest > made)


def group(ids: NDArray[np.int64], x: NDArray[np.float32], wanted: Collection[int], seed: int) -> list[Members]:
    """Group those of the figures ``ids`` (n,) with vectors ``x`` (n, d) that are wanted; slow, so in no transaction.

    Figures scanned twice are all among them: one word names them all.
    """
    rows = np.flatnonzero(np.isin(ids, np.array(sorted(wanted), dtype=np.int64)))
    found = look_alikes(x[rows], seed=seed, least=LEAST, most=MOST).clusters if len(rows) else ()
    return [(tuple(int(ids[rows[member]]) for member in one.members), one.cohesion) for one in found]


def replace(session: Session, campaign: Campaign, backbone: str, groups: Sequence[Members], now: datetime) -> int:
    """Keep these groups in place of all before; return how many there are."""
    made = [
        Cluster(
            campaign_id=campaign.id or 0,
            number=number,
            backbone=backbone,
            figure_ids=list(members),
            cohesion=cohesion,
            at=now,
        )
        for number, (members, cohesion) in enumerate(groups, 1)
    ]
    cluster_queries.replace_clusters(session, campaign.id or 0, made)
    return len(made)


def of_figures(session: Session, campaign: Campaign, backbone: str) -> dict[int, int]:
    """Return the number of the group that each figure was put in, for figures that are in one."""
    return cluster_queries.of_figures(session, campaign.id or 0, backbone)


def waiting(session: Session, campaign: Campaign, person: Person, now: datetime) -> Waiting:
    """Return the groups that wait for this person, without figures that were named or passed over meanwhile."""
    version, after = queries.champion(session, campaign.id or 0), 0
    skipped = cluster_queries.skipped(session, person.id or 0, now - SKIPPED_FOR)
    groups: list[Group] = []
    while len(groups) < AT_A_TIME:
        rows = cluster_queries.clusters(session, campaign.id or 0, after, max(AT_A_TIME - len(groups), AT_ONCE))
        if not rows:
            break
        after = rows[-1].number
        left = _left(session, campaign, skipped, rows)
        groups += _grouped(session, rows, left, version.id if version else None)
    groups.sort(key=lambda one: (-len(one.figure_ids), -one.cohesion, one.number))
    is_all = not cluster_queries.clusters(session, campaign.id or 0, after, 1)
    return Waiting(tuple(groups), is_all)


def _left(
    session: Session, campaign: Campaign, skipped: Collection[int], rows: Sequence[Cluster]
) -> dict[int, tuple[int, ...]]:
    """Return what still waits in each of these groups, by number; groups of which too little is left are absent."""
    members = _large_enough({row.number: [one for one in row.figure_ids if one not in skipped] for row in rows})
    asked = {figure_id for one in members.values() for figure_id in one}
    waiting = cluster_queries.unnamed_among(session, campaign.id or 0, asked)
    return _large_enough({number: [one for one in figures if one in waiting] for number, figures in members.items()})


def _large_enough(groups: Mapping[int, Sequence[int]]) -> dict[int, tuple[int, ...]]:
    return {number: tuple(figures) for number, figures in groups.items() if len(figures) >= LEAST}


def _grouped(
    session: Session, rows: Sequence[Cluster], left: Mapping[int, tuple[int, ...]], version_id: int | None
) -> list[Group]:
    figures = {figure_id for one in left.values() for figure_id in one}
    said = machine_queries.best_leaves(session, version_id, figures) if version_id else []
    best = {figure_id: qid for figure_id, qid, _ in said}
    called = taxon_service.current(session, best.values())
    groups = []
    for row in rows:
        if row.number in left:
            counts = Counter(called[best[one]] for one in left[row.number] if one in best)
            qid, n = max(counts.items(), key=lambda one: (one[1], one[0])) if counts else (None, 0)
            groups.append(Group(row.number, left[row.number], row.cohesion, qid, n))
    return groups


def within(session: Session, groups: Sequence[Group], field: Collection[str]) -> list[Group]:
    """Return the groups that the model puts within one of these taxa, and those of which it says nothing."""
    lines = taxa.lineages(session, {one.suggested for one in groups if one.suggested})
    return [one for one in groups if one.suggested is None or not set(field).isdisjoint(lines.get(one.suggested, ()))]


def name_all(
    session: Session, door: Door, person: Person, number: int, figure_ids: Collection[int], form: Form, now: datetime
) -> Named:
    """Give one person's word on each of these figures of a group, in the caller's transaction.

    The same form again answers as the first time. A figure that somebody else named meanwhile gets this word beside
    theirs. Raises ConflictError where a figure is not in this group, and NotAllowedError for volunteers.
    """
    door.require(Role.SPECIALIST)
    if not figure_ids:
        raise BadInputError("Leave at least one picture ticked.")
    keys = {_submission(form.form_id, figure_id): figure_id for figure_id in figure_ids}
    earlier = cluster_queries.by_submissions(session, keys)
    if len(earlier) < len(keys):
        said_before = {row.figure_id for row in earlier}
        _require_in(session, door, number, set(figure_ids) - said_before)
    given = []
    for key, figure_id in sorted(keys.items(), key=lambda one: one[1]):  # one order for all: nobody waits in a ring
        said = Submission(
            submission_id=key,
            answer=form.answer,
            taxon_qid=form.taxon_qid,
            confidence=form.confidence,
            comment=form.comment,
            shown={"cluster": number, "figures": form.n_shown},
        )
        given.append(identifications.submit(session, person, figure_id, said, now).identification)
    _put_away_or_back(session, door, number)
    return Named(tuple(given), len(earlier) == len(keys))


def _submission(form_id: str, figure_id: int) -> str:
    """Return the submission id of one figure in a form: the same form makes the same ones."""
    try:
        return uuid.uuid5(uuid.UUID(form_id), str(figure_id)).hex
    except ValueError as error:
        raise BadInputError("The form has no submission id. Reload the page and try again.") from error


def _require_in(session: Session, door: Door, number: int, figure_ids: Collection[int]) -> None:
    row = cluster_queries.cluster(session, door.campaign.id or 0, number)
    if row is None or not set(figure_ids) <= set(row.figure_ids):
        raise ConflictError("The groups were made anew meanwhile. Reload the page and look again.")


def _put_away_or_back(session: Session, door: Door, number: int) -> None:
    """Put a group away of which too little is left for anybody, and back where enough waits again."""
    row = cluster_queries.cluster(session, door.campaign.id or 0, number)
    if row is not None:
        left = cluster_queries.unnamed_among(session, door.campaign.id or 0, row.figure_ids)
        cluster_queries.put_away(session, row, is_done=len(left) < LEAST)


def undo(session: Session, door: Door, person: Person, identification_id: int, now: datetime) -> int:
    """Take back all that one form said of a group, known by one of its identifications; return how many."""
    together = said_together(session, person, identification_id)
    if not together:
        raise NotFoundError("There is no such identification.")
    for row in together:
        determination = identifications.withdraw(session, person, row.id or 0, now)
        if determination.campaign_id != door.campaign.id:
            raise NotFoundError("There is no such identification in this campaign.")
    _put_away_or_back(session, door, together[0].shown["cluster"])
    return len(together)


def said_together(session: Session, person: Person, identification_id: int) -> list[Identification]:
    """Return what stands of a form on a group, known by one of its identifications; empty where it is not theirs."""
    one = identification_queries.identification(session, identification_id)
    if one is None or one.person_id != person.id or "cluster" not in one.shown:
        return []
    rows = cluster_queries.given_together(session, one.person_id, one.created_at)
    return [row for row in rows if row.shown == one.shown]


def set_aside(session: Session, door: Door, person: Person, number: int, now: datetime) -> None:
    """Pass a group over: none of its figures is offered to this person for a week."""
    door.require(Role.SPECIALIST)
    row = cluster_queries.cluster(session, door.campaign.id or 0, number)
    if row is None:
        raise ConflictError("The groups were made anew meanwhile. Reload the page and look again.")
    session.add_all(Skip(figure_id=one, person_id=person.id or 0, at=now) for one in row.figure_ids)
