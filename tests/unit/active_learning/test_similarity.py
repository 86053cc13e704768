"""The index of similar figures: exact or measured, stable ids, safe between threads, never believed when damaged."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from active_learning import ArtifactError, SimilarityIndex
from active_learning.similarity_build import built, exact_nearest

VERSION = "drawn@1"


def vectors(n: int, dim: int = 8, seed: int = 0) -> NDArray[np.float32]:
    x = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32)


def assert_only(found: list[tuple[int, float]], figure: int) -> None:
    assert [name for name, _ in found] == [figure]
    assert found[0][1] == pytest.approx(1.0, abs=1e-6)


@pytest.fixture
def index() -> SimilarityIndex:
    return SimilarityIndex.build([10, 20, 30, 40, 2**62], vectors(5), VERSION)


def test_a_figure_is_most_similar_to_itself_unless_it_is_excluded(index: SimilarityIndex) -> None:
    x = vectors(5)
    assert_only(index.search(x[2], 1), 30)
    assert 30 not in [figure for figure, _ in index.search(x[2], 5, exclude=[30, 999])]
    assert index.search(x[4], 1)[0][0] == 2**62


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "remove"]), st.lists(st.integers(1, 12), max_size=5, unique=True))
    ),
    k=st.integers(1, 15),
    excluded=st.lists(st.integers(1, 12), max_size=4),
)
def test_after_any_adds_and_removes_it_finds_what_a_plain_search_finds(
    steps: list[tuple[str, list[int]]], k: int, excluded: list[int]
) -> None:
    index = SimilarityIndex(8, VERSION)
    plain: dict[int, NDArray[np.float32]] = {}
    for number, (what, ids) in enumerate(steps):
        if what == "add":
            x = vectors(len(ids), seed=number)
            index.add(ids, x)
            plain.update(zip(ids, x, strict=True))
        else:
            assert index.remove(ids) == sum(figure in plain for figure in ids)
            plain = {figure: x for figure, x in plain.items() if figure not in ids}
    query = vectors(1, seed=777)[0]
    expected = sorted(
        ((figure, float(x @ query)) for figure, x in plain.items() if figure not in excluded), key=lambda p: -p[1]
    )
    found = index.search(query, k, exclude=excluded)
    assert len(index) == len(plain)
    assert [figure for figure, _ in found] == [figure for figure, _ in expected[:k]]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected[:k]], abs=1e-5)


def test_adding_an_id_again_replaces_its_vector(index: SimilarityIndex) -> None:
    index.add([20], vectors(1, seed=5))
    assert len(index) == 5
    assert_only(index.search(vectors(1, seed=5)[0], 1), 20)
    assert index.search(vectors(5)[1], 1)[0][1] < 0.999


def test_a_vector_that_is_there_as_it_is_stays_where_it_is(cloud: NDArray[np.float32]) -> None:
    for limit in (10, 1000):
        index = SimilarityIndex.build(range(500), cloud[:500], VERSION, exact_up_to=limit)
        index.add(range(495, 505), cloud[495:505])
        assert (index.n_changed, len(index)) == (5, 505)
        index.add([3], cloud[4:5])
        assert (index.n_changed, len(index)) == (7, 505)


def test_length_does_not_matter_but_direction_must_exist(index: SimilarityIndex) -> None:
    assert_only(index.search(vectors(5)[0] * 7, 1), 10)
    for bad in (np.zeros((1, 8)), np.full((1, 8), np.nan), np.ones((1, 9))):
        with pytest.raises(ValueError):
            index.add([50], bad.astype(np.float32))
    with pytest.raises(ValueError, match="twice"):
        index.add([50, 50], vectors(2))
    with pytest.raises(ValueError):
        index.add([50, 51], vectors(3))
    with pytest.raises(ValueError):
        index.search(vectors(1)[0], 0)
    assert len(index) == 5


def test_an_empty_index_finds_nothing_and_can_be_kept(tmp_path: Path) -> None:
    index = SimilarityIndex(8, VERSION)
    assert index.search(vectors(1)[0], 3) == []
    index.save(tmp_path / "index")
    assert len(SimilarityIndex.load(tmp_path / "index", VERSION)) == 0


def test_a_loaded_index_answers_as_the_saved_one_and_goes_on(index: SimilarityIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "deep" / "index.faiss")
    again = SimilarityIndex.load(tmp_path / "deep" / "index.faiss", VERSION)
    query = vectors(1, seed=9)[0]
    assert again.search(query, 5) == index.search(query, 5)
    again.add([20], vectors(1, seed=5))
    assert again.remove([10, 11]) == 1
    assert len(again) == 4
    again.save(tmp_path / "deep" / "index.faiss")
    assert len(SimilarityIndex.load(tmp_path / "deep" / "index.faiss", VERSION)) == 4
    assert sorted(file.name for file in (tmp_path / "deep").iterdir()) == ["index.faiss", "index.faiss.json"]


def test_a_lost_or_foreign_index_is_refused(index: SimilarityIndex, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    with pytest.raises(ArtifactError, match="not there"):
        SimilarityIndex.load(path, VERSION)
    index.save(path)
    with pytest.raises(ArtifactError, match="drawn@1, not of drawn@2"):
        SimilarityIndex.load(path, "drawn@2")
    good, card = path.read_bytes(), tmp_path / "index.faiss.json"
    for damaged in (good[:-20], good + b"x", b""):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="damaged"):
            SimilarityIndex.load(path, VERSION)
    path.write_bytes(good)
    for words in ("{", "[]", json.dumps({"n": 5})):
        card.write_text(words)
        with pytest.raises(ArtifactError, match="card"):
            SimilarityIndex.load(path, VERSION)
    card.unlink()
    with pytest.raises(ArtifactError, match="not there"):
        SimilarityIndex.load(path, VERSION)


@pytest.mark.parametrize("ending", ["", ".aside", ".json"])
def test_one_changed_bit_anywhere_is_seen(changed: SimilarityIndex, tmp_path: Path, ending: str) -> None:
    changed.save(tmp_path / "index.faiss")
    path = tmp_path / f"index.faiss{ending}"
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    places = rng.choice(len(good), min(len(good), 120), replace=False)
    for place in places:
        flipped = bytearray(good)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(flipped))
        with pytest.raises(ArtifactError):
            SimilarityIndex.load(tmp_path / "index.faiss", VERSION)
    path.write_bytes(good)
    assert len(SimilarityIndex.load(tmp_path / "index.faiss", VERSION)) == len(changed)


def test_a_file_that_is_replaced_does_not_disturb_who_searches_in_the_old_one(tmp_path: Path) -> None:
    x = vectors(300, 32)
    SimilarityIndex.build(range(300), x, VERSION).save(tmp_path / "index")
    old = SimilarityIndex.load(tmp_path / "index", VERSION)
    SimilarityIndex.build(range(1000, 1010), x[:10], VERSION).save(tmp_path / "index")
    assert [old.search(x[row], 1)[0][0] for row in range(0, 300, 30)] == list(range(0, 300, 30))
    assert len(SimilarityIndex.load(tmp_path / "index", VERSION)) == 10


def test_the_note_comes_back_with_the_index(index: SimilarityIndex, tmp_path: Path) -> None:
    index.note = "vectors of Monday"
    index.save(tmp_path / "index")
    assert SimilarityIndex.load(tmp_path / "index", VERSION).note == "vectors of Monday"


@settings(max_examples=40)
@given(
    allowed=st.none() | st.lists(st.integers(0, 60), max_size=40),
    excluded=st.lists(st.integers(0, 60), max_size=10),
    removed=st.lists(st.integers(0, 60), max_size=20),
    added=st.lists(st.integers(0, 60), max_size=8, unique=True),
    k=st.integers(1, 20),
)
def test_as_many_come_back_as_may_answer(
    allowed: list[int] | None, excluded: list[int], removed: list[int], added: list[int], k: int
) -> None:
    """An exact index and a graph give the plain search's answer under any selection, whatever came and went."""
    x, fresh, query = vectors(50, seed=1), vectors(len(added), seed=2), vectors(1, seed=3)[0]
    plain = {figure: row for figure, row in enumerate(x) if figure not in removed}
    plain |= dict(zip(added, fresh, strict=True))
    may = [figure for figure in plain if (allowed is None or figure in allowed) and figure not in excluded]
    expected = sorted(may, key=lambda figure: -float(plain[figure] @ query))[:k]
    exact, graph = (SimilarityIndex.build(range(50), x, VERSION, exact_up_to=limit) for limit in (50, 10))
    for index in (exact, graph):
        index.remove(removed)
        index.add(added, fresh)
        assert len(index) == len(plain)
        assert set(index.ids.tolist()) == set(plain)
    assert [figure for figure, _ in exact.search(query, k, excluded, allowed)] == expected
    found = graph.search(query, k, excluded, allowed)
    assert len(found) == len(expected)
    # The graph keeps eight bits a number: two that are nearly as near may change places.
    truth = [float(plain[figure] @ query) for figure in expected]
    assert [cosine for _, cosine in found] == pytest.approx(truth, abs=0.02)


@pytest.fixture(scope="module")
def cloud() -> NDArray[np.float32]:
    """Clustered vectors, as those of pictures are: 3,000 of 48 numbers around 100 centres."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(100, 48))
    return (centres[rng.integers(0, 100, 3000)] + 0.5 * rng.normal(size=(3000, 48))).astype(np.float32)


@pytest.fixture(scope="module")
def graph(cloud: NDArray[np.float32]) -> SimilarityIndex:
    return SimilarityIndex.build(range(3000), cloud, VERSION, exact_up_to=1000)


@pytest.fixture
def changed(cloud: NDArray[np.float32]) -> SimilarityIndex:
    """A small graph of which some went and to which some came."""
    index = SimilarityIndex.build(range(200), cloud[:200, :8], VERSION, exact_up_to=100)
    index.remove([3, 5])
    index.add([7, 900], cloud[300:302, :8])
    return index


@settings(max_examples=25)
@given(n=st.integers(1, 30), k=st.integers(1, 12))
def test_the_truth_that_recall_is_measured_by_is_true(n: int, k: int) -> None:
    x, asked = vectors(n, seed=n), vectors(3, seed=99)
    assert exact_nearest(asked, x, k).tolist() == np.argsort(-(asked @ x.T), axis=1)[:, :k].tolist()


def test_a_large_index_is_a_graph_that_finds_what_it_says(cloud: NDArray[np.float32], graph: SimilarityIndex) -> None:
    exact = SimilarityIndex.build(range(3000), cloud, VERSION)
    assert (exact.shape.kind, exact.shape.recall) == ("exact", 1.0)
    assert graph.shape.kind == "graph"
    assert graph.shape.recall >= 0.97
    asked = cloud[np.random.default_rng(11).choice(3000, 60, replace=False)]
    for allowed in (None, np.arange(0, 3000, 100), np.arange(0, 3000, 2)):
        hits = sum(
            len(
                {one for one, _ in graph.search(q, 10, (), allowed)}
                & {one for one, _ in exact.search(q, 10, (), allowed)}
            )
            for q in asked
        )
        assert hits / 600 >= 0.95


def test_a_graph_that_finds_too_little_is_searched_harder_then_built_finer() -> None:
    """Of vectors without any clusters a coarse graph loses too many."""
    x = np.random.default_rng(0).normal(size=(1200, 96)).astype(np.float32)
    searched_harder = built(np.arange(1200), x, 10, 0, 1, efforts=(12, 200))[1]
    assert (searched_harder.effort, searched_harder.fineness) == (200, 40)
    assert searched_harder.recall >= 0.97
    built_finer = built(np.arange(1200), x, 10, 0, 1, efforts=(20,))[1]
    assert built_finer.fineness > 40
    assert built_finer.recall > 0.9


def test_a_graph_comes_back_from_its_file_as_it_was(changed: SimilarityIndex, tmp_path: Path) -> None:
    changed.save(tmp_path / "index")
    again = SimilarityIndex.load(tmp_path / "index", VERSION)
    query = vectors(1, seed=9)[0]
    assert again.search(query, 20) == changed.search(query, 20)
    assert again.shape == changed.shape
    assert set(again.ids.tolist()) == set(changed.ids.tolist())
    assert again.n_changed == changed.n_changed == 5
    again.remove([7, 900])
    again.save(tmp_path / "index")
    assert not (tmp_path / "index.aside").exists()
    assert len(SimilarityIndex.load(tmp_path / "index", VERSION)) == 197


def test_writing_while_others_search_neither_crashes_nor_lies() -> None:
    index = SimilarityIndex.build(range(500), vectors(500, 32), VERSION)
    wrong: list[object] = []

    def search() -> None:
        for row in range(0, 400, 4):
            found = index.search(vectors(500, 32)[row], 3)
            if found[0][0] != row:
                wrong.append(found)

    def write() -> None:
        for turn in range(30):
            index.add(range(1000, 1100), vectors(100, 32, seed=turn + 1))
            index.remove(range(1000, 1100))

    threads = [threading.Thread(target=search) for _ in range(3)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(index) == 500


def test_a_search_is_never_held_up_by_a_change(index: SimilarityIndex) -> None:
    """Whoever writes holds the lock; searches do not ask for it."""
    with index._writing:
        found: list[list[tuple[int, float]]] = []
        thread = threading.Thread(target=lambda: found.append(index.search(vectors(5)[0], 1)))
        thread.start()
        thread.join(20)
    assert_only(found[0], 10)
