"""Distances between vectors: fast in single precision, then right in double.

All distances come from one product of matrices in float32, whose rounding error
is bounded: |fl(x·y) − x·y| ≤ γ‖x‖‖y‖ with γ = d·u/(1 − d·u), u = 2⁻²⁴ and d
numbers in a vector (Higham, Accuracy and Stability of Numerical Algorithms,
§3.1). Whatever may be among the nearest within that error is measured again in
float64, so the answer is that of a comparison one by one.
"""

from typing import Final, Literal, NamedTuple

import numpy as np

from lakehouse.similarity.vectors import Doubles, Floats, Rows, Vectors

__all__ = [
    "Found",
    "Metric",
    "between",
    "bounds",
    "nearest",
    "products_of",
    "ranked",
    "unit",
]

Metric = Literal["euclidean", "cosine"]
"""Length of the difference, or one minus the cosine of the angle: 0 to 2."""

_ROUNDING: Final = 2.0**-24
_SMALLEST: Final = 2.0**-126
_DOUBLE: Final = 2.0**-48


class Found(NamedTuple):
    """Vectors and how far they are, nearest first; equal distances by row."""

    rows: Rows
    distances: Doubles


def nearest(
    vectors: Vectors, query: Floats, k: int, metric: Metric, among: Rows | None = None
) -> Found:
    """The k vectors that are nearest to a query, exactly.

    Args:
        vectors: Where to search.
        query: float32[dimension]
        k: How many; fewer where there are fewer.
        metric: Which distance.
        among: Only these rows.
    """
    matrix, lengths = vectors.matrix, vectors.lengths
    if among is not None:
        matrix, lengths = matrix[among], lengths[among]
    if not len(matrix):
        return Found(np.array([], np.int64), np.array([], np.float64))
    length = np.sqrt(np.square(query.astype(np.float64)).sum())
    least, most = bounds(
        products_of(matrix, query), lengths, length, len(query), metric
    )
    rank = min(k, len(matrix)) - 1
    rows = np.flatnonzero(least <= np.partition(most, rank)[rank])
    if among is not None:
        rows = among[rows]
    return ranked(vectors, rows, query, k, metric)


def ranked(
    vectors: Vectors, rows: Rows, query: Floats, k: int, metric: Metric
) -> Found:
    """The k nearest of some rows, measured in double precision."""
    distances = between(vectors.matrix[rows], query, metric)
    order = np.lexsort((rows, distances))[:k]
    return Found(rows[order], distances[order])


def between(one: Floats, other: Floats, metric: Metric) -> Doubles:
    """The distances of pairs of vectors, in double precision.

    A vector of zeros has no direction: its cosine distance to all others is 1.

    Args:
        one: float32[pairs, dimension]
        other: float32[pairs, dimension], or one vector for all pairs.
        metric: Which distance.
    """
    a, b = one.astype(np.float64), other.astype(np.float64)
    if metric == "euclidean":
        difference = a - b
        squares: Doubles = np.einsum("ij,ij->i", difference, difference)
        return np.sqrt(squares)
    a, b = unit(a), unit(np.atleast_2d(b))
    cosine: Doubles = np.einsum("ij,ij->i", a, np.broadcast_to(b, a.shape))
    return np.clip(1.0 - cosine, 0.0, 2.0)


def unit(vectors: Doubles) -> Doubles:
    """Vectors of length one in the same directions; zeros stay."""
    # Divided by the largest number first, no square is too large or too small.
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    scaled = vectors / np.where(largest, largest, 1.0)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return scaled / np.where(length, length, 1.0)


def bounds(
    products: Floats, one: Doubles, other: Doubles, dimension: int, metric: Metric
) -> tuple[Doubles, Doubles]:
    """Between what true distances lie: squared ones, or one minus the cosine.

    Args:
        products: float32, x·y of each pair.
        one: The lengths ‖x‖, of a shape that broadcasts to the products'.
        other: The lengths ‖y‖, likewise.
        dimension: Numbers in a vector.
        metric: Which distance.
    """
    sound = np.isfinite(products)
    inner = np.where(sound, products, 0.0).astype(np.float64)
    error = dimension * _ROUNDING / (1.0 - dimension * _ROUNDING)
    area = one * other
    # What float32 cannot hold, too small or beside the last digit of a double.
    slack = area * error + dimension * _SMALLEST
    if metric == "euclidean":
        squares = np.square(one) + np.square(other)
        middle, margin = squares - 2.0 * inner, 2.0 * slack + squares * _DOUBLE
    else:
        known = area > 0
        scale = np.where(known, area, 1.0)
        middle = np.where(known, 1.0 - inner / scale, 1.0)
        margin = np.where(known, slack / scale + _DOUBLE, 0.0)
    return (
        np.where(sound, middle - margin, -np.inf),
        np.where(sound, middle + margin, np.inf),
    )


def products_of(one: Floats, other: Floats) -> Floats:
    """x·y in single precision; what overflows is infinite or no number."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        found: Floats = one @ other
    return found
