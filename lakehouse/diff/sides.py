"""The two sides of a diff: where hashes and rows of the keys in question are read.

The later side needs no lookup: the last images in the change log are its rows.
The earlier side is looked up at its version. Filtered snapshots are read there
on both sides.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import polars as pl

from lakehouse.contracts import contract
from lakehouse.delta.lookup import Lookup
from lakehouse.merging.outcome import OLD_HASH
from lakehouse.replay import (
    last_images,
    place_of,
    replayed_at,
    rows_at,
    rows_of_images,
)
from lakehouse.snapshot import Snapshot

__all__ = ["AtVersion", "InLog", "Side"]

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
        return last_images(self.snapshot.collection, self.table, self.uploads)

    def rows(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The full rows of keys that are there, in no promised order."""
        collection = self.snapshot.collection
        state = collection.state(self.table, self.snapshot.read_version)
        images = self.images.join(keys, on=keys.columns, how="semi")
        names = state.schema.names()
        return rows_of_images(collection, self.table, images, names)


@dataclass(slots=True)
class AtVersion:
    """The state at a version."""

    snapshot: Snapshot
    table: str
    _found: tuple[int, Lookup, pl.DataFrame] | None = field(default=None, repr=False)
    """Where keys were found, at which entry; not pickled."""

    def hashes(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Those of some keys that are there, and their `row_hash`."""
        collection, version = self.snapshot.collection, self.snapshot.version
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
        collection, version = self.snapshot.collection, self.snapshot.version
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
