"""Small tables that stand alone: projects, and each project's registry.

Such a table has no ledger: its own Delta log is the ledger. A change reads the
newest version, computes all rows anew, writes them as one file, and puts the
next commit if absent; whoever loses reads again and recomputes, so a uniqueness
check inside the change holds.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from lakehouse.contracts import Kind, contract
from lakehouse.decision import put_once
from lakehouse.delta.actions import Action, commit_info, commit_line, remove_action
from lakehouse.delta.create import creation_actions
from lakehouse.delta.index_cache import IndexCache
from lakehouse.delta.plan import TableWriter
from lakehouse.delta.table_state import TableState, load_state
from lakehouse.errors import ConflictError
from lakehouse.ledger import log_path
from lakehouse.storage import Store, collect

__all__ = ["SingleTable", "register"]

_MOST_RACES: Final = 64


class SingleTable:
    """A table of a few rows, changed by compare-and-swap on its own log."""

    def __init__(self, store: Store, path: str, contract_name: str) -> None:
        self._store = store
        self._path = path
        self._contract = contract(contract_name)
        self._state: TableState | None = None
        self._rows = pl.DataFrame(schema=self._contract.schema())

    def rows(self) -> pl.DataFrame:
        """All rows of the newest version; none where the table is not there yet."""
        self._refresh()
        return self._rows

    def update(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        """Replace the rows by `change(rows)`, once, and return them.

        `change` may run several times, each time with rows read afresh; what
        it raises ends the update with nothing written.

        Raises:
            ConflictError: If others were always first.
        """
        for _ in range(_MOST_RACES):
            self._refresh()
            before = self._rows
            after = change(before).select(
                pl.col(name).cast(dtype)
                for name, dtype in self._contract.schema().items()
            )
            if after.equals(before):
                return before
            if self._commit(after):
                self._refresh()
                return self._rows
        raise ConflictError(
            f"{self._path} was changed by others {_MOST_RACES} times in a row. Try again."
        )

    def _refresh(self) -> None:
        version = -1 if self._state is None else self._state.version
        newest = version
        while self._store.exists(log_path(self._path, newest + 1)):
            newest += 1
        if newest == version:
            return
        self._state = load_state(self._store, self._path, newest)
        paths = [f"{self._path}/{path}" for path in self._state.files]
        schema = self._contract.schema()
        self._rows = (
            collect(self._store.scan(paths, schema=schema).select(schema.names()))
            if paths
            else pl.DataFrame(schema=schema)
        )

    def _commit(self, rows: pl.DataFrame) -> bool:
        now = datetime.now(UTC)
        info = commit_info(
            timestamp=now, operation="lakehouse catalogue", commit_id=uuid.uuid4().hex
        )
        version = 0 if self._state is None else self._state.version + 1
        old = () if self._state is None else self._state.files.values()
        actions: list[Action] = [info]
        if self._state is None:
            actions += creation_actions(self._path, self._contract)
        actions += [remove_action(file.action, timestamp=now) for file in old]
        if rows.height:
            writer = TableWriter(self._store, self._path, self._contract, IndexCache())
            actions += writer.append(rows)
        path = log_path(self._path, version)
        return put_once(self._store, path, commit_line(actions), durable=True)


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
