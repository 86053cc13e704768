"""All SQL about people."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from icones.models import Expertise, Membership, Person, SignIn


def by_sub(session: Session, sub: str) -> Person | None:
    """Return the person with this central id."""
    return session.exec(select(Person).where(Person.sub == sub)).first()


def by_name(session: Session, name: str) -> Person | None:
    """Return the person who bore this account name when last seen."""
    return session.exec(select(Person).where(Person.name == name).order_by(col(Person.last_seen_at).desc())).first()


def people(session: Session, ids: Collection[int]) -> dict[int, Person]:
    """Return these people by id."""
    if not ids:
        return {}
    return {row.id or 0: row for row in session.exec(select(Person).where(col(Person.id).in_(ids)))}


def sign_in(session: Session, token_hash: str, now: datetime) -> tuple[SignIn, Person] | None:
    """Return the sign-in with this hash and its person, unless it has run out."""
    question = select(SignIn, Person).join(Person).where(SignIn.token_hash == token_hash, SignIn.expires_at > now)
    return session.exec(question).first()


def end_sign_in(session: Session, token_hash: str) -> None:
    """Forget one sign-in."""
    session.exec(sa.delete(SignIn).where(col(SignIn.token_hash) == token_hash))


def end_old_sign_ins(session: Session, now: datetime) -> None:
    """Forget the sign-ins that have run out."""
    session.exec(sa.delete(SignIn).where(col(SignIn.expires_at) <= now))


def membership(session: Session, campaign_id: int, person_id: int) -> Membership | None:
    """Return what this person is in this campaign, if it was ever said."""
    return session.exec(
        select(Membership).where(Membership.campaign_id == campaign_id, Membership.person_id == person_id)
    ).first()


def memberships(session: Session, campaign_id: int) -> Sequence[tuple[Membership, Person]]:
    """Return the people of a campaign with their roles, curators first."""
    question = select(Membership, Person).join(Person).where(Membership.campaign_id == campaign_id)
    return session.exec(question.order_by(col(Membership.role), col(Person.name))).all()


def expertise(session: Session, membership_id: int) -> set[str]:
    """Return the taxa whose members this specialist settles; empty means all."""
    return set(session.exec(select(Expertise.taxon_qid).where(Expertise.membership_id == membership_id)))
