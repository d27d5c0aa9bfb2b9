"""Data files: whether they are there, of the right size, and byte for byte right.

Every file is held against the checksum that its add action carries before any
of it is decoded, so nothing damaged is ever parsed. A live table and its change
log often have the same file under one name: whichever is whole is a way out.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
from lakehouse.verify.report import Findings

_READERS = 4


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
        """What its bytes should come to."""
        tags = self.file.action["add"].get("tags") or {}
        found = tags.get(CHECKSUM)
        return found if isinstance(found, str) else None


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
    """Looks at data files, and tells what is wrong with them.

    A file that garbage collection removed meanwhile, since no version needs it any
    more, is no problem.
    """

    def __init__(
        self, collection: Collection, history: History, findings: Findings
    ) -> None:
        self._collection = collection
        self._history = history
        self._findings = findings

    def presence(self, copies: Sequence[Copy]) -> list[Copy]:
        """Tell which files are gone or of another size; the others are returned."""
        sizes = {
            file.path: file.size
            for table in COLLECTION_TABLES
            for file in self._collection.store.files(self._collection.table_path(table))
        }
        right = [copy for copy in copies if sizes.get(copy.path) == copy.file.size]
        for copy in copies:
            size = sizes.get(copy.path)
            if size is None:
                self.gone(copy, right)
            elif size != copy.file.size:
                message = f"The file has {size} bytes, not {copy.file.size}."
                self._tell(copy, "file.size", message, right)
        self._findings.counts["files"] = len(copies)
        return right

    def bytes(self, copies: Sequence[Copy], progress: Progress) -> list[Copy]:
        """Read every file and hold it against its checksum; the right are returned."""
        total = sum(copy.file.size for copy in copies)
        found: dict[Copy, Written | LakehouseError] = {}
        for copy, read in _checksums(self._collection.store, copies):
            found[copy] = read
            self._findings.counts["bytes"] += copy.file.size
            progress("files", self._findings.counts["bytes"], total)
        right = [
            copy
            for copy, read in found.items()
            if copy.checksum and read == Written(copy.file.size, copy.checksum)
        ]
        whole = set(right)
        for copy in copies:
            if copy not in whole:
                self._judge(copy, found[copy], right)
        return right

    def gone(self, copy: Copy, right: Iterable[Copy] = ()) -> None:
        """Tell that a file is not there, if it is still needed."""
        if self._is_needed(copy):
            message = "The file is not there, though a version names it."
            self._tell(copy, "file.missing", message, right)

    def _judge(
        self, copy: Copy, read: Written | LakehouseError, right: Sequence[Copy]
    ) -> None:
        """Tell what is wrong with the bytes of a file."""
        if isinstance(read, NotFoundError):
            self.gone(copy, right)
        elif isinstance(read, LakehouseError):
            self._tell(copy, "file.unreadable", str(read), right)
        elif copy.checksum is None:
            message = "The log has no checksum of the file."
            self._tell(copy, "file.no_checksum", message, right)
        else:
            message = (
                f"The file's bytes come to the checksum {read.checksum}, not "
                f"{copy.checksum} as when it was written: it was altered."
            )
            self._tell(copy, "file.bytes", message, right)

    def _tell(
        self, copy: Copy, check: str, message: str, right: Iterable[Copy]
    ) -> None:
        self._findings.add(
            check,
            message,
            _way_out(copy, right),
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )

    def _is_needed(self, copy: Copy) -> bool:
        """Whether a version needs a file, after what was decided meanwhile."""
        later = entries_after(self._collection, self._history.head)
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
    """Each file with what its bytes come to, or the reason why they do not."""

    def read(copy: Copy) -> Written | LakehouseError:
        try:
            return store.checksum(copy.path)
        except LakehouseError as error:
            if error.retryable:
                raise
            return error

    with ThreadPoolExecutor(_READERS) as pool:
        yield from zip(copies, pool.map(read, copies), strict=True)


def _way_out(copy: Copy, right: Iterable[Copy]) -> str:
    """Where the same bytes are, if another table has them."""
    twin = next((one for one in right if _is_twin(one, copy)), None)
    if twin is None:
        return "Restore the file from a backup."
    return f"Put a copy of {twin.path} in its place: it has the same bytes."


def _is_twin(one: Copy, other: Copy) -> bool:
    return (
        one.file.path == other.file.path
        and one.table != other.table
        and (one.file.size, one.checksum) == (other.file.size, other.checksum)
    )
