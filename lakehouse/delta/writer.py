"""From changed rows to files: which are written, which rows of which die.

New rows, of new keys and old ones alike, become files of their own. The old
row of each changed key dies: a deletion vector says so in the log, and the file
stays as it is. Only a file of which a good part is dead is written again.
Nothing names a file until the ledger does.
"""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from lakehouse.delta.deletion_vectors import Positions, encode_vector
from lakehouse.delta.key_index import IndexCache, KeyIndex
from lakehouse.delta.log import (
    CHECKSUM,
    Action,
    data_file_name,
    milliseconds,
    remove_action,
    written_paths,
)
from lakehouse.delta.lookup import file_number, places_by_file
from lakehouse.delta.scan import scan_files
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.errors import StorageError
from lakehouse.model.contracts import Contract
from lakehouse.model.operations import OLD_AT
from lakehouse.storage import Store, Written, collect

_BOUND_CHARACTERS: Final = 64  # of a text: the statistics of every file lie in the log
_LAST_CHARACTER: Final = chr(0x10FFFF)


def add_action(
    path: str, written: Written, rows: pl.DataFrame, contract: Contract
) -> Action:
    """The action that adds a data file with these rows.

    Args:
        path: Relative to the table's folder.
        written: Its size and checksum.
        rows: What is in it.
        contract: The table's contract; columns of the key have bounds.
    """
    keys = {name: rows.get_column(name) for name in contract.key}
    stats: dict[str, Any] = {
        "numRecords": rows.height,
        "minValues": {name: _least(values.min()) for name, values in keys.items()},
        "maxValues": {name: _greatest(values.max()) for name, values in keys.items()},
        "nullCount": dict.fromkeys(contract.key, 0),
        "tightBounds": True,
    }
    return {
        "add": {
            "path": path,
            "partitionValues": {},
            "size": written.size,
            "modificationTime": milliseconds(datetime.now(UTC)),
            "dataChange": True,
            "stats": json.dumps(_without_nulls(stats), ensure_ascii=False),
            "tags": {CHECKSUM: written.checksum},
        }
    }


def _least(value: Any) -> Any:  # noqa: ANN401 - a bound of any type
    return value[:_BOUND_CHARACTERS] if isinstance(value, str) else _finite(value)


def _greatest(value: Any) -> Any:  # noqa: ANN401 - a bound of any type
    if isinstance(value, str) and len(value) > _BOUND_CHARACTERS:
        # Cut, it would be below the value; with the last character it is above.
        return value[:_BOUND_CHARACTERS] + _LAST_CHARACTER
    return _finite(value)


def _finite(value: Any) -> Any:  # noqa: ANN401 - a bound of any type
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _without_nulls(stats: dict[str, Any]) -> dict[str, Any]:
    for bound in ("minValues", "maxValues"):
        stats[bound] = {
            name: value for name, value in stats[bound].items() if value is not None
        }
    return stats


TARGET_ROWS: Final = 1_048_576
"""Rows of a data file at the most."""

TARGET_BYTES: Final = 512 * 1024**2
"""Bytes of a data file's rows in memory, at the most: what a rewrite needs."""

REWRITE_SHARE: Final = 0.5
"""The share of dead rows from which a file is written again, in place of a vector.

A vector costs the log up to a bit a row, in every later commit that touches the
file, and each scan the reading of dead rows; a rewrite costs one reading and
writing of the rest. With half of its rows dead, automatic compaction would rewrite
the file soon anyway, so it is rewritten at once and its rows are sorted in again.
"""

# Files of so many rows are indexed while their rows are in memory: a few milliseconds.
# Larger ones are when they are first asked for keys.
_INDEXED_ROWS: Final = 262_144


def is_worth_rewriting(file: DataFile, dead_rows: int) -> bool:
    """The cost rule: whether a file with so many dead rows is written again."""
    return dead_rows >= file.rows * REWRITE_SHARE


class TableWriter:
    """Writes the files of one table, and returns the actions that name them.

    Args:
        store: Where the table lies.
        path: Its folder.
        contract: Its columns.
        cache: Takes the key indexes of files that are written.
    """

    def __init__(
        self,
        store: Store,
        path: str,
        contract: Contract,
        cache: IndexCache,
    ) -> None:
        self._store = store
        self.path = path
        self._contract = contract
        self._cache = cache

    def append(self, rows: pl.DataFrame, *, indexed: bool = False) -> list[Action]:
        """Write rows as new files, sorted and cut.

        Args:
            rows: What is written.
            indexed: Whether large files get their key indexes at once, too.
        """
        ordered = sort_rows(rows, self._contract)
        step = file_rows(ordered)
        written: list[Action] = []
        try:
            for start in range(0, ordered.height, step):
                part = ordered.slice(start, step)
                written.append(self._write(part, indexed=indexed))
        except StorageError:
            # A full disk stays full while files lie there that nothing names.
            with suppress(StorageError):
                for path in written_paths(written):
                    self._store.delete(f"{self.path}/{path}")
            raise
        return written

    def share(self, source: str, adds: Sequence[Action]) -> list[Action]:
        """Have files of another table, and return the actions adding them.

        The bytes are not written again: a hard link, or a copy in the store.
        """
        for action in adds:
            name = action["add"]["path"]
            self._store.share(f"{source}/{name}", f"{self.path}/{name}")
        return [{"add": dict(action["add"])} for action in adds]

    def change(
        self, state: TableState, new_rows: pl.DataFrame, old_at: pl.Series, at: datetime
    ) -> tuple[list[Action], pl.DataFrame]:
        """Take old rows out, and return the new rows that are still to be appended.

        Args:
            state: The table that the changes are made on.
            new_rows: New rows with `_old_at`: those of a file that is written
                again go into it.
            old_at: Locations of all rows that go, replaced ones included.
            at: When files are removed.
        """
        files = list(state.files.values())
        actions: list[Action] = []
        for number, places in places_by_file(old_at).items():
            file = files[number]
            # Both are sorted: a stable sort merges two runs in one pass.
            dead = np.sort(np.concatenate([file.dead, places]), kind="stable")
            if len(dead) == file.rows:
                actions.append(remove_action(file.action, timestamp=at))
            elif is_worth_rewriting(file, len(dead)):
                inside = (file_number() == number).fill_null(value=False)
                replacing, new_rows = new_rows.filter(inside), new_rows.filter(~inside)
                actions.append(remove_action(file.action, timestamp=at))
                # Its live rows, and the new rows of its keys, become its successor.
                left = [with_dead(file, dead)]
                kept = collect(scan_files(self._store, self.path, left, state.schema))
                rows = pl.concat([replacing.drop(OLD_AT), kept], how="diagonal")
                actions += self.append(rows)
            else:
                after = with_dead(file, dead).action
                actions += [remove_action(file.action, timestamp=at), after]
        return actions, new_rows

    def _write(self, rows: pl.DataFrame, *, indexed: bool) -> Action:
        name = data_file_name()
        path = f"{self.path}/{name}"
        written = self._store.write_table(path, without_nulls(rows))
        if "row_hash" in rows.columns and (indexed or rows.height <= _INDEXED_ROWS):
            self._cache.put(path, KeyIndex.of(rows, self._contract.key))
        return add_action(name, written, rows, self._contract)


def with_dead(file: DataFile, dead: Positions) -> DataFile:
    """The same file with this deletion vector."""
    add = dict(file.action["add"])
    add["deletionVector"] = encode_vector(dead)
    # The bounds may be of rows that are dead now; the text is kept otherwise, for the
    # number of rows in it counts dead ones too.
    add["stats"] = add["stats"].replace('"tightBounds": true', '"tightBounds": false')
    return replace(file, dead_rows=len(dead), action={"add": add})


def file_rows(rows: pl.DataFrame) -> int:
    """How many of these rows go into one file."""
    fitting = int(TARGET_BYTES * rows.height // max(1, rows.estimated_size()))
    return max(1, min(TARGET_ROWS, fitting))


def without_nulls(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that have a value: readers give null for one that a file lacks."""
    return rows[[one.name for one in rows if one.null_count() < rows.height]]


def sort_rows(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The rows in the table's order; as they are when they are in it already."""
    order = [name for name in contract.sort if name in rows.columns]
    if rows.height < 2 or _is_sorted(rows, order):  # noqa: PLR2004 - one is sorted
        return rows
    ordered = rows.sort(order, nulls_last=False)
    # The flag answers every later question whether they are sorted.
    return ordered.with_columns(pl.col(order[0]).set_sorted())


def _is_sorted(rows: pl.DataFrame, order: list[str]) -> bool:
    first = rows.get_column(order[0])
    if not first.is_sorted():
        return False
    if len(order) == 1:
        return True
    rest = rows.get_column(order[1])
    falls = (rest < rest.shift(1)) & (first == first.shift(1))
    return len(order) == 2 and not falls.any()  # noqa: PLR2004 - keys have one or two
