"""What the tag page asks: one figure, why it is asked, what the model proposes, and what this person said before.

Read only and quick: predictions and priorities are stored, so that neither a model nor Wikimedia is asked here.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.campaigns.service import Door
from icones.errors import NotFoundError
from icones.identifications import queries as identifications
from icones.identifications.blind import SETTLED
from icones.illustrations import queries as illustration_queries
from icones.illustrations import service as illustrations
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.learning.service import Suggestions
from icones.models import (
    Answer,
    ConsensusRule,
    Determination,
    DeterminationState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    Person,
)
from icones.names import service as written_names
from icones.review import queries as review
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web import screens
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
    reached: TaxonView | None = None
    """What all agree on while the exact name is disputed."""
    thought: TaxonView | None = None
    """What the model thinks, told after an answer that was given without seeing it."""
    chance: float = 0.0
    specialist: TaxonView | None = None
    """What a specialist had settled before, where this was asked to see how well the person knows it."""


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
    is_withheld: bool
    """Whether what the model says is kept back: this person is among the first to name the figure."""
    may_disagree: bool
    """Whether "it cannot be named more exactly" can mean something: somebody else has named a taxon."""
    says: Suggestions | None
    """What the model says, as far as this person may see it now."""


def question_of(
    session: Session, door: Door, person: Person | None, figure_id: int, language: str, now: datetime
) -> Question:
    """Return the question about a figure of this campaign; NotFoundError where there is none.

    Where it is asked to see how well the person knows it, nothing tells that a specialist has answered it already.
    Specialists' first votes are blind here as everybody's: on this page they say what they see.
    """
    opened = illustrations.open_figure(session, figure_id, person)
    if opened.door.campaign.id != door.campaign.id:
        raise NotFoundError("There is no such figure in this campaign.")
    row, slug = opened.illustration, door.campaign.slug
    present = illustration_queries.figures(session, row.id or 0)
    known = identifications.determinations(session, [one.id or 0 for one in present])
    kept = screens.kept_back(session, door, person, known, now)
    is_gold = figure_id in kept and known[figure_id].state in SETTLED
    withheld = is_gold or bool(screens.voted_blind(session, door.campaign, person, {figure_id: known[figure_id]}))
    if withheld:
        kept |= {figure_id}
    said = identifications.standing(session, [figure_id]).get(figure_id, [])
    own = next((one for one in said if person and one.person_id == person.id), None)
    statements = [] if is_gold else illustration_queries.statements(session, [row.id or 0]).get(row.id or 0, [])
    qids = {one.taxon_qid for one in known.values()} | {one.qid for one in statements if one.rank != "deprecated"}
    names = taxa.views(session, {qid for qid in {*qids, own.taxon_qid if own else None} if qid}, language)
    model = None if withheld else learning.suggestions(session, door.campaign, figure_id, language)
    state, task = screens.state_of(known[figure_id], kept).value, review.task(session, figure_id)
    return Question(
        figure=opened.figure,
        illustration=row,
        plate=plate_of(slug, row),
        boxes=tuple(Box(one.box, one.number, one.id == figure_id) for one in present),
        state=state,
        reason="random" if is_gold else screens.reason_told(task.reason if task else "", withheld=withheld),
        model_version_id=model.model_version_id if model else None,
        proposals=_proposals(slug, model),
        broader=_broader(model),
        mine=Said(own.id or 0, own.answer.value, names.get(own.taxon_qid or ""), state) if own else None,
        beside=tuple(
            OnThisPlate(
                one.id or 0,
                one.number,
                screens.state_of(known[one.id or 0], kept).value,
                names.get(screens.taxon_of(known[one.id or 0], kept)),
                one.id == figure_id,
            )
            for one in present
        ),
        stated=tuple(names[one.qid] for one in statements if one.rank != "deprecated" and one.qid in names),
        collection_taxon=written_names.taxon_of(session, door.campaign, row.verbatim_name, language),
        can_be_named=row.state is IllustrationState.READY and door.campaign.closed_at is None,
        has_model=model is not None or learning_queries.has_champion(session, door.campaign.id or 0),
        is_withheld=withheld,
        may_disagree=not is_gold
        and door.campaign.rule is ConsensusRule.COMMUNITY
        and any(one.answer is Answer.TAXON and one is not own for one in said),
        says=model,
    )


def said_of(session: Session, person: Person, identification_id: int, language: str) -> Said | None:
    """Return what was just said, while it stands and is this person's own, with what others think; else None."""
    row = identifications.identification(session, identification_id)
    if row is None or row.person_id != person.id or row.ended_at is not None:
        return None
    known = identifications.determinations(session, [row.figure_id])[row.figure_id]
    guess, chance = _thought(session, row)
    names = taxa.views(session, {qid for qid in (row.taxon_qid, known.taxon_qid, guess) if qid}, language)
    reached = names.get(known.taxon_qid or "")
    return Said(
        row.id or 0,
        row.answer.value,
        names.get(row.taxon_qid or ""),
        known.state.value,
        reached if known.state is DeterminationState.DISPUTED else None,
        names.get(guess),
        chance,
        reached if _was_gold(row, known) else None,
    )


def _thought(session: Session, row: Identification) -> tuple[str, float]:
    """Return what the serving model thinks, and how sure it is; nothing where the person had seen it before."""
    found = learning_queries.prediction(session, row.figure_id) if row.shown.get("blind") else None
    if found is None or not found[0].ranked:
        return "", 0.0
    best = found[0].ranked[0]
    return best["qid"], best["p"]


def _was_gold(row: Identification, known: Determination) -> bool:
    return bool(row.shown.get("gold")) and known.settled_by is not None


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
