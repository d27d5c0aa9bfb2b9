"""A folder on a local disk.

An object is written to a temporary file first and linked into place: the link
fails if the name is taken, and nobody ever sees half an object.
"""

import os
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
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


class LocalStore:
    """A `Store` in a folder, which is made at the first write."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root).absolute()
        # Folders made before: a write need not ask for them again.
        self._made: set[str] = set()

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
        with _map_errors(path):
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
        with _map_errors(path), self._temporary(path, data, durable=False) as temporary:
            os.replace(temporary, self.uri(path))  # noqa: PTH105

    def put_new(self, path: str, data: bytes, *, durable: bool = False) -> bool:
        """Write a file unless there is one; False when there is.

        Raises:
            StorageError: If the disk failed.
        """
        with (
            _map_errors(path),
            self._temporary(path, data, durable=durable) as temporary,
        ):
            target = self.uri(path)
            # A link is atomic and fails if the name is taken; a rename would replace.
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            # The name is in the folder, which has to reach the disk too.
            if durable:
                _sync(os.path.dirname(target))  # noqa: PTH120
            return True

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
        with _map_errors(path), suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(target)  # noqa: PTH108
        folder = os.path.dirname(target)  # noqa: PTH120
        # Fails where it is not empty, as it should.
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106
            self._made.discard(folder)

    def write_table(
        self, path: str, rows: pl.DataFrame, *, durable: bool = False
    ) -> Written:
        """Write rows as one Parquet file, and return its size and checksum."""
        target = self.uri(path)
        with _map_errors(path):
            self._make_folder(target)
            rows.write_parquet(
                target, compression=COMPRESSION, row_group_size=ROW_GROUP_ROWS
            )
            # Before the sync: the bytes are still in the page cache, so the checksum is
            # of what was written, whatever the disk makes of it.
            written = _checksum(target)
            if durable:
                # Its name is made durable by the manifest beside it, put last.
                _sync(target)
            return written

    def checksum(self, path: str) -> Written:
        """The size and checksum of a file as it lies there, read in blocks.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the disk failed.
        """
        with _map_errors(path):
            return _checksum(self.uri(path))

    def share(self, source: str, target: str) -> None:
        """Link a file to a second path."""
        with _map_errors(source):
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
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._made.add(folder)

    @contextmanager
    def _temporary(self, path: str, data: bytes, *, durable: bool) -> Generator[str]:
        """A finished file beside the target that is gone afterwards."""
        target = self.uri(path)
        self._make_folder(target)
        folder = os.path.dirname(target)  # noqa: PTH120
        temporary = f"{folder}/{_TEMPORARY}-{secrets.token_hex(8)}"
        try:
            with open(temporary, "wb") as file:  # noqa: PTH123
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108


@contextmanager
def _map_errors(path: str) -> Generator[None]:
    """Raise errors of the disk as those of this package."""
    try:
        yield
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}. Mend the folder or its permissions, "
            "and make the same call again.",
            kind="store.os_error",
        ) from error


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


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
