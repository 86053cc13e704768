"""The contract that every head keeps, and agreement with scikit-learn where both do the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from active_learning import (
    ArtifactError,
    Candidate,
    LDAHead,
    LinearHead,
    NotEnoughDataError,
    PrototypeHead,
    Taxonomy,
    TrainedModel,
    TrainingConfig,
    TrainingSet,
    train,
)
from active_learning.heads import AnyHead, make_head

MakeHead = Callable[[], AnyHead]
MakeSet = Callable[..., TrainingSet]
HEADS: list[type[LinearHead] | type[PrototypeHead] | type[LDAHead]] = [LinearHead, PrototypeHead, LDAHead]
COUNTS = {"ant": 7, "bug": 5, "cat": 3}


@pytest.fixture(params=HEADS, ids=lambda head: head.kind)
def make(request: pytest.FixtureRequest) -> MakeHead:
    return request.param  # type: ignore[no-any-return]


def one_hot(y: tuple[str, ...], classes: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([[float(label == name) for name in classes] for label in y])


def test_the_same_input_gives_the_same_bits(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    first, second = make().fit(data.x, data.y).tensors(), make().fit(data.x.copy(), data.y, seed=5).tensors()
    assert {name: value.tobytes() for name, value in first.items()} == {n: v.tobytes() for n, v in second.items()}


def test_the_order_of_the_examples_does_not_matter(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    mixed = data.take(np.random.default_rng(0).permutation(len(data)))
    assert make().fit(mixed.x, mixed.y).predict_proba(data.x) == pytest.approx(
        make().fit(data.x, data.y).predict_proba(data.x), abs=1e-3
    )


def test_other_names_of_the_classes_only_move_the_columns(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    other = {"ant": "z", "bug": "m", "cat": "a"}
    plain = make().fit(data.x, data.y).predict_proba(data.x)
    renamed = make().fit(data.x, [other[label] for label in data.y])
    assert renamed.classes_ == ("a", "m", "z")
    assert renamed.predict_proba(data.x)[:, ::-1] == pytest.approx(plain, abs=1e-3)


def test_weights_are_repeated_rows(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    times = np.arange(len(data)) % 3 + 1
    repeated = make().fit(np.repeat(data.x, times, axis=0), np.repeat(data.y, times))
    weighted = make().fit(data.x, data.y, times.astype(float))
    assert repeated.predict_proba(data.x) == pytest.approx(weighted.predict_proba(data.x), abs=1e-3)


def test_soft_labels_that_are_certain_are_hard_labels(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    classes = ("cat", "ant", "bug")
    hard, soft = make().fit(data.x, data.y), make().fit(data.x, one_hot(data.y, classes), classes=classes)
    assert soft.classes_ == hard.classes_
    for name, value in hard.tensors().items():
        assert value.tobytes() == soft.tensors()[name].tobytes()


def test_a_shared_label_is_two_rows_with_its_shares_as_weights(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    shares = one_hot(data.y, ("ant", "bug", "cat"))
    shares[0] = [0.7, 0.3, 0.0]
    soft = make().fit(data.x, shares, classes=("ant", "bug", "cat"))
    x = np.concatenate([data.x, data.x[:1]])
    split = make().fit(x, [*data.y, "bug"], np.array([0.7, *[1.0] * (len(data) - 1), 0.3]))
    assert soft.predict_proba(data.x) == pytest.approx(split.predict_proba(data.x), abs=1e-3)


def test_a_class_whose_labels_were_all_withdrawn_is_gone(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    classes = ("ant", "bug", "cat")
    shares = one_hot(data.y, classes)
    shares[[label == "cat" for label in data.y]] = 0.0
    head = make().fit(data.x, shares, classes=classes)
    left = [row for row, label in enumerate(data.y) if label != "cat"]
    assert head.classes_ == ("ant", "bug")
    without = make().fit(data.x[left], [data.y[row] for row in left])
    assert (head.decision(data.x) == without.decision(data.x)).all()
    with pytest.raises(NotEnoughDataError, match="withdrawn"):
        make().fit(data.x, np.zeros((len(data), 3)), classes=classes)


@pytest.mark.parametrize(
    ("shares", "classes"),
    [
        ([[0.5, 0.4], [0.0, 1.0]], ("a", "b")),
        ([[1.5, -0.5], [0.0, 1.0]], ("a", "b")),
        ([[np.nan, 1.0], [0.0, 1.0]], ("a", "b")),
        ([[1.0, 0.0], [0.0, 1.0]], ("a", "a")),
        ([[1.0, 0.0], [0.0, 1.0]], ("a",)),
        ([[1.0, 0.0], [0.0, 1.0]], None),
    ],
)
def test_shares_that_make_no_sense_are_refused(
    make: MakeHead, shares: list[list[float]], classes: tuple[str, ...] | None
) -> None:
    with pytest.raises(ValueError):
        make().fit(np.eye(2, 3, dtype=np.float32), shares, classes=classes)


def test_values_that_are_not_finite_are_refused_in_both_directions(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    broken = data.x.copy()
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        make().fit(broken, data.y)
    with pytest.raises(ValueError, match="finite"):
        make().fit(data.x, data.y).decision(broken)


def test_vectors_of_zeros_are_borne(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    x = data.x.copy()
    x[0] = 0.0
    assert np.isfinite(make().fit(x, data.y).predict_proba(x)).all()
    assert np.isfinite(make().fit(np.zeros_like(x), data.y).predict_proba(x)).all()


def test_a_single_picture_is_a_class_and_no_picture_is_no_answer(make: MakeHead) -> None:
    x = np.array([[0.6, 0.8]], dtype=np.float32)
    head = make().fit(x, ["only"])
    assert head.predict_proba(x).tolist() == [[1.0]]
    assert head.decision(x[:0]).shape == (0, 1)


def test_a_restored_head_is_the_same(make: MakeHead, make_set: MakeSet) -> None:
    data = make_set(COUNTS)
    head = make().fit(data.x, data.y)
    again = make_head(head.kind).restore(head.classes_, head.tensors())
    assert (again.decision(data.x) == head.decision(data.x)).all()
    for name in head.tensors():
        with pytest.raises(ArtifactError):
            make().restore(head.classes_, {n: v for n, v in head.tensors().items() if n != name})
    with pytest.raises(ArtifactError):
        make().restore(head.classes_[:2], head.tensors())


@pytest.mark.parametrize("head_type", [head for head in HEADS if head.can_add_class], ids=lambda head: head.kind)
def test_a_new_class_comes_without_touching_the_others(
    head_type: type[PrototypeHead] | type[LDAHead], make_set: MakeSet
) -> None:
    data, new = make_set({"ant": 9, "cat": 9}, noise=0.2), make_set({"bug": 6}, noise=0.2)
    head = head_type().fit(data.x, data.y)
    before = head.decision(data.x)
    wider = head.add_class("bug", new.x)
    assert wider.classes_ == ("ant", "bug", "cat")
    assert head.classes_ == ("ant", "cat")
    for name in ("weight", "bias"):
        assert (np.delete(wider.tensors()[name], 1, axis=-1) == head.tensors()[name]).all()
    assert wider.decision(data.x)[:, [0, 2]] == pytest.approx(before, rel=1e-5)
    unseen = make_set({"bug": 10}, noise=0.2, seed=4)
    assert (wider.decision(unseen.x).argmax(axis=1) == 1).mean() > 0.8
    again = head_type().restore(wider.classes_, wider.tensors())
    assert (again.decision(new.x) == wider.decision(new.x)).all()
    with pytest.raises(ValueError, match="already"):
        wider.add_class("bug", new.x)


def test_lda_is_that_of_scikit_learn_but_for_the_divisor_of_its_covariance(make_set: MakeSet) -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    data = make_set({"ant": 20, "bug": 12, "cat": 8}, dim=6)
    n, k = 40, 3
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(data.x.astype(np.float64), data.y)
    head = LDAHead(0.3, logit_adjustment=0.0).fit(data.x, data.y)
    weight = np.asarray(head.tensors()["weight"], dtype=np.float64)
    gaps = weight[:, 1:] - weight[:, :1]
    theirs = (oracle.coef_[1:] - oracle.coef_[:1]).T * (n - k) / n
    assert gaps == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    mine = np.log(head.predict_proba(data.x)) - np.log(oracle.priors_)
    their = np.log(oracle.predict_proba(data.x)) - np.log(oracle.priors_)
    assert mine - mine[:, :1] == pytest.approx((their - their[:, :1]) * (n - k) / n, abs=1e-2)


def test_the_linear_head_is_that_of_scikit_learn(make_set: MakeSet) -> None:
    from sklearn.linear_model import LogisticRegression

    data = make_set({"ant": 20, "bug": 12, "cat": 8}, dim=6)
    x = data.x.astype(np.float64)
    scale = 1 / np.sqrt(np.mean(((x - x.mean(axis=0)) ** 2).sum(axis=1)))
    oracle = LogisticRegression(C=1 / (0.01 * len(x)), max_iter=5000, tol=1e-9).fit(x * scale, data.y)
    head = LinearHead(0.01, logit_adjustment=0.0).fit(data.x, data.y)
    assert head.predict_proba(data.x) == pytest.approx(oracle.predict_proba(x * scale), abs=1e-3)


def test_lda_joins_the_candidates_only_where_asked(make_set: MakeSet) -> None:
    data, tree = make_set(dict.fromkeys("abcdef", 12), noise=0.6), Taxonomy({}, {})
    tried: list[str] = []
    plain = train(data, tree, TrainingConfig(), lambda share, what: tried.append(what))
    assert not [what for what in tried if "lda" in what]
    asked = train(data, tree, TrainingConfig(try_lda=True), lambda share, what: tried.append(what))
    assert [what for what in tried if "lda" in what] == ["Trying lda head"]
    assert plain.snapshot_hash == asked.snapshot_hash


def test_an_lda_model_is_kept_and_read_like_any_other(make_set: MakeSet, tmp_path: Path) -> None:
    data, tree = make_set(dict.fromkeys("abcdef", 12)), Taxonomy({}, {})
    trained = train(data, tree, TrainingConfig())
    head = LDAHead().fit(data.x, data.y)
    model = replace(trained, head=head, classes=head.classes_, chosen=Candidate("lda", 0.0))
    model.save(tmp_path / "model")
    assert (TrainedModel.load(tmp_path / "model").predict(data.x) == model.predict(data.x)).all()


def test_the_cloud_of_all_classes_is_never_farther_than_the_nearest_class_far_outside(make_set: MakeSet) -> None:
    """With more dimensions than pictures, where a cloud that is measured by itself gets this wrong."""
    data = make_set(dict.fromkeys("abcdefg", 8), dim=200, noise=0.3)
    head = LDAHead().fit(data.x, data.y)
    outside = np.random.default_rng(1).normal(size=(40, 200)).astype(np.float32)
    outside /= np.linalg.norm(outside, axis=1, keepdims=True)
    near = make_set(dict.fromkeys("abcdefg", 8), dim=200, noise=0.3, seed=2)
    assert np.median(head.relative_distances(outside)) > np.quantile(head.relative_distances(near.x), 0.9)


def test_relative_distances_follow_their_definition(make_set: MakeSet) -> None:
    data = make_set({"ant": 30, "bug": 30, "cat": 30}, dim=5)
    head = LDAHead(0.0).fit(data.x, data.y)
    x = data.x.astype(np.float64)
    means = np.array([x[np.array(data.y) == name].mean(axis=0) for name in head.classes_])
    rest = x - means[np.searchsorted(head.classes_, data.y)]
    within = rest.T @ rest / (90 - 3)
    spread = means - means.mean(axis=0)
    cloud = np.linalg.inv(within + spread.T @ spread / 3)
    to_class = np.array([[(row - m) @ np.linalg.inv(within) @ (row - m) for m in means] for row in x]).min(axis=1)
    to_cloud = np.array([(row - means.mean(axis=0)) @ cloud @ (row - means.mean(axis=0)) for row in x])
    assert head.relative_distances(data.x) == pytest.approx(to_class - to_cloud, rel=1e-3, abs=1e-3)
