"""The rows of any version: from its files, or from the change log.

The change log holds the image of every row at every change, and is never
collected. So the state at version v is, per key, the last image whose upload
has a version at or below v. That is how a version is read whose files garbage
collection removed: slower, and with equal rows.
"""

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import contract
from lakehouse.merging.outcome import OLD_HASH
from lakehouse.storage import collect

__all__ = [
    "content",
    "hashes_at",
    "replayed",
    "rows_at",
    "touched",
    "touched_by",
]


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
    head = collection.head().version
    uploads = collect(
        collection.scan("uploads", head, columns=["upload_id", "version"]).filter(
            pl.col("version") > after, pl.col("version") <= until
        )
    ).get_column("upload_id")
    return touched_by(collection, table, uploads)


def touched_by(collection: Collection, table: str, uploads: pl.Series) -> pl.DataFrame:
    """The keys of a live table that some uploads changed.

    Args:
        collection: Whose table.
        table: A live table.
        uploads: The uploads' ids.

    Returns:
        The columns of the key, each key once, sorted.
    """
    key = list(contract(table).key)
    if not len(uploads):
        return pl.DataFrame(schema=dict.fromkeys(key, pl.String))
    head = collection.head().version
    mine = pl.col("upload_id")
    # Statistics of row groups leave out those of other uploads.
    among = mine.is_between(pl.lit(uploads.min()), pl.lit(uploads.max()))
    rows = collection.scan(f"{table}_changes", head, columns=[*key, "upload_id"])
    found = collect(rows.filter(among, mine.is_in(uploads.implode())).select(key))
    return found.unique().sort(key)


def hashes_at(
    collection: Collection, table: str, version: int, keys: pl.DataFrame
) -> pl.DataFrame:
    """The row hashes of those keys that a version has, without reading the rows.

    Args:
        collection: Whose table.
        table: A live table.
        version: The entry's number.
        keys: The columns of the table's key, each key once.

    Returns:
        The columns of the key, and `row_hash`.
    """
    place = _place(collection, version)
    key = list(contract(table).key)
    if place is None:
        columns = [*key, "row_hash"]
        return _replayed_at(collection, table, version, keys, columns)
    found = collection.lookup(table, place).keys(keys)
    return found.select(*key, pl.col(OLD_HASH).alias("row_hash"))


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
        return _replayed_at(collection, table, version, keys, None)
    lookup = collection.lookup(table, place)
    return lookup.rows(lookup.keys(keys))


def _replayed_at(
    collection: Collection,
    table: str,
    version: int,
    keys: pl.DataFrame,
    columns: list[str] | None,
) -> pl.DataFrame:
    said = collection.ledger.read(version).content_version
    frames = keys.get_column("frame_id").unique()
    rows = replayed(collection, table, said, keys=frames, columns=columns)
    return collect(rows.join(keys.lazy(), on=list(contract(table).key), how="semi"))
