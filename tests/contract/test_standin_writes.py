"""How the stand-in Commons writes where no recording says it: faults, other hands, bots, races."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
from authlib.integrations.requests_client import OAuth1Auth
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recorded_world import picture
from tests.support.standin import Block, StandInCommons, World, depicts, is_write
from tests.support.standin.answers import ApiFailure
from tests.support.standin.calls import Faults
from tests.support.standin.entity_edits import difference, patched, statements_of
from tests.support.standin.statements import item, statements_json, text

AGENT = "IconesContractTest/1.0 (test@icones.example)"
ANNA, BEN, ADMIN = "Anna", "Ben", "Admin"


@dataclass
class Hand:
    """Somebody who writes over HTTP; `headers` say who."""

    standin: StandInCommons
    client: httpx2.Client

    def ask(self, **params: str) -> Any:
        """The answer to a GET."""
        return self.client.get(self.standin.api_url, params=_framed(params)).json()

    def token(self) -> str:
        """The token for writing."""
        return str(self.ask(action="query", meta="tokens")["query"]["tokens"]["csrftoken"])

    def post(self, **params: str) -> httpx2.Response:
        """The response to a POST with a good token."""
        form = _framed({"token": self.token(), **params})
        return self.client.post(self.standin.api_url, data=form)

    def write(self, **params: str) -> Any:
        """The answer to a POST with a good token."""
        return self.post(**params).json()

    def set_claim(self, page_id: int, qid: str, guid: str | None = None, **params: str) -> Any:
        """The answer to wbsetclaim with a plain depicts statement."""
        return self.write(action="wbsetclaim", claim=claim(page_id, qid, guid), **params)


def _framed(params: Mapping[str, str]) -> dict[str, str]:
    return {"format": "json", "formatversion": "2", **params}


def claim(page_id: int, qid: str, guid: str | None = None, prop: str = "P180") -> str:
    """The `claim` parameter of wbsetclaim."""
    value = {"type": "wikibase-entityid", "value": {"entity-type": "item", "id": qid}}
    body = {"type": "statement", "id": guid or f"M{page_id}${str(uuid.uuid4()).upper()}", "rank": "normal"}
    return json.dumps({**body, "mainsnak": {"snaktype": "value", "property": prop, "datavalue": value}})


@pytest.fixture
def world() -> World:
    """Three files, the last with one statement, and three people."""
    made = World()
    for name, sub in ((ANNA, "101"), (BEN, "102"), (ADMIN, "103")):
        made.add_person(name, sub)
    for number in range(3):
        made.add_file(f"Plate {number}.jpg", picture(40, 30), statements=[depicts("Q7")] if number == 2 else ())
    return made


@pytest.fixture
def pages(world: World) -> list[int]:
    return [page.page_id for page in world.pages.values() if page.file is not None]


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def anna(standin: StandInCommons) -> Iterator[Hand]:
    with _client(standin, "101") as client:
        yield Hand(standin, client)


@pytest.fixture
def ben(standin: StandInCommons) -> Iterator[Hand]:
    with _client(standin, "102") as client:
        yield Hand(standin, client)


def _client(standin: StandInCommons, sub: str | None = None) -> httpx2.Client:
    headers = {"User-Agent": AGENT}
    if sub is not None:
        headers["Authorization"] = f"Bearer {standin.oauth.token_for(sub)}"
    return httpx2.Client(headers=headers, timeout=10)


def said(world: World, page_id: int) -> list[str]:
    """The items of a page's statements."""
    entity = world.pages[page_id].latest.entity or {}
    return [one["mainsnak"]["datavalue"]["value"]["id"] for one in statements_of(entity)]


def guids(world: World, page_id: int) -> list[str]:
    """The ids of a page's statements."""
    return [str(one["id"]) for one in statements_of(world.pages[page_id].latest.entity or {})]


def tags_of(world: World, page_id: int, revid: int) -> set[str]:
    """The change tags of a revision."""
    return set(next(one.tags for one in world.pages[page_id].revisions if one.revid == revid))


# ---- comments, tags, revisions


def test_every_way_of_writing_leaves_wikibases_own_words(world: World, pages: list[int], anna: Hand) -> None:
    page, guid = pages[0], f"M{pages[0]}${str(uuid.uuid4()).upper()}"
    link = "[[Property:P180]]: [[Q1]]"
    anna.set_claim(page, "Q1", guid, summary="by hand")
    assert world.pages[page].latest.comment == f"/* wbsetclaim-create:2||1 */ {link}, by hand"
    ranked = {**json.loads(claim(page, "Q1", guid)), "rank": "preferred"}
    anna.write(action="wbsetclaim", claim=json.dumps(ranked))
    assert world.pages[page].latest.comment == f"/* wbsetclaim-update-rank:2||1 */ {link}"
    anna.set_claim(page, "Q2", guid)
    assert world.pages[page].latest.comment == "/* wbsetclaim-update:2||1 */ [[Property:P180]]: [[Q2]]"
    box = {"property": "P2677", "snaktype": "value", "value": '"pct:1,2,3,4"'}
    anna.write(action="wbsetqualifier", claim=guid, **box)
    assert world.pages[page].latest.comment == "/* wbsetqualifier-add:1| */ [[Property:P2677]]: pct:1,2,3,4"
    anna.write(action="wbremoveclaims", claim=guid, summary="gone")
    assert world.pages[page].latest.comment == "/* wbremoveclaims-remove:1| */ [[Property:P180]]: [[Q2]], gone"
    anna.write(action="wbeditentity", id=f"M{page}", data="{}", clear="1", summary="emptied")
    anna.write(action="wbsetlabel", id=f"M{page}", language="en", value="A plate")
    assert world.pages[page].latest.comment == "/* wbsetlabel-add:1|en */ A plate"
    world.rules.link_prefix = "d:Special:EntityPage/"
    anna.write(action="wbcreateclaim", entity=f"M{page}", property="P180", snaktype="somevalue")
    assert world.pages[page].latest.comment == "/* wbcreateclaim-create:1| */ [[d:Special:EntityPage/P180]]: somevalue"


def test_an_edit_bears_the_number_of_its_client_and_a_bots_mark(
    world: World, pages: list[int], anna: Hand, standin: StandInCommons
) -> None:
    anna.set_claim(pages[0], "Q1", bot="1")
    assert (world.pages[pages[0]].latest.tags, world.pages[pages[0]].latest.is_bot) == (("OAuth CID: 1",), False)
    bot = world.add_bot_password("IconesBot", "icones", "secret")
    with _client(standin, bot.sub) as client:
        Hand(standin, client).set_claim(pages[1], "Q1", bot="1", **{"assert": "bot"})
    assert (world.pages[pages[1]].latest.user, world.pages[pages[1]].latest.is_bot) == ("IconesBot", True)
    asked = {"list": "recentchanges", "rcprop": "user|flags|tags", "rctype": "edit", "rclimit": "2"}
    newest = anna.ask(action="query", **asked)["query"]["recentchanges"]
    assert [(one["user"], one["bot"], one["tags"]) for one in newest] == [
        ("IconesBot", True, ["OAuth CID: 1"]),
        (ANNA, False, ["OAuth CID: 1"]),
    ]


def test_properties_are_data_and_qualifiers_and_references_are_kept(world: World, pages: list[int], anna: Hand) -> None:
    world.add_entity("P292", {"en": "depicts"}, datatype="wikibase-item")
    body = json.loads(claim(pages[0], "Q1", prop="P292"))
    box = {"type": "string", "value": "pct:1,1,2,2"}
    body["qualifiers"] = [{"snaktype": "value", "property": "P2677", "datavalue": box}]
    source = {"snaktype": "value", "property": "P854", "datavalue": {"type": "string", "value": "https://example.org/"}}
    body["references"] = [{"snaks": {"P854": [source]}, "snaks-order": ["P854"]}]
    answer = anna.write(action="wbsetclaim", claim=json.dumps(body))
    assert answer["claim"]["references"][0]["snaks"]["P854"][0]["datatype"] == "url"
    read = anna.ask(action="wbgetentities", ids=f"M{pages[0]}")["entities"][f"M{pages[0]}"]["statements"]["P292"][0]
    assert read["qualifiers"]["P2677"][0]["datavalue"]["value"] == "pct:1,1,2,2"
    assert read["references"][0]["snaks"]["P854"][0]["datavalue"]["value"] == "https://example.org/"
    again = anna.write(action="wbsetclaim", claim=json.dumps(body))
    assert again["pageinfo"] == answer["pageinfo"]
    world.rules.missing_items.add("Q5")
    assert anna.set_claim(pages[0], "Q5")["error"]["code"] == "modification-failed"


# ---- faults

DONE = ("applied-then-dropped", "applied-then-502", "applied-then-hang", "broken-json", "slow")
UNDONE = ("drop-connection", "502-html", "503-html", "429", "429-no-retry-after", "timeout", "hang")
CODES = {
    "badtoken": ("badtoken", None),
    "ratelimited": ("ratelimited", None),
    "throttled": ("failed-save", "actionthrottledtext"),
    "editconflict": ("editconflict", "edit-conflict"),
    "edit-conflict": ("failed-save", "edit-conflict"),
    "slot-exists": ("failed-save", "internalerror_info"),
    "readonly": ("readonly", None),
    "maxlag": ("maxlag", None),
}


@pytest.mark.parametrize("fault", [*DONE, *UNDONE, "text-200", "empty-200"])
def test_a_fault_on_the_wire_says_nothing_of_what_was_done(
    standin: StandInCommons, pages: list[int], anna: Hand, fault: str
) -> None:
    standin.faults.next("api", fault, where=is_write, seconds=0.05)
    seen: Any = None
    try:
        seen = anna.post(action="wbsetclaim", claim=claim(pages[0], "Q1")).json()
    except (httpx2.TransportError, ValueError):
        assert fault != "slow"
    assert said(standin.world, pages[0]) == (["Q1"] if fault in DONE else [])
    assert (seen is not None) == (fault == "slow")
    assert standin.faults.pending == 0


@pytest.mark.parametrize("fault", list(CODES))
def test_a_fault_of_the_wiki_is_an_error_and_nothing_is_done(
    standin: StandInCommons, pages: list[int], anna: Hand, fault: str
) -> None:
    standin.faults.next("api", fault, where=is_write)
    error = anna.set_claim(pages[0], "Q1")["error"]
    names = [message["name"] for message in error.get("messages", [])]
    code, name = CODES[fault]
    assert error["code"] == code
    assert name is None or name in names
    assert fault != "slot-exists" or "Can't create slot, it already exists: mediainfo" in str(error["messages"])
    assert said(standin.world, pages[0]) == []
    assert "error" not in anna.set_claim(pages[0], "Q1")


def test_reads_are_left_alone_by_a_plan_for_writes_and_the_lots_are_the_same_each_time(pages: list[int]) -> None:
    outcomes = []
    for _ in range(2):
        faults = Faults()
        faults.at_random(7, kind="api", where=is_write, share=0.3, among=("502-html", "throttled"))
        drawn = []
        for _number in range(200):
            assert faults.take("api", {"action": "wbgetentities"}) is None
            trouble = faults.take("api", {"action": "wbsetclaim"})
            drawn.append(trouble.fault if trouble else None)
        outcomes.append(drawn)
        faults.clear()
        assert all(faults.take("api", {"action": "wbsetclaim"}) is None for _number in range(50))
    assert outcomes[0] == outcomes[1]
    assert 30 < sum(one is not None for one in outcomes[0]) < 90
    assert set(outcomes[0]) == {None, "502-html", "throttled"}


def test_a_plan_is_carried_out_on_the_wire_and_ordered_faults_come_first(
    standin: StandInCommons, pages: list[int], anna: Hand
) -> None:
    standin.faults.at_random(1, share=1.0, among=("throttled",))
    standin.faults.next("api", "editconflict", where=is_write)
    codes = [anna.set_claim(pages[0], "Q1")["error"]["code"] for _ in range(3)]
    assert codes == ["editconflict", "failed-save", "failed-save"]
    assert [call.fault for call in standin.calls.requests if call.fault] == ["editconflict", "throttled", "throttled"]


def test_a_plan_of_unknown_faults_is_refused() -> None:
    with pytest.raises(ValueError, match="no-such-fault"):
        Faults().at_random(1, among=("no-such-fault",))


# ---- other hands


def test_other_people_write_as_the_api_does(world: World, pages: list[int], anna: Hand) -> None:
    page = pages[0]
    guid = world.add_statement(page, "Q1", user=BEN, qualifiers=[text("P2677", "pct:1,2,3,4")], summary="mine")
    assert world.pages[page].latest.comment == "/* wbsetclaim-create:2||1 */ [[Property:P180]]: [[Q1]], mine"
    world.change_statement(page, guid, user=ANNA, qid="Q2", rank="preferred", qualifiers=[])
    assert (said(world, page), guids(world, page)) == (["Q2"], [guid])
    assert "qualifiers" not in statements_of(world.pages[page].latest.entity or {})[0]
    removed = world.remove_statement(page, guid, user=BEN)
    assert (said(world, page), world.pages[page].latest.revid) == ([], removed)
    back = anna.ask(action="query", prop="revisions", pageids=str(page), rvprop="ids|user", rvlimit="9")
    assert [one["user"] for one in back["query"]["pages"][0]["revisions"]] == [BEN, ANNA, BEN, "Uploader"]
    with pytest.raises(KeyError):
        world.remove_statement(page, guid)


def test_a_revert_takes_one_revision_back_and_marks_it(world: World, pages: list[int], anna: Hand) -> None:
    page = pages[0]
    ours = anna.set_claim(page, "Q1")["pageinfo"]["lastrevid"]
    world.add_statement(page, "Q2", user=BEN)
    undoing = world.revert(page, ours, user=BEN, summary="no")
    assert said(world, page) == ["Q2"]
    assert tags_of(world, page, ours) == {"OAuth CID: 1", "mw-reverted"}
    assert tags_of(world, page, undoing) == {"mw-undo"}
    assert world.pages[page].latest.comment.startswith(f"Undid revision {ours} by [[Special:Contributions/Anna|Anna]]")
    with pytest.raises(ValueError, match="cannot be undone"):
        world.revert(page, world.pages[page].revisions[0].revid)


def test_restoring_a_former_state_by_hand_marks_what_it_reverts(world: World, pages: list[int], anna: Hand) -> None:
    page = pages[2]
    ours = anna.set_claim(page, "Q1")["pageinfo"]["lastrevid"]
    undoing = world.remove_statement(page, guids(world, page)[1], user=BEN)
    assert "mw-reverted" in tags_of(world, page, ours)
    assert tags_of(world, page, undoing) == {"mw-manual-revert"}


def test_blocks_protections_limits_and_filters_stop_writes_and_are_lifted(
    world: World, pages: list[int], anna: Hand
) -> None:
    page = pages[0]

    def hindered() -> str:
        answer = anna.set_claim(page, "Q1", ignoreduplicatemainsnak="1")
        return str(answer["error"]["messages"][1]["name"]) if "error" in answer else "free"

    world.block(ANNA, Block(reason="test"))
    assert hindered() == "blockedtext"
    assert anna.ask(action="query", meta="userinfo", uiprop="blockinfo")["query"]["userinfo"]["blockreason"] == "test"
    with pytest.raises(ApiFailure):
        world.add_statement(page, "Q1", user=ANNA)
    world.unblock(ANNA)
    world.protect(page)
    assert hindered() == "protectedpagetext"
    world.unprotect(page)
    world.throttle(ANNA)
    assert hindered() == "actionthrottledtext"
    assert anna.write(action="edit", pageid=str(page), text="x")["error"]["code"] == "ratelimited"
    world.throttle(ANNA, throttled=False)
    world.add_filter(lambda user, title, summary: user == ANNA, "watched", warns=True)
    assert [hindered() for _ in range(2)] == ["abusefilter-warning", "free"]
    again = anna.set_claim(page, "Q2")["error"]["messages"][1]["name"]
    assert again == "abusefilter-warning", "a filter forgets that it warned once the edit went through"


# ---- conflicts


def test_an_edit_on_top_of_ones_own_later_edits_is_forced_through(world: World, pages: list[int], anna: Hand) -> None:
    page = pages[2]
    base = str(world.pages[page].latest.revid)
    own = guids(world, page)[0]
    world.remove_statement(page, own, user=ANNA)
    data = {"claims": [{"id": own, "remove": ""}, json.loads(claim(page, "Q8"))]}
    answer = anna.write(action="wbeditentity", id=f"M{page}", data=json.dumps(data), baserevid=base)
    assert answer["warnings"]["wbeditentity"]["messages"][0]["name"] == "wikibase-self-conflict-patched"
    assert said(world, page) == ["Q8"]


def test_half_of_an_edit_that_another_made_already_is_a_conflict(world: World, pages: list[int], anna: Hand) -> None:
    page = pages[2]
    base, own = str(world.pages[page].latest.revid), guids(world, page)[0]
    world.remove_statement(page, own, user=BEN)
    data = {"claims": [{"id": own, "remove": ""}, json.loads(claim(page, "Q8"))]}
    answer = anna.write(action="wbeditentity", id=f"M{page}", data=json.dumps(data), baserevid=base)
    assert answer["error"]["code"] == "editconflict"
    assert said(world, page) == []


def test_with_an_old_base_revision_the_search_for_duplicates_misses_what_came_after(
    world: World, pages: list[int], anna: Hand
) -> None:
    page = pages[2]
    base = str(world.pages[page].latest.revid)
    world.add_statement(page, "Q1", user=BEN)
    answer = anna.set_claim(page, "Q1", baserevid=base, ignoreduplicatemainsnak="1")
    assert answer["warnings"]["wbsetclaim"]["messages"][0]["name"] == "wikibase-conflict-patched"
    assert said(world, page) == ["Q7", "Q1", "Q1"]
    assert anna.set_claim(page, "Q7", baserevid=base, ignoreduplicatemainsnak="1").keys() == {"warnings"}


def test_a_first_statement_may_come_from_before_an_edit_of_the_text(world: World, pages: list[int], anna: Hand) -> None:
    base = str(world.pages[pages[0]].latest.revid)
    world.edit_wikitext(pages[0], "Another description.", BEN)
    answer = anna.set_claim(pages[0], "Q1", baserevid=base)
    assert (answer.get("warnings"), said(world, pages[0])) == (None, ["Q1"])
    assert world.pages[pages[0]].latest.wikitext == "Another description."


def test_without_a_base_revision_the_search_for_duplicates_sees_the_latest(
    world: World, pages: list[int], anna: Hand, ben: Hand
) -> None:
    page = pages[0]
    with ThreadPoolExecutor(8) as pool:
        hands = [anna, ben] * 4
        answers = list(pool.map(lambda hand: hand.set_claim(page, "Q1", ignoreduplicatemainsnak="1"), hands))
    assert said(world, page) == ["Q1"]
    assert sum("pageinfo" in answer for answer in answers) == 1
    assert sum("Duplicate" in str(answer.get("warnings")) for answer in answers) == 7


def test_many_writers_at_once_lose_nothing(world: World, pages: list[int], anna: Hand, ben: Hand) -> None:
    page = pages[0]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit((anna, ben)[n % 2].set_claim, page, f"Q{n + 1}") for n in range(40)]
        revids = [job.result()["pageinfo"]["lastrevid"] for job in jobs]
    assert sorted(said(world, page)) == sorted(f"Q{n + 1}" for n in range(40))
    assert len(set(revids)) == 40
    history = world.pages[page].revisions
    assert [one.parentid for one in history[1:]] == [one.revid for one in history[:-1]]


STATES = st.dictionaries(
    st.sampled_from([f"M1$0000000{n}-0000-4000-8000-000000000000" for n in range(5)]),
    st.tuples(st.sampled_from(["Q1", "Q2", "Q3"]), st.sampled_from(["normal", "preferred"])),
)
Stated = dict[str, tuple[str, str]]


def _state(stated: Stated) -> dict[str, Any]:
    made = [{"mainsnak": item("P180", qid).to_json(), "id": guid, "rank": rank} for guid, (qid, rank) in stated.items()]
    return {"labels": {}, "descriptions": {}, "statements": statements_json("M1", made)}


@given(base=STATES, new=STATES)
def test_a_patch_onto_its_own_base_is_the_new_state(base: Stated, new: Stated) -> None:
    result = patched(_state(base), difference(_state(base), _state(new)))
    assert difference(result, _state(new)) == []


@given(base=STATES, new=STATES, latest=STATES)
def test_a_patch_touches_only_what_was_changed(base: Stated, new: Stated, latest: Stated) -> None:
    touched = {change.key[1] for change in difference(_state(base), _state(new))}
    result = patched(_state(latest), difference(_state(base), _state(new)))
    left = {one["id"]: one for one in statements_of(result) if one["id"] not in touched}
    assert left == {one["id"]: one for one in statements_of(_state(latest)) if one["id"] not in touched}


# ---- pages


def test_wikitext_is_made_extended_and_undone(world: World, pages: list[int], anna: Hand, ben: Hand) -> None:
    made = anna.write(action="edit", title="User:Anna", text="one", summary="hello")["edit"]
    assert (made["new"], made["oldrevid"], world.pages[made["pageid"]].ns) == (True, 0, 2)
    page = str(made["pageid"])
    longer = ben.write(action="edit", pageid=page, appendtext=" two")["edit"]
    late = anna.write(action="edit", pageid=page, text="three", baserevid=str(made["newrevid"]))
    assert late["error"]["code"] == "editconflict"
    undone = anna.write(action="edit", pageid=page, undo=str(longer["newrevid"]))["edit"]
    assert world.pages[made["pageid"]].latest.wikitext == "one"
    assert tags_of(world, made["pageid"], undone["newrevid"]) == {"OAuth CID: 1", "mw-undo"}
    assert "mw-reverted" in tags_of(world, made["pageid"], longer["newrevid"])
    assert anna.write(action="edit", title="User:Ben", text="x", nocreate="1")["error"]["code"] == "missingtitle"
    first = str(made["newrevid"])
    assert anna.write(action="edit", pageid=page, undo="99", undoafter=first)["error"]["code"] == "nosuchrevid"


def test_only_administrators_delete_and_a_moved_file_keeps_its_statements(
    world: World, pages: list[int], anna: Hand
) -> None:
    title = world.pages[pages[2]].title
    assert anna.write(action="delete", title=title, reason="x")["error"]["code"] == "permissiondenied"
    moved = anna.write(action="move", fromid=str(pages[2]), to="File:Elsewhere.jpg", reason="better name")
    assert moved["move"]["redirectcreated"] is True
    assert (world.pages[pages[2]].title, said(world, pages[2])) == ("File:Elsewhere.jpg", ["Q7"])
    taken = anna.write(action="move", **{"from": title, "to": "File:Elsewhere.jpg"})
    assert taken["error"]["code"] == "articleexists"


def test_an_upload_over_a_file_is_warned_of_first(world: World, pages: list[int], anna: Hand) -> None:
    before = world.pages[pages[0]].file
    form = _framed({"action": "upload", "filename": "Plate 0.jpg", "token": anna.token()})
    part = {"file": ("a.jpg", picture(50, 20), "image/jpeg")}
    first = anna.client.post(anna.standin.api_url, data=form, files=part).json()
    assert first["upload"]["warnings"] == {"exists": "Plate_0.jpg"}
    second = anna.client.post(anna.standin.api_url, data={**form, "ignorewarnings": "1"}, files=part).json()
    assert second["upload"]["result"] == "Success"
    after = world.pages[pages[0]].file
    assert before is not None
    assert after is not None
    assert (after.sha1 != before.sha1, after.size) == (True, (50, 20))


# ---- signing in


def test_a_bot_password_signs_in_and_out_and_a_lost_session_is_told(world: World, pages: list[int]) -> None:
    world.add_bot_password("IconesBot", "icones", "secret")
    with StandInCommons(world) as standin, _client(standin) as client:
        bot = Hand(standin, client)

        def login(password: str) -> str:
            token = bot.ask(action="query", meta="tokens", type="login")["query"]["tokens"]["logintoken"]
            form = {"action": "login", "lgname": "IconesBot@icones", "lgpassword": password, "lgtoken": token}
            return str(client.post(standin.api_url, data=_framed(form)).json()["login"]["result"])

        assert [login("wrong"), login("secret")] == ["Failed", "Success"]
        token = bot.token()
        asserted = {"assertuser": "IconesBot", "assert": "bot", "bot": "1"}
        assert bot.set_claim(pages[0], "Q1", **asserted)["success"] == 1
        assert (world.pages[pages[0]].latest.user, world.pages[pages[0]].latest.tags) == ("IconesBot", ())
        standin.sessions.end_all()
        assert bot.set_claim(pages[0], "Q2", assertuser="IconesBot")["error"]["code"] == "assertnameduserfailed"
        assert bot.set_claim(pages[0], "Q2", token=token)["error"]["code"] == "badtoken"
        assert login("secret") == "Success"
        assert bot.set_claim(pages[0], "Q2", token=token)["error"]["code"] == "badtoken"
        assert bot.set_claim(pages[0], "Q2", **asserted)["success"] == 1
        assert bot.write(action="logout") == {}
        assert bot.token() == "+\\"


def test_an_expired_token_stops_writes_until_it_is_refreshed(
    world: World, pages: list[int], standin: StandInCommons, anna: Hand
) -> None:
    token = anna.token()
    standin.oauth.expire_access("101")
    late = anna.client.post(standin.api_url, data=_framed({"action": "wbsetclaim", "token": token}))
    assert late.json()["error"]["code"] == "mwoauth-invalid-authorization"
    anna.client.headers["Authorization"] = f"Bearer {standin.oauth.token_for('101')}"
    assert anna.set_claim(pages[0], "Q1")["success"] == 1


PYWIKIBOT_SCRIPT = """
import sys
import pywikibot
from pywikibot import config, family
from pywikibot.login import ClientLoginManager
host = sys.argv[1]
class Local(family.DefaultWikibaseFamily):
    name = "standin"
    langs = {"commons": host}
    def protocol(self, code): return "http"
    def scriptpath(self, code): return "/w"
    def interface(self, code): return "DataSite"
    def entity_sources(self, code): return {"item": ("commons", "standin"), "property": ("commons", "standin")}
family.Family._families["standin"] = Local()
config.put_throttle = config.minthrottle = 0.01
config.max_retries = 1
config.usernames["standin"]["commons"] = "IconesBot"
site = pywikibot.Site("commons", "standin", user="IconesBot")
ClientLoginManager(password="secret", site=site, user="IconesBot@icones").login_to_site()
site.login(cookie_only=True)
print(site.user(), len(site.tokens["csrf"]), "bot" in site.userinfo["rights"])
info = pywikibot.FilePage(site, "File:Plate 2.jpg").data_item()
info.get()
claim = pywikibot.Claim(site, "P180", datatype="wikibase-item")
claim.setTarget(pywikibot.ItemPage(site, "Q8"))
info.addClaim(claim, summary="from pywikibot")
print(info.latest_revision_id)
"""


def test_the_real_pywikibot_signs_in_and_adds_a_statement(
    world: World, pages: list[int], standin: StandInCommons, tmp_path: Path
) -> None:
    world.add_bot_password("IconesBot", "icones", "secret")
    world.add_entity("P180", {"en": "depicts"}, datatype="wikibase-item")
    world.add_entity("Q8", {"en": "an item"})
    script = tmp_path / "write.py"
    script.write_text(PYWIKIBOT_SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), standin.host],
        cwd=tmp_path,
        env={"PYWIKIBOT_NO_USER_CONFIG": "2", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    latest = world.pages[pages[2]].latest
    assert done.stdout.splitlines() == ["IconesBot 42 True", str(latest.revid)]
    assert (latest.user, latest.is_bot, latest.tags) == ("IconesBot", True, ())
    assert said(world, pages[2]) == ["Q7", "Q8"]


def test_a_signed_request_is_its_accounts_and_only_once(
    world: World, pages: list[int], standin: StandInCommons
) -> None:
    world.add_bot_password("IconesBot", "icones", "secret")
    key, secret, token, token_secret = standin.consumers.make("IconesBot")
    with requests.Session() as session:
        session.headers["User-Agent"] = AGENT

        def send(form: Mapping[str, str] | None = None, signed_with: str = token_secret, **query: str) -> Any:
            asked = requests.Request("POST" if form else "GET", standin.api_url, data=form, params=_framed(query))
            asked.auth = OAuth1Auth(key, secret, token, signed_with)
            prepared = session.prepare_request(asked)
            return prepared, session.send(prepared, timeout=10).json()

        asked, answer = send(action="query", meta="tokens")
        form = {"action": "wbsetclaim", "claim": claim(pages[0], "Q1"), "summary": "Größe & more, 100 %"}
        form["token"] = answer["query"]["tokens"]["csrftoken"]
        assert send(form)[1]["success"] == 1
        latest = world.pages[pages[0]].latest
        assert (latest.user, latest.tags) == ("IconesBot", ("OAuth CID: 100",))
        for refused in (session.send(asked, timeout=10).json(), send(form, "another secret")[1]):
            assert refused["error"]["code"] == "mwoauth-invalid-authorization"
        standin.consumers.revoke(key)
        assert send(form)[1]["error"]["code"] == "mwoauth-invalid-authorization"
