"""What changed on the wiki, read by the real pywikibot from the stand-in Commons: heads, recent changes, the log."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.standin import StandInCommons, World, depicts
from tests.support.standin.world import EMPTY_SLOT
from wiki_sync import (
    CategoryNotFoundError,
    Changes,
    Commons,
    EmptyCategoryError,
    PageHead,
    QueryRefusedError,
    TransientError,
    WikiConfig,
)

DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
START = datetime(2026, 1, 1, tzinfo=UTC)


def config(standin: StandInCommons, folder: Path) -> WikiConfig:
    return WikiConfig(
        api_url=standin.api_url,
        sparql_urls=(),
        user_agent="IconesTest/0.1 (https://example.org/icones; icones@example.org)",
        state_dir=folder,
        retry_wait_s=0.01,
        max_retries=1,
    )


@pytest.fixture
def world() -> World:
    return World(start=START)


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def changes(standin: StandInCommons, tmp_path: Path) -> Changes:
    return Changes(config(standin, tmp_path / "state"))


def fill(world: World, category: str, count: int, start: int = 0) -> list[int]:
    return [world.add_file(f"Plate {start + n:05d}.svg", DRAWING, [category]) for n in range(count)]


def moment(world: World) -> datetime:
    return datetime.fromisoformat(world.now)


# ---- heads of a category


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1003])
def test_the_heads_of_n_files_cost_one_call_and_one_for_every_five_hundred(
    world: World, standin: StandInCommons, changes: Changes, count: int
) -> None:
    world.add_category("Plates")
    ids = fill(world, "Plates", count)
    heads = changes.category_heads("Plates")
    assert list(heads.pages) == ids
    assert standin.calls.count("api") == 1 + math.ceil(count / 500)
    assert all(heads.pages[one].revision == world.pages[one].latest.revid for one in ids)
    assert not heads.truncated


def test_every_kind_of_edit_gives_a_file_another_head(world: World, changes: Changes) -> None:
    world.add_category("Plates")
    ids = fill(world, "Plates", 6)
    before = changes.category_heads("Plates").pages
    world.set_statements(ids[0], [depicts("Q42")])
    world.edit_wikitext(ids[1], "other words")
    world.replace_file(ids[2], DRAWING + b" ")
    world.move_file(ids[3], "Elsewhere.svg")
    world.delete_file(ids[4])
    after = changes.category_heads("Plates").pages
    assert set(before) - set(after) == {ids[4]}
    assert {one for one in after if after[one] != before[one]} == set(ids[:4])
    assert after[ids[3]].title == "File:Elsewhere.svg"


def test_subcategories_come_after_and_each_file_once(world: World, standin: StandInCommons, changes: Changes) -> None:
    world.add_category("Top")
    world.add_category("Below", ["Top"])
    world.add_category("Top", ["Below"])
    both = world.add_file("Both.svg", DRAWING, ["Top", "Below"])
    deep = world.add_file("Deep.svg", DRAWING, ["Below"])
    assert list(changes.category_heads("Top").pages) == [both]
    standin.calls.clear()
    heads = changes.category_heads("Top", depth=9)
    assert list(heads.pages) == [both, deep]
    assert heads.categories == ("Category:Top", "Category:Below")
    assert standin.calls.count("api") == 3


def test_heads_and_files_of_a_category_are_the_same_files(
    world: World, standin: StandInCommons, changes: Changes, tmp_path: Path
) -> None:
    world.edit_wikitext(world.add_category("Old name"), "{{Category redirect|Albums}}")
    for n, parent in enumerate(["Albums", "Album 0", "Album 0", "Nowhere else"]):
        world.add_category(f"Album {n}", [parent])
        fill(world, f"Album {n}", 60, start=n * 100)
    world.add_category("Albums")
    told: list[tuple[int, int | None]] = []
    heads = changes.category_heads("Old name", 3, lambda done, total: told.append((done, total)))
    listing = Commons(config(standin, tmp_path)).category("Old name", 3)
    assert list(heads.pages) == [file.page_id for file in listing.files]
    assert (heads.title, heads.categories) == (listing.title, listing.categories)
    assert {one.page_id: one.revision for one in heads.pages.values()} == {
        file.page_id: file.lastrevid for file in listing.files
    }
    assert told == [(0, None), (60, None), (120, None), (180, None)]


def test_a_category_that_is_not_there_or_is_empty_is_said_as_for_files(world: World, changes: Changes) -> None:
    world.add_category("Empty")
    with pytest.raises(CategoryNotFoundError, match="Nowhere"):
        changes.category_heads("Nowhere")
    with pytest.raises(EmptyCategoryError):
        changes.category_heads("Empty")
    with pytest.raises(CategoryNotFoundError):
        changes.category_heads("Bad[name]")
    with pytest.raises(ValueError, match="depth"):
        changes.category_heads("Empty", depth=-1)


# ---- heads of given pages


def test_heads_by_number_know_the_deleted_and_the_moved(
    world: World, standin: StandInCommons, changes: Changes
) -> None:
    ids = fill(world, "Plates", 120)
    world.delete_file(ids[0])
    world.move_file(ids[1], "New.svg", leave_redirect=True)
    left = world.titles["File:Plate 00001.svg"]
    found = changes.heads([*ids, left, 999_999, *ids])
    assert set(found) == {*ids, left, 999_999}
    assert found[ids[0]] is None
    assert found[999_999] is None
    assert found[ids[1]] == PageHead(ids[1], "File:New.svg", world.pages[ids[1]].latest.revid, False)
    assert found[left] == PageHead(left, "File:Plate 00001.svg", world.pages[left].latest.revid, True)
    assert standin.calls.count("api") == math.ceil(122 / 50)
    world.undelete_file(ids[0])
    assert changes.heads(ids[:1])[ids[0]] is not None
    assert changes.heads([]) == {}


@pytest.mark.parametrize("wrong", [0, -1, True, "36"])
def test_what_is_no_number_never_reaches_the_wiki(standin: StandInCommons, changes: Changes, wrong: object) -> None:
    with pytest.raises(ValueError, match="page id"):
        changes.heads([wrong])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="revision id"):
        changes.revisions([wrong])  # type: ignore[list-item]
    assert standin.calls.count() == 0


def test_titles_lead_to_pages_however_they_are_spelled(world: World, changes: Changes) -> None:
    plain = world.add_file("Épée d'or.svg", DRAWING)
    moved = world.add_file("Old.svg", DRAWING)
    world.move_file(moved, "Middle.svg")
    world.move_file(moved, "New.svg")
    spellings = {
        "File:Épée d'or.svg": plain,
        "file:épée_d'or.svg": plain,
        "  File:Épée  d'or.svg ": plain,
        "File:E\u0301pe\u0301e d'or.svg": plain,
        "File:New.svg": moved,
        "File:Middle.svg": moved,
        "File:Nowhere.svg": None,
        "File:Bad[name].svg": None,
        "File:A|File:New.svg": None,
        "": None,
    }
    found = changes.by_title(list(spellings))
    assert {title: head and head.page_id for title, head in found.items()} == spellings
    assert (found["File:Middle.svg"] or PageHead(0, "", 0, False)).title == "File:New.svg"


def test_titles_are_asked_for_fifty_at_a_time(world: World, standin: StandInCommons, changes: Changes) -> None:
    ids = [world.add_file(f"A title that is long {'ü' * 60} {n}.svg", DRAWING) for n in range(101)]
    titles = [world.pages[one].title for one in ids]
    found = changes.by_title([*titles, *(title.replace(" ", "_") for title in titles)])
    assert [found[title] and found[title].page_id for title in titles] == ids  # type: ignore[union-attr]
    assert standin.calls.count("api") == 3


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_titles_have_an_answer_each(changes: Changes, titles: list[str]) -> None:
    assert set(changes.by_title(titles)) == set(titles)


# ---- recent changes


def test_what_happened_since_is_found_by_page_and_by_title(world: World, changes: Changes) -> None:
    quiet, said, edited, replaced, moved, gone, back = fill(world, "Plates", 7)
    before = moment(world) + timedelta(seconds=1)
    world.set_statements(said, [depicts("Q42")])
    world.edit_wikitext(edited, "words", "Anna", "a word")
    world.edit_wikitext(world.add_category("Noise"), "not about files")
    world.replace_file(replaced, DRAWING + b" ")
    world.move_file(moved, "Moved.svg", leave_redirect=False)
    world.edit_wikitext(gone, "last words")
    world.delete_file(gone, "Ben", "a copy")
    world.delete_file(back)
    world.undelete_file(back)
    new = world.add_file("New.svg", DRAWING)
    seen = changes.recent(before, max_calls=5)
    assert {said, edited, replaced, back, new} <= seen.page_ids
    assert quiet not in seen.page_ids
    assert gone not in seen.page_ids
    assert seen.titles == {
        f"File:Plate {gone - quiet:05d}.svg",
        "File:Plate 00006.svg",
        "File:Plate 00004.svg",
        "File:Moved.svg",
    }
    assert [(one.kind, one.action) for one in seen.log] == [
        *[("upload", "overwrite"), ("move", "move"), ("delete", "delete"), ("delete", "delete"), ("delete", "restore")],
        ("upload", "upload"),
    ]
    move, deletion = seen.log[1], seen.log[2]
    assert (move.title, move.new_title, move.page_id) == ("File:Plate 00004.svg", "File:Moved.svg", None)
    assert (deletion.user, deletion.comment, deletion.new_title) == ("Ben", "a copy", None)
    assert before <= deletion.at <= moment(world)
    assert seen.newest == moment(world)
    assert (seen.complete, seen.calls) == (True, 1)


def test_the_redirect_that_a_move_leaves_does_not_hide_who_moved(world: World, changes: Changes) -> None:
    (page_id,) = fill(world, "Plates", 1)
    before = moment(world) + timedelta(seconds=1)
    world.move_file(page_id, "Moved.svg", leave_redirect=True)
    seen = changes.recent(before, 1)
    assert {"File:Plate 00000.svg", "File:Moved.svg"} <= seen.titles


def test_more_changes_than_a_call_holds_are_read_to_the_end(
    world: World, standin: StandInCommons, changes: Changes
) -> None:
    ids = fill(world, "Plates", 3)
    for n in range(1100):
        world.edit_wikitext(ids[n % 3], f"words {n}")
    whole = changes.recent(START, max_calls=9)
    assert (whole.complete, whole.calls, whole.page_ids) == (True, 3, frozenset(ids))
    assert standin.calls.count("api") == 3
    echoed = [call.params for call in standin.calls.requests][1]
    assert {"rccontinue", "continue"} <= set(echoed)
    cut = changes.recent(START, max_calls=2)
    assert (cut.complete, cut.calls) == (False, 2)
    assert standin.calls.count("api") == 5
    assert cut.newest is not None
    assert whole.newest is not None
    rest = changes.recent(cut.newest, max_calls=9)
    assert (rest.complete, rest.newest) == (True, whole.newest)


def test_the_end_of_one_reading_is_the_beginning_of_the_next(world: World, changes: Changes) -> None:
    first, second = fill(world, "Plates", 2)
    seen = changes.recent(START, 5)
    assert seen.newest is not None
    world.edit_wikitext(second, "words")
    again = changes.recent(seen.newest + timedelta(seconds=1), 5)
    assert again.page_ids == {second}
    assert first not in again.page_ids
    nothing = changes.recent(moment(world) + timedelta(hours=1), 5)
    assert (nothing.page_ids, nothing.newest, nothing.complete, nothing.calls) == (frozenset(), None, True, 1)


def test_what_the_wiki_has_forgotten_is_said(world: World, changes: Changes) -> None:
    old, new = fill(world, "Plates", 2)
    beginning = moment(world)
    world.edit_wikitext(old, "words")
    world.set_clock((beginning + timedelta(days=31)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    world.edit_wikitext(new, "words")
    seen = changes.recent(beginning, 5)
    assert not seen.complete
    assert seen.page_ids == {new}
    assert changes.recent(moment(world) - timedelta(days=29), 5).complete


def test_what_the_wiki_hides_is_no_error(world: World, changes: Changes) -> None:
    shy, closed, open_page = fill(world, "Plates", 3)
    before = moment(world) + timedelta(seconds=1)
    world.edit_wikitext(shy, "words", "Somebody", "something")
    world.delete_file(closed, "Somebody", "something")
    world.delete_file(open_page, "Somebody", "something")
    edit, deletion, other = world.journal.changes[-3:]
    world.journal.hide(edit, ["user", "comment"], suppressed=True)
    world.journal.hide(deletion, ["action", "user"])
    world.journal.hide(other, ["user", "comment"])
    seen = changes.recent(before, 5)
    assert seen.page_ids == {shy}
    assert seen.titles == {"File:Plate 00002.svg"}
    assert [(one.title, one.user, one.comment) for one in seen.log] == [("File:Plate 00002.svg", "", "")]


@pytest.mark.parametrize(
    ("hidden", "is_complete"), [(["user", "comment"], True), (["action"], False), (["action", "user"], False)]
)
def test_a_hidden_change_may_be_a_deletion(
    world: World, changes: Changes, hidden: list[str], is_complete: bool
) -> None:
    page_id, other = fill(world, "Plates", 2)
    before = moment(world) + timedelta(seconds=1)
    world.delete_file(page_id, "Somebody", "something")
    world.journal.hide(world.journal.changes[-1], hidden)
    world.edit_wikitext(other, "words")
    seen = changes.recent(before, 5)
    assert (seen.complete, seen.n_hidden) == (is_complete, int(not is_complete))
    assert seen.page_ids >= {other}


def test_changes_since_when_and_how_many_calls_must_make_sense(standin: StandInCommons, changes: Changes) -> None:
    with pytest.raises(ValueError, match="time zone"):
        changes.recent(datetime(2026, 1, 1), 5)  # noqa: DTZ001 (what is refused)
    with pytest.raises(ValueError, match="max_calls"):
        changes.recent(START, 0)
    assert standin.calls.count() == 0


def test_a_trouble_in_the_middle_leaves_no_half_reading(
    world: World, standin: StandInCommons, changes: Changes
) -> None:
    (page_id,) = fill(world, "Plates", 1)
    for n in range(600):
        world.edit_wikitext(page_id, f"words {n}")
    standin.faults.next("api", "503-html", times=9, where=lambda params: "rccontinue" in params)
    with pytest.raises(TransientError):
        changes.recent(START, 5)


# ---- the log, revisions, texts


def test_the_log_tells_why_a_page_is_gone_and_where_it_went(world: World, changes: Changes) -> None:
    gone, moved = fill(world, "Plates", 2)
    world.delete_file(gone, "Ben", "a copy of another file")
    world.move_file(moved, "Moved.svg", leave_redirect=False)
    deletion, upload = changes.log_of("File:Plate 00000.svg")
    assert (deletion.kind, deletion.action, deletion.page_id) == ("delete", "delete", gone)
    assert (deletion.user, deletion.comment) == ("Ben", "a copy of another file")
    assert deletion.at > upload.at
    assert (upload.kind, upload.action) == ("upload", "upload")
    move = changes.log_of("File:Plate 00001.svg")[0]
    assert (move.kind, move.new_title, move.page_id) == ("move", "File:Moved.svg", moved)
    assert changes.log_of("File:Never there.svg") == ()
    with pytest.raises(QueryRefusedError):
        changes.log_of("File:Bad[name].svg")


def test_a_long_log_is_read_to_the_end(world: World, standin: StandInCommons, changes: Changes) -> None:
    (page_id,) = fill(world, "Plates", 1)
    for _ in range(300):
        world.delete_file(page_id)
        world.undelete_file(page_id)
    entries = changes.log_of("File:Plate 00000.svg")
    assert len(entries) == 601
    assert [one.at for one in entries] == sorted((one.at for one in entries), reverse=True)
    assert standin.calls.count("api") == 2


def test_revisions_have_their_tags_and_the_unknown_are_missing(
    world: World, standin: StandInCommons, changes: Changes
) -> None:
    first, second = fill(world, "Plates", 2)
    ours = world.set_entity(first, EMPTY_SLOT, "Anna", tags=["OAuth CID: 99", "mw-reverted"])
    later = world.edit_wikitext(first, "words", "Ben")
    deleted = world.pages[second].latest.revid
    world.delete_file(second)
    found = changes.revisions([ours, later, deleted, 888_888])
    assert (found[ours].tags, found[ours].user, found[ours].page_id) == (
        ("OAuth CID: 99", "mw-reverted"),
        "Anna",
        first,
    )
    assert (found[later].tags, found[later].user) == ((), "Ben")
    assert found[later].at == moment(world) - timedelta(seconds=1)
    assert [one.revid for one in found.values() if one.is_missing] == [deleted, 888_888]
    assert list(found) == [ours, later, deleted, 888_888]
    assert standin.calls.count("api") == 1


def test_revisions_are_asked_for_fifty_at_a_time(world: World, standin: StandInCommons, changes: Changes) -> None:
    (page_id,) = fill(world, "Plates", 1)
    revids = [world.edit_wikitext(page_id, f"words {n}") for n in range(120)]
    found = changes.revisions(revids)
    assert list(found) == revids
    assert not any(one.is_missing for one in found.values())
    assert standin.calls.count("api") == 3
    assert changes.revisions([]) == {}


def test_the_user_of_a_revision_may_be_hidden(world: World, changes: Changes) -> None:
    (page_id,) = fill(world, "Plates", 1)
    page = world.pages[page_id]
    page.revisions[-1] = replace(page.latest, hidden=frozenset({"user"}))
    (facts,) = changes.revisions([page.latest.revid]).values()
    assert (facts.user, facts.is_missing) == ("", False)


def test_the_text_of_a_page_is_its_newest(world: World, changes: Changes) -> None:
    (page_id,) = fill(world, "Plates", 1)
    world.edit_wikitext(page_id, "{{bots|deny=all}}\n== Ü ==")
    assert changes.page_text("File:Plate 00000.svg") == "{{bots|deny=all}}\n== Ü =="
    assert changes.page_text("Main Page") == "Welcome."
    for title in ("File:Nowhere.svg", "Bad[name]", "Main Page|Nowhere", " "):
        assert changes.page_text(title) is None
