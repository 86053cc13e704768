"""What of a model's record is open to a reader: facts of campaigns that they do not see are counted and left out."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session

from active_learning import ModelCard
from active_learning.training_set import NOWHERE
from icones.campaigns import queries
from icones.campaigns.service import Door
from icones.models import Person


@dataclass(frozen=True)
class LeftOut:
    """How much of a model's record is not told to a reader."""

    labels: int = 0
    sources: int = 0
    """Rows of the card on how it does in a campaign."""


def open_slugs(session: Session, door: Door, person: Person | None) -> frozenset[str]:
    """Return the short names of this campaign and of all that a person sees listed.

    An unlisted one is open to whoever knows its address; a record does not tell it to others. Of a model that learned
    from one campaign the source has no name, which is among them.
    """
    seen = queries.visible(session, person.id if person else None, bool(person and person.is_admin))
    return frozenset({NOWHERE, door.campaign.slug, *(one.slug for one in seen)})


def open_card(card: ModelCard, slugs: Collection[str]) -> tuple[ModelCard, int]:
    """Return a card with the rows of these campaigns only, and how many sources were left out."""
    rows = tuple(row for row in card.sources if row.source in slugs)
    return replace(card, sources=rows), len(card.sources) - len(rows)


def open_report(report: dict[str, Any], slugs: Collection[str]) -> tuple[dict[str, Any], int]:
    """Return the same for a report as it is kept, with its card."""
    card = report.get("card") or {}
    if "sources" not in card:
        return report, 0
    rows = [row for row in card["sources"] if row["source"] in slugs]
    return {**report, "card": {**card, "sources": rows}}, len(card["sources"]) - len(rows)


def open_labels(
    labels: Collection[dict[str, Any]], own: str, slugs: Collection[str]
) -> tuple[list[dict[str, Any]], int]:
    """Return the labels of these campaigns, and how many were left out; one that names no campaign is its ``own``.

    A group may bear the name of a source of another campaign. Where some of its labels are left out it is called after
    an image of those that stay.
    """
    shown = [label for label in labels if label.get("campaign", own) in slugs]
    if len(shown) == len(labels):
        return shown, 0
    hidden = {label["group"] for label in labels if label.get("campaign", own) not in slugs}
    images: dict[str, set[str]] = defaultdict(set)
    for label in shown:
        if label["group"] in hidden:
            images[label["group"]].add(label["source"].split(" ")[0])
    renamed = [
        {**label, "group": min(images[label["group"]])} if label["group"] in hidden else label for label in shown
    ]
    return renamed, len(labels) - len(shown)
