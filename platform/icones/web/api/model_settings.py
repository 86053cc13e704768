"""What a campaign's model learns from, by what it sorts, and whether it may verify figures alone."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from icones.campaigns import model_settings
from icones.campaigns.model_settings import ModelSettings
from icones.models import Role
from icones.web.api.answers import problems
from icones.web.api.shapes import example
from icones.web.model_settings import apply
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession

router = APIRouter()


class ModelSettingsOut(BaseModel):
    """The settings of a campaign's model."""

    model_config = example(learns_from=["insects"], model_rank="genus", auto_precision=0.99, auto_validates=False)
    learns_from: list[str] = Field(
        default=[], description="Short names of other campaigns whose verified figures it learns from too."
    )
    model_rank: Literal["", "genus", "family"] = Field(
        default="", description="The rank at which it sorts; empty for the names as they are given."
    )
    auto_precision: float = Field(
        default=0.99, description="The share of right ones, 0.9 to 0.999, that a taxon's threshold must prove."
    )
    auto_validates: bool = Field(
        default=False,
        description="Whether what lies above those thresholds is verified without a person. "
        "Never where the campaign writes to Commons.",
    )


@router.get(
    "/campaigns/{slug}/model-settings",
    responses=problems(401, 403, 404),
    summary="Read the model's settings",
    tags=["campaigns"],
)
def read_settings(door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> ModelSettingsOut:
    """Give the settings of a campaign's model. For curators; campaigns that they may not see are left out."""
    door.require(Role.CURATOR)
    sources = model_settings.sources(session, door, asking.signed_in())
    kept = model_settings.read(session, door.campaign)
    return ModelSettingsOut(
        learns_from=sorted(row.campaign.slug for row in sources.rows if row.is_chosen and not row.is_own),
        model_rank=kept.model_rank,
        auto_precision=kept.auto_precision,
        auto_validates=kept.auto_validates,
    )


@router.put(
    "/campaigns/{slug}/model-settings",
    responses=problems(401, 403, 404),
    summary="Set the model's settings",
    tags=["campaigns"],
)
def set_settings(
    door: CampaignDoor, session: DbSession, asking: CurrentVisitor, wanted: ModelSettingsOut
) -> ModelSettingsOut:
    """Keep the settings and ask for training by them. For curators."""
    door.require(Role.CURATOR)
    told = ModelSettings(tuple(wanted.learns_from), wanted.model_rank, wanted.auto_precision, wanted.auto_validates)
    apply(session, door, asking.signed_in(), told)
    return read_settings(door, session, asking)
