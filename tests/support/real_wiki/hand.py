"""An account of the wiki that speaks its API directly, with none of the project's code: what others do, and the broom.

It signs in with a bot password, reads files with their text and statements, and edits them. A wiki that is busy is
asked again for a while.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

Json = dict[str, Any]
AGENT = "IconesTest/0.1 (https://example.org/icones; icones@example.org)"
SUMMARY = "A test of Icones; it is taken back at once"
_BUSY = ("maxlag", "readonly", "ratelimited", "actionthrottled", "internal_api_error_DB", "edit-conflict")
_SESSION_LOST = {"badtoken", "assertuserfailed"}
_TRIES = 25
_PAUSE_S = 4.0


class HandError(Exception):
    """The wiki refused what a test needs others to do; `codes` are its words for why."""

    def __init__(self, message: str, codes: Collection[str] = ()) -> None:
        super().__init__(message)
        self.codes = frozenset(codes)


@dataclass(frozen=True)
class PageState:
    """A file page: its text, and the raw statements by their id. `exists` is False for what is no file."""

    page_id: int
    exists: bool
    title: str = ""
    revision: int = 0
    is_redirect: bool = False
    has_data: bool = False
    wikitext: str = ""
    statements: Mapping[str, Json] = field(default_factory=dict)

    def items(self, prop: str) -> list[str]:
        """The items that a property names, in the page's order."""
        snaks = [one["mainsnak"] for one in self.statements.values() if one["mainsnak"]["property"] == prop]
        return [snak["datavalue"]["value"]["id"] for snak in snaks if snak["snaktype"] == "value"]


class Hand:
    """One account, or nobody in particular where no user is given (for reading)."""

    def __init__(
        self, api_url: str, user: str = "", password: str = "", sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._url, self._user, self._password, self._sleep = api_url, user, password, sleep
        self._client = httpx2.Client(timeout=60, headers={"User-Agent": AGENT})
        self._csrf = ""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ask(self, **params: str) -> Json:
        """Return the answer to a question. Raises HandError for an error of the API."""
        return self._patiently(lambda: self._client.get(self._url, params=_plain(params)))

    def ask_pages(self, **params: str) -> list[Json]:
        """Return the pages that a query is about, put together from as many answers as the wiki needs."""
        pages: dict[Any, Json] = {}
        further: dict[str, str] = {}
        while True:
            answer = self.ask(action="query", **{**params, **further})
            for page in answer["query"]["pages"]:
                pages.setdefault(page.get("pageid", page.get("title")), {}).update(page)
            following = {name: str(value) for name, value in answer.get("continue", {}).items()}
            if not following:
                return list(pages.values())
            if following == further:
                raise HandError("the wiki keeps sending the same part of a list")
            further = following

    def write(self, **params: str) -> Json:
        """Do something, signed in. Raises HandError for an error of the API."""
        try:
            return self._write(params)
        except HandError as error:
            if not error.codes & _SESSION_LOST:
                raise
            self._csrf = ""
            return self._write(params)

    def _write(self, params: Mapping[str, str]) -> Json:
        if not self._csrf:
            self._sign_in()
        form = {"summary": SUMMARY, **params, "assert": "user", "token": self._csrf}
        return self._patiently(lambda: self._client.post(self._url, data=_plain(form)))

    @property
    def name(self) -> str:
        """The account's name, as the wiki spells it."""
        if not self._csrf:
            self._sign_in()
        return str(self.ask(action="query", meta="userinfo")["query"]["userinfo"]["name"])

    def _sign_in(self) -> None:
        token = self.ask(action="query", meta="tokens", type="login")["query"]["tokens"]["logintoken"]
        form = {"action": "login", "lgname": self._user, "lgpassword": self._password, "lgtoken": token}
        said = self._patiently(lambda: self._client.post(self._url, data=_plain(form)))["login"]
        if said.get("result") != "Success":
            raise HandError(f"the wiki did not sign {self._user} in: {said.get('reason') or said.get('result')}")
        self._csrf = self.ask(action="query", meta="tokens", type="csrf")["query"]["tokens"]["csrftoken"]

    def _patiently(self, attempt: Callable[[], httpx2.Response]) -> Json:
        for left in range(_TRIES, -1, -1):
            answer = attempt()
            if answer.status_code in (429, 502, 503, 504) and left:
                self._sleep(_PAUSE_S)
                continue
            if answer.status_code != 200:
                raise HandError(f"HTTP {answer.status_code}: {answer.text[:300]}")
            try:
                body: Json = answer.json()
            except ValueError as error:
                raise HandError(f"the wiki answered with something that is not JSON: {answer.text[:300]}") from error
            refusal = body.get("error")
            if refusal is None:
                return body
            said = [str(refusal.get("code")), *(str(one.get("name")) for one in refusal.get("messages") or ())]
            if left and any(word.startswith(_BUSY) for word in said):
                self._sleep(_PAUSE_S)
                continue
            raise HandError(f"{', '.join(said)}: {refusal.get('info')}", said)
        raise AssertionError("the loop above returns or raises")

    # ---- files

    def pages(self, page_ids: Collection[int]) -> dict[int, PageState]:
        """Return the file pages as they are now (50 at most)."""
        found = {one: PageState(one, exists=False) for one in page_ids}
        if not found:
            return {}
        ids = "|".join(map(str, found))
        for page in self.ask_pages(prop="info|revisions", pageids=ids, rvprop="ids|content", rvslots="*"):
            if not page.get("missing") and page.get("ns") == 6 and page["pageid"] in found:
                found[page["pageid"]] = _state(page)
        return found

    def page(self, page_id: int) -> PageState:
        """Return one file page as it is now."""
        return self.pages([page_id])[page_id]

    def adds(self, page_id: int, prop: str, qid: str) -> str:
        """State an item on a file; return the statement's id."""
        value = json.dumps({"entity-type": "item", "numeric-id": int(qid[1:]), "id": qid})
        params = {"entity": f"M{page_id}", "property": prop, "snaktype": "value", "value": value}
        return str(self.write(action="wbcreateclaim", **params)["claim"]["id"])

    def changes(self, guid: str, prop: str, qid: str) -> None:
        """Let a statement name another item."""
        value = {"entity-type": "item", "numeric-id": int(qid[1:]), "id": qid}
        snak = {"snaktype": "value", "property": prop, "datavalue": {"type": "wikibase-entityid", "value": value}}
        claim = {"type": "statement", "id": guid, "rank": "normal", "mainsnak": snak}
        self.write(action="wbsetclaim", claim=json.dumps(claim))

    def removes(self, *guids: str) -> None:
        """Take statements of one file away."""
        self.write(action="wbremoveclaims", claim="|".join(guids))

    def writes_text(self, page_id: int, text: str) -> None:
        """Let a page that is there have this wikitext."""
        self.write(action="edit", pageid=str(page_id), text=text, nocreate="1")

    def restore(self, before: Mapping[int, PageState]) -> list[str]:
        """Take away what was stated since, and put texts back; return in words what is different all the same.

        Tried again when the wiki fails in between: here nothing may be left undone. Raises what the last try raised.
        """
        for is_last in (False, False, True):
            try:
                self._sweep(before)
                break
            except (HandError, httpx2.HTTPError):
                if is_last:
                    raise
                self._sleep(_PAUSE_S)
        now = self.pages(before)
        return [f"M{page_id}: {words}" for page_id, was in before.items() for words in _left(was, now[page_id])]

    def _sweep(self, before: Mapping[int, PageState]) -> None:
        for page_id, now in self.pages(before).items():
            was = before[page_id]
            new = [guid for guid in now.statements if guid not in was.statements]
            if new:
                self.removes(*new)
            if now.exists and not is_same_text(was, now):
                self.writes_text(page_id, was.wikitext)


def is_same_text(one: PageState, other: PageState) -> bool:
    """Say whether two texts are the same to a wiki, which strips blanks from the end of what it saves."""
    return one.wikitext.rstrip() == other.wikitext.rstrip()


def _left(was: PageState, now: PageState) -> list[str]:
    found = [f"statement {guid} is still there" for guid in now.statements if guid not in was.statements]
    found += [f"statement {guid} is gone" for guid in was.statements if guid not in now.statements]
    both = was.statements.keys() & now.statements.keys()
    found += [f"statement {guid} is another" for guid in sorted(both) if was.statements[guid] != now.statements[guid]]
    return found if is_same_text(was, now) else [*found, "its text is another"]


def _plain(params: Mapping[str, str]) -> dict[str, str]:
    return {"format": "json", "formatversion": "2", **params}


def _state(page: Mapping[str, Any]) -> PageState:
    revision = page["revisions"][0]
    slot = revision["slots"].get("mediainfo")
    groups = (json.loads(slot["content"])["statements"] or {}) if slot else {}
    return PageState(
        page_id=page["pageid"],
        exists=True,
        title=page["title"],
        revision=revision["revid"],
        is_redirect=bool(page.get("redirect")),
        has_data=slot is not None,
        wikitext=revision["slots"]["main"]["content"],
        statements={one["id"]: one for group in groups.values() for one in group},
    )
