"""How a diff is made: from the keys that the change log names, or by comparing all."""

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES
from lakehouse.diff.difference import Diff
from lakehouse.diff.tables import TableDiff, compared_by_log, compared_wholly
from lakehouse.errors import InvalidInputError
from lakehouse.replay import uploads_between
from lakehouse.snapshot import Snapshot

__all__ = ["diff_between", "diff_of_upload"]


def diff_between(start: Snapshot, end: Snapshot) -> Diff:
    """What differs between two snapshots of one collection.

    Only the keys that the versions in between touched are looked at. Filtered
    snapshots are compared wholly: a row that comes to meet a condition is added,
    whether it changed itself or not.

    Raises:
        InvalidInputError: If the snapshots are of different collections.
    """
    if start.collection.path != end.collection.path or (
        start.collection.store.root != end.collection.store.root
    ):
        raise InvalidInputError(
            f"The snapshots are of different datasets: {start.collection.path} and "
            f"{end.collection.path}. Compare two versions of one.",
            kind="diff.datasets",
        )
    if start.is_filtered or end.is_filtered:
        wholly = {table: compared_wholly(table, start, end) for table in LIVE_TABLES}
        return Diff(start, end, wholly)
    after, until = sorted((start.version, end.version))
    uploads = uploads_between(start.collection, after, until)
    return Diff(start, end, _tables(start, end, uploads))


def diff_of_upload(collection: Collection, upload_id: str, version: int) -> Diff:
    """What one upload changed: its own rows, before and after its version.

    Args:
        collection: Where it went.
        upload_id: The upload.
        version: The version that settled it.
    """
    entry = collection.ledger.read(max(0, version - 1))
    start = Snapshot.resolve(collection, entry.content_version)
    end = Snapshot.resolve(collection, version)
    mine = pl.DataFrame({"upload_id": [upload_id], "version": [version]})
    return Diff(start, end, _tables(start, end, mine), upload_id=upload_id)


def _tables(
    start: Snapshot, end: Snapshot, uploads: pl.DataFrame
) -> dict[str, TableDiff]:
    """Each table's difference; equal fingerprints tell that there is none."""
    ledger = start.collection.ledger
    before = ledger.read(start.version).fingerprint
    after = ledger.read(end.version).fingerprint
    return {
        table: compared_by_log(
            table,
            start,
            end,
            uploads.clear() if before[table] == after[table] else uploads,
        )
        for table in LIVE_TABLES
    }
