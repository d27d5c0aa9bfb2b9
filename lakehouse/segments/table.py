"""The table `segment_elements`: the elements of all segments of a project.

A data file holds elements of one segment. A change writes the elements that it
adds or changes as one small file, and marks the rows they replace dead by
deletion vectors, so it costs what it changes and not what the segment holds.
Once a segment has many small files, the change joins them afterwards.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import polars as pl

from lakehouse.delta.key_index import IndexCache
from lakehouse.delta.log import Action, remove_action
from lakehouse.delta.scan import PLACE
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.delta.writer import TableWriter
from lakehouse.errors import ConflictError
from lakehouse.ledger.single_table import MOST_ATTEMPTS, SingleTableLog
from lakehouse.model.contracts import contract
from lakehouse.model.operations import OLD_AT
from lakehouse.storage import Store, collect, collect_all

KEY: Final = ("dataset", "inference_set", "frame_id", "label_id")
"""The columns that identify an element of one segment."""

MOST_FILES: Final = 16
"""Small files of a segment; one more, and a change joins them."""

SMALL_ROWS: Final = 65_536
"""A file with fewer live rows is small."""

_FILE_SHIFT: Final = 32
"""A row's place is the number of its file, shifted by this, plus its row there."""


class Change(NamedTuple):
    """A change of a segment's elements; a key is in one of the two tables at most."""

    put: pl.DataFrame
    """Full rows, new or in place of those with the same keys."""
    gone: pl.DataFrame
    """The keys of rows that are removed."""


class ElementTable:
    """The elements of the segments of one project."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = path
        self._contract = contract("segment_elements")
        self._log = SingleTableLog(store, path, self._contract)
        self._writer = TableWriter(store, path, self._contract, IndexCache())
        self._cached: tuple[object, pl.DataFrame] | None = None

    def rows(self, segment: str) -> pl.DataFrame:
        """The elements of a segment, sorted by key."""
        rows = self._located(self._log.newest(), segment)
        return rows.drop(OLD_AT).sort(self._contract.sort)

    def places(self) -> pl.DataFrame:
        """The datasets that each segment has elements of: `segment`, `dataset`."""
        columns = ["segment", "dataset"]
        state = self._log.newest()
        if state is None or not state.files:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        parts = [
            self._live_rows(number, file, state).select(columns).unique()
            for number, file in enumerate(state.files.values())
        ]
        return collect(pl.concat(parts).unique())

    def update(self, segment: str, change: Callable[[pl.DataFrame], Change]) -> Change:
        """Change the elements of a segment once, and return the change.

        `change` may run several times, each time with the segment's rows read
        afresh; what it raises ends the update with nothing written.

        Raises:
            ConflictError: If other writers were always first.
        """
        for _ in range(MOST_ATTEMPTS):
            state = self._log.newest()
            rows = self._located(state, segment)
            # Computed from the state that is replaced: if another writer commits first, the
            # commit below fails, and everything is read again.
            changed = change(rows.drop(OLD_AT))
            if not changed.put.height and not changed.gone.height:
                return changed
            if self._commit(state, rows, changed):
                self._join(segment)
                return changed
        raise ConflictError(
            f"{self._path} was changed by others {MOST_ATTEMPTS} times in a row. Try again."
        )

    def _commit(
        self, state: TableState | None, rows: pl.DataFrame, change: Change
    ) -> bool:
        """Write one small file and the deletion vectors; False if another writer won."""
        key = list(self._contract.key)
        schema = self._contract.schema()
        put = change.put.select(
            pl.col(name).cast(kind) for name, kind in schema.items()
        )
        replaced = pl.concat([put.select(key), change.gone.select(key)])
        old = rows.select(*key, OLD_AT).join(replaced, on=key, how="semi")
        # A row that replaces none has no old place: null.
        new_rows = put.join(old, on=key, how="left")
        actions: list[Action] = []
        if state is not None and old.height:
            actions, new_rows = self._writer.change(
                state, new_rows, old.get_column(OLD_AT), datetime.now(UTC)
            )
        actions += self._writer.append(new_rows.drop(OLD_AT))
        return self._log.commit(state, actions, operation="lakehouse segment")

    def _join(self, segment: str) -> None:
        """Write small files as one when there are many.

        A writer that loses this race does not try again: the next change joins them.
        """
        state = self._log.newest()
        small = [
            (number, file)
            for number, file in self._files(state, segment)
            if file.live_rows < SMALL_ROWS
        ]
        # Reading a segment opens each of its files, so their number is bounded.
        if state is None or len(small) <= MOST_FILES:
            return
        rows = pl.concat(
            collect_all(
                [self._live_rows(number, file, state) for number, file in small]
            )
        )
        now = datetime.now(UTC)
        adds = self._writer.append(rows.drop(OLD_AT))
        # The rows stay the same, so readers of changes need not read them again.
        for add in adds:
            add["add"]["dataChange"] = False
        removes = [
            remove_action(file.action, timestamp=now, data_change=False)
            for _, file in small
        ]
        self._log.commit(state, [*removes, *adds], operation="lakehouse maintenance")

    # -------------------------------- READING ------------------------------- #

    def _located(self, state: TableState | None, segment: str) -> pl.DataFrame:
        """The elements of a segment, and the place of each row."""
        files = self._files(state, segment)
        if state is None or not files:
            empty = pl.DataFrame(schema=self._contract.schema())
            return empty.with_columns(pl.lit(None, dtype=pl.Int64).alias(OLD_AT))
        # The rows read last are kept: most calls on a segment read the same files. The
        # numbers belong to the key, because the places of rows hold them.
        key = segment, [(number, file.identity) for number, file in files]
        if self._cached is None or self._cached[0] != key:
            parts = [self._live_rows(number, file, state) for number, file in files]
            self._cached = key, pl.concat(collect_all(parts))
        return self._cached[1]

    @staticmethod
    def _files(state: TableState | None, segment: str) -> list[tuple[int, DataFile]]:
        """The files of a segment, with their numbers in the state.

        A file holds rows of one segment, so the least key in the statistics names it.
        """
        if state is None:
            return []
        files = enumerate(state.files.values())
        return [(number, file) for number, file in files if file.min_key == segment]

    def _live_rows(
        self, number: int, file: DataFile, state: TableState
    ) -> pl.LazyFrame:
        """The live rows of a file, and the place of each."""
        path = f"{self._path}/{file.path}"
        # Numbered before dead rows are left out: vectors count rows of the whole file.
        rows = self._store.scan([path], state.schema, row_index=PLACE)
        if file.dead_rows:
            dead = pl.Series(file.dead, dtype=pl.get_index_type())
            rows = rows.filter(~pl.col(PLACE).is_in(dead.implode()))
        at = pl.col(PLACE).cast(pl.Int64) + (number << _FILE_SHIFT)
        return rows.with_columns(at.alias(OLD_AT)).drop(PLACE)
