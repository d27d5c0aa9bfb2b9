"""Compaction: the same rows in fewer files, without dead ones.

It is decided in the ledger like every write, by an entry of kind `maintenance`
that changes no content, so it is safe beside any number of writers: files are
written first, and named only if those they stand for are still there. Rows that
died there meanwhile are dead in the new files too.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.delta.compaction import due_groups, every_group, is_due
from lakehouse.delta.log import Action, remove_action
from lakehouse.delta.scan import PLACE, scan_placed
from lakehouse.delta.table_state import DataFile, TableState
from lakehouse.delta.writer import sort_rows, with_dead
from lakehouse.errors import ConflictError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.storage import collect
from lakehouse.transactions.background import start, warn
from lakehouse.transactions.commit import (
    COMPACTION,
    PlannedEntry,
    commit,
    next_entry,
)

_log = logging.getLogger(__name__)

_compacting: set[str] = set()
"""Paths of the collections that are being compacted, or wait for it."""

_guard: Final = threading.Lock()

Places = npt.NDArray[np.int64]
"""Row numbers, counted over several files one after the other."""

Chooser = Callable[[TableState], Iterable[list[DataFile]]]
"""From a table to the groups of its files that are each to become new files."""


@dataclass(slots=True)
class TableCompaction:
    """What became of one table."""

    table: str
    files_before: int
    """Files that were written again."""
    files_after: int
    """Files they became."""
    rows: int
    """Rows written again."""
    dead_rows: int
    """Dead rows left out."""
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did, table by table; tables it left alone are not named."""

    entry: int | None = None
    """The ledger entry; None if there was nothing to do, or writers were faster."""
    tables: tuple[TableCompaction, ...] = ()

    def to_frame(self) -> pl.DataFrame:
        """A row a table."""
        return pl.DataFrame(
            [asdict(table) for table in self.tables], schema=_REPORT_SCHEMA
        )


_REPORT_SCHEMA: Final = pl.Schema(
    {
        "table": pl.String(),
        **{
            name: pl.Int64()
            for name in (
                "files_before",
                "files_after",
                "rows",
                "dead_rows",
                "bytes_before",
                "bytes_after",
            )
        },
    }
)


def is_compaction_due(collection: Collection, version: int) -> bool:
    """Whether the policy asks for anything at an entry."""
    return any(is_due(collection.state(table, version)) for table in COLLECTION_TABLES)


def compact(collection: Collection, *, full: bool) -> Compaction:
    """Compact the tables of a collection.

    Args:
        collection: Whose tables.
        full: Join and fold all there is to gain, rather than what the policy
            says is due.

    Raises:
        StorageError: If the store failed; nothing has changed then.
    """
    work = _Work(collection, every_group if full else due_groups)

    def plan(head: Entry) -> PlannedEntry[tuple[TableCompaction, ...]]:
        work.bring_to(head)
        if not any(work.rewrites.values()):
            return PlannedEntry(None, ())
        return PlannedEntry(_entry(head, work), work.report(), work.files())

    try:
        planned = commit(collection, plan, COMPACTION)
    except ConflictError:
        # Other writers were faster. It is tried again when it is due again.
        return Compaction()
    if planned.entry is None:
        return Compaction()
    return Compaction(planned.entry.version, planned.result)


def compact_later(collection: Collection, version: int) -> None:
    """Compact when the policy says that it is due, unless that is under way."""
    with _guard:
        if collection.path in _compacting or not is_compaction_due(collection, version):
            return
        _compacting.add(collection.path)
    start(_compact_behind, collection)


def _compact_behind(collection: Collection) -> None:
    try:
        # A twin: the caches of a collection are not made for two threads.
        compact(collection.twin(), full=False)
    except Exception:  # noqa: BLE001 - it comes again with the next merge
        warn(collection, "no compaction")
    finally:
        with _guard:
            _compacting.discard(collection.path)


@dataclass(frozen=True, slots=True)
class _Swap:
    """What a rewrite comes to at a version: old files out, new files in."""

    old: list[DataFile]
    adds: list[Action]


@dataclass(frozen=True, slots=True, eq=False)
class _Rewrite:
    """New files that have the live rows of old ones."""

    read: Sequence[DataFile]
    """The old files, with the dead rows that they had."""
    written: Sequence[DataFile]
    """The new files."""
    origins: Places
    """Shape (rows of the new files,): the place of each in the old files."""

    def swap(self, files: Mapping[str, DataFile]) -> _Swap | None:
        """What it comes to beside the files of a version; None if it is of no use."""
        now = [files[file.path] for file in self.read if file.path in files]
        if len(now) < len(self.read):
            return None
        newly: list[Places] = []
        offset = 0
        for before, after in zip(self.read, now, strict=True):
            # A merge marked rows dead in an old file after it was read. They are in the
            # new files, and are marked dead there.
            new_dead = np.setdiff1d(after.dead, before.dead, assume_unique=True)
            if len(new_dead) != after.dead_rows - before.dead_rows:
                # Fewer rows are dead than before: not the file that was read.
                return None
            newly.append(new_dead.astype(np.int64) + offset)
            offset += before.rows
        dead = self._places_of(np.concatenate(newly), offset)
        return _Swap(now, self._adds(dead))

    def _places_of(self, old: Places, height: int) -> Places:
        """Where rows of the old files are in the new ones, ascending."""
        if not len(old):
            return old
        place = np.zeros(height, dtype=np.int64)
        place[self.origins] = np.arange(len(self.origins))
        return np.sort(place[old])

    def _adds(self, dead: Places) -> list[Action]:
        """The actions for the new files; a file whose rows are all dead is left out."""
        adds: list[Action] = []
        start = 0
        for file in self.written:
            inside = dead[np.searchsorted(dead, start) :]
            inside = inside[: np.searchsorted(inside, start + file.rows)] - start
            if not len(inside):
                adds.append(file.action)
            elif len(inside) < file.rows:
                adds.append(with_dead(file, inside.astype(np.uint32)).action)
            start += file.rows
        return adds


@dataclass(slots=True)
class _Work:
    """What was written for each table, kept over lost races while it is of use.

    Writing takes longer than a merge. If every merge beside it cost all of that, a
    busy collection would never be compacted.
    """

    collection: Collection
    choose: Chooser
    collected: int | None = None
    """The newest garbage collection when it was written."""
    rewrites: dict[str, list[_Rewrite]] = field(
        default_factory=dict[str, list[_Rewrite]]
    )
    """Table to what was written for it."""
    swaps: dict[str, list[_Swap]] = field(default_factory=dict[str, list[_Swap]])
    """Table to what that comes to at the head."""

    def bring_to(self, head: Entry) -> None:
        """Write the files that are to replace others at `head`; keep those that still can."""
        if self.collected != head.collected:
            # A garbage collection came by. It may have listed our files, which nothing
            # names yet, and may be about to delete them.
            for table in self.rewrites:
                self._drop(table, self.rewrites[table])
            self.rewrites.clear()
        self.collected = head.collected
        for table in COLLECTION_TABLES:
            state = self.collection.state(table, head.version)
            earlier = self.rewrites.get(table, [])
            kept = _swaps(earlier, state)
            self._drop(table, [one for one in earlier if one not in kept])
            if not kept:
                kept = _swaps(self._write(table, state), state)
            self.rewrites[table] = list(kept)
            self.swaps[table] = list(kept.values())

    def files(self) -> list[str]:
        """The paths of all files that were written."""
        return [
            f"{self.collection.table_path(table)}/{file.path}"
            for table, rewrites in self.rewrites.items()
            for one in rewrites
            for file in one.written
        ]

    def report(self) -> tuple[TableCompaction, ...]:
        """What becomes of each table that changes."""
        return tuple(
            _report(table, swaps) for table, swaps in self.swaps.items() if swaps
        )

    def _write(self, table: str, state: TableState) -> list[_Rewrite]:
        """Write the files of a table that are chosen."""
        rewrites: list[_Rewrite] = []
        for files in self.choose(state):
            try:
                rewrites.append(_rewrite(self.collection, table, state, files))
            except NotFoundError:
                # Another compaction replaced them, and garbage collection was quick.
                _log.info("files of %s went while they were compacted", table)
        return rewrites

    def _drop(self, table: str, rewrites: Iterable[_Rewrite]) -> None:
        for file in (file for one in rewrites for file in one.written):
            self.collection.store.delete(
                f"{self.collection.table_path(table)}/{file.path}"
            )


def _swaps(rewrites: Iterable[_Rewrite], state: TableState) -> dict[_Rewrite, _Swap]:
    """What rewrites come to at a version, without those that are of no use."""
    pairs = ((one, one.swap(state.files)) for one in rewrites)
    return {one: swap for one, swap in pairs if swap is not None}


def _rewrite(
    collection: Collection, table: str, state: TableState, files: Sequence[DataFile]
) -> _Rewrite:
    """Write the live rows of some files of a table as new ones.

    Raises:
        NotFoundError: If a file is gone.
    """
    path, contract = collection.table_path(table), collection.contract(table)
    rows = collect(scan_placed(collection.store, path, files, state.schema))
    rows = sort_rows(rows, contract)
    # Sorting moves rows, and merges name rows by place: rows that die in the old files
    # while this runs are found in the new ones through their origins.
    origins = rows.get_column(PLACE).cast(int).to_numpy()
    writer, adds = collection.writer(table), list[Action]()
    if rows.height:
        adds = writer.append(rows.drop(PLACE), indexed=table in LIVE_TABLES)
    written = [_file(add["add"], contract.key[0]) for add in adds]
    return _Rewrite(files, written, origins)


def _file(add: dict[str, Any], key: str) -> DataFile:
    # Streaming readers of the Delta table must not take rewritten rows for new ones.
    return DataFile.from_action({"add": {**add, "dataChange": False}}, key)


def _entry(head: Entry, work: _Work) -> Entry:
    entry = next_entry(head, "maintenance", message="compaction")
    actions: dict[str, tuple[Action, ...]] = {}
    for table, swaps in work.swaps.items():
        removed = [
            remove_action(file.action, timestamp=entry.time, data_change=False)
            for one in swaps
            for file in one.old
        ]
        added = [add for one in swaps for add in one.adds]
        if removed:
            actions[table] = (*removed, *added)
    return replace(entry, actions=actions)


def _report(table: str, swaps: list[_Swap]) -> TableCompaction:
    old = [file for one in swaps for file in one.old]
    new: list[dict[str, Any]] = [add["add"] for one in swaps for add in one.adds]
    return TableCompaction(
        table=table,
        files_before=len(old),
        files_after=len(new),
        rows=sum(file.live_rows for file in old),
        dead_rows=sum(file.dead_rows for file in old),
        bytes_before=sum(file.size for file in old),
        bytes_after=sum(add["size"] for add in new),
    )
