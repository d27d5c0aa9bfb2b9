"""The fields that differ between two sides of the same rows, as JSON.

Both sides have one row for each key, in the same order, so a field is compared
column by column, and only values that differ are written as text.
"""

from typing import Final

import polars as pl

from lakehouse.history import as_json

__all__ = ["FIELDS", "differs", "field_counts", "fields_of"]

FIELDS: Final = pl.List(
    pl.Struct({"field": pl.String, "before": pl.String, "after": pl.String})
)
"""Fields with the JSON of their values before and after; null for no value."""


_ROW: Final = pl.get_index_type()


def fields_of(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """For each row the fields that differ, in the order of the columns.

    >>> one = pl.DataFrame({"width": [1.5, 2.0], "token": ["a", None]})
    >>> two = pl.DataFrame({"width": [1.5, 3.0], "token": [None, None]})
    >>> fields_of(one, two).to_list()
    [[{'field': 'token', 'before': '"a"', 'after': None}], [{'field': 'width', 'before': '2.0', 'after': '3.0'}]]
    """
    parts = [
        pl.DataFrame(
            {
                "row": rows,
                "field": pl.repeat(name, len(rows), dtype=pl.String, eager=True),
                "before": _texts(before.get_column(name).gather(rows)),
                "after": _texts(after.get_column(name).gather(rows)),
            }
        )
        for name in before.columns
        if len(rows := differs(before, after, name).arg_true())
    ]
    if not parts:
        return pl.Series("fields", [[]] * before.height, dtype=FIELDS)
    listed = (
        pl.concat(parts)
        .group_by("row", maintain_order=True)
        .agg(pl.struct("field", "before", "after").alias("fields"))
    )
    every = pl.DataFrame({"row": pl.arange(before.height, dtype=_ROW, eager=True)})
    told = every.join(listed, on="row", how="left", maintain_order="left")
    return told.get_column("fields").fill_null(pl.Series([[]], dtype=FIELDS))


def field_counts(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, int]:
    """In how many rows each field differs, the most frequent first."""
    counts = {name: int(differs(before, after, name).sum()) for name in before.columns}
    found = [(name, count) for name, count in counts.items() if count]
    return dict(sorted(found, key=lambda pair: -pair[1]))


def differs(before: pl.DataFrame, after: pl.DataFrame, name: str) -> pl.Series:
    """For each row, whether a field differs."""
    was, now = before.get_column(name), after.get_column(name)
    if was.null_count() == now.null_count() == len(was):
        return pl.repeat(value=False, n=len(was), dtype=pl.Boolean, eager=True)
    return was.ne_missing(now)


def _texts(values: pl.Series) -> pl.Series:
    """The values as JSON; null for none."""
    if values.dtype == pl.Boolean or values.dtype.is_integer():
        return values.cast(pl.String)
    if values.dtype == pl.Float64:
        # Polars writes most of them as Python does, in a twentieth of the time.
        is_plain = values.abs().is_between(1e-4, 1e16, closed="left") | (values == 0)
        odd = (~is_plain).fill_null(value=False).arg_true()
        told = [as_json(value) for value in values.gather(odd).to_list()]
        return values.cast(pl.String).scatter(odd, told)
    texts = [None if value is None else as_json(value) for value in values.to_list()]
    return pl.Series(values.name, texts, dtype=pl.String)
