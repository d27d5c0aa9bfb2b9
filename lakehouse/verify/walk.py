"""The ledger from its first entry to its head: what the tables came to, and when.

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

from lakehouse.collection import Collection
from lakehouse.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.delta.actions import written_paths
from lakehouse.delta.table_state import TableState
from lakehouse.errors import StorageError
from lakehouse.ledger import Entry, entry_name, log_path
from lakehouse.progress import Tell
from lakehouse.verify.chain import Chain
from lakehouse.verify.evidence import Decided, Raw, content_of, judge, read_raw
from lakehouse.verify.lives import Lives
from lakehouse.verify.report import Findings

__all__ = ["History", "closed_ranges", "entries_after", "walk"]

_ENTRY: Final = re.compile(r"(\d{20})\.json")
_READERS: Final = 8
_AHEAD: Final = 16


Look = Callable[[int, Mapping[str, TableState]], None]


@dataclass(slots=True)
class History:
    """What a walk along the ledger found."""

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


def walk(
    collection: Collection, findings: Findings, tell: Tell, look: Look | None = None
) -> History:
    """Read the ledger and the logs, and hold them against each other.

    Args:
        collection: Whose ledger and logs.
        findings: Where problems are noted.
        tell: Told how far it is.
        look: Shown each entry's number and the tables after it.

    Raises:
        NotFoundError: If the collection was never created.
        StorageError: If the store failed and may not fail again.
    """
    head = _head(collection, findings)
    closed = closed_ranges(collection)
    chain = Chain(collection.path, findings)
    history = History(
        settled=chain.settled,
        states=dict.fromkeys(COLLECTION_TABLES, TableState.empty()),
        lives={table: Lives() for table in LIVE_TABLES},
    )

    def observe() -> None:
        """Take in the version that ends with the newest entry of the walk."""
        content = history.contents[-1]
        if any(first <= content <= last for first, last in closed):
            return
        for table in LIVE_TABLES:
            history.lives[table].observe(len(history.open), history.states[table])
        history.open.append(content)

    for raw in _read_ahead(collection, head):
        before = history.entries[-1] if history.entries else None
        decided = judge(raw, before, head, findings)
        chain.take(raw.version, decided)
        content = content_of(raw.version, decided.entry.kind, before)
        if history.contents and history.contents[-1] != content:
            observe()
        _take(history, raw, decided, content, findings)
        if look is not None:
            look(raw.version, history.states)
        tell("ledger", raw.version + 1, head + 1)
    observe()
    findings.counts["entries"] = head + 1
    findings.counts["tables"] = len(COLLECTION_TABLES)
    return history


def _take(
    history: History, raw: Raw, decided: Decided, content: int, findings: Findings
) -> None:
    """Apply an entry to the tables, and remember its header."""
    entry = decided.entry
    for table, actions in entry.actions.items():
        try:
            after = history.states[table].apply(actions, raw.version)
            for action in actions:
                if "add" in action:  # a vector that is none is found here
                    _ = after.files[action["add"]["path"]].dead
            for path in written_paths(actions):
                history.brought.setdefault((table, path), raw.version)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no action
            findings.add(
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
    header = replace(entry, actions={}, content_version=content)
    history.entries.append(header)
    history.contents.append(content)


def _read_ahead(collection: Collection, head: int) -> Iterator[Raw]:
    """Every entry with its commits, in order, some of them read side by side."""
    read = partial(read_raw, collection)
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, head + 1, _AHEAD):
            yield from pool.map(read, range(start, min(start + _AHEAD, head + 1)))


def _head(collection: Collection, findings: Findings) -> int:
    """The newest entry's number; commits that no entry stands behind are told."""
    # Logs first: what is decided meanwhile is then in the ledger's list, at least.
    commits = {
        table: _numbers(collection, f"{collection.layout.folder(table)}/_delta_log")
        for table in COLLECTION_TABLES
    }
    head = max(_numbers(collection, "ledger"), default=-1)
    votes = Counter(n for numbers in commits.values() for n in numbers if n > head)
    # What most tables were given was decided, and its entry was lost.
    lost = [n for n, count in votes.items() if count > len(COLLECTION_TABLES) // 2]
    head = max([head, *lost])
    if head < 0:  # this raises, unless it was created just now
        return collection.head().version
    for table, numbers in commits.items():
        for number in sorted(n for n in numbers if n > head):
            findings.add(
                "log.undecided",
                f"Commit {number} follows from no ledger entry: the newest is {head}. "
                "Something else wrote to the table.",
                "Move the file away: the ledger never decided it.",
                version=number,
                table=table,
                file=log_path(collection.table_path(table), number),
            )
    return head


def _numbers(collection: Collection, folder: str) -> list[int]:
    names = collection.store.names(f"{collection.path}/{folder}")
    found = (_ENTRY.fullmatch(name) for name in names)
    return [int(match[1]) for match in found if match]


def entries_after(collection: Collection, head: int) -> list[Entry]:
    """The entries that were decided since a head; damaged ones are left out."""
    numbers = sorted(_numbers(collection, "ledger"))
    found = (_entry(collection, number) for number in numbers if number > head)
    return [entry for entry in found if entry is not None]


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
    """An entry as it lies there; None if it is damaged, which the walk tells."""
    path = f"{collection.path}/ledger/{entry_name(number)}"
    try:
        return Entry.decode(collection.store.read(path))
    except StorageError as error:
        if error.retryable:
            raise
        return None
    except Exception:  # noqa: BLE001 - whatever it is, it is no entry
        return None
