"""Rendering in one place: a page is a frozen dataclass that names its template; its fields are the context."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, ClassVar, Protocol

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from icones import __version__
from icones.clock import utc_now
from icones.paths import bundled
from icones.web.visitor import LANGUAGES, Visitor, language_of

LANGUAGE_NAMES = {"en": "English", "nl": "Nederlands", "de": "Deutsch", "fr": "Français"}


class Page(Protocol):
    """A frozen dataclass that names its template."""

    template: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


@cache
def make_environments() -> dict[str, Environment]:
    """Return the Jinja environment of each language: autoescaped, and an unknown name is an error.

    They are made once a process; one a language, because imported macros see the environment's words and filters, not
    the page's context.
    """
    return {language: _environment(language) for language in LANGUAGES}


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(bundled("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["ext.i18n.trimmed"] = True
    said = translations(language)
    environment.install_gettext_callables(said.ugettext, said.ungettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["asset"] = asset
    environment.filters.update(formats(language), web_link=web_link)
    return environment


def asset(path: str) -> str:
    """Return the address of a static file; the version in it lets browsers keep the file until the next one."""
    return f"/static/{path}?v={__version__}"


def web_link(address: str) -> str:
    """Return an address that a source gave if it leads to the web; empty for javascript: and the like."""
    return address if address.lower().startswith(("https://", "http://")) else ""


def formats(language: str) -> dict[str, Callable[..., str]]:
    """Return how numbers and times are written in a language, as filters of templates."""

    def percent(value: float, digits: int = 0) -> str:
        return format_percent(value, f"#,##0.{'0' * digits}%" if digits else "#,##0%", language)

    def ago(value: datetime) -> str:
        return format_timedelta(value - utc_now(), add_direction=True, locale=language)

    return {
        "number": lambda value: format_decimal(value, locale=language),
        "percent": percent,
        "date": lambda value: format_date(value, "medium", locale=language),
        "moment": lambda value: format_datetime(value, "d MMM y, HH:mm", locale=language),
        "ago": ago,
    }


@lru_cache(maxsize=len(LANGUAGES))
def translations(language: str) -> NullTranslations:
    """Return the catalogue of a language; English is the source."""
    return Translations.load(bundled("locale"), [language], "icones")


def render(request: Request, page: Page, status: int = 200) -> HTMLResponse:
    """Return the page as HTML, in the visitor's language."""
    context = base_context(request)
    environment: Environment = request.app.state.templates[context["language"]]
    own = {field.name: getattr(page, field.name) for field in fields(page)}
    html = environment.get_template(page.template).render({**context, **own})
    return HTMLResponse(html, status, {"Vary": "HX-Request, Cookie, Accept-Language", "Cache-Control": "no-store"})


def base_context(request: Request) -> dict[str, Any]:
    """Return what every template may use; tests hold templates to this list and their page's fields.

    Numbers and times are written by filters (``formats``); ``_`` and ``ngettext`` belong to the environment.
    """
    asking: Visitor | None = getattr(request.state, "visitor", None)
    language = language_at(request)
    _ = translations(language).ugettext
    query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
    return {
        "person": asking.person if asking else None,
        "csrf": asking.csrf if asking else "",
        "is_htmx": asking.is_htmx if asking else False,
        "language": language,
        "languages": tuple(LANGUAGE_NAMES.items()),
        "path": request.url.path,
        "here": request.url.path + query,
        "notes": request.session.pop("flashes", []) if "session" in request.scope else [],
        "demo": request.app.state.settings.is_demo,
        "section": "",
        "menu": (("/", _("Campaigns"), "campaigns"), ("/about", _("About"), "about")),
        "footer": (
            ("/about", _("About")),
            ("/edits", _("Edits on Commons")),
            ("/data-dictionary", _("Columns of the export")),
            ("/api", _("API for programs")),
        ),
        "version": __version__,
    }


def flash(request: Request, message: str, kind: str = "success") -> None:
    """Show a message on the next page: ``success``, ``notice``, ``warning`` or ``error``.

    ``message`` is English; a sentence that the catalogues have is said in the visitor's language.
    """
    told = {"kind": kind, "text": in_their_language(request, message)}
    request.session["flashes"] = [*request.session.get("flashes", []), told]


def in_their_language(request: Request, message: str) -> str:
    """Return an English sentence in the visitor's language where the catalogue has it, else as it is."""
    return translations(language_at(request)).ugettext(message) if message else message


def language_at(request: Request) -> str:
    """Return the language in which this request is answered."""
    asking: Visitor | None = getattr(request.state, "visitor", None)
    return asking.language if asking else language_of(request, None)
