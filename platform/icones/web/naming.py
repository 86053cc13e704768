"""Finding names: the list under the search box, and asking Wikidata for a name that is not known here yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.db import let_go
from icones.errors import BadInputError, NotFoundError
from icones.jobs.taxa import keep_taxa
from icones.jobs.wiki import wiki_config
from icones.learning import queries as learning
from icones.models import Role
from icones.taxa import service as taxa
from icones.taxa.service import Hit
from icones.web.cases import crop_address
from icones.web.render import flash, render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId
from wiki_sync import TaxonFacts, TaxonSource

router = APIRouter(include_in_schema=False)

LONGEST = 120
WAIT_S = 10.0
"""A person waits for the answer, so Wikidata is asked once and briefly."""


@dataclass(frozen=True)
class Option:
    """One answer of the search, as the list shows it."""

    qid: str
    scientific_name: str
    rank: str
    authorship: str
    vernacular: str
    image_url: str
    matched: str
    """The name by which it was found, when it is neither of the two that are shown."""
    is_outside: bool
    """It lies outside the campaign's scope."""


@dataclass(frozen=True)
class TaxonOptions:
    """The list under the search box."""

    template: ClassVar[str] = "fragments/taxa.html"
    taxa: tuple[Option, ...]
    list_id: str
    words: str
    can_ask: bool


@router.get("/taxa")
def find_taxa(
    request: Request,
    session: DbSession,
    asking: CurrentVisitor,
    campaign: str = "",
    list: str = "taxa",  # noqa: A002 (the element that shows the answer; the macro of the search box names it so)
) -> Any:
    """Return the taxa that the typed words may mean; slips of the finger are forgiven.

    The words come as ``q`` or as any parameter whose name ends in ``_words``, as the search box sends them. Within a
    campaign what lies below its root taxon comes first; the rest is marked as outside its scope.
    """
    words = _words(request.query_params)
    door = campaigns.open_door(session, campaign, asking.person) if campaign else None
    hits = taxa.search(session, words, asking.language, door.campaign.root_taxon_qid if door else None)
    return render(request, TaxonOptions(_options(session, door, hits), list[:60], words, door is not None))


def _words(query: Mapping[str, str]) -> str:
    typed = [value for name, value in query.items() if name == "q" or name.endswith("_words")]
    return typed[0].strip()[:LONGEST] if typed else ""


def _options(session: Session, door: Door | None, hits: Sequence[Hit]) -> tuple[Option, ...]:
    qids = [hit.taxon.qid for hit in hits]
    pictures = learning.examples(session, door.campaign.id or 0, qids, 1) if door else {}
    return tuple(
        Option(
            hit.taxon.qid,
            hit.taxon.scientific_name,
            hit.taxon.rank,
            hit.taxon.authorship,
            hit.taxon.vernacular,
            crop_address(door.campaign.slug, pictures[hit.taxon.qid][0][0], 160)
            if door and hit.taxon.qid in pictures
            else "",
            "" if hit.found_by in (hit.taxon.scientific_name, hit.taxon.vernacular) else hit.found_by,
            hit.is_outside,
        )
        for hit in hits
    )


@router.post("/c/{slug}/taxa/fetch")
def fetch_taxon(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    settings: AppSettings,
    name: Annotated[str, Form()],
    figure: Annotated[RowId | None, Form()] = None,
) -> Any:
    """Ask Wikidata for a scientific name that is not known here yet, and keep what it says."""
    door.require(Role.VOLUNTEER)
    asked = " ".join(name.split())[:LONGEST]
    if len(asked) < 3:
        raise BadInputError("Type the scientific name, at least three letters of it.")
    let_go(session)
    facts = from_wikidata(settings, asked[0].upper() + asked[1:])
    keep_taxa(session, facts.values(), utc_now())
    flash(request, "Wikidata knows it, and now Icones does too. Choose it below.", "success")
    query = {"figure": figure, "q": asked} if figure else {"q": asked}
    return RedirectResponse(f"/c/{door.campaign.slug}/tag?{urlencode(query)}", 303)


def from_wikidata(settings: Settings, name: str) -> dict[str, TaxonFacts]:
    """Return the taxa that bear this scientific name, with all above them, by Q-id; NotFoundError for none."""
    config = wiki_config(settings)
    source = TaxonSource(replace(config, timeout_s=min(config.timeout_s, WAIT_S), max_retries=0))
    matches = source.by_name([name])[name]
    facts = source.lineages([match.qid for match in matches]) if matches else {}
    if not facts:
        raise NotFoundError(f"Wikidata has no taxon called “{name}”. Check the spelling, or name its genus or family.")
    return facts
