"""Changing a segment's elements: added, removed, worked on, moved to the latest version.

Each change is a function from the segment's rows to a `Change`, which
`ElementTable.update` runs inside its compare-and-swap, again after a lost race.
The functions at the end are pure; those before them find the elements meant.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.model.contracts import contract
from lakehouse.model.problems import Problems
from lakehouse.segments.context import SegmentHandle
from lakehouse.segments.elements import stale_rows
from lakehouse.segments.refs import ElementLike, keys_in, matching_rows, refs_of
from lakehouse.segments.row import read_row, require_active
from lakehouse.segments.rules import BATCH_SIZE, STATUSES, choice_problems
from lakehouse.segments.table import KEY, Change
from lakehouse.versions.snapshot import Snapshot


def add(
    segment: SegmentHandle,
    snapshot: Snapshot,
    given: ElementLike | None,
    *,
    batch: str | None,
    batch_size: int | None,
    assignee: str | None,
) -> int:
    """Add elements of a snapshot, all of them if none are given; how many were added.

    Raises:
        InvalidInputError: If the snapshot is of another project or lacks elements.
    """
    context = segment.context
    place = context.place_of(snapshot)
    where = f"version {snapshot.version} of {place}"
    keys = keys_in(snapshot, segment.element_type, given, where=where)
    now = datetime.now(UTC)
    fields = {
        "segment": segment.id,
        "version": snapshot.version,
        "status": STATUSES[0],
        "batch": batch,
        "assignee": assignee,
        "added_at": now,
        "added_by": context.author,
        "updated_at": now,
    }
    # Frames have an empty label id, not null: keys are joined, and null matches nothing.
    full = keys.with_columns(
        dataset=pl.lit(place.dataset),
        inference_set=pl.lit(place.inference_set),
        label_id="label_id" if "label_id" in keys.columns else pl.lit(""),
    ).select(KEY)
    # What is added already is left out inside the swap, so a call can be repeated.
    change = context.elements.update(
        segment.id, lambda rows: added(rows, full, fields, batch_size)
    )
    return change.put.height


def effective_batch_size(
    segment: SegmentHandle, batch: str | None, size: int | None
) -> int | None:
    """The size of batches; None where elements go into none by themselves.

    Raises:
        InvalidInputError: If the size is below 1, or a batch is named as well.
    """
    if size is None:
        is_queue = batch is None and read_row(segment)["type"] == "work_queue"
        return BATCH_SIZE if is_queue else None
    if batch is not None or size < 1:
        raise InvalidInputError(
            f"A batch of {size} elements"
            + (f", and batch {batch!r}" if batch is not None else "")
            + ": give batch=, or batch_size= from 1 on.",
            kind="segment.batch_size",
        )
    return size


def update(
    segment: SegmentHandle,
    elements: ElementLike | None,
    change: Callable[[pl.DataFrame], Change],
) -> Change:
    """Change some elements, or all if None is given, in one compare-and-swap.

    Args:
        segment: The segment.
        elements: Ids, or rows with ids.
        change: From the rows of those elements to what becomes of them.

    Raises:
        InvalidInputError: If elements are not in the segment.
        ArchivedError: If the segment or its project is archived.
    """
    require_active(segment)
    # References are resolved inside the swap, against the rows that are replaced.
    refs = None if elements is None else refs_of(elements, segment.element_type)
    return segment.context.elements.update(
        segment.id, lambda rows: change(_matching(segment, rows, refs))
    )


def set_fields(
    segment: SegmentHandle, elements: ElementLike | None, **fields: object
) -> int:
    """Set columns of some elements, or of all; how many changed."""
    now = datetime.now(UTC)
    change = update(segment, elements, lambda rows: with_fields(rows, fields, now))
    return change.put.height


def comment(segment: SegmentHandle, elements: ElementLike, text: str) -> None:
    """Add one comment to some elements."""
    now, author = datetime.now(UTC), segment.context.author
    update(segment, elements, lambda rows: commented(rows, author, text, now))


def refresh(segment: SegmentHandle, elements: ElementLike | None) -> int:
    """Move elements that are out of date to the latest version; how many moved."""
    require_active(segment)
    refs = None if elements is None else refs_of(elements, segment.element_type)
    # Compared outside the swap, as this reads change logs; `moved` leaves out elements
    # that somebody else moved in the meantime.
    rows = _matching(segment, segment.rows(), refs)
    # What was deleted has no latest version to move to.
    moves = stale_rows(segment, rows).filter(pl.col("reason") != "deleted")
    now = datetime.now(UTC)
    change = segment.context.elements.update(
        segment.id,
        lambda rows: moved(rows, moves.select(*KEY, "version", "latest"), now),
    )
    return change.put.height


def assign_batch(segment: SegmentHandle, batch: str, assignee: str | None) -> int:
    """Set the assignee of a batch; how many elements changed.

    Raises:
        InvalidInputError: If there is no such batch; the nearest is suggested.
    """
    now = datetime.now(UTC)

    def change(rows: pl.DataFrame) -> Change:
        of_batch = rows.filter(batch=batch)
        if not of_batch.height:
            known = rows.get_column("batch").drop_nulls().unique().sort().to_list()
            Problems(choice_problems("batch", batch, known)).raise_if_any()
        return with_fields(of_batch, {"assignee": assignee}, now)

    return update(segment, None, change).put.height


def _matching(
    segment: SegmentHandle, rows: pl.DataFrame, refs: pl.DataFrame | None
) -> pl.DataFrame:
    if refs is None:
        return rows
    where = f"segment {read_row(segment)['name']!r}"
    return matching_rows(refs, rows, segment.element_type, where=where)


# ------------------------------ PURE CHANGES ------------------------------ #


def added(
    rows: pl.DataFrame,
    keys: pl.DataFrame,
    fields: dict[str, Any],
    batch_size: int | None = None,
) -> Change:
    """New elements; those that the segment has stay as they are.

    Args:
        rows: The segment's rows.
        keys: The key's columns, each element once.
        fields: What the new rows have in common.
        batch_size: Put them into batches of that many; None for none.
    """
    schema = contract("segment_elements").schema()
    # An element that the segment has keeps its version: only `refresh` moves it.
    fresh = keys.join(rows, on=list(KEY), how="anti", maintain_order="left")
    nothing: dict[str, Any] = {"earlier": [], "comments": []}
    values = nothing | {name: None for name in schema if name not in {*KEY, *nothing}}
    put = fresh.with_columns(
        pl.lit(value, dtype=schema[name]).alias(name)
        for name, value in (values | fields).items()
    )
    if batch_size is not None:
        put = put.with_columns(batch=_batches(rows, put.height, batch_size))
    return Change(put.select(schema.names()), rows.clear())


def removed(rows: pl.DataFrame) -> Change:
    """Elements that leave the segment."""
    return Change(rows.clear(), rows)


def with_fields(rows: pl.DataFrame, fields: dict[str, Any], at: datetime) -> Change:
    """Elements with other values of fields; those that have them already stay."""
    new = {name: pl.lit(value, rows.schema[name]) for name, value in fields.items()}
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(value) for name, value in new.items()
    )
    # Rows that are equal already are not written again.
    changed = rows.filter(differs).with_columns(**new)
    return Change(_updated(changed, at), rows.clear())


def commented(
    rows: pl.DataFrame, author: str | None, text: str, at: datetime
) -> Change:
    """Elements with one more comment."""
    values = [[{"author": author, "time": at, "text": text}]]
    new = pl.Series(values, dtype=rows.schema["comments"])
    comments = pl.concat_list("comments", pl.lit(new))
    return Change(_updated(rows.with_columns(comments=comments), at), rows.clear())


def moved(rows: pl.DataFrame, moves: pl.DataFrame, at: datetime) -> Change:
    """Elements at other versions; the versions they had are kept in `earlier`.

    Args:
        rows: The segment's rows.
        moves: The key's columns, `version` and `latest`. An element that is at
            another version by now stays.
        at: The time of the change.
    """
    # Joined on the version too: another writer may have moved an element meanwhile.
    current = rows.join(moves, on=[*KEY, "version"], how="inner", maintain_order="left")
    put = current.with_columns(
        earlier=pl.concat_list("earlier", "version"), version="latest"
    )
    return Change(_updated(put.select(rows.columns), at), rows.clear())


def _updated(rows: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(at, dtype=rows.schema["updated_at"]).alias("updated_at")
    )


def _batches(rows: pl.DataFrame, count: int, size: int) -> pl.Series:
    """The batches that new elements go into: `batch_1` and on.

    The last batch is filled up unless somebody works on it already.
    """
    number = pl.col("batch").str.extract(r"^batch_([0-9]+)$").cast(pl.Int64)
    numbered = rows.with_columns(_number=number).drop_nulls("_number")
    last = numbered.filter(pl.col("_number") == pl.col("_number").max())
    # A batch that somebody was given must not grow under their hands.
    is_idle = last.get_column("assignee").null_count() == last.height and not (
        last.filter(status="done").height
    )
    newest = last["_number"][0] if last.height else 0
    free = max(size - last.height, 0) if last.height and is_idle else 0
    first = [newest] * min(free, count)
    rest = [newest + 1 + place // size for place in range(count - len(first))]
    return pl.Series("batch", [f"batch_{number}" for number in first + rest], pl.String)
