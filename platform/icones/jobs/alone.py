"""After a version serves: what the model may verify alone is verified; what it no longer may goes back to people."""

from icones.db import Database
from icones.jobs.parts import in_parts
from icones.jobs.runner import Progress
from icones.learning import auto, queries
from icones.models import Campaign, ModelVersion


def settle(database: Database, campaign: Campaign, progress: Progress) -> int:
    """Bring what the model verifies alone in line with the version that serves; return how many changed their state.

    Nothing is done where a curator has not turned it on and nothing is left from before. A run that is killed in
    between has done a part, and the next one does the rest.
    """
    with database.reading() as session:
        due = auto.due(session, session.get_one(Campaign, campaign.id))
    released = in_parts(database, campaign, due.release, auto.release)
    settled = in_parts(database, campaign, due.settle, auto.settle)
    if released:
        progress.note(f"{released} figures went back to people: the model is not sure enough of them to verify alone.")
    if settled:
        progress.note(f"{settled} figures are verified on the model's word alone, as a curator turned on.")
    return settled + released


def measured_again(database: Database, campaign: Campaign, version: ModelVersion) -> None:
    """Let the serving version take over the thresholds of one that is the same model, measured for another share.

    A curator who asks for another share has it trained again: of the same labels comes the same model, which is no
    better and does not serve; but it was measured for what is asked now.
    """
    with database.writing() as session:
        champion = queries.champion(session, campaign.id or 0)
        same = session.get_one(ModelVersion, version.id)  # as it was written: lists, where tuples were
        if champion is None or _made_of(champion) != _made_of(same):
            return
        anew = same.report.get("card") or {}
        measured = {part: anew[part] for part in ("thresholds", "pooled", "proof") if part in anew}
        card = {**champion.report.get("card", {}), **measured}
        champion.report = {**champion.report, "card": card}
        session.add(champion)


def _made_of(version: ModelVersion) -> tuple[object, ...]:
    return version.snapshot_hash, version.seed, version.backbone, version.parameters
