"""The model card: it tells what happened, whatever the order of the figures, and survives JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import (
    Evidence,
    ModelCard,
    Taxonomy,
    apply_temperature,
    fit_conformal,
    fit_ranks,
    make_card,
    novelty_figures,
)
from active_learning.card import CONFUSED, FEW_LABELS, LOW_RECALL, NOT_MEASURED, SINGLE_SOURCE, Proof
from active_learning.curves import CurvePoint
from active_learning.intervals import Share

CLASSES = ("ant", "bug", "cat", "dog")


def evidence_of(
    said: Sequence[str],
    y: Sequence[str],
    groups: Sequence[str] | None = None,
    learned: dict[str, int] | None = None,
    sources: Sequence[str] | None = None,
    checked: NDArray[np.bool_] | None = None,
    measured_on: str = "holdout",
) -> Evidence:
    """A model that says these with a probability of nine in ten."""
    decision = np.array([[float(name == qid) for qid in CLASSES] for name in said]) * np.log(27)
    n = len(y)
    return Evidence(
        decision=decision.reshape(n, 4),
        proba=apply_temperature(decision.reshape(n, 4), 1.0) if n else np.zeros((0, 4)),
        y=tuple(y),
        classes=CLASSES,
        groups=tuple(groups or (f"plate {i}" for i in range(n))),
        sources=tuple(sources or ("album",) * n),
        measured_on=measured_on,
        learned=learned or dict.fromkeys(CLASSES, 10),
        checked=checked,
    )


def drawn(n: int, seed: int = 0) -> Evidence:
    """Sisters are easily confused; plates hold two figures, and two books hold the plates."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    decision = rng.normal(size=(n, 4)) + 2.0 * np.eye(4)[y] + np.eye(4)[y // 2 * 2] + np.eye(4)[y // 2 * 2 + 1]
    return Evidence(
        decision=decision,
        proba=apply_temperature(decision, 0.7),
        y=tuple(CLASSES[i] for i in y),
        classes=CLASSES,
        groups=tuple(f"plate {i // 2}" for i in range(n)),
        sources=tuple(f"book {i // 2 % 2}" for i in range(n)),
        measured_on="cross-validation",
        learned={"ant": 40, "bug": 20, "cat": 8, "dog": 3},
        checked=np.arange(n) % 3 > 0,
    )


def full_card(evidence: Evidence, taxonomy: Taxonomy) -> ModelCard:
    ranks = fit_ranks(evidence.decision, evidence.y, CLASSES, taxonomy, evidence.groups, target=0.8)
    truth = np.array([CLASSES.index(qid) for qid in evidence.y])
    members = fit_conformal(evidence.proba, truth, CLASSES).sets(evidence.proba, 0.1)
    sets = [tuple(qid for qid, held in zip(CLASSES, row, strict=True) if held) for row in members]
    scores: NDArray[np.float64] = np.linspace(0.0, 1.0, 200)
    return make_card(
        evidence,
        taxonomy,
        ranks=ranks,
        sets=sets,
        novelty=novelty_figures(scores, scores + 0.5, scores[:0], "classes left out"),
        curve=(CurvePoint(30, Share(0.5, 0.4, 0.6)),),
        target_precision=0.9,
        notes=("Measured slightly too well.",),
    )


def test_the_card_survives_json_to_the_last_bit(taxonomy: Taxonomy) -> None:
    card = full_card(drawn(300), taxonomy)
    again = ModelCard.from_dict(json.loads(json.dumps(card.to_dict(), allow_nan=False)))
    assert again == card
    assert again.ranks[0].bins[0] == card.ranks[0].bins[0]
    assert card.sets is not None
    assert card.novelty is not None
    assert card.novelty.far_at_1 is None


def test_an_older_card_loads_and_an_unknown_field_is_refused(taxonomy: Taxonomy) -> None:
    plain = full_card(drawn(60), taxonomy).to_dict()
    older = {key: plain[key] for key in ("measured_on", "n", "accuracy")}
    card = ModelCard.from_dict(older)
    assert (card.n, card.pooled, card.sets, card.proof) == (60, (), None, None)
    with pytest.raises(TypeError, match="wisdom"):
        ModelCard.from_dict(plain | {"wisdom": 1})
    with pytest.raises(TypeError, match="depth"):
        ModelCard.from_dict(plain | {"accuracy": {"value": 1.0, "low": 0.0, "high": 1.0, "depth": 2}})
    with pytest.raises(TypeError):
        ModelCard.from_dict(plain | {"n": "many"})
    with pytest.raises(TypeError):
        ModelCard.from_dict({})


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60))
def test_the_order_of_the_figures_changes_nothing(seed: int, n: int) -> None:
    parents = {"ant": "Formica", "bug": "Formica", "cat": "Felis", "dog": "Felis"}
    tree = Taxonomy(parents, dict.fromkeys(CLASSES, "species") | {"Formica": "genus", "Felis": "genus"})
    evidence = drawn(n, seed)
    order = np.random.default_rng(seed).permutation(n)
    mixed = replace(
        evidence,
        decision=evidence.decision[order],
        proba=evidence.proba[order],
        y=tuple(evidence.y[i] for i in order),
        groups=tuple(evidence.groups[i] for i in order),
        sources=tuple(evidence.sources[i] for i in order),
        checked=None if evidence.checked is None else evidence.checked[order],
    )
    sets = [(qid,) for qid in evidence.y]
    assert make_card(evidence, tree, sets=sets) == make_card(mixed, tree, sets=[sets[i] for i in order])


def test_the_plain_numbers_are_what_happened(taxonomy: Taxonomy) -> None:
    said = ["ant"] * 6 + ["bug"] * 2 + ["dog"] * 2
    y = ["ant"] * 5 + ["bug"] + ["bug", "ant"] + ["dog", "ant"]
    card = make_card(evidence_of(said, y), taxonomy)
    assert (card.n, card.n_groups, card.n_classes, card.measured_on) == (10, 10, 4, "holdout")
    assert card.accuracy.value == pytest.approx(0.7)
    assert card.accuracy.low < 0.7 < card.accuracy.high
    assert card.balanced_accuracy.value == pytest.approx((5 / 7 + 1 / 2 + 1) / 3)
    assert card.mistakes is not None
    assert card.mistakes.by_rank == {"genus": 2, "family": 1}
    assert card.mistakes.mean_height == pytest.approx((1 + 1 + 2) / 3)
    first = card.pairs[0]
    assert (first.a, first.b, first.a_as_b, first.b_as_a, first.relation) == ("ant", "bug", 1, 1, "genus")
    species, genus = card.ranks
    assert species.figures.accuracy == pytest.approx(0.7)
    assert genus.figures.accuracy == pytest.approx(0.9)
    assert species.promised is None
    assert (card.sure, card.sure_coverage) == (None, None)


def test_the_only_taxon_of_a_rank_is_nothing_to_be_sure_of(taxonomy: Taxonomy) -> None:
    """Saying "it is of this family" where all are is always right and worth nothing."""
    evidence = drawn(600)
    ranks = fit_ranks(evidence.decision, evidence.y, CLASSES, taxonomy, evidence.groups, target=0.9)
    assert any(claim is not None and claim.rank == "family" for claim in ranks.claims(evidence.decision))
    card = make_card(evidence, taxonomy, ranks=ranks)
    assert [row.figures.rank for row in card.ranks] == ["species", "genus"]
    assert card.sure_coverage is not None
    assert card.sure_coverage.value < 1.0


def test_what_is_said_aloud_is_told_with_its_promise(taxonomy: Taxonomy) -> None:
    card = full_card(drawn(600), taxonomy)
    assert card.sure is not None
    assert card.sure_coverage is not None
    assert card.sure.value >= 0.8
    assert card.sure_coverage.value == pytest.approx(sum(rank.coverage.value for rank in card.ranks))
    spoken = [rank for rank in card.ranks if rank.promised is not None]
    assert spoken
    for rank in spoken:
        assert rank.said_right.value == pytest.approx(rank.figures.said_right)
        assert rank.promised is not None
        assert rank.promised <= rank.said_right.value


def test_names_above_the_classes_and_strangers_are_judged_fairly(taxonomy: Taxonomy) -> None:
    card = make_card(evidence_of(["ant", "ant", "ant"], ["ant", "Formica", "wasp"]), taxonomy)
    assert card.n == 2, "the genus alone says nothing of the species"
    assert card.accuracy.value == pytest.approx(0.5)
    assert card.ranks[1].figures.n == 3
    assert card.pairs[0].a == "wasp"
    assert card.pairs[0].relation == ""


def test_sets_are_measured_and_a_wrong_number_of_them_is_refused(taxonomy: Taxonomy) -> None:
    evidence = evidence_of(["ant", "ant", "cat"], ["ant", "bug", "cat"])
    sets = [("ant", "bug"), ("ant",), CLASSES]
    found = make_card(evidence, taxonomy, sets=sets, set_coverage=0.8).sets
    assert found is not None
    assert (found.n, found.promised) == (3, 0.8)
    assert found.mean_size == pytest.approx(7 / 3)
    assert found.coverage.value == found.macro_coverage.value == pytest.approx(2 / 3)
    assert found.at_most_five == 1.0
    with pytest.raises(ValueError):
        make_card(evidence, taxonomy, sets=sets[:2])


def test_the_neediest_come_first_with_their_reasons(taxonomy: Taxonomy) -> None:
    said = ["ant"] * 6 + ["bug", "ant", "ant", "cat"]
    y = ["ant"] * 6 + ["bug", "bug", "bug", "cat"]
    groups = [f"p{i}" for i in range(6)] + ["q1", "q2", "q3", "r1"]
    card = make_card(evidence_of(said, y, groups, {"ant": 30, "bug": 9, "cat": 2, "dog": 1}), taxonomy)
    assert [row.qid for row in card.needy] == ["dog", "bug", "cat"], "ant lacks nothing"
    dog, bug, cat = card.needy
    assert dog.reasons == (NOT_MEASURED, FEW_LABELS)
    assert dog.recall is None
    assert bug.reasons == (LOW_RECALL, CONFUSED)
    assert (bug.confused_with, bug.confused, bug.n) == ("ant", 2, 3)
    assert cat.reasons == (FEW_LABELS, SINGLE_SOURCE)


def test_a_taxon_that_was_not_measured_but_known_well_is_not_the_neediest(taxonomy: Taxonomy) -> None:
    evidence = evidence_of(["ant"] * 4, ["ant", "bug", "bug", "bug"], learned={"ant": 9, "bug": 9, "cat": 90, "dog": 1})
    assert [row.qid for row in make_card(evidence, taxonomy).needy] == ["dog", "bug", "cat", "ant"]


def test_each_source_has_figures_of_its_own(taxonomy: Taxonomy) -> None:
    evidence = evidence_of(["ant", "ant", "cat"], ["ant", "bug", "cat"], sources=["A", "A", "B"])
    first, second = make_card(evidence, taxonomy).sources
    assert (first.source, first.n, first.accuracy.value) == ("A", 2, 0.5)
    assert (second.source, second.n, second.balanced_accuracy.value) == ("B", 1, 1.0)
    assert second.accuracy.low < 0.3, "one right figure proves little"


ALL_RIGHT = ["ant"] * 400 + ["bug"] * 400


def settling(card: ModelCard) -> list[str]:
    """What may be settled by the card: taxa, and "" for all together."""
    return sorted(row.qid for row in (*card.thresholds, *card.pooled) if row.threshold is not None)


def test_thresholds_rest_on_verified_figures_of_the_holdout_alone(taxonomy: Taxonomy) -> None:
    n = len(ALL_RIGHT)
    everything, ten = np.ones(n, dtype=bool), np.arange(n) < 10
    proven = make_card(evidence_of(ALL_RIGHT, ALL_RIGHT, checked=everything), taxonomy)
    assert settling(proven) == ["", "", "", "ant", "bug"]
    assert proven.proof == Proof(0.99, n, n, 368)
    for checked, measured_on, left in (
        (None, "holdout", 0),
        (ten, "holdout", 10),
        (everything, "cross-validation", 0),
    ):
        card = make_card(evidence_of(ALL_RIGHT, ALL_RIGHT, checked=checked, measured_on=measured_on), taxonomy)
        assert settling(card) == []
        assert card.proof == Proof(0.99, left, left, 368)
        assert card.n == n, "it is measured on them all the same"


def test_a_wrong_name_that_nobody_checked_does_not_count_against_a_threshold_either(taxonomy: Taxonomy) -> None:
    y = ALL_RIGHT[:400] + ["cat"] * 400
    card = make_card(evidence_of(ALL_RIGHT, y, checked=np.arange(800) < 400), taxonomy)
    assert settling(card) == ["", "", "", "ant"]


def test_the_holdout_proves_where_the_rest_is_cross_validated(taxonomy: Taxonomy) -> None:
    crossed = evidence_of(ALL_RIGHT, ALL_RIGHT, measured_on="cross-validation", checked=np.ones(800, dtype=bool))
    held_out = evidence_of(ALL_RIGHT[:380], ALL_RIGHT[:380], checked=np.ones(380, dtype=bool))
    card = make_card(crossed, taxonomy, holdout=held_out)
    assert (card.measured_on, card.n, settling(card)) == ("cross-validation", 800, ["", "", "", "ant"])
    assert card.proof == Proof(0.99, 380, 380, 368)


def test_without_anything_to_measure_it_says_so(taxonomy: Taxonomy) -> None:
    card = make_card(evidence_of([], []), taxonomy, notes=("Nothing yet.",))
    assert card == ModelCard("nothing", n_classes=4, notes=("Nothing yet.",))
    assert ModelCard.from_dict(card.to_dict()) == card
