"""Records of more rows than memory holds, in parts by a hash of their frame.

All records of one frame are in one part: labels are compared with their frame, and
vectors with both, so a part can be compared without the others.
A few parts stay in memory; of a large table each is a file in a temporary folder.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.errors import NotFoundError, StorageError

PART_ROWS: Final = 2_000_000
"""About how many records of one kind a part has: at 40 bytes each 80 MB, and sorting
needs as much again."""

IN_MEMORY_ROWS: Final = 4_000_000
"""Up to so many records of one kind stay in memory."""

_WAITING_ROWS: Final = 131_072  # small files bring a few rows each: sort many at once

Records = npt.NDArray[Any]
"""A structured array with the field `first`, a hash of the frame's id."""


class Spool:
    """Records of one kind, by part. Close it, or use it in a `with` block."""

    def __init__(self, dtype: npt.DTypeLike, parts: int, rows: int) -> None:
        self._dtype = np.dtype(dtype)
        self._parts = parts
        self._held: list[list[Records]] = [[] for _ in range(parts)]
        self._waiting: list[Records] = []
        self._waiting_rows = 0
        self._stack = ExitStack()
        self._folder: Path | None = None
        if rows > IN_MEMORY_ROWS:
            self._folder = Path(self._stack.enter_context(TemporaryDirectory()))

    def add(self, records: Records) -> None:
        """Put records into their parts, many at once."""
        self._waiting.append(records)
        self._waiting_rows += len(records)
        if self._waiting_rows >= _WAITING_ROWS:
            self._sort_in()

    def _sort_in(self) -> None:
        records: Records = np.concatenate([np.empty(0, self._dtype), *self._waiting])
        self._waiting, self._waiting_rows = [], 0
        if self._parts == 1:
            self._keep(0, records)
            return
        # Parts are a power of two, so the topmost bits of the hash number them.
        shift = np.uint64(65 - self._parts.bit_length())
        part = (records["first"] >> shift).astype(
            np.uint16
        )  # NumPy sorts 16 bits by radix
        order = np.argsort(part, kind="stable")
        edges = np.searchsorted(part[order], np.arange(1, self._parts))
        for number, of_part in enumerate(np.split(take(records, order), edges)):
            self._keep(number, of_part)

    def load(self, part: int) -> Records:
        """The records of a part, in any order; those in memory are dropped here."""
        if self._waiting:
            self._sort_in()
        if self._folder is None:
            held, self._held[part] = self._held[part], []
            return np.concatenate([np.empty(0, self._dtype), *held])
        path = self._folder / str(part)
        return (
            np.fromfile(path, self._dtype)
            if path.exists()
            else np.empty(0, self._dtype)
        )

    def _keep(self, part: int, records: Records) -> None:
        if not len(records):
            return
        if self._folder is None:
            self._held[part].append(records)
            return
        with (self._folder / str(part)).open("ab") as file:
            file.write(records.tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def parts_for(rows: int) -> int:
    """How many parts, a power of two, so many records of one kind are cut into.

    >>> parts_for(10), parts_for(10_000_000)
    (1, 8)
    """
    return 1 << (max(0, rows - 1) // PART_ROWS).bit_length()


def take(records: Records, which: npt.NDArray[Any]) -> Records:
    """Some of the records, by place or by mask.

    NumPy copies a structured array field by field; as opaque bytes the same selection
    is five times faster.
    """
    plain = records.view(np.dtype((np.void, records.dtype.itemsize)))
    chosen: Records = plain[which].view(records.dtype)
    return chosen


class UnreadableError(Exception):
    """A file whose rows cannot be read; its text has the reason."""


@contextmanager
def may_be_corrupt() -> Generator[None]:
    """Turn whatever a decoder raises on corrupt bytes into an `UnreadableError`.

    Raises:
        NotFoundError: If the file is gone: garbage collection may have removed it.
        StorageError: If the store failed and the same call may succeed.
        UnreadableError: If anything else was raised, a panic of Polars included.
    """
    try:
        yield
    except NotFoundError:
        raise
    except StorageError as error:
        if error.retryable:
            raise
        raise UnreadableError(str(error)) from error
    except (Exception, pl.exceptions.PanicException) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
