"""Of whom a figure is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning import (
    Claim,
    RankModel,
    RankScale,
    Route,
    Taxonomy,
    best_at,
    best_of,
    route,
)
from active_learning.routing import ANYONE, KNOWING, SPECIALIST, RankBest
from active_learning.taxonomy import rank_matrix

SPECIES = ("aves a", "aves b", "bombus a", "bombus b", "carex a", "carex b")
GENERA = {name: name.split()[0] for name in SPECIES}
FAMILIES = {"aves": "birds", "bombus": "insects", "carex": "insects"}
TREE = Taxonomy(
    {**GENERA, **FAMILIES, "birds": None, "insects": None},
    dict.fromkeys(SPECIES, "species") | dict.fromkeys(FAMILIES, "genus") | {"birds": "family", "insects": "family"},
)


def rolled(proba: list[list[float]]) -> tuple[RankBest, ...]:
    leaves = np.array(proba)
    found = []
    for rank in ("species", "genus", "family"):
        ids, sums, _ = rank_matrix(SPECIES, TREE, rank)
        found.append(best_at(rank, ids, leaves @ sums))
    return tuple(found)


def routed(
    *proba: list[float], verdicts: list[str] | None = None, claims: list[Claim | None] | None = None
) -> list[Route]:
    return route(rolled(list(proba)), len(proba), claims, verdicts)


def test_a_figure_goes_to_those_who_can_tell_what_is_open() -> None:
    found = routed(
        [0.99, 0.01, 0, 0, 0, 0],  # a name is sure
        [0.01, 0.01, 0.30, 0.20, 0.28, 0.20],  # which family is sure, which genus is not
        [0.5, 0.45, 0.01, 0.01, 0.02, 0.01],  # two species of one genus
        [0.2, 0.1, 0.2, 0.2, 0.2, 0.1],  # nothing is sure
        [0.74, 0.24, 0.01, 0.01, 0, 0],  # one of a genus, not at all close
        [0.02, 0.02, 0.66, 0.10, 0.10, 0.10],  # the genus is likely, but not sure
    )
    assert found == [
        Route(ANYONE, "aves", "genus"),
        Route(KNOWING, "insects", "family"),
        Route(SPECIALIST, "aves", "genus"),
        Route(ANYONE),
        Route(ANYONE, "aves", "genus"),
        Route(ANYONE, "insects", "family"),
    ]


def test_what_is_novel_goes_to_specialists() -> None:
    sure = [0.99, 0.01, 0.0, 0.0, 0.0, 0.0]
    found = routed(sure, sure, sure, verdicts=["known", "near", "far"])
    assert found == [Route(ANYONE, "aves", "genus"), Route(SPECIALIST, "aves", "genus"), Route(SPECIALIST)]


def test_a_claim_says_what_is_sure_where_anyone_is_asked() -> None:
    claims = [Claim("aves a", "species", 0.99), Claim("aves", "genus", 0.95), None]
    found = routed([0.99, 0.01, 0, 0, 0, 0], [0.5, 0.45, 0.05, 0, 0, 0], [0.2, 0.1, 0.2, 0.2, 0.2, 0.1], claims=claims)
    assert found == [Route(ANYONE, "aves a", "species"), Route(SPECIALIST, "aves", "genus"), Route(ANYONE)]
    assert route((), 3, claims)[0] == Route(ANYONE, "aves a", "species")
    assert route((), 2) == [Route(), Route()]


def test_a_group_that_holds_everything_tells_nobody_apart() -> None:
    ids, sums, _ = rank_matrix(SPECIES[2:], TREE, "family")
    leaves = np.array([[0.3, 0.2, 0.3, 0.2]])
    genus_ids, genus_sums, _ = rank_matrix(SPECIES[2:], TREE, "genus")
    one_family = (best_at("genus", genus_ids, leaves @ genus_sums), best_at("family", ids, leaves @ sums))
    assert route(one_family, 1) == [Route(ANYONE, "insects", "family")]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=8), st.data())
def test_every_figure_has_a_route_and_a_novel_one_is_never_for_anyone(
    raw: list[list[float]], data: st.DataObject
) -> None:
    leaves = (np.array(raw) + 1e-3) / (np.array(raw) + 1e-3).sum(axis=1, keepdims=True)
    verdicts = [data.draw(st.sampled_from(["known", "near", "far"])) for _ in raw]
    best = rolled(leaves.tolist())
    for row, found in enumerate(route(best, len(raw), None, verdicts)):
        assert found.suits in (ANYONE, KNOWING, SPECIALIST)
        assert (found.suits == SPECIALIST) or verdicts[row] == "known"
        assert (found.within is None) == (found.rank == "")
        if found.within is not None:
            place = ("species", "genus", "family").index(found.rank)
            assert best[place].probability[row] >= 0.9
        if found.suits == KNOWING:
            assert found.within is not None
            assert best[place - 1].probability[row] < 0.6


def test_ranks_of_a_calibrated_model_are_read_off() -> None:
    scales = [RankScale(rank, 1.0, None, 0, 0, 0.0, 0.0) for rank in ("species", "genus", "family")]
    decision = np.log(np.array([[0.5, 0.45, 0.01, 0.01, 0.02, 0.01]]))
    found = best_of(RankModel(SPECIES, TREE, scales), decision)
    assert [(one.rank, one.taxa[0], one.size) for one in found] == [
        ("species", "aves a", 6), ("genus", "aves", 3), ("family", "birds", 2)
    ]  # fmt: skip
    assert found[1].probability[0] == pytest.approx(0.95)
    assert found[0].margin[0] == pytest.approx(0.05)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="verdicts"):
        routed([1.0, 0, 0, 0, 0, 0], verdicts=["known", "far"])
    with pytest.raises(ValueError, match="taxa"):
        best_at("genus", ["a", "b"], np.ones((2, 3)))
