"""Single tables: small tables without a ledger, such as projects and registries.

The Delta log of such a table is its ledger. A change reads the newest version,
computes all rows again, writes them as one file, and puts the next commit if
absent; who loses reads and computes again, so a uniqueness check inside the change
holds. It is not the loop of `lakehouse.transactions.commit`: there is one table,
so there is nothing to publish, and a retry costs too little to ask for turns.
"""

import difflib
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from lakehouse.delta.create import creation_actions
from lakehouse.delta.key_index import IndexCache
from lakehouse.delta.log import (
    Action,
    commit_info,
    commit_line,
    committed_at,
    read_commit,
    remove_action,
    write_checkpoint,
    written_paths,
)
from lakehouse.delta.table_state import CHECKPOINT_INTERVAL, TableState, load_state
from lakehouse.delta.writer import TableWriter
from lakehouse.errors import ConflictError, NotFoundError
from lakehouse.ledger.ledger import log_path
from lakehouse.model.contracts import Contract, Kind, contract
from lakehouse.storage import Store, StoredFile, collect
from lakehouse.storage.conditional import newest_number, put_once

_log = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 64
"""So often a change is computed before it gives up; each attempt reads a few rows."""

_SLOWEST_COMMIT: Final = timedelta(days=3)
"""A commit that comes later after its state was read counts as lost.

Garbage collection keeps unnamed files for its grace time only (a week by default),
so a writer that slept through it might name files that are gone. In a ledger such a
writer loses to the `collect` entry; a single table has none.
"""

_TEMPORARY: Final = ".tmp-"


class SingleTableLog:
    """The log of one table, read and written by compare-and-swap."""

    def __init__(self, store: Store, path: str, contract: Contract) -> None:
        self._store = store
        self._path = path
        self._contract = contract
        self._state: TableState | None = None
        self._looked_at = datetime.now(UTC)

    def newest(self) -> TableState | None:
        """The newest state; None where the table is not there yet."""
        # Before the look: the state may be older than this moment, and never newer.
        self._looked_at = datetime.now(UTC)
        known = -1 if self._state is None else self._state.version
        head = newest_number(self._exists, known)
        if head > known:
            self._state = self._state_at(head)
        return self._state

    def commit(
        self, base: TableState | None, actions: Sequence[Action], *, operation: str
    ) -> bool:
        """Put the commit that follows `base`; False if another writer's is there.

        Files that a lost commit brought are deleted: nothing names them.

        Args:
            base: The state that the actions were made on; None to create the table.
            actions: What changes.
            operation: The name of the change in the table's history.

        Raises:
            StorageError: If the store would not say; the commit may have landed.
        """
        if datetime.now(UTC) - self._looked_at > _SLOWEST_COMMIT:
            self._remove(actions)
            return False
        version = 0 if base is None else base.version + 1
        info = commit_info(
            timestamp=datetime.now(UTC), operation=operation, commit_id=uuid.uuid4().hex
        )
        # Creation and first rows are one commit, so no reader sees half a table.
        first = creation_actions(self._path, self._contract) if base is None else []
        line = commit_line([info, *first, *actions])
        # THE DECISION, as in a ledger: one put of this number wins. The commit id makes
        # the bytes unique, so a writer whose answer was lost finds out by reading.
        files = [f"{self._path}/{path}" for path in written_paths(actions)]
        path = log_path(self._path, version)
        if put_once(self._store, path, line, durable=True, after=files):
            self._checkpoint(version)
            return True
        self._remove(actions)
        return False

    def garbage(
        self, *, retention: timedelta, grace: timedelta, now: datetime
    ) -> list[StoredFile]:
        """The data files that nothing names, and what dead writers left, by path.

        Args:
            retention: How long files are kept that the newest state does not name.
            grace: Younger files are kept.
            now: The moment to judge by.
        """
        # Listed before the state is read: a file that is written and named in between
        # is no candidate.
        start = f"{self._path}/"
        listed = [
            (file.path.removeprefix(start), file)
            for file in self._store.files(self._path)
            if file.modified < now - grace
        ]
        state = self.newest()
        if state is None:
            return []
        named = self._named_since(state, now - retention)
        return [
            file
            for name, file in listed
            # What is in a folder below belongs to another table, or to the log.
            if "/" not in name
            and (
                name.startswith(_TEMPORARY)
                or (name.endswith(".parquet") and name not in named)
            )
        ]

    def _named_since(self, state: TableState, since: datetime) -> set[str]:
        """The files of every state that was the newest at or after a moment."""
        named = set(state.files)
        for version in range(state.version, -1, -1):
            actions = read_commit(self._store.read(log_path(self._path, version)))
            if committed_at(actions) <= since:
                break
            # Until this commit, the state before it was the newest.
            named |= {
                action["remove"]["path"] for action in actions if "remove" in action
            }
        return named

    def _remove(self, actions: Sequence[Action]) -> None:
        for path in written_paths(actions):
            self._store.delete(f"{self._path}/{path}")

    def _state_at(self, head: int) -> TableState:
        state = self._state
        if state is None or head - state.version > CHECKPOINT_INTERVAL:
            return load_state(self._store, self._path, head)
        for version in range(state.version + 1, head + 1):
            data = self._store.read(log_path(self._path, version))
            state = state.apply(read_commit(data), version)
        return state

    def _exists(self, version: int) -> bool:
        return self._store.exists(log_path(self._path, version))

    def _checkpoint(self, version: int) -> None:
        if not version or version % CHECKPOINT_INTERVAL:
            return
        # In the foreground: such tables change rarely, and one in many changes comes here.
        try:
            write_checkpoint(self._store, self._path, version)
        except Exception:  # noqa: BLE001 - a checkpoint may fail; the log stays right
            _log.warning(
                "no checkpoint of %s at %s", self._path, version, exc_info=True
            )


class SingleTable:
    """A table of a few rows, changed by compare-and-swap on its own log."""

    def __init__(self, store: Store, path: str, contract_name: str) -> None:
        self._store = store
        self._path = path
        self._contract = contract(contract_name)
        self._log = SingleTableLog(store, path, self._contract)
        self._writer = TableWriter(store, path, self._contract, IndexCache())
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
        for _ in range(MOST_ATTEMPTS):
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
            f"{self._path} was changed by others {MOST_ATTEMPTS} times in a row. Try again."
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
    """Add a collection to its registry, unless it is there: from then on it is listed.

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


def pick(rows: pl.DataFrame, what: str, name: str) -> dict[str, Any]:
    """The row of that name.

    Raises:
        NotFoundError: If there is none; the nearest name is suggested.
    """
    names = rows.get_column("name").to_list()
    if name in names:
        return rows.row(names.index(name), named=True)
    near = difflib.get_close_matches(name, names, n=1)
    known = f"Did you mean {near[0]!r}?" if near else f"There are: {sorted(names)}."
    raise NotFoundError(f"There is no {what} {name!r}. {known}", kind=f"{what}.unknown")


def changed_row(
    rows: pl.DataFrame,
    what: str,
    name: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> pl.DataFrame:
    """The rows with the fields that `change` returns replaced in the row `name`."""
    old = pick(rows, what, name)
    new = pl.DataFrame([old | change(old)], schema=rows.schema)
    return pl.concat([rows.filter(pl.col("name") != name), new])
