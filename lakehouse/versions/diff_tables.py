"""The rows of one table that differ between two snapshots.

Rows differ if their hashes do, so rows that were changed and changed back are
no difference, whatever lies between.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import polars as pl

from lakehouse.delta.lookup import Lookup
from lakehouse.delta.writer import sort_rows
from lakehouse.ledger.change_log import (
    content,
    last_changes,
    place_of,
    replayed_at,
    rows_at,
    rows_of_changes,
)
from lakehouse.model.contracts import contract
from lakehouse.model.labels import BOX
from lakehouse.model.operations import OLD_HASH
from lakehouse.storage import collect
from lakehouse.versions.history import as_json
from lakehouse.versions.snapshot import Snapshot, collection_of, read_version_of

_HASH: Final = "row_hash"


class Side(Protocol):
    """Where rows are read."""

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of keys that are there, in no promised order."""
        ...


@dataclass(frozen=True)
class InLog:
    """The state that some uploads led to, of the keys that they changed."""

    snapshot: Snapshot
    table: str
    uploads: pl.DataFrame
    """`upload_id` and `version`."""

    @cached_property
    def images(self) -> pl.DataFrame:
        """Every key that was changed, sorted: `row_hash`, null if gone, and upload."""
        if not self.uploads.height:
            shape = contract(self.table)
            empty = shape.schema().to_frame()
            return empty.select(*shape.key, _HASH, "upload_id")
        return last_changes(collection_of(self.snapshot), self.table, self.uploads)

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of keys that are there, in no promised order."""
        collection = collection_of(self.snapshot)
        state = collection.state(self.table, read_version_of(self.snapshot))
        images = self.images.join(keys, on=keys.columns, how="semi")
        names = state.schema.names()
        return rows_of_changes(collection, self.table, images, names)


@dataclass(slots=True)
class AtVersion:
    """The state at a version."""

    snapshot: Snapshot
    table: str
    _found: tuple[int, Lookup, pl.DataFrame] | None = field(default=None, repr=False)
    """Where keys were found, at which entry; not pickled."""

    def hashes(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Those of some keys that are there, and their `row_hash`."""
        collection, version = collection_of(self.snapshot), self.snapshot.version
        key = list(contract(self.table).key)
        if not keys.height:
            return keys.with_columns(pl.lit(None, dtype=pl.Int64).alias(_HASH))
        place = place_of(collection, version)
        if place is None:
            columns = [*key, _HASH]
            return replayed_at(collection, self.table, version, keys, columns)
        lookup = collection.lookup(self.table, place)
        found = lookup.keys(keys)
        self._found = place, lookup, found
        return found.select(*key, pl.col(OLD_HASH).alias(_HASH))

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of keys that are there, in no promised order."""
        collection, version = collection_of(self.snapshot), self.snapshot.version
        # Files found long ago may have been collected since.
        if self._found is None or place_of(collection, version) != self._found[0]:
            return rows_at(collection, self.table, version, keys)
        _, lookup, found = self._found
        if keys.height < found.height:
            key = list(contract(self.table).key)
            found = found.join(keys, on=key, how="semi")
        return lookup.rows(found)

    def __reduce__(self) -> tuple[Any, ...]:
        return AtVersion, (self.snapshot, self.table)


CHANGES: Final = ("added", "removed", "changed")
"""What can have happened to a row."""

_HIDDEN: Final = ("row_hash", "upload_id")


@dataclass(frozen=True)
class TableDiff:
    """The keys of one table that differ, and their rows on either side."""

    table: str
    start: Side
    end: Side
    keys: pl.DataFrame
    """The columns of the key and `change`, sorted by the key."""

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows added, removed and changed."""
        found = dict(self.keys.get_column("change").value_counts().iter_rows())
        return {change: int(found.get(change, 0)) for change in CHANGES}

    @cached_property
    def before(self) -> pl.DataFrame:
        """The rows removed or changed, as they are at the start, sorted by key."""
        return self._rows(self.start, "added")

    @cached_property
    def after(self) -> pl.DataFrame:
        """The rows added or changed, as they are at the end, sorted by key."""
        return self._rows(self.end, "removed")

    def _rows(self, side: Side, absent: str) -> pl.DataFrame:
        there = self.keys.filter(pl.col("change") != absent).drop("change")
        return sort_rows(side.rows(there).drop(_HIDDEN), contract(self.table))

    @cached_property
    def sides(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The values on both sides, with a row for each key; null where there is none.

        Both have the same columns: all but the key that either side has.
        """
        change = self.keys.get_column("change")
        before = _spread(self.before, change != "added")
        after = _spread(self.after, change != "removed")
        key = contract(self.table).key
        schema = before.schema | after.schema
        names = [name for name in schema if name not in key]
        return _with_all(before, names, schema), _with_all(after, names, schema)


def _spread(rows: pl.DataFrame, present: pl.Series) -> pl.DataFrame:
    """The rows where they are present, and nulls between them."""
    if rows.height == len(present):
        return rows
    places = pl.select(pl.when(present).then(present.cum_sum() - 1)).to_series()
    return rows.select(pl.all().gather(places))


def _with_all(
    rows: pl.DataFrame, names: list[str], schema: dict[str, pl.DataType]
) -> pl.DataFrame:
    return rows.select(
        pl.col(name)
        if name in rows.columns
        else pl.lit(None, dtype=schema[name]).alias(name)
        for name in names
    )


def compared_by_log(
    table: str, start: Snapshot, end: Snapshot, uploads: pl.DataFrame
) -> TableDiff:
    """What differs among the keys that some uploads changed.

    Args:
        table: A live table.
        start: One side.
        end: The other: the later of the two is what the uploads led to.
        uploads: `upload_id` and `version`.
    """
    forward = start.version <= end.version
    earlier, later = (start, end) if forward else (end, start)
    logged, held = InLog(later, table, uploads), AtVersion(earlier, table)
    key = list(contract(table).key)
    new = logged.images.drop("upload_id")
    old = held.hashes(new.select(key))
    # The left side has every key, sorted.
    both = new.join(old, on=key, how="left", maintain_order="left", suffix="_earlier")
    names = ("row_hash_earlier", "row_hash")
    before, after = names if forward else reversed(names)
    keys = both.lazy().select(*key, before=before, after=after)
    differing = collect(_differing(keys))
    if forward:
        return TableDiff(table, held, logged, differing)
    return TableDiff(table, logged, held, differing)


def compared_wholly(table: str, start: Snapshot, end: Snapshot) -> TableDiff:
    """What differs between filtered snapshots: all that they hold is compared."""
    key = list(contract(table).key)
    old = _chosen(start, table).rename({"row_hash": "before"})
    new = _chosen(end, table).rename({"row_hash": "after"})
    both = old.join(new, on=key, how="full", coalesce=True)
    keys = collect(_differing(both).sort(key))
    return TableDiff(table, AtVersion(start, table), AtVersion(end, table), keys)


def _chosen(snapshot: Snapshot, table: str) -> pl.LazyFrame:
    """The keys and hashes of the rows that a filtered snapshot holds."""
    key = list(contract(table).key)
    rows: pl.LazyFrame = getattr(snapshot, table)()
    columns = [*key, "row_hash"]
    hashes = content(collection_of(snapshot), table, snapshot.version, columns=columns)
    return hashes.join(rows.select(key), on=key, how="semi")


def _differing(hashes: pl.LazyFrame) -> pl.LazyFrame:
    """The keys whose hashes `before` and `after` differ, and how; null is no row."""
    before, after = pl.col("before"), pl.col("after")
    change = (
        pl.when(before.is_null())
        .then(pl.lit("added"))
        .when(after.is_null())
        .then(pl.lit("removed"))
        .otherwise(pl.lit("changed"))
    )
    rows = hashes.filter(before.ne_missing(after))
    return rows.select(pl.exclude("before", "after"), change.alias("change"))


_FAR: Final = 0.5
_SIDE: Final = ("label_type", "coordinate_frame", *BOX)


@dataclass(frozen=True, slots=True)
class MovedBoxes:
    """The boxes that have other edges than before."""

    count: int
    """How many moved."""
    median: float | None
    """The middle IoU of old and new box; None if none moved."""
    least: float | None
    """The lowest IoU; 0 where the boxes do not meet."""
    under_half: int
    """How many have an IoU under 0.5."""


def overlaps(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """The IoU of the box on each side, row by row; null unless both are boxes.

    Args:
        before: Labels at the start.
        after: The same labels, in the same order, at the end.

    >>> box = {"label_type": "BBOX_2D", "coordinate_frame": None, "top": 0.0}
    >>> one = pl.DataFrame([box | {"left": 0.0, "width": 2.0, "height": 2.0}])
    >>> two = pl.DataFrame([box | {"left": 1.0, "width": 2.0, "height": 2.0}])
    >>> overlaps(one, two).round(3).to_list()
    [0.333]
    """
    shared = _overlap("top", "height") * _overlap("left", "width")
    area = pl.col("width") * pl.col("height")
    area_after = pl.col("width_after") * pl.col("height_after")
    iou = (shared / (area + area_after - shared)).clip(0.0, 1.0)
    told = (
        pl.when(_are_boxes())
        .then(pl.when(_moved()).then(iou.fill_nan(None)).otherwise(1.0))
        .alias("iou")
    )
    return _beside(before, after).select(told).to_series()


def moved_boxes(before: pl.DataFrame, after: pl.DataFrame) -> MovedBoxes:
    """The moves of the boxes that are there on both sides.

    Args:
        before: Labels at the start.
        after: The same labels, in the same order, at the end.
    """
    moved = _beside(before, after).select(_are_boxes() & _moved()).to_series()
    iou = overlaps(before, after).filter(moved)
    median, least = iou.median(), iou.min()
    return MovedBoxes(
        count=len(iou),
        median=median if isinstance(median, float) else None,
        least=least if isinstance(least, float) else None,
        under_half=int((iou < _FAR).sum()),
    )


def _beside(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    there = before.select(_SIDE)
    return there.hstack(after.select(pl.col(_SIDE).name.suffix("_after")))


def _are_boxes() -> pl.Expr:
    """Whether both sides are boxes, on the same sensor."""
    frame = pl.col("coordinate_frame")
    return (
        (pl.col("label_type") == "BBOX_2D")
        & (pl.col("label_type_after") == "BBOX_2D")
        & frame.eq_missing(pl.col("coordinate_frame_after"))
    ).fill_null(value=False)


def _moved() -> pl.Expr:
    return pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in BOX
    )


def _overlap(start: str, length: str) -> pl.Expr:
    """How much of an edge both boxes share, in pixels."""
    ends = pl.min_horizontal(
        pl.col(start) + pl.col(length),
        pl.col(f"{start}_after") + pl.col(f"{length}_after"),
    )
    starts = pl.max_horizontal(pl.col(start), pl.col(f"{start}_after"))
    return (ends - starts).clip(lower_bound=0.0)


FIELDS: Final = pl.List(
    pl.Struct({"field": pl.String, "before": pl.String, "after": pl.String})
)
"""Fields with the JSON of their values before and after; null for no value."""


_ROW: Final = pl.get_index_type()


def fields_of(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """For each row the fields that differ, in the order of the columns.

    >>> one = pl.DataFrame({"width": [1.5, 2.0], "token": ["a", None]})
    >>> two = pl.DataFrame({"width": [1.5, 3.0], "token": [None, None]})
    >>> fields_of(one, two).to_list()
    [[{'field': 'token', 'before': '"a"', 'after': None}], [{'field': 'width', 'before': '2.0', 'after': '3.0'}]]
    """
    parts = [
        pl.DataFrame(
            {
                "row": rows,
                "field": pl.repeat(name, len(rows), dtype=pl.String, eager=True),
                "before": _texts(before.get_column(name).gather(rows)),
                "after": _texts(after.get_column(name).gather(rows)),
            }
        )
        for name in before.columns
        if len(rows := differs(before, after, name).arg_true())
    ]
    if not parts:
        return pl.Series("fields", [[]] * before.height, dtype=FIELDS)
    listed = (
        pl.concat(parts)
        .group_by("row", maintain_order=True)
        .agg(pl.struct("field", "before", "after").alias("fields"))
    )
    every = pl.DataFrame({"row": pl.arange(before.height, dtype=_ROW, eager=True)})
    told = every.join(listed, on="row", how="left", maintain_order="left")
    return told.get_column("fields").fill_null(pl.Series([[]], dtype=FIELDS))


def field_counts(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, int]:
    """In how many rows each field differs, the most frequent first."""
    counts = {name: int(differs(before, after, name).sum()) for name in before.columns}
    found = [(name, count) for name, count in counts.items() if count]
    return dict(sorted(found, key=lambda pair: -pair[1]))


def differs(before: pl.DataFrame, after: pl.DataFrame, name: str) -> pl.Series:
    """For each row, whether a field differs."""
    was, now = before.get_column(name), after.get_column(name)
    if was.null_count() == now.null_count() == len(was):
        return pl.repeat(value=False, n=len(was), dtype=pl.Boolean, eager=True)
    return was.ne_missing(now)


def _texts(values: pl.Series) -> pl.Series:
    """The values as JSON; null for none."""
    if values.dtype == pl.Boolean or values.dtype.is_integer():
        return values.cast(pl.String)
    if values.dtype == pl.Float64:
        # Polars writes most of them as Python does, in a twentieth of the time.
        is_plain = values.abs().is_between(1e-4, 1e16, closed="left") | (values == 0)
        odd = (~is_plain).fill_null(value=False).arg_true()
        told = [as_json(value) for value in values.gather(odd).to_list()]
        return values.cast(pl.String).scatter(odd, told)
    texts = [None if value is None else as_json(value) for value in values.to_list()]
    return pl.Series(values.name, texts, dtype=pl.String)
