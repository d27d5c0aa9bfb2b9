"""The vectors of one version, in memory: keys, and a matrix in the same order.

They are put in the order of their keys, so equal content gives equal rows, and a
row's number means the same in every process. Content is told apart by the
fingerprint that the ledger keeps of each table: a label edit, a compaction or a
restore leaves the vectors' as it was, and what was read stays good.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.collection import Collection
from lakehouse.replay import content
from lakehouse.storage import collect

__all__ = ["Doubles", "Floats", "Rows", "Vectors", "vectors_of"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MEMORY_BYTES: Final = 1024**3
"""How much of the vectors is kept in memory, at the most."""


@dataclass(frozen=True)
class Vectors:
    """Vectors with the keys that they are of."""

    name: str
    """Equal for equal content, whatever its history."""
    keys: pl.DataFrame
    """The columns of the key, sorted; row n is of vector n."""
    matrix: Floats
    """float32[vectors, dimension]"""

    @cached_property
    def lengths(self) -> Doubles:
        """The Euclidean length of each vector."""
        squares: Doubles = np.einsum(
            "ij,ij->i", self.matrix, self.matrix, dtype=np.float64
        )
        return np.sqrt(squares)

    @property
    def size(self) -> int:
        """Bytes in memory, keys aside."""
        return self.matrix.nbytes

    def __len__(self) -> int:
        return len(self.matrix)

    @classmethod
    def of(cls, rows: pl.DataFrame, name: str = "") -> "Vectors":
        """The vectors of rows: a key, and `embedding`; rows without one are left out."""
        key = [column for column in rows.columns if column != "embedding"]
        there = rows.drop_nulls("embedding").sort(key)
        return cls(name, there.select(key), _matrix(there.get_column("embedding")))


class _AtHand:
    """The vectors that were used last, for every collection of the process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Vectors | None:
        """The vectors of that name, which count as used; None if not at hand."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, vectors: Vectors) -> None:
        """Keep vectors; those used longest ago go where there are too many."""
        with self._lock:
            self._kept[vectors.name] = vectors
            while sum(one.size for one in self._kept.values()) > MEMORY_BYTES:
                self._kept.popitem(last=False)


_at_hand: Final = _AtHand()


def vectors_of(collection: Collection, table: str, version: int) -> Vectors:
    """The vectors that a version has; those that were read lately are at hand.

    Args:
        collection: Whose vectors.
        table: `frame_embeddings` or `label_embeddings`.
        version: The entry's number.
    """
    fingerprint = collection.ledger.read(version).fingerprint[table]
    name = f"{table}-{fingerprint}"
    found = _at_hand.get(name)
    if found is None:
        columns = [*collection.contract(table).key, "embedding"]
        rows = collect(content(collection, table, version, columns=columns))
        found = Vectors.of(rows, name)
        _at_hand.put(found)
    return found


def _matrix(vectors: pl.Series) -> Floats:
    """Lists of equal length as a matrix."""
    if not len(vectors):
        return np.zeros((0, 0), dtype=np.float32)
    dimension = vectors.list.len()[0]
    matrix: npt.NDArray[Any] = vectors.cast(pl.Array(pl.Float32, dimension)).to_numpy()
    return np.ascontiguousarray(matrix, dtype=np.float32)
