"""Which members of a scope are taken, when there are more than can be kept."""

from hypothesis import given
from hypothesis import strategies as st

from wiki_sync.members import Below, most_linked


@st.composite
def forests(draw: st.DrawFn) -> dict[str, Below]:
    """Taxa below Q1, each with a parent that was found before it."""
    found: dict[str, Below] = {}
    for n in range(2, draw(st.integers(2, 25))):
        parent = draw(st.integers(1, n - 1))
        found[f"Q{n}"] = Below(f"Q{parent}", draw(st.integers(0, 5)))
    return found


@given(forests(), st.integers(1, 30))
def test_what_is_taken_hangs_together_and_fits(found: dict[str, Below], limit: int) -> None:
    chosen = most_linked(found, "Q1", limit)
    assert len(chosen) <= limit
    assert len(set(chosen)) == len(chosen)
    for place, qid in enumerate(chosen):
        assert found[qid].parent == "Q1" or found[qid].parent in chosen[:place]


@given(forests())
def test_nothing_is_left_out_where_there_is_room(found: dict[str, Below]) -> None:
    assert most_linked(found, "Q1", max(len(found), 1)) == tuple(found)
