"""The rows of any version: from its files, or from the change log.

The change log holds every row as it was after every change, and is never
collected. So the state at version v is, for each key, the last row whose upload
has a version at or below v. A version whose files garbage collection removed is
read so: slower, and with equal rows.
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
    """The rows of a live table at an entry: from its files, or from the change log.

    Args:
        collection: Whose table.
        table: A live table.
        version: The entry's number.
        keys: Frame ids; None for all rows.
        columns: Only these; all of the table when None.
    """
    place = place_of(collection, version)
    if place is None:
        content_version = collection.ledger.read(version).content_version
        return replayed(collection, table, content_version, keys=keys, columns=columns)
    return collection.scan(table, place, keys=keys, columns=columns)


def place_of(collection: Collection, version: int) -> int | None:
    """The entry at which a version is read; None once its files may be gone.

    The newest entry with the same content is read: compaction left it fewer files.
    """
    content_version = collection.ledger.read(version).content_version
    head = collection.head()
    newest = collection.same_content(content_version, head)
    if content_version == head.content_version:
        # The latest version is never closed, and files that compaction replaced a
        # moment ago are kept for the grace time: no lease, no second look.
        return newest
    # First the lease, then the look. Garbage collection closes first and reads leases
    # after that: whichever of the two comes later sees what the other did.
    collection.leases.hold(newest)
    return None if collection.is_closed(content_version) else newest


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
    """The rows of a live table at a version, from its change log."""
    names = columns or collection.state(table, version).schema.names()
    key = list(collection.contract(table).key)
    head = collection.head().version
    # Rows say which upload wrote them and never which version: an upload's version is
    # known only when its entry is decided, and its files are written before that. The
    # log is read at the head: files that an older entry names may be compacted away.
    return (
        collection.scan(f"{table}_changes", head, keys=keys)
        .join(upload_versions(collection), on="upload_id", how="inner")
        .filter(pl.col("version") <= version)
        .sort("version")
        .unique(key, keep="last", maintain_order=False)
        # In version 0 of a clone `op` may be null: what it began with, so it exists.
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
    """The rows of those keys that a version had, from the change log."""
    content_version = collection.ledger.read(version).content_version
    frames = keys.get_column("frame_id").unique()
    rows = replayed(collection, table, content_version, keys=frames, columns=columns)
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
    """The keys of a live table that were changed after one version, up to another.

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
    """The keys that uploads changed in a live table, and the hashes they left.

    Returns:
        The columns of the key, and `row_hash`: null where a row was deleted.
    """
    columns = [*collection.contract(table).key, "row_hash"]
    ids = pl.DataFrame({"upload_id": uploads}, schema={"upload_id": pl.String})
    return collect(_changes_of(collection, table, ids, columns).select(columns))


def last_changes(
    collection: Collection, table: str, uploads: pl.DataFrame
) -> pl.DataFrame:
    """The last change that some uploads made to each key that they changed.

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
    collection: Collection, table: str, changes: pl.DataFrame, columns: list[str]
) -> pl.DataFrame:
    """The rows of changes that `last_changes` returned, in no defined order.

    Args:
        collection: Whose table.
        table: A live table.
        changes: The key and `upload_id`.
        columns: Which to return.
    """
    rows = _changes_of(collection, table, changes.select("upload_id").unique(), columns)
    on = [*collection.contract(table).key, "upload_id"]
    return collect(rows.join(changes.lazy(), on=on, how="semi").select(columns))


def _changes_of(
    collection: Collection, table: str, uploads: pl.DataFrame, columns: list[str]
) -> pl.LazyFrame:
    """Every change that some uploads made: the key, the upload, and other columns."""
    head = collection.head().version
    names = list(
        dict.fromkeys((*collection.contract(table).key, *columns, "upload_id"))
    )
    rows = collection.scan(f"{table}_changes", head, columns=names)
    ids = uploads.get_column("upload_id")
    if not len(ids):
        return rows.clear()
    upload_id = pl.col("upload_id")
    # Ids grow with time: the range lets statistics leave out the row groups of earlier
    # and of later uploads.
    within = upload_id.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
    return rows.filter(within, upload_id.is_in(ids.implode()))
