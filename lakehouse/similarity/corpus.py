"""What is searched: the vectors of the frames, labels or inferences of one version."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.change_log import content
from lakehouse.ledger.collection import Collection
from lakehouse.merging.types import EmbeddingSpec
from lakehouse.storage import collect
from lakehouse.types import ElementType

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MEMORY_BYTES: Final = 1024**3
"""How much of the vectors is kept in memory, at the most: a million of 256 numbers."""


@dataclass(frozen=True)
class Vectors:
    """Vectors and the keys of the rows that have them."""

    name: str
    """Equal for equal content, whatever its history; empty for a part of a version."""
    keys: pl.DataFrame
    """The columns of the key, sorted; row n has vector n."""
    matrix: Floats
    """float32[vectors, dimension]"""

    @cached_property
    def lengths(self) -> Doubles:
        """`float64[vectors]`: the Euclidean length of each."""
        # Kept: every exact query needs them, and they cost as much as a query.
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
        with_vector = rows.drop_nulls("embedding").sort(key)
        matrix = _matrix(with_vector.get_column("embedding"))
        return cls(name, with_vector.select(key), matrix)


class _VectorCache:
    """The vectors that were used last, of every collection of the process."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Vectors | None:
        """The vectors of that name, which count as used; None if not in memory."""
        with self._lock:
            if name in self._by_name:
                self._by_name.move_to_end(name)
            return self._by_name.get(name)

    def put(self, vectors: Vectors) -> None:
        """Keep vectors; drops those used longest ago where there are too many."""
        with self._lock:
            self._by_name[vectors.name] = vectors
            # Vectors larger than all of it are dropped at once, and read every time.
            while sum(one.size for one in self._by_name.values()) > MEMORY_BYTES:
                self._by_name.popitem(last=False)


_cache: Final = _VectorCache()


def vectors_of(collection: Collection, table: str, version: int) -> Vectors:
    """The vectors that a version has; from memory if they were used lately.

    Args:
        collection: The dataset or inference set.
        table: `frame_embeddings` or `label_embeddings`.
        version: The entry's number.
    """
    # By content, not by version: an edit of labels, a compaction or a restore leaves
    # the fingerprint of this table as it was, and nothing is read again.
    fingerprint = collection.ledger.read(version).fingerprint[table]
    name = f"{table}-{fingerprint}"
    vectors = _cache.get(name)
    if vectors is None:
        columns = [*collection.contract(table).key, "embedding"]
        rows = collect(content(collection, table, version, columns=columns))
        vectors = Vectors.of(rows, name)
        _cache.put(vectors)
    return vectors


def _matrix(vectors: pl.Series) -> Floats:
    """Lists of equal length as `float32[vectors, dimension]`."""
    if not len(vectors):
        return np.zeros((0, 0), dtype=np.float32)
    dimension = vectors.list.len()[0]
    matrix: npt.NDArray[Any] = vectors.cast(pl.Array(pl.Float32, dimension)).to_numpy()
    return np.ascontiguousarray(matrix, dtype=np.float32)


@dataclass(frozen=True)
class Corpus:
    """The vectors of a version, or of a filtered part of it."""

    collection: Collection
    element_type: ElementType
    version: int
    """The version that was asked for."""
    read_version: int
    """The entry that it is read at."""
    chosen: pl.LazyFrame | None = None
    """The keys of the filtered part; None for all."""

    def __post_init__(self) -> None:
        """Refuse what a collection of this kind does not hold."""
        kind = self.collection.layout.kind
        absent = {"dataset": "inference", "inference_set": "label"}[kind]
        if self.element_type == absent:
            raise InvalidInputError(
                f"There are no {absent}s in {self.where}: labels are in datasets, "
                "inferences in inference sets.",
                kind="similarity.element_type",
            )

    @property
    def table(self) -> str:
        """The table of its vectors."""
        of_frames = self.element_type == "frame"
        return "frame_embeddings" if of_frames else "label_embeddings"

    @property
    def key(self) -> list[str]:
        """The columns of its elements' key."""
        return list(self.collection.contract(self.table).key)

    @property
    def spec(self) -> EmbeddingSpec:
        """The dimension and model of its vectors."""
        return self.collection.embedding_spec(self.table, self.read_version)

    @property
    def where(self) -> str:
        """The version, in words."""
        place = self.collection.path.replace("/datasets/", "/")
        return f"version {self.version} of {place.replace('/inference_sets/', '/')}"

    def vectors(self) -> Vectors:
        """All vectors of the version.

        Raises:
            NotFoundError: If it has none.
        """
        vectors = vectors_of(self.collection, self.table, self.read_version)
        if not len(vectors):
            raise NotFoundError(
                f"No {self.element_type} in {self.where} has a vector. Send rows with a "
                "column `embedding`, by add() or modify().",
                kind="embedding.none",
            )
        return vectors

    def rows_of(self, keys: pl.DataFrame) -> Rows:
        """The rows of the vectors that keys have, ascending.

        Args:
            keys: Columns of the key; keys without a vector are left out.
        """
        indexed = self.vectors().keys.with_row_index("_row")
        on = [name for name in self.key if name in keys.columns]
        matching = indexed.join(
            keys.select(on), on=on, how="semi", maintain_order="left"
        )
        rows: Rows = matching.get_column("_row").cast(pl.Int64).to_numpy()
        return rows

    def chosen_rows(self) -> Rows | None:
        """The rows of the filtered part, ascending; None for all."""
        return None if self.chosen is None else self.rows_of(collect(self.chosen))

    def part(self) -> Vectors:
        """The vectors of the filtered part."""
        whole, rows = self.vectors(), self.chosen_rows()
        if rows is None:
            return whole
        return Vectors("", whole.keys[rows], np.ascontiguousarray(whole.matrix[rows]))
