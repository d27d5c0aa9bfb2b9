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
from typing import Any, Final

import numpy as np

from lakehouse.errors import LakehouseError
from lakehouse.local_cache import cached, keep
from lakehouse.similarity.distances import Found, Metric, ranked, unit
from lakehouse.similarity.vectors import Floats, Vectors

try:
    import faiss
except ImportError as error:
    raise LakehouseError(
        "Approximate search needs faiss: pip install 'lakehouse[similarity]'. Without "
        "it every search is exact: leave out exact=False.",
        kind="extra.missing",
    ) from error

__all__ = ["Neighbours", "looked_at", "neighbours_of"]

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
        index = faiss.IndexPQFastScan(dimension, dimension // 2, _BITS)
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
        path.write_bytes(faiss.serialize_index(self._index).tobytes())

    @classmethod
    def load(cls, vectors: Vectors, metric: Metric, path: Path) -> "Neighbours":
        """Read the codes of these vectors back.

        Raises:
            OSError: If there is no such file.
            ValueError: If it is damaged, or of other vectors.
        """
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        try:
            index = faiss.deserialize_index(data)
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
