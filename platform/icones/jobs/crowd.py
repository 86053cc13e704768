"""The job that weighs a campaign's votes by who is right how often, and puts the work in order by it."""

from typing import Any

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import crowd, crowd_queries
from icones.identifications import service as identifications
from icones.jobs import queries
from icones.jobs.runner import Progress
from icones.learning import labels
from icones.models import Campaign, JobRun


def weigh_votes(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Learn the crowd from all standing votes, keep what they amount to, and move tasks accordingly; all or nothing.

    No determination changes by it: the public rule reads the votes alone.
    """
    with database.reading() as session:
        polled = crowd.poll(session, campaign)
        taxonomy = labels.taxonomy_of(session, polled.nodes)
    progress.step(f"Weighing {len(polled.votes)} votes")
    found = crowd.weigh(polled, taxonomy)
    progress.step(f"Putting {len(found.opinions)} figures in order")
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        before = crowd_queries.places(session, own.id or 0)
        crowd.keep(session, own, polled, found, utc_now())
        identifications.recompute(session, own, [one.figure for one in found.opinions], utc_now())
        session.flush()
        moved = sum(before.get(key) != place for key, place in crowd_queries.places(session, own.id or 0).items())
        doubtful = len(crowd.doubtful(session, own.id or 0))
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
