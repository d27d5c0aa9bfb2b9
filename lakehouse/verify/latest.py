"""A quick check of rows: the latest version's, by the hashes that are stored in them."""

from collections.abc import Iterable

import polars as pl

from lakehouse.delta.scan import scan_files
from lakehouse.delta.table_state import DataFile
from lakehouse.errors import NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.row_hash import Fingerprint
from lakehouse.storage import collect
from lakehouse.verify.files import Copy
from lakehouse.verify.ledger import History
from lakehouse.verify.report import Report
from lakehouse.verify.spool import UnreadableError, may_be_corrupt


def check_latest(
    collection: Collection, history: History, intact: Iterable[Copy], report: Report
) -> None:
    """Compare rows and fingerprints of the latest version with its ledger entry.

    Args:
        collection: Whose tables.
        history: What the ledger says.
        intact: Files without a known problem; others are not read.
        report: Where problems are noted.
    """
    intact_files = {(copy.table, copy.file.path) for copy in intact}
    entry = history.entries[history.contents[-1]]
    report.counts["versions"] = 1
    for table in LIVE_TABLES:
        rows, total, is_complete = 0, Fingerprint.zero(), True
        for file in history.states[table].files.values():
            hashes = None
            if (table, file.path) in intact_files:
                hashes = _hashes(collection, history, table, file, report)
            if hashes is None:
                is_complete = False
                continue
            rows += len(hashes)
            total += Fingerprint.of(hashes)
        report.counts["rows"] += rows
        # Sums of hashes do not depend on the order of rows or files.
        expected = entry.rows.get(table), entry.fingerprint.get(table)
        if (
            is_complete
            and entry.version in history.vouched
            and (rows, total.text) != expected
        ):
            report.add(
                "live.fingerprint",
                f"The table has {rows} rows and the fingerprint {total.text}, not "
                f"{expected[0]} and {expected[1]} as ledger entry {entry.version} says.",
                "verify(full=True) finds which rows differ.",
                version=entry.version,
                table=table,
            )


def _hashes(
    collection: Collection,
    history: History,
    table: str,
    file: DataFile,
    report: Report,
) -> pl.Series | None:
    """The hashes of a file's live rows; None if they cannot be read."""
    folder = collection.table_path(table)
    schema = pl.Schema({"row_hash": pl.Int64()})
    try:
        with may_be_corrupt():
            # One column of eight bytes a row: what makes the quick check quick.
            rows = collect(scan_files(collection.store, folder, [file], schema))
            return rows.get_column("row_hash").drop_nulls()
    except NotFoundError:
        return None  # it went meanwhile
    except UnreadableError as error:
        reason = str(error)
    report.add(
        "file.unreadable",
        f"Its rows cannot be read: {reason}.",
        "Restore the file from a backup.",
        version=history.brought.get((table, file.path)),
        table=table,
        file=f"{folder}/{file.path}",
    )
    return None
