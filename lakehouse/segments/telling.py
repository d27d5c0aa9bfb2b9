"""Elements as users see them: ids first, nothing that says nothing, one order."""

from collections.abc import Mapping, Sequence

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.segments.changes import KEY
from lakehouse.segments.refs import key_of

__all__ = ["beside", "put_together", "stale_schema", "told"]


def told(rows: pl.DataFrame, element_type: str) -> pl.DataFrame:
    """Rows with the whole key, sorted; null instead of an empty inference set.

    Frames have no label id.
    """
    ids = ["dataset", "inference_set", *key_of(element_type)]
    rest = [name for name in rows.columns if name not in KEY]
    mine = pl.col("inference_set")
    shown = pl.when(mine != "").then(mine).alias("inference_set")
    return rows.sort(ids).with_columns(shown).select(*ids, *rest)


def put_together(
    parts: Sequence[pl.DataFrame], element_type: str, first: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """The elements of several collections as one table.

    Args:
        parts: Rows with the whole key, and the collection's own columns.
        element_type: Of the elements.
        first: The columns that all have, to come behind the ids.

    Raises:
        InvalidInputError: If a column is of different types.
    """
    types: dict[str, set[str]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            types.setdefault(name, set()).add(str(dtype))
    mixed = {name: sorted(kinds) for name, kinds in types.items() if len(kinds) > 1}
    if mixed:
        listed = "; ".join(
            f"{name}: {' and '.join(kinds)}" for name, kinds in mixed.items()
        )
        raise InvalidInputError(
            f"Columns are of different types in different datasets: {listed}. Read them "
            "one by one: segment.elements(dataset=…).",
            kind="segment.types",
        )
    shape = dict.fromkeys(KEY, pl.String()) | dict(first)
    rows = pl.concat([pl.DataFrame(schema=shape), *parts], how="diagonal")
    return told(rows, element_type)


def beside(mine: pl.DataFrame, found: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """What was found of each element, with `is_deleted` where nothing was."""
    there = found.with_columns(is_deleted=pl.lit(value=False))
    rows = mine.join(there, on=list(key), how="left", maintain_order="left")
    return rows.with_columns(pl.col("is_deleted").fill_null(value=True))


def stale_schema(element_type: str) -> pl.Schema:
    """The columns of elements that are out of date, with the whole key."""
    lists = ("fields", "labels") if element_type == "frame" else ("fields",)
    return pl.Schema(
        {
            **dict.fromkeys(KEY, pl.String()),
            "version": pl.Int64(),
            "latest": pl.Int64(),
            "reason": pl.String(),
            **dict.fromkeys(lists, pl.List(pl.String())),
        }
    )
