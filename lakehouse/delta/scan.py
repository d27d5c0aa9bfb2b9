"""Scans of a table's data files, dead rows left out.

Files without a deletion vector are scanned as they are. Those with one are
scanned with the place of each row, and filtered; statistics still prune row
groups there, which engines lose on every table that may have vectors.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from lakehouse.delta.table_state import DataFile
from lakehouse.storage import Store

PLACE: Final = "_place"
"""The column with a row's place in its file, where it is asked for."""


def scan_files(
    store: Store, table_path: str, files: Sequence[DataFile], schema: pl.Schema
) -> pl.LazyFrame:
    """The live rows of data files, with every column of the schema.

    Args:
        store: Where the table lies.
        table_path: Its folder.
        files: Which of its files; maybe none.
        schema: Columns that a file lacks are null.
    """
    whole = [file for file in files if not file.dead_rows]
    parts = [file for file in files if file.dead_rows]
    scans: list[pl.LazyFrame] = []
    if whole:
        paths = [f"{table_path}/{file.path}" for file in whole]
        scans.append(store.scan(paths, schema))
    if parts:
        scans.append(scan_placed(store, table_path, parts, schema).drop(PLACE))
    if not scans:
        return pl.LazyFrame(schema=schema)
    return scans[0] if len(scans) == 1 else pl.concat(scans)


def scan_placed(
    store: Store, table_path: str, files: Sequence[DataFile], schema: pl.Schema
) -> pl.LazyFrame:
    """The live rows of data files, each with its `PLACE` in all of them together.

    Args:
        store: Where the table lies.
        table_path: Its folder.
        files: Which of its files; at least one.
        schema: Columns that a file lacks are null.
    """
    paths = [f"{table_path}/{file.path}" for file in files]
    rows = store.scan(paths, schema, row_index=PLACE)
    # Without dead rows there is no filter to run over every row.
    if not any(file.dead_rows for file in files):
        return rows
    return rows.filter(~pl.col(PLACE).is_in(_dead(files).implode()))


def _dead(files: Sequence[DataFile]) -> pl.Series:
    """The dead rows of several files, by their places in all of them together."""
    # The scan counts places through all files in their order: a file's first row has
    # the number of rows, dead ones included, of the files before it.
    offsets = np.cumsum([0, *(file.rows for file in files)], dtype=np.uint64)
    dead = [
        file.dead.astype(np.uint64) + offset
        for file, offset in zip(files, offsets, strict=False)
    ]
    return pl.Series(np.concatenate(dead), dtype=pl.UInt64).cast(pl.get_index_type())
