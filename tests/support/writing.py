"""A campaign that writes to the stand-in Commons with a bot: what tests of writing begin with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from sqlmodel import col, select

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import service
from icones.illustrations import service as illustrations
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.jobs.wiki import wiki_config
from icones.models import (
    Campaign,
    DepictsEdit,
    EditAction,
    EditBatch,
    EditState,
    JobKind,
    JobRun,
    ReviewTask,
    Role,
    WikiAccount,
    Writes,
)
from icones.taxa import service as taxa
from tests.support.campaigns import drawing, figure_ids
from tests.support.commons import ADMIRAL, CATEGORY, LADY, WHITE, category_campaign, pointed_at, small_world
from tests.support.standin import Call, StandInCommons, World, is_write
from tests.support.voices import says, somebody
from wiki_sync import TaxonSource

BOT = "IconesBot"
PASSWORD = "correct-horse-battery"
QUICK = 60_000.0
"""Edits a minute where the pace is not what is tested."""


def writing_world(n: int = 3) -> World:
    """The small wiki with ``n`` more files that say nothing yet, and with the bot's account."""
    world = small_world(0)
    for place in range(n):
        world.add_file(f"Plate {place:02d}.jpg", drawing(place % 3, place), [CATEGORY], licence="CC0")
    world.add_bot_password(BOT, "icones", PASSWORD)
    return world


def with_bot(settings: Settings, commons: StandInCommons) -> Settings:
    """Return the settings with the stand-in in the place of Commons, and the bot's password."""
    return pointed_at(settings, commons).model_copy(
        update={"bot_user": f"{BOT}@icones", "bot_password": SecretStr(PASSWORD)}
    )


@dataclass
class Desk:
    """A campaign whose files are on the stand-in, with all that a test of writing asks and does."""

    settings: Settings
    database: Database
    commons: StandInCommons
    campaign: Campaign
    figures: list[int]
    pages: list[int] = field(default_factory=list)

    @classmethod
    def opened(cls, settings: Settings, database: Database, commons: StandInCommons, writes: Writes) -> "Desk":
        """Bring the category's files in and let the campaign write."""
        own = category_campaign(database)
        told = with_bot(settings, commons)
        desk = cls(told, database, commons, own, [])
        assert desk.run(JobKind.SYNC).problem == ""
        with database.writing() as session:
            known = TaxonSource(wiki_config(told)).lineages([ADMIRAL, LADY, WHITE])
            taxa.save(session, list(known.values()), utc_now())
        desk.figures = figure_ids(database, own)
        with commons.world.lock:
            desk.pages = [page.page_id for page in commons.world.members(f"Category:{CATEGORY}")]
        desk.rules(writes)
        return desk

    @property
    def world(self) -> World:
        """The wiki."""
        return self.commons.world

    def rules(self, writes: Writes = Writes.BOT, per_minute: float = QUICK, tags: str = "") -> None:
        """Set whether and how the campaign writes."""
        with self.database.writing() as session:
            rules = service.WritingRules(writes, per_minute, change_tags=tags)
            service.set_writing(session, session.get_one(Campaign, self.campaign.id), rules, utc_now())

    def says(self, place: int, qid: str | None, who: str = "Cora") -> None:
        """Let a specialist say what a figure is."""
        person = somebody(self.database, self.campaign, who, Role.SPECIALIST)
        says(self.database, person, self.figures[place], qid)

    def send_off(self) -> int:
        """Send off what waits; return the batch."""
        with self.database.writing() as session:
            return service.send_off(session, session.get_one(Campaign, self.campaign.id), None, utc_now()).id or 0

    def undo(self, *, batch_id: int | None = None, edit_ids: Sequence[int] | None = None) -> EditBatch:
        """Take statements back, as a curator does."""
        with self.database.writing() as session:
            own = session.get_one(Campaign, self.campaign.id)
            return service.undo(session, own, None, utc_now(), batch_id=batch_id, edit_ids=edit_ids)

    def insist(self, edit: DepictsEdit) -> None:
        """Let a curator insist on an edit, and send it off."""
        carl = somebody(self.database, self.campaign, "Carl", Role.CURATOR)
        with self.database.writing() as session:
            door = campaigns.open_door(session, self.campaign.slug, session.merge(carl))
            service.insist(session, door, edit.id or 0, utc_now())
        self.send_off()

    def run(self, kind: JobKind, **parameters: object) -> JobRun:
        """Carry out a job; return its row."""
        with self.database.writing() as session:
            asked = runner.ask(session, kind, self.campaign, utc_now(), parameters=parameters, another=True)
        runner.execute(self.settings, self.database, asked.id or 0, JOBS)
        with self.database.reading() as session:
            return session.get_one(JobRun, asked.id)

    def push(self) -> JobRun:
        """Write what was sent off; for a second at most, should something never end."""
        return self.run(JobKind.PUSH, patience_s=5.0)

    def sent(self) -> JobRun:
        """Send off and write."""
        self.send_off()
        return self.push()

    def rest(self) -> None:
        """Let all waits be over: of edits that are tried again, of leases, and of accounts."""
        with self.database.writing() as session:
            for edit in session.exec(select(DepictsEdit)):
                edit.next_try_at = None
                if edit.state is EditState.SENDING:
                    edit.lease_until = utc_now() - timedelta(seconds=1)
                session.add(edit)
            for account in session.exec(select(WikiAccount)):
                account.next_at = None
                session.add(account)

    def add_figures(self, *boxes: str) -> None:
        """Put figures with these boxes on the first file."""
        cora = somebody(self.database, self.campaign, "Cora", Role.SPECIALIST)
        for box in boxes:
            with self.database.writing() as session:
                made = illustrations.add_figure(session, 1, session.merge(cora), box, utc_now())
                self.figures.append(made.id or 0)

    # ---- what came of it

    def edits(self, action: EditAction = EditAction.ADD) -> list[DepictsEdit]:
        """The rows of the outbox, oldest first."""
        with self.database.reading() as session:
            question = select(DepictsEdit).where(DepictsEdit.action == action)
            return list(session.exec(question.order_by(col(DepictsEdit.id))))

    def only(self, action: EditAction = EditAction.ADD) -> DepictsEdit:
        """The one row there is."""
        (row,) = self.edits(action)
        return row

    def stated(self, place: int) -> list[dict[str, Any]]:
        """What a file's structured data now says it depicts, as raw JSON."""
        with self.world.lock:
            entity = self.world.pages[self.pages[place]].latest.entity or {}
            return list((entity.get("statements") or {}).get("P180", []))

    def qids(self, place: int) -> list[str]:
        """The items a file now depicts."""
        return [str(one["mainsnak"]["datavalue"]["value"]["id"]) for one in self.stated(place)]

    def latest(self, place: int) -> int:
        """A file's newest revision."""
        return self.world.pages[self.pages[place]].latest.revid

    def written_by(self, name: str = BOT) -> list[str]:
        """The comments of all revisions that an account made."""
        return [one.comment for page in self.world.pages.values() for one in page.revisions if one.user == name]

    def writes(self) -> list[Call]:
        """The calls that would change a page."""
        return [call for call in self.commons.calls.requests if is_edit(call.params)]

    def task(self, place: int) -> ReviewTask | None:
        """What people are asked about a figure."""
        with self.database.reading() as session:
            return session.get(ReviewTask, self.figures[place])


def is_edit(params: Mapping[str, str]) -> bool:
    """Say whether a call would change a page (signing in is a write to the API too)."""
    return is_write(params) and params.get("action", "").startswith("wb")
