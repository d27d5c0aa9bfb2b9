"""The rows of one table that differ between two snapshots.

Rows differ if their hashes do, so rows that were changed and changed back are
no difference, whatever lies between.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from lakehouse.contracts import contract
from lakehouse.delta.plan import sort_rows
from lakehouse.diff.sides import AtVersion, InLog, Side
from lakehouse.replay import content
from lakehouse.snapshot import Snapshot
from lakehouse.storage import collect

__all__ = ["CHANGES", "TableDiff", "compared_by_log", "compared_wholly"]

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
    hashes = content(snapshot.collection, table, snapshot.version, columns=columns)
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
