"""Which files are written again, and why: the policy of compaction.

After many small changes a table has many small files, and
of large ones with dead rows. Both slow readers down, so now and then

    small files of a size are joined, once there are enough of that size;
    the file with the largest share of dead rows is written without them, while
    a scan would read over three tenths more rows than there are.

So a row is written again about once a size: what is written in all stays within
a few times what was sent, and what a scan reads within a bound.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.delta.writer import TARGET_ROWS

TIERS: Final = ((4_096, 24), (32_768, 8), (262_144, 8))
"""Files under so many live rows are joined once there are so many of them."""

DEAD_SHARE: Final = 0.3
"""Dead rows a live one that a table may have before a file is rewritten.

A rewrite frees the dead rows of a file and writes its live ones: at an eighth six or
seven rows for each that died, at three tenths about three. Scans stay well within the
time of plain Parquet.
"""

_SMALL_FILE_ROWS: Final = TARGET_ROWS // 2  # two of them make one file at the most
# Fewer are left alone whatever their share: small tables would be written again after
# every few changes.
_TOLERATED_DEAD_ROWS: Final = 4_096


def is_due(state: TableState) -> bool:
    """Whether the policy asks for anything."""
    return next(due_groups(state), None) is not None


def due_groups(state: TableState) -> Iterator[list[DataFile]]:
    """The groups of files that the policy has written again, each together."""
    files = list(state.files.values())
    taken: set[str] = set()
    least = 0
    # A row moves up a tier each time it is written again, so it is so about three times.
    for most, enough in TIERS:
        tier = [file for file in files if least <= file.live_rows < most]
        if len(tier) >= enough:
            taken.update(file.path for file in tier)
            yield tier
        least = most
    # What is joined anyway loses its dead rows with it.
    rest = [file for file in files if file.path not in taken]
    live = sum(file.live_rows for file in rest)
    dead = sum(file.dead_rows for file in rest)
    by_share = sorted(rest, key=lambda file: file.dead_rows / max(1, file.rows))
    while dead > max(_TOLERATED_DEAD_ROWS, live * DEAD_SHARE) and by_share:
        worst = by_share.pop()
        dead -= worst.dead_rows
        yield [worst]


def every_group(state: TableState) -> Iterator[list[DataFile]]:
    """All that can be gained: no dead rows, and no small files side by side."""
    files = list(state.files.values())
    small = [file for file in files if file.live_rows < _SMALL_FILE_ROWS]
    small.sort(key=lambda file: str(file.min_key))
    batches = list(_batches(small))
    yield from (batch for batch in batches if len(batch) > 1 or batch[0].dead_rows)
    yield from (
        [file]
        for file in files
        if file.live_rows >= _SMALL_FILE_ROWS and file.dead_rows
    )


def _batches(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Files in a row that together make one file of the target size."""
    batch: list[DataFile] = []
    rows = 0
    for file in files:
        if batch and rows + file.live_rows > TARGET_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(file)
        rows += file.live_rows
    if batch:
        yield batch
