"""The job that weighs a campaign's votes by who is right how often, and puts the work in order by it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlmodel import Session

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import crowd, crowd_queries
from icones.identifications import service as identifications
from icones.jobs import queries
from icones.jobs.parts import in_parts
from icones.jobs.runner import Progress
from icones.learning import labels
from icones.models import Campaign, JobRun


def weigh_votes(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Learn the crowd from all standing votes, keep what they amount to, and move tasks accordingly.

    No determination changes by it: the public rule reads the votes alone. Skills and opinions are kept at once, and
    the tasks follow part by part: people go on naming meanwhile. A run that is killed in between has moved a part, and
    the next one moves the rest.
    """
    with database.reading() as session:
        polled = crowd.poll(session, campaign)
        taxonomy = labels.taxonomy_of(session, polled.nodes)
    progress.step(f"Weighing {len(polled.votes)} votes")
    found = crowd.weigh(polled, taxonomy)
    progress.step(f"Putting {len(found.opinions)} figures in order")
    with database.writing() as session:
        crowd.keep(session, campaign, polled, found, utc_now())
    moved = in_parts(database, campaign, [one.figure for one in found.opinions], _moved, progress.at)
    with database.reading() as session:
        doubtful = len(crowd.doubtful(session, campaign.id or 0))
    retired = sum(one.may_retire for one in found.opinions)
    progress.note(f"{retired} need no more votes, {doubtful} deserve another look, {moved} moved in the queues.")
    return {
        "votes": len(polled.votes),
        "figures": len(found.opinions),
        "retired": retired,
        "doubtful": doubtful,
        "moved": moved,
        queries.NOTHING_NEW: not moved,
    }


def _moved(session: Session, campaign: Campaign, figure_ids: Collection[int], now: datetime) -> int:
    """Decide anew where figures wait; return how many wait elsewhere than before, or for another reason."""
    before = crowd_queries.places(session, figure_ids)
    identifications.recompute(session, campaign, figure_ids, now)
    session.flush()
    return sum(before.get(key) != place for key, place in crowd_queries.places(session, figure_ids).items())
