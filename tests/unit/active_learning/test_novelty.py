"""It knows what it does not know: relatives and strangers are told from known taxa."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from active_learning import (
    ArtifactError,
    LinearHead,
    NotEnoughDataError,
    NoveltyExamples,
    NoveltyModel,
    Strangeness,
    Taxonomy,
    TrainingSet,
    fit_novelty,
    leave_classes_out,
)
from active_learning.novelty import FAR, KNOWN, NEAR, SCORES, auroc, tpr_at

MakeSet = Callable[..., TrainingSet]
COUNTS = dict.fromkeys("abcdefgh", 12)


def learned(make_set: MakeSet) -> tuple[TrainingSet, Strangeness, NoveltyExamples]:
    tree = Taxonomy({}, {})
    data = make_set(COUNTS, noise=0.25)
    strangeness = Strangeness.fit(LinearHead().fit(data.x, data.y), data.x, data.y, tree)
    return data, strangeness, leave_classes_out(LinearHead, data.x, data.y, data.groups, tree)


def test_left_out_classes_and_strangers_are_told_from_known_ones(make_set: MakeSet) -> None:
    _, strangeness, examples = learned(make_set)
    model = fit_novelty(examples)
    known = strangeness.scores(make_set(COUNTS, noise=0.25, seed=5).x)
    novel = strangeness.scores(make_set(dict.fromkeys("pqrs", 20), noise=0.25).x)
    assert auroc(model.value(novel), model.value(known)) > 0.9
    assert model.verdicts(known).count(KNOWN) / len(known) > 0.85
    assert model.verdicts(novel).count(KNOWN) / len(novel) < 0.4
    assert (model.weights >= 0).all()


def test_every_figure_is_judged_once_on_each_side_by_a_head_that_did_not_know_it(make_set: MakeSet) -> None:
    data, _, examples = learned(make_set)
    assert len(examples.near) == len(data)
    assert 0.7 * len(data) < len(examples.known) + len(examples.wrong) <= len(data)
    again = leave_classes_out(LinearHead, data.x, data.y, data.groups, Taxonomy({}, {}))
    assert (again.near == examples.near).all()


def test_a_higher_score_never_makes_a_figure_less_novel(make_set: MakeSet) -> None:
    _, strangeness, examples = learned(make_set)
    model = fit_novelty(examples)
    scores = strangeness.scores(make_set(COUNTS, seed=3).x)
    for place in range(len(SCORES)):
        stranger = scores.copy()
        stranger[:, place] += 10.0
        assert (model.probability(stranger) >= model.probability(scores)).all()


def test_the_threshold_keeps_false_alarms_to_what_was_asked(make_set: MakeSet) -> None:
    model = fit_novelty(learned(make_set)[2])
    for allowed in (0.01, 0.05, 0.2):
        assert (model.known > model.threshold(allowed)).mean() <= allowed
    assert model.threshold(0.001) == np.inf, "so few known figures cannot show one false alarm in a thousand"
    with pytest.raises(ValueError):
        model.threshold(0.0)


def test_far_is_learned_from_strangers_that_people_found(make_set: MakeSet) -> None:
    _, strangeness, examples = learned(make_set)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(60, 16)).astype(np.float32) - 3 * make_set(COUNTS).x.mean(axis=0)
    strangers = strangeness.scores(noise / np.linalg.norm(noise, axis=1, keepdims=True))
    model = fit_novelty(examples, strangers[:30])
    told = model.verdicts(strangers[30:])
    assert told.count(FAR) > told.count(KNOWN)
    assert model.n_novel == len(examples.wrong) + len(examples.near) + 30
    assert set(model.verdicts(examples.near)) <= {KNOWN, NEAR, FAR}


def test_wrongly_named_figures_count_as_not_known() -> None:
    rng = np.random.default_rng(0)
    calm, odd = rng.normal(size=(40, 6)), rng.normal(size=(40, 6)) + 3
    model = fit_novelty(NoveltyExamples(known=calm, wrong=odd, near=np.zeros((0, 6))))
    assert auroc(model.value(rng.normal(size=(40, 6)) + 3), model.value(rng.normal(size=(40, 6)))) > 0.95


def test_too_little_to_learn_from_is_said(make_set: MakeSet) -> None:
    data, tree = make_set({"a": 6, "b": 6}), Taxonomy({}, {})
    with pytest.raises(NotEnoughDataError):
        leave_classes_out(LinearHead, data.x, data.y, data.groups, tree)
    three = make_set({"a": 4, "b": 4, "c": 4})
    with pytest.raises(NotEnoughDataError):
        leave_classes_out(LinearHead, three.x, three.y, ["one plate"] * 12, tree)
    nothing = np.zeros((0, 6))
    with pytest.raises(NotEnoughDataError):
        fit_novelty(NoveltyExamples(np.zeros((20, 6)), nothing, nothing))


def test_a_restored_model_says_the_same(make_set: MakeSet) -> None:
    model = fit_novelty(learned(make_set)[2])
    again = NoveltyModel.restore(model.tensors())
    scores = np.random.default_rng(0).normal(size=(30, 6))
    assert (again.value(scores) == model.value(scores)).all()
    assert again.verdicts(scores) == model.verdicts(scores)
    for name in model.tensors():
        with pytest.raises(ArtifactError):
            NoveltyModel.restore({n: v for n, v in model.tensors().items() if n != name})


def test_the_measures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    known, novel = rng.integers(0, 8, 50).astype(float), rng.integers(2, 10, 30).astype(float)
    truth = np.r_[np.zeros(50), np.ones(30)]
    assert auroc(novel, known) == pytest.approx(roc_auc_score(truth, np.r_[known, novel]))
    assert tpr_at(np.array([5.0, 1.0]), np.arange(5.0), 0.01) == 0.5
    assert auroc(novel[:0], known) == 0.5
