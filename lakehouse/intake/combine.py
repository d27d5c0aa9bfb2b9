"""Several parts of one upload as one, if they do not contradict each other."""

import json
from collections.abc import Sequence

import polars as pl

from lakehouse.intake.keys import refuse
from lakehouse.model.found import together
from lakehouse.model.metadata import PREFIX
from lakehouse.model.operations import MIXED, OP, Operations
from lakehouse.model.problems import Problem

__all__ = ["combine"]


def combine(parts: Sequence[Operations]) -> Operations:
    """All parts as one set of operations.

    Raises:
        InvalidInputError: If a frame is given twice, or both added and modified
            or deleted, or a label is given twice. All such faults are listed.
    """
    frames = _stacked([part.frames for part in parts if part.frames.height])
    labels = _stacked([part.labels for part in parts if part.labels.height])
    refuse(
        _repeated(frames, ["frame_id"]) + _repeated(labels, ["frame_id", "label_id"])
    )
    return Operations(frames, labels, together([part.problems for part in parts]))


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
