"""Retrying: the rejected frames of an upload again, with corrected rows.

Corrected rows take the place of the rows with the same keys, and keep the verb and the
options (`if_exists`, `nulls`) those were sent with. The other rows of the rejected frames
are sent again as they were staged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.intake import (
    combine,
    frame_operations,
    label_operations,
    rows_of,
)
from lakehouse.model.contracts import Layout
from lakehouse.model.operations import (
    CLEAR,
    IF_EXISTS,
    KEEPS_VECTOR,
    OP,
    OPERATIONAL,
    SENT,
    Operations,
)
from lakehouse.types import FrameLike, LabelLike

_Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _SentWith:
    """The verb and the options that a row was sent with."""

    op: Any = "ADD"
    if_exists: str = "replace"
    clears: bool = False
    keeps_vector: bool = False


def rejected_rows(
    operations: Operations, frame_ids: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The staged rows of these frames, as sent: frames and labels."""
    is_rejected = pl.col("frame_id").is_in(frame_ids.implode())
    frames, labels = (
        _as_sent(part.filter(is_rejected)) if part.height else part
        for part in (operations.frames, operations.labels)
    )
    return frames, labels


def _as_sent(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without the columns that staging added; unreadable rows stay as JSON."""
    added = [
        name
        for name in rows.columns
        if name in OPERATIONAL - {SENT}
        or (name == SENT and rows.get_column(name).null_count() == rows.height)
    ]
    return rows.drop(added)


def corrected(
    upload_id: str,
    staged: Operations,
    frame_ids: pl.Series,
    frames: FrameLike | None,
    labels: LabelLike | None,
    *,
    layout: Layout,
) -> Operations:
    """The operations that correct an upload.

    Raises:
        InvalidInputError: If there is nothing to retry, or a row is of a frame
            that was not rejected.
    """
    if not len(frame_ids):
        raise InvalidInputError(
            f"Upload {upload_id} has no rejected frames, so there is nothing to retry. "
            "Send new rows with dataset.add or dataset.modify.",
            kind="upload.nothing_rejected",
        )
    is_rejected = pl.col("frame_id").is_in(frame_ids.implode())
    parts: list[Operations] = []
    old_problems = staged.problems.filter(is_rejected)
    for name, data, key in (
        ("frames", frames, ["frame_id"]),
        ("labels", labels, ["frame_id", "label_id"]),
    ):
        old: pl.DataFrame = getattr(staged, name)
        old = old.filter(is_rejected) if old.height else old
        if data is not None:
            rows = rows_of(data)
            _require_rejected(upload_id, rows, frame_ids)
            parts += _read_corrected(name, rows, old, key, layout)
            keys = _keys(rows, key)
            # A corrected row has no problem of its old values any more.
            old_problems = _unanswered(old_problems, keys, key)
            if old.height:
                old = old.join(keys, on=key, how="anti", nulls_equal=True)
        if old.height:
            parts.append(_part(name, old, staged.problems.clear()))
    parts.append(Operations(pl.DataFrame(), pl.DataFrame(), old_problems))
    return combine(parts)


def _read_corrected(
    name: str, rows: _Rows, old: pl.DataFrame, key: list[str], layout: Layout
) -> list[Operations]:
    """The corrected rows through the intake, each with the verb and options of its row."""
    sent_with = _sent_with(old, key)

    def group_of(row: dict[str, Any]) -> tuple[_SentWith, tuple[str, ...]]:
        options = sent_with.get(tuple(row.get(part) for part in key), _SentWith())
        # Rows in one table have all its columns, and nulls clear: rows with other
        # fields go apart, so that fields which a row does not name are not cleared.
        return options, tuple(sorted(row)) if options.clears else ()

    groups: dict[tuple[_SentWith, tuple[str, ...]], _Rows] = {}
    # Neighbours are grouped first: most rows of a retry were sent alike.
    for group, members in groupby(rows, key=group_of):
        groups.setdefault(group, []).extend(members)
    return [
        _read_rows(name, members, options, layout)
        for (options, _), members in groups.items()
    ]


def _sent_with(old: pl.DataFrame, key: list[str]) -> dict[tuple[Any, ...], _SentWith]:
    names = [*key, OP, *({IF_EXISTS, CLEAR, KEEPS_VECTOR} & set(old.columns))]
    return {
        tuple(row[part] for part in key): _SentWith(
            op=row[OP],
            if_exists=row.get(IF_EXISTS) or "replace",
            clears=row.get(CLEAR) is not None,
            keeps_vector=bool(row.get(KEEPS_VECTOR)),
        )
        for row in (old.select(names).iter_rows(named=True) if old.height else ())
    }


def _read_rows(
    name: str, rows: _Rows, options: _SentWith, layout: Layout
) -> Operations:
    nulls = "clear" if options.clears else "keep"
    if name == "labels":
        read, problems = label_operations(
            rows, op=options.op, nulls=nulls, layout=layout
        )
    else:
        read, problems = frame_operations(
            rows, op=options.op, if_exists=options.if_exists, nulls=nulls, layout=layout
        )
    # An addition without a vector may keep the stored one; so must its retry.
    if options.keeps_vector:
        read = read.with_columns(pl.lit(value=True).alias(KEEPS_VECTOR))
    return _part(name, read, problems)


def _part(name: str, rows: pl.DataFrame, problems: pl.DataFrame) -> Operations:
    if name == "frames":
        return Operations(rows, pl.DataFrame(), problems)
    return Operations(pl.DataFrame(), rows, problems)


def _keys(rows: _Rows, key: list[str]) -> pl.DataFrame:
    """The keys of rows; null where one is no text, which the intake reports."""
    texts = [
        [value if isinstance(value := row.get(part), str) else None for row in rows]
        for part in key
    ]
    return pl.DataFrame(texts, schema=dict.fromkeys(key, pl.String))


def _unanswered(
    problems: pl.DataFrame, corrected_keys: pl.DataFrame, key: list[str]
) -> pl.DataFrame:
    """The problems of rows that were not corrected."""
    of_frames = pl.col("label_id").is_null()
    in_table = of_frames if len(key) == 1 else of_frames.not_()
    remaining = problems.filter(in_table).join(corrected_keys, on=key, how="anti")
    return pl.concat([problems.filter(in_table.not_()), remaining])


def _require_rejected(
    upload_id: str, rows: Sequence[dict[str, Any]], frame_ids: pl.Series
) -> None:
    known = set(frame_ids.to_list())
    named = {row["frame_id"] for row in rows if isinstance(row.get("frame_id"), str)}
    if others := sorted(named - known)[:5]:
        raise InvalidInputError(
            f"Frames {others} were not rejected by upload {upload_id}. A retry takes "
            "rows of rejected frames only; send the others with dataset.add or modify.",
            kind="upload.not_rejected",
        )
