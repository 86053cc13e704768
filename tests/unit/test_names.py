"""Names: folding, slips of the finger, and how well a name answers a search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icones.jobs.sync import name_in_title
from icones.taxa.names import closeness, distance, folded, slips_allowed

words = st.text(alphabet="abcdeé ü'-", max_size=9)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Vanessa  atalanta", "vanessa atalanta"),
        ("Großer Fuchs", "grosser fuchs"),
        ("Hüpfer", "hupfer"),
        ("Œillet d’Inde", "oeillet d inde"),
        ("ſolanum", "solanum"),
        ("Paſſer", "passer"),
        ("×Sorbaronia", "sorbaronia"),
        ("…", ""),
    ],
)
def test_names_are_folded_as_people_type_them(name: str, plain: str) -> None:
    assert folded(name) == plain


@given(words)
def test_folding_twice_is_folding_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)


def slow_distance(one: str, other: str) -> int:
    """Optimal string alignment by its definition."""
    if not one or not other:
        return len(one) + len(other)
    best = min(
        slow_distance(one[:-1], other) + 1,
        slow_distance(one, other[:-1]) + 1,
        slow_distance(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    )
    if len(one) > 1 and len(other) > 1 and one[-1] == other[-2] and one[-2] == other[-1]:
        best = min(best, slow_distance(one[:-2], other[:-2]) + 1)
    return best


@given(st.text(alphabet="abc", max_size=5), st.text(alphabet="abc", max_size=5), st.integers(0, 6))
def test_the_quick_distance_is_the_true_one_up_to_its_limit(one: str, other: str, limit: int) -> None:
    assert distance(one, other, limit) == min(slow_distance(one, other), limit + 1)


@pytest.mark.parametrize(
    ("query", "name", "found"),
    [
        ("vanessa atalanta", "vanessa atalanta", True),
        ("atal", "vanessa atalanta", True),
        ("v ata", "vanessa atalanta", True),
        ("atalnta", "vanessa atalanta", True),
        ("vanesa atlanta", "vanessa atalanta", True),
        ("dsitelvlinder", "distelvlinder", True),
        ("roodbortsje", "roodborstje", True),
        ("cat", "car", False),
        ("pieris", "vanessa atalanta", False),
    ],
)
def test_slips_are_forgiven_and_other_names_are_not(query: str, name: str, found: bool) -> None:
    assert (closeness(query, name) is not None) is found


@given(words)
def test_a_name_answers_itself_best(name: str) -> None:
    plain = folded(name)
    if plain:
        assert closeness(plain, plain) == 0
        assert slips_allowed(plain) <= 2


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("File:Sneeuwgors (Plectrophenax nivalis), RP-T-BR-2017-1-4-18.jpg", "Plectrophenax nivalis"),
        ("File:Zeehond (Phocidae).jpg", "Phocidae"),
        ("File:Goose (Anser anser domesticus) 2.jpg", "Anser anser domesticus"),
        ("File:Butterfly figure (0010002).jpg", ""),
        ("File:A plate (from the album).jpg", ""),
        ("File:Plain.jpg", ""),
    ],
)
def test_a_name_in_a_title_is_read_letter_for_letter(title: str, name: str) -> None:
    assert name_in_title(title) == name
