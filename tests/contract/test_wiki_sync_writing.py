"""Depicts statements written to the stand-in Commons, by a person (OAuth 2) and by a bot (pywikibot)."""

import threading
from dataclasses import replace

import pytest

from tests.support.place import (
    ACCOUNTS,
    CAT,
    DOG,
    HOUSE,
    MISSING_ITEM,
    SUMMARY,
    Place,
    claim_on,
    is_a_write,
    state,
    statement,
)
from tests.support.standin import StandInCommons
from wiki_sync import (
    DepictsClaim,
    LiveFile,
    Outcome,
    OutcomeKind,
    Reference,
    Writer,
    is_as_written,
    new_guid,
)

# ---- all goes well


def test_the_account_is_the_wire_s(writer: Writer, kind: str) -> None:
    assert writer.account == ACCOUNTS[kind]


def test_a_statement_is_added_as_it_was_meant(writer: Writer, place: Place, page: int) -> None:
    source = Reference((("P887", "item", "Q132907038"), ("P5997", "string", "Felis catus, „Kat“ & co")))
    claim = DepictsClaim(new_guid(f"M{page}"), CAT, "preferred", ("pct:10,10,40.5,40",), (source,))
    done = writer.add(claim, SUMMARY)
    assert (done.kind, done.code, done.patched) == (OutcomeKind.WRITTEN, "", False)
    after = state(writer, page)
    assert done.revision == after.revision
    (said,) = after.statements["P180"]
    assert said["id"] == claim.guid
    assert is_as_written(place.config, claim, said)
    assert [(one.qid, one.rank, one.box) for one in after.depicts] == [(CAT, "preferred", "pct:10,10,40.5,40")]


def test_a_write_says_who_why_and_with_which_manners(writer: Writer, place: Place, page: int, kind: str) -> None:
    writer.add(claim_on(page), SUMMARY)
    (sent,) = place.writes()
    assert (sent["assertuser"], sent["maxlag"], sent["summary"]) == (ACCOUNTS[kind], "5", SUMMARY)
    assert sent["ignoreduplicatemainsnak"] == "1"
    assert not {"baserevid", "bot", "tags"} & set(sent)


def test_tags_and_the_bot_flag_are_passed_on(writer: Writer, place: Place, page: int) -> None:
    place.world.rules.tags |= {"icones", "icones-test"}
    assert writer.add(claim_on(page), SUMMARY, ("icones", "icones-test"), as_bot=True).kind is OutcomeKind.WRITTEN
    assert set(place.world.pages[page].latest.tags) >= {"icones", "icones-test"}
    assert place.writes()[0]["bot"] == "1"


def test_a_tag_that_the_wiki_does_not_know_is_told_as_such(writer: Writer, page: int) -> None:
    refused = writer.add(claim_on(page), SUMMARY, ("no-such-tag",))
    assert (refused.kind, refused.code) == (OutcomeKind.REFUSED, "badtags")
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN


def test_adding_again_changes_nothing(writer: Writer, place: Place, page: int) -> None:
    claim = claim_on(page)
    writer.add(claim, SUMMARY)
    before = place.revisions(page)
    again = writer.add(claim, SUMMARY)
    assert again.kind in (OutcomeKind.DUPLICATE, OutcomeKind.NOCHANGE)
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.DUPLICATE
    assert place.revisions(page) == before


def test_what_somebody_else_added_is_not_doubled(writer: Writer, place: Place, page: int) -> None:
    before = state(writer, page)
    place.adds(page, CAT)
    assert before.depicts == ()
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.DUPLICATE
    assert [one.qid for one in state(writer, page).depicts] == [CAT]


def test_two_species_on_one_file(writer: Writer, page: int) -> None:
    assert [writer.add(claim_on(page, qid), SUMMARY).kind for qid in (CAT, DOG)] == [OutcomeKind.WRITTEN] * 2
    assert [one.qid for one in state(writer, page).depicts] == [CAT, DOG]


def test_a_statement_is_changed_and_a_change_to_the_same_is_none(writer: Writer, place: Place, page: int) -> None:
    claim = claim_on(page)
    writer.add(claim, SUMMARY)
    better = replace(claim, rank="preferred")
    base = state(writer, page).revision or 0
    changed = writer.change(better, base, SUMMARY)
    assert (changed.kind, changed.patched) == (OutcomeKind.WRITTEN, False)
    assert is_as_written(place.config, better, statement(writer, page, claim.guid) or {})
    again = writer.change(better, changed.revision or 0, SUMMARY)
    assert (again.kind, again.revision) == (OutcomeKind.NOCHANGE, changed.revision)


def test_a_statement_is_removed(writer: Writer, page: int) -> None:
    claim = claim_on(page)
    added = writer.add(claim, SUMMARY)
    assert added.revision is not None
    gone = writer.remove(claim.guid, added.revision, SUMMARY)
    assert (gone.kind, gone.patched) == (OutcomeKind.WRITTEN, False)
    after = state(writer, page)
    assert (after.depicts, after.statements, after.revision) == ((), {}, gone.revision)


def test_property_ids_are_settings(place: Place, kind: str, page: int) -> None:
    place.world.add_entity("P292", {"en": "depicts"}, datatype="wikibase-item")
    config = replace(place.config, depicts="P292")
    with place.wire(kind) as wire:
        assert place.writer(wire, config).add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN
        assert [one.qid for one in state(place.writer(wire, config), page).depicts] == [CAT]
        assert state(place.writer(wire), page).depicts == ()


# ---- reading one file anew


def test_one_read_tells_all_that_a_decision_needs(writer: Writer, place: Place) -> None:
    page = place.new_file("{{bots|deny=IconesBot}}")
    place.world.add_statement(page, HOUSE, prop="P6243")
    place.world.add_statement(page, CAT, prop="P6243", rank="deprecated")
    place.world.add_statement(page, None, prop="P6243")
    place.world.add_statement(page, None)
    place.world.add_statement(page, DOG, rank="deprecated")
    live = state(writer, page)
    assert (live.page_id, live.mid, live.exists, live.is_redirect) == (page, f"M{page}", True, False)
    assert live.wikitext == "{{bots|deny=IconesBot}}"
    assert live.represents == (HOUSE,)
    assert [(one.snaktype, one.qid, one.rank) for one in live.depicts] == [
        ("somevalue", None, "normal"),
        ("value", DOG, "deprecated"),
    ]
    assert set(live.statements) == {"P6243", "P180"}
    assert live.revision == place.world.pages[page].latest.revid
    assert not live.protected


def test_files_with_and_without_structured_data_and_pages_that_are_none(writer: Writer, place: Place) -> None:
    never, emptied, gone = (place.new_file() for _ in range(3))
    place.world.set_statements(emptied, [])
    place.world.delete_file(gone)
    no_file = place.world.add_category("Plates")
    found = writer.live([never, emptied, gone, no_file, 999_999])
    assert list(found) == [never, emptied, gone, no_file, 999_999]
    assert [one.exists for one in found.values()] == [True, True, False, False, False]
    assert all(one.statements == {} and one.depicts == () for one in found.values())
    assert found[gone] == LiveFile(gone, f"M{gone}", exists=False)
    assert writer.live([]) == {}


def test_a_file_that_moved_has_its_new_title_and_what_it_left_is_a_redirect(writer: Writer, place: Place) -> None:
    page = place.new_file()
    old = state(writer, page).title
    place.world.move_file(page, "File:New name.jpg")
    left = place.world.page_by_title(old)
    assert left is not None
    found = writer.live([page, left.page_id])
    assert (found[page].title, found[page].is_redirect) == ("File:New name.jpg", False)
    assert (found[left.page_id].exists, found[left.page_id].is_redirect) == (True, True)


def test_a_protected_page_is_told_before_writing(writer: Writer, place: Place, page: int) -> None:
    place.world.protect(page)
    assert state(writer, page).protected
    place.world.unprotect(page)
    assert not state(writer, page).protected


def test_fifty_files_are_one_question(writer: Writer, place: Place) -> None:
    pages = [place.new_file() for _ in range(50)]
    writer.live(pages[:1])
    place.standin.calls.clear()
    assert list(writer.live(pages)) == pages
    assert place.standin.calls.count("api") == 1


@pytest.mark.parametrize("wrong", [[0], [-1], [True], list(range(1, 52))])
def test_what_cannot_be_read_is_not_asked(writer: Writer, place: Place, wrong: list[int]) -> None:
    with pytest.raises(ValueError):
        writer.live(wrong)
    assert place.standin.calls.count() == 0


# ---- others are faster


def test_two_accounts_that_add_the_same_at_once_leave_one_statement(place: Place, page: int) -> None:
    """The wiki's check for doubles is on the newest state, as no base revision is sent."""
    together = threading.Barrier(4)
    ends: list[Outcome] = []

    def work(kind: str, who: str) -> None:
        with place.wire(kind, who) as wire:
            writer = place.writer(wire)
            state(writer, page)
            together.wait(10)
            ends.append(writer.add(claim_on(page), SUMMARY))

    accounts = (("person", "Anna"), ("person", "Bert"), ("bot", "IconesBot"), ("bot", "OtherBot"))
    threads = [threading.Thread(target=work, args=account) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(end.kind for end in ends) == ["duplicate"] * 3 + ["written"]
    assert len(place.world.pages[page].latest.entity["statements"]["P180"]) == 1  # type: ignore[index]


def test_somebody_changed_our_statement_meanwhile(writer: Writer, place: Place, page: int) -> None:
    """The wiki overwrites, and says so: why the caller compares first and looks afterwards."""
    claim = claim_on(page)
    base = writer.add(claim, SUMMARY).revision or 0
    place.changes(page, claim.guid, DOG)
    assert not is_as_written(place.config, claim, statement(writer, page, claim.guid) or {})
    changed = writer.change(replace(claim, qid=HOUSE), base, SUMMARY)
    assert (changed.kind, changed.patched) == (OutcomeKind.WRITTEN, True)


def test_somebody_removed_our_statement_before_we_changed_it(writer: Writer, place: Place, page: int) -> None:
    claim = claim_on(page)
    base = writer.add(claim, SUMMARY).revision or 0
    place.removes(page, claim.guid)
    assert writer.change(replace(claim, rank="preferred"), base, SUMMARY).kind is OutcomeKind.REREAD
    assert state(writer, page).depicts == ()


def test_somebody_removed_our_statement_before_we_did(writer: Writer, place: Place, page: int) -> None:
    claim = claim_on(page)
    base = writer.add(claim, SUMMARY).revision or 0
    place.removes(page, claim.guid)
    assert writer.remove(claim.guid, base, SUMMARY).kind is OutcomeKind.REREAD


def test_a_revision_that_is_not_the_page_s(writer: Writer, page: int) -> None:
    claim = claim_on(page)
    writer.add(claim, SUMMARY)
    assert writer.change(replace(claim, rank="preferred"), 99_999_999, SUMMARY).kind is OutcomeKind.REREAD


def test_an_entity_that_began_to_exist_meanwhile(writer: Writer, place: Place, page: int) -> None:
    base = state(writer, page).revision or 0
    place.adds(page, DOG)
    assert writer.change(claim_on(page), base, SUMMARY).kind is OutcomeKind.REREAD


@pytest.mark.parametrize("fault", ["editconflict", "edit-conflict", "slot-exists"])
def test_a_race_that_was_lost_is_to_be_decided_anew(
    writer: Writer, place: Place, standin: StandInCommons, page: int, fault: str
) -> None:
    claim = claim_on(page)
    standin.faults.next("api", fault, where=is_a_write)
    assert writer.add(claim, SUMMARY).kind is OutcomeKind.REREAD
    assert statement(writer, page, claim.guid) is None
    assert writer.add(claim, SUMMARY).kind is OutcomeKind.WRITTEN


# ---- the wiki says no


def test_files_that_moved_were_deleted_or_are_redirects(writer: Writer, place: Place) -> None:
    moved, deleted = place.new_file(), place.new_file()
    old = state(writer, moved).title
    place.world.move_file(moved, "File:Elsewhere.jpg")
    place.world.delete_file(deleted)
    assert writer.add(claim_on(moved), SUMMARY).kind is OutcomeKind.WRITTEN
    assert [one.qid for one in state(writer, moved).depicts] == [CAT]
    assert writer.add(claim_on(deleted), SUMMARY).kind is OutcomeKind.GONE
    left = place.world.page_by_title(old)
    assert left is not None
    assert state(writer, left.page_id).is_redirect
    assert writer.add(claim_on(999_999), SUMMARY).kind is OutcomeKind.GONE


def test_a_protected_page_is_refused(writer: Writer, place: Place, page: int) -> None:
    place.world.protect(page)
    refused = writer.add(claim_on(page), SUMMARY)
    assert (refused.kind, refused.code) == (OutcomeKind.REFUSED, "failed-save")
    assert "protectedpagetext" in refused.names


def test_an_item_that_is_not_there_is_refused(writer: Writer, page: int) -> None:
    assert writer.add(claim_on(page, MISSING_ITEM), SUMMARY).kind is OutcomeKind.REFUSED


def test_a_blocked_account_is_told_apart(writer: Writer, place: Place, page: int, kind: str) -> None:
    place.world.block(ACCOUNTS[kind])
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.ACCOUNT_BLOCKED
    place.world.unblock(ACCOUNTS[kind])
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN


def test_a_filter_that_forbids_and_one_that_warns(writer: Writer, place: Place, page: int) -> None:
    place.world.add_filter(lambda user, title, summary: "campaign 13" in summary, "unlucky")
    place.world.add_filter(lambda user, title, summary: "campaign 7" in summary, "sevens", warns=True)
    assert writer.add(claim_on(page), "campaign 13").kind is OutcomeKind.REFUSED
    assert writer.add(claim_on(page), "campaign 7").kind is OutcomeKind.WARNED
    assert state(writer, page).depicts == ()
    assert writer.add(claim_on(page), "campaign 7").kind is OutcomeKind.WRITTEN


def test_what_is_no_revision_or_statement_never_reaches_the_wiki(writer: Writer, place: Place, page: int) -> None:
    claim = claim_on(page)
    for wrong in (0, -1):  # the wiki ignores 0 and writes over whatever is there
        with pytest.raises(ValueError, match="revision"):
            writer.change(claim, wrong, SUMMARY)
        with pytest.raises(ValueError, match="revision"):
            writer.remove(claim.guid, wrong, SUMMARY)
    with pytest.raises(ValueError, match="statement"):
        writer.remove(f"{claim.guid}|{claim.guid}", 1, SUMMARY)
    with pytest.raises(ValueError, match="item"):
        writer.add(replace(claim, qid="P1"), SUMMARY)
    assert place.standin.calls.count() == 0


# ---- what became of a lost write


def test_the_revision_of_a_lost_write_is_found_or_not_told(writer: Writer, place: Place, page: int) -> None:
    before = state(writer, page).revision or 0
    claim = claim_on(page)
    added = writer.add(claim, SUMMARY)
    place.adds(page, DOG)
    assert writer.revision_of(page, before, (CAT,)) == added.revision
    assert writer.revision_of(page, before, (CAT, "wbsetclaim-create", SUMMARY)) == added.revision
    assert writer.revision_of(page, before, (CAT[:-1],)) is None
    assert writer.revision_of(page, before, (CAT[1:],)) is None
    assert writer.revision_of(page, before, (DOG,)) is None  # somebody else's
    assert writer.revision_of(page, added.revision or 0, (CAT,)) is None
    base = state(writer, page).revision or 0
    gone = writer.remove(claim.guid, base, SUMMARY)
    assert writer.revision_of(page, before, (CAT, "wbremoveclaims-remove")) == gone.revision
    assert writer.revision_of(page, before, (CAT,)) is None  # two such: not to be told apart
    assert writer.revision_of(999_999, before, (CAT,)) is None
