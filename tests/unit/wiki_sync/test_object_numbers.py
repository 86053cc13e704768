"""Object numbers in titles and templates."""

from pathlib import Path

import pytest

from wiki_sync import ObjectNumber, WikiConfig, most_trusted
from wiki_sync.object_numbers import number_in_title, number_in_wikitext

CONFIG = WikiConfig(
    api_url="https://commons.wikimedia.org/w/api.php",
    sparql_urls=(),
    user_agent="IconesTest/0 (test@example.org)",
    state_dir=Path("unused"),
)


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("File:Sneeuwgors (Plectrophenax nivalis), RP-T-BR-2017-1-4-18.jpg", "RP-T-BR-2017-1-4-18"),
        ("File:Sneeuwgors_RP-T-BR-2017-1-4-18_(recto).jpg", "RP-T-BR-2017-1-4-18"),
        ("File:RP-T-BR-2017-1-4-18(V).tif", "RP-T-BR-2017-1-4-18"),
        ("File:RP-P-OB-1.jpg", "RP-P-OB-1"),
        ("File:Plate without a number.jpg", None),
        ("File:XRP-T-1.jpg", None),
    ],
)
def test_the_number_in_a_title_is_found(title: str, number: str | None) -> None:
    expected = ObjectNumber(number, "title") if number else None
    assert number_in_title(CONFIG, title) == expected


@pytest.mark.parametrize("stem", ["RP-T-BR-2017-1-4-18v", "RP-T-BR-2017-1-4-18-recto", "RP-T-BR-2017-1-4-18é"])
def test_a_number_is_never_cut_down_to_another_objects_number(stem: str) -> None:
    assert number_in_title(CONFIG, f"File:{stem}.jpg") is None


@pytest.mark.parametrize(
    ("wikitext", "number"),
    [
        ("{{Artwork\n|title=x\n|accession number = RP-T-BR-2017-1-4-18\n}}", "RP-T-BR-2017-1-4-18"),
        ("{{Artwork|Accession_number=[https://example.org/1 RP-T-BR-2017-1-4-18]}}", "RP-T-BR-2017-1-4-18"),
        ("{{Artwork|accession number=<!-- later --> }} text", None),
        ("{{Artwork|accession number=}}{{Photo|accession number=RP-P-1}}", "RP-P-1"),
        ("{{Artwork|accession number={{Inv|Natuurhist. 1234 b}}}}", "Natuurhist. 1234 b"),
        ("{{Artwork|accession number=" + "x" * 200 + "}}", None),
        ("{{Artwork|notes={{Art|accession number=RP-P-2}}}}", "RP-P-2"),
        ("The accession number is RP-P-3, without a template.", None),
        ("{{Information|description=x}}", None),
        ("", None),
        ("{{Artwork|accession number=RP-P-4", None),
    ],
)
def test_the_number_in_a_template_is_found(wikitext: str, number: str | None) -> None:
    expected = ObjectNumber(number, "template") if number else None
    assert number_in_wikitext(CONFIG, wikitext) == expected


def test_the_most_trusted_source_wins_whatever_the_order() -> None:
    title, template = ObjectNumber("RP-1", "title"), ObjectNumber("RP-2", "template")
    own, qualifier = ObjectNumber("RP-3", "P217"), ObjectNumber("RP-4", "P195/P217")
    assert most_trusted(CONFIG, title, template, own, qualifier) is qualifier
    assert most_trusted(CONFIG, own, None, template) is own
    assert most_trusted(CONFIG, title, template) is template
    assert most_trusted(CONFIG, None, title) is title
    assert most_trusted(CONFIG, None) is None
