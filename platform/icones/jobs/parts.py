"""Many figures decided in parts, each in a transaction of its own: people go on naming in between."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlmodel import Session

from icones.clock import utc_now
from icones.db import Database
from icones.models import Campaign

AT_ONCE = 500
"""Figures decided in one transaction: on SQLite others wait for it, for about a second."""

Decide = Callable[[Session, Campaign, Collection[int], datetime], int]
"""Decides figures and returns how many changed."""


def in_parts(
    database: Database,
    campaign: Campaign,
    figure_ids: Sequence[int],
    decide: Decide,
    on_part: Callable[[int, int], None] | None = None,
) -> int:
    """Decide figures part by part and return how many changed; a run that is killed in between has done a part.

    ``on_part`` is told after each part how many figures are done, of how many.
    """
    changed = 0
    for start in range(0, len(figure_ids), AT_ONCE):
        part = figure_ids[start : start + AT_ONCE]
        with database.writing() as session:
            changed += decide(session, session.get_one(Campaign, campaign.id), part, utc_now())
        if on_part is not None:
            on_part(start + len(part), len(figure_ids))
    return changed
