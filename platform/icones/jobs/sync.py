"""The sync job: a campaign is brought in line with its source on the wiki, files, statements, taxa and images.

When it ends well, what we hold is what the wiki has. It may be killed at any moment and started again: every file is
written together with the revision that was read, fifty files a transaction, so that the next run sees which are left;
what the run as a whole knows (up to when changes were read) is written last.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session

from icones.campaigns import sources
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import outbox
from icones.errors import BadInputError, ConflictError
from icones.illustrations import mirror
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.mirror import ReadFile, Taken
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.jobs import queries, runner
from icones.jobs.differences import HEADS_BY_ID, Differences, bare, differences, is_too_much
from icones.jobs.listing import Listing, Memory, Source, is_check_due
from icones.jobs.pictures import fetch_images
from icones.jobs.runner import Progress
from icones.jobs.taxa import keep_taxa
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, JobKind, JobRun, SourceKind
from icones.taxa import service as taxa
from icones.taxa.queries import batches
from wiki_sync import (
    Commons,
    MediaInfo,
    Meter,
    ObjectNumber,
    TaxonFacts,
    TaxonSource,
    WikiConfig,
    WikiError,
    WikiFile,
    metered,
    most_trusted,
)

NOT_FOUND_TOLD = 20
NEWS = (
    "new", "changed", "gone", "back", "numbers_corrected", "statements_changed", "taxa", "images", "refused",
)  # fmt: skip
"""The counts in a run's result that tell of a change."""
_NAME_IN_TITLE = re.compile(r"\(([A-Z][a-zë-]{2,}(?: [a-zë-]{2,}){0,2})\)")


class TooMuchGoneError(ConflictError):
    """So many files have left the source at once that a person must say whether it is meant."""

    code = "too-much-gone"


@dataclass(frozen=True)
class Wishes:
    """What the one who asked for a run wants of it."""

    full: bool = False
    """Read every file again, whatever the revisions say."""
    accept_loss: bool = False
    """Mark files as gone however many they are."""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Wishes":
        """Return the wishes in a run's parameters."""
        return cls(bool(parameters.get("full")), bool(parameters.get("accept_loss")))


def sync(settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress) -> dict[str, Any]:
    """Bring a campaign in line with its source, images included."""
    if campaign.source_kind not in sources.ON_THE_WIKI:
        raise BadInputError("This campaign's illustrations came from a folder; import the folder again instead.")
    with database.reading() as session:
        last = queries.last_done(session, campaign.id or 0, JobKind.SYNC)
    done = bring_in_line(settings, database, campaign, Wishes.of(run.parameters), progress)
    fetched = fetch_images(settings, database, campaign, progress)
    _ask_for_training(database, campaign, bool(fetched["images"] or done["gone"]))
    result = {**done, **fetched}
    return {**result, queries.NOTHING_NEW: is_as_before(result, last.result if last else {})}


def is_as_before(result: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Say whether a run changed nothing, and left as many images for later as the run before it."""
    return not any(result[name] for name in NEWS) and result["later"] == last.get("later")


def bring_in_line(
    settings: Settings, database: Database, campaign: Campaign, wishes: Wishes, progress: Progress
) -> dict[str, Any]:
    """Bring files, statements and taxa in line with the source and return the counts; images are left for later."""
    config = wiki_config(settings, campaign.object_number_pattern)
    with metered() as meter:
        return _Run(config, database, campaign, wishes, progress, meter).carry_out(settings.check_hours)


class _Run:
    """One sync of one campaign."""

    def __init__(
        self,
        config: WikiConfig,
        database: Database,
        campaign: Campaign,
        wishes: Wishes,
        progress: Progress,
        meter: Meter,
    ) -> None:
        self._config = config
        self._commons = Commons(config)
        self._database = database
        self._wishes = wishes
        self._progress = progress
        self._meter = meter
        with database.reading() as session:
            self._campaign = session.get_one(Campaign, campaign.id)
            self._known = illustrations.known_files(session, campaign.id or 0)
            last = queries.last_done(session, campaign.id or 0, JobKind.SYNC)
            self._is_taxa_open = self._is_left_over(session, last)
        memory = Memory.of(last.result) if last else Memory()
        self._source = Source(config, self._campaign, self._known, memory, meter, progress)

    def carry_out(self, check_hours: float) -> dict[str, Any]:
        is_due = self._wishes.full or is_check_due(self._campaign, utc_now(), check_hours)
        listing = (None if is_due else self._source.quick()) or self._source.compare()
        found = differences(self._known, listing.heads, everything=self._wishes.full)
        if is_too_much(found) and not listing.is_cut and not self._wishes.accept_loss:
            raise self._too_much(found)
        taken, vanished = self._read(found.to_read, listing.numbers)
        gone = self._mark_gone(vanished if listing.is_cut else [*found.missing, *vanished])
        corrected = self._correct_numbers(listing.numbers)
        n_taxa = self._bring_taxa(taken, is_thorough=is_due or self._is_taxa_open)
        self._finish(listing)
        no_files = tuple(f"M{page_id}" for page_id in vanished if page_id not in self._known)
        self._note(listing, (*listing.not_found, *no_files), f"{_counts(taken, gone)}; {n_taxa} taxa")
        return {
            "files": found.n_listed - len(vanished),
            "new": taken.new,
            "changed": taken.changed,
            "renamed": taken.renamed,
            "replaced": taken.replaced,
            "gone": gone,
            "back": taken.back,
            "numbers_corrected": corrected,
            "statements_changed": taken.statements,
            "taxa": n_taxa,
            "taxa_asked": not self._is_taxa_open,
            "not_found": len(listing.not_found) + len(no_files),
            "way": "full" if self._wishes.full else "comparison" if listing.is_compared else "recent changes",
            "api_calls": self._meter.api_calls,
            "sparql_calls": self._meter.sparql_calls,
            "source": listing.to_remember(),
        }

    def _is_left_over(self, session: Session, last: JobRun | None) -> bool:
        """Say whether an earlier run left taxa to be asked for: Wikidata was silent, or the run was cut off."""
        ended = self._campaign.synced_at
        if last is None or ended is None or not last.result.get("taxa_asked"):
            return True
        return illustrations.read_since(session, self._campaign.id or 0, ended)

    def _too_much(self, found: Differences) -> TooMuchGoneError:
        left = found.present - len(found.missing)
        return TooMuchGoneError(
            f"The source lists only {left} of the {found.present} files that were there. Nothing was changed, because "
            "this is more often a mistake at the source than meant. Look at the source; if the files are really gone "
            f"from it, accept the loss: on the curator's desk, or with icones sync {self._campaign.slug} --accept-loss"
        )

    def _read(self, page_ids: Sequence[int], numbers: Mapping[int, str]) -> tuple[Taken, list[int]]:
        """Read these files and take them in, batch by batch; return what came of it and which were there no more."""
        self._progress.step("Reading files and what Commons says they depict", 0, len(page_ids))
        total, vanished = Taken(), []
        for batch in batches(page_ids, HEADS_BY_ID):
            # The structured data first: were a file deleted in between, its statements would seem removed by somebody.
            media = self._commons.mediainfo(batch)
            files = self._commons.files(batch)
            read = [
                _read_file(self._config, file, media[page_id], numbers.get(page_id, ""))
                for page_id, file in files.items()
                if file is not None
            ]
            vanished += [page_id for page_id, file in files.items() if file is None]
            with self._database.writing() as session:
                total += self._take_in(session, read)
            self._progress.at(len(total.ids) + len(vanished), len(page_ids))
        return total, vanished

    def _take_in(self, session: Session, read: Sequence[ReadFile]) -> Taken:
        now = utc_now()
        own = session.get_one(Campaign, self._campaign.id)
        taken = mirror.take_in(session, own, read, now)
        session.flush()
        outbox.noticed(session, own, taken.ids, now)
        return taken

    def _mark_gone(self, page_ids: Iterable[int]) -> int:
        lost = sorted(page_id for page_id in page_ids if page_id in self._known and self._known[page_id].is_present)
        if not lost:
            return 0
        self._progress.step(f"Finding out why {len(lost)} files are gone")
        reasons = self._source.why_gone(lost)
        with self._database.writing() as session:
            by_id = {self._known[page_id].id: reason for page_id, reason in reasons.items()}
            return mirror.mark_gone(session, by_id, utc_now())

    def _correct_numbers(self, numbers: Mapping[int, str]) -> int:
        """Let object numbers that the source's list tells stand in the rows that were not read again too."""
        other = {
            self._known[page_id].id: number
            for page_id, number in numbers.items()
            if page_id in self._known and self._known[page_id].object_number != number[:200]
        }
        if not other:
            return 0
        with self._database.writing() as session:
            return mirror.correct_numbers(session, other, self._number_source)

    @property
    def _number_source(self) -> str:
        return f"{self._config.collection}/{self._config.inventory_number}"

    def _bring_taxa(self, taken: Taken, is_thorough: bool) -> int:
        """Bring in the taxa behind new items and names, and take up the boxes of taxa; return how many taxa came.

        A thorough run asks for all that are missing, any other only if it read a file.
        """
        key = self._campaign.id or 0
        n_taxa = 0
        if taken.ids or is_thorough:
            with self._database.reading() as session:
                qids = illustrations.stated_without_taxon(session, key)
                names = _names_to_ask(session, key, None if is_thorough else taken.ids)
            facts = _taxa(TaxonSource(self._config), qids, names, self._progress)
            self._is_taxa_open = facts is None
            with self._database.writing() as session:
                n_taxa = keep_taxa(session, facts or [], utc_now())[0].n
        with self._database.writing() as session:
            own = session.get_one(Campaign, key)
            waiting = illustrations.with_free_boxes(session, key)
            illustration_service.take_up_boxes(session, own, waiting, utc_now())
        return n_taxa

    def _finish(self, listing: Listing) -> None:
        """Write down how far we have read; where the curator chose another source meanwhile, that is not far."""
        now = utc_now()
        with self._database.writing() as session:
            own = session.get_one(Campaign, self._campaign.id)
            if (own.source, own.source_depth) != (self._campaign.source, self._campaign.source_depth):
                own.changes_read_at = own.checked_at = None
                return
            own.synced_at, own.changes_read_at = now, self._meter.first_time
            if listing.is_compared:
                own.checked_at = now
            if own.source_kind is SourceKind.FILES:
                own.source = sources.with_page_ids(own.source, dict(listing.found))
            session.add(own)

    def _note(self, listing: Listing, not_found: Sequence[str], counts: str) -> None:
        for one in not_found[:NOT_FOUND_TOLD]:
            self._progress.note(f"The wiki has no file “{one}”.")
        if len(not_found) > NOT_FOUND_TOLD:
            self._progress.note(f"{len(not_found) - NOT_FOUND_TOLD} more are not there.")
        if listing.is_cut:
            self._progress.note("The category tree is too large to be read whole; nothing was marked as gone.")
        if listing.title and listing.title.partition(":")[2] != _category_name(self._campaign.source):
            self._progress.note(f"The category is called “{listing.title.partition(':')[2]}” now.")
        self._progress.note(
            f"{counts}; {self._meter.api_calls} calls to the wiki, {self._meter.sparql_calls} to query services."
        )


def _counts(taken: Taken, gone: int) -> str:
    return f"{taken.new} new, {taken.changed} changed, {gone} gone, {taken.back} back"


def _category_name(source: str) -> str:
    return " ".join(source.removeprefix("Category:").replace("_", " ").split())


def _names_to_ask(session: Session, campaign_id: int, only: Sequence[int] | None) -> set[str]:
    """Return the names in titles of a campaign (of these illustrations only, if told) that no known taxon bears."""
    if only is None:
        names = illustrations.verbatim_names(session, campaign_id)
    else:
        names = {row.verbatim_name for row in illustrations.by_ids(session, only).values() if row.verbatim_name}
    return names - set(taxa.resolve(session, names))


def _taxa(source: TaxonSource, qids: set[str], names: set[str], progress: Progress) -> list[TaxonFacts] | None:
    """Return the taxa behind these items and names with their lineages; None if Wikidata did not answer.

    A name found in a title only makes its taxon known to the search; it says nothing about the figure.
    """
    if not qids and not names:
        return []
    progress.step(f"Asking Wikidata about {len(qids)} items and {len(names)} names")
    try:
        matches = source.by_name(sorted(names)) if names else {}
        named = {match.qid for answers in matches.values() for match in answers}
        return list(source.lineages(sorted(qids | named)).values())
    except WikiError as error:
        # Loud, and mended by the next sync: the illustrations are worth having meanwhile.
        progress.note(f"Wikidata did not answer, so names of taxa may be missing until the next sync: {error}")
        return None


def name_in_title(title: str) -> str:
    """Return the scientific name that a file's name gives in brackets, letter for letter, else an empty text.

    "Sneeuwgors (Plectrophenax nivalis), RP-T-BR-2017-1-4-18.jpg" gives "Plectrophenax nivalis". It is what the source
    says, never an identification.
    """
    found = _NAME_IN_TITLE.search(title)
    return found[1] if found else ""


def _read_file(config: WikiConfig, file: WikiFile, media: MediaInfo, number: str) -> ReadFile:
    """Return a file as it was read; ``number`` is what the source's own list gives as its object number."""
    own = ObjectNumber(number, f"{config.collection}/{config.inventory_number}") if number else None
    return ReadFile(_listed(config, file, media, own), media.depicts, file.problem or "")


def _listed(config: WikiConfig, file: WikiFile, media: MediaInfo, own: ObjectNumber | None) -> Listed:
    number = own or most_trusted(config, media.object_number, file.object_number)
    # Read in two calls: the older revision is kept, so that a change in between is seen by the next run.
    revisions = [one for one in (file.lastrevid, media.lastrevid) if one]
    return Listed(
        key=file.mid,
        mid=file.mid,
        title=bare(file.title),
        mime=file.mime,
        width=file.width,
        height=file.height,
        sha1=file.sha1,
        image_url=file.url,
        thumb_url=file.thumb_url or "",
        page_url=file.page_url,
        description=file.description,
        artist=file.artist,
        credit=file.credit,
        uploader=file.uploader,
        licence=file.licence,
        licence_url=file.licence_url or "",
        object_number=number.value if number else "",
        object_number_source=number.source if number else "",
        verbatim_name=name_in_title(file.title),
        revision=min(revisions) if revisions else None,
    )


def _ask_for_training(database: Database, campaign: Campaign, has_news: bool) -> None:
    """Ask for training if something came in, in this run or in one that was killed before it could ask."""
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        last = queries.last_asked(session, own.id or 0, JobKind.RETRAIN)
        if has_news or last is None or illustrations.read_since(session, own.id or 0, last.created_at):
            runner.ask(session, JobKind.RETRAIN, own, utc_now(), trigger="sync")


def import_folder(
    database: Database, store: ImageStore, campaign: Campaign, listed: Sequence[tuple[Listed, Path]]
) -> dict[str, int]:
    """Take a validated folder in: images first, then one transaction with all rows. Returns the counts."""
    kept = {item.key: store.keep(path.read_bytes()) for item, path in listed}
    now = utc_now()
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        counted = illustration_service.save_listing(session, own, [item for item, _ in listed], now)
        rows = illustrations.by_key(session, campaign.id or 0)
        for item, _ in listed:
            illustration_service.image_fetched(session, rows[item.key].id or 0, kept[item.key], item.sha1)
    return {"files": counted.total, "new": counted.new, "gone": counted.gone, "back": counted.back}
