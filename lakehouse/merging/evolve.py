"""What crosses frames, settled before the kernel: field types, vector lengths.

The first value of a new metadata field fixes its type, the first vector fixes
the dimension; rows that disagree get a problem. A row of a frame that has an
error already fixes nothing, since it does not land. Afterwards every metadata
column has its field's type.

Everything else in a merge is decided frame by frame, so this is the only part
whose result depends on the order of rows and on all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

import polars as pl

from lakehouse.merging.rows import anti_join
from lakehouse.merging.types import EmbeddingSpec, Rules
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.model.operations import MIXED, Operations
from lakehouse.model.problems import Problems

_EXACT_IN_FLOAT: Final = 2**53  # above it, floats skip whole numbers
_ROWS_LOOKED_AT_FIRST: Final = 1024  # of them, one almost always lands


def evolve(
    rules: Rules, operations: Operations, problems: Problems
) -> tuple[Rules, Operations]:
    """The rules after these operations, and the operations with typed columns.

    Args:
        rules: As they are.
        operations: With an `upload_id` in every row.
        problems: Takes values of another type, and vectors of another length.
    """
    failed = operations.problems
    if failed.height:
        failed = failed.filter(severity="error").unique("frame_id")
    # `frame_id` of every frame that is rejected already.
    failed = failed[["frame_id"]]
    frames, frame_types = _type_metadata(
        operations.frames, rules.frame_metadata, failed, problems
    )
    labels, label_types = _type_metadata(
        operations.labels, rules.label_metadata, failed, problems
    )
    frames, frame_spec = _fix_dimension(frames, rules.frame_embedding, failed, problems)
    labels, label_spec = _fix_dimension(labels, rules.label_embedding, failed, problems)
    after = replace(
        rules,
        frame_metadata=frame_types,
        label_metadata=label_types,
        frame_embedding=frame_spec,
        label_embedding=label_spec,
    )
    return after, Operations(frames, labels, operations.problems)


def _type_metadata(
    rows: pl.DataFrame,
    known: Mapping[str, pl.DataType],
    failed: pl.DataFrame,
    problems: Problems,
) -> tuple[pl.DataFrame, dict[str, pl.DataType]]:
    """Rows whose metadata columns have their fields' types, and those types.

    Args:
        rows: Operations on frames, or on labels.
        known: Field to type, as the table has them.
        failed: The `frame_id`s of rejected frames.
        problems: Takes the values of another type.
    """
    types = dict(known)
    # Delta tells no two columns apart whose names differ in case only: a table with
    # both can be read by no engine, for good.
    spellings = {name.lower(): name for name in types}
    for column in rows.columns:
        field = column.removeprefix(MIXED)
        if not field.startswith(PREFIX):
            continue
        if field not in types and (existing := spellings.get(field.lower())):
            _add_spelling_problems(rows, column, existing, problems)
            rows = rows.drop(column, *_stale_hash(rows))
        elif column == field:
            rows = _settle(rows, field, types, failed, problems)
        else:
            rows = _settle_mixed(rows, field, types, failed, problems)
        if field in types:
            spellings.setdefault(field.lower(), field)
    return rows, types


def _add_spelling_problems(
    rows: pl.DataFrame, column: str, existing: str, problems: Problems
) -> None:
    field = column.removeprefix(MIXED)
    problems.add_rows(
        rows.filter(pl.col(column).is_not_null()),
        rule="metadata.spelling",
        message=f"{field} differs from the existing field {existing} in upper and lower "
        "case only, which tables cannot hold.",
        hint=f"Did you mean {existing}?",
        field=field,
    )


def _settle(
    rows: pl.DataFrame,
    field: str,
    types: dict[str, pl.DataType],
    failed: pl.DataFrame,
    problems: Problems,
) -> pl.DataFrame:
    """A column of one type: it fits, fixes the type, or is a problem wherever set."""
    # Not by `rows.schema`, which is made anew for each of a thousand fields.
    sent = rows.get_column(field).dtype
    if field not in types:
        if not _lands(rows, field, failed):
            # No row with a value lands, so the table gets no column of it.
            return rows.drop(field, *_stale_hash(rows))
        types[field] = sent
    wanted = types[field]
    if sent == wanted:
        return rows
    unhashed = rows.drop(_stale_hash(rows))
    if _widens(sent, wanted):
        _report_rounded(rows, field, rows.get_column(field), problems)
        return unhashed.with_columns(pl.col(field).cast(wanted))
    misfits = rows.filter(pl.col(field).is_not_null())
    _add_type_problems(misfits, field, sent, wanted, problems)
    return unhashed.with_columns(pl.lit(None, dtype=wanted).alias(field))


def _lands(rows: pl.DataFrame, field: str, failed: pl.DataFrame) -> bool:
    """Whether a frame that is not rejected has a value of the field."""
    if not failed.height:
        return rows.get_column(field).null_count() < rows.height
    # The join of all rows is needed only where none of the first ones answers.
    return any(
        anti_join(part.filter(pl.col(field).is_not_null()), failed).height
        for part in (rows.head(_ROWS_LOOKED_AT_FIRST), rows)
    )


def _stale_hash(rows: pl.DataFrame) -> list[str]:
    """The hash made of rows as they were staged: wrong once a value changes."""
    return [name for name in ("row_hash",) if name in rows.columns]


def _settle_mixed(
    rows: pl.DataFrame,
    field: str,
    types: dict[str, pl.DataType],
    failed: pl.DataFrame,
    problems: Problems,
) -> pl.DataFrame:
    """A column of JSON texts of several types, value by value."""
    # A loop in Python: such columns come from dicts with values of several types,
    # never from typed tables, so uploads that have one are small.
    column = MIXED + field
    rejected = set(failed.get_column("frame_id").to_list())
    frame_ids = rows.get_column("frame_id").to_list()
    values = [
        None if text is None else json.loads(text) for text in rows.get_column(column)
    ]
    kinds = [_dtype_of(value) for value in values]
    if field not in types:
        landing = [
            kind
            for frame_id, kind in zip(frame_ids, kinds, strict=True)
            if kind is not None and frame_id not in rejected
        ]
        if not landing:
            return rows.drop(column)
        # While the field is new it may still be one of floats, as every row lands.
        wider = (kind for kind in landing if _widens(landing[0], kind))
        types[field] = next(wider, landing[0])
    wanted = types[field]
    # An empty list has no type of its own, nor has one of nulls: both fit a field of
    # any list.
    fits = [
        (kind is not None and (kind == wanted or _widens(kind, wanted)))
        or (_is_untyped_list(value) and isinstance(wanted, pl.List))
        for kind, value in zip(kinds, values, strict=True)
    ]
    is_misfit = pl.Series(
        [not fit and value is not None for fit, value in zip(fits, values, strict=True)]
    )
    names = pl.Series("_kind", [str(kind) for kind in kinds])
    misfits = rows.with_columns(names).filter(is_misfit)
    # A message names one type, so each type that was sent is added by itself.
    by_name = {str(kind): kind for kind in kinds}
    for (name,), part in misfits.group_by("_kind", maintain_order=True):
        _add_type_problems(part, field, by_name[str(name)], wanted, problems)
    fitting = [value if fit else None for value, fit in zip(values, fits, strict=True)]
    rows = rows.drop(column)
    if wanted in (pl.Float64, pl.List(pl.Float64)):
        _report_rounded(rows, field, fitting, problems)
    typed = pl.Series(field, fitting, dtype=wanted, strict=False)
    return rows.with_columns(typed)


def _report_rounded(
    rows: pl.DataFrame,
    field: str,
    values: pl.Series | list[Any],
    problems: Problems,
) -> None:
    """Whole numbers that a field of floats would round: refused, not changed."""
    if isinstance(values, pl.Series):
        numbers = values.explode() if isinstance(values.dtype, pl.List) else values
        low, high = cast("int", numbers.min() or 0), cast("int", numbers.max() or 0)
        if low >= -_EXACT_IN_FLOAT and high <= _EXACT_IN_FLOAT:
            return
    # In Python: numbers so large are ids and hashes, in few uploads.
    rounded = pl.Series([_is_rounded(value) for value in values], dtype=pl.Boolean)
    problems.add_rows(
        rows.filter(rounded),
        rule="value.range",
        message=f"{field} is a field of floats, which would round this whole number.",
        hint="Send it as text in another field, or a number of at most 2^53.",
        field=field,
    )


def _is_rounded(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if isinstance(value, list | pl.Series):
        return any(map(_is_rounded, value))
    return isinstance(value, int) and int(float(value)) != value


def _is_untyped_list(value: object) -> bool:
    return isinstance(value, list) and all(item is None for item in value)


def _dtype_of(value: Any) -> pl.DataType | None:  # noqa: ANN401 - any JSON value
    """The metadata type of a JSON value; None for null and for what is none."""
    if isinstance(value, list):
        present = [item for item in value if item is not None]
        kinds = {str(_dtype_of(item)): _dtype_of(item) for item in present}
        inner = next(iter(kinds.values()), None)
        # The intake lets no other two types into one list.
        if set(kinds) == {"Int64", "Float64"}:
            inner = pl.Float64()
        return (
            pl.List(inner)
            if inner is not None and not isinstance(inner, pl.List)
            else None
        )
    # Truth values first: to Python they are whole numbers too.
    for python, dtype in (
        (bool, pl.Boolean()),
        (int, pl.Int64()),
        (float, pl.Float64()),
        (str, pl.String()),
    ):
        if isinstance(value, python):
            return dtype
    return None


def _widens(sent: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether whole numbers are sent to a field of floats."""
    if isinstance(sent, pl.List) and isinstance(wanted, pl.List):
        return sent.inner == pl.Int64 and wanted.inner == pl.Float64
    return sent == pl.Int64 and wanted == pl.Float64


def _add_type_problems(
    rows: pl.DataFrame,
    field: str,
    sent: pl.DataType | None,
    wanted: pl.DataType,
    problems: Problems,
) -> None:
    sent_type = None if sent is None else MetadataType.from_dtype(sent)
    wanted_type = MetadataType.from_dtype(wanted)
    sent_name = sent_type.name if sent_type else "a value of no metadata type"
    wanted_name = wanted_type.name if wanted_type else str(wanted)
    is_mode = isinstance(sent, pl.List) != isinstance(wanted, pl.List)
    problems.add_rows(
        rows,
        rule="metadata.mode" if is_mode else "metadata.type",
        message=f"{field} is {wanted_name} in this dataset, and {sent_name} was sent.",
        hint=f"Send {wanted_name}, or use another field name.",
        field=field,
    )


def _fix_dimension(
    rows: pl.DataFrame, spec: EmbeddingSpec, failed: pl.DataFrame, problems: Problems
) -> tuple[pl.DataFrame, EmbeddingSpec]:
    """Rows whose vectors may land, and the dimension that all vectors have."""
    if "embedding" not in rows.columns:
        return rows, spec
    sent = rows.filter(pl.col("embedding").is_not_null())
    length = pl.col("embedding").list.len()
    if spec.dimension is None:
        landing = sent.join(failed, on="frame_id", how="anti", maintain_order="left")
        if not landing.height:
            # The length of vectors that do not land must not bind those to come.
            return rows.drop("embedding"), spec
        spec = replace(spec, dimension=int(landing.select(length.first()).item()))
    # The vectors stay: their problem is an error, so their frames do not land.
    problems.add_rows(
        sent.filter(length != spec.dimension),
        rule="embedding.dimension",
        message=pl.format(
            "The vector has {} numbers; all vectors here have {}.",
            length,
            pl.lit(spec.dimension),
        ),
        hint="Send vectors of the one model that this dataset uses.",
        field="embedding",
    )
    return rows, spec
