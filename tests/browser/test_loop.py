"""The whole loop in a browser, on real plates behind the stand-in Commons: from a category to a checked CSV."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from icones.config import Settings
from icones.exports.csv_form import COLUMNS
from tests.browser.conftest import free_port, picture, served, violations
from tests.support.paths import data_folder
from tests.support.standin import StandInCommons, World, plates_world
from tests.support.standin.world import Page as WikiPage
from tests.support.standin.worlds import NUMBER_PLACES
from tests.support.standin.worlds import ROOT as CATEGORY

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(420)]
SLUG = "plates"
TREES = ("Walnut", "Rowan", "Travellers joy", "Maple", "Oak")
"""Trees of which no plate is named on Commons: the first model cannot know them."""


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(plates_world(data_folder(), per_class=12)) as server:
        yield server


@pytest.fixture
def address(settings: Settings, commons: StandInCommons, tmp_path: Path) -> Iterator[str]:
    """The address of an installation like a museum's: sign-in with Wikimedia, weights in a folder, a worker."""
    told = settings.model_copy(
        update={
            "mode": "development",
            "base_url": f"http://127.0.0.1:{free_port()}",
            "commons_api_url": commons.api_url,
            "sparql_urls": (commons.sparql_url,),
            "image_hosts": (commons.host,),
            "oauth_root": f"{commons.rest_url}/oauth2",
            "oauth_client_id": "icones-test",
            "oauth_client_secret": SecretStr("icones-secret"),
            "admins": ("Curator Dirk",),
            "backbone": "mobilenet_v2",
            "weights_dir": data_folder() / "weights",
            "threads": 2,
        }
    )
    with served(told, tmp_path) as address:
        yield address


def sign_in(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/sign-in")
    page.get_by_role("button", name="Wikimedia").click()
    page.get_by_label("Sign in as").select_option(name)
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{address}/")
    expect(page.locator(".person-mark")).to_have_text(name[0])


def wait_for_job(page: Page, title: str, outcome: str = "Done", seconds: int = 150) -> None:
    """Wait until the newest card of this job says how it ended, without touching the page: it renews itself."""
    card = page.locator("article.job", has=page.get_by_role("heading", name=title)).first
    expect(card.locator(".badge")).to_contain_text(outcome, timeout=seconds * 1000)


def choose(page: Page, name: str) -> None:
    """Search for a name as people type it and take the first answer."""
    box = page.get_by_role("combobox")
    box.fill(name)
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def figure_on_screen(page: Page) -> int:
    action = page.locator("form:has(input[name=submission_id])").get_attribute("action") or ""
    return int(action.rsplit("/", 1)[1])


def truth(world: World, title: str) -> str:
    """What the photograph with this title shows: the folder it lies in is named after it."""
    page = world.page_by_title(f"File:{title}")
    assert page is not None
    assert page.file is not None
    assert isinstance(page.file.source, Path)
    return page.file.source.parent.name


def figures(page: Page, address: str) -> list[dict[str, Any]]:
    """All figures of the campaign through the API, as the person of this page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = page.request.get(f"{address}/api/v1/campaigns/{SLUG}/figures?limit=100{cursor}")
        assert answer.ok, answer.text()
        body = answer.json()
        found += body["figures"]
        if not body.get("next"):
            return found
        cursor = f"&cursor={body['next']}"


def test_from_a_category_to_a_checked_csv(
    address: str, commons: StandInCommons, person: Callable[..., Page], tmp_path: Path
) -> None:
    clara, anna, ben, dirk = (person() for _ in range(4))
    sign_in(clara, address, "Specialist Clara")
    sign_in(dirk, address, "Curator Dirk")
    _make_the_campaign(dirk, address)
    _name_the_specialist(dirk, address)
    sign_in(anna, address, "Volunteer Anna")
    sign_in(ben, address, "Volunteer Ben")
    figure, title = _two_disagree(anna, ben, address)
    settled = truth(commons.world, title)
    _a_specialist_settles(clara, address, figure, settled)
    named = _a_specialist_names_trees(clara, address)
    model = _retrain(dirk, address)
    content = _export(dirk, address, tmp_path)
    _check_cell_by_cell(content, commons, {title: settled} | named, title, model)


def _make_the_campaign(dirk: Page, address: str) -> None:
    dirk.goto(f"{address}/campaigns/new")
    dirk.get_by_role("textbox", name="Category on Commons").fill(CATEGORY)
    dirk.get_by_label("Subcategories").select_option("1")
    dirk.get_by_label("Title of the campaign").fill("Plates")
    dirk.get_by_role("button", name="Make the campaign").click()
    dirk.wait_for_url(f"{address}/c/{SLUG}/curate")
    wait_for_job(dirk, "Fetching from Commons")
    wait_for_job(dirk, "Training the model")
    picture(dirk, "desk")
    assert violations(dirk) == []
    dirk.goto(f"{address}/c/{SLUG}/models/1")
    expect(dirk.get_by_text("In use").first).to_be_visible()
    picture(dirk, "model")
    assert violations(dirk) == []


def _name_the_specialist(dirk: Page, address: str) -> None:
    dirk.goto(f"{address}/c/{SLUG}/curate/people")
    dirk.get_by_label("Account name").fill("Specialist Clara")
    dirk.get_by_label("Role", exact=True).select_option("specialist")
    dirk.get_by_role("button", name="Give the role").click()
    expect(
        dirk.get_by_role("cell", name="Specialist Clara").or_(dirk.get_by_text("Specialist Clara")).first
    ).to_be_visible()


def _two_disagree(anna: Page, ben: Page, address: str) -> tuple[int, str]:
    """Let two volunteers name one butterfly differently; return the figure and its illustration's title."""
    predicted = [one for one in figures(anna, address) if one["determination"]["state"] == "predicted"]
    butterfly = next(one for one in predicted if str(one["illustration_title"]).startswith("Butterfly"))
    figure = int(butterfly["id"])
    anna.goto(f"{address}/c/{SLUG}")
    anna.get_by_role("link", name=re.compile("tagging|naming|Start|Help", re.IGNORECASE)).first.click()
    expect(anna.get_by_role("heading", name=re.compile("What is"))).to_be_visible()
    expect(anna.get_by_text("What the model thinks, it says after your answer.")).to_be_visible()
    anna.goto(f"{address}/c/{SLUG}/tag?figure={figure}")
    picture(anna, "tag")
    assert violations(anna) == []
    choose(anna, "painted lady")
    expect(anna.locator(".toast")).to_contain_text("Saved")
    expect(anna.locator(".toast")).to_contain_text("The model")
    assert figure_on_screen(anna) != figure
    ben.goto(f"{address}/c/{SLUG}/tag?figure={figure}")
    choose(ben, "pieris rpae")  # a slip of the finger is forgiven
    expect(ben.locator(".toast")).to_contain_text("a specialist will look")
    return figure, str(butterfly["illustration_title"])


def _a_specialist_settles(clara: Page, address: str, figure: int, settled: str) -> None:
    clara.goto(f"{address}/c/{SLUG}/review")
    assert figure_on_screen(clara) == figure
    expect(clara.locator(".voices li")).to_have_count(2)
    picture(clara, "review")
    assert violations(clara) == []
    choose(clara, settled)
    expect(clara.locator(".toast")).to_contain_text("Settled")


def _a_specialist_names_trees(clara: Page, address: str) -> dict[str, str]:
    """Let the specialist name plates of trees, which the model does not know yet; return title and name."""
    named: dict[str, str] = {}
    for one in figures(clara, address):
        title = str(one["illustration_title"])
        match = re.match(r"([A-Z][a-z -]+) \(([A-Z][a-z]+ [a-z]+)\)", title)
        if match and match[1] in TREES:
            clara.goto(f"{address}/c/{SLUG}/tag?figure={one['id']}")
            # The sync read these names in the titles, so the search knows them.
            choose(clara, match[2])
            expect(clara.locator(".toast")).to_contain_text("settled")
            named[title] = match[2]
    assert len(named) >= 6
    return named


def _retrain(dirk: Page, address: str) -> str:
    """Retrain on the desk; return the number of the version that serves, and its network as the report has it.

    Whether the new version is better is for a few dozen drawings to say: it serves, or its page says why it does not.
    """
    dirk.goto(f"{address}/c/{SLUG}/curate")
    dirk.get_by_role("button", name="Train the model").click()
    wait_for_job(dirk, "Training the model")
    dirk.goto(f"{address}/c/{SLUG}/models/2")
    expect(dirk.get_by_text("In use").or_(dirk.get_by_text("Kept back:")).first).to_be_visible()
    serving = 2 if dirk.get_by_text("In use").first.is_visible() else 1
    dirk.goto(f"{address}/c/{SLUG}/models/{serving}")
    expect(dirk.get_by_text("In use").first).to_be_visible()
    expect(dirk.get_by_text("Snapshot").first).to_be_visible()
    network = dirk.locator("dt", has_text="Network").locator("xpath=following-sibling::dd[1]").inner_text().strip()
    assert re.fullmatch(r"mobilenet_v2@[0-9a-f]{12}", network)
    return f"v{serving} {network}"


def _export(dirk: Page, address: str, folder: Path) -> bytes:
    dirk.goto(f"{address}/c/{SLUG}/curate/exports")
    dirk.get_by_role("button", name="Take an export now").click()
    picture(dirk, "exports")
    contents = []
    for _ in range(2):
        with dirk.expect_download() as download:
            dirk.get_by_role("link", name="CSV").first.click()
        download.value.save_as(folder / "export.csv")
        contents.append((folder / "export.csv").read_bytes())
    assert contents[0] == contents[1]
    expect(dirk.locator(".export").first).to_contain_text(hashlib.sha256(contents[0]).hexdigest())
    return contents[0]


def _check_cell_by_cell(
    content: bytes, commons: StandInCommons, settled: dict[str, str], disputed: str, model: str
) -> None:
    """Check every cell against the wiki it came from; only time and probability cannot be known before."""
    table = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    rows = {row["commons_title"]: row for row in table}
    assert tuple(table.fieldnames or ()) == COLUMNS
    assert set(rows) == set(settled)
    for title, name in settled.items():
        row = rows[title]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["validated_at"])
        assert 0 <= float(row["model_score"] or 0) <= 1  # empty: not among the model's ten best
        known = _expected(commons, title, name, n_disagree=2 if title == disputed else 0) | {"model_name": model}
        row["commons_url"] = unquote(row["commons_url"])
        assert {column: row[column] for column in COLUMNS if column not in ("validated_at", "model_score")} == known
    assert any(row["model_score"] for row in rows.values())


def _expected(commons: StandInCommons, title: str, name: str, n_disagree: int) -> dict[str, str]:
    world = commons.world
    page = world.page_by_title(f"File:{title}")
    assert page is not None
    taxon = world.taxa.taxa[world.taxon_qid(name)]
    return _higher(world, taxon.qid) | {
        "object_number": _object_number(page.file.source if page.file else None),
        "object_uri": "",
        "commons_mid": f"M{page.page_id}",
        "commons_title": title,
        "commons_url": f"{commons.base_url}/wiki/File:{title.replace(' ', '_')}",
        "commons_revid": str(page.latest.revid),
        "depicted_qid": taxon.qid,
        "depicted_uri": f"http://www.wikidata.org/entity/{taxon.qid}",
        "scientific_name_accepted": taxon.scientific_name,
        "authorship": f"{taxon.author}, {taxon.year}" if taxon.author and taxon.year else taxon.author or "",
        "rank": "species",
        "scientific_name_verbatim": name if f"({name})" in title else "",
        "vernacular_en": (taxon.names.get("en") or ("",))[0],
        "vernacular_nl": (taxon.names.get("nl") or ("",))[0],
        "gbif_key": taxon.ids.get("gbif", ""),
        "col_id": taxon.ids.get("col", ""),
        "nsr_id": taxon.ids.get("nsr", ""),
        "ncbi_id": taxon.ids.get("ncbi", ""),
        "prominent": "yes",
        "region_pct": "",
        "validation_status": "verified",
        "n_agree": "1",
        "n_disagree": str(n_disagree),
        "validator_role": "specialist",
        "statement_guid": _statement_on(page, taxon.qid),
        "licence": "CC0",
    }


def _statement_on(page: WikiPage, qid: str) -> str:
    """The id of the wiki's own statement that a file depicts a taxon, if it has one."""
    stated = (page.latest.entity or {}).get("statements") or {}
    said = {one["mainsnak"]["datavalue"]["value"]["id"]: one["id"] for one in stated.get("P180", ())}
    return str(said.get(qid, ""))


def _higher(world: World, qid: str) -> dict[str, str]:
    """The names of the ranks above a taxon, walked up the wiki's own tree."""
    found = dict.fromkeys(("kingdom", "phylum", "class", "order", "family"), "")
    above: list[str] = [qid]
    while above:
        taxon = world.taxa.taxa[above.pop()]
        if taxon.rank in found:
            found[taxon.rank] = taxon.scientific_name
        above.extend(sorted(taxon.parents)[:1])
    return found


def _object_number(source: object) -> str:
    """The number that the wiki gives this plate, wherever it stands; every sixth plate has none (see worlds.py)."""
    assert isinstance(source, Path)
    siblings = sorted(source.parent.glob("*.jpg"))
    position = siblings.index(source)
    if source.parent.name == "familiar_trees":
        album, place = 1, position
    else:
        species = sorted(one.name for one in source.parent.parent.iterdir() if not one.name.startswith("_"))
        album = 3 + species.index(source.parent.name)
        place = 40 + 20 + 12 * (album - 3) + position
    return "" if NUMBER_PLACES[place % 6] == "nowhere" else f"RP-T-BR-2017-1-{album}-{position + 1}"
