"""Retrying: the rejected frames of an upload again, with corrected rows.

Corrected rows take the place of the rows with the same keys; the other rows of
the rejected frames go again as they were staged.
"""

from collections.abc import Callable

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.intake import combine, frame_operations, label_operations, read_table
from lakehouse.model.operations import Operations
from lakehouse.typing import FrameLike, LabelLike

__all__ = ["corrected", "rejected_rows"]

_Intake = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]


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
        if name in {"_op", "_row", "_clear", "_if_exists"}
        or (name == "_sent" and rows.get_column(name).null_count() == rows.height)
    ]
    return rows.drop(added)


def corrected(
    upload_id: str,
    staged: Operations,
    frame_ids: pl.Series,
    frames: FrameLike | None,
    labels: LabelLike | None,
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
            rows = read_table(data)
            _require_rejected(upload_id, rows, frame_ids)
            parts += _by_verb(name, rows, old, key)
            old_problems = _without(old_problems, rows, name)
            if old.height:
                old = old.join(rows.select(key), on=key, how="anti")
        if old.height:
            parts.append(_part(name, old, staged.problems.clear()))
    parts.append(Operations(pl.DataFrame(), pl.DataFrame(), old_problems))
    return combine(parts)


def _by_verb(
    name: str, rows: pl.DataFrame, old: pl.DataFrame, key: list[str]
) -> list[Operations]:
    """The corrected rows through the intake, each with the verb it was sent with."""
    intake: _Intake = frame_operations if name == "frames" else label_operations
    verbs = old.select(*key, "_op") if old.height else None
    if verbs is None:
        return [_part(name, *intake(rows, op="ADD"))]
    known = rows.join(verbs, on=key, how="left").with_columns(
        pl.col("_op").fill_null("ADD")
    )
    return [
        _part(name, *intake(group.drop("_op"), op=str(verb)))
        for (verb,), group in known.group_by("_op", maintain_order=True)
    ]


def _part(name: str, rows: pl.DataFrame, problems: pl.DataFrame) -> Operations:
    if name == "frames":
        return Operations(rows, pl.DataFrame(), problems)
    return Operations(pl.DataFrame(), rows, problems)


def _without(problems: pl.DataFrame, rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """The problems that corrected rows do not answer."""
    if name == "frames":
        return problems.filter(
            pl.col("label_id").is_not_null()
            | ~pl.col("frame_id").is_in(rows.get_column("frame_id").implode())
        )
    keys = ["frame_id", "label_id"]
    return problems.join(rows.select(keys).cast(pl.String), on=keys, how="anti")


def _require_rejected(upload_id: str, rows: pl.DataFrame, frame_ids: pl.Series) -> None:
    if "frame_id" not in rows.columns:
        return
    others = rows.filter(~pl.col("frame_id").is_in(frame_ids.implode()))
    if others.height:
        named = others.get_column("frame_id").unique().sort().head(5).to_list()
        raise InvalidInputError(
            f"Frames {named} were not rejected by upload {upload_id}. A retry takes rows "
            "of rejected frames only; send the others with dataset.add or modify.",
            kind="upload.not_rejected",
        )
