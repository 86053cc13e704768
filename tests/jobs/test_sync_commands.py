"""Campaigns on lists, queries and collections from the command line, and how syncs are asked for and told."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from icones.cli import app
from icones.errors import IconesError
from tests.support.campaigns import drawing
from tests.support.commons import ADMIRAL, CATEGORY, small_world
from tests.support.standin import StandInCommons


@dataclass(frozen=True)
class Said:
    """What a command said; `output` ends with the problem as `main` tells it."""

    exit_code: int
    stdout: str
    output: str


Run = Callable[..., Said]


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(small_world(4)) as server:
        yield server


@pytest.fixture
def icones(tmp_path: Path, commons: StandInCommons, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``icones`` with these words in an installation of its own, pointed at the stand-in."""
    told = {
        "ICONES_DATA_DIR": str(tmp_path / "var"),
        "ICONES_COMMONS_API_URL": commons.api_url,
        "ICONES_SPARQL_URLS": json.dumps([commons.sparql_url]),
        "ICONES_COMMONS_SPARQL_URLS": json.dumps([commons.commons_sparql_url]),
        "ICONES_IMAGE_HOSTS": json.dumps([commons.host]),
        "ICONES_WIKI_RETRIES": "0",
        "COLUMNS": "160",
    }
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Said:
        done = CliRunner().invoke(app, list(words), env=told)
        error = done.exception
        more = [error.message, *error.details] if isinstance(error, IconesError) else []
        return Said(done.exit_code, done.stdout, "\n".join([done.output, *more]))

    return run


def test_all_campaigns_on_commons_are_synced_and_what_failed_is_told(
    icones: Run, commons: StandInCommons, tmp_path: Path
) -> None:
    listing, query = tmp_path / "files.txt", tmp_path / "query.rq"
    listing.write_text("Plate 00, RP-T-BR-2017-1-0.jpg\nFile:Plate_01,_RP-T-BR-2017-1-1.jpg\n", encoding="utf-8")
    query.write_text(f"SELECT ?file WHERE {{ ?file wdt:P180 wd:{ADMIRAL} }}", encoding="utf-8")
    assert icones("campaign", "create", "One album", "--category", CATEGORY).exit_code == 0
    assert "icones sync a-list" in icones("campaign", "create", "A list", "--files", str(listing)).output
    assert icones("campaign", "create", "A query", "--query", str(query)).exit_code == 0
    assert icones("campaign", "create", "Misspelt", "--category", "No such category").exit_code == 0
    assert icones("campaign", "create", "A folder").exit_code == 0
    answer = icones("sync", "--all", "--json")
    assert answer.exit_code == 1
    told = json.loads(answer.stdout.splitlines()[0])["campaigns"]
    assert {slug: result.get("files") for slug, result in told.items()} == {
        "a-list": 2, "a-query": 1, "misspelt": None, "one-album": 4,
    }  # fmt: skip
    assert "There is no category" in told["misspelt"]["problem"]
    assert "1 of 4 campaigns could not be synced" in answer.output


def test_a_doubted_loss_fails_the_command_until_it_is_accepted(icones: Run, commons: StandInCommons) -> None:
    world = commons.world
    added = [world.add_file(f"More {n}.jpg", drawing(0, 0), [CATEGORY]) for n in range(10)]
    icones("campaign", "create", "One album", "--category", CATEGORY)
    first = icones("sync", "one-album", "--json")
    assert json.loads(first.stdout)["new"] == 14
    for page_id in added:
        world.set_categories(page_id, [])
    doubted = icones("sync", "one-album")
    assert doubted.exit_code == 1
    assert "icones sync one-album --accept-loss" in doubted.output
    accepted = icones("sync", "one-album", "--accept-loss")
    assert accepted.exit_code == 0
    assert "4 files: 0 new, 0 changed, 10 gone, 0 back (3 calls)." in accepted.output
    full = json.loads(icones("sync", "one-album", "--full", "--json").stdout)
    assert (full["way"], full["changed"], full["api_calls"]) == ("full", 4, 4)


@pytest.mark.parametrize(
    "words",
    [
        ["sync"],
        ["sync", "one-album", "--all"],
        ["campaign", "create", "X", "--category", "Y", "--of-collection", "Q1"],
        ["campaign", "create", "X", "--of-collection", "Rijksmuseum"],
    ],
)
def test_words_that_contradict_each_other_are_a_misuse(icones: Run, words: list[str]) -> None:
    assert icones(*words).exit_code == 2


def test_a_list_with_problems_makes_no_campaign(icones: Run, tmp_path: Path) -> None:
    listing = tmp_path / "files.txt"
    listing.write_text("M1\nnot a file\n\nM2\na|b.jpg\n", encoding="utf-8")
    answer = icones("campaign", "create", "A list", "--files", str(listing))
    assert answer.exit_code == 1
    assert "line 2:" in answer.output
    assert "line 5:" in answer.output
    missing = icones("campaign", "create", "A list", "--files", str(tmp_path / "nowhere.txt"))
    assert (missing.exit_code, "cannot be read" in missing.output) == (1, True)
    assert json.loads(icones("campaign", "list", "--json").stdout) == {"campaigns": []}
