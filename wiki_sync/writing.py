"""Depicts statements, written for one account: each write is sent once, and what came back is told exactly.

Adding goes without a base revision: only so does the wiki look for doubles in the newest state. Changing and
removing go with one, and even then the wiki patches an edit into what others wrote meanwhile, so the caller
compares before and looks at `Outcome.patched` after. A write whose answer got lost is never sent again from here;
its statement id shows in `Writer.live` whether it was done. Source: https://www.wikidata.org/w/api.php?action=help
(wbsetclaim, wbremoveclaims) and recorded answers.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wiki_sync.answers import Outcome, OutcomeKind, classify
from wiki_sync.claims import DepictsClaim, claim_json, is_guid
from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError, NoAnswerError, SignedOutError, TransientError, WikiError
from wiki_sync.mediainfo import Depicts, parse_entity
from wiki_sync.retry import asked_wait, with_retries
from wiki_sync.session import raise_for_code, raise_for_status
from wiki_sync.wikifile import main_wikitext
from wiki_sync.wire import Wire, WireAnswer

BATCH = 50  # what the API takes from an account without special rights
_MAXLAG = "5"  # seconds of replication lag above which the wiki should ask us to come back later
_NOBODYS_TOKEN = "+\\"  # noqa: S105 (what the wiki gives to those who are not signed in)
_HISTORY = 50  # revisions of one account after one revision; a lost write is among the first
_FILE = 6  # the number of the wiki's namespace for files


@dataclass(frozen=True)
class LiveFile:
    """A file page as it is now: everything that a decision needs, from one revision.

    `exists` is False for a page that is gone or is no file page; then all else is empty. `title` may have changed.
    `wikitext` and `statements` (raw JSON by property) are those of `revision`. `depicts` and `represents` (items
    of which the file is a reproduction) are read from `statements`. `protected` means that this account may not
    edit the page because it is protected.
    """

    page_id: int
    mid: str
    exists: bool
    is_redirect: bool = False
    title: str = ""
    revision: int | None = None
    wikitext: str = ""
    statements: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    depicts: tuple[Depicts, ...] = ()
    represents: tuple[str, ...] = ()
    protected: bool = False


class Writer:
    """Writes and reads for one account, the wire's.

    Holds the account's name and its edit token, so one writer serves one account and is made anew after signing in.
    `sleep` waits between tries, in seconds.
    """

    def __init__(self, config: WikiConfig, wire: Wire, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._wire = wire
        self._sleep = sleep
        self._account: str | None = None
        self._csrf: str | None = None

    @property
    def account(self) -> str:
        """The account's name, asked of the wiki once; every later request asserts it.

        Raises SignedOutError when the wire is not signed in, else as `live`.
        """
        if self._account is None:
            answer = self._read({"action": "query", "meta": "userinfo", "assert": "user"})
            known = _part(answer, "query", "userinfo")
            if not known.get("name") or not known.get("id") or known.get("anon"):
                raise SignedOutError("The wiki does not know who we are. Please sign in again.")
            self._account = str(known["name"])
        return self._account

    def live(self, page_ids: Sequence[int]) -> dict[int, LiveFile]:
        """Return the file pages as they are now, `BATCH` at most, by page id; every id asked for is in the answer.

        A redirect that a move left behind is not followed. Raises ValueError for what is no page id or too many,
        SignedOutError, TransientError when the retries are used up, and PermanentError where the wiki refuses.
        """
        wanted = list(dict.fromkeys(page_ids))
        if len(wanted) > BATCH or any(isinstance(one, bool) or one < 1 for one in wanted):
            raise ValueError(f"at most {BATCH} page ids, each a positive number")
        found = {page_id: LiveFile(page_id, f"M{page_id}", exists=False) for page_id in wanted}
        if wanted:
            for page in self._pages(wanted):
                if page.get("pageid") in found and page.get("ns") == _FILE and not page.get("missing"):
                    found[page["pageid"]] = live_file(self._config, page)
        return found

    def add(
        self, claim: DepictsClaim, summary: str, tags: Sequence[str] = (), as_bot: bool = False, *, wait: bool = True
    ) -> Outcome:
        """Add a statement under its own id, unless the file has one with this value already (DUPLICATE).

        `wait=False` answers LATER at once where the wiki is behind (maxlag). Raises ValueError as `claim_json`.
        """
        params = {"action": "wbsetclaim", "claim": self._json(claim), "ignoreduplicatemainsnak": "1"}
        return self._write(params | _manners(summary, tags, as_bot), None, wait)

    def change(
        self,
        claim: DepictsClaim,
        baserevid: int,
        summary: str,
        tags: Sequence[str] = (),
        as_bot: bool = False,
        *,
        wait: bool = True,
    ) -> Outcome:
        """Let the statement with the claim's id say this; `baserevid` is the revision in which it was read.

        Raises ValueError as `claim_json`, and for a revision below 1.
        """
        params = {"action": "wbsetclaim", "claim": self._json(claim), "baserevid": _revision_id(baserevid)}
        return self._write(params | _manners(summary, tags, as_bot), baserevid, wait)

    def remove(
        self,
        guid: str,
        baserevid: int,
        summary: str,
        tags: Sequence[str] = (),
        as_bot: bool = False,
        *,
        wait: bool = True,
    ) -> Outcome:
        """Remove one statement; `baserevid` is the revision in which it was read. Raises ValueError for what is no
        statement id, and for a revision below 1."""
        if not is_guid(guid):
            raise ValueError(f"not the id of a statement on a file: {guid!r}")
        params = {"action": "wbremoveclaims", "claim": guid, "baserevid": _revision_id(baserevid)}
        return self._write(params | _manners(summary, tags, as_bot), baserevid, wait)

    def revision_of(self, page_id: int, after: int, words: Sequence[str]) -> int | None:
        """Return the revision that a write of ours became whose answer got lost, None if that cannot be told.

        It is the one revision of the page after the revision `after` that this account made and whose comment has
        all the `words` as whole words; of two such none can be told from the other. Raises as `live`.
        """
        params = {
            "action": "query",
            "prop": "revisions",
            "pageids": str(page_id),
            "rvprop": "ids|user|comment",
            "rvuser": self.account,
            "rvstartid": str(after),
            "rvdir": "newer",
            "rvlimit": str(_HISTORY),
        }
        answer = self._read(params)
        pages = _part(answer, "query").get("pages") or [{}]
        signs = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in words]
        ours = [
            int(one["revid"])
            for one in pages[0].get("revisions") or ()
            if int(one["revid"]) > after and all(sign.search(str(one.get("comment", ""))) for sign in signs)
        ]
        return ours[0] if len(ours) == 1 and "continue" not in answer else None

    def _json(self, claim: DepictsClaim) -> str:
        return json.dumps(claim_json(self._config, claim), ensure_ascii=False, separators=(",", ":"))

    # ---- writing

    def _write(self, params: Mapping[str, str], baserevid: int | None, wait: bool) -> Outcome:
        """Send a write once, and once more if the edit token had expired."""
        outcome = Outcome(OutcomeKind.LATER)
        for _ in ("the token at hand", "a fresh one"):
            try:
                asked = {**params, "assertuser": self.account, "token": self._token()}
            except WikiError as error:
                return _not_sent(error)
            outcome = self._send(asked, baserevid, wait)
            if outcome.code != "badtoken":
                break
            self._csrf = None
        return outcome

    def _send(self, asked: Mapping[str, str], baserevid: int | None, wait: bool) -> Outcome:
        """Send a write, and again only while the wiki says that it is behind and for how short a time."""
        pause = self._config.retry_wait_s
        for _ in range(self._config.max_retries if wait else 0):
            outcome = self._send_once(asked, baserevid)
            asked_for = max(outcome.retry_after or 0.0, min(pause, self._config.retry_max_s))
            if outcome.code != "maxlag" or asked_for > self._config.retry_max_s:
                return outcome
            self._sleep(asked_for)
            pause *= 2
        return self._send_once(asked, baserevid)

    def _send_once(self, asked: Mapping[str, str], baserevid: int | None) -> Outcome:
        try:
            answer = self._wire.ask({"maxlag": _MAXLAG, **asked}, write=True)
        except NoAnswerError as error:
            return Outcome(OutcomeKind.UNKNOWN if error.sent else OutcomeKind.LATER, info=str(error))
        except WikiError as error:
            return _not_sent(error)
        outcome = classify(answer, baserevid)
        return replace(outcome, body=outcome.body.replace(asked["token"], "(secret)"))

    def _token(self) -> str:
        if self._csrf is None:
            asked = {"action": "query", "meta": "tokens", "type": "csrf", "assertuser": self.account}
            token = _part(self._read(asked), "query", "tokens").get("csrftoken")
            if not isinstance(token, str) or not token:
                raise BadAnswerError("The wiki gave no edit token.")
            if token == _NOBODYS_TOKEN:
                raise SignedOutError("The wiki does not know who we are. Please sign in again.")
            self._csrf = token
        return self._csrf

    # ---- reading

    def _pages(self, page_ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return what the wiki says about the pages, put together from as many answers as it needs."""
        params = {**live_params(page_ids), "assertuser": self.account}
        pages: dict[Any, dict[str, Any]] = {}
        further: dict[str, str] = {}
        while True:
            answer = self._read({**params, **further})
            for page in _part(answer, "query").get("pages") or ():
                pages.setdefault(page.get("pageid"), {}).update(page)
            following = {name: str(value) for name, value in _part(answer, "continue").items()}
            if not following:
                return list(pages.values())
            if following == further:
                raise BadAnswerError("The wiki keeps sending the same page of a list.")
            further = following

    def _read(self, params: Mapping[str, str]) -> Mapping[str, Any]:
        asked = {"maxlag": _MAXLAG, **params}
        return with_retries(self._config, lambda: _readable(self._wire.ask(asked, write=False)), self._sleep)


def live_params(page_ids: Sequence[int]) -> dict[str, str]:
    """Return the question whose answer has all that `live_file` reads."""
    return {
        "action": "query",
        "pageids": "|".join(map(str, page_ids)),
        "prop": "info|revisions",
        "inprop": "protection",
        "intestactions": "edit",
        "rvprop": "ids|content",
        "rvslots": "*",
    }


def _manners(summary: str, tags: Sequence[str], as_bot: bool) -> dict[str, str]:
    said = {"summary": summary}
    if tags:
        said["tags"] = "|".join(tags)
    if as_bot:
        said["bot"] = "1"
    return said


def _revision_id(baserevid: int) -> str:
    if baserevid < 1:  # the wiki would ignore it, and write over whatever is there
        raise ValueError(f"not a revision: {baserevid}")
    return str(baserevid)


def _not_sent(error: WikiError) -> Outcome:
    """Return the outcome of a write that could not be sent."""
    kind = OutcomeKind.REFUSED
    if isinstance(error, SignedOutError):
        kind = OutcomeKind.SIGNED_OUT
    elif isinstance(error, TransientError):
        kind = OutcomeKind.LATER
    return Outcome(kind, info=str(error), retry_after=getattr(error, "retry_after", None))


def _readable(answer: WireAnswer) -> Mapping[str, Any]:
    """Return the answer to a question. Raises SignedOutError, TransientError and PermanentError."""
    wait = asked_wait(answer.headers.get("retry-after"))
    error = (answer.body or {}).get("error")
    if isinstance(error, Mapping):
        if classify(answer).kind is OutcomeKind.SIGNED_OUT:
            raise SignedOutError("The wiki does not know (any more) who we are. Please sign in again.")
        raise_for_code(str(error.get("code", "")), str(error.get("info", "")), wait)
    raise_for_status(answer.status, answer.text, wait)
    if answer.body is None:
        raise BadAnswerError("The wiki answered with something that is not JSON, or with JSON that was cut off.")
    return answer.body


def _part(answer: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the map at a place of the answer, an empty one if there is nothing."""
    found: Mapping[str, Any] = answer
    for name in path:
        inner = found.get(name) or {}
        if not isinstance(inner, Mapping):
            raise BadAnswerError("The wiki's answer has an unknown form.")
        found = inner
    return found


def live_file(config: WikiConfig, page: Mapping[str, Any]) -> LiveFile:
    """Return one page of the answer. Raises BadAnswerError for another form."""
    page_id = int(page["pageid"])
    try:
        revision = page["revisions"][0]
        slot = revision["slots"].get("mediainfo")
        entity: dict[str, Any] = json.loads(slot["content"]) if slot else {"missing": ""}
        known = parse_entity(config, f"M{page_id}", entity)
        said = entity.get("statements") or {}  # an empty map is stored as a list
        statements = {name: tuple(group) for name, group in said.items()}
        return LiveFile(
            page_id=page_id,
            mid=known.mid,
            exists=True,
            is_redirect=bool(page.get("redirect")),
            title=str(page["title"]),
            revision=int(revision["revid"]),
            wikitext=main_wikitext(page),
            statements=statements,
            depicts=known.depicts,
            represents=tuple(_items(statements.get(config.represents, ()))),
            protected=_is_protected(page),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadAnswerError(f"What the wiki says about M{page_id} has an unknown form.") from error


def _items(statements: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the items that statements name, each once, deprecated ones left out."""
    values = [
        one["mainsnak"]["datavalue"]["value"]
        for one in statements
        if one["mainsnak"]["snaktype"] == "value" and one.get("rank") != "deprecated"
    ]
    return list(dict.fromkeys(value["id"] if "id" in value else f"Q{value['numeric-id']}" for value in values))


def _is_protected(page: Mapping[str, Any]) -> bool:
    guarded = any(one.get("type") == "edit" for one in page.get("protection") or ())
    return guarded and not (page.get("actions") or {}).get("edit", False)
