"""Makes records of the rows of a live table and its change log.

Each distinct content is decoded once, from an intact copy, for every table and
version that has it. Content without an intact copy is unknown, and nothing is
concluded from it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lakehouse.model.row_hash import Fingerprint, both_lanes
from lakehouse.verify.files import Copy
from lakehouse.verify.lives import FOR_EVER, Spans
from lakehouse.verify.report import Report
from lakehouse.verify.rows import Batch, RowReader
from lakehouse.verify.spool import Records, Spool, UnreadableError, take

# A thousand versions bring thousands of files of a few rows, for which opening a scan
# costs more than decoding: so many small files are read by one call.
_SMALL_ROWS: Final = 4_096
_SMALL_BYTES: Final = 1024**2
_FILES_PER_READ: Final = 64

CHANGE: Final = np.dtype(
    [
        ("first", np.uint64),
        ("second", np.uint64),
        ("hash", np.int64),
        ("version", np.int32),
        ("file", np.uint32),
        ("deleted", np.bool_),
    ]
)
"""A row of a change log: its key (128 bits of hash), row hash and version, and the
number of its file."""

LIVE: Final = np.dtype(
    [
        ("first", np.uint64),
        ("second", np.uint64),
        ("hash", np.int64),
        ("version", np.int32),
        ("file", np.uint32),
        ("start", np.int32),
        ("end", np.int32),
    ]
)
"""A row of a live table's file, and the places of open versions that it lives in:
from `start` up to, without, `end`."""

Places = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class RunningTotals:
    """Rows and fingerprint at each of some places, kept as differences.

    A row that lives in a thousand versions is added once and subtracted once; a
    cumulative sum gives every version. Fingerprints allow that, since each is a sum
    of row hashes.

    >>> totals = RunningTotals.empty(3)
    >>> totals.add(np.array([0, 1]), np.array([7, -2]))
    >>> totals.subtract(np.array([2]), np.array([7]))
    >>> [rows for rows, _ in totals.cumulative()]
    [1, 2, 1]
    """

    rows: npt.NDArray[np.int64]
    lanes: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]

    @classmethod
    def empty(cls, places: int) -> "RunningTotals":
        """No rows, at so many places."""
        lanes = (np.zeros(places, np.uint64), np.zeros(places, np.uint64))
        return cls(np.zeros(places, np.int64), lanes)

    def add(self, at: Places, hashes: npt.NDArray[np.int64]) -> None:
        """Rows with these hashes are there from these places on."""
        # `at` repeats places; `rows[at] += 1` would count each of them once.
        np.add.at(self.rows, at, 1)
        for lane, added in zip(self.lanes, both_lanes(hashes), strict=True):
            np.add.at(lane, at, added)

    def subtract(self, at: Places, hashes: npt.NDArray[np.int64]) -> None:
        """Rows with these hashes are gone from these places on."""
        np.subtract.at(self.rows, at, 1)
        for lane, taken in zip(self.lanes, both_lanes(hashes), strict=True):
            np.subtract.at(lane, at, taken)

    def cumulative(self) -> list[tuple[int, Fingerprint]]:
        """The rows and the fingerprint at each place."""
        rows = np.cumsum(self.rows)
        first, second = (np.cumsum(lane, dtype=np.uint64) for lane in self.lanes)
        return [
            (int(count), Fingerprint(int(one), int(two)))
            for count, one, two in zip(rows, first, second, strict=True)
        ]


@dataclass(slots=True)
class Gathered:
    """The records of one live table and its change log."""

    table: str
    reader: RowReader
    files: Sequence[Copy]
    """Records name a file by its place here."""
    changes: Spool
    live: Spool
    totals: RunningTotals
    """Of the live table, by place of the open versions."""
    unknown: list[Copy] = field(default_factory=list[Copy])
    """Files without an intact copy."""

    @property
    def is_log_whole(self) -> bool:
        """Whether every row of the change log is known."""
        return all(copy.life is not None for copy in self.unknown)

    @property
    def is_live_whole(self) -> bool:
        """Whether every row of every open version is known."""
        return all(copy.life is None for copy in self.unknown)

    def is_known_at(self, place: int) -> bool:
        """Whether every row of an open version is known."""
        return not any(
            copy.life is not None and copy.life.first <= place < copy.life.end
            for copy in self.unknown
        )


@dataclass(slots=True)
class _Content:
    """Files of the same bytes."""

    copies: dict[int, Copy] = field(default_factory=dict[int, Copy])
    """The files, by number."""
    source: Copy | None = None
    """An intact one of them."""

    @property
    def is_log(self) -> bool:
        """Whether the change log has it."""
        return any(copy.life is None for copy in self.copies.values())

    @property
    def is_small(self) -> bool:
        """Whether to read it by one call with others."""
        return (
            self.source is not None
            and self.source.file.rows <= _SMALL_ROWS
            and self.source.file.size <= _SMALL_BYTES
        )


def gather(
    gathered: Gathered,
    intact: Iterable[Copy],
    report: Report,
    done: Callable[[], None],
) -> None:
    """Read the rows of every file, and make records of them.

    Args:
        gathered: Where they go.
        intact: The files that have their checksum.
        report: Where it is noted that something is unknown.
        done: Called after every file.
    """
    intact_files = set(intact)
    contents: dict[tuple[str, int], _Content] = {}
    for number, copy in enumerate(gathered.files):
        name = copy.checksum or copy.path, copy.file.size
        content = contents.setdefault(name, _Content())
        content.copies[number] = copy
        # A file linked into the change log and the live table is two copies here, and
        # one of them may be corrupt.
        content.source = copy if copy in intact_files else content.source
    small: dict[bool, list[_Content]] = {True: [], False: []}  # by `is_log`
    for content in contents.values():
        if content.is_small:
            small[content.is_log].append(content)
        else:
            _gather(gathered, content)
            done()
    for is_log, contents_of_kind in small.items():
        for start in range(0, len(contents_of_kind), _FILES_PER_READ):
            _gather_small(
                gathered,
                contents_of_kind[start : start + _FILES_PER_READ],
                is_log=is_log,
            )
            done()
    if gathered.unknown:
        report.note(
            f"Versions whose rows of {report.layout.folder(gathered.table)} are in "
            "corrupt files were not compared row by row."
        )


def _gather_small(
    gathered: Gathered, contents: Sequence[_Content], *, is_log: bool
) -> None:
    """Read small files at once; one by one if any of them has a problem."""
    sources = [content.source for content in contents if content.source is not None]
    batches = gathered.reader.read_many(sources, is_log=is_log)
    if batches is None:
        for content in contents:
            _gather(gathered, content)
        return
    for content, batch in zip(contents, batches, strict=True):
        for number, copy in content.copies.items():
            _take(gathered, batch, number, copy)


def _gather(gathered: Gathered, content: _Content) -> None:
    """Make records of one content, for every file that has it."""
    try:
        if content.source is not None:
            batches = gathered.reader.read(content.source, is_log=content.is_log)
            for batch in batches:
                for number, copy in content.copies.items():
                    _take(gathered, batch, number, copy)
            return
    except UnreadableError:
        pass
    gathered.unknown += content.copies.values()


def _take(gathered: Gathered, batch: Batch, number: int, copy: Copy) -> None:
    """Make records of some rows of a file."""
    if copy.life is None:
        changes = _change_records(batch, number)
        if copy.file.dead_rows:
            changes = take(changes, _alive(batch, copy))
        gathered.changes.add(changes)
        return
    # Of each row, the first open version in which it is dead or its file is gone.
    ends = copy.life.ends(batch.start, len(batch.first))
    records = _live_records(batch, number, copy.life.first, ends)
    gathered.live.add(records)
    gathered.totals.add(records["start"], records["hash"])
    died = take(records, records["end"] != FOR_EVER)
    gathered.totals.subtract(died["end"], died["hash"])


def _alive(batch: Batch, copy: Copy) -> npt.NDArray[np.intp]:
    """The places of rows that count: a clone's change log has files with dead rows."""
    places = np.arange(batch.start, batch.start + len(batch.first))
    return np.flatnonzero(~np.isin(places, copy.file.dead))


def _change_records(batch: Batch, number: int) -> Records:
    records = np.empty(len(batch.first), CHANGE)
    records["first"], records["second"] = batch.first, batch.second
    records["hash"], records["version"] = batch.hashes, batch.versions
    records["file"], records["deleted"] = number, batch.deleted
    return records


def _live_records(batch: Batch, number: int, start: int, ends: Spans) -> Records:
    """The rows that live in any open version."""
    # Rows that were dead when the file was first seen have their end at its start.
    alive = ends > start
    records = np.empty(int(alive.sum()), LIVE)
    records["first"] = batch.first[alive]
    records["second"] = batch.second[alive]
    records["hash"] = batch.hashes[alive]
    records["version"] = batch.versions[alive]
    records["file"], records["start"] = number, start
    records["end"] = ends[alive]
    return records
