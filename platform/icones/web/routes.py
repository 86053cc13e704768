"""All routers, in the order in which they are asked."""

from fastapi import APIRouter

from icones.web import (
    about,
    campaigns,
    curating,
    edits,
    edits_desk,
    figures,
    home,
    jobs,
    models,
    names,
    naming,
    reviewing,
    sign_in,
    sources,
    tagging,
    writing,
)
from icones.web.api import routers as api


def page_routers() -> list[APIRouter]:
    """Return the routers of pages and fragments."""
    return [
        module.router
        for module in (
            home,
            sign_in,
            campaigns,
            tagging,
            naming,
            figures,
            reviewing,
            curating,
            edits,
            edits_desk,
            writing,
            sources,
            names,
            jobs,
            models,
            about,
        )
    ]


def api_routers() -> list[APIRouter]:
    """Return the routers of the JSON API."""
    return api.all_routers()
