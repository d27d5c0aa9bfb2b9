"""Search is what a comparison one by one in double precision says, ties included."""

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, strategies as st

import lakehouse
from lakehouse.similarity import Metric, duplicates as pairs
from lakehouse.similarity.corpus import Floats, Vectors
from lakehouse.similarity.duplicates import close_pairs, nearest_seed
from lakehouse.similarity.index import VectorIndex, distances_of, nearest

METRICS: tuple[Metric, ...] = ("euclidean", "cosine")
# Ties, zeros, parallel vectors, and squares that single precision cannot hold.
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 3.0, 1e-3, 1.0000001, 1e-30, 3e38])
any_metric = pytest.mark.parametrize("metric", METRICS)


def vectors_of(matrix: Floats) -> Vectors:
    keys = pl.DataFrame({"frame_id": [f"f{n:06}" for n in range(len(matrix))]})
    return Vectors("", keys, matrix)


def drawn(data: st.DataObject, rows: int, dimension: int) -> Floats:
    numbers = data.draw(
        st.lists(NUMBERS, min_size=rows * dimension, max_size=rows * dimension)
    )
    return np.array(numbers, np.float32).reshape(rows, dimension)


def plainly(one: Floats, other: Floats, metric: Metric) -> npt.NDArray[np.float64]:
    """Every distance, one by one, with Python's own arithmetic."""
    return np.array([[distances_of(a[None], b, metric)[0] for b in other] for a in one])


def noise(rows: int, dimension: int, seed: int = 0) -> Floats:
    draw = np.random.default_rng(seed)
    return draw.standard_normal((rows, dimension)).astype(np.float32)


@any_metric
@given(data=st.data(), k=st.integers(1, 12), dimension=st.integers(2, 5))
def test_exact_search_is_brute_force(
    data: st.DataObject, k: int, dimension: int, metric: Metric
) -> None:
    vectors = vectors_of(drawn(data, data.draw(st.integers(1, 12)), dimension))
    query = drawn(data, 1, dimension)[0]

    neighbours = nearest(vectors, query, k, metric)

    distances = plainly(vectors.matrix, query[None], metric)[:, 0]
    wanted = np.lexsort((np.arange(len(distances)), distances))[:k]
    assert neighbours.rows.tolist() == wanted.tolist()
    assert neighbours.distances.tolist() == distances[wanted].tolist()


@any_metric
@given(data=st.data(), dimension=st.integers(2, 4))
def test_a_part_is_searched_like_a_whole(
    data: st.DataObject, dimension: int, metric: Metric
) -> None:
    vectors = vectors_of(drawn(data, 8, dimension))
    query = drawn(data, 1, dimension)[0]
    only = np.array(sorted(data.draw(st.sets(st.integers(0, 7)))), np.int64)

    neighbours = nearest(vectors, query, 3, metric, only)

    part = nearest(vectors_of(vectors.matrix[only]), query, 3, metric)
    assert neighbours.rows.tolist() == only[part.rows].tolist()
    assert neighbours.distances.tolist() == part.distances.tolist()


def test_distances_are_the_textbooks() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [-6.0, -8.0]], np.float32)
    query = np.array([3.0, 4.0], np.float32)

    assert distances_of(rows, query, "euclidean").tolist() == [0.0, 5.0, 15.0]
    assert distances_of(rows, query, "cosine") == pytest.approx([0.0, 1.0, 2.0])


def test_vectors_far_from_the_origin_are_distinguished() -> None:
    # A float32 product of these is right to three digits of the distance at best.
    matrix = 1e4 + 1e-2 * noise(2_000, 16)
    vectors = vectors_of(matrix.astype(np.float32))

    neighbours = nearest(vectors, vectors.matrix[7], 10, "euclidean")

    distances = distances_of(vectors.matrix, vectors.matrix[7], "euclidean")
    wanted = np.lexsort((np.arange(len(distances)), distances))[:10]
    assert neighbours.rows.tolist() == wanted.tolist()


@any_metric
@pytest.mark.parametrize("dimension", [32, 33])
def test_approximate_search_misses_next_to_nothing(
    metric: Metric, dimension: int
) -> None:
    # Noise is the hardest: all vectors are nearly as far from each other.
    vectors, queries = vectors_of(noise(6_000, dimension)), noise(40, dimension, 1)
    index = VectorIndex.of(vectors, metric)

    hits = 0
    for query in queries:
        approximate = index.nearest(vectors, query, 10)
        exact = nearest(vectors, query, 10, metric)
        hits += len(set(approximate.rows) & set(exact.rows))
        true = distances_of(vectors.matrix[approximate.rows], query, metric)
        assert approximate.distances.tolist() == true.tolist()
    assert hits / (10 * len(queries)) >= 0.99


# ----------------------------------- PAIRS ------------------------------------ #


@any_metric
@given(data=st.data(), dimension=st.integers(2, 4), alone=st.booleans())
def test_close_pairs_are_those_of_brute_force(
    data: st.DataObject, dimension: int, metric: Metric, *, alone: bool
) -> None:
    one = drawn(data, data.draw(st.integers(0, 7)), dimension)
    other = one if alone else drawn(data, 5, dimension)
    threshold = data.draw(st.sampled_from([0.0, 1e-3, 0.3, 1.0, 1.5, 3.0, 1e38]))

    close = close_pairs(
        vectors_of(one), None if alone else vectors_of(other), threshold, metric
    )

    near = plainly(one, other, metric).reshape(len(one), len(other)) <= threshold
    wanted = np.argwhere(np.triu(near, 1) if alone else near)
    assert list(zip(close.one, close.other, strict=True)) == [
        (row, other) for row, other in wanted
    ]


def test_close_pairs_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = vectors_of(noise(50, 3))
    whole = close_pairs(vectors, None, 0.8, "euclidean")
    assert len(whole.one) > 20

    monkeypatch.setattr(pairs, "_BLOCK", 7)
    parts = close_pairs(vectors, None, 0.8, "euclidean")

    for one, other in zip(whole, parts, strict=True):
        assert one.tolist() == other.tolist()


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MOST_PAIRS", 10)

    with pytest.raises(lakehouse.InvalidInputError, match="Lower the threshold"):
        close_pairs(vectors_of(noise(20, 3)), None, 100.0, "euclidean")


@any_metric
def test_each_vector_has_its_nearest_seed(metric: Metric) -> None:
    vectors, seeds = noise(30, 4), noise(5, 4, 1)

    rows, distances = nearest_seed(vectors, seeds, metric)

    every = plainly(vectors, seeds, metric)
    assert rows.tolist() == every.argmin(axis=1).tolist()
    assert distances.tolist() == every.min(axis=1).tolist()
