"""A campaign's models on record: how good each is, on what it was trained, which one serves; and going back to one."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from active_learning import Report
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.jobs import runner
from icones.learning import queries, service
from icones.models import JobKind, ModelVersion, Role
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.render import flash, render, translations
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession

router = APIRouter(include_in_schema=False)

MATRIX_UP_TO = 30
"""With more taxa a table of all pairs is a wallpaper; the pairs that are confused most are listed instead."""
WORST_PAIRS = 10
QID = re.compile(r"\bQ[1-9]\d*\b")


@dataclass(frozen=True)
class Bin:
    """Figures for which the model said about the same probability, and how often it was right."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class ClassRow:
    """One taxon in the report. Shares are None where there was nothing to divide by."""

    taxon: TaxonView
    precision: float | None
    recall: float | None
    support: int


@dataclass(frozen=True)
class ConfusedPair:
    """Figures of one taxon that the model took for another."""

    truth: TaxonView
    said: TaxonView
    count: int


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


@dataclass(frozen=True)
class ModelPage:
    """The report on one version."""

    template: ClassVar[str] = "pages/model.html"
    door: Door
    version: ModelVersion
    report: Report
    n_labels: int
    n_stated: int
    bins: tuple[Bin, ...]
    classes: tuple[ClassRow, ...]
    matrix_taxa: tuple[TaxonView, ...]
    matrix: tuple[tuple[int, ...], ...]
    pairs: tuple[ConfusedPair, ...]
    rare: tuple[TaxonView, ...]
    remarks: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    section: str = "campaigns"


@router.get("/c/{slug}/models")
def models_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """List a campaign's model versions."""
    rows = tuple(
        VersionRow(version, Report.from_dict(version.report), len(version.snapshot.get("labels", ())))
        for version in queries.versions(session, door.campaign.id or 0)
    )
    return render(request, ModelsPage(door, rows))


@router.get("/c/{slug}/models/{number}")
def model_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: int) -> Any:
    """Show the report on one model version."""
    version = service.require_version(session, door.campaign, number)
    return render(request, _page(session, door, version, asking.language))


@router.get("/c/{slug}/models/{number}/snapshot.json")
def snapshot(door: CampaignDoor, session: DbSession, number: int) -> Response:
    """Give what a version was trained on, with all that is needed to train it again to the same numbers."""
    version = service.require_version(session, door.campaign, number)
    told = {
        "campaign": door.campaign.slug,
        "number": version.number,
        "backbone": version.backbone,
        "snapshot_hash": version.snapshot_hash,
        "seed": version.seed,
        "parameters": version.parameters,
        **version.snapshot,
    }
    name = f"{door.campaign.slug}-model-{version.number}-snapshot.json"
    return Response(
        json.dumps(told, indent=1, ensure_ascii=False),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.post("/c/{slug}/models/{number}/serve")
def serve_version(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, number: int) -> Any:
    """Go back to an earlier version: it serves from now on, and its suggestions are made anew."""
    door.require(Role.CURATOR)
    person, now = asking.signed_in(), utc_now()
    service.serve_version(session, door.campaign, number, f"Put back by a curator on {now:%Y-%m-%d}.", now)
    runner.ask(session, JobKind.PREDICT, door.campaign, now, person=person)
    _ = translations(asking.language).ugettext
    flash(request, _("Model version %(n)s serves again; its suggestions are being made anew.") % {"n": number})
    return RedirectResponse(f"/c/{door.campaign.slug}/models", 303)


def _page(session: Session, door: Door, version: ModelVersion, language: str) -> ModelPage:
    report = Report.from_dict(version.report)
    labels = version.snapshot.get("labels", [])
    mentioned = {qid for note in report.notes for qid in QID.findall(note)}
    qids = {*mentioned, *report.confusion.classes, *report.rare_classes, *(row.qid for row in report.per_class)}
    names = taxa.views(session, qids, language)
    rows = [
        ClassRow(
            names[row.qid],
            row.precision if row.precision or _was_said(report, row.qid) else None,
            row.recall if row.support else None,
            row.support,
        )
        for row in report.per_class
        if row.qid in names
    ]
    rows.sort(key=lambda row: (row.recall is None, row.recall or 0.0, row.taxon.scientific_name))
    matrix_taxa, matrix = _matrix(report, names)
    parameters = dict(version.parameters)
    environment: Mapping[str, Any] = parameters.pop("environment", {})
    return ModelPage(
        door=door,
        version=version,
        report=report,
        n_labels=len(labels),
        n_stated=sum(1 for label in labels if label.get("origin") == "stated"),
        bins=tuple(Bin(one.mean_confidence, one.accuracy, one.n) for one in report.reliability),
        classes=tuple(rows),
        matrix_taxa=matrix_taxa,
        matrix=matrix,
        pairs=_pairs(report, names),
        rare=tuple(names[qid] for qid in report.rare_classes if qid in names),
        remarks=tuple(QID.sub(lambda found: _name(found.group(), names), note) for note in report.notes),
        parameters=tuple((name, str(value)) for name, value in parameters.items()),
        environment=tuple((name, str(value)) for name, value in environment.items()),
    )


def _name(qid: str, names: Mapping[str, TaxonView]) -> str:
    return names[qid].scientific_name if qid in names else qid


def _was_said(report: Report, qid: str) -> bool:
    """Say whether the model gave this name at all: a precision of 0 means something only then."""
    if qid not in report.confusion.classes:
        return False
    place = report.confusion.classes.index(qid)
    return any(said == place for _, said, _ in report.confusion.cells)


def _matrix(
    report: Report, names: Mapping[str, TaxonView]
) -> tuple[tuple[TaxonView, ...], tuple[tuple[int, ...], ...]]:
    """Return the taxa and counts of the confusion matrix, relatives side by side; empty for too many taxa."""
    classes = report.confusion.classes
    seen = {place for true, said, _ in report.confusion.cells for place in (true, said) if classes[place] in names}
    order = sorted(seen, key=lambda place: _by_lineage(names[classes[place]]))
    if not order or len(order) > MATRIX_UP_TO:
        return (), ()
    full = report.confusion.matrix()
    return (
        tuple(names[classes[place]] for place in order),
        tuple(tuple(int(full[true, said]) for said in order) for true in order),
    )


def _by_lineage(view: TaxonView) -> tuple[tuple[str, ...], str]:
    return tuple(reversed(view.lineage)), view.scientific_name


def _pairs(report: Report, names: Mapping[str, TaxonView]) -> tuple[ConfusedPair, ...]:
    classes = report.confusion.classes
    wrong = sorted((-count, true, said) for true, said, count in report.confusion.cells if true != said)
    return tuple(
        ConfusedPair(names[classes[true]], names[classes[said]], -count)
        for count, true, said in wrong[:WORST_PAIRS]
        if classes[true] in names and classes[said] in names
    )
