"""A folder on a local disk.

An object is written to a temporary file first and linked into place: the link
fails if the name is taken, and nobody ever sees half an object.

What a power cut leaves of a file that was not flushed is anything: its name without
its bytes, its bytes without a name, nothing. Flushes wait for the disk, and the disk
makes many of them in the time of one, so they go side by side: one *round*.
"""

import errno
import os
import secrets
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl
import xxhash

from lakehouse.errors import NotFoundError, StorageError
from lakehouse.storage.store import (
    COMPRESSION,
    ROW_GROUP_ROWS,
    StoredFile,
    Written,
    scan_parquet,
)

_TEMPORARY: Final = ".tmp"
_BLOCK_BYTES: Final = 1024**2

_FLUSHERS: Final = 16
"""Threads that flush side by side: the journal of a file system takes them together."""

_IS_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LocalStore:
    """A `Store` in a folder, which is made at the first write."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root).absolute()
        # Folders made before: a write need not ask for them again.
        self._made: set[str] = set()
        # Folders whose own names are durable, up to the root: flushed once, here.
        self._durable: set[str] = set()

    @property
    def root(self) -> str:
        """The folder's absolute path."""
        return str(self._root)

    @property
    def storage_options(self) -> Mapping[str, str]:
        """Nothing: a folder needs no credentials."""
        return {}

    @property
    def at_once(self) -> int:
        """One: writing a small file takes less time than handing it to a thread."""
        return 1

    def read(self, path: str) -> bytes:
        """The bytes of a file.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the disk failed.
        """
        with self._map_errors(path):
            try:
                return Path(self.uri(path)).read_bytes()
            except (NotADirectoryError, IsADirectoryError) as error:
                # As on an object store: nothing lies below a file, or at a folder's name.
                raise _missing(path) from error

    def exists(self, path: str) -> bool:
        """Whether there is a file at that path."""
        return os.path.exists(self.uri(path))  # noqa: PTH110 - the hot path

    def put(self, path: str, data: bytes) -> None:
        """Write a file, in place of one that is there."""
        with self._map_errors(path), self._temporary(path, data) as temporary:
            os.replace(temporary, self.uri(path))  # noqa: PTH105

    def put_new(
        self,
        path: str,
        data: bytes,
        *,
        durable: bool = False,
        after: Sequence[str] = (),
    ) -> bool:
        """Write a file unless there is one; False when there is.

        Two rounds of flushes where it is to be durable: what it rests on, with its own
        bytes and the names that are in its folder by then; and its own name.

        Raises:
            StorageError: If the disk failed. The file may be there already.
        """
        with self._map_errors(path), self._temporary(path, data) as temporary:
            target = self.uri(path)
            if durable:
                # The folder too: were the name before this one lost, and this one kept,
                # numbers would have a gap.
                self._flush([*map(self.uri, after), temporary])
            # A link is atomic and fails if the name is taken; a rename would replace.
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            # The name is in the folder, which has to reach the disk too.
            if durable:
                self._sync(os.path.dirname(target))  # noqa: PTH120
            return True

    def flush(self, paths: Sequence[str]) -> None:
        """Make files durable that any process wrote, and the names in their folders.

        Raises:
            NotFoundError: If there is none at a path.
            StorageError: If the disk failed.
        """
        if paths:
            with self._map_errors(paths[0]):
                self._flush([self.uri(path) for path in paths])

    def names(self, folder: str) -> list[str]:
        """Names of the entries directly in a folder; none if it is not there."""
        try:
            entries = os.listdir(self.uri(folder))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [name for name in entries if not name.startswith(_TEMPORARY)]

    def files(self, folder: str) -> list[StoredFile]:
        """Every file below a folder, by path; temporary ones too."""
        stored: list[StoredFile] = []
        for place, _, names in os.walk(self.uri(folder)):
            for name in names:
                file = Path(place, name)
                # Another process may delete a file between the listing and this.
                with suppress(FileNotFoundError):
                    facts = file.stat()
                    path = file.relative_to(self._root).as_posix()
                    modified = datetime.fromtimestamp(facts.st_mtime, UTC)
                    stored.append(StoredFile(path, facts.st_size, modified))
        return sorted(stored, key=lambda file: file.path)

    def delete(self, path: str) -> None:
        """Remove a file, and its folder when that is left empty."""
        target = self.uri(path)
        with self._map_errors(path), suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(target)  # noqa: PTH108
        folder = os.path.dirname(target)  # noqa: PTH120
        # Fails where it is not empty, as it should.
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106
            self._made.discard(folder)
            self._durable.discard(folder)

    def write_table(
        self, path: str, rows: pl.DataFrame, *, durable: bool = False
    ) -> Written:
        """Write rows as one Parquet file, and return its size and checksum."""
        target = self.uri(path)
        with self._map_errors(path):
            self._make_folder(target)
            try:
                rows.write_parquet(
                    target, compression=COMPRESSION, row_group_size=ROW_GROUP_ROWS
                )
            except (pl.exceptions.PolarsError, OSError) as error:
                # Half a file would keep a full disk full. Rows that cannot be encoded
                # end here too: that would be a fault of this package.
                with suppress(OSError):
                    os.unlink(target)  # noqa: PTH108
                raise self._refusal(path, error) from error
            # Before the sync: the bytes are still in the page cache, so the checksum is
            # of what was written, whatever the disk makes of it.
            written = _checksum(target)
            if durable:
                # Its name is made durable by what is put last, and names it.
                self._sync(target)
            return written

    def checksum(self, path: str) -> Written:
        """The size and checksum of a file as it lies there, read in blocks.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the disk failed.
        """
        with self._map_errors(path):
            return _checksum(self.uri(path))

    def share(self, source: str, target: str) -> None:
        """Link a file to a second path."""
        with self._map_errors(source):
            self._make_folder(self.uri(target))
            os.link(self.uri(source), self.uri(target))

    def scan(
        self,
        paths: Sequence[str],
        schema: pl.Schema | None = None,
        *,
        row_index: str | None = None,
    ) -> pl.LazyFrame:
        """The rows of Parquet files as one table; see `Store.scan`."""
        uris = [self.uri(path) for path in paths]
        for uri, path in zip(uris, paths, strict=True):
            if not os.path.exists(uri):  # noqa: PTH110
                raise _missing(path)
        return scan_parquet(uris, schema, {}, row_index=row_index)

    def uri(self, path: str) -> str:
        """The absolute path."""
        return f"{self._root}/{path}" if path else str(self._root)

    def __repr__(self) -> str:
        return f"LocalStore({str(self._root)!r})"

    def __reduce__(self) -> tuple[type["LocalStore"], tuple[str]]:
        return LocalStore, (str(self._root),)

    def _make_folder(self, target: str) -> None:
        folder = os.path.dirname(target)  # noqa: PTH120
        if folder not in self._made or not os.path.isdir(folder):  # noqa: PTH112
            above = [one for one in self._root.parents if not one.exists()]
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            for one in above:
                self._sync(str(one.parent))
            self._made.add(folder)
            self._durable.discard(folder)

    def _flush(self, files: Sequence[str]) -> None:
        """Flush files, the folders they are in and new folders' names: one round."""
        folders = {os.path.dirname(file) for file in files}  # noqa: PTH120
        fresh = {one for folder in folders for one in self._not_durable(folder)}
        above = {os.path.dirname(one) for one in fresh}  # noqa: PTH120
        _at_once(self._sync, [*_by_inode(files), *(folders | above)])
        self._durable |= fresh

    def _not_durable(self, folder: str) -> Generator[str]:
        """The folder and those above it whose names may not be durable yet."""
        root = str(self._root)
        # Another process may have made them, and not flushed them yet.
        while folder not in self._durable and folder.startswith(root):
            above = os.path.dirname(folder)  # noqa: PTH120
            # What lies above the root may be somebody else's, and closed.
            if folder != root or os.access(above, os.R_OK):
                yield folder
            folder = above

    def _sync(self, path: str) -> None:
        """Flush a file, or the names in a folder. Stores that lose power replace it."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _map_errors(self, path: str) -> Generator[None]:
        """Raise errors of the disk as those of this package."""
        try:
            yield
        except FileNotFoundError as error:
            raise _missing(path) from error
        except OSError as error:
            raise self._refusal(path, error) from error

    def _refusal(self, path: str, error: Exception) -> StorageError:
        """The error for a file that the disk did not take or give."""
        number = error.errno if isinstance(error, OSError) else None
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        way_out = "Mend the folder or its permissions"
        # Polars' writer gives texts alone.
        if number in _IS_FULL or "os error 28" in str(error):
            way_out = "Free space on it"
        elif number == errno.EIO:
            way_out = "Look after the disk"
        return StorageError(
            f"{path}, on the disk of {self._root}: {reason}. {way_out}, and make the "
            "same call again.",
            kind="store.os_error",
        )

    @contextmanager
    def _temporary(self, path: str, data: bytes) -> Generator[str]:
        """A finished file beside the target that is gone afterwards."""
        target = self.uri(path)
        self._make_folder(target)
        folder = os.path.dirname(target)  # noqa: PTH120
        temporary = f"{folder}/{_TEMPORARY}-{secrets.token_hex(8)}"
        try:
            with open(temporary, "wb") as file:  # noqa: PTH123
                file.write(data)
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108


def _missing(path: str) -> NotFoundError:
    return NotFoundError(f"There is nothing at {path}.", kind="store.missing")


def _checksum(path: str) -> Written:
    """Read in blocks: a bad block of a mapped file would kill the process."""
    hasher, size = xxhash.xxh3_64(), 0
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        block = memoryview(bytearray(_BLOCK_BYTES))
        while count := file.readinto(block):
            hasher.update(block[:count])
            size += count
    return Written(size, hasher.hexdigest())


def _by_inode(files: Iterable[str]) -> list[str]:
    """One name of each file: linked ones share their bytes, and so their flush."""
    names: dict[tuple[int, int], str] = {}
    for file in files:
        facts = os.stat(file)  # noqa: PTH116
        names[facts.st_dev, facts.st_ino] = file
    return list(names.values())


@cache
def _flushers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="lakehouse-flush")


# A forked child has none of the threads.
os.register_at_fork(after_in_child=_flushers.cache_clear)


def _at_once(work: Callable[[str], None], paths: Sequence[str]) -> None:
    """Do it for all paths side by side; raises the first error when all have ended."""
    futures = [_flushers().submit(work, path) for path in paths[1:]]
    try:
        work(paths[0])
    finally:
        wait(futures)
    for future in futures:
        future.result()
