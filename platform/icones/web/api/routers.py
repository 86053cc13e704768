"""All routers of the API, under one prefix: a change that breaks clients gets another."""

from fastapi import APIRouter

from icones.web.api import campaigns, clusters, edits, figures, identify, model_settings, people, work

PREFIX = "/api/v1"


def all_routers() -> list[APIRouter]:
    """Return the API's routers."""
    routers = []
    for module in (campaigns, model_settings, people, figures, identify, clusters, edits, work):
        outer = APIRouter(prefix=PREFIX)
        outer.include_router(module.router)
        routers.append(outer)
    return routers
