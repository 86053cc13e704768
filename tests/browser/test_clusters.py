"""Groups of look-alikes in a real browser: ticks, the number on the button, a close look, keys alone, and undo."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from icones.config import Settings
from icones.db import Database
from icones.identifications import queries
from icones.models import Campaign
from tests.browser.conftest import free_port, picture, served, violations
from tests.browser.test_tagging import sign_in
from tests.support.campaigns import WHITE, figure_ids
from tests.web.test_clusters import HERE, grouped

# What the server says is tested on both databases in tests/web; here it is what a browser makes of it.
pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def address(settings: Settings, database: Database, campaign: Campaign, tmp_path: Path) -> Iterator[str]:
    """A demo installation with three groups of four figures, served with its worker."""
    assert grouped(database, campaign) == 3
    told = settings.model_copy(update={"base_url": f"http://127.0.0.1:{free_port()}"})
    with served(told, tmp_path) as address:
        yield address


def said(database: Database, campaign: Campaign) -> list[str | None]:
    """The taxa that are said now, one a figure and person."""
    with database.reading() as session:
        standing = queries.standing(session, figure_ids(database, campaign))
    return [one.taxon_qid for rows in standing.values() for one in rows]


def test_keys_alone_leave_one_out_name_the_rest_and_undo_works(
    address: str, person: Callable[..., Page], database: Database, campaign: Campaign
) -> None:
    page = person(width=390, height=844)
    sign_in(page, address, "specialist")
    page.goto(address + HERE)
    expect(page.locator("[data-ticked]")).to_have_text("4")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".cluster-zoom").first.click()
    expect(page.locator("#close-look")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".cluster-grid input").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("[data-ticked]")).to_have_text("3")
    page.keyboard.type("small whi")
    expect(page.get_by_role("combobox")).to_have_value("small whi")
    expect(page.locator("#taxon-search-list .option").first).to_contain_text("Pieris rapae")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    picture(page, "clusters")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("3 pictures named: Pieris rapae")
    assert said(database, campaign) == [WHITE] * 3
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_have_count(0)
    assert said(database, campaign) == []
