"""What the model verifies alone, brought in line with the serving version: a suggestion until a curator turns it on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.identifications import machine, machine_queries
from icones.identifications import service as identifications
from icones.models import Campaign
from icones.taxa import service as taxa


@dataclass(frozen=True)
class Due:
    """Figures whose state does not fit what the serving model names alone."""

    settle: tuple[int, ...] = ()
    """It lies above its taxon's threshold, and nobody has spoken of it; or it is now taken for another taxon."""
    release: tuple[int, ...] = ()
    """It was verified by the model alone, and that word does not count any more."""


@dataclass(frozen=True)
class Suggested:
    """What the model could verify alone."""

    number: int
    """Of the version that serves."""
    n_taxa: int
    """Taxa with a threshold that proves the asked share."""
    n_figures: int
    """Figures above it that wait, and of which nobody has spoken."""
    n_waiting: int
    """All such figures that wait."""
    n_verified: int
    """Figures that are verified on the model's word alone now."""


def due(session: Session, campaign: Campaign) -> Due:
    """Return the figures to decide anew; those of which the model still says the same stay as they are."""
    present = machine_queries.verified_by_model(session, campaign.id or 0)
    words = machine.words(session, campaign)
    now_called = taxa.current(session, present.values())
    free = machine_queries.unspoken(session, campaign.id or 0) if words else set()
    another = {key for key in present.keys() & words.keys() if now_called.get(present[key]) != words[key].taxon_qid}
    return Due(tuple(sorted((words.keys() & free) | another)), tuple(sorted(present.keys() - words.keys())))


def settle(session: Session, campaign: Campaign, figure_ids: Collection[int], now: datetime) -> int:
    """Decide these figures anew, the model's word counting where it may; return how many changed their state."""
    return identifications.recompute(session, campaign, figure_ids, now)


def release(session: Session, campaign: Campaign, figure_ids: Collection[int], now: datetime) -> int:
    """Give these figures back to people, where the model's word does not count any more; return how many changed."""
    return identifications.recompute(session, campaign, figure_ids, now, because=machine.NO_LONGER)


def suggested(session: Session, campaign: Campaign) -> Suggested | None:
    """Return what the serving model could verify alone; None while none serves."""
    version = machine_queries.champion(session, campaign.id or 0)
    if version is None:
        return None
    free = machine_queries.unspoken(session, campaign.id or 0)
    above = machine.above(session, campaign)
    return Suggested(
        number=version.number,
        n_taxa=len(machine.thresholds(version, campaign.auto_precision)),
        n_figures=len(above.keys() & free),
        n_waiting=len(free),
        n_verified=len(machine_queries.verified_by_model(session, campaign.id or 0)),
    )
