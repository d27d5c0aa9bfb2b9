"""Approximate search: a small code of every vector is looked at, and the best for real.

faiss keeps four bits for each two numbers of a vector (a product quantizer whose
tables sit in registers, "4-bit fast scan"), so that a query looks at all of them
in a few milliseconds. The half percent that look nearest are then measured
exactly. Nothing is skipped by its place in a graph or in a cell, so recall does
not depend on how vectors lie: it is as good for noise as for clusters.

Distances are always true ones; only whether one of the k nearest is missing is
left to chance.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from lakehouse.errors import import_extra
from lakehouse.similarity.corpus import Doubles, Floats, Rows, Vectors
from lakehouse.storage.cache import cached, keep

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


def _faiss() -> Any:  # noqa: ANN401 - a module
    return import_extra(
        "faiss",
        "similarity",
        "Without faiss every search is exact (leave out exact=False); "
        "approximate search needs it",
    )


_BITS: Final = 4
_TRAINED_ON: Final = 20_000
_FEWEST: Final = 1_000
_FOR_EACH: Final = 100
_SHARE: Final = 200
_BLOCK: Final = 65_536


def looked_at(count: int, k: int) -> int:
    """How many of `count` vectors are measured exactly for the k nearest.

    >>> looked_at(200_000, 10), looked_at(2_000_000, 10)
    (1000, 10000)
    """
    return max(_FEWEST, _FOR_EACH * k, count // _SHARE)


class Neighbours:
    """Codes of the vectors of one version, for one metric.

    Cosine is Euclidean distance between vectors of length one.
    """

    def __init__(self, index: Any, metric: Metric) -> None:  # noqa: ANN401 - faiss's
        self._index = index
        self._metric: Metric = metric

    @classmethod
    def of(cls, vectors: Vectors, metric: Metric) -> "Neighbours":
        """Learn the codes from a sample of the vectors, the same each time."""
        dimension = _even(vectors.matrix.shape[1])
        index = _faiss().IndexPQFastScan(dimension, dimension // 2, _BITS)
        draw = np.random.default_rng(0)
        sample = draw.choice(
            len(vectors), min(len(vectors), _TRAINED_ON), replace=False
        )
        index.train(_coded(vectors.matrix[np.sort(sample)], metric))
        for start in range(0, len(vectors), _BLOCK):
            index.add(_coded(vectors.matrix[start : start + _BLOCK], metric))
        return cls(index, metric)

    def nearest(self, vectors: Vectors, query: Floats, k: int) -> Found:
        """The k vectors that are nearest to a query, with true distances."""
        _, rows = self._index.search(
            _coded(query[None], self._metric), looked_at(len(vectors), k)
        )
        found = rows[0][rows[0] >= 0].astype(np.int64)
        return ranked(vectors, found, query, k, self._metric)

    def save(self, path: Path) -> None:
        """Write the codes to a file."""
        path.write_bytes(_faiss().serialize_index(self._index).tobytes())

    @classmethod
    def load(cls, vectors: Vectors, metric: Metric, path: Path) -> "Neighbours":
        """Read the codes of these vectors back.

        Raises:
            OSError: If there is no such file.
            ValueError: If it is damaged, or of other vectors.
        """
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        try:
            index = _faiss().deserialize_index(data)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        if (index.ntotal, index.d) != (len(vectors), _even(vectors.matrix.shape[1])):
            raise ValueError(f"{path} has codes of other vectors")
        return cls(index, metric)


_kept: Final[dict[str, Neighbours]] = {}
_MOST_KEPT: Final = 8


def neighbours_of(vectors: Vectors, metric: Metric) -> Neighbours:
    """The codes of vectors: at hand, in the local folder, or made now and kept."""
    name = f"{vectors.name}-{metric}.neighbours"
    found = _kept.get(name) or cached(name, partial(Neighbours.load, vectors, metric))
    if found is None:
        found = Neighbours.of(vectors, metric)
        keep(name, found.save)
    while len(_kept) >= _MOST_KEPT and name not in _kept:
        _kept.pop(next(iter(_kept)))
    _kept[name] = found
    return found


def _even(dimension: int) -> int:
    return dimension + dimension % 2


def _coded(rows: Floats, metric: Metric) -> Floats:
    """Vectors as the codes are made of them: of length one for cosine, even in number."""
    if metric == "cosine":
        rows = unit(rows.astype(np.float64)).astype(np.float32)
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    return np.ascontiguousarray(rows)
