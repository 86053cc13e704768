"""What is read of a wiki: a category, files, structured data, heads, changes, the log, revisions, texts, items."""

import re
from datetime import datetime
from functools import partial
from time import monotonic, sleep

import pytest

from tests.support.real_wiki import Wiki
from wiki_sync import (
    CategoryNotFoundError,
    Changes,
    Commons,
    Items,
    LiveFiles,
    PermanentError,
    RecentChanges,
    WikiFile,
    Writer,
)
from wiki_sync.commons import read_category
from wiki_sync.session import WikiSession
from wiki_sync.wikifile import file_params, parse_page

NOBODYS_PAGE = 2_000_000_001
NOBODYS_TITLE = "File:Icones test, a title that no file bears 4f1c.jpg"
NOBODYS_ITEM = "Q999999999"
SHA1 = re.compile(r"[0-9a-f]{40}")
PATIENCE_S = 60


@pytest.fixture
def commons(wiki: Wiki) -> Commons:
    return Commons(wiki.config())


@pytest.fixture
def changes(wiki: Wiki) -> Changes:
    return Changes(wiki.config())


def test_a_category_is_the_same_in_one_answer_and_in_many(wiki: Wiki, commons: Commons) -> None:
    whole = commons.category(wiki.category)
    params = {**file_params(wiki.config()), "gcmlimit": 1}
    parse = partial(parse_page, wiki.config())
    pieces = read_category(WikiSession(wiki.config()), wiki.category, 0, params, parse)
    assert {one.page_id: one for one in whole.files} == pieces.pages
    assert len(whole.files) > 1, "the category should hold more than one file: else nothing is continued"
    heads = Changes(wiki.config()).category_heads(wiki.category)
    assert {one.page_id: one.revision for one in heads.pages.values()} == {
        one.page_id: one.lastrevid for one in whole.files
    }


def test_a_category_that_is_not_there(commons: Commons, wiki: Wiki) -> None:
    assert wiki.api_url
    with pytest.raises(CategoryNotFoundError):
        commons.category("Icones test, a category that nobody made 4f1c")


def test_a_category_s_size_is_told(changes: Changes, commons: Commons, wiki: Wiki) -> None:
    title, count = changes.category_size(wiki.category)
    assert title == commons.category(wiki.category).title
    assert count is None or count > 1  # a running count, which may be off; none where the category has no page


def test_files_have_all_facts_and_the_others_none(wiki: Wiki, commons: Commons) -> None:
    ids = wiki.pictures(2)
    known = wiki.reader.pages(ids)
    found = commons.files([*ids, NOBODYS_PAGE])
    assert found[NOBODYS_PAGE] is None
    for page_id in ids:
        file = found[page_id]
        assert isinstance(file, WikiFile)
        assert (file.title, file.lastrevid) == (known[page_id].title, known[page_id].revision)
        assert SHA1.fullmatch(file.sha1)
        assert file.width > 0
        assert file.height > 0
        assert file.mime.startswith("image/")
        assert file.url.startswith("http")
        assert file.uploaded_at is not None
        assert file.uploaded_at.tzinfo is not None


def test_structured_data_is_what_the_pages_store(wiki: Wiki, commons: Commons) -> None:
    page, other = wiki.files(2)
    (item,) = wiki.items(1)
    guid = wiki.hand("bot").adds(page, wiki.depicts, item)
    found = commons.mediainfo([page, other, NOBODYS_PAGE])
    now = wiki.reader.pages([page, other])
    assert [one.statement_id for one in found[page].depicts if one.qid == item] == [guid]
    assert (found[page].exists, found[page].lastrevid) == (True, now[page].revision)
    assert found[other].exists == now[other].has_data
    assert [one.qid for one in found[other].depicts if one.qid] == now[other].items(wiki.depicts)
    assert not found[NOBODYS_PAGE].exists


def test_a_file_is_read_alike_by_nobody_and_by_an_account(wiki: Wiki, writer: Writer, page: int) -> None:
    (item,) = wiki.items(1)
    wiki.somebody_else(writer.account).adds(page, wiki.depicts, item)
    asked = [page, NOBODYS_PAGE]
    mine = writer.live(asked)
    assert mine == LiveFiles(wiki.config()).read(asked)
    now = wiki.reader.page(page)
    assert (mine[page].title, mine[page].revision, mine[page].wikitext) == (now.title, now.revision, now.wikitext)
    assert {one["id"]: one for group in mine[page].statements.values() for one in group} == now.statements
    assert (mine[page].exists, mine[page].is_redirect, mine[page].protected) == (True, False, False)
    assert not mine[NOBODYS_PAGE].exists


def test_heads_move_with_every_edit_and_are_found_by_title(wiki: Wiki, changes: Changes) -> None:
    page, other = wiki.files(2)
    before = changes.heads([page, other, NOBODYS_PAGE])
    wiki.hand("bot").adds(page, wiki.depicts, wiki.items(1)[0])
    after = changes.heads([page, other, NOBODYS_PAGE])
    assert after[NOBODYS_PAGE] is None
    assert after[other] == before[other]
    old, new = before[page], after[page]
    assert old is not None
    assert new is not None
    assert new.revision == wiki.reader.page(page).revision > old.revision
    underscored = new.title.replace(" ", "_")
    by_title = changes.by_title([new.title, underscored, NOBODYS_TITLE, "File:Bad[name].jpg"])
    assert by_title == {new.title: new, underscored: new, NOBODYS_TITLE: None, "File:Bad[name].jpg": None}


def test_a_redirect_leads_to_its_file_and_is_one_by_number(wiki: Wiki, changes: Changes, commons: Commons) -> None:
    old, page_id = _a_redirect(wiki)
    head = changes.by_title([old])[old]
    assert head is not None
    assert head.title != old
    assert not head.is_redirect
    left = changes.heads([page_id])[page_id]
    assert left is not None
    assert (left.title, left.is_redirect) == (old, True)
    assert LiveFiles(wiki.config()).read([page_id])[page_id].is_redirect
    assert not commons.mediainfo([page_id])[page_id].depicts


def _a_redirect(wiki: Wiki) -> tuple[str, int]:
    """Return title and page id of a redirect that the move of a file left behind."""
    asked = {"list": "logevents", "letype": "move", "lelimit": "50"}
    moved = wiki.reader.ask(action="query", **asked)["query"]["logevents"]
    titles = list(dict.fromkeys(one["title"] for one in moved if one.get("ns") == 6 and "title" in one))
    if titles:
        for one in wiki.reader.ask_pages(prop="info", titles="|".join(titles)):
            if one.get("redirect"):
                return str(one["title"]), int(one["pageid"])
    pytest.skip("no file of this wiki was moved and left a redirect: move one once, with its redirect")


def test_what_others_did_is_among_the_recent_changes(wiki: Wiki, changes: Changes) -> None:
    (page,) = wiki.files(1)
    hand = wiki.hand("bot")
    hand.adds(page, wiki.depicts, wiki.items(1)[0])
    revision = wiki.reader.page(page).revision
    done = changes.revisions([revision])[revision]
    assert (done.user, done.page_id, done.is_missing) == (hand.name, page, False)
    seen = _recent(changes, done.at, page)
    assert (seen.complete, page in seen.page_ids) == (True, True)
    assert seen.newest is not None
    assert seen.newest >= done.at


def _recent(changes: Changes, since: datetime, page: int) -> RecentChanges:
    """Read the changes until the page is among them: a wiki may note an edit a moment after it."""
    until = monotonic() + PATIENCE_S
    while True:
        seen = changes.recent(since, max_calls=9)
        if page in seen.page_ids or monotonic() > until:
            return seen
        sleep(1)


def test_the_log_of_a_file_is_newest_first_and_of_nothing_is_empty(wiki: Wiki, changes: Changes, page: int) -> None:
    title = wiki.reader.page(page).title
    entries = changes.log_of(title)
    assert {one.title for one in entries} <= {title}
    assert [one.at for one in entries] == sorted((one.at for one in entries), reverse=True)
    assert all(one.kind and one.action for one in entries)
    assert changes.log_of(NOBODYS_TITLE) == ()


def test_revisions_are_told_apart_from_numbers_that_are_none(wiki: Wiki, changes: Changes, page: int) -> None:
    revision = wiki.reader.page(page).revision
    found = changes.revisions([revision, NOBODYS_PAGE])
    assert (found[revision].page_id, found[revision].is_missing) == (page, False)
    assert found[NOBODYS_PAGE].is_missing


def test_the_text_of_a_page_is_its_newest_and_of_none_is_none(wiki: Wiki, changes: Changes, page: int) -> None:
    text = f"{wiki.reader.page(page).wikitext}\n<!-- Icones, a test: „ü“ -->"
    wiki.hand("bot").writes_text(page, text)
    assert changes.page_text(wiki.reader.page(page).title) == text
    assert changes.page_text(NOBODYS_TITLE) is None


def test_items_are_told_apart_from_numbers_that_are_none(wiki: Wiki) -> None:
    known = wiki.items(1)
    found = Items(wiki.config()).facts([*known, NOBODYS_ITEM])
    assert [found[one].exists for one in (*known, NOBODYS_ITEM)] == [True, False]


def test_properties_that_the_wiki_lacks_are_told(wiki: Wiki) -> None:
    found = Items(wiki.config()).facts([wiki.depicts, "P999999999"])
    assert (found[wiki.depicts].exists, found["P999999999"].exists) == (True, False)


def test_an_address_without_a_wiki_is_told_as_such(wiki: Wiki) -> None:
    config = wiki.config(api_url=f"{wiki.api_url}-that-is-none")
    with pytest.raises(PermanentError):
        Commons(config).files([1])
