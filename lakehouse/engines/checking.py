"""Looking whether versions are whole: their files there, their fingerprints right.

The fingerprint of a version is the sum of those of its files, so a file is read
once, and once more for each time that rows of it died: only its hashes are.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.delta.reading import scan_files
from lakehouse.delta.table_state import DataFile
from lakehouse.delta.vectors import Positions
from lakehouse.errors import LakehouseError
from lakehouse.fingerprint import Fingerprint
from lakehouse.storage import collect

__all__ = ["damaged"]

_Known = dict[str, tuple[Positions, Fingerprint]]


def damaged(collection: Collection, places: Iterable[int]) -> list[str]:
    """What is wrong with the live tables at some entries, in words.

    Args:
        collection: Whose tables.
        places: Numbers of entries.
    """
    known: dict[str, _Known] = {table: {} for table in LIVE_TABLES}
    wrong: list[str] = []
    for place in sorted(places):
        entry = collection.ledger.read(place)
        for table in LIVE_TABLES:
            try:
                found = _sum(collection, table, place, known[table])
            except (LakehouseError, pl.exceptions.PolarsError) as error:
                wrong.append(f"{table} at entry {place} cannot be read: {error}")
                continue
            if found.text != entry.fingerprint[table]:
                wrong.append(
                    f"{table} at entry {place} has the fingerprint {found.text}, not "
                    f"{entry.fingerprint[table]} as the ledger says"
                )
    return wrong


def _sum(
    collection: Collection, table: str, version: int, known: _Known
) -> Fingerprint:
    total = Fingerprint.zero()
    for file in collection.state(table, version).files.values():
        dead, found = known.get(file.path, (None, Fingerprint.zero()))
        if dead is None or not np.array_equal(dead, file.dead):
            found = _of_file(collection, table, file)
            known[file.path] = (file.dead, found)
        total += found
    return total


def _of_file(collection: Collection, table: str, file: DataFile) -> Fingerprint:
    folder, schema = collection.table_path(table), pl.Schema({"row_hash": pl.Int64()})
    rows = collect(scan_files(collection.store, folder, [file], schema))
    return Fingerprint.of(rows.get_column("row_hash"))
