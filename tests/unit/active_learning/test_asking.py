"""What is asked next and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import REASONS, Ask, Claim, Route, ask, best_at, doubtful_labels, fit_head
from active_learning.asking import BATCH, HEAD, SHARES
from active_learning.calibration import softmax
from active_learning.metrics import balanced_accuracy

Floats = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def cloud(n: int, seed: int = 0, dim: int = 12) -> Floats:
    return unit(np.random.default_rng(seed).normal(size=(n, dim)))


def chances(n: int, seed: int = 0, k: int = 5) -> NDArray[np.float64]:
    return softmax(np.random.default_rng(seed).normal(size=(n, k)) * 3)


def order_of(asks: list[Ask]) -> list[int]:
    return sorted(range(len(asks)), key=lambda row: -asks[row].priority)


def first(asks: list[Ask], n: int) -> list[int]:
    return order_of(asks)[:n]


class Everything:
    """A pool with all that can be told of it: near-duplicates, clusters, novel figures, doubted labels."""

    def __init__(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.x, self.proba = cloud(n, seed), chances(n, seed)
        self.groups = [f"g{number}" for number in rng.integers(0, max(3 * n // 4, 1), n)]
        self.labelled = {group for group in set(self.groups) if rng.random() < 0.1}
        self.clusters = [int(number) if number else None for number in rng.integers(0, 40, n)]
        self.novelty = rng.random(n)
        self.verdicts = [str(word) for word in rng.choice(["known", "near", "far"], n, p=[0.7, 0.2, 0.1])]
        self.again = np.array([group in self.labelled for group in self.groups]) & (rng.random(n) < 0.5)
        self.ids = [int(number) for number in rng.permutation(10 * n)[:n]]

    def asked(self, seed: int = 0, rows: NDArray[np.int64] | None = None, **other: Any) -> list[Ask]:
        place = np.arange(len(self.x)) if rows is None else rows
        told: dict[str, Any] = {
            "known_x": cloud(20, 99),
            "look_again": self.again[place],
            "ids": [self.ids[row] for row in place],
            "groups": [self.groups[row] for row in place],
            "labelled_groups": self.labelled,
            "clusters": [self.clusters[row] for row in place],
            "novelty": self.novelty[place],
            "verdicts": [self.verdicts[row] for row in place],
        }
        return ask(other.pop("proba", self.proba[place]), self.x[place], seed, **(told | other))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 80), st.integers(0, 5), st.booleans())
def test_each_figure_gets_one_place_one_reason_and_one_route(n: int, seed: int, modelled: bool) -> None:
    asks = Everything(n, seed).asked(seed, proba=chances(n, seed) if modelled else None)
    assert sorted(found.priority for found in asks) == pytest.approx(np.arange(1, n + 1) / n)
    assert {found.reason for found in asks} <= set(REASONS)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 120), st.integers(0, 5), st.booleans(), st.integers(0, 5))
def test_the_same_seed_gives_the_same_places_whatever_the_order(n: int, seed: int, modelled: bool, mix: int) -> None:
    pool = Everything(n, seed)
    rows = np.random.default_rng(mix).permutation(n)
    told: dict[str, Any] = {} if modelled else {"proba": None}
    straight, mixed = pool.asked(seed, **told), pool.asked(seed, rows, **told)
    assert [mixed[place] for place in np.argsort(rows)] == straight


def test_another_seed_draws_other_figures() -> None:
    pool = Everything(400, 0)
    drawn = [{row for row, one in enumerate(pool.asked(seed)) if one.reason == "random"} for seed in (1, 2)]
    assert drawn[0] != drawn[1]


def test_shares_hold_exactly_in_each_batch_of_what_is_asked_next() -> None:
    pool = Everything(2000, 1)
    asks = pool.asked()
    order = order_of(asks)
    kinds = {"close_call": "uncertain", "unsure": "uncertain", "likely": "uncertain"}
    for start in range(0, HEAD - BATCH, BATCH):
        reasons = Counter(kinds.get(asks[row].reason, asks[row].reason) for row in order[start : start + BATCH])
        assert reasons == Counter(SHARES)
    assert sum(SHARES.values()) == BATCH
    assert {asks[row].reason for row in order[:10]} >= {"random", "novel"}


def test_a_kind_that_runs_out_leaves_its_turns_to_the_others() -> None:
    proba, x = chances(600), cloud(600)
    asks = ask(proba, x, seed=0, verdicts=["known"] * 600)
    reasons = Counter(asks[row].reason for row in first(asks, 160))
    assert reasons["random"] == 160 * 2 // 16
    assert reasons["novel"] == reasons["look_again"] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 300), st.integers(0, 9), st.booleans())
def test_of_near_duplicates_one_is_asked_and_those_with_a_label_come_last(n: int, seed: int, modelled: bool) -> None:
    pool = Everything(n, seed)
    asks = pool.asked(seed, **({} if modelled else {"proba": None}))
    waiting = [row for row in order_of(asks) if pool.groups[row] not in pool.labelled]
    different = len({pool.groups[row] for row in waiting})
    assert len({pool.groups[row] for row in waiting[:different]}) == different
    plain = [row for row in order_of(asks) if asks[row].reason != "look_again"]
    answered = [pool.groups[row] in pool.labelled for row in plain]
    assert answered == sorted(answered)


def test_look_alikes_are_not_asked_in_one_batch() -> None:
    n = 600
    clusters = [row % 60 for row in range(n)]
    asks = ask(chances(n), cloud(n), seed=0, clusters=clusters)
    order = order_of(asks)
    for start in range(0, HEAD - BATCH, BATCH):
        chosen = [row for row in order[start : start + BATCH] if asks[row].reason != "random"]
        drawn = {clusters[row] for row in order[start : start + BATCH] if asks[row].reason == "random"}
        # A random figure may fall anywhere; all others keep out of each other's clusters.
        assert len({clusters[row] for row in chosen}) == len(chosen)
        assert len(drawn) <= 3
    few = ask(chances(n), cloud(n), seed=0, clusters=[row % 3 for row in range(n)])
    assert Counter(few[row].reason == "random" for row in first(few, 40))[True] >= 4


def test_what_is_random_does_not_depend_on_the_model() -> None:
    pool = Everything(500, 3)
    drawn = []
    for proba in (chances(500, 1), chances(500, 2)):
        asks = pool.asked(0, proba=proba, look_again=None, verdicts=None, novelty=None, known_x=None)
        drawn.append([row for row in first(asks, 200) if asks[row].reason == "random"])
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) >= 20


def test_random_turns_draw_groups_and_not_figures() -> None:
    """A plate scanned a hundred times is drawn as often as one scanned once."""
    groups = ["big"] * 100 + [f"own{number}" for number in range(100)]
    proba, x = chances(200), cloud(200)
    hits = 0
    for seed in range(60):
        asks = ask(proba, x, seed, groups=groups)
        hits += any(groups[row] == "big" for row in first(asks, 101) if asks[row].reason == "random")
    # Ten of 101 groups are drawn: in 6 of 60 seeds on average; figure by figure it would be nearly all.
    assert 1 <= hits <= 15


def test_the_closest_call_comes_before_what_is_clear() -> None:
    proba = np.array([[0.98, 0.01, 0.01]] * 200 + [[0.49, 0.48, 0.03]] * 3 + [[0.35, 0.33, 0.32]] * 3)
    asks = ask(proba, cloud(206), seed=0)
    doubted = [row for row in range(200, 206) if asks[row].reason != "random"]
    assert set(first(asks, 8)) >= set(doubted)
    assert {asks[row].reason for row in doubted if row < 203} == {"close_call"}
    assert {asks[row].reason for row in doubted if row >= 203} == {"unsure"}


def test_what_is_far_from_everything_known_is_asked_early() -> None:
    known = unit(np.random.default_rng(0).normal(size=(60, 12)) * 0.1 + np.eye(12)[0])
    alike = unit(np.random.default_rng(1).normal(size=(150, 12)) * 0.1 + np.eye(12)[0])
    strange = unit(np.random.default_rng(2).normal(size=(15, 12)) * 0.1 - np.eye(12)[0])
    proba = np.tile([[0.9, 0.06, 0.04]], (165, 1))
    asks = ask(proba, np.concatenate([alike, strange]), seed=0, known_x=known)
    novel = [row for row in first(asks, 60) if asks[row].reason == "novel"]
    assert sum(row >= 150 for row in novel) >= 5
    told = ask(proba, np.concatenate([alike, strange]), seed=0, verdicts=["near"] * 5 + ["known"] * 160)
    assert {row for row in range(165) if told[row].reason == "novel"} <= set(range(5))


def test_a_doubted_label_is_looked_at_again_though_it_has_one() -> None:
    proba = np.array([[0.97, 0.03], [0.97, 0.03], [0.6, 0.4]] * 40)
    doubted = doubtful_labels(proba, np.array([1, 0, 1] * 40))
    labelled = [row for row in range(120) if doubted[row]]
    asks = ask(proba, cloud(120), seed=0, look_again=doubted, labelled_groups=labelled)
    again = [row for row in first(asks, 40) if asks[row].reason == "look_again"]
    assert again
    assert all(doubted[row] for row in again)


def test_a_cold_start_meets_more_kinds_than_chance() -> None:
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(10), [60, 30, 15, 8, 5, 4, 3, 2, 2, 1])
    x = unit(rng.normal(size=(10, 32))[kind] + 0.15 * rng.normal(size=(len(kind), 32)))
    met = [len({int(kind[row]) for row in first(ask(None, x, seed), 30)}) for seed in range(5)]
    by_chance = [len(set(kind[rng.permutation(len(kind))[:30]])) for _ in range(50)]
    assert np.mean(met) >= 9
    assert np.mean(by_chance) < 8.5
    asks = ask(None, x, seed=0)
    assert Counter(asks[row].reason for row in first(asks, 60)) == {"cold_start": 54, "random": 6}


def test_a_question_carries_its_route_and_a_random_one_is_for_anyone() -> None:
    n = 300
    ids = ["aves", "carex"]
    rolled = (
        best_at("species", ["a", "b", "c", "d"], chances(n, k=4)),
        best_at("genus", ids, np.tile([[0.95, 0.05]], (n, 1))),
    )
    asks = ask(chances(n), cloud(n), seed=0, rolled=rolled, verdicts=["far"] * 10 + ["known"] * 290)
    assert {found.route.within for found in asks[10:]} == {"aves"}
    assert {found.route.suits for found in asks} == {"anyone", "knowing", "specialist"}
    assert {found.route.suits for found in asks if found.reason == "random"} == {"anyone"}
    assert {found.route for found in asks[:10] if found.reason != "random"} == {Route("specialist")}
    claimed = ask(chances(3), cloud(3), seed=0, claims=[Claim("a", "species", 0.99), None, None])
    assert [found.route.within for found in claimed] == ["a", None, None]


def test_nothing_to_ask_is_an_empty_queue_and_nonsense_is_refused() -> None:
    assert ask(None, cloud(0), seed=0) == []
    assert {found.reason for found in ask(np.ones((3, 1)), cloud(3), seed=0)} <= {"cold_start", "random"}
    with pytest.raises(ValueError, match="probabilities"):
        ask(np.ones((2, 3)) / 3, cloud(5), seed=0)
    with pytest.raises(ValueError, match="look_again"):
        ask(np.ones((5, 3)) / 3, cloud(5), seed=0, look_again=np.ones(4, dtype=bool))
    for name in ("ids", "groups", "clusters", "verdicts"):
        short: dict[str, Any] = {name: ["a"] * 4}
        with pytest.raises(ValueError, match=name):
            ask(None, cloud(5), seed=0, **short)
    with pytest.raises(ValueError, match="same id"):
        ask(None, cloud(2), seed=0, ids=[7, 7])


def test_everything_labelled_is_still_an_order() -> None:
    asks = ask(chances(30), cloud(30), seed=0, groups=["one"] * 30, labelled_groups=["one"])
    assert sorted(found.priority for found in asks) == pytest.approx(np.arange(1, 31) / 30)


def test_asking_needs_fewer_labels_than_chance() -> None:
    """The loop played through: twenty labels at first, three rounds of twenty, on a long tail."""
    rng = np.random.default_rng(7)
    sizes = (200 / np.arange(1, 21)).astype(int) + 6
    kind = np.repeat(np.arange(20), sizes)
    x = unit(rng.normal(size=(20, 48))[kind] + 0.75 * rng.normal(size=(len(kind), 48)))
    test = rng.permutation(len(kind))[: len(kind) // 3]
    pool = np.setdiff1d(np.arange(len(kind)), test)

    def play(active: bool) -> float:
        known = list(rng.permutation(pool)[:20])
        for turn in range(3):
            rest = np.setdiff1d(pool, known)
            chosen = list(rng.permutation(len(rest))[:20])
            if active:
                head = fit_head(x[known], kind[known].astype(str), kind="prototype")
                chosen = first(ask(head.predict_proba(x[rest]), x[rest], seed=turn, known_x=x[known]), 20)
            known += [int(rest[row]) for row in chosen]
        head = fit_head(x[known], kind[known].astype(str), kind="prototype")
        found = np.array([int(name) for name in head.classes_])[head.predict_proba(x[test]).argmax(axis=1)]
        return balanced_accuracy(kind[test], found)

    assert np.mean([play(True) for _ in range(2)]) > np.mean([play(False) for _ in range(2)]) + 0.02
