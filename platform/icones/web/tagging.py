"""The tag page, the heart of Icones: one figure, one question, one tap, and the next.

Each form works without JavaScript; with it, the inner part of the page is swapped. What was on the screen is looked
up here from the model version that the form names, never believed from the form.
"""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.errors import BadInputError, NotFoundError
from icones.identifications import queries as identification_queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.illustrations import service as illustrations
from icones.jobs import runner
from icones.learning import queries as learning_queries
from icones.models import Answer, Confidence, JobKind, Person
from icones.review import service as review
from icones.taxa import service as taxa
from icones.taxa.service import Hit
from icones.web import screens
from icones.web.questions import Question, Said, question_of, said_of
from icones.web.reliability import Reliable, reliability_of
from icones.web.render import flash, render
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession, RowId, Visitor

router = APIRouter(include_in_schema=False)

SKIP = "skip"


@dataclass(frozen=True)
class TagPage:
    """One figure and the question what it is; or, without a figure, that all is done."""

    template: ClassVar[str] = "pages/tag.html"
    door: Door
    question: Question | None
    saved: Said | None
    """What was just saved, with the way back."""
    n_mine: int
    """How many figures of this campaign the person has named so far."""
    submission_id: str
    words: str = ""
    """A typed name that was looked up, for people without JavaScript and for what is not known yet."""
    hits: tuple[Hit, ...] = ()
    my_reliability: tuple[Reliable, ...] = ()
    """How often this person is right here, as far as it is known."""
    section: str = "campaigns"


@dataclass(frozen=True)
class TagFragment(TagPage):
    """The same, without the frame around it."""

    template: ClassVar[str] = "fragments/tag.html"


@router.get("/c/{slug}/tag")
def tag_page(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    figure: RowId | None = None,
    saved: RowId | None = None,
    q: str = "",
) -> Any:
    """Ask what a figure is: the named one, else the one where this person's eye is worth most now."""
    return _show(request, session, door, asking, figure_id=figure, saved=saved, words=q.strip())


@router.post("/c/{slug}/tag/undo")
def undo(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    identification: Annotated[RowId, Form()],
) -> Any:
    """Take one's own answer back and return to its figure."""
    determination = identifications.withdraw(session, asking.signed_in(), identification, utc_now())
    if determination.campaign_id != door.campaign.id:
        raise NotFoundError("There is no such identification in this campaign.")
    flash(request, "Taken back. Here it is again.", "notice")
    return _onward(request, session, door, asking, figure_id=determination.figure_id)


@router.post("/c/{slug}/tag/{figure_id}")
def answer(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    figure_id: RowId,
    submission_id: Annotated[str, Form()],
    chosen: Annotated[str, Form()] = "",
    taxon: Annotated[str, Form()] = "",
    taxon_words: Annotated[str, Form()] = "",
    answer: Annotated[Answer | Literal["skip"] | None, Form()] = None,
    confidence: Annotated[Confidence, Form()] = Confidence.SURE,
    comment: Annotated[str, Form()] = "",
    disagrees: Annotated[bool, Form()] = False,
    model_version: Annotated[RowId | None, Form()] = None,
) -> Any:
    """Save what a person says a figure is, or pass it over, and ask the next one.

    ``chosen`` is a tapped name, ``taxon`` one picked from the search, ``taxon_words`` what was typed there: if exactly
    one taxon bears that name it is taken, else the names like it are shown to choose from.
    """
    person = asking.signed_in()
    _require_here(session, door, person, figure_id)
    if answer == SKIP:
        review.skip(session, person, figure_id, utc_now())
        return _onward(request, session, door, asking, leave=figure_id)
    qid = chosen or taxon or _only_bearer(session, taxon_words)
    if answer is None and not qid:
        if not taxon_words.strip():
            raise BadInputError("Choose one of the names, or one of the other answers.")
        return _onward(request, session, door, asking, figure_id=figure_id, words=taxon_words.strip())
    kind = answer if isinstance(answer, Answer) else Answer.TAXON
    said = Submission(
        submission_id,
        kind,
        qid if kind is Answer.TAXON else None,
        confidence,
        comment,
        screens.on_tag_page(session, door, person, figure_id, model_version, utc_now()),
        disagrees,
    )
    done = identifications.submit(session, person, figure_id, said, utc_now())
    return _onward(request, session, door, asking, leave=figure_id, saved=done.identification.id)


@router.post("/c/{slug}/i/{illustration_id}/figures")
def add_figure(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    illustration_id: RowId,
    x: Annotated[str, Form()] = "",
    y: Annotated[str, Form()] = "",
    w: Annotated[str, Form()] = "",
    h: Annotated[str, Form()] = "",
) -> Any:
    """Note that there is another species on the plate, with a box if one was drawn, and ask for its name."""
    person = asking.signed_in()
    row, opened = illustrations.open_illustration(session, illustration_id, person)
    if opened.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such illustration in this campaign.")
    figure = illustrations.add_figure(session, row.id or 0, person, box_of(x, y, w, h), utc_now())
    if learning_queries.has_champion(session, door.campaign.id or 0):
        runner.ask(session, JobKind.PREDICT, door.campaign, utc_now(), person=person)
    flash(request, "Added. Now say what this one is.", "success")
    return RedirectResponse(_address(door, figure=figure.id), 303)


def box_of(x: str, y: str, w: str, h: str) -> str | None:
    """Return a box from four numbers in per cent as a form sends them; None when all are empty.

    A box drawn to the very edge may be off by the rounding of its numbers: it is cut at the edge.
    """
    given = [value.strip().replace(",", ".") for value in (x, y, w, h)]
    if not any(given):
        return None
    try:
        left, top, width, height = (float(value) for value in given)
    except ValueError as error:
        raise BadInputError("A box needs four numbers, in per cent of the plate; or leave all four empty.") from error
    if not (0 <= left <= 100 and 0 <= top <= 100):
        raise BadInputError("A box begins on the plate: from the left and from the top are numbers from 0 to 100.")
    return f"pct:{left:g},{top:g},{min(width, 100 - left):g},{min(height, 100 - top):g}"


def _require_here(session: Session, door: Door, person: Person, figure_id: int) -> None:
    if illustrations.open_figure(session, figure_id, person).door.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such figure in this campaign.")


def _only_bearer(session: Session, words: str) -> str:
    return taxa.resolve(session, [words]).get(words, "") if words.strip() else ""


def _onward(
    request: Request,
    session: Session,
    door: Door,
    asking: Visitor,
    *,
    figure_id: int | None = None,
    leave: int | None = None,
    saved: int | None = None,
    words: str = "",
) -> Response:
    """Go on after a form: by a fragment for htmx, else by another address."""
    if not asking.is_htmx:
        return RedirectResponse(_address(door, figure=figure_id, saved=saved, q=words), 303)
    return _show(request, session, door, asking, figure_id=figure_id, leave=leave, saved=saved, words=words)


def _show(
    request: Request,
    session: Session,
    door: Door,
    asking: Visitor,
    *,
    figure_id: int | None = None,
    leave: int | None = None,
    saved: int | None = None,
    words: str = "",
) -> Response:
    person = asking.person
    now = utc_now()
    current = figure_id or review.next_figure(session, door, person, now, leave)
    hits = taxa.search(session, words, asking.language, door.campaign.root_taxon_qid) if words else []
    kind = TagFragment if asking.is_htmx else TagPage
    page = kind(
        door=door,
        question=question_of(session, door, person, current, asking.language, now) if current else None,
        saved=said_of(session, person, saved, asking.language) if saved and person else None,
        n_mine=identification_queries.n_by_person(session, door.campaign.id or 0, person.id or 0) if person else 0,
        submission_id=str(uuid.uuid4()),
        words=words,
        hits=tuple(hits),
        my_reliability=reliability_of(session, door, person, asking.language) if person else (),
    )
    response = render(request, page)
    if asking.is_htmx:
        # The address shows what is asked now, so that a reload or a bookmark asks the same.
        response.headers["HX-Replace-Url"] = _address(door, figure=current)
    return response


def _address(door: Door, **query: Any) -> str:
    told = {name: value for name, value in query.items() if value}
    return f"/c/{door.campaign.slug}/tag" + (f"?{urlencode(told)}" if told else "")
