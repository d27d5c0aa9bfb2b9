"""What tests of differences share: the tables, and what became of each row."""

import polars as pl

from lakehouse.types import LiveTable

__all__ = ["TABLES", "changes_by_key"]

TABLES: tuple[LiveTable, ...] = (
    "frames",
    "labels",
    "frame_embeddings",
    "label_embeddings",
)


def changes_by_key(rows: pl.DataFrame) -> dict[tuple[str, ...], str]:
    key = [name for name in ("frame_id", "label_id") if name in rows.columns]
    return {tuple(row[:-1]): row[-1] for row in rows.select(*key, "change").rows()}
