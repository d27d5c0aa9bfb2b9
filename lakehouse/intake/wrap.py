"""The last steps of the intake, for frames and labels alike."""

import json
import math
from typing import Any

import polars as pl

from lakehouse.intake.columns import Intake
from lakehouse.intake.tabular import Table
from lakehouse.model.found import together
from lakehouse.model.operations import CLEAR, OP, SENT

__all__ = ["cleared", "finished", "non_finite"]


def non_finite(intake: Intake) -> None:
    """Blame infinite numbers, which no field may have."""
    for name, column in intake.columns.items():
        # One number that is not finite makes the sum so.
        if column.dtype.is_float() and not math.isfinite(column.sum() or 0.0):
            odd = (column.is_infinite() | column.is_nan()).fill_null(value=False)
            told = f"{name} is not finite."
            intake.blame(odd, "value.range", told, "Send a finite number.", name)


def cleared(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Rows with the names of the fields that were sent as null."""
    sent = [
        name
        for name in table.columns
        if name not in {"frame_id", "label_id"} and not name.startswith("_")
    ]
    lists = [pl.when(_is_null(table.columns[name])).then(pl.lit(name)) for name in sent]
    if not lists:
        return rows
    names = pl.concat_list(lists).list.drop_nulls().alias(CLEAR)
    return rows.with_columns(names)


def _is_null(values: pl.Series | list[Any]) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.is_null()
    return pl.Series([value is None for value in values], dtype=pl.Boolean)


def finished(
    rows: pl.DataFrame, intake: Intake, table: Table, op: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Operations and problems; rows at fault carry what was sent."""
    problems = together(intake.problems)
    rows = rows.with_columns(pl.lit(op).alias(OP))
    if not problems.height:
        return rows, problems
    errors = problems.filter(severity="error")
    if not errors.height:
        return rows, problems
    key = intake.keys.columns
    bad = (
        rows.select(key)
        .with_row_index("_place")
        .join(errors.select(key).unique(), on=key, how="semi", nulls_equal=True)
    )
    places = bad.get_column("_place")
    texts = [
        json.dumps(table.row(place), default=str, ensure_ascii=False)
        for place in places
    ]
    none = pl.Series(SENT, [None], dtype=pl.String).new_from_index(0, rows.height)
    sent = none.scatter(places, texts) if texts else none
    return rows.with_columns(sent), problems
