"""Embedding: a network looks at each new figure once; its vector, its fingerprint or the reason why not are kept.

Small campaigns are embedded in one go. The figures of large ones are cut into parts that any worker may carry out.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlmodel import Session

from active_learning import (
    Backbone,
    ImageError,
    LearningError,
    embed_files,
    load_backbone,
    open_figure,
    perceptual_hash,
    set_threads,
)
from active_learning.embedding import NO_VECTOR
from active_learning.weights import find_weights
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import NotReadyError
from icones.illustrations.store import ImageStore
from icones.jobs import shards
from icones.jobs.runner import Progress
from icones.learning import fingerprints, label_queries, service
from icones.learning.fingerprints import Looked
from icones.learning.service import ToEmbed
from icones.models import Campaign, JobRun

log = logging.getLogger(__name__)

EMBED, HASH, ELSEWHERE = "embed", "hash", "elsewhere"
"""The steps that are cut into parts."""
CLASSICAL = "classical"
PARTS_FROM = 2
"""So many parts it must be at least: less is done in one go."""
HASHES_AT_ONCE = 64
PROBLEMS_TOLD = 20
"""How many unreadable figures the log names."""
BLIND_FROM = 5
"""So many figures must be without a vector, and be more than those with one, before it is the network's fault."""
BLIND_AT_ONCE = 64
"""After so many the others are not waited for."""


Look = Callable[[Sequence[ToEmbed]], Iterator[int]]
"""Looks at figures, keeps what came of it batch by batch, and yields how many each batch held."""


@lru_cache(maxsize=4)
def _backbone(
    name: str, weights: Path | None, from_hub: bool, found: tuple[tuple[str, int, int], ...]
) -> tuple[Backbone, tuple[str, ...]]:
    """Load a network once. ``found`` is what its files are now: others in their place are loaded anew."""
    said: list[str] = []
    backbone = load_backbone(name, weights, allow_hub=from_hub, on_notice=said.append)
    return backbone, tuple(said)


def backbone_of(settings: Settings, campaign: Campaign, note: Callable[[str], None]) -> Backbone:
    """Return the network that embeds this campaign's figures; what it has to say goes to ``note``."""
    return network(settings, campaign.backbone, note)


def network(settings: Settings, name: str, note: Callable[[str], None]) -> Backbone:
    """Return the network of this name, or the installation's where it is empty; what it has to say goes to ``note``."""
    name = name or settings.backbone
    if name != CLASSICAL:
        set_threads(settings.threads)  # loads torch, which the built-in descriptor has no use for
    found = _files(name, settings.weights_dir)
    backbone, said = _backbone(name, settings.weights_dir, settings.weights_from_hub, found)
    for words in said:
        note(words)
    return backbone


def network_of_version(settings: Settings, version: str) -> Backbone:
    """Return the network that makes vectors of this version; NotReadyError where its weights are not at hand."""
    said: list[str] = []
    try:
        backbone = network(settings, service.network_of(version), said.append)
    except (LearningError, ValueError) as error:
        raise NotReadyError(f"The network {version} cannot be used: {error}") from error
    if backbone.version != version:
        raise NotReadyError(f"The network {version} is not at hand; its weights would give {backbone.version}.")
    return backbone


def _files(name: str, weights: Path | None) -> tuple[tuple[str, int, int], ...]:
    """Return the weights of a network's parts as they are on the disk now: path, time and size."""
    found = [path for part in name.split("+") if (path := find_weights(part, weights)) is not None]
    files = [file for path in found for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def embed_only(
    settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress
) -> dict[str, Any]:
    """Embed what is new, and nothing else."""
    return embed(settings, database, campaign, progress, backbone_of(settings, campaign, progress.note))


def embed(
    settings: Settings, database: Database, campaign: Campaign, progress: Progress, backbone: Backbone
) -> dict[str, Any]:
    """Let a network look at the figures it has yet to see, and find the near-duplicates among all figures.

    Kept batch by batch, so that a kill loses little. Returns for the run's result how many were ``embedded`` now, how
    many figures of the campaign are ``unreadable`` and ``near_duplicates`` of an earlier one, and, if any, of how many
    the network made nothing: ``without_vector``. These are tried again, by another network or the next time. Raises
    NotReadyError if they are most of all.
    """
    store = ImageStore(settings.data_dir / "images")
    with database.writing() as session:
        fingerprints.forget_mended(session, campaign.id or 0, lambda name: _kept_at(store, name))
    _forget_damaged(database, campaign, progress, backbone)
    with database.reading() as session:
        waiting = service.to_embed(session, campaign, backbone.version)
    progress.step(f"Looking at {len(waiting)} figures with {backbone.name}", 0, len(waiting))

    def look(items: Sequence[ToEmbed]) -> Iterator[int]:
        return _embed_items(settings, database, campaign, backbone, items)

    _go_through(settings, database, campaign, progress, EMBED, waiting, backbone.version, look)
    blind = _without_vector(database, campaign, progress, backbone, waiting)
    with database.reading() as session:
        older = fingerprints.without_fingerprint(session, campaign, backbone.version)
        elsewhere = service.to_embed_elsewhere(session, campaign, backbone.version)
    if elsewhere:
        progress.step(f"Looking at {len(elsewhere)} verified figures of other campaigns", 0, len(elsewhere))
        _go_through(settings, database, campaign, progress, ELSEWHERE, elsewhere, backbone.version, look)
    if older:
        _take_fingerprints(settings, database, campaign, progress, older, backbone.version)
    return _outcome(database, campaign, progress, backbone.version, waiting, blind)


def _without_vector(
    database: Database, campaign: Campaign, progress: Progress, backbone: Backbone, waiting: Sequence[ToEmbed]
) -> set[int]:
    """Return the figures that were looked at in vain, named in the log; NotReadyError if they are most of all."""
    if not waiting:
        return set()
    with database.reading() as session:
        blind = {one.figure_id for one in service.to_embed(session, campaign, backbone.version)}
        given = label_queries.n_usable(session, campaign.id or 0, backbone.version)
    blind &= {item.figure_id for item in waiting}
    for figure_id in sorted(blind)[:PROBLEMS_TOLD]:
        progress.note(f"Figure {figure_id}: {NO_VECTOR}. It is tried again the next time.")
    _require_sight(backbone, len(blind), given, BLIND_FROM)
    return blind


def _forget_damaged(database: Database, campaign: Campaign, progress: Progress, backbone: Backbone) -> None:
    """Let figures be looked at again whose stored vector is none: nobody could learn from it or find it."""
    with database.reading() as session:
        damaged = service.damaged(session, campaign, backbone.version, backbone.dim)
    if damaged:
        with database.writing() as session:
            service.forget_vectors(session, backbone.version, damaged)
        progress.note(f"The stored vectors of {len(damaged)} figures were damaged; they are made anew.")


def _take_fingerprints(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    progress: Progress,
    items: Sequence[ToEmbed],
    version: str,
) -> None:
    def look(items: Sequence[ToEmbed]) -> Iterator[int]:
        return _hash_items(settings, database, version, items)

    progress.step(f"Taking the fingerprints of {len(items)} figures", 0, len(items))
    _go_through(settings, database, campaign, progress, HASH, items, version, look)


def _kept_at(store: ImageStore, name: str) -> datetime | None:
    path = store.path(name)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None


def _go_through(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    progress: Progress,
    step: str,
    items: Sequence[ToEmbed],
    version: str,
    look: Look,
) -> None:
    """Carry out a step for these figures: in one go with ``look``, or in parts where they are many."""
    size = settings.shard_figures
    if len(items) < PARTS_FROM * size:
        done = 0
        for n in look(items):
            done += n
            progress.at(done, len(items))
        return
    payloads = [
        {"figures": [item.figure_id for item in items[start : start + size]], "backbone": version}
        for start in range(0, len(items), size)
    ]
    progress.note(f"In {len(payloads)} parts, which every worker with nothing else to do takes from.")
    shards.carry_out(settings, database, campaign, progress, step, STEPS[step], payloads)


def _embed_part(
    settings: Settings, database: Database, campaign: Campaign, payload: Mapping[str, Any], alive: shards.Alive
) -> None:
    """Embed the figures of one part that still wait."""
    _embed_waiting(settings, database, campaign, payload, alive, service.to_embed)


def _embed_part_elsewhere(
    settings: Settings, database: Database, campaign: Campaign, payload: Mapping[str, Any], alive: shards.Alive
) -> None:
    """Embed the figures of one part that still wait, of the campaigns that this one learns from."""
    _embed_waiting(settings, database, campaign, payload, alive, service.to_embed_elsewhere)


def _embed_waiting(
    settings: Settings,
    database: Database,
    campaign: Campaign,
    payload: Mapping[str, Any],
    alive: shards.Alive,
    waiting: Callable[[Session, Campaign, str, Collection[int]], list[ToEmbed]],
) -> None:
    version, figures = payload["backbone"], payload["figures"]
    try:
        backbone = network_of_version(settings, version)
    except NotReadyError as error:
        raise shards.UnableError(str(error)) from error
    with database.reading() as session:
        items = waiting(session, campaign, version, figures)
    for _ in _embed_items(settings, database, campaign, backbone, items):
        alive()


def _hash_part(
    settings: Settings, database: Database, campaign: Campaign, payload: Mapping[str, Any], alive: shards.Alive
) -> None:
    """Take the fingerprints of the figures of one part that still have none."""
    version, figures = payload["backbone"], payload["figures"]
    with database.reading() as session:
        items = fingerprints.without_fingerprint(session, campaign, version, figures)
    for _ in _hash_items(settings, database, version, items):
        alive()


STEPS: Mapping[str, shards.Step] = {EMBED: _embed_part, HASH: _hash_part, ELSEWHERE: _embed_part_elsewhere}
"""Which step of a run does what with one part."""


def _embed_items(
    settings: Settings, database: Database, campaign: Campaign, backbone: Backbone, items: Sequence[ToEmbed]
) -> Iterator[int]:
    """Embed figures and take their fingerprints, batch by batch; yields how many each held once it is kept.

    A figure of which the network makes nothing is left as it was: that is no fault of the image. Raises NotReadyError
    where these are more than all figures of the campaign that it gave a vector.
    """
    store = ImageStore(settings.data_dir / "images")
    files = [(store.path(item.image_sha1), item.box) for item in items]
    with database.reading() as session:
        given = label_queries.n_usable(session, campaign.id or 0, backbone.version)
    none = 0
    for batch in embed_files(backbone, files, threads=settings.threads, also=perceptual_hash):
        unreadable = {place: words for place, words in batch.problems.items() if words != NO_VECTOR}
        looked = Looked(
            [items[place] for place in batch.positions],
            batch.vectors,
            batch.extra,
            [(items[place], words) for place, words in unreadable.items()],
        )
        given += len(batch.positions)
        none += (blind := len(batch.problems) - len(unreadable))
        yield _keep(database, backbone.version, looked) + blind
        _require_sight(backbone, none, given, BLIND_AT_ONCE)


def _require_sight(backbone: Backbone, none: int, given: int, least: int) -> None:
    """Raise NotReadyError if a network gave no vector for so many figures at least, and for most of all."""
    if none >= least and none > given:
        none_of = f"{none} of {none + given} figures"
        words = f"{backbone.name} gave no usable vector for {none_of}: its weights must be damaged."
        raise NotReadyError(f"{words} Put sound ones in their place, or choose another network; then start this again.")


def _hash_items(settings: Settings, database: Database, version: str, items: Sequence[ToEmbed]) -> Iterator[int]:
    """Take the fingerprints of figures that were embedded before there were any; yields as ``_embed_items``."""
    store = ImageStore(settings.data_dir / "images")

    def look(item: ToEmbed) -> tuple[str, str]:
        try:
            return perceptual_hash(open_figure(store.path(item.image_sha1), item.box)), ""
        except ImageError as error:
            return "", str(error)

    with ThreadPoolExecutor(settings.threads) as pool:
        for start in range(0, len(items), HASHES_AT_ONCE):
            batch = items[start : start + HASHES_AT_ONCE]
            seen = list(zip(batch, pool.map(look, batch), strict=True))
            whole = [(item, phash) for item, (phash, problem) in seen if not problem]
            problems = [(item, problem) for item, (_, problem) in seen if problem]
            looked = Looked([item for item, _ in whole], None, [phash for _, phash in whole], problems)
            yield _keep(database, version, looked)


def _keep(database: Database, version: str, looked: Looked) -> int:
    with database.writing() as session:
        fingerprints.keep(session, version, looked, utc_now())
    return len(looked.figures) + len(looked.problems)


def _outcome(
    database: Database,
    campaign: Campaign,
    progress: Progress,
    version: str,
    waiting: Sequence[ToEmbed],
    blind: Collection[int],
) -> dict[str, Any]:
    """Find the near-duplicates, and say in numbers and in the log what the run came to."""
    with database.reading() as session:
        as_before = not waiting and fingerprints.are_grouped(session, campaign)
        found = None if as_before else fingerprints.prints(session, campaign, version)
    if found is not None:
        changed = fingerprints.new_groups(found)
        with database.writing() as session:
            fingerprints.keep_groups(session, changed)
    with database.reading() as session:
        problems = fingerprints.problems_of(session, campaign.id or 0)
        groups = fingerprints.groups_of(session, campaign.id or 0)
    for problem in problems[:PROBLEMS_TOLD]:
        progress.note(f"{problem.title}: {problem.words}")
    if len(problems) > PROBLEMS_TOLD:
        progress.note(f"… and {len(problems) - PROBLEMS_TOLD} more that could not be looked at.")
    failed = {problem.figure_id for problem in problems} | set(blind)
    return {
        "embedded": sum(item.figure_id not in failed for item in waiting),
        "unreadable": len(problems),
        "near_duplicates": sum(group != key for key, group in groups.items()),
        **({"without_vector": len(blind)} if blind else {}),
    }
