"""The content of every version: by the live tables' files, and by the change logs.

First all files are read and their rows spooled; then part by part of the keys,
all tables of a part together, since labels belong to frames and vectors to both.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.types import Progress
from lakehouse.verify.compare import Doubts, check_live, check_log, compare, orphans
from lakehouse.verify.files import Copy
from lakehouse.verify.gather import IMAGE, LIVING, Gathered, Tally, gather
from lakehouse.verify.ledger import History
from lakehouse.verify.report import Findings
from lakehouse.verify.rows import RowJudge, RowReader
from lakehouse.verify.spool import Spool, parts_for
from lakehouse.verify.tables import Uploads

_HOMES: Final = (
    ("labels", "frames", "frame.lacking", ("first",)),
    ("frame_embeddings", "frames", "frame.lacking", ("first",)),
    ("label_embeddings", "labels", "label.lacking", ("first", "second")),
)
"""What belongs to what: child, parent, check, and what tells rows apart."""


def check_contents(
    collection: Collection,
    history: History,
    copies: Sequence[Copy],
    right: Sequence[Copy],
    *,
    uploads: Uploads,
    gone: Callable[[Copy], None],
    findings: Findings,
    progress: Progress,
) -> None:
    """Read the rows of all live tables and change logs, and compare every version.

    Args:
        collection: Whose tables.
        history: What the ledger says.
        copies: All files.
        right: Those that are byte for byte right.
        uploads: Those that rows may name.
        gone: Called when a file went meanwhile.
        findings: Where problems are noted.
        progress: Told how far it is.
    """
    files = {table: _of(table, copies) for table in LIVE_TABLES}
    rows = {table: sum(c.file.rows for c in found) for table, found in files.items()}
    parts = parts_for(max(rows.values()))
    done = _counter(right, findings, progress)
    with ExitStack() as stack:
        tables: list[Gathered] = []
        for table, mine in files.items():
            schema = _schema(collection, history, f"{table}_changes", findings)
            judge = RowJudge(collection.contract(table), schema, uploads)
            gathered = Gathered(
                table=table,
                reader=RowReader(collection.store, schema, judge, findings, gone),
                files=mine,
                images=stack.enter_context(Spool(IMAGE, parts, rows[table])),
                living=stack.enter_context(Spool(LIVING, parts, rows[table])),
                tally=Tally.empty(len(history.open) + 1),
            )
            gather(gathered, right, findings, done)
            tables.append(gathered)
        if uploads.are_all_known or len(history.vouched) > history.head:
            _compare(tables, parts, history, findings, progress)
        else:
            findings.note(
                "Both the table of uploads and a ledger entry are damaged, so versions "
                "were not compared row by row."
            )


def _compare(
    tables: Sequence[Gathered],
    parts: int,
    history: History,
    findings: Findings,
    progress: Progress,
) -> None:
    """Compare the rows of all tables, part by part of their keys."""
    logs = [Tally.empty(history.head + 1) for _ in tables]
    doubts = [Doubts() for _ in tables]
    for part in range(parts):
        living = [
            compare(gathered, part, history.open, log, doubt)
            for gathered, log, doubt in zip(tables, logs, doubts, strict=True)
        ]
        for child, parent, check, by in _HOMES:
            inner, outer = LIVE_TABLES.index(child), LIVE_TABLES.index(parent)
            if tables[outer].is_live_whole:
                alone = orphans(living[inner], living[outer], by)
                doubts[inner].note(check, alone)
        progress("keys", part + 1, parts)
    for gathered, log, doubt in zip(tables, logs, doubts, strict=True):
        doubt.tell(gathered, history.open, findings)
        check_log(gathered, log, history, findings)
        check_live(gathered, history, findings)
    findings.counts["versions"] = len(history.versions)


def _of(table: str, copies: Sequence[Copy]) -> list[Copy]:
    """The files of a live table and its change log."""
    return [copy for copy in copies if copy.table.removesuffix("_changes") == table]


def _counter(
    right: Sequence[Copy], findings: Findings, progress: Progress
) -> Callable[[], None]:
    """What tells how many of the rows were read."""
    contents = {
        (table, copy.checksum, copy.file.size): copy.file.rows
        for table in LIVE_TABLES
        for copy in _of(table, right)
    }
    total = sum(contents.values())
    return lambda: progress("rows", findings.counts["rows"], total)


def _schema(
    collection: Collection, history: History, table: str, findings: Findings
) -> pl.Schema:
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
    return collection.contract(table).schema()
