"""Where the elements of all segments of a project lie: one table, `segment_elements`.

A data file holds elements of one segment. A change writes the elements that it
adds or changes as one small file, and marks the rows they replace dead in the
log, so it costs what it changes and not what the segment holds. Once a segment
has many small files they are joined, behind the change.
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
from lakehouse.ledger.single_table import MOST_RACES, OwnLog
from lakehouse.model.contracts import contract
from lakehouse.model.operations import OLD_AT
from lakehouse.storage import Store, collect, collect_all

MOST_FILES: Final = 16
"""Small files of a segment that are let be."""

SMALL_ROWS: Final = 65_536
"""A file with fewer living rows is small."""

_FILE_SHIFT: Final = 32


class Change(NamedTuple):
    """What becomes of a segment's elements; a key is in one of the two at most."""

    put: pl.DataFrame
    """Full rows, new or in place of those with their keys."""
    gone: pl.DataFrame
    """The keys of rows that go."""


class ElementTable:
    """The elements of the segments of one project."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = path
        self._contract = contract("segment_elements")
        self._log = OwnLog(store, path, self._contract)
        self._writer = TableWriter(
            store, path, self._contract, IndexCache(), durable=True
        )
        self._read: tuple[object, pl.DataFrame] | None = None

    def rows(self, segment: str) -> pl.DataFrame:
        """The elements of a segment, sorted by key."""
        rows = self._located(self._log.newest(), segment)
        return rows.drop(OLD_AT).sort(self._contract.sort)

    def places(self) -> pl.DataFrame:
        """Which datasets each segment has elements of: `segment`, `dataset`."""
        columns = ["segment", "dataset"]
        state = self._log.newest()
        if state is None or not state.files:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        parts = [
            self._living(number, file, state).select(columns).unique()
            for number, file in enumerate(state.files.values())
        ]
        return collect(pl.concat(parts).unique())

    def update(self, segment: str, change: Callable[[pl.DataFrame], Change]) -> Change:
        """Change the elements of a segment, once, and return what was changed.

        `change` may run several times, each time with the segment's rows read
        afresh; what it raises ends the update with nothing written.

        Raises:
            ConflictError: If others were always first.
        """
        for _ in range(MOST_RACES):
            state = self._log.newest()
            rows = self._located(state, segment)
            made = change(rows.drop(OLD_AT))
            if not made.put.height and not made.gone.height:
                return made
            if self._commit(state, rows, made):
                self._join(segment)
                return made
        raise ConflictError(
            f"{self._path} was changed by others {MOST_RACES} times in a row. Try again."
        )

    def _commit(
        self, state: TableState | None, rows: pl.DataFrame, made: Change
    ) -> bool:
        key = list(self._contract.key)
        schema = self._contract.schema()
        put = made.put.select(pl.col(name).cast(kind) for name, kind in schema.items())
        going = pl.concat([put.select(key), made.gone.select(key)])
        old = rows.select(*key, OLD_AT).join(going, on=key, how="semi")
        images = put.join(old, on=key, how="left")
        actions: list[Action] = []
        if state is not None and old.height:
            actions, images = self._writer.change(
                state, images, old.get_column(OLD_AT), datetime.now(UTC)
            )
        actions += self._writer.append(images.drop(OLD_AT))
        return self._log.commit(state, actions, operation="lakehouse segment")

    def _join(self, segment: str) -> None:
        """Write small files as one when there are many; whoever loses lets it be."""
        state = self._log.newest()
        small = [
            (number, file)
            for number, file in self._files(state, segment)
            if file.live_rows < SMALL_ROWS
        ]
        if state is None or len(small) <= MOST_FILES:
            return
        rows = pl.concat(
            collect_all([self._living(number, file, state) for number, file in small])
        )
        now = datetime.now(UTC)
        adds = self._writer.append(rows.drop(OLD_AT))
        for add in adds:
            add["add"]["dataChange"] = False
        removes = [
            remove_action(file.action, timestamp=now, data_change=False)
            for _, file in small
        ]
        self._log.commit(state, [*removes, *adds], operation="lakehouse maintenance")

    # -------------------------------- READING ------------------------------- #

    def _located(self, state: TableState | None, segment: str) -> pl.DataFrame:
        """The elements of a segment, and where each row lies."""
        files = self._files(state, segment)
        if state is None or not files:
            empty = pl.DataFrame(schema=self._contract.schema())
            return empty.with_columns(pl.lit(None, dtype=pl.Int64).alias(OLD_AT))
        known = segment, [(number, file.identity) for number, file in files]
        if self._read is None or self._read[0] != known:
            parts = [self._living(number, file, state) for number, file in files]
            self._read = known, pl.concat(collect_all(parts))
        return self._read[1]

    @staticmethod
    def _files(state: TableState | None, segment: str) -> list[tuple[int, DataFile]]:
        """The files of a segment, with their numbers in the state."""
        if state is None:
            return []
        files = enumerate(state.files.values())
        return [(number, file) for number, file in files if file.min_key == segment]

    def _living(self, number: int, file: DataFile, state: TableState) -> pl.LazyFrame:
        """The living rows of a file, and where each lies."""
        path = f"{self._path}/{file.path}"
        rows = self._store.scan([path], state.schema, row_index=PLACE)
        if file.dead_rows:
            dead = pl.Series(file.dead, dtype=pl.get_index_type())
            rows = rows.filter(~pl.col(PLACE).is_in(dead.implode()))
        at = pl.col(PLACE).cast(pl.Int64) + (number << _FILE_SHIFT)
        return rows.with_columns(at.alias(OLD_AT)).drop(PLACE)
