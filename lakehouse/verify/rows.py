"""The rows of data files: every hash computed again from the logical values.

A live table and its change log have most files in common, byte for byte, so what
has one checksum is decoded once for both. A few row groups are held at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.contracts import contract
from lakehouse.delta.key_index import key_lanes
from lakehouse.errors import StorageError
from lakehouse.merging.row_hash import Lanes, row_hash
from lakehouse.merging.rows import logical_columns
from lakehouse.storage import Store, collect
from lakehouse.storage.store import ROW_GROUP_ROWS
from lakehouse.verify.files import Copy
from lakehouse.verify.records import Uploads
from lakehouse.verify.report import Findings

__all__ = ["Batch", "RowReader", "UnreadableError"]

_READ_BYTES: Final = 32 * 1024**2
_HASHED_BYTES: Final = 32 * 1024**2
_OPS: Final = ("ADD", "MODIFY", "DELETE")
_BACKUP: Final = "Restore the file from a backup, or report how it came to be written."


class UnreadableError(Exception):
    """A file whose rows cannot be had."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, in its order."""

    start: int
    """The place of the first of them in the file."""
    first: Lanes
    second: Lanes
    """128 bits of hash of each key."""
    hashes: npt.NDArray[np.int64]
    """Of the rows' logical values, as computed here."""
    versions: npt.NDArray[np.int32]
    """Of the rows' uploads; -1 where there is no such upload."""
    deleted: npt.NDArray[np.bool_]
    """Whether the image says that the row goes."""


@dataclass(slots=True)
class _Faults:
    """Rows at fault in a file, by what is wrong, with an example."""

    counts: dict[str, tuple[int, str]] = field(
        default_factory=dict[str, tuple[int, str]]
    )

    def note(self, check: str, rows: pl.DataFrame, example: list[str]) -> None:
        if rows.height:
            count, known = self.counts.get(check, (0, ""))
            here = known or _text(rows.select(example).row(0))
            self.counts[check] = (count + rows.height, here)


class RowReader:
    """Reads the files of one live table and its change log.

    Args:
        store: Where they lie.
        table: The live table.
        schema: The change log's, which has every column of either.
        uploads: Those that rows may name.
        findings: Where problems are noted.
    """

    def __init__(
        self,
        store: Store,
        table: str,
        schema: pl.Schema,
        uploads: Uploads,
        findings: Findings,
    ) -> None:
        self._store = store
        self._schema = schema
        self._key = list(contract(table).key)
        shape = contract(table)
        self._logical = list(logical_columns(shape, shape.extras(schema)))
        self._findings = findings
        self._knows_uploads = uploads.are_all_known
        self._uploads = pl.DataFrame(
            list(uploads.versions.items()),
            schema={"upload_id": pl.String, "_version": pl.Int32},
            orient="row",
        )

    def read(self, copy: Copy, *, is_log: bool) -> Iterator[Batch]:
        """The rows of a file; what is wrong with single ones is noted.

        Args:
            copy: The file.
            is_log: Whether a change log has it: then each row says what it does.

        Raises:
            UnreadableError: If it cannot be decoded, which is noted too.
            StorageError: If the store failed and may not fail again.
        """
        faults, start = _Faults(), 0
        for rows in self._decoded(copy):
            yield self._batch(rows, start, faults, is_log=is_log)
            start += rows.height
        self._findings.counts["rows"] += start
        self._report(copy, faults, start)

    def key_of(self, copy: Copy, first: int, second: int) -> str:
        """The key with that hash in a file, as text."""
        for rows in self._decoded(copy, self._key):
            lanes = key_lanes(rows, self._key)
            at = np.flatnonzero((lanes[0] == first) & (lanes[1] == second))
            if len(at):
                return _text(rows.row(int(at[0])))
        return "?"

    # --------------------------------- READING ------------------------------ #

    def _decoded(
        self, copy: Copy, columns: list[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        per_row = max(1, copy.file.size // max(1, copy.file.rows))
        groups = max(1, _READ_BYTES // (per_row * ROW_GROUP_ROWS))
        step, start = groups * ROW_GROUP_ROWS, 0
        scan = self._store.scan([copy.path], self._schema)
        while True:
            try:
                lazy = scan if columns is None else scan.select(columns)
                rows = collect(lazy.slice(start, step))
            except StorageError as error:
                if error.retryable:
                    raise
                raise self._unreadable(copy, error) from error
            except (Exception, pl.exceptions.PanicException) as error:
                raise self._unreadable(copy, error) from error
            if rows.height:
                yield rows
            if rows.height < step:
                return
            start += step

    def _batch(
        self, rows: pl.DataFrame, start: int, faults: _Faults, *, is_log: bool
    ) -> Batch:
        deleted = (rows["op"] == "DELETE").fill_null(value=False).to_numpy()
        hashes = np.concatenate([_hashed(part, self._logical) for part in _cut(rows)])
        hashes[deleted] = 0
        told = rows.get_column("row_hash")
        same = (told == pl.Series(hashes)).fill_null(value=False).to_numpy()
        same |= deleted & told.is_null().to_numpy()
        versions = rows.select("upload_id").join(
            self._uploads, on="upload_id", how="left", maintain_order="left"
        )["_version"]
        is_key = rows.select(pl.all_horizontal(pl.col(self._key).is_not_null()))
        is_op = rows["op"].is_in(_OPS).fill_null(value=not is_log)
        faults.note("row.hash", rows.filter(pl.Series(~same)), self._key)
        if self._knows_uploads:
            faults.note("row.upload", rows.filter(versions.is_null()), ["upload_id"])
        faults.note("row.key", rows.filter(~is_key.to_series()), self._key)
        faults.note("row.op", rows.filter(~is_op), self._key)
        first, second = key_lanes(rows, self._key)
        return Batch(
            start,
            first,
            second,
            hashes,
            versions.fill_null(-1).to_numpy().astype(np.int32),
            deleted,
        )

    # -------------------------------- REPORTING ----------------------------- #

    def _unreadable(self, copy: Copy, error: BaseException) -> UnreadableError:
        self._note(
            copy,
            "file.unreadable",
            f"Its rows cannot be decoded: {type(error).__name__}: {error}.",
        )
        return UnreadableError(copy.path)

    def _report(self, copy: Copy, faults: _Faults, rows: int) -> None:
        said = {
            "row.hash": "do not have the hash of their values",
            "row.upload": "name an upload that no ledger entry settled",
            "row.key": "have no key",
            "row.op": "say something else than ADD, MODIFY or DELETE",
        }
        for check, (count, example) in faults.counts.items():
            self._note(
                copy, check, f"{count} rows {said[check]}, among them {example}."
            )
        if rows != copy.file.rows:
            message = f"The file has {rows} rows, not {copy.file.rows}."
            self._note(copy, "row.count", message)

    def _note(self, copy: Copy, check: str, message: str) -> None:
        self._findings.add(
            check,
            message,
            _BACKUP,
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )


def _cut(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows in pieces: hashing vectors takes many times their size."""
    per_row = max(1, int(rows.estimated_size()) // max(1, rows.height))
    step = max(1, _HASHED_BYTES // per_row)
    return (rows.slice(start, step) for start in range(0, rows.height, step))


def _hashed(rows: pl.DataFrame, columns: list[str]) -> npt.NDArray[np.int64]:
    return row_hash(rows, columns).to_numpy().copy()


def _text(values: tuple[Any, ...]) -> str:
    return " / ".join(map(str, values))
