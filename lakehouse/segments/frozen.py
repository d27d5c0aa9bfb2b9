"""Rows as they were, each at a version of its own, read from the change log.

The change log holds every image of every row and is never collected, so these
rows are the same for ever, whatever is compacted or removed. First the image of
each key is found, from its upload and hash alone, then its row is read: two
scans serve all versions, and read what can hold the frames in question.
"""

from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.replay import upload_versions
from lakehouse.storage import collect

__all__ = ["frozen", "last_images_at", "rows_of"]

_HIDDEN: Final = ("row_hash", "upload_id")
_AT: Final = "_at"


def frozen(collection: Collection, table: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows that some keys had at versions.

    Args:
        collection: Whose rows.
        table: A live table.
        wanted: `version`, and columns of the table's key: all of them, or the first
            for every row of a frame.

    Returns:
        `version` and the row's columns, those that the newest version asked for has.
        What was not there at its version is left out.
    """
    images = last_images_at(collection, table, wanted)
    there = images.filter(pl.col("row_hash").is_not_null())
    newest = wanted.get_column("version").max()
    return rows_of(collection, table, there, newest if isinstance(newest, int) else 0)


def last_images_at(
    collection: Collection, table: str, wanted: pl.DataFrame
) -> pl.DataFrame:
    """The last image of some keys up to versions.

    Args:
        collection: Whose images.
        table: A live table.
        wanted: As `frozen` takes it.

    Returns:
        The columns of the key, `version`, `upload_id`, and `row_hash`: null if the row
        was deleted. What never was there by then is left out.
    """
    key = list(collection.contract(table).key)
    on = [name for name in key if name in wanted.columns]
    images = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=wanted.get_column("frame_id").unique(),
        columns=[*key, "row_hash", "upload_id"],
    )
    uploads = upload_versions(collection).rename({"version": _AT})
    return collect(
        images.join(uploads, on="upload_id", how="inner")
        .join(wanted.lazy(), on=on, how="inner")
        .filter(pl.col(_AT) <= pl.col("version"))
        .sort(_AT)
        .unique([*key, "version"], keep="last", maintain_order=False)
        .select(*key, "version", "upload_id", "row_hash")
    )


def rows_of(
    collection: Collection, table: str, images: pl.DataFrame, version: int
) -> pl.DataFrame:
    """The rows of images.

    Args:
        collection: Whose rows.
        table: A live table.
        images: The columns of the key, `version` and `upload_id`.
        version: Columns are those of the table then.

    Returns:
        `version` and the row's columns, in no promised order.
    """
    key = list(collection.contract(table).key)
    schema = collection.state(table, version).schema
    names = [name for name in schema.names() if name not in _HIDDEN]
    rows = collection.scan(
        f"{table}_changes",
        collection.head().version,
        keys=images.get_column("frame_id").unique(),
        columns=[*names, "upload_id"],
    )
    ids = images.get_column("upload_id").unique()
    if len(ids):
        # Statistics of row groups leave out those of other uploads.
        mine = pl.col("upload_id")
        within = mine.is_between(pl.lit(ids.min()), pl.lit(ids.max()))
        rows = rows.filter(within, mine.is_in(ids.implode()))
    wanted = images.select(*key, "version", "upload_id").lazy()
    found = rows.join(wanted, on=[*key, "upload_id"], how="inner")
    return collect(found.select("version", *names))
