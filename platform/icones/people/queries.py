"""All SQL about people."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from icones.models import Campaign, Expertise, Figure, Identification, Membership, Person, Role, SignIn, WikiGrant
from icones.people.secrets import Sealed


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


def expertise_in(session: Session, campaign_id: int) -> dict[int, set[str]]:
    """Return the fields of all specialists of a campaign, by membership."""
    question = (
        select(Expertise.membership_id, Expertise.taxon_qid)
        .join(Membership, col(Membership.id) == Expertise.membership_id)
        .where(Membership.campaign_id == campaign_id)
    )
    found: dict[int, set[str]] = {}
    for membership_id, qid in session.exec(question):
        found.setdefault(membership_id, set()).add(qid)
    return found


def n_curators(session: Session, campaign_id: int) -> int:
    """Return how many people keep a campaign."""
    question = select(func.count()).select_from(Membership)
    return session.exec(question.where(Membership.campaign_id == campaign_id, Membership.role == Role.CURATOR)).one()


def keeps_a_campaign(session: Session, person_id: int) -> bool:
    """Say whether a person is the curator of any campaign."""
    question = select(Membership.id).where(Membership.person_id == person_id, Membership.role == Role.CURATOR)
    return session.exec(question.limit(1)).first() is not None


def named_contributors(session: Session, campaign_id: int) -> Sequence[tuple[Person, int]]:
    """Return who identified figures of a campaign and agreed to be named, with how many; the busiest first."""
    count = func.count()
    question = (
        select(Person, count)
        .join(Identification, col(Identification.person_id) == Person.id)
        .join(Figure, col(Figure.id) == Identification.figure_id)
        .where(
            Figure.campaign_id == campaign_id,
            col(Identification.ended_at).is_(None),
            col(Person.named_in_exports).is_(True),
        )
        .group_by(col(Person.id))
        .order_by(count.desc(), col(Person.name))
    )
    return session.exec(question).all()


def identified_by(session: Session, person_id: int) -> Sequence[tuple[Campaign, int]]:
    """Return the campaigns in which a person's identifications stand, with how many; the most first."""
    count = func.count()
    question = (
        select(Campaign, count)
        .join(Figure, col(Figure.campaign_id) == Campaign.id)
        .join(Identification, col(Identification.figure_id) == Figure.id)
        .where(Identification.person_id == person_id, col(Identification.ended_at).is_(None))
        .group_by(col(Campaign.id))
        .order_by(count.desc(), col(Campaign.title))
    )
    return session.exec(question).all()


def writes_in_own_name(session: Session, person_id: int) -> bool | None:
    """Return whether a person said yes to edits in their name; None if there is no such person.

    Their row is held until the transaction ends (SQLite has one writer anyway).
    """
    return session.exec(select(Person.writes_in_own_name).where(Person.id == person_id).with_for_update()).first()


def set_writes_in_own_name(session: Session, person_id: int, yes: bool) -> None:
    """Keep whether a person says yes to edits in their name."""
    session.exec(sa.update(Person).where(col(Person.id) == person_id).values(writes_in_own_name=yes))


def wiki_grant(session: Session, person_id: int) -> WikiGrant | None:
    """Return the sealed tokens of a person who says yes to edits in their name."""
    question = select(WikiGrant).join(Person, col(Person.id) == WikiGrant.person_id)
    return session.exec(question.where(WikiGrant.person_id == person_id, col(Person.writes_in_own_name))).first()


def with_wiki_grant(session: Session, person_ids: Collection[int]) -> set[int]:
    """Return those of these people who say yes to edits in their name, and whose tokens are kept."""
    if not person_ids:
        return set()
    question = select(WikiGrant.person_id).join(Person, col(Person.id) == WikiGrant.person_id)
    return set(session.exec(question.where(col(WikiGrant.person_id).in_(person_ids), col(Person.writes_in_own_name))))


def put_wiki_grant(session: Session, grant: WikiGrant) -> None:
    """Keep these tokens of a person, in the place of earlier ones."""
    delete_wiki_grant(session, grant.person_id)
    session.add(grant)
    session.flush()


def delete_wiki_grant(session: Session, person_id: int, access_token: str | None = None) -> bool:
    """Delete a person's tokens, or only the one that holds this sealed token; True if it was there."""
    command = sa.delete(WikiGrant).where(col(WikiGrant.person_id) == person_id)
    if access_token is not None:
        command = command.where(col(WikiGrant.access_token) == Sealed(access_token))
    return session.connection().execute(command).rowcount == 1


def lease_wiki_grant(session: Session, grant: WikiGrant, until: datetime) -> bool:
    """Take the lease of this very grant, unless somebody took it since ``grant`` was read; True if it is ours.

    One conditional UPDATE, so that of two workers one gets it. Tokens that were renewed since ``grant`` was read
    have another seal: then the answer is False, too.
    """
    taken = session.connection().execute(
        _this_very(grant)
        .where(col(WikiGrant.refreshing_until).is_not_distinct_from(grant.refreshing_until))
        .values(refreshing_until=until)
    )
    return taken.rowcount == 1


def release_wiki_grant(session: Session, grant: WikiGrant, until: datetime) -> None:
    """Give the lease that runs ``until`` then back, with the tokens as they were; do nothing if it is another's."""
    session.connection().execute(
        _this_very(grant).where(col(WikiGrant.refreshing_until) == until).values(refreshing_until=None)
    )


def renew_wiki_grant(
    session: Session, grant: WikiGrant, access_token: str, refresh_token: str, expires_at: datetime
) -> bool:
    """Put renewed tokens in the place of this very grant's, and end the lease; False if it is not there any more."""
    renewed = session.connection().execute(
        _this_very(grant).values(
            access_token=Sealed(access_token),
            refresh_token=Sealed(refresh_token),
            expires_at=expires_at,
            refreshing_until=None,
        )
    )
    return renewed.rowcount == 1


def _this_very(grant: WikiGrant) -> sa.Update:
    # No two seals are the same, so the sealed token says which grant it is.
    return sa.update(WikiGrant).where(
        col(WikiGrant.person_id) == grant.person_id, col(WikiGrant.access_token) == Sealed(grant.access_token)
    )
