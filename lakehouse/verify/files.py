"""Data files: whether they are there, of the right size, and byte for byte right.

Every file is held against the checksum that its add action carries before any
of it is decoded, so nothing damaged is ever parsed. A live table and its change
log often have the same file under one name: whichever is whole is a way out.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lakehouse.collection import Collection
from lakehouse.contracts import APPEND_TABLES, COLLECTION_TABLES, LIVE_TABLES
from lakehouse.delta.actions import CHECKSUM
from lakehouse.delta.table_state import DataFile
from lakehouse.errors import NotFoundError, StorageError
from lakehouse.storage import Store, Written
from lakehouse.verify.lives import FileLife
from lakehouse.verify.progress import Tell
from lakehouse.verify.report import Findings
from lakehouse.verify.walk import History, closed_ranges

__all__ = ["Copy", "check_bytes", "check_presence", "copies_of"]

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


def check_presence(
    collection: Collection,
    history: History,
    copies: Sequence[Copy],
    findings: Findings,
) -> list[Copy]:
    """Find files that are gone or of another size; the others are returned.

    A file that garbage collection removed meanwhile, having closed every version
    that named it, is no problem.
    """
    sizes = {
        file.path: file.size
        for table in COLLECTION_TABLES
        for file in collection.store.files(collection.table_path(table))
    }
    right = [copy for copy in copies if sizes.get(copy.path) == copy.file.size]
    wrong = [copy for copy in copies if sizes.get(copy.path) != copy.file.size]
    for copy in _without_collected(collection, history, wrong):
        size, there = sizes.get(copy.path), copy.path in sizes
        findings.add(
            "file.size" if there else "file.missing",
            f"The file has {size} bytes, not {copy.file.size}."
            if there
            else "The file is not there, though a version names it.",
            _way_out(copy, right),
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )
    findings.counts["files"] = len(copies)
    return right


def check_bytes(
    store: Store, copies: Sequence[Copy], findings: Findings, tell: Tell
) -> list[Copy]:
    """Read every file and hold it against its checksum; the right ones are returned."""
    total = sum(copy.file.size for copy in copies)
    right: list[Copy] = []
    wrong: list[tuple[Copy, str, str]] = []
    for copy, found in _checksums(store, copies):
        findings.counts["bytes"] += copy.file.size
        tell("files", findings.counts["bytes"], total)
        if copy.checksum is None:
            wrong.append((copy, "file.no_checksum", "The log has no checksum of it."))
        elif isinstance(found, str):
            wrong.append((copy, "file.unreadable", found))
        elif found == Written(copy.file.size, copy.checksum):
            right.append(copy)
        else:
            message = (
                f"The file's bytes come to the checksum {found.checksum}, not "
                f"{copy.checksum} as when it was written: it was altered."
            )
            wrong.append((copy, "file.bytes", message))
    for copy, check, message in wrong:
        findings.add(
            check,
            message,
            _way_out(copy, right),
            version=copy.version,
            table=copy.table,
            file=copy.path,
        )
    return right


def _checksums(
    store: Store, copies: Sequence[Copy]
) -> Iterator[tuple[Copy, Written | str]]:
    """Each file with what its bytes come to, or the reason why they do not."""

    def read(copy: Copy) -> Written | str:
        try:
            return store.checksum(copy.path)
        except NotFoundError:
            return "The file went while it was looked at."
        except StorageError as error:
            if error.retryable:
                raise
            return str(error)

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


def _without_collected(
    collection: Collection, history: History, copies: Sequence[Copy]
) -> Iterator[Copy]:
    """Those that a version still needs which is open by now."""
    if not copies:
        return
    ranges = closed_ranges(collection)
    closed = [
        any(first <= version <= last for first, last in ranges)
        for version in history.open
    ]
    for copy in copies:
        life = copy.life
        if life is None or not all(closed[life.first : life.end]):
            yield copy
