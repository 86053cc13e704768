"""The rules of a sync: what is read again, when a loss is doubted, which way is cheaper, and lists of files."""

from collections.abc import Set
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icones.campaigns.sources import checked_source, collection_of, file_list, with_page_ids
from icones.errors import BadInputError
from icones.illustrations.queries import Known
from icones.jobs.differences import (
    calls_to_compare,
    differences,
    is_too_much,
    is_worth_going_on,
    touched,
    unchanged,
)
from icones.models import IllustrationState, SourceKind
from wiki_sync import LogEntry, PageHead, RecentChanges

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IDS = st.integers(1, 12)
STATES = st.sampled_from(list(IllustrationState))


@st.composite
def held(draw: st.DrawFn) -> dict[int, Known]:
    ids = draw(st.sets(IDS))
    return {one: Known(one, one, f"{one}.jpg", draw(st.integers(1, 3)), draw(STATES), "") for one in ids}


@st.composite
def listed(draw: st.DrawFn) -> dict[int, PageHead]:
    ids = draw(st.sets(IDS))
    return {one: PageHead(one, f"File:{one}.jpg", draw(st.integers(1, 3)), draw(st.booleans())) for one in ids}


def after(known: dict[int, Known], wiki: dict[int, PageHead]) -> dict[int, Known]:
    """What we hold once the differences are dealt with."""
    found = differences(known, wiki)
    now = dict(known)
    for one in found.to_read:
        now[one] = Known(
            one, one, wiki[one].title.removeprefix("File:"), wiki[one].revision, IllustrationState.READY, ""
        )
    for one in found.missing:
        now[one] = Known(one, one, known[one].title, known[one].revision, IllustrationState.GONE, "")
    return now


@given(held(), listed())
def test_what_is_dealt_with_is_what_the_wiki_has(known: dict[int, Known], wiki: dict[int, PageHead]) -> None:
    now = after(known, wiki)
    files = {one: head.revision for one, head in wiki.items() if not head.is_redirect}
    assert {one: row.revision for one, row in now.items() if row.is_present} == files
    assert set(known) <= set(now)
    again = differences(now, wiki)
    assert (again.to_read, again.missing, again.n_listed) == ((), (), len(files))


@given(held(), listed())
def test_only_what_differs_is_read(known: dict[int, Known], wiki: dict[int, PageHead]) -> None:
    for one in differences(known, wiki).to_read:
        ours = known.get(one)
        assert ours is None or not ours.is_present or ours.revision != wiki[one].revision
    everything = differences(known, wiki, everything=True)
    assert set(everything.to_read) == {one for one, head in wiki.items() if not head.is_redirect}


@given(held())
def test_a_file_of_which_nothing_new_was_said_is_left_alone(known: dict[int, Known]) -> None:
    found = differences(known, unchanged(known, known))
    assert (found.to_read, found.missing) == ((), ())


@pytest.mark.parametrize(
    ("present", "lost", "doubted"),
    [
        (500, 500, True),
        (500, 251, True),
        (500, 250, False),
        (18, 9, False),
        (18, 10, True),
        (9, 8, False),
        (1, 1, True),
    ],
)
def test_a_loss_of_most_files_is_doubted(present: int, lost: int, doubted: bool) -> None:
    known = {one: Known(one, one, "", 1, IllustrationState.READY, "") for one in range(1, present + 1)}
    wiki = {one: PageHead(one, "File:", 1, False) for one in range(lost + 1, present + 1)}
    assert is_too_much(differences(known, wiki)) is doubted


@pytest.mark.parametrize(
    ("n_files", "n_categories", "calls"),
    [(1, 1, 2), (500, 1, 2), (501, 1, 3), (20_000, 1, 41), (20_000, 0, 400), (50, 0, 1), (51, 0, 2), (600, 4, 6)],
)
def test_the_cost_of_comparing_is_known_before(n_files: int, n_categories: int, calls: int) -> None:
    assert calls_to_compare(n_files, n_categories) == calls


NOBODY: frozenset[int] = frozenset()
NOTHING: frozenset[str] = frozenset()


def changes(
    ids: Set[int] = NOBODY,
    titles: Set[str] = NOTHING,
    log: tuple[LogEntry, ...] = (),
    newest: datetime | None = None,
    complete: bool = True,
) -> RecentChanges:
    return RecentChanges(frozenset(ids), frozenset(titles), log, newest, complete, 1)


@pytest.mark.parametrize(
    ("covered", "budget", "goes_on"),
    [(timedelta(minutes=6), 10, True), (timedelta(minutes=6), 9, False), (timedelta(0), 99, False), (None, 99, False)],
)
def test_a_busy_wiki_is_seen_after_one_call(covered: timedelta | None, budget: int, goes_on: bool) -> None:
    since = NOW - timedelta(hours=1)
    first = changes(newest=None if covered is None else since + covered, complete=False)
    assert is_worth_going_on(first, since, NOW, budget) is goes_on


def test_changes_older_than_the_wiki_remembers_are_not_gone_through() -> None:
    first = changes(newest=NOW, complete=False)
    assert not is_worth_going_on(first, NOW - timedelta(days=31), NOW, 99)


def test_changes_are_ours_by_id_by_title_and_by_both_titles_of_a_move() -> None:
    known = {one: Known(one, one, f"{one}.jpg", 1, IllustrationState.READY, "") for one in (1, 2, 3, 4)}
    moved = LogEntry("move", "move", None, "File:3.jpg", "File:Three.jpg", "", "", NOW)
    assert touched(known, changes({1})) == ({1}, False)
    assert touched(known, changes({1, 9}, {"File:2.jpg"})) == ({1, 2}, True)
    assert touched(known, changes(log=(moved,))) == ({3}, True)
    assert touched(known, changes(titles={"File:Elsewhere.jpg"})) == (set(), True)


def test_a_list_takes_ids_titles_and_addresses_each_file_once() -> None:
    files = file_list(
        "\ufeffM12\n\n File:A_b.jpg \nA b.jpg\nM12\nimage:C.tif\nhttps://commons.wikimedia.org/wiki/File:D%20e.png\n"
        "https://commons.wikimedia.org/w/index.php?title=File:F.jpg&action=edit\nM31 galaxy.jpg"
    )
    assert files.page_ids == (12,)
    assert files.titles == ("File:A b.jpg", "File:C.tif", "File:D e.png", "File:F.jpg", "File:M31 galaxy.jpg")


def test_every_problem_of_a_list_is_told_at_once_with_its_line() -> None:
    with pytest.raises(BadInputError) as told:
        file_list("M1\nM0x\nA|b.jpg\nhttps://example.org/wiki/Berlin\n\nFile:\n" + "x" * 300 + ".jpg")
    assert [problem.partition(":")[0] for problem in told.value.details] == [f"line {n}" for n in (2, 3, 4, 6, 7)]
    assert "5 things have to be put right" in told.value.message


def test_a_list_has_an_end() -> None:
    assert len(file_list("\n".join(f"M{n}" for n in range(1, 20_001))).page_ids) == 20_000
    with pytest.raises(BadInputError, match="20,001 files; 20,000 are the most"):
        file_list("\n".join(f"M{n}" for n in range(1, 20_002)))


@given(st.lists(st.from_regex(r"(M[1-9][0-9]{0,5}|[A-Za-z][a-z ]{0,9}\.jpg)", fullmatch=True), min_size=1))
def test_a_list_read_again_is_the_same(lines: list[str]) -> None:
    kept = checked_source(SourceKind.FILES, "\n".join(lines))
    assert checked_source(SourceKind.FILES, kept) == kept


def test_found_titles_become_ids_and_the_others_stay() -> None:
    source = "M7\nFile:A.jpg\nFile:B.jpg\nFile:C.jpg"
    assert with_page_ids(source, {"File:A.jpg": 7, "File:C.jpg": 9}) == "M7\nFile:B.jpg\nM9"


@pytest.mark.parametrize(
    ("kind", "source", "words"),
    [
        (SourceKind.CATEGORY, "  ", "Name the Commons category"),
        (SourceKind.FILES, "\n \n", "names no file"),
        (SourceKind.QUERY, "", "Write the query"),
        (SourceKind.QUERY, "DELETE WHERE { ?a ?b ?c }", "Only a SELECT query"),
        (SourceKind.QUERY, "SELECT ?file WHERE { ?file ?b ?c", "never closed"),
    ],
)
def test_a_source_that_cannot_be_used_is_told_in_words(kind: SourceKind, source: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        checked_source(kind, source)


def test_a_bare_item_is_a_collection() -> None:
    assert collection_of(checked_source(SourceKind.QUERY, " q190804 ")) == "Q190804"
    assert collection_of("SELECT ?file WHERE { ?file ?p wd:Q190804 }") is None
