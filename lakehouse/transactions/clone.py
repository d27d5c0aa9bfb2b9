"""Clones: the content of a version as version 0 of another collection.

A clone owns its files: hard links on a local disk, copies made by the store on S3;
no row is encoded again. Live tables and change logs have the same files, so version 0
is read from either. Rows of compacted files have no `op` in the log: they are what the
clone began with. The uploads that wrote the rows come along, all at version 0.

Only a version whose files were collected is encoded again, from the change log.
"""

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import polars as pl

from lakehouse.delta.create import creation_actions
from lakehouse.delta.log import Action, data_file_name, written_paths
from lakehouse.delta.table_state import DataFile
from lakehouse.delta.writer import TableWriter
from lakehouse.errors import AlreadyExistsError, NotFoundError
from lakehouse.ledger.change_log import content, place_of
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.model.contracts import APPEND_TABLES, LIVE_TABLES
from lakehouse.storage import collect
from lakehouse.transactions.commit import PlannedEntry, commit_first

_SHARE_ATTEMPTS: Final = 3
"""So often files are shared before they are given up: each failure needs a compaction
and a garbage collection within the moment between two looks."""


@dataclass(slots=True)
class _Files:
    """The actions that add files, table by table."""

    adds: dict[str, list[Action]] = field(default_factory=dict[str, list[Action]])

    def of(self, table: str) -> list[Action]:
        """The actions of one table."""
        return self.adds.setdefault(table, [])

    def paths(self, target: Collection) -> list[str]:
        """The paths of the files: each has a name of its own, so losers delete theirs."""
        return [
            f"{target.table_path(table)}/{path}"
            for table, adds in self.adds.items()
            for path in written_paths(adds)
        ]


def clone_content(
    source: Collection, target: Collection, version: int, *, author: str | None
) -> Entry:
    """Decide version 0 of a collection: the content of a version of another.

    Called again, or by two at once, it has the same result: one of them decides.

    Args:
        source: The collection that is cloned.
        target: The clone; nothing is there yet, or a clone of the same content.
        version: The version of `source`.
        author: Whom version 0 names.

    Raises:
        AlreadyExistsError: If another collection is there.
        NotFoundError: If there is no such version.
        StorageError: If the store failed; the same call completes it.
    """
    cloned = source.ledger.read(version)
    # The clone must not outlive a version that another process put a moment ago.
    source.ledger.make_durable(version)

    def plan() -> PlannedEntry[None]:
        files = _shared(source, target, version)
        files.of("uploads").extend(_uploads(source, target, cloned.content_version))
        entry = _entry(source, target, cloned, files, author)
        return PlannedEntry(entry, None, files.paths(target))

    first = commit_first(target, plan)
    # Whoever put it, equal fingerprints say that it is a clone of this content.
    if (first.fingerprint, first.rows) != (cloned.fingerprint, cloned.rows):
        raise AlreadyExistsError(
            f"There is another collection at {target.path} already, so "
            f"version {version} of {source.path} was not cloned to it. Choose another "
            "name.",
            kind="dataset.exists",
        )
    return first


def _shared(source: Collection, target: Collection, version: int) -> _Files:
    """Share the files of a version with another collection."""
    for _ in range(_SHARE_ATTEMPTS):
        # First the lease, then the look: from here on garbage collection keeps the files
        # of this entry, unless it had closed the version before it could see the lease.
        newest = source.same_content(version)
        source.leases.hold(newest)
        place = place_of(source, version)
        if place is None:
            break
        files = _Files()
        try:
            for table in LIVE_TABLES:
                _share(source, target, table, place, files)
        except NotFoundError:
            continue  # compacted, and collected before the lease was seen
        return files
    return _written(source, target, version)


def _share(
    source: Collection, target: Collection, table: str, place: int, files: _Files
) -> None:
    """Share the files of a live table with a live table and its change log."""
    own = source.table_path(table)
    targets = (table, f"{table}_changes")

    def share(file: DataFile) -> Action:
        # A name of its own: whoever loses the race for entry 0 deletes these files, and
        # they must not be the winner's.
        name = data_file_name()
        for one in targets:
            path = f"{target.table_path(one)}/{name}"
            source.store.share(f"{own}/{file.path}", path)
        return {"add": file.action["add"] | {"path": name, "dataChange": True}}

    state = source.state(table, place)
    with ThreadPoolExecutor(source.store.at_once) as pool:
        adds = list(pool.map(share, state.files.values()))
    for one in targets:
        files.of(one).extend(adds)


def _written(source: Collection, target: Collection, version: int) -> _Files:
    """Encode the rows of a version whose files were collected."""
    files = _Files()
    for table in LIVE_TABLES:
        rows = collect(content(source, table, version))
        if not rows.height:
            continue
        log = f"{table}_changes"
        added = rows.with_columns(op=pl.lit("ADD"))
        adds = _writer(target, log).append(added)
        files.of(log).extend(adds)
        shared = target.writer(table).share(target.table_path(log), adds)
        files.of(table).extend(shared)
    return files


def _uploads(source: Collection, target: Collection, version: int) -> list[Action]:
    """The rows of the uploads up to a version, all at version 0."""
    head = source.head().version
    known = source.scan("uploads", head).filter(pl.col("version") <= version)
    rows = collect(known.with_columns(version=pl.lit(0, dtype=pl.Int64)))
    return _writer(target, "uploads").append(rows) if rows.height else []


def _writer(target: Collection, table: str) -> TableWriter:
    return target.writer(table)


def _entry(
    source: Collection,
    target: Collection,
    cloned: Entry,
    files: _Files,
    author: str | None,
) -> Entry:
    actions = {
        table: (*_creation(source, target, table, cloned, files), *files.of(table))
        for table in _tables()
    }
    name = source.path.rpartition("/")[2]
    return Entry(
        version=0,
        kind="create",
        commit_id=uuid.uuid4().hex,
        time=datetime.now(UTC),
        content_version=0,
        author=author,
        message=f"clone of {name}, version {cloned.content_version}",
        rows=cloned.rows,
        fingerprint=cloned.fingerprint,
        class_map=cloned.class_map,
        actions=actions,
    )


def _creation(
    source: Collection, target: Collection, table: str, cloned: Entry, files: _Files
) -> list[Action]:
    """The actions that make a table with the columns that the source had by then."""
    contract = target.contract(table)
    live = table.removesuffix("_changes")
    columns: Mapping[str, pl.DataType] = {}
    notes: Mapping[str, Mapping[str, object]] = {}
    if live in LIVE_TABLES:
        state = source.state(live, cloned.version)
        columns, notes = contract.extras(state.schema), state.column_metadata
    return creation_actions(
        target.table_path(table),
        contract,
        extra_columns=columns,
        column_metadata=notes,
        # Change logs have no deletion vectors elsewhere, since readers lose row-group
        # pruning with them. Here they share files of the live table, dead rows and all.
        has_vectors=any("deletionVector" in add["add"] for add in files.of(table)),
    )


def _tables() -> Iterator[str]:
    yield from LIVE_TABLES
    yield from APPEND_TABLES
