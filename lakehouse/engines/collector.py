"""Garbage collection: files that no open version names are removed.

Open are the latest version, checkpoints, pins, the versions that were the latest
within the retention time, and those that readers hold a lease on. The others
stay readable, from the change log, which is never collected. In this order:

    1. list files, and keep as candidates those older than the grace time
    2. put a ledger entry that closes the versions whose files will go
    3. list leases
    4. remove the candidates that no open version names
    5. open every open version, and compare its fingerprint

A merger that planned before the entry loses to it and writes its files again; a
checkpoint that comes after it names a closed version, and is read from the change
log. So nothing that is named is ever removed, whoever is slow.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from lakehouse.collection import Collection
from lakehouse.contracts import COLLECTION_TABLES
from lakehouse.engines.checking import damaged
from lakehouse.engines.landing import Planned, land
from lakehouse.engines.leftovers import leftovers, sweep_leftovers
from lakehouse.engines.lifetimes import File, Lifetimes
from lakehouse.engines.ready import following
from lakehouse.ledger import Entry
from lakehouse.storage import StoredFile
from lakehouse.tags import tags_at

__all__ = ["GRACE", "RETENTION", "FolderGarbage", "Garbage", "collect_garbage"]

RETENTION: Final = timedelta(days=30)
"""How long a version that is the latest no more keeps its files."""

GRACE: Final = timedelta(days=7)
"""Files younger than this are let be, and so is what was the latest within it."""

_REPORT_SCHEMA: Final = pl.Schema(
    {"folder": pl.String(), "files": pl.Int64(), "bytes": pl.Int64()}
)


@dataclass(frozen=True, slots=True)
class FolderGarbage:
    """What was found in one folder of the collection."""

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
    """What was found wrong with them afterwards, in words: nothing, it should be."""

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


@dataclass(slots=True)
class _Doom:
    """What is to go, as planned on one head."""

    lasting: set[int] = field(default_factory=set[int])
    closed: list[int] = field(default_factory=list[int])
    files: set[File] = field(default_factory=set[File])


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
        retention: How long a version keeps its files once it is the latest no more.
        grace: Younger files are let be.
        dry_run: Only tell what would go.
        author: Whom the ledger entry names.

    Raises:
        ConflictError: If other writers were always first.
        StorageError: If the store failed; what is left is found the next time.
    """
    now = datetime.now(UTC)
    listed = list(_own(collection, collection.store.files(collection.path)))
    candidates = _candidates(collection, listed, now - grace)
    horizon = now - max(retention, grace)
    lifetimes, doom = Lifetimes(), _Doom()

    def plan(head: Entry) -> Planned | None:
        nonlocal doom
        lifetimes.read_on(collection.ledger, head.version)
        doom = _doom(collection, lifetimes, head, set(candidates), horizon, now - grace)
        if not doom.files:
            return None
        closed = _ranges({*_closed(collection, head), *doom.closed})
        message = f"garbage collection: {len(doom.closed)} versions closed"
        entry = following(
            head, "collect", author=author, message=message,
            closed=closed, collected=head.version + 1,
        )  # fmt: skip
        return Planned(entry)

    if dry_run:
        plan(collection.head())
        entry = None
    else:
        entry = land(collection, plan)
    spared = lifetimes.named(sorted(collection.leases.held(now)))
    gone = [candidates[file] for file in sorted(doom.files - spared)]
    left = leftovers(
        collection, listed, collection.head().version, now=now, grace=grace
    )
    wrong: list[str] = []
    if not dry_run:
        for file in gone:
            collection.store.delete(file.path)
        sweep_leftovers(collection, left)
        places = lifetimes.places
        wrong = damaged(collection, (places[version] for version in doom.lasting))
    return Garbage(
        dry_run=dry_run,
        entry=None if entry is None else entry.version,
        closed=tuple(doom.closed),
        folders=tuple(_by_folder(collection, [*gone, *left])),
        open_versions=len(doom.lasting),
        damaged=tuple(wrong),
    )


def _own(collection: Collection, files: Sequence[StoredFile]) -> Iterator[StoredFile]:
    """The files that are not of another collection within this one's folder."""
    start = f"{collection.path}/inference_sets/"
    return (file for file in files if not file.path.startswith(start))


def _candidates(
    collection: Collection, files: Sequence[StoredFile], old: datetime
) -> dict[File, StoredFile]:
    """The data files of tables that are old enough to go."""
    found: dict[File, StoredFile] = {}
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
            found[table, path] = file
    return found


def _doom(  # noqa: PLR0917 - what the plan stands on
    collection: Collection,
    lifetimes: Lifetimes,
    head: Entry,
    candidates: set[File],
    horizon: datetime,
    old: datetime,
) -> _Doom:
    """What goes, and which versions that closes, on a head."""
    closed = _closed(collection, head)
    tags = tags_at(collection, head.version).filter(~pl.col("archived"))
    named = set(tags.get_column("version").to_list()) - closed
    lasting = (lifetimes.latest_since(horizon) | named) - closed
    places = lifetimes.places
    kept = {places[version] for version in lasting}
    # Plain engines open a named version by its own number.
    kept |= named | lifetimes.newest_since(old)
    files = candidates - lifetimes.named(sorted(kept))
    harmed = sorted(lifetimes.harmed(files) - lasting - closed)
    return _Doom(lasting, harmed, files)


def _closed(collection: Collection, head: Entry) -> set[int]:
    """The versions that are closed already."""
    if head.collected is None:
        return set()
    ranges = collection.ledger.read(head.collected).closed
    return {version for first, last in ranges for version in range(first, last + 1)}


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
    for folder, found in sorted(sizes.items()):
        yield FolderGarbage(folder, len(found), sum(found))
