"""An index of similar figures on the disk: its vectors, those put in since, and a card with all their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from active_learning.errors import ArtifactError
from active_learning.model import sync_folder, write_durably
from active_learning.similarity_build import faiss

ASIDE = ".aside"
AGAIN = "It must be built again from the stored embeddings."
_CARD = ".json"


def beside(path: Path, ending: str) -> Path:
    """The file of the same name with something at its end."""
    return path.with_name(path.name + ending)


def write(path: Path, main: Any, aside: Any | None, card: Mapping[str, Any]) -> None:
    """Write both faiss indexes and their card, each in one step. `aside` is None where nothing was put in since.

    A kill between the steps leaves files that do not match their card, which `read` refuses: nothing wrong is served.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told = dict(card) | {"sha256": _kept(path, main), "aside_sha256": ""}
    if aside is not None:
        told["aside_sha256"] = _kept(beside(path, ASIDE), aside)
    told["card_sha256"] = hashlib.sha256(_json(told)).hexdigest()
    _in_one_step(beside(path, _CARD), lambda unfinished: write_durably(unfinished, _json(told)))
    if aside is None:
        beside(path, ASIDE).unlink(missing_ok=True)
    sync_folder(path.parent)


def read(path: Path) -> tuple[Any, Any | None, dict[str, Any]]:
    """The faiss indexes and the card as `write` was given them. The vectors stay on the disk and are shared (mmap).

    Raises ArtifactError if anything is lost or damaged, in any byte.
    """
    card = _checked_card(path)
    main = _checked(path, card.pop("sha256", ""))
    told = card.pop("aside_sha256", "")
    return main, _checked(beside(path, ASIDE), told) if told else None, card


def _kept(path: Path, index: Any) -> str:
    """Write an index in one step; the SHA-256 of its bytes."""

    def fill(unfinished: Path) -> None:
        faiss().write_index(index, str(unfinished))
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        digests.append(_digest(unfinished))

    digests: list[str] = []
    _in_one_step(path, fill)
    return digests[0]


def _checked(path: Path, claimed: object) -> Any:
    try:
        before = path.stat()
        if _digest(path) != claimed:
            raise ArtifactError(f"The similarity index {path.name} was damaged: its checksum is wrong. {AGAIN}")
        index = faiss().read_index(str(path), faiss().IO_FLAG_MMAP_IFC)
        after = path.stat()
    except OSError as error:
        raise ArtifactError(f"The similarity index {path.name} is not there ({error.strerror}). {AGAIN}") from error
    except RuntimeError as error:
        raise ArtifactError(f"The similarity index {path.name} cannot be read ({error}). {AGAIN}") from error
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        raise ArtifactError(f"The similarity index {path.name} was replaced while it was read. {AGAIN}")
    return index


def _checked_card(path: Path) -> dict[str, Any]:
    card_path = beside(path, _CARD)
    try:
        content = card_path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"The similarity index {path.name} is not there ({error.strerror}). {AGAIN}") from error
    damaged = f"The card of the similarity index {path.name} was damaged. {AGAIN}"
    try:
        card = json.loads(content)
    except ValueError as error:
        raise ArtifactError(damaged) from error
    if not isinstance(card, dict) or _json(card) != content:
        raise ArtifactError(damaged)
    claimed = card.pop("card_sha256", "")
    if claimed != hashlib.sha256(_json(card)).hexdigest():
        raise ArtifactError(damaged)
    return card


def _json(card: Mapping[str, Any]) -> bytes:
    return json.dumps(card, sort_keys=True).encode()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_one_step(path: Path, fill: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        fill(unfinished)
        unfinished.chmod(0o644)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
