"""What makes rows readable at all: known columns, and usable, unrepeated keys.

Faults of this kind refuse the whole call, with every one of them listed, since
a row without a usable frame id cannot be reported, kept or retried by frame.
"""

import difflib
import json
from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from lakehouse.errors import Problem
from lakehouse.intake.tabular import Table
from lakehouse.model.ids import (
    NAME_PATTERN,
    any_invalid_id,
    id_problem,
    invalid_id_expr,
)
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import MIXED, OP, Operations
from lakehouse.model.problems import concat_problems, raise_if_any

IGNORED: Final = frozenset({"upload_id", "version", "row_hash", "op", "_op", "_sent"})
"""Columns that snapshots, change logs and rejected rows have; accepted, not read."""


def check_columns(table: Table, known: Collection[str], what: str) -> list[Problem]:
    """Columns that neither the table's contract nor metadata names."""
    faults: list[Problem] = []
    for name in table.columns:
        if name in known or name in IGNORED:
            continue
        field = name.removeprefix(PREFIX)
        if (
            name.startswith(PREFIX)
            and pl.Series([field]).str.contains(NAME_PATTERN).item()
        ):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        if name == "confidence":
            hint = "Confidence belongs to inferences, which go to an inference set. "
        hint += f"Metadata columns are called {PREFIX}<name>, of letters, digits and underscores."
        faults.append(
            Problem(
                None,
                None,
                f"{what}.{name}",
                "column.unknown",
                f"{name!r} is no column of {what}.",
                hint,
            )
        )
    return faults


def frame_ids_of(table: Table) -> pl.Series:
    """The frame ids as text; null where there is none or it is no text."""
    values = table.columns.get("frame_id")
    if values is None:
        return pl.Series("frame_id", [None] * table.height, dtype=pl.String)
    if isinstance(values, pl.Series):
        is_text = values.dtype in {pl.String, pl.Categorical, pl.Enum}
        texts = (
            values.cast(pl.String)
            if is_text
            else pl.Series([None] * len(values), dtype=pl.String)
        )
        # Known once, the order is not looked for again all the way to the files.
        texts = texts.alias("frame_id")
        return texts.set_sorted() if texts.is_sorted() else texts
    known = [value if isinstance(value, str) else None for value in values]
    return pl.Series("frame_id", known, dtype=pl.String)


def check_ids(table: Table, frame_ids: pl.Series, what: str) -> list[Problem]:
    """Frame ids that are missing, no text, or have characters they may not have."""
    if not any_invalid_id(frame_ids):
        return []
    bad = frame_ids.to_frame().select(invalid_id_expr("frame_id")).to_series()
    sent = table.columns.get("frame_id")
    return [
        Problem(
            frame_ids[place],
            None,
            f"{what}[{place}].frame_id",
            "id.invalid",
            _told(None if sent is None else sent[place]),
            "A frame id is non-empty text without # [ ] ? * , / or control characters.",
        )
        for place in bad.arg_true().to_list()
    ]


def _told(value: object) -> str:
    if value is None:
        return "The row has no frame_id."
    return f"frame_id {value!r} {id_problem(value)}."


UNREADABLE: Final = "Nothing was written: the rows cannot be read."
"""What a call is told that is refused as a whole."""


def combine(parts: Sequence[Operations]) -> Operations:
    """All parts as one set of operations.

    Raises:
        InvalidInputError: If a frame is given twice, or both added and modified
            or deleted, or a label is given twice. All such faults are listed.
    """
    frames = _stacked([part.frames for part in parts if part.frames.height])
    labels = _stacked([part.labels for part in parts if part.labels.height])
    repeated = _repeated(frames, ["frame_id"])
    repeated += _repeated(labels, ["frame_id", "label_id"])
    raise_if_any(repeated, UNREADABLE)
    return Operations(
        frames, labels, concat_problems([part.problems for part in parts])
    )


def _stacked(parts: list[pl.DataFrame]) -> pl.DataFrame:
    if not parts:
        return pl.DataFrame()
    if len(parts) == 1:
        return parts[0]
    kinds: dict[str, set[str]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            field = name.removeprefix(MIXED)
            if field.startswith(PREFIX):
                kinds.setdefault(field, set()).add(f"{name} {dtype}")
    torn = [field for field, found in kinds.items() if len(found) > 1]
    return pl.concat([_as_texts(part, torn) for part in parts], how="diagonal")


def _as_texts(rows: pl.DataFrame, fields: list[str]) -> pl.DataFrame:
    """Metadata fields as JSON texts: they have another type in another part."""
    for field in fields:
        if field in rows.columns:
            values = rows.get_column(field).to_list()
            texts = [None if value is None else json.dumps(value) for value in values]
            column = pl.Series(MIXED + field, texts, dtype=pl.String)
            rows = rows.drop(field).with_columns(column)
    return rows


def _rises(rows: pl.DataFrame, key: list[str]) -> bool:
    """Whether each key is above the one before it, so that none is given twice."""
    first, last = rows.get_column(key[0]), rows.get_column(key[-1])
    if first.null_count() or last.null_count() or not first.is_sorted():
        return False
    same = first == first.shift(1)
    return not (same & (last <= last.shift(1))).any()


def _repeated(rows: pl.DataFrame, key: list[str]) -> list[Problem]:
    if rows.height < 2:  # noqa: PLR2004 - one row repeats nothing
        return []
    if (
        _rises(rows, key)
        or not rows.select(pl.struct(key).is_duplicated().any()).item()
    ):
        return []
    twice = (
        rows.filter(pl.struct(key).is_duplicated() & pl.col(key[-1]).is_not_null())
        .group_by(key, maintain_order=True)
        .agg(pl.col(OP))
    )
    is_label = len(key) > 1
    return [
        Problem(
            row["frame_id"],
            row.get("label_id"),
            f"labels['{row['label_id']}']"
            if is_label
            else f"frames['{row['frame_id']}']",
            "label.repeated" if is_label else "frame.repeated",
            f"The {'label' if is_label else 'frame'} is given {len(row[OP])} times in one "
            f"upload ({', '.join(row[OP])}).",
            "Combine the rows into one, or send two uploads.",
        )
        for row in twice.iter_rows(named=True)
    ]
