"""What is searched: the frames, labels or inferences of one version that have vectors."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.collection import Collection
from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.merging.rules import EmbeddingSpec
from lakehouse.similarity.vectors import Rows, Vectors, vectors_of
from lakehouse.storage import collect
from lakehouse.typing import ElementType

__all__ = ["Corpus"]


@dataclass(frozen=True)
class Corpus:
    """The vectors of a version, or of the part of it that a filter leaves."""

    collection: Collection
    element_type: ElementType
    version: int
    """The version that was asked for."""
    read_version: int
    """The entry that it is read at."""
    chosen: pl.LazyFrame | None = None
    """The keys that a filter leaves; None for all."""

    def __post_init__(self) -> None:
        """Refuse what a collection of this kind does not hold."""
        kind = self.collection.layout.kind
        wrong = {"dataset": "inference", "inference_set": "label"}[kind]
        if self.element_type == wrong:
            raise InvalidInputError(
                f"There are no {wrong}s in {self.where}: labels are in datasets, "
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
        """The columns that tell its elements apart."""
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
        found = vectors_of(self.collection, self.table, self.read_version)
        if not len(found):
            raise NotFoundError(
                f"No {self.element_type} in {self.where} has a vector. Send rows with a "
                "column `embedding`, by add() or modify().",
                kind="embedding.none",
            )
        return found

    def rows_of(self, keys: pl.DataFrame) -> Rows:
        """The rows of the vectors that keys have, ascending.

        Args:
            keys: Columns of the key; keys without a vector are left out.
        """
        held = self.vectors().keys.with_row_index("_row")
        on = [name for name in self.key if name in keys.columns]
        found = held.join(keys.select(on), on=on, how="semi", maintain_order="left")
        rows: Rows = found.get_column("_row").cast(pl.Int64).to_numpy()
        return rows

    def chosen_rows(self) -> Rows | None:
        """The rows that the filter leaves; None for all."""
        return None if self.chosen is None else self.rows_of(collect(self.chosen))

    def part(self) -> Vectors:
        """The vectors that the filter leaves."""
        whole, rows = self.vectors(), self.chosen_rows()
        if rows is None:
            return whole
        return Vectors("", whole.keys[rows], np.ascontiguousarray(whole.matrix[rows]))
