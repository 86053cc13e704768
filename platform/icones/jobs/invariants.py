"""What must always hold in the database, as data: a question, the answer it must have, and what it means.

Asked every night in production, and after the tests that write.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from icones.config import Settings
from icones.db import Database
from icones.jobs import queries
from icones.jobs.pictures import keep_within_limit
from icones.jobs.runner import Progress
from icones.models import Campaign, JobRun


@dataclass(frozen=True)
class Invariant:
    """A question that counts offenders: the right answer is always 0."""

    name: str
    question: str
    meaning: str


INVARIANTS = (
    Invariant(
        "every figure has a determination",
        "SELECT count(*) FROM figure f LEFT JOIN determination d ON d.figure_id = f.id WHERE d.figure_id IS NULL",
        "A figure without a state is on no page and in no export.",
    ),
    Invariant(
        "what is settled waits for nobody",
        "SELECT count(*) FROM reviewtask t JOIN determination d ON d.figure_id = t.figure_id "
        "WHERE d.state IN ('verified', 'unidentifiable') AND t.reason <> 'removed_elsewhere'",
        "People would be asked what is known.",
    ),
    Invariant(
        "what is not settled waits for somebody",
        "SELECT count(*) FROM determination d LEFT JOIN reviewtask t ON t.figure_id = d.figure_id "
        "WHERE t.figure_id IS NULL AND d.state NOT IN ('verified', 'unidentifiable')",
        "The figure would be forgotten.",
    ),
    Invariant(
        "what is verified has a word behind it",
        "SELECT count(*) FROM determination d WHERE d.state IN ('verified', 'agreed', 'unidentifiable') AND NOT EXISTS "
        "(SELECT 1 FROM identification i WHERE i.figure_id = d.figure_id AND i.ended_at IS NULL) AND NOT "
        "(d.state = 'verified' AND d.settled_by IS NULL AND d.n_agree = 0 AND EXISTS "
        "(SELECT 1 FROM campaign c WHERE c.id = d.campaign_id AND c.auto_validates AND c.writes = 'off'))",
        "Nothing is verified that no person said, but where a curator lets the model verify alone.",
    ),
    Invariant(
        "where the model verifies alone nothing is written",
        "SELECT count(*) FROM campaign WHERE auto_validates AND writes <> 'off'",
        "What no person confirmed could reach Commons.",
    ),
    Invariant(
        "what the model verified alone tells which version did",
        "SELECT count(*) FROM determination d WHERE d.state = 'verified' AND d.settled_by IS NULL AND d.n_agree = 0 "
        "AND NOT EXISTS (SELECT 1 FROM determinationchange h WHERE h.figure_id = d.figure_id "
        "AND h.after = 'verified' AND h.model_version_id IS NOT NULL)",
        "Nobody could say on what its name rests.",
    ),
    Invariant(
        "a verified determination has an answer",
        "SELECT count(*) FROM determination WHERE state = 'verified' AND "
        "(answer IS NULL OR (answer = 'taxon') <> (taxon_qid IS NOT NULL))",
        "It would be exported without a name.",
    ),
    Invariant(
        "an identification names a taxon exactly when it says so",
        "SELECT count(*) FROM identification WHERE (answer = 'taxon') <> (taxon_qid IS NOT NULL)",
        "An answer that means nothing.",
    ),
    Invariant(
        "an ended identification says why",
        "SELECT count(*) FROM identification WHERE (ended_at IS NULL) <> (ending IS NULL)",
        "The history would not tell what happened.",
    ),
    Invariant(
        "every taxon is in its own lineage",
        "SELECT count(*) FROM taxon t LEFT JOIN taxonancestor a ON a.taxon_qid = t.qid AND a.ancestor_qid = t.qid "
        "AND a.distance = 0 WHERE a.taxon_qid IS NULL",
        "Consensus would not see that a taxon agrees with itself.",
    ),
    Invariant(
        "a name means a taxon exactly when it is matched or settled",
        "SELECT count(*) FROM nameanswer WHERE (state IN ('matched', 'settled')) <> (taxon_qid IS NOT NULL)",
        "A page would show a name without a taxon, or a taxon that nobody trusts.",
    ),
    Invariant(
        "an image that is ready has a file",
        "SELECT count(*) FROM illustration WHERE state = 'ready' AND image_sha1 = ''",
        "The page would show a broken image.",
    ),
    Invariant(
        "what is shown was made from the file that is listed",
        "SELECT count(*) FROM illustration WHERE state = 'ready' AND sha1 <> '' AND fetched_sha1 <> sha1",
        "People would name what the file does not show any more.",
    ),
    Invariant(
        "a champion was published and is not retired",
        "SELECT count(*) FROM modelversion WHERE state = 'champion' "
        "AND (published_at IS NULL OR retired_at IS NOT NULL)",
        "The record of models contradicts itself.",
    ),
    Invariant(
        "a depicts edit that is done was written or found written",
        "SELECT count(*) FROM depictsedit WHERE state = 'done' AND (wrote_at IS NULL OR account = '')",
        "Nobody could say who wrote it, and when.",
    ),
    Invariant(
        "a depicts edit that ended says why",
        "SELECT count(*) FROM depictsedit WHERE state NOT IN ('waiting', 'sending', 'done') AND reason = ''",
        "An edit would have vanished without a reason.",
    ),
    Invariant(
        "an edit under way has a sender and an end of its lease",
        "SELECT count(*) FROM depictsedit WHERE state = 'sending' AND (sender = '' OR lease_until IS NULL)",
        "It would be held for ever.",
    ),
    Invariant(
        "what goes out was sent off by somebody",
        "SELECT count(*) FROM depictsedit WHERE batch_id IS NULL AND state IN ('sending', 'done')",
        "Nothing is written without a person's click.",
    ),
    Invariant(
        "one taxon is stated once on a file by us",
        "SELECT count(*) FROM (SELECT illustration_id, qid FROM depictsedit WHERE action = 'add' AND state = 'done' "
        "AND undone_at IS NULL AND gone_at IS NULL GROUP BY illustration_id, qid HAVING count(*) > 1) twice",
        "The same statement would stand twice on Commons.",
    ),
    Invariant(
        "leave to write is kept only of those who said yes",
        "SELECT count(*) FROM wikigrant g JOIN person p ON p.id = g.person_id WHERE NOT p.writes_in_own_name",
        "We would hold a token that its owner took back.",
    ),
    Invariant(
        "a figure belongs to its illustration's campaign",
        "SELECT count(*) FROM figure f JOIN illustration i ON i.id = f.illustration_id "
        "WHERE f.campaign_id <> i.campaign_id",
        "It would be counted in the wrong campaign.",
    ),
)


def broken(session: Session) -> list[tuple[Invariant, int]]:
    """Return the invariants that do not hold, each with the number of offenders."""
    found = []
    for invariant in INVARIANTS:
        offenders = session.connection().execute(sa.text(invariant.question)).scalar_one()
        if offenders:
            found.append((invariant, int(offenders)))
    return found


def check_invariants(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Check all invariants and put what is broken into the log; then clear the image store of what has no room."""
    progress.step("Checking what must always hold", 0, len(INVARIANTS))
    with database.reading() as session:
        offenders = broken(session)
    for invariant, count in offenders:
        progress.note(f"Broken in {count} places: {invariant.name}. {invariant.meaning}")
    progress.step("Clearing the image store")
    removed = keep_within_limit(settings, database, progress)
    return {
        "checked": len(INVARIANTS),
        "broken": {invariant.name: count for invariant, count in offenders},
        "files_removed": removed,
        queries.NOTHING_NEW: not offenders,
    }
