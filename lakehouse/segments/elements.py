"""Reading a segment's elements: as they were, as they are now, and what differs.

Every function reads the segment's rows of `segment_elements`, then the rows of
each place (dataset or inference set) in one scan, and stacks the places.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import FormatError, InvalidInputError
from lakehouse.segments.context import Place, SegmentHandle
from lakehouse.segments.row import read_row
from lakehouse.segments.rules import key_of
from lakehouse.segments.staleness import frozen, out_of_date
from lakehouse.segments.table import KEY
from lakehouse.versions.history import as_json

_VERSION: Final[dict[str, pl.DataType]] = {"version": pl.Int64()}
_WORK: Final[dict[str, pl.DataType]] = dict.fromkeys(
    ("status", "batch", "assignee"), pl.String()
)
_TRACKED: Final = ("earlier", "comments", "added_at", "added_by", "updated_at")
_SHOWN: Final = 5
"""Ids that a message lists."""
_SUFFIXES: Final = (".json", ".csv")


def elements(segment: SegmentHandle, rows: pl.DataFrame) -> pl.DataFrame:
    """The elements as they were at their versions.

    Args:
        segment: The segment.
        rows: Its rows, or some of them.

    Raises:
        FormatError: If the change log does not have one of them any more.
    """
    key = segment.key
    parts: list[pl.DataFrame] = []
    for place, of_place in rows_by_place(rows):
        wanted = of_place.select(*key, "version")
        content = frozen(segment.context.collection(place), segment.table, wanted)
        # The change log is never collected, so a row that is gone is corruption.
        if content.height < of_place.height:
            raise _lost(segment, of_place.join(content, on=key, how="anti"), place)
        parts.append(of_place.select(*KEY, *_WORK).join(content, on=key, how="inner"))
    return _stack(parts, segment.element_type, _VERSION | _WORK)


def labels(segment: SegmentHandle, rows: pl.DataFrame) -> pl.DataFrame:
    """The labels of the segment's frames as they were at the frames' versions.

    Raises:
        InvalidInputError: If the segment holds labels or inferences.
    """
    if segment.element_type != "frame":
        raise InvalidInputError(
            f"The segment holds {segment.element_type}s: segment.elements() gives them.",
            kind="segment.element_type",
        )
    parts: list[pl.DataFrame] = []
    for place, of_place in rows_by_place(rows):
        wanted = of_place.select("frame_id", "version")
        content = frozen(segment.context.collection(place), "labels", wanted)
        names = {name: pl.lit(part) for name, part in place._asdict().items()}
        parts.append(content.with_columns(**names))
    return _stack(parts, "label", _VERSION)


def current(segment: SegmentHandle, rows: pl.DataFrame) -> pl.DataFrame:
    """The elements as they are now, with `is_deleted`: a row for each, in the same order."""
    key = segment.key
    parts: list[pl.DataFrame] = []
    for place, of_place in rows_by_place(rows):
        collection = segment.context.collection(place)
        now = pl.lit(collection.head().content_version, dtype=pl.Int64)
        wanted = of_place.select(*key, version=now)
        content = frozen(collection, segment.table, wanted).drop("version")
        joined = of_place.select(*KEY, version=now).join(
            content.with_columns(is_deleted=pl.lit(value=False)),
            on=key,
            how="left",
            maintain_order="left",
        )
        parts.append(joined.with_columns(pl.col("is_deleted").fill_null(value=True)))
    columns = _VERSION | {"is_deleted": pl.Boolean()}
    return _stack(parts, segment.element_type, columns)


def tracking(segment: SegmentHandle, rows: pl.DataFrame) -> pl.DataFrame:
    """The work on each element, from `segment_elements` alone."""
    return with_ids(rows.drop("segment"), segment.element_type)


def batches(rows: pl.DataFrame) -> pl.DataFrame:
    """The batches of work: `batch`, `elements`, `done`, `assignees`, `status`."""
    rows = rows.drop_nulls("batch").sort("batch")
    # batch_10 comes after batch_9.
    rows = rows.sort(pl.col("batch").str.len_chars(), maintain_order=True)
    done = pl.col("status") == "done"
    status = (
        pl.when(done.all()).then(pl.lit("done"))
        .when(pl.col("assignee").is_not_null().any()).then(pl.lit("assigned"))
        .otherwise(pl.lit("queued"))
    )  # fmt: skip
    return rows.group_by("batch", maintain_order=True).agg(
        elements=pl.len(),
        done=done.sum(),
        assignees=pl.col("assignee").drop_nulls().unique().sort(),
        status=status,
    )


# -------------------------------- STALENESS ------------------------------- #


def stale_rows(segment: SegmentHandle, rows: pl.DataFrame) -> pl.DataFrame:
    """Those of the segment's rows that are out of date, with the whole key."""
    lists = ("fields", "labels") if segment.element_type == "frame" else ("fields",)
    schema = pl.Schema(
        {
            **dict.fromkeys(KEY, pl.String()),
            "version": pl.Int64(),
            "latest": pl.Int64(),
            "reason": pl.String(),
            **dict.fromkeys(lists, pl.List(pl.String())),
        }
    )
    parts = [pl.DataFrame(schema=schema)]
    for place, of_place in rows_by_place(rows):
        collection = segment.context.collection(place)
        wanted = of_place.select(*segment.key, "version")
        stale = out_of_date(collection, segment.element_type, wanted)
        # The left side gives the rest of the key, and the order.
        joined = of_place.select(KEY).join(
            stale, on=segment.key, how="inner", maintain_order="left"
        )
        parts.append(joined.select(schema.names()))
    return pl.concat(parts)


def require_current(segment: SegmentHandle) -> None:
    """Refuse a segment with elements that are out of date; the first are named.

    Raises:
        InvalidInputError: If elements are out of date.
    """
    stale = with_ids(stale_rows(segment, segment.rows()), segment.element_type)
    if not stale.height:
        return
    shown = ", ".join(
        f"{row[segment.key[-1]]!r} ({row['reason']})"
        for row in stale.head(_SHOWN).iter_rows(named=True)
    )
    more = ", …" if stale.height > _SHOWN else ""
    raise InvalidInputError(
        f"{stale.height:,} elements of segment {read_row(segment)['name']!r} are of an older "
        f"version: {shown}{more}. segment.refresh() moves them to the latest, and "
        "segment.remove() takes out those that were deleted.",
        kind="segment.out_of_date",
    )


# --------------------------------- EXPORT --------------------------------- #


def export(
    segment: SegmentHandle, path: str | os.PathLike[str], described: Mapping[str, Any]
) -> int:
    """Write the elements as they were, and the work on each, as JSON or CSV.

    Args:
        segment: The segment.
        path: A file ending in .json or .csv; a file that exists is replaced.
        described: The segment as JSON can hold it.

    Returns:
        How many elements were written.

    Raises:
        InvalidInputError: If the file is of another kind.
    """
    rows = segment.rows()
    # Both are sorted by the same ids, so columns can be put side by side.
    work = tracking(segment, rows).select(_TRACKED)
    table = elements(segment, rows).with_columns(work)
    target = Path(path)
    match target.suffix.lower():
        case ".json":
            values = [
                {name: value for name, value in row.items() if value is not None}
                for row in table.iter_rows(named=True)
            ]
            text = as_json({"segment": dict(described), "elements": values})
            target.write_text(f"{text}\n", encoding="utf-8")
        case ".csv":
            table.select(_flat(column) for column in table).write_csv(target)
        case suffix:
            raise InvalidInputError(
                f"Segments are written as {' or '.join(_SUFFIXES)}, not as "
                f"{suffix or 'a file without an ending'}.",
                kind="segment.export",
            )
    return table.height


def _flat(column: pl.Series) -> pl.Series:
    """A column that a cell of CSV can hold: lists and structs as JSON."""
    if not column.dtype.is_nested():
        return column
    texts = [None if value is None else as_json(value) for value in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)


# ------------------------- ROWS OF SEVERAL PLACES ------------------------- #


def rows_by_place(rows: pl.DataFrame) -> Iterator[tuple[Place, pl.DataFrame]]:
    """The rows of each dataset and inference set."""
    parts = rows.group_by("dataset", "inference_set", maintain_order=True)
    for (dataset, inference_set), of_place in parts:
        yield Place(str(dataset), str(inference_set)), of_place


def with_ids(rows: pl.DataFrame, element_type: str) -> pl.DataFrame:
    """Rows as users see them: ids first, sorted, null instead of an empty inference set.

    Frames have no label id.
    """
    ids = ["dataset", "inference_set", *key_of(element_type)]
    rest = [name for name in rows.columns if name not in KEY]
    stored = pl.col("inference_set")
    shown = pl.when(stored != "").then(stored).alias("inference_set")
    return rows.sort(ids).with_columns(shown).select(*ids, *rest)


def _stack(
    parts: Sequence[pl.DataFrame], element_type: str, first: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """The elements of several collections as one table.

    Args:
        parts: Rows with the whole key, and the collection's own columns.
        element_type: Of the elements.
        first: The columns that all have, placed behind the ids.

    Raises:
        InvalidInputError: If a column is of different types.
    """
    types: dict[str, set[str]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            types.setdefault(name, set()).add(str(dtype))
    mixed = {name: sorted(kinds) for name, kinds in types.items() if len(kinds) > 1}
    if mixed:
        listed = "; ".join(
            f"{name}: {' and '.join(kinds)}" for name, kinds in mixed.items()
        )
        raise InvalidInputError(
            f"Columns are of different types in different datasets: {listed}. Read them "
            "one by one: segment.elements(dataset=…).",
            kind="segment.types",
        )
    # The empty first part fixes the order of columns, and gives an empty segment its own.
    schema = dict.fromkeys(KEY, pl.String()) | dict(first)
    rows = pl.concat([pl.DataFrame(schema=schema), *parts], how="diagonal")
    return with_ids(rows, element_type)


def _lost(segment: SegmentHandle, lost: pl.DataFrame, place: Place) -> FormatError:
    return FormatError(
        f"{lost.height:,} elements of segment {read_row(segment)['name']!r} are not in the change log "
        f"of {place} any more, such as {lost.row(0, named=True)['frame_id']!r}. Its "
        "verify() tells what is damaged.",
        kind="segment.lost",
    )
