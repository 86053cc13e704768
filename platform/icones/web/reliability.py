"""How often people are right, as curators and they themselves read it: soberly, and only where enough is known."""

from dataclasses import dataclass
from itertools import groupby

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.identifications import crowd
from icones.identifications.crowd import Reliability
from icones.models import Person
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView


@dataclass(frozen=True)
class Reliable:
    """How often somebody is right, out of ten, over all taxa (``group`` None) or in one group; 95 % interval."""

    group: TaxonView | None
    of_ten: float
    low: float
    high: float
    n: int
    """On how many votes it rests."""


@dataclass(frozen=True)
class PersonReliability:
    """A person with how often they are right."""

    name: str
    is_specialist: bool
    """Whether this is about what they say as a specialist."""
    rows: tuple[Reliable, ...]
    """Over all taxa first."""


def reliability_of(session: Session, door: Door, person: Person, language: str) -> tuple[Reliable, ...]:
    """Return how often a person is right in this campaign as a volunteer; empty while too little is known."""
    found = crowd.reliabilities(session, door.campaign.id or 0, person.id or 0)
    return _rows(session, [one for one in found if not one.is_specialist], language)


def helpers(session: Session, door: Door, language: str) -> tuple[PersonReliability, ...]:
    """Return how often each person is right in this campaign, by name, as far as it is known."""
    found = crowd.reliabilities(session, door.campaign.id or 0)
    by_person = groupby(
        sorted(found, key=lambda one: (one.name, one.person_id, one.is_specialist)),
        key=lambda one: (one.name, one.person_id, one.is_specialist),
    )
    return tuple(PersonReliability(key[0], key[2], _rows(session, list(rows), language)) for key, rows in by_person)


def _rows(session: Session, found: list[Reliability], language: str) -> tuple[Reliable, ...]:
    names = taxa.views(session, {one.group_qid for one in found if one.group_qid}, language)
    n_groups = sum(one.group_qid in names for one in found)
    told = sorted(found, key=lambda one: (one.group_qid != "", -one.n, one.group_qid))
    return tuple(
        Reliable(
            names.get(one.group_qid),
            round(10 * one.accuracy, 1),
            round(10 * one.low, 1),
            round(10 * one.high, 1),
            one.n,
        )
        for one in told
        if not one.group_qid or (one.group_qid in names and n_groups > 1)  # one group alone says the same twice
    )
