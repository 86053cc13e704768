"""Which backbone is chosen: by evidence, on the same draws for all, and not for less than it costs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import Comparison, Taxonomy, compare_backbones
from active_learning.choosing import MARGIN
from active_learning.comparable import (
    LEAST_CLASSES,
    LEAST_SOURCES,
    drawn_classes,
    sample,
    unseen_by_all,
    well_sourced,
    what_is_missing,
)

Floats = NDArray[np.float32]
TREE = Taxonomy(
    {name: f"genus {number // 2}" for number, name in enumerate("abcdef")},
    dict.fromkeys("abcdef", "species") | {f"genus {number}": "genus" for number in range(3)},
)


def labels(per_class: int = 10, a_source: int = 1) -> tuple[list[str], list[str]]:
    """Six classes of so many figures each, so many figures a source."""
    y = [name for name in "abcdef" for _ in range(per_class)]
    return y, [f"{name}-{row // a_source}" for row, name in enumerate(y)]


def seen(y: list[str], noise: float, seed: int = 0, dim: int = 16) -> Floats:
    """Unit vectors about the centres of their classes: the more noise, the worse the eyes."""
    rng = np.random.default_rng(seed)
    centres = {name: rng.normal(size=dim) for name in sorted(set(y))}
    rows = np.stack([centres[name] + noise * rng.normal(size=dim) for name in y])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def compared(vectors: dict[str, Floats], y: list[str], groups: list[str], **more: object) -> Comparison:
    return compare_backbones(vectors, y, groups, TREE, **{"rounds": 5, **more})  # type: ignore[arg-type]


def test_a_clearly_better_one_is_taken_though_it_costs_more() -> None:
    y, groups = labels()
    vectors = {"weak": seen(y, 3.0, 1), "strong": seen(y, 0.3, 2)}
    found = compared(vectors, y, groups, present="weak", seconds={"weak": 0.01, "strong": 1.0}, joins=False)
    assert (found.chosen, found.is_change) == ("strong", True)
    assert "strong is taken" in found.why
    rows = {row["name"]: row for row in found.results}
    assert rows["strong"]["mean"] > 0.9 > rows["weak"]["mean"]
    assert rows["weak"]["gain"]["high"] < 0 < rows["strong"]["mean"]
    assert [row["chosen"] for row in found.results] == [True, False]
    assert (found.n_figures, found.n_classes, found.n_groups) == (60, 6, 60)


def test_one_that_is_no_better_is_not_worth_the_change() -> None:
    y, groups = labels()
    twin = seen(y, 1.0, 1)
    found = compared({"present": twin, "dear": twin, "cheap": twin}, y, groups, present="present", joins=False,
                     seconds={"present": 0.1, "dear": 1.0, "cheap": 0.01})  # fmt: skip
    assert (found.chosen, found.is_change) == ("present", False)


def test_a_cheaper_one_needs_no_proof_and_a_costlier_one_does() -> None:
    y, groups = labels(6)
    vectors = {"present": seen(y, 1.5, 1), "other": seen(y, 1.3, 3)}
    dear = compared(vectors, y, groups, present="present", joins=False, seconds={"present": 0.1, "other": 1.0})
    gain = next(row["gain"] for row in dear.results if row["name"] == "other")
    assert gain["mean"] > MARGIN > gain["low"]  # better, but by chance for all we know
    assert dear.chosen == "present"
    assert "not certain" in dear.why
    cheap = compared(vectors, y, groups, present="present", joins=False, seconds={"present": 1.0, "other": 0.1})
    alike = compared(vectors, y, groups, present="present", joins=False, seconds={"present": 1.0, "other": 0.95})
    assert (cheap.chosen, alike.chosen) == ("other", "present")


def test_two_that_see_different_things_are_joined() -> None:
    y, groups = labels(12)
    shape, colour = seen(y, 0.1, 1), seen(y, 0.1, 2)
    # One sees the genus only, the other which of the two species; neither can tell all six apart.
    genus = seen([str("abcdef".index(name) // 2) for name in y], 0.15, 3)
    which = seen([str("abcdef".index(name) % 2) for name in y], 0.15, 4)
    found = compared({"genus": genus, "which": which}, y, groups, present="genus")
    assert found.chosen == "genus+which"
    row = next(row for row in found.results if row["name"] == "genus+which")
    assert row["dim"] == genus.shape[1] + which.shape[1]
    assert row["mean"] > 0.9
    assert compared({"shape": shape, "colour": colour}, y, groups, present="shape").chosen == "shape"


def test_ranks_above_are_told_where_there_are_several() -> None:
    y, groups = labels()
    genus_only = seen([str("abcdef".index(name) // 2) for name in y], 0.1)
    (row,) = compared({"one": genus_only}, y, groups).results
    assert row["by_rank"]["genus"] > 0.95
    assert row["by_rank"]["named"] == pytest.approx(row["by_rank"]["species"])
    assert row["by_rank"]["species"] < 0.7
    assert "family" not in row["by_rank"]


@pytest.mark.parametrize(
    ("classes", "sources", "words"), [("abcd", 9, "4 taxa have"), ("abcdef", 3, "no taxon has"), ("", 0, "no taxon")]
)
def test_with_too_few_figures_the_present_one_stays_and_it_is_said_why(classes: str, sources: int, words: str) -> None:
    y = [name for name in classes for _ in range(sources)]
    groups = [f"{name}{row}" for row, name in enumerate(y)]
    x = np.ones((len(y), 3), dtype=np.float32)
    found = compare_backbones({"present": x, "other": x}, y, groups, TREE, present="present")
    assert (found.chosen, found.is_change, found.results) == ("present", False, ())
    assert words in found.why
    assert f"{LEAST_CLASSES} such taxa" in found.why
    assert f"from {LEAST_SOURCES} or more sources" in what_is_missing(y, groups)


def test_figures_of_one_source_never_help_to_find_each_other() -> None:
    y, groups = labels(12, 3)
    # Vectors that tell the source and nothing of the class: twins would be found, strangers cannot be.
    x = seen(groups, 0.01, 5, dim=64)
    (row,) = compared({"source": x}, y, groups, rounds=16).results
    assert row["mean"] < 0.4


def test_the_answer_is_the_same_each_time_and_plain_json() -> None:
    y, groups = labels(6)
    vectors = {"one": seen(y, 1.0, 1), "other": seen(y, 1.2, 2)}
    first = compared(vectors, y, groups, seed=3, rounds=4)
    assert compared(dict(reversed(vectors.items())), y, groups, seed=3, rounds=4) == first
    assert json.loads(json.dumps(first.results)) == list(first.results)


def test_arrays_that_do_not_fit_are_refused() -> None:
    y, groups = labels(4)
    with pytest.raises(ValueError, match="no backbone"):
        compare_backbones({}, y, groups, TREE)
    with pytest.raises(ValueError, match="vectors"):
        compare_backbones({"one": np.zeros((3, 4), dtype=np.float32)}, y, groups, TREE)
    with pytest.raises(ValueError, match="sources"):
        compare_backbones({"one": np.zeros((24, 4), dtype=np.float32)}, y, groups[1:], TREE)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5)), max_size=40), st.integers(1, 30))
def test_a_sample_takes_all_classes_and_sources_in_turn(rows: list[tuple[str, int]], most: int) -> None:
    y, groups = [name for name, _ in rows], [f"{name}{source}" for name, source in rows]
    chosen = sample(y, groups, most, seed=1)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(most, len(rows))
    taken = {name: sum(y[row] == name for row in chosen) for name in set(y)}
    assert all(taken[name] >= min(y.count(name), max(taken.values()) - 1) for name in taken)
    for name in taken:
        sources = {groups[row] for row in chosen if y[row] == name}
        assert len(sources) == min(taken[name], len({g for g, one in zip(groups, y, strict=True) if one == name}))


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(("one", "two", "three")), st.sets(st.integers(0, 79)), max_size=3),
    st.sampled_from(("one", "plain", "")),
    st.integers(0, 9),
)
def test_no_network_is_measured_on_what_it_was_tuned_on(seen_by: dict[str, set[int]], present: str, n: int) -> None:
    y, groups = labels(n)
    sources = {name: {groups[place % len(groups)] for place in own if groups} for name, own in seen_by.items()}
    found = unseen_by_all(y, groups, sources, present)
    compared = [name for name in sources if name not in found.refused]
    kept = {groups[row] for row in found.rows}
    assert list(found.rows) == sorted(set(found.rows))
    assert present not in found.refused
    # Nothing is left out for a network that is not compared, and nobody is refused for nothing.
    if not found.missing:
        assert not any(kept & sources[name] for name in compared)
        assert kept == set(groups).difference(*(sources[name] for name in compared))
        left = [(y[row], groups[row]) for row in found.rows]
        assert len(well_sourced([label for label, _ in left], [group for _, group in left])) >= LEAST_CLASSES
    for name in found.refused:
        assert kept & sources[name]
        assert what_is_missing([y[row] for row in found.rows if groups[row] not in sources[name]],
                               [groups[row] for row in found.rows if groups[row] not in sources[name]])  # fmt: skip


def test_of_several_tuned_networks_those_that_have_seen_too_much_are_refused() -> None:
    y, groups = labels(6)
    few = {group for row, group in enumerate(groups) if row % 6 in (0, 1)}
    most = {group for row, group in enumerate(groups) if row % 6 in (1, 2, 3)}
    both = unseen_by_all(y, groups, {"most": most, "few": few, "elsewhere": {"book"}}, "plain")
    assert {groups[row] for row in both.rows} == set(groups) - few
    assert both.refused.keys() == {"most"}
    assert "Without the figures that most or few was tuned on, no taxon has" in both.refused["most"]
    assert not both.missing
    # The present one is what the others are compared with: it comes first, or nothing is compared.
    lost = unseen_by_all(y, groups, {"most": most, "few": few}, "most")
    assert lost.missing.startswith("without the figures that most was tuned on, no taxon has")
    kept = unseen_by_all(y, groups, {"least": {"a-0"}, "few": few, "some": {"f-34"}}, "few")
    assert (kept.missing, kept.refused) == ("", {})
    assert len(kept.rows) == 36 - 12 - 1


def test_a_tuned_network_that_knows_its_own_figures_by_heart_gains_nothing_by_it() -> None:
    y, groups = labels()
    learned = {group for row, group in enumerate(groups) if row % 10 < 6}
    plain = seen(y, 1.5, 1)
    known = np.array([group in learned for group in groups])
    tuned = np.where(known[:, None], seen(y, 0.01, 1), plain)
    options: dict[str, Any] = {"present": "plain", "joins": False, "seconds": {"plain": 0.1, "tuned": 0.1}}
    assert compared({"plain": plain, "tuned": tuned}, y, groups, **options).chosen == "tuned"
    rows = list(unseen_by_all(y, groups, {"tuned": learned}, "plain").rows)
    left = ([y[row] for row in rows], [groups[row] for row in rows])
    fair = compared({"plain": plain[rows], "tuned": tuned[rows]}, *left, **options)
    assert (fair.chosen, fair.n_figures) == ("plain", len(rows))
    assert [row["mean"] for row in fair.results] == [fair.results[0]["mean"]] * 2


def test_of_more_classes_than_find_room_some_are_drawn_and_can_be_compared() -> None:
    y = [f"class {number:03d}" for number in range(160) for _ in range(6 if number < 140 else 2)]
    groups = [f"source {row}" for row in range(len(y))]
    assert what_is_missing(*zip(*[(y[row], groups[row]) for row in sample(y, groups, 400, seed=2)], strict=True))
    drawn = drawn_classes(y, groups, 100, seed=2)
    assert len(drawn) == 100
    assert drawn <= {f"class {number:03d}" for number in range(140)}
    assert drawn_classes(y, groups, 100, seed=2) == drawn != drawn_classes(y, groups, 100, seed=3)
    assert len(drawn_classes(y, groups, 160, seed=2)) == 160
