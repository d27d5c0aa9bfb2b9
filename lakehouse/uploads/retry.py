"""Retrying: the rejected frames of an upload again, with corrected rows.

Corrected rows take the place of the rows with the same keys, and go the way
those were sent: with their verb, and what that was told of frames that exist
and of nulls. The other rows of the rejected frames go again as they were staged.
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
class _Way:
    """How a row was sent."""

    op: Any = "ADD"
    if_exists: str = "replace"
    clears: bool = False
    keeps_vector: bool = False


def rejected_rows(
    operations: Operations, frame_ids: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The staged rows of these frames, as sent: frames and labels."""
    mine = pl.col("frame_id").is_in(frame_ids.implode())
    frames, labels = (
        _as_sent(part.filter(mine)) if part.height else part
        for part in (operations.frames, operations.labels)
    )
    return frames, labels


def _as_sent(rows: pl.DataFrame) -> pl.DataFrame:
    """Without the columns that staging added; what was unreadable comes as JSON."""
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
    """The operations that mend an upload.

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
    mine = pl.col("frame_id").is_in(frame_ids.implode())
    parts: list[Operations] = []
    old_problems = staged.problems.filter(mine)
    for name, data, key in (
        ("frames", frames, ["frame_id"]),
        ("labels", labels, ["frame_id", "label_id"]),
    ):
        old: pl.DataFrame = getattr(staged, name)
        old = old.filter(mine) if old.height else old
        if data is not None:
            rows = rows_of(data)
            _require_rejected(upload_id, rows, frame_ids)
            parts += _as_sent_before(name, rows, old, key, layout)
            given = _keys(rows, key)
            old_problems = _without(old_problems, given, key)
            if old.height:
                old = old.join(given, on=key, how="anti", nulls_equal=True)
        if old.height:
            parts.append(_part(name, old, staged.problems.clear()))
    parts.append(Operations(pl.DataFrame(), pl.DataFrame(), old_problems))
    return combine(parts)


def _as_sent_before(
    name: str, rows: _Rows, old: pl.DataFrame, key: list[str], layout: Layout
) -> list[Operations]:
    """The corrected rows through the intake, each the way its row was sent."""
    ways = _ways(old, key)

    def way_of(row: dict[str, Any]) -> tuple[_Way, tuple[str, ...]]:
        way = ways.get(tuple(row.get(part) for part in key), _Way())
        # Fields that a row does not have are not to be cleared.
        return way, tuple(sorted(row)) if way.clears else ()

    groups: dict[tuple[_Way, tuple[str, ...]], _Rows] = {}
    for at, some in groupby(rows, key=way_of):
        groups.setdefault(at, []).extend(some)
    return [_taken_in(name, some, way, layout) for (way, _), some in groups.items()]


def _ways(old: pl.DataFrame, key: list[str]) -> dict[tuple[Any, ...], _Way]:
    names = [*key, OP, *({IF_EXISTS, CLEAR, KEEPS_VECTOR} & set(old.columns))]
    return {
        tuple(row[part] for part in key): _Way(
            op=row[OP],
            if_exists=row.get(IF_EXISTS) or "replace",
            clears=row.get(CLEAR) is not None,
            keeps_vector=bool(row.get(KEEPS_VECTOR)),
        )
        for row in (old.select(names).iter_rows(named=True) if old.height else ())
    }


def _taken_in(name: str, rows: _Rows, way: _Way, layout: Layout) -> Operations:
    nulls = "clear" if way.clears else "keep"
    if name == "labels":
        taken, problems = label_operations(rows, op=way.op, nulls=nulls, layout=layout)
    else:
        taken, problems = frame_operations(
            rows, op=way.op, if_exists=way.if_exists, nulls=nulls, layout=layout
        )
    if way.keeps_vector:
        taken = taken.with_columns(pl.lit(value=True).alias(KEEPS_VECTOR))
    return _part(name, taken, problems)


def _part(name: str, rows: pl.DataFrame, problems: pl.DataFrame) -> Operations:
    if name == "frames":
        return Operations(rows, pl.DataFrame(), problems)
    return Operations(pl.DataFrame(), rows, problems)


def _keys(rows: _Rows, key: list[str]) -> pl.DataFrame:
    """The keys given; those that are no text are found by the intake."""
    texts = [
        [value if isinstance(value := row.get(part), str) else None for row in rows]
        for part in key
    ]
    return pl.DataFrame(texts, schema=dict.fromkeys(key, pl.String))


def _without(
    problems: pl.DataFrame, given: pl.DataFrame, key: list[str]
) -> pl.DataFrame:
    """The problems that corrected rows do not answer."""
    of_frames = pl.col("label_id").is_null()
    mine = problems.filter(of_frames if len(key) == 1 else of_frames.not_())
    others = problems.filter(of_frames.not_() if len(key) == 1 else of_frames)
    return pl.concat([others, mine.join(given, on=key, how="anti")])


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
