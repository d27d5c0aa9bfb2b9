"""The ledger: numbered entries that decide every change of a collection.

A ledger is a folder of entries, each put there once, if absent. Entry N holds,
for every table of its collection, exactly the Delta actions of commit N of
that table:

    ledger/00000000000000000042.json
        {"version": 42, "kind": "data", "commit_id": …, …}     the header
        {"table": "frames", "actions": [{"add": …}, …]}         one line a table

The put decides, and nothing else does. Publishing then copies the actions into
the `_delta_log` of each table; it follows from the entry alone, so any writer can
finish what a crashed one began. Every commit names the digest of its entry's
bytes, so neither can be altered unnoticed. A commit that is empty or of another
entry, as a power cut leaves it, counts as missing and is replaced. Who puts entries, and what happens to
those who lose, is in `lakehouse.transactions.commit`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from lakehouse.delta.log import Action, commit_info, commit_line, written_paths
from lakehouse.errors import FormatError, NotFoundError, StorageError
from lakehouse.storage import Store
from lakehouse.storage.conditional import newest_number, put_once

T = TypeVar("T")

EntryKind = Literal["create", "data", "maintenance", "turn", "tag", "collect"]

FORMAT: Final = 1
"""The format of entries that this release writes, and the newest it reads."""

_CACHED_ENTRIES: Final = 256
"""Entries never change, so they are kept; a long walk over a ledger must not keep all."""


def entry_name(version: int) -> str:
    """The file name of entry or commit `version`.

    >>> entry_name(42)
    '00000000000000000042.json'
    """
    return f"{version:020d}.json"


def log_path(table_path: str, version: int) -> str:
    """The path of commit `version` in a table's Delta log."""
    return f"{table_path}/_delta_log/{entry_name(version)}"


def digest_of(data: bytes) -> str:
    """The digest of an entry's bytes, as commits name it: 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One decided version of a collection."""

    version: int
    """The entry's number, and the Delta version of every table."""
    kind: EntryKind
    """`create` and `data` make versions; every other kind only uses a number."""
    commit_id: str
    """Unique for each attempt: makes the bytes of every entry different, so a writer
    whose answer was lost knows its own entry when it reads it."""
    time: datetime
    """UTC; later than the time of the entry before."""
    content_version: int
    """The version whose content this entry has: its own number, if it changed content."""
    author: str | None = None
    message: str | None = None
    uploads: tuple[str, ...] = ()
    """The uploads settled by this entry."""
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    """What the uploads did, in frames and labels."""
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    """Rows of each live table at this version."""
    fingerprint: Mapping[str, str] = field(default_factory=dict[str, str])
    """Fingerprint of each live table at this version."""
    turn_until: datetime | None = None
    """On a `turn`: until then the other writers wait."""
    turn_of: str | None = None
    """On a `turn`: the writer that the others wait for."""
    collected: int | None = None
    """The newest `collect` entry up to this one, which has all closed versions."""
    class_map: int | None = None
    """The version of the project's class map that its content was held against."""
    closed: tuple[tuple[int, int], ...] = ()
    """On a `collect`: the versions whose files may be gone, as ranges with both ends."""
    actions: Mapping[str, tuple[Action, ...]] = field(
        default_factory=dict[str, "tuple[Action, ...]"]
    )
    """The Delta actions of each table; a table without any gets an empty commit."""
    digest: str = field(default="", compare=False)
    """Hash of the entry's bytes in the store; empty until it is decided."""

    def encode(self) -> bytes:
        """The entry's bytes, as they are put: the same entry gives the same bytes."""
        header: dict[str, Any] = {
            "format": FORMAT,
            "version": self.version,
            "kind": self.kind,
            "commit_id": self.commit_id,
            "time": self.time.isoformat(timespec="microseconds"),
            "content_version": self.content_version,
            "author": self.author,
            "message": self.message,
            "uploads": list(self.uploads),
            "counts": dict(self.counts),
            "rows": dict(self.rows),
            "fingerprint": dict(self.fingerprint),
        }
        if self.turn_until is not None:
            header["turn_until"] = self.turn_until.isoformat()
            header["turn_of"] = self.turn_of
        if self.collected is not None:
            header["collected"] = self.collected
        if self.class_map is not None:
            header["class_map"] = self.class_map
        if self.closed:
            header["closed"] = [list(pair) for pair in self.closed]
        lines = [json.dumps(header, ensure_ascii=False)]
        lines += [
            json.dumps({"table": table, "actions": list(actions)}, ensure_ascii=False)
            for table, actions in self.actions.items()
        ]
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def decode(cls, data: bytes) -> "Entry":
        """Read an entry back.

        Raises:
            FormatError: If a newer release wrote it, or it is damaged.
        """
        try:
            header, *tables = [json.loads(line) for line in data.splitlines()]
            written = int(header["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"This is not a ledger entry: {data[:80]!r}. Restore the file "
                "from a backup; no other copy of a decision exists.",
                kind="ledger.damaged",
            ) from error
        if written > FORMAT:
            raise FormatError(
                f"Ledger entry {header.get('version')} has format {written}; this "
                f"release reads up to {FORMAT}. Upgrade the package.",
                kind="format.newer",
            )
        try:
            return cls._from_lines(header, tables, digest_of(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"Ledger entry {header.get('version')} lacks what an entry has: "
                f"{type(error).__name__}: {error}. Restore the file from a backup.",
                kind="ledger.damaged",
            ) from error

    @classmethod
    def _from_lines(
        cls, header: Mapping[str, Any], tables: Sequence[Mapping[str, Any]], digest: str
    ) -> "Entry":
        until = header.get("turn_until")
        return cls(
            version=header["version"],
            kind=header["kind"],
            commit_id=header["commit_id"],
            time=datetime.fromisoformat(header["time"]),
            content_version=header["content_version"],
            author=header["author"],
            message=header["message"],
            uploads=tuple(header["uploads"]),
            counts=header["counts"],
            rows=header["rows"],
            fingerprint=header["fingerprint"],
            turn_until=datetime.fromisoformat(until) if until else None,
            turn_of=header.get("turn_of"),
            collected=header.get("collected"),
            class_map=header.get("class_map"),
            closed=tuple((first, last) for first, last in header.get("closed", ())),
            actions={line["table"]: tuple(line["actions"]) for line in tables},
            digest=digest,
        )


class Ledger:
    """The entries of one collection, read and decided.

    Entries never change, so those that were read are cached; the head is found by
    probing upwards from the last one known, without a listing.

    Args:
        store: Where it lies.
        path: The collection's folder.
        tables: The tables as entries name them, and their folders.
    """

    def __init__(self, store: Store, path: str, tables: Mapping[str, str]) -> None:
        self._store = store
        self._path = path
        self._tables = dict(tables)
        self._entries: dict[int, Entry] = {}
        self._known_head = -1
        self._newest: Entry | None = None
        self._published: set[int] = set()
        self._durable = -1

    def read(self, version: int) -> Entry:
        """Entry `version`.

        Raises:
            NotFoundError: If there is no such entry yet.
            StorageError: If it is gone, though later ones are there.
            FormatError: If it is damaged, another entry, or of a newer release.
        """
        if version in self._entries:
            return self._entries[version]
        path = self._entry_path(version)
        try:
            data = self._store.read(path)
        except NotFoundError as error:
            if version > self._known_head:
                raise
            raise self._missing(version) from error
        entry = _decoded(data, path)
        if entry.version != version:
            raise FormatError(
                f"{path} says that it is entry {entry.version}, so another entry lies "
                f"in its place. Restore entry {version} from a backup.",
                kind="ledger.damaged",
            )
        self._cache(entry)
        return entry

    def head(self) -> Entry | None:
        """The newest entry, or None where there is no ledger yet."""
        newest = newest_number(self._exists, self._known_head)
        return self.read(newest) if newest >= 0 else None

    def standing_head(self) -> Entry | None:
        """The newest entry to put another on: what this handle remembers still stands.

        Raises:
            StorageError: If an entry is missing, or the lake is another one than this
                handle read: it was moved, unmounted or made anew.
        """
        if self._store.at_once > 1:
            # Beside the probe for the next entry: no answer is waited for longer.
            with ThreadPoolExecutor(1) as pool:
                standing = pool.submit(self.require_standing)
                head = self.head()
                standing.result()
        else:
            self.require_standing()
            head = self.head()
        # Of an entry that this process published all this was known before.
        if head is None or head.version in self._published:
            return head
        after, first = head.version + 1, next(iter(self._tables.values()))
        # Entries are put before commits, so a commit after the head is of an entry
        # that was put since the look, or that is gone.
        if self._store.exists(log_path(f"{self._path}/{first}", after)):
            if not self._exists(after):
                raise self._missing(after)
            return self.standing_head()
        return head

    def require_standing(self) -> None:
        """Make sure that the newest entry this handle knows lies where it was read.

        Raises:
            StorageError: If it does not.
        """
        known = self._newest
        if known is None:
            return
        try:
            data = self._store.read(self._entry_path(known.version))
        except NotFoundError as error:
            raise self._missing(known.version) from error
        if digest_of(data) != known.digest:
            raise StorageError(
                f"{self._entry_path(known.version)} is not the entry that was read "
                "before: the lake was restored, or another was made in its place. "
                "Nothing was written. Connect to the lake again.",
                kind="ledger.replaced",
            )

    def _missing(self, version: int) -> StorageError:
        return StorageError(
            f"{self._path}: entry {version} is missing from the ledger. Nothing was "
            "written. If the lake was moved or is not mounted, connect where it is; "
            f"else restore {self._entry_path(version)} from a backup. "
            "'lakehouse run repair' says what else is there.",
            kind="ledger.entry_missing",
        )

    def decide(self, entry: Entry, *, after: Sequence[str] = ()) -> bool:
        """Put `entry` if its number is free; True when it is the one in the store.

        The files that it brings to the tables are made durable first, and so are all
        entries before it.

        Args:
            entry: What is put.
            after: Other files that have to be durable before it stands.

        Raises:
            StorageError: If the store would not say. The entry may have landed.
        """
        before = entry.version - 1
        # A folder can be renamed while a plan is made, and the put would make another
        # of its name. Buckets are not renamed, and a look at a disk is free.
        is_looked_at = before >= 0 and self._store.at_once == 1
        if is_looked_at and not self._store.exists(self._entry_path(before)):
            raise self._missing(before)
        data = entry.encode()
        files = [
            f"{self._path}/{self._tables[table]}/{path}"
            for table, actions in entry.actions.items()
            for path in written_paths(actions)
        ]
        # Durable: from here on callers are told that the change stands.
        won = put_once(
            self._store,
            self._entry_path(entry.version),
            data,
            durable=True,
            after=[*files, *after],
        )
        if won:
            self._durable = max(self._durable, entry.version)
            self._cache(replace(entry, digest=digest_of(data)))
        return won

    def make_durable(self, version: int) -> None:
        """Make the entries up to `version` durable, whoever put them; once a number.

        An entry is visible before it is durable. Call this before anything that
        outlives a power cut rests on an entry that another process put: an answer, a
        deletion, a commit in a table's log, the number written down elsewhere.

        Raises:
            StorageError: If the store failed.
        """
        if version > self._durable:
            self._store.flush([self._entry_path(version)])
            self._durable = version

    def publish(self, entry: Entry) -> None:
        """Write the entry's actions into the log of every table, where they are missing.

        Any process may call this at any time, and several at once: the bytes follow
        from the entry in the store. A commit that has other bytes is replaced.

        Raises:
            NotFoundError: If the entry was not decided.
            StorageError: If the store refused; what is missing stays missing
                until the next writer publishes the entry.
        """
        if entry.version in self._published:
            return
        # Not the entry handed in: its bytes, and so its digest, are known only as read.
        decided = self.read(entry.version)
        self.make_durable(entry.version)

        def put(table: str) -> None:
            path, line = self._commit(decided, table)
            if not self._store.put_new(path, line) and self._bytes(path) != line:
                self._store.put(path, line)

        self._for_each(put, list(self._tables))
        self._published.add(entry.version)

    def is_published(self, version: int) -> bool:
        """Whether every table shows version `version`, as decided, to plain engines."""
        if version in self._published:
            return True
        decided = self.read(version)

        def is_there(table: str) -> bool:
            path, line = self._commit(decided, table)
            return self._bytes(path) == line

        # The logs are written in this order, so a writer that died left the last ones
        # out: looked at backwards, one look finds that as a rule.
        tables = list(reversed(self._tables))
        if not is_there(tables[0]):
            return False
        done = all(self._for_each(is_there, tables[1:]))
        if done:
            self._published.add(version)
        return done

    def complete_logs(self, first: int, last: int) -> list[int]:
        """Publish the entries from `first` to `last` that a log lacks; which they were.

        Raises:
            StorageError: If an entry is missing, or the store refused.
        """
        lacking = [one for one in range(first, last + 1) if not self.is_published(one)]
        for version in lacking:
            self.publish(self.read(version))
        return lacking

    def _commit(self, decided: Entry, table: str) -> tuple[str, bytes]:
        """The path and the bytes of a table's commit."""
        path = log_path(f"{self._path}/{self._tables[table]}", decided.version)
        return path, commit_of(decided, table)

    def _bytes(self, path: str) -> bytes | None:
        try:
            return self._store.read(path)
        except NotFoundError:
            return None

    def _for_each(self, work: Callable[[str], T], tables: Sequence[str]) -> list[T]:
        """Do something for each table, side by side where the store is far away."""
        if self._store.at_once > 1:
            with ThreadPoolExecutor(self._store.at_once) as pool:
                return list(pool.map(work, tables))
        return [work(table) for table in tables]

    def _exists(self, version: int) -> bool:
        # Only a yes can be cached: the next number may be taken at any moment.
        return version in self._entries or self._store.exists(self._entry_path(version))

    def _entry_path(self, version: int) -> str:
        if version < 0:
            raise NotFoundError(
                f"There is no version {version}: versions start at 0.",
                kind="version.unknown",
            )
        return f"{self._path}/ledger/{entry_name(version)}"

    def _cache(self, entry: Entry) -> None:
        self._entries[entry.version] = entry
        if entry.version >= self._known_head:
            self._newest = entry
        self._known_head = max(self._known_head, entry.version)
        # The oldest read goes first. The head is read again and again, so it comes back.
        if len(self._entries) > _CACHED_ENTRIES:
            del self._entries[next(iter(self._entries))]


def _decoded(data: bytes, path: str) -> Entry:
    """The entry in a file; errors name the file."""
    try:
        return Entry.decode(data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}", kind=error.kind) from error


def commit_of(entry: Entry, table: str) -> bytes:
    """The bytes of a table's commit, which follow from a decided entry alone."""
    info = commit_info(
        timestamp=entry.time.astimezone(UTC),
        operation=f"lakehouse {entry.kind}",
        commit_id=entry.commit_id,
        ledger_entry=entry.digest,
    )
    return commit_line([info, *entry.actions.get(table, ())])
