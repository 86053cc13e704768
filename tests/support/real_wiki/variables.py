"""The environment variables that name a wiki to run the contract tests against. CONTRIBUTING.md describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

API = "ICONES_TEST_COMMONS_API"
USER, PASSWORD = "ICONES_TEST_COMMONS_USER", "ICONES_TEST_COMMONS_PASSWORD"
USER2, PASSWORD2 = "ICONES_TEST_COMMONS_USER2", "ICONES_TEST_COMMONS_PASSWORD2"
OAUTH_ROOT = "ICONES_TEST_OAUTH_ROOT"
CLIENT_ID, CLIENT_SECRET = "ICONES_TEST_OAUTH_CLIENT_ID", "ICONES_TEST_OAUTH_CLIENT_SECRET"
ACCESS_TOKEN, REFRESH_TOKEN = "ICONES_TEST_OAUTH_ACCESS_TOKEN", "ICONES_TEST_OAUTH_REFRESH_TOKEN"
DEPICTS, FILES, ITEMS, CATEGORY = (
    *("ICONES_TEST_DEPICTS", "ICONES_TEST_FILES"),
    *("ICONES_TEST_ITEMS", "ICONES_TEST_CATEGORY"),
)
NAMES = (
    *(API, USER, PASSWORD, USER2, PASSWORD2, DEPICTS, FILES, ITEMS, CATEGORY),
    *(OAUTH_ROOT, CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN, REFRESH_TOKEN),
)
_PAGE = re.compile(r"M?([1-9]\d*)", re.IGNORECASE)
_ITEM = re.compile(r"Q[1-9]\d*")


class Variables:
    """What was set. A part that is not there skips the test that asks for it, and says which variable is missing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._set = {name: value.strip() for name in NAMES if (value := environment.get(name, "")).strip()}

    @property
    def name_a_wiki(self) -> bool:
        """Whether anything is set at all; else the tests have the stand-in."""
        return bool(self._set)

    def has(self, *names: str) -> bool:
        """Whether all of these are set."""
        return all(name in self._set for name in names)

    def need(self, *names: str, why: str = "") -> tuple[str, ...]:
        """Return the values, or skip the calling test."""
        missing = [name for name in names if name not in self._set]
        if missing:
            pytest.skip(f"set {' and '.join(missing)}{f' ({why})' if why else ''}; see CONTRIBUTING.md")
        return tuple(self._set[name] for name in names)

    def optional(self, name: str, default: str = "") -> str:
        """Return a value that may be left out."""
        return self._set.get(name, default)

    def files(self) -> tuple[int, ...]:
        """The page ids of the files that may be written to. Raises ValueError for what is no id."""
        (text,) = self.need(FILES)
        return tuple(dict.fromkeys(_page_id(one.strip()) for one in text.split(",") if one.strip()))

    def items(self) -> tuple[str, ...]:
        """The items that may be stated. Raises ValueError for what is no item."""
        (text,) = self.need(ITEMS)
        found = tuple(dict.fromkeys(one.strip().upper() for one in text.split(",") if one.strip()))
        for one in found:
            if not _ITEM.fullmatch(one):
                raise ValueError(f"{ITEMS}: {one!r} is not the id of an item")
        return found

    def addresses(self) -> list[tuple[str, int]]:
        """Return host and port of every wiki that is named: of its API and of its OAuth."""
        urls = [urlsplit(self._set[name]) for name in (API, OAUTH_ROOT) if name in self._set]
        ports = {"https": 443, "http": 80}
        return [(one.hostname or "", one.port or ports.get(one.scheme, 80)) for one in urls]


def _page_id(text: str) -> int:
    found = _PAGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{FILES}: {text!r} is neither an M-id nor a page id")
    return int(found[1])
