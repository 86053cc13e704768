"""Honest probabilities at every rank: they add up, what is said is right, and a coarse name teaches what it can."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from active_learning import (
    LinearHead,
    NotEnoughDataError,
    PrototypeHead,
    RankModel,
    Taxonomy,
    TrainingSet,
    fit_coarse,
    fit_ranks,
    measure_ranks,
)
from active_learning.coarse_labels import leaves_of
from active_learning.ranks import binomial_tail, known_ranks, lower_bound

MakeSet = Callable[..., TrainingSet]
CLASSES = ("ant", "bug", "cat", "dog")


def drawn(n: int, seed: int, heat: float = 1.0, apart: float = 1.5) -> tuple[NDArray[np.float64], list[str]]:
    """Decision values of a model whose softmax would be honest if divided by `heat`; sisters are easily confused."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    mates = np.eye(4)[y] * apart + np.eye(4)[y // 2 * 2] + np.eye(4)[y // 2 * 2 + 1]
    evidence = rng.normal(size=(n, 4)) + mates
    centres = np.array([np.eye(4)[c] * apart + np.eye(4)[c // 2 * 2] + np.eye(4)[c // 2 * 2 + 1] for c in range(4)])
    honest = evidence @ centres.T - 0.5 * np.square(centres).sum(axis=1)
    return honest * heat, [CLASSES[i] for i in y]


def test_a_rank_gets_back_the_temperature_that_was_taken_from_it(taxonomy: Taxonomy) -> None:
    decision, y = drawn(4000, 0, heat=3.0)
    model = fit_ranks(decision, y, CLASSES, taxonomy)
    assert [scale.rank for scale in model.scales] == ["species", "genus", "family"]
    for scale in model.scales[:2]:
        assert scale.temperature == pytest.approx(3.0, rel=0.15)
    fresh, truth = drawn(4000, 1, heat=3.0)
    for figures in measure_ranks(model, fresh, truth)[:2]:
        assert figures.calibration.low <= figures.calibration.noise_floor * 2
        assert figures.calibration.ece < 0.03


def test_the_probabilities_of_a_rank_are_the_sums_of_their_leaves(taxonomy: Taxonomy) -> None:
    decision, y = drawn(300, 0)
    ids, proba = fit_ranks(decision, y, CLASSES, taxonomy).probabilities(decision, "genus")
    assert ids == ("Felis", "Formica")
    assert proba.sum(axis=1) == pytest.approx(np.ones(300))


def test_what_is_said_is_right_as_often_as_promised_in_nearly_all_draws(taxonomy: Taxonomy) -> None:
    """The promise holds with 95 % confidence at each rank: of 60 calibrations few may break it."""
    fresh, truth = drawn(4000, 1000)
    genus_of = {label: taxonomy.lineage(label)[1] for label in CLASSES}
    broken = {"species": 0, "genus": 0}
    spoken = 0
    for seed in range(60):
        model = fit_ranks(*drawn(500, seed), CLASSES, taxonomy, target=0.9)
        claims = model.claims(fresh)
        for rank in broken:
            right = [
                claim.node in (label, genus_of[label])
                for claim, label in zip(claims, truth, strict=True)
                if claim is not None and claim.rank == rank
            ]
            spoken += bool(right)
            broken[rank] += bool(right) and sum(right) < 0.9 * len(right)
    assert spoken > 60
    assert max(broken.values()) <= 7, "binomial: 8 or more of 60 at 5 % has a chance of 1 %"


def test_with_too_few_figures_nothing_is_said(taxonomy: Taxonomy) -> None:
    decision, y = drawn(40, 0, apart=8.0)
    model = fit_ranks(decision, y, CLASSES, taxonomy)
    assert all(scale.threshold is None for scale in model.scales)
    assert model.claims(decision) == [None] * 40
    empty = fit_ranks(decision[:0], [], CLASSES, taxonomy)
    assert empty.scales[0].temperature == 1.0


def test_figures_of_one_source_count_once(taxonomy: Taxonomy) -> None:
    decision, y = drawn(400, 0, apart=8.0)
    alone = fit_ranks(decision, y, CLASSES, taxonomy)
    together = fit_ranks(decision, y, CLASSES, taxonomy, groups=[f"plate {i // 20}" for i in range(400)])
    assert alone.scales[0].threshold is not None
    assert together.scales[0].threshold is None


def test_a_claim_names_the_deepest_taxon_that_is_sure_enough(taxonomy: Taxonomy) -> None:
    decision, y = drawn(2000, 3)
    model = fit_ranks(decision, y, CLASSES, taxonomy, target=0.9)
    sure = np.array([[30.0, 0.0, 0.0, 0.0], [15.0, 15.0, 0.0, 0.0]])
    first, second = model.claims(sure)
    assert first is not None
    assert (first.node, first.rank) == ("ant", "species")
    assert second is not None
    assert (second.node, second.rank) == ("Formica", "genus")
    assert [qid for qid, _ in model.top(sure, 2)[0]] == ["ant", "bug"]


def test_truths_of_higher_ranks_and_of_no_class_are_judged_fairly(taxonomy: Taxonomy) -> None:
    decision = np.tile(np.array([[9.0, 0.0, 0.0, 0.0]]), (4, 1))
    model = RankModel(CLASSES, taxonomy, fit_ranks(*drawn(300, 0), CLASSES, taxonomy).scales)
    species, genus, _ = measure_ranks(model, decision, ["ant", "Formica", "bug", "nothing"])
    assert species.n == 3, "the genus alone says nothing of the species"
    assert species.accuracy == pytest.approx(1 / 3)
    assert genus.n == 4
    assert genus.accuracy == pytest.approx(3 / 4)


def test_answers_that_are_no_taxa_are_leaves_of_their_own(taxonomy: Taxonomy) -> None:
    assert known_ranks((*CLASSES, "no organism"), taxonomy)[0] == "leaf"
    assert known_ranks(CLASSES, taxonomy)[0] == "species"


def test_the_scales_survive_json(taxonomy: Taxonomy) -> None:
    decision, y = drawn(400, 0)
    model = fit_ranks(decision, y, CLASSES, taxonomy)
    again = RankModel.from_dict(CLASSES, taxonomy, json.loads(json.dumps(model.to_dict())))
    assert again.scales == model.scales
    assert again.claims(decision) == model.claims(decision)


def test_what_does_not_fit_together_is_refused(taxonomy: Taxonomy) -> None:
    with pytest.raises(ValueError):
        fit_ranks(np.zeros((3, 4)), ["ant"], CLASSES, taxonomy)


def test_the_bounds_are_exact() -> None:
    assert binomial_tail(59, 0, 0.05) == pytest.approx(0.95**59)
    assert binomial_tail(10, 3, 0.5) == pytest.approx(sum(math.comb(10, i) for i in range(4)) / 1024)
    assert lower_bound(59, 0, 0.05) == pytest.approx(0.05 ** (1 / 59), abs=1e-9)
    assert lower_bound(5, 5, 0.05) == 0.0


def test_a_genus_teaches_its_species_together(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    few, more = make_set({"ant": 1, "bug": 1, "cat": 1, "dog": 1}), make_set(dict.fromkeys(CLASSES, 25), seed=1)
    unseen = make_set(dict.fromkeys(CLASSES, 50), seed=2)
    x = np.concatenate([few.x, more.x])
    coarse = [taxonomy.lineage(label)[1] for label in more.y]

    def right(head: PrototypeHead | LinearHead) -> float:
        found = np.array(head.classes_)[head.decision(unseen.x).argmax(axis=1)]
        return float((found == np.array(unseen.y)).mean())

    alone = right(PrototypeHead(20.0).fit(few.x, few.y))
    fit = fit_coarse(lambda: PrototypeHead(20.0), x, [*few.y, *coarse], taxonomy)
    assert isinstance(fit.head, PrototypeHead)
    assert fit.head.classes_ == CLASSES
    assert right(fit.head) > alone
    formica = np.array([name == "Formica" for name in [*few.y, *coarse]])
    assert (fit.shares[formica][:, 2:] == 0).all(), "nothing of a genus goes to species of another"
    assert fit.shares.sum(axis=1) == pytest.approx(np.ones(len(x)))


def test_each_round_makes_the_names_as_given_more_likely(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    """The property of EM, for the objective it climbs: likelihood less penalty, here with a penalty that is tiny."""
    few, more = make_set(dict.fromkeys(CLASSES, 2), noise=0.8), make_set(dict.fromkeys(CLASSES, 12), noise=0.8, seed=1)
    names = [*few.y, *[taxonomy.lineage(label)[1] for label in more.y]]
    x = np.concatenate([few.x, more.x])
    fit = fit_coarse(lambda: LinearHead(1e-5, logit_adjustment=0.0), x, names, taxonomy, rounds=8)
    steps = np.diff(fit.log_likelihoods)
    assert len(steps) == 7
    assert (steps > -1e-4).all()
    assert fit.log_likelihoods[-1] > fit.log_likelihoods[0]


def test_names_with_nothing_below_them_are_classes(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    assert leaves_of(["ant", "Formica", "Felis", None], taxonomy) == ("Felis", "ant")
    data = make_set({"ant": 4, "cat": 4})
    plain = fit_coarse(LinearHead, data.x, data.y, taxonomy)
    assert (plain.head.decision(data.x) == LinearHead().fit(data.x, data.y).decision(data.x)).all()
    with pytest.raises(NotEnoughDataError):
        fit_coarse(LinearHead, data.x, [None] * 8, taxonomy)
    with pytest.raises(ValueError):
        fit_coarse(LinearHead, data.x, data.y, taxonomy, rounds=0)
