"""Which uploads are settled: those with a row in the `uploads` table.

Nothing here reads more than the ids asked for: statistics of files and row groups
cut the table to them, and upload ids grow with time.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.model.operations import Operations
from lakehouse.storage import collect

STREAMED_UNIQUE_ROWS: Final = 100_000
"""From so many unsorted values on, a query that uses all cores is worth its planning."""


def settled_row(
    collection: Collection, version: int, upload_id: str
) -> dict[str, Any] | None:
    """The row of an upload in the `uploads` table, if it is settled."""
    keys = pl.Series("upload_id", [upload_id], dtype=pl.String)
    rows = collect(collection.scan("uploads", version, keys=keys))
    return rows.row(0, named=True) if rows.height else None


def settled_ids(
    collection: Collection, version: int, upload_ids: Sequence[str]
) -> set[str]:
    """The uploads of these that are settled at `version`."""
    if not upload_ids:
        return set()
    keys = pl.Series("upload_id", upload_ids, dtype=pl.String)
    rows = collection.scan("uploads", version, keys=keys, columns=["upload_id"])
    return set(collect(rows).get_column("upload_id").to_list())


def unsettled(collection: Collection, version: int) -> list[str]:
    """Ids of the staged uploads that no entry up to `version` has settled, in order."""
    waiting = collection.staging.waiting()
    settled = settled_ids(collection, version, waiting)
    return [upload_id for upload_id in waiting if upload_id not in settled]


def frame_ids(operations: Operations) -> pl.Series:
    """The frames named by operations, each once."""
    parts = (operations.frames, operations.labels)
    ids = [distinct(part.get_column("frame_id")) for part in parts if part.height]
    if not ids:
        return pl.Series("frame_id", [], dtype=pl.String)
    # Whole uploads have labels for just the frames that they send: no second pass.
    if len(ids) == 1 or ids[0].equals(ids[1]):
        return ids[0]
    return distinct(pl.concat(ids))


def distinct(values: pl.Series) -> pl.Series:
    """Each text once, without nulls; in order where the values were."""
    # A merge of one frame passes here: it asks Polars as little as can be.
    if len(values) == 1 and not values.null_count():
        return values
    values = values.drop_nulls()
    # Sorted values, as staged files have them, need no hash set at all.
    if values.is_sorted():
        return values.filter((values != values.shift(1)).fill_null(value=True))
    if len(values) < STREAMED_UNIQUE_ROWS:
        return values.unique()
    rows = values.to_frame().lazy().select(pl.col(values.name).unique())
    return rows.collect(engine="streaming").to_series()
