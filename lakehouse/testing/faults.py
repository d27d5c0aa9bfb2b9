"""Stores that fail on demand: before a call, after it, late, for good, or by dying.

Calls are counted from 0. A lost answer is the worst a network does: the call is
applied, and the caller is told that it failed. A scan reads nothing yet, so it
may also fail late, when its rows are collected. Disks fail for good: a full one
takes nothing more, a bad block stays bad, a closed folder stays closed. And a disk
that loses power forgets whatever was not flushed (`VolatileStore`).
"""

import os
import random
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from lakehouse.errors import StorageError
from lakehouse.storage import Store, StoredFile, Written
from lakehouse.storage.local import LocalStore

Fault = Literal[
    "before", "lost", "late", "kill_before", "kill_after", "full", "io", "denied", "cut"
]
"""How the chosen call goes wrong; only scans fail late, other calls `before`.

From that call on, `full` refuses every write, `io` every call at its path, `denied`
every write in its folder, and `cut` everything: the power is gone.
"""

Loss = Literal["emptied", "gone", "mixed"]
"""What a power cut leaves of what was not flushed: names alone, nothing, or some names."""

_REASONS: Final = {
    "full": "No space left on device",
    "io": "Input/output error",
    "denied": "Permission denied",
}
_WRITES: Final = frozenset({"put", "put_new", "write_table", "share"})

T = TypeVar("T")


class PowerCut(BaseException):
    """The power is gone: nothing of this process goes on."""


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
        self._broken: str | None = None
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
        if fails:
            self._broken = name
        self._fail_for_good(name)
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
        if self._fault in _REASONS:
            return call()  # a call that this fault does not hit, such as a read
        raise StorageError(
            f"Injected: call {self._at} ({name}), {self._fault}.",
            kind="store.injected",
            retryable=True,
        )

    def _fail_for_good(self, name: str) -> None:
        """Raise where an earlier call, or this one, broke what this call needs."""
        if self._broken is None:
            return
        if self._fault == "cut":
            raise PowerCut
        verb, _, path = name.partition(" ")
        _, _, broken = self._broken.partition(" ")
        is_hit = {
            "full": verb in _WRITES,
            "io": path == broken,
            "denied": verb in _WRITES
            and path.rpartition("/")[0] == broken.rpartition("/")[0],
        }
        if is_hit.get(self._fault):
            raise StorageError(
                f"Injected: {path}: {_REASONS[self._fault]}.", kind="store.os_error"
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

    def put_new(
        self,
        path: str,
        data: bytes,
        *,
        durable: bool = False,
        after: Sequence[str] = (),
    ) -> bool:
        """As `Store.put_new`."""
        return self._call(
            f"put_new {path}",
            lambda: self._store.put_new(path, data, durable=durable, after=after),
        )

    def flush(self, paths: Sequence[str]) -> None:
        """As `Store.flush`."""
        self._call(f"flush {' '.join(paths)}", lambda: self._store.flush(paths))

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


# --------------------------------- POWER CUTS --------------------------------- #

_Identity = tuple[int, int]
"""Inode and time of the last write: inodes of deleted files are used again."""


class VolatileStore(LocalStore):
    """A folder on a disk that forgets, when power is cut, what was not flushed.

    What lies there when the store is opened is durable. Deletions are durable at once.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        super().__init__(root)
        self._guard = threading.Lock()
        self._bytes: set[_Identity] = set()
        self._names: dict[str, dict[str, _Identity]] = {}
        for place, _, names in os.walk(self.root):
            self._names[place] = _listed(place)
            self._bytes |= {self._names[place][name] for name in names}

    def cut_power(self, loss: Loss, seed: int = 0) -> list[str]:
        """Forget what was not flushed; the paths that lost their bytes or their name."""
        draw = random.Random(seed)  # noqa: S311 - no secret
        lost: list[str] = []
        for place, folders, names in os.walk(self.root):
            durable = self._names.get(place, {})
            for name in sorted([*folders, *names]):
                path = Path(place, name)
                identity = _identity(path)
                is_named = durable.get(name, (0, 0))[0] == identity[0]
                if not is_named and (
                    loss == "gone" or (loss == "mixed" and draw.random() < 0.5)  # noqa: PLR2004
                ):
                    _remove(path)
                    if name in folders:
                        folders.remove(name)
                elif name in names and identity not in self._bytes:
                    path.write_bytes(b"")
                else:
                    continue
                lost.append(path.relative_to(self.root).as_posix())
        return lost

    def _sync(self, path: str) -> None:
        """Note what is durable now; nothing waits for the real disk."""
        with self._guard:
            if Path(path).is_dir():
                self._names[path] = _listed(path)
            else:
                self._bytes.add(_identity(Path(path)))


def _listed(folder: str) -> dict[str, _Identity]:
    return {path.name: _identity(path) for path in Path(folder).iterdir()}


def _identity(path: Path) -> _Identity:
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
