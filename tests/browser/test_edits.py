"""A curator looks at what would be written on Commons, sends it off and takes it back, in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from icones.config import Settings
from icones.db import Database
from icones.models import Writes
from tests.browser.conftest import free_port, picture, served, violations
from tests.browser.test_tagging import sign_in
from tests.support.commons import ADMIRAL, LADY
from tests.support.standin import StandInCommons
from tests.support.writing import Desk, writing_world

# What the server says is tested on both databases in tests/web; here it is what a browser makes of it.
pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
HERE = "/c/album/desk/edits"
PATIENCE_MS = 60_000


@pytest.fixture
def desk(settings: Settings, database: Database) -> Iterator[Desk]:
    """A campaign on the stand-in with three verified figures, one of which somebody has stated already."""
    with StandInCommons(writing_world()) as commons:
        desk = Desk.opened(settings, database, commons, Writes.BOT)
        for place in range(3):
            desk.says(place, (ADMIRAL, LADY)[place % 2])
        desk.world.add_statement(desk.pages[2], ADMIRAL, "Somebody else")
        yield desk


@pytest.fixture
def address(desk: Desk, tmp_path: Path) -> Iterator[str]:
    told = desk.settings.model_copy(update={"base_url": f"http://127.0.0.1:{free_port()}"})
    with served(told, tmp_path) as address:
        yield address


def fits(page: Page) -> bool:
    """Say whether nothing of a page lies beside the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_look_send_and_take_back(address: str, desk: Desk, person: Callable[..., Page]) -> None:
    page = person()
    sign_in(page, address, "curator")
    page.goto(f"{address}{HERE}")
    page.get_by_role("button", name="Look at what would be written").click()
    page.get_by_role("button", name="Send these 2 off").wait_for(
        timeout=PATIENCE_MS
    )  # the page renews itself when the look is done
    assert violations(page) == []
    picture(page, "edits-look")
    page.get_by_role("button", name="Send these 2 off").click()
    card = page.locator("article.job").first
    expect(card).to_contain_text("2 edits made", timeout=PATIENCE_MS)
    assert (desk.qids(0), desk.qids(1)) == ([ADMIRAL], [LADY])
    phone = person(360, 740)
    for path in ("/edits", "/c/album/edits"):
        phone.goto(f"{address}{path}")
        expect(phone.get_by_role("link", name=re.compile("^Revision"))).to_have_count(2)
        assert violations(phone) == []
        assert fits(phone)
    picture(phone, "edits-public")
    page.get_by_text("Take the batch back").click()
    page.get_by_role("button", name="Take it all back").click()
    expect(page.get_by_text("Written, then taken back by us")).to_have_count(2, timeout=PATIENCE_MS)
    assert (desk.qids(0), desk.qids(1)) == ([], [])
