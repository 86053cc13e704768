"""The look before a push: exactly what would be written now, edit by edit, and nothing is."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from icones.config import Settings
from icones.db import Database
from icones.depicts import queries, sending, service
from icones.depicts.decide import Step
from icones.depicts.sending import Taken
from icones.jobs.judging import Surroundings
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, EditAction, Illustration, Pen, Person
from icones.taxa import service as taxa
from wiki_sync import LiveFiles, claim_json

AT_ONCE = 50
MOST = 500
"""Edits in one look: nobody reads more."""


@dataclass(frozen=True)
class Planned:
    """One edit as it would go out now."""

    edit_id: int
    mid: str
    title: str
    page_url: str
    action: str
    qid: str
    name: str
    would_write: bool
    outcome: str
    """The state it would end in without a write; ``write`` if it would be written."""
    reason: str
    account: str
    summary: str
    claim: dict[str, Any]
    """The very JSON that would be sent; for a removal the statement's id."""

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self)

    def as_lines(self) -> list[str]:
        """Return it for a terminal."""
        verb = "remove" if self.action == EditAction.REMOVE.value else "add"
        head = f"{self.mid} {self.title}: {verb} {self.name} ({self.qid})"
        if not self.would_write:
            return [f"{head}", f"    not written: {self.reason}"]
        return [head, f"    as {self.account}: {self.summary}", f"    {json.dumps(self.claim, ensure_ascii=False)}"]


def plan(settings: Settings, database: Database, campaign: Campaign, limit: int | None = None) -> list[Planned]:
    """Return what would be written of that which waits to be sent off, reading the files as they are now.

    At most ``limit`` (and ``MOST``) edits, oldest first. Raises NotReadyError if the campaign does not write.
    """
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
        pen = service.require_writing(own)
        rows = list(queries.unsent(session, own.id or 0))[: min(limit or MOST, MOST)]
        prepared = [sending.prepared(session, settings, own, row, pen) for row in rows]
        files = {row.id or 0: session.get_one(Illustration, row.illustration_id) for row in rows}
        names = taxa.views(session, {row.qid for row in rows}, "en")
        people = {row.id or 0: session.get(Person, row.person_id) if row.person_id else None for row in rows}
        without_leave = service.without_leave(session, rows) if pen is Pen.PEOPLE else set()
    around = Surroundings(settings, database, wiki_config(settings))
    live = _live(settings, prepared)
    found = []
    for taken in prepared:
        account = _account(settings, pen, people[taken.edit_id])
        decision, claim = around.decide(taken, live[taken.page_id], account)
        writes = decision.step is Step.WRITE and taken.edit_id not in without_leave
        reason = service.NO_LEAVE if decision.step is Step.WRITE and not writes else decision.reason
        file, name = files[taken.edit_id], names.get(taken.qid)
        found.append(
            Planned(
                edit_id=taken.edit_id,
                mid=file.mid or "",
                title=file.title,
                page_url=file.page_url,
                action=taken.action.value,
                qid=taken.qid,
                name=name.scientific_name if name else taken.qid,
                would_write=writes,
                outcome="write" if writes else "waiting" if decision.step is Step.WRITE else decision.state.value,
                reason=reason,
                account=account,
                summary=taken.summary,
                claim=claim_json(wiki_config(settings), claim) if claim else {"id": taken.guid},
            )
        )
    return found


def _live(settings: Settings, prepared: Sequence[Taken]) -> dict[int, Any]:
    reader = LiveFiles(wiki_config(settings))
    ids = list(dict.fromkeys(taken.page_id for taken in prepared))
    found: dict[int, Any] = {}
    for start in range(0, len(ids), AT_ONCE):
        found |= reader.read(ids[start : start + AT_ONCE])
    return found


def _account(settings: Settings, pen: Pen, person: Person | None) -> str:
    """Return the name under which an edit would go out, as far as it is known without signing in."""
    if pen is Pen.BOT:
        return settings.bot_user.partition("@")[0]
    return person.name if person else ""
