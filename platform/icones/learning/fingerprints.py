"""Fingerprints: which figures are near-duplicates of one another, and which could not be looked at, and why."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import near_duplicate_groups
from active_learning.embedding import NO_VECTOR
from icones.learning import fingerprint_queries
from icones.learning.service import ToEmbed, keep_embeddings, made_from
from icones.models import Campaign


@dataclass(frozen=True)
class Looked:
    """What came of looking at some figures: vectors and hashes of the same length, and the problems by figure."""

    figures: Sequence[ToEmbed]
    vectors: NDArray[np.float32] | None
    """(n, d), or None where only hashes were made."""
    hashes: Sequence[str]
    problems: Sequence[tuple[ToEmbed, str]]


@dataclass(frozen=True)
class Problem:
    """A figure that could not be looked at."""

    figure_id: int
    illustration_id: int
    title: str
    box: str | None
    words: str


@dataclass(frozen=True)
class Prints:
    """The figures of a campaign with a current fingerprint and vector."""

    ids: Sequence[int]
    hashes: Sequence[str]
    pages: Sequence[int]
    """The illustration of each."""
    groups: Sequence[int | None]
    """As they are written now."""
    x: NDArray[np.float32]
    """(n, d)"""


def keep(session: Session, backbone: str, looked: Looked, now: datetime) -> None:
    """Keep what came of looking at figures, in this transaction; what is there already stays as it is."""
    if looked.vectors is not None:
        keep_embeddings(session, backbone, list(zip(looked.figures, looked.vectors, strict=True)), now)
    seen = [(item, phash, "") for item, phash in zip(looked.figures, looked.hashes, strict=True)]
    failed = [(item, "", words[:500]) for item, words in looked.problems]
    rows = [
        {
            "figure_id": item.figure_id,
            "source": item.source,
            "phash": phash,
            "problem": words,
            "group_id": None,  # until the groups are made anew
            "created_at": now,
        }
        for item, phash, words in (*seen, *failed)
    ]
    fingerprint_queries.keep_fingerprints(session, rows)


def without_fingerprint(
    session: Session, campaign: Campaign, backbone: str, only: Collection[int] | None = None
) -> list[ToEmbed]:
    """Return the figures (those in ``only``, if told) that were embedded before there were fingerprints."""
    found = []
    for row in fingerprint_queries.seen(session, campaign.id or 0, backbone, only):
        source = made_from(row.image_sha1, row.box)
        if row.embedded_from == source and row.hashed_from != source:
            found.append(ToEmbed(row.figure_id, row.image_sha1, row.box, source))
    return found


def forget_mended(session: Session, campaign_id: int, kept_at: Callable[[str], datetime | None]) -> None:
    """Let figures be tried again whose image was kept anew after it could not be looked at.

    ``kept_at`` tells when the image of a name was last kept, None where it is not there. A network that made nothing
    of an image says nothing about the image: what was once written down as its problem is forgotten too.
    """
    mended = []
    for row, _, illustration in fingerprint_queries.problems(session, campaign_id):
        moment = kept_at(illustration.image_sha1)
        if row.problem == NO_VECTOR or (moment is not None and moment > row.created_at):
            mended.append(row.figure_id)
    fingerprint_queries.forget(session, mended)


def are_grouped(session: Session, campaign: Campaign) -> bool:
    """Say whether every figure that was looked at was compared with the others."""
    return not fingerprint_queries.has_ungrouped(session, campaign.id or 0)


def prints(session: Session, campaign: Campaign, backbone: str) -> Prints:
    """Return what the near-duplicates of a campaign are found from."""
    rows = [
        row
        for row in fingerprint_queries.seen(session, campaign.id or 0, backbone)
        if not row.problem and row.embedded_from == row.hashed_from == made_from(row.image_sha1, row.box)
    ]
    return Prints(
        [row.figure_id for row in rows],
        [row.phash or "" for row in rows],
        [row.illustration_id for row in rows],
        [row.group_id for row in rows],
        fingerprint_queries.matrix(session, backbone, [row.figure_id for row in rows]),
    )


def new_groups(found: Prints) -> dict[int, int]:
    """Return the new group of each figure that has another one than is written. Slow: call it in no transaction."""
    groups = near_duplicate_groups(found.ids, found.hashes, found.x, pages=found.pages)
    return {key: groups[key] for key, before in zip(found.ids, found.groups, strict=True) if groups[key] != before}


def keep_groups(session: Session, groups: Mapping[int, int]) -> None:
    """Write the groups that changed."""
    fingerprint_queries.set_groups(session, groups)


def groups_of(session: Session, campaign_id: int) -> dict[int, int]:
    """Return for each figure that was looked at the smallest id among its near-duplicates, or its own."""
    return fingerprint_queries.groups(session, campaign_id)


def problems_of(session: Session, campaign_id: int) -> list[Problem]:
    """Return the figures of a campaign that could not be looked at as their image is now, by title."""
    return [
        Problem(row.figure_id, illustration.id or 0, illustration.title, figure.box, row.problem)
        for row, figure, illustration in fingerprint_queries.problems(session, campaign_id)
        if row.source == made_from(illustration.image_sha1, figure.box)
    ]
