"""A figure with all that a specialist weighs: who said what, what the model thinks, what looks alike.

Read only, with a constant number of questions to the database whatever is said of the figure.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.config import Settings
from icones.depicts import outbox
from icones.depicts import queries as depicts
from icones.errors import NotFoundError
from icones.identifications import queries as identifications
from icones.illustrations import queries as illustration_queries
from icones.illustrations import service as illustrations
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.learning.service import Suggestions
from icones.models import Campaign, Figure, Identification, Illustration, Person
from icones.people import queries as people
from icones.review import queries as review
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.chronicle import rule_words
from icones.web.edit_rows import EditRow, rows_of
from icones.web.render import web_link
from icones.web.visitor import settings_of

CHOICES = 6
SIMILAR = 6
EXAMPLES = 2


@dataclass(frozen=True)
class Plate:
    """An illustration as the viewer shows it."""

    id: int
    image_url: str
    full_url: str
    width: int
    height: int
    title: str


@dataclass(frozen=True)
class Box:
    """Where a figure is on its plate."""

    box: str | None
    number: int
    current: bool


@dataclass(frozen=True)
class Voice:
    """What one person says of the figure. ``who`` is empty unless they agreed to be named."""

    answer: str
    taxon: TaxonView | None
    who: str
    role: str
    confidence: str
    comment: str
    at: datetime
    is_mine: bool


@dataclass(frozen=True)
class Choice:
    """A name that settles the figure in one tap: one that somebody gave, or that the model proposes."""

    taxon: TaxonView
    votes: int
    probability: float | None
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Alike:
    """Another figure that looks like this one, with what is known of it."""

    figure_id: int
    illustration_id: int
    likeness: float
    taxon: TaxonView | None
    state: str
    is_kept_back: bool = False
    """Whether its name is not shown to this person yet."""


@dataclass(frozen=True)
class Missed:
    """A statement of ours that somebody removed or changed on the wiki."""

    edit: EditRow
    wrote_at: datetime | None
    gone_at: datetime
    """When we saw it."""


@dataclass(frozen=True)
class Case:
    """All that a specialist weighs."""

    figure: Figure
    illustration: Illustration
    plate: Plate
    boxes: tuple[Box, ...]
    state: str
    rule: str
    reason: str
    voices: tuple[Voice, ...]
    choices: tuple[Choice, ...]
    model: Suggestions | None
    similar: tuple[Alike, ...]
    stated: tuple[TaxonView, ...]
    """What Commons says the illustration depicts, as far as these are taxa."""
    missed: Missed | None
    """What the question "somebody removed this" is about; None for every other reason."""


def crop_address(slug: str, figure_id: int, side: int = 320) -> str:
    """Return the address of a figure's picture, at most ``side`` pixels wide and high (one of the allowed sides)."""
    return f"/c/{slug}/f/{figure_id}/image?side={side}"


def case_of(request: Request, session: Session, door: Door, person: Person, figure_id: int, language: str) -> Case:
    """Return the case of a figure of this campaign; NotFoundError where there is none."""
    opened = illustrations.open_figure(session, figure_id, person)
    if opened.door.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such figure in this campaign.")
    figure, row, campaign = opened.figure, opened.illustration, door.campaign
    standing = identifications.standing(session, [figure_id]).get(figure_id, [])
    model = learning.suggestions(session, campaign, figure_id, language)
    alike = request.app.state.similar.search(session, campaign, figure_id, SIMILAR)
    known = identifications.determinations(session, [figure_id, *(one for one, _ in alike)])
    neighbours = illustration_queries.with_figures(session, [one for one, _ in alike])
    statements = illustration_queries.statements(session, [row.id or 0]).get(row.id or 0, [])
    qids = {one.taxon_qid for one in standing} | {one.taxon_qid for one in known.values()}
    qids |= {one.qid for one in statements}
    names = taxa.views(session, {qid for qid in qids if qid}, language)
    task = review.task(session, figure_id)
    return Case(
        figure=figure,
        illustration=row,
        plate=plate_of(campaign.slug, row),
        boxes=tuple(
            Box(one.box, one.number, one.id == figure_id) for one in illustration_queries.figures(session, row.id or 0)
        ),
        state=known[figure_id].state.value,
        rule=rule_words(known[figure_id].rule, language),
        reason=task.reason if task else "",
        voices=_voices(session, standing, names, person),
        choices=_choices(session, campaign, standing, names, model, figure_id),
        model=model,
        similar=tuple(
            Alike(
                one,
                neighbours[one][1].id or 0,
                likeness,
                names.get(known[one].taxon_qid or ""),
                known[one].state.value,
            )
            for one, likeness in alike
            if one in neighbours and one in known and neighbours[one][0].removed_at is None
        ),
        stated=tuple(names[one.qid] for one in statements if one.qid in names and one.rank != "deprecated"),
        missed=_missed(session, settings_of(request), campaign, row, figure_id, language)
        if task and task.reason == outbox.REMOVED_ELSEWHERE
        else None,
    )


def _missed(
    session: Session, settings: Settings, campaign: Campaign, file: Illustration, figure_id: int, language: str
) -> Missed | None:
    """Return the statement of ours on this figure that was missed last."""
    gone = [one for one in depicts.of_figures(session, [figure_id]).get(figure_id, []) if one.gone_at is not None]
    if not gone:
        return None
    last = max(gone, key=lambda one: (one.gone_at, one.id))
    row = rows_of(session, settings, [(last, file, campaign)], language)[0]
    return Missed(row, last.wrote_at, last.gone_at) if last.gone_at else None


def plate_of(slug: str, row: Illustration) -> Plate:
    address = f"/c/{slug}/i/{row.id}/image?side="
    return Plate(
        row.id or 0, f"{address}2400", web_link(row.page_url) or f"{address}2400", row.width, row.height, row.title
    )


def _voices(
    session: Session, standing: list[Identification], names: dict[str, TaxonView], person: Person
) -> tuple[Voice, ...]:
    known = people.people(session, {one.person_id for one in standing})
    return tuple(
        Voice(
            one.answer.value,
            names.get(one.taxon_qid or ""),
            known[one.person_id].name if known[one.person_id].named_in_exports else "",
            one.given_as.value,
            one.confidence.value,
            one.comment,
            one.created_at,
            one.person_id == person.id,
        )
        for one in standing
    )


def _choices(
    session: Session,
    campaign: Campaign,
    standing: list[Identification],
    names: dict[str, TaxonView],
    model: Suggestions | None,
    figure_id: int,
) -> tuple[Choice, ...]:
    """Return what people named, the most named first, then what the model proposes beside it; each with examples."""
    now_named = {view.qid: view for view in names.values()}
    votes = Counter(names[one.taxon_qid].qid for one in standing if one.taxon_qid in names)
    proposed = {one.taxon.qid: one for one in model.best} if model else {}
    order = [qid for qid, _ in votes.most_common()]
    order = [*order, *(qid for qid in proposed if qid not in votes)][:CHOICES]
    shown = learning_queries.examples(session, campaign.id or 0, order, EXAMPLES + 1)
    return tuple(
        Choice(
            now_named.get(qid) or proposed[qid].taxon,
            votes[qid],
            proposed[qid].probability if qid in proposed else None,
            tuple(crop_address(campaign.slug, one) for one, _ in shown.get(qid, ()) if one != figure_id)[:EXAMPLES],
        )
        for qid in order
    )
