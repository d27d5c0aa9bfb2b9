"""What becomes of elements: functions from a segment's rows to what is written."""

from datetime import datetime
from typing import Any, Final

import polars as pl

from lakehouse.contracts import contract
from lakehouse.segments.table import Change

__all__ = ["KEY", "added", "commented", "moved", "removed", "with_fields"]

KEY: Final = ("dataset", "inference_set", "frame_id", "label_id")
"""What tells the elements of one segment apart."""


def added(rows: pl.DataFrame, keys: pl.DataFrame, fields: dict[str, Any]) -> Change:
    """New elements; those that are there stay as they are.

    Args:
        rows: The segment's rows.
        keys: The key's columns, each element once.
        fields: What the new rows have in common.
    """
    schema = contract("segment_elements").schema()
    fresh = keys.join(rows, on=list(KEY), how="anti", maintain_order="left")
    nothing: dict[str, Any] = {"earlier": [], "comments": []}
    values = nothing | {name: None for name in schema if name not in {*KEY, *nothing}}
    put = fresh.with_columns(
        pl.lit(value, dtype=schema[name]).alias(name)
        for name, value in (values | fields).items()
    )
    return Change(put.select(schema.names()), rows.clear())


def removed(rows: pl.DataFrame, mine: pl.DataFrame) -> Change:
    """Elements that leave the segment."""
    return Change(rows.clear(), mine)


def with_fields(mine: pl.DataFrame, fields: dict[str, Any], at: datetime) -> Change:
    """Elements with other values of fields; those that have them stay."""
    new = {name: pl.lit(value, mine.schema[name]) for name, value in fields.items()}
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(value) for name, value in new.items()
    )
    return Change(_touched(mine.filter(differs).with_columns(**new), at), mine.clear())


def commented(
    mine: pl.DataFrame, author: str | None, text: str, at: datetime
) -> Change:
    """Elements with one more comment."""
    said = [[{"author": author, "time": at, "text": text}]]
    comment = pl.Series(said, dtype=mine.schema["comments"])
    every = pl.concat_list("comments", pl.lit(comment))
    return Change(_touched(mine.with_columns(comments=every), at), mine.clear())


def moved(rows: pl.DataFrame, moves: pl.DataFrame, at: datetime) -> Change:
    """Elements at other versions; those they had are kept.

    Args:
        rows: The segment's rows.
        moves: The key's columns, `version` and `latest`. An element that is at
            another version by now stays.
        at: When.
    """
    mine = rows.join(moves, on=[*KEY, "version"], how="inner", maintain_order="left")
    put = mine.with_columns(
        earlier=pl.concat_list("earlier", "version"), version="latest"
    )
    return Change(_touched(put.select(rows.columns), at), rows.clear())


def _touched(rows: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(at, dtype=rows.schema["updated_at"]).alias("updated_at")
    )
