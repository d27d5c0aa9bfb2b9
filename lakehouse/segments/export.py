"""A segment as a file: its elements as they were, and all that is kept of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.history import as_json

__all__ = ["exported", "write_export"]

_KINDS: Final = (".json", ".csv")


def exported(elements: pl.DataFrame, tracking: pl.DataFrame) -> pl.DataFrame:
    """Elements with what is kept of each, side by side.

    Args:
        elements: As a segment returns them.
        tracking: The same elements, in the same order.
    """
    kept = ("earlier", "comments", "added_at", "added_by", "updated_at")
    return elements.with_columns(tracking.select(kept))


def write_export(
    path: str | os.PathLike[str], segment: Mapping[str, Any], rows: pl.DataFrame
) -> None:
    """Write a segment as JSON or CSV, in place of a file that is there.

    Args:
        path: Where to; the ending tells the kind.
        segment: What it is.
        rows: Its elements, as `exported` returns them.

    Raises:
        InvalidInputError: If it is neither .json nor .csv.
    """
    target = Path(path)
    match target.suffix.lower():
        case ".json":
            elements = [
                {name: value for name, value in row.items() if value is not None}
                for row in rows.iter_rows(named=True)
            ]
            text = as_json({"segment": dict(segment), "elements": elements})
            target.write_text(f"{text}\n", encoding="utf-8")
        case ".csv":
            rows.select(_flat(column) for column in rows).write_csv(target)
        case kind:
            raise InvalidInputError(
                f"Segments are written as {' or '.join(_KINDS)}, not as "
                f"{kind or 'a file without an ending'}.",
                kind="segment.export",
            )


def _flat(column: pl.Series) -> pl.Series:
    """A column that a cell of CSV can hold: lists as JSON."""
    if not column.dtype.is_nested():
        return column
    texts = [None if value is None else as_json(value) for value in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)
