"""The rows of data files: every hash computed again from the logical values.

A live table and its change log have most files in common, byte for byte, so what
has one checksum is decoded once for both. Of large files a few row groups are
held at a time; small files are read together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.key_index import key_hashes
from lakehouse.errors import NotFoundError
from lakehouse.merging.rows import logical_columns
from lakehouse.model.contracts import Contract
from lakehouse.model.row_hash import NULL_AS_ZERO, Lanes, row_hash
from lakehouse.storage import Store, collect, collect_all
from lakehouse.storage.store import ROW_GROUP_ROWS
from lakehouse.verify.files import Copy
from lakehouse.verify.report import Report
from lakehouse.verify.spool import UnreadableError, may_be_corrupt
from lakehouse.verify.tables import Uploads

_READ_BYTES: Final = 32 * 1024**2  # of a file, decoded at a time
_HASHED_BYTES: Final = 32 * 1024**2  # of rows, hashed at a time
_OPS: Final = ("ADD", "MODIFY", "DELETE")
_HINT: Final = "Restore the file from a backup, or report how it came to be written."

_DESCRIPTIONS: Final = {
    "row.hash": "do not have the hash of their values",
    "row.upload": "name an upload that no ledger entry settled",
    "row.key": "have no key",
    "row.op": "say something else than ADD, MODIFY or DELETE",
}

FailedChecks = Mapping[str, pl.Series]
"""Check to a mask of the rows that fail it; checks that no row fails are left out."""


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
    """Whether the change is a DELETE; its values are then not hashed."""

    def cut(self, heights: Sequence[int]) -> Iterator["Batch"]:
        """The rows of several files that were read together, file by file."""
        names = [field.name for field in fields(self) if field.name != "start"]
        end = 0
        for height in heights:
            rows_of_file = slice(end, end + height)
            yield Batch(
                start=0, **{name: getattr(self, name)[rows_of_file] for name in names}
            )
            end += height


# ---------------------------------- CHECK ----------------------------------- #


class RowChecker:
    """Checks rows of one live table and its change log.

    Args:
        shape: The live table's contract.
        schema: The change log's, which has every column of either.
        uploads: Those that rows may name.
    """

    def __init__(self, shape: Contract, schema: pl.Schema, uploads: Uploads) -> None:
        self.key = list(shape.key)
        self._logical = list(logical_columns(shape, shape.extras(schema)))
        self._has_lists = any(
            isinstance(schema.get(name), pl.List) for name in self._logical
        )
        self._knows_uploads = uploads.are_all_known
        self._uploads = pl.DataFrame(
            list(uploads.versions.items()),
            schema={"upload_id": pl.String, "_version": pl.Int32},
            orient="row",
        )

    def check(
        self, rows: pl.DataFrame, start: int, *, is_log: bool
    ) -> tuple[Batch, FailedChecks]:
        """Hash the rows, and find which of them fail which check.

        Args:
            rows: With every column of the change log.
            start: The place of the first of them in their file.
            is_log: Whether a change log has them: then each says what it does.
        """
        deleted = (rows["op"] == "DELETE").fill_null(value=False)
        hashes = self._hashes(rows, deleted.to_numpy())
        # A DELETE has a key and no values, so it adds nothing to a fingerprint.
        hashes[deleted.to_numpy()] = 0
        versions = rows.select("upload_id").join(
            self._uploads, on="upload_id", how="left", maintain_order="left"
        )["_version"]
        first, second = key_hashes(rows, self.key)
        batch = Batch(
            start,
            first,
            second,
            hashes,
            versions.fill_null(-1).to_numpy().astype(np.int32),
            deleted.to_numpy(),
        )
        recorded, op = rows["row_hash"], rows["op"]
        is_right = (recorded == pl.Series(hashes)).fill_null(value=False)
        no_key = [rows[name].is_null() for name in self.key]
        failed = {
            "row.hash": ~(is_right | (deleted & recorded.is_null())),
            "row.upload": versions.is_null() & self._knows_uploads,
            "row.key": no_key[0] | no_key[-1],
            "row.op": self._is_odd(op, versions, is_log=is_log),
        }
        return batch, {check: mask for check, mask in failed.items() if mask.any()}

    def _hashes(
        self, rows: pl.DataFrame, deleted: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """What the rows' hashes should be, by the recipe that each was hashed with."""
        hashes = np.concatenate([row_hash(part, self._logical) for part in _cut(rows)])
        recorded = rows["row_hash"].fill_null(0).to_numpy()
        # Deletions record no hash.
        if ((recorded == hashes) | deleted).all() or not self._has_lists:
            return hashes
        # Lists with null elements had another hash before there was a release.
        early = [row_hash(part, self._logical, NULL_AS_ZERO) for part in _cut(rows)]
        was = np.concatenate(early)
        return np.where(recorded == was, was, hashes)

    @staticmethod
    def _is_odd(op: pl.Series, versions: pl.Series, *, is_log: bool) -> pl.Series:
        """Whether the `op` of each row is none that can be.

        Every row of a change log has one, but for those that a clone began with.
        """
        silent = op.is_null() & ((versions == 0).fill_null(value=False) | (not is_log))
        return ~(op.is_in(_OPS).fill_null(value=False) | silent)


def _cut(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows in pieces: hashing vectors takes many times their size."""
    per_row = max(1, int(rows.estimated_size()) // max(1, rows.height))
    step = max(1, _HASHED_BYTES // per_row)
    return (rows.slice(start, step) for start in range(0, rows.height, step))


def key_text(values: tuple[Any, ...]) -> str:
    """A key, or a part of a row, as people read it."""
    return " / ".join(map(str, values))


# ----------------------------------- READ ----------------------------------- #


class RowReader:
    """Reads the files of one live table and its change log.

    Args:
        store: Where they lie.
        schema: The change log's, which has every column of either.
        checker: Checks their rows.
        report: Where problems are noted.
        gone: Called when a file went meanwhile.
    """

    def __init__(
        self,
        store: Store,
        schema: pl.Schema,
        checker: RowChecker,
        report: Report,
        gone: Callable[[Copy], None],
    ) -> None:
        self._store = store
        self._schema = schema
        self._checker = checker
        self._report = report
        self._gone = gone

    def read(self, copy: Copy, *, is_log: bool) -> Iterator[Batch]:
        """The rows of a file; those that fail a check are reported.

        Args:
            copy: The file.
            is_log: Whether a change log has it: then each row says what it does.

        Raises:
            UnreadableError: If it cannot be decoded, which is reported too.
            StorageError: If the store failed and may not fail again.
        """
        start, failures = 0, dict[str, tuple[int, str]]()
        for rows in self._decoded(copy):
            batch, failed = self._checker.check(rows, start, is_log=is_log)
            self._count(rows, failed, failures)
            yield batch
            start += rows.height
        self._report.counts["rows"] += start
        for check, (count, example) in failures.items():
            message = f"{count} rows {_DESCRIPTIONS[check]}, among them {example}."
            self._note(copy, check, message)
        if start != copy.file.rows:
            message = f"The file has {start} rows, not {copy.file.rows}."
            self._note(copy, "row.count", message)

    def read_many(self, copies: Sequence[Copy], *, is_log: bool) -> list[Batch] | None:
        """The rows of small files, read at once; None if any of them has a problem."""
        try:
            with may_be_corrupt():
                parts = collect_all(
                    self._store.scan([copy.path], self._schema) for copy in copies
                )
        except (NotFoundError, UnreadableError):
            return None  # each is read again, alone
        heights = [rows.height for rows in parts]
        batch, failed = self._checker.check(pl.concat(parts), 0, is_log=is_log)
        if failed or heights != [copy.file.rows for copy in copies]:
            return None
        self._report.counts["rows"] += sum(heights)
        return list(batch.cut(heights))

    def key_of(self, copy: Copy, first: int, second: int) -> str:
        """The key with that hash in a file, as text."""
        key = self._checker.key
        for rows in self._decoded(copy, key):
            of_frame, of_key = key_hashes(rows, key)
            at = np.flatnonzero((of_frame == first) & (of_key == second))
            if len(at):
                return key_text(rows.row(int(at[0])))
        return "?"

    def _decoded(
        self, copy: Copy, columns: list[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """The rows of a file, a few row groups at a time."""
        # Whole row groups, since Parquet decodes nothing smaller.
        per_row = max(1, copy.file.size // max(1, copy.file.rows))
        groups = max(1, _READ_BYTES // (per_row * ROW_GROUP_ROWS))
        step, start = groups * ROW_GROUP_ROWS, 0
        while True:
            try:
                with may_be_corrupt():
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
            # A short slice is the last one: the height in the log is not trusted here.
            if rows.height < step:
                return
            start += step

    def _count(
        self,
        rows: pl.DataFrame,
        failed: FailedChecks,
        failures: dict[str, tuple[int, str]],
    ) -> None:
        """Count the rows that fail each check, and keep the key of one as an example."""
        for check, mask in failed.items():
            count, example = failures.get(check, (0, ""))
            names = ["upload_id"] if check == "row.upload" else self._checker.key
            if not example:
                example = key_text(rows.filter(mask).select(names).row(0))
            failures[check] = (count + int(mask.sum()), example)

    def _note(self, copy: Copy, check: str, message: str) -> None:
        self._report.add(
            check,
            message,
            _HINT,
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )
