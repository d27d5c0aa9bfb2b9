"""Data files: whether they exist, have their size, and have their checksum.

Every file is held against the checksum that its add action carries before any
of it is decoded, so no corrupt file is ever parsed. A live table and its change
log often have the same file under one name: an intact one can replace the other.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lakehouse.delta.log import CHECKSUM
from lakehouse.delta.table_state import DataFile
from lakehouse.errors import LakehouseError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.model.contracts import APPEND_TABLES, COLLECTION_TABLES, LIVE_TABLES
from lakehouse.storage import Store, Written
from lakehouse.types import Progress
from lakehouse.verify.ledger import History, closed_ranges, entries_after
from lakehouse.verify.lives import FileLife
from lakehouse.verify.report import Report

_READERS = 4  # files read at once: a bucket has more bandwidth than one stream

_OWN_NAMES: Final = {
    "ledger": re.compile(r"\d{20}\.|\.tmp"),
    "leases": re.compile(r"\d+-[0-9a-f]+\.json\Z|\.tmp"),
    "staging": re.compile(r"[^/]+/|\.tmp"),
}
"""What our files in a folder are called, temporary ones included."""

_NAMED_STRAYS: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """A data file of one table, which another table may have too."""

    table: str
    file: DataFile
    path: str
    """Relative to the root of the lake."""
    version: int | None
    """The version that brought it."""
    life: FileLife | None = None
    """Of a live table's file: the open versions that name it."""

    @property
    def checksum(self) -> str | None:
        """The XXH3 that its bytes should have; None where the log has none."""
        tags = self.file.action["add"].get("tags") or {}
        checksum = tags.get(CHECKSUM)
        return checksum if isinstance(checksum, str) else None


def copies_of(collection: Collection, history: History) -> list[Copy]:
    """The files of every open version, and those of the other tables at the head."""

    def copy(table: str, file: DataFile, life: FileLife | None = None) -> Copy:
        path = f"{collection.table_path(table)}/{file.path}"
        return Copy(table, file, path, history.brought.get((table, file.path)), life)

    return [
        copy(table, life.file, life)
        for table in LIVE_TABLES
        for life in history.lives[table].all()
    ] + [
        copy(table, file)
        for table in APPEND_TABLES
        for file in history.states[table].files.values()
    ]


class FileCheck:
    """Checks data files, and reports the corrupt and missing ones.

    A file that garbage collection removed meanwhile, since no version needs it any
    more, is no problem.
    """

    def __init__(
        self, collection: Collection, history: History, report: Report
    ) -> None:
        self._collection = collection
        self._history = history
        self._report = report

    def presence(self, copies: Sequence[Copy]) -> list[Copy]:
        """Report files that are missing or of another size; return the others."""
        # One listing for each table instead of a request for each file.
        sizes = {
            file.path: file.size
            for table in COLLECTION_TABLES
            for file in self._collection.store.files(self._collection.table_path(table))
        }
        intact = [copy for copy in copies if sizes.get(copy.path) == copy.file.size]
        for copy in copies:
            size = sizes.get(copy.path)
            if size is None:
                self.report_missing(copy, intact)
            elif size != copy.file.size:
                message = f"The file has {size} bytes, not {copy.file.size}."
                self._report_problem(copy, "file.size", message, intact)
        self._report.counts["files"] = len(copies)
        return intact

    def bytes(self, copies: Sequence[Copy], progress: Progress) -> list[Copy]:
        """Read every file, report those without their checksum, return the others."""
        total = sum(copy.file.size for copy in copies)
        results: dict[Copy, Written | LakehouseError] = {}
        for copy, read in _checksums(self._collection.store, copies):
            results[copy] = read
            self._report.counts["bytes"] += copy.file.size
            progress("files", self._report.counts["bytes"], total)
        intact = [
            copy
            for copy, read in results.items()
            if copy.checksum and read == Written(copy.file.size, copy.checksum)
        ]
        known = set(intact)
        for copy in copies:
            if copy not in known:
                self._check_bytes(copy, results[copy], intact)
        return intact

    def report_missing(self, copy: Copy, intact: Iterable[Copy] = ()) -> None:
        """Report a file as missing, unless no version needs it any more."""
        # Collection may have run since the walk read the ledger.
        if self._is_needed(copy):
            message = "The file is not there, though a version names it."
            self._report_problem(copy, "file.missing", message, intact)

    def _check_bytes(
        self, copy: Copy, read: Written | LakehouseError, intact: Sequence[Copy]
    ) -> None:
        """Report why a file is not intact."""
        if isinstance(read, NotFoundError):
            self.report_missing(copy, intact)
        elif isinstance(read, LakehouseError):
            self._report_problem(copy, "file.unreadable", str(read), intact)
        elif copy.checksum is None:
            message = "The log has no checksum of the file."
            self._report_problem(copy, "file.no_checksum", message, intact)
        else:
            message = (
                f"The file's bytes come to the checksum {read.checksum}, not "
                f"{copy.checksum} as when it was written: it was altered."
            )
            self._report_problem(copy, "file.bytes", message, intact)

    def _report_problem(
        self, copy: Copy, check: str, message: str, intact: Iterable[Copy]
    ) -> None:
        self._report.add(
            check,
            message,
            _repair_hint(copy, intact),
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )

    def _is_needed(self, copy: Copy) -> bool:
        """Whether a version needs a file, after what was decided meanwhile."""
        later = entries_after(self._collection, self._history.head)
        # Change logs and records are only ever read at the head, so a later compaction
        # is what removes a file of theirs.
        if copy.life is None:
            return not self._was_removed(copy, later)
        ranges = closed_ranges(self._collection)
        latest = self._history.contents[-1]
        # The latest version may have been compacted since, and is read there.
        same = [entry for entry in later if entry.content_version == latest]
        return any(
            not any(first <= version <= last for first, last in ranges)
            and not (version == latest and self._was_removed(copy, same))
            for version in self._history.open[copy.life.first : copy.life.end]
        )

    @staticmethod
    def _was_removed(copy: Copy, entries: Iterable[Entry]) -> bool:
        return any(
            action.get("remove", {}).get("path") == copy.file.path
            for entry in entries
            for action in entry.actions.get(copy.table, ())
        )


def _checksums(
    store: Store, copies: Sequence[Copy]
) -> Iterator[tuple[Copy, Written | LakehouseError]]:
    """Each file with its size and checksum, or the error of reading it."""

    def read(copy: Copy) -> Written | LakehouseError:
        try:
            return store.checksum(copy.path)
        except LakehouseError as error:
            # A store that is down says nothing about the file.
            if error.retryable:
                raise
            return error

    with ThreadPoolExecutor(_READERS) as pool:
        yield from zip(copies, pool.map(read, copies), strict=True)


def _repair_hint(copy: Copy, intact: Iterable[Copy]) -> str:
    """Where an intact file of the same bytes is, if another table has one."""
    twin = next((one for one in intact if _is_twin(one, copy)), None)
    if twin is None:
        return "Restore the file from a backup."
    return f"Put a copy of {twin.path} in its place: it has the same bytes."


def _is_twin(one: Copy, other: Copy) -> bool:
    return (
        one.file.path == other.file.path
        and one.table != other.table
        and (one.file.size, one.checksum) == (other.file.size, other.checksum)
    )


def note_strays(collection: Collection, report: Report) -> None:
    """Name files beside the ledger, the leases and staged uploads that are none of ours."""
    strays = [
        f"{folder}/{name}"
        for folder, ours in _OWN_NAMES.items()
        for file in collection.store.files(f"{collection.path}/{folder}")
        if not ours.match(
            name := file.path.removeprefix(f"{collection.path}/{folder}/")
        )
    ]
    if strays:
        more = f" and {len(strays) - _NAMED_STRAYS} more" * (
            len(strays) > _NAMED_STRAYS
        )
        report.note(
            f"files that are not the lake's, ignored: {', '.join(strays[:_NAMED_STRAYS])}"
            f"{more}; they can be removed"
        )
