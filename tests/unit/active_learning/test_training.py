"""From figures to a measured model, and what is said when there is too little to learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from active_learning import (
    ModelCard,
    NotEnoughDataError,
    Report,
    Taxonomy,
    TrainedModel,
    TrainingConfig,
    TrainingSet,
    in_holdout,
    snapshot_hash,
    train,
    with_card,
)
from active_learning.training_set import split_holdout

MakeSet = Callable[..., TrainingSet]
FOUR = {"ant": 40, "bug": 40, "cat": 40, "dog": 40}
CONFIG = TrainingConfig()


@pytest.fixture(scope="module")
def rich(make_set: MakeSet) -> TrainingSet:
    return make_set(FOUR)


@pytest.fixture(scope="module")
def model(rich: TrainingSet, taxonomy: Taxonomy) -> TrainedModel:
    return train(rich, taxonomy, CONFIG)


def test_no_figures_are_too_few(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    with pytest.raises(NotEnoughDataError, match="no verified figures"):
        train(make_set({}), taxonomy, CONFIG)


def test_one_taxon_is_too_few_and_is_named(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    with pytest.raises(NotEnoughDataError, match="All 7 verified figures are of one taxon, ant"):
        train(make_set({"ant": 7}), taxonomy, CONFIG)
    with pytest.raises(NotEnoughDataError, match="only verified figure is of one taxon, ant"):
        train(make_set({"ant": 1}), taxonomy, CONFIG)
    with pytest.raises(NotEnoughDataError, match="fewer than 3 figures: bug"):
        train(make_set({"ant": 7, "bug": 2}), taxonomy, TrainingConfig(min_per_class=3))


def test_enough_sources_are_measured_on_the_frozen_holdout(model: TrainedModel, rich: TrainingSet) -> None:
    held = [in_holdout(group, CONFIG.holdout_fraction, CONFIG.seed) for group in rich.groups]
    assert model.report.measured_on == "holdout"
    assert model.report.n == sum(held)
    assert model.n_figures == len(rich) - sum(held)
    assert model.report.accuracy > 0.9
    assert model.report.accuracy_by_rank["genus"] >= model.report.accuracy_by_rank["species"]
    assert model.report.accuracy_by_rank["family"] == 1.0


def test_what_is_held_out_leaves_no_trace_in_the_weights(
    model: TrainedModel, rich: TrainingSet, taxonomy: Taxonomy
) -> None:
    held = np.array([in_holdout(group, CONFIG.holdout_fraction, CONFIG.seed) for group in rich.groups])
    spoiled = rich.x.copy()
    spoiled[held] = -spoiled[held]
    other = train(replace(rich, x=spoiled), taxonomy, CONFIG)
    assert other.head.tensors()["weight"].tobytes() == model.head.tensors()["weight"].tobytes()
    assert other.temperature == model.temperature
    assert other.report.accuracy < model.report.accuracy


def test_the_same_snapshot_in_any_order_gives_the_same_model_to_the_last_bit(
    model: TrainedModel, rich: TrainingSet, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    shuffled = rich.take(np.random.default_rng(1).permutation(len(rich)))
    again = train(shuffled, taxonomy, CONFIG)
    assert again.snapshot_hash == model.snapshot_hash == snapshot_hash(rich)
    assert again.save(tmp_path / "a") == model.save(tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_the_snapshot_hash_sees_every_change(rich: TrainingSet) -> None:
    moved = rich.x.copy()
    moved[3, 2] = np.nextafter(moved[3, 2], np.float32(2))
    changed = [
        replace(rich, y=("bug", *rich.y[1:])),
        replace(rich, groups=("other", *rich.groups[1:])),
        replace(rich, ids=(9999, *rich.ids[1:])),
        replace(rich, x=moved),
        replace(rich, weights=np.linspace(1, 2, len(rich))),
        replace(rich, backbone="drawn@2"),
        replace(rich, sources=("here",) * len(rich)),
        replace(rich, at_random=np.arange(len(rich)) < 3),
        replace(rich, checked=np.arange(len(rich)) > 2),
        replace(rich, soft={rich.ids[0]: {"ant": 0.5, "bug": 0.5}}),
        replace(rich, far_x=rich.x[:2]),
        rich.take(range(len(rich) - 1)),
    ]
    hashes = {snapshot_hash(data) for data in (rich, *changed)}
    assert len(hashes) == 1 + len(changed)
    assert snapshot_hash(replace(rich, weights=np.ones(len(rich)))) == snapshot_hash(rich)


def test_a_taxon_with_one_figure_is_learned_and_noted(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    for first_id in range(1, 300, 60):  # among these the single source lies in the holdout and outside it
        model = train(make_set({"ant": 20, "bug": 20, "cat": 1}, first_id=first_id), taxonomy, CONFIG)
        assert "cat" in model.classes
        assert model.report.rare_classes == ("cat",)
        assert any("single figure each: cat" in note for note in model.report.notes)


def test_a_taxon_found_only_in_the_holdout_is_learned_all_the_same(rich: TrainingSet) -> None:
    held_group = next(group for group in rich.groups if in_holdout(group, 0.2, 0))
    y = tuple("new" if group == held_group else label for label, group in zip(rich.y, rich.groups, strict=True))
    split = split_holdout(replace(rich, y=y), CONFIG)
    assert split.borrowed_groups == (held_group,)
    assert "new" in {y[row] for row in split.learned}
    assert not {rich.groups[row] for row in split.held_out} & {rich.groups[row] for row in split.learned}
    assert len(split.learned) + len(split.held_out) == len(rich)


def test_without_a_holdout_it_is_cross_validated_and_says_so(rich: TrainingSet, taxonomy: Taxonomy) -> None:
    report = train(rich, taxonomy, TrainingConfig(holdout_fraction=0.0)).report
    assert report.measured_on == "cross-validation"
    assert report.n == len(rich)
    assert report.accuracy > 0.9
    assert any("holdout is empty" in note for note in report.notes)


def test_a_small_holdout_is_not_trusted(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    report = train(make_set({"ant": 12, "bug": 12}), taxonomy, CONFIG).report
    assert report.measured_on == "cross-validation"
    assert any("fewer than 20" in note for note in report.notes)


def test_a_holdout_that_lacks_taxa_is_not_trusted(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set({"ant": 200, "bug": 200, "cat": 200})
    lost = [r for r, g in enumerate(data.groups) if data.y[r] == "cat" and in_holdout(g, 0.2, 0)]
    kept = data.take([row for row in range(len(data)) if row not in lost])
    report = train(kept, taxonomy, CONFIG).report
    assert report.measured_on == "cross-validation"
    assert any("lacks 1 of 3 taxa" in note for note in report.notes)


def test_one_source_a_taxon_cannot_be_measured_and_says_so(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    model = train(make_set({"ant": 2, "bug": 2, "cat": 1}), taxonomy, CONFIG)
    assert model.report.measured_on == "nothing"
    assert model.report.n == 0
    assert any("nothing could be measured" in note for note in model.report.notes)
    assert model.predict(make_set({"ant": 3}).x).shape == (3, 3)


def test_its_probabilities_are_about_as_good_as_they_claim(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    model = train(make_set({"ant": 150, "bug": 150, "cat": 150, "dog": 150}, noise=1.1), taxonomy, CONFIG)
    assert 0.5 < model.report.accuracy < 0.97
    assert model.report.ece < model.report.calibration.noise_floor + 0.06


def test_progress_rises_from_nothing_to_all(rich: TrainingSet, taxonomy: Taxonomy) -> None:
    told: list[tuple[float, str]] = []
    train(rich, taxonomy, CONFIG, lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert all(what for _, what in told)


def test_the_report_survives_the_trip_through_json(model: TrainedModel) -> None:
    import json

    again = Report.from_dict(json.loads(json.dumps(model.report.to_dict())))
    assert again == model.report
    assert again.confusion.matrix().sum() == again.n
    assert sum(row.support for row in again.per_class) == again.n


@pytest.mark.parametrize(
    "spoil",
    [
        {"ids": (1, 2)},
        {"ids": (1, 1, 2)},
        {"y": ("ant",)},
        {"x": np.full((3, 4), np.inf, dtype=np.float32)},
        {"x": np.ones(3, dtype=np.float32)},
        {"weights": np.array([1.0, -1.0, 1.0])},
        {"weights": np.array([1.0])},
        {"x": np.array([[1, 1], [0, 0], [1, 0]], dtype=np.float32)},
        {"sources": ("one",)},
        {"at_random": np.array([True])},
        {"checked": np.array([True, False])},
        {"far_x": np.full((1, 4), np.nan, dtype=np.float32)},
    ],
)
def test_a_training_set_that_does_not_fit_together_is_refused(spoil: dict[str, object]) -> None:
    whole = {"ids": (1, 2, 3), "y": ("a", "b", "c"), "groups": ("g", "h", "i"), "x": np.ones((3, 4), np.float32)}
    with pytest.raises(ValueError):
        TrainingSet(**{**whole, **spoil}, backbone="drawn@1")  # type: ignore[arg-type]


def test_a_dozen_real_photographs_a_species_give_a_model_worth_having(
    butterflies: tuple[
        np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.str_]]
    ],
) -> None:
    x, y = butterflies
    parents: dict[str, str | None] = {str(name): str(name).split()[0] for name in y}
    ranks: dict[str, str | None] = dict.fromkeys(parents, "species")
    genera = {genus for genus in parents.values() if genus}
    tree = Taxonomy({**parents, **dict.fromkeys(genera, None)}, {**ranks, **dict.fromkeys(genera, "genus")})
    groups = tuple(f"photograph {n}" for n in range(len(y)))
    data = TrainingSet(
        ids=tuple(range(len(y))), x=x, y=tuple(str(name) for name in y), groups=groups, backbone="mobilenet_v2"
    )
    model = train(data, tree, TrainingConfig(holdout_fraction=0.0))
    assert model.report.measured_on == "cross-validation"
    assert model.report.balanced_accuracy > 0.93
    assert model.report.accuracy_by_rank["genus"] >= model.report.accuracy_by_rank["species"]
    assert model.report.ece < 0.1


def test_names_of_whole_groups_train_their_members(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set(FOUR)
    coarse = replace(data, y=tuple("Felis" if label in ("cat", "dog") and row % 5 else label
                                   for row, label in enumerate(data.y)))  # fmt: skip
    model = train(coarse, taxonomy, CONFIG)
    assert model.classes == ("ant", "bug", "cat", "dog")
    assert any("bear the name of a whole group" in note for note in model.report.notes)
    without = train(coarse.take([row for row, y in enumerate(coarse.y) if y != "Felis"]), taxonomy, CONFIG)
    fresh = make_set(FOUR, seed=5, first_id=1000)

    def right(trained: TrainedModel) -> float:
        said = np.array(trained.classes)[trained.predict(fresh.x).argmax(axis=1)]
        return float((said == np.array(fresh.y)).mean())

    assert right(model) >= right(without)


def test_only_names_of_whole_groups_are_told_apart_at_their_rank(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set(FOUR)
    genera = replace(data, y=tuple(taxonomy.at_rank(label, "genus") or "" for label in data.y))
    assert train(genera, taxonomy, CONFIG).classes == ("Felis", "Formica")


def test_one_line_of_descent_is_no_difference_to_learn(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set({"ant": 6, "bug": 6})
    line = replace(data, y=tuple("ant" if label == "ant" else "Formica" for label in data.y))
    with pytest.raises(NotEnoughDataError, match="one line of descent, down to ant"):
        train(line, taxonomy, CONFIG)


def test_shares_of_two_answers_pull_less_than_one_answer(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set({"ant": 12, "bug": 12})
    odd = next(row for row, label in enumerate(data.y) if label == "ant")
    wrong = replace(data, y=tuple("bug" if row == odd else label for row, label in enumerate(data.y)))
    shared = replace(wrong, soft={wrong.ids[odd]: {"ant": 0.5, "bug": 0.5}})
    config = TrainingConfig(holdout_fraction=0.0)
    of_ant = [train(one, taxonomy, config).predict(data.x[[odd]])[0, 0] for one in (wrong, shared, data)]
    assert of_ant[0] < of_ant[1] < of_ant[2]


def test_it_is_measured_on_names_that_were_checked(rich: TrainingSet, taxonomy: Taxonomy) -> None:
    half = np.arange(len(rich)) % 4 < 2  # whole sources: two figures each
    report = train(replace(rich, checked=half), taxonomy, TrainingConfig(holdout_fraction=0.0)).report
    assert report.n == half.sum()
    few = train(replace(rich, checked=np.arange(len(rich)) < 5), taxonomy, TrainingConfig(holdout_fraction=0.0)).report
    assert few.n == len(rich)
    assert any("nobody here has checked" in note for note in few.notes)


@pytest.fixture(scope="module")
def many(make_set: MakeSet) -> TrainingSet:
    """Two taxa that are easily told apart, of 150 sources each."""
    return make_set({"ant": 300, "cat": 300}, noise=0.1, dim=4)


@pytest.mark.parametrize(
    ("n_checked", "held_out", "proven"), [(600, 0.4, {"ant", "cat"}), (10, 0.4, set()), (600, 0.0, set())]
)
def test_thresholds_for_settling_are_proven_by_checked_names_of_the_holdout_alone(
    many: TrainingSet, taxonomy: Taxonomy, n_checked: int, held_out: float, proven: set[str]
) -> None:
    data = replace(many, checked=np.random.default_rng(0).permutation(600) < n_checked)
    config = TrainingConfig(holdout_fraction=held_out, l2_candidates=(0.3,), folds=2)
    card = ModelCard.from_dict(with_card(train(data, taxonomy, config), data, taxonomy, 0.9).card)
    assert card.accuracy.value == 1.0
    assert {row.qid for row in card.thresholds if row.threshold is not None} == proven
    assert any(row.threshold is not None for row in card.pooled) == bool(proven)
    own = data.verified() & np.array([in_holdout(group, held_out, config.seed) for group in data.groups])
    assert card.proof is not None
    assert (card.proof.n, card.proof.n_sources) == (own.sum(), len({data.groups[row] for row in np.flatnonzero(own)}))


def test_it_calibrates_on_figures_asked_for_by_chance_where_there_are_enough(
    make_set: MakeSet, taxonomy: Taxonomy
) -> None:
    data = make_set({"ant": 160, "bug": 160}, noise=1.0)
    by_chance = replace(data, at_random=np.arange(len(data)) % 4 < 2)
    model = train(by_chance, taxonomy, TrainingConfig(holdout_fraction=0.0))
    assert any("asked for by chance" in note for note in model.report.notes)
    assert model.scales[0].n <= 160


def test_a_budget_changes_the_time_and_not_the_kind_of_answer(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    data = make_set({"ant": 80, "bug": 80, "cat": 80, "dog": 80})
    tight = TrainingConfig(validation_budget=4e4)
    model = train(data, taxonomy, tight)
    assert model.report.accuracy > 0.9
    assert any("To be done in time" in note for note in model.report.notes)
    assert train(data, taxonomy, tight, threads=2).head.tensors()["weight"].tobytes() == (
        model.head.tensors()["weight"].tobytes()
    )


def test_threads_change_no_bit(rich: TrainingSet, model: TrainedModel, taxonomy: Taxonomy) -> None:
    assert train(rich, taxonomy, CONFIG, threads=2).report == model.report
