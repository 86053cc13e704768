"""A campaign's models on record: how good each is, on what it was trained, which one serves; and going back to one."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from active_learning import Report
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.errors import NotFoundError
from icones.identifications import queries as identifications
from icones.jobs import runner
from icones.learning import queries, service
from icones.models import JobKind, ModelVersion, Role
from icones.web import screens
from icones.web.model_card import markdown_of
from icones.web.model_report import model_page_of, names_of, open_record, report_of
from icones.web.render import flash, render, translations
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession, RowId

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class VersionRow:
    """A model version in the list."""

    version: ModelVersion
    report: Report
    n_labels: int


@dataclass(frozen=True)
class ModelsPage:
    """All versions of a campaign."""

    template: ClassVar[str] = "pages/models.html"
    door: Door
    rows: tuple[VersionRow, ...]
    """Newest first."""
    section: str = "campaigns"


@router.get("/c/{slug}/models")
def models_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """List a campaign's model versions."""
    n_labels = queries.n_labels(session, door.campaign.id or 0)
    rows = tuple(
        VersionRow(version, report_of(version), n_labels.get(version.number, 0))
        for version in queries.versions(session, door.campaign.id or 0)
    )
    return render(request, ModelsPage(door, rows))


@router.get("/c/{slug}/models/{number}")
def model_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: RowId) -> Any:
    """Show the report on one model version."""
    version = service.require_version(session, door.campaign, number)
    return render(request, model_page_of(session, door, version, asking.language, asking.person))


@router.get("/c/{slug}/models/{number}/card.md")
def card_as_text(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: RowId) -> Response:
    """Give a version's model card as a text to keep beside the model, in English."""
    version = service.require_version(session, door.campaign, number)
    names = names_of(session, version, "en")
    card, _, left_out = open_record(session, door, version, asking.person)
    text = markdown_of(door.campaign, version, report_of(version), card, names, left_out)
    return _download(text, "text/markdown", f"{door.campaign.slug}-model-{version.number}-card.md")


@router.get("/c/{slug}/models/{number}/card.json")
def card_as_json(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: RowId) -> Response:
    """Give a version's model card as numbers, with what tells which model it is.

    ``sources_left_out`` are so many campaigns that it learned from and that the reader does not see.
    """
    version = service.require_version(session, door.campaign, number)
    card, _, left_out = open_record(session, door, version, asking.person)
    if card is None:
        raise NotFoundError(f"Model version {version.number} has no model card; its report has all that is known.")
    told = {
        "campaign": door.campaign.slug,
        "number": version.number,
        "state": version.state.value,
        "origin": version.origin.value,
        "backbone": version.backbone,
        "snapshot_hash": version.snapshot_hash,
        "seed": version.seed,
        "created_at": version.created_at.isoformat(),
        "verdict": version.verdict,
        "sources_left_out": left_out.sources,
        "card": card.to_dict(),
    }
    return _download(_json(told), "application/json", f"{door.campaign.slug}-model-{version.number}-card.json")


@router.get("/c/{slug}/models/{number}/snapshot.json")
def snapshot(door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: RowId) -> Response:
    """Give what a version was trained on, with all that is needed to train it again to the same numbers.

    ``labels_left_out`` are so many labels of campaigns that the reader does not see, ``labels_kept_back`` so many of
    figures on which the reader's vote would be among the first: they come when it is not.
    """
    version = service.require_version(session, door.campaign, number)
    _, every, left_out = open_record(session, door, version, asking.person)
    known = identifications.determinations(session, {one["figure"] for one in every})
    own = {key: row for key, row in known.items() if row.campaign_id == door.campaign.id}
    kept = screens.kept_back(session, door, asking.person, own, utc_now())
    labels = [one for one in every if one["figure"] not in kept]
    told = {
        "campaign": door.campaign.slug,
        "number": version.number,
        "backbone": version.backbone,
        "snapshot_hash": version.snapshot_hash,
        "seed": version.seed,
        "parameters": version.parameters,
        **version.snapshot,
        "labels": labels,
        "labels_left_out": left_out.labels,
        "labels_kept_back": len(every) - len(labels),
    }
    return _download(_json(told), "application/json", f"{door.campaign.slug}-model-{version.number}-snapshot.json")


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=1, ensure_ascii=False)


def _download(text: str, kind: str, name: str) -> Response:
    return Response(text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/c/{slug}/models/{number}/serve")
def serve_version(
    request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: RowId
) -> Any:
    """Go back to an earlier version: it serves from now on, and its suggestions are made anew."""
    door.require(Role.CURATOR)
    person, now = asking.signed_in(), utc_now()
    service.serve_version(session, door.campaign, number, f"Put back by a curator on {now:%Y-%m-%d}.", now)
    runner.ask(session, JobKind.PREDICT, door.campaign, now, person=person)
    _ = translations(asking.language).ugettext
    flash(request, _("Model version %(n)s serves again; its suggestions are being made anew.") % {"n": number})
    return RedirectResponse(f"/c/{door.campaign.slug}/models", 303)
