"""Garbage collection: files that no open version names are removed.

Open are the latest version, checkpoints, pins, the versions that were the latest
within the retention time, and those that readers hold a lease on. The others
stay readable, from the change log, which is never collected. The order is what
makes it safe beside any number of writers and readers:

    1. list files, and keep as candidates those older than the grace time
    2. put a ledger entry that closes the versions whose files will go
    3. list leases
    4. remove the candidates that no open version names
    5. open every open version, and compare its fingerprint

A merger that planned before the entry loses to it and writes its files again; a
checkpoint that comes after it names a closed version, and is read from the change
log. So nothing that is named is ever removed, whoever is slow.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

import numpy as np
import polars as pl

from lakehouse.delta.deletion_vectors import Positions
from lakehouse.delta.log import written_paths
from lakehouse.delta.scan import scan_files
from lakehouse.delta.table_state import DataFile
from lakehouse.errors import LakehouseError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.leases import store_time
from lakehouse.ledger.ledger import Entry, Ledger
from lakehouse.ledger.tags import tags_at
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.model.row_hash import Fingerprint
from lakehouse.storage import StoredFile, collect
from lakehouse.transactions.commit import CALL, PlannedEntry, commit, next_entry

RETENTION: Final = timedelta(days=30)
"""How long a version keeps its files once it is not the latest any more."""

GRACE: Final = timedelta(days=7)
"""Younger files are kept, and so are files of versions that were the latest within it.

It is no condition for safety among writers: it spares them from writing again, and
it is all that protects readers who may not write a lease.
"""

REJECTED_KEPT: Final = timedelta(days=30)
"""How long rejected rows stay staged for a retry."""

_TEMPORARY: Final = ".tmp-"

_NEVER_REMOVED: Final = 1 << 62
"""Greater than any entry's number."""

File = tuple[str, str]
"""Table, and the file's path in it."""

_Sums = dict[str, tuple[Positions, Fingerprint]]
"""File to the rows that were dead when it was read, and the fingerprint of the others."""

_REPORT_SCHEMA: Final = pl.Schema(
    {"folder": pl.String(), "files": pl.Int64(), "bytes": pl.Int64()}
)


@dataclass(frozen=True, slots=True)
class FolderGarbage:
    """Garbage of one folder of the collection."""

    folder: str
    """A table, or `staging`."""
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """What a garbage collection removed, or would remove."""

    dry_run: bool
    """Whether nothing was touched."""
    entry: int | None = None
    """The ledger entry; None on a dry run, and where no table had garbage."""
    closed: tuple[int, ...] = ()
    """The versions that are read from the change log from now on."""
    folders: tuple[FolderGarbage, ...] = ()
    """Folder by folder; those without garbage are not named."""
    open_versions: int = 0
    """How many versions keep their files."""
    damaged: tuple[str, ...] = ()
    """Problems of open versions afterwards, in words; empty unless something is broken."""

    @property
    def files(self) -> int:
        """Files in all."""
        return sum(folder.files for folder in self.folders)

    @property
    def bytes(self) -> int:
        """Bytes in all; on a local disk, files that tables share count in each."""
        return sum(folder.bytes for folder in self.folders)

    def to_frame(self) -> pl.DataFrame:
        """A row a folder."""
        return pl.DataFrame(
            [asdict(folder) for folder in self.folders], schema=_REPORT_SCHEMA
        )

    def __repr__(self) -> str:
        verb = "would free" if self.dry_run else "freed"
        return (
            f"<Garbage {verb} {self.files} files, {self.bytes:,} bytes; "
            f"{len(self.closed)} versions closed>"
        )


@dataclass(frozen=True, slots=True)
class _CollectPlan:
    """What a collection removes, as planned on one head."""

    open: set[int]
    """The versions that keep their files."""
    newly_closed: list[int]
    """The versions that lose files by it, ascending."""
    files: set[File]
    """The data files that no open version names."""


def collect_garbage(
    collection: Collection,
    *,
    retention: timedelta = RETENTION,
    grace: timedelta = GRACE,
    dry_run: bool = True,
    author: str | None = None,
) -> Garbage:
    """Remove the files that no open version names, and what dead writers left.

    Args:
        collection: Whose files.
        retention: How long a version keeps its files once it is not the latest any more.
        grace: Younger files are kept.
        dry_run: Only report what would be removed.
        author: Whom the ledger entry names.

    Raises:
        ConflictError: If other writers were always first.
        StorageError: If the store failed; what is left is found the next time.
    """
    # By the store's clock, as the times of its files are: a collector whose clock is
    # ahead would take files for old. A dry run puts nothing there to see it by.
    leases = f"{collection.path}/leases"
    stored = datetime.now(UTC) if dry_run else store_time(collection.store, leases)
    # Stores round times down, by up to a second.
    now = stored + timedelta(seconds=1)
    # Listed before the entry: what a writer adds later is no candidate, so nothing
    # that it names can be removed.
    listed = list(_own(collection, collection.store.files(collection.path)))
    candidates = _candidates(collection, listed, now - grace)
    horizon = now - max(retention, grace)
    lifetimes = Lifetimes()

    def plan(head: Entry) -> PlannedEntry[_CollectPlan]:
        lifetimes.read_on(collection.ledger, head.version)
        planned = _plan_on(
            collection, lifetimes, head, set(candidates), horizon, now - grace
        )
        if not planned.files:
            return PlannedEntry(None, planned)
        closed = _ranges({*_closed(collection, head), *planned.newly_closed})
        message = f"garbage collection: {len(planned.newly_closed)} versions closed"
        entry = next_entry(
            head, "collect", author=author, message=message,
            closed=closed, collected=head.version + 1,
        )  # fmt: skip
        return PlannedEntry(entry, planned)

    decided = plan(collection.head()) if dry_run else commit(collection, plan, CALL)
    planned = decided.result
    # Leases are read after the entry: a reader that saw its version still open had put
    # its lease before that look, so the lease is seen here.
    leased = lifetimes.named(sorted(collection.leases.held(stored)))
    removed = [candidates[file] for file in sorted(planned.files - leased)]
    left = leftovers(
        collection, listed, collection.head().version, now=now, grace=grace
    )
    problems: list[str] = []
    if not dry_run:
        for file in removed:
            collection.store.delete(file.path)
        sweep_leftovers(collection, left)
        places = lifetimes.places
        problems = damaged(collection, (places[version] for version in planned.open))
    return Garbage(
        dry_run=dry_run,
        entry=None if dry_run or decided.entry is None else decided.entry.version,
        closed=tuple(planned.newly_closed),
        folders=tuple(_by_folder(collection, [*removed, *left])),
        open_versions=len(planned.open),
        damaged=tuple(problems),
    )


def _plan_on(  # noqa: PLR0917 - what the plan stands on
    collection: Collection,
    lifetimes: "Lifetimes",
    head: Entry,
    candidates: set[File],
    horizon: datetime,
    old: datetime,
) -> _CollectPlan:
    """Which files go on a head, and which versions that closes."""
    closed = _closed(collection, head)
    tags = tags_at(collection, head.version).filter(~pl.col("archived"))
    tagged = set(tags.get_column("version").to_list()) - closed
    open_versions = (lifetimes.latest_since(horizon) | tagged) - closed
    places = lifetimes.places
    kept = {places[version] for version in open_versions}
    # A version is read at the newest entry with its content, after compaction. Plain
    # engines know nothing of that and open a tagged version by its own number, and
    # what was replaced a moment ago may be open in a reader that looked before.
    kept |= tagged | lifetimes.newest_since(old)
    files = candidates - lifetimes.named(sorted(kept))
    newly_closed = sorted(lifetimes.harmed(files) - open_versions - closed)
    return _CollectPlan(open_versions, newly_closed, files)


def _closed(collection: Collection, head: Entry) -> set[int]:
    """The versions that are closed already."""
    if head.collected is None:
        return set()
    ranges = collection.ledger.read(head.collected).closed
    return {version for first, last in ranges for version in range(first, last + 1)}


def _own(collection: Collection, files: Sequence[StoredFile]) -> Iterator[StoredFile]:
    """The files that are not of another collection within this one's folder."""
    start = f"{collection.path}/inference_sets/"
    return (file for file in files if not file.path.startswith(start))


def _candidates(
    collection: Collection, files: Sequence[StoredFile], old: datetime
) -> dict[File, StoredFile]:
    """The data files of tables that are old enough to go."""
    candidates: dict[File, StoredFile] = {}
    tables = {collection.layout.folder(table): table for table in COLLECTION_TABLES}
    for file in files:
        place = file.path.removeprefix(f"{collection.path}/")
        folder, _, path = place.partition("/")
        table = tables.get(folder)
        if (
            table is not None
            and not path.startswith(("_delta_log/", ".tmp-"))
            and file.modified < old
        ):
            candidates[table, path] = file
    return candidates


def _ranges(versions: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as ranges with both ends."""
    ranges: list[tuple[int, int]] = []
    for version in sorted(versions):
        if ranges and ranges[-1][1] + 1 == version:
            ranges[-1] = (ranges[-1][0], version)
        else:
            ranges.append((version, version))
    return tuple(ranges)


def _by_folder(
    collection: Collection, files: Iterable[StoredFile]
) -> Iterator[FolderGarbage]:
    sizes: dict[str, list[int]] = {}
    for file in files:
        place = file.path.removeprefix(f"{collection.path}/").partition("/")[0]
        sizes.setdefault(place, []).append(file.size)
    for folder, inside in sorted(sizes.items()):
        yield FolderGarbage(folder, len(inside), sum(inside))


# ---------------------------- LIFETIMES OF FILES ---------------------------- #


class Lifetimes:
    """The files of a collection's tables, and the entries that name them."""

    def __init__(self) -> None:
        self._span: dict[File, tuple[int, int]] = {}
        # File to the entry that added it, and the entry that removed it.
        self._times: list[datetime] = []
        self._contents: list[int] = []

    def read_on(self, ledger: Ledger, head: int) -> None:
        """Read the entries up to `head` that were not read yet."""
        for version in range(len(self._times), head + 1):
            self._take(ledger.read(version))

    @property
    def places(self) -> dict[int, int]:
        """Version to the newest entry with its content, where it is read."""
        return {content: entry for entry, content in enumerate(self._contents)}

    def latest_since(self, time: datetime) -> set[int]:
        """The versions that were the latest one at some moment since that time."""
        versions = sorted(set(self._contents))
        ended = (self._times[version] for version in versions[1:])
        old = {v for v, end in zip(versions, ended, strict=False) if end < time}
        return set(versions) - old

    def newest_since(self, time: datetime) -> set[int]:
        """The entries that were the newest one at some moment since that time."""
        ended = enumerate(self._times[1:])
        return {entry for entry, end in ended if end >= time} | {len(self._times) - 1}

    def named(self, entries: Sequence[int]) -> set[File]:
        """The files that any of some entries names.

        Args:
            entries: Their numbers, ascending.
        """
        return {
            file
            for file, (first, end) in self._span.items()
            if (at := bisect_left(entries, first)) < len(entries) and entries[at] < end
        }

    def harmed(self, files: Iterable[File]) -> set[int]:
        """The versions that lose rows when files of live tables go."""
        # +1 where a file's life begins, -1 where it ends: the running sum says how many
        # of the files each entry names, without a set of files for every entry.
        changes = np.zeros(len(self._times) + 1, dtype=np.int64)
        for file in files:
            if file in self._span and file[0] in LIVE_TABLES:
                first, end = self._span[file]
                changes[first] += 1
                changes[min(end, len(self._times))] -= 1
        depth = np.cumsum(changes)
        return {version for version, entry in self.places.items() if depth[entry]}

    def _take(self, entry: Entry) -> None:
        self._times.append(entry.time)
        self._contents.append(entry.content_version)
        for table, actions in entry.actions.items():
            written = set(written_paths(actions))
            # Removed and added at once: the file lives on, with other dead rows.
            added = {_path(action, "add") for action in actions}
            for path in {_path(action, "remove") for action in actions} - added:
                first, _ = self._span.get((table, path), (0, _NEVER_REMOVED))
                self._span[table, path] = (first, entry.version)
            for path in written:
                self._span[table, path] = (entry.version, _NEVER_REMOVED)


def _path(action: Mapping[str, Any], kind: str) -> str:
    """The path that an action of that kind names; empty for other actions."""
    return str(action[kind]["path"]) if kind in action else ""


# -------------------------------- LEFTOVERS --------------------------------- #


def leftovers(
    collection: Collection,
    files: Sequence[StoredFile],
    version: int,
    *,
    now: datetime,
    grace: timedelta,
) -> list[StoredFile]:
    """The temporary and staged files that no writer will use any more.

    Args:
        collection: Whose folder was listed.
        files: Every file in it.
        version: The head entry: what is settled.
        now: The moment to judge by.
        grace: Younger files are kept.
    """
    old = now - grace
    temporary = [
        file
        for file in files
        if file.path.rpartition("/")[2].startswith(_TEMPORARY) and file.modified < old
    ]
    start = f"{collection.path}/staging/"
    staged = [file for file in files if _upload(file, start)]
    uploads = {
        upload_id: list(group)
        for upload_id, group in groupby(staged, key=lambda file: _upload(file, start))
    }
    done = _done(collection, version, list(uploads))
    ended = [
        file
        for upload_id, group in uploads.items()
        for file in _ended(
            collection, upload_id, group, settled=done.get(upload_id), old=old, now=now
        )
    ]
    return list({file.path: file for file in [*temporary, *ended]}.values())


def _done(
    collection: Collection, version: int, upload_ids: Sequence[str]
) -> dict[str, str]:
    """The uploads of which every row landed, and the content hash of each."""
    if not upload_ids:
        return {}
    keys = pl.Series("upload_id", upload_ids, dtype=pl.String)
    rows = collection.scan(
        "uploads", version, keys=keys, columns=["upload_id", "content_hash", "status"]
    )
    done = collect(rows).filter(status="DONE")
    return dict(done[["upload_id", "content_hash"]].rows())


def _ended(
    collection: Collection,
    upload_id: str,
    files: list[StoredFile],
    *,
    settled: str | None,
    old: datetime,
    now: datetime,
) -> Iterator[StoredFile]:
    """The files of a staged upload that nobody needs any more.

    Where rows were staged under an id that was settled with others (its content hash is
    `settled`), they are kept as rejected ones are: somebody may miss them. Where a merger died, rejected rows may lie there unmarked: they are kept.
    """
    names = {file.path.rpartition("/")[2] for file in files}
    newest = max(file.modified for file in files)
    if "settled.json" in names:
        if newest < now - REJECTED_KEPT:
            yield from files
    elif "manifest.json" not in names or collection.staging.is_abandoned(upload_id):
        if newest < old:
            yield from files
    elif settled is not None and newest < old:
        is_same = collection.staging.has_content(upload_id, settled)
        if is_same or newest < now - REJECTED_KEPT:
            yield from files


def sweep_leftovers(collection: Collection, files: Sequence[StoredFile]) -> None:
    """Remove leftovers; parts without a manifest only once they are declared abandoned.

    Raises:
        StorageError: If the store failed; what is left is found again.
    """
    # Another process may have put the entries that settled them a moment ago.
    collection.ledger.make_durable(collection.head().version)
    start = f"{collection.path}/staging/"
    paths = {file.path for file in files}
    for upload_id in {_upload(file, start) for file in files} - {""}:
        manifest = f"{start}{upload_id}/manifest.json"
        # Put where the writer would put its manifest: one of the two is first, so an
        # upload is acknowledged or removed, and never both.
        if manifest in paths or collection.staging.abandon(upload_id):
            continue
        # Its writer was slow and not dead: the upload is acknowledged after all.
        paths -= {path for path in paths if path.startswith(f"{start}{upload_id}/")}
    # Manifests last: what is cut short is still known for what it is.
    for path in sorted(paths, key=lambda path: (path.endswith(".json"), path)):
        collection.store.delete(path)


def _upload(file: StoredFile, start: str) -> str:
    if not file.path.startswith(start):
        return ""
    upload_id, inside, _ = file.path.removeprefix(start).partition("/")
    # A file beside the uploads' folders is of no upload.
    return upload_id if inside else ""


# ---------------------------------- PROOF ----------------------------------- #


def damaged(collection: Collection, places: Iterable[int]) -> list[str]:
    """Problems of the live tables at some entries, in words: their files, or fingerprints.

    Args:
        collection: Whose tables.
        places: Numbers of entries.
    """
    known: dict[str, _Sums] = {table: {} for table in LIVE_TABLES}
    problems: list[str] = []
    for place in sorted(places):
        entry = collection.ledger.read(place)
        for table in LIVE_TABLES:
            try:
                fingerprint = _sum(collection, table, place, known[table])
            except (LakehouseError, pl.exceptions.PolarsError) as error:
                problems.append(f"{table} at entry {place} cannot be read: {error}")
                continue
            if fingerprint.text != entry.fingerprint[table]:
                problems.append(
                    f"{table} at entry {place} has the fingerprint {fingerprint.text}, not "
                    f"{entry.fingerprint[table]} as the ledger says"
                )
    return problems


def _sum(collection: Collection, table: str, version: int, known: _Sums) -> Fingerprint:
    # Versions share most of their files, and a fingerprint is a sum over rows: each
    # file is read once for all of them, and again only where more rows are dead.
    total = Fingerprint.zero()
    for file in collection.state(table, version).files.values():
        dead, live = known.get(file.path, (None, Fingerprint.zero()))
        if dead is None or not np.array_equal(dead, file.dead):
            live = _of_file(collection, table, file)
            known[file.path] = (file.dead, live)
        total += live
    return total


def _of_file(collection: Collection, table: str, file: DataFile) -> Fingerprint:
    folder, schema = collection.table_path(table), pl.Schema({"row_hash": pl.Int64()})
    rows = collect(scan_files(collection.store, folder, [file], schema))
    return Fingerprint.of(rows.get_column("row_hash"))
