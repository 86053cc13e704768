"""The push with the people's pen: each statement goes out in the name of who confirmed it, if they agreed."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import service
from icones.errors import NotReadyError
from icones.models import EditState, JobKind, Person, Role, WikiGrant, Writes
from icones.people import grants
from icones.people.secrets import Vault
from tests.support.commons import ADMIRAL, LADY, WHITE
from tests.support.standin import StandInCommons
from tests.support.voices import somebody
from tests.support.writing import BOT, Desk, is_edit, writing_world
from wiki_sync.oauth import Tokens

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ACCOUNTS = {"Anna": "101", "Bert": "102"}


@pytest.fixture
def desk(settings: Settings, database: Database) -> Iterator[Desk]:
    """A campaign that writes in people's names; Anna agreed to it, and Bert did not."""
    world = writing_world(3)
    for name, sub in ACCOUNTS.items():
        world.add_person(name, sub)
    with StandInCommons(world) as commons:
        known = {
            "oauth_client_id": "icones-test",
            "oauth_client_secret": SecretStr("icones-secret"),
            "person_edits_per_minute": 60_000.0,
        }
        desk = Desk.opened(settings.model_copy(update=known), database, commons, Writes.PEOPLE)
        for name in ACCOUNTS:
            somebody(database, desk.campaign, name, Role.SPECIALIST)
        agree(desk, "Anna")
        yield desk


def agree(desk: Desk, name: str, good_for_s: float = 3600) -> None:
    """Let a person say yes, here and at Wikimedia."""
    person = who(desk, name)
    tokens = Tokens(desk.commons.oauth.token_for(ACCOUNTS[name]), None, utc_now() + timedelta(seconds=good_for_s))
    with desk.database.writing() as session:
        grants.agree(session, person.id or 0)
        assert grants.keep(session, Vault(desk.settings.secret_key.get_secret_value()), person, tokens, utc_now())


def who(desk: Desk, name: str) -> Person:
    return somebody(desk.database, desk.campaign, name)


def has_grant(desk: Desk, name: str) -> bool:
    with desk.database.reading() as session:
        return session.get(WikiGrant, who(desk, name).id) is not None


def test_each_statement_goes_out_in_the_name_of_who_confirmed_it_and_agreed(desk: Desk) -> None:
    desk.says(0, ADMIRAL, "Anna")
    desk.says(1, LADY, "Bert")
    planned = desk.run(JobKind.PUSH, dry_run=True).result["planned"]
    assert [(one["account"], one["would_write"], one["reason"]) for one in planned] == [
        ("Anna", True, ""),
        ("Bert", False, service.NO_LEAVE),
    ]
    desk.sent()
    first, second = desk.edits()
    assert (first.state, first.account, second.state, second.reason) == (
        EditState.DONE,
        "Anna",
        EditState.WAITING,
        service.NO_LEAVE,
    )
    revision = desk.world.pages[desk.pages[0]].latest
    assert (revision.user, revision.is_bot) == ("Anna", False)
    (said,) = desk.writes()
    assert ("bot" in said.params, said.params["assertuser"]) == (False, "Anna")
    agree(desk, "Bert")
    desk.sent()
    assert (desk.edits()[1].account, desk.qids(1), desk.written_by(BOT)) == ("Bert", [LADY], [])


@sqlite_only
def test_without_anybodys_leave_nothing_is_sent_off_and_it_says_why(desk: Desk) -> None:
    desk.says(0, ADMIRAL, "Bert")
    with pytest.raises(NotReadyError, match="has not agreed"):
        desk.send_off()
    assert (desk.only().state, desk.only().batch_id, desk.writes()) == (EditState.WAITING, None, [])


@sqlite_only
def test_a_token_revoked_in_the_middle_stops_that_person_and_nobody_else(desk: Desk) -> None:
    agree(desk, "Bert")
    desk.says(0, ADMIRAL, "Anna")
    desk.says(1, LADY, "Anna")
    desk.says(2, WHITE, "Bert")
    desk.send_off()

    def revoke(user: str, title: str, summary: str) -> bool:
        desk.commons.oauth.revoke(ACCOUNTS["Anna"])
        return False

    desk.world.add_filter(revoke)
    desk.push()
    desk.world.rules.filters.clear()
    for _ in range(2):
        desk.rest()
        desk.push()
    states = [(row.state, row.account) for row in desk.edits()]
    assert states == [(EditState.DONE, "Anna"), (EditState.WAITING, ""), (EditState.DONE, "Bert")]
    assert "sign in again" in desk.edits()[1].reason
    assert not has_grant(desk, "Anna")
    agree(desk, "Anna")
    desk.rest()
    desk.push()
    assert (desk.edits()[1].state, desk.qids(1)) == (EditState.DONE, [LADY])


@sqlite_only
def test_taking_the_yes_back_in_the_middle_stops_at_the_next_edit(desk: Desk) -> None:
    desk.says(0, ADMIRAL, "Anna")
    desk.says(1, LADY, "Anna")
    desk.send_off()
    anna = who(desk, "Anna")

    def withdraw(user: str, title: str, summary: str) -> bool:
        with desk.database.writing() as session:
            grants.withdraw(session, anna.id or 0)
        return False

    desk.world.add_filter(withdraw)
    desk.push()
    assert [row.state for row in desk.edits()] == [EditState.DONE, EditState.WAITING]
    assert len(desk.writes()) == 1


@sqlite_only
def test_a_blocked_person_waits_and_the_campaign_goes_on(desk: Desk) -> None:
    agree(desk, "Bert")
    desk.says(0, ADMIRAL, "Anna")
    desk.says(1, LADY, "Anna")
    desk.says(2, WHITE, "Bert")
    desk.world.block("Anna")
    desk.sent()
    assert [row.state for row in desk.edits()] == [EditState.WAITING, EditState.WAITING, EditState.DONE]
    assert "Anna is blocked" in desk.edits()[0].reason
    assert len(desk.writes()) == 2


@sqlite_only
def test_a_lost_answer_of_a_person_is_found_again(desk: Desk) -> None:
    desk.says(0, ADMIRAL, "Anna")
    desk.commons.faults.next("api", "applied-then-dropped", where=is_edit)
    desk.sent()
    desk.rest()
    desk.push()
    row = desk.only()
    assert (row.state, row.revision, row.account, len(desk.writes())) == (EditState.DONE, desk.latest(0), "Anna", 1)


@sqlite_only
def test_an_undo_goes_out_in_the_same_persons_name(desk: Desk) -> None:
    desk.says(0, ADMIRAL, "Anna")
    desk.sent()
    desk.undo(edit_ids=[desk.only().id or 0])
    desk.push()
    assert (desk.qids(0), len(desk.written_by("Anna"))) == ([], 2)
