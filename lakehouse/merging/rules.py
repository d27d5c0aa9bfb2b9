"""Rules: what operations are held against, beside the rows themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from lakehouse.contracts import Layout

__all__ = ["EmbeddingSpec", "Rules"]


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What all vectors of a table have in common."""

    dimension: int | None = None
    """Numbers in each vector; None until the first lands."""
    model: str | None = None
    """What makes the vectors; None when nobody said."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The fixed facts of a collection."""

    layout: Layout
    """What its tables are called and hold."""
    class_ids: Mapping[str, int]
    """Known classes."""
    class_map_version: int | None = None
    """The version of the class map that has them."""
    renamed_classes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names that classes had before, and those they have now."""
    frame_metadata: Mapping[str, pl.DataType] = field(
        default_factory=dict[str, pl.DataType]
    )
    """`user__…` to type, for frames."""
    label_metadata: Mapping[str, pl.DataType] = field(
        default_factory=dict[str, pl.DataType]
    )
    """`user__…` to type, for labels."""
    frame_embedding: EmbeddingSpec = EmbeddingSpec()
    label_embedding: EmbeddingSpec = EmbeddingSpec()
