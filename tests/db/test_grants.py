"""Leave to write in a person's name, on both databases, with tokens of the stand-in's OAuth."""

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import NotAllowedError, NotFoundError, NotReadyError
from icones.models import Person, WikiGrant, metadata
from icones.people import grants, queries
from icones.people import service as people
from icones.people.grants import NoLeaveError
from icones.people.secrets import Sealed, SealError, Vault
from tests.support.standin import StandInCommons, World
from wiki_sync.errors import GrantEndedError, QueryRefusedError, TransientError
from wiki_sync.oauth import Tokens

NOW = utc_now()
AGENT = {"User-Agent": "tests of Icones"}
CLIENT = {"client_id": "icones-test", "client_secret": "icones-secret"}
BACK = "http://127.0.0.1:9/sign-in/callback"


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    world = World()
    world.add_person("Anna", "101")
    world.add_person("Bert", "102")
    with StandInCommons(world) as server:
        yield server


@pytest.fixture
def told(settings: Settings, commons: StandInCommons) -> Settings:
    """Settings that know the stand-in's OAuth."""
    return settings.model_copy(
        update={
            "oauth_root": f"{commons.rest_url}/oauth2",
            "oauth_client_id": CLIENT["client_id"],
            "oauth_client_secret": SecretStr(CLIENT["client_secret"]),
        }
    )


def vault_of(settings: Settings) -> Vault:
    return Vault(settings.secret_key.get_secret_value())


def tokens_of(commons: StandInCommons, name: str, now: datetime = NOW) -> Tokens:
    """Return tokens of this account, on the way that a browser and the application take."""
    asked = {"response_type": "code", "client_id": CLIENT["client_id"], "redirect_uri": BACK, "person": name}
    with httpx2.Client(headers=AGENT) as client:
        sent_back = client.get(f"{commons.rest_url}/oauth2/authorize", params={**asked, "auto": "1"})
        code = parse_qs(urlsplit(sent_back.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **CLIENT}
        body = client.post(f"{commons.rest_url}/oauth2/access_token", data=form).json()
    return Tokens(body["access_token"], body["refresh_token"], now + timedelta(seconds=body["expires_in"]))


def arrive(database: Database, name: str = "Anna", sub: str = "101", *, says_yes: bool = True) -> Person:
    with database.writing() as session:
        person = people.arrive(session, sub, name, NOW)
        if says_yes:
            grants.agree(session, person.id or 0)
    return person


def let(database: Database, settings: Settings, person: Person, tokens: Tokens) -> bool:
    with database.writing() as session:
        return grants.keep(session, vault_of(settings), person, tokens, NOW)


@pytest.fixture
def anna(database: Database, told: Settings, commons: StandInCommons) -> Person:
    """Anna, who said yes, and whose tokens are good for an hour from now."""
    person = arrive(database)
    assert let(database, told, person, tokens_of(commons, "Anna"))
    return person


def row_of(database: Database, person: Person) -> WikiGrant | None:
    with database.reading() as session:
        return session.get(WikiGrant, person.id)


def has_leave(database: Database, person: Person) -> bool:
    with database.reading() as session:
        return grants.has_leave(session, person.id or 0)


def renewals(commons: StandInCommons) -> int:
    return sum(call.params.get("grant_type") == "refresh_token" for call in commons.calls.requests)


def is_good(commons: StandInCommons, token: str) -> bool:
    headers = {**AGENT, "Authorization": f"Bearer {token}"}
    return httpx2.get(f"{commons.rest_url}/oauth2/resource/profile", headers=headers).status_code == 200


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


LATER = NOW + timedelta(minutes=56)
"""When less than five minutes of the first hour are left."""


@dataclass
class Crowd:
    """Threads that ask for a token at the same moment, and what they got."""

    tokens: list[str] = field(default_factory=list)
    problems: list[Exception] = field(default_factory=list)

    def ask(
        self,
        settings: Settings,
        person: Person,
        n: int,
        now: datetime,
        refused: str = "",
        clock: Callable[[], datetime] | None = None,
    ) -> "Crowd":
        """Let ``n`` threads, each with a database of its own as another process has, ask at once."""
        start = threading.Barrier(n)

        def one() -> None:
            database = Database(settings.database)
            start.wait(10)
            try:
                token = grants.access_token(settings, database, person.id or 0, clock or at(now), refused=refused)
                self.tokens.append(token)
            except Exception as problem:
                self.problems.append(problem)
            finally:
                database.close()

        threads = [threading.Thread(target=one) for _ in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(self.tokens) + len(self.problems) == n
        return self


# ---- sealing


@given(st.text())
def test_what_is_sealed_can_be_opened_and_shows_nothing(text: str) -> None:
    vault = Vault("a key of this installation")
    sealed = vault.seal(text)
    assert vault.open(sealed) == vault.open(str(sealed)) == text
    assert sealed != vault.seal(text)
    assert sealed.isascii()
    assert repr(sealed) == "(sealed)"
    if len(text) > 3:
        assert text not in sealed
        assert text.encode() not in base64.urlsafe_b64decode(sealed)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_seal_that_was_changed_is_not_opened(place: int, change: int) -> None:
    vault = Vault("a key of this installation")
    raw = bytearray(base64.urlsafe_b64decode(vault.seal("a token")))
    raw[place % len(raw)] ^= change
    with pytest.raises(SealError):
        vault.open(base64.urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize("sealed", ["", "nonsense", "gAAAAAB", "größer", "a token in clear"])
def test_what_was_never_sealed_is_not_opened(sealed: str) -> None:
    with pytest.raises(SealError):
        Vault("a key of this installation").open(sealed)


def test_another_key_opens_nothing_and_an_empty_one_seals_nothing() -> None:
    sealed = Vault("a key of this installation").seal("a token")
    with pytest.raises(SealError):
        Vault("a key of another installation").open(sealed)
    with pytest.raises(NotReadyError, match="ICONES_SECRET_KEY"):
        Vault("")


def test_the_key_is_not_the_one_that_signs_cookies() -> None:
    key = base64.urlsafe_b64encode(b"k" * 32).decode()
    with pytest.raises(InvalidToken):
        Fernet(key).decrypt(Vault(key).seal("a token").encode())


# ---- keeping and forgetting


def test_no_token_is_kept_of_who_did_not_say_yes(database: Database, told: Settings, commons: StandInCommons) -> None:
    person = arrive(database, says_yes=False)
    assert not let(database, told, person, tokens_of(commons, "Anna"))
    assert row_of(database, person) is None
    assert not has_leave(database, person)
    with pytest.raises(NoLeaveError):
        grants.access_token(told, database, person.id or 0, at(NOW))


def test_no_token_is_kept_of_nobody(database: Database, told: Settings, commons: StandInCommons) -> None:
    nobody = Person(id=4711, sub="x", name="Nobody", created_at=NOW, last_seen_at=NOW)
    with pytest.raises(NotFoundError):
        let(database, told, nobody, tokens_of(commons, "Anna"))


def test_tokens_stand_nowhere_in_the_database_as_they_are(
    database: Database, told: Settings, commons: StandInCommons
) -> None:
    person, tokens = arrive(database), tokens_of(commons, "Anna")
    let(database, told, person, tokens)
    renewed = grants.access_token(told, database, person.id or 0, at(LATER))
    grant = row_of(database, person)
    assert grant is not None
    vault = vault_of(told)
    secrets = {tokens.access_token, tokens.refresh_token or "", renewed, vault.open(grant.refresh_token)}
    assert len(secrets) == 4
    with database.reading() as session:
        kept = [
            str(value)
            for table in metadata.sorted_tables
            for row in session.connection().execute(sa.select(table))
            for value in row
        ]
    assert "Anna" in kept
    assert not [value for value in kept for secret in secrets if secret in value]
    if database.is_sqlite:
        file = Path(sa.make_url(database.url).database or "")
        raw = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
        assert b"Anna" in raw
        assert not [secret for secret in secrets if secret.encode() in raw]


def test_a_statement_that_fails_shows_no_seal(database: Database, told: Settings) -> None:
    sealed = vault_of(told).seal("a token")
    grant = WikiGrant(person_id=4711, access_token=sealed, expires_at=NOW, granted_at=NOW)
    with database.reading() as session:
        session.add(grant)
        with pytest.raises(sa.exc.IntegrityError) as told_of:
            session.flush()
    assert "wikigrant" in str(told_of.value)
    assert str(sealed) not in str(told_of.value)


def test_new_tokens_take_the_place_of_old_ones(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    newer = tokens_of(commons, "Anna")
    let(database, told, anna, newer)
    assert grants.access_token(told, database, anna.id or 0, at(NOW)) == newer.access_token


def test_taking_the_yes_back_forgets_at_once_and_signing_out_keeps_the_yes(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    assert has_leave(database, anna)
    with database.writing() as session:
        grants.forget(session, anna.id or 0)
    assert row_of(database, anna) is None
    assert not has_leave(database, anna)
    assert let(database, told, anna, tokens_of(commons, "Anna"))
    with database.writing() as session:
        grants.withdraw(session, anna.id or 0)
    assert row_of(database, anna) is None
    assert not let(database, told, anna, tokens_of(commons, "Anna"))


def test_who_lets_us_write_is_told_for_many_at_once(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    bert = arrive(database, "Bert", "102")
    keys = [anna.id or 0, bert.id or 0, 4711]
    with database.reading() as session:
        assert grants.with_leave(session, keys) == {anna.id}
        assert grants.with_leave(session, []) == set()
    let(database, told, bert, tokens_of(commons, "Bert"))
    with database.reading() as session:
        assert grants.with_leave(session, keys) == {anna.id, bert.id}


def test_tokens_without_a_yes_are_no_leave(database: Database, told: Settings, anna: Person) -> None:
    with database.writing() as session:
        queries.set_writes_in_own_name(session, anna.id or 0, False)
    assert not has_leave(database, anna)
    with pytest.raises(NoLeaveError):
        grants.access_token(told, database, anna.id or 0, at(NOW))
    with database.writing() as session:
        grants.forget(session, anna.id or 0)  # as the nightly check would find it


def test_a_yes_that_is_taken_back_while_tokens_arrive_wins(
    database: Database, told: Settings, commons: StandInCommons
) -> None:
    person, tokens = arrive(database), tokens_of(commons, "Anna")
    arrived, begun = threading.Event(), threading.Event()

    def take_back() -> None:
        arrived.wait(10)
        begun.set()
        with database.writing() as session:
            grants.withdraw(session, person.id or 0)

    other = threading.Thread(target=take_back)
    other.start()
    with database.writing() as session:
        assert grants.keep(session, vault_of(told), person, tokens, NOW)
        arrived.set()
        begun.wait(10)
        other.join(0.3)
        assert other.is_alive(), "it must wait for the transaction that keeps the tokens"
    other.join(10)
    assert row_of(database, person) is None


# ---- fresh tokens


def test_a_good_token_is_handed_out_without_asking_wikimedia(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    commons.calls.clear()
    token = grants.access_token(told, database, anna.id or 0, at(NOW + timedelta(minutes=55)))
    assert is_good(commons, token)
    assert renewals(commons) == 0


def test_an_old_token_is_renewed_and_both_new_ones_are_kept(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    first = grants.access_token(told, database, anna.id or 0, at(NOW))
    second = grants.access_token(told, database, anna.id or 0, at(LATER))
    assert (is_good(commons, first), is_good(commons, second)) == (False, True)
    grant = row_of(database, anna)
    assert grant is not None
    assert vault_of(told).open(grant.access_token) == second
    assert (grant.refreshing_until, grant.expires_at) == (None, LATER + timedelta(hours=1))
    third = grants.access_token(told, database, anna.id or 0, at(LATER + timedelta(hours=2)))
    assert is_good(commons, third)
    assert renewals(commons) == 2


@pytest.mark.parametrize("n", [2, 8])
def test_who_asks_at_once_renews_once(told: Settings, commons: StandInCommons, anna: Person, n: int) -> None:
    commons.faults.next("oauth", "slow", seconds=0.3)
    crowd = Crowd().ask(told, anna, n, LATER)
    assert crowd.problems == []
    assert len(set(crowd.tokens)) == 1
    assert renewals(commons) == 1
    assert is_good(commons, crowd.tokens[0])


def test_a_refused_token_is_renewed_once_for_all_who_held_it(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    first = grants.access_token(told, database, anna.id or 0, at(NOW))
    crowd = Crowd().ask(told, anna, 4, NOW, refused=first)
    assert crowd.problems == []
    assert len(set(crowd.tokens)) == 1
    assert crowd.tokens[0] != first
    again = grants.access_token(told, database, anna.id or 0, at(NOW), refused=first)
    assert again == crowd.tokens[0]
    assert renewals(commons) == 1


def test_a_permission_ended_at_wikimedia_is_forgotten_and_the_person_is_asked_again(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    held = grants.access_token(told, database, anna.id or 0, at(NOW))
    commons.oauth.revoke("101")
    with pytest.raises(NoLeaveError, match="sign in again") as told_of:
        grants.access_token(told, database, anna.id or 0, at(NOW), refused=held)
    assert isinstance(told_of.value, NotAllowedError)
    assert isinstance(told_of.value.__cause__, GrantEndedError)
    assert row_of(database, anna) is None
    commons.calls.clear()
    with pytest.raises(NoLeaveError):
        grants.access_token(told, database, anna.id or 0, at(NOW))
    assert commons.calls.count() == 0
    assert let(database, told, anna, tokens_of(commons, "Anna"))
    assert is_good(commons, grants.access_token(told, database, anna.id or 0, at(NOW)))


def test_nobody_of_many_gets_a_token_of_a_permission_that_ended(
    told: Settings, commons: StandInCommons, anna: Person
) -> None:
    commons.oauth.revoke("101")
    commons.faults.next("oauth", "slow", seconds=0.2)
    crowd = Crowd().ask(told, anna, 8, LATER)
    assert [type(problem) for problem in crowd.problems] == [NoLeaveError] * 8
    assert renewals(commons) == 1


def test_an_old_token_that_cannot_be_renewed_is_forgotten(
    database: Database, told: Settings, commons: StandInCommons
) -> None:
    person, tokens = arrive(database), tokens_of(commons, "Anna")
    let(database, told, person, Tokens(tokens.access_token, None, tokens.expires_at))
    assert grants.access_token(told, database, person.id or 0, at(NOW)) == tokens.access_token
    with pytest.raises(NoLeaveError):
        grants.access_token(told, database, person.id or 0, at(LATER))
    assert row_of(database, person) is None
    assert renewals(commons) == 0


def test_with_another_secret_key_there_is_no_leave_and_no_crash(
    database: Database, told: Settings, commons: StandInCommons, anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    changed = told.model_copy(update={"secret_key": SecretStr("another-key-" + "1" * 32)})
    grant = row_of(database, anna)
    with pytest.raises(NoLeaveError):
        grants.access_token(changed, database, anna.id or 0, at(NOW))
    assert grant is not None
    assert "secret key" in caplog.text
    assert grant.access_token not in caplog.text
    assert not has_leave(database, anna)


# ---- trouble on the way


def test_wikimedia_out_of_reach_costs_nothing(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    astray = told.model_copy(update={"oauth_root": "http://127.0.0.1:9/oauth2"})
    with pytest.raises(TransientError):
        grants.access_token(astray, database, anna.id or 0, at(LATER))
    grant = row_of(database, anna)
    assert grant is not None
    assert grant.refreshing_until is None
    assert is_good(commons, grants.access_token(told, database, anna.id or 0, at(LATER)))


def test_a_wrong_client_secret_is_the_operators_and_costs_no_leave(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    wrong = told.model_copy(update={"oauth_client_secret": SecretStr("not-the-secret")})
    with pytest.raises(QueryRefusedError):
        grants.access_token(wrong, database, anna.id or 0, at(LATER))
    assert is_good(commons, grants.access_token(told, database, anna.id or 0, at(LATER)))


def test_when_one_cannot_renew_the_others_do_not_all_try(told: Settings, commons: StandInCommons, anna: Person) -> None:
    rounds: Counter[int] = Counter()
    all_wait = threading.Event()

    def clock() -> datetime:
        """Tell the time, and note who asks again: whoever renews asks once until there is an answer."""
        rounds[threading.get_ident()] += 1
        if sum(n > 1 for n in rounds.values()) == 3:
            all_wait.set()
        return LATER

    commons.faults.next("oauth", "drop-connection", times=8, where=lambda _: all_wait.wait(20))
    patient = told.model_copy(update={"wiki_timeout_s": 20.0})
    crowd = Crowd().ask(patient, anna, 4, LATER, clock=clock)
    assert all_wait.is_set()
    assert all(isinstance(problem, TransientError) for problem in crowd.problems)
    assert len(crowd.problems) == 4
    assert renewals(commons) == 1


def test_who_saw_another_renew_does_not_try_when_that_one_gives_up(
    database: Database, told: Settings, anna: Person
) -> None:
    free = row_of(database, anna)
    assert free is not None
    with database.writing() as session:
        assert queries.lease_wiki_grant(session, free, LATER + grants.LEASE)
        assert not queries.lease_wiki_grant(session, free, LATER + 2 * grants.LEASE)
    held = row_of(database, anna)
    assert held is not None
    with database.writing() as session:
        queries.release_wiki_grant(session, free, LATER + grants.LEASE)
        assert not queries.lease_wiki_grant(session, held, LATER + grants.LEASE)
        assert queries.lease_wiki_grant(session, free, LATER + grants.LEASE)


@pytest.mark.parametrize("fault", ["429", "502-html", "drop-connection", "text-200"])
def test_a_request_that_did_nothing_costs_nothing(
    database: Database, told: Settings, commons: StandInCommons, anna: Person, fault: str
) -> None:
    commons.faults.next("oauth", fault)
    with pytest.raises(TransientError):
        grants.access_token(told, database, anna.id or 0, at(LATER))
    assert has_leave(database, anna)
    assert is_good(commons, grants.access_token(told, database, anna.id or 0, at(LATER)))


@pytest.mark.parametrize("fault", ["applied-then-dropped", "applied-then-502", "broken-json"])
def test_an_answer_that_got_lost_costs_the_leave_and_nothing_worse(
    database: Database, told: Settings, commons: StandInCommons, anna: Person, fault: str
) -> None:
    commons.faults.next("oauth", fault)
    with pytest.raises(TransientError):
        grants.access_token(told, database, anna.id or 0, at(LATER))
    assert has_leave(database, anna)
    with pytest.raises(NoLeaveError):
        grants.access_token(told, database, anna.id or 0, at(LATER))
    assert not has_leave(database, anna)


def test_who_died_while_renewing_is_followed_when_the_lease_is_over(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    with database.writing() as session:
        session.get_one(WikiGrant, anna.id).refreshing_until = LATER + grants.LEASE
    with pytest.raises(TransientError, match="too long"):
        grants.access_token(told, database, anna.id or 0, at(LATER), patience_s=0.3)
    assert renewals(commons) == 0
    moments = iter(LATER + timedelta(seconds=25 * step) for step in range(10))
    assert is_good(commons, grants.access_token(told, database, anna.id or 0, lambda: next(moments)))
    assert next(moments) == LATER + timedelta(seconds=100)


def meanwhile(commons: StandInCommons, told: Settings, person: Person, act: Callable[[], None]) -> Crowd:
    """Let somebody renew, and act while Wikimedia takes its time to answer."""
    commons.calls.clear()
    commons.faults.next("oauth", "slow", seconds=0.6, where=lambda params: params.get("grant_type") == "refresh_token")
    crowd = Crowd()
    renewing = threading.Thread(target=lambda: crowd.ask(told, person, 1, LATER))
    renewing.start()
    while not renewals(commons):
        assert renewing.is_alive()
        time.sleep(0.01)
    act()
    renewing.join(30)
    return crowd


def test_a_yes_that_is_taken_back_while_renewing_wins(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    def take_back() -> None:
        with database.writing() as session:
            grants.withdraw(session, anna.id or 0)

    crowd = meanwhile(commons, told, anna, take_back)
    assert [type(problem) for problem in crowd.problems] == [NoLeaveError]
    assert row_of(database, anna) is None


def test_tokens_of_a_new_sign_in_while_renewing_are_the_ones_that_count(
    database: Database, told: Settings, commons: StandInCommons, anna: Person
) -> None:
    newer = tokens_of(commons, "Anna", LATER)

    def sign_in_again() -> None:
        assert let(database, told, anna, newer)

    crowd = meanwhile(commons, told, anna, sign_in_again)
    assert crowd.tokens == [newer.access_token]
    assert is_good(commons, newer.access_token)


def test_no_token_shows_when_things_are_printed(commons: StandInCommons) -> None:
    tokens = tokens_of(commons, "Anna")
    assert tokens.access_token not in repr(tokens)
    assert isinstance(Vault("a key").seal(tokens.access_token), Sealed)
