"""All SQL about identifications and determinations."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import Session, col, func, select

from icones.models import (
    Determination,
    DeterminationChange,
    DeterminationState,
    Figure,
    Identification,
    Illustration,
    IllustrationState,
    ModelState,
    ModelVersion,
    Person,
    Prediction,
    ReviewTask,
    Skip,
)
from icones.taxa.queries import batches


def by_submission(session: Session, submission_id: str) -> Identification | None:
    """Return the identification that this form made, if it was sent before."""
    return session.exec(select(Identification).where(Identification.submission_id == submission_id)).first()


def identification(session: Session, identification_id: int) -> Identification | None:
    """Return one identification."""
    return session.get(Identification, identification_id)


def standing(session: Session, figure_ids: Collection[int]) -> dict[int, list[Identification]]:
    """Return the identifications that count, by figure."""
    found: dict[int, list[Identification]] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Identification).where(
            col(Identification.figure_id).in_(batch), col(Identification.ended_at).is_(None)
        )
        for row in session.exec(question.order_by(col(Identification.id))):
            found.setdefault(row.figure_id, []).append(row)
    return found


def all_with_people(session: Session, figure_id: int) -> Sequence[tuple[Identification, Person]]:
    """Return everything ever said of a figure, oldest first."""
    question = select(Identification, Person).join(Person).where(Identification.figure_id == figure_id)
    return session.exec(question.order_by(col(Identification.created_at), col(Identification.id))).all()


def determinations(session: Session, figure_ids: Collection[int]) -> dict[int, Determination]:
    """Return the states of these figures."""
    found: dict[int, Determination] = {}
    for batch in batches(sorted(figure_ids)):
        rows = session.exec(select(Determination).where(col(Determination.figure_id).in_(batch)))
        found |= {row.figure_id: row for row in rows}
    return found


def tasks(session: Session, figure_ids: Collection[int]) -> dict[int, ReviewTask]:
    """Return the review tasks of these figures; figures that wait for nobody are absent."""
    found: dict[int, ReviewTask] = {}
    for batch in batches(sorted(figure_ids)):
        rows = session.exec(select(ReviewTask).where(col(ReviewTask.figure_id).in_(batch)))
        found |= {row.figure_id: row for row in rows}
    return found


def speakers(session: Session, figure_ids: Collection[int]) -> dict[int, tuple[set[int], set[int]]]:
    """Return who ever said something of these figures, and whose word stands: ids of people, by figure.

    Figures of which nobody ever said anything are absent.
    """
    found: dict[int, tuple[set[int], set[int]]] = {}
    for batch in batches(sorted(figure_ids)):
        question = select(Identification.figure_id, Identification.person_id, col(Identification.ended_at)).where(
            col(Identification.figure_id).in_(batch)
        )
        for figure_id, person_id, ended_at in session.exec(question):
            ever, standing = found.setdefault(figure_id, (set(), set()))
            ever.add(person_id)
            if ended_at is None:
                standing.add(person_id)
    return found


def n_answered(session: Session, campaign_id: int, person_id: int) -> int:
    """Return how many questions of a campaign a person has answered or passed over, ever; it never falls."""
    said, passed = (
        select(func.count())
        .select_from(table)
        .join(Figure, col(Figure.id) == col(table.figure_id))
        .where(Figure.campaign_id == campaign_id, col(table.person_id) == person_id)
        for table in (Identification, Skip)
    )
    return session.exec(said).one() + session.exec(passed).one()


def changes(session: Session, figure_id: int) -> Sequence[DeterminationChange]:
    """Return a figure's passages from state to state, oldest first."""
    question = select(DeterminationChange).where(DeterminationChange.figure_id == figure_id)
    return session.exec(question.order_by(col(DeterminationChange.id))).all()


def with_prediction(session: Session, figure_ids: Collection[int]) -> set[int]:
    """Return which of these figures the serving model has an answer for."""
    found: set[int] = set()
    for batch in batches(sorted(figure_ids)):
        question = (
            select(Prediction.figure_id)
            .join(ModelVersion, col(ModelVersion.id) == Prediction.model_version_id)
            .where(ModelVersion.state == ModelState.CHAMPION, col(Prediction.figure_id).in_(batch))
        )
        found |= set(session.exec(question))
    return found


def figure_ids_of(session: Session, campaign_id: int) -> Sequence[int]:
    """Return the figures of a campaign, removed ones left out."""
    question = select(Figure.id).where(Figure.campaign_id == campaign_id, col(Figure.removed_at).is_(None))
    return [figure_id for figure_id in session.exec(question) if figure_id is not None]


def figures_named(session: Session, qids: Collection[str]) -> dict[int, set[int]]:
    """Return the figures that somebody's standing identification gives one of these taxa, by campaign."""
    found: dict[int, set[int]] = {}
    for batch in batches(sorted(qids)):
        question = (
            select(Figure.campaign_id, Figure.id)
            .join(Identification, col(Identification.figure_id) == Figure.id)
            .where(
                col(Identification.taxon_qid).in_(batch),
                col(Identification.ended_at).is_(None),
                col(Figure.removed_at).is_(None),
            )
        )
        for campaign_id, figure_id in session.exec(question):
            found.setdefault(campaign_id, set()).add(figure_id or 0)
    return found


def verified(session: Session, campaign_id: int) -> Sequence[Determination]:
    """Return the verified determinations of a campaign, by figure."""
    question = (
        select(Determination)
        .join(Figure, col(Figure.id) == Determination.figure_id)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == DeterminationState.VERIFIED,
            col(Figure.removed_at).is_(None),
        )
    )
    return session.exec(question.order_by(col(Determination.figure_id))).all()


def n_verified_since(session: Session, campaign_id: int, moment: datetime | None) -> int:
    """Return how many figures that people verified were decided after a moment."""
    question = (
        select(func.count())
        .select_from(Determination)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state == DeterminationState.VERIFIED,
            Determination.by_people(),
        )
    )
    if moment is not None:
        question = question.where(Determination.decided_at > moment)
    return session.exec(question).one()


def n_unverified_since(session: Session, campaign_id: int, moment: datetime | None) -> int:
    """Return how many figures that people had verified lost it after a moment and are not verified now.

    Those that bear another verified name since are not among them: ``n_verified_since`` counts these.
    """
    question = (
        select(func.count(func.distinct(col(DeterminationChange.figure_id))))
        .join(Determination, col(Determination.figure_id) == DeterminationChange.figure_id)
        # Where nobody had said anything before, it was verified on the model's word alone.
        .join(Identification, col(Identification.figure_id) == DeterminationChange.figure_id)
        .where(
            Determination.campaign_id == campaign_id,
            Determination.state != DeterminationState.VERIFIED,
            DeterminationChange.before == DeterminationState.VERIFIED,
            Identification.created_at < DeterminationChange.at,
        )
    )
    if moment is not None:
        question = question.where(DeterminationChange.at > moment)
    return session.exec(question).one()


def n_by_person(session: Session, campaign_id: int, person_id: int) -> int:
    """Return how many identifications of a person stand in a campaign."""
    question = (
        select(func.count())
        .select_from(Identification)
        .join(Figure, col(Figure.id) == Identification.figure_id)
        .where(
            Figure.campaign_id == campaign_id,
            Identification.person_id == person_id,
            col(Identification.ended_at).is_(None),
        )
    )
    return session.exec(question).one()


def figures_page(
    session: Session, campaign_id: int, states: Collection[DeterminationState], after: int, limit: int
) -> Sequence[tuple[Figure, Illustration, Determination]]:
    """Return up to ``limit`` figures of a campaign with ids above ``after``, in the order of their ids."""
    question = (
        select(Figure, Illustration, Determination)
        .join(Illustration, col(Illustration.id) == Figure.illustration_id)
        .join(Determination, col(Determination.figure_id) == Figure.id)
        .where(
            Figure.campaign_id == campaign_id,
            col(Figure.id) > after,
            col(Figure.removed_at).is_(None),
            Illustration.state == IllustrationState.READY,
        )
    )
    if states:
        question = question.where(col(Determination.state).in_(list(states)))
    return session.exec(question.order_by(col(Figure.id)).limit(limit)).all()


def history(
    session: Session, figure_ids: Collection[int]
) -> tuple[list[tuple[Identification, Person]], list[DeterminationChange]]:
    """Return everything ever said of these figures with who said it, and their changes of state, oldest first."""
    said: list[tuple[Identification, Person]] = []
    changed: list[DeterminationChange] = []
    for batch in batches(sorted(figure_ids)):
        question = select(Identification, Person).join(Person).where(col(Identification.figure_id).in_(batch))
        said += session.exec(question.order_by(col(Identification.id))).all()
        passages = select(DeterminationChange).where(col(DeterminationChange.figure_id).in_(batch))
        changed += session.exec(passages.order_by(col(DeterminationChange.id))).all()
    return said, changed
