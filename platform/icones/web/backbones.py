"""Which network looks at a campaign's plates, how it was chosen, and the button that has it chosen anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.jobs import queries as jobs
from icones.learning import trials
from icones.models import JobKind
from icones.web.jobs import JobView, start, views
from icones.web.render import render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class NetworkRow:
    """One network in a comparison. Accuracies are shares from 0 to 1, ``seconds`` are for one image."""

    name: str
    is_present: bool
    mean: float
    low: float
    high: float
    by_labels: tuple[float | None, ...]
    """One for each of the section's numbers of labels."""
    genus: float | None
    seconds: float | None


@dataclass(frozen=True)
class Section:
    """The present network and the last comparison; ``why`` is empty and ``at`` None before the first."""

    present: str
    why: str
    at: datetime | None
    n_figures: int
    n_taxa: int
    labels: tuple[int, ...]
    rows: tuple[NetworkRow, ...]
    refused: tuple[tuple[str, str], ...]
    """Networks that could not be tried, and why."""
    run: JobView | None
    """The comparison that waits or goes on now."""


@dataclass(frozen=True)
class BackbonesPage:
    """The section on a page of its own."""

    template: ClassVar[str] = "pages/backbones.html"
    door: Door
    backbones: Section
    section: str = "campaigns"


@dataclass(frozen=True)
class BackbonesFragment(BackbonesPage):
    """The section alone, for a page that takes it in."""

    template: ClassVar[str] = "fragments/backbones.html"


def section_of(session: Session, door: Door, settings: Settings) -> Section:
    """Return what a page shows of a campaign's network."""
    campaign = door.campaign
    present = campaign.backbone or settings.backbone
    under_way = jobs.unfinished(session, campaign.id, JobKind.CHOOSE) if door.is_curator else None
    trial = trials.latest(session, campaign)
    measured = [row for row in trial.results if "mean" in row] if trial else []
    labels = tuple(sorted({one["labels"] for row in measured for one in row["by_labels"]}))
    return Section(
        present=present,
        why=trial.why if trial else "",
        at=trial.at if trial else None,
        n_figures=trial.n_figures if trial else 0,
        n_taxa=trial.n_classes if trial else 0,
        labels=labels,
        rows=tuple(_row(row, labels, present) for row in measured),
        refused=tuple((row["name"], row["problem"]) for row in trial.results if "problem" in row) if trial else (),
        run=views(session, [under_way])[0] if under_way else None,
    )


def _row(row: Mapping[str, Any], labels: tuple[int, ...], present: str) -> NetworkRow:
    accuracy = {one["labels"]: one["accuracy"] for one in row["by_labels"]}
    return NetworkRow(
        name=row["name"],
        is_present=row["name"] == present,
        mean=row["mean"],
        low=row["low"],
        high=row["high"],
        by_labels=tuple(accuracy.get(n) for n in labels),
        genus=row["by_rank"].get("genus"),
        seconds=row["seconds"],
    )


@router.get("/c/{slug}/backbones")
def backbones_page(
    request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, settings: AppSettings
) -> Any:
    """Show which network looks at the plates and why; htmx gets the section only."""
    kind = BackbonesFragment if asking.is_htmx else BackbonesPage
    return render(request, kind(door, section_of(session, door, settings)))


@router.post("/c/{slug}/backbones")
def compare(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Ask for a comparison of all networks at hand."""
    start(session, door, JobKind.CHOOSE, asking.signed_in(), utc_now())
    return RedirectResponse(f"/c/{door.campaign.slug}/backbones", 303)
