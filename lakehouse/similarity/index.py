"""The nearest vectors: exactly, or by an index that measures only the likely ones.

*Exactly*: one product of matrices in single precision gives every distance but for
its rounding error. Whatever may be among the k nearest within the bound on that
error is measured again in double precision, which is little. So the answer, ties included, is that of a comparison
one by one in float64, at the price of float32.

*By an index*: faiss keeps four bits for each two numbers of a vector (a product
quantizer whose tables sit in registers, "4-bit fast scan"), so that a query
compares the codes of all vectors in a few milliseconds. The half percent that look
nearest are then measured in double precision. Nothing is skipped by its place in a
graph or in a cell, so recall does not depend on how vectors lie: on 200,000 x 256
it was 0.996 for noise and 1.000 for clusters, where HNSW had 0.78 for noise.

Distances are always true ones; only whether one of the k nearest is missing is
left to chance, and only with an index. Decision 0019 has the measurements.
"""

from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from lakehouse.errors import import_extra
from lakehouse.similarity.corpus import Doubles, Floats, Rows, Vectors
from lakehouse.storage.cache import Content, cached, keep

Metric = Literal["euclidean", "cosine"]
"""Length of the difference, or one minus the cosine of the angle: 0 to 2."""

UNIT_ROUNDOFF_32: Final = 2.0**-24
"""The greatest relative error of one operation in single precision."""

_SMALLEST_NORMAL_32: Final = 2.0**-126  # below it, errors are absolute, not relative

# 32 roundings in double precision: room for the arithmetic of the bounds themselves.
_ERROR_OF_DOUBLES: Final = 2.0**-48


class Neighbours(NamedTuple):
    """Vectors and how far they are, nearest first; equal distances by row."""

    rows: Rows
    distances: Doubles


# ----------------------------------- EXACT ---------------------------------- #


def nearest(
    vectors: Vectors, query: Floats, k: int, metric: Metric, only: Rows | None = None
) -> Neighbours:
    """The k vectors that are nearest to a query, exactly.

    Args:
        vectors: Where to search.
        query: `float32[dimension]`
        k: How many; fewer where there are fewer.
        metric: Which distance.
        only: Rows to search, ascending; None for all.
    """
    matrix, lengths = vectors.matrix, vectors.lengths
    if only is not None:
        matrix, lengths = matrix[only], lengths[only]
    if not len(matrix):
        return Neighbours(np.array([], np.int64), np.array([], np.float64))
    length = np.sqrt(np.square(query.astype(np.float64)).sum())
    lower, upper = distance_bounds(
        products_of(matrix, query), lengths, length, len(query), metric
    )
    # k vectors are certainly no farther than the k-th least upper bound, so one whose
    # lower bound is beyond it is not among the nearest. partition finds that bound
    # without sorting all.
    rank = min(k, len(matrix)) - 1
    rows = np.flatnonzero(lower <= np.partition(upper, rank)[rank])
    if only is not None:
        rows = only[rows]
    return measure(vectors, rows, query, k, metric)


def measure(
    vectors: Vectors, rows: Rows, query: Floats, k: int, metric: Metric
) -> Neighbours:
    """The k nearest of some rows, by distances in double precision."""
    distances = distances_of(vectors.matrix[rows], query, metric)
    order = np.lexsort((rows, distances))[:k]
    return Neighbours(rows[order], distances[order])


def distances_of(one: Floats, other: Floats, metric: Metric) -> Doubles:
    """The distances of pairs of vectors, in double precision.

    A vector of zeros has no direction: its cosine distance to all others is 1.

    Args:
        one: `float32[pairs, dimension]`
        other: `float32[pairs, dimension]`, or one vector for all pairs.
        metric: Which distance.
    """
    a, b = one.astype(np.float64), other.astype(np.float64)
    if metric == "euclidean":
        # The difference first: |x|² + |y|² - 2xy loses all digits of near vectors.
        difference = a - b
        squares: Doubles = np.einsum("ij,ij->i", difference, difference)
        return np.sqrt(squares)
    a, b = unit(a), unit(np.atleast_2d(b))
    cosine: Doubles = np.einsum("ij,ij->i", a, np.broadcast_to(b, a.shape))
    # Rounding may take the cosine of parallel vectors beyond 1.
    return np.clip(1.0 - cosine, 0.0, 2.0)


def unit(vectors: Doubles) -> Doubles:
    """Vectors of length one in the same directions; zeros stay."""
    # Divided by the largest number first, no square is too large or too small.
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    scaled = vectors / np.where(largest, largest, 1.0)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return scaled / np.where(length, length, 1.0)


def distance_bounds(
    products: Floats, one: Doubles, other: Doubles, dimension: int, metric: Metric
) -> tuple[Doubles, Doubles]:
    """Bounds on the true distances: of squared ones, or of one minus the cosine.

    Args:
        products: float32, x·y of each pair.
        one: The lengths |x|, of a shape that broadcasts to the products'.
        other: The lengths |y|, likewise.
        dimension: Numbers in a vector.
        metric: Which distance.

    Returns:
        The lower and the upper bounds, float64 in the shape of the products.
    """
    # A product that overflowed says nothing: it is bounded by -inf and inf, so its
    # pair is measured.
    is_finite = np.isfinite(products)
    inner = np.where(is_finite, products, 0.0).astype(np.float64)
    # The textbook bound on a sum of n products in any order, n·u / (1 - n·u) times the
    # sum of their absolute values, which is at most |x|·|y|.
    relative = dimension * UNIT_ROUNDOFF_32 / (1.0 - dimension * UNIT_ROUNDOFF_32)
    lengths = one * other
    # Each product below the smallest normal float32 may be lost entirely.
    error = lengths * relative + dimension * _SMALLEST_NORMAL_32
    if metric == "euclidean":
        squares = np.square(one) + np.square(other)
        middle = squares - 2.0 * inner
        margin = 2.0 * error + squares * _ERROR_OF_DOUBLES
    else:
        # A vector of zeros is at distance 1 from all, without an error.
        has_angle = lengths > 0
        scale = np.where(has_angle, lengths, 1.0)
        middle = np.where(has_angle, 1.0 - inner / scale, 1.0)
        margin = np.where(has_angle, error / scale + _ERROR_OF_DOUBLES, 0.0)
    return (
        np.where(is_finite, middle - margin, -np.inf),
        np.where(is_finite, middle + margin, np.inf),
    )


def products_of(one: Floats, other: Floats) -> Floats:
    """x·y in single precision; what overflows is infinite or no number."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        products: Floats = one @ other
    return products


# --------------------------------- BY AN INDEX ------------------------------ #

_BITS_OF_A_CODE: Final = 4  # for two numbers: the only size that fast scan has
_SAMPLE_TO_LEARN_FROM: Final = 20_000  # vectors; k-means of 16 centres needs no more
_CODED_AT_ONCE: Final = 65_536  # vectors: 64 MB of float32 at dimension 256

LEAST_MEASURED: Final = 1_000
MEASURED_PER_NEIGHBOUR: Final = 100
MEASURED_SHARE: Final = 200
"""One in 200 vectors is measured exactly: half a percent, for a recall of 0.996 on
noise at 200,000 vectors; of few vectors at least so many, also for each neighbour."""

INDEXES_IN_MEMORY: Final = 8
"""A few versions by either metric; the codes of 200,000 x 256 numbers are 13 MB."""


def measured_count(count: int, k: int) -> int:
    """How many of `count` vectors are measured exactly for the k nearest.

    >>> measured_count(200_000, 10), measured_count(2_000_000, 10)
    (1000, 10000)
    """
    return max(LEAST_MEASURED, MEASURED_PER_NEIGHBOUR * k, count // MEASURED_SHARE)


class VectorIndex:
    """Codes of the vectors of one version, for one metric.

    Cosine is Euclidean distance between vectors of length one.
    """

    def __init__(self, index: Any, metric: Metric) -> None:  # noqa: ANN401 - faiss's
        self._index = index
        self._metric: Metric = metric

    @classmethod
    def of(cls, vectors: Vectors, metric: Metric) -> "VectorIndex":
        """Learn the codes from a sample of the vectors, the same each time."""
        dimension = _even(vectors.matrix.shape[1])
        index = _faiss().IndexPQFastScan(dimension, dimension // 2, _BITS_OF_A_CODE)
        # A fixed seed: equal content has equal codes, and so equal answers.
        draw = np.random.default_rng(0)
        sample = draw.choice(
            len(vectors), min(len(vectors), _SAMPLE_TO_LEARN_FROM), replace=False
        )
        index.train(_to_code(vectors.matrix[np.sort(sample)], metric))
        for start in range(0, len(vectors), _CODED_AT_ONCE):
            index.add(_to_code(vectors.matrix[start : start + _CODED_AT_ONCE], metric))
        return cls(index, metric)

    def nearest(self, vectors: Vectors, query: Floats, k: int) -> Neighbours:
        """The k vectors that are nearest to a query, with true distances."""
        _, rows = self._index.search(
            _to_code(query[None], self._metric), measured_count(len(vectors), k)
        )
        # faiss fills up with -1 where there are fewer.
        likely = rows[0][rows[0] >= 0].astype(np.int64)
        return measure(vectors, likely, query, k, self._metric)

    def codes(self) -> Any:  # noqa: ANN401 - an array of faiss's making
        """The codes as bytes, `uint8[n]`, which `from_codes` reads back."""
        return _faiss().serialize_index(self._index)

    @classmethod
    def from_codes(
        cls, vectors: Vectors, metric: Metric, data: Content
    ) -> "VectorIndex":
        """The codes of these vectors, read back.

        Raises:
            ValueError: If they are of another release of faiss, or of other vectors.
        """
        try:
            index = _faiss().deserialize_index(np.array(data))
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        if (index.ntotal, index.d) != (len(vectors), _even(vectors.matrix.shape[1])):
            raise ValueError(f"{vectors.name}: these are codes of other vectors")
        return cls(index, metric)


_in_memory: Final[dict[str, VectorIndex]] = {}


def index_of(vectors: Vectors, metric: Metric) -> VectorIndex:
    """The index of vectors: from memory, from the local cache, or made and kept there."""
    name = f"{vectors.name}-{metric}.neighbours"
    index = _in_memory.get(name) or cached(
        name, partial(VectorIndex.from_codes, vectors, metric)
    )
    if index is None:
        index = VectorIndex.of(vectors, metric)
        keep(name, [index.codes()])
    while len(_in_memory) >= INDEXES_IN_MEMORY and name not in _in_memory:
        _in_memory.pop(next(iter(_in_memory)))
    _in_memory[name] = index
    return index


def _even(dimension: int) -> int:
    return dimension + dimension % 2


def _to_code(rows: Floats, metric: Metric) -> Floats:
    """Vectors as they are coded: of length one for cosine, of an even dimension."""
    if metric == "cosine":
        rows = unit(rows.astype(np.float64)).astype(np.float32)
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return np.ascontiguousarray(rows)


def _faiss() -> Any:  # noqa: ANN401 - a module
    return import_extra(
        "faiss",
        "similarity",
        "Without faiss every search is exact (leave out exact=False); "
        "approximate search needs it",
    )
