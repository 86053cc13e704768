"""Depicts statements written to a wiki by a person (OAuth 2) and by a bot (a bot password), alone and in company."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

import pytest

from tests.support.real_wiki import SUMMARY, Relay, Wiki, settled
from wiki_sync import (
    BotWire,
    DepictsClaim,
    LiveFile,
    Outcome,
    OutcomeKind,
    PersonWire,
    SignedOutError,
    WireAnswer,
    Writer,
    is_as_written,
    may_edit,
    new_guid,
)

Wires = BotWire | PersonWire
STANDS = (OutcomeKind.WRITTEN, OutcomeKind.DUPLICATE, OutcomeKind.NOCHANGE)
AGAIN = (OutcomeKind.REREAD, OutcomeKind.UNKNOWN)
NOBODYS_PAGE = 2_000_000_001
NOBODYS_ITEM = "Q999999999"
TOGETHER_S = 60
PATIENCE_S = 30


def claim_on(page_id: int, qid: str) -> DepictsClaim:
    return DepictsClaim(new_guid(f"M{page_id}"), qid)


def live(writer: Writer, page_id: int) -> LiveFile:
    return writer.live([page_id])[page_id]


def said(wiki: Wiki, page_id: int) -> list[str]:
    """What the file states it depicts, of our items, in order."""
    ours = set(wiki.variables.items())
    return [one for one in wiki.reader.page(page_id).items(wiki.depicts) if one in ours]


def added(writer: Writer, claim: DepictsClaim) -> int:
    """Add a statement that must go in; return its revision."""
    done = settled(lambda: writer.add(claim, SUMMARY))
    assert (done.kind, done.code, done.patched) == (OutcomeKind.WRITTEN, "", False), done
    assert done.revision is not None
    return done.revision


def facts(wiki: Wiki, revision: int) -> dict[str, Any]:
    """Author, comment and tags of a revision, as the wiki tells them."""
    asked = {"prop": "revisions", "revids": str(revision), "rvprop": "user|comment|tags"}
    (page,) = wiki.reader.ask_pages(**asked)
    return dict(page["revisions"][0])


# ---- all goes well


def test_a_statement_is_added_as_it_was_meant(wiki: Wiki, writer: Writer, page: int) -> None:
    claim = replace(claim_on(page, wiki.items(1)[0]), rank="preferred")
    revision = added(writer, claim)
    after = wiki.reader.page(page)
    assert after.revision == revision
    assert is_as_written(wiki.config(), claim, after.statements[claim.guid])
    assert [one.statement_id for one in live(writer, page).depicts if one.qid == claim.qid] == [claim.guid]


def test_an_edit_is_the_account_s_and_names_the_reason(wiki: Wiki, writer: Writer, page: int, kind: str) -> None:
    before = live(writer, page).revision or 0
    claim = claim_on(page, wiki.items(1)[0])
    revision = added(writer, claim)
    told = facts(wiki, revision)
    until = monotonic() + PATIENCE_S
    while kind == "person" and not told["tags"] and monotonic() < until:
        sleep(1)  # a wiki may tag an edit a moment after it
        told = facts(wiki, revision)
    assert told["user"] == writer.account
    assert SUMMARY in told["comment"]
    assert any(tag.startswith("OAuth CID") for tag in told["tags"]) == (kind == "person")
    assert writer.revision_of(page, before, (claim.qid, SUMMARY)) == revision
    assert writer.revision_of(page, before, (f"{claim.qid}0",)) is None
    assert writer.revision_of(page, revision, (claim.qid,)) is None


def test_adding_again_changes_nothing(wiki: Wiki, writer: Writer, page: int) -> None:
    claim = claim_on(page, wiki.items(1)[0])
    revision = added(writer, claim)
    own = settled(lambda: writer.add(claim, SUMMARY))
    assert own.kind in (OutcomeKind.DUPLICATE, OutcomeKind.NOCHANGE)
    other = settled(lambda: writer.add(claim_on(page, claim.qid), SUMMARY))
    assert other.kind is OutcomeKind.DUPLICATE
    assert wiki.reader.page(page).revision == revision
    assert said(wiki, page) == [claim.qid]


def test_what_somebody_else_added_is_not_doubled(wiki: Wiki, writer: Writer, page: int) -> None:
    (item,) = wiki.items(1)
    live(writer, page)
    wiki.somebody_else(writer.account).adds(page, wiki.depicts, item)
    assert settled(lambda: writer.add(claim_on(page, item), SUMMARY)).kind is OutcomeKind.DUPLICATE
    assert said(wiki, page) == [item]


def test_two_values_on_one_file(wiki: Wiki, writer: Writer, page: int) -> None:
    first, second = wiki.items(2)
    for item in (first, second):
        added(writer, claim_on(page, item))
    assert said(wiki, page) == [first, second]


def test_a_statement_is_changed_and_a_change_to_the_same_is_none(wiki: Wiki, writer: Writer, page: int) -> None:
    claim = claim_on(page, wiki.items(1)[0])
    base = added(writer, claim)
    better = replace(claim, rank="preferred")
    changed = settled(lambda: writer.change(better, base, SUMMARY))
    assert (changed.kind, changed.patched) == (OutcomeKind.WRITTEN, False)
    assert is_as_written(wiki.config(), better, wiki.reader.page(page).statements[claim.guid])
    again = settled(lambda: writer.change(better, changed.revision or 0, SUMMARY))
    assert (again.kind, again.revision) == (OutcomeKind.NOCHANGE, changed.revision)


def test_a_statement_is_removed(wiki: Wiki, writer: Writer, page: int) -> None:
    before = wiki.reader.page(page).statements
    claim = claim_on(page, wiki.items(1)[0])
    base = added(writer, claim)
    gone = settled(lambda: writer.remove(claim.guid, base, SUMMARY))
    assert (gone.kind, gone.patched) == (OutcomeKind.WRITTEN, False)
    after = wiki.reader.page(page)
    assert (after.statements, after.revision) == (before, gone.revision)


# ---- others are faster


def test_somebody_changed_our_statement_meanwhile(wiki: Wiki, writer: Writer, page: int) -> None:
    """The wiki overwrites, and says so: why the caller compares before and looks afterwards."""
    ours, theirs, wanted = wiki.items(3)
    claim = claim_on(page, ours)
    base = added(writer, claim)
    wiki.somebody_else(writer.account).changes(claim.guid, wiki.depicts, theirs)
    assert not is_as_written(wiki.config(), claim, wiki.reader.page(page).statements[claim.guid])
    changed = settled(lambda: writer.change(replace(claim, qid=wanted), base, SUMMARY))
    assert (changed.kind, changed.patched) == (OutcomeKind.WRITTEN, True)
    assert said(wiki, page) == [wanted]


def test_a_stale_base_is_patched_where_others_did_something_else(wiki: Wiki, writer: Writer, page: int) -> None:
    ours, theirs = wiki.items(2)
    claim = claim_on(page, ours)
    base = added(writer, claim)
    wiki.somebody_else(writer.account).adds(page, wiki.depicts, theirs)
    better = replace(claim, rank="preferred")
    changed = settled(lambda: writer.change(better, base, SUMMARY))
    assert (changed.kind, changed.patched) == (OutcomeKind.WRITTEN, True)
    assert is_as_written(wiki.config(), better, wiki.reader.page(page).statements[claim.guid])
    assert sorted(said(wiki, page)) == sorted([ours, theirs])


def test_somebody_changed_our_statement_before_we_removed_it(wiki: Wiki, writer: Writer, page: int) -> None:
    """The wiki removes it all the same, and says so."""
    ours, theirs = wiki.items(2)
    claim = claim_on(page, ours)
    base = added(writer, claim)
    wiki.somebody_else(writer.account).changes(claim.guid, wiki.depicts, theirs)
    gone = settled(lambda: writer.remove(claim.guid, base, SUMMARY))
    assert (gone.kind, gone.patched) == (OutcomeKind.WRITTEN, True)
    assert said(wiki, page) == []


@pytest.mark.parametrize("what", ["change", "remove"])
def test_somebody_removed_our_statement_before_we_touched_it(wiki: Wiki, writer: Writer, page: int, what: str) -> None:
    claim = claim_on(page, wiki.items(1)[0])
    base = added(writer, claim)
    wiki.somebody_else(writer.account).removes(claim.guid)
    better = replace(claim, rank="preferred")
    acts: Mapping[str, Callable[[], Outcome]] = {
        "change": lambda: writer.change(better, base, SUMMARY),
        "remove": lambda: writer.remove(claim.guid, base, SUMMARY),
    }
    assert settled(acts[what]).kind is OutcomeKind.REREAD
    assert said(wiki, page) == []


def test_a_revision_that_is_no_revision_of_the_page(wiki: Wiki, writer: Writer) -> None:
    page, other = wiki.files(2)
    claim = claim_on(page, wiki.items(1)[0])
    added(writer, claim)
    foreign = wiki.reader.page(other).revision
    for wrong in (foreign, NOBODYS_PAGE):
        changed = settled(lambda wrong=wrong: writer.change(replace(claim, rank="preferred"), wrong, SUMMARY))  # type: ignore[misc]
        assert changed.kind is OutcomeKind.REREAD


# ---- several at once


def stated(writer: Writer, claim: DepictsClaim, page_id: int) -> Outcome:
    """Add a statement as a careful client does: after a lost race, read and decide anew."""
    outcome = settled(lambda: writer.add(claim, SUMMARY))
    for _ in range(5):
        if outcome.kind not in AGAIN:
            break
        standing = {one.statement_id for one in live(writer, page_id).depicts if one.qid == claim.qid}
        if standing:
            return Outcome(OutcomeKind.WRITTEN if claim.guid in standing else OutcomeKind.DUPLICATE)
        outcome = settled(lambda: writer.add(claim, SUMMARY))
    return outcome


def all_at_once(wiki: Wiki, page_id: int, items: Mapping[str, str]) -> dict[str, Outcome]:
    """Let each account state its item at the same moment; return how each one ended."""
    together = threading.Barrier(len(items))
    ends: dict[str, Outcome] = {}
    wires = {kind: wiki.wire(kind) for kind in items}

    def work(kind: str, item: str) -> None:
        writer = Writer(wiki.config(), wires[kind])
        live(writer, page_id)
        together.wait(TOGETHER_S)
        ends[kind] = stated(writer, claim_on(page_id, item), page_id)

    threads = [threading.Thread(target=work, args=one) for one in items.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TOGETHER_S)
    for wire in wires.values():
        wire.close()
    assert ends.keys() == items.keys()
    return ends


def accounts(wiki: Wiki) -> list[str]:
    """The two bots, and the person if there is one."""
    wiki.bot("bot")
    wiki.bot("other")
    return [one for one in ("bot", "other", "person") if wiki.has(one)]


def test_first_statements_of_two_accounts_at_once_both_stand(wiki: Wiki) -> None:
    """On a file without structured data, if there is one left: two saves that both want to make the entity."""
    first, second = wiki.items(2)
    page = wiki.fresh_file()
    ends = all_at_once(wiki, page, {"bot": first, "other": second})
    assert {one.kind for one in ends.values()} == {OutcomeKind.WRITTEN}
    assert sorted(said(wiki, page)) == sorted([first, second])


def test_a_base_from_before_the_first_statement_of_somebody_else(wiki: Wiki, writer: Writer) -> None:
    first, second = wiki.items(2)
    page = wiki.fresh_file()
    base = live(writer, page).revision or 0
    wiki.somebody_else(writer.account).adds(page, wiki.depicts, first)
    claim = claim_on(page, second)
    outcome = settled(lambda: writer.change(claim, base, SUMMARY))
    if outcome.kind is OutcomeKind.REREAD:  # as on a file that had no structured data at the base
        assert said(wiki, page) == [first]
        added(writer, claim)
    else:
        assert (outcome.kind, outcome.patched) == (OutcomeKind.WRITTEN, True)
    assert sorted(said(wiki, page)) == sorted([first, second])


def test_the_same_value_of_several_accounts_at_once_stands_once(wiki: Wiki, page: int) -> None:
    """The wiki's search for doubles is in the newest state, as no base revision is sent."""
    (item,) = wiki.items(1)
    ends = all_at_once(wiki, page, dict.fromkeys(accounts(wiki), item))
    assert said(wiki, page) == [item]
    kinds = sorted(one.kind for one in ends.values())
    assert set(kinds) <= set(STANDS)
    assert kinds.count(OutcomeKind.WRITTEN) <= 1


def test_different_values_of_two_accounts_at_once_both_stand(wiki: Wiki, page: int) -> None:
    first, second = wiki.items(2)
    ends = all_at_once(wiki, page, {"bot": first, "other": second})
    assert {one.kind for one in ends.values()} == {OutcomeKind.WRITTEN}
    assert sorted(said(wiki, page)) == sorted([first, second])


# ---- an answer gets lost


def test_a_write_whose_answer_got_lost_is_found_by_its_id(wiki: Wiki, kind: str, page: int) -> None:
    claim = claim_on(page, wiki.items(1)[0])
    with Relay(wiki.api_url) as relay:
        config = wiki.config(api_url=relay.api_url)
        with wiki.wire(kind, config) as wire:
            writer = Writer(config, wire)
            before = live(writer, page).revision or 0
            relay.lose()
            assert settled(lambda: writer.add(claim, SUMMARY)).kind is OutcomeKind.UNKNOWN
            assert [one["action"] for one in relay.lost] == ["wbsetclaim"]
            after = live(writer, page)
            assert [one.statement_id for one in after.depicts if one.qid == claim.qid] == [claim.guid]
            assert writer.revision_of(page, before, (claim.qid, SUMMARY)) == after.revision
            again = settled(lambda: writer.add(claim, SUMMARY))
            assert again.kind in (OutcomeKind.DUPLICATE, OutcomeKind.NOCHANGE)
            relay.lose()
            assert settled(lambda: writer.remove(claim.guid, after.revision or 0, SUMMARY)).kind is OutcomeKind.UNKNOWN
            assert all(one.statement_id != claim.guid for one in live(writer, page).depicts)
    assert said(wiki, page) == []


# ---- the wiki says no


class Tampering:
    """A wire of ours that changes what is sent: each parameter named is replaced, in writes, so many times."""

    def __init__(self, wire: Wires, changes: Mapping[str, str], times: int) -> None:
        self._wire, self._changes, self._left = wire, changes, times
        self.codes: list[str] = []

    def ask(self, params: Mapping[str, str], *, write: bool) -> WireAnswer:
        if not write:
            return self._wire.ask(params, write=write)
        sent = {**params, **(self._changes if self._left > 0 else {})}
        self._left -= 1
        answer = self._wire.ask(sent, write=write)
        self.codes.append(str(((answer.body or {}).get("error") or {}).get("code", "")))
        return answer


def test_a_token_that_is_not_taken_is_fetched_anew_once(wiki: Wiki, wire: Wires, page: int) -> None:
    claim = claim_on(page, wiki.items(1)[0])
    often = Tampering(wire, {"token": "0123456789abcdef0123456789abcdef01234567+\\"}, 9)
    refused = Writer(wiki.config(), often).add(claim, SUMMARY)
    assert (refused.kind, refused.code) == (OutcomeKind.LATER, "badtoken")
    assert often.codes == ["badtoken", "badtoken"]
    assert said(wiki, page) == []
    once = Tampering(wire, {"token": "0123456789abcdef0123456789abcdef01234567+\\"}, 1)
    added(Writer(wiki.config(), once), claim)
    assert once.codes[0] == "badtoken"


def test_an_account_that_is_not_ours_is_not_written_for(wiki: Wiki, wire: Wires, page: int) -> None:
    wrong = Tampering(wire, {"assertuser": "Icones test, nobody 4f1c"}, 9)
    refused = Writer(wiki.config(), wrong).add(claim_on(page, wiki.items(1)[0]), SUMMARY)
    assert refused.kind is OutcomeKind.SIGNED_OUT
    assert set(wrong.codes) == {"assertnameduserfailed"}
    assert said(wiki, page) == []


@pytest.mark.parametrize("token", ["not-a-token", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"])
def test_an_access_token_that_is_none_is_signed_out(wiki: Wiki, page: int, token: str) -> None:
    with PersonWire(wiki.config(), token) as wire:
        writer = Writer(wiki.config(), wire)
        with pytest.raises(SignedOutError):
            _ = writer.account
        assert writer.add(claim_on(page, wiki.items(1)[0]), SUMMARY).kind is OutcomeKind.SIGNED_OUT
    assert said(wiki, page) == []


def test_a_bot_password_that_is_none_is_signed_out(wiki: Wiki) -> None:
    user, _ = wiki.bot("bot")
    with BotWire(wiki.config(), user, "0123456789abcdefghijklmnopqrstuv") as wire, pytest.raises(SignedOutError):
        _ = Writer(wiki.config(), wire).account


def test_a_file_or_an_item_that_is_not_there(wiki: Wiki, writer: Writer, page: int) -> None:
    (item,) = wiki.items(1)
    assert settled(lambda: writer.add(claim_on(NOBODYS_PAGE, item), SUMMARY)).kind is OutcomeKind.GONE
    assert settled(lambda: writer.add(claim_on(page, NOBODYS_ITEM), SUMMARY)).kind is OutcomeKind.REFUSED
    assert said(wiki, page) == []


def test_a_page_that_asks_bots_to_stay_away_is_read_as_such(wiki: Wiki, writer: Writer, page: int) -> None:
    text = wiki.reader.page(page).wikitext
    assert may_edit(live(writer, page).wikitext, writer.account)
    other = wiki.somebody_else(writer.account)
    for words in ("{{nobots}}", f"{{{{bots|deny={writer.account}}}}}"):
        other.writes_text(page, f"{text}\n{words}")
        assert not may_edit(live(writer, page).wikitext, writer.account)
    assert may_edit(live(writer, page).wikitext, "Somebody whom the page does not name")
