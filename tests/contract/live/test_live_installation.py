"""The whole tool against a wiki: `icones sync`, `icones depicts push` and `undo` as processes, one or two at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from icones.models import EditAction, EditState, SourceKind
from tests.support.real_wiki import Relay, Wiki
from tests.support.real_wiki.installation import SLUG, Installation, all_ended
from wiki_sync import Commons

Make = Callable[..., Installation]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is to be closed at the end."""
    with ExitStack() as closing:
        yield closing


@pytest.fixture
def make(wiki: Wiki, tmp_path: Path, stack: ExitStack) -> Make:
    """Make an installation with a data folder of its own."""

    def made(name: str, bot: str = "bot", api_url: str = "") -> Installation:
        one = Installation(wiki, tmp_path / name, bot, api_url)
        stack.callback(one.close)
        return one

    return made


def take_in(pages: tuple[int, ...], *installations: Installation) -> None:
    """Make a campaign on these files in each installation, and bring them in with the command."""
    for one in installations:
        one.makes_campaign(SourceKind.FILES, "\n".join(f"M{page}" for page in pages))
    for told in all_ended([one.start("sync", SLUG) for one in installations]):
        assert (told["files"], told["new"], told["not_found"]) == (len(pages), len(pages), 0)
        assert (told["images"], told["refused"], told["later"]) == (len(pages), 0, 0)
    for one in installations:
        assert set(one.figures()) == set(pages)


def said(wiki: Wiki, page_id: int) -> list[str]:
    """What the file states it depicts, of our items."""
    ours = set(wiki.variables.items())
    return [one for one in wiki.reader.page(page_id).items(wiki.depicts) if one in ours]


def test_a_category_comes_in_and_stays_in_line(wiki: Wiki, make: Make) -> None:
    one = make("reader")
    one.makes_campaign(SourceKind.CATEGORY, wiki.category)
    files = {file.page_id for file in Commons(wiki.config()).category(wiki.category).files}
    told = one.run("sync", SLUG)
    assert (told["files"], told["new"], set(one.figures())) == (len(files), len(files), files)
    again = one.run("sync", SLUG)
    assert (again["files"], again["new"], again["changed"], again["gone"]) == (len(files), 0, 0, 0)
    assert set(one.figures()) == files


@pytest.mark.slow
def test_what_is_verified_is_pushed_and_an_undo_puts_everything_back(wiki: Wiki, make: Make) -> None:
    """One file says it already, one asks bots to stay away, the others get their statement, and lose it again."""
    pages = wiki.pictures(4)
    first, second = wiki.items(2)
    hand = wiki.hand("bot")
    foreign = hand.adds(pages[0], wiki.depicts, first)
    hand.writes_text(pages[1], f"{wiki.reader.page(pages[1]).wikitext}\n{{{{nobots}}}}")
    before = wiki.reader.pages(pages)
    one = make("writer")
    take_in(pages, one)
    one.names(dict(zip(pages, (first, first, first, second), strict=True)))

    told = one.run("depicts", "push", SLUG)
    assert (told["done"], told["already_there"], told["refused"], told["left"]) == (2, 1, 1, 0)
    now = wiki.reader.pages(pages)
    assert [now[page].items(wiki.depicts).count(first) for page in pages[:3]] == [1, 0, 1]
    assert said(wiki, pages[3]) == [second]
    for edit in one.edits():
        assert edit.state is EditState.DONE or edit.reason
        if edit.state is EditState.DONE:
            assert edit.guid in now[int(edit.guid[1:].partition("$")[0])].statements
            assert edit.revision is not None
    nothing_new = one.start("depicts", "push", SLUG)
    assert nothing_new.communicate()[1].strip().endswith("There is nothing to send off.")
    assert wiki.reader.pages(pages) == now

    (batch,) = one.batches()
    told = one.run("depicts", "undo", SLUG, "--batch", str(batch))
    assert (told["done"], told["left"]) == (2, 0)
    after = wiki.reader.pages(pages)
    assert {page: after[page].statements for page in pages} == {page: before[page].statements for page in pages}
    assert foreign in after[pages[0]].statements


def test_a_push_loses_answers_and_writes_nothing_twice(wiki: Wiki, make: Make, stack: ExitStack) -> None:
    pages = wiki.pictures(3)
    (item,) = wiki.items(1)
    before = wiki.reader.pages(pages)
    relay = stack.enter_context(Relay(wiki.api_url))
    one = make("writer", api_url=relay.api_url)
    take_in(pages, one)
    one.names(dict.fromkeys(pages, item))
    relay.lose(2)
    told = one.run("depicts", "push", SLUG)
    assert len(relay.lost) == 2
    assert (told["done"], told["left"]) == (3, 0)
    now = wiki.reader.pages(pages)
    for edit in one.edits():
        page = now[int(edit.guid[1:].partition("$")[0])]
        assert (edit.state, edit.revision) == (EditState.DONE, page.revision)
        assert (page.items(wiki.depicts).count(item), edit.guid in page.statements) == (1, True)
        assert set(page.statements) - set(before[page.page_id].statements) == {edit.guid}


@pytest.mark.slow
def test_two_pushes_at_once_on_the_same_files_say_everything_once(wiki: Wiki, make: Make, stack: ExitStack) -> None:
    """Two installations, two accounts: the same item on most files, different ones on the last.

    Both have read the first file and decided to write when the first of their writes goes on to the wiki.
    """
    pages = wiki.pictures(4)
    first, second = wiki.items(2)
    before = wiki.reader.pages(pages)
    meeting = threading.Barrier(2, timeout=60)
    relays = [stack.enter_context(Relay(wiki.api_url)) for _ in range(2)]
    for relay in relays:
        relay.meet(meeting)
    both = [make("here", "bot", relays[0].api_url), make("there", "other", relays[1].api_url)]
    wishes = [dict.fromkeys(pages, first), {**dict.fromkeys(pages, first), pages[-1]: second}]
    take_in(pages, *both)
    for one, wished in zip(both, wishes, strict=True):
        one.names(wished)

    told = all_ended([one.start("depicts", "push", SLUG) for one in both])
    assert [one["left"] for one in told] == [0, 0]
    assert not meeting.broken
    now = wiki.reader.pages(pages)
    assert [now[page].items(wiki.depicts).count(first) for page in pages] == [1] * len(pages)
    assert now[pages[-1]].items(wiki.depicts).count(second) == 1
    edits = [edit for one in both for edit in one.edits()]
    assert len(edits) == 2 * len(pages)
    assert all(edit.state is EditState.DONE or edit.reason for edit in edits)
    written = {edit.guid for edit in edits if edit.state is EditState.DONE}
    stated = {guid for page in pages for guid in now[page].statements if guid not in before[page].statements}
    assert stated == written
    assert {edit.state for edit in edits} <= {EditState.DONE, EditState.ALREADY_THERE}
    assert len(written) == len(pages) + 1

    all_ended([one.start("depicts", "undo", SLUG, "--batch", str(key)) for one in both for key in one.batches()])
    removals = [edit for one in both for edit in one.edits() if edit.action is EditAction.REMOVE]
    assert [edit.state for edit in removals] == [EditState.DONE] * len(written)
    after = wiki.reader.pages(pages)
    assert {page: after[page].statements for page in pages} == {page: before[page].statements for page in pages}
