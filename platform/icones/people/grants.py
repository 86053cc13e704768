"""Leave to write on Commons in a person's own name: their yes, their sealed tokens, and fresh tokens for workers.

Two things are needed. The person said yes here (``Person.writes_in_own_name``), and Wikimedia gave us tokens
(``WikiGrant``). The yes stays until it is taken back; the tokens go with sign-out, with taking the yes back, and when
Wikimedia says that they have ended.
"""

import logging
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlmodel import Session

from icones.config import Settings
from icones.db import Database
from icones.errors import NotAllowedError, NotFoundError
from icones.models import Person, WikiGrant
from icones.people import queries
from icones.people.secrets import SealError, Vault
from wiki_sync.errors import GrantEndedError, TransientError, WikiError
from wiki_sync.oauth import Tokens, refresh_tokens

GOOD_FOR = timedelta(minutes=5)
"""How long a token must still be good to be handed out."""
LEASE = timedelta(seconds=60)
"""How long one process may take to renew; after that another may try."""
RENEWAL_TIMEOUT_S = 15.0
"""For connecting, sending and each part of the answer: all of them together stay below the lease."""
POLL_S = 0.1

log = logging.getLogger(__name__)


class NoLeaveError(NotAllowedError):
    """Nothing may be written in this person's name until they have signed in (and said yes) again."""

    code = "no-leave"


def agree(session: Session, person_id: int) -> None:
    """Keep that the person wants what they confirmed written in their name."""
    queries.set_writes_in_own_name(session, person_id, True)


def withdraw(session: Session, person_id: int) -> None:
    """Keep that the person does not want it (any more), and forget their tokens at once."""
    queries.set_writes_in_own_name(session, person_id, False)
    forget(session, person_id)


def keep(session: Session, vault: Vault, person: Person, tokens: Tokens, now: datetime) -> bool:
    """Keep a person's tokens, sealed, in the place of earlier ones, if the person said yes; return whether.

    The yes is read anew and held until this transaction ends: whoever takes it back meanwhile waits, and then
    forgets these tokens. Raises NotFoundError for a person who is not in the database.
    """
    person_id = person.id or 0
    said_yes = queries.writes_in_own_name(session, person_id)
    if said_yes is None:
        raise NotFoundError("There is no such person.")
    if not said_yes:
        return False
    queries.put_wiki_grant(
        session,
        WikiGrant(
            person_id=person_id,
            access_token=vault.seal(tokens.access_token),
            refresh_token=vault.seal(tokens.refresh_token) if tokens.refresh_token else "",
            expires_at=tokens.expires_at,
            granted_at=now,
        ),
    )
    return True


def forget(session: Session, person_id: int) -> None:
    """Forget a person's tokens, if there are any. Their yes stays: the next sign-in brings new tokens."""
    queries.delete_wiki_grant(session, person_id)


def has_leave(session: Session, person_id: int) -> bool:
    """Say whether we may write in this person's name, as far as we know before asking Wikimedia."""
    return person_id in with_leave(session, [person_id])


def with_leave(session: Session, person_ids: Collection[int]) -> set[int]:
    """Return those of these people in whose name we may write, as far as we know before asking Wikimedia."""
    return queries.with_wiki_grant(session, person_ids)


def access_token(
    settings: Settings,
    database: Database,
    person_id: int,
    now_source: Callable[[], datetime],
    *,
    refused: str = "",
    patience_s: float = 70.0,
) -> str:
    """Return a token to write in this person's name, good for five minutes at least; renewed if need be.

    Call it outside of transactions: Wikimedia may be asked. Only one process renews at a time (a lease in the
    database); the others wait for its result, ``patience_s`` seconds at most. Renewing ends the old tokens at once,
    also for whoever still writes with them. So when the wiki refuses a token, hand it in as ``refused``: the answer
    is the newer one if somebody renewed meanwhile, else a renewed one, else NoLeaveError if the person ended it all.

    Raises NoLeaveError when the person must sign in again (the tokens are forgotten then, too), TransientError
    when it may work later, QueryRefusedError when Wikimedia does not accept this installation.

    The new tokens are saved before anybody uses them. If this process dies, or the answer gets lost, between
    Wikimedia's renewing and our saving, they are gone and the old ones are dead: then the next call finds that
    out, and the person has to sign in again. Nothing can be done about that from our side.
    """
    vault = Vault(settings.secret_key.get_secret_value())
    waited_for = ""
    for _ in range(max(1, round(patience_s / POLL_S))):
        now = now_source()
        with database.reading() as session:
            grant = queries.wiki_grant(session, person_id)
        if grant is None:
            raise _no_leave()
        token = _opened(database, vault, grant, grant.access_token)
        if token != refused and grant.expires_at - now >= GOOD_FOR:
            return token
        if grant.refreshing_until is None and waited_for == grant.access_token:
            raise TransientError("Another process could not renew the permission to edit just now.")
        # Who saw another one renew waits for what comes of it, even if that one gives up this very moment.
        is_free = grant.refreshing_until is None or grant.refreshing_until <= now
        if is_free and _lease(database, grant, now):
            renewed = _renew(settings, database, vault, grant, now)
            if renewed is not None:
                return renewed
            continue
        waited_for = grant.access_token
        time.sleep(POLL_S)
    raise TransientError("Another process takes too long to renew the permission to edit.", LEASE.total_seconds())


def _lease(database: Database, grant: WikiGrant, now: datetime) -> bool:
    """Take the right to renew this very grant; False if somebody has it, or the grant is another one by now."""
    with database.writing() as session:
        return queries.lease_wiki_grant(session, grant, now + LEASE)


def _renew(settings: Settings, database: Database, vault: Vault, grant: WikiGrant, now: datetime) -> str | None:
    """Renew the grant that we hold the lease of since ``now``; return the new token, None if the grant changed."""
    if not grant.refresh_token:
        raise _ended(database, grant)
    refresh_token = _opened(database, vault, grant, grant.refresh_token)
    try:
        tokens = refresh_tokens(
            settings.oauth_root,
            settings.oauth_client_id,
            settings.oauth_client_secret.get_secret_value(),
            refresh_token,
            settings.user_agent,
            min(settings.wiki_timeout_s, RENEWAL_TIMEOUT_S),
            now,
        )
    except GrantEndedError as error:
        if _is_forgotten(database, grant):
            raise _no_leave() from error
        return None
    except WikiError:
        with database.writing() as session:
            queries.release_wiki_grant(session, grant, now + LEASE)
        raise
    # RFC 6749, section 6: where no new refresh token comes, the old one stays good.
    refresh = vault.seal(tokens.refresh_token) if tokens.refresh_token else grant.refresh_token
    with database.writing() as session:
        is_saved = queries.renew_wiki_grant(session, grant, vault.seal(tokens.access_token), refresh, tokens.expires_at)
    return tokens.access_token if is_saved else None


def _opened(database: Database, vault: Vault, grant: WikiGrant, sealed: str) -> str:
    try:
        return vault.open(sealed)
    except SealError as error:
        log.warning("the kept tokens of person %s cannot be opened with this secret key", grant.person_id)
        raise _ended(database, grant) from error


def _ended(database: Database, grant: WikiGrant) -> NoLeaveError:
    """Forget this grant, and return what to raise."""
    _is_forgotten(database, grant)
    return _no_leave()


def _is_forgotten(database: Database, grant: WikiGrant) -> bool:
    """Forget this very grant; False if it is gone, or another one came into its place."""
    with database.writing() as session:
        return queries.delete_wiki_grant(session, grant.person_id, grant.access_token)


def _no_leave() -> NoLeaveError:
    return NoLeaveError(
        "There is no permission to edit in this person’s name, or it has ended. They must sign in again."
    )
