"""The specialists' pages: what people disagree about, cannot tell, or what the model does not know; settled in one tap.

Nothing is asked of a model or of Wikimedia here: predictions are stored, similarity is a local index.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.depicts import service as depicts
from icones.errors import BadInputError, NotFoundError
from icones.identifications import service as identifications
from icones.identifications.service import Submission, Submitted
from icones.illustrations import service as illustrations
from icones.models import Answer, Confidence, Role
from icones.review import queries, service
from icones.taxa import service as taxa
from icones.taxa.service import Hit, TaxonView
from icones.web import screens
from icones.web.cases import Case, case_of
from icones.web.render import flash, render, translations
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession, PageNumber, RowId

router = APIRouter(include_in_schema=False)

PER_PAGE = 12
REASONS = (
    *("look_again", "doubtful", "removed_elsewhere", "disputed", "confirm", "nobody_could_tell"),
    *("close_call", "unsure", "novel"),
)
"""In the order in which they need a specialist."""


@dataclass(frozen=True)
class QueueItem:
    """One figure in the queue."""

    figure_id: int
    title: str
    reason: str
    is_current: bool
    address: str


@dataclass(frozen=True)
class Settled:
    """What was just said, with the way back."""

    identification_id: int
    answer: str
    taxon: TaxonView | None
    counts_as: str
    """The role in which the word counts: outside their field a specialist speaks as a volunteer."""
    state: str


@dataclass(frozen=True)
class ReviewPage:
    """The queue, and the one case that is asked now."""

    template: ClassVar[str] = "pages/review.html"
    door: Door
    case: Case | None
    items: tuple[QueueItem, ...]
    reasons: tuple[tuple[str, int], ...]
    """Reason codes with how many figures wait for them; the first is ``""`` for all."""
    reason: str
    page: int
    last_page: int
    address: Callable[[int], str]
    expertise: tuple[TaxonView, ...]
    settled: Settled | None = None
    hits: tuple[Hit, ...] = ()
    """Answers to a search, for people without JavaScript."""
    words: str = ""
    submission_id: str = ""
    section: str = "campaigns"


@dataclass(frozen=True)
class ReviewFragment(ReviewPage):
    """The same, without the frame around it."""

    template: ClassVar[str] = "fragments/review.html"


@router.get("/c/{slug}/review")
def review_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    reason: str = "",
    page: PageNumber = 1,
    figure: RowId | None = None,
    leave: RowId | None = None,
    q: str = "",
) -> Any:
    """Show what waits for a specialist; ``leave`` is a figure not to begin with, ``q`` a name that is looked for."""
    door.require(Role.SPECIALIST)
    return _show(request, session, door, asking, reason, page, figure, leave=leave, words=q)


@router.post("/c/{slug}/review/undo")
def undo(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    identification: Annotated[RowId, Form()],
) -> Any:
    """Take one's last word back and return to its figure."""
    door.require(Role.SPECIALIST)
    person = asking.signed_in()
    determination = identifications.withdraw(session, person, identification, utc_now())
    if determination.campaign_id != door.campaign.id:
        raise NotFoundError("There is no such identification in this campaign.")
    if asking.is_htmx:
        return _show(request, session, door, asking, "", 1, determination.figure_id)
    flash(request, "Taken back. Here it is again.", "notice")
    return RedirectResponse(_address(door, figure=determination.figure_id), 303)


@router.post("/c/{slug}/review/{figure_id}")
def settle(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    figure_id: RowId,
    submission_id: Annotated[str, Form()],
    taxon: Annotated[str, Form()] = "",
    chosen: Annotated[str, Form()] = "",
    taxon_words: Annotated[str, Form()] = "",
    answer: Annotated[Answer | None, Form()] = None,
    confidence: Annotated[Confidence, Form()] = Confidence.SURE,
    comment: Annotated[str, Form()] = "",
    model_version: Annotated[RowId | None, Form()] = None,
    reason: Annotated[str, Form()] = "",
) -> Any:
    """Give one's word on a figure; it settles, unless another specialist says what cannot be true too."""
    door.require(Role.SPECIALIST)
    person = asking.signed_in()
    if illustrations.open_figure(session, figure_id, person).door.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such figure in this campaign.")
    qid = chosen or taxon
    if answer is None and not qid:
        if not taxon_words.strip():
            raise BadInputError("Choose one of the names, or one of the other answers.")
        return RedirectResponse(_address(door, figure=figure_id, reason=reason, q=taxon_words.strip()), 303)
    said = Submission(
        submission_id,
        answer or Answer.TAXON,
        None if answer and answer is not Answer.TAXON else qid,
        confidence,
        comment,
        screens.on_review_page(session, figure_id, model_version),
    )
    done = identifications.submit(session, person, figure_id, said, utc_now())
    if asking.is_htmx:
        response = _show(request, session, door, asking, reason, 1, None, done=done)
        response.headers["HX-Replace-Url"] = _address(door, reason=reason)
        return response
    flash(request, _words(done, asking.language))
    return RedirectResponse(_address(door, reason=reason, leave=figure_id), 303)


@router.post("/c/{slug}/review/{figure_id}/removal")
def answer_removal(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    figure_id: RowId,
    edit: Annotated[RowId, Form()],
    again: Annotated[bool, Form()],
) -> Any:
    """Answer "somebody removed this": say it again, or leave it. Naming it anew is an ordinary answer."""
    depicts.answer_removal(session, door, edit, asking.signed_in(), utc_now(), again=again)
    if again:
        flash(request, "It is to be said again. A curator sends it off.")
    else:
        flash(request, "Left as it is on Commons. What people verified here stays.")
    return RedirectResponse(_address(door, leave=figure_id), 303)


def _words(done: Submitted, language: str) -> str:
    _ = translations(language).ugettext
    if done.identification.given_as is Role.VOLUNTEER:
        return _("Saved. It lies outside your field, so it counts as a volunteer’s answer.")
    return _("Saved and settled.") if done.determination.settled_by else _("Saved. Specialists still disagree here.")


def _show(
    request: Request,
    session: Session,
    door: Door,
    asking: CurrentVisitor,
    reason: str,
    page: int,
    figure_id: int | None,
    *,
    leave: int | None = None,
    words: str = "",
    done: Submitted | None = None,
) -> Response:
    """Return the page, or for htmx its inner part, with the asked figure or the next one in the queue."""
    person, key, page = asking.signed_in(), door.campaign.id or 0, max(page, 1)
    reason = reason if reason in REASONS else ""
    field = service.field_of(session, door, person)
    counts = queries.reasons_for_specialists(session, key, field)
    rows, total = queries.for_specialists(
        session,
        key,
        [reason] if reason else [],
        (page - 1) * PER_PAGE,
        PER_PAGE,
        person_id=person.id or 0,
        field=field,
    )
    current = figure_id or _next(rows, leave=done.identification.figure_id if done else leave)
    case = case_of(request, session, door, person, current, asking.language) if current else None
    names = taxa.views(session, {*field, *_named(done)}, asking.language)
    hits = taxa.search(session, words, asking.language, door.campaign.root_taxon_qid) if words else []
    kind = ReviewFragment if asking.is_htmx else ReviewPage
    content = kind(
        door=door,
        case=case,
        items=tuple(
            QueueItem(
                figure.id or 0,
                illustration.title,
                task.reason,
                figure.id == current,
                _address(door, figure=figure.id, reason=reason, page=page if page > 1 else None),
            )
            for task, figure, illustration, _ in rows
        ),
        reasons=(("", sum(counts.values())), *((code, counts[code]) for code in REASONS if counts.get(code))),
        reason=reason,
        page=page,
        last_page=max(1, -(-total // PER_PAGE)),
        address=lambda number: _address(door, reason=reason, page=number),
        expertise=tuple(names[qid] for qid in sorted(field) if qid in names),
        settled=_settled(done, names),
        hits=tuple(hits),
        words=words,
        submission_id=str(uuid.uuid4()),
    )
    return render(request, content)


def _next(rows: Sequence[Any], leave: int | None) -> int | None:
    """Return the first figure of the queue, but not the one just answered while there is another."""
    ids = [figure.id for _, figure, _, _ in rows]
    return next((figure_id for figure_id in ids if figure_id != leave), ids[0] if ids else None)


def _named(done: Submitted | None) -> set[str]:
    return {done.identification.taxon_qid} if done and done.identification.taxon_qid else set()


def _settled(done: Submitted | None, names: dict[str, TaxonView]) -> Settled | None:
    if done is None:
        return None
    row = done.identification
    return Settled(
        row.id or 0,
        row.answer.value,
        names.get(row.taxon_qid or ""),
        row.given_as.value,
        done.determination.state.value,
    )


def _address(door: Door, **query: Any) -> str:
    told = {name: value for name, value in query.items() if value}
    return f"/c/{door.campaign.slug}/review" + (f"?{urlencode(told)}" if told else "")
