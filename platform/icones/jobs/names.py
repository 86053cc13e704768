"""The names job: what a campaign's source writes under its illustrations is looked up, name by name.

A catalogue that is down never fails the run: its names stay open, and the next run asks for them again. Each batch is
one transaction, so a killed run goes on where it was.
"""

from typing import Any

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs.folder import state_names
from icones.jobs.runner import Progress
from icones.jobs.taxa import keep_taxa
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, JobRun
from icones.names import service as names
from wiki_sync.names import NameResolver, NameServices, Scope

BATCH = 40


def name_services(settings: Settings) -> NameServices:
    """Return where the catalogues of names are for this installation."""
    return NameServices(
        gbif_url=settings.gbif_url,
        gbif_checklist=settings.gbif_checklist,
        col_url=settings.col_url,
        worms_url=settings.worms_url,
        pause_s=settings.names_pause_s,
    )


def find_names(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Look up the written names that nobody knows yet; ``again`` asks for all open ones, ``marine`` asks WoRMS too."""
    with database.reading() as session:
        wanted = names.to_ask(session, campaign, again=bool(run.parameters.get("again")))
    progress.step(f"Looking up {len(wanted)} names", 0, len(wanted))
    matched = still_open = waiting = 0
    scope = Scope(campaign.root_taxon_qid or "", bool(run.parameters.get("marine")))
    with NameResolver(wiki_config(settings), name_services(settings), scope) as resolver:
        for start in range(0, len(wanted), BATCH):
            found = resolver.resolve(wanted[start : start + BATCH])
            with database.writing() as session:
                keep_taxa(session, found.facts.values(), utc_now())
                kept = names.keep(session, campaign, found.names.values(), utc_now())
            matched, still_open = matched + kept.matched, still_open + kept.open
            waiting += kept.waiting
            progress.at(min(start + BATCH, len(wanted)), len(wanted))
        with database.writing() as session:
            state_names(session, session.get_one(Campaign, campaign.id), utc_now())
        for problem in resolver.down.values():
            progress.note(f"Not all could be asked; the next run asks again: {problem}")
    return {"asked": len(wanted), "matched": matched, "open": still_open, "waiting": waiting}
