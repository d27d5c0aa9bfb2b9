"""Columns as sent become columns as tables have them; what does not fit is a problem.

Whole numbers enter float columns, floats without a fraction whole-number
columns; nothing else is converted but dates, which may be ISO 8601 text.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import polars as pl
from polars._typing import PolarsDataType

from lakehouse.intake.nested import NESTED
from lakehouse.intake.plain import as_text, plain
from lakehouse.intake.tabular import Table, Values, to_utc
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.model.operations import CLEAR, MIXED, OP, SENT
from lakehouse.model.problems import Problems

EMBEDDING: Final = pl.List(pl.Float32)
"""What vectors are stored as."""

_INT64: Final = range(-(2**63), 2**63)  # Delta has no other whole numbers
# Whole numbers of these types may lie outside of that range.
_WIDER_THAN_INT64: Final = (pl.UInt64, pl.UInt128, pl.Int128)
_EXACT_IN_FLOAT: Final = 2**53  # above it, not every whole number is a float64

_SHOWN: Final = 80  # characters of a value in a message

_NO_FIT: Final = (
    ValueError,
    TypeError,
    OverflowError,
    ArithmeticError,
    KeyError,
    AttributeError,
    RecursionError,
    pl.exceptions.PolarsError,
)
"""What normalisers, json and Polars raise for values that do not fit."""


@dataclass(slots=True)
class Intake:
    """A table on its way in: typed columns, and the problems of its rows."""

    keys: pl.DataFrame
    """frame_id, and label_id for labels."""
    columns: dict[str, pl.Series] = field(default_factory=dict[str, pl.Series])
    problems: Problems = field(default_factory=Problems)
    misfits: dict[str, pl.Series] = field(default_factory=dict[str, pl.Series])
    """Column to the rows whose value did not fit, and is null for that reason."""
    # Name to a column and its values. Valid while the column is that very object.
    _distinct: dict[str, tuple[pl.Series, frozenset[Any]]] = field(
        default_factory=dict[str, tuple[pl.Series, frozenset[Any]]]
    )

    def get(self, name: str, dtype: PolarsDataType = pl.String) -> pl.Series:
        """A column, or one of nulls where it was not sent."""
        if name in self.columns:
            return self.columns[name]
        null = pl.Series(name, [None], dtype=dtype)
        return null.new_from_index(0, self.keys.height)

    def is_absent(self, name: str) -> pl.Series:
        """Where no value was sent; one that did not fit has its problem already."""
        absent = self.get(name).is_null()
        misfits = self.misfits.get(name)
        return absent if misfits is None else absent & ~misfits

    def distinct(self, name: str) -> frozenset[Any]:
        """The values of a column, computed once while it stays the same."""
        column = self.get(name)
        known, values = self._distinct.get(name, (None, frozenset()))
        if known is not column:
            values = frozenset(column.unique())
            self._distinct[name] = (column, values)
        return values

    def take_constant(self, name: str, value: str) -> None:
        """Take in a column of one value; `distinct` then costs nothing."""
        column = pl.Series(name, [value]).new_from_index(0, self.keys.height)
        self.columns[name] = column
        self._distinct[name] = (column, frozenset([value]))

    def add_problems(
        self,
        where: pl.Series,
        rule: str,
        message: pl.Series | str,
        hint: str,
        name: str = "",
        *,
        is_warning: bool = False,
    ) -> None:
        """Add a problem for each row where `where` is true.

        Args:
            where: A truth value a row.
            rule: The code of the rule.
            message: Text, or a text a row: of all rows, or of those where `where`
                is true.
            hint: What to do.
            name: The column with the bad value.
            is_warning: Whether the frame lands all the same.
        """
        # Most checks find nothing, and then neither keys nor texts are filtered.
        if not where.any():
            return
        rows = self.keys.filter(where)
        if isinstance(message, pl.Series):
            texts = message if len(message) == rows.height else message.filter(where)
            rows = rows.with_columns(texts.alias("_message"))
        self.problems.add_rows(
            rows,
            rule=rule,
            message=message if isinstance(message, str) else pl.col("_message"),
            hint=hint,
            field=name,
            severity="warning" if is_warning else "error",
        )


def typed_column(
    intake: Intake, table: Table, name: str, dtype: pl.DataType | None
) -> None:
    """Take a column in under its type; `None` for user metadata."""
    values = table.columns[name]
    if isinstance(values, pl.Series) and values.dtype == pl.Null:
        return
    if dtype is None:
        _metadata(intake, name, values)
    elif name in NESTED:
        _normalised(intake, name, values, dtype, NESTED[name])
    elif isinstance(values, pl.Series) and _fits(values.dtype, dtype):
        _converted(intake, name, values, dtype)
    elif dtype == EMBEDDING or isinstance(dtype, pl.List):
        _normalised(intake, name, values, dtype, _numbers)
    else:
        _normalised(intake, name, values, dtype, _scalar(dtype))


def _fits(sent: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a whole column can be cast, without a look at each value."""
    if sent == wanted or (sent.is_numeric() and wanted.is_numeric()):
        return True
    if isinstance(wanted, pl.Datetime):
        return isinstance(sent, pl.Datetime | pl.Date)
    if isinstance(wanted, pl.List) and wanted.inner in {pl.Float32, pl.Float64}:
        inner = sent.inner if isinstance(sent, pl.List | pl.Array) else None
        return inner is not None and inner.is_numeric()
    return wanted == pl.String and isinstance(sent, pl.Categorical | pl.Enum)


def _converted(
    intake: Intake, name: str, values: pl.Series, dtype: pl.DataType
) -> None:
    if isinstance(dtype, pl.Datetime) and isinstance(values.dtype, pl.Datetime):
        aware = values.dtype.time_zone is not None
        values = values if aware else values.dt.replace_time_zone("UTC")
    elif isinstance(dtype, pl.Datetime):
        values = values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    made = values.cast(dtype, strict=False)
    if dtype.is_integer() and values.dtype.is_float():
        # The cast cuts fractions off; a value that has one does not fit.
        made = made.set((made.cast(pl.Float64) != values).fill_null(value=False), None)
    if dtype.is_float() and (inexact := inexact_as_float(values)) is not None:
        made = made.set(inexact, None)
    if made.null_count() > values.null_count():
        lost = made.is_null() & values.is_not_null()
        _misfit(intake, name, lost, values.cast(pl.String, strict=False), dtype)
    intake.columns[name] = made.alias(name)


def _normalised(
    intake: Intake,
    name: str,
    values: Values,
    dtype: pl.DataType,
    normalise: Callable[[Any], Any],
) -> None:
    """Value by value; a value that does not fit becomes null, with a problem."""
    # A column of vectors in the stored type has nothing to convert, number by number.
    if (
        isinstance(values, pl.Series)
        and values.dtype == dtype
        and normalise is _numbers
    ):
        intake.columns[name] = values.alias(name)
        return
    made: list[Any] = []
    messages: list[str | None] = []
    for value in values.to_list() if isinstance(values, pl.Series) else values:
        fits, misfit = _fitted(value, normalise)
        made.append(fits)
        messages.append(misfit)
    column = _typed_series(name, made, messages, dtype)
    message = pl.Series(messages, dtype=pl.String)
    if message.null_count() < len(message):
        rule = (
            "sensor.invalid"
            if name in {"sensors", "coordinate_frames"}
            else "value.type"
        )
        hint = f"Send {_plain_name(dtype)}, or leave the field out."
        intake.misfits[name] = message.is_not_null()
        intake.add_problems(message.is_not_null(), rule, message, hint, name)
    intake.columns[name] = column


def _fitted(
    value: Any,  # noqa: ANN401 - whatever was sent
    normalise: Callable[[Any], Any],
) -> tuple[Any, str | None]:
    """A value as its column has it; or None, and why it does not fit."""
    if _is_null(value):
        return None, None
    try:
        return normalise(value), None
    except _NO_FIT:
        pass
    # Only now, since almost all values are plain: those of NumPy and its like are
    # looked for inside of the value, which costs more than its check.
    try:
        value = plain(value)
        return (None if _is_null(value) else normalise(value)), None
    except RecursionError:
        return None, "The value is nested too deeply."
    except _NO_FIT as error:
        return None, as_text(str(error) or shown(value))


def _typed_series(
    name: str, made: list[Any], messages: list[str | None], dtype: pl.DataType
) -> pl.Series:
    """The values in their type; one that Polars cannot hold gets a message."""
    try:
        return pl.Series(name, made, dtype=dtype)
    except _NO_FIT:
        pass
    # Text with half of a surrogate pair, deep in a sensor: found value by value.
    for place, value in enumerate(made):
        try:
            pl.Series([value], dtype=dtype)
        except _NO_FIT as error:
            made[place] = None
            messages[place] = as_text(f"{shown(value)} cannot be stored: {error}.")
    return pl.Series(name, made, dtype=dtype)


def shown(value: object) -> str:
    """The start of a value, for messages."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        # Lists in lists in lists, and numbers of thousands of digits.
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _metadata(intake: Intake, name: str, values: Values) -> None:
    """Metadata of one type as it is; of several types as JSON texts."""
    if isinstance(values, pl.Series):
        series = _plain_metadata(values)
        if series is not None and MetadataType.from_dtype(series.dtype) is not None:
            intake.columns[name] = series.alias(name)
            return
        values = values.to_list()
    values, bad = _metadata_values(values)
    if any(bad):
        texts = [as_text(shown(value)) for value in values]
        intake.add_problems(
            pl.Series(bad),
            "metadata.type",
            pl.Series(texts, dtype=pl.String) + " cannot be metadata.",
            "Send text, a finite number, a truth value, or a list of one kind of them; "
            "whole numbers have 64 bits.",
            name,
        )
    # Its type depends on what the table holds, which only the merge knows.
    jsons = [
        None if is_bad or _is_null(value) else json.dumps(value)
        for value, is_bad in zip(values, bad, strict=True)
    ]
    intake.columns[MIXED + name] = pl.Series(MIXED + name, jsons, dtype=pl.String)


def _metadata_values(values: list[Any]) -> tuple[list[Any], list[bool]]:
    """Values as metadata, and which of them cannot be it."""
    made: list[Any] = []
    bad: list[bool] = []
    for value in values:
        try:
            fits = _is_null(value) or _is_metadata(value)
            if not fits:
                value = plain(value)  # noqa: PLW2901 - the same value, of Python's types
                fits = _is_null(value) or _is_metadata(value)
        except _NO_FIT:
            fits = False
        made.append(value)
        bad.append(not fits)
    return made, bad


def _plain_metadata(values: pl.Series) -> pl.Series | None:
    """The column in a type of metadata; None if each value must be looked at."""
    dtype = values.dtype
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else dtype
    if isinstance(inner, _WIDER_THAN_INT64):
        return None
    if isinstance(dtype, pl.Array):
        values = values.arr.to_list()
        dtype = values.dtype
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        if inner.is_integer():
            return values.cast(pl.List(pl.Int64))
        return values.cast(pl.List(pl.Float64)) if inner.is_float() else values
    if dtype.is_integer():
        return values.cast(pl.Int64)
    if dtype.is_float():
        return values.cast(pl.Float64)
    return (
        values.cast(pl.String)
        if isinstance(dtype, pl.Categorical | pl.Enum)
        else values
    )


def _is_metadata(value: object) -> bool:
    if isinstance(value, list | tuple):
        # Types, not isinstance: True is an int, and [True, 1] must not pass.
        kinds = {type(item) for item in value if item is not None}
        return (len(kinds) < 2 or kinds == {int, float}) and all(  # noqa: PLR2004
            item is None or (_is_metadata(item) and not isinstance(item, list | tuple))
            for item in value
        )
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # Members of Python's own enumerations are texts and numbers of other types.
        return type(value) is int and value in _INT64
    if isinstance(value, str):
        return type(value) is str and _is_unicode(value)
    return isinstance(value, bool)


def _is_unicode(text: str) -> bool:
    """Whether it can be stored: half of a surrogate pair has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def inexact_as_float(values: pl.Series) -> pl.Series | None:
    """Where a whole number would be rounded by a column of floats; None: nowhere.

    >>> inexact_as_float(pl.Series([1, 2**53 + 1])).to_list()
    [False, True]
    """
    if not values.dtype.is_integer():
        return None
    low, high = cast("int", values.min() or 0), cast("int", values.max() or 0)
    if low >= -_EXACT_IN_FLOAT and high <= _EXACT_IN_FLOAT:
        return None
    wide = values.cast(pl.Int128)
    odd = wide.cast(pl.Float64).cast(pl.Int128, strict=False).ne_missing(wide)
    return odd if odd.any() else None


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _misfit(
    intake: Intake, name: str, where: pl.Series, shown: pl.Series, dtype: pl.DataType
) -> None:
    message = shown.fill_null("the value") + f" is not {_plain_name(dtype)}."
    hint = f"Send {_plain_name(dtype)}, or leave the field out."
    intake.misfits[name] = where
    intake.add_problems(where, "value.type", message, hint, name)


def _sent_text(row: dict[str, Any]) -> str:
    """A row as sent, as JSON; what JSON cannot hold is shown as text."""
    try:
        return as_text(json.dumps(plain(row), default=str, ensure_ascii=False))
    except _NO_FIT:
        texts = {str(name): shown(value) for name, value in row.items()}
        return as_text(json.dumps(texts, ensure_ascii=False))


def _plain_name(dtype: pl.DataType) -> str:
    names: Mapping[pl.DataType, str] = {
        pl.String(): "text",
        pl.Int64(): "a whole number",
        pl.Float64(): "a number",
        pl.Boolean(): "true or false",
        pl.Datetime("us", "UTC"): "an ISO 8601 date",
    }
    return names.get(dtype, "a list in the form that the table's contract gives")


def _scalar(dtype: pl.DataType) -> Callable[[Any], Any]:
    """How one value enters a column of this type."""

    def normalise(value: Any) -> Any:  # noqa: ANN401 - whatever was sent
        if isinstance(dtype, pl.Datetime):
            return to_utc(value)
        fits = _accepts(dtype, value)
        if fits is None:
            raise ValueError(f"{shown(value)} is not {_plain_name(dtype)}.")
        return fits

    return normalise


def _accepts(dtype: pl.DataType, value: object) -> object | None:
    """The value as the column has it, or None if it does not fit."""
    # True is an int to Python, and no number here.
    is_bool = isinstance(value, bool)
    if dtype == pl.Boolean:
        # COCO's files have 0 and 1 for truth values.
        return bool(value) if is_bool or value in (0, 1) else None
    if dtype == pl.String:
        return value if isinstance(value, str) and _is_unicode(value) else None
    if is_bool or not isinstance(value, int | float):
        return None
    if dtype.is_float():
        # A whole number that a float would round is refused, not changed.
        return float(value) if float(value) == value or value != value else None  # noqa: PLR0124
    whole = int(value) if math.isfinite(value) and value == int(value) else None
    return whole if whole is not None and whole in _INT64 else None


def _numbers(value: Any) -> list[float]:  # noqa: ANN401 - whatever was sent
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, list | tuple) or any(
        isinstance(item, bool) or not isinstance(item, int | float) for item in items
    ):
        raise ValueError(f"{shown(value)} is not a list of numbers.")
    return [float(item) for item in items]


def check_finite(intake: Intake) -> None:
    """Infinite numbers, which no field may have."""
    for name, column in intake.columns.items():
        # One number that is not finite makes the sum so: one pass, and no mask.
        if column.dtype.is_float() and not math.isfinite(column.sum() or 0.0):
            odd = (column.is_infinite() | column.is_nan()).fill_null(value=False)
            message = f"{name} is not finite."
            intake.add_problems(
                odd, "value.range", message, "Send a finite number.", name
            )
        elif name.startswith(PREFIX) and column.dtype == pl.List(pl.Float64):
            odd = column.list.eval(pl.element().is_finite().not_()).list.any()
            message = f"{name} has a number that is not finite."
            intake.add_problems(
                odd.fill_null(value=False),
                "value.range",
                message,
                "Send finite numbers only.",
                name,
            )


def with_cleared_fields(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Rows with the names of the fields that were sent as null."""
    sent = [
        name
        for name in table.columns
        if name not in {"frame_id", "label_id"} and not name.startswith("_")
    ]
    lists = [
        pl.when(_is_null_value(table.columns[name])).then(pl.lit(name)) for name in sent
    ]
    if not lists:
        return rows
    names = pl.concat_list(lists).list.drop_nulls().alias(CLEAR)
    return rows.with_columns(names)


def _is_null_value(values: pl.Series | list[Any]) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.is_null()
    return pl.Series([value is None for value in values], dtype=pl.Boolean)


def to_operations(
    rows: pl.DataFrame, intake: Intake, table: Table, op: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Operations and problems; rows with an error carry what was sent."""
    problems = intake.problems.table()
    rows = rows.with_columns(pl.lit(op).alias(OP))
    if not problems.height:
        return rows, problems
    errors = problems.filter(severity="error")
    if not errors.height:
        return rows, problems
    key = intake.keys.columns
    # A value that did not fit is null in its column: the row as sent is what
    # `upload.errors()` shows it from, and what the user mends.
    bad = (
        rows.select(key)
        .with_row_index("_place")
        .join(errors.select(key).unique(), on=key, how="semi", nulls_equal=True)
    )
    places = bad.get_column("_place")
    texts = [_sent_text(table.row(place)) for place in places]
    none = pl.Series(SENT, [None], dtype=pl.String).new_from_index(0, rows.height)
    sent = none.scatter(places, texts) if texts else none
    return rows.with_columns(sent), problems
