"""A segment's own row in the table `segments`: read afresh each time, changed by compare-and-swap."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.errors import AlreadyExistsError, ArchivedError, NotFoundError
from lakehouse.segments.context import SegmentHandle


def read_row(segment: SegmentHandle) -> dict[str, Any]:
    """The segment's row as it is now.

    Raises:
        NotFoundError: If the project has no segment of that id.
    """
    return _own_row(segment, segment.context.segments.rows())


def read_json(segment: SegmentHandle, column: str) -> dict[str, Any]:
    """A column of the row that holds a JSON object; empty where it is null."""
    value: dict[str, Any] = json.loads(read_row(segment)[column] or "{}")
    return value


def comments(segment: SegmentHandle) -> pl.DataFrame:
    """The comments on the segment, oldest first: `author`, `time`, `text`."""
    rows = segment.context.segments.rows().filter(id=segment.id)
    return rows.select(pl.col("comments").explode()).drop_nulls().unnest("comments")


def to_dict(segment: SegmentHandle) -> dict[str, Any]:
    """The segment as JSON can hold it, without its elements."""
    row = read_row(segment)
    return {
        "id": row["id"],
        "name": row["name"],
        "project": segment.context.project,
        "type": row["type"],
        "element_type": row["element_type"],
        "state": row["state"],
        "assignee": row["assignee"],
        "metadata": json.loads(row["metadata"] or "{}"),
        "thresholds": json.loads(row["thresholds"] or "{}"),
        "comments": [
            comment | {"time": comment["time"].isoformat()}
            for comment in row["comments"] or []
        ],
        "archived": row["archived"],
        "created_at": row["created_at"].isoformat(),
        "created_by": row["created_by"],
        "updated_at": row["updated_at"].isoformat(),
    }


# -------------------------------- CHANGING -------------------------------- #


def rename(segment: SegmentHandle, name: str) -> None:
    """Give the segment another name; raises AlreadyExistsError if it is taken."""

    def change(rows: pl.DataFrame) -> dict[str, Any]:
        require_free(rows.filter(pl.col("id") != segment.id), name)
        return {"name": name}

    _change(segment, change)


def set_fields(segment: SegmentHandle, **fields: object) -> None:
    """Set columns of the row; nothing is written where they have these values."""
    _change(segment, lambda _: fields)


def set_archived(segment: SegmentHandle, *, archived: bool) -> None:
    """Archive the segment, or undo that."""
    _change(segment, lambda _: {"archived": archived}, even_archived=True)


def add_comment(segment: SegmentHandle, text: str) -> None:
    """Add a comment to the segment itself."""
    # The time is taken once: the change may run again after a lost race.
    now = datetime.now(UTC)
    comment = {"author": segment.context.author, "time": now, "text": text}

    def change(rows: pl.DataFrame) -> dict[str, Any]:
        before = rows.filter(id=segment.id).row(0, named=True)["comments"] or []
        return {"comments": [*before, comment]}

    _change(segment, change)


def require_active(segment: SegmentHandle) -> None:
    """Refuse changes while the project or the segment is archived.

    Raises:
        ArchivedError: If one of them is.
    """
    segment.context.require_active()
    # Elements lie in another table than this row, so whoever archives the segment at the
    # same moment does not stop a change of its elements; both may succeed.
    _require_not_archived(read_row(segment))


def require_free(rows: pl.DataFrame, name: str) -> None:
    """Refuse a name that a segment has.

    Raises:
        AlreadyExistsError: If it is taken, be it by an archived one.
    """
    taken = rows.filter(name=name)
    if taken.height:
        archived = ", which is archived" if taken["archived"].any() else ""
        raise AlreadyExistsError(
            f"There is a segment {name!r} already{archived}. Choose another name.",
            kind="segment.exists",
        )


def _change(
    segment: SegmentHandle,
    change: Callable[[pl.DataFrame], dict[str, Any]],
    *,
    even_archived: bool = False,
) -> None:
    """Replace fields of the row in one compare-and-swap.

    Args:
        segment: The segment.
        change: From all rows to the new fields; runs again after a lost race.
        even_archived: Whether an archived segment may be changed.
    """
    segment.context.require_active()
    now = datetime.now(UTC)

    def with_new_row(rows: pl.DataFrame) -> pl.DataFrame:
        old = _own_row(segment, rows)
        # Checked inside the swap: somebody may archive the segment meanwhile.
        if not even_archived:
            _require_not_archived(old)
        fields = change(rows)
        if all(old[name] == value for name, value in fields.items()):
            return rows
        new = pl.DataFrame([old | fields | {"updated_at": now}], schema=rows.schema)
        return pl.concat([rows.filter(pl.col("id") != segment.id), new])

    segment.context.segments.update(with_new_row)


def _own_row(segment: SegmentHandle, rows: pl.DataFrame) -> dict[str, Any]:
    # By id: names may change, and elements refer to ids.
    matches = rows.filter(id=segment.id)
    if matches.height:
        return matches.row(0, named=True)
    raise NotFoundError(
        f"There is no segment {segment.id!r} in project {segment.context.project!r}.",
        kind="segment.unknown",
    )


def _require_not_archived(row: Mapping[str, Any]) -> None:
    if row["archived"]:
        raise ArchivedError(
            f"The segment {row['name']!r} is archived. Undo it with its "
            "archive(archived=False).",
            kind="segment.archived",
        )
