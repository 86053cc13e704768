"""The index of similar figures: exact, stable ids, safe between threads, never believed when damaged."""

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


def test_a_lost_damaged_or_foreign_index_is_refused(index: SimilarityIndex, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    with pytest.raises(ArtifactError, match="not there"):
        SimilarityIndex.load(path, VERSION)
    index.save(path)
    with pytest.raises(ArtifactError, match="drawn@1, not of drawn@2"):
        SimilarityIndex.load(path, "drawn@2")
    good, card = path.read_bytes(), tmp_path / "index.faiss.json"
    flipped = bytearray(good)
    flipped[-10] ^= 4
    for damaged in (bytes(flipped), good[:-20], b""):
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
