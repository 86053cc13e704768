"""Where a campaign's illustrations come from, as forms say it: a category, a collection, a list, a query."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.errors import BadInputError
from icones.jobs import runner
from icones.models import JobKind, SourceKind
from icones.web.render import flash, translations
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession

router = APIRouter(include_in_schema=False)

LARGE = 6_000_000
"""Bytes of a field that may hold a list of 20,000 titles."""
COLLECTION = "collection"
"""The form's word for a query that is only the Q-id of a collection."""


@dataclass(frozen=True)
class SourceForm:
    """The part of a form that names a source; only the field of the chosen kind counts."""

    kind: str
    category: str
    depth: int
    collection_item: str
    files: str
    query: str

    @property
    def source_kind(self) -> SourceKind:
        """The kind as campaigns know it."""
        kinds = {kind.value: kind for kind in (SourceKind.CATEGORY, SourceKind.FILES, SourceKind.QUERY)}
        chosen = SourceKind.QUERY if self.kind == COLLECTION else kinds.get(self.kind)
        if chosen is None:
            raise BadInputError("Choose where the illustrations come from.")
        return chosen

    @property
    def source(self) -> str:
        """What was typed for the chosen kind. Raises BadInputError for a collection that is no Q-id."""
        if self.kind == COLLECTION:
            qid = self.collection_item.strip().rstrip("/").rpartition("/")[2].upper()
            if not (qid.startswith("Q") and qid[1:].isdecimal()):
                raise BadInputError("Give the collection's item on Wikidata, for example Q190804.")
            return qid
        return {"files": self.files, "query": self.query}.get(self.kind, self.category)

    @property
    def source_depth(self) -> int:
        """Levels of subcategories; other kinds have none."""
        return self.depth if self.source_kind is SourceKind.CATEGORY else 0

    def typed(self) -> dict[str, str]:
        """Return the fields as the form shows them again."""
        return {
            "source_kind": self.kind,
            "source": self.category,
            "source_depth": str(self.depth),
            "collection_item": self.collection_item,
            "files": self.files,
            "query": self.query,
        }


def source_form(
    source_kind: Annotated[str, Form()] = SourceKind.CATEGORY.value,
    source: Annotated[str, Form()] = "",
    source_depth: Annotated[int, Form()] = 0,
    collection_item: Annotated[str, Form()] = "",
    files: Annotated[str, Form()] = "",
    query: Annotated[str, Form()] = "",
) -> SourceForm:
    """Return what a form says of a source."""
    return SourceForm(source_kind, source, source_depth, collection_item, files, query)


@router.post("/c/{slug}/curate/source", form_limits={"max_part_size": LARGE})
def set_source(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    source: Annotated[str, Form()] = "",
) -> Any:
    """Give a campaign another list or query, and fetch it."""
    campaigns.set_source(session, door, source)
    runner.ask(session, JobKind.SYNC, door.campaign, utc_now(), person=asking.signed_in())
    flash(
        request, translations(asking.language).ugettext("The source is changed; its illustrations are being fetched.")
    )
    return RedirectResponse(f"/c/{door.campaign.slug}/curate", 303)
