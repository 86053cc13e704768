"""What people do with their accounts: sign in and out, get roles, choose a language."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from icones.errors import BadInputError, ConflictError, NotFoundError
from icones.models import Expertise, Membership, Person, Role, SignIn
from icones.people import queries

RANK_OF_ROLE = {Role.VOLUNTEER: 1, Role.SPECIALIST: 2, Role.CURATOR: 3}


def arrive(
    session: Session, sub: str, name: str, now: datetime, *, is_admin: bool = False, language: str = "en"
) -> Person:
    """Return the person behind a central id, made on the first visit; a changed account name is followed.

    ``language`` is what a new person is spoken to in; later it is theirs to choose.
    """
    person = queries.by_sub(session, sub) or Person(
        sub=sub, name=name, language=language, created_at=now, last_seen_at=now
    )
    person.name = name
    person.last_seen_at = now
    person.is_admin = person.is_admin or is_admin
    session.add(person)
    session.flush()
    return person


def sign_in(session: Session, person: Person, days: int, now: datetime) -> str:
    """Begin a sign-in and return the secret for the cookie; only its hash is kept."""
    queries.end_old_sign_ins(session, now)
    token = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            token_hash=token_hash(token),
            person_id=person.id or 0,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
    )
    return token


def token_hash(token: str) -> str:
    """Return the SHA-256 of a cookie's secret, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def who(session: Session, token: str | None, now: datetime) -> Person | None:
    """Return the person whose browser holds this secret, if it is still good."""
    if not token:
        return None
    found = queries.sign_in(session, token_hash(token), now)
    return found[1] if found else None


def sign_out(session: Session, token: str | None) -> None:
    """End the sign-in of this browser."""
    if token:
        queries.end_sign_in(session, token_hash(token))


def role_in(session: Session, campaign_id: int, person: Person | None) -> Role | None:
    """Return the role a person has by grant: an admin is a curator everywhere, others what their row says."""
    if person is None:
        return None
    if person.is_admin:
        return Role.CURATOR
    row = queries.membership(session, campaign_id, person.id or 0)
    return row.role if row else None


def grant(
    session: Session,
    campaign_id: int,
    person: Person,
    role: Role,
    now: datetime,
    expertise: Collection[str] = (),
) -> Membership:
    """Give a person a role in a campaign, with the taxa they know; an earlier grant is replaced."""
    if expertise and role is not Role.SPECIALIST:
        raise BadInputError("Only a specialist has a field of expertise.")
    row = queries.membership(session, campaign_id, person.id or 0)
    if row is None:
        row = Membership(campaign_id=campaign_id, person_id=person.id or 0, role=role, created_at=now)
    row.role = role
    session.add(row)
    session.flush()
    session.exec(sa.delete(Expertise).where(col(Expertise.membership_id) == row.id))
    session.add_all(Expertise(membership_id=row.id or 0, taxon_qid=qid) for qid in sorted(set(expertise)))
    return row


def keep_a_curator(session: Session, campaign_id: int, person_id: int) -> None:
    """Raise ConflictError if this person is the campaign's only curator: nobody could mend it afterwards."""
    row = queries.membership(session, campaign_id, person_id)
    if row is not None and row.role is Role.CURATOR and queries.n_curators(session, campaign_id) == 1:
        raise ConflictError("This is the campaign's only curator. Make somebody else a curator first.")


def revoke(session: Session, campaign_id: int, person_id: int) -> None:
    """Take a person's role in a campaign away; what they said stays."""
    row = queries.membership(session, campaign_id, person_id)
    if row is None:
        raise NotFoundError("This person has no role in this campaign.")
    session.exec(sa.delete(Expertise).where(col(Expertise.membership_id) == row.id))
    session.delete(row)


def require_by_name(session: Session, name: str) -> Person:
    """Return the person with this account name, or say that they must sign in once first."""
    person = queries.by_name(session, name.strip())
    if person is None:
        raise NotFoundError(
            f"Nobody called “{name.strip()}” has signed in here yet. Ask them to sign in once, then grant the role."
        )
    return person


def set_preferences(session: Session, person: Person, language: str, named_in_exports: bool) -> None:
    """Keep a person's language and whether they agreed to be named in exports."""
    person.language = language
    person.named_in_exports = named_in_exports
    session.add(person)
