"""What keeping a campaign in line with the wiki costs, beside the same work done page by page with plain pywikibot.

Both ask the same stand-in Commons (a process of its own on loopback) in the same run; images are left out on both
sides. The plain way reads each file by itself: its newest revision, its image facts, its structured data. It cannot
tell what changed, so it does the same at every sync. Calls are counted by the stand-in. Seconds are those of this
machine and a wiki that answers at once: on the real one each call takes some 0.1 s or more, so calls tell more.

    python benchmarks/sync_cost.py [--write] [--sizes 1000 20000]
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "platform"))

from benchmarks.support.opening import options
from benchmarks.support.report import write_section

ROOT = Path(__file__).resolve().parents[1]
CATEGORY = "Plates of the benchmark"
SAMPLE = 1000
"""Of a larger campaign the plain way is measured on so many files and scaled up."""
AGENT = "Icones-benchmark/1.0 (https://example.org/icones)"


@dataclass(frozen=True)
class Row:
    """One line of the table. `seconds` and `calls` of ours, `plain_…` of the plain way (scaled if `is_scaled`)."""

    files: int
    what: str
    way: str
    calls: int
    seconds: float
    plain_calls: int
    plain_seconds: float
    is_scaled: bool

    @property
    def ratio(self) -> float:
        """How many times fewer calls we make."""
        return self.plain_calls / max(1, self.calls)


# ---- the wiki


def serve(n: int, pipe: Connection) -> None:
    """Be a wiki with one category of ``n`` files, and do what the other end of the pipe asks for."""
    from tests.support.standin import StandInCommons, World, depicts

    picture = _picture()
    world = World()
    world.taxa.add("Pieris rapae", "species", qid="Q903")
    world.add_category(CATEGORY)
    files = [
        world.add_file(
            f"Plate {place:05d}, RP-T-BR-2017-1-{place}.jpg",
            picture,
            [CATEGORY],
            description_html="<p>A plate of an album, with its plants and butterflies.</p>",
            artist_html="<a href='https://example.org'>Unknown</a>",
            licence="CC0",
            statements=[depicts("Q903")] if place % 3 == 0 else [],
        )
        for place in range(n)
    ]
    with StandInCommons(world) as commons:
        pipe.send({"api": commons.api_url, "sparql": commons.sparql_url, "host": commons.host})
        while (order := pipe.recv()) != "stop":
            if order == "later":
                moment = datetime.fromisoformat(world.now) + timedelta(hours=1)
                world.set_clock(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
                world.tick()
            elif order == "change":
                for page_id in files[::100]:
                    world.set_statements(page_id, [depicts("Q903", rank="preferred")])
            pipe.send(commons.calls.count("api"))
            commons.calls.clear()


def _picture() -> bytes:
    from tests.support.campaigns import drawing

    return drawing(0, 0)


class Wiki:
    """The stand-in in its own process."""

    def __init__(self, n: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(n, theirs), daemon=True)
        self._process.start()
        self.urls: dict[str, str] = self._pipe.recv()

    def tell(self, order: str) -> int:
        """Give an order ("calls", "later", "change"); return the number of API calls since the last one."""
        self._pipe.send(order)
        return int(self._pipe.recv())

    def stop(self) -> None:
        """Stop it."""
        self._pipe.send("stop")
        self._process.join(10)


# ---- ours


class Ours:
    """An installation in a temporary folder with one campaign on the category."""

    def __init__(self, folder: Path, wiki: Wiki) -> None:
        from pydantic import SecretStr

        from icones.campaigns import service as campaigns
        from icones.clock import utc_now
        from icones.config import Settings
        from icones.db import Database
        from icones.models import SourceKind

        self._wiki = wiki
        self._settings = Settings(
            _env_file=None,
            data_dir=folder,
            secret_key=SecretStr("only-for-a-benchmark-" + "0" * 32),
            commons_api_url=wiki.urls["api"],
            sparql_urls=(wiki.urls["sparql"],),
            image_hosts=(wiki.urls["host"],),
            contact="https://example.org/icones",
        )
        self._database = Database(self._settings.database)
        self._database.migrate()
        with self._database.writing() as session:
            new = campaigns.NewCampaign(title="Benchmark", source_kind=SourceKind.CATEGORY, source=CATEGORY)
            self._campaign = campaigns.create(session, None, new, utc_now())

    def sync(self, always_compare: bool = False) -> tuple[dict[str, Any], int, float]:
        """Bring the campaign in line, without images; return the run's result, its calls and its seconds."""
        from icones.clock import utc_now
        from icones.config import Settings
        from icones.db import Database
        from icones.jobs import runner
        from icones.jobs.runner import Progress
        from icones.jobs.sync import Wishes, bring_in_line
        from icones.models import Campaign, JobKind, JobRun, JobState

        def job(
            settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
        ) -> dict[str, Any]:
            return bring_in_line(settings, database, campaign, Wishes(), progress)

        settings = self._settings.model_copy(update={"check_hours": 1e-9} if always_compare else {})
        self._wiki.tell("calls")
        with self._database.writing() as session:
            run_id = runner.ask(session, JobKind.SYNC, self._campaign, utc_now()).id or 0
        before = time.perf_counter()
        state = runner.execute(settings, self._database, run_id, {JobKind.SYNC: job})
        seconds = time.perf_counter() - before
        with self._database.reading() as session:
            run = session.get_one(JobRun, run_id)
        if state is not JobState.DONE:
            raise RuntimeError(run.problem)
        return run.result, self._wiki.tell("calls"), seconds


# ---- plain pywikibot


def plain(api_url: str, limit: int) -> None:
    """Read ``limit`` files of the category page by page with pywikibot and print how many there were, as JSON."""
    from urllib.parse import urlsplit

    import pywikibot
    from pywikibot import config
    from pywikibot.family import Family
    from pywikibot.page import FilePage
    from pywikibot.site import DataSite

    parts = urlsplit(api_url)
    config.minthrottle = config.put_throttle = config.maxlag = 0
    config.user_agent_format = AGENT
    members = {
        "name": "benchmark",
        "langs": {"commons": parts.netloc},
        "protocol": lambda self, code: parts.scheme,
        "scriptpath": lambda self, code: parts.path.rpartition("/")[0],
        "interface": lambda self, code: DataSite,
        "entity_sources": lambda self, code: {},
    }
    site = DataSite("commons", type("BenchmarkFamily", (Family,), members)())
    site.throttle.setDelays(delay=0, absolute=True)
    read = stated = 0
    before = time.perf_counter()
    for member in pywikibot.Category(site, CATEGORY).articles(namespaces=6, total=limit):
        page = FilePage(site, member.title())
        if not page.latest_revision.revid or not page.latest_file_info.sha1:
            raise RuntimeError(f"nothing is known of {page}")
        read += 1
        stated += "P180" in page.data_item().get(force=True).get("statements", {})
    print(json.dumps({"read": read, "stated": stated, "seconds": time.perf_counter() - before}))


def measure_plain(wiki: Wiki, n: int) -> tuple[int, float, bool]:
    """Return what the plain way costs for ``n`` files: calls, seconds, and whether they were scaled up."""
    limit = min(n, SAMPLE)
    wiki.tell("calls")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "user-config.py").touch(mode=0o600)
        environment = os.environ | {"PYWIKIBOT_NO_USER_CONFIG": "2", "PYWIKIBOT_DIR": folder}
        command = [sys.executable, __file__, "--plain", wiki.urls["api"], "--limit", str(limit)]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    if told.get("read") != limit:
        raise RuntimeError(f"plain pywikibot could not do it: {done.stderr[-2000:]}")
    return round(wiki.tell("calls") * n / limit), told["seconds"] * n / limit, n > limit


# ---- the table


def measure(n: int) -> list[Row]:
    """Measure one size of campaign both ways."""
    wiki = Wiki(n)
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(Path(folder), wiki)
            wiki.tell("later")
            plain_calls, plain_seconds, is_scaled = measure_plain(wiki, n)
            steps = (("first sync", "", False), ("nothing changed", "later", False), ("nothing changed", "later", True),
                     ("1 % changed", "change", False))  # fmt: skip
            for what, order, always_compare in steps:
                wiki.tell(order or "calls")
                result, calls, seconds = ours.sync(always_compare)
                if result["files"] != n or (what == "1 % changed") != (0 < result["changed"] < n):
                    raise RuntimeError(f"the sync did not do its work: {result}")
                way = "reading all" if what == "first sync" else result["way"]
                rows.append(Row(n, what, way, calls, seconds, plain_calls, plain_seconds, is_scaled))
    finally:
        wiki.stop()
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| files | what happened | way | calls | seconds | plain: calls | plain: seconds | fewer calls |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        mark = " *" if row.is_scaled else ""
        ours = f"| {row.files:,} | {row.what} | {row.way} | {row.calls:,} | {row.seconds:.1f} |"
        lines.append(f"{ours} {row.plain_calls:,}{mark} | {row.plain_seconds:.0f}{mark} | {row.ratio:,.0f} × |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table. Exit code 1 if the claim does not hold: at least 20 times fewer calls, always."""
    parser = options(__doc__, as_json=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, default=SAMPLE, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.plain:
        plain(arguments.plain, arguments.limit)
        return 0
    rows = [row for n in arguments.sizes for row in measure(n)]
    print(json.dumps([asdict(row) for row in rows], indent=1) if arguments.json else table(rows))
    if any(row.is_scaled for row in rows) and not arguments.json:
        print(f"* measured on {SAMPLE} files and scaled up")
    if arguments.write:
        write_section("sync_cost", table(rows))
    held = all(row.ratio >= 20 for row in rows)
    print("the claim holds" if held else "THE CLAIM DOES NOT HOLD", file=sys.stderr)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
