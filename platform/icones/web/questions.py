"""What the tag page asks: one figure, why it is asked, what the model proposes, and what this person said before.

Read only and quick: predictions and priorities are stored, so that neither a model nor Wikimedia is asked here.
"""

from dataclasses import dataclass

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.errors import NotFoundError
from icones.identifications import queries as identifications
from icones.illustrations import queries as illustration_queries
from icones.illustrations import service as illustrations
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.learning.service import Suggestions
from icones.models import Figure, Identification, Illustration, IllustrationState, Person
from icones.names import service as written_names
from icones.review import queries as review
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.cases import Box, Plate, crop_address, plate_of

SURE_OF_BEST = 0.8
"""Below this the broader name is offered too ..."""
SURE_OF_BROADER = 0.8
"""... if the model is at least so sure of it."""


@dataclass(frozen=True)
class Proposal:
    """One of the model's answers with pictures of what people verified as that taxon."""

    taxon: TaxonView
    probability: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What a person said of a figure, and what it led to."""

    identification_id: int
    answer: str
    taxon: TaxonView | None
    state: str


@dataclass(frozen=True)
class OnThisPlate:
    """Another figure of the same plate."""

    figure_id: int
    number: int
    state: str
    taxon: TaxonView | None
    is_current: bool


@dataclass(frozen=True)
class Question:
    """One figure, ready to be named."""

    figure: Figure
    illustration: Illustration
    plate: Plate
    boxes: tuple[Box, ...]
    state: str
    reason: str
    model_version_id: int | None
    proposals: tuple[Proposal, ...]
    broader: Proposal | None
    """A higher taxon of which the model is sure, while it is not of the best name."""
    mine: Said | None
    """What this person says of the figure now."""
    beside: tuple[OnThisPlate, ...]
    stated: tuple[TaxonView, ...]
    """What Commons says the illustration depicts, as far as these are taxa."""
    collection_taxon: TaxonView | None
    """What the name at the source was found to mean; a suggestion of the collection, never an identification."""
    can_be_named: bool
    has_model: bool
    """Whether a model serves this campaign, even if it has yet to look at this figure."""


def question_of(session: Session, door: Door, person: Person | None, figure_id: int, language: str) -> Question:
    """Return the question about a figure of this campaign; NotFoundError where there is none."""
    opened = illustrations.open_figure(session, figure_id, person)
    if opened.door.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such figure in this campaign.")
    row, slug = opened.illustration, door.campaign.slug
    present = illustration_queries.figures(session, row.id or 0)
    known = identifications.determinations(session, [one.id or 0 for one in present])
    own = _own(session, figure_id, person)
    statements = illustration_queries.statements(session, [row.id or 0]).get(row.id or 0, [])
    qids = {one.taxon_qid for one in known.values()} | {one.qid for one in statements if one.rank != "deprecated"}
    names = taxa.views(session, {qid for qid in {*qids, own.taxon_qid if own else None} if qid}, language)
    model = learning.suggestions(session, door.campaign, figure_id, language)
    task = review.task(session, figure_id)
    return Question(
        figure=opened.figure,
        illustration=row,
        plate=plate_of(slug, row),
        boxes=tuple(Box(one.box, one.number, one.id == figure_id) for one in present),
        state=known[figure_id].state.value,
        reason=task.reason if task else "",
        model_version_id=model.model_version_id if model else None,
        proposals=_proposals(slug, model),
        broader=_broader(model),
        mine=_said(own, known[figure_id].state.value, names) if own else None,
        beside=tuple(
            OnThisPlate(
                one.id or 0,
                one.number,
                known[one.id or 0].state.value,
                names.get(known[one.id or 0].taxon_qid or ""),
                one.id == figure_id,
            )
            for one in present
        ),
        stated=tuple(names[one.qid] for one in statements if one.rank != "deprecated" and one.qid in names),
        collection_taxon=written_names.taxon_of(session, door.campaign, row.verbatim_name, language),
        can_be_named=row.state is IllustrationState.READY and door.campaign.closed_at is None,
        has_model=model is not None or learning_queries.champion(session, door.campaign.id or 0) is not None,
    )


def said_of(session: Session, person: Person, identification_id: int, language: str) -> Said | None:
    """Return what was just said, while it stands and is this person's own; else None."""
    row = identifications.identification(session, identification_id)
    if row is None or row.person_id != person.id or row.ended_at is not None:
        return None
    names = taxa.views(session, [row.taxon_qid] if row.taxon_qid else [], language)
    return _said(row, identifications.determinations(session, [row.figure_id])[row.figure_id].state.value, names)


def _own(session: Session, figure_id: int, person: Person | None) -> Identification | None:
    standing = identifications.standing(session, [figure_id]).get(figure_id, []) if person else []
    return next((one for one in standing if person and one.person_id == person.id), None)


def _said(row: Identification, state: str, names: dict[str, TaxonView]) -> Said:
    return Said(row.id or 0, row.answer.value, names.get(row.taxon_qid or ""), state)


def _proposals(slug: str, model: Suggestions | None) -> tuple[Proposal, ...]:
    return tuple(
        Proposal(one.taxon, one.probability, tuple(crop_address(slug, figure, 160) for figure, _ in one.examples))
        for one in (model.best if model else ())
    )


def _broader(model: Suggestions | None) -> Proposal | None:
    """Return the lowest higher taxon of which the model is sure, unless it is sure of the best name anyway."""
    if model is None or not model.best or model.best[0].probability >= SURE_OF_BEST:
        return None
    return next((Proposal(taxon, p, ()) for taxon, p in model.lineage if p >= SURE_OF_BROADER), None)
