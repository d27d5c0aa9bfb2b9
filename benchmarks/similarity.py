"""Search for the nearest of 200,000 vectors: how long, and how many are missed?

    python -m benchmarks.similarity [--frames 200000] [--dimension 256] [--beside]

Queries go through `snapshot.similar` on a lake. Vectors are noise, where all are
nearly as far from each other, or clusters. All answers are compared with plain
numpy in double precision. `--beside` also measures HNSW of the same faiss, which
takes minutes to build.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

import lakehouse
from benchmarks.measure import Measured, Timer, apart
from benchmarks.report import Line, Report

Matrix = npt.NDArray[np.float32]

KINDS = ("noise", "clusters")
K = 10
"""Neighbours that each query asks for."""
QUERIES = 100


def vectors_of(kind: str, count: int, dimension: int) -> tuple[Matrix, Matrix]:
    """Vectors and queries; the same on each call."""
    draw = np.random.default_rng(7)
    if kind == "noise":
        rows = draw.standard_normal((count + QUERIES, dimension))
    else:
        centres = draw.standard_normal((1_000, dimension))
        rows = centres[draw.integers(0, 1_000, count + QUERIES)]
        rows += 0.3 * draw.standard_normal(rows.shape)
    vectors = rows.astype(np.float32)
    return vectors[:count], vectors[count:]


def loaded(root: str, kind: str, count: int, dimension: int) -> Measured:
    """Add frames with vectors to a new lake."""
    vectors, _ = vectors_of(kind, count, dimension)
    names = [f"f{n:07}" for n in range(count)]
    embedding = pl.Series(vectors, dtype=pl.Array(pl.Float32, dimension)).arr.to_list()
    frames = pl.DataFrame(
        {"frame_id": names, "image_url": names, "embedding": embedding}
    )
    project = lakehouse.connect(root).create_project("bench", classes=["x"])
    timer = Timer()
    with timer():
        project.create_dataset(kind).add(frames)
    return Measured(timer.seconds)


def searched(
    root: str, kind: str, count: int, dimension: int, *, exact: bool
) -> Measured:
    """Send every query once, after a first one that also reads the vectors.

    Returns:
        Seconds of the first query, which may build an index, then of each. The checksum
        is the number of neighbours, and how many of them plain numpy has too.
    """
    vectors, queries = vectors_of(kind, count, dimension)
    snapshot = lakehouse.connect(root).project("bench").dataset(kind).latest()
    timer, hits = Timer(), 0
    with timer():
        snapshot.similar(vector=queries[0], k=K, exact=exact)
    for query in queries:
        with timer():
            neighbours = snapshot.similar(vector=query, k=K, exact=exact)
        rows = neighbours["frame_id"].str.slice(1).cast(pl.Int64)
        hits += len(set(rows) & set(_nearest_by_numpy(vectors, query)))
    return Measured(timer.seconds, checksum=(K * len(queries), hits))


def graph(kind: str, count: int, dimension: int, width: int) -> Measured:
    """The same by HNSW with 32 links; the first of the seconds is the build's."""
    import faiss  # noqa: PLC0415 - an extra

    vectors, queries = vectors_of(kind, count, dimension)
    timer, hits = Timer(), 0
    index: Any = faiss.IndexHNSWFlat(dimension, 32)
    index.hnsw.efConstruction = 80
    with timer():
        index.add(vectors)
    index.hnsw.efSearch = width
    for query in queries:
        with timer():
            _, rows = index.search(query[None], K)
        hits += len(set(rows[0].tolist()) & set(_nearest_by_numpy(vectors, query)))
    return Measured(timer.seconds, checksum=(K * len(queries), hits))


def measure(report: Report, count: int, dimension: int, *, beside: bool) -> None:
    """Add the lines for each kind of vectors."""
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            root, cache = str(Path(folder) / "lake"), Path(folder) / "cache"
            given = (kind, count, dimension)
            report.add(Line(f"load, {kind}", apart(loaded, root, *given).best, "s"))
            exact = apart(_search_exact, root, *given)
            assert exact.checksum[0] == exact.checksum[1], "the exact search is wrong"
            report.add(_line(f"exact query, {kind}", exact))
            built = apart(_search_approximate, root, *given, cache=cache)
            what = f"first approximate query, codes built, {kind}"
            report.add(Line(what, built.seconds[0], "s"))
            again = apart(_search_approximate, root, *given, cache=cache)
            what = f"first approximate query, codes from the cache, {kind}"
            report.add(Line(what, again.seconds[0], "s"))
            report.add(_line(f"approximate query, {kind}", built, target=10.0))
            report.add(_missed(f"missed of {K}, {kind}", built, target=0.01))
        if beside:
            rival = apart(graph, *given, 512)
            report.add(Line(f"HNSW: build, {kind}", rival.seconds[0], "s"))
            report.add(_line(f"HNSW: query, {kind}", rival))
            report.add(_missed(f"HNSW: missed of {K}, {kind}", rival))


def _search_exact(root: str, kind: str, count: int, dimension: int) -> Measured:
    return searched(root, kind, count, dimension, exact=True)


def _search_approximate(root: str, kind: str, count: int, dimension: int) -> Measured:
    return searched(root, kind, count, dimension, exact=False)


def _line(what: str, measured: Measured, target: float | None = None) -> Line:
    median = float(np.median(measured.seconds[1:]))
    note = f"median of {len(measured.seconds) - 1}, peak {measured.peak_gib:.1f} GiB"
    return Line(what, median * 1e3, "ms", target=target, note=note)


def _missed(what: str, measured: Measured, target: float | None = None) -> Line:
    wanted, hits = measured.checksum
    share = 1 - hits / wanted
    return Line(what, share, "", target=target, note=f"recall@{K} {1 - share:.4f}")


def _nearest_by_numpy(vectors: Matrix, query: Matrix) -> list[int]:
    """The nearest rows in float64, ties by the row's number."""
    # float32 picks ten times too many: float64 for all vectors takes far longer.
    near = np.argpartition(((vectors - query) ** 2).sum(axis=1), 10 * K)[: 10 * K]
    squares = ((vectors[near].astype(np.float64) - query) ** 2).sum(axis=1)
    return [int(row) for row in near[np.lexsort((near, squares))[:K]]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--beside", action="store_true", help="HNSW too, for minutes")
    wanted = parser.parse_args()
    report = Report(f"{wanted.frames:,} vectors of {wanted.dimension} numbers")
    measure(report, wanted.frames, wanted.dimension, beside=wanted.beside)
    report.show()


if __name__ == "__main__":
    main()
