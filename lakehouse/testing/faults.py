"""A store that fails on demand: before a call, after it, late, or by dying.

Calls are counted from 0. A lost answer is the worst a network does: the call is
applied, and the caller is told that it failed. A scan reads nothing yet, so it
may also fail late, when its rows are collected.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from lakehouse.errors import StorageError
from lakehouse.storage import Store, StoredFile, Written

Fault = Literal["before", "lost", "late", "kill_before", "kill_after"]
"""How the chosen call goes wrong; only scans fail late, other calls `before`."""

T = TypeVar("T")


class FaultyStore:
    """A store around another one, whose call number `at` fails.

    Args:
        store: The real store.
        at: The number of the call that fails, from 0; None for none.
        fault: How it fails.
    """

    def __init__(
        self, store: Store, at: int | None = None, fault: Fault = "before"
    ) -> None:
        self._store = store
        self._at = at
        self._fault = fault
        self.calls: list[str] = []
        """The calls so far, each as a verb and a path."""

    @property
    def root(self) -> str:
        """The wrapped store's root."""
        return self._store.root

    @property
    def storage_options(self) -> Mapping[str, str]:
        """The wrapped store's options."""
        return self._store.storage_options

    @property
    def at_once(self) -> int:
        """One: calls side by side would be numbered differently in every run."""
        return 1

    def _call(self, name: str, call: Callable[[], T]) -> T:
        fails = len(self.calls) == self._at
        self.calls.append(name)
        if not fails:
            return call()
        if self._fault == "kill_before":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "kill_after":
            try:
                call()
            finally:  # the call may raise too: nothing is at the path
                os.kill(os.getpid(), signal.SIGKILL)
        # The worst a network does: the call is applied, and its caller never knows.
        if self._fault == "lost":
            call()
        raise StorageError(
            f"Injected: call {self._at} ({name}), {self._fault}.",
            kind="store.injected",
            retryable=True,
        )

    def read(self, path: str) -> bytes:
        """As `Store.read`."""
        return self._call(f"read {path}", lambda: self._store.read(path))

    def exists(self, path: str) -> bool:
        """As `Store.exists`."""
        return self._call(f"exists {path}", lambda: self._store.exists(path))

    def put(self, path: str, data: bytes) -> None:
        """As `Store.put`."""
        self._call(f"put {path}", lambda: self._store.put(path, data))

    def put_new(self, path: str, data: bytes, *, durable: bool = False) -> bool:
        """As `Store.put_new`."""
        return self._call(
            f"put_new {path}", lambda: self._store.put_new(path, data, durable=durable)
        )

    def names(self, folder: str) -> list[str]:
        """As `Store.names`."""
        return self._call(f"names {folder}", lambda: self._store.names(folder))

    def files(self, folder: str) -> list[StoredFile]:
        """As `Store.files`."""
        return self._call(f"files {folder}", lambda: self._store.files(folder))

    def delete(self, path: str) -> None:
        """As `Store.delete`."""
        self._call(f"delete {path}", lambda: self._store.delete(path))

    def write_table(
        self, path: str, rows: pl.DataFrame, *, durable: bool = False
    ) -> Written:
        """As `Store.write_table`."""
        return self._call(
            f"write_table {path}",
            lambda: self._store.write_table(path, rows, durable=durable),
        )

    def checksum(self, path: str) -> Written:
        """As `Store.checksum`."""
        return self._call(f"checksum {path}", lambda: self._store.checksum(path))

    def share(self, source: str, target: str) -> None:
        """As `Store.share`."""
        self._call(f"share {source}", lambda: self._store.share(source, target))

    def scan(
        self,
        paths: Sequence[str],
        schema: pl.Schema | None = None,
        *,
        row_index: str | None = None,
    ) -> pl.LazyFrame:
        """As `Store.scan`."""
        fails_late = self._fault == "late" and len(self.calls) == self._at
        if not fails_late:
            return self._call(
                f"scan {paths[0]}",
                lambda: self._store.scan(paths, schema, row_index=row_index),
            )
        self.calls.append(f"scan {paths[0]}")
        rows = self._store.scan(paths, schema, row_index=row_index)
        return register_io_source(
            _broken, schema=rows.collect_schema(), validate_schema=True
        )

    def uri(self, path: str) -> str:
        """As `Store.uri`; not counted, since it touches nothing."""
        return self._store.uri(path)


def _broken(
    with_columns: list[str] | None,
    predicate: pl.Expr | None,
    n_rows: int | None,
    batch_size: int | None,
) -> Iterator[pl.DataFrame]:
    """Rows that never arrive, as when a network fails during a read."""
    del with_columns, predicate, n_rows, batch_size
    # Raised by the iterator, so when rows are collected and not before.
    return map(_lose_connection, [""])


def _lose_connection(_: str) -> pl.DataFrame:
    raise OSError("Injected: the connection was lost.")
