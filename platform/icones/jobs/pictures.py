"""The images of a campaign: fetched from the wiki's image hosts, checked, and kept in the image store."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import BadInputError
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.store import ImageStore, Room, as_jpeg, readable
from icones.jobs.runner import Progress
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, Illustration
from icones.taxa.queries import batches
from wiki_sync import (
    BannedError,
    ImageDownloads,
    ImageTooLargeError,
    NotAnImageError,
    WikiError,
    standard_width,
)

AT_ONCE = 2
"""Downloads at the same time, as the robot policy of upload.wikimedia.org asks."""
ENOUGH_SHUT_DOORS = 5
"""So many pictures in a row are refused to us as strangers before nobody knocks any more in this run."""
REASONS_TOLD = 10


@dataclass(frozen=True)
class Outcome:
    """What became of an image. ``what`` is its name in the store, or why it is not there, in words."""

    kind: Literal["kept", "refused", "later"]
    what: str


def fetch_images(settings: Settings, database: Database, campaign: Campaign, progress: Progress) -> dict[str, int]:
    """Fetch the images that are still missing, two at once; each is kept as soon as it is there.

    An original that any campaign has already is not fetched again; one whose copy is not in the store any more is.
    Returns how many ``images`` came in, how many of them were ``shared`` with another illustration, how many were
    ``refused``, and how many are left for ``later``.
    """
    store = ImageStore(settings.data_dir / "images")
    store.sweep(utc_now())
    _notice_losses(database, store, campaign, progress)
    with database.reading() as session:
        rows = illustrations.without_image(session, campaign.id or 0)
        known = illustrations.images_of(session, {row.sha1 for row in rows if row.sha1})
    room = _room(settings, database, store)
    progress.step("Fetching images", 0, len(rows))
    _tell_width(settings, progress)
    tally = Tally(database, progress, len(rows))
    missing = []
    for group in _by_original(rows):
        name = next((one for one in sorted(known.get(group[0].sha1, ())) if store.has(one)), None)
        if name is not None:
            tally.add(group, Outcome("kept", name), shared=len(group))
        else:
            missing.append(group)
    with (
        ImageDownloads(wiki_config(settings), store.unfinished) as downloads,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        fetcher = Fetcher(downloads, room)
        waiting = {pool.submit(fetcher.fetch, group[0]): group for group in missing}
        try:
            for future in as_completed(waiting):
                tally.add(waiting[future], future.result(), shared=len(waiting[future]) - 1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    tally.close()
    _tell_thrown_away(room, progress)
    return tally.counts


def keep_within_limit(settings: Settings, database: Database, progress: Progress) -> int:
    """Clear the image store of what was left behind, and of what its limit has no room for; return how many files.

    What people are shown stays; where that alone takes more than the limit, the log says so.
    """
    store = ImageStore(settings.data_dir / "images")
    left_behind = store.sweep(utc_now())
    room = _room(settings, database, store)
    _tell_thrown_away(room, progress)
    if room.limit and room.taken > room.limit:
        progress.note(
            f"The image store takes {room.taken / 1e9:.3g} GB, more than its {room.limit / 1e9:.3g} GB: people are "
            "shown what is in it. Whoever runs this site can raise ICONES_IMAGE_CACHE_BYTES."
        )
    return left_behind + room.thrown_away


def _room(settings: Settings, database: Database, store: ImageStore) -> Room:
    def in_use() -> set[str]:
        with database.reading() as session:
            return illustrations.images_in_use(session)

    return Room(store, settings.image_cache_bytes, in_use, utc_now())


def _notice_losses(database: Database, store: ImageStore, campaign: Campaign, progress: Progress) -> None:
    """Find the illustrations whose copy is gone: a lost disk, or a backup that was restored without images."""
    with database.reading() as session:
        kept = illustrations.with_image(session, campaign.id or 0)
    lost = [key for key, name in kept if not store.has(name)]
    for batch in batches(lost):
        with database.writing() as session:
            illustration_service.images_lost(session, batch)
    if lost:
        progress.note(f"Images that were fetched before are not in the store any more: {len(lost)}. They come again.")


def _tell_thrown_away(room: Room, progress: Progress) -> None:
    if room.thrown_away:
        progress.note(
            f"To keep the image store within {room.limit / 1e9:g} GB, files were thrown away that can be made "
            f"anew or that nothing refers to: {room.thrown_away}."
        )


def _tell_width(settings: Settings, progress: Progress) -> None:
    width = standard_width(settings.image_width)
    if width != settings.image_width:
        progress.note(
            f"ICONES_IMAGE_WIDTH is {settings.image_width}, which Wikimedia does not serve; "
            f"the next standard width, {width}, is asked for."
        )


def _by_original(rows: Sequence[Illustration]) -> list[list[Illustration]]:
    """Return the illustrations in groups of one original each, by the SHA-1 that the wiki tells."""
    groups: dict[str, list[Illustration]] = defaultdict(list)
    for row in rows:
        groups[row.sha1 or f"row {row.id}"].append(row)
    return list(groups.values())


class Fetcher:
    """Fetches images into the store, one after the other or from several threads.

    Where the store is full, or the image host shut us out several times in a row, it asks no more.
    """

    def __init__(self, downloads: ImageDownloads, room: Room) -> None:
        self._downloads, self._room = downloads, room
        self._shut_out = 0

    def fetch(self, row: Illustration) -> Outcome:
        """Fetch one image. It is refused only where the file itself is no picture that can be used."""
        if self._room.is_full:
            return self._no_room()
        if self._shut_out >= ENOUGH_SHUT_DOORS:
            return Outcome("later", "The image host shut us out; it was not asked any further.")
        # Addresses are the wiki's own. A wiki gives the original's where the smaller picture would not be smaller.
        url = row.thumb_url or row.image_url
        try:
            content = self._downloads.fetch(url, row.sha1 if url == row.image_url else "")
            self._shut_out = 0
            name = self._room.put(as_jpeg(readable(content)))
        except BannedError as error:
            self._shut_out += 1
            return Outcome("later", str(error))
        except (NotAnImageError, ImageTooLargeError, BadInputError) as error:
            return Outcome("refused", str(error))
        except WikiError as error:
            # Also what is told to stay so: whether a file is there, the listing knows better than an image host.
            return Outcome("later", str(error))
        return Outcome("kept", name) if name is not None else self._no_room()

    def _no_room(self) -> Outcome:
        return Outcome(
            "later",
            f"The image store is full: what people are shown takes all of its {self._room.limit / 1e9:g} GB. "
            "Whoever runs this site can raise ICONES_IMAGE_CACHE_BYTES.",
        )


class Tally:
    """Writes down what became of each image, and counts."""

    def __init__(self, database: Database, progress: Progress, total: int) -> None:
        self.counts = {"images": 0, "shared": 0, "refused": 0, "later": 0}
        self._database, self._progress, self._total = database, progress, total
        self._done = 0
        self._reasons: Counter[str] = Counter()
        self._new_reasons: dict[int, str] = {}

    def add(self, rows: Sequence[Illustration], outcome: Outcome, shared: int) -> None:
        """Note what became of the image of these illustrations; ``shared`` of them cost no download."""
        if outcome.kind == "later":
            self._reasons[outcome.what] += len(rows)
            self._new_reasons |= {row.id or 0: outcome.what for row in rows if row.problem != outcome.what}
        else:
            self._write(rows, outcome)
        if outcome.kind == "kept":
            self.counts["shared"] += shared
        self.counts["images" if outcome.kind == "kept" else outcome.kind] += len(rows)
        self._done += len(rows)
        self._progress.at(self._done, self._total)

    def _write(self, rows: Sequence[Illustration], outcome: Outcome) -> None:
        with self._database.writing() as session:
            for row in rows:
                if outcome.kind == "kept":
                    illustration_service.image_fetched(session, row.id or 0, outcome.what, row.sha1)
                else:
                    illustration_service.image_refused(session, row.id or 0, outcome.what)
        if outcome.kind == "refused":
            for row in rows:
                self._progress.note(f"{row.title}: {outcome.what}")

    def close(self) -> None:
        """Keep why images were left for later, with each and in the log."""
        for batch in batches(list(self._new_reasons)):
            with self._database.writing() as session:
                illustration_service.images_waited_for(session, {key: self._new_reasons[key] for key in batch})
        for reason, n in self._reasons.most_common(REASONS_TOLD):
            self._progress.note(f"{n} × {reason}")
        if self.counts["later"]:
            self._progress.note(f"{self.counts['later']} images could not be fetched now; the next sync tries again.")
