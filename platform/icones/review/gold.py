"""Questions whose answer is known: now and then a volunteer is asked what a specialist has settled.

Nobody is told beforehand, and nothing the volunteer says there changes the determination: it shows how well people
know which group of taxa, which is what the crowd model goes by. Whom to ask what follows from the person and from how
much they have answered alone, so that a reload asks the same and nothing has to be remembered.
"""

import hashlib
from datetime import datetime

from sqlmodel import Session

from icones.identifications import queries as identifications
from icones.models import Campaign
from icones.review import gold_queries as queries

FEWEST = 20
"""Without so many settled figures people would soon know them by heart."""


def asked(session: Session, campaign: Campaign, person_id: int, skipped_after: datetime) -> int | None:
    """Return the settled figure that this person is asked now to see how well they know it; None: ask in earnest.

    Never a figure that they have ever said something of, settled themselves, or passed over after ``skipped_after``.
    Groups in which we do not know yet how reliable the person is come first.
    """
    key = campaign.id or 0
    if campaign.gold_share <= 0:
        return None
    lot = _lot(campaign.seed, key, person_id, identifications.n_answered(session, key, person_id))
    if lot % 10_000 >= round(campaign.gold_share * 10_000) or not queries.has_settled(session, key, FEWEST):
        return None
    return queries.figure_for(session, key, person_id, skipped_after, lot // 10_000)


def _lot(seed: int, campaign_id: int, person_id: int, n_answered: int) -> int:
    """Return a number drawn by these four alone, evenly over a wide range."""
    drawn = hashlib.sha256(f"{seed}:{campaign_id}:{person_id}:{n_answered}".encode()).digest()
    return int.from_bytes(drawn[:6])
