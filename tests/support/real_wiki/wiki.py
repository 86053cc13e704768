"""The wiki that the contract tests run against, as tests see it: addresses, accounts, files, items, and a broom.

It is made from the variables of the environment, or from those that describe a stand-in: no test can tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.real_wiki import variables as names
from tests.support.real_wiki.hand import AGENT, Hand, PageState, is_same_text
from tests.support.real_wiki.tokens import PersonTokens
from tests.support.real_wiki.variables import Variables
from wiki_sync import BotWire, Outcome, OutcomeKind, PersonWire, WikiConfig

SUMMARY = "Icones, a contract test"
_BOTS = {"bot": (names.USER, names.PASSWORD), "other": (names.USER2, names.PASSWORD2)}
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MOST_FILES = 20
_SETTLES_IN = 40  # tries, while the wiki asks us to come back later


class Wiki:
    """One wiki with accounts to write with. What is not set skips the test that asks for it."""

    def __init__(self, variables: Variables, folder: Path, kept: Path | None) -> None:
        self.variables = variables
        self.person = PersonTokens(variables, kept)
        self._folder = folder
        self._hands: dict[str, Hand] = {}

    def close(self) -> None:
        """Close all connections."""
        for hand in self._hands.values():
            hand.close()

    # ---- what is where

    @property
    def api_url(self) -> str:
        """The address of `api.php`."""
        return self.variables.need(names.API)[0]

    @property
    def depicts(self) -> str:
        """The property for "depicts"."""
        return self.variables.optional(names.DEPICTS, "P180")

    @property
    def category(self) -> str:
        """A category with files."""
        return self.variables.need(names.CATEGORY)[0]

    def items(self, n: int) -> tuple[str, ...]:
        """So many items that may be stated."""
        found = self.variables.items()
        if len(found) < n:
            pytest.skip(f"{names.ITEMS} names {len(found)} items, and this takes {n}")
        return found[:n]

    def files(self, n: int) -> tuple[int, ...]:
        """So many files that may be written to, none of which states one of the items."""
        if len(self._free_files) < n:
            many = f"{len(self.variables.files())} files, of which {len(self._free_files)}"
            pytest.skip(f"{names.FILES} names {many} are there, open, and state none of {names.ITEMS}; this takes {n}")
        return self._free_files[:n]

    @cached_property
    def _free_files(self) -> tuple[int, ...]:
        ours = set(self.variables.items()) if self.variables.has(names.ITEMS) else set()
        known = self.reader.pages(self.variables.files()[:_MOST_FILES])
        return tuple(
            one.page_id
            for one in known.values()
            if one.exists and not one.is_redirect and not ours & set(one.items(self.depicts))
        )

    def pictures(self, n: int) -> tuple[int, ...]:
        """So many of these files that are pictures of a common kind, as the whole tool wants to show them."""
        self.files(1)
        found = tuple(one for one in self._free_files if self._versions.get(one, {}).get("mime") in _PICTURES)
        if len(found) < n:
            kinds = f"pictures ({', '.join(_PICTURES)})"
            pytest.skip(f"{names.FILES} names {len(found)} {kinds} that can be used, and this takes {n}")
        return found[:n]

    @property
    def image_hosts(self) -> tuple[str, ...]:
        """Where the wiki says that its pictures are, as the settings want it."""
        urls = [str(one[name]) for one in self._versions.values() for name in ("url", "thumburl") if name in one]
        return tuple(sorted({_image_host(url) for url in (self.api_url, *urls)}))

    @cached_property
    def _versions(self) -> Mapping[int, Mapping[str, Any]]:
        """What the wiki tells of the newest version of each file."""
        asked = {"prop": "imageinfo", "iiprop": "url|mime", "iiurlwidth": "250"}
        ids = "|".join(map(str, self._free_files))
        pages = self.reader.ask_pages(pageids=ids, **asked) if ids else []
        return {one["pageid"]: one["imageinfo"][0] for one in pages if one.get("imageinfo")}

    def fresh_file(self) -> int:
        """A file that never had structured data if there is one left, else any: data once there never goes away."""
        self.files(1)
        known = self.reader.pages(self._free_files)
        return next((one.page_id for one in reversed(known.values()) if not one.has_data), self._free_files[-1])

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The English labels of the items (a fallback language's where there is none), the id where there is none."""
        wanted = self.variables.items()
        asked = {"props": "labels", "languages": "en", "languagefallback": "1"}
        told = self.reader.ask(action="wbgetentities", ids="|".join(wanted), **asked)["entities"]
        return {one: str(told[one].get("labels", {}).get("en", {}).get("value", one)) for one in wanted}

    # ---- who is there

    def config(self, *, api_url: str = "", timeout_s: float = 30.0) -> WikiConfig:
        """What the library is told of this wiki; `api_url` is a way to it other than its own address."""
        return WikiConfig(
            api_url=api_url or self.api_url,
            sparql_urls=(),
            user_agent=AGENT,
            state_dir=self._folder,
            depicts=self.depicts,
            timeout_s=timeout_s,
            max_retries=4,
            retry_wait_s=0.2,
            retry_max_s=30.0,
        )

    def bot(self, kind: str) -> tuple[str, str]:
        """Name@appid and password of the account "bot" or "other"."""
        user, password = self.variables.need(*_BOTS[kind])
        return user, password

    def wire(self, kind: str, config: WikiConfig | None = None) -> BotWire | PersonWire:
        """A new wire of "bot", "other" or "person", to be closed."""
        self._need_broom()
        used = config or self.config()
        return PersonWire(used, self.person.access()) if kind == "person" else BotWire(used, *self.bot(kind))

    def _need_broom(self) -> None:
        """Let nobody write unless somebody can take it back, whatever happens."""
        self.variables.need(*_BOTS["bot"], names.FILES, why="it takes back what the tests write")

    def has(self, kind: str) -> bool:
        """Whether there is such an account."""
        return self.person.there_are if kind == "person" else self.variables.has(*_BOTS[kind])

    def hand(self, kind: str) -> Hand:
        """The account "bot" or "other" through the plain API."""
        self._need_broom()
        if kind not in self._hands:
            self._hands[kind] = Hand(self.api_url, *self.bot(kind))
        return self._hands[kind]

    def somebody_else(self, account: str) -> Hand:
        """A hand whose account is not this one."""
        for hand in (self.hand("other"), self.hand("bot")):
            if hand.name != account:
                return hand
        pytest.fail(f"{names.USER} and {names.USER2} are the same account: {account}")

    @property
    def reader(self) -> Hand:
        """Nobody in particular, who reads."""
        if "" not in self._hands:
            self._hands[""] = Hand(self.api_url)
        return self._hands[""]

    # ---- before and after

    def snapshot(self) -> Mapping[int, PageState]:
        """The files as they are now, to `restore` them by."""
        return self.reader.pages(self._free_files) if self.variables.has(names.API, names.FILES) else {}

    def restore(self, before: Mapping[int, PageState]) -> list[str]:
        """Bring the files back to what they were; return what could not be, in words."""
        now = self.reader.pages(before)
        if all(_same(before[one], now[one]) for one in before):
            return []
        return self.hand("bot").restore(before)


def _image_host(url: str) -> str:
    """A host of pictures: its name alone means https at the usual port, else the port goes with it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.hostname}" if (parts.scheme, port) == ("https", 443) else f"{parts.hostname}:{port}"


def _same(before: PageState, now: PageState) -> bool:
    return is_same_text(before, now) and before.statements == now.statements


def settled(write: Callable[[], Outcome]) -> Outcome:
    """Return what a write ends in, trying again while the wiki asks us to come back later (rate limits, locks)."""
    outcome = write()
    for _ in range(_SETTLES_IN):
        if outcome.kind is not OutcomeKind.LATER or outcome.code == "badtoken":
            break
        time.sleep(min(outcome.retry_after or 3.0, 30.0))
        outcome = write()
    return outcome
