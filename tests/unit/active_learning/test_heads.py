"""One battery of behaviours over both heads, and what each can do besides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from active_learning import (
    ArtifactError,
    LinearHead,
    NotEnoughDataError,
    NotFittedError,
    PrototypeHead,
    TrainingSet,
    fit_head,
)
from active_learning.heads import make_head

Head = LinearHead | PrototypeHead
MakeHead = Callable[[], Head]
MakeSet = Callable[..., TrainingSet]


@pytest.fixture(params=[LinearHead, PrototypeHead], ids=["linear", "prototype"])
def make(request: pytest.FixtureRequest) -> MakeHead:
    return request.param  # type: ignore[no-any-return]


def test_a_head_finds_the_classes_again(make: MakeHead, make_set: MakeSet) -> None:
    seen, unseen = make_set({"ant": 10, "bug": 10, "cat": 10}), make_set({"ant": 10, "bug": 10, "cat": 10}, seed=1)
    head = make().fit(seen.x, seen.y)
    found = np.array(head.classes_)[head.predict_proba(unseen.x).argmax(axis=1)]
    assert (found == np.array(unseen.y)).mean() > 0.9


def test_classes_are_sorted_and_rows_add_up(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"cat": 4, "ant": 6})
    head = make().fit(data.x, data.y)
    proba = head.predict_proba(data.x)
    assert head.classes_ == ("ant", "cat")
    assert proba.shape == (10, 2)
    assert proba.dtype == np.float64
    assert proba.sum(axis=1) == pytest.approx(np.ones(10))
    assert (head.decision(data.x).argmax(axis=1) == proba.argmax(axis=1)).all()


def test_the_same_input_gives_the_same_weights_to_the_last_bit(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 9, "bug": 5, "cat": 3})
    first, second = make().fit(data.x, data.y), make().fit(data.x.copy(), data.y, seed=7)
    for name, value in first.tensors().items():
        assert value.tobytes() == second.tensors()[name].tobytes()


def test_fitting_again_forgets_what_was_fitted_before(make: MakeHead, make_set: MakeSet) -> None:
    one, other = make_set({"ant": 5, "bug": 5}), make_set({"cat": 5, "dog": 5, "eel": 5})
    head = make().fit(one.x, one.y).fit(other.x, other.y)
    assert head.classes_ == ("cat", "dog", "eel")
    assert head.tensors()["weight"].tobytes() == make().fit(other.x, other.y).tensors()["weight"].tobytes()


def test_the_input_is_left_as_it_was(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 5, "bug": 5})
    before, weights = data.x.copy(), np.linspace(1, 2, 10)
    make().fit(data.x, data.y, weights)
    assert (data.x == before).all()
    assert (weights == np.linspace(1, 2, 10)).all()


def test_one_class_is_certain_and_says_so(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 3})
    head = make().fit(data.x, data.y)
    assert head.single_class
    assert head.predict_proba(data.x).tolist() == [[1.0]] * 3


def test_a_class_with_a_single_example_can_be_found(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 20, "bug": 1}, noise=0.2)
    head = make().fit(data.x, data.y)
    unseen = make_set({"bug": 10}, noise=0.2, seed=3)
    assert (head.predict_proba(unseen.x).argmax(axis=1) == 1).mean() > 0.8


def test_two_copies_weigh_as_much_as_one_with_double_weight(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 4, "bug": 4, "cat": 4})
    twice = make().fit(np.concatenate([data.x, data.x[:3]]), data.y + data.y[:3])
    weighted = make().fit(data.x, data.y, np.array([2.0] * 3 + [1.0] * 9))
    assert twice.predict_proba(data.x) == pytest.approx(weighted.predict_proba(data.x), abs=1e-3)


def test_an_unfitted_head_refuses(make: MakeHead) -> None:
    with pytest.raises(NotFittedError):
        make().predict_proba(np.zeros((1, 4), dtype=np.float32))
    with pytest.raises(NotFittedError):
        make().tensors()


def test_nothing_to_learn_from_is_said(make: MakeHead) -> None:
    with pytest.raises(NotEnoughDataError):
        make().fit(np.zeros((0, 4), dtype=np.float32), [])


@pytest.mark.parametrize(
    ("x", "y", "weight"),
    [
        (np.ones((2, 3)), ["a"], None),
        (np.ones(3), ["a", "b", "c"], None),
        (np.full((2, 3), np.nan), ["a", "b"], None),
        (np.ones((2, 3)), ["a", "b"], [1.0]),
        (np.ones((2, 3)), ["a", "b"], [1.0, 0.0]),
        (np.ones((2, 3)), ["a", "b"], [1.0, np.inf]),
    ],
)
def test_what_does_not_fit_together_is_refused(make: MakeHead, x: object, y: list[str], weight: object) -> None:
    with pytest.raises(ValueError):
        make().fit(x, y, weight)  # type: ignore[arg-type]


def test_vectors_of_another_length_are_refused(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 5, "bug": 5})
    with pytest.raises(ValueError, match="length 16"):
        make().fit(data.x, data.y).decision(data.x[:, :5])


def test_identical_vectors_of_two_classes_do_not_break_it(make: MakeHead) -> None:
    x = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (4, 1))
    proba = make().fit(x, ["a", "a", "b", "b"]).predict_proba(x)
    assert proba == pytest.approx(np.full((4, 2), 0.5))


def test_a_restored_head_decides_the_same(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set({"ant": 5, "bug": 5, "cat": 2})
    head = make().fit(data.x, data.y)
    again = make_head(head.kind).restore(head.classes_, head.tensors())
    assert (again.decision(data.x) == head.decision(data.x)).all()
    with pytest.raises(ArtifactError):
        make().restore(("ant",), head.tensors())
    with pytest.raises(ArtifactError):
        make().restore(head.classes_, {})


def test_the_linear_head_reaches_the_optimum_also_with_more_dimensions_than_examples(make_set: MakeSet) -> None:
    """At the minimum the gradient is zero; here it is computed from the definition, in the original space."""
    data = make_set({"ant": 6, "bug": 3}, dim=40)
    head = LinearHead(l2=0.01, logit_adjustment=0.0).fit(data.x, data.y)
    x = data.x.astype(np.float64)
    centred = x - x.mean(axis=0)
    scale_squared = 1 / np.mean((centred**2).sum(axis=1))
    truth = np.array([[label == name for name in head.classes_] for label in data.y], dtype=float)
    residual = (head.predict_proba(data.x) - truth) / len(x)
    gradient = centred.T @ residual + 0.01 / scale_squared * head.tensors()["weight"]
    assert np.abs(gradient).max() < 1e-5
    assert np.abs(residual.sum(axis=0)).max() < 1e-5


def test_logit_adjustment_gives_a_rare_class_its_chance(make_set: MakeSet) -> None:
    data, unseen = make_set({"ant": 60, "bug": 3}, noise=0.9), make_set({"bug": 40}, noise=0.9, seed=2)
    plain = LinearHead(1e-2, logit_adjustment=0.0).fit(data.x, data.y)
    adjusted = LinearHead(1e-2, logit_adjustment=1.0).fit(data.x, data.y)
    assert adjusted.predict_proba(unseen.x)[:, 1].mean() > plain.predict_proba(unseen.x)[:, 1].mean() + 0.05


def test_fitting_leaves_the_number_of_threads_alone(make_set: MakeSet) -> None:
    import torch

    data = make_set({"ant": 5, "bug": 5})
    torch.set_num_threads(2)
    try:
        LinearHead().fit(data.x, data.y)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("soft", [False, True], ids=["labels", "shares"])
def test_two_threads_give_the_same_weights_as_one_to_the_last_bit(make_set: MakeSet, soft: bool) -> None:
    """There are more examples than one sum takes, so that the threads really share the work."""
    data = make_set({"ant": 3000, "bug": 1500, "cat": 500})
    shares = (
        np.array([[label == name for name in ("ant", "bug", "cat")] for label in data.y], dtype=float) * 0.8 + 0.2 / 3
    )
    found = []
    for threads in (1, 2):
        head = LinearHead(1e-2)
        head.threads = threads
        fitted = head.fit(data.x, shares, classes=("ant", "bug", "cat")) if soft else head.fit(data.x, data.y)
        found.append(fitted.tensors())
    assert all(found[0][name].tobytes() == found[1][name].tobytes() for name in found[0])


def test_single_precision_finds_nearly_the_same_probabilities(make_set: MakeSet) -> None:
    data = make_set({"ant": 300, "bug": 200, "cat": 30}, noise=0.9)
    exact, rough = LinearHead(1e-3), LinearHead(1e-3)
    rough.rough = True
    difference = exact.fit(data.x, data.y).predict_proba(data.x) - rough.fit(data.x, data.y).predict_proba(data.x)
    assert 0 < np.abs(difference).max() < 0.01


def test_fit_head_holds_back_where_labels_are_few(make_set: MakeSet) -> None:
    few, many = make_set({"ant": 2, "bug": 1}), make_set({"ant": 9, "bug": 9})
    held_back, free = fit_head(few.x, few.y), fit_head(many.x, many.y)
    assert isinstance(held_back, LinearHead)
    assert isinstance(free, LinearHead)
    assert held_back.penalty_ > free.penalty_
    assert isinstance(fit_head(few.x, few.y, kind="prototype"), PrototypeHead)
    with pytest.raises(ValueError):
        fit_head(few.x, few.y, kind="forest")
    with pytest.raises(NotEnoughDataError):
        fit_head(few.x[:0], ())
