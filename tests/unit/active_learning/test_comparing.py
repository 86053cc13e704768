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


@pytest.fixture(scope="module")
def model(data: TrainingSet, taxonomy: Taxonomy) -> TrainedModel:
    """A good model; it may be given another head."""
    return train(data, taxonomy, CONFIG)


@pytest.fixture(scope="module")
def pair(data: TrainingSet, model: TrainedModel, taxonomy: Taxonomy) -> tuple[TrainedModel, TrainedModel]:
    """A good model and a bad one."""
    return model, train(mislabelled(data), taxonomy, CONFIG)


def test_the_first_model_is_published(data: TrainingSet, model: TrainedModel, taxonomy: Taxonomy) -> None:
    verdict = compare(model, None, data, taxonomy, seed=0)
    assert verdict.publish
    assert "first model" in verdict.reason
    assert "figures it had not seen" in verdict.reason


def test_a_better_model_is_published_and_a_worse_one_is_not(
    data: TrainingSet, pair: tuple[TrainedModel, TrainedModel], taxonomy: Taxonomy
) -> None:
    good, bad = pair
    forward, backward = compare(good, bad, data, taxonomy, seed=0), compare(bad, good, data, taxonomy, seed=0)
    assert forward.publish
    assert "it is better" in forward.reason
    assert not backward.publish
    assert "clearly worse" in backward.reason
    assert forward.gain == pytest.approx(-(backward.gain or 0))
    assert forward.challenger_balanced_accuracy == backward.champion_balanced_accuracy


def test_the_same_model_again_is_kept_back(data: TrainingSet, model: TrainedModel, taxonomy: Taxonomy) -> None:
    verdict = compare(model, model, data, taxonomy, seed=0)
    assert not verdict.publish
    assert (verdict.gain, verdict.gain_low, verdict.gain_high) == (0, 0, 0)
    assert "no better" in verdict.reason


def test_a_verdict_can_be_repeated(
    data: TrainingSet, pair: tuple[TrainedModel, TrainedModel], taxonomy: Taxonomy
) -> None:
    good, bad = pair
    assert compare(good, bad, data, taxonomy, seed=4) == compare(good, bad, data, taxonomy, seed=4)
    assert "reason" in compare(good, bad, data, taxonomy, seed=4).to_dict()


def test_a_model_that_knows_more_taxa_is_published(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set({"ant": 60, "bug": 60, "cat": 60, "dog": 60}, noise=0.3)
    old = trained_on(data, taxonomy, [row for row, label in enumerate(data.y) if label != "dog"])
    verdict = compare(train(data, taxonomy, CONFIG), old, data, taxonomy, seed=0)
    assert verdict.publish
    assert verdict.new_classes == ("dog",)
    assert (verdict.gain or 0) > 0.2


def test_new_taxa_do_not_excuse_ruin_of_the_old(data: TrainingSet, taxonomy: Taxonomy) -> None:
    old = trained_on(data, taxonomy, [row for row, label in enumerate(data.y) if label != "dog"])
    ruined = train(mislabelled(data), taxonomy, CONFIG)
    assert set(ruined.classes) > set(old.classes)
    assert not compare(ruined, old, data, taxonomy, seed=0).publish


def test_without_a_holdout_the_one_that_learned_from_more_is_published(data: TrainingSet, taxonomy: Taxonomy) -> None:
    config = TrainingConfig(holdout_fraction=0.0)
    all_rows = list(range(len(data)))
    less, more = (trained_on(data, taxonomy, rows, config) for rows in (all_rows[::3], all_rows))
    assert compare(more, less, data, taxonomy, seed=0).publish
    backward = compare(less, more, data, taxonomy, seed=0)
    assert not backward.publish
    assert "no held-out figures" in backward.reason
    ruined = train(mislabelled(data), taxonomy, config)
    verdict = compare(ruined, less, data, taxonomy, seed=0)
    assert not verdict.publish
    assert "cross-validation speaks against it" in verdict.reason


def test_sources_that_one_of_them_learned_from_are_not_compared_on(
    data: TrainingSet, pair: tuple[TrainedModel, TrainedModel], taxonomy: Taxonomy
) -> None:
    good, bad = pair
    all_held = compare(good, bad, data, taxonomy, seed=0)
    borrowed = next(group for group in data.groups if group not in good.borrowed_groups)
    fewer = compare(replace(good, borrowed_groups=tuple(set(data.groups) - {borrowed})), bad, data, taxonomy, seed=0)
    assert fewer.n_groups <= 1 < all_held.n_groups


def test_a_champion_of_another_backbone_is_measured_on_its_own_vectors(data: TrainingSet, taxonomy: Taxonomy) -> None:
    turned = replace(data, x=np.ascontiguousarray(data.x[:, ::-1]), backbone="drawn@2")
    champion, challenger = train(turned, taxonomy, CONFIG), train(data, taxonomy, CONFIG)
    with pytest.raises(ValueError, match="champion_x"):
        compare(challenger, champion, data, taxonomy, seed=0)
    verdict = compare(challenger, champion, data, taxonomy, seed=0, champion_x=turned.x)
    assert verdict.champion_balanced_accuracy == pytest.approx(verdict.challenger_balanced_accuracy or 0, abs=0.05)
    with pytest.raises(ValueError, match="learned on"):
        compare(champion, challenger, data, taxonomy, seed=0)


def answering(model: TrainedModel, said: list[str], sure: float = 0.9) -> TrainedModel:
    """The model with a head that names figure `i` (a unit vector along axis i) as `said[i]`, this surely."""
    k = len(model.classes)
    value = np.log(sure * (k - 1) / (1 - sure))
    weight = np.zeros((len(said), k), dtype=np.float32)
    for row, label in enumerate(said):
        weight[row, model.classes.index(label)] = value
    head = LinearHead().restore(model.classes, {"weight": weight, "bias": np.zeros(k, dtype=np.float32)})
    return replace(model, head=head, temperature=1.0, borrowed_groups=())


def naming(model: TrainedModel, classes: tuple[str, ...], said: list[str]) -> TrainedModel:
    """The same with classes of its own."""
    return answering(replace(model, classes=classes), said)


def held_out_figures(per_class: int) -> TrainingSet:
    """Figures of four taxa in sources of the holdout only, each along an axis of its own."""
    return held_out([label for label in ("ant", "bug", "cat", "dog") for _ in range(per_class)])


def held_out(labels: list[str]) -> TrainingSet:
    """Figures of these taxa, each in a source of its own of the holdout and along an axis of its own."""
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


def test_no_taxon_is_quietly_made_worse(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out_figures(25)
    before = answering(model, wrong_at(figures, list(range(25, 37))))  # 12 bugs wrong
    after = answering(model, wrong_at(figures, [0, 1, 2, 3, 4]))  # 5 ants wrong: better on the whole
    verdict = compare(after, before, figures, taxonomy, seed=0)
    assert not verdict.publish
    assert verdict.worse_classes == ("ant",)
    assert "it certainly loses more than 10% of the figures of ant" in verdict.reason
    after = answering(model, wrong_at(figures, [0, 1, 2, 3]))  # this may be chance: it is published, and told
    verdict = compare(after, before, figures, taxonomy, seed=0)
    assert (verdict.publish, verdict.worse_classes) == (True, ())
    assert "It is right less often on ant (25 of 25 right before, 21 now)." in verdict.reason
    figures = held_out_figures(60)
    before = answering(model, wrong_at(figures, list(range(60, 72))))
    after = answering(model, wrong_at(figures, [0, 1, 2, 3, 4, 5]))  # certain, and no more than a tenth
    assert compare(after, before, figures, taxonomy, seed=0).worse_classes == ()


def test_flips_from_right_to_wrong_are_bounded(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out_figures(100)
    spread = [row for start in range(0, 400, 100) for row in range(start, start + 9)]  # 9 of each taxon
    others = [row + 50 for row in spread]
    verdict = compare(
        answering(model, wrong_at(figures, spread)),
        answering(model, wrong_at(figures, [*others, 99])),
        figures,
        taxonomy,
        seed=0,
    )
    assert verdict.flips == pytest.approx(36 / 400)
    assert verdict.flips_back == pytest.approx(37 / 400)
    assert not verdict.publish
    assert "36 of 400 figures that are named rightly now would be named wrongly" in verdict.reason
    few = compare(
        answering(model, wrong_at(figures, spread[:4])),
        answering(model, wrong_at(figures, others)),
        figures,
        taxonomy,
        0,
    )
    assert few.publish


def test_probabilities_that_got_worse_keep_the_champion(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out_figures(300)
    wrong = list(range(0, 1200, 10))
    honest = answering(model, wrong_at(figures, wrong), sure=0.9)
    boasting = answering(model, wrong_at(figures, wrong[1:]), sure=0.999)
    verdict = compare(boasting, honest, figures, taxonomy, seed=0)
    assert verdict.ece_change is not None
    assert verdict.ece_change > 0.05
    assert not verdict.publish
    assert "probabilities are off" in verdict.reason


def test_figures_the_champion_saw_under_another_source_are_left_out(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out_figures(25)
    ours, theirs = answering(model, list(figures.y)), answering(model, wrong_at(figures, [0, 1, 2, 3]))
    assert compare(ours, theirs, figures, taxonomy, seed=0).n == 100
    assert compare(ours, theirs, figures, taxonomy, seed=0, seen=range(40)).n == 60


@pytest.mark.parametrize("n_named", [1, 6, 12, 20])
def test_a_model_that_names_the_species_takes_the_place_of_one_that_named_the_genus(
    model: TrainedModel, taxonomy: Taxonomy, n_named: int
) -> None:
    said = ["ant"] * 20 + ["Felis"] * 20
    coarse = naming(model, ("Felis", "Formica"), ["Formica"] * 20 + ["Felis"] * 20)
    fine = naming(model, ("Felis", "ant"), said)
    figures = held_out(["ant"] * n_named + ["Formica"] * (20 - n_named) + ["Felis"] * 20)
    verdict = compare(fine, coarse, figures, taxonomy, seed=0)
    assert verdict.publish
    assert verdict.new_classes == ("ant",)
    assert verdict.gone_classes == ()
    assert verdict.flips == 0
    assert verdict.losses == ()
    assert verdict.challenger_accuracy == 1
    assert verdict.champion_accuracy == pytest.approx(1 - n_named / 40)
    backward = compare(coarse, fine, figures, taxonomy, seed=0)
    assert not backward.publish


def test_species_do_not_excuse_the_loss_of_the_genus(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out_figures(10)
    coarse = naming(model, ("Felis", "Formica"), ["Formica"] * 20 + ["Felis"] * 20)
    fine = answering(model, wrong_at(figures, list(range(13, 20))))  # 7 bugs named as cats
    verdict = compare(fine, coarse, figures, taxonomy, seed=0)
    assert verdict.champion_accuracy == 0
    assert verdict.challenger_accuracy == pytest.approx(33 / 40)
    assert not verdict.publish
    assert verdict.worse_classes == ("Formica",)
    assert verdict.flips == pytest.approx(7 / 40)
    within = answering(model, ["bug" if row < 7 else label for row, label in enumerate(figures.y)])
    assert compare(within, coarse, figures, taxonomy, seed=0).publish  # ants named as bugs are of the genus


def test_a_taxon_that_moved_above_another_loses_nothing(model: TrainedModel) -> None:
    moved = Taxonomy({"bug": "ant", "ant": None, "cat": None}, {})
    figures = held_out(["ant"] * 12 + ["bug"] * 12 + ["cat"] * 12)
    before = naming(model, ("ant", "bug", "cat"), ["ant"] * 11 + ["bug"] * 12 + ["cat"] * 12 + ["ant"])
    after = naming(model, ("bug", "cat"), ["bug"] * 24 + ["cat"] * 12)
    verdict = compare(after, before, figures, moved, seed=0)
    assert verdict.publish
    assert (verdict.flips, verdict.losses, verdict.gone_classes) == (0, (), ())


def test_merged_items_are_one_taxon_for_both_models(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out(["ant"] * 20 + ["cat"] * 20)
    before = naming(model, ("ant", "cat", "emmet"), ["emmet"] * 10 + ["ant"] * 10 + ["cat"] * 20)
    after = naming(model, ("ant", "cat"), ["cat"] * 5 + ["ant"] * 15 + ["cat"] * 20)
    apart = compare(after, before, figures, taxonomy, seed=0)
    assert (apart.publish, apart.gone_classes) == (True, ("emmet",))
    verdict = compare(after, before, figures, taxonomy, seed=0, renamed={"emmet": "ant"})
    assert (verdict.publish, verdict.gone_classes, verdict.champion_accuracy) == (False, (), 1)
    same = compare(naming(model, ("cat", "emmet"), ["emmet"] * 20 + ["cat"] * 20), before, figures, taxonomy, 0,
                   renamed={"emmet": "ant"})  # fmt: skip
    assert (same.publish, same.new_classes, same.gain) == (False, (), 0)


def many_taxa(lost: int) -> tuple[TrainingSet, list[str], list[str]]:
    """40 taxa of 7 figures, what names all but some rightly, and what loses some of the first and wins elsewhere."""
    labels = [f"taxon{number:02d}" for number in range(40) for _ in range(7)]
    before = [*labels[:6], "taxon01", *("taxon00" if row % 7 == 0 else labels[row] for row in range(7, 280))]
    now = ["taxon01" if row in range(lost) else label for row, label in enumerate(labels)]
    return held_out(labels), before, now


def test_a_small_taxon_is_not_lost_in_silence(model: TrainedModel) -> None:
    classes, tree = tuple(f"taxon{number:02d}" for number in range(40)), Taxonomy({}, {})
    figures, before, now = many_taxa(lost=7)
    verdict = compare(naming(model, classes, now), naming(model, classes, before), figures, tree, seed=0)
    assert (verdict.gain or 0) > 0.1
    assert not verdict.publish
    assert verdict.worse_classes == ("taxon00",)
    assert "of the figures of taxon00 (6 of 7 right before, 0 now)" in verdict.reason
    figures, before, now = many_taxa(lost=4)  # this may be chance: it is published, and told
    verdict = compare(naming(model, classes, now), naming(model, classes, before), figures, tree, seed=0)
    assert (verdict.publish, verdict.worse_classes) == (True, ())
    assert [(one.qid, one.n, one.before, one.now) for one in verdict.losses] == [("taxon00", 7, 6, 3)]
    assert "It is right less often on taxon00 (6 of 7 right before, 3 now)." in verdict.reason
    assert verdict.to_dict()["losses"][0]["is_too_much"] is False


def test_figures_of_one_source_are_one_loss(model: TrainedModel) -> None:
    classes, tree = tuple(f"taxon{number:02d}" for number in range(40)), Taxonomy({}, {})
    figures, before, now = many_taxa(lost=7)
    one_plate = replace(figures, groups=(*[figures.groups[0]] * 7, *figures.groups[7:]))
    verdict = compare(naming(model, classes, now), naming(model, classes, before), one_plate, tree, seed=0)
    assert verdict.publish
    assert [str(one) for one in verdict.losses] == ["taxon00 (6 of 7 right before, 0 now)"]


def test_a_taxon_of_which_no_label_is_left_is_given_up(model: TrainedModel, taxonomy: Taxonomy) -> None:
    figures = held_out(["ant"] * 20 + ["cat"] * 20)
    with_dog = naming(model, ("ant", "cat", "dog"), list(figures.y))
    without = naming(model, ("ant", "cat"), list(figures.y))
    verdict = compare(without, with_dog, figures, taxonomy, seed=0)
    assert (verdict.publish, verdict.gone_classes) == (True, ("dog",))
    assert "no label is left of dog" in verdict.reason
    worse = naming(model, ("ant", "cat"), ["cat"] * 3 + ["ant"] * 17 + ["cat"] * 20)
    assert not compare(worse, with_dog, figures, taxonomy, seed=0).publish
    labelled = held_out([*figures.y, "dog"])  # a model that forgot a taxon which still has a label
    with_dog, without = (
        naming(with_dog, with_dog.classes, list(labelled.y)),
        naming(model, ("ant", "cat"), [*figures.y, "cat"]),
    )
    kept = compare(without, with_dog, labelled, taxonomy, seed=0)
    assert (kept.publish, kept.gone_classes) == (False, ())


def test_without_a_holdout_a_taxon_without_labels_is_given_up_too(data: TrainingSet, taxonomy: Taxonomy) -> None:
    config = TrainingConfig(holdout_fraction=0.0)
    left = data.take([row for row, label in enumerate(data.y) if label != "dog"])
    verdict = compare(train(left, taxonomy, config), train(data, taxonomy, config), left, taxonomy, seed=0)
    assert (verdict.publish, verdict.gone_classes) == (True, ("dog",))
    assert "no held-out figures" in verdict.reason
