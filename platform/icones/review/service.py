"""What is done with review tasks: the next one found, one passed over."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.illustrations import service as illustrations
from icones.models import Person, Role, Skip
from icones.people import queries as people
from icones.review import gold, queries
from icones.taxa import service as taxa

SKIPPED_FOR = timedelta(days=7)


def next_figure(
    session: Session, door: Door, person: Person | None, now: datetime, leave: int | None = None
) -> int | None:
    """Return the figure to ask this person next, or None when there is nothing left for them.

    ``leave`` is a figure not to offer: the one just answered or passed over. No model is asked here: priorities
    are stored when a model is published.
    """
    known = asked_as_gold(session, door, person, now)
    if known is not None and known != leave:
        return known
    return queries.next_for(session, door.campaign.id or 0, person.id if person else None, now - SKIPPED_FOR, leave)


def asked_as_gold(session: Session, door: Door, person: Person | None, now: datetime) -> int | None:
    """Return the settled figure that a volunteer is asked now to see how well they know it; mostly None."""
    if person is None or door.role is not Role.VOLUNTEER:
        return None
    return gold.asked(session, door.campaign, person.id or 0, now - SKIPPED_FOR)


def waiting_for(
    session: Session, campaign_ids: Collection[int], person: Person | None, now: datetime
) -> dict[int, int]:
    """Return for each of these campaigns how many figures wait for this person; those with none are absent."""
    return queries.n_waiting_for(session, campaign_ids, person.id if person else None, now - SKIPPED_FOR)


def skip(session: Session, person: Person, figure_id: int, now: datetime) -> Door:
    """Pass a figure over: it is not offered to this person again for a week. Returns the campaign's door."""
    opened = illustrations.open_figure(session, figure_id, person)
    opened.door.require(Role.VOLUNTEER)
    session.add(Skip(figure_id=figure_id, person_id=person.id or 0, at=now))
    return opened.door


def field_of(session: Session, door: Door, person: Person) -> set[str]:
    """Return the taxa that a specialist of this campaign knows; empty for all, and for curators and admins."""
    if door.role is not Role.SPECIALIST:
        return set()
    member = people.membership(session, door.campaign.id or 0, person.id or 0)
    known = people.expertise(session, member.id or 0) if member else set()
    return set(taxa.current(session, known).values())
