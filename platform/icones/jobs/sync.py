"""The sync job: a campaign's source is listed, its statements mirrored, its taxa and images brought in."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import BadInputError
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.jobs import runner
from icones.jobs.runner import Progress
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, Illustration, JobKind, JobRun, SourceKind
from icones.taxa import service as taxa
from wiki_sync import (
    Commons,
    FileGoneError,
    ImageDownloads,
    MediaInfo,
    PermanentError,
    TaxonFacts,
    TaxonSource,
    TransientError,
    WikiConfig,
    WikiError,
    WikiFile,
    most_trusted,
)

_NAME_IN_TITLE = re.compile(r"\(([A-Z][a-zë-]{2,}(?: [a-zë-]{2,}){0,2})\)")
AT_ONCE = 2
"""Downloads at the same time, as the robot policy of upload.wikimedia.org asks."""


def sync(settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress) -> dict[str, Any]:
    """Bring a campaign in line with its source. May be stopped and started again at any moment."""
    if campaign.source_kind is not SourceKind.CATEGORY:
        raise BadInputError("This campaign's illustrations came from a folder; import the folder again instead.")
    config = wiki_config(settings, campaign.object_number_pattern)
    commons = Commons(config)
    progress.step(f"Listing Category:{campaign.source.removeprefix('Category:')}")
    listing = commons.category(campaign.source, campaign.source_depth, on_progress=progress.at)
    progress.step("Reading what Commons says they depict", 0, len(listing.files))
    media = commons.mediainfo([file.page_id for file in listing.files])
    qids = {one.qid for info in media.values() for one in info.depicts if one.qid}
    names = {name for file in listing.files if (name := name_in_title(file.title))}
    facts = _taxa(TaxonSource(config), qids, names, progress)
    now = utc_now()
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        n_taxa = taxa.save(session, facts, now)
        counted = illustration_service.save_listing(
            session, own, [_listed(config, file, media.get(file.page_id)) for file in listing.files], now
        )
        rows = illustrations.by_key(session, campaign.id or 0)
        for file in listing.files:
            if file.problem:
                illustration_service.image_refused(session, rows[file.mid].id or 0, file.problem)
        changes = illustration_service.mirror(
            session, {rows[info.mid].id or 0: info.depicts for info in media.values() if info.mid in rows}, now
        )
        illustration_service.take_up_boxes(session, own, [row.id or 0 for row in rows.values()], now)
    progress.note(
        f"{counted.new} new, {counted.changed} changed, {counted.gone} gone, {counted.back} back; {n_taxa} taxa."
    )
    fetched = fetch_images(settings, database, campaign, progress)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        runner.ask(session, JobKind.RETRAIN, own, utc_now(), trigger="sync")
    return {
        "files": counted.total,
        "new": counted.new,
        "changed": counted.changed,
        "gone": counted.gone,
        "back": counted.back,
        "taxa": n_taxa,
        "statements_changed": changes,
        **fetched,
    }


def _taxa(source: TaxonSource, qids: set[str], names: set[str], progress: Progress) -> list[TaxonFacts]:
    """Return the taxa behind these items and names with their lineages; without SPARQL the files still come in.

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
        return []


def name_in_title(title: str) -> str:
    """Return the scientific name that a file's name gives in brackets, letter for letter, else an empty text.

    "Sneeuwgors (Plectrophenax nivalis), RP-T-BR-2017-1-4-18.jpg" gives "Plectrophenax nivalis". It is what the source
    says, never an identification.
    """
    found = _NAME_IN_TITLE.search(title)
    return found[1] if found else ""


def _listed(config: WikiConfig, file: WikiFile, media: MediaInfo | None) -> Listed:
    number = most_trusted(config, media.object_number if media else None, file.object_number)
    return Listed(
        key=file.mid,
        mid=file.mid,
        title=file.title.removeprefix("File:"),
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
        licence=file.licence,
        licence_url=file.licence_url or "",
        object_number=number.value if number else "",
        object_number_source=number.source if number else "",
        verbatim_name=name_in_title(file.title),
        revision=(media.lastrevid if media and media.lastrevid else None) or file.lastrevid,
    )


def fetch_images(settings: Settings, database: Database, campaign: Campaign, progress: Progress) -> dict[str, int]:
    """Fetch the images that are still missing, two at once; each is kept as soon as it is there."""
    store = ImageStore(settings.data_dir / "images")
    with database.reading() as session:
        rows = illustrations.without_image(session, campaign.id or 0)
    tally = {"images": 0, "refused": 0, "later": 0}
    progress.step("Fetching images", 0, len(rows))
    with ImageDownloads(wiki_config(settings)) as downloads, ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(_fetch, downloads, store, row): row for row in rows}
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                tally[_keep(database, waiting[future], future.result(), progress)] += 1
                progress.at(done, len(rows))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if tally["later"]:
        progress.note(f"{tally['later']} images could not be fetched now; the next sync tries again.")
    return tally


Outcome = tuple[str, str]
"""``("images", sha1)``, ``("refused" | "gone" | "later", why)``."""


def _fetch(downloads: ImageDownloads, store: ImageStore, row: Illustration) -> Outcome:
    try:
        return "images", store.keep(downloads.fetch(row.thumb_url or row.image_url))
    except FileGoneError as error:
        return "gone", str(error)
    except TransientError as error:
        return "later", str(error)
    except (PermanentError, BadInputError) as error:
        return "refused", str(error)


def _keep(database: Database, row: Illustration, outcome: Outcome, progress: Progress) -> str:
    kind, what = outcome
    with database.writing() as session:
        if kind == "images":
            illustration_service.image_fetched(session, row.id or 0, what)
        elif kind != "later":
            illustration_service.image_refused(session, row.id or 0, what, gone=kind == "gone")
    if kind != "images":
        progress.note(f"{row.title}: {what}")
    return "refused" if kind == "gone" else kind


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
        for key, image in kept.items():
            illustration_service.image_fetched(session, rows[key].id or 0, image)
    return {"files": counted.total, "new": counted.new, "gone": counted.gone, "back": counted.back}
