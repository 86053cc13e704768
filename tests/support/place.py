"""A wiki on which depicts statements are written in tests: an account of each kind, and what others do there.

`Place` is all that knows the stand-in; the tests speak to `wiki_sync` and to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.support.recorded_world import picture
from tests.support.standin import StandInCommons, World
from wiki_sync import BotWire, DepictsClaim, LiveFile, PersonWire, WikiConfig, Writer, new_guid

AGENT = "IconesTest/0.1 (https://example.org/icones; icones@example.org) {braces}"
PICTURE = picture(60, 40)
PASSWORD = "correct-horse-battery"
CAT, DOG, HOUSE, MISSING_ITEM = "Q146", "Q144", "Q3947", "Q99999999"
SUMMARY = "Icones, a test of campaign 1"
ACCOUNTS = {"person": "Anna", "bot": "IconesBot"}


def a_world() -> World:
    """A wiki with two people and two bots."""
    world = World()
    world.add_person("Anna", "77")
    world.add_person("Bert", "78")
    for name in ("IconesBot", "OtherBot"):
        world.add_bot_password(name, "icones", PASSWORD)
    world.rules.missing_items.add(MISSING_ITEM)
    return world


class Place:
    """A wiki with an account of each kind, and what others do there."""

    def __init__(self, standin: StandInCommons, folder: Path) -> None:
        self.standin, self.world = standin, standin.world
        self.config = WikiConfig(
            standin.api_url, (), AGENT, folder, timeout_s=5, retry_wait_s=0.01, retry_max_s=1.0, max_retries=3
        )
        self.waits: list[float] = []
        self._files = 0

    def wire(self, kind: str, who: str = "", config: WikiConfig | None = None) -> PersonWire | BotWire:
        if kind == "bot":
            return BotWire(config or self.config, f"{who or ACCOUNTS[kind]}@icones", PASSWORD)
        token = self.standin.oauth.token_for(self.world.people[who or ACCOUNTS[kind]].sub)
        return PersonWire(config or self.config, token)

    def writer(self, wire: PersonWire | BotWire, config: WikiConfig | None = None) -> Writer:
        return Writer(config or self.config, wire, sleep=self.waits.append)

    def new_file(self, wikitext: str = "A plate.") -> int:
        self._files += 1
        return self.world.add_file(f"Plate {self._files}.jpg", PICTURE, wikitext=wikitext)

    def adds(self, page_id: int, qid: str) -> str:
        return self.world.add_statement(page_id, qid, "Somebody else")

    def changes(self, page_id: int, guid: str, qid: str) -> None:
        self.world.change_statement(page_id, guid, "Somebody else", qid=qid)

    def removes(self, page_id: int, guid: str) -> None:
        self.world.remove_statement(page_id, guid, "Somebody else")

    def loses_all_sessions(self) -> None:
        self.standin.sessions.end_all()

    def takes_back_the_password(self) -> None:
        self.world.rules.bot_passwords.clear()

    def takes_back_the_grant(self) -> None:
        self.standin.oauth.revoke(self.world.people[ACCOUNTS["person"]].sub)

    def writes(self) -> list[Mapping[str, str]]:
        """The writes that arrived so far."""
        return [call.params for call in self.standin.calls.requests if call.params.get("action", "").startswith("wb")]

    def revisions(self, page_id: int) -> int:
        return len(self.world.pages[page_id].revisions)


def claim_on(page_id: int, qid: str = CAT, **changes: str) -> DepictsClaim:
    return replace(DepictsClaim(new_guid(f"M{page_id}"), qid), **changes)  # type: ignore[arg-type]


def state(writer: Writer, page_id: int) -> LiveFile:
    return writer.live([page_id])[page_id]


def statement(writer: Writer, page_id: int, guid: str) -> Mapping[str, object] | None:
    said = state(writer, page_id).statements.get("P180", ())
    return next((one for one in said if one["id"] == guid), None)


def is_a_write(params: Mapping[str, str]) -> bool:
    return params.get("action", "").startswith("wb")
