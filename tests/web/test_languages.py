"""Pages speak the reader's language, before and after signing in, and the catalogues are full."""

from collections.abc import Callable

import pytest
from babel.messages.pofile import read_po
from starlette.testclient import TestClient

from icones.models import Campaign, Role
from icones.paths import bundled
from tests.support.people import csrf_of

OTHERS = ("nl", "de", "fr")


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_of_a_page_is_translated(language: str) -> None:
    with (bundled("locale") / language / "LC_MESSAGES" / "icones.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    shown = [one for one in catalogue if one.id and any("templates/" in place for place, _ in one.locations)]
    missing = [one.id for one in shown if not one.string or (one.pluralizable and not all(one.string))]
    assert len(shown) > 400
    assert missing == []


@pytest.mark.parametrize(("language", "words"), [("nl", "Aanmelden"), ("de", "Anmelden"), ("fr", "Se connecter")])
def test_a_page_speaks_the_browsers_language_and_signing_in_keeps_it(
    language: str, words: str, client_of: Callable[..., TestClient], campaign: Campaign
) -> None:
    client = client_of()
    client.headers["Accept-Language"] = f"{language};q=0.9, xx;q=0.1"
    assert words in client.get("/").text
    client.post("/sign-in/demo", data={"csrf": csrf_of(client), "role": Role.VOLUNTEER.value})
    assert f'<html lang="{language}">' in client.get("/").text


def test_errors_and_messages_are_told_in_the_readers_language(
    client_of: Callable[..., TestClient], campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    client.post("/language", data={"csrf": csrf_of(client), "language": "nl", "next": "/"})
    assert "Op dit adres is geen pagina." in client.get("/nowhere").text
    assert "Zo’n figuur is er niet." in client.get("/c/butterflies/tag?figure=999999").text
    page = client.post("/me", data={"csrf": csrf_of(client), "language": "nl"})
    assert "Opgeslagen." in page.text
