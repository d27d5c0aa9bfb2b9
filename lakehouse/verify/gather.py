"""From the files of a live table and its change log to records of their rows.

Each distinct content is decoded once, from a copy that is whole, for every table
and version that has it. What no whole copy is left of is unknown, and nothing is
concluded from it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lakehouse.verify.files import Copy
from lakehouse.verify.lives import FOR_EVER, Spans
from lakehouse.verify.report import Findings
from lakehouse.verify.rows import Batch, RowReader, UnreadableError
from lakehouse.verify.spool import Records, Spool, take
from lakehouse.verify.tally import Tally

__all__ = ["IMAGE", "LIVING", "Gathered", "gather"]

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
    groups: dict[tuple[str, int], list[int]] = {}
    for number, copy in enumerate(gathered.files):
        content = copy.checksum or copy.path, copy.file.size
        groups.setdefault(content, []).append(number)
    for numbers in groups.values():
        copies = [gathered.files[number] for number in numbers]
        source = next((copy for copy in copies if copy in whole), None)
        if source is None or not _gather(gathered, source, numbers):
            gathered.unknown += copies
        done()
    if gathered.unknown:
        findings.note(
            f"Versions whose rows of {gathered.table} are in damaged files were not "
            "compared row by row."
        )


def _gather(gathered: Gathered, source: Copy, numbers: Sequence[int]) -> bool:
    """Make records of one content, for every file that has it; False if that fails."""
    copies = {number: gathered.files[number] for number in numbers}
    ends = {
        number: copy.life.ends(source.file.rows)
        for number, copy in copies.items()
        if copy.life is not None
    }
    is_log = len(ends) < len(copies)
    try:
        for batch in gathered.reader.read(source, is_log=is_log):
            for number, copy in copies.items():
                _take(gathered, batch, number, copy, ends.get(number))
    except UnreadableError:
        return False
    return True


def _take(
    gathered: Gathered, batch: Batch, number: int, copy: Copy, ends: Spans | None
) -> None:
    """Make records of some rows of a file."""
    if copy.life is None or ends is None:
        gathered.images.add(_images(batch, number))
        return
    mine = ends[batch.start : batch.start + len(batch.first)]
    records = _living(batch, number, copy.life.first, mine)
    gathered.living.add(records)
    gathered.tally.come(records["start"], records["hash"])
    gone = take(records, records["end"] != FOR_EVER)
    gathered.tally.go(gone["end"], gone["hash"])


def _images(batch: Batch, number: int) -> Records:
    records = np.empty(len(batch.first), IMAGE)
    records["first"], records["second"] = batch.first, batch.second
    records["hash"], records["version"] = batch.hashes, batch.versions
    records["file"], records["deleted"] = number, batch.deleted
    return records


def _living(batch: Batch, number: int, start: int, ends: Spans) -> Records:
    """The rows that live in any open version."""
    rows = len(ends)  # a file with more rows than it should have was told of
    alive = ends > start
    records = np.empty(int(alive.sum()), LIVING)
    records["first"] = batch.first[:rows][alive]
    records["second"] = batch.second[:rows][alive]
    records["hash"] = batch.hashes[:rows][alive]
    records["version"] = batch.versions[:rows][alive]
    records["file"], records["start"] = number, start
    records["end"] = ends[alive]
    return records
