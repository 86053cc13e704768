"""All routers, in the order in which they are asked."""

from fastapi import APIRouter

from icones.web import (
    about,
    backbones,
    campaigns,
    clusters,
    curating,
    edits,
    edits_desk,
    figures,
    home,
    identify,
    jobs,
    model_settings,
    models,
    names,
    naming,
    reviewing,
    sign_in,
    similar,
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
            similar,
            identify,
            reviewing,
            clusters,
            curating,
            edits,
            edits_desk,
            writing,
            sources,
            names,
            jobs,
            model_settings,
            models,
            backbones,
            about,
        )
    ]


def api_routers() -> list[APIRouter]:
    """Return the routers of the JSON API."""
    return api.all_routers()
