"""The taxa job: what Wikidata says of the taxa we keep is asked again, and a campaign's scope is brought in.

Each batch is one transaction: facts, lineages, and the determinations that hang on them. Killed in the middle, the
next run goes on with what is left, for every taxon knows when it was last asked for.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import BadInputError, ConflictError, NotReadyError
from icones.identifications import queries as identifications
from icones.identifications import service as identification_service
from icones.illustrations import queries as illustrations
from icones.jobs import queries, runner
from icones.jobs.runner import Progress
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, JobKind, JobRun, JobState, Person
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service
from icones.taxa.service import Kept
from wiki_sync import TaxonFacts, TaxonSource

BATCH = 200
"""As many taxa as are asked for, and kept, at once."""
MOST_A_DAY = 5_000
"""So many that were due are asked again by one scheduled run; the rest waits for the next."""
FEW = 5
"""Of so few, all may have gone; of more, not most: then the service is not believed."""


@dataclass
class Tally:
    """What a run has changed so far."""

    kept: int = 0
    new: int = 0
    renamed: int = 0
    moved: int = 0
    merged: int = 0
    gone: int = 0
    decided_anew: int = 0
    members: dict[str, Any] = field(default_factory=dict)

    def add(self, kept: Kept, gone: int, changed: int) -> None:
        """Count one batch."""
        self.kept += kept.n
        self.new += len(kept.new)
        self.renamed += len(kept.renamed)
        self.moved += len(kept.moved)
        self.merged += len(kept.merged)
        self.gone += gone
        self.decided_anew += changed

    def result(self) -> dict[str, Any]:
        """Return the counts as a run's result; the scope's only where it was brought in."""
        counts = {name: value for name, value in vars(self).items() if name != "members"}
        return counts | self.members


def renew_taxa(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Ask Wikidata again for taxa, and bring the campaign's scope in.

    Parameters of the run: ``root``, a Q-id or a scientific name that becomes the campaign's root taxon; ``which`` taxa
    are asked again: those of the ``campaign`` (the default), those that are ``due``, or ``all``; ``scope``, whether the
    members of the scope are brought in (the default). Raises BadInputError for a root that is no taxon.
    """
    source = TaxonSource(wiki_config(settings))
    which = run.parameters.get("which", "campaign")
    since = run.created_at if which != "due" else run.created_at - timedelta(days=settings.taxa_days)
    tally = Tally()
    if wanted := run.parameters.get("root"):
        _set_root(database, source, campaign, wanted, progress, tally)
    _renew_old(database, source, campaign, which, since, progress, tally)
    if run.parameters.get("scope", True):
        _bring_scope(settings, database, source, campaign, since, progress, tally)
    return tally.result()


def _set_root(
    database: Database, source: TaxonSource, campaign: Campaign, wanted: str, progress: Progress, tally: Tally
) -> None:
    """Make what a curator named the campaign's root taxon; raise BadInputError if Wikidata knows no such taxon."""
    progress.step(f"Looking for {wanted} on Wikidata")
    qid = wanted if taxon_service.is_qid(wanted) else _bearer(source, wanted)
    facts = source.lineages([qid])
    if qid not in facts:
        raise BadInputError(f"{qid} is not a taxon on Wikidata, so this campaign's scope was left as it was.")
    with database.writing() as session:
        _keep(session, facts.values(), (), progress, tally)
        own = session.get_one(Campaign, campaign.id)
        own.root_taxon_qid = taxon_service.current(session, [qid])[qid]
        session.add(own)
    progress.note(f"The scope is {facts[qid].scientific_name} ({facts[qid].merged_into or qid}).")


def _bearer(source: TaxonSource, name: str) -> str:
    own = [match.qid for match in source.by_name([name])[name] if match.how == "name"]
    if not own:
        raise BadInputError(f"Wikidata has no taxon called “{name}”, so this campaign's scope was left as it was.")
    if len(own) > 1:
        raise BadInputError(
            f"“{name}” is the name of several taxa on Wikidata: {', '.join(own)}. Give the Q-id of the one you mean."
        )
    return own[0]


def _renew_old(
    database: Database,
    source: TaxonSource,
    campaign: Campaign,
    which: str,
    since: datetime,
    progress: Progress,
    tally: Tally,
) -> None:
    """Ask again for taxa that were not asked for since a moment, the longest-waiting first."""
    campaign_id = campaign.id if which == "campaign" else None
    with database.reading() as session:
        n_old = taxa.n_older(session, since, campaign_id)
    total = min(n_old, MOST_A_DAY) if which == "due" else n_old
    progress.step("Asking Wikidata again about taxa we know", 0, total)
    done = 0
    while done < total:
        with database.reading() as session:
            batch = taxa.oldest(session, since, min(BATCH, total - done), campaign_id)
        if not batch:
            break
        _bring(database, source, batch, progress, tally)
        done += len(batch)
        progress.at(done, total)
    if n_old > total:
        progress.note(f"{n_old - total} more are due; they wait for the next run.")


def _bring_scope(
    settings: Settings,
    database: Database,
    source: TaxonSource,
    campaign: Campaign,
    since: datetime,
    progress: Progress,
    tally: Tally,
) -> None:
    """Bring in the members of the campaign's scope, as many as the setting allows."""
    with database.reading() as session:
        root = session.get_one(Campaign, campaign.id).root_taxon_qid
        root = taxon_service.current(session, [root]).get(root or "")
    if root is None or settings.scope_taxa == 0:
        return
    progress.step("Looking which taxa lie within the scope")
    members = source.members(root, settings.scope_taxa, on_progress=progress.at)
    if not members.is_complete:
        progress.note(
            f"Of {members.n_found} taxa seen within the scope, {len(members.qids)} are taken up: those that most pages "
            "of Wikimedia's wikis are about. ICONES_SCOPE_TAXA sets how many. Others can still be asked for by name."
        )
    with database.reading() as session:
        fresh = taxa.fresh(session, members.qids, since)
    waiting = [qid for qid in members.qids if qid not in fresh]
    progress.step("Asking Wikidata about the taxa within the scope", 0, len(waiting))
    for start in range(0, len(waiting), BATCH):
        _bring(database, source, waiting[start : start + BATCH], progress, tally)
        progress.at(min(start + BATCH, len(waiting)), len(waiting))
    tally.members = {"members": len(members.qids), "members_found": members.n_found}


def _bring(database: Database, source: TaxonSource, qids: Sequence[str], progress: Progress, tally: Tally) -> None:
    """Ask for these taxa, for what they were merged into and for parents that nobody knows yet, and keep all of it."""
    facts = source.taxa(qids)
    parents = {parent for fact in facts.values() for parent in fact.parent_qids} - facts.keys()
    with database.reading() as session:
        parents -= taxa.known(session, parents)
    facts = source.lineages({*qids} - facts.keys() | parents) | facts
    gone = [qid for qid in qids if qid not in facts]
    if len(gone) > FEW and 2 * len(gone) > len(qids):
        raise NotReadyError(
            f"The query service knows only {len(qids) - len(gone)} of {len(qids)} taxa. That is not believed, and "
            "nothing was changed. Look whether ICONES_SPARQL_URLS names a complete copy of Wikidata."
        )
    with database.writing() as session:
        _keep(session, facts.values(), gone, progress, tally)


def _keep(
    session: Session, facts: Iterable[TaxonFacts], gone: Collection[str], progress: Progress, tally: Tally
) -> None:
    now = utc_now()
    kept, changed = keep_taxa(session, facts, now)
    n_gone = taxon_service.mark_gone(session, gone, now)
    tally.add(kept, n_gone, changed)
    for before, after in kept.renamed:
        progress.note(f"Renamed: {before} is called {after} now.")
    for old, target in kept.merged:
        progress.note(f"Merged: {old} is {target} now.")
    if n_gone:
        progress.note(f"No longer taxa on Wikidata, kept as last known: {', '.join(sorted(gone))}.")


def keep_taxa(session: Session, facts: Iterable[TaxonFacts], now: datetime) -> tuple[Kept, int]:
    """Keep these taxa and decide anew, in the same transaction, every figure whose named taxa stand elsewhere now.

    Returns what changed and how many determinations did. Identifications stay as they were given.
    """
    kept = taxon_service.keep(session, facts, now)
    changed = 0
    for campaign_id, figures in sorted(identifications.figures_named(session, kept.moved).items()):
        for figure_id in sorted(figures):
            illustrations.locked_figure(session, figure_id)  # somebody may be naming it this very moment
        campaign = session.get_one(Campaign, campaign_id)
        changed += identification_service.recompute(
            session, campaign, figures, now, because=identification_service.MOVED
        )
    return kept, changed


def ask_for_scope(
    session: Session, campaign: Campaign, wanted: str, now: datetime, *, person: Person | None = None
) -> JobRun | None:
    """Set a campaign's root taxon and ask for the members of its scope; the run, or None where the scope was lifted.

    ``wanted`` is a Q-id or a scientific name; empty lifts the scope. A taxon that we know becomes the root at once,
    any other when the run has found it. Raises ConflictError while another run brings this campaign's taxa.
    """
    under_way = queries.unfinished(session, campaign.id, JobKind.TAXA)
    if under_way is not None and under_way.state is JobState.RUNNING:
        raise ConflictError("The taxa of this campaign are being fetched just now. Set its scope when that is done.")
    said = " ".join(wanted.split())
    known = taxon_service.find(session, said) if said else None
    if known or not said:
        campaign.root_taxon_qid = known
        session.add(campaign)
    if not said and under_way is None:
        return None
    run = under_way or runner.ask(session, JobKind.TAXA, campaign, now, person=person)
    run.parameters = {**run.parameters, "scope": True, "root": "" if known else said}
    session.add(run)
    return run if said else None


def ask_for_what_is_due(session: Session, settings: Settings, now: datetime) -> None:
    """Ask for runs that renew what was not asked for in a long time: taxa, in one campaign's name, and old scopes."""
    if not settings.taxa_days:
        return
    since = now - timedelta(days=settings.taxa_days)
    for place, campaign in enumerate(sorted(campaigns.all_open(session), key=lambda one: one.id or 0)):
        brought = queries.last_with_result(session, campaign.id or 0, JobKind.TAXA, "members")
        is_old = campaign.root_taxon_qid is not None and (brought is None or brought.created_at < since)
        if is_old or (place == 0 and taxa.n_older(session, since)):
            parameters = {"which": "due", "scope": is_old}
            runner.ask(session, JobKind.TAXA, campaign, now, trigger="schedule", parameters=parameters)
