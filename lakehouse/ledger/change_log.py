"""The rows of any version: from its files, or from the change log.

The change log holds the image of every row at every change, and is never
collected. So the state at version v is, per key, the last image whose upload
has a version at or below v. That is how a version is read whose files garbage
collection removed: slower, and with equal rows.
"""

from collections.abc import Sequence

import polars as pl

from lakehouse.delta.writer import sort_rows
from lakehouse.ledger.collection import Collection
from lakehouse.storage import collect


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
    place = place_of(collection, version)
    if place is None:
        said = collection.ledger.read(version).content_version
        return replayed(collection, table, said, keys=keys, columns=columns)
    return collection.scan(table, place, keys=keys, columns=columns)


def place_of(collection: Collection, version: int) -> int | None:
    """The entry at which a version is read; None once its files may be gone.

    The newest entry with the same content is read, since compaction may have been
    at work; what is superseded lately, garbage collection lets be.
    """
    said, head = collection.ledger.read(version).content_version, collection.head()
    newest = collection.same_content(said, head)
    if said == head.content_version:
        return newest
    # First the lease, then the look: see `lakehouse.ledger.leases`.
    collection.leases.hold(newest)
    return None if collection.is_closed(said) else newest


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
    place = place_of(collection, version)
    if place is None:
        return replayed_at(collection, table, version, keys)
    lookup = collection.lookup(table, place)
    return lookup.rows(lookup.keys(keys))


# ------------------------------- THE CHANGE LOG ------------------------------ #


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
    key = list(collection.contract(table).key)
    head = collection.head().version
    return (
        collection.scan(f"{table}_changes", head, keys=keys)
        .join(upload_versions(collection), on="upload_id", how="inner")
        .filter(pl.col("version") <= version)
        .sort("version")
        .unique(key, keep="last", maintain_order=False)
        .filter(pl.col("op").ne_missing("DELETE"))
        .sort(key)
        .select(names)
    )


def replayed_at(
    collection: Collection,
    table: str,
    version: int,
    keys: pl.DataFrame,
    columns: list[str] | None = None,
) -> pl.DataFrame:
    """Those of some keys that a version had, put together from the change log."""
    said = collection.ledger.read(version).content_version
    frames = keys.get_column("frame_id").unique()
    rows = replayed(collection, table, said, keys=frames, columns=columns)
    return collect(
        rows.join(keys.lazy(), on=list(collection.contract(table).key), how="semi")
    )


def upload_versions(collection: Collection) -> pl.LazyFrame:
    """Which version settled each upload: `upload_id` and `version`."""
    head = collection.head().version
    return collection.scan("uploads", head, columns=["upload_id", "version"])


def uploads_between(collection: Collection, after: int, until: int) -> pl.DataFrame:
    """The uploads settled after one version, up to another: `upload_id`, `version`.

    Args:
        collection: Whose uploads.
        after: Later versions count.
        until: This version still counts.
    """
    rows = upload_versions(collection)
    return collect(rows.filter(pl.col("version") > after, pl.col("version") <= until))


def touched_keys(
    collection: Collection, table: str, after: int, until: int
) -> pl.DataFrame:
    """The keys of a live table that versions after one, up to another, changed.

    Args:
        collection: Whose table.
        table: A live table.
        after: Changes of later versions count.
        until: Changes of this version still count.

    Returns:
        The columns of the key, each key once, sorted.
    """
    key = list(collection.contract(table).key)
    uploads = uploads_between(collection, after, until)
    rows = _changes_of(collection, table, uploads, key)
    return collect(rows.select(key).unique()).sort(key)


def changed_keys(
    collection: Collection, table: str, uploads: Sequence[str]
) -> pl.DataFrame:
    """What uploads left in the change log of a live table.

    Returns:
        The columns of the key, and `row_hash`: null where a row was deleted.
    """
    columns = [*collection.contract(table).key, "row_hash"]
    ids = pl.DataFrame({"upload_id": uploads}, schema={"upload_id": pl.String})
    return collect(_changes_of(collection, table, ids, columns).select(columns))


def last_changes(
    collection: Collection, table: str, uploads: pl.DataFrame
) -> pl.DataFrame:
    """Which image some uploads gave last to each key that they changed.

    Where they are all uploads between two versions, that is the state at the later
    one of every key that may differ.

    Args:
        collection: Whose table.
        table: A live table.
        uploads: `upload_id` and `version`.

    Returns:
        The columns of the key, each key once, sorted; `row_hash`, null if the key is
        gone; and `upload_id`.
    """
    key = list(collection.contract(table).key)
    columns = [*key, "row_hash", "upload_id"]
    rows = _changes_of(collection, table, uploads, columns)
    if uploads.height > 1:
        rows = (
            rows.join(uploads.lazy(), on="upload_id", how="inner")
            .sort("version")
            .unique(key, keep="last")
        )
    return sort_rows(collect(rows.select(columns)), collection.contract(table))


def rows_of_changes(
    collection: Collection, table: str, images: pl.DataFrame, columns: list[str]
) -> pl.DataFrame:
    """The rows of images that `last_images` gave, in no promised order.

    Args:
        collection: Whose table.
        table: A live table.
        images: The key and `upload_id`.
        columns: Which to return.
    """
    rows = _changes_of(collection, table, images.select("upload_id").unique(), columns)
    on = [*collection.contract(table).key, "upload_id"]
    return collect(rows.join(images.lazy(), on=on, how="semi").select(columns))


def _changes_of(
    collection: Collection, table: str, uploads: pl.DataFrame, columns: list[str]
) -> pl.LazyFrame:
    """Every image that some uploads made: the key, the upload, and other columns."""
    head = collection.head().version
    names = list(
        dict.fromkeys((*collection.contract(table).key, *columns, "upload_id"))
    )
    rows = collection.scan(f"{table}_changes", head, columns=names)
    ids = uploads.get_column("upload_id")
    if not len(ids):
        return rows.clear()
    mine = pl.col("upload_id")
    # Statistics of row groups leave out those of other uploads.
    within = mine.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
    return rows.filter(within, mine.is_in(ids.implode()))
