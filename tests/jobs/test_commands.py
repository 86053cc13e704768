"""The command line as people type it, in processes of their own, with an installation in a folder of its own."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.campaigns import drawing
from tests.support.commons import CATEGORY, small_world
from tests.support.standin import StandInCommons

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def icones(tmp_path: Path) -> Run:
    """Run ``icones`` with these words; the data folder and the working folder are the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ICONES_")}
    env = kept | {
        "ICONES_DATA_DIR": str(tmp_path / "var"),
        "ICONES_BACKBONE": "classical",
        "ICONES_WEIGHTS_FROM_HUB": "false",
        "COLUMNS": "160",
    }

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "icones", *words]
        return subprocess.run(command, cwd=tmp_path, env=env | more, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with six drawn images and a table of names."""
    folder = tmp_path / "album"
    folder.mkdir()
    lines = ["file,name,object_number,licence"]
    for place in range(6):
        (folder / f"sheet-{place}.jpg").write_bytes(drawing(place % 3, place))
        lines.append(f"sheet-{place}.jpg,Papilio {place},NL-{place},Public domain")
    (folder / "names.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_folder_becomes_a_campaign_and_goes_home_as_csv(icones: Run, album: Path, tmp_path: Path) -> None:
    assert icones("campaign", "create", "My album").returncode == 0
    taken = icones("import", "my-album", str(album), "--table", str(album / "names.csv"), "--json")
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout) == {"files": 6, "new": 6, "gone": 0, "back": 0, "names": 6, "resolved": 0}
    assert json.loads(icones("embed", "my-album", "--json").stdout) == {
        "embedded": 6,
        "unreadable": 0,
        "near_duplicates": 0,
    }
    trained = icones("train", "my-album", "--json")
    assert json.loads(trained.stdout)["published"] is False
    listed = json.loads(icones("campaign", "list", "--json").stdout)
    assert listed["campaigns"] == [{"slug": "my-album", "title": "My album", "figures": 6, "verified": 0}]
    similar = json.loads(icones("similar", "1", "--json").stdout)
    assert similar["similar"][0]["title"] == "sheet-3"
    export = json.loads(icones("export", "my-album", "--to", "out.csv", "--json").stdout)
    assert (export["number"], export["rows"]) == (1, 0)
    assert (tmp_path / "out.csv").read_text().startswith("object_number,")


def test_all_problems_of_a_folder_are_told_at_once_and_nothing_is_taken_in(icones: Run, album: Path) -> None:
    icones("campaign", "create", "My album")
    (album / "sheet-0.jpg").write_bytes(b"not an image")
    (album / "sheet-1.jpg").write_bytes(drawing(0, 0)[:500])
    (album / "sheet-2.jpg").unlink()
    answer = icones("import", "my-album", str(album), "--table", str(album / "names.csv"))
    assert answer.returncode == 1
    assert "Nothing was taken in: 3 problems" in answer.stderr
    for line in ("2", "3", "4"):
        assert f"line {line}" in answer.stderr.lower()
    listed = json.loads(icones("campaign", "list", "--json").stdout)
    assert listed["campaigns"][0]["figures"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sync", "nowhere"), "There is no campaign “nowhere”"),
        (("campaign", "create", " "), "needs a title"),
        (("user", "grant", "Nobody", "admin"), "has signed in here yet"),
        (("user", "grant", "Nobody", "king"), "is not a role"),
        (("similar", "99"), "There is no figure 99"),
        (("restore", "nothing.tar.gz"), "There is no file"),
    ],
)
def test_a_mistake_is_told_in_words_without_a_traceback(icones: Run, words: tuple[str, ...], told: str) -> None:
    answer = icones(*words)
    assert answer.returncode == 1
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


def test_misuse_has_its_own_exit_code(icones: Run) -> None:
    assert icones("sync").returncode == 2
    assert icones("no-such-command").returncode == 2


def test_production_is_refused_with_unsafe_settings(icones: Run) -> None:
    answer = icones("serve", ICONES_MODE="production")
    assert answer.returncode == 1
    for word in ("ICONES_SECRET_KEY", "https://", "ICONES_CONTACT", "ICONES_OAUTH_CLIENT_ID"):
        assert word in answer.stderr


def test_a_backup_brings_everything_back(icones: Run, album: Path, tmp_path: Path) -> None:
    icones("campaign", "create", "My album")
    icones("import", "my-album", str(album), "--table", str(album / "names.csv"))
    assert icones("backup", "all.tar.gz").returncode == 0
    assert icones("backup", "all.tar.gz").returncode == 1
    with tarfile.open(tmp_path / "all.tar.gz") as archive:
        assert "icones.sqlite" in archive.getnames()
    assert icones("restore", "all.tar.gz").returncode == 1
    elsewhere = {"ICONES_DATA_DIR": str(tmp_path / "other")}
    assert icones("restore", "all.tar.gz", **elsewhere).returncode == 0
    listed = json.loads(icones("campaign", "list", "--json", **elsewhere).stdout)
    assert listed["campaigns"][0]["figures"] == 6
    assert json.loads(icones("embed", "my-album", "--json", **elsewhere).stdout)["embedded"] == 6


def test_the_demo_takes_a_category_of_a_wiki_too(icones: Run) -> None:
    with StandInCommons(small_world()) as commons:
        pointed = {
            "ICONES_COMMONS_API_URL": commons.api_url,
            "ICONES_SPARQL_URLS": json.dumps([commons.sparql_url]),
            "ICONES_IMAGE_HOSTS": json.dumps([commons.host]),
            "ICONES_WIKI_RETRIES": "0",
        }
        filled = icones("demo", "--folder", "demo", "--category", CATEGORY, "--only-prepare", **pointed)
        assert filled.returncode == 0, filled.stderr
        wrong = icones("demo", "--folder", "demo", "--category", "No such category", "--only-prepare", **pointed)
        assert wrong.returncode == 1
        assert "no category" in wrong.stderr.lower()
    listed = json.loads(icones("campaign", "list", "--json", ICONES_DATA_DIR="demo").stdout)
    assert [(one["slug"], one["figures"]) for one in listed["campaigns"]] == [("album-of-butterflies", 9)]


def test_the_drawn_demo_is_made_once_and_trained(icones: Run) -> None:
    first = icones("demo", "--folder", "demo", "--only-prepare")
    assert first.returncode == 0, first.stderr
    listed = json.loads(icones("campaign", "list", "--json", ICONES_DATA_DIR="demo").stdout)
    ((campaign,),) = (listed["campaigns"],)
    assert campaign["figures"] > 240
    assert campaign["verified"] > 60
    again = icones("demo", "--folder", "demo", "--only-prepare")
    assert again.returncode == 0
    assert json.loads(icones("campaign", "list", "--json", ICONES_DATA_DIR="demo").stdout) == listed
    named = json.loads(icones("export", "demo", "--json", ICONES_DATA_DIR="demo").stdout)
    assert named["rows"] > 60
