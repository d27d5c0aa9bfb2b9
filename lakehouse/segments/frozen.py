"""Rows as they were, each at a version of its own, read from the change log.

The change log holds every image of every row and is never collected, so these
rows are the same for ever, whatever is compacted or removed. One scan serves
all versions, and reads what can hold the frames in question.
"""

from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.replay import upload_versions
from lakehouse.storage import collect

__all__ = ["frozen", "last_hashes"]

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
    newest = wanted.get_column("version").max()
    schema = collection.state(table, newest if isinstance(newest, int) else 0).schema
    names = [name for name in schema.names() if name not in _HIDDEN]
    rows = _last_images(collection, table, wanted, names)
    return collect(rows.filter(pl.col("op") != "DELETE").select("version", *names))


def last_hashes(
    collection: Collection, table: str, wanted: pl.DataFrame
) -> pl.DataFrame:
    """The hashes of the rows that some keys had at versions; null for none.

    Args:
        collection: Whose rows.
        table: A live table.
        wanted: `version` and the columns of the table's key.

    Returns:
        The columns of the key, `version`, `row_hash`. What never was there by then is
        left out.
    """
    rows = _last_images(collection, table, wanted, ["row_hash"])
    key = collection.contract(table).key
    return collect(rows.select(*key, "version", "row_hash"))


def _last_images(
    collection: Collection, table: str, wanted: pl.DataFrame, columns: list[str]
) -> pl.LazyFrame:
    """The last image of each key up to its version."""
    key = list(collection.contract(table).key)
    on = [name for name in key if name in wanted.columns]
    names = list(dict.fromkeys((*key, *columns, "op", "upload_id")))
    return (
        collection.scan(
            f"{table}_changes",
            collection.head().version,
            keys=wanted.get_column("frame_id").unique(),
            columns=names,
        )
        .join(
            upload_versions(collection).rename({"version": _AT}),
            on="upload_id",
            how="inner",
        )
        .join(wanted.lazy(), on=on, how="inner")
        .filter(pl.col(_AT) <= pl.col("version"))
        .sort(_AT)
        .unique([*key, "version"], keep="last", maintain_order=False)
    )
