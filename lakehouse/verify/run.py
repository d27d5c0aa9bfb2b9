"""The verification: ledger and logs, files, records, rows; everything, to the end.

walk      each entry against a dozen logs, and against the entries before
files     there, of the right size; in full, byte for byte
records   uploads, versions and tags against the ledger
rows      in full: every hash again; every version by files and by change log
"""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import LIVE_TABLES, contract
from lakehouse.storage import Store
from lakehouse.verify.checkpoints import check_checkpoints
from lakehouse.verify.compare import compare, orphans
from lakehouse.verify.doubts import Doubts
from lakehouse.verify.files import Copy, check_bytes, check_presence, copies_of
from lakehouse.verify.gather import IMAGE, LIVING, Gathered, gather
from lakehouse.verify.latest import check_latest
from lakehouse.verify.progress import Tell, silent
from lakehouse.verify.records import Uploads, check_records
from lakehouse.verify.report import Findings, Verification
from lakehouse.verify.rows import RowReader
from lakehouse.verify.spool import Spool, parts_for
from lakehouse.verify.tally import Tally
from lakehouse.verify.verdict import check_live, check_log
from lakehouse.verify.walk import History, walk

__all__ = ["verify"]

_HOMES = (
    ("labels", "frames", "frame.lacking", ("first",)),
    ("frame_embeddings", "frames", "frame.lacking", ("first",)),
    ("label_embeddings", "labels", "label.lacking", ("first", "second")),
)
"""What belongs to what: child, parent, check, and what tells rows apart."""


def verify(
    collection: Collection, *, full: bool = True, progress: Tell = silent
) -> Verification:
    """Find everything that is wrong with a collection.

    Args:
        collection: Whose ledger, logs, files and rows.
        full: Read every byte and every row, of every version; otherwise only
            the ledger, the logs, the lists of files, and the latest version.
        progress: Told how far it is.

    Raises:
        NotFoundError: If the collection was never created.
        StorageError: If the store failed and may not fail again.
    """
    findings = Findings()
    look = partial(check_checkpoints, collection, findings) if full else None
    history = walk(collection, findings, progress, look)
    copies = copies_of(collection, history)
    right = check_presence(collection, history, copies, findings)
    if full:
        right = check_bytes(collection.store, right, findings, progress)
    else:
        findings.counts["bytes"] = sum(copy.file.size for copy in right)
    uploads = check_records(collection, history, right, findings)
    if full:
        _check_rows(
            collection.store,
            history,
            copies,
            right,
            uploads=uploads,
            findings=findings,
            tell=progress,
        )
    else:
        check_latest(collection, history, findings)
    return Verification.of(findings, full=full)


def _check_rows(
    store: Store,
    history: History,
    copies: Sequence[Copy],
    right: Sequence[Copy],
    *,
    uploads: Uploads,
    findings: Findings,
    tell: Tell,
) -> None:
    """Read the rows of all live tables and change logs, and compare them."""
    mine = {
        table: [c for c in copies if _live(c.table) == table] for table in LIVE_TABLES
    }
    most = max(sum(copy.file.rows for copy in files) for files in mine.values())
    parts = parts_for(most)
    with ExitStack() as stack:
        tables: list[Gathered] = []
        for table, files in mine.items():
            schema = _schema(history, f"{table}_changes", findings)
            rows = sum(copy.file.rows for copy in files)
            gathered = Gathered(
                table=table,
                reader=RowReader(store, table, schema, uploads, findings),
                files=files,
                images=stack.enter_context(Spool(IMAGE, parts, rows)),
                living=stack.enter_context(Spool(LIVING, parts, rows)),
                tally=Tally.empty(len(history.open) + 1),
            )
            gather(gathered, right, findings)
            tables.append(gathered)
        _compare(tables, parts, history, findings, tell)


def _compare(
    tables: Sequence[Gathered],
    parts: int,
    history: History,
    findings: Findings,
    tell: Tell,
) -> None:
    """Compare the rows of all tables, part by part of their keys."""
    logs = [Tally.empty(history.head + 1) for _ in tables]
    doubts = [Doubts() for _ in tables]
    names = [gathered.table for gathered in tables]
    for part in range(parts):
        living = [
            compare(gathered, part, history.open, log, doubt)
            for gathered, log, doubt in zip(tables, logs, doubts, strict=True)
        ]
        for child, parent, check, by in _HOMES:
            inner, outer = names.index(child), names.index(parent)
            if tables[outer].is_live_whole:
                alone = orphans(living[inner], living[outer], by)
                doubts[inner].note(check, alone)
        tell("rows", part + 1, parts)
    for gathered, log, doubt in zip(tables, logs, doubts, strict=True):
        doubt.tell(gathered, history.open, findings)
        check_log(gathered, log, history, findings)
        check_live(gathered, history, findings)
    findings.counts["versions"] = len(history.versions)


def _schema(history: History, table: str, findings: Findings) -> pl.Schema:
    """The columns of a table; those of its contract where its log is damaged."""
    state = history.states[table]
    if "schemaString" in state.metadata:
        return state.schema
    findings.add(
        "table.schema",
        "No commit that is left says which columns the table has.",
        "Restore its log from a backup.",
        table=table,
    )
    return contract(table).schema()


def _live(table: str) -> str:
    """The live table whose rows a table has; of the other tables, themselves."""
    return table.removesuffix("_changes")
