"""The name of a category, however a curator gives it."""

import pytest

from wiki_sync import CategoryNotFoundError, category_title


@pytest.mark.parametrize(
    "given",
    [
        "Historia Naturalis van Rudolf II",
        "Category:Historia Naturalis van Rudolf II",
        " category : Historia_Naturalis_van_Rudolf_II ",
        ":Category:Historia Naturalis van Rudolf II",
        "https://commons.wikimedia.org/wiki/Category:Historia_Naturalis_van_Rudolf_II",
        "https://commons.wikimedia.org/wiki/Category:Historia_Naturalis_van_Rudolf_II?uselang=nl#mw-pages",
        "https://commons.wikimedia.org/w/index.php?title=Category:Historia_Naturalis_van_Rudolf_II&action=view",
        "https://commons.m.wikimedia.org/wiki/Category:Historia%20Naturalis%20van%20Rudolf%20II",
    ],
)
def test_a_name_a_title_and_an_address_are_the_same(given: str) -> None:
    assert category_title(given) == "Category:Historia Naturalis van Rudolf II"


@pytest.mark.parametrize(
    "given", ["", "  ", "Category:", "https://commons.wikimedia.org/wiki/File:X.jpg", "https://example.org/", "a|b"]
)
def test_what_cannot_be_a_category_is_said_to_be_none(given: str) -> None:
    with pytest.raises(CategoryNotFoundError):
        category_title(given)
