"""The rows of one table that differ between two snapshots.

Rows differ if their hashes do, so rows that were changed and changed back are
no difference, whatever lies between.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from lakehouse.contracts import contract
from lakehouse.replay import content, hashes_at, rows_at
from lakehouse.snapshot import Snapshot
from lakehouse.storage import collect

__all__ = [
    "CHANGES",
    "TableDiff",
    "compared_wholly",
    "compared_within",
    "no_difference",
]

CHANGES: Final = ("added", "removed", "changed")
"""What can have happened to a row."""

_HIDDEN: Final = ("row_hash", "upload_id")


@dataclass(frozen=True)
class TableDiff:
    """The keys of one table that differ, and their rows on either side."""

    table: str
    start: Snapshot
    end: Snapshot
    keys: pl.DataFrame
    """The columns of the key and `change`, sorted by the key."""

    @property
    def key(self) -> list[str]:
        """The columns of the key."""
        return list(contract(self.table).key)

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

    def _rows(self, snapshot: Snapshot, absent: str) -> pl.DataFrame:
        there = self.keys.filter(pl.col("change") != absent).select(self.key)
        rows = rows_at(snapshot.collection, self.table, snapshot.version, there)
        return rows.drop(_HIDDEN).sort(self.key)

    @cached_property
    def sides(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Both sides with a row for each key, in its order; null where there is none.

        Both have the same columns: those of the key first, then all others that
        either side has.
        """
        names = dict.fromkeys((*self.after.columns, *self.before.columns))
        schema = self.before.schema | self.after.schema
        before, after = (
            self.keys.select(self.key)
            .join(rows, on=self.key, how="left", maintain_order="left")
            .with_columns(
                pl.lit(None, dtype=schema[name]).alias(name)
                for name in names
                if name not in rows.columns
            )
            .select(*names)
            for rows in (self.before, self.after)
        )
        return before, after


def no_difference(table: str, start: Snapshot, end: Snapshot) -> TableDiff:
    """Nothing differs."""
    schema = dict.fromkeys((*contract(table).key, "change"), pl.String)
    return TableDiff(table, start, end, pl.DataFrame(schema=schema))


def compared_within(
    table: str, start: Snapshot, end: Snapshot, keys: pl.DataFrame
) -> TableDiff:
    """What differs among some keys: their hashes are looked up on both sides."""
    old, new = (
        hashes_at(side.collection, table, side.version, keys).lazy()
        for side in (start, end)
    )
    return TableDiff(table, start, end, _differing(old, new, table))


def compared_wholly(table: str, start: Snapshot, end: Snapshot) -> TableDiff:
    """What differs between filtered snapshots: all that they hold is compared."""
    old, new = _chosen(start, table), _chosen(end, table)
    return TableDiff(table, start, end, _differing(old, new, table))


def _chosen(snapshot: Snapshot, table: str) -> pl.LazyFrame:
    """The keys and hashes of the rows that a filtered snapshot holds."""
    key = list(contract(table).key)
    rows: pl.LazyFrame = getattr(snapshot, table)()
    columns = [*key, "row_hash"]
    hashes = content(snapshot.collection, table, snapshot.version, columns=columns)
    return hashes.join(rows.select(key), on=key, how="semi")


def _differing(old: pl.LazyFrame, new: pl.LazyFrame, table: str) -> pl.DataFrame:
    """The keys whose hashes differ, and how."""
    key = list(contract(table).key)
    before, after = pl.col("row_hash"), pl.col("row_hash_after")
    change = (
        pl.when(before.is_null())
        .then(pl.lit("added"))
        .when(after.is_null())
        .then(pl.lit("removed"))
        .otherwise(pl.lit("changed"))
    )
    both = old.join(new, on=key, how="full", coalesce=True, suffix="_after")
    rows = both.filter(before.ne_missing(after)).select(*key, change.alias("change"))
    return collect(rows.sort(key))
