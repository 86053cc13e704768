"""Who may not see yet what others and the model say of a figure: those who may still give one of its first votes.

The first people to name a figure (``blind_votes`` of the campaign's rules) have seen no answer before, so that they can
be right where the model or somebody else is wrong. All pages and the API go by the one rule here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from icones.identifications import queries
from icones.models import Campaign, Determination, DeterminationState

SETTLED = frozenset({DeterminationState.VERIFIED, DeterminationState.UNIDENTIFIABLE})
"""States in which nobody is asked any more: what was found is public."""


@dataclass(frozen=True)
class Sight:
    """What decides whether somebody sees the answers on a figure."""

    n_others: int
    """How many other people have named it."""
    has_spoken: bool = False
    """Whether they have ever said something of it themselves: then they were told what the model thinks."""
    is_settled: bool = False
    """Whether nobody is asked about it any more."""
    reviews: bool = False
    """Whether they look at it as a specialist or as a curator, who weigh all there is."""


def is_kept_back(blind_votes: int, sight: Sight) -> bool:
    """Say whether the answers of others and of the model are kept back: a vote given now would be one of the first.

    Somebody who is not signed in has not spoken: they may vote later.
    """
    if sight.reviews or sight.has_spoken or sight.is_settled:
        return False
    return sight.n_others < blind_votes


def kept_back(
    session: Session, campaign: Campaign, person_id: int | None, known: Mapping[int, Determination]
) -> frozenset[int]:
    """Return those of a campaign's figures (with their states) whose answers a person who may vote may not see yet."""
    if campaign.closed_at is not None or not campaign.blind_votes:
        return frozenset()
    asked = [figure_id for figure_id, row in known.items() if row.state not in SETTLED]
    speakers = queries.speakers(session, asked)
    return frozenset(
        figure_id
        for figure_id in asked
        if is_kept_back(campaign.blind_votes, _sight(*speakers.get(figure_id, (set(), set())), person_id))
    )


def _sight(ever: set[int], standing: set[int], person_id: int | None) -> Sight:
    return Sight(len(standing - {person_id}), person_id in ever)
