"""The rows of data files: every hash computed again from the logical values.

A live table and its change log have most files in common, byte for byte, so what
has one checksum is decoded once for both. Of large files a few row groups are
held at a time; small files are read together.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl

from lakehouse.delta.key_index import key_lanes
from lakehouse.errors import NotFoundError
from lakehouse.storage import Store, collect, collect_all
from lakehouse.storage.store import ROW_GROUP_ROWS
from lakehouse.verify.batches import Batch, Faults, RowJudge, key_text
from lakehouse.verify.files import Copy
from lakehouse.verify.report import Findings
from lakehouse.verify.unreadable import UnreadableError, may_be_damaged

__all__ = ["RowReader"]

_READ_BYTES: Final = 32 * 1024**2
_HINT: Final = "Restore the file from a backup, or report how it came to be written."
_SAID: Final = {
    "row.hash": "do not have the hash of their values",
    "row.upload": "name an upload that no ledger entry settled",
    "row.key": "have no key",
    "row.op": "say something else than ADD, MODIFY or DELETE",
}


class RowReader:
    """Reads the files of one live table and its change log.

    Args:
        store: Where they lie.
        schema: The change log's, which has every column of either.
        judge: Judges their rows.
        findings: Where problems are noted.
        gone: Called when a file went meanwhile.
    """

    def __init__(
        self,
        store: Store,
        schema: pl.Schema,
        judge: RowJudge,
        findings: Findings,
        gone: Callable[[Copy], None],
    ) -> None:
        self._store = store
        self._schema = schema
        self._judge = judge
        self._findings = findings
        self._gone = gone

    def read(self, copy: Copy, *, is_log: bool) -> Iterator[Batch]:
        """The rows of a file; what is wrong with single ones is noted.

        Args:
            copy: The file.
            is_log: Whether a change log has it: then each row says what it does.

        Raises:
            UnreadableError: If it cannot be decoded, which is noted too.
            StorageError: If the store failed and may not fail again.
        """
        start, wrong = 0, dict[str, tuple[int, str]]()
        for rows in self._decoded(copy):
            batch, faults = self._judge.judge(rows, start, is_log=is_log)
            self._count(rows, faults, wrong)
            yield batch
            start += rows.height
        self._findings.counts["rows"] += start
        for check, (count, example) in wrong.items():
            message = f"{count} rows {_SAID[check]}, among them {example}."
            self._note(copy, check, message)
        if start != copy.file.rows:
            message = f"The file has {start} rows, not {copy.file.rows}."
            self._note(copy, "row.count", message)

    def read_together(
        self, copies: Sequence[Copy], *, is_log: bool
    ) -> list[Batch] | None:
        """The rows of small files, read at once; None if anything is wrong with any."""
        try:
            with may_be_damaged():
                parts = collect_all(
                    self._store.scan([copy.path], self._schema) for copy in copies
                )
        except (NotFoundError, UnreadableError):
            return None  # each is read again, alone
        heights = [rows.height for rows in parts]
        batch, faults = self._judge.judge(pl.concat(parts), 0, is_log=is_log)
        if faults or heights != [copy.file.rows for copy in copies]:
            return None
        self._findings.counts["rows"] += sum(heights)
        return list(batch.cut(heights))

    def key_of(self, copy: Copy, first: int, second: int) -> str:
        """The key with that hash in a file, as text."""
        key = self._judge.key
        for rows in self._decoded(copy, key):
            lanes = key_lanes(rows, key)
            at = np.flatnonzero((lanes[0] == first) & (lanes[1] == second))
            if len(at):
                return key_text(rows.row(int(at[0])))
        return "?"

    def _decoded(
        self, copy: Copy, columns: list[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """The rows of a file, a few row groups at a time."""
        per_row = max(1, copy.file.size // max(1, copy.file.rows))
        groups = max(1, _READ_BYTES // (per_row * ROW_GROUP_ROWS))
        step, start = groups * ROW_GROUP_ROWS, 0
        while True:
            try:
                with may_be_damaged():
                    scan = self._store.scan([copy.path], self._schema)
                    lazy = scan if columns is None else scan.select(columns)
                    rows = collect(lazy.slice(start, step))
            except NotFoundError as error:
                self._gone(copy)
                raise UnreadableError(copy.path) from error
            except UnreadableError as error:
                cause = error.__cause__
                message = (
                    f"Its rows cannot be decoded: {type(cause).__name__}: {cause}."
                )
                self._note(copy, "file.unreadable", message)
                raise
            if rows.height:
                yield rows
            if rows.height < step:
                return
            start += step

    def _count(
        self, rows: pl.DataFrame, faults: Faults, wrong: dict[str, tuple[int, str]]
    ) -> None:
        """Count rows at fault; one of each kind is kept as an example."""
        for check, mask in faults.items():
            count, example = wrong.get(check, (0, ""))
            names = ["upload_id"] if check == "row.upload" else self._judge.key
            if not example:
                example = key_text(rows.filter(mask).select(names).row(0))
            wrong[check] = (count + int(mask.sum()), example)

    def _note(self, copy: Copy, check: str, message: str) -> None:
        self._findings.add(
            check,
            message,
            _HINT,
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )
