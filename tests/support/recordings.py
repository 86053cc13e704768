"""Recorded answers of a real wiki, and how the stand-in's answers are held against them.

Values that no stand-in can know (hashes, times, tokens, the number of a crash) are compared by form; everything else
must be equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDED_BASE = "http://127.0.0.1:8085"
HEADERS = ("MediaWiki-API-Error", "Retry-After", "X-Database-Lag")
VOLATILE = frozenset({"hash", "sha1", "time", "access_token", "refresh_token", "csrftoken", "logintoken"})
BLANKED = re.compile(r"<\w+>")
CRASH = re.compile(r"^\[[0-9a-f]{24}\] (?=Caught exception)")


@dataclass(frozen=True)
class Recording:
    """One request with what the wiki answered."""

    name: str
    method: str
    params: Mapping[str, str]
    url: str | None
    status: int
    headers: Mapping[str, str]
    body: Any


def load_recordings(folder: Path) -> dict[str, Recording]:
    """All recordings below `folder` (`commons-api`) by name."""
    index = json.loads((folder / "_index.json").read_text(encoding="utf-8"))
    return {entry["name"]: _recording(folder, entry) for entry in index}


def load_body(folder: Path, name: str) -> Any:
    """A recorded body by its name, also where the index does not list the request."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _recording(folder: Path, entry: Mapping[str, Any]) -> Recording:
    body = load_body(folder, entry["name"])
    params = {key: str(value) for key, value in entry.get("params", {}).items()}
    return Recording(entry["name"], entry["method"], params, entry.get("url"), entry["status"], entry["headers"], body)


def at_address(value: Any, base_url: str) -> Any:
    """A recorded body as if the wiki had answered at `base_url`."""
    return json.loads(json.dumps(value).replace(RECORDED_BASE, base_url))


def differences(expected: Any, actual: Any, volatile: frozenset[str] = VOLATILE, where: str = "") -> list[str]:
    """What differs, one line each; an empty list means equal. Keys in `volatile` are compared by type only."""
    if isinstance(expected, str) and isinstance(actual, str) and expected[:1] == actual[:1] == "{":
        return differences(json.loads(expected), json.loads(actual), volatile, f"{where}(json)")
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = [f"{where}/{key}: missing, expected {expected[key]!r}" for key in expected if key not in actual]
        found += [f"{where}/{key}: not expected, got {actual[key]!r}" for key in actual if key not in expected]
        for key in expected.keys() & actual.keys():
            if key in volatile:
                found += _same_kind(expected[key], actual[key], f"{where}/{key}")
            else:
                found += differences(expected[key], actual[key], volatile, f"{where}/{key}")
        return found
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{where}: {len(expected)} entries expected, {len(actual)} came: {actual!r}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [line for i, (one, two) in pairs for line in differences(one, two, volatile, f"{where}[{i}]")]
    if isinstance(expected, str) and isinstance(actual, str) and CRASH.match(expected):
        expected, actual = CRASH.sub("[ID] ", expected), CRASH.sub("[ID] ", actual)
    if expected != actual or type(expected) is not type(actual):
        return [f"{where}: expected {expected!r}, got {actual!r}"]
    return []


def _same_kind(expected: Any, actual: Any, where: str) -> list[str]:
    if type(expected) is not type(actual):
        return [f"{where}: expected a {type(expected).__name__}, got {actual!r}"]
    if isinstance(expected, str) and not BLANKED.fullmatch(expected) and len(expected) != len(actual):
        return [f"{where}: expected something like {expected!r}, got {actual!r}"]
    return []
