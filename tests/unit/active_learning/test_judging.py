"""What a model says of figures: coherent up the tree, the same in any block, and silent where nothing was learned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from active_learning import Judged, Taxonomy, TrainedModel, TrainingConfig, TrainingSet, train

MakeSet = Callable[..., TrainingSet]
FOUR = {"ant": 120, "bug": 120, "cat": 120, "dog": 120}


@pytest.fixture(scope="module")
def model(make_set: MakeSet, taxonomy: Taxonomy) -> TrainedModel:
    return train(make_set(FOUR, noise=0.8), taxonomy, TrainingConfig(holdout_fraction=0.0))


@pytest.fixture(scope="module")
def fresh(make_set: MakeSet) -> TrainingSet:
    return make_set({"ant": 30, "bug": 30, "cat": 30, "dog": 30}, noise=0.8, seed=3, first_id=5000)


@pytest.fixture(scope="module")
def judged(model: TrainedModel, fresh: TrainingSet, taxonomy: Taxonomy) -> Judged:
    return model.judge(taxonomy).one_block(fresh.x)


def test_leaves_add_up_and_nothing_is_less_probable_than_what_it_holds(judged: Judged, model: TrainedModel) -> None:
    assert np.allclose(judged.proba.sum(axis=1), 1.0, atol=1e-5)
    order, best = judged.top(2)
    for row in range(len(judged)):
        line = judged.lineage(row)
        assert [qid for qid, _ in line] == (
            ["Formica", "life"] if model.classes[order[row, 0]] in ("ant", "bug") else ["Felis", "life"]
        )
        values = [float(best[row, 0]), *(p for _, p in line)]
        assert values == sorted(values)
        assert values[-1] == pytest.approx(1.0, abs=1e-5)


def test_the_best_names_come_first(judged: Judged) -> None:
    order, best = judged.top(3)
    assert (np.diff(best, axis=1) <= 0).all()
    assert (order[:, 0] == judged.proba.argmax(axis=1)).all()


def test_what_it_is_pretty_sure_of_is_mostly_true(judged: Judged, fresh: TrainingSet, taxonomy: Taxonomy) -> None:
    said = [(claim, y) for claim, y in zip(judged.claims, fresh.y, strict=True) if claim is not None]
    assert len(said) > 60
    right = sum(claim.node in taxonomy.lineage(y) for claim, y in said)
    assert right / len(said) >= 0.9


def test_the_sets_hold_the_truth_about_nine_times_in_ten(judged: Judged, fresh: TrainingSet) -> None:
    held = [y in qids for (qids, _), y in zip(judged.sets, fresh.y, strict=True)]
    assert np.mean(held) >= 0.82
    assert all(size == len(qids) >= 1 for qids, size in judged.sets)


def test_a_block_says_the_same_as_all_together(model: TrainedModel, fresh: TrainingSet, taxonomy: Taxonomy) -> None:
    whole = next(model.judge(taxonomy).look(fresh.x))
    parts = list(model.judge(taxonomy).look(fresh.x, block=7))
    assert sum(len(part) for part in parts) == len(fresh)
    assert np.allclose(np.concatenate([part.proba for part in parts]), whole.proba, atol=1e-6)
    assert [claim.node if claim else None for part in parts for claim in part.claims] == (
        [claim.node if claim else None for claim in whole.claims]
    )
    assert [verdict for part in parts for verdict in part.verdicts or ()] == list(whole.verdicts or ())


def test_what_is_like_nothing_known_is_stranger(model: TrainedModel, fresh: TrainingSet, taxonomy: Taxonomy) -> None:
    rng = np.random.default_rng(0)
    noise: NDArray[np.float32] = rng.normal(size=fresh.x.shape).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    judge = model.judge(taxonomy)
    known, strange = judge.one_block(fresh.x), judge.one_block(noise)
    assert known.novelty is not None
    assert strange.novelty is not None
    assert np.median(strange.novelty) > np.median(known.novelty) + 0.2
    assert set(strange.verdicts or ()) <= {"known", "near", "far"}


def test_a_taxon_that_moved_is_summed_where_it_is_now(
    model: TrainedModel, fresh: TrainingSet, taxonomy: Taxonomy
) -> None:
    moved = Taxonomy(
        {"ant": "Formica", "bug": "Felis", "cat": "Felis", "dog": "Felis", "Formica": "life", "Felis": "life",
         "life": None},
        {"ant": "species", "bug": "species", "cat": "species", "dog": "species", "Formica": "genus", "Felis": "genus",
         "life": "family"},
    )  # fmt: skip
    before, after = model.judge(taxonomy).one_block(fresh.x), model.judge(moved).one_block(fresh.x)
    assert (before.proba == after.proba).all()
    bug = model.classes.index("bug")
    row = int(np.flatnonzero(before.proba.argmax(axis=1) == bug)[0])
    assert [qid for qid, _ in after.lineage(row)] == ["Felis", "life"]


def test_without_calibration_it_says_no_more_than_it_knows(make_set: MakeSet, taxonomy: Taxonomy) -> None:
    model = train(make_set({"ant": 2, "bug": 2, "cat": 1}), taxonomy, TrainingConfig())
    judged = model.judge(taxonomy).one_block(make_set({"ant": 3}).x)
    assert judged.claims == (None, None, None)
    assert judged.sets == (((), 0),) * 3
    assert judged.novelty is None
    assert judged.verdicts is None
    assert judged.lineage(0)


def test_many_taxa_in_a_set_are_told_by_what_holds_them(make_set: MakeSet) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    parents: dict[str, str | None] = dict.fromkeys(letters, "Genus")
    ranks: dict[str, str | None] = dict.fromkeys(letters, "species")
    tree = Taxonomy({**parents, "Genus": None}, {**ranks, "Genus": "genus"})
    data = make_set(dict.fromkeys(letters, 8), noise=4.0)
    model = train(data, tree, TrainingConfig(holdout_fraction=0.0))
    wide = [qids for qids, size in model.judge(tree).one_block(data.x).sets if size > 12]
    assert wide
    assert set(wide) == {("Genus",)}
