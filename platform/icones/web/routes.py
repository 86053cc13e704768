"""All routers, in the order in which they are asked."""

from fastapi import APIRouter

from icones.web import about, campaigns, curating, figures, home, jobs, models, naming, reviewing, sign_in, tagging
from icones.web.api import routers as api


def page_routers() -> list[APIRouter]:
    """Return the routers of pages and fragments."""
    return [
        module.router
        for module in (home, sign_in, campaigns, tagging, naming, figures, reviewing, curating, jobs, models, about)
    ]


def api_routers() -> list[APIRouter]:
    """Return the routers of the JSON API."""
    return api.all_routers()
