"""Rows judged: their keys, versions and hashes, computed anew, and what is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.contracts import Contract
from lakehouse.delta.key_index import key_lanes
from lakehouse.merging.row_hash import Lanes, row_hash
from lakehouse.merging.rows import logical_columns
from lakehouse.verify.records import Uploads

__all__ = ["Batch", "Faults", "RowJudge", "key_text"]

_HASHED_BYTES: Final = 32 * 1024**2
_OPS: Final = ("ADD", "MODIFY", "DELETE")

Faults = Mapping[str, pl.Series]
"""Check to whether each row fails it; checks that none fails are left out."""


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

    def cut(self, heights: Sequence[int]) -> Iterator["Batch"]:
        """The rows of several files that were read together, file by file."""
        names = [field.name for field in fields(self) if field.name != "start"]
        end = 0
        for height in heights:
            mine = slice(end, end + height)
            yield Batch(start=0, **{name: getattr(self, name)[mine] for name in names})
            end += height


class RowJudge:
    """Judges rows of one live table and its change log.

    Args:
        shape: The live table's contract.
        schema: The change log's, which has every column of either.
        uploads: Those that rows may name.
    """

    def __init__(self, shape: Contract, schema: pl.Schema, uploads: Uploads) -> None:
        self.key = list(shape.key)
        self._logical = list(logical_columns(shape, shape.extras(schema)))
        self._knows_uploads = uploads.are_all_known
        self._uploads = pl.DataFrame(
            list(uploads.versions.items()),
            schema={"upload_id": pl.String, "_version": pl.Int32},
            orient="row",
        )

    def judge(
        self, rows: pl.DataFrame, start: int, *, is_log: bool
    ) -> tuple[Batch, Faults]:
        """What rows are, and what is wrong with which of them.

        Args:
            rows: With every column of the change log.
            start: The place of the first of them in their file.
            is_log: Whether a change log has them: then each says what it does.
        """
        deleted = (rows["op"] == "DELETE").fill_null(value=False)
        hashes = np.concatenate([row_hash(part, self._logical) for part in _cut(rows)])
        hashes[deleted.to_numpy()] = 0
        versions = rows.select("upload_id").join(
            self._uploads, on="upload_id", how="left", maintain_order="left"
        )["_version"]
        first, second = key_lanes(rows, self.key)
        batch = Batch(
            start,
            first,
            second,
            hashes,
            versions.fill_null(-1).to_numpy().astype(np.int32),
            deleted.to_numpy(),
        )
        told, op = rows["row_hash"], rows["op"]
        is_right = (told == pl.Series(hashes)).fill_null(value=False)
        no_key = [rows[name].is_null() for name in self.key]
        faults = {
            "row.hash": ~(is_right | (deleted & told.is_null())),
            "row.upload": versions.is_null() & self._knows_uploads,
            "row.key": no_key[0] | no_key[-1],
            "row.op": self._is_odd(op, versions, is_log=is_log),
        }
        return batch, {check: mask for check, mask in faults.items() if mask.any()}

    @staticmethod
    def _is_odd(op: pl.Series, versions: pl.Series, *, is_log: bool) -> pl.Series:
        """Whether each row says something else than what can be done to a row.

        Rows of a log say something, but for those that a clone began with.
        """
        silent = op.is_null() & ((versions == 0).fill_null(value=False) | (not is_log))
        return ~(op.is_in(_OPS).fill_null(value=False) | silent)


def key_text(values: tuple[Any, ...]) -> str:
    """A key, or a part of a row, as people read it."""
    return " / ".join(map(str, values))


def _cut(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows in pieces: hashing vectors takes many times their size."""
    per_row = max(1, int(rows.estimated_size()) // max(1, rows.height))
    step = max(1, _HASHED_BYTES // per_row)
    return (rows.slice(start, step) for start in range(0, rows.height, step))
