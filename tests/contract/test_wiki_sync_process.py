"""The library as a guest: no files in other places, no noise, no changed settings, at home in child processes."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.paths import REPOSITORY
from tests.support.standin import StandInCommons, World

SCRIPT = """
import json, logging, os, sys, warnings
from dataclasses import replace
from pathlib import Path
from wiki_sync import Commons, ImageDownloads, TaxonSource, WikiConfig
before = dict(os.environ)
config = WikiConfig(api_url=sys.argv[1], sparql_urls=(sys.argv[2],), user_agent="IconesTest/0.1 (icones@example.org)",
                    state_dir=Path(sys.argv[3]), image_hosts=(sys.argv[4],), retry_wait_s=0.01)
imported_early = "pywikibot" in sys.modules or "SPARQLWrapper" in sys.modules
listing = Commons(config).category("Plates")
entities = Commons(config).mediainfo([file.page_id for file in listing.files])
taxa = TaxonSource(config).lineages(["Q900"])
child = again = None
strict = replace(config, max_retries=0)  # so that two on one connection would be noticed
if hasattr(os, "fork"):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            found = [len(Commons(strict).category("Plates").files) for _ in range(20)]
            os.write(writer, str(found == [3] * 20).encode())
        finally:
            os._exit(0)
    again = [len(Commons(strict).category("Plates").files) for _ in range(20)] == [3] * 20
    os.waitpid(pid, 0)
    os.close(writer)
    child = os.read(reader, 10).decode()
print(json.dumps({
    "files": len(listing.files), "entities": len(entities), "taxa": len(taxa), "child": child, "again": again,
    "environment_kept": dict(os.environ) == before, "imported_early": imported_early,
    "root_handlers": len(logging.getLogger().handlers), "pywiki_handlers": len(logging.getLogger("pywiki").handlers),
    "warnings_captured": logging._warnings_showwarning is not None,
}))
"""


@pytest.fixture
def standin() -> Iterator[StandInCommons]:
    world = World()
    world.add_category("Plates")
    out = io.BytesIO()
    Image.new("RGB", (300, 200)).save(out, "JPEG")
    for n in range(3):
        world.add_file(f"Plate {n}.jpg", out.getvalue(), ["Plates"])
    world.taxa.add("Vanessa atalanta", "species", qid="Q900")
    with StandInCommons(world) as running:
        yield running


def test_a_process_of_its_own_stays_clean_and_can_have_children(standin: StandInCommons, tmp_path: Path) -> None:
    home, cwd, state = (tmp_path / name for name in ("home", "cwd", "state"))
    home.mkdir()
    cwd.mkdir()
    (cwd / "user-config.py").write_text("raise SystemExit('a stranger’s configuration was run')")
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT, standin.api_url, standin.sparql_url, str(state), standin.host],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["files"], said["entities"], said["taxa"]) == (3, 3, 1)
    assert (said["child"], said["again"]) == ("True", True)
    assert said["environment_kept"]
    assert not said["imported_early"]
    assert (said["root_handlers"], said["pywiki_handlers"], said["warnings_captured"]) == (0, 0, False)
    assert [path.name for path in cwd.iterdir()] == ["user-config.py"]
    assert list(home.iterdir()) == []
    assert [path.name for path in state.iterdir()] == ["user-config.py"]
    noise = [line for line in done.stderr.splitlines() if "wiki_sync" in line]
    assert noise == []


def test_the_library_imports_no_application_and_reads_no_environment() -> None:
    code = (
        "import sys, wiki_sync; "
        "bad = [name for name in sys.modules if name.split('.')[0] in "
        "('icones', 'active_learning', 'fastapi', 'sqlmodel', 'sqlalchemy', 'jinja2', 'apscheduler', 'torch')]; "
        "print(bad)"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_pywikibot_and_sparqlwrapper_are_imported_in_one_place_each() -> None:
    importers: dict[str, set[str]] = {"pywikibot": set(), "SPARQLWrapper": set()}
    for path in (REPOSITORY / "wiki_sync").rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                top = words[1].split(".")[0]
                if top in importers:
                    importers[top].add(path.name)
    assert importers == {"pywikibot": {"session.py"}, "SPARQLWrapper": {"endpoints.py"}}
