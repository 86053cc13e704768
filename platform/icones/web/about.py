"""Pages that explain: what Icones is, what the columns of an export mean, and what programs can ask."""

from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import APIRouter, Request

from icones.exports.csv_form import COLUMNS
from icones.web.render import render
from icones.web.visitor import CurrentVisitor

router = APIRouter(include_in_schema=False)

METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True)
class AboutPage:
    """What Icones is and how it works."""

    template: ClassVar[str] = "pages/about.html"
    section: str = "about"


@dataclass(frozen=True)
class DataDictionaryPage:
    """What the columns of an export mean."""

    template: ClassVar[str] = "pages/data_dictionary.html"
    columns: tuple[str, ...]
    section: str = "about"


@dataclass(frozen=True)
class Endpoint:
    """One thing that a program can ask."""

    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[tuple[str, str, str, bool], ...]
    """Name, place (path, query), what it is, whether it must be given."""
    tag: str


@dataclass(frozen=True)
class ApiPage:
    """What programs can ask, as OpenAPI describes it."""

    template: ClassVar[str] = "pages/api.html"
    groups: tuple[tuple[str, tuple[Endpoint, ...]], ...]
    section: str = "about"


@router.get("/about")
def about(request: Request, asking: CurrentVisitor) -> Any:
    """Say what Icones is."""
    return render(request, AboutPage())


@router.get("/data-dictionary")
def data_dictionary(request: Request, asking: CurrentVisitor) -> Any:
    """Say what the columns of an export mean."""
    return render(request, DataDictionaryPage(COLUMNS))


@router.get("/api")
def api_page(request: Request, asking: CurrentVisitor) -> Any:
    """List what programs can ask, from the same description that they read."""
    return render(request, ApiPage(endpoints(request.app.openapi())))


def endpoints(description: dict[str, Any]) -> tuple[tuple[str, tuple[Endpoint, ...]], ...]:
    """Return the endpoints of an OpenAPI description by tag, in its order."""
    groups: dict[str, list[Endpoint]] = {}
    for path, methods in description["paths"].items():
        for method in METHODS:
            if method in methods:
                found = _endpoint(path, method, methods[method])
                groups.setdefault(found.tag, []).append(found)
    return tuple((tag, tuple(found)) for tag, found in groups.items())


def _endpoint(path: str, method: str, said: dict[str, Any]) -> Endpoint:
    return Endpoint(
        method.upper(),
        path,
        said.get("summary", ""),
        said.get("description", ""),
        tuple(
            (one["name"], one["in"], one.get("description", ""), one.get("required", False))
            for one in said.get("parameters", ())
        ),
        (said.get("tags") or ["other"])[0],
    )
