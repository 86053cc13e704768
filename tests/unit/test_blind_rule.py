"""The one rule by which answers are kept back from whoever may still give one of a figure's first votes."""

from hypothesis import given
from hypothesis import strategies as st

from icones.identifications.blind import Sight, is_kept_back

SIGHTS = st.builds(Sight, st.integers(0, 8), st.booleans(), st.booleans(), st.booleans())
VOTES = st.integers(0, 5)


@given(VOTES, SIGHTS)
def test_only_who_may_give_one_of_the_first_votes_is_kept_from_the_answers(blind_votes: int, sight: Sight) -> None:
    kept = is_kept_back(blind_votes, sight)
    may_be_first = not (sight.has_spoken or sight.is_settled or sight.reviews)
    assert kept == (may_be_first and sight.n_others in range(blind_votes))


@given(VOTES, st.integers(0, 8), st.integers(0, 8))
def test_more_voices_never_hide_what_was_shown(blind_votes: int, few: int, more: int) -> None:
    if is_kept_back(blind_votes, Sight(few + more)):
        assert is_kept_back(blind_votes, Sight(few))
