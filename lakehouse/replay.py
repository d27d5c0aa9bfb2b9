"""The rows of any version: from its files, or from the change log.

The change log holds the image of every row at every change, and is never
collected. So the state at version v is, per key, the last image whose upload
has a version at or below v. That is how a version is read whose files garbage
collection removed: slower, and with equal rows.
"""

from collections.abc import Sequence

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import contract
from lakehouse.storage import collect

__all__ = ["content", "images_of", "replayed", "rows_at", "touched"]


def content(
    collection: Collection,
    table: str,
    version: int,
    *,
    keys: pl.Series | None = None,
    columns: list[str] | None = None,
) -> pl.LazyFrame:
    """The rows of a live table at an entry, wherever they lie.

    Args:
        collection: Whose table.
        table: A live table.
        version: The entry's number.
        keys: Frame ids; None for all rows.
        columns: Only these; all of the table when None.
    """
    place = _place(collection, version)
    if place is None:
        said = collection.ledger.read(version).content_version
        return replayed(collection, table, said, keys=keys, columns=columns)
    return collection.scan(table, place, keys=keys, columns=columns)


def _place(collection: Collection, version: int) -> int | None:
    """The entry at which a version is read; None once its files may be gone.

    The newest entry with the same content is read, since compaction may have been
    at work; what is superseded lately, garbage collection lets be.
    """
    said = collection.ledger.read(version).content_version
    newest = collection.same_content(said)
    if said == collection.head().content_version:
        return newest
    # First the lease, then the look: see `lakehouse.leases`.
    collection.leases.hold(newest)
    return None if collection.is_closed(said) else newest


def replayed(
    collection: Collection,
    table: str,
    version: int,
    *,
    keys: pl.Series | None = None,
    columns: list[str] | None = None,
) -> pl.LazyFrame:
    """The rows of a live table at a version, put together from its change log."""
    names = columns or collection.state(table, version).schema.names()
    key = list(contract(table).key)
    head = collection.head().version
    uploads = collection.scan("uploads", head, columns=["upload_id", "version"])
    return (
        collection.scan(f"{table}_changes", head, keys=keys)
        .join(uploads, on="upload_id", how="inner")
        .filter(pl.col("version") <= version)
        .sort("version")
        .unique(key, keep="last", maintain_order=False)
        .filter(pl.col("op") != "DELETE")
        .sort(key)
        .select(names)
    )


def touched(collection: Collection, table: str, after: int, until: int) -> pl.DataFrame:
    """The keys of a live table that versions after one, up to another, changed.

    Args:
        collection: Whose table.
        table: A live table.
        after: Changes of later versions count.
        until: Changes of this version still count.

    Returns:
        The columns of the key, each key once, sorted.
    """
    key = list(contract(table).key)
    head = collection.head().version
    uploads = collect(
        collection.scan("uploads", head, columns=["upload_id", "version"]).filter(
            pl.col("version") > after, pl.col("version") <= until
        )
    ).get_column("upload_id")
    found = images_of(collection, table, uploads.to_list())
    return found.select(key).unique().sort(key)


def images_of(
    collection: Collection, table: str, uploads: Sequence[str]
) -> pl.DataFrame:
    """What uploads left in the change log of a live table.

    Returns:
        The columns of the key, and `row_hash`: null where a row was deleted.
    """
    columns = [*contract(table).key, "row_hash"]
    head = collection.head().version
    mine = pl.col("upload_id")
    if not uploads:
        return collect(
            collection.scan(f"{table}_changes", head, columns=columns).clear()
        )
    # Statistics of row groups leave out those of other uploads.
    near = mine.is_between(pl.lit(min(uploads)), pl.lit(max(uploads)))
    among = mine.is_in(pl.Series(uploads, dtype=pl.String).implode())
    rows = collection.scan(f"{table}_changes", head, columns=[*columns, "upload_id"])
    return collect(rows.filter(near, among).select(columns))


def rows_at(
    collection: Collection, table: str, version: int, keys: pl.DataFrame
) -> pl.DataFrame:
    """The full rows, provenance included, of those keys that a version has.

    Args:
        collection: Whose table.
        table: A live table.
        version: The entry's number.
        keys: The columns of the table's key, each key once.
    """
    place = _place(collection, version)
    if place is None:
        said = collection.ledger.read(version).content_version
        frames = keys.get_column("frame_id").unique()
        rows = replayed(collection, table, said, keys=frames)
        return collect(rows.join(keys.lazy(), on=list(contract(table).key), how="semi"))
    lookup = collection.lookup(table, place)
    return lookup.rows(lookup.keys(keys))
