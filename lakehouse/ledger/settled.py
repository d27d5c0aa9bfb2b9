"""Which uploads are settled: those with a row in the `uploads` table."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.model.operations import Operations
from lakehouse.storage import collect

STREAMED_UNIQUE_ROWS: Final = 100_000


def settled_row(
    collection: Collection, version: int, upload_id: str
) -> dict[str, Any] | None:
    """The row of an upload in the `uploads` table, if it is settled."""
    keys = pl.Series("upload_id", [upload_id], dtype=pl.String)
    rows = collect(collection.scan("uploads", version, keys=keys))
    return rows.row(0, named=True) if rows.height else None


def settled_among(
    collection: Collection, version: int, upload_ids: Sequence[str]
) -> set[str]:
    """Which of these uploads are in the `uploads` table at `version`."""
    if not upload_ids:
        return set()
    keys = pl.Series("upload_id", upload_ids, dtype=pl.String)
    rows = collection.scan("uploads", version, keys=keys, columns=["upload_id"])
    return set(collect(rows).get_column("upload_id").to_list())


def unsettled(collection: Collection, version: int) -> list[str]:
    """Staged uploads that no entry up to `version` has settled, in order."""
    waiting = collection.staging.waiting()
    settled = settled_among(collection, version, waiting)
    return [upload_id for upload_id in waiting if upload_id not in settled]


def frame_ids(operations: Operations) -> pl.Series:
    """The frames named by operations, each once."""
    parts = (operations.frames, operations.labels)
    named = [distinct(part.get_column("frame_id")) for part in parts if part.height]
    if not named:
        return pl.Series("frame_id", [], dtype=pl.String)
    if len(named) == 1 or named[0].equals(named[1]):
        return named[0]
    return distinct(pl.concat(named))


def distinct(values: pl.Series) -> pl.Series:
    """Each text once, nulls left out; in order where the values were."""
    if len(values) == 1 and not values.null_count():
        return values
    values = values.drop_nulls()
    if values.is_sorted():
        return values.filter((values != values.shift(1)).fill_null(value=True))
    if len(values) < STREAMED_UNIQUE_ROWS:
        return values.unique()
    rows = values.to_frame().lazy().select(pl.col(values.name).unique())
    return rows.collect(engine="streaming").to_series()
