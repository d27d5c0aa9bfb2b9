"""What becomes of elements: functions from a segment's rows to what is written."""

from datetime import datetime
from typing import Any, Final

import polars as pl

from lakehouse.contracts import contract
from lakehouse.segments.table import Change

__all__ = ["KEY", "added", "commented", "moved", "removed", "with_fields"]

KEY: Final = ("dataset", "inference_set", "frame_id", "label_id")
"""What tells the elements of one segment apart."""


def added(
    rows: pl.DataFrame,
    keys: pl.DataFrame,
    fields: dict[str, Any],
    batch_size: int | None = None,
) -> Change:
    """New elements; those that are there stay as they are.

    Args:
        rows: The segment's rows.
        keys: The key's columns, each element once.
        fields: What the new rows have in common.
        batch_size: Put them into batches of that many; None for none.
    """
    schema = contract("segment_elements").schema()
    fresh = keys.join(rows, on=list(KEY), how="anti", maintain_order="left")
    nothing: dict[str, Any] = {"earlier": [], "comments": []}
    values = nothing | {name: None for name in schema if name not in {*KEY, *nothing}}
    put = fresh.with_columns(
        pl.lit(value, dtype=schema[name]).alias(name)
        for name, value in (values | fields).items()
    )
    if batch_size is not None:
        put = put.with_columns(batch=_batches(rows, put.height, batch_size))
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


def _batches(rows: pl.DataFrame, count: int, size: int) -> pl.Series:
    """The batches that new elements go into: `batch_1` and on.

    The last batch is filled up unless somebody works on it already.
    """
    number = pl.col("batch").str.extract(r"^batch_([0-9]+)$").cast(pl.Int64)
    numbered = rows.with_columns(_number=number).drop_nulls("_number")
    last = numbered.filter(pl.col("_number") == pl.col("_number").max())
    is_idle = last.get_column("assignee").null_count() == last.height and not (
        last.filter(status="done").height
    )
    newest = last["_number"][0] if last.height else 0
    free = max(size - last.height, 0) if last.height and is_idle else 0
    first = [newest] * min(free, count)
    rest = [newest + 1 + place // size for place in range(count - len(first))]
    return pl.Series("batch", [f"batch_{number}" for number in first + rest], pl.String)
