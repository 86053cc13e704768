"""A campaign's page: how far it is, how to help, its plates, who helped, and where it all comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door, Progress
from icones.campaigns.sources import collection_of
from icones.clock import utc_now
from icones.config import Settings
from icones.illustrations import queries as illustrations
from icones.learning import queries as learning
from icones.models import Campaign, DeterminationState, IllustrationState, Queue, SourceKind
from icones.people import queries as people
from icones.review import queries as review_queries
from icones.review import service as review
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web import screens
from icones.web.render import render
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, PageNumber, Visitor

router = APIRouter(include_in_schema=False)

PER_PAGE = 24


@dataclass(frozen=True)
class GalleryItem:
    """A plate with what is known of it."""

    illustration_id: int
    title: str
    image_url: str
    states: tuple[str, ...]
    """The states of its figures, each once."""
    taxa: tuple[TaxonView, ...]
    n_figures: int


@dataclass(frozen=True)
class CampaignPage:
    """All that a reader wants to know of a campaign."""

    template: ClassVar[str] = "pages/campaign.html"
    door: Door
    progress: Progress
    counts: dict[str, int]
    """Figures by state."""
    waiting: int
    n_for_specialists: int
    model_number: int
    """Of the serving model version; 0 before the first."""
    scope: TaxonView | None
    gallery: tuple[GalleryItem, ...]
    n_gallery: int
    state: str
    page: int
    last_page: int
    address: Callable[[int], str]
    helpers: tuple[tuple[str, int], ...]
    """Who helped and agreed to be named, with how many figures."""
    n_gone: int
    source_url: str
    """Of the category on Commons, or of the collection on Wikidata; empty for other sources."""
    section: str = "campaigns"


@router.get("/c/{slug}")
def campaign_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    state: str = "",
    page: PageNumber = 1,
) -> Any:
    """Show a campaign; ``state`` leaves only plates with a figure in that state."""
    wanted = DeterminationState(state) if state in DeterminationState.__members__.values() else None
    return render(request, _page(session, settings, door, asking, wanted, max(page, 1)))


def _page(
    session: Session, settings: Settings, door: Door, asking: Visitor, state: DeterminationState | None, page: int
) -> CampaignPage:
    key, campaign = door.campaign.id or 0, door.campaign
    progress = campaigns.progress(session, campaign)
    gallery, n_gallery = _gallery(session, door, asking, state, (page - 1) * PER_PAGE)
    champion = learning.champion(session, key)
    scope = taxa.views(session, [campaign.root_taxon_qid], asking.language) if campaign.root_taxon_qid else {}
    return CampaignPage(
        door=door,
        progress=progress,
        counts={one.value: count for one, count in progress.by_state.items()},
        waiting=review.waiting_for(session, [key], asking.person, utc_now()).get(key, 0),
        n_for_specialists=review_queries.n_waiting(session, key).get(Queue.SPECIALIST, 0),
        model_number=champion.number if champion else 0,
        scope=scope.get(campaign.root_taxon_qid or ""),
        gallery=gallery,
        n_gallery=n_gallery,
        state=state.value if state else "",
        page=page,
        last_page=max(1, -(-n_gallery // PER_PAGE)),
        address=lambda number: _address(door, state=state.value if state else "", page=number if number > 1 else ""),
        helpers=tuple((person.name, n) for person, n in people.named_contributors(session, key)),
        source_url=_source_url(settings, campaign),
        n_gone=progress.illustrations.get(IllustrationState.GONE, 0),
    )


def _source_url(settings: Settings, campaign: Campaign) -> str:
    """Return the address of the category's page, on the wiki whose API we ask, or of the collection's item."""
    if campaign.source_kind is SourceKind.QUERY and collection_of(campaign.source):
        return f"https://www.wikidata.org/wiki/{campaign.source}"
    if campaign.source_kind is not SourceKind.CATEGORY:
        return ""
    title = campaign.source.removeprefix("Category:").replace(" ", "_")
    return f"{settings.commons_api_url.removesuffix('/w/api.php')}/wiki/Category:{quote(title)}"


def _gallery(
    session: Session, door: Door, asking: Visitor, state: DeterminationState | None, offset: int
) -> tuple[tuple[GalleryItem, ...], int]:
    rows, total = illustrations.gallery(session, door.campaign.id or 0, state, offset, PER_PAGE)
    figures = illustrations.determined(session, [row.id or 0 for row in rows])
    every = {one.figure_id: one for known in figures.values() for _, one in known}
    kept = screens.kept_back(session, door, asking.person, every, utc_now())
    names = taxa.views(session, {one.taxon_qid for one in every.values() if one.taxon_qid}, asking.language)
    items = []
    for row in rows:
        known = [one for _, one in figures.get(row.id or 0, [])]
        named = dict.fromkeys(qid for one in known if (qid := screens.taxon_of(one, kept)) in names)
        items.append(
            GalleryItem(
                row.id or 0,
                row.title,
                f"/c/{door.campaign.slug}/i/{row.id}/image?side=320",
                tuple(dict.fromkeys(screens.state_of(one, kept).value for one in known)),
                tuple(names[qid] for qid in named),
                len(known),
            )
        )
    return tuple(items), total


def _address(door: Door, **query: Any) -> str:
    told = {name: value for name, value in query.items() if value}
    return f"/c/{door.campaign.slug}" + (f"?{urlencode(told)}#plates" if told else "#plates")
