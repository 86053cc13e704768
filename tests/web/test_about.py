"""The pages that explain: every column of the export and every endpoint has its words, in every language."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from icones.db import Database
from icones.exports.csv_form import COLUMNS

Clients = Callable[..., TestClient]


@pytest.mark.parametrize("language", ["en", "nl", "de", "fr"])
@pytest.mark.parametrize("path", ["/about", "/data-dictionary", "/api"])
def test_the_pages_speak_every_language(database: Database, client_of: Clients, path: str, language: str) -> None:
    page = client_of().get(path, headers={"Accept-Language": language})
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text


def test_the_dictionary_explains_every_column(database: Database, client_of: Clients) -> None:
    page = client_of().get("/data-dictionary").text
    for column in COLUMNS:
        assert f'<tr id="{column}">' in page


def test_the_api_page_lists_what_openapi_describes(database: Database, client_of: Clients, app: Any) -> None:
    page = client_of().get("/api").text
    for path in app.openapi()["paths"]:
        assert f"<code>{path}</code>" in page
