"""The ledger from its first entry to its head, and the tables that follow from it.

Entries and logs are read once, in order, some ahead. What is kept is small: the
entries' headers, the tables as they are at the head, and the lives of files.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from lakehouse.delta.log import written_paths
from lakehouse.delta.table_state import TableState
from lakehouse.errors import StorageError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry, entry_name, log_path
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.types import Progress
from lakehouse.verify.evidence import (
    Decided,
    Raw,
    collected_of,
    content_of,
    decide,
    read_raw,
)
from lakehouse.verify.lives import Lives
from lakehouse.verify.report import Report

_ENTRY: Final = re.compile(r"(\d{20})\.json")
_READERS: Final = 8  # entries read at once: each is 13 small files
_AHEAD: Final = 16  # entries held before they are needed

_HINT = (
    "No entry may say this. Restore the ledger from a backup, or report how it came."
)

Look = Callable[[int, Mapping[str, TableState]], None]


@dataclass(slots=True)
class History:
    """The ledger and its tables, as a walk along the entries leaves them."""

    entries: list[Entry] = field(default_factory=list[Entry])
    """Every entry's header, by number."""
    contents: list[int] = field(default_factory=list[int])
    """The version whose content each entry has."""
    vouched: set[int] = field(default_factory=set[int])
    """The entries whose headers are as they were decided."""
    open: list[int] = field(default_factory=list[int])
    """The versions whose files must be there, ascending."""
    settled: dict[str, int] = field(default_factory=dict[str, int])
    """Upload to the version that settled it."""
    states: dict[str, TableState] = field(default_factory=dict[str, TableState])
    """Each table at the head."""
    lives: dict[str, Lives] = field(default_factory=dict[str, Lives])
    """Live table to the lives of its files."""
    brought: dict[tuple[str, str], int] = field(
        default_factory=dict[tuple[str, str], int]
    )
    """Table and file to the version that brought it."""

    @property
    def head(self) -> int:
        """The newest entry's number."""
        return len(self.entries) - 1

    @property
    def versions(self) -> list[int]:
        """Every version, ascending."""
        return sorted(set(self.contents))


# ----------------------------------- WALK ----------------------------------- #


def walk(
    collection: Collection,
    report: Report,
    progress: Progress,
    on_entry: Look | None = None,
) -> History:
    """Read the ledger and the logs, and hold them against each other.

    Args:
        collection: Whose ledger and logs.
        report: Where problems are noted.
        progress: Called with how far it is.
        on_entry: Called with each entry's number and the tables after it.

    Raises:
        NotFoundError: If the collection was never created.
        StorageError: If the store failed and may not fail again.
    """
    head = _head(collection, report)
    closed = closed_ranges(collection)
    chain = Chain(collection.path, report)
    history = History(
        settled=chain.settled,
        states=dict.fromkeys(COLLECTION_TABLES, TableState.empty()),
        lives={table: Lives() for table in LIVE_TABLES},
    )

    def observe() -> None:
        """Take in the version that ends with the newest entry of the walk."""
        content = history.contents[-1]
        # A closed version may have no files any more; its content is checked by the
        # change log alone.
        if any(first <= content <= last for first, last in closed):
            return
        for table in LIVE_TABLES:
            history.lives[table].observe(len(history.open), history.states[table])
        history.open.append(content)

    for raw in _read_ahead(collection, head):
        before = history.entries[-1] if history.entries else None
        decided = decide(raw, before, head, report)
        chain.take(raw.version, decided)
        content = content_of(raw.version, decided.entry.kind, before)
        # A compaction gives a version other files and the same content, so a version is
        # looked at when it is over, with the files that readers use.
        if history.contents and history.contents[-1] != content:
            observe()
        _take(history, raw, decided, content, report)
        if on_entry is not None:
            on_entry(raw.version, history.states)
        progress("ledger", raw.version + 1, head + 1)
    observe()
    report.counts["entries"] = head + 1
    report.counts["tables"] = len(COLLECTION_TABLES)
    return history


def _take(
    history: History, raw: Raw, decided: Decided, content: int, report: Report
) -> None:
    """Apply an entry to the tables, and keep its header."""
    entry = decided.entry
    for table, actions in entry.actions.items():
        try:
            after = history.states[table].apply(actions, raw.version)
            for action in actions:
                if "add" in action:  # decodes the deletion vector, or raises
                    _ = after.files[action["add"]["path"]].dead
            for path in written_paths(actions):
                history.brought.setdefault((table, path), raw.version)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no action
            report.add(
                "ledger.actions",
                f"What entry {raw.version} does to the table makes no sense: "
                f"{type(error).__name__}: {error}.",
                "Restore the ledger entry from a backup.",
                version=raw.version,
                table=table,
                file=raw.file,
            )
            continue
        history.states[table] = after
    if decided.is_vouched:
        history.vouched.add(raw.version)
    # Without actions: a thousand headers stay small, their actions need not.
    header = replace(entry, actions={}, content_version=content)
    history.entries.append(header)
    history.contents.append(content)


def _read_ahead(collection: Collection, head: int) -> Iterator[Raw]:
    """Every entry with its commits, in order, some of them read side by side."""
    read = partial(read_raw, collection)
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, head + 1, _AHEAD):
            yield from pool.map(read, range(start, min(start + _AHEAD, head + 1)))


def _head(collection: Collection, report: Report) -> int:
    """The newest entry's number; commits after it are reported."""
    # Logs are listed before the ledger: a writer puts the entry first, so a commit
    # that is published meanwhile always has its entry in the later list.
    commits = {
        table: _numbers(collection, f"{collection.layout.folder(table)}/_delta_log")
        for table in COLLECTION_TABLES
    }
    head = max(_numbers(collection, "ledger"), default=-1)
    votes = Counter(n for numbers in commits.values() for n in numbers if n > head)
    # Commits in most tables were decided, so their entry existed and was lost; a
    # commit in one or two tables was written by somebody else.
    lost = [n for n, count in votes.items() if count > len(COLLECTION_TABLES) // 2]
    head = max([head, *lost])
    if head < 0:  # this raises, unless it was created just now
        return collection.head().version
    for table, numbers in commits.items():
        for number in sorted(n for n in numbers if n > head):
            report.add(
                "log.undecided",
                f"Commit {number} follows from no ledger entry: the newest is {head}. "
                "Something else wrote to the table.",
                "Move the file away: the ledger never decided it.",
                version=number,
                table=table,
                file=log_path(collection.table_path(table), number),
            )
    return head


# ----------------------------- ENTRIES IN ORDER ----------------------------- #


class Chain:
    """The entries seen so far, in the order of their numbers."""

    def __init__(self, path: str, report: Report) -> None:
        self._path = path
        self._report = report
        self._before: Entry | None = None
        self._latest: Entry | None = None
        self.settled: dict[str, int] = {}
        """Upload to the version that settled it."""

    def take(self, number: int, decided: Decided) -> None:
        """Check the next entry against those before it."""
        entry = decided.entry
        if decided.is_vouched:
            for check, message in self._problems(number, entry):
                self._report.add(
                    check,
                    f"Entry {number} {message}.",
                    _HINT,
                    version=number,
                    file=f"{self._path}/ledger/{entry_name(number)}",
                )
            self._latest = entry
            self.settled |= dict.fromkeys(entry.uploads, number)
        # The next entry is compared with what this one should say, so that one wrong
        # entry is not reported again at every entry after it.
        self._before = replace(
            entry,
            content_version=content_of(number, entry.kind, self._before),
            collected=collected_of(number, entry.kind, self._before),
        )

    def _problems(self, number: int, entry: Entry) -> Iterator[tuple[str, str]]:
        """Check and message of each problem of an entry."""
        before, latest = self._before, self._latest
        if entry.version != number:
            yield "ledger.number", f"says that it is entry {entry.version}"
        if latest is not None and entry.time <= latest.time:
            at, earlier = entry.time.isoformat(), latest.time.isoformat()
            message = f"is of {at}, not after entry {latest.version}, of {earlier}"
            yield "ledger.time", message
        for upload in entry.uploads:
            if upload in self.settled:
                message = f"settles upload {upload}, as {self.settled[upload]} did"
                yield "ledger.upload", message
        content = content_of(number, entry.kind, before)
        if entry.content_version != content:
            message = f"has content {entry.content_version}; its kind, {entry.kind}, "
            yield "ledger.content", f"{message}has that of version {content} here"
        # The rows and fingerprints of a corrupt entry are lost.
        known = before if before is not None and before.rows else None
        yield from _content_problems(number, entry, known)
        yield from _collect_problems(number, entry, before)


def _content_problems(
    number: int, entry: Entry, before: Entry | None
) -> Iterator[tuple[str, str]]:
    tables = set(LIVE_TABLES)
    if set(entry.rows) != tables or set(entry.fingerprint) != tables:
        yield "ledger.header", "lacks the rows or fingerprints of live tables"
    elif before is not None and content_of(number, entry.kind, before) != number:
        for table in LIVE_TABLES:
            then = before.rows.get(table), before.fingerprint.get(table)
            if (entry.rows[table], entry.fingerprint[table]) != then:
                message = "makes no version, but has other rows or another fingerprint"
                yield "ledger.content", f"{message} of {table} than the entry before"


def _collect_problems(
    number: int, entry: Entry, before: Entry | None
) -> Iterator[tuple[str, str]]:
    expected = collected_of(number, entry.kind, before)
    if entry.collected != expected:
        yield (
            "ledger.collected",
            f"names {entry.collected} as the newest garbage collection, not {expected}",
        )
    if any(not 0 <= first <= last < number for first, last in entry.closed):
        yield "ledger.closed", f"closes versions that were not there: {entry.closed}"


# -------------------------- LISTED FROM THE STORE --------------------------- #


def _numbers(collection: Collection, folder: str) -> list[int]:
    names = collection.store.names(f"{collection.path}/{folder}")
    matches = (_ENTRY.fullmatch(name) for name in names)
    return [int(match[1]) for match in matches if match]


def entries_after(collection: Collection, head: int) -> list[Entry]:
    """The entries that were decided since a head, without corrupt ones."""
    numbers = sorted(_numbers(collection, "ledger"))
    entries = (_entry(collection, number) for number in numbers if number > head)
    return [entry for entry in entries if entry is not None]


def closed_ranges(collection: Collection) -> tuple[tuple[int, int], ...]:
    """The versions whose files may be gone by now, as ranges with both ends."""
    for number in sorted(_numbers(collection, "ledger"), reverse=True):
        entry = _entry(collection, number)
        if entry is None:
            continue
        if entry.collected is None:
            return ()
        collected = _entry(collection, entry.collected)
        if collected is not None:
            return collected.closed
    return ()


def _entry(collection: Collection, number: int) -> Entry | None:
    """An entry; None if it is corrupt, which the walk reports."""
    path = f"{collection.path}/ledger/{entry_name(number)}"
    try:
        return Entry.decode(collection.store.read(path))
    except StorageError as error:
        if error.retryable:
            raise
        return None
    except Exception:  # noqa: BLE001 - whatever it is, it is no entry
        return None
