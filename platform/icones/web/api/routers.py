"""All routers of the API, under one prefix: a change that breaks clients gets another."""

from fastapi import APIRouter

from icones.web.api import campaigns, edits, figures, people, work

PREFIX = "/api/v1"


def all_routers() -> list[APIRouter]:
    """Return the API's routers."""
    routers = []
    for module in (campaigns, people, figures, edits, work):
        outer = APIRouter(prefix=PREFIX)
        outer.include_router(module.router)
        routers.append(outer)
    return routers
