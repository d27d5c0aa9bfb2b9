"""The difference of one table between two snapshots: its keys, rows, fields and boxes.

Rows differ if their hashes differ, so rows that were changed and changed back in between
are no difference.
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

CHANGES: Final = ("added", "removed", "changed")
"""The kinds of change of a row."""

FIELDS: Final = pl.List(
    pl.Struct({"field": pl.String, "before": pl.String, "after": pl.String})
)
"""Fields with the JSON of their values before and after; null for no value."""

_HASH: Final = "row_hash"
_HIDDEN: Final = (_HASH, "upload_id")
_LOW_IOU: Final = 0.5
_BOX_COLUMNS: Final = ("label_type", "coordinate_frame", *BOX)
_ROW: Final = pl.get_index_type()


class Side(Protocol):
    """One of the two states that are compared."""

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of those keys that exist, in any order."""
        ...


@dataclass(frozen=True)
class InLog:
    """The state after some uploads, of the keys that they changed: read from the log."""

    snapshot: Snapshot
    table: str
    uploads: pl.DataFrame
    """`upload_id` and `version`."""

    @cached_property
    def changes(self) -> pl.DataFrame:
        """Each changed key, sorted, with its last `row_hash` (null: deleted) and upload."""
        if not self.uploads.height:
            shape = contract(self.table)
            empty = shape.schema().to_frame()
            return empty.select(*shape.key, _HASH, "upload_id")
        return last_changes(collection_of(self.snapshot), self.table, self.uploads)

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of keys that are there, in no promised order."""
        collection = collection_of(self.snapshot)
        state = collection.state(self.table, read_version_of(self.snapshot))
        changes = self.changes.join(keys, on=keys.columns, how="semi")
        names = state.schema.names()
        return rows_of_changes(collection, self.table, changes, names)


@dataclass(slots=True)
class AtVersion:
    """The state at a version."""

    snapshot: Snapshot
    table: str
    _located: tuple[int, Lookup, pl.DataFrame] | None = field(default=None, repr=False)
    """The entry that was searched, its lookup, and the places of keys; not pickled."""

    def hashes(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Those of some keys that exist, with their `row_hash`."""
        collection, version = collection_of(self.snapshot), self.snapshot.version
        key = list(contract(self.table).key)
        if not keys.height:
            return keys.with_columns(pl.lit(None, dtype=pl.Int64).alias(_HASH))
        place = place_of(collection, version)
        if place is None:
            columns = [*key, _HASH]
            return replayed_at(collection, self.table, version, keys, columns)
        lookup = collection.lookup(self.table, place)
        located = lookup.keys(keys)
        self._located = place, lookup, located
        return located.select(*key, pl.col(OLD_HASH).alias(_HASH))

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of keys that are there, in no promised order."""
        collection, version = collection_of(self.snapshot), self.snapshot.version
        # Files that were searched long ago may have been collected since.
        if self._located is None or place_of(collection, version) != self._located[0]:
            return rows_at(collection, self.table, version, keys)
        _, lookup, located = self._located
        if keys.height < located.height:
            key = list(contract(self.table).key)
            located = located.join(keys, on=key, how="semi")
        return lookup.rows(located)

    def __reduce__(self) -> tuple[Any, ...]:
        return AtVersion, (self.snapshot, self.table)


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
        counts = dict(self.keys.get_column("change").value_counts().iter_rows())
        return {change: int(counts.get(change, 0)) for change in CHANGES}

    @cached_property
    def before(self) -> pl.DataFrame:
        """The rows removed or changed, as they are at the start, sorted by key."""
        return self._rows(self.start, "added")

    @cached_property
    def after(self) -> pl.DataFrame:
        """The rows added or changed, as they are at the end, sorted by key."""
        return self._rows(self.end, "removed")

    def _rows(self, side: Side, absent: str) -> pl.DataFrame:
        keys = self.keys.filter(pl.col("change") != absent).drop("change")
        return sort_rows(side.rows(keys).drop(_HIDDEN), contract(self.table))

    @cached_property
    def sides(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The values on both sides, a row for each key; null where a side has no row.

        Both have the same columns: those of either side, without the key.
        """
        change = self.keys.get_column("change")
        before = _spread(self.before, change != "added")
        after = _spread(self.after, change != "removed")
        key = contract(self.table).key
        schema = before.schema | after.schema
        names = [name for name in schema if name not in key]
        return _with_all(before, names, schema), _with_all(after, names, schema)


def _spread(rows: pl.DataFrame, present: pl.Series) -> pl.DataFrame:
    """The rows at the places where they are present, and rows of nulls elsewhere."""
    if rows.height == len(present):
        return rows
    # The n-th present place takes row n; a null place gathers nulls.
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


def compare_by_log(
    table: str, start: Snapshot, end: Snapshot, uploads: pl.DataFrame
) -> TableDiff:
    """The difference among the keys that some uploads changed.

    Args:
        table: A live table.
        start: The start; it may be the later version of the two.
        end: The end.
        uploads: `upload_id` and `version`.
    """
    forward = start.version <= end.version
    earlier, later = (start, end) if forward else (end, start)
    logged, held = InLog(later, table, uploads), AtVersion(earlier, table)
    key = list(contract(table).key)
    new = logged.changes.drop("upload_id")
    old = held.hashes(new.select(key))
    # A left join: the log has every key that may differ, sorted; the older side has
    # no row of those that were added.
    both = new.join(old, on=key, how="left", maintain_order="left", suffix="_earlier")
    names = ("row_hash_earlier", "row_hash")
    before, after = names if forward else reversed(names)
    keys = both.lazy().select(*key, before=before, after=after)
    differing = collect(_differing(keys))
    # Either direction looks at the same keys; only the sides are swapped.
    if forward:
        return TableDiff(table, held, logged, differing)
    return TableDiff(table, logged, held, differing)


def compare_all(table: str, start: Snapshot, end: Snapshot) -> TableDiff:
    """The difference between filtered snapshots: all their rows are compared."""
    key = list(contract(table).key)
    old = _hashes(start, table).rename({"row_hash": "before"})
    new = _hashes(end, table).rename({"row_hash": "after"})
    both = old.join(new, on=key, how="full", coalesce=True)
    keys = collect(_differing(both).sort(key))
    return TableDiff(table, AtVersion(start, table), AtVersion(end, table), keys)


def _hashes(snapshot: Snapshot, table: str) -> pl.LazyFrame:
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
    # Boxes that did not move have an IoU of 1, those without an area included.
    overlap = (
        pl.when(_are_boxes())
        .then(pl.when(_moved()).then(iou.fill_nan(None)).otherwise(1.0))
        .alias("iou")
    )
    return _beside(before, after).select(overlap).to_series()


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
        under_half=int((iou < _LOW_IOU).sum()),
    )


def _beside(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    return before.select(_BOX_COLUMNS).hstack(
        after.select(pl.col(_BOX_COLUMNS).name.suffix("_after"))
    )


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
    """The length of an edge that both boxes share, in pixels."""
    ends = pl.min_horizontal(
        pl.col(start) + pl.col(length),
        pl.col(f"{start}_after") + pl.col(f"{length}_after"),
    )
    starts = pl.max_horizontal(pl.col(start), pl.col(f"{start}_after"))
    return (ends - starts).clip(lower_bound=0.0)


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
    differing = every.join(listed, on="row", how="left", maintain_order="left")
    return differing.get_column("fields").fill_null(pl.Series([[]], dtype=FIELDS))


def field_counts(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, int]:
    """In how many rows each field differs, the most frequent first."""
    counts = {name: int(differs(before, after, name).sum()) for name in before.columns}
    differing = [(name, count) for name, count in counts.items() if count]
    return dict(sorted(differing, key=lambda pair: -pair[1]))


def differs(before: pl.DataFrame, after: pl.DataFrame, name: str) -> pl.Series:
    """Whether a field differs, for each row."""
    was, now = before.get_column(name), after.get_column(name)
    # Most columns of most labels are empty, which is known without comparing values.
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
        odd_texts = [as_json(value) for value in values.gather(odd).to_list()]
        return values.cast(pl.String).scatter(odd, odd_texts)
    # Nested values have no text in Polars that is JSON.
    texts = [None if value is None else as_json(value) for value in values.to_list()]
    return pl.Series(values.name, texts, dtype=pl.String)
