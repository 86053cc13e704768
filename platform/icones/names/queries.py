"""All SQL about written names."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.models import Figure, Illustration, IllustrationState, NameAnswer, NameState
from icones.taxa.queries import batches


def written(session: Session, campaign_id: int) -> set[str]:
    """Return the names that a campaign's source gives, letter for letter, each once."""
    question = select(Illustration.verbatim_name).where(
        Illustration.campaign_id == campaign_id, Illustration.verbatim_name != ""
    )
    return set(session.exec(question.distinct()))


def answers(
    session: Session, campaign_id: int, verbatim: Collection[str], *, lock: bool = False
) -> dict[str, NameAnswer]:
    """Return what is known of these names in a campaign; unknown ones are absent.

    With ``lock`` nobody else changes these rows until the transaction ends.
    """
    found: dict[str, NameAnswer] = {}
    for batch in batches(sorted(verbatim)):
        question = select(NameAnswer).where(NameAnswer.campaign_id == campaign_id, col(NameAnswer.verbatim).in_(batch))
        question = question.with_for_update() if lock else question
        found |= {row.verbatim: row for row in session.exec(question)}
    return found


def answer(session: Session, answer_id: int) -> NameAnswer | None:
    """Return one name's answer."""
    return session.get(NameAnswer, answer_id)


def of_name(session: Session, campaign_id: int, verbatim: str) -> NameAnswer | None:
    """Return what is known of one name in a campaign."""
    question = select(NameAnswer).where(NameAnswer.campaign_id == campaign_id, NameAnswer.verbatim == verbatim)
    return session.exec(question).first()


def counts(session: Session, campaign_id: int) -> dict[NameState, int]:
    """Return how many names of a campaign are in each state."""
    question = sa.select(col(NameAnswer.state), sa.func.count()).where(col(NameAnswer.campaign_id) == campaign_id)
    return {NameState(state): int(n) for state, n in session.execute(question.group_by(col(NameAnswer.state)))}


def page(
    session: Session, campaign_id: int, states: Collection[NameState], offset: int, limit: int
) -> list[tuple[NameAnswer, int]]:
    """Return names in these states with the number of illustrations that bear each, the most borne first."""
    borne = (
        sa.select(col(Illustration.verbatim_name).label("name"), sa.func.count().label("n"))
        .where(col(Illustration.campaign_id) == campaign_id, col(Illustration.verbatim_name) != "")
        .group_by(col(Illustration.verbatim_name))
        .subquery()
    )
    n = sa.func.coalesce(borne.c.n, 0)
    question = (
        sa.select(NameAnswer, n)
        .outerjoin(borne, borne.c.name == col(NameAnswer.verbatim))
        .where(col(NameAnswer.campaign_id) == campaign_id, col(NameAnswer.state).in_(list(states)))
        .order_by(n.desc(), col(NameAnswer.verbatim))
    )
    return [(row, int(count)) for row, count in session.execute(question.offset(offset).limit(limit))]


def n_bearing(session: Session, campaign_id: int, verbatim: str) -> int:
    """Return how many illustrations of a campaign bear a name."""
    question = sa.select(sa.func.count()).where(
        col(Illustration.campaign_id) == campaign_id, col(Illustration.verbatim_name) == verbatim
    )
    return int(session.execute(question).scalar_one())


def examples(session: Session, campaign_id: int, verbatim: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return for each name one illustration with a picture and its first figure: their ids."""
    found: dict[str, tuple[int, int]] = {}
    for batch in batches(sorted(verbatim)):
        question = (
            sa.select(col(Illustration.verbatim_name), sa.func.min(col(Illustration.id)), sa.func.min(col(Figure.id)))
            .join(Figure, col(Figure.illustration_id) == col(Illustration.id))
            .where(
                col(Illustration.campaign_id) == campaign_id,
                col(Illustration.verbatim_name).in_(batch),
                col(Illustration.state) == IllustrationState.READY,
                col(Figure.removed_at).is_(None),
            )
            .group_by(col(Illustration.verbatim_name))
        )
        found |= {name: (int(plate), int(figure)) for name, plate, figure in session.execute(question)}
    return found


def unasked(session: Session, campaign_id: int) -> int:
    """Return how many written names nobody has been asked about yet."""
    known: Sequence[str] = session.exec(select(NameAnswer.verbatim).where(NameAnswer.campaign_id == campaign_id)).all()
    return len(written(session, campaign_id).difference(known))
