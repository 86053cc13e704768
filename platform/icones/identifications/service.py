"""What is done with identifications: given, withdrawn, and turned into determinations and review tasks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from icones.campaigns.service import Door
from icones.depicts import outbox
from icones.errors import BadInputError, ConflictError, NotAllowedError, NotFoundError
from icones.identifications import crowd, crowd_queries, machine, queries
from icones.identifications.consensus import Rule, Verdict, Vote, decide
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.models import (
    Answer,
    Campaign,
    Confidence,
    CrowdOpinion,
    Determination,
    DeterminationChange,
    DeterminationState,
    Ending,
    Identification,
    IllustrationState,
    Person,
    Queue,
    ReviewTask,
    Role,
)
from icones.people import queries as people
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service

MOVED = "Wikidata changed where a taxon stands."
"""What the history adds to the rule when nobody said anything new and a lineage did."""
SECOND_OPINION, DISPUTED = "second_opinion", "disputed"
BEGUN = (SECOND_OPINION, DISPUTED)
"""Reasons of volunteers' tasks that somebody has answered already: these keep their place."""
DOUBTFUL, CONFIRM, LOOK_AGAIN = "doubtful", "confirm", "look_again"
"""Reasons of tasks of figures that people agree on. With the last one volunteers are asked too."""
PRIORITY_OF_DOUBT = 4.0
PRIORITY_OF_DISPUTE = 3.0
PRIORITY_OF_CONFIRMATION = 2.0
"""Plus up to 0.9, the surer it is."""


@dataclass(frozen=True)
class Submission:
    """What a person's form says."""

    submission_id: str
    answer: Answer
    taxon_qid: str | None = None
    confidence: Confidence = Confidence.SURE
    comment: str = ""
    shown: dict[str, Any] = field(default_factory=dict)
    disagrees: bool = False
    """It cannot be named more exactly than this; kept only where somebody else has named it more exactly."""


@dataclass(frozen=True)
class Submitted:
    """What came of it."""

    identification: Identification
    determination: Determination
    is_repeat: bool
    """The same form had arrived before; nothing was added."""


def submit(session: Session, person: Person, figure_id: int, said: Submission, now: datetime) -> Submitted:
    """Keep one identification and what follows from it, in the caller's transaction.

    The same ``submission_id`` again (a double click, a resent form) answers as the first time. A person's earlier
    identification of the figure is superseded, never changed.
    """
    earlier = queries.by_submission(session, said.submission_id)
    if earlier is not None:
        return _repeated(session, earlier, person, figure_id)
    opened = illustration_service.open_figure(session, figure_id, person)
    _check(session, opened, said)
    illustrations.locked_figure(session, figure_id)  # two people saving at once: one after the other
    others = []
    for row in queries.standing(session, [figure_id]).get(figure_id, []):
        if row.person_id == person.id:
            _end(session, row, Ending.SUPERSEDED, now)
        else:
            others.append(row)
    session.flush()
    row = Identification(
        submission_id=said.submission_id,
        figure_id=figure_id,
        person_id=person.id or 0,
        given_as=_speaks_as(session, opened.door, person, said.taxon_qid),
        answer=said.answer,
        taxon_qid=said.taxon_qid,
        confidence=said.confidence,
        comment=said.comment.strip()[:2000],
        disagrees=said.disagrees and _is_named_below(session, said.taxon_qid, others),
        shown=said.shown,
        created_at=now,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        # On PostgreSQL the same form can arrive twice at the very same moment; the second one asks again.
        raise ConflictError("This answer is being saved already. Reload the page to see it.") from error
    recompute(session, opened.door.campaign, [figure_id], now, cause=row.id)
    return Submitted(row, queries.determinations(session, [figure_id])[figure_id], is_repeat=False)


def _repeated(session: Session, earlier: Identification, person: Person, figure_id: int) -> Submitted:
    if earlier.person_id != person.id or earlier.figure_id != figure_id:
        raise ConflictError("This form was used before. Reload the page and answer again.")
    return Submitted(earlier, queries.determinations(session, [figure_id])[figure_id], is_repeat=True)


def _check(session: Session, opened: illustration_service.OpenFigure, said: Submission) -> None:
    opened.door.require(Role.VOLUNTEER)
    if opened.door.campaign.closed_at is not None:
        raise ConflictError("This campaign is closed; nothing more can be said.")
    if opened.illustration.state is not IllustrationState.READY:
        raise ConflictError("This illustration's image is not here (any more), so it cannot be named now.")
    if not 8 <= len(said.submission_id) <= 64:
        raise BadInputError("The form has no submission id. Reload the page and try again.")
    if (said.answer is Answer.TAXON) != bool(said.taxon_qid):
        raise BadInputError("Choose a taxon, or one of the other answers.")
    if said.taxon_qid:
        taxon_service.require(session, said.taxon_qid)


def _is_named_below(session: Session, qid: str | None, others: Collection[Identification]) -> bool:
    """Say whether somebody named the figure more exactly than this taxon."""
    called = taxon_service.current(session, [qid, *(row.taxon_qid for row in others)])
    given = called.get(qid or "")
    lines = taxa.lineages(session, {called[row.taxon_qid] for row in others if row.taxon_qid})
    return any(given in line[1:] for line in lines.values())


def _speaks_as(session: Session, door: Door, person: Person, taxon_qid: str | None) -> Role:
    """Return the role this word counts in: a specialist outside their field speaks as a volunteer."""
    if door.role is None or door.role is Role.VOLUNTEER:
        return Role.VOLUNTEER
    member = people.membership(session, door.campaign.id or 0, person.id or 0)
    known = people.expertise(session, member.id or 0) if member and member.role is Role.SPECIALIST else set()
    field_of = set(taxon_service.current(session, known).values())
    if not field_of or taxon_qid is None:
        return door.role
    line = taxa.lineages(session, [taxon_qid]).get(taxon_qid, ())
    return door.role if field_of.intersection(line) else Role.VOLUNTEER


def withdraw(session: Session, person: Person, identification_id: int, now: datetime) -> Determination:
    """Take back one's own identification: it stays in the history and counts no more."""
    row = queries.identification(session, identification_id)
    if row is None:
        raise NotFoundError("There is no such identification.")
    if row.person_id != person.id:
        raise NotAllowedError("Only the person who gave an identification can withdraw it.")
    opened = illustration_service.open_figure(session, row.figure_id, person)
    illustrations.locked_figure(session, row.figure_id)
    session.refresh(row)
    if row.ended_at is None:
        _end(session, row, Ending.WITHDRAWN, now)
        session.flush()
        recompute(session, opened.door.campaign, [row.figure_id], now, cause=row.id)
    return queries.determinations(session, [row.figure_id])[row.figure_id]


def _end(session: Session, row: Identification, ending: Ending, now: datetime) -> None:
    row.ended_at = now
    row.ending = ending
    session.add(row)


def rule_of(campaign: Campaign) -> Rule:
    """Return a campaign's rule as consensus reads it."""
    return Rule(campaign.quorum, campaign.agreement, campaign.agreed_is_verified, campaign.rule)


def recompute(
    session: Session,
    campaign: Campaign,
    figure_ids: Collection[int],
    now: datetime,
    *,
    cause: int | None = None,
    model_version_id: int | None = None,
    because: str = "",
) -> int:
    """Derive the determinations and review tasks of these figures anew; return how many changed state.

    Taxa that were merged stand for their targets; a determination that says the same as before under another id is
    left as it was written. ``because`` is added to the rule in the history.
    """
    standing = queries.standing(session, figure_ids)
    determinations = queries.determinations(session, figure_ids)
    opinions = _opinions(session, figure_ids, cause)
    named = {row.taxon_qid for rows in standing.values() for row in rows if row.taxon_qid}
    believed = {node for opinion in opinions.values() for node in opinion.labels}
    now_called = taxon_service.current(session, [*named, *(row.taxon_qid for row in determinations.values())])
    lineages = taxa.lineages(session, {now_called[qid] for qid in named} | believed)
    predicted = queries.with_prediction(session, figure_ids)
    alone = machine.words(session, campaign, [key for key in figure_ids if not standing.get(key)])
    tasks = queries.tasks(session, figure_ids)
    changed: list[Determination] = []
    for figure_id, row in determinations.items():
        votes = _votes(standing.get(figure_id, []), now_called)
        verdict = decide(
            votes,
            rule_of(campaign),
            lineages,
            has_prediction=figure_id in predicted,
            machine=alone.get(figure_id),
        )
        said = (row.state, row.answer, now_called.get(row.taxon_qid or ""))
        if said != (verdict.state, verdict.answer, verdict.taxon_qid):
            changed.append(row)
            session.add(
                DeterminationChange(
                    figure_id=figure_id,
                    before=row.state,
                    after=verdict.state,
                    answer=verdict.answer,
                    taxon_qid=verdict.taxon_qid,
                    rule=f"{verdict.rule} {because}".strip(),
                    identification_id=cause,
                    model_version_id=model_version_id or verdict.model_version_id,
                    at=now,
                )
            )
            row.decided_at = now
            row.state, row.answer, row.taxon_qid = verdict.state, verdict.answer, verdict.taxon_qid
        row.rule, row.n_agree, row.n_disagree = verdict.rule, verdict.n_agree, verdict.n_disagree
        row.settled_by = verdict.settled_by
        session.add(row)
        opinion = opinions.get(figure_id)
        belief = crowd.believed(opinion, row.taxon_qid or row.answer.value, lineages) if opinion and row.answer else 0.0
        asked = _Asked(verdict, len(votes), opinion, belief)
        _keep_task(session, row, tasks.get(figure_id), asked, now, asked_again=cause is not None)
    outbox.follow(session, campaign, changed, now)
    return len(changed)


def _opinions(session: Session, figure_ids: Collection[int], cause: int | None) -> dict[int, CrowdOpinion]:
    """Return what is known of the votes as weighed; where somebody has just spoken it is about other votes."""
    if cause is None:
        return crowd_queries.opinions(session, figure_ids)
    for figure_id in figure_ids:
        crowd_queries.forget_opinion(session, figure_id)
    return {}


def _votes(standing: Collection[Identification], now_called: Mapping[str, str]) -> list[Vote]:
    """Return the votes that count. Who was asked only to see how well they know it is not counted beside the specialist
    who settled it; should that word be taken back, theirs counts as everybody's."""
    settled = any(one.given_as is not Role.VOLUNTEER for one in standing)
    return [
        Vote(
            one.person_id,
            one.given_as is not Role.VOLUNTEER,
            one.answer,
            now_called.get(one.taxon_qid or ""),
            one.disagrees,
        )
        for one in standing
        if not (settled and one.shown.get("gold"))
    ]


@dataclass(frozen=True)
class _Asked:
    """What a figure's review task follows from."""

    verdict: Verdict
    n_votes: int
    opinion: CrowdOpinion | None
    belief: float
    """How much of the weighed votes stands behind the determination, 0 to 1; 0 where they were not weighed."""

    @property
    def is_doubted(self) -> bool:
        return self.opinion is not None and self.belief < crowd.DOUBT

    @property
    def retires(self) -> bool:
        return self.opinion is not None and self.opinion.retires


def _keep_task(
    session: Session, row: Determination, task: ReviewTask | None, asked: _Asked, now: datetime, *, asked_again: bool
) -> None:
    """Keep, move or end a figure's review task, as its state asks.

    The question what to make of a statement that somebody removed on the wiki stays until a person has answered
    (``asked_again``: an identification was given or withdrawn), and so does a second look at what people agree on.
    """
    if task is not None and task.reason == outbox.REMOVED_ELSEWHERE and not asked_again:
        return
    if task is not None and task.reason == LOOK_AGAIN and row.state is DeterminationState.AGREED and not asked_again:
        return
    if row.state in (DeterminationState.VERIFIED, DeterminationState.UNIDENTIFIABLE):
        if task is not None:
            session.delete(task)
        return
    if task is None:
        task = ReviewTask(figure_id=row.figure_id, campaign_id=row.campaign_id, queue=Queue.VOLUNTEER, updated_at=now)
    placed = _place(row.state, asked)
    if placed is not None:
        task.queue, task.priority, task.reason = placed
    elif task.queue is Queue.SPECIALIST or task.reason in (*BEGUN, LOOK_AGAIN):
        task.queue, task.priority, task.reason = Queue.VOLUNTEER, 0.5, "new"
    task.updated_at = now
    session.add(task)


def _place(state: DeterminationState, asked: _Asked) -> tuple[Queue, float, str] | None:
    """Return the queue, priority and reason of a figure that people have begun; None while nobody has."""
    if state is DeterminationState.DISPUTED:
        more = asked.verdict.more_may_settle and not asked.retires
        return Queue.VOLUNTEER if more else Queue.SPECIALIST, PRIORITY_OF_DISPUTE, DISPUTED
    if state is DeterminationState.AGREED:
        if asked.is_doubted:
            return Queue.SPECIALIST, PRIORITY_OF_DOUBT + 1.0 - asked.belief, DOUBTFUL
        return Queue.SPECIALIST, PRIORITY_OF_CONFIRMATION + 0.9 * asked.belief, CONFIRM
    if asked.opinion is not None and asked.opinion.retires:
        return Queue.SPECIALIST, PRIORITY_OF_CONFIRMATION + 0.9 * asked.opinion.belief, CONFIRM
    if asked.verdict.needs_specialist:
        return Queue.SPECIALIST, PRIORITY_OF_CONFIRMATION, "nobody_could_tell"
    if asked.n_votes:
        # One more voice settles it: finish what is begun before starting the next.
        return Queue.VOLUNTEER, 1.5, SECOND_OPINION
    return None
