"""What a campaign's model takes an image for."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.identifications import queries as identifications
from icones.jobs.identify import Seen, identify_image, require_model
from icones.learning import service as learning
from icones.learning.predictions import RANKED
from icones.learning.similar import Asked, Narrowed, SimilarFigures
from icones.models import Campaign, ModelVersion
from icones.web.api.answers import determination_out, determinations_out, prediction_out, problems
from icones.web.api.identify_shapes import IdentifiedOut
from icones.web.api.shapes import SimilarOut
from icones.web.model_report import report_of
from icones.web.uploads import BEYOND_ANY, BytesRoute, sent_image
from icones.web.visitor import AppSettings, Visitor, visitor

router = APIRouter(route_class=BytesRoute, max_body_size=BEYOND_ANY)
SIMILAR = 8


@router.post(
    "/campaigns/{slug}/identify",
    responses=problems(403, 404, 409, 503),
    summary="Name an image",
    tags=["figures"],
    openapi_extra={
        "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def identify(
    request: Request,
    settings: AppSettings,
    content: Annotated[bytes, Depends(sent_image)],
    slug: str,
    limit: Annotated[int, Query(ge=1, le=RANKED, description="How many names.")] = 5,
) -> IdentifiedOut:
    """Say what the campaign's serving model takes the image for whose bytes are sent. Nothing of it is kept.

    Send one picture of one organism. One is looked at after another; where too many wait, ask again later.
    """
    database = request.app.state.database
    with database.reading() as session:
        asking = visitor(request, session)
        campaign = campaigns.open_door(session, slug, asking.person).campaign
    version = require_model(database, campaign)
    seen = identify_image(settings, database, version, content, utc_now())
    with database.reading() as session:
        return identified_out(
            session, request.app.state.similar, campaign, version, seen, asking.language, limit, asking
        )


def identified_out(
    session: Session,
    index: SimilarFigures,
    campaign: Campaign,
    version: ModelVersion,
    seen: Seen,
    language: str,
    most: int = 5,
    asking: Visitor | None = None,
) -> IdentifiedOut:
    """Return what a model version says of an image, and what looks like it, as far as this visitor may know it.

    None is whoever runs this installation, who may know all.
    """
    report = report_of(version)
    hits = index.like(session, Asked(seen.vector, version.backbone, (campaign,)), SIMILAR, Narrowed())
    known = identifications.determinations(session, [one for one, _ in hits])
    if asking is None:
        told = {key: determination_out(row) for key, row in known.items()}
    else:
        told = determinations_out(session, [campaign], asking.person, known, language)
    return IdentifiedOut(
        prediction=prediction_out(learning.told(session, campaign, seen.prediction, version, language, most)),
        n_taxa=seen.n_taxa,
        accuracy=report.accuracy if report.n else None,
        similar=[
            SimilarOut(figure_id=one, likeness=likeness, determination=told[one])
            for one, likeness in hits
            if one in told
        ],
    )
