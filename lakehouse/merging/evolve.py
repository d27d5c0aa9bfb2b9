"""What crosses frames, settled before the kernel: field types, vector lengths.

The first value of a new metadata field fixes its type, the first vector fixes
the dimension; rows that disagree get a problem. Rows that are at fault already
fix nothing. Afterwards every metadata column has its field's type.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import polars as pl

from lakehouse.merging.rows import anti_join
from lakehouse.merging.types import EmbeddingSpec, Rules
from lakehouse.model.metadata import PREFIX, MetadataType
from lakehouse.model.operations import MIXED, Operations
from lakehouse.model.problems import (
    UPLOAD_PROBLEM_SCHEMA,
    concat_problems,
    problems_of_rows,
)

_FIRST: Final = 1024


def evolve(
    rules: Rules, operations: Operations
) -> tuple[Rules, Operations, pl.DataFrame]:
    """The rules after these operations, the operations typed, and the problems.

    Args:
        rules: As they are.
        operations: With an `upload_id` in every row.
    """
    errors = operations.problems
    if errors.height:
        errors = errors.filter(severity="error").unique("frame_id")
    errors = errors[["frame_id"]]
    frames, frame_types, of_frames = _typed(
        operations.frames, rules.frame_metadata, errors
    )
    labels, label_types, of_labels = _typed(
        operations.labels, rules.label_metadata, errors
    )
    frames, frame_spec, of_vectors = _measured(frames, rules.frame_embedding, errors)
    labels, label_spec, of_crops = _measured(labels, rules.label_embedding, errors)
    after = replace(
        rules,
        frame_metadata=frame_types,
        label_metadata=label_types,
        frame_embedding=frame_spec,
        label_embedding=label_spec,
    )
    problems = concat_problems(
        [of_frames, of_labels, of_vectors, of_crops], UPLOAD_PROBLEM_SCHEMA
    )
    return after, Operations(frames, labels, operations.problems), problems


def _typed(
    rows: pl.DataFrame, known: Mapping[str, pl.DataType], errors: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, pl.DataType], pl.DataFrame]:
    types = dict(known)
    problems: list[pl.DataFrame] = []
    for column in rows.columns:
        field = column.removeprefix(MIXED)
        if not field.startswith(PREFIX):
            continue
        if column != field:
            rows, bad = _settle_mixed(rows, column, field, types, errors)
        else:
            rows, bad = _settle(rows, field, types, errors)
        problems.append(bad)
    return rows, types, concat_problems(problems, UPLOAD_PROBLEM_SCHEMA)


def _settle(
    rows: pl.DataFrame, field: str, types: dict[str, pl.DataType], errors: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A column of one type: it fits, fixes the type, or is at fault wherever set."""
    sent = rows.schema[field]
    if field not in types:
        if not _lands(rows, field, errors):
            return rows.drop(field, *_hash(rows)), concat_problems(
                schema=UPLOAD_PROBLEM_SCHEMA
            )
        types[field] = sent
    wanted = types[field]
    if sent == wanted:
        return rows, concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    if _widens(sent, wanted):
        widened = rows.drop(_hash(rows)).with_columns(pl.col(field).cast(wanted))
        return widened, concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    bad = rows.filter(pl.col(field).is_not_null())
    problems = _type_problem(bad, field, sent, wanted)
    emptied = rows.drop(_hash(rows)).with_columns(
        pl.lit(None, dtype=wanted).alias(field)
    )
    return emptied, problems


def _lands(rows: pl.DataFrame, field: str, errors: pl.DataFrame) -> bool:
    """Whether a frame that is not at fault has a value of the field."""
    if not errors.height:
        return rows.get_column(field).null_count() < rows.height
    # The first rows tell, as a rule; only where they do not, all are looked at.
    return any(
        anti_join(part.filter(pl.col(field).is_not_null()), errors).height
        for part in (rows.head(_FIRST), rows)
    )


def _hash(rows: pl.DataFrame) -> list[str]:
    """The hash made of rows as they were staged: wrong once a value changes."""
    return [name for name in ("row_hash",) if name in rows.columns]


def _settle_mixed(
    rows: pl.DataFrame,
    column: str,
    field: str,
    types: dict[str, pl.DataType],
    errors: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A column of JSON texts of several types, value by value."""
    at_fault = set(errors.get_column("frame_id").to_list())
    frame_ids = rows.get_column("frame_id").to_list()
    values = [
        None if text is None else json.loads(text) for text in rows.get_column(column)
    ]
    kinds = [_kind(value) for value in values]
    for frame_id, kind in zip(frame_ids, kinds, strict=True):
        if kind is not None and field not in types and frame_id not in at_fault:
            types[field] = kind
    if field not in types:
        return rows.drop(column), concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    wanted = types[field]
    fits = [
        (kind is not None and (kind == wanted or _widens(kind, wanted)))
        or (value == [] and isinstance(wanted, pl.List))
        for kind, value in zip(kinds, values, strict=True)
    ]
    good = [value if fit else None for value, fit in zip(values, fits, strict=True)]
    mask = pl.Series(
        [not fit and value is not None for fit, value in zip(fits, values, strict=True)]
    )
    names = pl.Series("_kind", [str(kind) for kind in kinds])
    bad = rows.with_columns(names).filter(mask)
    problems = [
        _type_problem(part, field, next(k for k in kinds if str(k) == name), wanted)
        for (name,), part in bad.group_by("_kind", maintain_order=True)
    ]
    typed = pl.Series(field, good, dtype=wanted, strict=False)
    return rows.drop(column).with_columns(typed), concat_problems(
        problems, UPLOAD_PROBLEM_SCHEMA
    )


def _kind(value: Any) -> pl.DataType | None:  # noqa: ANN401 - any JSON value
    """The metadata type of a JSON value; None for null and for what is none."""
    if isinstance(value, list):
        kinds = {str(_kind(item)): _kind(item) for item in value}
        inner = next(iter(kinds.values()), None)
        if set(kinds) == {"Int64", "Float64"}:
            inner = pl.Float64()
        return (
            pl.List(inner)
            if inner is not None and not isinstance(inner, pl.List)
            else None
        )
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


def _type_problem(
    rows: pl.DataFrame, field: str, sent: pl.DataType | None, wanted: pl.DataType
) -> pl.DataFrame:
    keys = [
        name for name in ("frame_id", "label_id", "upload_id") if name in rows.columns
    ]
    found_type = None if sent is None else MetadataType.from_dtype(sent)
    right = MetadataType.from_dtype(wanted)
    is_mode = isinstance(sent, pl.List) != isinstance(wanted, pl.List)
    told = found_type.name if found_type else "a value of no metadata type"
    name = right.name if right else str(wanted)
    return problems_of_rows(
        rows.select(keys),
        rule="metadata.mode" if is_mode else "metadata.type",
        message=f"{field} is {name} in this dataset, and {told} was sent.",
        hint=f"Send {name}, or use another field name.",
        field=field,
    )


def _measured(
    rows: pl.DataFrame, spec: EmbeddingSpec, errors: pl.DataFrame
) -> tuple[pl.DataFrame, EmbeddingSpec, pl.DataFrame]:
    if "embedding" not in rows.columns:
        return rows, spec, concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    sent = rows.filter(pl.col("embedding").is_not_null())
    length = pl.col("embedding").list.len()
    if spec.dimension is None:
        good = sent.join(errors, on="frame_id", how="anti", maintain_order="left")
        if not good.height:
            return (
                rows.drop("embedding"),
                spec,
                concat_problems(schema=UPLOAD_PROBLEM_SCHEMA),
            )
        spec = replace(spec, dimension=int(good.select(length.first()).item()))
    bad = sent.filter(length != spec.dimension)
    problems = problems_of_rows(
        bad,
        rule="embedding.dimension",
        message=pl.format(
            "The vector has {} numbers; all vectors here have {}.",
            length,
            pl.lit(spec.dimension),
        ),
        hint="Send vectors of the one model that this dataset uses.",
        field="embedding",
    )
    return rows, spec, problems
