"""From the files of a live table and its change log to records of their rows.

Each distinct content is decoded once, from a copy that is whole, for every table
and version that has it. What no whole copy is left of is unknown, and nothing is
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
from lakehouse.verify.report import Findings
from lakehouse.verify.rows import Batch, RowReader
from lakehouse.verify.spool import Records, Spool, UnreadableError, take

Places = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """What comes and goes at each of some places, and what that adds up to.

    >>> tally = Tally.empty(3)
    >>> tally.come(np.array([0, 1]), np.array([7, -2]))
    >>> tally.go(np.array([2]), np.array([7]))
    >>> [rows for rows, _ in tally.totals()]
    [1, 2, 1]
    """

    rows: npt.NDArray[np.int64]
    lanes: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]

    @classmethod
    def empty(cls, places: int) -> "Tally":
        """Nothing, at so many places."""
        lanes = (np.zeros(places, np.uint64), np.zeros(places, np.uint64))
        return cls(np.zeros(places, np.int64), lanes)

    def come(self, at: Places, hashes: npt.NDArray[np.int64]) -> None:
        """Rows with these hashes come at these places."""
        np.add.at(self.rows, at, 1)
        for lane, added in zip(self.lanes, both_lanes(hashes), strict=True):
            np.add.at(lane, at, added)

    def go(self, at: Places, hashes: npt.NDArray[np.int64]) -> None:
        """Rows with these hashes go at these places."""
        np.subtract.at(self.rows, at, 1)
        for lane, taken in zip(self.lanes, both_lanes(hashes), strict=True):
            np.subtract.at(lane, at, taken)

    def totals(self) -> list[tuple[int, Fingerprint]]:
        """The rows and the fingerprint at each place."""
        rows = np.cumsum(self.rows)
        first, second = (np.cumsum(lane, dtype=np.uint64) for lane in self.lanes)
        return [
            (int(count), Fingerprint(int(one), int(two)))
            for count, one, two in zip(rows, first, second, strict=True)
        ]


_SMALL_ROWS: Final = 4_096
_SMALL_BYTES: Final = 1024**2
_TOGETHER: Final = 64

IMAGE: Final = np.dtype(
    [
        ("first", np.uint64),
        ("second", np.uint64),
        ("hash", np.int64),
        ("version", np.int32),
        ("file", np.uint32),
        ("deleted", np.bool_),
    ]
)
"""An image in a change log: its key, hash and version, and the file's number."""

LIVING: Final = np.dtype(
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
"""A row in a live table's file, and the open versions that it lives in."""


@dataclass(slots=True)
class Gathered:
    """What is known of the rows of one live table and its change log."""

    table: str
    reader: RowReader
    files: Sequence[Copy]
    """Those that records name by their place here."""
    images: Spool
    living: Spool
    tally: Tally
    """Of the live table, over the open versions."""
    unknown: list[Copy] = field(default_factory=list[Copy])
    """Files that no whole copy is left of."""

    @property
    def is_log_whole(self) -> bool:
        """Whether every image of the change log is known."""
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


def gather(
    gathered: Gathered,
    right: Iterable[Copy],
    findings: Findings,
    done: Callable[[], None],
) -> None:
    """Read the rows of every file, and make records of them.

    Args:
        gathered: Where they go.
        right: The files that are byte for byte right.
        findings: Where it is noted that something is unknown.
        done: Called after every file.
    """
    whole = set(right)
    contents: dict[tuple[str, int], _Content] = {}
    for number, copy in enumerate(gathered.files):
        name = copy.checksum or copy.path, copy.file.size
        content = contents.setdefault(name, _Content())
        content.copies[number] = copy
        content.source = copy if copy in whole else content.source
    small: dict[bool, list[_Content]] = {True: [], False: []}
    for content in contents.values():
        if content.is_small:
            small[content.is_log].append(content)
        else:
            _gather(gathered, content)
            done()
    for is_log, together in small.items():
        for start in range(0, len(together), _TOGETHER):
            _gather_small(gathered, together[start : start + _TOGETHER], is_log=is_log)
            done()
    if gathered.unknown:
        findings.note(
            f"Versions whose rows of {findings.layout.folder(gathered.table)} are in "
            "damaged files were not compared row by row."
        )


@dataclass(slots=True)
class _Content:
    """What some files have in common: their bytes."""

    copies: dict[int, Copy] = field(default_factory=dict[int, Copy])
    """The files, by number."""
    source: Copy | None = None
    """One that is whole."""

    @property
    def is_log(self) -> bool:
        """Whether the change log has it."""
        return any(copy.life is None for copy in self.copies.values())

    @property
    def is_small(self) -> bool:
        """Whether it pays to read it together with others."""
        return (
            self.source is not None
            and self.source.file.rows <= _SMALL_ROWS
            and self.source.file.size <= _SMALL_BYTES
        )


def _gather_small(
    gathered: Gathered, contents: Sequence[_Content], *, is_log: bool
) -> None:
    """Read small files at once; one by one if anything is wrong with any."""
    sources = [content.source for content in contents if content.source is not None]
    batches = gathered.reader.read_together(sources, is_log=is_log)
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
        images = _images(batch, number)
        if copy.file.dead_rows:
            images = take(images, _alive(batch, copy))
        gathered.images.add(images)
        return
    ends = copy.life.ends(batch.start, len(batch.first))
    records = _living(batch, number, copy.life.first, ends)
    gathered.living.add(records)
    gathered.tally.come(records["start"], records["hash"])
    gone = take(records, records["end"] != FOR_EVER)
    gathered.tally.go(gone["end"], gone["hash"])


def _alive(batch: Batch, copy: Copy) -> npt.NDArray[np.intp]:
    """The places of images that count: a clone's log has files with dead rows."""
    places = np.arange(batch.start, batch.start + len(batch.first))
    return np.flatnonzero(~np.isin(places, copy.file.dead))


def _images(batch: Batch, number: int) -> Records:
    records = np.empty(len(batch.first), IMAGE)
    records["first"], records["second"] = batch.first, batch.second
    records["hash"], records["version"] = batch.hashes, batch.versions
    records["file"], records["deleted"] = number, batch.deleted
    return records


def _living(batch: Batch, number: int, start: int, ends: Spans) -> Records:
    """The rows that live in any open version."""
    alive = ends > start
    records = np.empty(int(alive.sum()), LIVING)
    records["first"] = batch.first[alive]
    records["second"] = batch.second[alive]
    records["hash"] = batch.hashes[alive]
    records["version"] = batch.versions[alive]
    records["file"], records["start"] = number, start
    records["end"] = ends[alive]
    return records
