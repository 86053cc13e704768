"""A whole installation of Icones that is pointed at the wiki of the tests: a data folder, a database, and commands.

Commands run as processes of their own, as people type them. What the tests need of taxa and of people is put into
the database through the library, since such a wiki has no query service and no volunteers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlmodel import select

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import service as depicts
from icones.illustrations import queries as illustrations
from icones.models import Campaign, DepictsEdit, Role, SourceKind, Writes
from icones.taxa import service as taxa
from tests.support.real_wiki.wiki import Wiki
from tests.support.voices import says, somebody
from wiki_sync import TaxonFacts, TaxonName

SLUG = "live"
NO_SERVICE = "http://127.0.0.1:9/sparql"  # nobody listens there
COMMAND_S = 280


class Installation:
    """One installation that writes with one of the bot accounts, "bot" or "other"; `api_url` is its way to the wiki."""

    def __init__(self, wiki: Wiki, folder: Path, bot: str = "bot", api_url: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        user, password = wiki.bot(bot)
        self.settings = Settings(
            _env_file=None,
            mode="demo",
            data_dir=folder / "var",
            commons_api_url=api_url or wiki.api_url,
            items_api_url=wiki.api_url,
            sparql_urls=(NO_SERVICE,),
            commons_sparql_urls=(NO_SERVICE,),
            image_hosts=wiki.image_hosts,
            depicts_property=wiki.depicts,
            bot_user=user,
            bot_password=SecretStr(password),
            contact="icones@example.org",
            wiki_retry_wait_s=0.1,
            backbone="classical",
            weights_from_hub=False,
        ).prepared()
        self.database = Database(self.settings.database)
        self.database.migrate()
        self._wiki = wiki

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # ---- commands

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command; its output is read by `ended`."""
        command = [sys.executable, "-m", "icones", *words, "--json"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self._folder, env=self.settings.as_environment(), **pipes)

    def run(self, *words: str) -> dict[str, Any]:
        """Carry a command out that must go well; return what it told as JSON."""
        return ended(self.start(*words))

    # ---- what people did before

    @property
    def campaign(self) -> Campaign:
        """The one campaign."""
        with self.database.reading() as session:
            return session.exec(select(Campaign).where(Campaign.slug == SLUG)).one()

    def makes_campaign(self, kind: SourceKind, source: str) -> None:
        """Make the campaign, on a category or on a list of files."""
        new = campaigns.NewCampaign(title="A test: “live”", source_kind=kind, source=source, slug=SLUG)
        with self.database.writing() as session:
            campaigns.create(session, None, new, utc_now())

    def names(self, wanted: Mapping[int, str]) -> None:
        """Let a specialist name the organism on each file (page id: item), and let the campaign write with the bot."""
        own = self.campaign
        labels = self._wiki.labels
        with self.database.writing() as session:
            taxa.save(session, [_taxon(qid, labels[qid]) for qid in dict.fromkeys(wanted.values())], utc_now())
        cora = somebody(self.database, own, "Cora", Role.SPECIALIST)
        figures = self.figures()
        for page_id, qid in wanted.items():
            says(self.database, cora, figures[page_id], qid)
        with self.database.writing() as session:
            rules = depicts.WritingRules(Writes.BOT, edits_per_minute=60_000, revert_limit=1.0)
            depicts.set_writing(session, session.get_one(Campaign, own.id), rules, utc_now())

    def figures(self) -> dict[int, int]:
        """The figures of the campaign's files by page id, whether their images could be fetched or not."""
        with self.database.reading() as session:
            found = illustrations.by_key(session, self.campaign.id or 0).values()
            return {
                int((file.mid or "M0")[1:]): figure.id or 0
                for file in found
                for figure in illustrations.figures(session, file.id or 0)
            }

    def batches(self) -> list[int]:
        """The numbers of the batches that wrote something."""
        with self.database.reading() as session:
            return [int(one["id"]) for one in depicts.batches(session, self.campaign) if one["done"]]

    def edits(self) -> list[DepictsEdit]:
        """All edits of the outbox, in the order in which they came into it."""
        with self.database.reading() as session:
            return list(session.exec(select(DepictsEdit).order_by(DepictsEdit.id)))  # type: ignore[arg-type]


def all_ended(processes: Sequence[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Wait for commands that run at the same time."""
    return [ended(one) for one in processes]


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a command that must go well; return what it told as JSON."""
    try:
        told, wrong = process.communicate(timeout=COMMAND_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, f"{told}\n{wrong}"
    found: dict[str, Any] = json.loads(told)
    return found


def _taxon(qid: str, name: str) -> TaxonFacts:
    """An item as a species that stands alone: whatever the wiki's items are, none is an ancestor of another."""
    return TaxonFacts(
        qid=qid,
        scientific_name=name,
        rank="species",
        rank_qid=None,
        parent_qid=None,
        parent_qids=(),
        authorship=None,
        names=(TaxonName("en", name, True),),
        ids={},
        image_title=None,
    )
