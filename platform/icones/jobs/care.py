"""The care job: what became of our edits. The community's word counts: too many reverts stop a campaign's writing."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import outbox, queries, service
from icones.jobs.queries import NOTHING_NEW
from icones.jobs.runner import Progress
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, DepictsEdit, JobRun
from wiki_sync import Changes, LiveFiles

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=30)
REVERTED = "mw-reverted"
FEWEST = 3
"""Fewer reverts than this stop nothing: of four edits one reverted is a quarter, and says little."""


def care(settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress) -> dict[str, Any]:
    """Look at the revisions we made in the last 30 days; note reverts, ask about them, and pause if they are many."""
    since = utc_now() - LOOK_BACK
    with database.reading() as session:
        edits = queries.written(session, campaign.id or 0, since)
    progress.step("Looking at what became of our edits", 0, len(edits))
    asked = [edit.revision for edit in edits if edit.revision is not None and edit.reverted_at is None]
    facts = Changes(wiki_config(settings)).revisions(asked) if asked else {}
    marked = [edit for edit in edits if edit.revision in facts and REVERTED in facts[edit.revision].tags]
    standing = _standing(settings, marked)
    with database.writing() as session:
        new = _note_reverts(session, [edit for edit in marked if edit.id not in standing], utc_now())
        share = _consider(session, session.get_one(Campaign, campaign.id), since, utc_now())
    if new:
        progress.note(f"{new} of our edits were reverted since the last look.")
    return {"looked_at": len(edits), "reverted": new, "share": round(share, 4), NOTHING_NEW: not new}


def _standing(settings: Settings, edits: Sequence[DepictsEdit]) -> set[int]:
    """Return those of these edits whose statement stands in spite of the mark, or went with its whole file.

    The mark stays on a revision when the revert was itself reverted.
    """
    pages = {edit.id or 0: int(edit.guid[1:].partition("$")[0]) for edit in edits}
    live = LiveFiles(wiki_config(settings)).read(list(pages.values())) if pages else {}
    return {
        edit.id or 0
        for edit in edits
        if not live[pages[edit.id or 0]].exists
        or any(
            one.statement_id == edit.guid and one.qid == edit.qid and one.rank != "deprecated"
            for one in live[pages[edit.id or 0]].depicts
        )
    }


def _note_reverts(session: Session, edits: Sequence[DepictsEdit], now: datetime) -> int:
    for edit in edits:
        row = session.get_one(DepictsEdit, edit.id)
        row.reverted_at = now
        session.add(row)
        if row.gone_at is None and row.undone_at is None:
            outbox.miss(session, row, "Somebody reverted our edit on the wiki.", now)
    return len(edits)


def _consider(session: Session, campaign: Campaign, since: datetime, now: datetime) -> float:
    """Pause a campaign whose share of reverted edits is above its limit; return the share, 0 to 1.

    Our own undos are no reverts. After a curator let it go on, only what was written since then counts.
    """
    edits = [edit for edit in queries.written(session, campaign.id or 0, since) if edit.undone_at is None]
    if campaign.writing_went_on_at is not None:
        edits = [edit for edit in edits if edit.wrote_at and edit.wrote_at > campaign.writing_went_on_at]
    reverted = sum(edit.reverted_at is not None for edit in edits)
    share = reverted / len(edits) if edits else 0.0
    if reverted >= FEWEST and share > campaign.revert_limit:
        why = (
            f"{reverted} of the {len(edits)} edits of the last 30 days were reverted on the wiki "
            f"({share:.0%}; the limit is {campaign.revert_limit:.0%}). Find out why before you let it go on."
        )
        service.pause(session, campaign, why, now)
    return share
