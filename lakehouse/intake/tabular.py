"""Anything tabular as columns.

A column of dicts' values that Polars cannot type is kept as a Python list, so
one strange value spoils neither its column nor the call.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, cast

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.intake.files import read_csv, read_json, read_lines, read_parquet
from lakehouse.intake.plain import CONTAINERS, PLAIN, plain
from lakehouse.model.metadata import PREFIX
from lakehouse.types import TableLike

Values = pl.Series | list[Any]

_KNOWN: Final = PLAIN | CONTAINERS
_EXACT_IN_FLOAT: Final = 2**53  # above it, not every whole number is a float64


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one height; untyped ones are lists."""

    columns: dict[str, Values]
    height: int

    def row(self, place: int) -> dict[str, Any]:
        """One row as sent; nulls are left out."""
        cells = {name: values[place] for name, values in self.columns.items()}
        return {
            name: cell.to_list() if isinstance(cell, pl.Series) else cell
            for name, cell in cells.items()
            if cell is not None
        }


def rows_of(data: TableLike) -> list[dict[str, Any]]:
    """Rows as dicts: those of dicts with the fields that each has.

    Raises:
        InvalidInputError: If the data are not tabular.

    >>> rows_of([{"a": 1}, {"a": [2], "b": None}])
    [{'a': 1}, {'a': [2], 'b': None}]
    """
    # Not through columns: those would give every row the fields of all.
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        return [dict(row) for row in data]
    table = table_of(data)
    columns = {
        name: values.to_list() if isinstance(values, pl.Series) else values
        for name, values in table.columns.items()
    }
    return [
        {name: values[place] for name, values in columns.items()}
        for place in range(table.height)
    ]


def table_of(data: TableLike) -> Table:
    """Anything tabular as columns.

    Args:
        data: A DataFrame, a LazyFrame, anything with an Arrow stream, dicts,
            record batches, or the path of a .parquet, .csv, .json or .jsonl file.

    Raises:
        InvalidInputError: If it is none of these.

    >>> table_of([{"a": 1}, {"a": "x", "b": 2}]).columns["a"]
    [1, 'x']
    """
    if isinstance(data, pl.DataFrame | pl.LazyFrame):
        return _of_frame(data.lazy().collect())
    if isinstance(data, str | os.PathLike):
        return _of_file(Path(data))
    if hasattr(data, "__arrow_c_stream__"):
        return _of_frame(pl.DataFrame(data))
    if isinstance(data, Mapping):
        return _of_dicts([cast("Mapping[str, Any]", data)])
    if isinstance(data, Iterable):
        items: list[Any] = list(data)
        if all(isinstance(item, Mapping) for item in items):
            return _of_dicts(items)
        if all(hasattr(item, "__arrow_c_array__") for item in items):
            parts = [pl.DataFrame(item) for item in items]
            return _of_frame(pl.concat(parts, how="diagonal_relaxed"))
    raise InvalidInputError(
        f"{type(data).__name__} is not a table. Give a DataFrame, a LazyFrame, Arrow data, "
        "a list of dicts, or the path of a .parquet, .csv, .json or .jsonl file.",
        kind="input.not_tabular",
    )


def _of_frame(rows: pl.DataFrame) -> Table:
    floats = [name for name, dtype in rows.schema.items() if dtype.is_float()]
    if floats:
        # pandas has no other null for numbers, so NaN is one here, from whomever.
        rows = rows.with_columns(pl.col(floats).fill_nan(None))
    return Table({column.name: column for column in rows}, rows.height)


def _of_dicts(rows: Sequence[Mapping[str, Any]]) -> Table:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {
        str(name): _series(
            [row.get(name) for row in rows], exact=str(name).startswith(PREFIX)
        )
        for name in names
    }
    return Table(columns, len(rows))


def _series(values: list[Any], *, exact: bool) -> Values:
    """A typed column where every value is of one type, else the values.

    Whole numbers among floats are floats, but not if types are to be exact.
    """
    # Types, not isinstance: True and 1 in one column are two types, and stay values.
    kinds = {type(value) for value in values if value is not None}
    if not kinds <= _KNOWN:
        values = [value if type(value) in _KNOWN else plain(value) for value in values]
        kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series([None] * len(values), dtype=pl.Null)
    numbers = kinds == {int, float} and not exact
    if not kinds <= {str, int, float, bool} or (len(kinds) > 1 and not numbers):
        return values
    if numbers and any(type(v) is int and abs(v) > _EXACT_IN_FLOAT for v in values):
        return values
    try:
        series = pl.Series(values, strict=not numbers)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return values
    if series.dtype.is_float():
        # NaN is no value, from whomever.
        return series.fill_nan(None)
    return values if series.dtype == pl.Object else series


def _of_file(path: Path) -> Table:
    if not path.exists():
        raise InvalidInputError(f"There is no file {path}.", kind="input.no_file")
    match path.suffix.lower():
        case ".parquet":
            return _of_frame(read_parquet(path))
        case ".csv":
            return _of_frame(read_csv(path))
        case ".json":
            return _of_dicts(read_json(path))
        case ".jsonl" | ".ndjson":
            return _of_dicts(read_lines(path))
        case suffix:
            raise InvalidInputError(
                f"{path}: files of kind {suffix or '(none)'} are not read. Give .parquet, "
                ".csv, .json or .jsonl.",
                kind="input.file_kind",
            )


def to_utc(value: object) -> datetime:
    """A date as UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: If it is not a date.

    >>> to_utc("2026-01-31 12:00:00Z").isoformat()
    '2026-01-31T12:00:00+00:00'
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO 8601 date.") from None
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is not a date.")  # noqa: TRY004 - becomes a problem
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
