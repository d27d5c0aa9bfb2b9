"""The interface of all stores, and scans of Parquet files in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import polars as pl

from lakehouse.errors import NotFoundError, StorageError

ROW_GROUP_ROWS: Final = 65_536
"""Rows of a Parquet row group: what a point read decodes at the least."""

COMPRESSION: Final = "lz4"
"""Files are a tenth larger than with zstd, and read in less than half the time."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object, as a listing has it."""

    path: str
    """Relative to the root of the store."""
    size: int
    """Bytes."""
    modified: datetime
    """When its bytes were written, UTC, by the store's clock."""


@dataclass(frozen=True, slots=True)
class Written:
    """What is known of a file's bytes."""

    size: int
    """Bytes."""
    checksum: str
    """XXH3-64 of the bytes: 16 hexadecimal digits."""


class Store(Protocol):
    """Objects under one root; paths are relative to it, with `/` between parts."""

    @property
    def root(self) -> str:
        """The URI of the root, as engines take it."""
        ...

    @property
    def storage_options(self) -> Mapping[str, str]:
        """What engines need to reach the root."""
        ...

    @property
    def at_once(self) -> int:
        """How many small writes are worth making at the same time."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of an object.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the store failed.
        """
        ...

    def exists(self, path: str) -> bool:
        """Whether there is an object at that path."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Write an object, in place of one that is there."""
        ...

    def put_new(
        self,
        path: str,
        data: bytes,
        *,
        durable: bool = False,
        after: Sequence[str] = (),
    ) -> bool:
        """Write an object unless there is one; False when there is.

        Readers see all of it or nothing. With `durable` it survives a power
        cut once the call returned.

        Args:
            path: Where it is put.
            data: Its bytes.
            durable: Whether it, and all names in its folder, are to be durable.
            after: Objects that are durable before this one is there.

        Raises:
            StorageError: If the store failed; when it is `retryable` the
                object may or may not have been written.
        """
        ...

    def flush(self, paths: Sequence[str]) -> None:
        """Make objects durable that any process wrote, and the names in their folders.

        Raises:
            NotFoundError: If there is none at a path.
            StorageError: If the store failed; what was flushed is then unknown.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the entries directly in a folder; none if it is not there."""
        ...

    def files(self, folder: str) -> list[StoredFile]:
        """Every object below a folder, by path; half-written ones too."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object; that it is not there is fine."""
        ...

    def write_table(
        self, path: str, rows: pl.DataFrame, *, durable: bool = False
    ) -> Written:
        """Write rows as one Parquet file, and return its size and checksum."""
        ...

    def checksum(self, path: str) -> Written:
        """The size and checksum of an object as it lies there, read in blocks.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the store failed.
        """
        ...

    def share(self, source: str, target: str) -> None:
        """Make an object appear at a second path, without sending its bytes."""
        ...

    def scan(
        self,
        paths: Sequence[str],
        schema: pl.Schema | None = None,
        *,
        row_index: str | None = None,
    ) -> pl.LazyFrame:
        """The rows of Parquet files as one table.

        Args:
            paths: At least one file.
            schema: The columns and types to return: columns that a file lacks
                are null, others are left out. None takes the first file's.
            row_index: The name of a column with each row's place, counted
                through all files in their order; none when left out.

        Raises:
            NotFoundError: On collection, if a file is not there.
        """
        ...

    def uri(self, path: str) -> str:
        """The URI of a path, as engines take it."""
        ...


def scan_parquet(
    uris: Sequence[str],
    schema: pl.Schema | None,
    options: Mapping[str, str],
    *,
    row_index: str | None = None,
) -> pl.LazyFrame:
    """Scan Parquet files, each of which may have fewer or more columns."""
    settings: dict[str, Any] = {
        # Names of files are taken as they are, brackets and stars included.
        "glob": False,
        "storage_options": dict(options) or None,
        "row_index_name": row_index,
    }
    if schema is None:
        return pl.scan_parquet(list(uris), **settings)
    return pl.scan_parquet(
        list(uris),
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        **settings,
    )


def collect(rows: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a scan; errors of the store are raised as those of this package.

    Raises:
        NotFoundError: If a file is not there.
        StorageError: If the store failed while rows were read.
    """
    return collect_all([rows])[0]


def collect_all(rows: Iterable[pl.LazyFrame]) -> list[pl.DataFrame]:
    """The rows of several scans, read together; raises as `collect` does."""
    try:
        return pl.collect_all(rows)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"A file is gone: {error}.", kind="store.missing"
        ) from error
    except OSError as error:
        raise StorageError(
            f"The store failed while rows were read: {error}. Make the same call again.",
            kind="store.read",
            retryable=not isinstance(error, PermissionError),
        ) from error
