"""What a person may see of a figure before they name it, what is on the screen then, and the record of it.

The first people name a figure without seeing what others and the model say of it, so that they can be right where
these are wrong; the server decides who they are, by one rule (identifications/blind.py). What is recorded of a screen
is looked up here, never believed from a form.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door
from icones.identifications import blind
from icones.identifications import queries as identifications
from icones.identifications.blind import SETTLED, Sight
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.models import Campaign, Determination, DeterminationState, Person
from icones.review import queries as review
from icones.review import service as review_service
from icones.web.render import translations


def kept_back(
    session: Session, door: Door, person: Person | None, known: Mapping[int, Determination], now: datetime
) -> frozenset[int]:
    """Return those of a campaign's figures (with their states) whose answers this person may not see yet.

    These are the ones on which their vote would be among the first, and a settled one of which they are asked now to
    see how well they know it. Specialists and curators see all.
    """
    if door.is_specialist:
        return frozenset()
    asked = review_service.asked_as_gold(session, door, person, now)
    return voted_blind(session, door.campaign, person, known) | (frozenset({asked} if asked else ()) & known.keys())


def kept_back_in(
    session: Session,
    places: Sequence[Campaign],
    person: Person | None,
    known: Mapping[int, Determination],
    now: datetime,
) -> frozenset[int]:
    """Return the same for figures of several campaigns; of figures of others nothing is kept back."""
    found: frozenset[int] = frozenset()
    for campaign in places:
        own = {key: row for key, row in known.items() if row.campaign_id == campaign.id}
        if own:
            found |= kept_back(session, campaigns.door_of(session, campaign, person), person, own, now)
    return found


def voted_blind(
    session: Session, campaign: Campaign, person: Person | None, known: Mapping[int, Determination]
) -> frozenset[int]:
    """Return those of these figures on which this person's vote would be among the first, whatever their role."""
    return blind.kept_back(session, campaign, person.id if person else None, known)


def state_of(row: Determination, kept: frozenset[int]) -> DeterminationState:
    """Return the state of a figure as pages tell it: that one is settled is not told while its answer is kept back."""
    return DeterminationState.OPEN if row.figure_id in kept and row.state in SETTLED else row.state


def taxon_of(row: Determination, kept: frozenset[int]) -> str:
    """Return what a figure is named, empty where it is not or where that is kept back."""
    return "" if row.figure_id in kept else row.taxon_qid or ""


def is_name_kept(row: Determination, kept: frozenset[int]) -> bool:
    """Say whether a name is there that is shown later; of a settled figure even that is not told."""
    return row.figure_id in kept and row.taxon_qid is not None and row.state not in SETTLED


def why_kept_back(campaign: Campaign, language: str) -> str:
    """Return in a sentence why the answers on a figure are kept back."""
    catalogue = translations(language)
    if not campaign.blind_votes:
        return catalogue.ugettext("Say first what you see: answers are shown after yours.")
    return catalogue.ungettext(
        "%(num)s person names this one before answers are shown.",
        "%(num)s people name this one before answers are shown.",
        campaign.blind_votes,
    ) % {"num": campaign.blind_votes}


def is_gold(session: Session, door: Door, person: Person | None, figure_id: int, now: datetime) -> bool:
    """Say whether this figure is asked of this person now to see how well they know it."""
    return review_service.asked_as_gold(session, door, person, now) == figure_id


def reason_told(reason: str, *, withheld: bool) -> str:
    """Return why a figure is asked about; what would tell of the model's answer is said otherwise while it is kept."""
    return "unaided" if withheld and reason == "likely" else reason


def on_tag_page(
    session: Session, door: Door, person: Person, figure_id: int, model_version_id: int | None, now: datetime
) -> dict[str, Any]:
    """Return the record of what this person saw of the model before they answer on the tag page, or by the API.

    A form that names a model version although nothing was shown to its person is recorded as blind. Whoever has
    answered before was told afterwards what the model thinks: their second thought is never blind. ``gold`` is true
    where a specialist has settled the figure already and nobody told.
    """
    ever, _ = identifications.speakers(session, [figure_id]).get(figure_id, (set(), set()))
    if person.id in ever:
        serving = learning_queries.prediction(session, figure_id)
        return _record(session, figure_id, model_version_id or (serving[1].id if serving else None))
    if is_gold(session, door, person, figure_id, now):
        return {"blind": True, "gold": True}
    # Whoever took their word back was counted when the page was made: all who ever spoke, and all that was ever
    # settled, count here.
    settled = any(row.after in SETTLED for row in identifications.changes(session, figure_id))
    if blind.is_kept_back(door.campaign.blind_votes, Sight(len(ever), False, settled, door.is_specialist)):
        return _with_reason(session, figure_id, {"blind": True})
    return _record(session, figure_id, model_version_id)


def on_review_page(session: Session, figure_id: int, model_version_id: int | None) -> dict[str, Any]:
    """Return the record of what a specialist saw: they settle, and see all there is."""
    return _record(session, figure_id, model_version_id)


def _record(session: Session, figure_id: int, model_version_id: int | None) -> dict[str, Any]:
    return _with_reason(session, figure_id, learning.shown(session, figure_id, model_version_id))


def _with_reason(session: Session, figure_id: int, seen: dict[str, Any]) -> dict[str, Any]:
    """Add why the figure is asked about now: figures asked by chance are what probabilities are made honest on."""
    task = review.task(session, figure_id)
    return seen | {"reason": task.reason} if task else seen
