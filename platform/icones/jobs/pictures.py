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
from wiki_sync import FileGoneError, ImageDownloads, PermanentError, TransientError, standard_width

AT_ONCE = 2
"""Downloads at the same time, as the robot policy of upload.wikimedia.org asks."""
REASONS_TOLD = 10


@dataclass(frozen=True)
class Outcome:
    """What became of an image. ``what`` is its name in the store, or why it is not there, in words."""

    kind: Literal["kept", "gone", "refused", "later"]
    what: str


def fetch_images(settings: Settings, database: Database, campaign: Campaign, progress: Progress) -> dict[str, int]:
    """Fetch the images that are still missing, two at once; each is kept as soon as it is there.

    An original that any campaign has already is not fetched again. Returns how many ``images`` came in, how many of
    them were ``shared`` with another illustration, how many were ``refused``, and how many are left for ``later``.
    """
    store = ImageStore(settings.data_dir / "images")
    store.sweep(utc_now())
    with database.reading() as session:
        rows = illustrations.without_image(session, campaign.id or 0)
        known = illustrations.images_of(session, {row.sha1 for row in rows if row.sha1})
    room = Room(store, settings.image_cache_bytes, lambda: _in_use(database), utc_now())
    progress.step("Fetching images", 0, len(rows))
    _tell_width(settings, progress)
    tally = Tally(database, progress, len(rows))
    missing = []
    for group in _by_original(rows):
        name = known.get(group[0].sha1)
        if name is not None and store.path(name).is_file():
            tally.add(group, Outcome("kept", name), shared=len(group))
        else:
            missing.append(group)
    with (
        ImageDownloads(wiki_config(settings), store.unfinished) as downloads,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        waiting = {pool.submit(_fetch, downloads, room, group[0]): group for group in missing}
        try:
            for future in as_completed(waiting):
                tally.add(waiting[future], future.result(), shared=len(waiting[future]) - 1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    tally.tell(room)
    return tally.counts


def _in_use(database: Database) -> set[str]:
    with database.reading() as session:
        return illustrations.images_in_use(session)


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


def _fetch(downloads: ImageDownloads, room: Room, row: Illustration) -> Outcome:
    if room.is_full:
        return _no_room(room)
    # Addresses are the wiki's own. A wiki gives the original's where the smaller picture would not be smaller.
    url = row.thumb_url or row.image_url
    try:
        content = downloads.fetch(url, row.sha1 if url == row.image_url else "")
        name = room.put(as_jpeg(readable(content)))
    except FileGoneError as error:
        return Outcome("gone", str(error))
    except TransientError as error:
        return Outcome("later", str(error))
    except (PermanentError, BadInputError) as error:
        return Outcome("refused", str(error))
    return Outcome("kept", name) if name is not None else _no_room(room)


def _no_room(room: Room) -> Outcome:
    return Outcome(
        "later",
        f"The image store is full: what people are shown takes all of its {room.limit / 1e9:g} GB. "
        "Whoever runs this site can raise ICONES_IMAGE_CACHE_BYTES.",
    )


class Tally:
    """Writes down what became of each image, and counts."""

    def __init__(self, database: Database, progress: Progress, total: int) -> None:
        self.counts = {"images": 0, "shared": 0, "refused": 0, "later": 0}
        self._database, self._progress, self._total = database, progress, total
        self._done = 0
        self._reasons: Counter[str] = Counter()

    def add(self, rows: Sequence[Illustration], outcome: Outcome, shared: int) -> None:
        """Note what became of the image of these illustrations; ``shared`` of them cost no download."""
        kind, what = outcome.kind, outcome.what
        if kind == "later":
            self._reasons[what] += len(rows)
        else:
            self._write(rows, outcome)
        if kind == "kept":
            self.counts["shared"] += shared
        self.counts["images" if kind == "kept" else "refused" if kind == "gone" else kind] += len(rows)
        self._done += len(rows)
        self._progress.at(self._done, self._total)

    def _write(self, rows: Sequence[Illustration], outcome: Outcome) -> None:
        with self._database.writing() as session:
            for row in rows:
                if outcome.kind == "kept":
                    illustration_service.image_fetched(session, row.id or 0, outcome.what)
                else:
                    gone = outcome.kind == "gone"
                    illustration_service.image_refused(session, row.id or 0, outcome.what, gone=gone)
        if outcome.kind != "kept":
            for row in rows:
                self._progress.note(f"{row.title}: {outcome.what}")

    def tell(self, room: Room) -> None:
        """Put into the log what was left for later and why, and what was thrown away."""
        for reason, n in self._reasons.most_common(REASONS_TOLD):
            self._progress.note(f"{n} × {reason}")
        if self.counts["later"]:
            self._progress.note(f"{self.counts['later']} images could not be fetched now; the next sync tries again.")
        if room.thrown_away:
            self._progress.note(
                f"To keep the image store within {room.limit / 1e9:g} GB, files were thrown away that can be made "
                f"anew or that nothing refers to: {room.thrown_away}."
            )
