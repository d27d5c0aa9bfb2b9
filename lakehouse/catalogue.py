"""Small tables that stand alone: projects, and each project's registry.

Such a table has no ledger: its own Delta log is the ledger. A change reads the
newest version, computes all rows anew, writes them as one file, and puts the
next commit if absent; whoever loses reads again and recomputes, so a uniqueness
check inside the change holds.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.contracts import Kind, contract
from lakehouse.delta.actions import Action, remove_action
from lakehouse.delta.index_cache import IndexCache
from lakehouse.delta.plan import TableWriter
from lakehouse.delta.table_state import TableState
from lakehouse.errors import ConflictError
from lakehouse.own_log import MOST_RACES, OwnLog
from lakehouse.storage import Store, collect

__all__ = ["SingleTable", "register"]


class SingleTable:
    """A table of a few rows, changed by compare-and-swap on its own log."""

    def __init__(self, store: Store, path: str, contract_name: str) -> None:
        self._store = store
        self._path = path
        self._contract = contract(contract_name)
        self._log = OwnLog(store, path, self._contract)
        self._writer = TableWriter(
            store, path, self._contract, IndexCache(), durable=True
        )
        self._read: tuple[TableState | None, pl.DataFrame] = (
            None,
            pl.DataFrame(schema=self._contract.schema()),
        )

    def rows(self) -> pl.DataFrame:
        """All rows of the newest version; none where the table is not there yet."""
        return self._newest()[1]

    def update(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        """Replace the rows by `change(rows)`, once, and return them.

        `change` may run several times, each time with rows read afresh; what
        it raises ends the update with nothing written.

        Raises:
            ConflictError: If others were always first.
        """
        for _ in range(MOST_RACES):
            state, before = self._newest()
            after = change(before).select(
                pl.col(name).cast(dtype)
                for name, dtype in self._contract.schema().items()
            )
            if after.equals(before):
                return before
            if self._commit(state, after):
                return self.rows()
        raise ConflictError(
            f"{self._path} was changed by others {MOST_RACES} times in a row. Try again."
        )

    def _newest(self) -> tuple[TableState | None, pl.DataFrame]:
        """The newest state, and its rows."""
        state = self._log.newest()
        if state is None or state is self._read[0]:
            return self._read
        paths = [f"{self._path}/{path}" for path in state.files]
        schema = self._contract.schema()
        rows = (
            collect(self._store.scan(paths, schema=schema).select(schema.names()))
            if paths
            else pl.DataFrame(schema=schema)
        )
        self._read = state, rows
        return self._read

    def _commit(self, state: TableState | None, rows: pl.DataFrame) -> bool:
        now = datetime.now(UTC)
        old = () if state is None else state.files.values()
        actions: list[Action] = [
            remove_action(file.action, timestamp=now) for file in old
        ]
        if rows.height:
            actions += self._writer.append(rows)
        return self._log.commit(state, actions, operation="lakehouse catalogue")


def register(
    registry: SingleTable,
    name: str,
    kind: Kind,
    *,
    mode: str,
    metadata: Mapping[str, Any] | None,
    dataset: str | None = None,
    awaits: Sequence[str] = (),
) -> None:
    """Make a collection visible, unless it is already.

    Args:
        registry: The project's.
        name: A dataset's name; of an inference set `<dataset>/<name>`.
        kind: What it is.
        mode: STREAMING or BATCH.
        metadata: Anything JSON can hold.
        dataset: The dataset that an inference set belongs to.
        awaits: The uploads that an inference set's pin waits for.
    """
    row: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "dataset": dataset,
        "mode": mode,
        "metadata": json.dumps(dict(metadata or {})),
        "awaits": json.dumps(list(awaits)) if awaits else None,
        "archived": False,
        "created_at": datetime.now(UTC),
    }

    def add(rows: pl.DataFrame) -> pl.DataFrame:
        if rows.filter(name=name).height:
            return rows
        full = {column: row.get(column) for column in rows.columns}
        return pl.concat([rows, pl.DataFrame([full], schema=rows.schema)])

    registry.update(add)
