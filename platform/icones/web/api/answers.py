"""How rows become the API's answers, and which errors each endpoint may tell."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.identifications import queries as identifications
from icones.learning import service as learning
from icones.learning.predictions import RANKED
from icones.learning.service import Suggestions
from icones.models import (
    Campaign,
    Determination,
    Export,
    Figure,
    Identification,
    Illustration,
    JobRun,
    ModelVersion,
    Person,
)
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web import screens
from icones.web.api.shapes import (
    CampaignOut,
    ClaimOut,
    DeterminationOut,
    ExportOut,
    FigureDetailOut,
    FigureOut,
    IdentificationOut,
    JobOut,
    ModelOut,
    PlausibleOut,
    PredictedOut,
    PredictionOut,
    Problem,
    TaxonOut,
)

_OF_VERSION = (
    "number",
    "state",
    "backbone",
    "verdict",
    "snapshot_hash",
    "seed",
    "created_at",
    "published_at",
    "retired_at",
)
_MEANING = {
    304: "The very bytes you have.",
    401: "Sign in first.",
    403: "The role is missing, or the header X-CSRF-Token.",
    404: "There is no such thing, or you may not see it.",
    409: "It changed, exists already, or something must come first.",
    422: "What was sent cannot be used as it is.",
    503: "Too many ask at once; try again after as many seconds as Retry-After says.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors of an endpoint for its description; 422 is always among them."""
    schema = Problem.model_json_schema()
    return {
        status: {"description": _MEANING[status], "content": {"application/problem+json": {"schema": schema}}}
        for status in sorted({422, *statuses})
    }


def campaign_out(row: Campaign) -> CampaignOut:
    """Return a campaign."""
    return CampaignOut.model_validate(row, from_attributes=True)


def taxon_out(view: TaxonView) -> TaxonOut:
    """Return a taxon."""
    return TaxonOut.model_validate(view, from_attributes=True)


def taxa_out(session: Session, qids: Collection[str | None], language: str) -> dict[str, TaxonOut]:
    """Return the known ones of these taxa by Q-id."""
    found = taxa.views(session, {qid for qid in qids if qid}, language)
    return {qid: taxon_out(view) for qid, view in found.items()}


def determination_out(row: Determination, why_kept_back: str = "") -> DeterminationOut:
    """Return a figure's state; where answers are kept back from who asks, why, and nothing that would tell them."""
    if not why_kept_back:
        return DeterminationOut.model_validate(row, from_attributes=True)
    return DeterminationOut(
        state=screens.state_of(row, frozenset({row.figure_id})),
        answer=None,
        taxon_qid=None,
        rule="",
        n_agree=0,
        n_disagree=0,
        decided_at=row.decided_at,
        kept_back=why_kept_back,
    )


def determinations_out(
    session: Session,
    places: Sequence[Campaign],
    asker: Person | None,
    known: Mapping[int, Determination],
    language: str,
) -> dict[int, DeterminationOut]:
    """Return the states of figures of these campaigns by figure, as far as who asks may know them."""
    kept = screens.kept_back_in(session, places, asker, known, utc_now())
    why = {one.id: screens.why_kept_back(one, language) for one in places}
    return {key: determination_out(row, why[row.campaign_id] if key in kept else "") for key, row in known.items()}


def figure_out(
    settings: Settings, slug: str, figure: Figure, illustration: Illustration, determination: DeterminationOut
) -> FigureOut:
    """Return a figure with whole addresses."""
    root = f"{settings.base_url.rstrip('/')}/c/{slug}"
    return FigureOut(
        id=figure.id or 0,
        number=figure.number,
        box=figure.box,
        illustration_id=illustration.id or 0,
        illustration_title=illustration.title,
        object_number=illustration.object_number,
        mid=illustration.mid,
        image_url=f"{root}/f/{figure.id}/image?side=640",
        page_url=f"{root}/i/{illustration.id}",
        determination=determination,
    )


def identification_out(row: Identification, said_by: Person, asker: Person | None) -> IdentificationOut:
    """Return what a person said; who they are only if they agreed to be named, or ask themselves."""
    is_mine = asker is not None and asker.id == said_by.id
    return IdentificationOut(
        id=row.id or 0,
        figure_id=row.figure_id,
        answer=row.answer,
        taxon_qid=row.taxon_qid,
        confidence=row.confidence,
        comment=row.comment,
        disagrees=row.disagrees,
        given_as=row.given_as,
        person=said_by.name if is_mine or said_by.named_in_exports else None,
        is_mine=is_mine,
        created_at=row.created_at,
        ended_at=row.ended_at,
        ending=row.ending.value if row.ending else None,
    )


def detail_out(
    session: Session,
    settings: Settings,
    door: Door,
    figure: Figure,
    illustration: Illustration,
    asker: Person | None,
    language: str,
) -> FigureDetailOut:
    """Return a figure with all that is known of it, as far as who asks may know it."""
    key, campaign = figure.id or 0, door.campaign
    known = identifications.determinations(session, [key])
    determination = determinations_out(session, [campaign], asker, known, language)[key]
    withheld = bool(determination.kept_back)
    said = [] if withheld else identifications.all_with_people(session, key)
    return FigureDetailOut(
        figure=figure_out(settings, campaign.slug, figure, illustration, determination),
        identifications=[identification_out(row, person, asker) for row, person in said],
        prediction=None if withheld else _prediction(session, campaign, key, language),
        taxa=taxa_out(session, [determination.taxon_qid, *(row.taxon_qid for row, _ in said)], language),
    )


def _prediction(session: Session, campaign: Campaign, figure_id: int, language: str) -> PredictionOut | None:
    found = learning.suggestions(session, campaign, figure_id, language, most=RANKED)
    return prediction_out(found) if found else None


def prediction_out(says: Suggestions) -> PredictionOut:
    """Return what a model says."""
    claim, plausible = says.claim, says.plausible
    return PredictionOut(
        model_number=says.model_number,
        model_version_id=says.model_version_id,
        best=[PredictedOut(taxon=taxon_out(one.taxon), probability=one.probability) for one in says.best],
        lineage=[PredictedOut(taxon=taxon_out(view), probability=chance) for view, chance in says.lineage],
        margin=says.margin,
        entropy=says.entropy,
        reason=says.reason,
        claim=ClaimOut(taxon=taxon_out(claim.taxon), probability=claim.probability, right=claim.right)
        if claim
        else None,
        plausible=PlausibleOut(
            n=plausible.n, taxa=[taxon_out(one) for one in plausible.taxa], is_list=plausible.is_list
        )
        if plausible
        else None,
        novelty=says.novelty,
        verdict=says.verdict,
    )


def job_out(run: JobRun) -> JobOut:
    """Return a run of background work."""
    return JobOut.model_validate(run, from_attributes=True)


def model_out(version: ModelVersion) -> ModelOut:
    """Return a model version with its accuracy."""
    report = version.report
    return ModelOut(
        accuracy=report["accuracy"] if report.get("n") else None,
        measured_on=report.get("measured_on", "nothing"),
        n=report.get("n", 0),
        **{name: getattr(version, name) for name in _OF_VERSION},
    )


def exports_out(settings: Settings, slug: str, rows: Iterable[Export]) -> list[ExportOut]:
    """Return exports with the addresses of their bytes."""
    root = f"{settings.base_url.rstrip('/')}/api/v1/campaigns/{slug}/exports"
    return [
        ExportOut(
            number=row.number,
            filename=row.filename,
            n_rows=row.n_rows,
            sha256=row.sha256,
            created_at=row.created_at,
            url=f"{root}/{row.number}/content",
        )
        for row in rows
    ]
