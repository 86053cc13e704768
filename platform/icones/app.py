"""The application: one FastAPI instance with all it needs, made from the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute

from icones import __version__
from icones.config import Settings
from icones.db import Database
from icones.illustrations.store import ImageStore
from icones.learning.similar import SimilarFigures
from icones.paths import bundled
from icones.web import error_pages
from icones.web.render import make_environments
from icones.web.routes import api_routers, page_routers
from icones.web.visitor import csrf_guard

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self' {oauth}; frame-ancestors 'none'"
)

MOST_BYTES = 8_000_000
"""The largest body that is read: a list of files for a campaign, and its form. Routes for pictures have a limit of
their own."""


def create_app(settings: Settings) -> FastAPI:
    """Return the application of these settings; its database must be at this version's schema."""
    database = Database(settings.database)
    database.require_current_schema()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = FastAPI(
        title="Icones",
        version=__version__,
        summary="Names of species on natural-history illustrations: campaigns, figures, identifications, exports.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.settings = settings
    app.state.database = database
    app.state.templates = make_environments()
    app.state.images = ImageStore(settings.data_dir / "images")
    app.state.similar = SimilarFigures(settings.data_dir / "index", settings.threads)
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.secret_key.get_secret_value(),
        session_cookie="icones",
        max_age=settings.session_days * 86400,
        same_site="lax",
        https_only=settings.base_url.startswith("https://"),
    )
    _add_safety_headers(app, settings)
    error_pages.add_to(app)
    app.router.routes.extend(_routes())
    app.mount("/static", StaticFiles(directory=bundled("static")), name="static")
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """All pages and the API, guarded. They do not depend on the settings, and are made once for all applications."""
    whole = APIRouter()
    for router in (*page_routers(), *api_routers()):
        whole.include_router(router, dependencies=[Depends(csrf_guard)], max_body_size=MOST_BYTES)
    return tuple(whole.routes)


def _add_safety_headers(app: FastAPI, settings: Settings) -> None:
    host = "/".join(settings.oauth_root.split("/")[:3])
    policy = CONTENT_POLICY.format(oauth=host)

    @app.middleware("http")
    async def safety(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        if response.status_code == 413 and response.headers.get("Content-Type", "").startswith("text/plain"):
            # The framework refuses a size that is told beforehand by itself, in two bare words.
            response = await run_in_threadpool(error_pages.too_much, request)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
        return response
