"""What is on the screen when a person names a figure, and the record of it.

The first people name a figure without seeing what the model says of it, so that they can be right where it is wrong;
the server decides who they are. What is recorded of a screen is looked up here, never believed from a form.
"""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.identifications import queries as identifications
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.models import Person
from icones.review import queries as review
from icones.review import service as review_service


def is_withheld(session: Session, door: Door, person: Person | None, figure_id: int) -> bool:
    """Say whether the tag page keeps what the model says of a figure to itself: while too few others have named it."""
    _, standing = identifications.speakers(session, figure_id)
    return len(standing - {_id(person)}) < door.campaign.blind_votes


def is_gold(session: Session, door: Door, person: Person | None, figure_id: int, now: datetime) -> bool:
    """Say whether this figure is asked of this person now to see how well they know it."""
    return review_service.asked_as_gold(session, door, person, now) == figure_id


def on_tag_page(
    session: Session, door: Door, person: Person, figure_id: int, model_version_id: int | None, now: datetime
) -> dict[str, Any]:
    """Return the record of what this person saw of the model before they answer on the tag page, or by the API.

    A form that names a model version although nothing was shown to its person is recorded as blind. Whoever has
    answered before was told afterwards what the model thinks: their second thought is never blind. ``gold`` is true
    where a specialist has settled the figure already and nobody told.
    """
    ever, _ = identifications.speakers(session, figure_id)
    if _id(person) in ever:
        serving = learning_queries.prediction(session, figure_id)
        return _record(session, figure_id, model_version_id or (serving[1].id if serving else None))
    if is_gold(session, door, person, figure_id, now):
        return {"blind": True, "gold": True}
    # Whoever took their word back was counted when the page was made: all who ever spoke count here.
    if not door.is_specialist and len(ever) < door.campaign.blind_votes:
        return {"blind": True}
    return _record(session, figure_id, model_version_id)


def on_review_page(session: Session, figure_id: int, model_version_id: int | None) -> dict[str, Any]:
    """Return the record of what a specialist saw: they settle, and see all there is."""
    return _record(session, figure_id, model_version_id)


def _record(session: Session, figure_id: int, model_version_id: int | None) -> dict[str, Any]:
    seen = learning.shown(session, figure_id, model_version_id)
    task = review.task(session, figure_id)
    return seen if seen.get("blind") else seen | {"reason": task.reason if task else ""}


def _id(person: Person | None) -> int:
    return person.id or 0 if person else 0
