"""Compares live rows with the change log, key by key, over all versions at once.

A change lives from its version up to that of the next change of its key. So the
live table must hold every row that a change log has for just that span of the open
versions: no row more, no row less, no key twice. The spans of all versions are
compared in one pass, part by part of the keys.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.verify.gather import LIVE, Gathered, RunningTotals
from lakehouse.verify.ledger import History
from lakehouse.verify.lives import FOR_EVER
from lakehouse.verify.report import Report
from lakehouse.verify.spool import Records, UnreadableError, take

_HINT: Final = (
    "The files are as they were written, so a writer was wrong: report it. "
    "dataset.restore() of an earlier version writes the rows anew."
)

_DESCRIPTIONS: Final = {
    "key.twice": "keys are there twice, the second time in this file",
    "change_log.twice": "rows are the second of their key in their version",
    "live.unlogged": "rows live in versions that the change log does not have them in",
    "live.lacking": "rows should live in versions that the live table lacks them in",
    "frame.lacking": "rows are of a frame that is not there",
    "label.lacking": "vectors are of a label that is not there",
}

_SHOWN: Final = 20
_KEY = ("first", "second")
_CHANGE = (*_KEY, "version")
_SPAN = (*_CHANGE, "hash", "start", "end")

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class RowIssues:
    """Problems of rows in one table, by check and by number of file."""

    by_file: dict[tuple[str, int], tuple[int, Any]] = field(
        default_factory=dict[tuple[str, int], tuple[int, Any]]
    )

    def note(self, check: str, records: Records) -> None:
        """Count rows; one of each file is kept as an example."""
        numbers, first, counts = np.unique(
            records["file"], return_index=True, return_counts=True
        )
        for number, at, count in zip(numbers, first, counts, strict=True):
            known, example = self.by_file.get(
                (check, int(number)), (0, records[at].copy())
            )
            self.by_file[check, int(number)] = (known + int(count), example)

    def report_to(
        self, gathered: Gathered, opened: Sequence[int], report: Report
    ) -> None:
        """Report the rows, a problem for each check and file."""
        for (check, number), (count, example) in sorted(self.by_file.items())[:_SHOWN]:
            copy = gathered.files[number]
            try:
                key = gathered.reader.key_of(
                    copy, int(example["first"]), int(example["second"])
                )
            except UnreadableError:
                continue
            version = copy.version
            if "start" in example.dtype.names:
                version = opened[int(example["start"])]
            report.add(
                check,
                f"{count} {_DESCRIPTIONS[check]}, among them {key}.",
                _HINT,
                version=version,
                table=copy.table,
                file=copy.path,
            )
        if len(self.by_file) > _SHOWN:
            report.note(
                f"{len(self.by_file) - _SHOWN} more files have rows with problems."
            )


# -------------------------------- ROW BY ROW -------------------------------- #


def compare(
    gathered: Gathered,
    part: int,
    opened: Sequence[int],
    log: RunningTotals,
    issues: RowIssues,
) -> Records:
    """Compare one part of a table's keys, and add its changes to the log's totals.

    Args:
        gathered: The records of the table.
        part: Which part of them.
        opened: The open versions, ascending.
        log: The totals of the change log, by version.
        issues: Where rows with problems are noted.

    Returns:
        The records of the live table.
    """
    changes = _sorted(gathered.changes.load(part), "version")
    # -1 is the version of an upload that was never settled, which is reported as such.
    changes = take(changes, changes["version"] >= 0)
    live = _sorted(gathered.live.load(part), "start")
    repeated = _same(live, _KEY) & (live["start"][1:] < live["end"][:-1])
    issues.note("key.twice", live[1:][repeated])
    if gathered.is_log_whole:
        issues.note("change_log.twice", changes[1:][_same(changes, _CHANGE)])
        _add_changes(changes, log)
        # A key that is there twice has spans that overlap, which `spans` cannot join.
        if gathered.is_live_whole and not repeated.any():
            _compare(
                _expected_spans(changes, opened),
                spans(live, (*_CHANGE, "hash")),
                issues,
            )
    return live


def _add_changes(changes: Records, log: RunningTotals) -> None:
    """Each change replaces the one before it of its key."""
    alive = ~changes["deleted"]
    log.add(changes["version"][alive], changes["hash"][alive])
    replaces = _same(changes, _KEY) & alive[:-1]
    log.subtract(changes["version"][1:][replaces], changes["hash"][:-1][replaces])


def _expected_spans(changes: Records, opened: Sequence[int]) -> pl.DataFrame:
    """The spans of open versions that changes should live in."""
    until = np.full(len(changes), FOR_EVER, dtype=np.int64)
    followed = np.flatnonzero(_same(changes, _KEY))
    until[followed] = changes["version"][followed + 1]
    versions = np.asarray(opened)
    start = np.searchsorted(versions, changes["version"])
    end = np.where(until == FOR_EVER, FOR_EVER, np.searchsorted(versions, until))
    # A change between two open versions that is replaced before the next one lives in
    # none of them: its span is empty.
    frame = _frame(changes, (*_CHANGE, "hash", "file")).with_columns(
        start=pl.Series(start, dtype=pl.Int32), end=pl.Series(end, dtype=pl.Int32)
    )
    lives = ~changes["deleted"] & (start < np.minimum(end, len(versions)))
    return frame.filter(pl.Series(lives))


def spans(live: Records, of: Sequence[str]) -> pl.DataFrame:
    """Spans that follow each other without a gap, as one.

    Args:
        live: Sorted by key and start.
        of: What rows must have in common.
    """
    # A rewrite moves rows to another file without a change: one span in two files.
    joined = _same(live, of) & (live["start"][1:] <= live["end"][:-1])
    begins = np.flatnonzero(np.append(True, ~joined))[: len(live)]
    names = dict.fromkeys((*of, "hash", "file", "start"))
    frame = _frame(take(live, begins), list(names))
    ends = np.maximum.reduceat(live["end"], begins) if len(begins) else live["end"]
    return frame.with_columns(end=pl.Series(ends, dtype=pl.Int32))


def _compare(expected: pl.DataFrame, actual: pl.DataFrame, issues: RowIssues) -> None:
    names = list(_SPAN)
    # Both are sorted by key and start. Nearly always they are equal, which costs a
    # comparison of columns instead of two joins.
    if expected.select(names).equals(actual.select(names)):
        return
    issues.note("live.unlogged", _records(actual.join(expected, on=names, how="anti")))
    issues.note("live.lacking", _records(expected.join(actual, on=names, how="anti")))


def orphans(children: Records, parents: Records, by: Sequence[str]) -> Records:
    """The rows that live in an open version without what they belong to.

    Args:
        children: Rows of a live table.
        parents: Rows of the table that they belong to.
        by: What both are told apart by.
    """
    names = ["start", "end"]
    parent_spans = spans(parents, by).select(*by, pl.col(names).name.suffix("_parent"))
    known = _frame(children, (*by, *names)).with_row_index("_at")
    # A parent may have died and come again: the child must lie within one of its lives.
    with_parent = known.join(parent_spans, on=list(by)).filter(
        pl.col("start_parent") <= pl.col("start"), pl.col("end") <= pl.col("end_parent")
    )
    orphaned = known.join(
        with_parent.select("_at"), on="_at", how="anti", maintain_order="left"
    )
    return take(children, orphaned["_at"].to_numpy())


def _sorted(records: Records, minor: str) -> Records:
    """By key, and of one key by `minor`.

    `second` alone brings the records of a key side by side, at the cost of one stable
    sort: among the rows of one part, 64 bits of hash hardly ever meet by chance.
    """
    order = np.argsort(records[minor], kind="stable")
    by_key = np.argsort(records["second"][order], kind="stable")
    return take(records, order[by_key])


def _same(records: Records, fields: Sequence[str]) -> Mask:
    """For each record but the first, whether it agrees with the one before."""
    same = np.ones(max(0, len(records) - 1), dtype=np.bool_)
    for name in fields:
        same &= records[name][1:] == records[name][:-1]
    return same


def _frame(records: Records, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({name: np.ascontiguousarray(records[name]) for name in names})


def _records(frame: pl.DataFrame) -> Records:
    records = np.zeros(frame.height, LIVE)
    for name in (*_SPAN, "file"):
        records[name] = frame[name].to_numpy()
    return records


# ---------------------------- VERSION BY VERSION ---------------------------- #


def check_log(
    gathered: Gathered, log: RunningTotals, history: History, report: Report
) -> None:
    """Compare every version, closed ones too, with what the change log comes to."""
    if not gathered.is_log_whole:
        return
    totals = log.cumulative()
    actual = {version: totals[version] for version in history.versions}
    for run, what in _unequal_runs(gathered.table, actual, history):
        report.add(
            "change_log.fingerprint",
            f"{_named(run)}: the change log comes to {what}.",
            "Rows are missing, doubled or wrong: restore the change log's files "
            "from a backup, or report how it came.",
            version=run[0],
            table=f"{gathered.table}_changes",
        )


def check_live(gathered: Gathered, history: History, report: Report) -> None:
    """Compare every open version with what the files of the live table come to."""
    totals = gathered.totals.cumulative()
    actual = {
        version: totals[place]
        for place, version in enumerate(history.open)
        if gathered.is_known_at(place)
    }
    for run, what in _unequal_runs(gathered.table, actual, history):
        report.add(
            "live.fingerprint",
            f"{_named(run)}: the live table comes to {what}.",
            "The change log has the rows as they should be, unless it is named here "
            "too: report how it came.",
            version=run[0],
            table=gathered.table,
        )


def _unequal_runs(
    table: str, actual: Mapping[int, tuple[int, Any]], history: History
) -> Iterator[tuple[list[int], str]]:
    """Runs of versions that differ from their entries, and how the first of each does."""
    messages: dict[int, str] = {}
    for version, (rows, fingerprint) in actual.items():
        entry = history.entries[version]
        expected = entry.rows.get(table), entry.fingerprint.get(table)
        if version in history.vouched and (rows, fingerprint.text) != expected:
            messages[version] = (
                f"{rows} rows and the fingerprint {fingerprint.text}, not {expected[0]} "
                f"and {expected[1]} as the ledger entry says"
            )
    for run in _runs(actual, messages):
        yield run, messages[run[0]]


def _runs(versions: Iterable[int], unequal: Mapping[int, str]) -> Iterator[list[int]]:
    """Runs of versions, beside each other in `versions`, that are in `unequal`."""
    run: list[int] = []
    for version in versions:
        if version in unequal:
            run.append(version)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _named(run: list[int]) -> str:
    if len(run) == 1:
        return f"Version {run[0]}"
    return f"Versions {run[0]} to {run[-1]}"
