"""Compaction: the same rows in fewer files, without dead ones.

It is decided in the ledger like every write, by an entry of kind `maintenance`
that changes no content, so it is safe beside any number of writers: files are
written first, and named only if those they stand for are still there. Rows that
died there meanwhile are dead in the new files too.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
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
from lakehouse.errors import NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.storage import collect
from lakehouse.transactions.commit import following, publish_standing, ready_head

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a rewrite comes to at a version: which files go, and what is added."""

    old: list[DataFile]
    adds: list[Action]


@dataclass(frozen=True, slots=True, eq=False)
class Rewritten:
    """Files that have the live rows of others."""

    read: Sequence[DataFile]
    """The old files, with the dead rows that they had."""
    written: Sequence[DataFile]
    """The new files."""
    origins: Places
    """Of each row of the new files, one after the other, its place in the old ones."""

    def standing(self, files: Mapping[str, DataFile]) -> Standing | None:
        """What it comes to beside the files of a version; None if it is of no use."""
        now = [files[file.path] for file in self.read if file.path in files]
        if len(now) < len(self.read):
            return None
        newly: list[Places] = []
        offset = 0
        for before, after in zip(self.read, now, strict=True):
            came = np.setdiff1d(after.dead, before.dead, assume_unique=True)
            if len(came) != after.dead_rows - before.dead_rows:
                return None
            newly.append(came.astype(np.int64) + offset)
            offset += before.rows
        dead = self._places_of(np.concatenate(newly), offset)
        return Standing(now, self._adds(dead))

    def _places_of(self, old: Places, height: int) -> Places:
        """Where rows of the old files are in the new ones, ascending."""
        if not len(old):
            return old
        place = np.zeros(height, dtype=np.int64)
        place[self.origins] = np.arange(len(self.origins))
        return np.sort(place[old])

    def _adds(self, dead: Places) -> list[Action]:
        """The new files, with these of their rows dead; without those all of whose are."""
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


def rewritten(
    collection: Collection, table: str, state: TableState, files: Sequence[DataFile]
) -> Rewritten:
    """Write the live rows of some files of a table as new ones.

    Raises:
        NotFoundError: If a file is gone.
    """
    path, contract = collection.table_path(table), collection.contract(table)
    rows = collect(scan_placed(collection.store, path, files, state.schema))
    rows = sort_rows(rows, contract)
    origins = rows.get_column(PLACE).cast(int).to_numpy()
    writer, adds = collection.writer(table), list[Action]()
    if rows.height:
        adds = writer.append(rows.drop(PLACE), indexed=table in LIVE_TABLES)
    written = [_file(add["add"], contract.key[0]) for add in adds]
    return Rewritten(files, written, origins)


def _file(add: dict[str, Any], key: str) -> DataFile:
    return DataFile.from_action({"add": {**add, "dataChange": False}}, key)


_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 5
_NOBODY: Final = ""


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


@dataclass(slots=True)
class _Work:
    """What was written for each table, kept over lost races while it is of use."""

    collected: int | None = None
    """The newest garbage collection when it was written."""
    tables: dict[str, list[Rewritten]] = field(
        default_factory=dict[str, list[Rewritten]]
    )
    standing: dict[str, list[Standing]] = field(
        default_factory=dict[str, list[Standing]]
    )
    """What that comes to at the head."""


Chooser = Callable[[TableState], Iterable[list[DataFile]]]


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
    choose: Chooser = every_group if full else due_groups
    work = _Work()
    for attempt in range(_ATTEMPTS):
        # Who lost to this process's own writers makes them wait.
        with collection.lock if attempt else nullcontext():
            head = ready_head(collection, _NOBODY)
            _rewrite(collection, head, choose, work)
            if not any(work.tables.values()):
                return Compaction()
            entry = _entry(head, work)
            if collection.ledger.decide(entry):
                return _landed(collection, entry, work)
    _drop(collection, work)
    return Compaction()


def _rewrite(collection: Collection, head: Entry, choose: Chooser, work: _Work) -> None:
    """Write the files that stand for others at `head`; keep those that still do."""
    if work.collected != head.collected:
        # Files that nothing names yet may have been taken for garbage.
        _drop(collection, work)
        work.tables.clear()
    work.collected = head.collected
    for table in COLLECTION_TABLES:
        state = collection.state(table, head.version)
        done = work.tables.get(table, [])
        kept = _standing(done, state)
        _drop_files(collection, table, [one for one in done if one not in kept])
        if not kept:
            kept = _standing(_chosen(collection, table, state, choose), state)
        work.tables[table] = list(kept)
        work.standing[table] = list(kept.values())


def _standing(
    done: Iterable[Rewritten], state: TableState
) -> dict[Rewritten, Standing]:
    """What rewrites come to at a version, without those that are of no use."""
    found = ((one, one.standing(state.files)) for one in done)
    return {one: standing for one, standing in found if standing is not None}


def _chosen(
    collection: Collection, table: str, state: TableState, choose: Chooser
) -> list[Rewritten]:
    """Write the files of a table that are chosen."""
    found: list[Rewritten] = []
    for files in choose(state):
        try:
            found.append(rewritten(collection, table, state, files))
        except NotFoundError:
            _log.info("files of %s went while they were compacted", table)
    return found


def _entry(head: Entry, work: _Work) -> Entry:
    entry = following(head, "maintenance", message="compaction")
    actions: dict[str, tuple[Action, ...]] = {}
    for table, standing in work.standing.items():
        removed = [
            remove_action(file.action, timestamp=entry.time, data_change=False)
            for one in standing
            for file in one.old
        ]
        added = [add for one in standing for add in one.adds]
        if removed:
            actions[table] = (*removed, *added)
    return replace(entry, actions=actions)


def _landed(collection: Collection, entry: Entry, work: _Work) -> Compaction:
    publish_standing(collection, entry)
    reports = (
        _report(table, standing)
        for table, standing in work.standing.items()
        if standing
    )
    return Compaction(entry.version, tuple(reports))


def _report(table: str, standing: list[Standing]) -> TableCompaction:
    old = [file for one in standing for file in one.old]
    new: list[dict[str, Any]] = [add["add"] for one in standing for add in one.adds]
    return TableCompaction(
        table=table,
        files_before=len(old),
        files_after=len(new),
        rows=sum(file.live_rows for file in old),
        dead_rows=sum(file.dead_rows for file in old),
        bytes_before=sum(file.size for file in old),
        bytes_after=sum(add["size"] for add in new),
    )


def _drop(collection: Collection, work: _Work) -> None:
    """Remove files that nothing came to name."""
    for table, done in work.tables.items():
        _drop_files(collection, table, done)


def _drop_files(collection: Collection, table: str, done: Iterable[Rewritten]) -> None:
    for file in (file for one in done for file in one.written):
        collection.store.delete(f"{collection.table_path(table)}/{file.path}")
