"""The content of every version, by the live tables and again by the change logs.

First all files are read and their rows spooled; then part by part of the keys,
all tables of a part at once, since labels belong to frames and vectors to both.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.types import Progress
from lakehouse.verify.compare import RowIssues, check_live, check_log, compare, orphans
from lakehouse.verify.files import Copy
from lakehouse.verify.gather import CHANGE, LIVE, Gathered, RunningTotals, gather
from lakehouse.verify.ledger import History
from lakehouse.verify.report import Report
from lakehouse.verify.rows import RowChecker, RowReader
from lakehouse.verify.spool import Spool, parts_for
from lakehouse.verify.tables import Uploads

_PARENTS: Final = (
    ("labels", "frames", "frame.lacking", ("first",)),
    ("frame_embeddings", "frames", "frame.lacking", ("first",)),
    ("label_embeddings", "labels", "label.lacking", ("first", "second")),
)
"""Child, parent, check, and the fields of a record that name the parent's row."""


def check_contents(
    collection: Collection,
    history: History,
    copies: Sequence[Copy],
    intact: Sequence[Copy],
    *,
    uploads: Uploads,
    report_missing: Callable[[Copy], None],
    report: Report,
    progress: Progress,
) -> None:
    """Read the rows of all live tables and change logs, and compare every version.

    Args:
        collection: Whose tables.
        history: What the ledger says.
        copies: All files.
        intact: Those that have their checksum.
        uploads: Those that rows may name.
        report_missing: Called with a file that is gone.
        report: Where problems are noted.
        progress: Called with how far it is.
    """
    # A live table and its change log together: most of their files are the same.
    files = {table: _of(table, copies) for table in LIVE_TABLES}
    rows = {
        table: sum(c.file.rows for c in table_copies)
        for table, table_copies in files.items()
    }
    # The same parts for all tables, so that a part has a frame and all that is its own.
    parts = parts_for(max(rows.values()))
    done = _counter(intact, report, progress)
    with ExitStack() as stack:
        tables: list[Gathered] = []
        for table, table_copies in files.items():
            schema = _schema(collection, history, f"{table}_changes", report)
            checker = RowChecker(collection.contract(table), schema, uploads)
            gathered = Gathered(
                table=table,
                reader=RowReader(
                    collection.store, schema, checker, report, report_missing
                ),
                files=table_copies,
                changes=stack.enter_context(Spool(CHANGE, parts, rows[table])),
                live=stack.enter_context(Spool(LIVE, parts, rows[table])),
                totals=RunningTotals.empty(len(history.open) + 1),
            )
            gather(gathered, intact, report, done)
            tables.append(gathered)
        # The version of a row follows from its upload. Either every upload is in the
        # table of uploads, or every entry is intact and they are all settled there.
        if uploads.are_all_known or len(history.vouched) > history.head:
            _compare(tables, parts, history, report, progress)
        else:
            report.note(
                "Both the table of uploads and a ledger entry are corrupt, so versions "
                "were not compared row by row."
            )


def _compare(
    tables: Sequence[Gathered],
    parts: int,
    history: History,
    report: Report,
    progress: Progress,
) -> None:
    """Compare the rows of all tables, part by part of their keys."""
    logs = [RunningTotals.empty(history.head + 1) for _ in tables]
    issues = [RowIssues() for _ in tables]
    for part in range(parts):
        live = [
            compare(gathered, part, history.open, log, table_issues)
            for gathered, log, table_issues in zip(tables, logs, issues, strict=True)
        ]
        for child, parent, check, by in _PARENTS:
            inner, outer = LIVE_TABLES.index(child), LIVE_TABLES.index(parent)
            # With rows of the parent unknown, every child might be an orphan.
            if tables[outer].is_live_whole:
                orphaned = orphans(live[inner], live[outer], by)
                issues[inner].note(check, orphaned)
        progress("keys", part + 1, parts)
    for gathered, log, table_issues in zip(tables, logs, issues, strict=True):
        table_issues.report_to(gathered, history.open, report)
        check_log(gathered, log, history, report)
        check_live(gathered, history, report)
    report.counts["versions"] = len(history.versions)


def _of(table: str, copies: Sequence[Copy]) -> list[Copy]:
    """The files of a live table and its change log."""
    return [copy for copy in copies if copy.table.removesuffix("_changes") == table]


def _counter(
    intact: Sequence[Copy], report: Report, progress: Progress
) -> Callable[[], None]:
    """Reports how many of the rows were read; each distinct content counts once."""
    contents = {
        (table, copy.checksum, copy.file.size): copy.file.rows
        for table in LIVE_TABLES
        for copy in _of(table, intact)
    }
    total = sum(contents.values())
    return lambda: progress("rows", report.counts["rows"], total)


def _schema(
    collection: Collection, history: History, table: str, report: Report
) -> pl.Schema:
    """The columns of a table; those of its contract where its log is corrupt."""
    state = history.states[table]
    if "schemaString" in state.metadata:
        return state.schema
    report.add(
        "table.schema",
        "No commit that is left says which columns the table has.",
        "Restore its log from a backup.",
        table=table,
    )
    return collection.contract(table).schema()
