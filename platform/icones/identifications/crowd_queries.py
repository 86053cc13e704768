"""All SQL about what is known of the crowd: votes as they were given, skills, and what the votes amount to."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.models import (
    Answer,
    CrowdOpinion,
    Determination,
    DeterminationState,
    Figure,
    Identification,
    Person,
    Queue,
    ReviewTask,
    Role,
    Skill,
)
from icones.taxa.queries import batches


def has_votes(session: Session, campaign_id: int) -> bool:
    """Say whether anybody's identification stands in a campaign."""
    question = (
        select(Identification.id)
        .join(Figure, col(Figure.id) == Identification.figure_id)
        .where(Figure.campaign_id == campaign_id, col(Identification.ended_at).is_(None))
    )
    return session.exec(question.limit(1)).first() is not None


class Word(NamedTuple):
    """What one person's standing identification says, without the rest of it: there are many."""

    figure_id: int
    person_id: int
    given_as: Role
    answer: Answer
    taxon_qid: str | None
    shown: dict[str, Any]


def votes(session: Session, campaign_id: int) -> list[Word]:
    """Return the standing identifications of a campaign that name something, by figure; removed figures left out."""
    question = (
        sa.select(
            col(Identification.figure_id),
            col(Identification.person_id),
            col(Identification.given_as),
            col(Identification.answer),
            col(Identification.taxon_qid),
            col(Identification.shown),
        )
        .join(Figure, col(Figure.id) == col(Identification.figure_id))
        .where(
            col(Figure.campaign_id) == campaign_id,
            col(Figure.removed_at).is_(None),
            col(Identification.ended_at).is_(None),
            col(Identification.answer) != Answer.CANNOT_TELL,
        )
    )
    rows = session.execute(question.order_by(col(Identification.figure_id), col(Identification.id)))
    return [Word(*row) for row in rows]


def settled_by_specialists(session: Session, campaign_id: int) -> dict[int, tuple[str, int]]:
    """Return what specialists settled, by figure: the taxon or other answer, and who settled it."""
    question = select(Determination).where(
        Determination.campaign_id == campaign_id,
        Determination.state == DeterminationState.VERIFIED,
        col(Determination.settled_by).is_not(None),
    )
    return {
        row.figure_id: (row.taxon_qid or row.answer.value, row.settled_by)
        for row in session.exec(question)
        if row.settled_by is not None and row.answer is not None
    }


def opinions(session: Session, figure_ids: Collection[int]) -> dict[int, CrowdOpinion]:
    """Return what the votes on these figures amount to; figures that were not weighed are absent."""
    found: dict[int, CrowdOpinion] = {}
    for batch in batches(sorted(figure_ids)):
        rows = session.exec(select(CrowdOpinion).where(col(CrowdOpinion.figure_id).in_(batch)))
        found |= {row.figure_id: row for row in rows}
    return found


def opinions_of(session: Session, campaign_id: int) -> dict[int, CrowdOpinion]:
    """Return what the votes on each weighed figure of a campaign amount to."""
    rows = session.exec(select(CrowdOpinion).where(CrowdOpinion.campaign_id == campaign_id))
    return {row.figure_id: row for row in rows}


def forget_opinion(session: Session, figure_id: int) -> None:
    """Drop what was made of a figure's votes: it has other votes now."""
    session.exec(sa.delete(CrowdOpinion).where(col(CrowdOpinion.figure_id) == figure_id))


def places(session: Session, figure_ids: Collection[int]) -> dict[int, tuple[Queue, str]]:
    """Return for each of these figures that waits: in which queue, and the reason."""
    found: dict[int, tuple[Queue, str]] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(ReviewTask.figure_id, col(ReviewTask.queue), ReviewTask.reason)
        rows = session.exec(question.where(col(ReviewTask.figure_id).in_(batch)))
        found |= {figure_id: (queue, reason) for figure_id, queue, reason in rows}
    return found


def named_by_volunteers(session: Session, campaign_id: int) -> Sequence[Determination]:
    """Return the figures that volunteers agree on, verified or not, without a specialist's word."""
    question = select(Determination).where(
        Determination.campaign_id == campaign_id,
        col(Determination.state).in_([DeterminationState.AGREED, DeterminationState.VERIFIED]),
        col(Determination.settled_by).is_(None),
        Determination.by_people(),
    )
    return session.exec(question).all()


def replace(session: Session, campaign_id: int, rows: Iterable[Skill], found: Iterable[CrowdOpinion]) -> None:
    """Put these skills and opinions in the place of all that a campaign had."""
    # What is to be written is put together first: with the first statement others' writes begin to wait.
    told = [
        (Skill, [row.model_dump(exclude={"id"}) for row in rows]),
        (CrowdOpinion, [row.model_dump() for row in found]),
    ]
    for table, values in told:
        session.execute(sa.delete(table).where(sa.column("campaign_id") == campaign_id))
        for batch in batches(values):
            session.execute(sa.insert(table), batch)
    session.expire_all()


def skills(session: Session, campaign_id: int, person_id: int | None = None) -> Sequence[tuple[Skill, Person]]:
    """Return how often people are right in a campaign, each with the person; of one person, or of all."""
    question = (
        select(Skill, Person).join(Person, col(Person.id) == Skill.person_id).where(Skill.campaign_id == campaign_id)
    )
    if person_id is not None:
        question = question.where(Skill.person_id == person_id)
    return session.exec(question.order_by(col(Person.name), col(Skill.group_qid))).all()
