"""The fault run: two workers write while answers get lost, other people edit, and the workers are killed.

Everything is real: `icones depicts push` in processes of their own, killed with SIGKILL; a wiki over HTTP; a database.
What must hold afterwards is in `fault_checks`. The lot (which faults, which kills, who does what) is drawn by a seed;
when things meet is up to the machine, so no two runs are the same, and all must end well.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlmodel import Session, col, select

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import service
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.illustrations import service as illustrations
from icones.jobs.wiki import wiki_config
from icones.models import (
    Answer,
    Campaign,
    DepictsEdit,
    EditAction,
    EditState,
    Illustration,
    JobKind,
    Role,
    Writes,
)
from icones.taxa import service as taxa
from tests.support.campaigns import drawing, figure_ids
from tests.support.commons import CATEGORY, category_campaign, run_job
from tests.support.fault_checks import Findings, check_after_sync, check_all, stands
from tests.support.people import new_submission
from tests.support.standin import StandInCommons, World
from tests.support.third_hands import ThirdHands
from tests.support.voices import somebody
from tests.support.writing import BOT, PASSWORD, is_edit, with_bot
from wiki_sync import TaxonSource

GENERA, SPECIES = 5, 4
ORDER = "Q5000"
STOP_PAGE = "Icones/stop"
WRITE_FAULTS = (
    *("applied-then-dropped", "applied-then-dropped", "applied-then-502", "applied-then-hang"),
    *("502-html", "hang", "drop-connection", "429", "badtoken", "ratelimited", "throttled"),
    *("editconflict", "edit-conflict", "slot-exists", "broken-json"),
)
READ_FAULTS = ("502-html", "drop-connection", "429", "hang", "broken-json")
HANG_S = 1.3
"""How long the wiki is silent; longer than the workers listen."""
PATIENCE_S = 10.0
"""How long a worker may take to begin, on a machine that is busy."""
BOUND_S = 120.0
"""How long the workers may need to come to an end once all goes well."""


@dataclass(frozen=True)
class Shape:
    """How large a run is. ``share`` is the part of the writes that meet a fault, 0 to 1."""

    seed: int
    determinations: int = 500
    files: int = 200
    kills: int = 50
    workers: int = 2
    share: float = 0.25
    changes_of_mind: int = 50
    seconds_a_kill: float = 1.2
    """By this the pace is set, so that there is work until the last kill."""

    @classmethod
    def small(cls, seed: int) -> Shape:
        """A run of half a minute."""
        return cls(seed, determinations=60, files=24, kills=6, changes_of_mind=10)

    @property
    def per_minute(self) -> float:
        """The pace of the account while workers are killed."""
        return 60 * (self.determinations + self.changes_of_mind) / (self.kills * self.seconds_a_kill)


@dataclass
class Report:
    """What a run met, and what it found."""

    shape: Shape
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    left: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return it for machines."""
        return {
            "seed": self.shape.seed,
            "seconds": round(self.seconds, 1),
            "kills": dict(self.kills.most_common()),
            "faults": dict(self.faults.most_common()),
            "others": dict(self.others.most_common()),
            "states": dict(self.states.most_common()),
            "ends of workers": dict(self.ends.most_common()),
            "left": self.left,
            "counted": dict(self.findings.counted.most_common()),
            "problems": self.findings.problems,
        }


def plain_world(n_files: int) -> World:
    """A wiki with one category of files that say nothing yet, and twenty species of five genera."""
    world = World(sitename="Stand-in Commons")
    world.taxa.add("Lepidoptera", "order", qid=ORDER)
    for genus in range(GENERA):
        world.taxa.add(f"Genus{'abcde'[genus]}", "genus", qid=genus_qid(genus), parents=(ORDER,))
        for kind in range(SPECIES):
            name = f"Genus{'abcde'[genus]} species{'abcd'[kind]}"
            world.taxa.add(name, "species", qid=species_qid(genus, kind), parents=(genus_qid(genus),))
    pictures = [drawing(kind, 0) for kind in range(3)]
    for place in range(n_files):
        world.add_file(f"Sheet {place:03d}.jpg", pictures[place % 3], [CATEGORY], licence="CC0")
    world.add_bot_password(BOT, "icones", PASSWORD)
    return world


def genus_qid(genus: int) -> str:
    """The item of a genus."""
    return f"Q51{genus}"


def species_qid(genus: int, kind: int) -> str:
    """The item of a species."""
    return f"Q52{genus}{kind}"


class Worker:
    """A push in a process of its own, told from the others by its User-Agent."""

    def __init__(self, number: int, settings: Settings, slug: str, folder: Path) -> None:
        self.name = f"worker-{number}"
        contact = f"{self.name}@example.org"
        self._env = settings.model_copy(update={"contact": contact}).as_environment()
        self._command = [sys.executable, "-m", "icones", "depicts", "push", slug, "--json"]
        self._log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the process that runs, or ran."""
        return self._process.pid if self._process else 0

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        with self._log.open("wb") as told:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdout=told, stderr=subprocess.STDOUT, cwd=self._log.parent
            )

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def wait(self, seconds: float) -> int:
        """Wait until it comes to an end; return its exit code."""
        return self._process.wait(seconds) if self._process is not None else -1

    def how_it_ended(self) -> str:
        """Say in a few words how a worker ended by itself."""
        words = self._log.read_text(encoding="utf-8", errors="replace").strip()
        if self._process is not None and self._process.returncode == 0:
            return f"came to an end: {json.loads(words.splitlines()[-1])['stopped'] or 'nothing more to send now'}"
        return f"failed: {words[-400:]}"


class FaultRun:
    """One run, from an empty database to the checks."""

    def __init__(self, settings: Settings, database: Database, folder: Path, shape: Shape) -> None:
        self._plain, self._database, self._folder, self._shape = settings, database, folder, shape
        self._lot = random.Random(f"kills {shape.seed}")
        self._over = threading.Event()
        self.report = Report(shape)

    def carry_out(self) -> Report:
        """Run it; return what was met and found."""
        began = time.monotonic()
        with StandInCommons(plain_world(self._shape.files)) as self._commons:
            quick = {"wiki_timeout_s": 1.0, "wiki_retries": 1, "wiki_retry_wait_s": 0.05, "edit_lease_s": 3.0}
            self._settings = with_bot(self._plain, self._commons).model_copy(update=quick)
            self._prepare()
            self._others = ThirdHands(self._commons.world, BOT, self._taxa(), self._shape.seed)
            workers = [Worker(n, self._settings, self._campaign.slug, self._folder) for n in range(self._shape.workers)]
            try:
                self._troubled(workers)
                self._undisturbed(workers)
            finally:
                self._over.set()
                for worker in workers:
                    worker.kill()
            self._look()
        self.report.seconds = time.monotonic() - began
        return self.report

    # ---- before

    def _taxa(self) -> list[str]:
        kinds = [species_qid(genus, kind) for genus in range(GENERA) for kind in range(SPECIES)]
        return [*kinds, *(genus_qid(genus) for genus in range(GENERA))]

    def _prepare(self) -> None:
        """Bring the files in, put figures on them, and let a specialist name them all."""
        calm = self._settings.model_copy(update={"wiki_timeout_s": 10.0})
        self._campaign = category_campaign(self._database)
        brought = run_job(calm, self._database, self._campaign, JobKind.SYNC)
        assert not brought.problem, brought.problem
        known = TaxonSource(wiki_config(calm)).lineages(self._taxa())
        self._cora = somebody(self._database, self._campaign, "Cora", Role.SPECIALIST)
        lot = random.Random(f"names {self._shape.seed}")
        now = utc_now()
        with self._database.writing() as session:
            taxa.save(session, list(known.values()), now)
            files = list(session.exec(select(Illustration).order_by(col(Illustration.id))))
            for number in range(self._shape.determinations - self._shape.files):
                box = f"pct:{number % 50},10,20,30" if lot.random() < 0.5 else None
                illustrations.add_figure(session, lot.choice(files).id or 0, session.merge(self._cora), box, now)
        rules = service.WritingRules(Writes.BOT, self._shape.per_minute, revert_limit=1.0)
        with self._database.writing() as session:
            service.set_writing(session, session.get_one(Campaign, self._campaign.id), rules, now)
        self._figures = figure_ids(self._database, self._campaign)
        with self._database.writing() as session:
            for figure in self._figures:
                self._say(session, figure, self._name(lot))

    def _name(self, lot: random.Random) -> str:
        """A species, mostly of the first genera, so that equals and relatives meet on one file; sometimes a genus."""
        genus = min(lot.randrange(GENERA), lot.randrange(GENERA))
        return genus_qid(genus) if lot.random() < 0.2 else species_qid(genus, lot.randrange(SPECIES))

    def _say(self, session: Session, figure: int, qid: str) -> None:
        said = Submission(new_submission(), Answer.TAXON, qid)
        identifications.submit(session, session.merge(self._cora), figure, said, utc_now())

    # ---- meanwhile

    def _troubled(self, workers: list[Worker]) -> None:
        shape, faults = self._shape, self._commons.faults
        faults.at_random(
            shape.seed, where=is_edit, share=shape.share, among=WRITE_FAULTS, seconds=HANG_S, retry_after="0.3"
        )
        troubles = [
            threading.Thread(target=one, daemon=True) for one in (self._disturb, self._change_minds, self._spoil_reads)
        ]
        for worker in workers:
            worker.start()
        for trouble in troubles:
            trouble.start()
        while self.report.kills.total() < shape.kills:
            worker = self._lot.choice(workers)
            self._wait_for_the_moment(worker)
            if worker.is_running:
                worker.kill()
                self.report.kills[self._phase(worker)] += 1
            else:
                self.report.ends[worker.how_it_ended()] += 1
            if not self._under_way():
                break
            worker.start()
        self._keep_at_work(workers, shape.kills * shape.seconds_a_kill, few=shape.determinations // 10)
        self._over.set()
        for trouble in troubles:
            trouble.join(10)
        self.report.others = self._others.done
        faults.clear()
        self.report.faults = Counter(call.fault for call in self._commons.calls.requests if call.fault)

    def _wait_for_the_moment(self, worker: Worker) -> None:
        """Wait until this worker asked the wiki something, or just sent a write: that is where kills hurt."""
        is_any = self._lot.random() < 0.3
        calls = self._commons.calls
        seen, until = len(calls.requests), time.monotonic() + PATIENCE_S
        while time.monotonic() < until and worker.is_running:
            new = [call for call in calls.requests[seen:] if worker.name in call.headers.get("user-agent", "")]
            if any(is_any or is_edit(call.params) for call in new):
                break
            time.sleep(0.002)
        time.sleep(self._lot.choice((0.0, self._lot.uniform(0, 0.02), self._lot.uniform(0, 0.3))))

    def _phase(self, worker: Worker) -> str:
        """Say what a killed worker was doing, by what it left."""
        with self._database.reading() as session:
            held = session.exec(select(DepictsEdit).where(DepictsEdit.state == EditState.SENDING)).all()
        own = next((edit for edit in held if edit.sender.split(":")[1] == str(worker.pid)), None)
        if own is None:
            return "between two edits, or before the first"
        if not own.claim and own.action is EditAction.ADD:
            return "it had taken an edit, and said nothing yet"
        if stands(self._commons.world, own.guid) is (own.action is EditAction.ADD):
            return "the wiki had made the edit, and nobody had noted it"
        return "it had noted what it would say, and the wiki had not made the edit"

    def _disturb(self) -> None:
        """Let other people edit the wiki."""
        lot = random.Random(f"pauses {self._shape.seed}")
        while not self._over.wait(lot.uniform(0.02, 0.3)):
            self._others.do_something()

    def _change_minds(self) -> None:
        """Let the specialist name figures anew, spread over the run."""
        lot = random.Random(f"minds {self._shape.seed}")
        pause = self._shape.kills * self._shape.seconds_a_kill / max(1, self._shape.changes_of_mind)
        for _ in range(self._shape.changes_of_mind):
            if self._over.wait(lot.uniform(0, 2 * pause)):
                return
            with self._database.writing() as session:
                rows = session.exec(select(DepictsEdit).order_by(col(DepictsEdit.id))).all()
                written = [row.figure_id for row in rows if row.state is EditState.DONE]
                under_way = [row.figure_id for row in rows if row.ended_at is None and row.base_revision is not None]
                figures = lot.choice((under_way, written, self._figures)) or self._figures
                self._say(session, lot.choice(figures), self._name(lot))

    def _spoil_reads(self) -> None:
        """Let reading fail now and then. The stop page is spared: a run that cannot read it halts for half a minute."""
        lot = random.Random(f"reads {self._shape.seed}")
        while not self._over.wait(lot.uniform(0.2, 1.0)):
            fault = lot.choice(READ_FAULTS)
            self._commons.faults.next("api", fault, where=_is_read, seconds=HANG_S, retry_after="0.3")

    # ---- afterwards

    def _undisturbed(self, workers: list[Worker]) -> None:
        """Let the workers come to an end, now that all goes well."""
        with self._database.writing() as session:
            rules = service.WritingRules(Writes.BOT, 60_000, revert_limit=1.0)
            service.set_writing(session, session.get_one(Campaign, self._campaign.id), rules, utc_now())
        self._keep_at_work(workers, BOUND_S, few=0)
        for worker in workers:
            worker.kill()
        self.report.left = self._under_way()

    def _keep_at_work(self, workers: list[Worker], seconds: float, few: int) -> None:
        """Let the workers go on until no more than a few edits are left; who comes to an end is started again."""
        until = time.monotonic() + seconds
        while self._under_way() > few and time.monotonic() < until:
            for worker in workers:
                if not worker.is_running:
                    self.report.ends[worker.how_it_ended()] += 1
                    worker.start()
            if not few:
                self._shorten_waits()
            time.sleep(0.5)

    def _shorten_waits(self) -> None:
        """Let no edit wait for longer than a moment: after many failures it would be minutes."""
        with self._database.writing() as session:
            late = utc_now() + timedelta(seconds=1)
            waiting = (DepictsEdit.state == EditState.WAITING, col(DepictsEdit.next_try_at) > late)
            for edit in session.exec(select(DepictsEdit).where(*waiting).with_for_update()):
                edit.next_try_at = late
                session.add(edit)

    def _under_way(self) -> int:
        """How many edits have not ended, those that nobody sent off yet among them."""
        with self._database.reading() as session:
            status = service.status(session, session.get_one(Campaign, self._campaign.id))
        return status.under_way + status.unsent

    def _open(self) -> list[str]:
        """What is known of the edits that have not ended."""
        with self._database.reading() as session:
            rows = session.exec(select(DepictsEdit).where(col(DepictsEdit.ended_at).is_(None)))
            return [
                f"{row.id} {row.action.value} {row.state.value}, batch {row.batch_id}, {row.attempts} tries, "
                f"next {row.next_try_at}: {row.reason}"
                for row in rows
            ]

    def _look(self) -> None:
        """Check all rows against the wiki, then let the mirror be brought in line and check what that noticed."""
        findings = self.report.findings
        if self.report.left:
            findings.problem(f"{self.report.left} edits never came to an end: {self._open()}")
        with self._database.reading() as session:
            rows = list(session.exec(select(DepictsEdit).order_by(col(DepictsEdit.id))))
            check_all(session, self._commons.world, BOT, findings)
        self.report.states = Counter(f"{row.action.value}: {row.state.value}" for row in rows)
        for words in self.report.ends:
            if words.startswith("failed") and "nothing to send off" not in words:
                findings.problem(f"a worker {words}")
        calm = self._settings.model_copy(update={"wiki_timeout_s": 10.0})
        began = utc_now()
        synced = run_job(calm, self._database, self._campaign, JobKind.SYNC, accept_loss=True)
        if synced.problem:
            findings.problem(f"the sync afterwards failed: {synced.problem}")
        with self._database.reading() as session:
            check_after_sync(session, self._commons.world, began, findings)


def _is_read(params: Mapping[str, str]) -> bool:
    return params.get("action") == "query" and STOP_PAGE not in params.get("titles", "")


@contextlib.contextmanager
def a_database(url: str) -> Iterator[Database]:
    """Give a database at this address with the schema of today."""
    database = Database(url)
    database.migrate()
    try:
        yield database
    finally:
        database.close()
