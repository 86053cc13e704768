"""What the model names alone: only where a curator turned it on, and never where a campaign writes to Commons.

A taxon has a threshold only where the model card proves, on figures of the frozen holdout whose names people verified,
that from this probability on at least the asked share is right. The best leaf must lie at or above its own taxon's
threshold, and the figure must look like what the model knows.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlmodel import Session

from icones.identifications import machine_queries as queries
from icones.identifications.consensus import MachineWord
from icones.models import Campaign, ModelVersion, Writes
from icones.taxa import service as taxa

DIGITS = 5
"""As many digits of a probability are kept with a prediction; thresholds are compared in as many."""
NO_LONGER = "The model's word alone no longer counts."
"""What the history adds where a figure goes back because the model's word does not count any more."""


def is_on(campaign: Campaign) -> bool:
    """Say whether the model verifies figures alone here."""
    return campaign.auto_validates and campaign.writes is Writes.OFF


def words(session: Session, campaign: Campaign, figure_ids: Collection[int] | None = None) -> dict[int, MachineWord]:
    """Return what the serving model names alone of these figures (None: of all); empty where that is not turned on.

    Whether people have spoken of them is not looked at here.
    """
    return above(session, campaign, figure_ids) if is_on(campaign) else {}


def above(session: Session, campaign: Campaign, figure_ids: Collection[int] | None = None) -> dict[int, MachineWord]:
    """Return what lies above its taxon's threshold, whether the model may verify here or not."""
    version = queries.champion(session, campaign.id or 0)
    if version is None or (figure_ids is not None and not figure_ids):
        return {}
    proven = thresholds(version, campaign.auto_precision)
    if not proven:
        return {}
    found = [
        (figure_id, qid, p)
        for figure_id, qid, p in queries.best_leaves(session, version.id or 0, figure_ids, queries.KNOWN)
        if qid in proven and p >= round(proven[qid]["threshold"], DIGITS)
    ]
    now_called = taxa.current(session, {qid for _, qid, _ in found})
    return {
        figure_id: MachineWord(now_called[qid], _rule(p, proven[qid], version), version.id or 0)
        for figure_id, qid, p in found
    }


def thresholds(version: ModelVersion, precision: float) -> Mapping[str, dict[str, Any]]:
    """Return by taxon the thresholds of a version's card that prove at least this share; others prove nothing here.

    Nor does a card that does not tell what they rest on: older ones took names that nobody had checked, too.
    """
    card = version.report.get("card") or {}
    if not card.get("proof"):
        return {}
    return {
        row["qid"]: row
        for row in card.get("thresholds", ())
        if row["threshold"] is not None and row["target"] >= precision - 1e-9
    }


def _rule(p: float, proven: Mapping[str, Any], version: ModelVersion) -> str:
    least, share = _told(proven["threshold"]), f"{100 * proven['target']:.4g}"
    return (
        f"The model alone: probability {_told(p)}, at or above {least} for this taxon, "
        f"where at least {share} % were right (version {version.number}); turned on by a curator."
    )


def _told(p: float) -> str:
    """Return a probability in the digits that are kept; none is told as certainty."""
    return f"{min(p, 1 - 10**-DIGITS):.{DIGITS}f}".rstrip("0")
