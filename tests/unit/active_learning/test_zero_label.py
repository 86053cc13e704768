"""A network's own classes as a model: names read from labels, columns chosen, measured on what people verified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import (
    NotEnoughDataError,
    Taxonomy,
    TrainedModel,
    TrainingConfig,
    TrainingSet,
    borrowed_head,
    borrowed_model,
    may_follow,
    open_figure,
    scientific_name,
    train,
)
from active_learning.backbones import load_backbone, own_classifier

Floats = NDArray[np.float32]
CONFIG = TrainingConfig(folds=2, l2_candidates=(0.1,))
LABELS = ("Formica rufa (Red Wood Ant)", "Lygus pratensis ()", "Felis catus (Cat)", "Canis lupus (Wolf)", "background")
TAXA = {LABELS[0]: "ant", LABELS[1]: "bug", LABELS[2]: "cat", LABELS[3]: "dog"}


@dataclass(frozen=True)
class Layer:
    """A last layer that is made in a test."""

    labels: tuple[str, ...]
    weight: Floats
    bias: Floats
    typical_norm: float = 10.0


@pytest.fixture
def layer() -> Layer:
    """Five classes in five directions; the background is what it says most readily."""
    bias = np.array([0.0, 0.0, 0.0, 0.0, 3.0], dtype=np.float32)
    return Layer(LABELS, np.eye(5, dtype=np.float32), bias)


def figures(y: str, noise: float = 0.0, first_id: int = 1) -> TrainingSet:
    """A figure for each letter, of its own source: its vector points where the layer expects its class."""
    place = {"a": 0, "b": 1, "c": 2, "d": 3}
    names = {"a": "ant", "b": "bug", "c": "cat", "d": "dog"}
    rng = np.random.default_rng(1)
    rows = np.eye(5)[[place[one] for one in y]] + noise * rng.normal(size=(len(y), 5))
    x = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    ids = tuple(range(first_id, first_id + len(y)))
    groups = tuple(f"plate {key}" for key in ids)
    return TrainingSet(ids=ids, x=x, y=tuple(names[one] for one in y), groups=groups, backbone="drawn@1")


NOBODY = TrainingSet(ids=(), x=np.zeros((0, 0), dtype=np.float32), y=(), groups=(), backbone="drawn@1")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Danaus plexippus (Monarch)", "Danaus plexippus"),
        ("Circus cyaneus hudsonius (Northern Harrier (American))", "Circus cyaneus hudsonius"),
        ("Danaus gilippus thersippus ()", "Danaus gilippus thersippus"),
        ("Anas superciliosa \\xd7 platyrhynchos (Pacific Black Duck \\xd7 Mallard hybrid)",
         "Anas superciliosa × platyrhynchos"),
        ("Pieris", "Pieris"),
        ("background", None),
        ("", None),
        ("(no name)", None),
        ("42", None),
    ],
)  # fmt: skip
def test_a_label_gives_its_scientific_name(label: str, name: str | None) -> None:
    assert scientific_name(label) == name


@examples(max_examples=50)
@given(st.text(max_size=40))
def test_any_label_is_read_without_complaint(label: str) -> None:
    name = scientific_name(label)
    assert name is None or (name[0].isupper() and "(" not in name)


def test_all_real_labels_but_the_background_are_names(test_data: Path) -> None:
    for file in sorted((test_data / "weights").glob("*_labels.txt")):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if scientific_name(line) is None] == ["background"]
        assert len({scientific_name(line) for line in lines}) == len(lines)


def test_the_head_says_what_the_layer_says_of_the_taxa_that_are_left(layer: Layer) -> None:
    head = borrowed_head(layer, TAXA).head
    x = figures("abcd", 0.3).x
    logits = x @ layer.weight * layer.typical_norm + layer.bias
    assert head.classes_ == ("ant", "bug", "cat", "dog")
    np.testing.assert_allclose(head.decision(x), logits[:, :4], rtol=1e-5)


def test_leaving_out_what_cannot_be_there_makes_it_right_more_often(layer: Layer) -> None:
    x = figures("ab").x * np.float32(0.2)  # so faint that the background wins among all five
    everything = borrowed_head(layer, {**TAXA, "background": "nothing"}).head
    scope = borrowed_head(layer, {LABELS[0]: "ant", LABELS[1]: "bug"}).head
    assert [everything.classes_[i] for i in everything.decision(x).argmax(axis=1)] == ["nothing", "nothing"]
    assert [scope.classes_[i] for i in scope.decision(x).argmax(axis=1)] == ["ant", "bug"]


def test_of_two_labels_of_a_taxon_the_more_frequent_stands_for_it(layer: Layer) -> None:
    bias = np.array([0.0, 1.0, 0.0, 0.0, 0.0], dtype=np.float32)
    both = borrowed_head(Layer(LABELS, layer.weight, bias), {**TAXA, LABELS[1]: "ant"})
    assert both.head.classes_ == ("ant", "cat", "dog")
    assert both.stands_for["ant"] == LABELS[1]
    assert both.merged == (LABELS[0],)


def test_too_few_taxa_and_strange_labels_are_refused(layer: Layer) -> None:
    with pytest.raises(NotEnoughDataError, match="fewer than two"):
        borrowed_head(layer, {LABELS[0]: "ant"})
    with pytest.raises(ValueError, match="no class 'Homo sapiens'"):
        borrowed_head(layer, {"Homo sapiens": "ant", **TAXA})


def test_without_figures_nothing_is_measured_and_it_predicts(layer: Layer, taxonomy: Taxonomy, tmp_path: Path) -> None:
    model = borrowed_model(borrowed_head(layer, TAXA), NOBODY, taxonomy, CONFIG, ["As lent."])
    assert (model.report.measured_on, model.n_figures, model.temperature) == ("nothing", 0, 1.0)
    assert model.report.notes[0] == "As lent."
    model.save(tmp_path / "model")
    again = TrainedModel.load(tmp_path / "model")
    x = figures("abcd").x
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert [again.classes[i] for i in again.predict(x).argmax(axis=1)] == ["ant", "bug", "cat", "dog"]


def test_it_is_measured_on_all_that_was_verified(layer: Layer, taxonomy: Taxonomy) -> None:
    scope = borrowed_head(layer, {LABELS[0]: "ant", LABELS[1]: "bug"})
    data = figures("aabbc")  # of the cat it knows nothing: that counts as wrong
    report = borrowed_model(scope, data, taxonomy, CONFIG).report
    assert (report.measured_on, report.n, report.accuracy) == ("holdout", 5, 0.8)
    coarse = TrainingSet(ids=(1, 2), x=data.x[:2], y=("ant", "Formica"), groups=("p", "q"), backbone="drawn@1")
    assert borrowed_model(scope, coarse, taxonomy, CONFIG).report.n == 1


def test_overconfident_probabilities_are_mended_where_figures_tell(layer: Layer, taxonomy: Taxonomy) -> None:
    loud = Layer(layer.labels, layer.weight, layer.bias, typical_norm=100.0)
    data = figures("abcd" * 15, noise=0.8)
    few = borrowed_model(borrowed_head(loud, TAXA), figures("abcd", 0.8), taxonomy, CONFIG)
    many = borrowed_model(borrowed_head(loud, TAXA), data, taxonomy, CONFIG)
    assert few.temperature == 1.0
    assert many.temperature > 3.0
    raw = borrowed_head(loud, TAXA).head.predict_proba(data.x).max(axis=1).mean()
    assert abs(many.predict(data.x).max(axis=1).mean() - many.report.accuracy) < abs(raw - many.report.accuracy)


def test_a_trained_model_follows_only_if_it_is_no_worse(layer: Layer, taxonomy: Taxonomy) -> None:
    data = figures("abcd" * 6, noise=0.35)
    lent = borrowed_model(borrowed_head(layer, TAXA), data, taxonomy, CONFIG)
    good = train(data, taxonomy, CONFIG)
    wrong = {"ant": "bug", "bug": "cat", "cat": "dog", "dog": "ant"}
    muddled = TrainingSet(
        ids=data.ids,
        x=data.x,
        y=tuple(wrong[label] if row % 3 else label for row, label in enumerate(data.y)),
        groups=data.groups,
        backbone=data.backbone,
    )
    bad = train(muddled, taxonomy, CONFIG)
    no, yes = may_follow(bad, lent, data, taxonomy), may_follow(good, bad, data, taxonomy)
    assert (no.publish, yes.publish) == (False, True)
    assert "worse than the network's own classes" in no.reason
    assert (no.gain or 0) < 0 <= (yes.gain or 0)
    elsewhere = replace(data, x=data.x[:, ::-1].copy(), backbone="drawn@2")
    other = train(elsewhere, taxonomy, CONFIG)
    assert may_follow(other, bad, elsewhere, taxonomy, data.x).publish
    with pytest.raises(ValueError, match="needs vectors of drawn@1"):
        may_follow(other, lent, elsewhere, taxonomy)


def test_a_model_that_could_not_be_measured_does_not_follow(layer: Layer, taxonomy: Taxonomy) -> None:
    lent = borrowed_model(borrowed_head(layer, TAXA), NOBODY, taxonomy, CONFIG)
    verdict = may_follow(train(figures("ab"), taxonomy, CONFIG), lent, figures("ab"), taxonomy)
    assert not verdict.publish
    assert "could not be measured" in verdict.reason


def test_the_insect_network_names_butterflies_that_nobody_has_named_here(test_data: Path) -> None:
    backbone = load_backbone("mobilenet_v2/inat_insect", test_data / "weights", allow_hub=False)
    classifier = own_classifier("mobilenet_v2/inat_insect", test_data / "weights")
    assert classifier is not None
    names = {label: name for label in classifier.labels if (name := scientific_name(label))}
    files = [sorted((test_data / "photos" / "butterflies" / one).glob("*.jpg"))[0] for one in
             ("Danaus plexippus", "Junonia coenia", "Nymphalis antiopa", "Vanessa cardui")]  # fmt: skip
    head = borrowed_head(classifier, names).head
    said = [head.classes_[i] for i in head.decision(backbone.embed([open_figure(f) for f in files])).argmax(axis=1)]
    assert said == [file.parent.name for file in files]
