"""The tag page in a real browser: keys alone, without JavaScript, a double click, a lost network, a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from icones.config import Settings
from icones.db import Database
from icones.identifications import queries
from icones.models import Campaign, JobKind, JobState
from tests.browser.conftest import free_port, served, violations
from tests.jobs.test_learning import run, verify
from tests.support.campaigns import figure_ids

# What the server says is tested on both databases in tests/web; here it is what a browser makes of it.
pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
HERE = "/c/butterflies"


@pytest.fixture
def address(settings: Settings, database: Database, campaign: Campaign, tmp_path: Path) -> Iterator[str]:
    """A demo installation with twelve figures and a model, served with its worker."""
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).blind_votes = 0  # suggestions from the first person on
    verify(database, campaign, range(6))
    assert run(settings, database, campaign, JobKind.RETRAIN).state is JobState.DONE
    told = settings.model_copy(update={"base_url": f"http://127.0.0.1:{free_port()}"})
    with served(told, tmp_path) as address:
        yield address


def sign_in(page: Page, address: str, role: str = "volunteer") -> None:
    page.goto(f"{address}/sign-in")
    page.locator(f"button[value={role}]").click()
    page.wait_for_url(f"{address}/")


def said(database: Database, campaign: Campaign) -> list[tuple[str, str | None]]:
    """What volunteers have said that counts: answer and taxon."""
    with database.reading() as session:
        standing = queries.standing(session, figure_ids(database, campaign))
    return [
        (one.answer.value, one.taxon_qid)
        for rows in standing.values()
        for one in rows
        if one.given_as.value == "volunteer"
    ]


def test_keys_alone_name_undo_and_skip(
    address: str, person: Callable[..., Page], database: Database, campaign: Campaign
) -> None:
    page = person()
    sign_in(page, address)
    page.goto(f"{address}{HERE}/tag")
    expect(page.locator(".suggestion").first).to_be_visible()
    first = page.locator(".suggestion").first.get_attribute("value")
    page.keyboard.press("1")
    expect(page.locator(".toast")).to_contain_text("Saved")
    assert said(database, campaign) == [("taxon", first)]
    page.keyboard.press("u")
    expect(page.locator(".toast")).to_have_count(0)
    assert said(database, campaign) == []
    page.keyboard.press("n")
    expect(page.locator(".toast")).to_contain_text("No organism")
    shown = page.locator("form:has(input[name=submission_id])").get_attribute("action")
    page.keyboard.press("s")
    page.wait_for_function(
        "before => document.querySelector('form:has(input[name=submission_id])')?.getAttribute('action') !== before",
        arg=shown,
    )
    assert said(database, campaign) == [("no_organism", None)]


def test_everything_works_without_javascript(
    address: str, person: Callable[..., Page], database: Database, campaign: Campaign
) -> None:
    page = person(java_script_enabled=False)
    sign_in(page, address)
    page.goto(f"{address}{HERE}/tag")
    page.get_by_role("combobox").fill("atalnta")
    page.get_by_role("button", name="Look it up").click()
    page.locator(".found .suggestion", has_text="Vanessa atalanta").click()
    expect(page.locator(".toast")).to_contain_text("Saved")
    assert len(said(database, campaign)) == 1
    page.get_by_role("button", name="Undo").click()
    assert said(database, campaign) == []


def test_a_double_click_says_it_once(
    address: str, person: Callable[..., Page], database: Database, campaign: Campaign
) -> None:
    page = person()
    sign_in(page, address)
    page.goto(f"{address}{HERE}/tag")
    page.locator(".suggestion").first.dblclick()
    expect(page.locator(".toast")).to_contain_text("Saved")
    page.wait_for_load_state("networkidle")
    assert len(said(database, campaign)) == 1


def test_the_second_click_of_a_slow_double_click_does_not_name_the_next_figure(
    address: str, person: Callable[..., Page], database: Database, campaign: Campaign
) -> None:
    page = person()
    sign_in(page, address)
    page.goto(f"{address}{HERE}/tag")
    box = page.locator(".suggestion").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(x, y)
    expect(page.locator(".toast")).to_contain_text("Saved")
    # The next figure's suggestions stand now where the first ones stood, and the finger comes down again.
    box = page.locator(".suggestion").first.bounding_box()
    assert box is not None
    page.mouse.move(x, box["y"] + box["height"] / 2)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_load_state("networkidle")
    assert len(said(database, campaign)) == 1
    form = page.locator("form:has(input[name=submission_id])")
    asked = form.get_attribute("action") or ""
    page.locator(".suggestion").first.click()
    expect(form).not_to_have_attribute("action", asked)
    assert len(said(database, campaign)) == 2


def test_a_lost_network_is_told_and_nothing_is_lost(
    address: str, person: Callable[..., Page], database: Database, campaign: Campaign
) -> None:
    page = person(expect_errors=True)
    sign_in(page, address)
    page.goto(f"{address}{HERE}/tag")
    page.context.set_offline(True)
    page.get_by_role("button", name="Cannot tell").click()
    expect(page.locator("#messages")).to_contain_text("No connection")
    page.context.set_offline(False)
    page.get_by_role("button", name="Cannot tell").click()
    expect(page.locator(".toast")).to_contain_text("Saved")
    assert said(database, campaign) == [("cannot_tell", None)]


def test_every_page_fits_a_phone_and_is_accessible(address: str, person: Callable[..., Page]) -> None:
    page = person(width=360, height=740, has_touch=True, is_mobile=True)
    sign_in(page, address, "curator")
    paths = ("/", "/me", "/about", "/api", "/data-dictionary", "/sign-in", "/campaigns/new", HERE, f"{HERE}/tag")
    more = ("review", "i/1", "f/1/similar", "curate", "curate/rules", "curate/people", "curate/exports", "models/1")
    learning = ("clusters", "identify", "backbones", "similar", "models", "model-settings")
    for path in (*paths, *(f"{HERE}/{one}" for one in (*more, *learning))):
        page.goto(address + path)
        assert violations(page) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{path} is {wide} px wide on a phone"
