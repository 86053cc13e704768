"""Where the shared test material lies, and a clear reason to skip where it does not.

Tests read real plates, names and recorded answers from a folder beside the repository. Nothing here copies or
changes that material, and nothing falls back to made-up pictures when it is absent.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def find_data_folder() -> Path | None:
    """The folder of plates, photographs and names: `ICONES_TEST_DATA`, else `../shared/data`; None if absent."""
    given = os.environ.get("ICONES_TEST_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    return folder if (folder / "plates").is_dir() else None


def find_reference_folder() -> Path | None:
    """The folder of recorded answers: beside the data folder, else `../shared/reference`; None if absent."""
    given = os.environ.get("ICONES_TEST_DATA")
    candidates = [Path(given).parent / "reference"] if given else []
    candidates.append(REPOSITORY.parent / "shared" / "reference")
    return next((folder for folder in candidates if (folder / "commons-api").is_dir()), None)


def data_folder() -> Path:
    """The data folder, or a skip of the calling test that says why."""
    folder = find_data_folder()
    if folder is None:
        pytest.skip("no test plates: set ICONES_TEST_DATA, or put them in ../shared/data beside the repository")
    return folder


def reference_folder() -> Path:
    """The folder of recorded answers, or a skip of the calling test that says why."""
    folder = find_reference_folder()
    if folder is None:
        pytest.skip("no recorded Commons answers: expected ../shared/reference/commons-api beside the repository")
    return folder
