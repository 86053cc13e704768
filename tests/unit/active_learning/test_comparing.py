"""Which of two models serves, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from active_learning import (
    LinearHead,
    Taxonomy,
    TrainedModel,
    TrainingConfig,
    TrainingSet,
    compare,
    in_holdout,
    train,
)

MakeSet = Callable[..., TrainingSet]
CONFIG = TrainingConfig()


@pytest.fixture(scope="module")
def data(make_set: MakeSet) -> TrainingSet:
    return make_set({"ant": 60, "bug": 60, "cat": 60, "dog": 60}, noise=0.8)


def trained_on(data: TrainingSet, taxonomy: Taxonomy, rows: list[int], config: TrainingConfig = CONFIG) -> TrainedModel:
    return train(data.take(rows), taxonomy, config)


def mislabelled(data: TrainingSet) -> TrainingSet:
    """Half of the labels moved on to the next class."""
    following = {"ant": "bug", "bug": "cat", "cat": "dog", "dog": "ant"}
    return replace(data, y=tuple(following[label] if row % 2 else label for row, label in enumerate(data.y)))


def test_the_first_model_is_published(data: TrainingSet, taxonomy: Taxonomy) -> None:
    verdict = compare(train(data, taxonomy, CONFIG), None, data, seed=0)
    assert verdict.publish
    assert "first model" in verdict.reason
    assert "figures it had not seen" in verdict.reason


def test_a_better_model_is_published_and_a_worse_one_is_not(data: TrainingSet, taxonomy: Taxonomy) -> None:
    good, bad = train(data, taxonomy, CONFIG), train(mislabelled(data), taxonomy, CONFIG)
    forward, backward = compare(good, bad, data, seed=0), compare(bad, good, data, seed=0)
    assert forward.publish
    assert "it is better" in forward.reason
    assert not backward.publish
    assert "clearly worse" in backward.reason
    assert forward.gain == pytest.approx(-(backward.gain or 0))
    assert forward.challenger_balanced_accuracy == backward.champion_balanced_accuracy


def test_the_same_model_again_is_kept_back(data: TrainingSet, taxonomy: Taxonomy) -> None:
    model = train(data, taxonomy, CONFIG)
    verdict = compare(model, model, data, seed=0)
    assert not verdict.publish
    assert (verdict.gain, verdict.gain_low, verdict.gain_high) == (0, 0, 0)
    assert "no better" in verdict.reason


def test_a_verdict_can_be_repeated(data: TrainingSet, taxonomy: Taxonomy) -> None:
    good, bad = train(data, taxonomy, CONFIG), train(mislabelled(data), taxonomy, CONFIG)
    assert compare(good, bad, data, seed=4) == compare(good, bad, data, seed=4)
    assert "reason" in compare(good, bad, data, seed=4).to_dict()


def test_a_model_that_knows_more_taxa_is_published(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set({"ant": 60, "bug": 60, "cat": 60, "dog": 60}, noise=0.3)
    old = trained_on(data, taxonomy, [row for row, label in enumerate(data.y) if label != "dog"])
    verdict = compare(train(data, taxonomy, CONFIG), old, data, seed=0)
    assert verdict.publish
    assert verdict.new_classes == ("dog",)
    assert (verdict.gain or 0) > 0.2


def test_new_taxa_do_not_excuse_ruin_of_the_old(data: TrainingSet, taxonomy: Taxonomy) -> None:
    old = trained_on(data, taxonomy, [row for row, label in enumerate(data.y) if label != "dog"])
    ruined = train(mislabelled(data), taxonomy, CONFIG)
    assert set(ruined.classes) > set(old.classes)
    assert not compare(ruined, old, data, seed=0).publish


def test_without_a_holdout_the_one_that_learned_from_more_is_published(data: TrainingSet, taxonomy: Taxonomy) -> None:
    config = TrainingConfig(holdout_fraction=0.0)
    all_rows = list(range(len(data)))
    less, more = (trained_on(data, taxonomy, rows, config) for rows in (all_rows[::3], all_rows))
    assert compare(more, less, data, seed=0).publish
    backward = compare(less, more, data, seed=0)
    assert not backward.publish
    assert "no held-out figures" in backward.reason
    ruined = train(mislabelled(data), taxonomy, config)
    verdict = compare(ruined, less, data, seed=0)
    assert not verdict.publish
    assert "cross-validation speaks against it" in verdict.reason


def test_sources_that_one_of_them_learned_from_are_not_compared_on(data: TrainingSet, taxonomy: Taxonomy) -> None:
    good, bad = train(data, taxonomy, CONFIG), train(mislabelled(data), taxonomy, CONFIG)
    all_held = compare(good, bad, data, seed=0)
    borrowed = next(group for group in data.groups if group not in good.borrowed_groups)
    fewer = compare(replace(good, borrowed_groups=tuple(set(data.groups) - {borrowed})), bad, data, seed=0)
    assert fewer.n_groups <= 1 < all_held.n_groups


def test_a_champion_of_another_backbone_is_measured_on_its_own_vectors(data: TrainingSet, taxonomy: Taxonomy) -> None:
    turned = replace(data, x=np.ascontiguousarray(data.x[:, ::-1]), backbone="drawn@2")
    champion, challenger = train(turned, taxonomy, CONFIG), train(data, taxonomy, CONFIG)
    with pytest.raises(ValueError, match="champion_x"):
        compare(challenger, champion, data, seed=0)
    verdict = compare(challenger, champion, data, seed=0, champion_x=turned.x)
    assert verdict.champion_balanced_accuracy == pytest.approx(verdict.challenger_balanced_accuracy or 0, abs=0.05)
    with pytest.raises(ValueError, match="learned on"):
        compare(champion, challenger, data, seed=0)


def answering(model: TrainedModel, said: list[str], sure: float = 0.9) -> TrainedModel:
    """The model with a head that names figure `i` (a unit vector along axis i) as `said[i]`, this surely."""
    k = len(model.classes)
    value = np.log(sure * (k - 1) / (1 - sure))
    weight = np.zeros((len(said), k), dtype=np.float32)
    for row, label in enumerate(said):
        weight[row, model.classes.index(label)] = value
    head = LinearHead().restore(model.classes, {"weight": weight, "bias": np.zeros(k, dtype=np.float32)})
    return replace(model, head=head, temperature=1.0, borrowed_groups=())


def held_out_figures(per_class: int) -> TrainingSet:
    """Figures of four taxa in sources of the holdout only, each along an axis of its own."""
    labels = [label for label in ("ant", "bug", "cat", "dog") for _ in range(per_class)]
    groups = [name for name in (f"plate {n}" for n in range(100_000)) if in_holdout(name, 0.2, 0)][: len(labels)]
    return TrainingSet(
        ids=tuple(range(len(labels))),
        x=np.eye(len(labels), dtype=np.float32),
        y=tuple(labels),
        groups=tuple(groups),
        backbone="drawn@1",
    )


def wrong_at(figures: TrainingSet, places: list[int]) -> list[str]:
    following = {"ant": "bug", "bug": "cat", "cat": "dog", "dog": "ant"}
    return [following[label] if row in places else label for row, label in enumerate(figures.y)]


def test_no_taxon_is_quietly_made_worse(data: TrainingSet, taxonomy: Taxonomy) -> None:
    model, figures = train(data, taxonomy, CONFIG), held_out_figures(25)
    before = answering(model, wrong_at(figures, list(range(25, 37))))  # 12 bugs wrong
    after = answering(model, wrong_at(figures, [0, 1, 2]))  # 3 ants wrong: better on the whole
    verdict = compare(after, before, figures, seed=0)
    assert not verdict.publish
    assert verdict.worse_classes == ("ant",)
    assert "loses more than 10% of the figures of ant" in verdict.reason
    assert compare(answering(model, wrong_at(figures, [0, 1])), before, figures, seed=0).publish


def test_flips_from_right_to_wrong_are_bounded(data: TrainingSet, taxonomy: Taxonomy) -> None:
    model, figures = train(data, taxonomy, CONFIG), held_out_figures(100)
    spread = [row for start in range(0, 400, 100) for row in range(start, start + 9)]  # 9 of each taxon
    others = [row + 50 for row in spread]
    verdict = compare(
        answering(model, wrong_at(figures, spread)), answering(model, wrong_at(figures, [*others, 99])), figures, seed=0
    )
    assert verdict.flips == pytest.approx(36 / 400)
    assert verdict.flips_back == pytest.approx(37 / 400)
    assert not verdict.publish
    assert "36 of 400 figures that are named rightly now would be named wrongly" in verdict.reason
    few = compare(
        answering(model, wrong_at(figures, spread[:4])), answering(model, wrong_at(figures, others)), figures, 0
    )
    assert few.publish


def test_probabilities_that_got_worse_keep_the_champion(data: TrainingSet, taxonomy: Taxonomy) -> None:
    model, figures = train(data, taxonomy, CONFIG), held_out_figures(300)
    wrong = list(range(0, 1200, 10))
    honest = answering(model, wrong_at(figures, wrong), sure=0.9)
    boasting = answering(model, wrong_at(figures, wrong[1:]), sure=0.999)
    verdict = compare(boasting, honest, figures, seed=0)
    assert verdict.ece_change is not None
    assert verdict.ece_change > 0.05
    assert not verdict.publish
    assert "probabilities are off" in verdict.reason


def test_figures_the_champion_saw_under_another_source_are_left_out(data: TrainingSet, taxonomy: Taxonomy) -> None:
    model, figures = train(data, taxonomy, CONFIG), held_out_figures(25)
    ours, theirs = answering(model, list(figures.y)), answering(model, wrong_at(figures, [0, 1, 2, 3]))
    assert compare(ours, theirs, figures, seed=0).n == 100
    assert compare(ours, theirs, figures, seed=0, seen=range(40)).n == 60
