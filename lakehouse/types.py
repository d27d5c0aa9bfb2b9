"""Types of what the public functions accept."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from os import PathLike
from typing import Any, Literal, Protocol

import polars as pl

__all__ = [
    "ArrowStream",
    "ElementType",
    "FrameLike",
    "LabelLike",
    "LiveTable",
    "Progress",
    "SourceLike",
    "TableLike",
    "VersionLike",
    "silent",
]


class ArrowStream(Protocol):
    """Any object with an Arrow C stream, such as tables of pyarrow, pandas and DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream as a capsule."""
        ...


TableLike = (
    pl.DataFrame
    | pl.LazyFrame
    | ArrowStream
    | Iterable[Mapping[str, Any]]
    | Iterable[Any]
    | str
    | PathLike[str]
)
"""Rows: Arrow, a LazyFrame, dicts, record batches, or the path of a file."""

FrameLike = TableLike
"""Rows of frames."""

LabelLike = TableLike
"""Rows of labels."""

SourceLike = pl.LazyFrame | str | PathLike[str]
"""Any number of rows: a lazy table, or the path of a file, a folder or a pattern."""

ElementType = Literal["frame", "label", "inference"]
"""What a segment holds, and what vectors are of."""

VersionLike = int | str | datetime
"""A version number, a name such as `latest`, or an aware datetime."""

LiveTable = Literal["frames", "labels", "frame_embeddings", "label_embeddings"]
"""A table that holds the latest state, one row a key."""


Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and how much there is in all."""


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
